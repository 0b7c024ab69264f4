"""Every error the gateway makes on the box side: code, status, wording, whose fault.

How a rejection is written for a provider's clients is `services/data_plane/core/answers.py`; the docs
page is generated from here. Why these statuses: `docs/adr/0003-error-statuses.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

MAX_DETAIL_CHARS: Final = 80
MAX_HOST_CHARS: Final = 64
MAX_SENTENCE_CHARS: Final = 300

Source = Literal["gateway", "upstream"]
Fault = Literal["box", "org", "operator", "provider"]


@dataclass(frozen=True, slots=True)
class Place:
    """The names open to a sentence beside the provider.

    Attributes:
        portal: the Portal's origin, where the operator has set one.
        host: the endpoint's host; empty where no endpoint took part.
        is_own: whether the host is the provider's own endpoint.
    """

    portal: str = ""
    host: str = ""
    is_own: bool = False

    def refuser(self, provider: str) -> str:
        """Name the party behind the answer, or behind its absence."""
        if not self.host:
            return f"The endpoint set for {provider}"
        host = self.host[:MAX_HOST_CHARS]
        return (
            f"{provider} ({host})" if self.is_own else f"The host {host}, a custom endpoint for {provider},"
        )

    def mender(self, portal: str) -> str:
        """Name the party able to mend an unreachable endpoint: network operator, or the endpoint's owner."""
        if self.is_own:
            return "the platform's operator should check the gateway's network"
        return f"an organization owner should check the endpoint in the run9 Portal{portal and ', ' + portal}"


@dataclass(frozen=True, slots=True)
class _Entry:
    status: int
    source: Source
    fault: Fault
    retry_helps: bool
    retry_after_seconds: int | None
    message: str
    max_detail_chars: int = MAX_DETAIL_CHARS


class Rejection(Enum):
    """A way of refusing or failing a request.

    `message` may name `{provider}` (its title), `{detail}`, `{portal}`, `{refuser}` (the party behind the
    answer or its absence) and `{mender}` (the party able to mend the cause); the rendered message is a single
    line under 300 characters with the remedy and the person to act.
    """

    INTEGRATION_MISSING = _Entry(
        400, "gateway", "org", False, None,
        "{provider} is not set up for this box's organization. An organization owner can add the API key in "
        "{portal}: Org Settings > AI Integrations > {provider}.",
    )  # fmt: skip
    INTEGRATION_DISABLED = _Entry(
        400, "gateway", "org", False, None,
        "{provider} is switched off for this box's organization. An organization owner can switch it on in "
        "{portal}: Org Settings > AI Integrations > {provider}.",
    )  # fmt: skip
    BOX_IDENTITY_REQUIRED = _Entry(
        400, "gateway", "operator", False, None,
        "The gateway could not tell which box is calling ({detail}). Nothing in the box can fix this; the "
        "platform's operator should check the node agent.",
    )  # fmt: skip
    ROUTE_NOT_ALLOWED = _Entry(
        400, "gateway", "box", False, None,
        "This {provider} route creates credentials or administers the provider account, so the gateway does "
        "not forward it. Do this on the provider's own console.",
    )  # fmt: skip
    BROWSER_REQUEST_REFUSED = _Entry(
        400, "gateway", "box", False, None,
        "This looks like a request made by a web page ({detail}), and pages may not call the gateway. "
        "Programs should call the base URL in OPENAI_BASE_URL or ANTHROPIC_BASE_URL directly.",
    )  # fmt: skip
    UPSTREAM_KEY_REJECTED = _Entry(
        400, "upstream", "org", False, None,
        "{refuser} did not accept the organization's API key. An organization owner should replace it in "
        "{portal}: Org Settings > AI Integrations > {provider}.",
    )  # fmt: skip
    UPSTREAM_REQUEST_REFUSED = _Entry(
        400, "upstream", "box", False, None,
        "{refuser} refused this request, not the organization's key: {detail} Change what the program asks, "
        "or have an organization owner change it there.",
        110,
    )  # fmt: skip
    UPSTREAM_REFUSED_UNEXPLAINED = _Entry(
        400, "upstream", "org", False, None,
        "{refuser} refused this request for no known reason ({detail}). An organization owner can test the "
        "key in {portal}: Org Settings > AI Integrations > {provider}.",
    )  # fmt: skip
    UPSTREAM_UPGRADE_REFUSED = _Entry(
        426, "upstream", "provider", False, None,
        "{refuser} refused the WebSocket ({detail}). Use plain HTTP for this call.",
        140,
    )  # fmt: skip
    UPSTREAM_UNREACHABLE = _Entry(
        502, "upstream", "provider", True, None,
        "{refuser} could not be reached ({detail}). Try again; if it stays, {mender}.",
    )  # fmt: skip
    UPSTREAM_INVALID = _Entry(
        502, "upstream", "provider", True, None,
        "{refuser} answered something that is not valid HTTP ({detail}). Try again; if it stays, {mender}.",
    )  # fmt: skip
    UPSTREAM_REDIRECT = _Entry(
        502, "upstream", "org", True, None,
        "{refuser} answered with a redirect, which the gateway never follows. An organization owner should "
        "set the final address as the endpoint in {portal}.",
    )  # fmt: skip
    UPSTREAM_TIMEOUT = _Entry(
        504, "upstream", "provider", True, None,
        "{refuser} did not answer in time ({detail}). Try again.",
    )  # fmt: skip
    CONFIG_UNAVAILABLE = _Entry(
        503, "gateway", "operator", True, 2,
        "The gateway has no current configuration ({detail}). Try again in a moment; if it stays, tell the "
        "platform's operator.",
    )  # fmt: skip
    GATEWAY_UNREACHABLE = _Entry(
        503, "gateway", "operator", True, 2,
        "The node could not reach the gateway ({detail}). Try again in a moment; if it stays, tell the "
        "platform's operator.",
    )  # fmt: skip
    OVERLOADED = _Entry(
        503, "gateway", "box", True, 2,
        "Too many requests are open at once ({detail}). Try again in a moment, with fewer at a time.",
    )  # fmt: skip
    BAD_REQUEST = _Entry(
        400, "gateway", "box", False, None,
        "The gateway refused this request because it is not well-formed HTTP ({detail}). The program in the "
        "box that made it has to be corrected.",
    )  # fmt: skip
    NOT_FOUND = _Entry(
        404, "gateway", "box", False, None,
        "No such path on the gateway. The base URLs are /run9/ai/openai/v1/ and /run9/ai/anthropic; "
        "GET /run9/ai/ shows what is set up.",
    )  # fmt: skip
    METHOD_NOT_ALLOWED = _Entry(
        400, "gateway", "box", False, None,
        "The gateway does not forward this method ({detail}). Use a method of the provider's API.",
    )  # fmt: skip
    REQUEST_TIMEOUT = _Entry(
        408, "gateway", "box", True, None,
        "The request did not arrive in time ({detail}). Try again.",
    )  # fmt: skip
    HEAD_TOO_LARGE = _Entry(
        431, "gateway", "box", False, None,
        "The request's headers are larger than the gateway accepts ({detail}). Send fewer or shorter ones.",
    )  # fmt: skip
    BODY_TOO_LARGE = _Entry(
        413, "gateway", "box", False, None,
        "The request's body is larger than the gateway accepts ({detail}). Send less at a time.",
    )  # fmt: skip

    @property
    def code(self) -> str:
        """The stable code, in `x-run9-error`, metrics and logs."""
        return self.name.lower()

    @property
    def status(self) -> int:
        """The HTTP status of the response."""
        return self.value.status

    @property
    def source(self) -> Source:
        """The party at fault, in `x-run9-error-source`."""
        return self.value.source

    @property
    def fault(self) -> Fault:
        """The party able to mend the cause."""
        return self.value.fault

    @property
    def retry_helps(self) -> bool:
        """Whether trying again may succeed; if not, the response says `x-should-retry: false`."""
        return self.value.retry_helps

    @property
    def retry_after_seconds(self) -> int | None:
        """The `retry-after` to send; small, because clients sleep for exactly this time."""
        return self.value.retry_after_seconds

    def render(self, provider: str, detail: str = "", place: Place | None = None) -> str:
        """Write the sentence for a provider's title and an optional detail (never a client's raw bytes).

        A detail is put on one line and shortened to the entry's limit, so the length of the sentence stays
        bounded; the Portal's address and the end of the detail are left out beyond the bound.
        """
        place = place or Place()
        detail = " ".join(detail.split())[: self.value.max_detail_chars]
        sentence = self._written(provider, detail, place, place.portal)
        if len(sentence) >= MAX_SENTENCE_CHARS:
            sentence = self._written(provider, detail, place, "")
        if (excess := len(sentence) - MAX_SENTENCE_CHARS + 1) > 0:
            sentence = self._written(provider, detail[: max(len(detail) - excess, 1)], place, "")
        return sentence

    def _written(self, provider: str, detail: str, place: Place, portal: str) -> str:
        return self.value.message.format(
            provider=provider,
            detail=detail or "no detail",
            portal=f"the run9 Portal, {portal}" if portal else "the run9 Portal",
            refuser=place.refuser(provider),
            mender=place.mender(portal),
        )
