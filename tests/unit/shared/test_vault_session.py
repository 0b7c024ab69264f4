"""Logging in to Vault, keeping the token alive, and telling failures apart; against a counting stub."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.secret import Secret
from shared.vault_session import VaultDenied, VaultFailure, VaultSession
from shared.vault_target import parse_vault_url
from tests.support.stub_vault import StubVault

DEADLINE_SECONDS = 20
CANARY = "canary-credential"


@pytest.fixture
def stub() -> Iterator[StubVault]:
    with StubVault() as served:
        yield served


@contextmanager
def session(
    stub: StubVault, query: str = "auth=approle&role=r-1", credential: str = CANARY, **more: Any
) -> Iterator[VaultSession]:
    target = parse_vault_url(f"vault://127.0.0.1:{stub.port}/aigw?tls=off&{query}")
    clock: Callable[[], float] = more.get("monotonic", time.monotonic)
    opened = VaultSession(target, Secret(credential), monotonic=clock, random=lambda: 0.5)
    try:
        yield opened
    finally:
        opened.close()


def read(client: Any) -> Any:
    return client.secrets.kv.v2.read_secret_version(
        "orgs/acme/openai", version=1, mount_point="aigw", raise_on_deleted_version=True
    )


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_nothing_is_asked_before_the_first_call(stub: StubVault) -> None:
    with session(stub):
        assert not stub.calls


def test_an_approle_logs_in_with_its_role_and_secret_id(stub: StubVault) -> None:
    with session(stub, "auth=approle&role=r-1&auth_mount=logins&namespace=team") as opened:
        opened.call(read)
    assert stub.logins == [{"role_id": "r-1", "secret_id": CANARY}]
    assert stub.calls["POST /v1/auth/logins/login"] == 1
    assert stub.headers["x-vault-token"] == "stub-token-1"
    assert stub.headers["x-vault-namespace"] == "team"


@pytest.mark.parametrize("auth", ["kubernetes", "jwt"])
def test_a_pod_logs_in_with_the_token_in_its_file_read_anew_each_time(
    stub: StubVault, tmp_path: Path, auth: str
) -> None:
    file = tmp_path / "token"
    file.write_text("jwt-1\n")
    with session(stub, f"auth={auth}&role=aigw-data-plane&credential_file={file}") as opened:
        opened.call(read)
        file.write_text("jwt-2\n")
        stub.valid.clear()
        opened.call(read)
    assert stub.logins == [{"role": "aigw-data-plane", "jwt": f"jwt-{number}"} for number in (1, 2)]
    assert stub.calls[f"POST /v1/auth/{auth}/login"] == 2


def test_a_token_is_only_looked_up(stub: StubVault) -> None:
    stub.valid.add(CANARY)
    with session(stub, "auth=token") as opened:
        opened.call(read)
        opened.call(read)
    assert stub.logins == []
    assert stub.calls["GET /v1/auth/token/lookup-self"] == 1


def test_of_many_first_calls_one_logs_in(stub: StubVault) -> None:
    with session(stub) as opened, ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: opened.call(read), range(100)))
    assert len(stub.logins) == 1
    assert stub.calls["GET /v1/aigw/data/orgs/acme/openai"] == 100


def test_a_revoked_token_costs_one_new_login_however_many_ask(stub: StubVault) -> None:
    with session(stub) as opened, ThreadPoolExecutor(16) as threads:
        opened.call(read)
        stub.valid.clear()
        list(threads.map(lambda _: opened.call(read), range(50)))
    assert len(stub.logins) == 2


def test_a_policy_that_denies_is_no_reason_to_log_in_again(stub: StubVault) -> None:
    stub.denies_reads = True
    with session(stub) as opened:
        for _ in range(3):
            with pytest.raises(VaultDenied, match="policy"):
                opened.call(read)
    assert len(stub.logins) == 1


def test_a_refused_login_is_not_repeated_at_once(stub: StubVault) -> None:
    stub.refuses_logins = True
    now = [100.0]
    with session(stub, monotonic=lambda: now[0]) as opened:
        for _ in range(5):
            with pytest.raises(VaultDenied, match="refused the login"):
                opened.call(read)
        assert len(stub.logins) == 1
        stub.refuses_logins = False
        now[0] += 60
        opened.call(read)
    assert len(stub.logins) == 2


def test_an_expired_token_is_not_even_tried(stub: StubVault) -> None:
    now = [100.0]
    stub.renewable = False
    with session(stub, monotonic=lambda: now[0]) as opened:
        opened.call(read)
        now[0] += stub.lease_seconds + 1
        opened.call(read)
    assert len(stub.logins) == 2
    assert stub.headers["x-vault-token"] == "stub-token-2"


def test_a_token_is_renewed_before_it_ends_without_a_call(stub: StubVault) -> None:
    stub.lease_seconds = 1
    with session(stub) as opened:
        opened.call(read)
        wait_for(lambda: stub.calls["POST /v1/auth/token/renew-self"] >= 3)
        opened.call(read)
    assert len(stub.logins) == 1


@pytest.mark.parametrize("renewable", [True, False])
def test_a_token_that_gains_no_more_life_is_replaced_before_it_ends(
    stub: StubVault, *, renewable: bool
) -> None:
    stub.lease_seconds, stub.renewed_seconds, stub.renewable = 2, 1, renewable
    with session(stub) as opened:
        opened.call(read)
        wait_for(lambda: len(stub.logins) >= 2)


def test_renewing_goes_on_after_an_outage(stub: StubVault) -> None:
    stub.lease_seconds = 1
    with session(stub) as opened:
        opened.call(read)
        stub.broken = (503, {}, b"sealed")
        wait_for(lambda: stub.calls["POST /v1/auth/token/renew-self"] >= 1)
        stub.broken = None
        wait_for(lambda: stub.calls["POST /v1/auth/token/renew-self"] >= 3 or len(stub.logins) >= 2)
        opened.call(read)


def test_a_login_that_hangs_does_not_hold_up_those_that_have_a_token(stub: StubVault) -> None:
    with session(stub) as opened:
        opened.call(read)
        # The lock that a login holds for as long as it takes.
        with opened._login, ThreadPoolExecutor(1) as thread:
            thread.submit(opened.call, read).result(DEADLINE_SECONDS)
    assert len(stub.logins) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((503, {}, b""), "sealed"),
        ((500, {}, b"audit device full"), "InternalServerError"),
        ((429, {}, b""), "quota"),
        ((200, {"content-type": "text/html"}, b"<html>canary-page</html>"), "not Vault"),
        ((200, {"content-type": "application/json"}, b"{}"), "not Vault"),
        ((307, {"location": "http://127.0.0.1:1/v1/canary"}, b""), "redirect"),
    ],
)
def test_what_is_wrong_with_vault_is_told_in_words_without_details(
    stub: StubVault, answer: tuple[int, dict[str, str], bytes], words: str
) -> None:
    stub.broken = answer
    with session(stub) as opened, pytest.raises(VaultFailure, match=words) as caught:
        opened.call(read)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_redirect_is_never_followed(stub: StubVault) -> None:
    with StubVault() as elsewhere, session(stub) as opened:
        opened.call(read)
        stub.broken = (307, {"location": f"http://127.0.0.1:{elsewhere.port}/v1/aigw/data/x"}, b"")
        with pytest.raises(VaultFailure, match="redirect"):
            opened.call(read)
        assert not elsewhere.calls


def test_the_environment_sets_no_proxy_and_no_token(stub: StubVault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("VAULT_TOKEN", "canary-of-the-environment")
    with session(stub) as opened:
        opened.call(read)
    assert stub.headers["x-vault-token"] == "stub-token-1"


def test_nobody_listening_is_a_failure_too() -> None:
    with StubVault() as stub:
        port = stub.port
    target = parse_vault_url(f"vault://127.0.0.1:{port}/aigw?tls=off&auth=approle&role=r")
    opened = VaultSession(target, Secret(CANARY), monotonic=time.monotonic, random=lambda: 0.5)
    with pytest.raises(VaultFailure, match="cannot be reached"):
        opened.call(read)
    opened.close()


@pytest.mark.parametrize("text", ["", None])
def test_without_a_credential_nothing_is_asked(stub: StubVault, text: str | None) -> None:
    target = parse_vault_url(f"vault://127.0.0.1:{stub.port}/aigw?tls=off")
    credential = None if text is None else Secret(text)
    opened = VaultSession(target, credential, monotonic=time.monotonic, random=lambda: 0.5)
    with pytest.raises(VaultDenied, match="AIGW_VAULT_CREDENTIAL"):
        opened.call(read)
    opened.close()
    assert not stub.calls


def test_a_credential_file_that_is_not_there_is_said_so(stub: StubVault, tmp_path: Path) -> None:
    with (
        session(stub, f"auth=jwt&role=r&credential_file={tmp_path / 'none'}") as opened,
        pytest.raises(VaultFailure, match="credential file"),
    ):
        opened.call(read)


def test_no_token_or_credential_is_in_a_repr(stub: StubVault) -> None:
    with session(stub) as opened:
        opened.call(read)
        shown = repr(vars(opened))
        assert opened._token is not None
        assert "stub-token" not in shown + repr(opened._token)
        assert CANARY not in shown


def test_a_missing_ca_file_is_a_failure_of_vault_and_no_foreign_error(
    stub: StubVault, tmp_path: Path
) -> None:
    target = parse_vault_url(f"vault://127.0.0.1:{stub.port}/aigw?auth=token&ca_file={tmp_path}/none.pem")
    opened = VaultSession(target, Secret(CANARY), monotonic=time.monotonic, random=lambda: 0.5)
    with pytest.raises(VaultFailure, match="ca_file for Vault cannot be read"):
        opened.call(read)
    opened.close()
