"""The commands that need no running gateway: their output and their failures."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from aigw.__main__ import Commands, app
from shared.box_token import read_public_key, verify
from shared.clock import unix_now
from tests.support.commands import AIGW
from tests.support.gateway import clean_environment


def aigw(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [*AIGW, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=clean_environment(**variables)
    )


def test_the_version_is_that_of_the_package() -> None:
    found = aigw("version")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.strip().count(".") == 2
    assert found.stdout.strip().endswith(("(compiled relay)", "(interpreted relay)"))
    told = json.loads(aigw("version", "--json").stdout)
    assert found.stdout == f"{told['version']} ({told['relay']} relay)\n"
    assert aigw("--version").stdout == found.stdout


def test_no_command_shows_what_there_is() -> None:
    found = aigw()
    for command in ("up", "control-plane", "data-plane", "config", "box-token", "version", "openapi"):
        assert command in found.stdout + found.stderr


def test_every_command_stands_under_a_heading_with_its_whole_summary() -> None:
    found = aigw("-h")
    headings = [line for line in found.stdout.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == ["Options:", *(f"{name}:" for name in Commands.sections)]
    named = [name for names in Commands.sections.values() for name in names]
    assert sorted(named) == sorted(get_command(app).commands)  # type: ignore[attr-defined]  # a group, which Typer gives as a command
    assert "..." not in found.stdout.split("Options:", 1)[1]
    assert "QEMU's guestfwd." in found.stdout


WITHOUT_JSON = {
    **dict.fromkeys(("up", "control-plane", "data-plane", "node-agent", "box-pipe"), "runs until stopped"),
    **dict.fromkeys(("demo prepare", "demo provider", "demo seed"), "a service of docker-compose.yml"),
    "openapi": "is JSON",
}
"""Commands without --json, and why."""


def every_command(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from every_command(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def test_every_command_with_a_result_gives_it_as_json() -> None:
    found = dict(every_command(get_command(app)))
    options = {name: {text for one in command.params for text in one.opts} for name, command in found.items()}
    assert {name for name, texts in options.items() if "--json" not in texts} == set(WITHOUT_JSON)


def test_the_schema_the_epoch_and_keys_are_given_as_json(tmp_path: Path) -> None:
    settings = {
        "AIGW_DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite",
        "AIGW_INTERNAL_TOKEN": "an-internal-token-of-a-test",
        "AIGW_ENVIRONMENT": "development",
    }
    behind = aigw("db", "check", "--json", **settings)
    assert (behind.returncode, json.loads(behind.stdout)["served"]) == (1, False)
    schema = json.loads(aigw("db", "upgrade", "--json", **settings).stdout)
    assert schema["schema"] == schema["newest"]
    served = aigw("db", "check", "--json", **settings)
    assert (served.returncode, json.loads(served.stdout)) == (0, schema | {"served": True})
    assert json.loads(aigw("db", "restored", "--json", **settings).stdout)["epoch"]
    file = str(tmp_path / "node.pem")
    made = json.loads(aigw("node-key", "new", file, "--json").stdout)
    assert made == json.loads(aigw("node-key", "show", file, "--json").stdout)
    box = ("--key-file", file, "--kid", "n", "--org", "o", "--box", "b", "--json")
    assert json.loads(aigw("box-token", *box).stdout)["token"].count(".") == 2


def test_config_show_gives_the_same_as_json_and_hides_secrets() -> None:
    found = aigw("config", "show", "--json", AIGW_INTERNAL_TOKEN="a-secret-internal-token", AIGW_BOX_PORT="0")
    planes = {plane["plane"]: plane for plane in json.loads(found.stdout)}
    rows = {row["name"]: (row["value"], row["source"]) for row in planes["Data plane"]["settings"]}
    assert rows["AIGW_INTERNAL_TOKEN"] == ("(set, hidden)", "AIGW_INTERNAL_TOKEN")
    assert "a-secret" not in found.stdout
    faulty = aigw("config", "show", "--json", AIGW_ADMIN_PORT="99999")
    assert faulty.returncode == 2
    assert any("AIGW_ADMIN_PORT" in fault for plane in json.loads(faulty.stdout) for fault in plane["faults"])


def test_the_doctor_gives_its_findings_as_json() -> None:
    found = aigw("doctor", "--plane", "data", "--json")
    assert found.returncode == 1
    findings = json.loads(found.stdout)
    assert "data plane: snapshot" in {finding["name"] for finding in findings if finding["grade"] == "FAIL"}
    assert all(set(finding) == {"grade", "name", "text", "remedy"} for finding in findings)


def test_config_show_tells_values_and_sources_and_hides_secrets(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-secret-internal-token\n")
    found = aigw(
        "config",
        "show",
        AIGW_INTERNAL_TOKEN_FILE=str(tmp_path / "token"),
        AIGW_PLATFORM_TOKEN="a-secret-platform-token",
        AIGW_ADMIN_PORT="9999",
        AIGW_DATABASE_URL="postgresql+psycopg://aigw:a-secret-pass/word@db.example:5432/aigw",
    )
    assert found.returncode == 0, found.stderr
    rows = [line.split() for line in found.stdout.splitlines() if line.startswith("  AIGW_")]
    assert ["AIGW_ADMIN_PORT", "9999", "AIGW_ADMIN_PORT"] in rows
    assert ["AIGW_BOX_PORT", "1000", "default"] in rows
    assert ["AIGW_PLATFORM_TOKEN", "(set,", "hidden)", "AIGW_PLATFORM_TOKEN"] in rows
    assert ["AIGW_INTERNAL_TOKEN", "(set,", "hidden)", "AIGW_INTERNAL_TOKEN_FILE"] in rows
    assert "postgresql+psycopg://aigw:(hidden)@db.example:5432/aigw" in found.stdout
    assert "a-secret" not in found.stdout + found.stderr


def test_config_show_says_what_keeps_a_plane_from_starting() -> None:
    found = aigw("config", "show", AIGW_ADMIN_PORT="99999", AIGW_BOX_PROT="1")
    assert found.returncode == 2
    assert "cannot start: AIGW_ADMIN_PORT: Input should be less than or equal to 65535" in found.stdout
    assert "cannot start: AIGW_INTERNAL_TOKEN: it is not set" in found.stdout
    assert "or AIGW_INTERNAL_TOKEN_FILE to a file" in found.stdout
    assert "AIGW_BOX_PROT is not a setting of the gateway; did you mean AIGW_BOX_PORT?" in found.stderr
    assert "99999" not in found.stdout + found.stderr


@pytest.mark.parametrize("plane", ["control-plane", "data-plane"])
def test_a_plane_with_bad_settings_says_so_in_lines_without_a_traceback(plane: str) -> None:
    found = aigw(plane, AIGW_ADMIN_PORT="x-sk-secret", AIGW_CONTROL_PLANE_PORT="x-sk-secret")
    assert found.returncode == 2
    lines = found.stderr.splitlines()
    assert lines
    assert all(line.startswith("aigw: AIGW_") for line in lines)
    assert "x-sk-secret" not in found.stderr


def test_a_backend_that_cannot_be_served_is_one_line(tmp_path: Path) -> None:
    found = aigw(
        "data-plane",
        AIGW_EVENT_BUS_URL="amqp://localhost",
        AIGW_SECRET_STORE_URL=f"local://{tmp_path}",
        AIGW_INTERNAL_TOKEN="a-secret-internal-token",
    )
    assert found.returncode == 2
    assert found.stderr.startswith("aigw: ")
    assert "AIGW_EVENT_BUS_URL" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_database_is_upgraded_and_one_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    token = {"AIGW_INTERNAL_TOKEN": "a-secret-internal-token"}
    file = tmp_path / "gateway.db"
    for _ in range(2):
        assert aigw("db", "upgrade", AIGW_DATABASE_URL=f"sqlite:///{file}", **token).returncode == 0
    assert b"alembic_version" in file.read_bytes()
    for wrong in (tmp_path, file / "below-a-file.db"):
        found = aigw("db", "upgrade", AIGW_DATABASE_URL=f"sqlite:///{wrong}", **token)
        assert found.returncode == 2
        assert found.stderr.startswith("aigw: AIGW_DATABASE_URL: the database cannot be used (")
        assert found.stderr.count("\n") == 1


def test_a_missing_setting_file_is_one_line() -> None:
    found = aigw("control-plane", AIGW_INTERNAL_TOKEN_FILE="/no/such/file")
    assert found.returncode == 2
    expected = "aigw: AIGW_INTERNAL_TOKEN_FILE: /no/such/file cannot be read (No such file or directory)\n"
    assert found.stderr == expected


def test_a_node_key_is_made_and_its_tokens_verify(tmp_path: Path) -> None:
    key_file = tmp_path / "node.pem"
    made = aigw("node-key", "new", str(key_file))
    assert made.returncode == 0, made.stderr
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert aigw("node-key", "show", str(key_file)).stdout == made.stdout
    assert aigw("node-key", "new", str(key_file)).returncode == 2, "no key is written over another"
    assert aigw("box-token", "--new-key-file", str(tmp_path / "other.pem")).returncode == 0
    public = read_public_key(made.stdout.strip())
    options = ("--key-file", str(key_file), "--kid", "k", "--org", "acme", "--box", "b", "--lifecycle", "3")
    token = aigw("box-token", *options, "--life-seconds", "30").stdout.strip()
    box = verify(token.encode(), {"k": public}, unix_now())
    assert (box.org, box.box, box.lifecycle) == ("acme", "b", "3")
    assert box.expires_at <= unix_now() + 30


def test_a_token_without_its_parts_says_which_are_missing(tmp_path: Path) -> None:
    found = aigw("box-token", "--key-file", str(tmp_path / "k"), "--org", "acme")
    assert (found.returncode, found.stderr) == (2, "aigw: A box token needs --kid, --box.\n")


def test_the_openapi_document_is_printed() -> None:
    found = aigw("openapi")
    assert found.stdout.startswith("{")
    assert '"/api/v1/orgs/{org}/ai-integrations/{provider}"' in found.stdout
