"""The calls of an exchange on the connection of its box."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.data_plane.relay.connection_limits import CountedConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.data_plane.core.refused import Refused
    from services.data_plane.core.response_head import ResponseHead


class BoxSide(CountedConnection):
    """The box's side of an exchange; implemented by `box.connection`.

    A plain base class: a call costs the same as any call, interpreted or compiled (docs/adr/0014).

    Attributes:
        write: sends bytes to the box at the end of this turn of the event loop.
    """

    __slots__ = ("write",)

    write: Callable[[bytes], None]

    def has_whole_request(self) -> bool:
        """Whether the whole request has arrived."""
        raise AssertionError("the user of this part answers it")

    def request_sent(self) -> None:
        """The head and the first part of the body have left: the rest may come."""

    def provider_stalled(self) -> None:
        """The provider takes no more of the body for now."""

    def responding(self, head: ResponseHead) -> bool:  # noqa: ARG002  # for the user to read
        """The response begins. Tells whether the connection ends after the response."""
        raise AssertionError("the user of this part answers it")

    def response_complete(self) -> None:
        """The response has left whole."""

    def reject(self, refused: Refused) -> None:
        """Answer for the exchange, which has ended without a response."""

    def close(self) -> None:
        """End cleanly once the last bytes have left."""

    def linger(self) -> None:
        """Close, but let the box read the last bytes first."""
