"""A booked exchange: the source of the metrics and of the log line. No byte of any body or header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from services.data_plane.core.attribution import UNATTRIBUTED, Attribution

if TYPE_CHECKING:
    from services.data_plane.core.usage.stated import StatedUsage
    from services.data_plane.core.usage.tokens import NoUsage, Usage
    from shared.rejections import Rejection

Outcome = Literal[
    "answered",  # the provider's response reached the box whole
    "rejected",  # the gateway answered by itself
    "client_gone",  # the box left first
    "upstream_broke",  # the provider broke off within the response; the box saw a broken connection
    "cut",  # the gateway aborted the exchange: integration disabled or cleared, or a deadline
    "spliced",  # a WebSocket, ended by either side
]


class ExchangeRecord:
    """A request and its outcome. Most attributes keep their defaults, at no cost.

    Attributes:
        org: the caller's org; empty without an identity.
        box: the caller's box; empty without an identity.
        provider: the name of the provider in the path, e.g. `openai`; empty for a path without a provider.
        method: the request's method, e.g. `POST`.
        route: the operation without ids: up to two path segments after the version, `chat/completions`.
        status: the HTTP status seen by the box; 0 without a response.
        code: the gateway's error code, or empty.
        upstream_status: the provider's status where the box got a different status; 0 otherwise.
        outcome: the way of ending.
        started_at: arrival of the request's head, in Unix seconds.
        seconds_to_send: seconds from the arrival to the request's head leaving; None without a departure.
        seconds_to_connect: seconds of those for a new connection to the provider; 0 over a pooled one.
        seconds_to_head: seconds from the arrival to the response's head arriving; None without a response.
        seconds: duration of the whole exchange, in seconds.
        bytes_up: body and framing bytes relayed to the provider.
        bytes_down: body and framing bytes relayed to the box.
        secret_version: the version of the key sent with the request; 0 for a request never sent.
        reused: whether a pooled connection was used.
        request_id: the provider's request id, or the gateway's own for its own answers.
        leaked_key: whether the placeholder looked like a real provider key.
        usage: the tokens stated by the provider, or why the tokens are unknown; None for an untapped answer.
        stated_usage: the same in the digits of the answer, where this was cheaper; `usage` is None then. The
            model and the tier of such an answer are noted only for a log or a collector.
        usage_gap: why a part of a WebSocket's tokens is missing from `usage`; None when no part is.
        trace_parent: the client's `traceparent` header, or empty.
        model: the model named by the answer, or empty. A label, because an endpoint chooses the text.
        service_tier: the tier named by the answer, or empty. A label as well.
        web_searches, web_fetches: the stated requests of the provider's own tools.
    """

    org: str = ""
    box: str = ""
    provider: str = ""
    method: str = ""
    route: str = ""
    status: int = 0
    code: str = ""
    upstream_status: int = 0
    outcome: Outcome = "rejected"
    started_at: float
    seconds_to_send: float | None = None
    seconds_to_connect: float = 0.0
    seconds_to_head: float | None = None
    seconds: float = 0.0
    bytes_up: int = 0
    bytes_down: int = 0
    secret_version: int = 0
    reused: bool = False
    request_id: str = ""
    leaked_key: bool = False
    attribution: Attribution = UNATTRIBUTED
    trace_parent: bytes = b""
    stated_usage: StatedUsage | None = None
    usage_gap: NoUsage | None = None
    model: str = ""
    service_tier: str = ""
    web_searches: int = 0
    web_fetches: int = 0
    usage: Usage | NoUsage | None

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self.usage = None  # here, because the compiler gives no default to a union of three

    def rejected(self, rejection: Rejection, own_request_id: str) -> None:
        """Note an answer by the gateway itself; its own id stands in where the provider gave none."""
        self.status, self.code = rejection.status, rejection.code
        self.request_id = self.request_id or own_request_id
