"""A control plane without a socket: the real application and database, with fakes at its outer seams."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from sqlmodel import col, select

from services.control_plane.api.context import Context
from services.control_plane.api.endpoint_addresses import EndpointAddresses
from services.control_plane.api.integration_writes import IntegrationWrites
from services.control_plane.app import internal_app, public_app
from services.control_plane.fair_share.shares import Shares, ShareSizes
from services.control_plane.kept_snapshot import KeptSnapshot
from services.control_plane.key_test.resolve import NOT_PUBLIC, NoAddressError, Requester, Resolver
from services.control_plane.key_test.stored_key import StoredKeyTester
from services.control_plane.key_test.typed_key import TypedKeyTester
from services.control_plane.readiness import Readiness
from services.control_plane.rules.endpoint import EndpointPolicy
from services.control_plane.secrets.memory import MemorySecretWriter
from services.control_plane.secrets.port import SecretWriter
from services.control_plane.sign_in.bearer import SignIn, TrustedIssuer
from services.control_plane.sign_in.browser import BrowserSignIn
from services.control_plane.store import migrate
from services.control_plane.store.changes import PLATFORM, Author, changing, counter
from services.control_plane.store.database import FLEET_THREADS, Database
from services.control_plane.store.lost_commits import LostCommits
from services.control_plane.store.orgs import live_org, put_member, put_org
from services.control_plane.store.snapshot import snapshot
from services.control_plane.store.tables import OutboxTable
from services.control_plane.worker_threads import WorkerThreads
from shared.config_feed import Event, Snapshot, decode_event
from shared.providers import DEFAULT_OFFER, offered
from shared.secret import Secret

ISSUER: Final = "https://issuer.test"
AUDIENCE: Final = "control-plane"
PLATFORM_TOKEN: Final = "platform-token-of-tests"
INTERNAL_TOKEN: Final = "internal-token-of-tests"
OWNER: Final = "owner@acme.test"
MEMBER: Final = "member@acme.test"
STRANGER: Final = "stranger@elsewhere.test"
KEY: Final = "sk-test-0123456789abcdefWXYZ"
OPENAI: Final = "/api/v1/orgs/acme/ai-integrations/openai"
MANY: Final = 1_000_000
UNLIMITED: Final = ShareSizes(*[MANY] * 7)
ANTHROPIC: Final = "/api/v1/orgs/acme/ai-integrations/anthropic"


class Issuer:
    """Signs tokens as a sign-in service does; also a `KeySource` of its only key."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        jwk = ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        self.jwk: dict[str, Any] = {**jwk, "kid": "key-1", "alg": "ES256", "use": "sig"}

    def key(self, kid: str) -> jwt.PyJWK | None:
        return jwt.PyJWK(self.jwk) if kid == "key-1" else None

    def token(self, email: str = OWNER, **changes: Any) -> str:
        """Sign a good token, with claims changed (None leaves a claim out)."""
        now = int(time.time())  # noqa: TID251  # PyJWT reads the real clock
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": email, "email": email, "email_verified": True}
        claims |= {"iat": now, "exp": now + 60} | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return self.signed(json.dumps(claims).encode())

    def signed(self, payload: bytes) -> str:
        """Sign any payload, also a payload no honest issuer would sign."""
        return jwt.PyJWS().encode(payload, self.private, algorithm="ES256", headers={"kid": "key-1"})


@dataclass
class FakeResolver:
    """Answers from a table; a name outside the table does not exist."""

    names: dict[str, Sequence[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def resolve(self, requester: Requester, host: str, port: int) -> Sequence[str]:
        assert requester.org
        assert port > 0
        self.asked.append(host)
        if host not in self.names:
            raise NoAddressError(NOT_PUBLIC)
        return self.names[host]


@dataclass
class FakeClock:
    """A clock that moves one second at every look."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


class World:
    """One control plane with an org `acme` that has an owner and a member."""

    def __init__(
        self,
        folder: Path,
        *,
        secrets: SecretWriter | None = None,
        exceptions: Sequence[str] = (),
        database_url: str = "",
        browser: BrowserSignIn | None = None,
        stored_keys: StoredKeyTester | None = None,
        resolver: Resolver | None = None,
        share_sizes: ShareSizes = UNLIMITED,
    ) -> None:
        self.folder = folder
        self.database_url = database_url or f"sqlite:///{folder / 'control-plane.db'}"
        self.database = Database(self.database_url)
        migrate.upgrade(self.database)
        self.memory = MemorySecretWriter()
        self.issuer = Issuer()
        self.resolver = FakeResolver({"gateway.acme.test": ["93.184.216.34"]})
        self.clock = FakeClock()
        self.policy = EndpointPolicy(
            allow_plain_http=bool(exceptions), exceptions=tuple(map(ip_network, exceptions))
        )
        sign_in = SignIn({ISSUER: TrustedIssuer(AUDIENCE, self.issuer)}, Secret(PLATFORM_TOKEN))
        self.writes = IntegrationWrites(
            self.database, secrets or self.memory, b"pepper", self.policy, self.clock
        )
        self.fleet_threads = WorkerThreads("fleet", FLEET_THREADS)
        self.snapshots = KeptSnapshot(self.database, self.fleet_threads)
        self.lost_commits = LostCommits(self.database)
        self.shares = Shares(share_sizes)
        used = resolver or self.resolver
        self.context = Context(
            database=self.database,
            snapshots=self.snapshots,
            lost_commits=self.lost_commits,
            readiness=Readiness(self.database),
            fleet_threads=self.fleet_threads,
            shares=self.shares,
            sign_in=sign_in,
            writes=self.writes,
            addresses=EndpointAddresses(used, self.policy.addresses, self.shares),
            probe=TypedKeyTester(used, self.policy.addresses, ssl.create_default_context()),
            stored_keys=stored_keys or StoredKeyTester("", Secret(INTERNAL_TOKEN)),
            endpoint_policy=self.policy,
            clock=self.clock,
            box_origin="http://10.0.2.2:1000",
            providers=offered(DEFAULT_OFFER),
            internal_token=Secret(INTERNAL_TOKEN),
            browser=browser or BrowserSignIn(self.database, self.clock, ""),
        )
        author = Author(PLATFORM, 0.0)
        with changing(self.database) as session:
            put_org(session, author, "acme", "Acme")
        for email, role in ((OWNER, "owner"), (MEMBER, "member")):
            with changing(self.database) as session:
                org = live_org(session, "acme")
                assert org is not None
                put_member(session, author, org, email, "owner" if role == "owner" else "member")

    def client(self, bearer: str | None = None) -> httpx.AsyncClient:
        """A client of the public application that shows `bearer`."""
        return self._client(public_app(self.context), bearer)

    def person(self, email: str) -> httpx.AsyncClient:
        """A client of a signed-in person."""
        return self.client(self.issuer.token(email))

    def fleet(self, bearer: str | None = INTERNAL_TOKEN) -> httpx.AsyncClient:
        """A client of the internal application."""
        return self._client(internal_app(self.context), bearer)

    def _client(self, app: Any, bearer: str | None) -> httpx.AsyncClient:
        headers = {} if bearer is None else {"authorization": f"Bearer {bearer}"}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://control-plane.test", headers=headers
        )

    def revision(self) -> int:
        with self.database.read() as session:
            return counter(session).revision

    def snapshot(self) -> Snapshot:
        with self.database.read() as session:
            return snapshot(session)

    def events(self) -> list[Event]:
        with self.database.read() as session:
            rows = session.exec(select(OutboxTable).order_by(col(OutboxTable.revision)))
            return [decode_event(row.event) for row in rows]

    def close(self) -> None:
        self.context.readiness.close()
        self.fleet_threads.close()
        self.database.close()
