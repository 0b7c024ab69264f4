"""The data plane's table over a real Vault: an unreadable version never takes the last good version."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from services.data_plane.core.integration import CompiledIntegration
from services.data_plane.table.config_table import ConfigTable
from services.data_plane.table.position import Decision
from services.data_plane.table.secrets import SecretLoader
from services.data_plane.table.vault_reader import VaultSecretReader
from shared.config_feed import IntegrationRow
from shared.secret import Secret
from shared.vault_session import VaultSession
from tests.support.config_truth import Truth, document, row
from tests.support.servers.vault import MOUNT
from tests.support.servers.vault_store import VaultStore, session_of

LONG = 3_600.0


@dataclass
class Bench:
    """A table that reads from Vault; failures are remembered for long, so that only an event clears them."""

    vault: VaultStore
    session: VaultSession
    truth: Truth = field(default_factory=Truth)

    def __post_init__(self) -> None:
        self.loader = SecretLoader(
            VaultSecretReader(self.session), monotonic=time.monotonic, negative_seconds=LONG
        )
        self.table = ConfigTable(
            self.loader, clock=time.monotonic, max_age_seconds=LONG, allow_plain_http=False
        )
        self.table.apply_snapshot(self.truth.now)

    async def change(self, new: IntegrationRow) -> None:
        assert self.table.apply_event(self.truth.put(new)) is Decision.ACCEPT
        await self.table.load(new.org, new.provider)

    def version(self) -> int:
        """Which version serves."""
        found = self.table.look_up("acme", "openai")
        assert isinstance(found, CompiledIntegration)
        return found.secret_version

    def why(self) -> str:
        return self.table.unusable["acme", "openai"]

    def destroy(self, *versions: int) -> None:
        path = self.vault.target("data-plane").path("acme", "openai")
        self.vault.server.root().secrets.kv.v2.destroy_secret_versions(path, list(versions), MOUNT)


@pytest.fixture
async def bench(vault: VaultStore) -> AsyncIterator[Bench]:
    made = Bench(vault, vault.new_session("data-plane"))
    yield made
    await made.loader.aclose()


async def test_a_destroyed_version_is_an_unusable_secret_and_the_last_good_one_keeps_serving(
    bench: Bench,
) -> None:
    bench.vault.put(1, document(key="sk-1"))
    bench.vault.put(2, document(key="sk-2"))
    bench.destroy(2)
    await bench.change(row(version=1))
    await bench.change(row(version=2))
    assert bench.version() == 1
    assert "destroyed" in bench.why()
    bench.vault.put(3, document(key="sk-3"))
    await bench.change(row(version=3))
    assert bench.version() == 3
    assert not bench.table.unusable


async def test_a_version_that_was_not_there_yet_is_read_again_at_the_next_event(bench: Bench) -> None:
    bench.vault.put(1, document(key="sk-1"))
    await bench.change(row(version=1))
    await bench.change(row(version=2))
    bench.vault.put(2, document(key="sk-2"))
    await bench.table.load("acme", "openai")
    assert bench.version() == 1, "the failure is remembered"
    await bench.change(row(version=2))
    assert bench.version() == 2


async def test_a_version_of_anothers_secret_is_an_unusable_secret(bench: Bench) -> None:
    bench.vault.put(1, document(key="sk-1"))
    await bench.change(row(version=1))
    target = bench.vault.target("data-plane")
    other = {"org": "evil", "provider": "openai", "endpoint": "https://evil.example", "api_key": "sk-evil"}
    bench.vault.server.root().secrets.kv.v2.create_or_update_secret(
        target.path("acme", "openai"), other, cas=1, mount_point=MOUNT
    )
    await bench.change(row(version=2))
    assert bench.version() == 1
    assert "evil" not in bench.why()


async def test_a_role_that_may_not_read_any_more_is_an_unusable_secret(vault: VaultStore) -> None:
    vault.put(1, document(key="sk-1"))
    vault.put(2, document(key="sk-2"))
    policy = f"until-revoked-{random.randrange(10**9)}"
    root = vault.server.root()
    may_read = f'path "{MOUNT}/data/*" {{ capabilities = ["read"] }}'
    root.sys.create_or_update_policy(policy, may_read)
    token = Secret(vault.server.token(policy))
    bench = Bench(vault, session_of(vault.target("data-plane", auth="token"), token))
    await bench.change(row(version=1))
    root.sys.create_or_update_policy(policy, 'path "nothing" { capabilities = ["deny"] }')
    await bench.change(row(version=2))
    assert bench.version() == 1
    assert "denied" in bench.why()
    root.sys.create_or_update_policy(policy, may_read)
    await bench.change(row(version=2))
    assert bench.version() == 2
    await bench.loader.aclose()
