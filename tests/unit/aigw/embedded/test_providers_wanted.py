"""The endpoint and key-file options together decide which server stands behind a provider."""

from __future__ import annotations

from pathlib import Path

import pytest

from aigw.embedded.providers_wanted import Wanted
from aigw.failures import UserError
from shared.providers import PROVIDERS, Provider
from shared.secret import Secret
from shared.settings_base import SettingFileError


def test_no_option_means_the_demo() -> None:
    assert Wanted.of("openai", None, None) is None


def test_a_key_file_alone_means_the_providers_own_endpoint(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(" sk-real-key\n")
    wanted = Wanted.of("anthropic", None, tmp_path / "key")
    assert wanted is not None
    assert (wanted.endpoint, wanted.key.reveal()) == ("https://api.anthropic.com", "sk-real-key")
    assert not wanted.is_demo
    assert "sk-real" not in repr(wanted)


def test_an_endpoint_is_made_canonical(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-real-key")
    wanted = Wanted.of("openai", "HTTP://LocalHost:8080/v1/", tmp_path / "key")
    assert wanted is not None
    assert wanted.endpoint == "http://localhost:8080/v1"


def test_half_a_pair_and_bad_values_are_explained(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "key").write_text("k")
    with pytest.raises(UserError, match="add --openai-key-file"):
        Wanted.of("openai", "https://x.example/v1", None)
    with pytest.raises(UserError, match="is empty"):
        Wanted.of("openai", None, tmp_path / "empty")
    with pytest.raises(UserError, match="--openai-endpoint: The endpoint must start with https"):
        Wanted.of("openai", "ftp://x.example", tmp_path / "key")
    with pytest.raises(SettingFileError, match=r"--openai-key-file: .* cannot be read"):
        Wanted.of("openai", None, tmp_path / "missing")


@pytest.mark.parametrize("row", PROVIDERS.values(), ids=lambda row: row.name)
def test_the_demo_of_every_row_has_the_path_of_the_providers_own_endpoint_and_its_key(row: Provider) -> None:
    keys = {name: Secret(f"key-of-{name}") for name in PROVIDERS}
    wanted = Wanted.demo(row, "http://127.0.0.1:1", keys)
    assert row.default_endpoint.endswith(wanted.endpoint.removeprefix("http://127.0.0.1:1"))
    assert (wanted.provider, wanted.key.reveal(), wanted.is_demo) == (row.name, f"key-of-{row.name}", True)
