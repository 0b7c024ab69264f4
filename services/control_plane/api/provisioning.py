"""What the platform tells: which orgs, members and nodes there are. Only by the platform's token.

Every call is idempotent: a repeat that changes nothing takes no revision.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from services.control_plane.api.context import AsPlatform, InContext
from services.control_plane.api.orgs import OrgId
from services.control_plane.api.problem_response import problem_responses
from services.control_plane.rules.membership import Role
from services.control_plane.rules.names import (
    ID_PATTERN,
    MAX_EMAIL_CHARS,
    NO_CONTROLS,
    checked_email,
    checked_id,
    checked_org_name,
)
from services.control_plane.rules.problems import Problem, ProblemError, refused
from services.control_plane.store import integrations, nodes, orgs
from services.control_plane.store.changes import changing
from services.control_plane.store.tables import OrgTable
from shared.box_token import public_key_text, read_public_key
from shared.config_feed import NodeRow

router = APIRouter(tags=["provisioning"])

_PUT_PROBLEMS = (
    Problem.SIGN_IN_REQUIRED,
    Problem.BAD_REQUEST,
    Problem.INVALID,
    Problem.NOT_FOUND,
    Problem.BODY_TOO_LARGE,
)
_PUT = problem_responses(*_PUT_PROBLEMS)
_DELETE = problem_responses(Problem.SIGN_IN_REQUIRED, Problem.NOT_FOUND, Problem.INVALID)

Email = Annotated[
    str, Path(description="The member's address, matched without case.", max_length=MAX_EMAIL_CHARS)
]
NodeId = Annotated[
    str, Path(description="The platform's id of the node.", max_length=128, pattern=NO_CONTROLS)
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class PutOrg(_Body):
    """An organization."""

    name: str = Field(min_length=1, max_length=200, description="What people see, on one line.")


class ProvisionedOrg(BaseModel):
    """An organization as it was provisioned."""

    org: str
    name: str


class PutMember(_Body):
    """A membership."""

    role: Role


class ProvisionedMember(BaseModel):
    """A membership as it was provisioned."""

    email: str
    role: Role


class PutNode(_Body):
    """A node's signing key."""

    kid: str = Field(pattern=ID_PATTERN, description="The key id that its box tokens name.")
    public_key: str = Field(
        min_length=43, max_length=43, description="The raw Ed25519 key, base64url without padding."
    )


class ProvisionedNode(BaseModel):
    """A node as it was provisioned."""

    node: str
    kid: str
    public_key: str


@router.put("/orgs/{org}", operation_id="putOrg", responses=_PUT)
def put_org(org: OrgId, body: PutOrg, author: AsPlatform, context: InContext) -> ProvisionedOrg:
    """Make or rename an organization."""
    checked_id(org, "an organization")
    name = checked_org_name(body.name)
    with changing(context.database) as session:
        orgs.put_org(session, author, org, name)
    return ProvisionedOrg(org=org, name=name)


@router.delete("/orgs/{org}", operation_id="removeOrg", status_code=204, responses=_DELETE)
def remove_org(org: OrgId, author: AsPlatform, context: InContext) -> None:
    """Remove an organization with its members; its keys are destroyed."""
    with changing(context.database) as session:
        row = _live_org(session, org)
        integrations.clear_all(session, author, org)
        orgs.remove_org(session, author, row)


@router.put("/orgs/{org}/members/{email}", operation_id="putMember", responses=_PUT)
def put_member(
    org: OrgId, email: Email, body: PutMember, author: AsPlatform, context: InContext
) -> ProvisionedMember:
    """Give a person a role in an organization."""
    email = checked_email(email)
    with changing(context.database) as session:
        orgs.put_member(session, author, _live_org(session, org), email, body.role)
    return ProvisionedMember(email=email, role=body.role)


@router.delete("/orgs/{org}/members/{email}", operation_id="removeMember", status_code=204, responses=_DELETE)
def remove_member(org: OrgId, email: Email, author: AsPlatform, context: InContext) -> None:
    """Take a person out of an organization."""
    email = checked_email(email)
    with changing(context.database) as session:
        if not orgs.remove_member(session, author, _live_org(session, org), email):
            raise ProblemError(Problem.NOT_FOUND, "There is no such member.")


@router.put(
    "/nodes/{node}",
    operation_id="putNode",
    responses=problem_responses(*_PUT_PROBLEMS, Problem.NODE_KEY_TAKEN),
)
def put_node(node: NodeId, body: PutNode, author: AsPlatform, context: InContext) -> ProvisionedNode:
    """Register the key by which a node signs box tokens, or replace it."""
    checked_id(node, "a node")
    public_key = _checked_public_key(body.public_key)
    with changing(context.database) as session:
        nodes.put_node(session, author, NodeRow(node, body.kid, public_key))
    return ProvisionedNode(node=node, kid=body.kid, public_key=public_key)


@router.delete("/nodes/{node}", operation_id="removeNode", status_code=204, responses=_DELETE)
def remove_node(node: NodeId, author: AsPlatform, context: InContext) -> None:
    """Forget a node: the tokens that it signed are refused from then on."""
    with changing(context.database) as session:
        if not nodes.remove_node(session, author, node):
            raise ProblemError(Problem.NOT_FOUND, "There is no such node.")


def _live_org(session: Session, org: str) -> OrgTable:
    row = orgs.live_org(session, org)
    if row is None:
        raise ProblemError(Problem.NOT_FOUND, "There is no such organization.")
    return row


def _checked_public_key(text: str) -> str:
    try:
        return public_key_text(read_public_key(text))
    except ValueError:
        raise refused(
            Problem.INVALID, "#/public_key", "This is not an Ed25519 public key in base64url without padding."
        ) from None
