"""The settings of the operator's egress proxy, which both planes must read alike: each reaches endpoints.

Only names and allowed values; how a proxy is used is each plane's own.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from shared.secret import Secret
from shared.settings_base import GatewaySettings

HOST_AND_PORT: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}")


class EgressSettings(GatewaySettings):
    """Settings of any plane with connections to endpoints."""

    egress_proxy: str | None = Field(
        default=None,
        description="host:port of an HTTP proxy that tunnels (CONNECT) every connection to an endpoint.",
    )
    egress_proxy_credentials: Secret | None = Field(
        default=None, description="user:password for the egress proxy."
    )

    @field_validator("egress_proxy")
    @classmethod
    def _check_egress_proxy(cls, text: str | None) -> str | None:
        if text is not None and not HOST_AND_PORT.fullmatch(text):
            raise ValueError("the egress proxy is written as host:port")
        return text

    def egress_proxy_address(self) -> tuple[str, int] | None:
        """Give the egress proxy's host and port; None when connections are made directly."""
        if self.egress_proxy is None:
            return None
        parts = urlsplit(f"//{self.egress_proxy}")
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port
