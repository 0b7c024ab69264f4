"""Replays raw bytes of a box connection through the pure core, with the relay's order of questions.

No socket and no clock: the results are the relay's own decisions for each request. Used by the corpus test,
by the property tests and by the fuzz harness, so all of them test the same order of questions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from services.data_plane.core.admission import check_admission
from services.data_plane.core.framing import NOT_ENDED, BadFraming, Framing, discardable
from services.data_plane.core.head_buffer import HeadBuffer, HeadTooLarge
from services.data_plane.core.integration import CompiledIntegration
from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.refused import Refused
from services.data_plane.core.request_head import RequestHead, check_incomplete, parse_request_head
from services.data_plane.core.request_rules import prepare_head
from services.data_plane.core.route import Routes, split_target
from services.data_plane.table.compile import compile_integration
from shared.config_feed import IntegrationRow
from shared.providers import PROVIDERS, ProviderName
from shared.rejections import Rejection
from shared.secret import Secret
from shared.secret_document import SecretDocument

LIMITS: Final = RelayLimits()
ROUTES: Final = Routes(tuple(PROVIDERS.values()))
AUTHORITIES: Final = frozenset({b"10.0.2.2:1000", b"127.0.0.1:1000", b"localhost:1000"})
UNREADABLE: Final = frozenset({"bad_request", "head_too_large"})
"""After these rejections no later message on the connection can be told apart."""

OPENAI_KEY: Final = "sk-proj-0rg5KeyOfTheOrganizationItself42"
ANTHROPIC_KEY: Final = "sk-ant-api03-0rg5KeyOfTheOrganizationItself42"
GEMINI_KEY: Final = "AIzaSy0rg5KeyOfTheOrganizationItself42abc"
_KEYS: Final[dict[ProviderName, str]] = {
    "openai": OPENAI_KEY,
    "anthropic": ANTHROPIC_KEY,
    "gemini": GEMINI_KEY,
}
SETUP_TOKEN: Final = "sk-ant-oat01-0rg5SetupTokenOfTheOrganization42"


def integration_of(
    provider: ProviderName, key: str = "", endpoint: str = "", *, org: str = "org_1"
) -> CompiledIntegration:
    """Compile an integration as a data plane does, with the provider's own endpoint unless told."""
    key = key or _KEYS[provider]
    default = PROVIDERS[provider].default_endpoint
    document = SecretDocument(org=org, provider=provider, api_key=Secret(key), endpoint=endpoint or default)
    row = IntegrationRow(org=org, provider=provider, enabled=True, secret_version=1)
    return compile_integration(row, document, allow_plain_http=True)


@dataclass(slots=True)
class Sent:
    """A request on its way to the provider: its head as cut, the head as sent, and the bytes of its body."""

    head: RequestHead
    sent_head: bytes
    body: bytes = b""
    whole: bool = False


@dataclass(slots=True)
class Replay:
    """A box connection.

    Attributes:
        outcomes: per request: `forwarded`, `warm_up`, `handed_over`, `incomplete`, or a rejection's code.
        details: the sentence's detail per rejection, in the same order.
        sent: the requests towards the provider.
        closed: nothing more is read from this connection.
        after: bytes behind a WebSocket handshake.
    """

    integrations: dict[ProviderName, CompiledIntegration]
    outcomes: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    closed: bool = False
    after: bytes = b""
    _buffer: HeadBuffer = field(init=False)
    _framing: Framing | None = None
    _current: Sent | None = None  # whose body is coming; None while a refused request's body is thrown away
    _spliced: bool = False

    def __post_init__(self) -> None:
        self._buffer = HeadBuffer(LIMITS.max_head_bytes, check_incomplete)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the connection."""
        while data and not self.closed:
            if self._spliced:
                self.after += data
                return
            data = self._feed_head(data) if self._framing is None else self._feed_body(data)

    def finish(self) -> None:
        """The connection ended."""
        if not self.closed and (self._framing is not None or not self._buffer.empty):
            self.outcomes.append("incomplete")

    def _feed_head(self, data: bytes) -> bytes:
        rest = b""
        try:
            found = self._buffer.feed(data)
            if found is not None:
                raw, rest = found
                self._take_head(parse_request_head(raw, LIMITS.max_head_fields))
        except HeadTooLarge:
            self._refuse(Refused(Rejection.HEAD_TOO_LARGE))
        except Refused as refused:
            self._refuse(refused)
        return rest

    def _take_head(self, head: RequestHead) -> None:
        self._framing, self._current = head.framing(), None
        self.closed = not head.keep_alive and self._framing is None
        path, query = split_target(head.target)
        route = ROUTES.find(path)
        check_admission(head, AUTHORITIES, LIMITS.max_body_bytes)
        if route is None:
            self.outcomes.append("handed_over")
            self.closed = True
        elif head.method == b"HEAD" and route.warm_up:
            self.outcomes.append("warm_up")
        else:
            sent_head = prepare_head(head, route, query, self.integrations[route.provider.name])
            self._current = Sent(head, sent_head, whole=self._framing is None)
            self.sent.append(self._current)
            self.outcomes.append("forwarded")
            self._spliced = head.websocket

    def _feed_body(self, data: bytes) -> bytes:
        assert self._framing is not None
        try:
            end = self._framing.feed(data)
        except BadFraming as bad:
            self._refuse(Refused(Rejection.BAD_REQUEST, str(bad)))
            return b""
        part = data if end == NOT_ENDED else data[:end]
        if self._current is not None:
            self._current.body += part
        if end == NOT_ENDED:
            return b""
        self._framing = None
        if self._current is not None:
            self._current.whole = True
            self.closed = not self._current.head.keep_alive
        return data[end:]

    def _refuse(self, refused: Refused) -> None:
        self.outcomes.append(refused.rejection.code)
        self.details.append(refused.detail)
        self.closed = (
            self.closed
            or refused.rejection.code in UNREADABLE
            or (self._framing is not None and not discardable(self._framing))
        )


def replay(pieces: Iterable[bytes]) -> Replay:
    """Replay a whole connection, arriving in `pieces`."""
    connection = Replay({"openai": integration_of("openai"), "anthropic": integration_of("anthropic")})
    for piece in pieces:
        connection.feed(piece)
    connection.finish()
    return connection
