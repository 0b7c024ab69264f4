"""Turns every refusal and failure into an RFC 9457 response. The only place for this.

Never repeats the caller's input: a mistyped request may have a key in any of its fields.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from services.control_plane.fair_share.over_limit import OverLimit
from services.control_plane.rules.problems import Fault, Problem, ProblemError
from services.control_plane.store.database import RETRY_SECONDS
from services.control_plane.store.outage import CommitUnknown, DatabaseUnavailable
from shared.deadline_protocol import GIVES_WAY

MEDIA_TYPE: Final = "application/problem+json"
MAX_FAULTS: Final = 20
HTTP_NOT_FOUND: Final = 404

# What pydantic says of these names types, limits and patterns only; the words of any other are not passed on.
_QUOTABLE = {
    "missing",
    "string_type",
    "bool_type",
    "int_type",
    "int_parsing",
    "literal_error",
    "string_pattern_mismatch",
    "string_too_long",
    "string_too_short",
    "greater_than_equal",
    "less_than_equal",
    "model_attributes_type",
    "dict_type",
}
_UNAVAILABLE: Final = (
    "This is the gateway's fault, not the request's, and nothing was changed. "
    "Try again in a few seconds; if it stays so, tell the gateway's operator."
)
_UNCERTAIN: Final = (
    "The gateway lost its database while it saved: the change may have been saved, or not. "
    "Reload to see which, before you make it again."
)
_FIELD_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_METHODS = ("GET", "PUT", "PATCH", "DELETE", "POST")
_log = logging.getLogger(__name__)
_BY_STATUS = {404: Problem.NOT_FOUND, 405: Problem.METHOD_NOT_ALLOWED}


class FaultAnswer(BaseModel):
    """A faulty place in the request."""

    detail: str
    pointer: str | None = Field(default=None, description="JSON Pointer into the body, as a URI fragment.")
    parameter: str | None = Field(
        default=None, description="A parameter outside the body, e.g. `query limit`."
    )


class ProblemAnswer(BaseModel):
    """Why the request was refused (RFC 9457). Some types have further members."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Stable; compare this.")
    title: str
    status: int
    detail: str
    errors: list[FaultAnswer] | None = None


def problem_responses(*problems: Problem) -> dict[int | str, dict[str, Any]]:
    """Describe refusals for the OpenAPI document, by status."""
    titles: dict[int | str, list[str]] = {}
    for problem in problems:
        titles.setdefault(problem.status, []).append(problem.title)
    schema = {"$ref": "#/components/schemas/ProblemAnswer"}
    return {
        status: {"description": "; ".join(sorted(texts)), "content": {MEDIA_TYPE: {"schema": schema}}}
        for status, texts in titles.items()
    }


def problem_response(error: ProblemError) -> Response:
    """Write a refusal."""
    problem = error.problem
    answer: dict[str, Any] = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": error.detail,
    }
    if error.faults:
        answer["errors"] = [_fault_answer(fault) for fault in error.faults[:MAX_FAULTS]]
    answer.update(error.extensions)
    return JSONResponse(answer, problem.status, dict(error.headers), media_type=MEDIA_TYPE)


def answer_problems(app: FastAPI, not_found_page: Callable[[Request], Response | None] | None = None) -> None:
    """Make `app` answer all its refusals this way. Failures are answered by `limits.Boundary`.

    `not_found_page` gives the page for a browser at an unknown address, None for all other clients.
    """

    async def on_http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException), "registered for this class only"
        page = not_found_page(request) if not_found_page and error.status_code == HTTP_NOT_FOUND else None
        return page or await _on_http_exception(request, error)

    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(OverLimit, _on_over_limit)
    app.add_exception_handler(DatabaseUnavailable, _on_outage)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, on_http_exception)


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError), "registered for this class only"
    return problem_response(error)


async def _on_over_limit(request: Request, error: Exception) -> Response:
    """Answer at the pace of refusals; until then the connection gives way to others."""
    assert isinstance(error, OverLimit), "registered for this class only"
    give_way = request.scope.get("extensions", {}).get(GIVES_WAY)
    if give_way is not None:
        give_way()
    await request.app.state.context.shares.pace.wait(error.key)
    return problem_response(error)


async def _on_outage(_: Request, error: Exception) -> Response:
    _log.warning("the database does not answer: %s", error)
    retry = {"Retry-After": str(RETRY_SECONDS)}
    if isinstance(error, CommitUnknown):
        problem, detail = Problem.CHANGE_UNCERTAIN, _UNCERTAIN
    else:
        problem, detail = Problem.DATABASE_UNAVAILABLE, _UNAVAILABLE
    return problem_response(ProblemError(problem, detail, headers=retry))


async def _on_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError), "registered for this class only"
    return problem_response(invalid(error.errors()))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for this class only"
    problem = _BY_STATUS.get(error.status_code, Problem.BAD_REQUEST)
    headers = dict(error.headers or {})
    if problem is Problem.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed_methods(request))
    return problem_response(ProblemError(problem, problem.title + ".", headers=headers))


def _allowed_methods(request: Request) -> list[str]:
    """Tell the methods of the path (RFC 9110 §10.2.1): the router names only its first route's methods."""
    return [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


def invalid(errors: Sequence[Any]) -> ProblemError:
    """Make a refusal of pydantic's findings, in words of our own where its words could hold input."""
    if any(error["loc"][0] == "path" for error in errors):
        return ProblemError(Problem.NOT_FOUND, "There is nothing at this path.")
    if any(error["type"] == "json_invalid" for error in errors):
        return ProblemError(Problem.BAD_REQUEST, "The body is not JSON.", (Fault("Not JSON.", pointer="#"),))
    faults = {(fault.pointer, fault.parameter): fault for fault in map(_fault_of, reversed(errors))}
    return ProblemError(Problem.INVALID, "See errors.", tuple(reversed(faults.values())))


def _fault_of(error: Any) -> Fault:
    source, *path = error["loc"]
    if error["type"] == "extra_forbidden":
        # The name itself came from the caller.
        path, detail = path[:-1], "There is a field here that is not known."
    else:
        detail = f"{error['msg']}." if error["type"] in _QUOTABLE else "This is not valid here."
    # A union adds the names of its branches to the location; ours are not field names.
    names = [str(part) for part in path if isinstance(part, int) or _FIELD_NAME.fullmatch(str(part))]
    if source == "body":
        return Fault(detail, pointer="/".join(["#", *names]))
    return Fault(detail, parameter=" ".join([str(source), *map(str, path)]))


def _fault_answer(fault: Fault) -> dict[str, str]:
    return FaultAnswer(
        detail=fault.detail, pointer=fault.pointer or None, parameter=fault.parameter or None
    ).model_dump(exclude_none=True)
