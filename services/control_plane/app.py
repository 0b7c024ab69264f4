"""The two applications: the public REST interface and the fleet's internal one. And the OpenAPI document."""

from __future__ import annotations

import json
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware import Middleware

from services.control_plane.api import (
    audit,
    health,
    integrations,
    internal,
    key_test,
    members,
    metrics,
    nodes,
    orgs,
    providers,
    provisioning,
    rollout,
    sessions,
)
from services.control_plane.api.context import Context
from services.control_plane.api.counts import CountRequests
from services.control_plane.api.limits import AnswerHeaders, BodyLimit, Boundary
from services.control_plane.api.problem_response import ProblemAnswer, answer_problems, problem_responses
from services.control_plane.portal.mount import NotFoundPage, mount_portal
from services.control_plane.rules.problems import Problem

API_PREFIX: Final = "/api/v1"
VERSION: Final = "1"
_DESCRIPTION = (
    "AI integrations of organizations: owners edit, members read, to strangers it does not exist. "
    "Keys are write-only. Every refusal is a problem (RFC 9457) with a stable type. Times are RFC 3339, UTC."
)
_FASTAPI_ERRORS = ("HTTPValidationError", "ValidationError")


def public_app(context: Context) -> FastAPI:
    """The REST interface for people and the platform, and the Portal."""
    app = _public_routes()
    not_found = mount_portal(app, context.browser, context.oidc)
    return _served(app, context, not_found)


def internal_app(context: Context) -> FastAPI:
    """The interface of the fleet."""
    app = _new_app("run9 AI Gateway, internal")
    app.include_router(health.router)
    app.include_router(internal.router)
    app.include_router(metrics.router)
    return _served(app, context)


def openapi() -> dict[str, Any]:
    """The OpenAPI document of the REST interface."""
    app = _public_routes()
    document = get_openapi(
        title=app.title, version=VERSION, routes=app.routes, description=_DESCRIPTION, openapi_version="3.1.0"
    )
    components = document["components"]["schemas"]
    components.update(_problem_schemas())
    for unused in _FASTAPI_ERRORS:
        components.pop(unused, None)
    for operations in document["paths"].values():
        for method, operation in operations.items():
            _require_if_match(operation)
            _forget_fastapi_errors(operation)
            _add_outages(method, operation)
            _add_turns(method, operation)
    return document


def openapi_text() -> str:
    """The document in its committed form: sorted, two spaces, ended by a newline."""
    return json.dumps(openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _public_routes() -> FastAPI:
    app = _new_app("run9 AI Gateway")
    app.include_router(health.router)
    for part in (
        orgs,
        providers,
        members,
        integrations,
        rollout,
        key_test,
        audit,
        provisioning,
        sessions,
        nodes,
    ):
        app.include_router(part.router, prefix=API_PREFIX)
    return app


def _new_app(title: str) -> FastAPI:
    # The document is a committed file; no page here loads scripts from elsewhere.
    return FastAPI(
        title=title,
        version=VERSION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[Middleware(AnswerHeaders), Middleware(Boundary), Middleware(BodyLimit)],
    )


def _served(app: FastAPI, context: Context, not_found: NotFoundPage | None = None) -> FastAPI:
    answer_problems(app, not_found)
    app.add_middleware(CountRequests, counts=context.counts)
    app.state.context = context
    return app


def _problem_schemas() -> dict[str, Any]:
    schema = ProblemAnswer.model_json_schema(ref_template="#/components/schemas/{model}")
    parts: dict[str, Any] = schema.pop("$defs", {})
    return {"ProblemAnswer": schema, **parts}


def _require_if_match(operation: dict[str, Any]) -> None:
    """Mark If-Match as required: in code its absence is not a validation error but a 428."""
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "if-match":
            parameter["name"], parameter["required"] = "If-Match", True
            parameter["schema"] = {"type": "string"}


def _forget_fastapi_errors(operation: dict[str, Any]) -> None:
    """Take out the 422 added by FastAPI itself: `problem_response.py` answers in its place."""
    answer = operation["responses"].get("422", {}).get("content", {}).get("application/json", {})
    if answer.get("schema", {}).get("$ref", "").endswith(_FASTAPI_ERRORS):
        del operation["responses"]["422"]


def _add_outages(method: str, operation: dict[str, Any]) -> None:
    """Add the outage of the database to every operation in need of the database.

    `health` has its own words for an outage.
    """
    if "health" in operation["tags"]:
        return
    problems = [Problem.DATABASE_UNAVAILABLE]
    if method in {"put", "patch", "delete"}:
        problems.append(Problem.CHANGE_UNCERTAIN)
    (answer,) = problem_responses(*problems).values()
    known = operation["responses"].setdefault("503", answer)
    if known is not answer:
        known["description"] = f"{answer['description']}; {known['description']}"


def _add_turns(method: str, operation: dict[str, Any]) -> None:
    """Say that a person who asks too much at a time, or reads too often, is told to wait."""
    if not any("person" in scheme for scheme in operation.get("security", ())):
        return
    problems = [Problem.TOO_MANY_REQUESTS]
    if method == "get":
        problems.append(Problem.TOO_MANY_READS)
    (answer,) = problem_responses(*problems).values()
    known = operation["responses"].setdefault("429", answer)
    if known is not answer:
        known["description"] = f"{answer['description']}; {known['description']}"
