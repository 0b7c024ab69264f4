"""`POST …/ai-integrations/{provider}/test`: tries a key before it is saved."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from services.control_plane.api.context import Context, InContext, SignedIn
from services.control_plane.api.integration_schemas import TrialResult, TrialStep, TryKey
from services.control_plane.api.integrations import ITEM, READ_PROBLEMS
from services.control_plane.api.orgs import OrgId
from services.control_plane.api.problem_response import problem_responses
from services.control_plane.rules.endpoint import default_endpoint, judge_endpoint
from services.control_plane.rules.key import KEY_POINTER, judge_key
from services.control_plane.rules.membership import require_owner
from services.control_plane.rules.problems import Problem, refused
from services.control_plane.sign_in.bearer import Person
from services.control_plane.store.integrations import integration
from services.control_plane.store.orgs import owners_of, role_of
from shared.providers import ProviderName

router = APIRouter(tags=["ai-integrations"])


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
        Problem.ENDPOINT_REFUSED,
        Problem.STORED_KEY_TEST_UNAVAILABLE,
    ),
)
async def try_key(
    org: OrgId, provider: ProviderName, body: TryKey, person: SignedIn, context: InContext
) -> TrialResult:
    """Try a typed key at its provider, step by step. Owners only; nothing is stored."""
    stored_endpoint = await run_in_threadpool(_stored_endpoint, context, org, provider, person)
    if body.api_key is None:
        raise refused(
            Problem.STORED_KEY_TEST_UNAVAILABLE,
            KEY_POINTER,
            "The control plane cannot read the stored key. Type the key to test it.",
        )
    own = default_endpoint(provider)
    typed = body.endpoint or stored_endpoint
    endpoint = judge_endpoint(typed, context.endpoint_policy) if typed and typed != str(own) else own
    judged = judge_key(provider, body.api_key, custom_endpoint=endpoint != own)
    found = await context.probe.probe(provider, endpoint, judged.key)
    steps = [TrialStep(step=step.step, status=step.status, detail=step.detail) for step in found.steps]
    return TrialResult(provider=provider, endpoint=str(endpoint), verdict=found.verdict, steps=steps)


def _stored_endpoint(context: Context, org: str, provider: ProviderName, person: Person) -> str:
    with context.database.read() as session:
        require_owner(role_of(session, org, person.email), owners_of(session, org))
        return integration(session, org, provider).endpoint
