"""The set-up script end to end: one line in a shell, then clients with nothing else set."""

from __future__ import annotations

import shlex
import sys

import pytest

from tests.clients.box import Box
from tests.clients.installed import node_client, node_program, program
from tests.clients.provider_answers import TEXT, WORDS
from tests.support.scripted_upstream import ScriptedUpstream

pytestmark = [
    pytest.mark.xdist_group("real clients"),
    pytest.mark.usefixtures("openai_provider", "anthropic_provider"),
]
PYTHON_CALLS = shlex.join([sys.executable, program("python_calls.py")])


@pytest.mark.parametrize("shell", ["bash", "sh"])
async def test_after_one_line_clients_work_in_that_shell(box: Box, shell: str) -> None:
    box.variables = {}
    calls = shlex.join(node_program("ai_sdk_calls.mjs"))
    claude = shlex.join([node_client("claude"), "-p", "say ping"])
    done = await box.run(
        shell, "-euc", f"{box.setup_command}\n{PYTHON_CALLS}\necho\n{calls}\n{claude} </dev/null"
    )
    assert done.code == 0, done.err
    python, ai_sdk, printed = done.out.splitlines()
    assert TEXT in python
    assert TEXT in ai_sdk
    assert printed == TEXT


@pytest.mark.parametrize("shell", ["bash", "sh"])
async def test_after_piping_it_clients_work_in_the_next_login_shell(box: Box, shell: str) -> None:
    box.variables = {}
    piped = await box.run(shell, "-c", f"curl -fsS {box.gateway.origin}/run9/ai/setup.sh | {shell}")
    assert piped.code == 0, piped.err
    done = await box.run(shell, "-lc", PYTHON_CALLS)
    assert done.code == 0, done.err
    assert TEXT in done.out


async def test_after_piping_it_codex_works_without_any_variable(
    box: Box, openai_provider: ScriptedUpstream
) -> None:
    box.variables = {}
    await box.run("sh", "-c", f"curl -fsS {box.gateway.origin}/run9/ai/setup.sh | sh")
    done = await box.run(node_client("codex"), "exec", "--skip-git-repo-check", "say ping")
    assert (done.code, done.out) == (0, f"{''.join(WORDS)}\n"), done.err
    assert [request.credentials for request in openai_provider.requests]
