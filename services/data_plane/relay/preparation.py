"""What a request needs before it can leave: its integration with the secret, and a connection for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.data_plane.core.integration import CompiledIntegration, NotReady, refused_because

if TYPE_CHECKING:
    from services.data_plane.relay.relay import Relay
    from services.data_plane.relay.upstream_connection import UpstreamConnection
    from shared.providers import ProviderName


async def bring_connection(
    relay: Relay, org: str, provider: ProviderName, found: CompiledIntegration | NotReady, *, fresh: bool
) -> tuple[CompiledIntegration, UpstreamConnection]:
    """Bring the secret and a connection, by what is set once the connection is there: nothing is sent yet.

    `found` is what the table has just said; a `fresh` connection is wanted where a pooled one has failed.

    Raises:
        Refused: the integration is missing, disabled or cannot be loaded, or its provider is out of reach.
    """
    while True:
        integration = found if isinstance(found, CompiledIntegration) else await _load(relay, org, provider)
        if not fresh and (upstream := relay.pool.take(integration)) is not None:
            return integration, upstream
        upstream = await relay.pool.connect(integration)
        found = relay.table.look_up(org, provider)
        if isinstance(found, CompiledIntegration) and found.pool_key == integration.pool_key:
            return found, upstream
        upstream.close()


async def _load(relay: Relay, org: str, provider: ProviderName) -> CompiledIntegration:
    await relay.table.load(org, provider)
    found = relay.table.look_up(org, provider)
    if isinstance(found, CompiledIntegration):
        return found
    raise refused_because(found)
