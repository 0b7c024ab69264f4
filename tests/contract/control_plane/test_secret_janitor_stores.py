"""The janitor over each real secret store: destroyed secrets are gone, secrets pinned by a row are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.control_plane.api.integration_writes import IntegrationEdit, Target
from services.control_plane.rules.integration import KEEP
from services.control_plane.rules.secret_versions import ORPHAN_SECONDS, SUPERSEDED_SECONDS
from services.control_plane.secret_janitor import SecretJanitor
from services.control_plane.secrets.local import LocalSecretWriter
from services.control_plane.secrets.port import SecretWriter
from services.control_plane.secrets.vault import VaultSecretWriter
from shared import sealed_file
from shared.clock import unix_now
from shared.secret import Secret
from shared.secret_document import SecretDocument
from tests.unit.control_plane.world import KEY, OWNER, World


@dataclass
class Store:
    writer: SecretWriter
    holds: Callable[[int], bool]


@pytest.fixture(params=["local", "vault"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "local":
        root = tmp_path / "secrets"
        yield Store(
            LocalSecretWriter(root),
            lambda version: sealed_file.file_of(root, "acme", "openai", version).exists(),
        )
    else:
        vault = request.getfixturevalue("vault")
        with vault.session("control-plane") as session:
            yield Store(
                VaultSecretWriter(session), lambda version: vault.read("acme", "openai", version) is not None
            )


def test_only_what_no_row_pins_is_destroyed_and_only_after_its_grace(store: Store, tmp_path: Path) -> None:
    world = World(tmp_path, secrets=store.writer)
    world.clock.now = unix_now()
    for _ in range(2):
        world.writes.put(
            Target("acme", "openai", OWNER, "*"), IntegrationEdit(Secret(KEY), KEEP, enabled=True)
        )
    left_behind = SecretDocument("acme", "openai", "https://api.openai.com/v1", Secret(KEY))
    store.writer.write(left_behind, 3)
    janitor = SecretJanitor(world.database, store.writer, world.clock)

    def held() -> list[bool]:
        return [store.holds(version) for version in (1, 2, 3)]

    assert janitor.tidy_batch() == 0
    assert held() == [True, True, True]
    world.clock.now += ORPHAN_SECONDS * 7
    assert janitor.tidy_batch() == 1
    assert held() == [True, True, False]
    world.clock.now += SUPERSEDED_SECONDS
    assert janitor.tidy_batch() == 1
    assert held() == [False, True, False]
    world.clock.now += SUPERSEDED_SECONDS
    assert janitor.tidy_batch() == 0
    world.writes.put(Target("acme", "openai", OWNER, "*"), IntegrationEdit(Secret(KEY), KEEP, enabled=True))
    assert store.holds(world.snapshot().integrations[0].secret_version)
    world.close()
