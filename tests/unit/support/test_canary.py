"""The canary scanner finds every canary: a scanner without hits would prove nothing."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.canary import Canary


@pytest.mark.parametrize("neighbours", [b"", b"a", b"ab", b"abc"])
def test_base64_is_found_at_every_alignment_and_with_any_neighbours(neighbours: bytes) -> None:
    canary = Canary()
    for tail in (b"", b"x", b"xy"):
        leak = base64.b64encode(neighbours + canary.text.encode() + tail)
        assert any("base64" in finding for finding in canary.found_in(leak, "sink"))


def test_each_plain_form_is_found() -> None:
    canary = Canary()
    raw = canary.text
    for leak in (raw, raw.encode().hex(), quote(raw, safe=""), f"…{raw[:6]}…", f"…{raw[-6:]}"):
        assert canary.found_in(leak.encode(), "sink")


def test_other_text_is_no_finding_and_a_finding_shows_nothing() -> None:
    canary, other = Canary(), Canary()
    assert canary.found_in(other.text.encode(), "sink") == []
    assert canary.text[:6] not in repr(canary) + "".join(canary.found_in(canary.text.encode(), "sink"))


def test_files_are_searched_by_content_and_name(tmp_path: Path) -> None:
    canary = Canary("sk-NAMEDcanaryKEY00")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "clean").write_bytes(b"nothing")
    assert canary.found_below(tmp_path) == []
    (tmp_path / "deep" / "log").write_bytes(b"\xff" + canary.text.encode())
    (tmp_path / canary.text).write_bytes(b"")
    found = canary.found_below(tmp_path)
    assert any("log: raw" in finding for finding in found)
    assert len([finding for finding in found if finding.endswith(": raw")]) == 2
