"""The permitted settings, their sources, and the refusals at start."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.control_plane.settings import ControlPlaneSettings
from shared.secret import Secret

TOKEN = "internal-token-0123456789"


def settings(**values: object) -> ControlPlaneSettings:
    return ControlPlaneSettings.model_validate({"internal_token": Secret(TOKEN), **values})


def test_every_setting_says_what_it_is_for() -> None:
    for name, field in ControlPlaneSettings.model_fields.items():
        assert field.description, name


def test_everything_can_come_from_the_environment_and_secrets_from_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    issuers = [{"issuer": "https://i.test", "audience": "a", "jwks_url": "https://i.test/jwks"}]
    monkeypatch.setenv("AIGW_INTERNAL_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AIGW_ISSUERS", json.dumps(issuers))
    monkeypatch.setenv("AIGW_ENDPOINT_ADDRESS_EXCEPTIONS", "127.0.0.0/8, ::1/128")
    monkeypatch.setenv("AIGW_SECRET_STORE_URL", "local:///srv/secrets")
    read = ControlPlaneSettings()
    assert read.internal_token == Secret(TOKEN)
    assert read.issuers[0].jwks_url == "https://i.test/jwks"
    assert [str(network) for network in read.address_exceptions] == ["127.0.0.0/8", "::1/128"]
    assert read.secret_folder == Path("/srv/secrets")


@pytest.mark.parametrize(
    "values",
    [
        {"internal_token": "short"},
        {"trusted_proxies": "proxy.internal"},
        {"trusted_proxies": "10.20.0.1/16"},
        {"trusted_proxies": "0.0.0.0/0"},
        {"trusted_proxies": "*"},
        {"org_changes_per_minute": 0},
        {"platform_token": "short"},
        {"database_url": "mysql://x"},
        {"database_url": "sqlite:///"},
        {"database_url": "sqlite:///:memory:"},
        {"oidc_issuer": "https://[", "oidc_client_id": "c", "portal_origin": "https://p.test"},
        {"oidc_issuer": "login.test", "oidc_client_id": "c", "portal_origin": "https://p.test"},
        {"issuers": [{"issuer": "i", "audience": "a", "jwks_url": "https://i:port/jwks"}]},
        {"issuers": [{"issuer": "i", "audience": "a", "jwks_url": "/jwks"}]},
        {"issuers": "{"},
        {"issuers": '{"issuer": "i"}'},
        {"secret_store_url": "local://relative/path"},
        {"secret_store_url": "vault://x"},
        {"secret_store_url": "vault://x/aigw"},
        {"secret_store_url": "vault://x/aigw?tls=off", "fingerprint_key": "k" * 16},
        {"event_bus_url": "redis://user:password@x"},
        {"event_bus_url": "amqp://x"},
        {"portal_origin": "https://p.test:0"},
        {"portal_origin": "https://p.test:99999"},
        {"database_url": "postgresql+psycopg://aigw:a@b@db.test/aigw"},
        {"endpoint_address_exceptions": "10.0.0.0/33"},
        {"control_plane_port": 70_000},
        {"issuers": [{"issuer": "i", "audience": "a"}]},
        {"issuers": [{"issuer": "i", "audience": "a", "jwks_url": "https://i", "jwks_file": "/f"}]},
        {"allow_plain_http_endpoints": True},
        {"issuers": [{"issuer": "i", "audience": "a", "jwks_url": "http://i"}]},
    ],
)
def test_what_cannot_work_or_is_not_safe_in_production_is_refused_at_start(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings(**values)


PASSWORD = "pw-canary"


@pytest.mark.parametrize(
    "rest",
    [
        "@db.test:port/aigw",
        "@db.test:1/aigw?port=x",
        "@db.test:0/aigw",
        "@db.test:65536/aigw",
        "@db.test:-1/aigw",
        "@[::1/aigw",
        "#@db.test:5432x/aigw",
        "@db.test:5432,db2.test:x/aigw",
    ],
)
def test_a_database_url_that_cannot_be_read_is_told_without_its_password(rest: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(database_url=f"postgresql+psycopg://aigw:{PASSWORD}{rest}")
    (fault,) = caught.value.errors(include_input=False)
    assert fault["loc"] == ("database_url",)
    assert "the port is a number up to 65535" in fault["msg"]
    whole = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in whole
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/lib/aigw/x.db",
        "postgresql+psycopg://aigw@db.test/aigw",
        "postgresql+psycopg://aigw:p%2Fw@db.test:5432/aigw?sslmode=verify-full",
        "postgresql+psycopg://aigw@[::1]:5432/aigw",
        "postgresql+psycopg:///aigw?host=/run/postgresql",
        "postgresql+psycopg://aigw@/aigw?host=a.test:5432&host=b.test:5433&target_session_attrs=read-write",
    ],
)
def test_a_database_url_that_can_be_read_stays_as_it_is(url: str) -> None:
    assert settings(database_url=url).database_url == url


def test_issuers_that_are_no_json_are_told_without_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIGW_INTERNAL_TOKEN", TOKEN)
    monkeypatch.setenv("AIGW_ISSUERS", f'[{{"issuer": "{PASSWORD}"')
    with pytest.raises(ValidationError, match="no JSON list") as caught:
        ControlPlaneSettings()
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_plain_http_is_allowed_outside_production() -> None:
    assert settings(environment="embedded", allow_plain_http_endpoints=True).allow_plain_http_endpoints


def test_no_token_is_in_the_repr_or_in_an_error() -> None:
    assert TOKEN not in repr(settings(platform_token=Secret(TOKEN)))
    with pytest.raises(ValidationError) as caught:
        settings(fingerprint_key="tooshort-canary"[:10], database_url="x")
    assert "tooshort" not in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("https://portal.test:443", "https://portal.test"),
        ("https://portal.test:0443", "https://portal.test"),
        ("https://portal.test:8443", "https://portal.test:8443"),
        ("https://portal.test:80", "https://portal.test:80"),
        ("https://portal.test", "https://portal.test"),
    ],
)
def test_the_portals_origin_is_kept_as_browsers_send_it(typed: str, sent: str) -> None:
    assert settings(portal_origin=typed).portal_origin == sent


def test_a_proxy_of_the_environment_that_is_no_url_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:pa/ss@proxy.test:3128")
    with pytest.raises(ValueError, match="HTTPS_PROXY is not http://") as refusal:
        settings().issuer_proxy_for("https://login.test/x")
    assert "pa/" not in str(refusal.value)
    assert "'pa'" not in str(refusal.value)
