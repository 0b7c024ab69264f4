"""Tests of `bench/subjects/litellm.py` and `portkey.py`: the message when a peer is not installed."""

import shutil
from pathlib import Path

from bench.subjects.litellm import LITELLM
from bench.subjects.litellm import missing as litellm_missing
from bench.subjects.portkey import PORTKEY
from bench.subjects.portkey import missing as portkey_missing


def test_litellm_is_there_once_its_installation_ended(tmp_path: Path) -> None:
    assert litellm_missing(tmp_path) == "not installed: `make bench-peers` gets it"
    (tmp_path / "installed-from").touch()
    assert litellm_missing(tmp_path) is None


def test_portkey_is_there_with_its_server_and_node(tmp_path: Path) -> None:
    assert portkey_missing(tmp_path / "server.js") == "not installed: `make bench-peers` gets it"
    (tmp_path / "server.js").touch()
    assert portkey_missing(tmp_path / "server.js") == (
        None if shutil.which("node") else "node is not on PATH"
    )


def test_neither_is_part_of_a_quick_run_nor_of_rows_with_tls() -> None:
    assert not any(peer.in_quick or peer.does_tls for peer in (LITELLM, PORTKEY))
