"""`orgs/{org}/ai-integrations`: reading, setting up, changing and clearing the providers of an org."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Response
from starlette.concurrency import run_in_threadpool

from services.control_plane.api.context import Changing, Context, InContext, Reading
from services.control_plane.api.integration_schemas import (
    Integration,
    IntegrationList,
    PatchIntegration,
    PutIntegration,
    WrittenIntegration,
    integration_answer,
)
from services.control_plane.api.integration_writes import (
    AddressesUnknown,
    IntegrationEdit,
    JudgedAddresses,
    StateChanged,
    Target,
    Written,
)
from services.control_plane.api.named_provider import KnownProvider, OfferedProvider
from services.control_plane.api.orgs import OrgId
from services.control_plane.api.problem_response import problem_responses
from services.control_plane.key_test.resolve import Requester
from services.control_plane.rules.etag import tag_of
from services.control_plane.rules.integration import KEEP
from services.control_plane.rules.membership import require_reader
from services.control_plane.rules.problems import Problem, ProblemError
from services.control_plane.sign_in.bearer import Person
from services.control_plane.store.integrations import integration
from services.control_plane.store.orgs import role_of
from services.control_plane.store.tables import IntegrationTable
from shared.endpoint import Endpoint
from shared.providers import ProviderName

router = APIRouter(tags=["ai-integrations"])

COLLECTION: Final = "/orgs/{org}/ai-integrations"
ITEM: Final = COLLECTION + "/{provider}"
READ_PROBLEMS: Final = (Problem.SIGN_IN_REQUIRED, Problem.NOT_FOUND)
WRITE_PROBLEMS: Final = (
    *READ_PROBLEMS,
    Problem.BAD_REQUEST,
    Problem.OWNER_REQUIRED,
    Problem.STATE_CHANGED,
    Problem.BODY_TOO_LARGE,
    Problem.INVALID,
    Problem.KEY_REFUSED,
    Problem.KEY_REQUIRED,
    Problem.ENDPOINT_REFUSED,
    Problem.PRECONDITION_REQUIRED,
    Problem.TOO_MANY_CHANGES,
    Problem.TOO_MANY_LOOK_UPS,
    Problem.SECRET_STORE_UNAVAILABLE,
)

# Not required in the signature: its absence is answered with 428, not with a validation error.
IfMatch = Annotated[
    str | None,
    Header(
        description='The ETag that was read (`"0"` before the first set-up), or `*` to overwrite any state. '
        "Required: 428 without it."
    ),
]


def _with_etag(*problems: Problem) -> dict[int | str, dict[str, Any]]:
    header = {"ETag": {"description": "The revision, quoted.", "schema": {"type": "string"}}}
    return problem_responses(*problems) | {200: {"headers": header}}


@router.get(COLLECTION, operation_id="listIntegrations", responses=problem_responses(*READ_PROBLEMS))
def list_integrations(org: OrgId, person: Reading, context: InContext) -> IntegrationList:
    """Show every provider offered by this deployment to an organization, set up or not."""
    with context.database.read() as session:
        require_reader(role_of(session, org, person.email))
        rows = [integration(session, org, row.name) for row in context.providers]
    return IntegrationList(items=[_shown(context, row) for row in rows])


@router.get(ITEM, operation_id="getIntegration", responses=_with_etag(*READ_PROBLEMS))
def get_integration(
    org: OrgId, provider: OfferedProvider, person: Reading, context: InContext, response: Response
) -> Integration:
    """Show a provider of an organization."""
    with context.database.read() as session:
        require_reader(role_of(session, org, person.email))
        row = integration(session, org, provider)
    response.headers["ETag"] = tag_of(row.revision)
    return _shown(context, row)


@router.put(ITEM, operation_id="putIntegration", responses=_with_etag(*WRITE_PROBLEMS))
async def put_integration(
    org: OrgId,
    provider: OfferedProvider,
    body: PutIntegration,
    person: Changing,
    context: InContext,
    response: Response,
    if_match: IfMatch = None,
) -> WrittenIntegration:
    """Set a provider up, or change its integration. Owners only."""
    endpoint = body.endpoint if "endpoint" in body.model_fields_set else KEEP
    edit = IntegrationEdit(body.api_key, endpoint, body.enabled)
    target = _target(org, provider, person, if_match)
    written = await _made(context, target, lambda judged: context.writes.put(target, edit, judged))
    return _written(context, written, response)


@router.patch(
    ITEM, operation_id="patchIntegration", responses=_with_etag(*WRITE_PROBLEMS, Problem.NOT_SET_UP)
)
async def patch_integration(
    org: OrgId,
    provider: OfferedProvider,
    body: PatchIntegration,
    person: Changing,
    context: InContext,
    response: Response,
    if_match: IfMatch = None,
) -> WrittenIntegration:
    """Change parts of an existing integration; absent fields stay. Owners only."""
    endpoint = body.endpoint if "endpoint" in body.model_fields_set else KEEP
    edit = IntegrationEdit(body.api_key, endpoint, KEEP if body.enabled is None else body.enabled)
    target = _target(org, provider, person, if_match)
    written = await _made(context, target, lambda judged: context.writes.patch(target, edit, judged))
    return _written(context, written, response)


@router.delete(ITEM, operation_id="clearIntegration", responses=_with_etag(*WRITE_PROBLEMS))
async def clear_integration(
    org: OrgId,
    provider: KnownProvider,
    person: Changing,
    context: InContext,
    response: Response,
    if_match: IfMatch = None,
) -> WrittenIntegration:
    """Forget a provider's key and endpoint, also of a provider that is no longer offered. Owners only."""
    target = _target(org, provider, person, if_match)
    written = await _made(context, target, lambda _: context.writes.clear(target))
    return _written(context, written, response)


def _shown(context: Context, row: IntegrationTable) -> Integration:
    return integration_answer(row, context.box_origin, context.demo_origins)


def _target(org: str, provider: ProviderName, person: Person, if_match: str | None) -> Target:
    return Target(org, provider, person.email, if_match)


async def _made(context: Context, target: Target, change: Callable[[JudgedAddresses], Written]) -> Written:
    """Make a change that has not been counted for its org yet, with each new endpoint's host looked up.

    Threads are held by the database alone: a name server may take seconds to answer, or never do.
    """
    await run_in_threadpool(context.writes.require_owner, target)
    context.shares.charge_change_of_org(target.org, target.actor)
    judged: dict[Endpoint, tuple[str, ...]] = {}
    while True:
        try:
            return await run_in_threadpool(change, judged)
        except StateChanged as error:
            raise _state_changed(context, error.row) from None
        except AddressesUnknown as error:
            requester = Requester(target.org, target.actor)
            judged[error.endpoint] = await context.addresses.judge(requester, error.endpoint)


def _written(context: Context, written: Written, response: Response) -> WrittenIntegration:
    response.headers["ETag"] = tag_of(written.row.revision)
    answer = _shown(context, written.row)
    return WrittenIntegration(**answer.model_dump(), warnings=list(written.warnings))


def _state_changed(context: Context, row: IntegrationTable) -> ProblemError:
    return ProblemError(
        Problem.STATE_CHANGED,
        "It was changed since you read it. `current` shows it as it is now; send its ETag to change that.",
        extensions={"current": _shown(context, row).model_dump(mode="json")},
        headers={"ETag": tag_of(row.revision)},
    )
