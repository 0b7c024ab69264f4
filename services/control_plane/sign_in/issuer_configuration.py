"""An OpenID Connect issuer's published configuration, and the gateway's choices among its options.

The module holds values only; `oidc` fetches the document.
"""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

ClientAuthMethod = Literal["client_secret_basic", "client_secret_post"]
SECRET_METHODS: Final[tuple[ClientAuthMethod, ...]] = ("client_secret_basic", "client_secret_post")
"""The ways of showing a client secret (OpenID Connect Core §9), the preferred way first."""
PROMPTS: Final = ("select_account", "login")
"""Prompts for a choice of the account (OpenID Connect Core §3.1.2.1), the least work for people first."""


class IssuerConfiguration(BaseModel):
    """The used part of an issuer's discovery document (OpenID Connect Discovery §3)."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    prompt_values_supported: tuple[str, ...] | None = None
    authorization_response_iss_parameter_supported: bool = False

    def require_https(self) -> None:
        """Refuse an endpoint that is neither https nor, like the issuer itself, plain http (`ValueError`)."""
        allowed = {"https", urlsplit(self.issuer).scheme}
        endpoints = (self.authorization_endpoint, self.token_endpoint, self.jwks_uri)
        optional = (self.userinfo_endpoint, self.end_session_endpoint)
        named = (*endpoints, *(endpoint for endpoint in optional if endpoint is not None))
        if any(urlsplit(endpoint).scheme not in allowed for endpoint in named):
            raise ValueError("an endpoint is not https")

    def secret_method(self) -> ClientAuthMethod:
        """Choose how a client's secret is shown; raises `ValueError` where it takes none of our ways."""
        for method in SECRET_METHODS:
            if method in self.token_endpoint_auth_methods_supported:
                return method
        raise ValueError("it takes a client's secret neither in Basic nor in the body")

    def prompts(self) -> tuple[str, ...]:
        """Those of `PROMPTS` that it may know: one that lists its own may refuse any other."""
        known = PROMPTS if self.prompt_values_supported is None else self.prompt_values_supported
        return tuple(value for value in PROMPTS if value in known)
