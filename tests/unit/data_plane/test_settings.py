"""The data plane's settings: defaults, sources, and forbidden combinations."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.data_plane.core.limits import RelayLimits
from services.data_plane.settings import DataPlaneSettings


def development(**values: object) -> DataPlaneSettings:
    return DataPlaneSettings.model_validate({"environment": "development", **values})


def test_every_limit_of_the_relay_is_a_setting_with_the_same_default() -> None:
    settings = DataPlaneSettings()
    assert settings.relay_limits() == RelayLimits()
    assert {field.name for field in fields(RelayLimits)} <= set(DataPlaneSettings.model_fields)


def test_a_limit_set_by_the_environment_reaches_the_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIGW_HEAD_SECONDS", "2.5")
    monkeypatch.setenv("AIGW_MAX_REQUESTS_PER_ORG", "7")
    limits = DataPlaneSettings().relay_limits()
    assert (limits.head_seconds, limits.max_requests_per_org) == (2.5, 7)


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIGW_ENDPOINT_ADDRESS_EXCEPTIONS", "10.1.0.0/16, fd00::/8")
    settings = DataPlaneSettings()
    assert settings.endpoint_address_exceptions == ("10.1.0.0/16", "fd00::/8")
    assert settings.address_policy().allows("10.1.2.3")
    assert not settings.address_policy().allows("10.2.2.3")


def test_a_malformed_network_is_refused_at_start() -> None:
    with pytest.raises(ValidationError, match="endpoint_address_exceptions"):
        development(endpoint_address_exceptions="10.1.0.0/33")


def test_a_static_org_is_refused_in_production() -> None:
    with pytest.raises(ValidationError, match="refused in production"):
        DataPlaneSettings(identity_mode="static", static_org="acme")


def test_the_environment_is_production_unless_said_otherwise() -> None:
    assert DataPlaneSettings().environment == "production"


def test_a_static_identity_needs_its_org() -> None:
    with pytest.raises(ValidationError, match="needs static_org"):
        development(identity_mode="static")
    assert development(identity_mode="static", static_org="acme").static_org == "acme"


TLS = "proxy-tlv+tls://0.0.0.0:1001"
FILES = {"box_tls_certificate_file": "/c.pem", "box_tls_key_file": "/k.pem"}


def test_without_box_listeners_there_is_one_of_the_mode_on_the_box_port() -> None:
    settings = development(identity_mode="proxy-tlv", box_port=7)
    assert [str(one) for one in settings.listeners()] == ["proxy-tlv+tcp://127.0.0.1:7"]
    assert settings.box_option == "AIGW_BOX_PORT"


def test_several_listeners_have_a_mode_each() -> None:
    several = "proxy-tlv+unix:///run/boxes.sock, header+tcp://127.0.0.1:1000"
    settings = development(box_listeners=several)
    assert [one.mode for one in settings.listeners()] == ["proxy-tlv", "header"]
    assert settings.box_option == "AIGW_BOX_LISTENERS"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"box_listeners": TLS}, "needs box_tls_certificate_file and box_tls_key_file"),
        ({"box_listeners": TLS, "box_tls_key_file": "/k.pem"}, "needs box_tls_certificate_file"),
        (FILES, "there is none"),
        ({"box_tls_client_ca_file": "/ca.pem"}, "there is none"),
        ({"box_listeners": TLS, **FILES, "box_port": 1}, "take box_port away"),
        ({"box_listeners": TLS, **FILES, "identity_mode": "header"}, "take identity_mode away"),
        ({"box_listeners": "header+tcp://a:1,proxy-tlv+tcp://a:1"}, "the same address"),
        ({"box_listeners": "guess+tcp://a:1"}, "MODE"),
        ({"box_listeners": "static+tcp://a:1"}, "needs static_org"),
        ({"identity_mode": "guess"}, "proxy-tlv"),
    ],
)
def test_what_does_not_go_together_is_refused_with_the_reason(values: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        development(**values)


def test_no_static_listener_starts_in_production() -> None:
    with pytest.raises(ValidationError, match="refused in production"):
        DataPlaneSettings(box_listeners=("static+tcp://127.0.0.1:1000",), static_org="acme")


@pytest.mark.parametrize("url", ["consul://v/kv", "local://folder", "local:relative", "/folder", ""])
def test_only_a_local_secret_store_with_an_absolute_folder_is_known(url: str) -> None:
    with pytest.raises(ValidationError, match="local:///FOLDER"):
        development(secret_store_url=url)
    assert development(secret_store_url="local:///a/b").secret_folder == Path("/a/b")


def test_a_bus_that_nobody_can_read_is_refused() -> None:
    with pytest.raises(ValidationError, match="memory://"):
        development(event_bus_url="amqp://127.0.0.1")


def test_plain_http_endpoints_are_refused_in_production() -> None:
    with pytest.raises(ValidationError, match="refused in production"):
        DataPlaneSettings(allow_plain_http_endpoints=True)
    assert development(allow_plain_http_endpoints=True).allow_plain_http_endpoints


def test_boxes_may_use_the_guest_address_and_loopback() -> None:
    assert development().authorities([4321]) == {b"10.0.2.2:1000", b"127.0.0.1:4321", b"localhost:4321"}


def test_configured_authorities_replace_the_default_ones() -> None:
    assert development(box_authorities="AI.example:80").authorities([4321]) == {b"ai.example:80"}


def test_the_internal_token_comes_from_a_file_and_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text("t0ken-canary\n")
    monkeypatch.setenv("AIGW_INTERNAL_TOKEN_FILE", str(path))
    settings = DataPlaneSettings()
    assert settings.internal_token.reveal() == "t0ken-canary"
    assert "t0ken" not in repr(settings) + settings.model_dump_json()
