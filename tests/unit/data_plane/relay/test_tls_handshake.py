"""Connections on a TLS listener before their handshake is done: counted, bounded and ended in time."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trustme

from shared.proxy_preface import encode_preface
from tests.support.answers import json_answer
from tests.support.scripted_upstream import ScriptedUpstream
from tests.unit.data_plane.test_bootstrap import Bench, Running, bench, client, provider
from tests.unit.data_plane.test_box_listeners import GET, line, token

__all__ = ["bench", "client"]  # fixtures of this file too

CLIENT_HELLO_BEGUN = b"\x16\x03\x01\x02\x00\x01"
PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Site:
    """A folder with the certificate of a data plane, and the authorities of both ends."""

    folder: Path
    servers: trustme.CA
    clients: trustme.CA

    @classmethod
    def in_folder(cls, folder: Path) -> Site:
        site = cls(folder, trustme.CA(), trustme.CA())
        site.renew()
        site.clients.cert_pem.write_to_path(folder / "clients.pem")
        return site

    def renew(self) -> None:
        """Give the data plane another certificate."""
        made = self.servers.issue_cert("127.0.0.1")
        made.cert_chain_pems[0].write_to_path(self.folder / "server.pem")
        made.private_key_pem.write_to_path(self.folder / "server.key")

    def settings(self, **changes: object) -> dict[str, object]:
        return {
            "box_listeners": "proxy-tlv+tls://127.0.0.1:0",
            "box_tls_certificate_file": self.folder / "server.pem",
            "box_tls_key_file": self.folder / "server.key",
            "box_tls_client_ca_file": self.folder / "clients.pem",
            **changes,
        }

    def client(self, *, not_after: dt.datetime | None = None) -> ssl.SSLContext:
        """Give the TLS of a client with a certificate."""
        context = ssl.create_default_context()
        self.servers.configure_trust(context)
        issued = self.clients.issue_cert("agent.node-1.internal", not_before=PAST, not_after=not_after)
        issued.configure_cert(context)
        return context


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.in_folder(tmp_path)


@asynccontextmanager
async def serving(
    bench: Bench, site: Site, **changes: object
) -> AsyncIterator[tuple[Running, ScriptedUpstream]]:
    async with provider() as upstream:
        bench.set_up(upstream)
        running = await bench.start(**site.settings(**changes))
        await running.ready()
        yield running, upstream


async def status(running: Running, upstream: ScriptedUpstream, tls: ssl.SSLContext, bench: Bench) -> bytes:
    upstream.queue(json_answer({}))
    return await asked(running, tls, bench)


async def asked(running: Running, tls: ssl.SSLContext, bench: Bench) -> bytes:
    async with line(running.plane.box_port, tls) as box:
        head, _ = await box.ask(encode_preface(token(bench)) + GET)
        return head.split(b" ")[1]


async def numbers(running: Running, client: httpx.AsyncClient) -> dict[str, float]:
    text = (await client.get(f"{running.admin}/metrics")).text
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def failures(found: dict[str, float]) -> dict[str, float]:
    prefix = 'aigw_box_tls_handshake_failures_total{fault="'
    return {
        name.removeprefix(prefix).removesuffix('"}'): value
        for name, value in found.items()
        if name.startswith(prefix) and value
    }


async def test_a_client_that_never_finishes_the_handshake_is_counted_and_ended_at_its_deadline(
    bench: Bench, site: Site, client: httpx.AsyncClient
) -> None:
    async with (
        serving(bench, site, tls_handshake_seconds=2) as (running, upstream),
        AsyncExitStack() as stack,
    ):
        silent = [await stack.enter_async_context(line(running.plane.box_port)) for _ in range(4)]
        silent[0].writer.write(CLIENT_HELLO_BEGUN)

        async def are_counted() -> bool:
            return (await numbers(running, client))["aigw_box_connections"] == 4

        await running.until(are_counted)
        assert await status(running, upstream, site.client(), bench) == b"200"
        for each in silent:
            assert await each.rest() == b""
        found = await numbers(running, client)
    assert failures(found) == {"late": 4}
    assert found["aigw_box_connections"] == 0


async def test_more_silent_clients_than_there_is_room_for_displace_each_other_and_no_known_client(
    bench: Bench, site: Site, client: httpx.AsyncClient
) -> None:
    settings = {"max_unidentified_connections": 8, "tls_handshake_seconds": 60}
    async with serving(bench, site, **settings) as (running, upstream), AsyncExitStack() as stack:
        upstream.queue(json_answer({}))
        known = await stack.enter_async_context(line(running.plane.box_port, site.client()))
        await known.ask(encode_preface(token(bench)) + GET)
        for _ in range(40):
            await stack.enter_async_context(line(running.plane.box_port))

        async def are_displaced() -> bool:
            return failures(await numbers(running, client)) == {"displaced": 32}

        await running.until(are_displaced)
        assert await status(running, upstream, site.client(), bench) == b"200"
        upstream.queue(json_answer({}))
        head, _ = await known.ask(GET)
        assert head.startswith(b"HTTP/1.1 200 ")


async def test_an_expired_certificate_of_a_client_and_a_client_without_tls_are_refused_and_counted(
    bench: Bench, site: Site, client: httpx.AsyncClient
) -> None:
    async with serving(bench, site) as (running, upstream):
        expired = site.client(not_after=PAST + dt.timedelta(days=30))
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await asked(running, expired, bench)
        async with line(running.plane.box_port) as plain:
            plain.writer.write(encode_preface(token(bench)) + GET)
            assert b"HTTP/1.1" not in await plain.rest()

        async def are_counted() -> bool:
            return failures(await numbers(running, client)) == {"refused": 2}

        await running.until(are_counted)
        assert upstream.requests == []


async def test_bytes_right_behind_the_handshake_are_never_lost(bench: Bench, site: Site) -> None:
    async with serving(bench, site) as (running, upstream):
        tls = site.client()
        assert [await status(running, upstream, tls, bench) for _ in range(40)] == [b"200"] * 40


async def test_a_renewed_certificate_is_shown_to_new_connections_while_old_ones_go_on(
    bench: Bench, site: Site
) -> None:
    async with serving(bench, site) as (running, upstream):
        tls = site.client()

        async def shown() -> bytes | None:
            async with line(running.plane.box_port, tls) as box:
                found: bytes | None = box.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
                return found

        first = await shown()
        async with line(running.plane.box_port, tls) as old:
            upstream.queue(json_answer({}))
            await old.ask(encode_preface(token(bench)) + GET)
            site.renew()

            async def is_renewed() -> bool:
                return await shown() != first

            await running.until(is_renewed)
            upstream.queue(json_answer({}))
            head, _ = await old.ask(GET)
            assert head.startswith(b"HTTP/1.1 200 ")
        assert await status(running, upstream, tls, bench) == b"200"
