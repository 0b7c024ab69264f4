"""The only way to change an integration: judge, write the secret, commit. Knows no HTTP.

The order makes a crash harmless: until the commit pins a new version of a secret, the version is only an
unused file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from services.control_plane.rules import etag, integration
from services.control_plane.rules.endpoint import EndpointPolicy, default_endpoint, judge_endpoint
from services.control_plane.rules.integration import KEEP, Current, Keep, Requested, Transition
from services.control_plane.rules.key import judge_key, label_key
from services.control_plane.rules.membership import require_owner
from services.control_plane.rules.problems import Problem, ProblemError
from services.control_plane.rules.secret_versions import MAX_PIN_SECONDS
from services.control_plane.secrets.port import SecretStoreError, SecretVersionTaken, SecretWriter
from services.control_plane.store import integrations
from services.control_plane.store.changes import Author, changing, require_commit
from services.control_plane.store.database import Database
from services.control_plane.store.integrations import NewKey
from services.control_plane.store.orgs import owners_of, role_of
from services.control_plane.store.tables import IntegrationTable
from shared.clock import Clock
from shared.endpoint import Endpoint, parse_endpoint
from shared.providers import ProviderName
from shared.secret import Secret
from shared.secret_document import SecretDocument

MAX_ATTEMPTS: Final = 3
"""How often `If-Match: *` is judged again, and how many taken secret versions are passed over."""


class StateChanged(Exception):  # noqa: N818  # a finding about the precondition, not a failure
    """The row differs from the row named by `If-Match`; `row` is the present state."""

    def __init__(self, row: IntegrationTable) -> None:
        super().__init__("the integration has changed")
        self.row = row


class AddressesUnknown(Exception):  # noqa: N818  # what a change needs first, not a failure
    """The change goes to a new endpoint, and nobody has judged the addresses of its host yet."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__("the addresses of an endpoint have to be judged first")
        self.endpoint = endpoint


@dataclass(frozen=True, slots=True)
class Target:
    """Which integration, by whom, on which condition (`If-Match` as sent)."""

    org: str
    provider: ProviderName
    actor: str
    if_match: str | None


@dataclass(frozen=True, slots=True)
class IntegrationEdit:
    """A change as typed. `endpoint`: a text, None for the provider's own, or KEEP."""

    key: Secret | None
    endpoint: str | Keep | None
    enabled: bool | Keep


@dataclass(frozen=True, slots=True)
class Written:
    """The row after a write, with the warnings for its owner."""

    row: IntegrationTable
    warnings: tuple[str, ...] = ()


Judge = Callable[[Current, Requested], Transition]
JudgedAddresses = Mapping[Endpoint, tuple[str, ...]]
"""Of endpoints whose addresses may be used: what their owner should know of the look-up."""
NONE_JUDGED: Final[JudgedAddresses] = MappingProxyType({})


class IntegrationWrites:
    """Changes integrations. Thread-safe; calls block."""

    def __init__(
        self,
        database: Database,
        secrets: SecretWriter,
        pepper: bytes,
        policy: EndpointPolicy,
        clock: Clock,
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._pepper = pepper
        self._policy = policy
        self._clock = clock

    def require_owner(self, target: Target) -> None:
        """Refuse whoever is no owner of the org; raises `ProblemError`."""
        with self._database.read() as session:
            require_owner(role_of(session, target.org, target.actor), owners_of(session, target.org))

    def put(self, target: Target, edit: IntegrationEdit, judged: JudgedAddresses = NONE_JUDGED) -> Written:
        """Set up or change; raises `ProblemError`, `StateChanged` or `AddressesUnknown`."""
        own = str(default_endpoint(target.provider))
        return self._change(
            target, edit, judged, lambda current, wanted: integration.put(current, wanted, own)
        )

    def patch(self, target: Target, edit: IntegrationEdit, judged: JudgedAddresses = NONE_JUDGED) -> Written:
        """Change parts; raises `ProblemError`, `StateChanged` or `AddressesUnknown`."""
        return self._change(target, edit, judged, integration.patch)

    def clear(self, target: Target) -> Written:
        """Forget key and endpoint; a provider without a set-up stays so.

        Raises `ProblemError` or `StateChanged`.
        """
        self._read(target)  # refuses most without waiting for the write lock
        with changing(self._database) as session:
            row = integrations.integration(session, target.org, target.provider)
            require_owner(role_of(session, target.org, target.actor), owners_of(session, target.org))
            matches = etag.require_match(target.if_match, row.revision)
            if matches and row.state != "not_set_up":
                integrations.clear(session, Author(target.actor, self._clock()), row)
        if not matches:
            raise StateChanged(row)
        return Written(row)

    def _change(
        self, target: Target, edit: IntegrationEdit, judged: JudgedAddresses, judge: Judge
    ) -> Written:
        overwrites = target.if_match is not None and target.if_match.strip() == "*"
        for attempts_left in reversed(range(MAX_ATTEMPTS if overwrites else 1)):
            seen = self._read(target)
            wanted, warnings = self._judge_parts(target.provider, seen, edit, judged)
            transition = judge(Current(seen.state, seen.endpoint), wanted)
            if not transition.changed:
                return Written(seen, warnings)
            key = self._write_secret(target, seen, transition, wanted.key)
            try:
                return Written(self._commit(target, seen, transition, key), warnings)
            except StateChanged:
                # Somebody else was faster. Under `*` the change is judged again, against what they made.
                if not attempts_left:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _read(self, target: Target) -> IntegrationTable:
        with self._database.read() as session:
            require_owner(role_of(session, target.org, target.actor), owners_of(session, target.org))
            row = integrations.integration(session, target.org, target.provider)
        if not etag.require_match(target.if_match, row.revision):
            raise StateChanged(row)
        return row

    def _judge_parts(
        self, provider: ProviderName, seen: IntegrationTable, edit: IntegrationEdit, judged: JudgedAddresses
    ) -> tuple[Requested, tuple[str, ...]]:
        own = str(default_endpoint(provider))
        warnings: tuple[str, ...] = ()
        endpoint = own if edit.endpoint is None else edit.endpoint
        if endpoint is not KEEP and endpoint != own:
            parsed = judge_endpoint(endpoint, self._policy)
            endpoint = str(parsed)
            if endpoint not in {own, seen.endpoint}:
                if parsed not in judged:
                    raise AddressesUnknown(parsed)
                warnings += judged[parsed]
        key = None
        if edit.key is not None:
            goes_to = (seen.endpoint or own) if endpoint is KEEP else endpoint
            fit = judge_key(provider, edit.key, parse_endpoint(goes_to), is_own=goes_to == own)
            key, warnings = fit.key, warnings + fit.warnings
        return Requested(key, endpoint, edit.enabled), warnings

    def _write_secret(
        self, target: Target, seen: IntegrationTable, transition: Transition, key: Secret | None
    ) -> NewKey | None:
        if not transition.secret:
            return None
        assert key is not None, "the rules ask for a secret only when a key was typed"
        # A version that no commit pins would push the pinned one out of a store that keeps only the latest.
        require_commit(self._database)
        written_at = self._clock()
        document = SecretDocument(target.org, target.provider, transition.endpoint, key)
        version = seen.secret_version + 1
        for _ in range(MAX_ATTEMPTS):
            try:
                self._require_room(target, seen, version)
                self._secrets.write(document, version)
            except SecretVersionTaken as taken:
                # Left by a crash before a commit, or by a writer under way: never overwritten, passed over.
                version = taken.latest + 1
            except SecretStoreError as error:
                raise _store_failed() from error
            else:
                label = label_key(self._pepper, target.org, target.provider, key)
                return NewKey(version, label, written_at)
        raise _store_failed()

    def _require_room(self, target: Target, seen: IntegrationTable, version: int) -> None:
        """Refuse a version whose write would make the store forget the version in use."""
        pinned = seen.secret_version
        if seen.state == "not_set_up" or version == pinned + 1:
            return
        if not self._secrets.keeps(target.org, target.provider, pinned=pinned, version=version):
            raise SecretStoreError("too many versions were written that no commit has pinned")

    def _commit(
        self, target: Target, seen: IntegrationTable, transition: Transition, key: NewKey | None
    ) -> IntegrationTable:
        with changing(self._database) as session:
            row = integrations.integration(session, target.org, target.provider)
            # Asked again under the lock: the org or the owner may have gone since.
            require_owner(role_of(session, target.org, target.actor), owners_of(session, target.org))
            if key is not None and self._clock() - key.written_at > MAX_PIN_SECONDS:
                raise _store_failed()  # by now the janitor may take that version for nobody's
            unchanged = row.revision == seen.revision
            if unchanged:
                integrations.apply(session, Author(target.actor, self._clock()), row, transition, key)
        # Raised after the transaction: a roll-back would make the row unreadable.
        if not unchanged:
            raise StateChanged(row)
        return row


def _store_failed() -> ProblemError:
    return ProblemError(
        Problem.SECRET_STORE_UNAVAILABLE, "Nothing was changed. Try again; if it stays so, tell the operator."
    )
