"""A box's information about itself: its identity, the enabled providers of its org, and the next steps. Pure.

Written for people at a terminal and for agents; names, addresses and times only, no secret and nothing of
another org.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal

from services.data_plane.core.integration import CompiledIntegration, NotReady
from shared.clock import rfc3339
from shared.providers import LOCAL_ORIGIN, Provider, with_addresses

if TYPE_CHECKING:
    from services.data_plane.account.last_errors import LastError
    from shared.box_token import Box

State = Literal["on", "off", "missing", "loading", "unknown"]

_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")
_WAY: Final = "Org Settings > AI Integrations"


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """A provider as seen by this box."""

    provider: Provider
    state: State
    why: str
    base_url: str
    last_error: LastError | None
    next_step: str
    is_key_rejected: bool = False

    @property
    def word(self) -> str:
        """The state in a word or two: a just refused key is never called on."""
        return "KEY REJECTED" if self.is_key_rejected else self.state.upper()

    @property
    def environment(self) -> str:
        """The line for pointing a shell at the gateway."""
        pairs = self.provider.environment[:2]
        return "export " + " ".join(f"{name}={with_addresses(value, self.base_url)}" for name, value in pairs)


@dataclass(frozen=True, slots=True)
class Status:
    """The whole page. `org_name` and `owners` are empty where the configuration does not tell them.

    `portal` is the Portal's origin, "" where the operator has set none.
    """

    box: Box
    org_name: str
    owners: tuple[str, ...]
    origin: str
    providers: tuple[ProviderStatus, ...]
    portal: str = ""

    @property
    def setup_line(self) -> str:
        """The line for setting up a box, this shell and later shells."""
        return f'eval "$(curl -fsS {self.origin}/run9/ai/setup.sh)"'


def provider_status(
    provider: Provider,
    found: CompiledIntegration | NotReady,
    *,
    origin: str,
    last_error: LastError | None,
    portal: str = "",
    is_key_rejected: bool = False,
) -> ProviderStatus:
    """Judge a provider by the result of a look-up, by the last error and by the last verdict on the key.

    The refusal of a replaced key is no error of the integration in its present state.
    """
    if last_error is not None and _is_of_a_former_key(last_error, found):
        last_error = None
    where = f"in the run9 Portal{portal and ', ' + portal}: {_WAY}"
    state, why, next_step = _judge(provider, found, where)
    if state == "on" and last_error is not None:
        next_step = _after_error(provider, last_error, where)
    base_url = provider.local_base_url.replace(LOCAL_ORIGIN, origin)
    rejected = is_key_rejected and state == "on"
    if rejected:
        why = "the key was refused when it was last used"
        next_step = f"An owner should replace the API key {where} > {provider.title}."
    return ProviderStatus(provider, state, why, base_url, last_error, next_step, rejected)


def _is_of_a_former_key(error: LastError, found: CompiledIntegration | NotReady) -> bool:
    if error.code != "upstream_key_rejected" or not error.secret_version:
        return False
    return isinstance(found, CompiledIntegration) and error.secret_version != found.secret_version


def _judge(provider: Provider, found: CompiledIntegration | NotReady, where: str) -> tuple[State, str, str]:
    match found:
        case NotReady.MISSING:
            return (
                "missing",
                "no API key is set up",
                f"An owner can add the API key {where} > {provider.title}.",
            )
        case NotReady.DISABLED:
            return (
                "off",
                "an owner switched it off",
                f"An owner can switch it on {where} > {provider.title}.",
            )
        case NotReady.LOADING:
            return (
                "loading",
                "it is set up, but the gateway has not loaded its key",
                "Try again in a moment; if it stays, tell the platform's operator.",
            )
        case NotReady.UNKNOWN:
            return (
                "unknown",
                "the gateway has no current configuration",
                "Try again in a moment; if it stays, tell the platform's operator.",
            )
        case CompiledIntegration():
            return "on", "", "Nothing to fix: use the base URL with any placeholder as the key."


_AFTER_REFUSALS: Final = {
    "upstream_key_rejected": "An owner should replace the API key {where}.",
    "upstream_refused_unexplained": "An owner should test the API key {where}.",
    "upstream_request_refused": "The provider refused that request, not the key, and its answer said why.",
}
_AFTER_STATUSES: Final[dict[int, str]] = {
    HTTPStatus.FORBIDDEN: (
        "The provider does not let this organization's key do that; an owner should check its rights."
    ),
    HTTPStatus.TOO_MANY_REQUESTS: (
        "The provider limits this organization; an owner should check its usage and billing there."
    ),
}


def _after_error(provider: Provider, error: LastError, where: str) -> str:
    """Name the checks after the last error, in case of a repetition."""
    where = f"{where} > {provider.title}"
    said = _AFTER_REFUSALS.get(error.code) or ("" if error.code else _AFTER_STATUSES.get(error.status, ""))
    if said:
        return said.format(where=where)
    if not error.code and HTTPStatus.BAD_REQUEST <= error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return "The provider refused that request; check the model's name, the route and the parameters."
    return f"Try again; if it stays, an owner should check the endpoint {where}."


def as_json(status: Status) -> dict[str, Any]:
    """Write the page for programs."""
    return {
        "box": {"identified": True, "id": status.box.box, "org": status.box.org, "org_name": status.org_name},
        "owners": list(status.owners),
        "providers": [
            {
                "provider": item.provider.name,
                "title": item.provider.title,
                "state": item.state,
                "why": item.why or None,
                "key_rejected": item.is_key_rejected,
                "who_can_change_it": list(status.owners),
                "base_url": item.base_url,
                "last_error": None if item.last_error is None else _error_json(item.last_error),
                "next": item.next_step,
            }
            for item in status.providers
        ],
        "portal": status.portal or None,
        "setup": f"{status.origin}/run9/ai/setup.sh",
    }


def _error_json(error: LastError) -> dict[str, Any]:
    return {
        "time": rfc3339(error.at),
        "status": error.status or None,
        "code": error.code or None,
        "request_id": _printable(error.request_id) or None,
    }


def as_text(status: Status) -> str:
    """Write the page for a terminal."""
    lines = [
        "run9 AI Gateway",
        "",
        f"Box           {status.box.box}",
        f"Organization  {org_text(status)}",
        f"Owners        {', '.join(status.owners) or 'not known to this gateway'}",
        *([f"Portal        {status.portal}"] if status.portal else []),
    ]
    for item in status.providers:
        lines += ["", *_provider_lines(item)]
    lines += ["", f"Set this box up for every client:  {status.setup_line}", ""]
    return "\n".join(lines)


def org_text(status: Status) -> str:
    """Name the org, by its id as well."""
    return f"{status.org_name} ({status.box.org})" if status.org_name else status.box.org


def _provider_lines(item: ProviderStatus) -> list[str]:
    lines = [
        f"{item.provider.title}: {item.word}" + (f", {item.why}" if item.why else ""),
        f"  Base URL    {item.base_url}",
        f"  Set it      {item.environment}",
    ]
    if item.last_error is not None:
        lines.append(f"  Last error  {error_text(item.last_error)}")
    return [*lines, f"  Next        {item.next_step}"]


def error_text(error: LastError) -> str:
    """Tell the last error in a line, fit for a terminal."""
    parts = [rfc3339(error.at), f"status {error.status}" if error.status else "no answer"]
    if error.code:
        parts.append(error.code)
    if error.request_id:
        parts.append(f"request {_printable(error.request_id)}")
    return ", ".join(parts)


def _printable(text: str) -> str:
    """An id from outside, fit for a terminal."""
    return _UNPRINTABLE.sub("?", text)[:128]
