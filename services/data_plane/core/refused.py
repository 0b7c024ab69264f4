"""A request to be answered by the gateway itself: raised anywhere in the core, answered in a single place."""

from __future__ import annotations

from typing import Final

from shared.rejections import Rejection

_UNREADABLE: Final = frozenset({Rejection.BAD_REQUEST, Rejection.HEAD_TOO_LARGE, Rejection.REQUEST_TIMEOUT})


class Refused(Exception):  # noqa: N818  # an answer, not a failure of ours
    """Carries the rejection and a detail for its sentence; never a byte chosen by the client.

    `retry_after_seconds` is the provider's wish, where the rejection itself has none.
    """

    def __init__(
        self, rejection: Rejection, detail: str = "", *, retry_after_seconds: int | None = None
    ) -> None:
        super().__init__(f"{rejection.code}: {detail}" if detail else rejection.code)
        self.rejection = rejection
        self.detail = detail
        self.retry_after_seconds = (
            retry_after_seconds if rejection.retry_after_seconds is None else rejection.retry_after_seconds
        )

    @property
    def unreadable(self) -> bool:
        """Whether the bytes behind the request cannot be told apart any more."""
        return self.rejection in _UNREADABLE


def bad_request(detail: str) -> Refused:
    """Refuse as not well-formed; the connection cannot be used further."""
    return Refused(Rejection.BAD_REQUEST, detail)
