"""The connections of one life of one box: accepted from its listener, spliced with one to a data plane."""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from services.node_agent.listeners.making import BACKLOG
from services.node_agent.relay.box_side import BoxSide
from services.node_agent.relay.target_side import TargetSide
from services.node_agent.relay.targets import NoTargetError
from services.node_agent.rules.refusal import NO_DATA_PLANE, TOO_MANY

if TYPE_CHECKING:
    from services.node_agent.relay.counters import Counters
    from services.node_agent.relay.endings import Endings
    from services.node_agent.relay.side import Side
    from services.node_agent.relay.targets import Targets
    from services.node_agent.rules.capacity import Occupancy, Refusal
    from services.node_agent.tokens import Preface
    from shared.clock import Clock
    from shared.tasks import TaskSet

logger = logging.getLogger(__name__)

REFUSAL_LOG_SECONDS: Final = 10.0
"""Refusals of a box are logged at most once in this time; all of them are counted."""


@dataclass(frozen=True, slots=True)
class Shared:
    """The parts used by every acceptor of an agent."""

    targets: Targets
    occupancy: Occupancy
    counters: Counters
    endings: Endings
    tasks: TaskSet
    clock: Clock


@dataclass(frozen=True, slots=True)
class LastError:
    """The latest failure of this box's connections. `at` is in Unix seconds."""

    at: float
    message: str


class Acceptor:
    """Accepts for a single box until `close`. Each life has its own object: a new life gets a new acceptor.

    Attributes:
        connections: open now.
        accepted: ever.
        bytes_up, bytes_down: of ended connections.
    """

    def __init__(self, box: str, org: str, preface: Preface, shared: Shared) -> None:
        self.box = box
        self.preface = preface
        self.accepted = 0
        self.bytes_up = self.bytes_down = 0
        self.last_error: LastError | None = None
        self._org = org
        self._shared = shared
        self._sides: set[BoxSide] = set()
        self._server: asyncio.Server | None = None
        self._open = True
        self._refusal_logged_at = 0.0

    @property
    def connections(self) -> int:
        """How many connections of the box are open."""
        return len(self._sides)

    async def start(self, listener: socket.socket) -> None:
        """Accept from a copy of the listener, so that the listener outlives this acceptor."""
        loop = asyncio.get_running_loop()
        copy = listener.dup()
        copy.setblocking(False)
        if copy.family == socket.AF_UNIX:
            self._server = await loop.create_unix_server(self._new_side, sock=copy, backlog=BACKLOG)
        else:
            self._server = await loop.create_server(self._new_side, sock=copy, backlog=BACKLOG)

    def stop_accepting(self) -> None:
        """Accept no more; connections already open, or accepted by the event loop, go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def close(self) -> None:
        """Accept no more, and end every connection by a reset."""
        self._open = False
        self.stop_accepting()
        for side in list(self._sides):
            side.end()

    def _new_side(self) -> asyncio.BaseProtocol:
        # A protocol by its methods, which is all that event loops ask for (docs/adr/0014).
        return cast("asyncio.BaseProtocol", BoxSide(self))

    # What the sides tell.

    def arrived(self, side: BoxSide) -> None:
        """Take in an accepted connection, or refuse it."""
        shared = self._shared
        if not self._open:  # accepted by the event loop in the turn in which this acceptor was closed
            side.end()
            return
        shared.counters.accepted += 1
        self.accepted += 1
        refusal = shared.occupancy.enter(self._org, len(self._sides))
        if refusal is not None:
            self._refuse(side, refusal)
            return
        self._sides.add(side)
        side.is_counted = True
        shared.tasks.start(self._connect(side), "connect to a data plane")

    def side_is_ending(self, side: Side) -> None:
        """Have the sweep end a side that takes too long over its last bytes.

        After the box has ended its sending, a data plane may answer for as long as needed.
        """
        if isinstance(side, BoxSide) or side.transport.is_closing():
            self._shared.endings.watch(side)

    def side_has_ended(self, side: Side) -> None:
        """Count the bytes moved by a side."""
        counters = self._shared.counters
        self._shared.endings.forget(side)
        match side:
            case BoxSide():
                counters.bytes_up += side.bytes_in
                self.bytes_up += side.bytes_in
                if side.is_counted:
                    self._sides.discard(side)
                    self._shared.occupancy.leave(self._org)
                if side.connecting is not None:
                    side.connecting.cancel()
            case TargetSide():
                counters.bytes_down += side.bytes_in
                self.bytes_down += side.bytes_in
                side.leave()
            case _:
                raise AssertionError(f"a connection has two sides, and {side!r} is none of them")

    async def _connect(self, side: BoxSide) -> None:
        side.connecting = asyncio.current_task()
        target = TargetSide(self)
        try:
            known = await self._shared.targets.connect(cast("asyncio.BaseProtocol", target))
        except NoTargetError:
            self._shared.counters.unserved += 1
            self._note("No data plane could be reached.")
            side.connecting = None
            side.answer(NO_DATA_PLANE)
            return
        except asyncio.CancelledError:
            target.give_up()
            return  # the box has left
        finally:
            side.connecting = None
        target.belongs_to(known)
        if target.is_gone or side.is_gone:
            target.give_up()
            side.reset()
            return
        side.begin(target, self.preface.current())

    def _refuse(self, side: BoxSide, refusal: Refusal) -> None:
        self._shared.counters.refused[refusal] += 1
        now = self._shared.clock()
        message = f"A connection was refused: the cap of {_CAPS[refusal]} is full."
        self.last_error = LastError(now, message)
        if not 0 <= now - self._refusal_logged_at < REFUSAL_LOG_SECONDS:
            self._refusal_logged_at = now
            logger.warning("box %s: %s", self.box, message)
        side.answer(TOO_MANY[refusal])
        self._shared.endings.watch_refused(side)

    def _note(self, message: str) -> None:
        self.last_error = LastError(self._shared.clock(), message)


_CAPS: Final[dict[Refusal, str]] = {"box": "this box", "org": "its organization", "all": "the node"}
