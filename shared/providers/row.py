"""The shape of a provider's row: everything that differs between providers, as data.

Where data does not reach, a row names a small adapter: the usage shape, and the error body in the row's file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from shared.refusals import RefusalRule

ProviderName = Literal["openai", "anthropic", "gemini"]
"""Every provider with a row."""

LOCAL_ORIGIN: Final = "http://10.0.2.2:1000"
"""Where a box finds the gateway: QEMU user networking's host address, and the node agent's one port."""

PLACEHOLDER: Final = "run9-placeholder"
"""The placeholder for a client's key setting; any value is thrown away."""

RoutePattern = tuple[str, ...]
"""Segments after the version, lower case, `_` for `-`; `*` is any one. Fits the paths below as well."""


@dataclass(frozen=True, slots=True)
class Credential:
    """How a key is shown to the provider.

    Attributes:
        header: the header's name, as written.
        scheme: the text before the key, with its space.
        beta: a token required in `anthropic-beta` beside the key, or empty.
    """

    header: str
    scheme: str = ""
    beta: str = ""


@dataclass(frozen=True, slots=True)
class KeyShape:
    """A kind of key, told by its public prefix. The longest prefix decides."""

    kind: str
    prefix: str
    credential: Credential


@dataclass(frozen=True, slots=True)
class KeyTest:
    """The request that tests a key: a GET of the model list.

    Attributes:
        path: after the base path.
        headers: sent beside the credential.
        list_name: the member of the response with the models.
    """

    path: str
    list_name: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ErrorFacts:
    """The facts in an error body of the gateway's own.

    Attributes:
        status: the HTTP status.
        code: the gateway's code of the rejection.
        message: the sentence for people.
        request_id: the gateway's own id of this response.
    """

    status: int
    code: str
    message: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Snippet:
    """Lines to paste into a box, with `$BASE_URL` and `$BASE` in them (`with_addresses`)."""

    id: str
    title: str
    note: str
    code: str


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider.

    Attributes:
        name: as in URLs, rows and metrics.
        title, about: as people read them.
        company: the vendor, as people call the company; empty where the title says so.
        local_path: the path of the base URL inside every box.
        default_endpoint: used when the owner sets none; the text for `*_BASE_URL`.
        version_segment: put between the endpoint and the box's path.
        stripped_version: a leading segment removed from the box's path, up to two times; or empty.
        keys: the kinds of keys recognised by their prefix; the first kind is shown as an example.
        admin_keys: prefixes of keys for administering the provider account, without the right to call a
            model.
        key_hosts: hosts where the vendor's keys belong, with all hosts below them.
        credential: how any other key is sent.
        query_credentials: query parameters, in lower case, that carry a key, select an account or stand for
            headers; the parameters are taken out of a box's query.
        key_statuses: statuses with which the provider may refuse the key. Such a response is held until its
            body has told whether the status is about the key.
        address_headers: response headers, in lower case, whose value is an absolute URL of the provider's.
            Clients send requests there, so the URL is rewritten like that of a `Location`.
        example_path: a path for examples.
        key_test: the request that tests a key.
        error_body: writes the gateway's own errors in the provider's shape.
        request_id_header: where the provider's clients look for an id.
        refused_routes: routes that mint or reveal credentials usable without the gateway, or administer the
            provider account. Names such as `client_secrets` are refused beside this list, anywhere.
        warm_ups: paths after the base answered here when asked by HEAD; empty is the base itself.
        key_routes: first segments of the routes where a 401 concerns the key: other products of an endpoint
            may speak of other keys.
        refusals: the meanings of this provider's 401 and 403.
        usage_shape: NAME of the adapter `services/data_plane/core/usage/NAME_shape.py`, which reads tokens
            from the responses.
        environment: the variables to set in a box, with `$BASE_URL` and `$BASE` in their values.
        set_up_shell: POSIX shell functions for clients that need a file, or empty: `run9_set_up_NAME`,
            `run9_undo_NAME`, which takes out what the first has written, and `run9_print_NAME`, which tells.
        snippets: lines to paste.
        telemetry_name: the provider's name in OpenTelemetry's conventions; empty where `name` is that name.
        key_page, console: where an owner gets a key, and sees usage.
    """

    name: ProviderName
    title: str
    about: str
    local_path: str
    default_endpoint: str
    version_segment: str
    stripped_version: str
    keys: tuple[KeyShape, ...]
    credential: Credential
    example_path: str
    key_test: KeyTest
    error_body: Callable[[ErrorFacts], dict[str, object]]
    request_id_header: str
    refused_routes: tuple[RoutePattern, ...]
    key_routes: frozenset[str]
    refusals: tuple[RefusalRule, ...]
    usage_shape: str
    environment: tuple[tuple[str, str], ...]
    snippets: tuple[Snippet, ...]
    key_page: str
    console: str
    company: str = ""
    telemetry_name: str = ""
    admin_keys: tuple[str, ...] = ()
    key_hosts: tuple[str, ...] = ()
    query_credentials: frozenset[str] = frozenset()
    key_statuses: frozenset[int] = frozenset({401})
    address_headers: tuple[str, ...] = ()
    warm_ups: tuple[str, ...] = ("",)
    set_up_shell: str = ""

    @property
    def refusal_statuses(self) -> frozenset[int]:
        """Give the statuses whose bodies a key test reads: they tell what was refused."""
        return self.key_statuses | {401, 403}

    @property
    def local_base_url(self) -> str:
        """Give the fixed base URL inside every box."""
        return LOCAL_ORIGIN + self.local_path

    @property
    def vendor(self) -> str:
        """Name the company whose keys these are."""
        return self.company or self.title

    def credential_for(self, key: str) -> Credential:
        """Choose how `key` is sent, by its prefix."""
        fitting = [shape for shape in self.keys if key.startswith(shape.prefix)]
        return max(fitting, key=lambda shape: len(shape.prefix)).credential if fitting else self.credential


def with_addresses(text: str, base_url: str) -> str:
    """Fill `$BASE_URL` in, and `$BASE`, which is the same without its last slash."""
    return text.replace("$BASE_URL", base_url).replace("$BASE", base_url.rstrip("/"))
