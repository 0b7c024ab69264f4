"""The demo provider's ASGI application: the API of every provider with a row, each behind its own key.

The endpoint of each provider is this application's origin with the path of the provider's own endpoint, such
as `http://host:port/v1` for OpenAI. The provider is for trying the gateway out and for tests; nothing is kept
or logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import Request

from aigw.demo.provider.apis import APIS
from shared.providers import PROVIDERS

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

    from aigw.embedded.data_dir import DataDir
    from shared.providers import Provider, ProviderName
    from shared.secret import Secret

DemoKeys = Mapping["ProviderName", "Secret"]
"""The key accepted by each API."""


def demo_keys(data: DataDir) -> DemoKeys:
    """Give the keys kept in a data folder, made when first asked for."""
    return {
        name: data.secret(f"demo-{name}-key", f"{row.keys[0].prefix}demo-") for name, row in PROVIDERS.items()
    }


def demo_endpoint(origin: str, row: Provider) -> str:
    """Give a provider's endpoint at the demo provider of `origin`."""
    return origin + urlsplit(row.default_endpoint).path


def build_app(keys: DemoKeys, *, pace_seconds: float) -> ASGIApp:
    """Build the application; a stream pauses `pace_seconds` between two words (0: not at all)."""
    apps = {name: api.app(keys[name], pace_seconds) for name, api in APIS.items()}

    async def demo_provider(scope: Scope, receive: Receive, send: Send) -> None:
        await _meant(apps, scope)(scope, receive, send)

    return demo_provider


def _meant(apps: Mapping[ProviderName, FastAPI], scope: Scope) -> FastAPI:
    """Choose the application of the API that a request is for."""
    first, *others = APIS
    if scope["type"] == "http":
        request = Request(scope)
        return apps[next((name for name in others if APIS[name].is_meant(request)), first)]
    return apps[first]
