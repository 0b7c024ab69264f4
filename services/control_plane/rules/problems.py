"""The single catalogue of the REST interface's refusals: type, status, title (RFC 9457).

Every refusal is a `ProblemError` naming an entry of `Problem`; only `api/problem_response.py` turns the error
into a response. Details are sentences for the caller and never repeat the caller's input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

TYPE_PREFIX: Final = "urn:run9:ai-gateway:problem:"


@dataclass(frozen=True, slots=True)
class _Entry:
    status: int
    title: str


class Problem(Enum):
    """A kind of refusal. Its `type` is stable: clients may compare the value."""

    BAD_REQUEST = _Entry(400, "The request is malformed")
    SIGN_IN_REQUIRED = _Entry(401, "A valid bearer token is needed")
    OWNER_REQUIRED = _Entry(403, "Only an owner of the organization may do this")
    CROSS_ORIGIN = _Entry(403, "The request comes from a page of another origin")
    NOT_FOUND = _Entry(404, "There is no such thing, or it is not yours to see")
    METHOD_NOT_ALLOWED = _Entry(405, "This path does not take that method")
    NOT_SET_UP = _Entry(409, "The integration is not set up")
    NODE_KEY_TAKEN = _Entry(409, "Another node uses this key id")
    STATE_CHANGED = _Entry(412, "The integration has changed since it was read")
    BODY_TOO_LARGE = _Entry(413, "The request body is too large")
    INVALID = _Entry(422, "A field is not valid")
    KEY_REFUSED = _Entry(422, "The API key cannot be used")
    KEY_REQUIRED = _Entry(422, "The API key is needed")
    ENDPOINT_REFUSED = _Entry(422, "The endpoint cannot be used")
    PRECONDITION_REQUIRED = _Entry(428, "If-Match is needed")
    TOO_MANY_SIGN_INS = _Entry(429, "Too many attempts to sign in")
    TOO_MANY_REQUESTS = _Entry(429, "Too many requests at a time")
    TOO_MANY_READS = _Entry(429, "Too many reads")
    TOO_MANY_CHANGES = _Entry(429, "Too many changes")
    TOO_MANY_KEY_TESTS = _Entry(429, "Too many key tests")
    TOO_MANY_LOOK_UPS = _Entry(429, "Too many name look-ups at a time")
    INTERNAL = _Entry(500, "The control plane failed")
    DATABASE_UNAVAILABLE = _Entry(503, "The gateway's database does not answer")
    CHANGE_UNCERTAIN = _Entry(503, "It is not known whether the change was saved")
    SECRET_STORE_UNAVAILABLE = _Entry(503, "The secret store did not take the key")
    STORED_KEY_TEST_UNAVAILABLE = _Entry(503, "The saved key could not be tested now")
    SIGN_IN_UNAVAILABLE = _Entry(503, "The sign-in service cannot be reached")
    NOT_READY = _Entry(503, "The control plane is not ready")

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value.status

    @property
    def title(self) -> str:
        """The sentence common to every occurrence."""
        return self.value.title

    @property
    def type(self) -> str:
        """The stable identifier, e.g. `urn:run9:ai-gateway:problem:state-changed`."""
        return TYPE_PREFIX + self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Fault:
    """A faulty place in the request.

    Attributes:
        detail: the fault there, in a sentence.
        pointer: JSON Pointer into the body as a URI fragment, e.g. `#/api_key`; empty for a parameter.
        parameter: `query limit`, `header If-Match` …; empty for the body.
    """

    detail: str
    pointer: str = ""
    parameter: str = ""


@dataclass(eq=False)
class ProblemError(Exception):
    """A refusal on its way to the caller.

    Attributes:
        problem: the catalogue entry.
        detail: a sentence about this occurrence; holds nothing sent by the caller.
        faults: the places at fault, if the request named any.
        extensions: further members of the problem object, JSON-ready.
        headers: further response headers.
    """

    problem: Problem
    detail: str
    faults: tuple[Fault, ...] = ()
    extensions: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.problem.name}: {self.detail}"


def refused(problem: Problem, pointer: str, detail: str) -> ProblemError:
    """A refusal of a body field, e.g. `refused(Problem.KEY_REFUSED, "#/api_key", "…")`."""
    return ProblemError(problem, detail, (Fault(detail, pointer=pointer),))
