"""The parts behind the endpoints: a frozen container, made by `bootstrap`, and the access to it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from services.control_plane.api.counts import Counts
from services.control_plane.api.endpoint_addresses import EndpointAddresses
from services.control_plane.api.integration_writes import IntegrationWrites
from services.control_plane.fair_share.shares import Shares
from services.control_plane.kept_snapshot import KeptSnapshot
from services.control_plane.key_test.stored_key import StoredKeyTester
from services.control_plane.key_test.typed_key import TypedKeyTester
from services.control_plane.readiness import Readiness
from services.control_plane.rules.endpoint import EndpointPolicy
from services.control_plane.sign_in.bearer import Person, SignIn
from services.control_plane.sign_in.browser import BrowserSignIn
from services.control_plane.sign_in.oidc import OidcSignIn
from services.control_plane.store.changes import PLATFORM, Author
from services.control_plane.store.database import Database
from services.control_plane.store.lost_commits import LostCommits
from services.control_plane.store.rollout_times import RolloutTimes
from services.control_plane.worker_threads import WorkerThreads
from shared.acknowledgement import FORGET_SECONDS
from shared.cap_log import CapLog
from shared.clock import Clock
from shared.providers import Provider
from shared.secret import Secret
from shared.watched_metrics import WatchedMetrics

LISTENERS: Final = {"rest": "of the REST listener", "fleet": "of the fleet's listener"}


@dataclass(frozen=True, slots=True)
class Context:
    """The parts called by endpoints.

    Attributes:
        box_origin: how boxes reach the gateway, e.g. `http://10.0.2.2:1000`.
        providers: the deployment's offer, in its order.
        internal_token: the fleet's token at `/internal/v1`.
        demo_origins: the origins of the demo provider, if present.
        oidc: how people sign in to the Portal; None: by one-time links only.
        metrics: read by the operator's monitoring; further parts may register their numbers.
        connection_caps: counts the connections that a listener resets because there are too many.
        fleet_threads: what serves the fleet, apart from the threads that serve people.
        forget_seconds: a data-plane process that was silent for this long is taken as ended.
    """

    database: Database
    lost_commits: LostCommits
    snapshots: KeptSnapshot
    readiness: Readiness
    fleet_threads: WorkerThreads
    shares: Shares
    sign_in: SignIn
    writes: IntegrationWrites
    addresses: EndpointAddresses
    probe: TypedKeyTester
    stored_keys: StoredKeyTester
    endpoint_policy: EndpointPolicy
    clock: Clock
    box_origin: str
    providers: tuple[Provider, ...]
    internal_token: Secret
    browser: BrowserSignIn
    oidc: OidcSignIn | None = None
    demo_origins: tuple[str, ...] = ()
    forget_seconds: float = FORGET_SECONDS
    rollout_times: RolloutTimes = field(default_factory=RolloutTimes)
    counts: Counts = field(default_factory=Counts)
    metrics: WatchedMetrics = field(default_factory=WatchedMetrics)
    connection_caps: CapLog = field(default_factory=lambda: CapLog(time.monotonic, "connections", LISTENERS))


# Only for the OpenAPI document: the header itself is read by `sign_in`, which refuses in our own words.
_person_scheme = HTTPBearer(scheme_name="person", bearerFormat="JWT", auto_error=False)
_platform_scheme = HTTPBearer(scheme_name="platform", auto_error=False)


async def context_of(request: Request) -> Context:
    """Give the container of the application that serves `request`.

    A coroutine, because FastAPI calls a plain function in one of the request threads.
    """
    context: Context = request.app.state.context
    return context


InContext = Annotated[Context, Depends(context_of)]


def _signed_in(
    request: Request, context: InContext, _: Annotated[object, Security(_person_scheme)]
) -> Person:
    # A browser sends its cookie along with anything; a token is shown on purpose, so it goes first.
    authorization = request.headers.get("authorization")
    if authorization is None and request.headers.get("cookie"):
        return context.browser.person(request)
    return context.sign_in.person(authorization)


def _platform(
    request: Request, context: InContext, _: Annotated[object, Security(_platform_scheme)]
) -> Author:
    context.sign_in.require_platform(request.headers.get("authorization"))
    return Author(PLATFORM, context.clock())


async def _in_turn(
    person: Annotated[Person, Depends(_signed_in)], context: InContext
) -> AsyncIterator[Person]:
    async with context.shares.turn(person.email):
        yield person


SignedIn = Annotated[Person, Depends(_in_turn)]
"""The person who asks, in one of that person's turns; anybody else has been refused with 401."""


async def _reading(person: SignedIn, context: InContext) -> Person:
    context.shares.charge_read(person.email)
    return person


Reading = Annotated[Person, Depends(_reading)]
"""The person who asks to read, and the read has been counted."""


async def _charged(person: SignedIn, context: InContext) -> Person:
    context.shares.charge_change(person.email)
    return person


Changing = Annotated[Person, Depends(_charged)]
"""The person who asks for a change, which has been counted."""

Proven = Annotated[Person, Depends(_signed_in)]
"""The person who asks, without a turn: the request waits long, or has its turn by `SignedIn` besides."""

AsPlatform = Annotated[Author, Depends(_platform)]
"""The platform as the author of a change; anybody else has been refused with 401."""
