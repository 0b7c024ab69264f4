"""The data plane's settings: names, defaults, forbidden combinations. The only reader of its environment.

`bootstrap` takes the few values each part needs from here; no other object knows about settings.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from services.data_plane.core.limits import RelayLimits
from services.data_plane.core.refused_routes import BadRouteRule, RouteRule, parse_route_rules
from services.data_plane.core.route import Routes
from services.data_plane.identity.box_listener import BoxListener, IdentityMode, parse_box_listener
from services.data_plane.table.prefetch import PREFETCH_MAX_ORGS
from shared.addresses import AddressPolicy
from shared.backend_settings import BackendSettings
from shared.egress_settings import EgressSettings
from shared.otlp.settings import OtlpSettings
from shared.providers import PROVIDERS
from shared.secret import Secret
from shared.settings_base import Texts

if TYPE_CHECKING:
    from collections.abc import Iterable

_LIMITS: Final = RelayLimits()
MAX_METRICS_ORGS: Final = 1_000
"""Each has a series per provider, class of status and error code, in each process."""
GUEST_AUTHORITY: Final = "10.0.2.2:1000"
"""A box's name for the gateway, whatever the port behind the node agent."""

PositiveSeconds = Annotated[float, Field(gt=0, le=86_400)]
PositiveCount = Annotated[int, Field(gt=0)]


class DataPlaneSettings(BackendSettings, EgressSettings, OtlpSettings):
    """The operator's settings, as `AIGW_<NAME>`; secrets also as `AIGW_<NAME>_FILE`."""

    environment: Literal["production", "development", "embedded"] = Field(
        "production", description="What may be relaxed: nothing in production."
    )

    box_host: str = Field("127.0.0.1", description="Where box traffic is accepted.")
    box_port: int = Field(1000, ge=0, le=65_535, description="Its port; 0 picks a free one.")
    admin_host: str = Field("127.0.0.1", description="Where health and metrics are served.")
    admin_port: int = Field(9901, ge=0, le=65_535, description="Its port; 0 picks a free one.")
    workers: int = Field(
        1, ge=1, le=256, description="How many processes serve boxes on one port, behind one admin listener."
    )
    drain_seconds: int = Field(10, ge=0, le=3_600, description="How long a stop waits for running requests.")
    stop_delay_seconds: int = Field(
        0,
        ge=0,
        le=300,
        description="How long a stop still accepts connections, not ready: until balancers have noticed.",
    )

    control_plane_internal_url: str = Field(
        "http://127.0.0.1:9902", description="Where the control plane's fleet interface is."
    )
    internal_token: Secret = Field(
        default_factory=lambda: Secret(""), description="The bearer token that it asks of the fleet."
    )
    secret_store_url: str = Field(
        "local:///var/lib/aigw/secrets", description="Where keys are read from: local:///FOLDER or vault://…."
    )
    event_bus_url: str = Field(
        "memory://",
        description="Where changes are heard: redis://… and its kin, or memory:// (same process only).",
    )

    portal_origin: str = Field(
        "",
        max_length=200,
        description="Where people reach the Portal, as https://HOST: named in errors and on the status page.",
    )

    identity_mode: IdentityMode = Field(
        "header",
        description="How a box is told: by the signed preface of its connection (proxy-tlv), by its token in "
        "X-Run9-Box-Token (header), or not at all (static: every caller is one org; refused in production).",
    )
    box_listeners: Texts = Field(
        (),
        description="Several listeners for boxes, or one that is no plain TCP, as MODE+TRANSPORT://…: "
        "proxy-tlv+tls://0.0.0.0:1001, header+tcp://127.0.0.1:1000, proxy-tlv+unix:///run/aigw/boxes.sock?mode="
        "0660. In place of AIGW_IDENTITY_MODE, AIGW_BOX_HOST and AIGW_BOX_PORT.",
    )
    box_tls_certificate_file: Path | None = Field(
        None,
        description="The certificate chain (PEM) of box listeners with the transport tls. These "
        "files are read again when they change.",
    )
    box_tls_key_file: Path | None = Field(None, description="Its private key (PEM).")
    box_tls_client_ca_file: Path | None = Field(
        None,
        description="Authorities (PEM) of which a client of those listeners must show a certificate; none: "
        "no certificate is asked for.",
    )
    static_org: str = Field("", description="The org of every caller in static mode.")
    box_authorities: Texts = Field(
        (), description="The Host values that are answered; by default 10.0.2.2:1000 and loopback."
    )

    refused_routes: Texts = Field(
        (),
        description="Changes to the refused routes: +provider:path adds one, -provider:path takes one away; "
        "* stands for any one segment.",
    )
    allow_plain_http_endpoints: bool = Field(
        default=False, description="Whether a key may be sent to an http:// endpoint."
    )
    upstream_ca_file: Path | None = Field(
        None, description="Certificates (PEM) that endpoints are verified by, in place of the system's."
    )

    max_config_age_seconds: float = Field(
        86_400, gt=0, description="How long the last configuration is served when no source of it answers."
    )
    snapshot_poll_seconds: PositiveSeconds = Field(
        60,
        description="How often the whole configuration is asked for, beside the events; give or take 20 %.",
    )
    prefetch_secrets: bool = Field(
        default=True, description="Whether a key is fetched when its integration changes, not at first use."
    )
    prefetch_max_orgs: PositiveCount = Field(
        PREFETCH_MAX_ORGS,
        description="For how many orgs at most; the keys of all others are fetched at first use.",
    )
    access_log: Literal["stderr", "stdout", "off"] = Field(
        "stderr", description="Where the line per request goes."
    )
    metrics_max_orgs: int = Field(
        default=0,
        ge=0,
        le=MAX_METRICS_ORGS,
        description="For how many orgs the metrics have series of their own, in each process; 0: for none.",
    )
    usage_tap: bool = Field(
        default=True,
        description="Whether the token counts in providers' answers are read, for metrics and access log.",
    )

    otlp_trace_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="The share of requests with a span, of those whose client names no trace (traceparent); "
        "with one, a request has a span exactly if the client records its own.",
    )
    forward_trace_context: bool = Field(
        default=False,
        description="Whether traceparent, tracestate and baggage of a request pass on to the provider.",
    )

    preface_seconds: PositiveSeconds = _LIMITS.preface_seconds
    tls_handshake_seconds: PositiveSeconds = _LIMITS.tls_handshake_seconds
    head_seconds: PositiveSeconds = _LIMITS.head_seconds
    body_progress_seconds: PositiveSeconds = _LIMITS.body_progress_seconds
    write_stall_seconds: PositiveSeconds = _LIMITS.write_stall_seconds
    connect_seconds: PositiveSeconds = _LIMITS.connect_seconds
    first_byte_seconds: PositiveSeconds = _LIMITS.first_byte_seconds
    idle_seconds: PositiveSeconds = _LIMITS.idle_seconds
    exchange_past_token_seconds: PositiveSeconds = _LIMITS.exchange_past_token_seconds
    keep_alive_seconds: PositiveSeconds = _LIMITS.keep_alive_seconds
    max_head_bytes: PositiveCount = _LIMITS.max_head_bytes
    max_head_fields: PositiveCount = _LIMITS.max_head_fields
    max_body_bytes: PositiveCount = _LIMITS.max_body_bytes
    write_buffer_bytes: PositiveCount = _LIMITS.write_buffer_bytes
    stalled_bytes_per_box: PositiveCount = _LIMITS.stalled_bytes_per_box
    max_unidentified_connections: PositiveCount = _LIMITS.max_unidentified_connections
    max_connections: PositiveCount = _LIMITS.max_connections
    max_connections_per_org: PositiveCount | None = _LIMITS.max_connections_per_org
    max_connections_per_box: PositiveCount = _LIMITS.max_connections_per_box
    max_requests_per_box: PositiveCount = _LIMITS.max_requests_per_box
    max_requests_per_org: PositiveCount = _LIMITS.max_requests_per_org
    max_idle_upstreams_per_endpoint: PositiveCount = _LIMITS.max_idle_upstreams_per_endpoint
    max_idle_upstreams: PositiveCount = _LIMITS.max_idle_upstreams
    upstream_idle_seconds: PositiveSeconds = _LIMITS.upstream_idle_seconds
    upstream_life_seconds: PositiveSeconds = _LIMITS.upstream_life_seconds
    warm_upstreams_per_endpoint: int = Field(_LIMITS.warm_upstreams_per_endpoint, ge=0)
    warm_upstream_seconds: PositiveSeconds = _LIMITS.warm_upstream_seconds

    @field_validator("refused_routes")
    @classmethod
    def _check_refused_routes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _route_rules(value)
        return value

    @field_validator("box_listeners")
    @classmethod
    def _check_box_listeners(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        listeners = [parse_box_listener(text) for text in value]
        addresses = [(one.host, one.port, one.path) for one in listeners if one.port or one.path]
        if len(set(addresses)) < len(addresses):
            raise ValueError("two box listeners have the same address")
        return value

    @model_validator(mode="after")
    def _check_production(self) -> Self:
        if self.environment == "production" and self.allow_plain_http_endpoints:
            raise ValueError("allow_plain_http_endpoints would send keys in clear; refused in production")
        return self

    @model_validator(mode="after")
    def _check_identity(self) -> Self:
        one_listener = {"identity_mode", "box_host", "box_port"} & self.model_fields_set
        if self.box_listeners and one_listener:
            raise ValueError(f"box_listeners says it all; take {', '.join(sorted(one_listener))} away")
        if any(listener.mode == "static" for listener in self.listeners()):
            if self.environment == "production":
                raise ValueError(
                    "identity_mode static gives every caller the same org, so it is refused in production; "
                    "use proxy-tlv or header, or set environment to development"
                )
            if not self.static_org:
                raise ValueError("identity_mode static needs static_org")
        return self

    @model_validator(mode="after")
    def _check_box_tls(self) -> Self:
        with_tls = any(listener.transport == "tls" for listener in self.listeners())
        files = (self.box_tls_certificate_file, self.box_tls_key_file)
        if with_tls and None in files:
            raise ValueError("a box listener with tls needs box_tls_certificate_file and box_tls_key_file")
        if not with_tls and any((*files, self.box_tls_client_ca_file)):
            raise ValueError("the box_tls files are for box_listeners with tls, and there is none")
        return self

    def listeners(self) -> tuple[BoxListener, ...]:
        """Give the listeners for boxes."""
        if self.box_listeners:
            return tuple(map(parse_box_listener, self.box_listeners))
        return (BoxListener(self.identity_mode, "tcp", self.box_host, self.box_port),)

    @property
    def box_option(self) -> str:
        """The variable by which an operator moves a box listener."""
        return "AIGW_BOX_LISTENERS" if self.box_listeners else "AIGW_BOX_PORT"

    @property
    def secret_folder(self) -> Path:
        """The folder of the local secret store."""
        return Path(urlsplit(self.secret_store_url).path)

    def relay_limits(self) -> RelayLimits:
        """Give the relay's limits with the operator's values."""
        return RelayLimits(**{field.name: getattr(self, field.name) for field in fields(RelayLimits)})

    def routes(self) -> Routes:
        """Give the routes of the offered providers, with the operator's rules."""
        return Routes(self.offered_providers(), _route_rules(self.refused_routes))

    def address_policy(self) -> AddressPolicy:
        """Give the judge of endpoint addresses with the operator's exceptions."""
        return AddressPolicy.of(self.endpoint_address_exceptions)

    def authorities(self, box_ports: Iterable[int]) -> frozenset[bytes]:
        """Give the `Host` values of the box listeners on `box_ports`, lower case."""
        loopback = [f"{name}:{port}" for port in box_ports for name in ("127.0.0.1", "localhost")]
        names = self.box_authorities or (GUEST_AUTHORITY, *loopback)
        return frozenset(name.lower().encode("ascii") for name in names)


def _route_rules(entries: tuple[str, ...]) -> tuple[RouteRule, ...]:
    try:
        return parse_route_rules(entries, tuple(PROVIDERS.values()))
    except BadRouteRule as bad:
        raise ValueError(str(bad)) from None
