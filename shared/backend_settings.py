"""The settings of the backends used by both planes: the form of a URL, and the credentials beside the URL.

Only settings read alike by both planes, including the allowed places of endpoints. Each plane declares its
own URLs, because each uses them differently.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from shared.addresses import AddressPolicy
from shared.feed_signature import FeedKeys
from shared.providers import DEFAULT_OFFER, Provider, offered
from shared.redis_link import is_redis_url, parse_redis_url
from shared.secret import Secret
from shared.settings_base import GatewaySettings, Texts
from shared.vault_target import is_vault_url, parse_vault_url

LOCAL_STORE: Final = "local"
MEMORY_BUS: Final = "memory://"


def _check_networks(value: tuple[str, ...]) -> tuple[str, ...]:
    AddressPolicy.of(value)
    return value


def _check_providers(value: tuple[str, ...]) -> tuple[str, ...]:
    offered(value)
    return value


class BackendSettings(GatewaySettings):
    """Settings with a `secret_store_url`, an `event_bus_url` and an `environment`."""

    vault_credential: Secret | None = Field(
        default=None, description="The token, secret id or JWT that a vault:// secret store is opened by."
    )
    redis_password: Secret | None = Field(
        default=None, description="The password of the user in a redis:// event bus."
    )
    redis_sentinel_password: Secret | None = Field(
        default=None, description="The password of the sentinels of a redis+sentinel:// event bus."
    )

    feed_key: Secret | None = Field(
        default=None,
        description="Signs what the control plane lays into Redis; the same for both planes, required with a "
        "Redis event bus. While it is rotated, several with commas: the first signs, each is accepted.",
    )
    providers: Annotated[Texts, AfterValidator(_check_providers)] = Field(
        default=DEFAULT_OFFER, description="The providers that are offered, in their order in every list."
    )
    endpoint_address_exceptions: Annotated[Texts, AfterValidator(_check_networks)] = Field(
        default=(), description="Networks (CIDR) that endpoints may be in although they are not public."
    )

    def offered_providers(self) -> tuple[Provider, ...]:
        """Give the rows of the offered providers, in their order."""
        return offered(self.providers)

    @field_validator("secret_store_url", check_fields=False)
    @classmethod
    def _check_secret_store(cls, value: str) -> str:
        if is_vault_url(value):
            parse_vault_url(value)
            return value
        parts = urlsplit(value)
        if parts.scheme != LOCAL_STORE or parts.netloc or not parts.path.startswith("/"):
            raise ValueError(
                "a secret store is local:///FOLDER, with an absolute path, or vault://HOST/MOUNT?auth=…"
            )
        return value

    @field_validator("event_bus_url", check_fields=False)
    @classmethod
    def _check_bus(cls, value: str) -> str:
        if is_redis_url(value):
            parse_redis_url(value)
        elif value != MEMORY_BUS:
            raise ValueError(f"an event bus is {MEMORY_BUS}, redis://…, rediss://… or redis+sentinel://…")
        return value

    @model_validator(mode="after")
    def _check_feed_key(self) -> Self:
        if self.feed_key is not None:
            FeedKeys(self.feed_key)
        elif is_redis_url(getattr(self, "event_bus_url", "")):
            raise ValueError(
                "a Redis event bus needs a feed_key, the same for both planes: without one, whoever writes "
                "to Redis could change any configuration. Make one by: openssl rand -base64 32"
            )
        return self

    def feed_keys(self) -> FeedKeys:
        """Give the keys of the feed; there are some wherever the event bus is Redis."""
        assert self.feed_key is not None, "settings check that there is one"
        return FeedKeys(self.feed_key)

    @model_validator(mode="after")
    def _keep_keys_off_open_networks(self) -> Self:
        url: str = getattr(self, "secret_store_url", "")
        if getattr(self, "environment", "") == "production" and is_vault_url(url):
            address = urlsplit(parse_vault_url(url).address)
            if address.scheme == "http" and not _is_loopback(address.hostname or ""):
                raise ValueError(
                    "a vault:// store with tls=off would send keys in clear; refused in production"
                )
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
