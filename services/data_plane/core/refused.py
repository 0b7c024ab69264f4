"""A request that the gateway answers itself: raised anywhere in the core, answered in one place."""

from __future__ import annotations

from typing import Final

from shared.rejections import Rejection

_UNREADABLE: Final = frozenset({Rejection.BAD_REQUEST, Rejection.HEAD_TOO_LARGE, Rejection.REQUEST_TIMEOUT})


class Refused(Exception):  # noqa: N818  # an answer, not a failure of ours
    """Carries the rejection and a detail for its sentence; never a byte that the client chose.

    `retry_after_seconds` is what the provider asks for, where the rejection itself asks for nothing.
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
        """Whether nothing that comes after the request can be told apart any more."""
        return self.rejection in _UNREADABLE


def bad_request(detail: str) -> Refused:
    """Refuse as not well-formed; the connection cannot be used further."""
    return Refused(Rejection.BAD_REQUEST, detail)
