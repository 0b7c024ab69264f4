"""Findings about who is calling, raised by `identity` and answered by the relay and the status page."""

from __future__ import annotations


class Unidentified(Exception):  # noqa: N818  # a finding about the caller, not a failure of ours
    """The caller could not be told; `str()` is the detail for `box_identity_required`."""


class NotYetVerifiable(Unidentified):
    """This process has no configuration yet: answered as `config_unavailable`, because trying again helps."""
