"""A whole data plane on loopback, between a control plane giving snapshots and a scripted provider."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.data_plane.bootstrap import DataPlane
from services.data_plane.settings import DataPlaneSettings
from shared.box_token import mint, public_key_text
from shared.clock import unix_now
from shared.config_feed import Event, NodeRow, OrgRow, encode_event, encode_snapshot, snapshot_etag
from shared.listener import ListenError, bind, port_of, serve
from shared.memory_stream import MemoryStream
from shared.sealed_file import KEY_BYTES, KEY_FILE, file_of, seal
from shared.secret import Secret
from shared.secret_document import SecretDocument, to_json
from shared.tasks import TaskSet
from tests.support.answers import chunk_bytes, head_bytes, json_answer
from tests.support.config_truth import Truth, document, row
from tests.support.scripted_upstream import ScriptedUpstream, Send, WaitFor

GENEROUS_SECONDS = 30
Run = Callable[[Callable[[], None]], Coroutine[None, None, None]]
STORE_KEY = bytes(KEY_BYTES)
TOKEN = "fleet-token-0123456789"
KEYS = {"acme": "sk-acme-canary", "other": "sk-other-canary"}


@dataclass
class Bench:
    """Everything around one data plane."""

    folder: Path
    truth: Truth = field(default_factory=Truth)
    stream: MemoryStream = field(default_factory=MemoryStream)
    node: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: TaskSet = field(default_factory=TaskSet)
    control_plane_up: bool = True

    def snapshot(self, request: Request) -> Response:
        now = self.truth.now
        if not self.control_plane_up:
            return Response(status_code=500)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return Response(status_code=401)
        if request.headers.get("if-none-match") == snapshot_etag(now.epoch, now.revision):
            return Response(status_code=304)
        return Response(encode_snapshot(now))

    def put_secret(self, version: int, stored: SecretDocument) -> None:
        key_file = self.folder / KEY_FILE
        key_file.write_bytes(STORE_KEY)
        key_file.chmod(0o600)
        path = file_of(self.folder, stored.org, stored.provider, version)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(seal(STORE_KEY, stored.org, stored.provider, version, to_json(stored)))

    def set_up(self, upstream: ScriptedUpstream) -> None:
        """Give both orgs their key at the upstream, and let a node sign for boxes."""
        self.truth.put_node(NodeRow("node-1", "kid-1", public_key_text(self.node.public_key())))
        for org, key in KEYS.items():
            self.put_secret(1, document(org, endpoint=f"{upstream.origin}/v1", key=key))
            self.truth.put_org(OrgRow(org, org.title(), (f"ann@{org}.example",)))
            self.truth.put(row(org))

    def publish(self, event: Event) -> None:
        self.stream.append(event.revision, encode_event(event))

    async def start_control_plane(self) -> int:
        listener = bind("127.0.0.1", 0, option="")
        app = Starlette(routes=[Route("/internal/v1/snapshot", self.snapshot)])
        await self.started(lambda up: serve(app, listener, stop=self.stop, started=up))
        return port_of(listener)

    async def started(self, run: Run) -> asyncio.Task[None]:
        """Run a part in the background; returns after its start, raises if the part ends before."""
        up = asyncio.Event()
        task = self.tasks.start(run(up.set), "part")
        async with asyncio.timeout(GENEROUS_SECONDS):
            while not (up.is_set() or task.done()):  # noqa: ASYNC110  # either may come first
                await asyncio.sleep(0.005)
        if task.done():
            await task
        return task

    def settings(self, control_plane_port: int, **changes: object) -> DataPlaneSettings:
        values = {
            "environment": "development",
            **({} if "box_listeners" in changes else {"box_port": 0}),
            "admin_port": 0,
            "drain_seconds": 5,
            "control_plane_internal_url": f"http://127.0.0.1:{control_plane_port}",
            "internal_token": Secret(TOKEN),
            "secret_store_url": f"local://{self.folder}",
            "endpoint_address_exceptions": "127.0.0.0/8",
            "allow_plain_http_endpoints": True,
            "access_log": "off",
        }
        return DataPlaneSettings.model_validate(values | changes)

    async def start(self, **changes: object) -> Running:
        plane = DataPlane.build(
            self.settings(await self.start_control_plane(), **changes), stream=self.stream
        )
        task = await self.started(lambda up: plane.run(started=up, stop=self.stop))
        return Running(self, plane, task)


@dataclass
class Running:
    bench: Bench
    plane: DataPlane
    task: asyncio.Task[None]

    @property
    def boxes(self) -> str:
        return f"http://127.0.0.1:{self.plane.box_port}/run9/ai"

    @property
    def admin(self) -> str:
        return f"http://127.0.0.1:{self.plane.admin_port}"

    async def ready(self) -> None:
        async with asyncio.timeout(GENEROUS_SECONDS):
            await self.plane.ready.wait()

    def token(self, org: str) -> dict[str, str]:
        token = mint(
            self.bench.node, "kid-1", box="box-1", org=org, lifecycle="l", now=unix_now(), life_seconds=300
        )
        return {"x-run9-box-token": token}

    async def until(self, look: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(GENEROUS_SECONDS):
            while not await look():  # noqa: ASYNC110  # what is looked at is behind HTTP
                await asyncio.sleep(0.01)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.stop.set()
    async with asyncio.timeout(GENEROUS_SECONDS):
        while len(made.tasks):  # noqa: ASYNC110  # they end by themselves
            await asyncio.sleep(0.01)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=GENEROUS_SECONDS) as made:
        yield made


@asynccontextmanager
async def provider() -> AsyncIterator[ScriptedUpstream]:
    keys = frozenset(key.encode() for key in KEYS.values())
    async with ScriptedUpstream(keys=keys, base_path=b"/v1/") as upstream:
        yield upstream


async def test_each_org_reaches_the_provider_with_its_own_key(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    async with provider() as upstream:
        bench.set_up(upstream)
        running = await bench.start()
        await running.ready()
        for org in ("acme", "other", "acme"):
            upstream.queue(json_answer({"to": org}))
            answer = await client.get(f"{running.boxes}/openai/v1/models", headers=running.token(org))
            assert answer.json() == {"to": org}
            assert upstream.requests[-1].credentials == [KEYS[org].encode()]
        exposition = (await client.get(f"{running.admin}/metrics")).text
        assert (
            'aigw_exchanges_total{code="",outcome="answered",provider="openai",status="200"} 3.0'
            in exposition
        )


async def test_without_a_valid_token_nothing_is_sent(bench: Bench, client: httpx.AsyncClient) -> None:
    async with provider() as upstream:
        bench.set_up(upstream)
        running = await bench.start()
        await running.ready()
        for headers in ({}, {"x-run9-box-token": "a.b.c"}):
            answer = await client.get(f"{running.boxes}/openai/v1/models", headers=headers)
            assert answer.headers["x-run9-error"] == "box_identity_required"
        assert upstream.requests == []


async def test_disabling_by_an_event_applies_and_cuts_the_running_stream(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    async with provider() as upstream:
        bench.set_up(upstream)
        running = await bench.start()
        await running.ready()
        never = asyncio.Event()
        head = head_bytes("200 OK", [("transfer-encoding", "chunked")])
        upstream.queue((Send(head + chunk_bytes(b"first")), WaitFor(never)))
        url, headers = f"{running.boxes}/openai/v1/models", running.token("acme")
        async with client.stream("GET", url, headers=headers) as streaming:
            pieces = streaming.aiter_raw()
            assert await anext(pieces) == b"first"
            bench.publish(bench.truth.put(row(enabled=False)))
            with pytest.raises(httpx.ReadError):
                await anext(pieces)
        answer = await client.get(url, headers=headers)
        assert answer.headers["x-run9-error"] == "integration_disabled"


async def test_a_process_without_configuration_says_so_and_becomes_ready_later(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    async with provider() as upstream:
        bench.set_up(upstream)
        bench.control_plane_up = False
        running = await bench.start()
        url, headers = f"{running.boxes}/openai/v1/models", running.token("acme")
        answer = await client.get(url, headers=headers)
        assert (answer.status_code, answer.headers["x-run9-error"]) == (503, "config_unavailable")
        assert (await client.get(f"{running.admin}/readyz")).status_code == 503
        bench.control_plane_up = True
        await running.ready()
        upstream.queue(json_answer({}))
        assert (await client.get(url, headers=headers)).status_code == 200
        bench.control_plane_up = False
        assert (await client.get(f"{running.admin}/readyz")).status_code == 200


async def test_the_status_page_is_served_behind_the_relay(bench: Bench, client: httpx.AsyncClient) -> None:
    async with provider() as upstream:
        bench.set_up(upstream)
        running = await bench.start()
        await running.ready()
        upstream.queue(json_answer({}, status="429 Too Many Requests", head=[("x-request-id", "req_77")]))
        await client.get(f"{running.boxes}/openai/v1/models", headers=running.token("acme"))
        headers = running.token("acme") | {"accept": "application/json"}
        page = (await client.get(f"{running.boxes}/", headers=headers)).json()
        assert page["box"]["org_name"] == "Acme"
        assert [item["state"] for item in page["providers"]] == ["on", "missing"]
        assert page["providers"][0]["last_error"]["request_id"] == "req_77"
        assert page["providers"][0]["base_url"] == f"{running.boxes}/openai/v1/"
        assert "canary" not in json.dumps(page)
        assert "run9_origin=" in (await client.get(f"{running.boxes}/setup.sh")).text


async def test_a_stop_lets_a_running_answer_finish_and_is_not_ready_meanwhile(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    async with provider() as upstream:
        bench.set_up(upstream)
        running = await bench.start()
        await running.ready()
        go_on = asyncio.Event()
        head = head_bytes("200 OK", [("content-length", "2")])
        upstream.queue((Send(head + b"o"), WaitFor(go_on), Send(b"k")))
        url = f"{running.boxes}/openai/v1/models"
        async with client.stream("GET", url, headers=running.token("acme")) as streaming:
            pieces = streaming.aiter_raw()
            assert await anext(pieces) == b"o"
            stop, bench.stop = bench.stop, asyncio.Event()
            stop.set()

            async def draining() -> bool:
                return (await client.get(f"{running.admin}/readyz")).status_code == 503

            await running.until(draining)
            go_on.set()
            assert await anext(pieces) == b"k"
        async with asyncio.timeout(GENEROUS_SECONDS):
            await running.task


async def test_static_mode_needs_no_token(bench: Bench, client: httpx.AsyncClient) -> None:
    async with provider() as upstream:
        bench.set_up(upstream)
        running = await bench.start(identity_mode="static", static_org="other")
        await running.ready()
        upstream.queue(json_answer({}))
        await client.get(f"{running.boxes}/openai/v1/models")
        assert upstream.requests[-1].credentials == [KEYS["other"].encode()]


async def test_a_taken_port_names_the_setting_and_frees_the_other_port(bench: Bench) -> None:
    taken = bind("127.0.0.1", 0, option="")
    free = bind("127.0.0.1", 0, option="")
    box_port = port_of(free)
    free.close()
    with pytest.raises(ListenError, match="AIGW_ADMIN_PORT"):
        await bench.start(box_port=box_port, admin_port=port_of(taken))
    bind("127.0.0.1", box_port, option="").close()
    taken.close()


async def test_without_a_stream_changes_come_by_polling(bench: Bench, client: httpx.AsyncClient) -> None:
    async with provider() as upstream:
        bench.set_up(upstream)
        settings = bench.settings(await bench.start_control_plane(), snapshot_poll_seconds=0.05)
        plane = DataPlane.build(settings)
        running = Running(
            bench, plane, await bench.started(lambda up: plane.run(started=up, stop=bench.stop))
        )
        await running.ready()
        bench.truth.put(row(enabled=False))

        async def disabled() -> bool:
            url = f"{running.boxes}/openai/v1/models"
            upstream.respond = lambda _: json_answer({})
            answer = await client.get(url, headers=running.token("acme"))
            return "integration_disabled" in answer.headers.values()

        await running.until(disabled)
