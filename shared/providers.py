"""The providers that the gateway knows, as one table: what differs between them is data, not code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from shared.refusals import ANTHROPIC_REFUSALS, OPENAI_REFUSALS, RefusalRule

ProviderName = Literal["openai", "anthropic"]
UsageShape = Literal["openai", "anthropic"]
KeyKind = Literal["openai", "anthropic_api", "anthropic_oauth", "unknown"]

LOCAL_ORIGIN: Final = "http://10.0.2.2:1000"
"""Where a box finds the gateway: QEMU user networking's host address, and the node agent's one port."""

RoutePattern = tuple[str, ...]
"""Segments after the version, lower case, `_` for `-`; `*` is any one. Fits the paths below as well."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider.

    Attributes:
        name: as in URLs, rows and metrics.
        title: as people read it.
        default_endpoint: used when the owner sets none; what one would put into `*_BASE_URL`.
        version_segment: what the gateway puts between the endpoint and the box's path.
        local_base_url: the fixed base URL inside every box.
        key_page: where an owner gets a key.
        refused_routes: routes that mint or reveal credentials usable without the gateway, or administer the
            provider account. Names such as `client_secrets` are refused beside this list, anywhere.
        key_routes: first segments of routes whose 401 about the key is one: other products of an endpoint may
            speak of other keys.
        refusals: what this provider's 401 and 403 mean.
        usage_shape: the adapter in `services/data_plane/core/usage` that reads tokens from the answers.
    """

    name: ProviderName
    title: str
    default_endpoint: str
    version_segment: str
    local_base_url: str
    key_page: str
    refused_routes: tuple[RoutePattern, ...]
    key_routes: frozenset[str]
    refusals: tuple[RefusalRule, ...]
    usage_shape: UsageShape


PROVIDERS: Final[dict[ProviderName, Provider]] = {
    "openai": Provider(
        name="openai",
        title="OpenAI",
        default_endpoint="https://api.openai.com/v1",
        version_segment="",  # an OpenAI base URL carries its own version
        local_base_url=f"{LOCAL_ORIGIN}/run9/ai/openai/v1/",
        key_page="https://platform.openai.com/api-keys",
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
    ),
    "anthropic": Provider(
        name="anthropic",
        title="Anthropic / Claude Code",
        default_endpoint="https://api.anthropic.com",
        version_segment="/v1",
        local_base_url=f"{LOCAL_ORIGIN}/run9/ai/anthropic",
        key_page="https://console.anthropic.com/settings/keys",
        # Source: Anthropic's API reference (Admin and Compliance API, vaults, tunnels, environment workers)
        # and the operations of anthropic-sdk-python 2.14; 2026-11-30.
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
        key_routes=frozenset({"messages", "models"}),
        refusals=ANTHROPIC_REFUSALS,
        usage_shape="anthropic",
    ),
}


def kind_of_key(text: str) -> KeyKind:
    """Tell whose key this looks like by its public prefix; `unknown` for anything else."""
    if text.startswith("sk-ant-oat"):
        return "anthropic_oauth"
    if text.startswith("sk-ant-"):
        return "anthropic_api"
    if text.startswith("sk-"):
        return "openai"
    return "unknown"
