"""The nodes with the right to sign box tokens, provisioned and read by the platform, with their keys.

A key is rotated without a gap by putting the old key and the new key, and later the new key alone.
"""

from __future__ import annotations

from typing import Annotated, Self

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.control_plane.api.context import AsPlatform, InContext
from services.control_plane.api.problem_response import problem_responses
from services.control_plane.rules.names import ID_PATTERN, NO_CONTROLS, checked_id
from services.control_plane.rules.problems import Problem, ProblemError, refused
from services.control_plane.store import nodes
from services.control_plane.store.changes import changing
from shared.box_token import public_key_text, read_public_key
from shared.config_feed import NodeKeyRow, NodeRow

router = APIRouter(tags=["provisioning"])

MAX_KEYS_PER_NODE = 8

NodeId = Annotated[
    str, Path(description="The platform's id of the node.", max_length=128, pattern=NO_CONTROLS)
]
Kid = Annotated[str, Field(pattern=ID_PATTERN, description="The key id that its box tokens name.")]
PublicKey = Annotated[
    str,
    Field(min_length=43, max_length=43, description="The raw Ed25519 key, base64url without padding."),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class NodeKey(_Body):
    """A key by which a node signs box tokens."""

    kid: Kid
    public_key: PublicKey


class PutNode(_Body):
    """All of a node's signing keys: `keys`, or `kid` and `public_key` for a single key."""

    keys: list[NodeKey] | None = Field(
        None,
        min_length=1,
        max_length=MAX_KEYS_PER_NODE,
        description="All its keys; a key that is left out is refused from then on.",
    )
    kid: Kid | None = None
    public_key: PublicKey | None = None

    @model_validator(mode="after")
    def _check_form(self) -> Self:
        given = (self.keys is not None, self.kid is not None, self.public_key is not None)
        if given not in {(True, False, False), (False, True, True)}:
            raise ValueError("give keys, or kid and public_key")
        return self

    def all_keys(self) -> list[NodeKey]:
        """Give the keys in the form of a list."""
        if self.keys is not None:
            return self.keys
        assert self.kid is not None, "judged by the model"
        assert self.public_key is not None, "judged by the model"
        return [NodeKey(kid=self.kid, public_key=self.public_key)]


class ProvisionedNode(BaseModel):
    """A provisioned node. `kid` and `public_key` are those of its first key."""

    node: str
    kid: str
    public_key: str
    keys: list[NodeKey]


class ProvisionedNodes(BaseModel):
    """Every node."""

    nodes: list[ProvisionedNode]


@router.get("/nodes", operation_id="listNodes", responses=problem_responses(Problem.SIGN_IN_REQUIRED))
def list_nodes(_author: AsPlatform, context: InContext) -> ProvisionedNodes:
    """List every node with its keys."""
    with context.database.read() as session:
        return ProvisionedNodes(nodes=[_shown(node) for node in nodes.all_nodes(session)])


@router.get(
    "/nodes/{node}",
    operation_id="getNode",
    responses=problem_responses(Problem.SIGN_IN_REQUIRED, Problem.NOT_FOUND, Problem.INVALID),
)
def get_node(node: NodeId, _author: AsPlatform, context: InContext) -> ProvisionedNode:
    """Read a node with its keys."""
    checked_id(node, "a node")
    with context.database.read() as session:
        found = nodes.node_of(session, node)
    if found is None:
        raise ProblemError(Problem.NOT_FOUND, "There is no such node.")
    return _shown(found)


@router.put(
    "/nodes/{node}",
    operation_id="putNode",
    responses=problem_responses(
        Problem.SIGN_IN_REQUIRED,
        Problem.BAD_REQUEST,
        Problem.INVALID,
        Problem.NOT_FOUND,
        Problem.BODY_TOO_LARGE,
        Problem.NODE_KEY_TAKEN,
    ),
)
def put_node(node: NodeId, body: PutNode, author: AsPlatform, context: InContext) -> ProvisionedNode:
    """Register the keys by which a node signs box tokens, or replace them."""
    checked_id(node, "a node")
    row = nodes.node_row(node, _checked_keys(body))
    with changing(context.database) as session:
        nodes.put_node(session, author, row)
    return _shown(row)


@router.delete(
    "/nodes/{node}",
    operation_id="removeNode",
    status_code=204,
    responses=problem_responses(Problem.SIGN_IN_REQUIRED, Problem.NOT_FOUND, Problem.INVALID),
)
def remove_node(node: NodeId, author: AsPlatform, context: InContext) -> None:
    """Forget a node: its tokens are refused, and the running requests of its boxes are aborted."""
    with changing(context.database) as session:
        if not nodes.remove_node(session, author, node):
            raise ProblemError(Problem.NOT_FOUND, "There is no such node.")


def _checked_keys(body: PutNode) -> list[NodeKeyRow]:
    rows: list[NodeKeyRow] = []
    for place, key in enumerate(body.all_keys()):
        pointer = "#" if body.keys is None else f"#/keys/{place}"
        if key.kid in {row.kid for row in rows}:
            raise refused(Problem.INVALID, f"{pointer}/kid", "Two keys of the node have the same id.")
        rows.append(NodeKeyRow(key.kid, _checked_public_key(key.public_key, f"{pointer}/public_key")))
    return rows


def _checked_public_key(text: str, pointer: str) -> str:
    try:
        return public_key_text(read_public_key(text))
    except ValueError:
        raise refused(
            Problem.INVALID, pointer, "This is not an Ed25519 public key in base64url without padding."
        ) from None


def _shown(row: NodeRow) -> ProvisionedNode:
    keys = [NodeKey(kid=key.kid, public_key=key.public_key) for key in row.keys]
    return ProvisionedNode(node=row.node, kid=row.kid, public_key=row.public_key, keys=keys)
