"""The clients of the matrix: each with its version, its provider and the command of each call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from shared.providers import ProviderName
from tests.clients.gemini_answers import MODEL
from tests.clients.matrix.installation import Installation

CALLS: Final = ("plain", "stream", "tools", "websocket", "files")
PDF: Final = "f.pdf"
"""A file in the home of every box of the matrix."""
IMAGE: Final = "dot.png"
"""An image in the home of every box of the matrix."""
_NO_SOCKETS: Final = "the API has none"
_NONE_OF_ITS_OWN: Final = "the client opens none"
_DIALS_TLS: Final = "no: dials `wss:` whatever the base URL says"
_ALWAYS_STREAMS: Final = "always streams"
_ASKED: Final = "say ping"

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Client:
    """A client with a provider.

    Attributes:
        title: the name for people.
        version: of the installation; empty when the client is not installed.
        commands: the whole command of each call of the client.
        lacks: the reason for each missing call.
        direct_suffix: behind the endpoint's base when the client calls a provider without a gateway.
        variables: set beside the set-up script's.
    """

    title: str
    provider: ProviderName
    version: str
    commands: Mapping[str, Command]
    lacks: Mapping[str, str] = field(default_factory=dict)
    direct_suffix: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Give the client's name in the record."""
        return f"{self.title}, {self.provider}"


def clients_of(at: Installation) -> list[Client]:
    """Give every installed client of an installation."""
    found = (*_command_lines(at), *_sdks(at), *_javascript(at), *_frameworks(at))
    return [client for client in found if client.version]


def _command_lines(at: Installation) -> Iterator[Client]:
    node, agents = at.node / "node_modules/.bin", at.agents / "node_modules/.bin"
    whole = {"plain": _ALWAYS_STREAMS}
    no_sockets = whole | {"websocket": _NO_SOCKETS}

    def same(*command: object) -> dict[str, Command]:
        return dict.fromkeys(("stream", "tools", "files"), tuple(map(str, command)))

    version = at.of_node("@anthropic-ai/claude-code")
    claude = same(node / "claude", "-p", _ASKED, "--allowedTools", "Bash,Read")
    yield Client("Claude Code", "anthropic", version, claude, no_sockets)
    version = at.of_node("@anthropic-ai/claude-agent-sdk")
    agent_sdk = same("node", at.agents / "agent_sdk.mjs")
    yield Client("Claude Agent SDK", "anthropic", version, agent_sdk, no_sockets)
    version, opencode = (
        at.of_node("opencode-ai"),
        same(agents / "opencode", "run", "-m", _OPENCODE_MODEL, _ASKED),
    )
    yield Client("opencode", "anthropic", version, opencode, no_sockets, direct_suffix="/v1")
    codex = same(node / "codex", "exec", "--skip-git-repo-check", "-s", "danger-full-access", _ASKED)
    codex |= {"websocket": codex["stream"], "files": (*codex["stream"], "-i", IMAGE)}
    yield Client("Codex", "openai", at.of_node("@openai/codex"), codex, whole)
    copilot = same(agents / "copilot", "-p", _ASKED, "--allow-all-tools", "--allow-all-paths")
    copilot["websocket"] = ("env", *_COPILOT_SOCKETS, *copilot["stream"])
    version = at.of_node("@github/copilot")
    yield Client("GitHub Copilot CLI", "openai", version, copilot, whole, variables=_COPILOT)
    qwen, lacks = same(agents / "qwen", "-p", _ASKED, "--yolo"), whole | {"websocket": _NONE_OF_ITS_OWN}
    variables, version = {"OPENAI_MODEL": "gpt-5"}, at.of_node("@qwen-code/qwen-code")
    yield Client("qwen-code", "openai", version, qwen, lacks, variables=variables)
    gemini = same(node / "gemini", "--skip-trust", "--yolo", "-m", MODEL, "-p", _ASKED)
    lacks, version = whole | {"websocket": _NONE_OF_ITS_OWN}, at.of_node("@google/gemini-cli")
    yield Client("Gemini CLI", "gemini", version, gemini, lacks)
    llm = (str(at.frameworks.parent / "llm"), "-m", "gpt-5", _ASKED)
    ways = {"plain": (*llm, "--no-stream"), "stream": llm, "files": (*llm, "-a", PDF)}
    ways["tools"] = (*llm, "--functions", 'def weather(city: str) -> str:\n    return "rain in " + city')
    version = at.of_python(at.frameworks, "llm")
    yield Client("llm", "openai", version, ways, {"websocket": _NONE_OF_ITS_OWN})


_OPENCODE_MODEL: Final = "anthropic/claude-sonnet-4-5"
_COPILOT: Final = {
    "COPILOT_PROVIDER_TYPE": "openai",
    "COPILOT_PROVIDER_API_KEY": "run9-placeholder",
    "COPILOT_MODEL": "gpt-5",
    "COPILOT_OFFLINE": "true",
}
_COPILOT_SOCKETS: Final = ("COPILOT_PROVIDER_WIRE_API=responses", "COPILOT_PROVIDER_TRANSPORT=websockets")


def _program(
    title: str, provider: ProviderName, version: str, calls: Iterable[str], *command: object, suffix: str = ""
) -> Client:
    """Make a client whose program takes the name of the call as its last argument."""
    commands = {call: (*map(str, command), call) for call in calls}
    lacks = {} if "websocket" in commands else {"websocket": _NONE_OF_ITS_OWN}
    if provider == "anthropic":
        lacks = {"websocket": _NO_SOCKETS}
    return Client(title, provider, version, commands, lacks, suffix)


def _without(*calls: str) -> tuple[str, ...]:
    return tuple(call for call in CALLS if call not in calls)


def _sdks(at: Installation) -> Iterator[Client]:
    programs, files = at.node / "programs/matrix", _without("websocket")

    def python(package: str, provider: ProviderName, calls: Iterable[str], name: str) -> Client:
        version = at.of_python(at.sdks, package)
        return _program(f"{package} (Python)", provider, version, calls, at.sdks, programs / name)

    def node(title: str, package: str, provider: ProviderName, calls: Iterable[str], name: str) -> Client:
        return _program(title, provider, at.of_node(package), calls, "node", programs / name)

    yield python("openai", "openai", CALLS, "openai_python.py")
    yield python("anthropic", "anthropic", files, "anthropic_python.py")
    google = python("google-genai", "gemini", files, "google_genai.py")
    yield replace(google, lacks={"websocket": _DIALS_TLS})
    yield node("openai (Node)", "openai", "openai", CALLS, "openai.mjs")
    yield node("@anthropic-ai/sdk", "@anthropic-ai/sdk", "anthropic", files, "anthropic.mjs")
    yield node("@google/genai", "@google/genai", "gemini", CALLS, "google_genai.mjs")
    go, rust = at.go / "clients", at.rust / "async-openai-calls"
    yield _program("openai-go", "openai", at.of_go("openai-go/v3"), CALLS, go, "openai")
    yield _program("anthropic-sdk-go", "anthropic", at.of_go("anthropic-sdk-go"), files, go, "anthropic")
    yield _program("async-openai", "openai", at.of_rust("async-openai"), files, rust)
    java = ("java", "-cp", f"{at.java}:{at.java / 'libs'}/*", "Calls")
    yield _program("openai-java", "openai", at.of_java("openai-java"), CALLS, *java)


_BOTH: Final[tuple[ProviderName, ...]] = ("openai", "anthropic")


def _javascript(at: Installation) -> Iterator[Client]:
    programs, calls = at.node / "programs" / "matrix", _without("websocket")
    for provider in _BOTH:
        suffix = "/v1" if provider == "anthropic" else ""
        version, program = at.of_node("ai"), programs / "ai_sdk.mjs"
        ai_sdk = _program("AI SDK", provider, version, calls, "node", program, provider, suffix=suffix)
        yield ai_sdk if suffix else replace(ai_sdk, lacks={"websocket": "for live audio alone; not tried"})
        version, program = at.of_node(f"@langchain/{provider}"), programs / "langchain.mjs"
        yield _program("LangChain.js", provider, version, calls, "node", program, provider)


_FRAMEWORKS: Final = {
    "langchain": "langchain-{}",
    "litellm": "litellm",
    "pydantic_ai": "pydantic-ai-slim",
    "llama_index": "llama-index-llms-{}",
    "instructor": "instructor",
    "agents": "openai-agents",
}


def _frameworks(at: Installation) -> Iterator[Client]:
    program, python = at.node / "programs" / "matrix" / "framework.py", at.frameworks
    for provider in _BOTH:
        for name, package in _FRAMEWORKS.items():
            version, title = at.of_python(python, package.format(provider)), package.removesuffix("-{}")
            lacks: dict[str, str] = {}
            has_sockets = name == "agents" or (name == "pydantic_ai" and provider == "openai")
            calls = CALLS if has_sockets else _without("websocket")
            if name == "agents" and provider == "anthropic":
                continue
            if name == "instructor":
                lacks = {"plain": "always a tool's call", "stream": "not for a tool's call"}
                calls = ("tools", "files")
            client = _program(title, provider, version, calls, python, program, name, provider)
            yield replace(client, lacks={**client.lacks, **lacks})
