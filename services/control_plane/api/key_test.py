"""`POST …/ai-integrations/{provider}/test`: tries a typed key, or has a data plane try the stored key."""

from __future__ import annotations

import logging
from typing import Final

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from services.control_plane.api.context import Context, InContext, Proven
from services.control_plane.api.integration_schemas import KeyTestStep, TrialResult, TryKey
from services.control_plane.api.integrations import ITEM, READ_PROBLEMS
from services.control_plane.api.named_provider import OfferedProvider
from services.control_plane.api.orgs import OrgId
from services.control_plane.api.problem_response import problem_responses
from services.control_plane.key_test.resolve import Requester, TooManyLookUps
from services.control_plane.key_test.stored_key import NotTried
from services.control_plane.rules.endpoint import ENDPOINT_POINTER, default_endpoint, judge_endpoint
from services.control_plane.rules.key import KEY_POINTER, judge_key
from services.control_plane.rules.membership import require_owner
from services.control_plane.rules.problems import Fault, Problem, ProblemError, refused
from services.control_plane.sign_in.bearer import Person
from services.control_plane.store import audit
from services.control_plane.store.changes import AuditNote, Author, counter
from services.control_plane.store.integrations import integration
from services.control_plane.store.orgs import owners_of, role_of
from services.control_plane.store.outage import DatabaseUnavailable
from services.control_plane.store.tables import IntegrationTable
from shared.endpoint import Endpoint
from shared.key_test import KeyTestRequest, verdict_of
from shared.key_test import KeyTestStep as Step
from shared.providers import ProviderName
from shared.secret import Secret

router = APIRouter(tags=["ai-integrations"])

TESTED: Final = "integration.tested"
MAX_NOTED_A_MINUTE: Final = 20
"""How many tests of an org the audit has rows of; the history must not be filled by them."""
CROWDED_SECONDS: Final = 60.0
_log = logging.getLogger(__name__)


@router.post(
    ITEM + "/test",
    operation_id="testIntegration",
    responses=problem_responses(
        *READ_PROBLEMS,
        Problem.BAD_REQUEST,
        Problem.OWNER_REQUIRED,
        Problem.BODY_TOO_LARGE,
        Problem.INVALID,
        Problem.KEY_REFUSED,
        Problem.KEY_REQUIRED,
        Problem.ENDPOINT_REFUSED,
        Problem.TOO_MANY_KEY_TESTS,
        Problem.TOO_MANY_LOOK_UPS,
        Problem.STORED_KEY_TEST_UNAVAILABLE,
    ),
)
async def try_key(
    org: OrgId, provider: OfferedProvider, body: TryKey, person: Proven, context: InContext
) -> TrialResult:
    """Try a typed key, else the stored key, at its provider, step by step. Owners only; nothing is stored."""
    async with context.shares.turn(person.email):
        row, epoch = await run_in_threadpool(_stored, context, org, provider, person)
    # No turn is held from here on: a test waits for others, and the person's pages must not wait with it.
    with context.shares.key_test(org, person.email):
        result = await _tried(context, body, row, epoch, person)
        context.counts.key_tests[result.verdict] += 1
        await run_in_threadpool(_note, context, row, person, result)
    return result


def _note(context: Context, row: IntegrationTable, person: Person, result: TrialResult) -> None:
    """Put the test into the org's audit; one that is among many of this minute is left out."""
    at = context.clock()
    details = {"tested": result.tested, "endpoint": result.endpoint, "verdict": result.verdict}
    note = AuditNote(row.org, TESTED, row.provider, details)
    try:
        with context.database.quiet_write() as session:
            since = at - CROWDED_SECONDS
            if not audit.is_crowded(session, row.org, TESTED, since=since, rows=MAX_NOTED_A_MINUTE):
                audit.note(session, Author(person.email, at), note)
    except DatabaseUnavailable as error:
        _log.warning("a key test is not in the audit: %s", error)


async def _tried(
    context: Context, body: TryKey, row: IntegrationTable, epoch: str, person: Person
) -> TrialResult:
    org, provider = row.org, row.provider
    if body.api_key is None:
        _require_stored(row, _judged(context, provider, body.endpoint))
        return await _try_stored(context, row, KeyTestRequest(org, provider, epoch, row.revision))
    endpoint = _judged(context, provider, body.endpoint or row.endpoint) or default_endpoint(provider)
    return await _try_typed(context, Requester(org, person.email), provider, endpoint, body.api_key)


def _stored(
    context: Context, org: str, provider: ProviderName, person: Person
) -> tuple[IntegrationTable, str]:
    """Give the row, and the epoch of its revision."""
    with context.database.read() as session:
        require_owner(role_of(session, org, person.email), owners_of(session, org))
        return integration(session, org, provider), counter(session).epoch


def _judged(context: Context, provider: ProviderName, text: str | None) -> Endpoint | None:
    """Judge an endpoint as for a write; the provider's own is always good."""
    if not text:
        return None
    own = default_endpoint(provider)
    return own if text == str(own) else judge_endpoint(text, context.endpoint_policy)


async def _try_typed(
    context: Context, requester: Requester, provider: ProviderName, endpoint: Endpoint, key: Secret
) -> TrialResult:
    judged = judge_key(provider, key, endpoint, is_own=endpoint == default_endpoint(provider))
    try:
        steps = await context.probe.probe(requester, provider, endpoint, judged.key)
    except TooManyLookUps as error:
        raise context.shares.too_many_look_ups(requester.person, for_everybody=error.for_everybody) from None
    return TrialResult(
        provider=provider,
        endpoint=str(endpoint),
        tested="typed",
        key_last4=None,
        verdict=verdict_of(steps),
        steps=list(map(_shown, steps)),
    )


def _require_stored(row: IntegrationTable, endpoint: Endpoint | None) -> None:
    """Refuse without a stored key, or for an endpoint other than the stored key's own."""
    if row.state == "not_set_up":
        raise _nothing_stored()
    if endpoint is not None and str(endpoint) != row.endpoint:
        detail = "A saved key is only ever sent to its saved endpoint. Type the key to test it at this one."
        faults = (
            Fault(detail, pointer=KEY_POINTER),
            Fault("This differs from the saved one.", ENDPOINT_POINTER),
        )
        raise ProblemError(Problem.KEY_REQUIRED, detail, faults)


async def _try_stored(context: Context, row: IntegrationTable, request: KeyTestRequest) -> TrialResult:
    try:
        answer = await context.stored_keys.probe(request)
    except NotTried as error:
        raise ProblemError(
            Problem.STORED_KEY_TEST_UNAVAILABLE, str(error), extensions={"reason": error.reason}
        ) from None
    if answer.outcome == "not_set_up":
        raise _nothing_stored()
    return TrialResult(
        provider=row.provider,
        endpoint=answer.endpoint,
        tested="stored",
        key_last4=row.key_last4,
        verdict=verdict_of(answer.steps),
        steps=list(map(_shown, answer.steps)),
    )


def _nothing_stored() -> ProblemError:
    return refused(
        Problem.KEY_REQUIRED, KEY_POINTER, "There is no saved key to test. Type the key to test it."
    )


def _shown(step: Step) -> KeyTestStep:
    return KeyTestStep(step=step.step, status=step.status, detail=step.detail, seconds=step.seconds)
