"""The warning of an unknown variable knows the names of every plane."""

from __future__ import annotations

import pytest

from aigw.commands.invocation import warn_of_unknown_names
from services.data_plane.settings import DataPlaneSettings


def test_a_wrong_name_is_told_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIGW_ADMIN_PROT", "1")
    warn_of_unknown_names(DataPlaneSettings)
    assert "AIGW_ADMIN_PROT is not a setting" in capsys.readouterr().err


def test_a_name_of_another_plane_is_no_wrong_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIGW_DATABASE_URL", "sqlite:///unused")
    warn_of_unknown_names(DataPlaneSettings)
    assert "AIGW_DATABASE_URL" not in capsys.readouterr().err
