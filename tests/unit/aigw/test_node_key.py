"""A node key file signs tokens, and its printed public text verifies these tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from aigw.failures import UserError
from aigw.node_key import NodeKey
from shared.box_token import read_public_key, verify

NOW = 1_700_000_000.0


def minted(key: NodeKey, life_seconds: int = 60) -> str:
    return key.mint("node-1", box="box-1", org="acme", lifecycle="7", now=NOW, life_seconds=life_seconds)


def test_a_token_is_verified_by_the_public_text(tmp_path: Path) -> None:
    key = NodeKey.create(tmp_path / "node.pem")
    assert (tmp_path / "node.pem").stat().st_mode & 0o777 == 0o600
    again = NodeKey.read(tmp_path / "node.pem")
    assert again.public_text == key.public_text
    box = verify(minted(again).encode(), {"node-1": read_public_key(key.public_text)}, NOW + 1)
    assert (box.org, box.box, box.lifecycle, box.expires_at) == ("acme", "box-1", "7", NOW + 60)


def test_an_existing_key_is_never_overwritten(tmp_path: Path) -> None:
    NodeKey.create(tmp_path / "node.pem")
    before = (tmp_path / "node.pem").read_bytes()
    with pytest.raises(UserError, match="exists already"):
        NodeKey.create(tmp_path / "node.pem")
    assert (tmp_path / "node.pem").read_bytes() == before


def test_a_file_that_is_no_key_is_explained_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("sk-not-a-key")
    with pytest.raises(UserError, match="no Ed25519 private key") as raised:
        NodeKey.read(tmp_path / "x")
    assert "sk-not" not in str(raised.value)
    with pytest.raises(UserError, match="cannot be read"):
        NodeKey.read(tmp_path / "missing")


@pytest.mark.parametrize("life_seconds", [0, 301])
def test_a_life_that_no_verifier_accepts_is_refused(tmp_path: Path, life_seconds: int) -> None:
    with pytest.raises(UserError, match=r"between 1 and 300 seconds.*--life-seconds"):
        minted(NodeKey.create(tmp_path / "node.pem"), life_seconds)
