"""How integrations look in JSON: responses, and the bodies of requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, WithJsonSchema

from services.control_plane.api.named_provider import ShownProvider
from services.control_plane.rules.endpoint import default_endpoint
from services.control_plane.rules.integration import State
from services.control_plane.rules.key import MAX_KEY_CHARS, MIN_KEY_CHARS
from services.control_plane.store.tables import IntegrationTable
from shared.clock import rfc3339
from shared.endpoint import MAX_ENDPOINT_CHARS
from shared.key_test import KeyTestVerdict, StepName, StepStatus
from shared.providers import LOCAL_ORIGIN, PROVIDERS
from shared.secret import Secret

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""RFC 3339, UTC, milliseconds."""

TypedKey = Annotated[
    Secret,
    WithJsonSchema(
        {
            "type": "string",
            "format": "password",
            "writeOnly": True,
            "minLength": MIN_KEY_CHARS,
            "description": (
                f"The provider's key: {MIN_KEY_CHARS} to {MAX_KEY_CHARS} visible ASCII characters; space "
                "around it is trimmed. Never shown again; a mask is never accepted back."
            ),
        }
    ),
]
TypedEndpoint = Annotated[str, Field(min_length=1, max_length=MAX_ENDPOINT_CHARS)]


class KeyState(BaseModel):
    """The presentable facts of the stored key."""

    set: bool
    last4: str | None = Field(description="Its last four characters.")
    fingerprint: str | None = Field(description="Equal for equal keys of this integration; keyed, no hash.")
    updated_at: Timestamp | None
    updated_by: str | None


class Integration(BaseModel):
    """A provider of an org."""

    provider: ShownProvider
    state: State
    endpoint: str = Field(description="Where the key is sent; the provider's own while not set up.")
    endpoint_kind: Literal["default", "demo", "custom"] = Field(
        description="Whose it is: the provider's own, the demo provider's, or another."
    )
    key: KeyState
    local_base_url: str = Field(description="What boxes use as the base URL.")
    revision: int = Field(description="0 while it was never set up; also the ETag.")
    updated_at: Timestamp | None
    updated_by: str | None


class WrittenIntegration(Integration):
    """An integration after a write."""

    warnings: list[str] = Field(description="What the owner should know; the write was done all the same.")


class IntegrationList(BaseModel):
    """Every provider of an org, set up or not."""

    items: list[Integration]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


_KEY = "Left out or null: the stored key stays."
_ENDPOINT = (
    "A base URL, as in OPENAI_BASE_URL or ANTHROPIC_BASE_URL. Left out: stays as it is, the provider's own "
    "at the first set-up. Null: the provider's own. A change needs the key in the same request."
)


class PutIntegration(_Body):
    """Sets an integration up, or changes it."""

    api_key: TypedKey | None = Field(default=None, description=f"Needed at the first set-up. {_KEY}")
    endpoint: TypedEndpoint | None = Field(default=None, description=_ENDPOINT)
    enabled: StrictBool


class PatchIntegration(_Body):
    """Changes parts of an existing integration; absent fields stay."""

    api_key: TypedKey | None = Field(default=None, description=_KEY)
    endpoint: TypedEndpoint | None = Field(default=None, description=_ENDPOINT)
    enabled: StrictBool | None = None


class TryKey(_Body):
    """A key test: of a typed key before saving, or of the stored key."""

    api_key: TypedKey | None = Field(
        default=None, description="The key to try. Left out or null: the stored key, by a gateway process."
    )
    endpoint: TypedEndpoint | None = Field(
        default=None,
        description="Where; left out or null: the stored endpoint, else the provider's own. A stored key is "
        "only ever tried at its stored endpoint.",
    )


class KeyTestStep(BaseModel):
    """A step of a key test."""

    step: StepName
    status: StepStatus
    detail: str
    seconds: float | None = Field(description="How long it took; null where nothing was done.")


class TrialResult(BaseModel):
    """The result of a key test."""

    provider: ShownProvider
    endpoint: str
    tested: Literal["typed", "stored"] = Field(description="Which key was tested.")
    key_last4: str | None = Field(description="The last four of a stored key; null for a typed one.")
    verdict: KeyTestVerdict = Field(
        description="Invalid only when the provider refused the key with 401 or 403."
    )
    steps: list[KeyTestStep]


def integration_answer(
    row: IntegrationTable, box_origin: str, demo_origins: Sequence[str] = ()
) -> Integration:
    """Show a row. `demo_origins` are the origins of the demo provider, if present."""
    provider = PROVIDERS[row.provider]
    is_set = row.state != "not_set_up"
    return Integration(
        provider=row.provider,
        state=row.state,
        endpoint=(endpoint := row.endpoint or str(default_endpoint(row.provider))),
        endpoint_kind=_kind_of(endpoint, str(default_endpoint(row.provider)), demo_origins),
        key=KeyState(
            set=is_set,
            last4=row.key_last4 if is_set else None,
            fingerprint=row.key_fingerprint if is_set else None,
            updated_at=None if row.key_updated_at is None else rfc3339(row.key_updated_at),
            updated_by=row.key_updated_by,
        ),
        local_base_url=box_origin + provider.local_base_url.removeprefix(LOCAL_ORIGIN),
        revision=row.revision,
        updated_at=rfc3339(row.updated_at) if row.revision else None,
        updated_by=row.updated_by or None,
    )


def _kind_of(endpoint: str, own: str, demo_origins: Sequence[str]) -> Literal["default", "demo", "custom"]:
    if endpoint == own:
        return "default"
    return (
        "demo" if any(endpoint == one or endpoint.startswith(one + "/") for one in demo_origins) else "custom"
    )
