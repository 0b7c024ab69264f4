"""The states of an answering Redis unfit as an event bus, known by their answers, each with its remedy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    OutOfMemoryError,
    ReadOnlyError,
)

if TYPE_CHECKING:
    from redis.exceptions import RedisError

_URL: Final = "AIGW_EVENT_BUS_URL"
_CODE: Final = re.compile(r"[A-Z]{4,24}(?= )")


@dataclass(frozen=True, slots=True)
class State:
    """A state, as a sentence, and its remedy."""

    sentence: str
    remedy: str


class WrongStateError(Exception):
    """Redis is in a state unusable for the gateway; `str()` says which."""

    def __init__(self, state: State) -> None:
        super().__init__(state.sentence)
        self.state = state


CLUSTER: Final = State(
    "it runs in Cluster mode, which the gateway does not use", f"name a server without Cluster mode in {_URL}"
)
REPLICA: Final = State(
    "it is a replica, which takes no writes", f"name the primary in {_URL}, or use redis+sentinel://"
)
SENTINEL: Final = State("it is a sentinel, no server", f"use redis+sentinel:// in {_URL}")

# What redis-py has an exception of its own for.
_BY_KIND: Final[tuple[tuple[type[RedisError], State], ...]] = (
    (ReadOnlyError, REPLICA),
    # Before its base, which is of Cluster mode.
    (MasterDownError, State("it is a replica that has lost its primary", REPLICA.remedy)),
    (MovedError, CLUSTER),
    (AskError, CLUSTER),
    (ClusterDownError, CLUSTER),
    (ClusterCrossSlotError, CLUSTER),
    (OutOfMemoryError, State("its memory is full, and it takes no writes", "raise its maxmemory")),
    (BusyLoadingError, State("it is still loading its data", "wait, then look again")),
)
_BY_CODE: Final = {
    "MISCONF": State("it cannot save to its disk, and takes no writes", "see the log of Redis"),
    "NOREPLICAS": State(
        "too few replicas follow it, and it takes no writes",
        "bring its replicas back, or lower min-replicas-to-write",
    ),
    "WRONGTYPE": State(
        "one of its aigw:* keys holds something else",
        f"another program uses them: name a database of the gateway's own in {_URL}",
    ),
}


def wrong_state(right: str, error: RedisError) -> State:
    """Give the state indicated by a refusal of the command `right`."""
    for kind, state in _BY_KIND:
        if isinstance(error, kind):
            return state
    code = _CODE.match(str(error))
    name = code[0] if code else ""
    said = f" ({name})" if name else ""
    remedy = "see the log of Redis; the gateway needs Redis or Valkey of version 6 or above"
    return _BY_CODE.get(name, State(f"it does not take {right.upper()}{said}", remedy))
