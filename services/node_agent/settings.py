"""The node agent's settings: names, defaults, forbidden combinations. The only reader of its environment.

`bootstrap` takes the few values each part needs from here; no other object knows about settings.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, field_validator, model_validator

from services.node_agent.rules.target import Target, TargetError, read_target
from shared.secret import Secret
from shared.settings_base import GatewaySettings, Texts

MAX_SOCKET_PATH_BYTES: Final = 107
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class NodeAgentSettings(GatewaySettings):
    """The operator's settings, as `AIGW_<NAME>`; secrets also as `AIGW_<NAME>_FILE`."""

    ADDRESSES: ClassVar[frozenset[str]] = frozenset({"agent_targets"})

    agent_socket: Path = Field(
        Path("/run/aigw-node-agent/agent.sock"),
        description="The Unix socket of its REST interface, mode 0600.",
    )
    agent_folder: Path = Field(
        Path("/var/lib/aigw-node-agent"), description="Where attachments are kept; no token or key is in it."
    )
    agent_targets: Texts = Field(
        (),
        description="The data-plane processes: tcp://HOST:PORT, tls://HOST:PORT or unix:///PATH, each with "
        "=http://HOST:PORT of its admin listener for health checks.",
    )
    agent_node_key: Secret = Field(
        default_factory=lambda: Secret(""), description="The node's private key, Ed25519 in PEM."
    )
    agent_kid: str = Field("", description="The id under which its public half was registered for this node.")
    agent_tls_ca_file: Path | None = Field(
        None,
        description="Certificates (PEM) that tls targets are verified by, in place of the system's. "
        "Read again when the file changes.",
    )
    agent_tls_certificate: Path | None = Field(
        None,
        description="This node's own certificate and private key in one file (PEM), for tls "
        "targets. Read again when the file changes.",
    )
    agent_max_connections_per_box: int = Field(
        256,
        gt=0,
        description="Open at once; an org has at most as many as there are free places, so half if alone.",
    )
    agent_attempt_seconds: Seconds = Field(2, description="To connect to one data plane.")
    agent_connect_seconds: Seconds = Field(
        5, description="To connect to any data plane; then the box is answered 503."
    )
    agent_health_seconds: Seconds = Field(1, description="Between two health checks, give or take 20 %.")
    agent_drain_seconds: float = Field(
        3_600, ge=0, description="How long an agent that was replaced keeps its open connections."
    )
    agent_stop_seconds: float = Field(
        2,
        ge=0,
        description="How long an agent that is told to stop keeps its open connections, so that requests "
        "under way end by themselves. New connections wait in the backlog meanwhile.",
    )

    @field_validator("agent_targets")
    @classmethod
    def _check_targets(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                read_target(text)
            except TargetError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("agent_socket")
    @classmethod
    def _check_socket(cls, value: Path) -> Path:
        if len(str(value).encode()) + len(".hand-over") > MAX_SOCKET_PATH_BYTES:
            raise ValueError("the path is too long for a Unix socket")
        return value

    @model_validator(mode="after")
    def _check_needs(self) -> Self:
        if not self.agent_targets:
            raise ValueError("agent_targets must name at least one data plane")
        if not self.agent_node_key or not self.agent_kid:
            raise ValueError("agent_node_key and agent_kid are both needed to sign box tokens")
        return self

    @property
    def hand_over_socket(self) -> Path:
        """Where a successor asks for the listeners."""
        return self.agent_socket.with_name(f"{self.agent_socket.name}.hand-over")

    def targets(self) -> list[Target]:
        """Give the data planes."""
        return [read_target(text) for text in self.agent_targets]


@dataclass(frozen=True, slots=True)
class ServiceManagerNames:
    """The names set for this process by a service manager of systemd's conventions."""

    notify_socket: str
    listen_fds: int
    listen_fd_names: str

    @classmethod
    def read(cls) -> ServiceManagerNames:
        """Read NOTIFY_SOCKET and LISTEN_FDS; sockets meant for another process do not count."""
        environ = os.environ  # noqa: TID251  # this is the door
        count = environ.get("LISTEN_FDS", "")
        ours = environ.get("LISTEN_PID") == str(os.getpid()) and count.isascii() and count.isdigit()
        return cls(
            environ.get("NOTIFY_SOCKET", ""), int(count) if ours else 0, environ.get("LISTEN_FDNAMES", "")
        )
