"""The committed OpenAPI document is the code's, and the application keeps its promises (by schemathesis)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema
from starlette.types import ASGIApp, Receive, Scope, Send

from services.control_plane.app import openapi, openapi_text, public_app
from services.control_plane.key_test.stored_key import StoredKeyTester
from services.control_plane.rules.problems import Problem
from shared.key_test import STEPS, KeyTestResponse, KeyTestStep, encode_key_test_response
from shared.secret import Secret
from tests.unit.control_plane.world import OWNER, PLATFORM_TOKEN, World

COMMITTED: Final = Path(__file__).parents[3] / "openapi.json"
BOUNDED: Final = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
# What a schema cannot say: a key may be a mask, an endpoint may not resolve, a tag may be an old one.
RULES_BEYOND_THE_SCHEMA: Final = [positive_data_acceptance]
CONFIG: Final = {"checks": {"missing_required_header": {"expected-statuses": [401, 403, 404, 422, 428]}}}


class Delegate:
    """An application made before its world: schemathesis wants an application when tests are collected."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def load(app: Delegate) -> OpenApiSchema:
    loaded = schemathesis.openapi.from_dict(openapi(), config=SchemathesisConfig.from_dict(CONFIG))
    loaded.app = app
    return loaded


delegate = Delegate()
schema = load(delegate)
INTEGRATION = schema.include(path_regex=r"/ai-integrations/\{provider\}")


def tried_elsewhere() -> StoredKeyTester:
    """A data plane which finds every stored key good: without a data plane a test is a 503, rightly."""
    steps = tuple(KeyTestStep(step, "ok", "Fine.") for step in STEPS)
    found = encode_key_test_response(
        KeyTestResponse("tried", endpoint="https://api.openai.com/v1", steps=steps)
    )
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=found))
    return StoredKeyTester("http://data-plane.test", Secret("the-fleets-token"), transport=transport)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("fuzzed"), stored_keys=tried_elsewhere())
    delegate.app = public_app(world.context)
    yield world
    world.close()


def bearer(world: World, case: Any) -> dict[str, str]:
    platform = {"platform": []} in (case.operation.definition.raw.get("security") or [])
    return {"Authorization": f"Bearer {PLATFORM_TOKEN if platform else world.issuer.token(OWNER)}"}


def test_the_committed_document_is_the_one_that_the_code_makes() -> None:
    assert COMMITTED.read_text() == openapi_text(), "run `make openapi` and commit openapi.json"


def test_every_operation_has_an_id_of_its_own_and_every_reference_leads_somewhere() -> None:
    document = openapi()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    schemas = set(document["components"]["schemas"])
    references = set(json.dumps(document).split('"#/components/schemas/')[1:])
    assert {reference.split('"')[0] for reference in references} <= schemas


def test_only_health_is_open_to_everybody() -> None:
    for path, operations in openapi()["paths"].items():
        for operation in operations.values():
            assert bool(operation.get("security")) == (path not in {"/livez", "/readyz"}), path


def test_every_documented_refusal_is_a_problem_of_the_catalogue() -> None:
    statuses = {str(problem.status) for problem in Problem}
    for operations in openapi()["paths"].values():
        for operation in operations.values():
            refusals = {status for status in operation["responses"] if status >= "400"}
            assert refusals <= statuses
            for status in refusals:
                assert set(operation["responses"][status]["content"]) == {"application/problem+json"}


@schema.parametrize()  # type: ignore[untyped-decorator]  # schemathesis leaves it so
@BOUNDED
def test_the_application_answers_as_documented(case: Any, fuzzed: World) -> None:
    case.call_and_validate(headers=bearer(fuzzed, case), excluded_checks=RULES_BEYOND_THE_SCHEMA)


@INTEGRATION.parametrize()  # type: ignore[untyped-decorator]  # same
@BOUNDED
def test_an_owners_requests_to_a_real_integration_are_answered_as_documented(
    case: Any, fuzzed: World
) -> None:
    case.path_parameters = {"org": "acme", "provider": "openai"}
    headers = bearer(fuzzed, case) | {"If-Match": "*"}
    answer = case.call(headers=headers)
    case.validate_response(
        answer,
        checks=[
            schemathesis.checks.not_a_server_error,
            *(
                check
                for name in ("status_code", "content_type", "response_schema", "response_headers")
                for check in schemathesis.checks.CHECKS.get_by_names([f"{name}_conformance"])
            ),
        ],
    )
