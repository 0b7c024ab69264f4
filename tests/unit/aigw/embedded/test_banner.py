"""The banner warns against use in production, and gives lines to paste."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pytest

from aigw.embedded.banner import banner, curl_line
from aigw.embedded.ready_file import Ready
from shared.providers import PROVIDERS, Provider, ProviderName

READY = Ready(
    portal_url="http://127.0.0.1:19002/",
    control_plane_url="http://127.0.0.1:19002",
    admin_url="http://127.0.0.1:19001",
    org="demo",
    owner_token="owner.jwt",
    member_token="member.jwt",
    platform_token="platform-token",
    base_urls={
        "openai": "http://127.0.0.1:19000/run9/ai/openai/v1/",
        "anthropic": "http://127.0.0.1:19000/run9/ai/anthropic",
    },
    portal_sign_in_url="http://127.0.0.1:19002/sign-in#once",
    data_dir="/data dir",
    ready_file="/data dir/ready.json",
)


def line_of(name: ProviderName, ready: Ready = READY, command: str = "aigw") -> str:
    return curl_line(PROVIDERS[name], ready.base_urls[name], ready, command)


def test_two_steps_come_first_the_portal_and_an_answer() -> None:
    lines = [line.strip() for line in banner(READY, [], "aigw").splitlines()]
    first, second = lines.index(READY.portal_sign_in_url), lines.index(line_of("openai"))
    assert first < second < next(at for at, line in enumerate(lines) if line.startswith("REST API"))


def test_the_second_step_has_a_line_for_each_offered_provider_in_the_order_of_the_offer() -> None:
    base_urls = {name: f"http://127.0.0.1:19000/run9/ai/{name}" for name in ("gemini", "anthropic")}
    text = banner(replace(READY, base_urls=base_urls), [], "aigw")
    lines = [shlex.split(line)[2] for line in map(str.strip, text.splitlines()) if line.startswith("curl ")]
    assert lines == [
        "http://127.0.0.1:19000/run9/ai/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        "http://127.0.0.1:19000/run9/ai/anthropic/v1/messages",
    ]
    assert "OPENAI_BASE_URL" not in text
    of_box = replace(READY, base_urls=base_urls, node_key_file="/node.pem", node_kid="local")
    assert banner(of_box, [], "aigw").count('-H "X-Run9-Box-Token: $(') == 2


def test_the_command_for_another_link_names_the_data_folder() -> None:
    text = banner(READY, [], "aigw")
    assert "aigw sign-in-link --data-dir '/data dir'" in text


def test_the_banner_warns_and_shows_no_token_but_the_file_that_holds_them() -> None:
    text = banner(READY, ["openai         enabled"], "aigw")
    assert "EMBEDDED" in text
    assert "never for production" in text
    assert "Loopback only" in text
    assert "Plain-http" in text
    assert "owner.jwt" not in text
    assert "/data dir/ready.json" in text
    assert "member.jwt" not in text
    assert "platform-token" not in text


def test_the_environment_lines_are_those_of_the_contract() -> None:
    lines = banner(READY, [], "aigw").splitlines()
    assert (
        "export OPENAI_BASE_URL=http://127.0.0.1:19000/run9/ai/openai/v1/ OPENAI_API_KEY=run9-placeholder"
        in lines
    )
    assert (
        "export ANTHROPIC_BASE_URL=http://127.0.0.1:19000/run9/ai/anthropic "
        "ANTHROPIC_AUTH_TOKEN=run9-placeholder" in lines
    )


@pytest.mark.parametrize("row", PROVIDERS.values(), ids=lambda row: row.name)
def test_the_curl_line_of_every_row_is_one_shell_command_with_a_json_body(row: Provider) -> None:
    line = curl_line(row, "http://127.0.0.1:19000" + row.local_path, READY, "aigw")
    words = shlex.split(line)
    assert "\n" not in line
    assert words[:2] == ["curl", "-N"]
    assert words[2].startswith("http://127.0.0.1:19000/run9/ai/")
    assert "Hello!" in json.dumps(json.loads(words[words.index("-d") + 1]))


def test_header_mode_shows_where_the_box_token_comes_from() -> None:
    ready = replace(READY, node_key_file="/data dir/node.pem", node_kid="local")
    line = line_of("openai", ready, "/venv/bin/aigw")
    assert "$(/venv/bin/aigw box-token --key-file '/data dir/node.pem' --kid local --org demo" in line


def test_printing_what_is_ready_shows_no_token() -> None:
    assert ".jwt" not in repr(READY)
    assert "platform-token" not in repr(READY)
