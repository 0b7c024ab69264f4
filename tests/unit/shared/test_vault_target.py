"""The forms of a Vault URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.secret_document import SecretDocumentError
from shared.vault_target import POD_JWT, VaultUrlError, is_vault_url, parse_vault_url


def test_a_short_url_is_tls_at_the_usual_port_with_a_token() -> None:
    found = parse_vault_url("vault://vault.example/aigw")
    assert (found.address, found.mount, found.prefix) == ("https://vault.example:8200", "aigw", "")
    assert (found.auth, found.role, found.credential_file) == ("token", "", None)
    assert (found.namespace, found.ca_file) == (None, None)
    assert found.path("acme", "openai") == "orgs/acme/openai"


def test_a_long_url_sets_everything() -> None:
    found = parse_vault_url(
        "vault://[::1]:8300/kv/team/gateway?auth=approle&role=r-1&auth_mount=logins/approle&namespace=ns"
        "&ca_file=/etc/ca.pem&credential_file=/run/secret-id"
    )
    assert (found.address, found.mount, found.prefix) == ("https://[::1]:8300", "kv", "team/gateway")
    assert (found.auth, found.role, found.auth_mount) == ("approle", "r-1", "logins/approle")
    assert (found.namespace, found.ca_file) == ("ns", Path("/etc/ca.pem"))
    assert found.credential_file == Path("/run/secret-id")
    assert found.path("acme", "openai") == "team/gateway/orgs/acme/openai"


def test_a_pod_logs_in_by_its_own_token() -> None:
    found = parse_vault_url("vault://v/aigw?auth=kubernetes&role=aigw-data-plane")
    assert (found.auth_mount, found.credential_file) == ("kubernetes", POD_JWT)


def test_tls_can_be_left_out_for_a_sidecar() -> None:
    assert parse_vault_url("vault://127.0.0.1:8100/aigw?tls=off").address == "http://127.0.0.1:8100"


@pytest.mark.parametrize(
    "url",
    [
        "https://v/aigw",
        "vault:///aigw",
        "vault://v",
        "vault://v/",
        "vault://v:x/aigw",
        "vault://v/a//b",
        "vault://v/a/..",
        "vault://v/a%2fb",
        "vault://v/aigw#part",
        "vault://v/aigw?auth=ldap&role=x",
        "vault://v/aigw?auth=approle",
        "vault://v/aigw?role=x",
        "vault://v/aigw?tls=maybe",
        "vault://v/aigw?tls=off&ca_file=/x",
        "vault://v/aigw?namespace=",
        "vault://v/aigw?namespace=a&namespace=b",
        "vault://v/aigw?token=x",
    ],
)
def test_what_names_no_engine_is_refused(url: str) -> None:
    with pytest.raises(VaultUrlError):
        parse_vault_url(url)


@pytest.mark.parametrize("url", ["vault://canary@v/aigw", "vault://v/aigw?token=canary"])
def test_a_credential_in_the_url_is_refused_and_not_shown(url: str) -> None:
    assert is_vault_url(url)
    with pytest.raises(VaultUrlError) as caught:
        parse_vault_url(url)
    assert "canary" not in str(caught.value)


def test_an_org_that_would_leave_its_folder_has_no_path() -> None:
    with pytest.raises(SecretDocumentError):
        parse_vault_url("vault://v/aigw").path("../other", "openai")
