"""The boxes of this node: attaching, detaching, restoring. The one place that changes what listens.

Changes happen in sequence. Each leaves disk, listeners and the service manager's store in agreement, or fails
with nothing listening: a box without a listener is told of, a listener without its box never is.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from services.node_agent.keep.store import Kept, Store, StoreError
from services.node_agent.listeners.making import (
    Listener,
    ListenerError,
    close_listener,
    fits,
    is_still_there,
    make_listener,
)
from services.node_agent.relay.acceptor import Acceptor, LastError, Shared
from services.node_agent.rules.attachment import Attachment, NamespaceListen
from services.node_agent.rules.capacity import caps_for, has_room_for_a_listener

if TYPE_CHECKING:
    from services.node_agent.keep.systemd import ServiceManager
    from services.node_agent.tokens import Minter

logger = logging.getLogger(__name__)

DropElsewhere = Callable[[int], Awaitable[None]]
MOVED_NAMESPACE: Final = (
    "Its network namespace was replaced by another one of the same name while the agent was away. "
    "Attach the box again."
)


class AttachmentConflictError(Exception):
    """A change would take something from another box or another life; says from which."""


class NoRoomError(Exception):
    """The node has too few descriptors left for another listener."""


@dataclass(slots=True)
class Attached:
    """The state of an attachment. A lost attachment has no listener; `acceptor.last_error` says why."""

    kept: Kept
    acceptor: Acceptor
    listener: Listener | None

    @property
    def attachment(self) -> Attachment:
        """The box and the place of the listener."""
        return self.kept.attachment

    @property
    def state(self) -> Literal["listening", "lost"]:
        """Whether its connections are accepted."""
        return "lost" if self.listener is None else "listening"


class Attachments:
    """All attachments.

    Args:
        drop_elsewhere: ends the connections of a generation in the processes from which this process has
            taken over.
        descriptors: how many this process may have.
        boot: tells this start of the machine from others.
    """

    def __init__(
        self,
        *,
        store: Store,
        manager: ServiceManager,
        minter: Minter,
        shared: Shared,
        drop_elsewhere: DropElsewhere,
        descriptors: int,
        max_connections_per_box: int,
        boot: str,
    ) -> None:
        self._store = store
        self._manager = manager
        self._minter = minter
        self._shared = shared
        self._drop_elsewhere = drop_elsewhere
        self._descriptors = descriptors
        self._max_connections_per_box = max_connections_per_box
        self._boot = boot
        self._attached: dict[str, Attached] = {}
        self._changing = asyncio.Lock()

    def all(self) -> list[Attached]:
        """Give every attachment, by box id."""
        return [self._attached[box] for box in sorted(self._attached)]

    def get(self, box: str) -> Attached | None:
        """Give the attachment of a box."""
        return self._attached.get(box)

    @property
    def lost(self) -> int:
        """How many attachments have no listener."""
        return sum(attached.listener is None for attached in self._attached.values())

    async def attach(self, wanted: Attachment) -> Attached:
        """Have the box's connections accepted at its place; the same again changes nothing.

        Raises:
            AttachmentConflictError: another box is attached at the place.
            ListenerError: the place cannot be had.
            NoRoomError: the node is full.
            StoreError: the attachment could not be written; nothing listens.
        """
        async with self._changing:
            current = self._attached.get(wanted.box)
            if current is not None and current.attachment == wanted and await _is_alive(current):
                return current
            self._refuse_a_taken_place(wanted)
            if current is not None:
                await self._close(current)
            if not has_room_for_a_listener(self._descriptors, len(self._attached)):
                raise NoRoomError
            return await self._open(wanted)

    async def detach(self, box: str, lifecycle_id: str) -> None:
        """Close the listener and every connection of the named life; an unattached box is no failure.

        A box that is not attached is no failure.

        Raises:
            AttachmentConflictError: the box is attached for another life.
            StoreError: the attachment could not be removed from disk; nothing listens any more.
        """
        async with self._changing:
            current = self._attached.get(box)
            if current is None:
                return
            if current.attachment.lifecycle_id != lifecycle_id:
                raise AttachmentConflictError("The box is attached for another life. Nothing was done.")
            await self._close(current)

    async def restore(self, kept: list[Kept], passed: Mapping[int, socket.socket]) -> None:
        """Accept again for every attachment of the store, by the passed listeners where they fit."""
        left = dict(passed)
        for item in kept:
            found = left.pop(item.generation, None)
            if found is not None and not fits(found, item.attachment.listen):
                left[item.generation], found = found, None
            await self._restore_one(item, found)
        for generation, listener in left.items():
            logger.warning("a listener of no attachment was closed (generation %d)", generation)
            close_listener(Listener.of(listener))
            self._manager.forget(generation)
        self._set_caps()

    async def drop(self, generation: int) -> None:
        """End the connections of an attachment that a successor has detached."""
        for attached in self._attached.values():
            if attached.kept.generation == generation:
                attached.acceptor.close()
        await self._drop_elsewhere(generation)

    def listeners(self) -> dict[int, socket.socket]:
        """Give every listener by its generation, for a successor."""
        return {
            attached.kept.generation: attached.listener.made
            for attached in self._attached.values()
            if attached.listener is not None
        }

    def stop_accepting(self) -> None:
        """Accept no more, and leave the listeners as they are for any other process that holds them."""
        for attached in self._attached.values():
            attached.acceptor.stop_accepting()

    def close_connections(self) -> None:
        """End every connection by a reset."""
        for attached in self._attached.values():
            attached.acceptor.close()

    @property
    def connections(self) -> int:
        """How many connections of boxes this process has."""
        return sum(attached.acceptor.connections for attached in self._attached.values())

    def renew_tokens(self, at_most: int) -> int:
        """Mint new tokens where the present ones are of some age; give how many were minted."""
        renewed = 0
        for attached in self._attached.values():
            if renewed >= at_most:
                break
            renewed += attached.acceptor.preface.renew()
        return renewed

    def _refuse_a_taken_place(self, wanted: Attachment) -> None:
        for other in self._attached.values():
            if other.attachment.box != wanted.box and other.attachment.listen == wanted.listen:
                raise AttachmentConflictError(
                    f"Box {other.attachment.box} is attached there. Detach it first, or choose another place."
                )

    async def _open(self, wanted: Attachment) -> Attached:
        listener = await asyncio.to_thread(make_listener, wanted.listen)
        try:
            kept = Kept(wanted, self._store.new_generation(), listener.namespace, self._boot)
            await asyncio.to_thread(self._store.put, kept)
            attached = Attached(kept, self._acceptor(wanted), listener)
            await attached.acceptor.start(listener.made)
        except BaseException:
            close_listener(listener)
            raise
        self._manager.keep(kept.generation, listener.made)
        self._attached[wanted.box] = attached
        self._set_caps()
        logger.info("attached box %s of org %s, generation %d", wanted.box, wanted.org, kept.generation)
        return attached

    async def _close(self, current: Attached) -> None:
        """Close everything of a life; the life is forgotten even if removing its file from disk fails."""
        attachment = current.attachment
        current.acceptor.close()
        if current.listener is not None:
            close_listener(current.listener)
            current.listener = None
        self._manager.forget(current.kept.generation)
        await self._drop_elsewhere(current.kept.generation)
        await asyncio.to_thread(self._store.remove, attachment.box)
        del self._attached[attachment.box]
        self._set_caps()
        logger.info("detached box %s, generation %d", attachment.box, current.kept.generation)

    async def _restore_one(self, item: Kept, passed: socket.socket | None) -> None:
        attachment = item.attachment
        attached = Attached(item, self._acceptor(attachment), None)
        self._attached[attachment.box] = attached
        try:
            if passed is not None:
                passed.setblocking(False)
                attached.listener = Listener.of(passed)
            else:
                attached.listener = await self._make_again(item)
                self._manager.forget(item.generation)
                self._manager.keep(item.generation, attached.listener.made)
            await attached.acceptor.start(attached.listener.made)
        except (ListenerError, OSError) as error:
            self._lose(attached, str(error))

    async def _make_again(self, item: Kept) -> Listener:
        listener = await asyncio.to_thread(make_listener, item.attachment.listen)
        if item.namespace != listener.namespace and isinstance(item.attachment.listen, NamespaceListen):
            if item.boot == self._boot and item.namespace:
                close_listener(listener)
                raise ListenerError(MOVED_NAMESPACE)
            with suppress(StoreError):
                again = Kept(item.attachment, item.generation, listener.namespace, self._boot)
                await asyncio.to_thread(self._store.put, again)
        return listener

    def _lose(self, attached: Attached, reason: str) -> None:
        if attached.listener is not None:
            close_listener(attached.listener)
            attached.listener = None
        attached.acceptor.last_error = LastError(self._shared.clock(), reason)
        logger.error("box %s has no listener: %s", attached.attachment.box, reason)

    def _acceptor(self, attachment: Attachment) -> Acceptor:
        return Acceptor(attachment.box, attachment.org, self._minter.preface_of(attachment), self._shared)

    def _set_caps(self) -> None:
        self._shared.occupancy.caps = caps_for(
            self._descriptors, len(self._attached), per_box=self._max_connections_per_box
        )


async def _is_alive(attached: Attached) -> bool:
    listener = attached.listener
    return listener is not None and await asyncio.to_thread(
        is_still_there, listener, attached.attachment.listen
    )
