"""The commands that call the REST API, against a running gateway: org, member, integration, node."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from aigw.embedded.banner import OWNER
from tests.support.commands import AIGW
from tests.support.gateway import Gateway, clean_environment

pytestmark = pytest.mark.xdist_group("static gateway")
KEY = "sk-rest-commands-0123456789abcdef"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(static_gateway: Gateway, tmp_path: Path) -> Run:
    """Run a command with the token of the platform or of the demo owner, which stands in a file."""

    def command(*arguments: str, as_owner: bool = False, stdin: str = "") -> subprocess.CompletedProcess[str]:
        token = static_gateway.ready["owner_token" if as_owner else "platform_token"]
        (tmp_path / "token").write_text(token)
        return subprocess.run(
            [*AIGW, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=clean_environment(
                AIGW_API_URL=static_gateway.ready["control_plane_url"],
                AIGW_API_TOKEN_FILE=str(tmp_path / "token"),
            ),
        )

    return command


def test_an_org_is_made_given_an_owner_set_up_and_cleared_without_a_line_of_curl(run: Run) -> None:
    made = run("org", "put", "cli-org", "--name", "Made at the command line")
    assert (made.returncode, made.stderr) == (0, "")
    assert "Made at the command line" in made.stdout
    assert run("member", "put", "cli-org", OWNER, "--role", "owner").returncode == 0

    listed = run("org", "list", "--json", as_owner=True)
    assert "cli-org" in {org["org"] for org in json.loads(listed.stdout)}
    assert OWNER in run("member", "list", "cli-org", as_owner=True).stdout
    for options, as_owner in (((), False), (("--org", "cli-org"), True)):
        ended = run("member", "sign-out", OWNER, *options, as_owner=as_owner)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert f"{OWNER} is signed out (" in ended.stdout

    saved = run("integration", "set", "cli-org", "openai", "--json", as_owner=True, stdin=f"{KEY}\n")
    assert saved.returncode == 0, saved.stderr
    assert json.loads(saved.stdout)["state"] == "enabled"
    assert KEY not in saved.stdout + saved.stderr

    assert run("integration", "disable", "cli-org", "openai", as_owner=True).returncode == 0
    shown = run("integration", "get", "cli-org", "openai", as_owner=True)
    assert "disabled" in shown.stdout
    assert KEY[-4:] in shown.stdout
    assert KEY not in shown.stdout

    assert run("integration", "clear", "cli-org", "openai", "--yes", as_owner=True).returncode == 0
    rows = json.loads(run("integration", "list", "cli-org", "--json", as_owner=True).stdout)
    assert {row["state"] for row in rows} == {"not_set_up"}
    assert run("org", "remove", "cli-org", "--yes").returncode == 0


def test_a_key_test_is_told_in_sentences_and_exits_by_the_verdict(run: Run) -> None:
    stored = run("integration", "test", "demo", "openai", as_owner=True)
    assert (stored.returncode, stored.stderr) == (0, "")
    first, *steps = stored.stdout.splitlines()
    assert first.startswith("The stored key …")
    assert " is accepted at http" in first
    assert [line.split()[0] for line in steps] == ["dns", "tls", "authentication", "model"]

    typed = run(
        "integration",
        "test",
        "demo",
        "openai",
        "--json",
        "--key-file",
        "/dev/stdin",
        as_owner=True,
        stdin=KEY,
    )
    assert typed.returncode == 1
    assert json.loads(typed.stdout)["verdict"] == "invalid"
    assert KEY not in typed.stdout + typed.stderr


def test_a_node_is_registered_shown_and_removed(run: Run, tmp_path: Path) -> None:
    public = run("node-key", "new", str(tmp_path / "node.pem")).stdout.strip()
    for bad in ("cli-key", "=x", "cli-key="):
        refused = run("node", "put", "cli-node", "--key", bad)
        assert refused.returncode == 2
        assert refused.stderr.startswith("aigw: --key needs the form KID=PUBLIC_KEY")
    made = run("node", "put", "cli-node", "--key", f"cli-key={public}", "--json")
    assert (made.returncode, made.stderr) == (0, "")
    assert json.loads(made.stdout)["keys"] == [{"kid": "cli-key", "public_key": public}]
    assert ["cli-node", "cli-key"] in [line.split() for line in run("node", "list").stdout.splitlines()]
    assert ["cli-key", public] in [
        line.split() for line in run("node", "show", "cli-node").stdout.splitlines()
    ]

    asked = run("node", "remove", "cli-node", stdin="n\n")
    assert asked.returncode == 1
    gone = run("node", "remove", "cli-node", "--yes", "--json")
    assert json.loads(gone.stdout) == {"node": "cli-node", "removed": True}
    assert run("node", "show", "cli-node").returncode == 2


def test_a_refusal_is_one_line_in_the_words_of_the_control_plane(run: Run) -> None:
    refused = run("integration", "get", "no-such-org", "openai", as_owner=True)
    assert refused.returncode == 2
    assert refused.stderr.startswith("aigw: There is no such thing, or it is not yours to see")
    assert len(refused.stderr.splitlines()) == 1


def test_a_key_is_never_taken_from_nothing(run: Run) -> None:
    empty = run("integration", "set", "demo", "openai", as_owner=True, stdin=" \n")
    assert empty.returncode == 2
    assert "There is no key" in empty.stderr
