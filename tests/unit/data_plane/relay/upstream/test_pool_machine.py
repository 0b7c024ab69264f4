"""The pool against a model of a few lines: in any order of events, both hold the same connections."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from services.data_plane.core.integration import CompiledIntegration
from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.response_templates import TemplateStore
from services.data_plane.relay.upstream.connection import PoolKey, UpstreamConnection
from services.data_plane.relay.upstream.dial import Dialer
from services.data_plane.relay.upstream.pool import Pool
from services.data_plane.relay.wire.write_batch import WriteBatch
from services.data_plane.table.compile import compile_integration
from shared.config_feed import IntegrationRow
from shared.secret import Secret
from shared.secret_document import SecretDocument
from tests.unit.data_plane.relay.fake_transport import FakeTransport

LIMITS = RelayLimits(max_idle_upstreams_per_endpoint=3, max_idle_upstreams=5, upstream_idle_seconds=10)
LIFE_SECONDS = 40.0


class _NoDialer(Dialer):
    def __init__(self) -> None:
        pass


def _integration(org: str, host: str) -> CompiledIntegration:
    return compile_integration(
        IntegrationRow(org, "openai", enabled=True, secret_version=1),
        SecretDocument(org, "openai", f"https://{host}.example/v1", Secret("sk-not-a-key-0123456789")),
        allow_plain_http=False,
    )


INTEGRATIONS = [_integration(org, host) for org in ("acme", "globex") for host in ("one", "two")]


def _numbered(number: int) -> CompiledIntegration:
    return INTEGRATIONS[number]


integrations = st.integers(0, len(INTEGRATIONS) - 1).map(_numbered)
"""By number: Hypothesis writes a strategy's values down, and a provider's row is long."""


class PoolMachine(RuleBasedStateMachine):
    """`idle` is the model: connections by key, each with the start of its idle time, the latest last."""

    in_use = Bundle("in_use")

    def __init__(self) -> None:
        super().__init__()
        self.now = 1.0
        self.pool = Pool(_NoDialer(), LIMITS, WriteBatch(), TemplateStore())
        self.lost: list[UpstreamConnection] = []
        self.pool.on_lost = self.lost.append
        self.idle: dict[PoolKey, list[tuple[float, UpstreamConnection]]] = defaultdict(list)
        self.order: list[UpstreamConnection] = []  # in which they became idle
        self.transports: dict[UpstreamConnection, FakeTransport] = {}

    @rule(target=in_use, integration=integrations)
    def open(self, integration: CompiledIntegration) -> UpstreamConnection:
        key = integration.pool_key
        connection = UpstreamConnection(
            self.pool, key, LIMITS, WriteBatch(), self.now + LIFE_SECONDS, TemplateStore().endpoint(key)
        )
        self.transports[connection] = FakeTransport()
        connection.connection_made(self.transports[connection])
        return connection

    @rule(connection=consumes(in_use))
    def put_back(self, connection: UpstreamConnection) -> None:
        self.pool.put_back(connection, self.now)
        if connection in self.order:
            self.order.remove(connection)
        of_key = self.idle[connection.pool_key]
        if self.now < connection.expires_at and len(of_key) < LIMITS.max_idle_upstreams_per_endpoint:
            of_key.append((self.now, connection))
            self.order.append(connection)
            self._drop_the_oldest_of_too_many()

    def _drop_the_oldest_of_too_many(self) -> None:
        everyone = [entry for entries in self.idle.values() for entry in entries]
        everyone.sort(key=lambda entry: self.order.index(entry[1]))
        for since, connection in everyone[: max(len(everyone) - LIMITS.max_idle_upstreams, 0)]:
            self.idle[connection.pool_key].remove((since, connection))

    @rule(target=in_use, integration=integrations)
    def take(self, integration: CompiledIntegration) -> object:
        taken, of_key = self.pool.take(integration), self.idle[integration.pool_key]
        if not of_key:
            assert taken is None
            return multiple()
        _, expected = of_key.pop()
        assert taken is expected
        return taken

    @rule(integration=integrations, data=st.data())
    def lose_an_idle_one(self, integration: CompiledIntegration, data: st.DataObject) -> None:
        if of_key := self.idle[integration.pool_key]:
            _, connection = of_key.pop(data.draw(st.integers(0, len(of_key) - 1)))
            connection.connection_lost(None)
            assert self.lost[-1] is connection

    @rule(integration=integrations, data=st.data())
    def hear_from_an_idle_one(self, integration: CompiledIntegration, data: st.DataObject) -> None:
        """An unrequested response ends the connection."""
        if of_key := self.idle[integration.pool_key]:
            _, connection = of_key.pop(data.draw(st.integers(0, len(of_key) - 1)))
            connection.data_received(b"HTTP/1.1 200 OK\r\n")
            assert self.transports[connection].ended == "abort"

    @rule(connection=consumes(in_use))
    def lose_one_in_use(self, connection: UpstreamConnection) -> None:
        connection.connection_lost(ConnectionResetError())

    @rule(seconds=st.sampled_from([0.5, 4.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.pool.close_unused(self.now)
        for key, entries in self.idle.items():
            self.idle[key] = [
                entry for entry in entries if self.now - entry[0] < LIMITS.upstream_idle_seconds
            ]

    @rule(org=st.sampled_from(["acme", "globex"]), kept=st.sets(integrations))
    def drain(self, org: str, kept: set[CompiledIntegration]) -> None:
        keep = frozenset(one.pool_key for one in kept)
        self.pool.drain(org, keep=keep)
        for key in self.idle:
            if key[0] == org and key not in keep:
                self.idle[key] = []

    @invariant()
    def both_hold_the_same(self) -> None:
        assert len(self.pool) == sum(map(len, self.idle.values())) <= LIMITS.max_idle_upstreams
        for integration in INTEGRATIONS:
            assert self.pool.idle_count(integration.pool_key) == len(self.idle[integration.pool_key])

    @invariant()
    def what_is_idle_is_open_and_nothing_else_is_remembered(self) -> None:
        for entries in self.idle.values():
            assert not any(self.transports[connection].closing for _, connection in entries)
        remembered = [connection for stack in self.pool._idle.values() for connection in stack]
        assert set(remembered) == set(self.pool._by_age)


PoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_the_pool_holds_what_its_model_holds = PoolMachine.TestCase
