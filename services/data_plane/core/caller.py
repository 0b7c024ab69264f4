"""Findings about who is calling, raised by `identity` and answered by the relay and the status page."""

from __future__ import annotations

from shared.rejections import Rejection


class Unidentified(Exception):  # noqa: N818  # a finding about the caller, not a failure of ours
    """The caller could not be told; `str()` is the detail for `box_identity_required`.

    Attributes:
        of_connection: no later request of the same connection can be told either.
    """

    of_connection = False

    @property
    def rejection(self) -> tuple[Rejection, str]:
        """How it is answered."""
        return Rejection.BOX_IDENTITY_REQUIRED, str(self)


class NotYetVerifiable(Unidentified):
    """This process has no configuration yet: answered as `config_unavailable`, because trying again helps."""

    @property
    def rejection(self) -> tuple[Rejection, str]:
        """How it is answered."""
        return Rejection.CONFIG_UNAVAILABLE, str(self)
