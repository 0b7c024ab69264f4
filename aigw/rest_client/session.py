"""Calls of the control plane's public REST API, with every failure as a single line naming the remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from aigw.failures import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from shared.secret import Secret

REQUEST_SECONDS: Final = 60.0
"""A key test asks a provider, so an answer may take this long."""
PAGE_ENTRIES: Final = 100
_PREFIX: Final = "/api/v1"
_STRANGE: Final = "The answer was {}, and not from a control plane. Check AIGW_API_URL."


class ApiSession:
    """The calls of a command.

    Args:
        url: the control plane's origin.
        token: the bearer token to show.
        transport: for tests, in place of the network.
    """

    def __init__(self, url: str, token: Secret, *, transport: httpx.BaseTransport | None = None) -> None:
        self._url = _origin(url)
        if not token:
            raise UserError(
                "These calls need a token. Put the platform's, or a person's, into a file and name that file "
                "by AIGW_API_TOKEN_FILE."
            )
        if not (token.reveal().isascii() and token.reveal().isprintable()):
            raise UserError(
                "The token of AIGW_API_TOKEN_FILE holds a character that no token has, such as a byte order "
                "mark or a second line: write the token alone into the file."
            )
        headers = {"authorization": f"Bearer {token.reveal()}"}
        self._client = httpx.Client(
            base_url=self._url + _PREFIX,
            headers=headers,
            timeout=REQUEST_SECONDS,
            trust_env=False,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        if_match: str | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> tuple[Any, str | None]:
        """Make a call; gives the JSON answer (None without one) and its ETag.

        Raises:
            UserError: the call was refused, or no answer came.
        """
        headers = {} if if_match is None else {"if-match": if_match}
        try:
            answer = self._client.request(method, path, json=body, headers=headers, params=parameters)
        except httpx.InvalidURL:
            raise UserError(f"AIGW_API_URL: {self._url} is no URL of a control plane.") from None
        except httpx.HTTPError as error:
            raise UserError(self._unknown_outcome(method, error)) from None
        if answer.is_success:
            return _content(answer), answer.headers.get("etag")
        raise UserError(_explain(answer))

    def items(self, path: str) -> list[Any]:
        """Give all entries of a paginated list."""
        entries: list[Any] = []
        parameters = {"limit": str(PAGE_ENTRIES)}
        while True:
            page, _ = self.call("GET", path, parameters=parameters)
            if not isinstance(page, dict) or "items" not in page:
                raise UserError(_STRANGE.format(200))
            entries += page["items"]
            if not page.get("next_cursor"):
                return entries
            parameters["cursor"] = page["next_cursor"]

    def _unknown_outcome(self, method: str, error: httpx.HTTPError) -> str:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return f"The control plane at {self._url} cannot be reached. Check AIGW_API_URL."
        kind = type(error).__name__
        if method == "GET":
            return f"The control plane at {self._url} did not answer ({kind}). Try again."
        return (
            f"The control plane at {self._url} did not answer ({kind}). It is not known whether the "
            "change was made: look before you repeat it."
        )


def _origin(url: str) -> str:
    """Check the control plane's address; raises `UserError`, without the address: it may hold a password."""
    try:
        parts = httpx.URL(url.rstrip("/"))
    except httpx.InvalidURL:
        parts = httpx.URL()
    if parts.scheme not in {"http", "https"} or not parts.host or parts.userinfo:
        raise UserError(
            "AIGW_API_URL is no address of a control plane: give http(s)://HOST[:PORT], without a user."
        )
    return str(parts).rstrip("/")


def _content(answer: httpx.Response) -> Any:
    """Give the JSON of an answer, None without one; raises `UserError` for a proxy's page."""
    try:
        return answer.json() if answer.content else None
    except ValueError:
        raise UserError(_STRANGE.format(answer.status_code)) from None


def _explain(answer: httpx.Response) -> str:
    """Tell a refusal in the control plane's own words (RFC 9457)."""
    try:
        problem = answer.json()
        title, detail = str(problem["title"]), str(problem.get("detail") or "")
        faults = [_fault(fault) for fault in problem.get("errors") or ()]
    except (ValueError, KeyError, TypeError):
        return _STRANGE.format(answer.status_code)
    words = [title if title.endswith((".", "!", "?")) else f"{title}.", detail, *faults]
    return " ".join(word for word in words if word)


def _fault(fault: Mapping[str, Any]) -> str:
    place = fault.get("pointer") or fault.get("parameter")
    return f"{place}: {fault['detail']}" if place else str(fault["detail"])
