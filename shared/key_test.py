"""The key test, as seen by both planes: its steps, and the messages between the planes.

A typed key is tried by the control plane, a stored key by a data plane, the only reader of stored keys: `POST
/internal/v1/key-tests` on its admin listener takes a `KeyTestRequest` and gives a `KeyTestResponse`, both as
JSON and secret-free by construction. The wording of the findings is in `shared/key_test_report.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from shared.endpoint import MAX_ENDPOINT_CHARS
from shared.providers import ProviderName

SCHEMA: Final = 1
KEY_TESTS_PATH: Final = "/internal/v1/key-tests"
MAX_KEY_TEST_BYTES: Final = 16 * 1024
"""Of a request and of an answer, either way."""
MAX_DETAIL_CHARS: Final = 400
TOTAL_SECONDS: Final = 20.0
"""The longest time for a key test; a caller waiting for a data plane waits a little longer."""

StepName = Literal["dns", "tls", "authentication", "model_list"]
StepStatus = Literal["ok", "failed", "skipped", "unknown"]
KeyTestVerdict = Literal["valid", "invalid", "unknown"]
Outcome = Literal["tried", "not_yet", "not_set_up", "key_unavailable", "busy"]
STEPS: Final[tuple[StepName, ...]] = ("dns", "tls", "authentication", "model_list")

_Id = Annotated[str, Field(min_length=1, max_length=128)]


@dataclass(frozen=True, slots=True)
class KeyTestStep:
    """A single step: its outcome, a sentence about the outcome, and the time taken.

    None where nothing was done.
    """

    step: StepName
    status: StepStatus
    detail: Annotated[str, Field(max_length=MAX_DETAIL_CHARS)]
    seconds: Annotated[float, Field(ge=0)] | None = None


def verdict_of(steps: tuple[KeyTestStep, ...]) -> KeyTestVerdict:
    """Derive the verdict on the key from the steps: only the provider itself can make it invalid."""
    for step in steps:
        if step.step == "authentication" and step.status == "ok":
            return "valid"
        if step.step == "authentication" and step.status == "failed":
            return "invalid"
    return "unknown"


@dataclass(frozen=True, slots=True)
class KeyTestRequest:
    """Try the stored key of this integration, in its state at `revision` of `epoch` or later."""

    org: _Id
    provider: ProviderName
    epoch: Annotated[str, Field(max_length=64)]
    revision: Annotated[int, Field(ge=0)]
    schema: Literal[1] = SCHEMA


@dataclass(frozen=True, slots=True)
class KeyTestResponse:
    """The result of a key test.

    Attributes:
        outcome: `tried`: see the steps. `not_yet`: this process has not reached the revision. `not_set_up`:
            there is no such integration any more. `key_unavailable`: the key cannot be read here; `detail`
            says why. `busy`: too many key tests run here.
        detail: a sentence for the operator; empty but for `key_unavailable`.
        endpoint: where the key was sent; the secret's own, whatever the database says.
        steps: all of `STEPS` in order when tried, else none.
    """

    outcome: Outcome
    detail: Annotated[str, Field(max_length=MAX_DETAIL_CHARS)] = ""
    endpoint: Annotated[str, Field(max_length=MAX_ENDPOINT_CHARS)] = ""
    steps: tuple[KeyTestStep, ...] = ()
    schema: Literal[1] = SCHEMA


class KeyTestError(ValueError):
    """The bytes are no key test request or answer of a schema known to this process."""


_REQUEST: TypeAdapter[KeyTestRequest] = TypeAdapter(KeyTestRequest)
_ANSWER: TypeAdapter[KeyTestResponse] = TypeAdapter(KeyTestResponse)


def encode_key_test_request(request: KeyTestRequest) -> bytes:
    """Write a request as JSON."""
    return _REQUEST.dump_json(request)


def decode_key_test_request(data: bytes) -> KeyTestRequest:
    """Read a request; raises `KeyTestError`."""
    try:
        return _REQUEST.validate_json(data, strict=True)
    except ValidationError as error:
        raise _not_a("request", error) from None


def encode_key_test_response(answer: KeyTestResponse) -> bytes:
    """Write an answer as JSON."""
    return _ANSWER.dump_json(answer)


def decode_key_test_response(data: bytes) -> KeyTestResponse:
    """Read an answer; raises `KeyTestError`, also when its steps are not those of its outcome."""
    try:
        answer = _ANSWER.validate_json(data, strict=True)
    except ValidationError as error:
        raise _not_a("answer", error) from None
    expected = STEPS if answer.outcome == "tried" else ()
    if tuple(step.step for step in answer.steps) != expected:
        raise KeyTestError(
            f"the steps of a key test that is {answer.outcome} are {', '.join(expected) or 'none'}"
        )
    return answer


def _not_a(what: str, error: ValidationError) -> KeyTestError:
    return KeyTestError(f"not a key test {what} of schema {SCHEMA}: {error.error_count()} faults")
