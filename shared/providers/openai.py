"""OpenAI's row: everything that sets this provider apart from the others."""

from __future__ import annotations

from typing import Final

from shared.providers.row import Credential, ErrorFacts, KeyShape, KeyTest, Provider, Snippet
from shared.refusals import OPENAI_REFUSALS

_BEARER: Final = Credential("Authorization", "Bearer ")


def _error_body(facts: ErrorFacts) -> dict[str, object]:
    # Some clients decide by the type, before the status, whether to try again (docs/adr/0003).
    kind = "server_error" if facts.status in {408, 502, 503, 504} else "invalid_request_error"
    error = {"message": facts.message, "type": kind, "param": None, "code": facts.code}
    return {"error": error}


# Codex does not read OPENAI_BASE_URL; its key has to stand above the first table of its TOML file.
_CODEX: Final = r"""run9_set_up_openai() {
  run9_codex="${CODEX_HOME:-${HOME}/.codex}"
  mkdir -p "${run9_codex}" || return 1
  run9_file="${run9_codex}/config.toml"
  if [ ! -e "${run9_file}" ]; then : >"${run9_file}" || return 1; fi
  run9_has=$(sed -n -e '/^[[:space:]]*\[/q' \
    -e '/^[[:space:]]*["'\'']\{0,1\}openai_base_url["'\'']\{0,1\}[[:space:]]*=/p' \
    "${run9_file}") || return 1
  if [ -n "${run9_has}" ]; then return 0; fi
  run9_new="${run9_file}.run9.$$"
  {
    printf 'openai_base_url = "%s"\n' "${run9_origin}/run9/ai/openai/v1"
    cat "${run9_file}"
  } >"${run9_new}" || { rm -f "${run9_new}"; return 1; }
  # Through the old file, so that its owner, mode and links stay.
  cat "${run9_new}" >"${run9_file}" || return 1
  rm -f "${run9_new}"
}

run9_undo_openai() {
  run9_file="${CODEX_HOME:-${HOME}/.codex}/config.toml"
  if [ ! -f "${run9_file}" ]; then return 0; fi
  run9_without "${run9_file}" '/^openai_base_url = "http:\/\/[^"]*\/run9\/ai\/openai\/v1"$/d'
}

run9_print_openai() {
  printf '\n%s\n' "# For Codex, at the top of ${CODEX_HOME:-${HOME-}/.codex}/config.toml:" \
    "# openai_base_url = \"${run9_origin}/run9/ai/openai/v1\""
}
"""

OPENAI: Final = Provider(
    name="openai",
    title="OpenAI",
    about="Responses, chat, images, audio and every other route of the OpenAI API; also Codex.",
    local_path="/run9/ai/openai/v1/",
    default_endpoint="https://api.openai.com/v1",
    version_segment="",  # an OpenAI base URL carries its own version
    stripped_version="v1",
    keys=(KeyShape("openai", "sk-", _BEARER),),
    credential=_BEARER,
    example_path="/responses",
    key_test=KeyTest("/models", "data"),
    error_body=_error_body,
    request_id_header="x-request-id",
    # Source: OpenAI's API reference (administration, realtime client secrets, ChatKit, webhooks) and the
    # operations of openai-python 3.57; 2026-11-30.
    refused_routes=(
        ("organization",),
        ("projects",),
        ("realtime", "client_secrets"),
        ("realtime", "sessions"),
        ("realtime", "transcription_sessions"),
        ("realtime", "translations", "client_secrets"),
        ("chatkit", "sessions"),
        ("vaults",),
        ("webhook_endpoints",),
        ("fine_tuning", "checkpoints", "*", "permissions"),
        ("oauth",),
    ),
    key_routes=frozenset(
        {"audio", "chat", "completions", "embeddings", "images", "models", "moderations", "responses"}
    ),
    refusals=OPENAI_REFUSALS,
    usage_shape="openai",
    environment=(
        ("OPENAI_BASE_URL", "$BASE_URL"),
        ("OPENAI_API_KEY", "run9-placeholder"),
        ("OPENAI_API_BASE", "$BASE_URL"),  # LlamaIndex knows no other
    ),
    set_up_shell=_CODEX,
    snippets=(
        Snippet(
            "shell",
            "Shell",
            "The placeholder is thrown away; the gateway puts the real key in.",
            """\
export OPENAI_BASE_URL=$BASE_URL
export OPENAI_API_KEY=run9-placeholder""",
        ),
        Snippet(
            "curl",
            "curl",
            "Streams an answer.",
            """\
curl -N $BASE/responses \\
  -H 'content-type: application/json' \\
  -d '{"model": "gpt-5.2", "input": "Hello!", "stream": true}'""",
        ),
        Snippet(
            "python",
            "Python",
            "With the shell lines set, the official SDK needs nothing more.",
            """\
from openai import OpenAI

client = OpenAI()
for event in client.responses.create(model="gpt-5.2", input="Hello!", stream=True):
    print(event.type)""",
        ),
        Snippet(
            "node",
            "Node",
            "With the shell lines set, the official SDK needs nothing more.",
            """\
import OpenAI from "openai";

const client = new OpenAI();
const stream = await client.responses.create({ model: "gpt-5.2", input: "Hello!", stream: true });
for await (const event of stream) console.log(event.type);""",
        ),
        Snippet(
            "codex",
            "Codex",
            "At the top of ~/.codex/config.toml: Codex does not read OPENAI_BASE_URL.",
            """\
openai_base_url = "$BASE\"""",
        ),
    ),
    key_page="https://platform.openai.com/api-keys",
    console="https://platform.openai.com/usage",
    admin_keys=("sk-admin-",),
    key_hosts=("openai.com",),
)
