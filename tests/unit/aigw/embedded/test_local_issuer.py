"""Tokens of the local issuer are verified by the JWKS file of this issuer, and by nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import jwt
import pytest

from aigw.embedded.data_dir import DataDir
from aigw.embedded.local_issuer import ALGORITHM, AUDIENCE, ISSUER, LocalIssuer
from shared.clock import unix_now


def test_a_token_says_who_it_is_for_and_lasts_across_restarts(tmp_path: Path) -> None:
    data = DataDir.open(tmp_path)
    token = LocalIssuer.open(data).mint("owner@demo.example", "Demo Owner", unix_now())
    again = LocalIssuer.open(data)
    jwks = jwt.PyJWKSet.from_json(again.jwks_file.read_text())
    key = jwks[jwt.get_unverified_header(token.reveal())["kid"]]
    claims = jwt.decode(token.reveal(), key, [ALGORITHM], audience=AUDIENCE, issuer=ISSUER)
    assert (claims["email"], claims["exp"] - claims["iat"]) == ("owner@demo.example", 12 * 3600)
    assert "***" in repr(token)
    data.close()


def test_the_jwks_file_holds_no_private_part(tmp_path: Path) -> None:
    data = DataDir.open(tmp_path)
    (key,) = json.loads(LocalIssuer.open(data).jwks_file.read_text())["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    data.close()


def test_another_folders_token_is_not_verified(tmp_path: Path) -> None:
    here, there = DataDir.open(tmp_path / "a"), DataDir.open(tmp_path / "b")
    token = LocalIssuer.open(there).mint("x@y.example", "X", unix_now()).reveal()
    (key,) = jwt.PyJWKSet.from_json(LocalIssuer.open(here).jwks_file.read_text()).keys
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, key, [ALGORITHM], audience=AUDIENCE)
    here.close()
    there.close()
