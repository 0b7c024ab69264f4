"""A reader's position in the config feed, and its reaction to the next message. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

MAX_ENDED_EPOCHS: Final = 64


class Decision(Enum):
    """The decision about an event or a snapshot."""

    ACCEPT = "accept"
    IGNORE = "ignore"  # already known: a repeat
    RESYNC = "resync"  # something is missing: take a snapshot


@dataclass(frozen=True, slots=True)
class Position:
    """A revision, and the life of its database."""

    epoch: str
    revision: int


def judge_event(here: Position | None, event: Position) -> Decision:
    """Accept exactly the next revision; a gap or another epoch needs a snapshot."""
    if here is None or event.epoch != here.epoch or event.revision > here.revision + 1:
        return Decision.RESYNC
    return Decision.ACCEPT if event.revision == here.revision + 1 else Decision.IGNORE


def judge_beat(here: Position | None, beat: Position) -> Decision:
    """Accept a beat with nothing above our position; a beat beyond us or of another epoch needs a snapshot.

    A beat behind us was sent before our present knowledge.
    """
    if here is None or beat.epoch != here.epoch or beat.revision > here.revision:
        return Decision.RESYNC
    return Decision.ACCEPT if beat.revision == here.revision else Decision.IGNORE


def judge_snapshot(here: Position | None, snapshot: Position) -> Decision:
    """Accept every snapshot not older than the events.

    A snapshot of the same revision is accepted too: the snapshot is the truth, whatever the events claimed.
    Another epoch means a restored database, whose revisions do not compare with ours.
    """
    if here is not None and snapshot.epoch == here.epoch and snapshot.revision < here.revision:
        return Decision.IGNORE
    return Decision.ACCEPT


class EndedEpochs:
    """The latest epochs ended by a snapshot: their events are old ones, played again."""

    def __init__(self) -> None:
        self._epochs: dict[str, None] = {}  # ordered, so that the oldest is forgotten first

    def __contains__(self, epoch: str) -> bool:
        return epoch in self._epochs

    def note(self, epoch: str) -> None:
        """Note the end of an epoch."""
        self._epochs[epoch] = None
        if len(self._epochs) > MAX_ENDED_EPOCHS:
            del self._epochs[next(iter(self._epochs))]

    def forget(self, epoch: str) -> None:
        """Note that a snapshot is of this epoch after all."""
        self._epochs.pop(epoch, None)
