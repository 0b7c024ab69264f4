"""The clients of the matrix: each with its version, its provider and the command of each call.

A program of `programs/matrix` takes the name of the call as its last argument. A command line client has one
command, and so one call, `stream`.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

from shared.providers import ProviderName
from tests.support.servers.tools import BUILT_TOOLS

CLIENTS: Final = Path(__file__).resolve().parents[1]
SDK_CALLS: Final = ("plain", "stream", "tools")
FILES: Final = (*SDK_CALLS, "files")


@dataclass(frozen=True, slots=True)
class Installation:
    """The folders of one set of clients: the pinned ones, or the newest.

    Attributes:
        node, agents: folders with `node_modules`, and programs beside it.
        frameworks, sdks: Python's interpreters with the frameworks, and with the official SDKs.
        go: the folder of the Go module and the program that Go builds of it.
    """

    node: Path = CLIENTS
    agents: Path = CLIENTS / "agents"
    frameworks: Path = BUILT_TOOLS / "clients-python" / "bin" / "python"
    sdks: Path = Path(sys.executable)
    go: Path = BUILT_TOOLS / "clients-go"

    def of_node(self, package: str) -> str:
        """Give the version of an installed Node package, or nothing."""
        for folder in (self.node, self.agents):
            file = folder / "node_modules" / package / "package.json"
            if file.exists():
                return str(json.loads(file.read_text())["version"])
        return ""

    def of_python(self, python: Path, package: str) -> str:
        """Give the version of an installed Python package, or nothing."""
        if python == Path(sys.executable):
            return version(package)
        folder, name = python.parent.parent, package.replace("-", "_")
        found = sorted(folder.glob(f"lib/python3*/site-packages/{name}-*.dist-info"))
        return found[0].name.removesuffix(".dist-info").rpartition("-")[2] if found else ""

    def of_go(self, module: str) -> str:
        """Give the version of a Go module, or nothing before the program is built."""
        if not (self.go / "clients").exists():
            return ""
        file = self.go / "go.mod"
        match = re.search(rf"{module} v(\S+)", (file if file.exists() else CLIENTS / "go/go.mod").read_text())
        return match[1] if match else ""


@dataclass(frozen=True, slots=True)
class Client:
    """One client with one provider.

    Attributes:
        title: as people read it.
        version: of the installation; empty when the client is not installed.
        command: without the call's name.
        calls: the calls that the client has.
        direct_suffix: behind the endpoint's base when the client calls a provider without a gateway.
        variables: set beside the set-up script's.
        names_call: whether the call's name is the last argument.
    """

    title: str
    provider: ProviderName
    version: str
    command: tuple[str, ...]
    calls: tuple[str, ...] = SDK_CALLS
    direct_suffix: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    names_call: bool = True

    @property
    def key(self) -> str:
        """Give the client's name in the record."""
        return f"{self.title}, {self.provider}"

    def command_of(self, call: str) -> tuple[str, ...]:
        """Give the whole command of a call."""
        return (*self.command, call) if self.names_call else self.command


def clients_of(at: Installation) -> list[Client]:
    """Give every client of an installation that is there."""
    return [client for client in (*_command_lines(at), *_sdks(at), *_frameworks(at)) if client.version]


def _command_lines(at: Installation) -> list[Client]:
    node, agents = at.node / "node_modules/.bin", at.agents / "node_modules/.bin"

    def line(title: str, provider: ProviderName, package: str, *command: object, **more: str) -> Client:
        suffix = "/v1" if title == "opencode" else ""
        whole = tuple(map(str, command))
        return Client(
            title, provider, at.of_node(package), whole, ("stream",), suffix, more, names_call=False
        )

    ask = ("-p", "say ping")
    copilot = {"COPILOT_PROVIDER_TYPE": "openai", "COPILOT_PROVIDER_API_KEY": "run9-placeholder"}
    copilot |= {"COPILOT_MODEL": "gpt-5", "COPILOT_OFFLINE": "true"}
    codex, opencode = (node / "codex", "exec", "--skip-git-repo-check", "say ping"), agents / "opencode"
    model = "anthropic/claude-sonnet-4-5"
    agent_sdk = ("node", at.agents / "agent_sdk.mjs")
    return [
        line("Claude Code", "anthropic", "@anthropic-ai/claude-code", node / "claude", *ask),
        line("Codex", "openai", "@openai/codex", *codex),
        line("Claude Agent SDK", "anthropic", "@anthropic-ai/claude-agent-sdk", *agent_sdk),
        line("opencode", "anthropic", "opencode-ai", opencode, "run", "-m", model, "say ping"),
        line("GitHub Copilot CLI", "openai", "@github/copilot", agents / "copilot", *ask, **copilot),
        line("qwen-code", "openai", "@qwen-code/qwen-code", agents / "qwen", *ask, OPENAI_MODEL="gpt-5"),
    ]


def _sdks(at: Installation) -> list[Client]:
    programs, python, go = at.node / "programs/matrix", str(at.sdks), str(at.go / "clients")

    def sdk(title: str, provider: ProviderName, found: str, calls: tuple[str, ...], *command: str) -> Client:
        return Client(title, provider, found, command, calls)

    sockets = (*FILES, "websocket")
    of = at.of_python(at.sdks, "openai"), at.of_python(at.sdks, "anthropic")
    go_openai, go_anthropic = at.of_go("openai-go/v3"), at.of_go("anthropic-sdk-go")
    node_openai, node_anthropic = at.of_node("openai"), at.of_node("@anthropic-ai/sdk")
    return [
        sdk("openai (Python)", "openai", of[0], sockets, python, str(programs / "openai_python.py")),
        sdk("anthropic (Python)", "anthropic", of[1], FILES, python, str(programs / "anthropic_python.py")),
        sdk("openai (Node)", "openai", node_openai, sockets, "node", str(programs / "openai.mjs")),
        sdk("@anthropic-ai/sdk", "anthropic", node_anthropic, FILES, "node", str(programs / "anthropic.mjs")),
        sdk("openai-go", "openai", go_openai, FILES, go, "openai"),
        sdk("anthropic-sdk-go", "anthropic", go_anthropic, SDK_CALLS, go, "anthropic"),
    ]


_FRAMEWORKS: Final = (
    ("langchain", "langchain-{}"),
    ("litellm", "litellm"),
    ("pydantic_ai", "pydantic-ai-slim"),
    ("llama_index", "llama-index-llms-{}"),
    ("instructor", "instructor"),
    ("agents", "openai-agents"),
)


def _frameworks(at: Installation) -> list[Client]:
    programs, found = at.node / "programs" / "matrix", []
    both: tuple[ProviderName, ...] = ("openai", "anthropic")
    for provider in both:
        suffix = "/v1" if provider == "anthropic" else ""
        ai_sdk = ("node", str(programs / "ai_sdk.mjs"), provider)
        found.append(Client("AI SDK", provider, at.of_node("ai"), ai_sdk, direct_suffix=suffix))
        js = ("node", str(programs / "langchain.mjs"), provider)
        found.append(Client("LangChain.js", provider, at.of_node(f"@langchain/{provider}"), js))
        for name, package in _FRAMEWORKS:
            if name == "agents" and provider == "anthropic":
                continue
            command = (str(at.frameworks), str(programs / "framework.py"), name, provider)
            is_there = at.of_python(at.frameworks, package.format(provider))
            calls = ("tools",) if name == "instructor" else SDK_CALLS
            found.append(Client(package.removesuffix("-{}"), provider, is_there, command, calls))
    return found
