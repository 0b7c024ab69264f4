"""Google Gemini's row: the Gemini API of Google AI Studio, not that of Vertex AI."""

from __future__ import annotations

from typing import Final

from shared.providers.row import Credential, ErrorFacts, KeyShape, KeyTest, Provider, Snippet
from shared.refusals import RefusalRule

_KEY: Final = Credential("x-goog-api-key")
_FIRST_SERVER_ERROR: Final = 500
_STATUSES: Final = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""Names of google.rpc.Code; every other status is an invalid argument or an internal error."""


def _error_body(facts: ErrorFacts) -> dict[str, object]:
    other = "INTERNAL" if facts.status >= _FIRST_SERVER_ERROR else "INVALID_ARGUMENT"
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": facts.code.upper(),
        "domain": "run9",
    }
    status = _STATUSES.get(facts.status, other)
    return {"error": {"code": facts.status, "message": facts.message, "status": status, "details": [info]}}


_REASONS: Final = "google/api/error_reason.proto of github.com/googleapis/googleapis, 2026-11"
_STATED: Final = (400, 401, 403)
_REFUSALS: Final = (
    RefusalRule(
        "key",
        "github.com/continuedev/continue/issues/11336, 2026-03-12, and google-gemini/gemini-cli/issues/25198",
        code="API_KEY_INVALID",
        statuses=_STATED,
    ),
    RefusalRule(
        "key",
        "github.com/continuedev/continue/issues/11541, 2026-03-17",
        message=r"Your API key was reported as leaked\..*",
        statuses=_STATED,
    ),
    RefusalRule("permission", _REASONS, code="API_KEY_SERVICE_BLOCKED", statuses=_STATED),
    RefusalRule("place", _REASONS, code="API_KEY_IP_ADDRESS_BLOCKED", statuses=_STATED),
    RefusalRule("place", _REASONS, code="API_KEY_HTTP_REFERRER_BLOCKED", statuses=_STATED),
    RefusalRule(
        "place",
        "github.com/itcon-pty-au/stremio-ai-search/issues/202, 2026-05-29",
        message=r"User location is not supported for the API use\.?",
        statuses=_STATED,
    ),
    RefusalRule(
        "account",
        "github.com/google/generative-ai-docs/issues/356, 2024-04-08",
        code="CONSUMER_SUSPENDED",
        statuses=_STATED,
    ),
    RefusalRule(
        "account",
        "github.com/google-gemini/deprecated-generative-ai-python/issues/10, 2023-05-10",
        code="SERVICE_DISABLED",
        statuses=_STATED,
    ),
    RefusalRule("account", _REASONS, code="BILLING_DISABLED", statuses=_STATED),
    RefusalRule("account", _REASONS, code="CONSUMER_INVALID", statuses=_STATED),
    RefusalRule("request", _REASONS, code="CREDENTIALS_MISSING", statuses=_STATED),
)

# `$name` is another spelling of `name` (Google's system parameters, 2026-11). A browser's client puts headers
# and the method into the last two.
_PARAMETERS: Final = (
    *("key", "access_token", "oauth_token", "bearer_token", "userproject", "quotauser"),
    *("httpheaders", "httpmethod"),
)

# The Gemini CLI asks for a way to sign in unless its JSON file names one. It runs on Node, so Node is there
# to change a file that exists. The mark tells `--undo` that the entry is this script's.
_GEMINI_CLI: Final = r"""run9_set_up_gemini() {
  mkdir -p "${HOME}/.gemini" || return 1
  run9_file="${HOME}/.gemini/settings.json"
  if [ -s "${run9_file}" ]; then
    if grep -q '"selectedType"' "${run9_file}"; then return 0; fi
    run9_gemini_cli set "${run9_file}" || return 1
  else
    printf '%s\n' '{"security": {"auth": {"selectedType": "gemini-api-key"}}}' >"${run9_file}" || return 1
  fi
  : >"${HOME}/.config/run9/gemini-cli"
}

run9_gemini_cli() {
  node -e 'const fs = require("fs"), [verb, file] = process.argv.slice(1);
    const all = JSON.parse(fs.readFileSync(file, "utf8")), security = all.security ?? {};
    const auth = { ...security.auth, selectedType: verb === "set" ? "gemini-api-key" : undefined };
    const changed = JSON.stringify({ ...all, security: { ...security, auth } }, null, 2);
    fs.writeFileSync(file, changed + "\n");' "$1" "$2" 2>/dev/null
}

run9_undo_gemini() {
  run9_file="${HOME}/.gemini/settings.json"
  if [ ! -f "${HOME}/.config/run9/gemini-cli" ]; then return 0; fi
  if [ ! -f "${run9_file}" ]; then
    :
  elif [ "$(cat "${run9_file}")" = '{"security": {"auth": {"selectedType": "gemini-api-key"}}}' ]; then
    rm -f "${run9_file}" || return 1
  else
    run9_gemini_cli unset "${run9_file}" || return 1
  fi
  rm -f "${HOME}/.config/run9/gemini-cli"
}

run9_print_gemini() {
  printf '\n%s\n' "# For the Gemini CLI, in ${HOME-}/.gemini/settings.json, unless it names another:" \
    '# {"security": {"auth": {"selectedType": "gemini-api-key"}}}'
}
"""

GEMINI: Final = Provider(
    name="gemini",
    title="Google Gemini",
    company="Google",
    about="Content generation, embeddings, files and every other route of the Gemini API, with a key of "
    "Google AI Studio; also the Gemini CLI.",
    local_path="/run9/ai/gemini",
    default_endpoint="https://generativelanguage.googleapis.com",
    version_segment="",  # a client names v1, v1beta or v1alpha in the path
    stripped_version="",
    keys=(KeyShape("gemini", "AIza", _KEY),),
    key_hosts=("googleapis.com",),
    credential=_KEY,
    query_credentials=frozenset(prefix + name for name in _PARAMETERS for prefix in ("", "$")),
    key_statuses=frozenset(_STATED),
    # A resumable upload goes on at the first, which holds a token of its own.
    address_headers=("x-goog-upload-url", "x-goog-upload-control-url"),
    example_path="/v1beta/models",
    key_test=KeyTest("/v1beta/models", "models"),
    error_body=_error_body,
    request_id_header="x-request-id",
    # Source: the operations of google-genai 3.6 (Python), 2026-11-30. `batch` carries whole requests in its
    # body, and `$rpc` reaches every method by another name. Permissions name people.
    refused_routes=(
        ("auth_tokens",),
        ("authtokens",),
        ("credentials",),
        ("environments",),  # creating one answers with a secret for whoever hosts it
        ("webhooks",),
        ("batch",),
        ("rpc",),
        ("tunedmodels", "*", "permissions"),
        ("corpora", "*", "permissions"),
    ),
    key_routes=frozenset({"v1", "v1beta", "v1alpha", "upload"}),
    refusals=_REFUSALS,
    usage_shape="gemini",
    environment=(("GOOGLE_GEMINI_BASE_URL", "$BASE_URL"), ("GEMINI_API_KEY", "run9-placeholder")),
    set_up_shell=_GEMINI_CLI,
    snippets=(
        Snippet(
            "shell",
            "Shell",
            "The placeholder is thrown away; the gateway puts the real key in.",
            """\
export GOOGLE_GEMINI_BASE_URL=$BASE_URL
export GEMINI_API_KEY=run9-placeholder""",
        ),
        Snippet(
            "gemini-cli",
            "Gemini CLI",
            "The file tells it to sign in by key; without that it asks.",
            """\
export GOOGLE_GEMINI_BASE_URL=$BASE_URL
export GEMINI_API_KEY=run9-placeholder
mkdir -p ~/.gemini
echo '{"security": {"auth": {"selectedType": "gemini-api-key"}}}' >~/.gemini/settings.json
gemini""",
        ),
        Snippet(
            "curl",
            "curl",
            "Streams an answer.",
            """\
curl -N "$BASE/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse" \\
  -H 'content-type: application/json' \\
  -d '{"contents": [{"parts": [{"text": "Hello!"}]}]}'""",
        ),
        Snippet(
            "python",
            "Python",
            "With the shell lines set, the official SDK needs nothing more.",
            """\
from google import genai

client = genai.Client()
for part in client.models.generate_content_stream(model="gemini-2.5-flash", contents="Hello!"):
    print(part.text, end="")""",
        ),
        Snippet(
            "node",
            "Node",
            "With the shell lines set, the official SDK needs nothing more.",
            """\
import { GoogleGenAI } from "@google/genai";

const client = new GoogleGenAI({});
const stream = await client.models.generateContentStream({ model: "gemini-2.5-flash", contents: "Hello!" });
for await (const part of stream) process.stdout.write(part.text ?? "");""",
        ),
    ),
    key_page="https://aistudio.google.com/apikey",
    console="https://aistudio.google.com/usage",
    telemetry_name="gcp.gemini",
)
