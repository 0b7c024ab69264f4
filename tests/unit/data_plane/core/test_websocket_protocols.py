"""Tests of `core/websocket_protocols.py`: which offered entries pass, and which values are thrown away."""

from __future__ import annotations

import pytest

from services.data_plane.core.websocket_protocols import split_protocols

KEY = b"sk-proj-0123456789abcdefghij"


@pytest.mark.parametrize(
    ("offered", "harmless", "thrown_away"),
    [
        ([b"realtime", b"openai-beta.realtime-v1"], [b"realtime", b"openai-beta.realtime-v1"], []),
        ([b"realtime", b"openai-insecure-api-key." + KEY], [b"realtime"], [KEY]),
        ([b"OpenAI-Insecure-API-Key.x", b"mqtt"], [b"mqtt"], [b"x"]),
        ([b"openai-organization.org-1", b"openai-project.proj_1"], [], [b"org-1", b"proj_1"]),
        ([b"anthropic-workspace-id.w", b"x-goog-user-project.p"], [], [b"w", b"p"]),
        ([b"x-goog-api-key.AIza", b"x-api-key.k", b"anthropic-api-key.k"], [], [b"AIza", b"k", b"k"]),
        (
            [b"base64url.bearer.authorization.k8s.io.abc", b"base64.binary.k8s.io"],
            [b"base64.binary.k8s.io"],
            [b"abc"],
        ),
        ([b"bearer", b"abc", b"realtime"], [b"realtime"], [b"bearer", b"abc"]),
        ([b"token", b"abc"], [], [b"token", b"abc"]),
        ([b"access_token", b"abc"], [], [b"access_token", b"abc"]),
        ([KEY, b"realtime"], [b"realtime"], [KEY]),
        ([b"openai-ephemeral.ek_0123456789abcdef"], [], [b"ek_0123456789abcdef"]),
        ([b"graphql-transport-ws", b"v1.json"], [b"graphql-transport-ws", b"v1.json"], []),
    ],
)
def test_entries_that_carry_a_credential_or_select_an_account_fall_out(
    offered: list[bytes], harmless: list[bytes], thrown_away: list[bytes]
) -> None:
    assert split_protocols(offered) == (harmless, thrown_away)
