"""Anthropic's row: everything that sets this provider apart from the others."""

from __future__ import annotations

from typing import Final

from shared.providers.row import Credential, ErrorFacts, KeyShape, KeyTest, Provider, Snippet
from shared.refusals import ANTHROPIC_REFUSALS

_API_KEY: Final = Credential("x-api-key")
_SETUP_TOKEN: Final = Credential("Authorization", "Bearer ", beta="oauth-2025-04-20")
_VERSION: Final = "2023-06-01"
"""A key test's `anthropic-version`; Anthropic answers no request without this header."""


_TYPES: Final = {408: "timeout_error", 502: "api_error", 503: "overloaded_error", 504: "timeout_error"}
"""The types telling a client to try again: some decide by the type before the status (docs/adr/0003)."""


def _error_body(facts: ErrorFacts) -> dict[str, object]:
    error = {"type": _TYPES.get(facts.status, "invalid_request_error"), "message": facts.message}
    return {"type": "error", "error": error, "request_id": facts.request_id}


ANTHROPIC: Final = Provider(
    name="anthropic",
    title="Anthropic / Claude Code",
    about="Messages and every other route of the Anthropic API; also Claude Code, with an API key or a setup "
    "token.",
    local_path="/run9/ai/anthropic",
    default_endpoint="https://api.anthropic.com",
    version_segment="/v1",
    stripped_version="v1",
    keys=(
        KeyShape("anthropic_api", "sk-ant-", _API_KEY),
        KeyShape("anthropic_oauth", "sk-ant-oat", _SETUP_TOKEN),
    ),
    credential=_API_KEY,
    example_path="/messages",
    key_test=KeyTest("/models", "data", {"anthropic-version": _VERSION}),
    error_body=_error_body,
    request_id_header="request-id",
    # Source: Anthropic's API reference (Admin and Compliance API, vaults, tunnels, environment workers) and
    # the operations of anthropic-sdk-python 2.14; 2026-11-30.
    refused_routes=(
        ("organizations",),
        ("vaults",),
        ("tunnels",),
        ("compliance",),
        ("environments", "*", "work"),
        ("user_profiles", "*", "enrollment_url"),
        ("user_profiles", "*", "action_urls"),
        ("oauth",),
    ),
    # Claude Code 2.1.332 asks the second; measured in November 2026.
    warm_ups=("", "/api/hello"),
    key_routes=frozenset({"messages", "models"}),
    refusals=ANTHROPIC_REFUSALS,
    usage_shape="anthropic",
    environment=(
        ("ANTHROPIC_BASE_URL", "$BASE_URL"),
        ("ANTHROPIC_AUTH_TOKEN", "run9-placeholder"),
        ("ANTHROPIC_API_KEY", "run9-placeholder"),  # the AI SDK, opencode and litellm know no other
        ("ENABLE_TOOL_SEARCH", "true"),  # without it Claude Code inlines every tool's schema
        # Claude Code 2.1.332 then adds x-claude-code-request-class and -prompt-id; measured 2026-11-30.
        ("CLAUDE_CODE_GATEWAY_HINT_HEADERS", "1"),
    ),
    snippets=(
        Snippet(
            "shell",
            "Shell",
            "The placeholder is thrown away; the gateway puts the real key in.",
            """\
export ANTHROPIC_BASE_URL=$BASE_URL
export ANTHROPIC_AUTH_TOKEN=run9-placeholder""",
        ),
        Snippet(
            "claude-code",
            "Claude Code",
            "Without the last one it puts every tool's schema into each request.",
            """\
export ANTHROPIC_BASE_URL=$BASE_URL
export ANTHROPIC_AUTH_TOKEN=run9-placeholder
export ENABLE_TOOL_SEARCH=true
claude""",
        ),
        Snippet(
            "curl",
            "curl",
            "Streams an answer.",
            """\
curl -N $BASE/v1/messages \\
  -H 'content-type: application/json' -H 'anthropic-version: 2023-06-01' \\
  -d '{"model": "claude-opus-4-6", "max_tokens": 1024, "stream": true,
       "messages": [{"role": "user", "content": "Hello!"}]}'""",
        ),
        Snippet(
            "python",
            "Python",
            "With the shell lines set, the official SDK needs nothing more.",
            """\
from anthropic import Anthropic

client = Anthropic()
message = {"role": "user", "content": "Hello!"}
with client.messages.stream(model="claude-opus-4-6", max_tokens=1024, messages=[message]) as stream:
    for text in stream.text_stream:
        print(text, end="")""",
        ),
        Snippet(
            "node",
            "Node",
            "With the shell lines set, the official SDK needs nothing more.",
            """\
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic();
const messages = [{ role: "user", content: "Hello!" }];
const stream = client.messages.stream({ model: "claude-opus-4-6", max_tokens: 1024, messages });
stream.on("text", (text) => process.stdout.write(text));
await stream.finalMessage();""",
        ),
    ),
    key_page="https://console.anthropic.com/settings/keys",
    console="https://console.anthropic.com/usage",
    company="Anthropic",
    admin_keys=("sk-ant-admin",),
    key_hosts=("anthropic.com",),
)
