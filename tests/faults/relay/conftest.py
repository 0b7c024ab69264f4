"""Shared parts of the tests of a provider's faults: the relay's fixtures, certificates, a box's answer."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import trustme

from tests.relay.conftest import (
    KEY,
    BoxClient,
    RelayUnderTest,
    pytest_asyncio_loop_factories,
    request,
    run_relay,
)
from tests.support.answers import chunk_bytes, head_bytes
from tests.support.scripted_upstream import ScriptedUpstream, Send, WaitFor

__all__ = ["pytest_asyncio_loop_factories", "run_relay"]

OTHER_KEY = "sk-other-org-key-0123456789"
CHUNKED = head_bytes("200 OK", [("Transfer-Encoding", "chunked")])
MAX_MESSAGE_CHARS = 300
_ENDPOINT = re.compile(r"The host 127\.0\.0\.1(:\d+)?, a custom endpoint for OpenAI,")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """The TLS context of a relay, with trust in the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def serving(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*(names or ("127.0.0.1", "localhost"))).configure_cert(context)
    return context


@pytest.fixture(params=["plain", "tls"])
def wire(request: pytest.FixtureRequest, authority: trustme.CA) -> ssl.SSLContext | None:
    return serving(authority) if request.param == "tls" else None


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record.getMessage() for record in caplog.get_records("call")] == []


@dataclass
class Told:
    """The answer to the box: status, code and source of an answer of the gateway's own."""

    status: int
    code: str
    source: str
    message: str
    keeps: bool

    @classmethod
    async def read(cls, client: BoxClient) -> Told:
        head, body = await client.read_answer()
        while head.startswith(b"HTTP/1.1 1"):
            head, body = await client.read_answer()
        fields = dict(
            line.decode().lower().split(": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line
        )
        message = json.loads(body)["error"]["message"]
        assert "\n" not in message
        assert len(message) < MAX_MESSAGE_CHARS
        assert "127.0.0.1" not in _ENDPOINT.sub("", message, count=1), "an address beside the endpoint's own"
        assert KEY.encode() not in head + body
        keeps = fields.get("connection") != "close"
        return cls(int(head[9:12]), fields["x-run9-error"], fields["x-run9-error-source"], message, keeps)


@asynccontextmanager
async def a_neighbour_streams(gateway: RelayUnderTest) -> AsyncIterator[None]:
    """Another org's stream is under way while the body runs, and ends well after it."""
    go_on = asyncio.Event()
    first, last = Send(CHUNKED + chunk_bytes(b"first")), Send(chunk_bytes(b"last") + b"0\r\n\r\n")
    async with ScriptedUpstream(keys=frozenset({OTHER_KEY.encode()})) as upstream:
        gateway.set_up(f"{upstream.origin}/v1", org="org-1", key=OTHER_KEY)
        upstream.queue((first, WaitFor(go_on), last))
        client = await gateway.connect()
        client.send(request("GET", "/v1/models", "X-Run9-Box-Token: org-1/box"))
        await client.read_until(b"first\r\n")
        yield
        go_on.set()
        assert await client.read_until(b"0\r\n\r\n") == b"4\r\nlast\r\n0\r\n\r\n"
        client.close()
