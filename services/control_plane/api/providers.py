"""`providers`: the deployment's offer, for the Portal and any other client."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.control_plane.api.context import InContext, Reading
from services.control_plane.api.named_provider import ShownProvider
from services.control_plane.api.problem_response import problem_responses
from services.control_plane.rules.key_kinds import KEY_STARTS
from services.control_plane.rules.problems import Problem
from shared.providers import LOCAL_ORIGIN, PLACEHOLDER, Provider, with_addresses

router = APIRouter(tags=["providers"])


class KeyHint(BaseModel):
    """A kind of key with its public prefix. The longest prefix of all providers decides."""

    kind: str
    prefix: str


class KnownKeyStart(BaseModel):
    """A public start of keys, and whose keys begin so. The first matching entry of the list decides."""

    start: str
    vendor: str = Field(description="The company, as people call it.")
    provider: ShownProvider | None = Field(description="Whose card takes such keys; null for none.")
    hosts: list[str] = Field(description="Where such a key belongs: these hosts and the hosts below them.")
    administers: bool = Field(description="Administers an account and can call no model: refused.")
    demo: bool = Field(description="Made by the demo provider.")


class Snippet(BaseModel):
    """Lines to paste into a box."""

    id: str
    title: str
    note: str
    code: str


class EnvironmentVariable(BaseModel):
    """A variable to set in a box; `setup.sh` sets every variable."""

    name: str
    value: str


class OfferedProvider(BaseModel):
    """A provider offered by this deployment."""

    provider: ShownProvider
    title: str
    company: str = Field(description="The vendor, as people call the company.")
    about: str
    default_endpoint: str = Field(description="Where requests go when the owner sets no endpoint.")
    version_segment: str = Field(description="Put between the endpoint and the path; may be empty.")
    example_path: str
    local_base_url: str = Field(description="The base URL inside every box; the same for every org.")
    keys: list[KeyHint]
    key_page: str = Field(description="Where an owner gets a key.")
    console: str = Field(description="Where an owner sees usage and billing at the provider.")
    placeholder: str = Field(description="What a box may put where a client asks for a key.")
    environment: list[EnvironmentVariable]
    snippets: list[Snippet]


class ProviderList(BaseModel):
    """The providers, in the order in which this deployment offers them."""

    items: list[OfferedProvider]
    key_starts: list[KnownKeyStart] = Field(
        description="Keys of every vendor that is known, for warnings while a key is typed."
    )


@router.get("/providers", operation_id="listProviders", responses=problem_responses(Problem.SIGN_IN_REQUIRED))
def list_providers(_person: Reading, context: InContext) -> ProviderList:
    """List the providers offered by this deployment."""
    return offer_of(context.providers, context.box_origin)


def offer_of(rows: Iterable[Provider], box_origin: str) -> ProviderList:
    """Show rows, in their order, and the known starts of keys."""
    starts = [
        KnownKeyStart(
            start=one.start,
            vendor=one.vendor,
            provider=one.provider,
            hosts=list(one.hosts),
            administers=one.administers,
            demo=one.demo,
        )
        for one in KEY_STARTS
    ]
    return ProviderList(items=[offered_provider(row, box_origin) for row in rows], key_starts=starts)


def offered_provider(row: Provider, box_origin: str) -> OfferedProvider:
    """Show a row, with the addresses under which boxes reach the gateway."""
    base_url = box_origin + row.local_base_url.removeprefix(LOCAL_ORIGIN)
    setup = Snippet(
        id="setup",
        title="Everything",
        note="Sets this box up for every known client, for this shell and later ones.",
        code=f'eval "$(curl -fsS {box_origin}/run9/ai/setup.sh)"',
    )
    return OfferedProvider(
        provider=row.name,
        title=row.title,
        company=row.vendor,
        about=row.about,
        default_endpoint=row.default_endpoint,
        version_segment=row.version_segment,
        example_path=row.example_path,
        local_base_url=base_url,
        keys=[KeyHint(kind=shape.kind, prefix=shape.prefix) for shape in row.keys],
        key_page=row.key_page,
        console=row.console,
        placeholder=PLACEHOLDER,
        environment=[
            EnvironmentVariable(name=name, value=with_addresses(value, base_url))
            for name, value in row.environment
        ],
        snippets=[
            *(
                Snippet(id=one.id, title=one.title, note=one.note, code=with_addresses(one.code, base_url))
                for one in row.snippets
            ),
            setup,
        ],
    )
