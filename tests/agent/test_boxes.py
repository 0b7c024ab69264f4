"""Attaching and detaching through a real agent process, and whose identity connections then carry."""

from __future__ import annotations

import asyncio
import socket
import stat
import struct
from collections import Counter
from pathlib import Path

import httpx

from tests.agent.node import Node
from tests.support.node_agent import PrefacedServer
from tests.support.polling import eventually


def _client(listen: dict[str, str]) -> httpx.AsyncClient:
    if "unix" in listen:
        transport = httpx.AsyncHTTPTransport(uds=listen["unix"])
        return httpx.AsyncClient(transport=transport, base_url="http://10.0.2.2:1000", timeout=30)
    return httpx.AsyncClient(base_url=f"http://{listen['address']}", trust_env=False, timeout=30)


async def _who(listen: dict[str, str]) -> dict[str, str]:
    """Give the identity that a new connection carries."""
    async with _client(listen) as client:
        found: dict[str, str] = (await client.get("/")).json()
        return found


def _mode(path: str) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_each_box_is_known_by_the_listener_that_it_reaches(node: Node) -> None:
    places = {"a": node.plain(), "b": node.plain(), "c": {"unix": f"{node.folder}/c.sock", "mode": "0600"}}
    for box, listen in places.items():
        await node.rest.attached(box, f"org-{box}", listen)
    for box, listen in places.items():
        assert await _who(listen) == {"org": f"org-{box}", "box": box, "life": "1"}
    assert [_mode(places["c"]["unix"]), _mode(str(node.agent.socket))] == [0o600, 0o600]
    assert sum(plane.refused for plane in node.planes) == 0


async def test_the_same_again_changes_nothing_and_another_life_closes_the_old_one_first(node: Node) -> None:
    listen = node.plain()
    first = await node.rest.attached("a", "acme", listen)
    async with _client(listen) as client, client.stream("GET", "/stream") as answer:
        stream = answer.aiter_bytes()
        await anext(stream)
        again = await node.rest.attached("a", "acme", listen)
        assert again["generation"] == first["generation"]
        assert again["connections"] == 1
        await anext(stream)
        second = await node.rest.attached("a", "acme", listen, life="2")
        assert second["generation"] > first["generation"]
        assert await _ends_by_a_reset(stream)
    assert (await _who(listen))["life"] == "2"


async def _ends_by_a_reset(stream: object) -> bool:
    try:
        async for _ in stream:  # type: ignore[attr-defined]  # an asynchronous iterator of bytes
            pass
    except httpx.ReadError:
        return True
    return False


async def test_detaching_ends_every_connection_of_that_life_and_of_no_other(node: Node) -> None:
    listen, other = node.plain(), node.plain()
    await node.rest.attached("a", "acme", listen)
    await node.rest.attached("b", "acme", other)
    async with (
        _client(listen) as mine,
        _client(other) as theirs,
        mine.stream("GET", "/stream") as ended,
        theirs.stream("GET", "/stream") as goes_on,
    ):
        streams = ended.aiter_bytes(), goes_on.aiter_bytes()
        for stream in streams:
            await anext(stream)
        assert await node.rest.detach("a", life="0") == 409
        await anext(streams[0])
        assert await node.rest.detach("a") == 204
        assert await _ends_by_a_reset(streams[0])
        await anext(streams[1])
    assert await node.rest.detach("a") == 204
    with socket.socket() as closed:
        assert closed.connect_ex(("127.0.0.1", int(listen["address"].rpartition(":")[2]))) != 0


async def test_a_place_is_never_taken_from_another_box(node: Node) -> None:
    listen = node.plain()
    await node.rest.attached("a", "acme", listen)
    answer = await node.rest.attach("b", "other", listen)
    assert answer.status_code == 409
    assert "Box a is attached there" in answer.json()["detail"]
    assert (await _who(listen))["org"] == "acme"
    assert await node.rest.detach("a") == 204
    await node.rest.attached("b", "other", listen)
    assert (await _who(listen))["org"] == "other"


async def test_a_listener_that_cannot_be_made_says_why_and_nothing_is_attached(node: Node) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answers = [
            await node.rest.attach("a", "acme", {"address": f"127.0.0.1:{port}"}),
            await node.rest.attach("a", "acme", {"netns": "no-such-namespace", "address": "127.0.0.1:1000"}),
            await node.rest.attach("a", "acme", {"address": "192.0.2.7:1000"}),
            await node.rest.attach("a", "acme", {"unix": "/no/such/folder/a.sock"}),
            await node.rest.attach("a", "acme", {"address": "0.0.0.0:1000"}),
        ]
    assert [answer.status_code for answer in answers] == [409, 422, 422, 422, 422]
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in answers)
    assert (await node.rest.client.get("/v1/boxes")).json() == {"boxes": []}


async def test_a_file_that_is_no_socket_is_never_removed(node: Node) -> None:
    path = node.folder / "precious"
    path.write_text("data")
    answer = await node.rest.attach("a", "acme", {"unix": str(path)})
    assert answer.status_code == 409
    assert path.read_text() == "data"


async def test_resets_and_ends_reach_the_box_as_what_they_are(node: Node) -> None:
    listen = node.plain()
    await node.rest.attached("a", "acme", listen)
    host, _, port = listen["address"].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /reset HTTP/1.1\r\n\r\n")
    try:
        await reader.read()
        ended_by_a_reset = False
    except ConnectionResetError:
        ended_by_a_reset = True
    writer.close()
    assert ended_by_a_reset
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    writer.write_eof()  # the server answers, sees the end, and closes
    assert b'"org": "acme"' in await reader.read()
    writer.close()


async def test_a_reset_of_the_box_ends_the_connection_to_the_data_plane_at_once(node: Node) -> None:
    listen = node.plain()
    await node.rest.attached("a", "acme", listen)
    host, _, port = listen["address"].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /stream HTTP/1.1\r\n\r\n")
    await reader.readuntil(b"data: 3\n")
    assert sum(plane.open_connections for plane in node.planes) == 1
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    await eventually(lambda: _all_left(node), "the data plane is left")


async def _all_left(node: Node) -> bool:
    return sum(plane.open_connections for plane in node.planes) == 0


async def test_an_early_answer_reaches_a_box_that_still_uploads(node: Node) -> None:
    listen = node.plain()
    await node.rest.attached("a", "acme", listen)
    host, _, port = listen["address"].rpartition(":")
    for _ in range(20):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /early HTTP/1.1\r\n\r\n" + bytes(300_000))
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
        writer.transport.abort()


async def test_no_descriptor_is_left_behind_by_boxes_that_come_and_go_on_one_place(node: Node) -> None:
    listen = node.plain()
    pid = node.agent.process.pid
    await node.rest.attached("a", "acme", listen)
    await _who(listen)
    assert await node.rest.detach("a") == 204
    before = _descriptors(pid)
    seen: Counter[str] = Counter()
    for turn in range(60):
        org = f"org-{turn % 3}"
        await node.rest.attached("a", org, listen, life=str(turn))
        found = await _who(listen)
        seen[found["org"]] += found == {"org": org, "box": "a", "life": str(turn)}
        assert await node.rest.detach("a", life=str(turn)) == 204
    assert seen.total() == 60

    async def given_back() -> bool:
        # Besides, a health check of each data plane keeps its connection.
        return _descriptors(pid) <= before + len(node.planes)

    await eventually(given_back, "descriptors are given back")


async def test_a_data_plane_that_drains_or_dies_gets_no_new_connection(node: Node) -> None:
    listen = node.plain()
    await node.rest.attached("a", "acme", listen)
    drained, other = node.planes
    drained.ready = False
    await eventually(lambda: _stands(node, drained, "draining"), "the agent sees that it drains")
    await eventually(lambda: _stands(node, other, "ready"), "the agent sees that the other is ready")
    before = drained.served.total()
    for _ in range(20):
        await _who(listen)
    assert drained.served.total() == before
    drained.ready = True
    await other.stop()
    for _ in range(20):
        assert (await _who(listen))["org"] == "acme"


async def _stands(node: Node, plane: PrefacedServer, condition: str) -> bool:
    line = f'aigw_agent_target{{condition="{condition}",target="tcp://127.0.0.1:{plane.port}"}} 1.0'
    return line in (await node.rest.client.get("/metrics")).text


async def test_without_any_data_plane_a_box_gets_an_answer_in_both_providers_shapes(node: Node) -> None:
    listen = node.plain()
    await node.rest.attached("a", "acme", listen)
    for plane in node.planes:
        await plane.stop()
    async with _client(listen) as client:
        answer = await client.post("/run9/ai/openai/v1/responses", content=bytes(100_000))
    assert answer.status_code == 503
    assert answer.headers["x-run9-error"] == "gateway_unreachable"
    assert (await node.rest.box("a"))["last_error"]["message"] == "No data plane could be reached."
    await eventually(lambda: _is_not_ready(node), "the agent is not ready")
    assert (await node.rest.client.get("/livez")).status_code == 200


async def _is_not_ready(node: Node) -> bool:
    return (await node.rest.client.get("/readyz")).status_code == 503


async def test_neither_rest_nor_disk_nor_log_holds_a_token_or_key(node: Node) -> None:
    await node.rest.attached("a", "acme", node.plain())
    key = b"".join(node.agent.key_file.read_bytes().splitlines()[1:-1])
    paths = ("/v1/boxes", "/v1/boxes/a", "/metrics", "/readyz", "/openapi.json", "/nowhere")
    answers = [await node.rest.client.get(path) for path in paths]
    files = [path.read_bytes() for path in (node.folder / "state").rglob("*") if path.is_file()]
    texts = [*files, *(answer.content for answer in answers), node.agent.process.log.encode()]
    assert not [text for text in texts if key in text or b"eyJ" in text]
