"""Address and token of the command line's REST calls."""

from __future__ import annotations

from pydantic import Field

from shared.secret import Secret
from shared.settings_base import GatewaySettings


class ClientSettings(GatewaySettings):
    """The settings of the REST commands: `AIGW_API_URL`, and `AIGW_API_TOKEN` or `AIGW_API_TOKEN_FILE`."""

    api_url: str = Field(
        "http://127.0.0.1:9900",
        description="The control plane that aigw org, member, integration and node call.",
    )
    api_token: Secret = Field(
        default_factory=lambda: Secret(""),
        description="The bearer token that these commands show: the platform's, or a person's of an issuer.",
    )
