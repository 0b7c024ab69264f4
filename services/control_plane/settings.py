"""The control plane's settings: names, defaults, forbidden combinations. Only this reads its environment.

`bootstrap` takes the few values each part needs from here; no other object knows about settings.
"""

from __future__ import annotations

import json
import re
import urllib.request
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import NoDecode

from services.control_plane.limit_settings import LimitSettings
from services.control_plane.store.database_url import checked_database_url
from shared.acknowledgement import FORGET_SECONDS
from shared.addresses import Network
from shared.backend_settings import MEMORY_BUS, BackendSettings
from shared.egress_settings import HOST_AND_PORT, EgressSettings
from shared.otlp.settings import OtlpSettings
from shared.providers import LOCAL_ORIGIN
from shared.secret import Secret
from shared.settings_base import SettingFileError, Texts, read_again
from shared.vault_target import is_vault_url

MIN_TOKEN_CHARS: Final = 16
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# As browsers write it in `Origin`: lower case, no slash at the end.
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]{1,5})?")


class Issuer(BaseModel):
    """A source of sign-in tokens. Exactly one of `jwks_url` and `jwks_file` gives the place of its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    issuer: str = Field(min_length=1, description="The `iss` of its tokens, exactly.")
    audience: str = Field(min_length=1, description="The `aud` that names this control plane.")
    jwks_url: str | None = Field(default=None, description="Where its JWK Set is fetched from, by https.")
    jwks_file: Path | None = Field(default=None, description="A file that holds its JWK Set.")
    assume_email_verified: bool = Field(
        default=False,
        description="Whether its tokens need not say email_verified: it verifies every address.",
    )

    @field_validator("jwks_url")
    @classmethod
    def _check_jwks_url(cls, value: str | None) -> str | None:
        if value is not None and not _is_web_url(value):
            raise ValueError("a jwks_url is https://HOST/PATH")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.jwks_url is None) == (self.jwks_file is None):
            raise ValueError("an issuer has either jwks_url or jwks_file")
        return self


def _is_web_url(text: str) -> bool:
    """Whether something can be fetched there: the parsers disagree about malformed URLs, some late."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0 and text.isprintable()


def _environment_proxy(url: str) -> httpx.Proxy | None:
    """Give the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for a URL; loopback has none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    named = urllib.request.getproxies_environment().get(parts.scheme)
    if not named or _is_loopback(host):
        return None
    bypassed = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed lacks it
    if bypassed(host if parts.port is None else f"{host}:{parts.port}"):
        return None
    address = named if "://" in named else f"http://{named}"
    if not address.startswith(("http://", "https://")):
        raise ValueError(f"{parts.scheme.upper()}_PROXY names no HTTP proxy")
    try:
        return httpx.Proxy(address)
    except (httpx.InvalidURL, ValueError):  # whose words may be a part of the password
        raise ValueError(f"{parts.scheme.upper()}_PROXY is not http://USER:PASSWORD@HOST:PORT") from None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _as_browsers_write(origin: str) -> str:
    """Give an origin in a browser's form: without the scheme's default port (RFC 6454 §6.1)."""
    parts = urlsplit(origin)
    is_default = parts.port == _DEFAULT_PORTS[parts.scheme]
    shown = "" if parts.port is None or is_default else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{shown}"


class ControlPlaneSettings(BackendSettings, EgressSettings, LimitSettings, OtlpSettings):
    """The operator's settings, as `AIGW_<NAME>`; secrets also as `AIGW_<NAME>_FILE`."""

    environment: Literal["production", "development", "embedded"] = Field(
        default="production", description="What may be relaxed: nothing in production."
    )
    database_url: str = Field(
        default="sqlite:////var/lib/aigw/control-plane.db",
        description="Where rows, audit and outbox are: sqlite:///FILE or postgresql+psycopg://….",
    )
    secret_store_url: str = Field(
        default="local:///var/lib/aigw/secrets",
        description="Where keys are written to: local:///FOLDER or vault://….",
    )
    event_bus_url: str = Field(
        default=MEMORY_BUS,
        description="Where changes are published: redis://… and its kin, or memory:// (same process only).",
    )
    control_plane_host: str = Field(default="127.0.0.1", description="Where the REST interface listens.")
    control_plane_port: int = Field(
        default=9900, ge=0, le=65_535, description="Its port; 0 picks a free one."
    )
    internal_host: str = Field(default="127.0.0.1", description="Where the fleet's interface listens.")
    internal_port: int = Field(default=9902, ge=0, le=65_535, description="Its port; 0 picks a free one.")
    drain_seconds: int = Field(default=10, ge=0, le=3_600, description="How long a stop waits for requests.")
    data_plane_admin_url: str = Field(
        default="",
        description="Where data planes' admin listeners are, as http://HOST:PORT; one of them tests a saved "
        "key. Empty: only typed keys can be tested.",
    )
    forget_silent_process_seconds: int = Field(
        default=FORGET_SECONDS,
        ge=60,
        le=2_592_000,
        description="After so long without a report a data-plane process is taken as ended. Until then the "
        'Portal and `…/rollout` count the process as unknown ("not heard for …"), because a process that is '
        "cut off serves its last configuration on. No shorter than the data planes' "
        "AIGW_MAX_CONFIG_AGE_SECONDS, unless something else ends processes that are cut off.",
    )
    internal_token: Secret = Field(description="The bearer token of the fleet, for /internal/v1.")
    platform_token: Secret | None = Field(
        default=None,
        description="The platform's bearer token for provisioning; without it nobody provisions.",
    )
    fingerprint_key: Secret | None = Field(
        default=None,
        description="Keys the fingerprints of API keys; by default derived from a local secret store's key.",
    )
    issuers: Annotated[tuple[Issuer, ...], NoDecode] = Field(
        default=(),
        description="Who may sign people in: a JSON list of {issuer, audience, jwks_url|jwks_file}, with "
        '"assume_email_verified": true for one that verifies every address but never says so.',
    )
    portal_origin: str = Field(
        default="",
        description="Where people reach the Portal, as https://HOST; empty: wherever they say, on loopback.",
    )
    demo_origins: Texts = Field(
        (), description="Where a demo provider is, as http://HOST:PORT: its endpoints are marked as such."
    )
    oidc_issuer: str = Field(
        default="", description="The OpenID Connect issuer that people sign in to the Portal at."
    )
    oidc_client_id: str = Field(default="", description="How the Portal is registered there.")
    oidc_client_secret: Secret | None = Field(
        default=None, description="Its secret there; without one it is a public client, by PKCE alone."
    )
    oidc_client_auth: Literal["", "client_secret_basic", "client_secret_post"] = Field(
        default="",
        description="How the secret is shown to the issuer; empty: as the issuer says that it supports.",
    )
    oidc_sign_out: bool = Field(
        default=True,
        description="Whether signing out of the Portal also ends the session at the issuer, where the issuer "
        "has an end_session_endpoint. PORTAL_ORIGIN/sign-in must be registered there for the way back.",
    )
    issuer_ca_file: Path | None = Field(
        default=None,
        description="Certificates (PEM) that issuers are verified by, in place of the system's: for "
        "configuration, keys, tokens and user info alike.",
    )
    issuer_proxy: str | None = Field(
        default=None,
        description="host:port of an HTTP proxy (CONNECT) that every issuer is reached through. Empty: "
        "HTTPS_PROXY and NO_PROXY of the environment, never for an issuer on loopback.",
    )
    issuer_proxy_credentials: Secret | None = Field(
        default=None, description="user:password for the proxy of AIGW_ISSUER_PROXY."
    )
    oidc_assume_email_verified: bool = Field(
        default=False,
        description="Whether the issuer's people need no email_verified: it verifies every address but never "
        "says so. An address that it calls unverified is refused all the same.",
    )
    allow_plain_http_endpoints: bool = Field(
        default=False, description="Whether an endpoint may be http://; refused in production."
    )
    upstream_ca_file: Path | None = Field(
        default=None,
        description="Certificates (PEM) that endpoints are verified by, in place of the system's.",
    )
    box_origin: str = Field(
        default=LOCAL_ORIGIN, description="How boxes reach the gateway; shown as the local base URL."
    )

    @field_validator("issuers", mode="before")
    @classmethod
    def _read_issuers(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:  # whose words are of columns, and whose object holds the text
            raise ValueError("this is no JSON list of {issuer, audience, jwks_url|jwks_file}") from None

    @field_validator("oidc_issuer")
    @classmethod
    def _check_oidc_issuer(cls, value: str) -> str:
        if value and not _is_web_url(value):
            raise ValueError("an OpenID Connect issuer is https://HOST or https://HOST/PATH")
        return value

    @field_validator("issuer_proxy")
    @classmethod
    def _check_issuer_proxy(cls, value: str | None) -> str | None:
        if not value:
            return None
        if not HOST_AND_PORT.fullmatch(value):
            raise ValueError("the proxy of issuers is written as host:port")
        return value

    @field_validator("internal_token", "platform_token", "fingerprint_key", mode="before")
    @classmethod
    def _check_length(cls, value: Any) -> Any:
        if isinstance(value, str) and len(value) < MIN_TOKEN_CHARS:
            raise ValueError(f"a token has at least {MIN_TOKEN_CHARS} characters")
        return value

    @field_validator("database_url")
    @classmethod
    def _check_database(cls, value: str) -> str:
        checked_database_url(value)
        return value

    @field_validator("data_plane_admin_url")
    @classmethod
    def _check_data_plane_admin_url(cls, value: str) -> str:
        if value and not _ORIGIN.fullmatch(value.rstrip("/")):
            raise ValueError("the admin listener of the data planes is http://HOST:PORT, without a path")
        return value.rstrip("/")

    @field_validator("portal_origin")
    @classmethod
    def _check_portal_origin(cls, value: str) -> str:
        if not value:
            return value
        if not _ORIGIN.fullmatch(value) or not _is_web_url(value):
            raise ValueError("the Portal's origin is https://HOST or https://HOST:PORT, without a path")
        return _as_browsers_write(value)

    @model_validator(mode="after")
    def _check_oidc(self) -> Self:
        if self.oidc_issuer and not (self.oidc_client_id and self.portal_origin):
            raise ValueError("an oidc_issuer needs oidc_client_id and portal_origin beside it")
        return self

    @model_validator(mode="after")
    def _check_production(self) -> Self:
        if self.environment == "production":
            if self.allow_plain_http_endpoints:
                raise ValueError("allow_plain_http_endpoints would send keys in clear; refused in production")
            if any(urlsplit(issuer.jwks_url or "").scheme == "http" for issuer in self.issuers):
                raise ValueError("a jwks_url by plain http can be forged on the way; refused in production")
            if any(url.startswith("http:") for url in (self.portal_origin, self.oidc_issuer)):
                raise ValueError("sign-in by plain http can be read on the way; refused in production")
        return self

    @model_validator(mode="after")
    def _check_fingerprints(self) -> Self:
        if is_vault_url(self.secret_store_url) and self.fingerprint_key is None:
            raise ValueError(
                "a vault:// secret store needs a fingerprint_key: this plane can read no key there"
            )
        return self

    def database_url_now(self) -> str:
        """Read the database's URL once more from its file, if any: its password may have been rotated."""
        try:
            return read_again("database_url") or self.database_url
        except SettingFileError:
            return self.database_url

    def issuer_proxy_for(self, url: str) -> httpx.Proxy | None:
        """Give the proxy through which an issuer's URL is reached; None: none.

        Raises:
            ValueError: the environment names a proxy that is not one for HTTP.
        """
        if self.issuer_proxy is not None:
            credentials = self.issuer_proxy_credentials
            user, _, password = ("" if credentials is None else credentials.reveal()).partition(":")
            return httpx.Proxy(f"http://{self.issuer_proxy}", auth=(user, password) if credentials else None)
        return _environment_proxy(url)

    @property
    def secret_folder(self) -> Path:
        """The folder of the local secret store."""
        return Path(urlsplit(self.secret_store_url).path)

    @property
    def address_exceptions(self) -> tuple[Network, ...]:
        """The operator's exceptions as networks."""
        return tuple(ip_network(cidr) for cidr in self.endpoint_address_exceptions)
