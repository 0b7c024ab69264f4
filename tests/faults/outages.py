"""Outages, each as a context: the dependency is gone inside, and back and working afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final

from shared.tasks import TaskSet
from tests.faults.site import Site
from tests.support.fault_proxy import Weather
from tests.support.servers.process import free_port

PAUSE_MILLISECONDS: Final = 600_000
DELAY_SECONDS: Final = 0.1
SLICE_BYTES: Final = 64
RESET_EVERY_SECONDS: Final = 0.5
Outage = Callable[[Site], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def redis_stopped(site: Site) -> AsyncIterator[None]:
    """Redis is killed, and comes back empty."""
    await asyncio.to_thread(site.backends.valkey.process.kill)
    try:
        yield
    finally:
        await asyncio.to_thread(site.backends.valkey.start)


@asynccontextmanager
async def redis_silent(site: Site) -> AsyncIterator[None]:
    """Connections to Redis stay open, and no byte comes through."""
    site.backends.redis_proxy.set(Weather("black_hole"))
    try:
        yield
    finally:
        site.backends.redis_proxy.set(Weather())


@asynccontextmanager
async def redis_half_open(site: Site) -> AsyncIterator[None]:
    """Redis receives all requests, and its answers get lost."""
    site.backends.redis_proxy.set(Weather("half_open"))
    try:
        yield
    finally:
        # What was lost leaves the connections out of step, as a real network would end them.
        site.backends.redis_proxy.reset_all()
        site.backends.redis_proxy.set(Weather())


@asynccontextmanager
async def redis_without_writes(site: Site) -> AsyncIterator[None]:
    """Redis answers readers; writers wait, as if the control planes could not reach Redis."""
    with site.backends.valkey.client() as redis:
        redis.execute_command("CLIENT PAUSE", PAUSE_MILLISECONDS, "WRITE")
        try:
            yield
        finally:
            redis.client_unpause()


@asynccontextmanager
async def redis_as_replica(site: Site) -> AsyncIterator[None]:
    """Redis becomes a replica of a missing server: connections stay, and Redis takes no writes."""
    with site.backends.valkey.client() as redis:
        redis.replicaof("127.0.0.1", str(free_port()))
        try:
            yield
        finally:
            redis.replicaof("NO", "ONE")


@asynccontextmanager
async def redis_slow(site: Site) -> AsyncIterator[None]:
    """All bytes to and from Redis come late, and a few at a time."""
    with site.backends.redis_proxy.under(Weather(delay_seconds=DELAY_SECONDS, slice_bytes=SLICE_BYTES)):
        yield


@asynccontextmanager
async def redis_reset(site: Site) -> AsyncIterator[None]:
    """Every connection to Redis is reset again and again."""

    async def reset() -> None:
        while True:
            site.backends.redis_proxy.reset_all()
            await asyncio.sleep(RESET_EVERY_SECONDS)

    tasks = TaskSet()
    tasks.start(reset(), "resets")
    try:
        yield
    finally:
        await tasks.aclose()


@asynccontextmanager
async def postgres_stopped(site: Site) -> AsyncIterator[None]:
    """PostgreSQL ends every session and stops."""
    await asyncio.to_thread(site.backends.postgres.process.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(site.backends.postgres.start)


@asynccontextmanager
async def postgres_read_only(site: Site) -> AsyncIterator[None]:
    """PostgreSQL takes no writes any more, as a demoted primary, and every connection stays."""
    postgres = site.backends.postgres
    await asyncio.to_thread(postgres.run_sql, f"ALTER SYSTEM SET {_READ_ONLY} = on", _RELOAD)
    try:
        yield
    finally:
        writable = (f"SET {_READ_ONLY} = off", f"ALTER SYSTEM RESET {_READ_ONLY}", _RELOAD)
        await asyncio.to_thread(postgres.run_sql, *writable)


_READ_ONLY: Final = "default_transaction_read_only"
_RELOAD: Final = "SELECT pg_reload_conf()"


@asynccontextmanager
async def control_planes_stopped(site: Site) -> AsyncIterator[None]:
    """Both control planes are killed."""
    for plane in site.control_planes:
        await asyncio.to_thread(plane.process.kill)
    try:
        yield
    finally:
        await asyncio.gather(*(asyncio.to_thread(plane.start) for plane in site.control_planes))


@asynccontextmanager
async def vault_sealed(site: Site) -> AsyncIterator[None]:
    """Vault is sealed."""
    await asyncio.to_thread(site.backends.vault.seal)
    try:
        yield
    finally:
        await asyncio.to_thread(site.backends.vault.unseal)


@asynccontextmanager
async def vault_stopped(site: Site) -> AsyncIterator[None]:
    """Vault's process ends; Vault comes back sealed and is unsealed."""
    await asyncio.to_thread(site.backends.vault.process.kill)
    try:
        yield
    finally:
        await asyncio.to_thread(site.backends.vault.start)
        await asyncio.to_thread(site.backends.vault.unseal)


@asynccontextmanager
async def vault_silent(site: Site) -> AsyncIterator[None]:
    """Connections to Vault stay open, and no byte comes through."""
    site.backends.vault_proxy.set(Weather("black_hole"))
    try:
        yield
    finally:
        site.backends.vault_proxy.set(Weather())


@asynccontextmanager
async def audit_blocked(site: Site) -> AsyncIterator[None]:
    """Vault's only audit device takes nothing more, so Vault answers no request."""
    root = site.backends.vault.root()
    sink = _AuditSink()
    port = await sink.open(0)
    address = {"address": f"127.0.0.1:{port}", "socket_type": "tcp", "write_timeout": "1s"}
    await asyncio.to_thread(root.sys.enable_audit_device, "socket", path=_BLOCKED, options=address)
    await asyncio.to_thread(root.sys.disable_audit_device, _AUDIT)
    await sink.close()
    try:
        yield
    finally:
        await sink.open(port)
        to_file = {"file_path": str(site.backends.vault.audit_file)}
        await asyncio.to_thread(root.sys.enable_audit_device, "file", path=_AUDIT, options=to_file)
        await asyncio.to_thread(root.sys.disable_audit_device, _BLOCKED)
        await sink.close()


_AUDIT: Final = "aigw"
_BLOCKED: Final = "blocked"


class _AuditSink:
    """Takes all bytes sent, and forgets them."""

    def __init__(self) -> None:
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def open(self, port: int) -> int:
        """Listen on `port`, or on a free port; give the port."""
        self._server = await asyncio.start_server(self._swallow, "127.0.0.1", port)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def close(self) -> None:
        """Refuse new connections and end the open connections."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _swallow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await reader.read(65_536):
                pass
        except ConnectionError:
            pass  # Vault let go of it
        finally:
            self._writers.discard(writer)
            writer.close()


@asynccontextmanager
async def everything_stopped(site: Site) -> AsyncIterator[None]:
    """Redis, Vault, PostgreSQL and both control planes are gone."""
    async with AsyncExitStack() as stack:
        # They come back in reverse, so what depends on the others comes last.
        for outage in (control_planes_stopped, postgres_stopped, vault_stopped, redis_stopped):
            await stack.enter_async_context(outage(site))
        yield
