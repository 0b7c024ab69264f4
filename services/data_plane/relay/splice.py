"""A WebSocket after its handshake: follows the conversation, and ends a drained one by Close frames.

The bytes themselves pass by the exchange. A Close frame of the gateway's stands only where neither a frame
nor a message is under way in either direction.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from services.data_plane.core.usage.tap import UsageTap
from services.data_plane.core.websocket_turns import GOING_AWAY, SERVICE_RESTART, Conversation, write_close

if TYPE_CHECKING:
    from services.data_plane.core.usage.tap import Tapped
    from services.data_plane.relay.box_side import BoxSide
    from services.data_plane.relay.upstream.connection import UpstreamConnection

MASK_BYTES: Final = 4


class Splice:
    """A WebSocket's conversation, seen from the exchange."""

    __slots__ = ("_conversation", "take_from_box", "take_from_provider")

    def __init__(self) -> None:
        self._conversation = Conversation()
        self.take_from_box = self._conversation.take_from_box
        self.take_from_provider = self._conversation.take_from_provider

    def is_between_turns(self, now: float, tapped: Tapped | None) -> bool:
        """Whether no turn is under way, as far as the frames and the tap can tell."""
        turn_ended = isinstance(tapped, UsageTap) and tapped.turn_ended
        return self._conversation.is_between_turns(now, turn_ended=turn_ended)

    def close(self, upstream: UpstreamConnection, box_side: BoxSide) -> bool:
        """Send both sides a Close frame, and the provider the end; False while a message is under way.

        The box is told that the service restarts, the provider that its client leaves.
        """
        if not self._conversation.at_border:
            return False
        upstream.write(write_close(GOING_AWAY, b"", os.urandom(MASK_BYTES)))
        upstream.finish()
        box_side.write(write_close(SERVICE_RESTART, b"the gateway restarts; connect again"))
        return True
