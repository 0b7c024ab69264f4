"""The banner says that this is no production, and gives lines that can be pasted."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

from aigw.embedded.banner import banner, curl_line
from aigw.embedded.ready_file import Ready

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


def test_two_steps_come_first_the_portal_and_an_answer() -> None:
    lines = [line.strip() for line in banner(READY, [], "aigw").splitlines()]
    first, second = lines.index(READY.portal_sign_in_url), lines.index(curl_line(READY, "aigw"))
    assert first < second < next(at for at, line in enumerate(lines) if line.startswith("REST API"))


def test_the_second_step_streams_from_a_provider_that_is_offered() -> None:
    ready = replace(READY, base_urls={"anthropic": READY.base_urls["anthropic"]})
    assert f"curl -N {READY.base_urls['anthropic']}/v1/messages" in curl_line(ready, "aigw")
    assert "OPENAI_BASE_URL" not in banner(ready, [], "aigw")
    of_box = replace(ready, node_key_file="/node.pem", node_kid="local")
    assert "X-Run9-Box-Token" in curl_line(of_box, "aigw")


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


def test_the_curl_line_is_one_shell_command_that_asks_for_a_stream() -> None:
    words = shlex.split(curl_line(READY, "aigw"))
    assert words[:3] == ["curl", "-N", "http://127.0.0.1:19000/run9/ai/openai/v1/chat/completions"]
    assert json.loads(words[words.index("-d") + 1])["stream"] is True


def test_header_mode_shows_where_the_box_token_comes_from() -> None:
    ready = replace(READY, node_key_file="/data dir/node.pem", node_kid="local")
    line = curl_line(ready, "/venv/bin/aigw")
    assert "$(/venv/bin/aigw box-token --key-file '/data dir/node.pem' --kid local --org demo" in line


def test_printing_what_is_ready_shows_no_token() -> None:
    assert ".jwt" not in repr(READY)
    assert "platform-token" not in repr(READY)
