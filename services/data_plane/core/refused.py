"""A request that the gateway answers itself: raised anywhere in the core, answered in one place."""

from __future__ import annotations

from typing import Final

from shared.rejections import Rejection

_UNREADABLE: Final = frozenset({Rejection.BAD_REQUEST, Rejection.HEAD_TOO_LARGE, Rejection.REQUEST_TIMEOUT})


class Refused(Exception):  # noqa: N818  # an answer, not a failure of ours
    """Carries the rejection and a detail for its sentence; never a byte that the client chose."""

    def __init__(self, rejection: Rejection, detail: str = "") -> None:
        super().__init__(f"{rejection.code}: {detail}" if detail else rejection.code)
        self.rejection = rejection
        self.detail = detail

    @property
    def unreadable(self) -> bool:
        """Whether nothing that comes after the request can be told apart any more."""
        return self.rejection in _UNREADABLE


def bad_request(detail: str) -> Refused:
    """Refuse as not well-formed; the connection cannot be used further."""
    return Refused(Rejection.BAD_REQUEST, detail)
