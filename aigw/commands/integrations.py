"""`aigw integration`: an organization's provider keys, by the REST API and with an owner's token."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from aigw.commands.command_group import CommandGroup
from aigw.commands.rest import AsJson, Org, api_session, confirm, read_key

if TYPE_CHECKING:
    from aigw.rest_client.session import ApiSession

commands = typer.Typer(
    cls=CommandGroup,
    help="An organization's providers: keys, endpoints, on and off.",
    no_args_is_help=True,
)

Provider = Annotated[
    str, typer.Argument(help="A name of `aigw integration list`, such as openai.", metavar="PROVIDER")
]
KeyFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A file with the key; left out: from standard input.")
]
Endpoint = Annotated[
    str | None, typer.Option(metavar="URL", help="A base URL of your own; left out: as it is.")
]


@commands.command("list")
def integration_list(org_id: Org, *, as_json: AsJson = False) -> None:
    """List the providers of an organization, set up or not."""
    from aigw.rest_client.output import show_table  # noqa: PLC0415  # loaded by this command alone

    with api_session() as api:
        rows = api.call("GET", _path(org_id))[0]["items"]
    show_table(rows, ["provider", "state", "endpoint", "updated_at", "updated_by"], as_json=as_json)


@commands.command("get")
def integration_get(org_id: Org, provider: Provider, *, as_json: AsJson = False) -> None:
    """Show a provider; of its key the last four characters."""
    from aigw.rest_client.output import show  # noqa: PLC0415  # loaded by this command alone

    with api_session() as api:
        show(api.call("GET", _path(org_id, provider))[0], as_json=as_json)


@commands.command("set")
def integration_set(
    org_id: Org,
    provider: Provider,
    *,
    key_file: KeyFile = None,
    endpoint: Endpoint = None,
    enabled: Annotated[bool, typer.Option(help="Whether boxes may use it.")] = True,
    as_json: AsJson = False,
) -> None:
    """Set a provider up, or replace its key. The key comes from a file or from standard input."""
    body: dict[str, Any] = {"api_key": read_key(key_file), "enabled": enabled}
    if endpoint is not None:
        body["endpoint"] = endpoint
    _change(org_id, provider, "PUT", body, as_json=as_json)


@commands.command("enable")
def integration_enable(org_id: Org, provider: Provider, *, as_json: AsJson = False) -> None:
    """Switch a provider on."""
    _change(org_id, provider, "PATCH", {"enabled": True}, as_json=as_json)


@commands.command("disable")
def integration_disable(org_id: Org, provider: Provider, *, as_json: AsJson = False) -> None:
    """Switch a provider off: requests are refused, and running streams end within seconds."""
    _change(org_id, provider, "PATCH", {"enabled": False}, as_json=as_json)


@commands.command("clear")
def integration_clear(
    org_id: Org,
    provider: Provider,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget a provider's key and endpoint."""
    from aigw.rest_client.output import show_done  # noqa: PLC0415  # loaded by this command alone

    confirm(f"Destroy the {provider} key of {org_id}?", yes=yes)
    with api_session() as api:
        # A provider that is no longer offered is shown nowhere, and can be cleared all the same.
        listed = [item["provider"] for item in api.call("GET", _path(org_id))[0]["items"]]
        if_match = _state(api, org_id, provider) if provider in listed else "*"
        api.call("DELETE", _path(org_id, provider), if_match=if_match)
    outcome = {"org": org_id, "provider": provider, "cleared": True}
    show_done(f"{provider} of {org_id} is cleared.", outcome, as_json=as_json)


@commands.command("test")
def integration_test(
    org_id: Org,
    provider: Provider,
    *,
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A key to test; left out: the stored key.")
    ] = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Test a key step by step; nothing is stored. Exits with 1 when the provider refused the key."""
    from aigw.rest_client.output import show_key_test  # noqa: PLC0415  # loaded by this command alone

    body: dict[str, Any] = {} if key_file is None else {"api_key": read_key(key_file)}
    if endpoint is not None:
        body["endpoint"] = endpoint
    with api_session() as api:
        result = api.call("POST", f"{_path(org_id, provider)}/test", body)[0]
    show_key_test(result, as_json=as_json)
    if result["verdict"] == "invalid":
        raise typer.Exit(1)


def _change(org_id: str, provider: str, method: str, body: dict[str, Any], *, as_json: bool) -> None:
    """Change an integration in its present state: a change in between is refused, never overwritten."""
    from aigw.rest_client.output import show  # noqa: PLC0415  # loaded by these commands alone

    with api_session() as api:
        if_match = _state(api, org_id, provider)
        show(api.call(method, _path(org_id, provider), body, if_match=if_match)[0], as_json=as_json)


def _state(api: ApiSession, org_id: str, provider: str) -> str | None:
    return api.call("GET", _path(org_id, provider))[1]


def _path(org_id: str, provider: str | None = None) -> str:
    path = f"/orgs/{quote(org_id, safe='')}/ai-integrations"
    return path if provider is None else f"{path}/{quote(provider, safe='')}"
