"""The work of every secret store's write side, run against each; and the local store's own promises."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from services.control_plane.secrets.local import LocalSecretWriter
from services.control_plane.secrets.memory import MemorySecretWriter
from services.control_plane.secrets.port import SecretStoreError, SecretVersionTaken, SecretWriter
from services.control_plane.secrets.vault import VaultSecretWriter
from shared import sealed_file
from shared.clock import unix_now
from shared.providers import ProviderName
from shared.secret import Secret
from shared.secret_document import SecretDocument, from_json
from tests.support.canary import Canary

CLOCK_SLACK_SECONDS = 1
"""A file system's clock may lag behind the system's by a tick."""


class Reader(Protocol):
    """The data plane's side: the stored secrets."""

    def __call__(self, org: str, provider: ProviderName, version: int) -> SecretDocument | None: ...


@dataclass
class Store:
    writer: SecretWriter
    read: Reader


def memory_store(_: Path) -> Store:
    writer = MemorySecretWriter()
    return Store(
        writer, lambda org, provider, version: writer.documents.get((org, provider), {}).get(version)
    )


def local_store(root: Path) -> Store:
    def read(org: str, provider: ProviderName, version: int) -> SecretDocument | None:
        path = sealed_file.file_of(root, org, provider, version)
        if not path.exists():
            return None
        key = sealed_file.read_key(root)
        return from_json(sealed_file.unseal(key, org, provider, version, path.read_bytes()), org, provider)

    return Store(LocalSecretWriter(root), read)


@pytest.fixture(params=["memory", "local", "vault"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    match request.param:
        case "memory":
            yield memory_store(tmp_path)
        case "local":
            yield local_store(tmp_path / "secrets")
        case _:
            vault = request.getfixturevalue("vault")
            with vault.session("control-plane") as session:
                yield Store(VaultSecretWriter(session), vault.read)


def document(
    key: str = "sk-0123456789", org: str = "acme", provider: ProviderName = "openai"
) -> SecretDocument:
    return SecretDocument(org, provider, "https://api.openai.com/v1", Secret(key))


def test_a_written_version_is_there_with_all_its_fields(store: Store) -> None:
    store.writer.write(document(), 1)
    assert store.read("acme", "openai", 1) == document()
    assert store.read("acme", "openai", 2) is None
    assert store.read("acme", "anthropic", 1) is None


def test_a_version_is_never_overwritten(store: Store) -> None:
    store.writer.write(document("sk-first-0000"), 3)
    for version in (1, 2, 3):
        with pytest.raises(SecretVersionTaken) as caught:
            store.writer.write(document("sk-second-000"), version)
        assert caught.value.latest == 3
    assert store.read("acme", "openai", 3) == document("sk-first-0000")
    store.writer.write(document("sk-second-000"), 4)
    assert store.read("acme", "openai", 4) == document("sk-second-000")


def test_versions_of_other_integrations_do_not_count(store: Store) -> None:
    store.writer.write(document(), 5)
    store.writer.write(document(org="other"), 1)
    store.writer.write(document(provider="anthropic"), 1)


def test_destroying_takes_every_version_up_to_the_named_one_and_no_other(store: Store) -> None:
    for version in (1, 2, 3):
        store.writer.write(document(), version)
    store.writer.write(document(org="other"), 1)
    store.writer.destroy("acme", "openai", 2)
    assert [store.read("acme", "openai", version) is None for version in (1, 2, 3)] == [True, True, False]
    assert store.read("other", "openai", 1) is not None


def test_destroying_again_or_what_never_was_is_no_error(store: Store) -> None:
    store.writer.write(document(), 1)
    for _ in range(2):
        store.writer.destroy("acme", "openai", 1)
    store.writer.destroy("nobody", "anthropic", 7)


def test_what_is_stored_is_told_with_its_time_until_it_is_destroyed(store: Store) -> None:
    assert store.writer.stored("acme", "openai") == {}
    before = unix_now()
    for version in (1, 2, 3):
        store.writer.write(document(), version)
    stored = store.writer.stored("acme", "openai")
    assert set(stored) == {1, 2, 3}
    assert all(before - CLOCK_SLACK_SECONDS < made < unix_now() + 1 for made in stored.values())
    store.writer.destroy_versions("acme", "openai", {1, 3})
    assert set(store.writer.stored("acme", "openai")) == {2}
    assert [store.read("acme", "openai", version) is None for version in (1, 2, 3)] == [True, False, True]
    assert store.writer.stored("acme", "anthropic") == {}


def test_destroying_versions_again_or_that_never_were_is_no_error(store: Store) -> None:
    store.writer.write(document(), 1)
    for versions in ({1}, {1}, {7}, ()):
        store.writer.destroy_versions("acme", "openai", versions)
    store.writer.destroy_versions("nobody", "anthropic", {7})
    assert store.writer.stored("acme", "openai") == {}


def test_of_two_writers_of_one_version_one_is_told_so(store: Store) -> None:
    barrier = threading.Barrier(8)
    outcomes: list[str] = []

    def write(name: str) -> None:
        barrier.wait()
        try:
            store.writer.write(document(f"sk-writer-{name}"), 1)
            outcomes.append(name)
        except SecretVersionTaken:
            pass

    threads = [threading.Thread(target=write, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    assert store.read("acme", "openai", 1) == document(f"sk-writer-{outcomes[0]}")


def test_a_failing_store_says_so_without_a_word_of_the_secret() -> None:
    writer = MemorySecretWriter()
    writer.failing = True
    with pytest.raises(SecretStoreError) as caught:
        writer.write(document(), 1)
    assert "sk-" not in str(caught.value)


def test_the_local_store_is_private_and_sealed(tmp_path: Path) -> None:
    canary = Canary()
    root = tmp_path / "deep" / "secrets"
    LocalSecretWriter(root).write(document(canary.text), 1)
    assert canary.found_below(root) == []
    for path in [root, *root.rglob("*")]:
        mode = path.stat().st_mode & 0o777
        assert mode == (0o700 if path.is_dir() else 0o600), path
    names = sorted(path.name for path in root.rglob("*") if path.is_file())
    assert names == ["1.sealed", "key"]


def test_the_local_store_keeps_its_key(tmp_path: Path) -> None:
    first = LocalSecretWriter(tmp_path)
    key = (tmp_path / "key").read_bytes()
    second = LocalSecretWriter(tmp_path)
    assert (tmp_path / "key").read_bytes() == key
    assert first.pepper() == second.pepper()
    assert first.pepper() not in {key, LocalSecretWriter(tmp_path / "other").pepper()}


def test_the_local_store_refuses_a_key_that_others_can_read(tmp_path: Path) -> None:
    LocalSecretWriter(tmp_path)
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(SecretStoreError, match="600"):
        LocalSecretWriter(tmp_path)


def test_the_local_store_makes_no_second_key_beside_sealed_files(tmp_path: Path) -> None:
    LocalSecretWriter(tmp_path).write(document(), 1)
    (tmp_path / "key").unlink()
    with pytest.raises(SecretStoreError, match="restore the key"):
        LocalSecretWriter(tmp_path)


def test_a_half_written_file_is_neither_a_version_nor_in_the_way(tmp_path: Path) -> None:
    writer = LocalSecretWriter(tmp_path)
    writer.write(document(), 1)
    folder = sealed_file.folder_of(tmp_path, "acme", "openai")
    (folder / ".new-0123456789abcdef").write_bytes(b"half")
    writer.write(document(), 2)
    writer.destroy("acme", "openai", 2)
    assert not list(folder.glob("*.sealed"))


def test_a_full_or_broken_disk_is_a_store_error(tmp_path: Path) -> None:
    writer = LocalSecretWriter(tmp_path)
    (tmp_path / "orgs").write_text("a file where a folder must be")
    with pytest.raises(SecretStoreError) as caught:
        writer.write(document(), 1)
    assert "sk-" not in str(caught.value)
