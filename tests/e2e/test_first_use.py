"""What a new user does: start it, paste the printed lines, run the official SDKs, watch a stream."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import Gateway, clean_environment

pytestmark = pytest.mark.xdist_group("static gateway")
PROGRAMS = Path(__file__).parent / "box_programs"


def printed_variables(gateway: Gateway) -> dict[str, str]:
    """Read the two export lines as a shell would."""
    lines = [line for line in gateway.printed.splitlines() if line.startswith("export ")]
    pairs = [word.partition("=") for line in lines for word in shlex.split(line)[1:]]
    return {name: value for name, _, value in pairs}


async def run_program(name: str, variables: dict[str, str]) -> Any:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAMS / name),
        env=clean_environment(**variables),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    return json.loads(out)


async def test_the_openai_sdk_needs_nothing_but_the_printed_lines(static_gateway: Gateway) -> None:
    variables = printed_variables(static_gateway)
    assert variables["OPENAI_API_KEY"] == "run9-placeholder"
    found = await run_program("openai_calls.py", variables)
    assert found["plain"].endswith("You wrote: say ping")
    assert "".join(found["chunks"]) == found["plain"]
    assert "".join(found["deltas"]) == found["response"]
    assert min(len(found["chunks"]), len(found["deltas"])) > 20
    assert found["embedding_length"] == 1536
    assert "gpt-5.2" in found["models"]


async def test_the_anthropic_sdk_needs_nothing_but_the_printed_lines(static_gateway: Gateway) -> None:
    variables = printed_variables(static_gateway)
    assert variables["ANTHROPIC_AUTH_TOKEN"] == "run9-placeholder"
    found = await run_program("anthropic_calls.py", variables)
    assert found["plain"].endswith("You wrote: say ping")
    assert "".join(found["chunks"]) == found["plain"]
    assert len(found["chunks"]) > 20
    assert found["tokens"] == 2
    assert "claude-opus-4-6" in found["models"]


@pytest.fixture(params=["static", "header"])
def any_gateway(request: pytest.FixtureRequest) -> Gateway:
    gateway: Gateway = request.getfixturevalue(f"{request.param}_gateway")
    return gateway


async def test_every_printed_curl_line_streams_visibly(any_gateway: Gateway) -> None:
    printed = [line.strip() for line in any_gateway.printed.splitlines()]
    lines = [line for line in printed if line.startswith("curl ")]
    assert len(lines) == len(any_gateway.ready["base_urls"])
    for line in lines:
        await _streams(line)


async def test_with_gemini_offered_its_printed_curl_line_streams_too(tmp_path: Path) -> None:
    options = ("--demo-pace-ms", "10")
    with Gateway(tmp_path, options=options, environment={"AIGW_PROVIDERS": "gemini,openai"}) as gateway:
        lines = [line.strip() for line in gateway.printed.splitlines() if line.strip().startswith("curl ")]
        assert ["/gemini/v1beta/" in lines[0], "/openai/v1/" in lines[1], len(lines)] == [True, True, 2]
        for line in lines:
            await _streams(line)


async def _streams(line: str) -> None:
    process = await asyncio.create_subprocess_shell(
        f"exec {line}",
        env=clean_environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    reads: list[bytes] = []
    async with asyncio.timeout(60):
        while data := await process.stdout.read(65_536):
            reads.append(data)
        assert await process.wait() == 0
    # Were the answer held back anywhere, it would come in one or two reads instead of about fifty.
    assert len(reads) > 10
    answer = b"".join(reads)
    assert answer.endswith(b"\n\n")
    assert answer.count(b"\n\n") > 30
    assert b"Hello!" in answer


async def test_a_real_looking_key_in_a_box_is_thrown_away(static_gateway: Gateway) -> None:
    variables = printed_variables(static_gateway) | {"OPENAI_API_KEY": "sk-proj-left-in-a-box-0123456789"}
    found = await run_program("openai_calls.py", variables)
    assert found["models"]
    assert "left-in-a-box" not in static_gateway.log
