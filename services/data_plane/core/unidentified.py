"""Findings about the caller, raised by `identity` and answered by the relay and the status page."""

from __future__ import annotations

from typing import Literal

from shared.box_token import TokenFault
from shared.rejections import Rejection

IdentityFault = TokenFault | Literal["no_token", "no_preface", "bad_preface", "late_preface", "no_nodes_yet"]
"""Why a caller could not be told, for metrics: a closed set."""


class Unidentified(Exception):  # noqa: N818  # a finding about the caller, not a failure of ours
    """The caller could not be told; `str()` is the detail for `box_identity_required`.

    Attributes:
        fault: which check failed, for counting.
        of_connection: no later request of the same connection can be told either.
    """

    def __init__(
        self, detail: str, fault: IdentityFault = "no_token", *, of_connection: bool = False
    ) -> None:
        super().__init__(detail)
        self.fault: IdentityFault = fault
        self.of_connection = of_connection

    @property
    def rejection(self) -> tuple[Rejection, str]:
        """The rejection for the answer."""
        return Rejection.BOX_IDENTITY_REQUIRED, str(self)


class NotYetVerifiable(Unidentified):
    """This process has no configuration yet: answered as `config_unavailable`, because trying again helps."""

    @property
    def rejection(self) -> tuple[Rejection, str]:
        """How it is answered."""
        return Rejection.CONFIG_UNAVAILABLE, str(self)
