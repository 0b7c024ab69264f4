"""What every secret store must do for its readers; the fake that other tests use passes the same suite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.data_plane.table.secrets import LocalSecretReader, SecretReader, SecretUnavailable
from services.data_plane.table.vault_reader import VaultSecretReader
from shared.sealed_file import KEY_BYTES, KEY_FILE, file_of, seal
from shared.secret_document import SecretDocument, to_json
from tests.support.config_truth import FakeSecretReader, document
from tests.support.servers.vault_store import VaultStore

STORE_KEY = bytes(range(KEY_BYTES))


@dataclass
class Store:
    """A store and the other side's way of writing to it."""

    reader: SecretReader
    put: Callable[[int, SecretDocument], None]


def local_store(root: Path) -> Store:
    root.mkdir()
    key_file = root / KEY_FILE
    key_file.write_bytes(STORE_KEY)
    key_file.chmod(0o600)

    def put(version: int, stored: SecretDocument) -> None:
        path = file_of(root, stored.org, stored.provider, version)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(seal(STORE_KEY, stored.org, stored.provider, version, to_json(stored)))

    return Store(LocalSecretReader(root), put)


@pytest.fixture(params=["fake", "local", "vault"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    match request.param:
        case "fake":
            fake = FakeSecretReader()
            made = Store(fake, fake.put)
        case "local":
            made = local_store(tmp_path / "store")
        case _:
            vault: VaultStore = request.getfixturevalue("vault")
            made = Store(VaultSecretReader(vault.new_session("data-plane")), vault.put)
    yield made
    await made.reader.aclose()


async def test_a_written_version_is_read_back_whole(store: Store) -> None:
    written = document(endpoint="https://llm.example/v1", key="sk-1")
    store.put(3, written)
    assert await store.reader.read("acme", "openai", 3) == written


async def test_versions_are_told_apart(store: Store) -> None:
    store.put(1, document(key="sk-1"))
    store.put(2, document(key="sk-2"))
    assert (await store.reader.read("acme", "openai", 1)).api_key.reveal() == "sk-1"
    assert (await store.reader.read("acme", "openai", 2)).api_key.reveal() == "sk-2"


@pytest.mark.parametrize(
    ("org", "provider", "version"), [("acme", "openai", 2), ("acme", "anthropic", 1), ("other", "openai", 1)]
)
async def test_what_was_never_written_is_unavailable(
    store: Store, org: str, provider: str, version: int
) -> None:
    store.put(1, document())
    with pytest.raises(SecretUnavailable):
        await store.reader.read(org, provider, version)  # type: ignore[arg-type]  # parametrized


# -- what only the local store can meet


async def test_a_file_moved_to_another_org_does_not_open(tmp_path: Path) -> None:
    store = local_store(tmp_path / "store")
    store.put(1, document("evil", key="sk-evil"))
    target = file_of(tmp_path / "store", "acme", "openai", 1)
    target.parent.mkdir(parents=True)
    file_of(tmp_path / "store", "evil", "openai", 1).rename(target)
    with pytest.raises(SecretUnavailable, match="does not open"):
        await store.reader.read("acme", "openai", 1)
    await store.reader.aclose()


async def test_a_store_that_is_not_there_yet_is_unavailable_and_works_once_it_is(tmp_path: Path) -> None:
    reader = LocalSecretReader(tmp_path / "store")
    with pytest.raises(SecretUnavailable, match="key file"):
        await reader.read("acme", "openai", 1)
    store = local_store(tmp_path / "store")
    store.put(1, document())
    assert (await reader.read("acme", "openai", 1)).org == "acme"
    for used in (reader, store.reader):
        await used.aclose()


async def test_a_key_file_open_to_others_is_refused(tmp_path: Path) -> None:
    store = local_store(tmp_path / "store")
    store.put(1, document())
    (tmp_path / "store" / KEY_FILE).chmod(0o644)
    with pytest.raises(SecretUnavailable, match="open to others"):
        await store.reader.read("acme", "openai", 1)
    await store.reader.aclose()


async def test_a_truncated_file_is_unavailable_and_shows_nothing(tmp_path: Path) -> None:
    store = local_store(tmp_path / "store")
    store.put(1, document(key="sk-canary"))
    path = file_of(tmp_path / "store", "acme", "openai", 1)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SecretUnavailable) as failure:
        await store.reader.read("acme", "openai", 1)
    assert "canary" not in str(failure.value)
    await store.reader.aclose()
