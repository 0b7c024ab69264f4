"""TLS between agent and data planes: both ends prove themselves, in time, and certificates may change."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import trustme

from tests.agent.node import Node, agent_before
from tests.support.node_agent import Agent, PrefacedServer
from tests.support.polling import eventually
from tests.support.servers.process import short_folder

PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
A_MONTH = dt.timedelta(days=30)
RENEWED_SECONDS = 30.0


@dataclass
class Authorities:
    """Two authorities, for either end, and the agent's files."""

    folder: Path
    planes: trustme.CA = field(default_factory=trustme.CA)
    nodes: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self) -> None:
        self.trust(self.planes)

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def certificate(self) -> Path:
        return self.folder / "node.pem"

    def trust(self, authority: trustme.CA) -> None:
        """Have the agent verify data planes by this authority from now on."""
        authority.cert_pem.write_to_path(self.folder / "ca.new")
        (self.folder / "ca.new").replace(self.ca_file)

    def certify_node(self, *, not_after: dt.datetime | None = None) -> None:
        """Give the agent a certificate."""
        made = self.nodes.issue_cert("node-1.internal", not_before=PAST, not_after=not_after)
        made.private_key_and_cert_chain_pem.write_to_path(self.folder / "node.new")
        (self.folder / "node.new").replace(self.certificate)

    def plane(
        self,
        name: str = "127.0.0.1",
        *,
        by: trustme.CA | None = None,
        not_after: dt.datetime | None = None,
        demands: bool = False,
    ) -> ssl.SSLContext:
        """Give the TLS of a data plane; it `demands` a certificate of the agent."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (by or self.planes).issue_cert(name, not_before=PAST, not_after=not_after).configure_cert(context)
        if demands:
            self.nodes.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def settings(self, *, certificate: bool = False) -> dict[str, str]:
        found = {
            "AIGW_AGENT_TLS_CA_FILE": str(self.ca_file),
            "AIGW_AGENT_ATTEMPT_SECONDS": "0.5",
            "AIGW_AGENT_CONNECT_SECONDS": "1",
        }
        return found | ({"AIGW_AGENT_TLS_CERTIFICATE": str(self.certificate)} if certificate else {})


@pytest.fixture
def authorities(tmp_path: Path) -> Authorities:
    return Authorities(tmp_path)


@asynccontextmanager
async def running(settings: dict[str, str], *contexts: ssl.SSLContext) -> AsyncIterator[tuple[Node, str]]:
    """Run an agent before a data plane for each context; give the address of an attached box as well."""
    planes = [PrefacedServer({}, tls=context) for context in contexts]
    async with agent_before(*planes, settings=settings) as agent, agent.rest() as rest:
        node = Node(agent, rest, (planes[0], planes[-1]))
        listen = node.plain()
        await rest.attached("a", "acme", listen)
        yield node, listen["address"]


async def asked(address: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        return await client.get(f"http://{address}/")


async def is_served(address: str) -> bool:
    return (await asked(address)).status_code == 200


async def readiness(node: Node) -> int:
    return (await node.rest.client.get("/readyz")).status_code


async def is_ready(node: Node) -> bool:
    return await readiness(node) == 200


async def says(node: Node, text: str) -> bool:
    return text in node.agent.process.log


async def test_a_box_is_served_over_tls_where_both_ends_prove_themselves(authorities: Authorities) -> None:
    authorities.certify_node()
    async with running(authorities.settings(certificate=True), authorities.plane(demands=True)) as (
        node,
        address,
    ):
        for _ in range(20):
            assert (await asked(address)).json()["org"] == "acme"
        assert await readiness(node) == 200


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("another authority", "unable to get local issuer certificate"),
        ("expired", "certificate has expired"),
        ("another name", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
    ],
)
async def test_a_data_plane_that_does_not_prove_itself_gets_no_byte_and_the_log_says_why(
    authorities: Authorities, case: str, reason: str
) -> None:
    context = {
        "another authority": lambda: authorities.plane(by=trustme.CA()),
        "expired": lambda: authorities.plane(not_after=PAST + A_MONTH),
        "another name": lambda: authorities.plane("data-plane.internal"),
    }[case]()
    async with running(authorities.settings(), context) as (node, address):
        answer = await asked(address)
        assert (answer.status_code, answer.headers["x-run9-error"]) == (503, "gateway_unreachable")
        assert await readiness(node) == 503
        await eventually(lambda: says(node, reason), "the log says why")
        assert await readiness(node) == 503
        assert node.planes[0].served.total() == 0


@pytest.mark.parametrize("certificate", ["none", "expired"])
async def test_an_agent_that_does_not_prove_itself_is_not_ready_and_is_served_elsewhere(
    authorities: Authorities, certificate: str
) -> None:
    if certificate == "expired":
        authorities.certify_node(not_after=PAST + A_MONTH)
    settings = authorities.settings(certificate=certificate == "expired")
    async with running(settings, authorities.plane(demands=True)) as (node, _):
        await eventually(lambda: says(node, "does it accept this node's certificate"), "the log says why")
        assert await readiness(node) == 503
    async with running(settings, authorities.plane(demands=True), authorities.plane()) as (node, address):
        # The data planes live in this process, and cannot answer the agent's first look at its start.
        await eventually(lambda: is_ready(node), "the agent has found the data plane that takes connections")
        for _ in range(10):
            assert await is_served(address)
        assert node.planes[0].served.total() == 0


async def test_a_data_plane_that_never_finishes_the_handshake_delays_no_box_beyond_the_deadline(
    authorities: Authorities,
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        target = f"tls://127.0.0.1:{silent.getsockname()[1]}"
        folder = short_folder("agent")
        agent = Agent(folder, (target,), authorities.settings())
        async with agent.running(), agent.rest() as rest:
            node = Node(agent, rest, (PrefacedServer({}), PrefacedServer({})))
            listen = node.plain()
            await rest.attached("a", "acme", listen)
            begun = time.monotonic()
            answers = await asyncio.gather(*(asked(listen["address"]) for _ in range(10)))
            assert [answer.headers["x-run9-error"] for answer in answers] == ["gateway_unreachable"] * 10
            assert time.monotonic() - begun < 10
            assert "unreachable (no answer in time)" in agent.process.log
        agent.process.close()


async def test_renewed_certificates_of_either_end_are_used_without_a_restart(
    authorities: Authorities,
) -> None:
    authorities.certify_node(not_after=PAST + A_MONTH)
    context = authorities.plane(by=(later := trustme.CA()), demands=True)
    async with running(authorities.settings(certificate=True), context) as (node, address):
        assert not await is_served(address)
        authorities.trust(later)
        authorities.certify_node()
        await eventually(lambda: is_ready(node), "the new files are in use", deadline_seconds=RENEWED_SECONDS)
        assert await is_served(address)
        authorities.certificate.write_text("no certificate")

        async def is_told() -> bool:
            return "aigw_agent_tls_files_unusable 1.0" in (await node.rest.client.get("/metrics")).text

        await eventually(is_told, "the unusable file is told", deadline_seconds=RENEWED_SECONDS)
        assert await is_served(address)
