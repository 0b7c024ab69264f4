"""Which backends a setting may name, for both planes alike."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.backend_settings import BackendSettings
from tests.support.feed_keys import FEED_KEY


class Settings(BackendSettings):
    environment: str = "production"
    secret_store_url: str = "local:///secrets"
    event_bus_url: str = "memory://"


@pytest.mark.parametrize(
    "url",
    [
        "local:///srv/secrets",
        "vault://v/aigw",
        "vault://127.0.0.1/aigw?tls=off",
        "vault://[::1]/aigw?tls=off",
        "vault://localhost/aigw?tls=off",
    ],
)
def test_every_good_secret_store_is_taken(url: str) -> None:
    assert Settings(secret_store_url=url).secret_store_url == url


@pytest.mark.parametrize("url", ["local://srv", "vault://v", "file:///x", ""])
def test_what_is_no_secret_store_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(secret_store_url=url)


def test_keys_go_in_clear_over_no_network_in_production() -> None:
    url = "vault://vault.example/aigw?tls=off"
    with pytest.raises(ValidationError, match="in clear"):
        Settings(secret_store_url=url)
    assert Settings(environment="development", secret_store_url=url).secret_store_url == url


@pytest.mark.parametrize("url", ["memory://", "redis://r", "rediss://r/1", "redis+sentinel://s/main"])
def test_every_good_bus_is_taken(url: str) -> None:
    assert Settings(event_bus_url=url, feed_key=FEED_KEY).event_bus_url == url


@pytest.mark.parametrize("url", ["", "amqp://r", "redis://u:p@r", "redis+sentinel://s"])
def test_what_is_no_bus_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(event_bus_url=url)


def test_credentials_come_from_settings_and_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIGW_VAULT_CREDENTIAL", "canary-1")
    monkeypatch.setenv("AIGW_REDIS_PASSWORD", "canary-2")
    monkeypatch.setenv("AIGW_REDIS_SENTINEL_PASSWORD", "canary-3")
    read = Settings()
    assert read.vault_credential is not None
    assert read.vault_credential.reveal() == "canary-1"
    assert "canary" not in repr(read)


@pytest.mark.parametrize("given", ["10.1.0.0/16, fd00::/8,", ("10.1.0.0/16", "fd00::/8")])
def test_networks_that_endpoints_may_be_in_come_as_one_text_or_several(given: object) -> None:
    read = Settings.model_validate({"endpoint_address_exceptions": given})
    assert read.endpoint_address_exceptions == ("10.1.0.0/16", "fd00::/8")


@pytest.mark.parametrize("given", ["10.1.0.0/33", "10.1.0.1/16", "internal", "10.1.0.0/16,x"])
def test_what_is_no_network_is_refused(given: str) -> None:
    with pytest.raises(ValidationError, match="endpoint_address_exceptions"):
        Settings.model_validate({"endpoint_address_exceptions": given})


def test_networks_come_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIGW_ENDPOINT_ADDRESS_EXCEPTIONS", "10.1.0.0/16")
    assert Settings().endpoint_address_exceptions == ("10.1.0.0/16",)
