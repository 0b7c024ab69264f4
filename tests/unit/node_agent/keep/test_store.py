"""Attachments on disk come back whole, and a damaged file never becomes somebody's listener."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.node_agent.keep.store import Kept, Store, StoreError
from services.node_agent.rules.attachment import Address, AddressListen, Attachment

ATTACHMENT = Attachment("box-1", "acme", "life-1", AddressListen(Address("127.0.0.1", 1000)))
KEPT = Kept(ATTACHMENT, generation=7, namespace=3, boot="b")


def _opened(folder: Path) -> tuple[Store, list[Kept]]:
    store = Store(folder)
    return store, store.open()


def test_what_was_put_is_there_after_a_restart_and_what_was_removed_is_not(tmp_path: Path) -> None:
    store, _ = _opened(tmp_path)
    store.put(KEPT)
    assert _opened(tmp_path)[1] == [KEPT]
    store.remove("box-1")
    store.remove("box-1")
    assert _opened(tmp_path)[1] == []


def test_files_and_folder_are_for_their_owner_alone(tmp_path: Path) -> None:
    store, _ = _opened(tmp_path / "state")
    store.put(KEPT)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state" / "boxes").rglob("*")}
    assert modes == {"box-1.json": 0o600}
    assert (tmp_path / "state" / "boxes").stat().st_mode & 0o777 == 0o700


def test_no_generation_is_given_twice_over_restarts_and_crashes(tmp_path: Path) -> None:
    seen: set[int] = set()
    for _ in range(5):
        store, _ = _opened(tmp_path)
        for _ in range(3):
            number = store.new_generation()
            assert number not in seen
            assert number > max(seen, default=0)
            seen.add(number)


def test_generations_go_on_above_a_kept_one_when_the_counter_is_lost(tmp_path: Path) -> None:
    store, _ = _opened(tmp_path)
    store.put(KEPT)
    (tmp_path / "generation").write_text("nonsense")
    assert _opened(tmp_path)[0].new_generation() > KEPT.generation


@given(st.binary(max_size=200))
def test_a_file_of_any_bytes_is_left_alone_and_is_no_attachment(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    store, _ = _opened(folder)
    store.put(KEPT)
    (folder / "boxes" / "box-2.json").write_bytes(content)
    assert _opened(folder)[1] == [KEPT]
    assert (folder / "boxes" / "box-2.json").read_bytes() == content


@pytest.mark.parametrize(
    "change",
    [
        {"box": "box-9"},
        {"schema": 2},
        {"generation": -1},
        {"generation": "7"},
        {"org": ""},
        {"namespace": None},
    ],
)
def test_a_file_that_says_something_else_is_no_attachment(tmp_path: Path, change: dict[str, object]) -> None:
    store, _ = _opened(tmp_path)
    store.put(KEPT)
    path = tmp_path / "boxes" / "box-1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert _opened(tmp_path)[1] == []


def test_a_half_written_file_is_removed_and_the_whole_one_stays(tmp_path: Path) -> None:
    store, _ = _opened(tmp_path)
    store.put(KEPT)
    (tmp_path / "boxes" / ".abc.new").write_text("{")
    assert _opened(tmp_path)[1] == [KEPT]
    assert [path.name for path in (tmp_path / "boxes").iterdir()] == ["box-1.json"]


def test_a_folder_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        Store(tmp_path / "file").open()
    store, _ = _opened(tmp_path / "state")
    (tmp_path / "state" / "boxes").rmdir()
    with pytest.raises(StoreError, match="cannot be written"):
        store.put(KEPT)
