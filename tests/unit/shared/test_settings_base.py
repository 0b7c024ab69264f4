"""Tests of `shared/settings_base.py`: the source of a value, and the error for an unknown name."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, ValidationError
from pydantic_settings import SettingsError

from shared.secret import Secret
from shared.settings_base import (
    MAX_SECRET_FILE_BYTES,
    GatewaySettings,
    SettingFileError,
    read_setting_file,
    source_of,
    unknown_names,
)

CANARY = "canary-4f1d9a"


class SampleSettings(GatewaySettings):
    color: str = "default"
    count: int = 1
    hosts: tuple[str, ...] = ()
    api_token: Secret = Field(default_factory=lambda: Secret(""))


class OtherSettings(GatewaySettings):
    shape: str = "round"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "value"


def test_an_argument_beats_the_environment_beats_a_file_beats_the_default(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    assert SampleSettings().color == "default"
    file.write_text("from file")
    monkeypatch.setenv("AIGW_COLOR_FILE", str(file))
    assert SampleSettings().color == "from file"
    monkeypatch.setenv("AIGW_COLOR", "from environment")
    assert SampleSettings().color == "from environment"
    assert SampleSettings(color="from argument").color == "from argument"


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\n\n"])
def test_a_file_may_end_in_a_line_break(monkeypatch: pytest.MonkeyPatch, file: Path, ending: str) -> None:
    file.write_bytes(b" spaces stay " + ending.encode())
    monkeypatch.setenv("AIGW_COLOR_FILE", str(file))
    assert SampleSettings().color == " spaces stay "


def test_numbers_and_lists_are_read_from_files_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "count").write_text("42\n")
    (tmp_path / "hosts").write_text('["a", "b"]\n')
    monkeypatch.setenv("AIGW_COUNT_FILE", str(tmp_path / "count"))
    monkeypatch.setenv("AIGW_HOSTS_FILE", str(tmp_path / "hosts"))
    settings = SampleSettings()
    assert (settings.count, settings.hosts) == (42, ("a", "b"))


def test_a_secret_from_a_file_is_a_secret(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    file.write_text(CANARY + "\n")
    monkeypatch.setenv("AIGW_API_TOKEN_FILE", str(file))
    settings = SampleSettings()
    assert settings.api_token.reveal() == CANARY
    assert CANARY not in repr(settings) + str(settings.model_dump())


def test_a_missing_file_is_named_with_its_setting(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setenv("AIGW_COLOR_FILE", str(file))
    with pytest.raises(SettingFileError, match=r"AIGW_COLOR_FILE: .*value cannot be read .No such file"):
        SampleSettings()


def test_an_empty_file_name_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIGW_COLOR_FILE", "")
    assert SampleSettings().color == "default"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingFileError, match="cannot be read"):
        read_setting_file("AIGW_COLOR_FILE", str(tmp_path))


def test_a_file_that_is_not_text_is_refused_and_not_shown(file: Path) -> None:
    file.write_bytes(CANARY.encode() + b"\xff")
    with pytest.raises(SettingFileError, match="not UTF-8") as caught:
        read_setting_file("AIGW_COLOR_FILE", str(file))
    assert CANARY not in repr(caught.value)


def test_the_size_limit_of_a_file_is_exact(file: Path) -> None:
    file.write_bytes(b"x" * MAX_SECRET_FILE_BYTES)
    assert len(read_setting_file("AIGW_COLOR_FILE", str(file))) == MAX_SECRET_FILE_BYTES
    file.write_bytes(b"x" * (MAX_SECRET_FILE_BYTES + 1))
    with pytest.raises(SettingFileError, match="larger than"):
        read_setting_file("AIGW_COLOR_FILE", str(file))


@pytest.mark.parametrize("variable", ["AIGW_COUNT", "AIGW_HOSTS"])
def test_an_error_names_the_field_and_not_the_value(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, CANARY)
    with pytest.raises((ValidationError, SettingsError)) as caught:
        SampleSettings()
    assert variable.removeprefix("AIGW_").lower() in str(caught.value)
    assert CANARY not in str(caught.value)


def test_settings_do_not_change_after_they_are_read() -> None:
    settings = SampleSettings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.color = "other"  # type: ignore[misc]  # what the type checker forbids is tried


def test_a_dotenv_file_is_not_picked_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AIGW_COLOR=surprise\n")
    monkeypatch.chdir(tmp_path)
    assert SampleSettings().color == "default"


def test_a_variable_without_the_prefix_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLOR", "surprise")
    assert SampleSettings().color == "default"


def test_an_unknown_name_warns_with_the_nearest_one() -> None:
    (warning,) = unknown_names([SampleSettings, OtherSettings], {"AIGW_COLOUR": "x"})
    assert warning == "AIGW_COLOUR is not a setting of the gateway; did you mean AIGW_COLOR?"


def test_a_name_like_no_other_warns_without_a_guess() -> None:
    (warning,) = unknown_names([SampleSettings], {"AIGW_ZZZZZZ": "x"})
    assert warning == "AIGW_ZZZZZZ is not a setting of the gateway"


def test_known_names_their_files_and_foreign_variables_do_not_warn() -> None:
    environ = {
        "AIGW_COLOR": "x",
        "AIGW_COUNT_FILE": "x",
        "AIGW_SHAPE": "x",
        "PATH": "x",
        "OPENAI_API_KEY": "x",
    }
    assert unknown_names([SampleSettings, OtherSettings], environ) == []


def test_a_warning_does_not_show_the_value() -> None:
    assert CANARY not in str(unknown_names([SampleSettings], {"AIGW_API_TOKEM": CANARY}))


def test_unknown_names_reads_the_real_environment_when_given_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIGW_COLOUR", "x")
    assert any("AIGW_COLOUR " in warning for warning in unknown_names([SampleSettings]))


@pytest.mark.parametrize(
    ("environ", "source"),
    [
        ({}, "default"),
        ({"AIGW_COLOR": "x"}, "AIGW_COLOR"),
        ({"AIGW_COLOR_FILE": "/x"}, "AIGW_COLOR_FILE"),
        ({"AIGW_COLOR": "x", "AIGW_COLOR_FILE": "/x"}, "AIGW_COLOR"),
        ({"AIGW_COLOR_FILE": ""}, "default"),
    ],
)
def test_the_source_of_a_setting_is_told(environ: dict[str, str], source: str) -> None:
    assert source_of("color", environ) == source


@pytest.mark.parametrize("link", ["tcp://10.96.0.7:9900", "udp://10.96.0.7:53", "sctp://[fd00::7]:9900"])
@pytest.mark.parametrize("name", ["count", "color", "api_token"])
def test_what_kubernetes_derives_from_a_service_is_told_apart_from_a_wrong_value(
    monkeypatch: pytest.MonkeyPatch, name: str, link: str
) -> None:
    monkeypatch.setenv(f"AIGW_{name.upper()}", link)
    with pytest.raises(ValidationError) as caught:
        SampleSettings()
    (fault,) = caught.value.errors(include_input=False)
    assert fault["loc"] == (name,)
    assert "enableServiceLinks: false" in fault["msg"]
