"""Listeners for boxes on real sockets: prefaces, headers, unix sockets, TLS, and nodes coming and going."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.data_plane.bootstrap import DataPlane
from services.data_plane.settings import DataPlaneSettings
from shared.box_token import mint, public_key_text
from shared.clock import unix_now
from shared.config_feed import NodeKeyRow, NodeRow
from shared.listener import ListenError
from shared.proxy_preface import SIGNATURE, encode_preface
from tests.support.answers import head_bytes, json_answer
from tests.support.scripted_upstream import ScriptedUpstream, Send, WaitFor
from tests.unit.data_plane.test_bootstrap import KEYS, Bench, Running, bench, client, provider

__all__ = ["bench", "client"]  # fixtures of this file too

DEADLINE_SECONDS = 20.0
GET = b"GET /run9/ai/openai/v1/models HTTP/1.1\r\nHost: 10.0.2.2:1000\r\n\r\n"
STATUS = b"GET /run9/ai/ HTTP/1.1\r\nHost: 10.0.2.2:1000\r\nAccept: application/json\r\n\r\n"


def token(
    bench: Bench,
    org: str = "acme",
    *,
    kid: str = "kid-1",
    key: Ed25519PrivateKey | None = None,
    age: float = 0,
) -> bytes:
    made = mint(
        key or bench.node, kid, box="box-1", org=org, lifecycle="l", now=unix_now() - age, life_seconds=300
    )
    return made.encode()


@dataclass
class Line:
    """A raw connection, as opened by the node agent."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, data: bytes) -> tuple[bytes, bytes]:
        """Send a request; gives head and body of the answer."""
        self.writer.write(data)
        async with asyncio.timeout(DEADLINE_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            return head, await self.reader.readexactly(int(fields.get(b"content-length", b"0")))

    async def rest(self) -> bytes:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self.reader.read()


@asynccontextmanager
async def line(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Line]:
    name = "127.0.0.1" if tls else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()


async def started(bench: Bench, upstream: ScriptedUpstream, **changes: object) -> Running:
    bench.set_up(upstream)
    running = await bench.start(**({"identity_mode": "proxy-tlv"} | changes))
    await running.ready()
    return running


async def test_each_connection_is_the_box_of_its_preface_for_all_its_requests(bench: Bench) -> None:
    async with provider() as upstream:
        running = await started(bench, upstream)
        for org in KEYS:
            async with line(running.plane.box_port) as box:
                box.writer.write(encode_preface(token(bench, org)))
                for _ in range(3):
                    upstream.queue(json_answer({"to": org}))
                    _, body = await box.ask(GET)
                    assert org.encode() in body
                    assert upstream.requests[-1].credentials == [KEYS[org].encode()]


async def test_a_box_token_of_the_box_counts_for_nothing_and_is_not_sent_on(bench: Bench) -> None:
    async with provider() as upstream:
        running = await started(bench, upstream)
        claim = b"X-Run9-Box-Token: " + token(bench, "other") + b"\r\nX-Run9-Org: other\r\n\r\n"
        upstream.queue(json_answer({}))
        async with line(running.plane.box_port) as box:
            await box.ask(encode_preface(token(bench)) + GET[:-2] + claim)
        assert upstream.requests[-1].credentials == [KEYS["acme"].encode()]
        assert b"x-run9" not in upstream.requests[-1].head.lower()


async def test_without_a_preface_every_caller_is_refused_whatever_header_it_brings(bench: Bench) -> None:
    async with provider() as upstream:
        running = await started(bench, upstream)
        for lines in (b"", b"X-Run9-Box-Token: " + token(bench) + b"\r\n"):
            async with line(running.plane.box_port) as box:
                head, body = await box.ask(GET[:-2] + lines + b"\r\n")
                assert head.startswith(b"HTTP/1.1 400 ")
                assert b"x-run9-error: box_identity_required" in head
                assert b"no PROXY protocol v2 header" in body
                assert await box.rest() == b"", "the connection ends"
        assert upstream.requests == []


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"age": 400}, b"expired"),
        ({"kid": "kid-9"}, b"node is not known"),
        ({"key": Ed25519PrivateKey.generate()}, b"signature is wrong"),
    ],
)
async def test_a_token_that_proves_nothing_is_told_in_the_answer_and_counted(
    bench: Bench, client: httpx.AsyncClient, change: dict[str, object], detail: bytes
) -> None:
    async with provider() as upstream:
        running = await started(bench, upstream)
        async with line(running.plane.box_port) as box:
            bad = token(bench, **change)  # type: ignore[arg-type]  # the cases above name its arguments
            head, body = await box.ask(encode_preface(bad) + GET)
            assert b"x-run9-error: box_identity_required" in head
            assert detail in body
            assert await box.rest() == b""
        assert upstream.requests == []
        exposition = (await client.get(f"{running.admin}/metrics")).text
    counted = [text for text in exposition.splitlines() if text.startswith("aigw_identity_refusals_total{")]
    assert sum(float(text.rpartition(" ")[2]) for text in counted) == 1


async def test_a_broken_preface_is_answered_and_nothing_behind_it_is_read(bench: Bench) -> None:
    async with provider() as upstream:
        running = await started(bench, upstream)
        good = encode_preface(token(bench))
        for bad in (
            good[:12] + b"\x11" + good[13:],
            good[:14] + b"\xff\xff" + good[16:],
            good[:16] + b"\xe6" + good[17:],
            good[:15] + bytes([good[15] ^ 1]) + good[16:],
            good + good,
            SIGNATURE + b"\x21\0\0\0",
        ):
            async with line(running.plane.box_port) as box:
                box.writer.write(bad + GET)
                answer = await box.rest()
            assert answer.startswith(b"HTTP/1.1 400 "), bad
            assert answer.count(b"HTTP/1.1 ") == 1, bad
        assert upstream.requests == []


async def test_a_preface_may_come_in_any_two_pieces(bench: Bench) -> None:
    async with provider() as upstream:
        running = await started(bench, upstream)
        whole = encode_preface(token(bench)) + GET
        for cut in range(1, len(whole), 7):
            upstream.queue(json_answer({}))
            async with line(running.plane.box_port) as box:
                box.writer.write(whole[:cut])
                await asyncio.sleep(0.002)
                head, _ = await box.ask(whole[cut:])
                assert head.startswith(b"HTTP/1.1 200 ")


async def test_a_preface_that_does_not_come_ends_the_connection_at_its_deadline(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    async with provider() as upstream:
        running = await started(bench, upstream, preface_seconds=0.3)
        for begun in (b"", SIGNATURE, encode_preface(token(bench))[:-1]):
            async with line(running.plane.box_port) as box:
                box.writer.write(begun)
                assert await box.rest() == b""
        exposition = (await client.get(f"{running.admin}/metrics")).text
    assert 'aigw_identity_refusals_total{reason="late_preface"} 3.0' in exposition


async def test_a_local_preface_is_a_health_check_and_never_a_box(bench: Bench) -> None:
    async with provider() as upstream:
        running = await started(bench, upstream)
        async with line(running.plane.box_port) as check:
            check.writer.write(encode_preface(token(bench), command="local") + GET)
            answer = await check.rest()
        assert answer == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        assert upstream.requests == []


async def test_the_status_page_knows_the_box_of_the_preface(bench: Bench) -> None:
    async with provider() as upstream:
        running = await started(bench, upstream)
        async with line(running.plane.box_port) as box:
            _, body = await box.ask(encode_preface(token(bench, "other")) + STATUS)
        assert b'"org": "other"' in body


async def test_listeners_of_several_modes_live_beside_each_other(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "boxes.sock"
    listeners = f"header+tcp://127.0.0.1:0,proxy-tlv+unix://{path}?mode=0600"
    async with provider() as upstream:
        bench.set_up(upstream)
        running = await bench.start(box_listeners=listeners)
        await running.ready()
        assert path.stat().st_mode & 0o777 == 0o600
        port = running.plane.box_port
        assert running.plane.box_addresses == f"header+tcp://127.0.0.1:{port}, proxy-tlv+unix://{path}"
        upstream.queue(json_answer({}))
        upstream.queue(json_answer({}))
        box = Line(*await asyncio.open_unix_connection(str(path)))
        head, _ = await box.ask(encode_preface(token(bench)) + GET)
        assert head.startswith(b"HTTP/1.1 200 ")
        _, body = await box.ask(GET.replace(b"/openai/v1/models", b"/"))
        assert b"acme" in body
        box.writer.close()
        async with line(running.plane.box_port) as header_box:
            claim = b"X-Run9-Box-Token: " + token(bench, "other") + b"\r\n\r\n"
            head, _ = await header_box.ask(GET[:-2] + claim)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert upstream.requests[-1].credentials == [KEYS["other"].encode()]


async def test_a_socket_left_by_a_dead_process_is_replaced_and_a_live_one_is_not(
    bench: Bench, tmp_path: Path
) -> None:
    path = tmp_path / "boxes.sock"
    async with provider() as upstream:
        bench.set_up(upstream)
        await bench.start(box_listeners=f"proxy-tlv+unix://{path}")
        with pytest.raises(ListenError, match=r"another process listens there.*AIGW_BOX_LISTENERS"):
            await bench.start(box_listeners=f"proxy-tlv+unix://{path}")


@dataclass(frozen=True)
class Certificates:
    """A server's certificate, and clients with and without a certificate of the right authority."""

    changes: dict[str, object]
    known: ssl.SSLContext
    stranger: ssl.SSLContext
    nobody: ssl.SSLContext


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    servers, clients, others = trustme.CA(), trustme.CA(), trustme.CA()
    server = servers.issue_cert("127.0.0.1")
    server.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    server.private_key_pem.write_to_path(tmp_path / "server.key")
    clients.cert_pem.write_to_path(tmp_path / "clients.pem")

    def context(authority: trustme.CA | None) -> ssl.SSLContext:
        made = ssl.create_default_context()
        servers.configure_trust(made)
        if authority is not None:
            authority.issue_cert("agent.node-1.internal").configure_cert(made)
        return made

    changes: dict[str, object] = {
        "box_listeners": "proxy-tlv+tls://127.0.0.1:0",
        "box_tls_certificate_file": tmp_path / "server.pem",
        "box_tls_key_file": tmp_path / "server.key",
        "box_tls_client_ca_file": tmp_path / "clients.pem",
    }
    return Certificates(changes, context(clients), context(others), context(None))


async def test_over_tls_a_known_client_is_served_and_no_other(
    bench: Bench, certificates: Certificates
) -> None:
    async with provider() as upstream:
        bench.set_up(upstream)
        running = await bench.start(**certificates.changes)
        await running.ready()
        upstream.queue(json_answer({}))
        async with line(running.plane.box_port, certificates.known) as box:
            head, _ = await box.ask(encode_preface(token(bench)) + GET)
            assert head.startswith(b"HTTP/1.1 200 ")
            _, body = await box.ask(STATUS)
            assert b"acme" in body
        for refused in (certificates.stranger, certificates.nobody):
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                async with line(running.plane.box_port, refused) as box:
                    await box.ask(encode_preface(token(bench)) + GET)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            async with line(running.plane.box_port) as box:
                await box.ask(encode_preface(token(bench)) + GET)
        assert len(upstream.requests) == 1


async def test_over_tls_a_refused_upload_still_gets_its_answer(
    bench: Bench, certificates: Certificates
) -> None:
    async with provider() as upstream:
        bench.set_up(upstream)
        running = await bench.start(**certificates.changes)
        await running.ready()
        async with line(running.plane.box_port, certificates.known) as box:
            upload = GET.replace(b"GET", b"POST")[:-2] + b"Content-Length: 5000000\r\n\r\n" + bytes(1000)
            head, _ = await box.ask(encode_preface(token(bench, age=400)) + upload)
        assert b"box_identity_required" in head


def test_certificates_that_cannot_be_read_are_told_at_start(tmp_path: Path) -> None:
    settings = DataPlaneSettings(
        box_listeners=("proxy-tlv+tls://127.0.0.1:0",),
        box_tls_certificate_file=tmp_path / "none.pem",
        box_tls_key_file=tmp_path / "none.key",
    )
    with pytest.raises(ListenError, match=r"AIGW_BOX_TLS_.*No such file"):
        DataPlane.build(settings)


async def test_a_removed_node_is_refused_and_what_its_boxes_have_under_way_is_cut(bench: Bench) -> None:
    async with provider() as upstream:
        running = await started(bench, upstream)
        streaming = head_bytes("200 OK", [("Transfer-Encoding", "chunked")])
        upstream.queue([Send(streaming + b"3\r\nabc\r\n"), WaitFor(asyncio.Event())])
        upstream.queue([WaitFor(asyncio.Event())])
        upstream.queue(json_answer({}))
        async with (
            line(running.plane.box_port) as stream,
            line(running.plane.box_port) as flight,
            line(running.plane.box_port) as idle,
        ):
            stream.writer.write(encode_preface(token(bench)) + GET)
            await stream.reader.readuntil(b"abc\r\n")
            flight.writer.write(encode_preface(token(bench)) + GET)
            await running.until(lambda: _asked(upstream, 2))
            await idle.ask(encode_preface(token(bench)) + GET)
            gone = NodeRow("node-1", "kid-1", public_key_text(bench.node.public_key()))
            bench.publish(bench.truth.remove_node(gone))
            with pytest.raises(ConnectionResetError):
                await stream.rest()
            assert b"box_identity_required" in await flight.rest()
            assert await idle.rest() == b""
        async with line(running.plane.box_port) as late:
            head, body = await late.ask(encode_preface(token(bench)) + GET)
        assert b"box_identity_required" in head
        assert b"node is not known" in body


async def test_a_key_is_rotated_with_overlap_and_no_request_fails(bench: Bench) -> None:
    new = Ed25519PrivateKey.generate()
    old_row = NodeKeyRow("kid-1", public_key_text(bench.node.public_key()))
    new_row = NodeKeyRow("kid-2", public_key_text(new.public_key()))
    async with provider() as upstream:
        running = await started(bench, upstream)
        async with line(running.plane.box_port) as kept:

            async def ask(through: Line, first: bytes = b"") -> bytes:
                upstream.queue(json_answer({}))
                return (await through.ask(first + GET))[0]

            async def ask_anew(**signed: object) -> bytes:
                async with line(running.plane.box_port) as fresh:
                    made = token(bench, **signed)  # type: ignore[arg-type]  # its arguments
                    return await ask(fresh, encode_preface(made))

            by_new = {"kid": "kid-2", "key": new}
            assert b" 200 " in await ask(kept, encode_preface(token(bench)))
            both = NodeRow("node-1", old_row.kid, old_row.public_key, (new_row,))
            bench.publish(bench.truth.put_node(both))
            await running.until(lambda: _known(running, "kid-2"))
            for head in (await ask(kept), await ask_anew(), await ask_anew(**by_new)):
                assert b" 200 " in head
            bench.publish(bench.truth.put_node(NodeRow("node-1", new_row.kid, new_row.public_key)))
            assert await kept.rest() == b"", "proved by a key that is gone"
            assert b" 200 " in await ask_anew(**by_new)
        async with line(running.plane.box_port) as late:
            head, _ = await late.ask(encode_preface(token(bench)) + GET)
        assert b" 400 " in head


async def _asked(upstream: ScriptedUpstream, count: int) -> bool:
    return len(upstream.requests) == count


async def _known(running: Running, kid: str) -> bool:
    return kid in running.plane._parts.table.node_keys
