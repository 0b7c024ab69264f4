"""The compiled configuration of a process: the feed's rows, with the secrets received.

Changed by `sync`, looked up once per request, never does I/O but for `load`. Disable and clear apply at once;
changes in need of a secret keep the last good version until the new version is in.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from services.data_plane.core.integration import NotReady
from services.data_plane.table.compile import CompileError, compile_integration
from services.data_plane.table.node_keys import NodeKeys
from services.data_plane.table.position import Decision, Position, judge_beat, judge_event, judge_snapshot
from services.data_plane.table.prefetch import PREFETCH_MAX_ORGS, Prefetch
from services.data_plane.table.replacement import SLICE_ROWS, Replacement, Slots, sliced
from services.data_plane.table.secrets import SecretLoader, SecretUnavailable
from services.data_plane.table.slots import Key, Slot
from shared.providers import PROVIDERS, ProviderName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from services.data_plane.core.integration import CompiledIntegration
    from shared.config_feed import Event, IntegrationRow, OrgRow, Snapshot

logger = logging.getLogger(__name__)

NEVER: Final = float("-inf")
STALE_SECONDS: Final = 60.0
"""After which silence of the control plane is worth an alarm.

Requests are served from the table for much longer.
"""


class ConfigTable:
    """Implements the relay's `Table`.

    `clock` gives monotonic seconds; after `max_age_seconds` without word from the control plane every look-up
    is `UNKNOWN`. Enabled integrations of the first `prefetch_max_orgs` orgs count as wanted; of the others,
    only integrations in use in an older version.
    """

    def __init__(
        self,
        loader: SecretLoader,
        *,
        clock: Callable[[], float],
        max_age_seconds: float,
        allow_plain_http: bool,
        prefetch_max_orgs: int = PREFETCH_MAX_ORGS,
    ) -> None:
        self._loader = loader
        self._clock = clock
        self._max_age_seconds = max_age_seconds
        self._allow_plain_http = allow_plain_http
        self._prefetch = Prefetch(prefetch_max_orgs)
        self._slots: Slots = {name: {} for name in PROVIDERS}
        self._orgs: dict[str, OrgRow] = {}
        self._nodes = NodeKeys()
        self._wanted: dict[Key, None] = {}  # ordered, so that the oldest wish is served first
        self._unusable: dict[Key, str] = {}
        self._becoming: Replacement | None = None
        self._position: Position | None = None
        self._confirmed_at = NEVER
        self._is_doubted = False
        self._subscribers: list[Callable[[str, ProviderName], None]] = []
        self._key_subscribers: list[Callable[[frozenset[str]], None]] = []
        self._watchers: list[Callable[[], None]] = []

    # -- the request path

    def look_up(self, org: str, provider: ProviderName) -> CompiledIntegration | NotReady:
        """Give the integration, or why there is none. No I/O."""
        if self._clock() - self._confirmed_at > self._max_age_seconds:
            return NotReady.UNKNOWN
        slot = self._slots[provider].get(org)
        return NotReady.MISSING if slot is None else slot.answer

    async def load(self, org: str, provider: ProviderName) -> None:
        """Bring the pinned secret of an enabled integration into memory; on a failure the secret is unusable.

        If another version is pinned meanwhile, the new version is loaded: the waiting callers have no use for
        the previous version.
        """
        tried = None
        while (slot := self._slots[provider].get(org)) and slot.wants_secret:
            if slot.row.secret_version == tried:
                return
            tried = slot.row.secret_version
            await self._load_version(slot.row)

    async def _load_version(self, row: IntegrationRow) -> None:
        try:
            document = await self._loader.get(row.org, row.provider, row.secret_version)
            compiled = compile_integration(row, document, allow_plain_http=self._allow_plain_http)
        except (SecretUnavailable, CompileError) as error:
            self._refuse(row, str(error))
        else:
            self._install(row, compiled)

    # -- what a box or an operator may be told

    @property
    def position(self) -> Position | None:
        """Where this table stands in the feed; None before the first snapshot."""
        return self._position

    @property
    def age_seconds(self) -> float:
        """Seconds since the control plane was last heard of; infinity before the first snapshot."""
        return self._clock() - self._confirmed_at

    @property
    def max_age_seconds(self) -> float:
        """The age from which on nothing is served any more."""
        return self._max_age_seconds

    @property
    def is_stale(self) -> bool:
        """Whether an operator should look why the control plane is not heard, or says less than is known."""
        return self._is_doubted or self.age_seconds > STALE_SECONDS

    @property
    def node_keys(self) -> Mapping[str, Ed25519PublicKey]:
        """The keys for signing box tokens, by key id."""
        return self._nodes.keys

    @property
    def unusable(self) -> Mapping[Key, str]:
        """Why a pinned secret is not in use, by (org, provider)."""
        return self._unusable

    def row(self, org: str, provider: ProviderName) -> IntegrationRow | None:
        """Give the feed's row of an integration, on or off."""
        slot = self._slots[provider].get(org)
        return None if slot is None else slot.row

    def org(self, org: str) -> OrgRow | None:
        """Give the org's name and owners."""
        return self._orgs.get(org)

    def counts(self) -> dict[str, int]:
        """Count the contents, for the operator."""
        slots = [slot for by_org in self._slots.values() for slot in by_org.values()]
        return {
            "integrations": len(slots),
            "enabled": sum(slot.row.enabled for slot in slots),
            "loaded": sum(slot.compiled is not None for slot in slots),
            "orgs": len(self._orgs),
            "nodes": len(self._nodes.keys),
        }

    # -- the config feed

    def subscribe(self, cut: Callable[[str, ProviderName], None]) -> None:
        """Have `cut(org, provider)` called when running streams must not go on.

        The cases: the integration was disabled or cleared, or its endpoint changed. A new key alone lets them
        finish.
        """
        self._subscribers.append(cut)

    def subscribe_to_lost_keys(self, revoke: Callable[[frozenset[str]], None]) -> None:
        """Have `revoke(kids)` called with the ids of node keys that no longer prove anything."""
        self._key_subscribers.append(revoke)

    def watch(self, changed: Callable[[], None]) -> None:
        """Have `changed()` called after a possible change of `position`, `wanted_count` or `unusable`."""
        self._watchers.append(changed)

    @property
    def wanted_count(self) -> int:
        """How many secrets are still to be read; asked at every change, so nothing is copied."""
        return len(self._wanted)

    def wanted(self) -> list[Key]:
        """List the integrations whose pinned secret should be loaded, oldest wish first."""
        return list(self._wanted)

    def wants(self, key: Key) -> bool:
        """Whether the pinned secret of this integration should be loaded."""
        return key in self._wanted

    def confirm(self) -> None:
        """Note the control plane's word that nothing has changed."""
        self._is_doubted = False
        self._hear()

    def doubt(self) -> None:
        """Note that the control plane is behind this table: until its next word, the table may be wrong."""
        self._is_doubted = True

    def _hear(self) -> None:
        self._confirmed_at = self._clock()

    def apply_snapshot(self, snapshot: Snapshot) -> Decision:
        """Become exactly the snapshot, unless events have already told more; all at once, however large."""
        verdict = judge_snapshot(self._position, Position(snapshot.epoch, snapshot.revision))
        for _ in self.apply_in_slices(snapshot):
            pass
        return verdict

    def apply_in_slices(self, snapshot: Snapshot, rows_per_slice: int = SLICE_ROWS) -> Iterator[None]:
        """Do as `apply_snapshot`, with pauses in which others may run; of two at a time, the last counts.

        Look-ups see the old table until the change in a single step; events and secrets may come meanwhile.
        """
        here = Position(snapshot.epoch, snapshot.revision)
        if judge_snapshot(self._position, here) is not Decision.ACCEPT:
            return
        self._becoming = becoming = self._replacement(snapshot)
        try:
            yield from becoming.slices(rows_per_slice)
            # Meanwhile events may have told more, or a whole other snapshot may have come.
            if self._becoming is not becoming or judge_snapshot(self._position, here) is not Decision.ACCEPT:
                return
            self._take_over(becoming, here)
        finally:
            if self._becoming is becoming:
                self._becoming = None
        for keys in sliced(tuple(becoming.cuts), rows_per_slice):
            for key in keys:
                self._cut(*key)
            yield

    def apply_event(self, event: Event) -> Decision:
        """Apply the event if next in order; otherwise give the required action."""
        here = Position(event.epoch, event.revision)
        verdict = judge_event(self._position, here)
        if verdict is Decision.ACCEPT:
            self._hear()
            self._apply(event)
            self._position = here
            self._tell_watchers()
        return verdict

    def apply_beat(self, beat: Position) -> Decision:
        """Note where the stream ends; else say what it means."""
        verdict = judge_beat(self._position, beat)
        if verdict is Decision.ACCEPT:
            self._hear()
        return verdict

    def _apply(self, event: Event) -> None:
        match event.op:
            case "put_integration" if event.integration:
                self._put(event.integration)
            case "clear_integration" if event.integration:
                self._clear(event.integration.org, event.integration.provider)
            case "put_org" if event.org:
                self._orgs[event.org.org] = event.org
            case "remove_org" if event.org:
                self._orgs.pop(event.org.org, None)
                for provider in PROVIDERS:
                    self._clear(event.org.org, provider)
            case "put_node" if event.node:
                self._tell_lost_keys(self._nodes.put(event.node))
            case "remove_node" if event.node:
                self._tell_lost_keys(self._nodes.remove(event.node.node))
            case _:  # decode_event has refused it
                raise AssertionError(f"a {event.op} event without its row")

    def _replacement(self, snapshot: Snapshot) -> Replacement:
        return Replacement(
            snapshot,
            slots=self._slots,
            orgs=self._orgs,
            nodes=self._nodes,
            prefetch=self._prefetch,
            pending=(self._wanted, self._unusable),
            forget_failure=self._forget_failure,
        )

    def _take_over(self, becoming: Replacement, here: Position) -> None:
        becoming.judge_changed_again()
        self.confirm()  # first: subscribers look up, and must not find a table that is too old
        self._slots, self._orgs = becoming.slots, becoming.orgs
        lost_keys = becoming.nodes.lost_since(self._nodes.keys)
        self._nodes, self._prefetch = becoming.nodes, becoming.prefetch
        for key in becoming.settled:
            self._wanted.pop(key, None)
            self._unusable.pop(key, None)
        self._wanted |= becoming.wanted
        self._position = here
        self._tell_lost_keys(lost_keys)
        self._tell_watchers()

    def _put(self, row: IntegrationRow) -> None:
        self._forget_failure(row)
        by_org = self._slots[row.provider]
        old = by_org.get(row.org)
        if old is not None and old.matches(row):
            return
        slot = by_org[row.org] = Slot(row) if old is None else old.succeeded_by(row)
        if old is not None and old.row.enabled and not row.enabled:
            self._cut(*slot.key)
        self._note_wish(slot)

    def _clear(self, org: str, provider: ProviderName) -> None:
        if self._slots[provider].pop(org, None) is None:
            return
        self._touch((org, provider))
        self._wanted.pop((org, provider), None)
        self._unusable.pop((org, provider), None)
        if not any(org in by_org for by_org in self._slots.values()):
            self._prefetch.leave(org)
        self._cut(org, provider)

    def _note_wish(self, slot: Slot) -> None:
        self._touch(slot.key)
        self._unusable.pop(slot.key, None)
        if self._prefetch.wants(slot):
            self._wanted[slot.key] = None
        else:
            self._wanted.pop(slot.key, None)

    def _touch(self, key: Key) -> None:
        """Tell the builder of another table about a change here."""
        if self._becoming is not None:
            self._becoming.mark_changed(key)

    def _forget_failure(self, row: IntegrationRow) -> None:
        self._loader.forget_failure(row.org, row.provider, row.secret_version)

    # -- secrets

    def _install(self, row: IntegrationRow, compiled: CompiledIntegration) -> None:
        slot = self._slots[row.provider].get(row.org)
        if slot is None or slot.row.secret_version != compiled.secret_version:
            return  # the feed moved on while the secret was read
        before, slot.compiled = slot.compiled, compiled
        slot.settle()
        self._note_wish(slot)
        self._tell_watchers()
        if before is not None and before.endpoint != compiled.endpoint:
            self._cut(row.org, row.provider)

    def _refuse(self, row: IntegrationRow, why: str) -> None:
        slot = self._slots[row.provider].get(row.org)
        if slot is None or not slot.wants_secret or slot.row.secret_version != row.secret_version:
            return
        key = (row.org, row.provider)
        if self._unusable.get(key) != why:
            logger.warning(
                "version %d of the %s secret of org %s is not usable: %s",
                row.secret_version,
                row.provider,
                row.org,
                why,
            )
        self._unusable[key] = why
        self._touch(key)
        self._tell_watchers()

    def _cut(self, org: str, provider: ProviderName) -> None:
        for cut in self._subscribers:
            cut(org, provider)

    def _tell_lost_keys(self, kids: frozenset[str]) -> None:
        if kids:
            for revoke in self._key_subscribers:
                revoke(kids)

    def _tell_watchers(self) -> None:
        for changed in self._watchers:
            changed()
