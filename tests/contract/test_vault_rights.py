"""The rights of each plane in a real Vault, and the adapters' words for a failing Vault."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlmodel import Session

from services.control_plane.api.integration_writes import IntegrationEdit, IntegrationWrites, Target
from services.control_plane.rules.endpoint import EndpointPolicy
from services.control_plane.rules.problems import ProblemError
from services.control_plane.secrets.port import SecretStoreError, SecretVersionTaken
from services.control_plane.secrets.vault import MAX_GAP_VERSIONS, VaultSecretWriter
from services.control_plane.store.database import Database
from services.control_plane.store.outage import DatabaseUnavailable
from services.data_plane.table.secrets import SecretUnavailable
from services.data_plane.table.vault_reader import VaultSecretReader
from shared.clock import unix_now
from shared.secret import Secret
from shared.vault_session import VaultConflict, VaultDenied, VaultSession
from tests.support.canary import Canary
from tests.support.config_truth import document
from tests.support.servers.vault import MOUNT, VaultServer
from tests.support.servers.vault_store import Plane, VaultStore, session_of
from tests.unit.control_plane.world import KEY, OWNER, World

DEADLINE_SECONDS = 30
PATH = "orgs/acme/openai"
RETRIES = 15
TARGET = Target("acme", "openai", OWNER, "*")
ADD = IntegrationEdit(Secret(KEY), None, enabled=True)


@pytest.fixture
def own_vault() -> Iterator[VaultStore]:
    """A Vault which a test may break."""
    with VaultServer() as server:
        yield VaultStore.new(server)


def kv(client: Any) -> Any:
    return client.secrets.kv.v2


@pytest.mark.parametrize(
    ("plane", "what"),
    [
        ("control-plane", lambda c, p: kv(c).read_secret_version(p, mount_point=MOUNT)),
        ("control-plane", lambda c, p: kv(c).list_secrets(p, mount_point=MOUNT)),
        ("control-plane", lambda c, p: kv(c).delete_metadata_and_all_versions(p, mount_point=MOUNT)),
        ("control-plane", lambda c, p: kv(c).undelete_secret_versions(p, [1], mount_point=MOUNT)),
        ("control-plane", lambda c, _: c.sys.list_policies()),
        ("control-plane", lambda c, _: kv(c).create_or_update_secret("else", {}, mount_point=MOUNT)),
        ("data-plane", lambda c, p: kv(c).create_or_update_secret(p, {}, mount_point=MOUNT)),
        ("data-plane", lambda c, p: kv(c).destroy_secret_versions(p, [1], mount_point=MOUNT)),
        ("data-plane", lambda c, p: kv(c).delete_latest_version_of_secret(p, mount_point=MOUNT)),
        ("data-plane", lambda c, p: kv(c).read_secret_metadata(p, mount_point=MOUNT)),
        ("data-plane", lambda c, p: kv(c).list_secrets(p, mount_point=MOUNT)),
        ("data-plane", lambda c, _: kv(c).read_secret_version("else", mount_point=MOUNT)),
    ],
)
@pytest.mark.filterwarnings("ignore:The raise_on_deleted_version:DeprecationWarning")
def test_each_plane_can_do_only_its_own_part(
    vault: VaultStore, plane: Plane, what: Callable[[Any, str], Any]
) -> None:
    vault.put(1, document())
    with vault.session(plane) as session, pytest.raises(VaultDenied):
        session.call(lambda client: what(client, session.target.path("acme", "openai")))
    assert vault.read("acme", "openai", 1) == document()


def test_the_roles_of_the_set_up_have_exactly_their_rights(vault: VaultStore) -> None:
    with vault.session("control-plane") as writing, vault.session("data-plane") as reading:
        assert VaultSecretWriter(writing).wrong_rights() == []
        assert VaultSecretReader(reading).wrong_rights() == []


def test_the_role_of_the_other_plane_is_told_what_it_lacks_and_has_too_much(vault: VaultStore) -> None:
    with vault.session("control-plane") as writing, vault.session("data-plane") as reading:
        assert VaultSecretWriter(reading).wrong_rights() == [
            "The control plane's role lacks create, update on data/.",
            "The control plane's role can read keys back; it must not.",
            "The control plane's role lacks update on destroy/.",
            "The control plane's role lacks read on metadata/.",
        ]
        assert VaultSecretReader(writing).wrong_rights() == [
            "The data plane's role lacks read on data/.",
            "The data plane's role may create, update on data/; it must only read.",
        ]


def test_a_destroyed_version_is_gone_for_root_too_and_its_number_is_never_used_again(
    vault: VaultStore,
) -> None:
    with vault.session("control-plane") as session:
        writer = VaultSecretWriter(session)
        writer.write(document(key="sk-first"), 1)
        writer.destroy("acme", "openai", 1)
        assert vault.read("acme", "openai", 1) is None
        with pytest.raises(SecretVersionTaken) as caught:
            writer.write(document(key="sk-second"), 1)
        assert caught.value.latest == 1
        writer.write(document(key="sk-second"), 2)
    assert vault.read("acme", "openai", 2) == document(key="sk-second")


def test_a_vault_that_is_behind_the_rows_catches_up_within_bounds(vault: VaultStore) -> None:
    with vault.session("control-plane") as session:
        writer = VaultSecretWriter(session)
        writer.write(document(), 8)
        assert vault.read("acme", "openai", 8) == document()
        with pytest.raises(SecretStoreError, match="behind"):
            writer.write(document(), 8 + MAX_GAP_VERSIONS + 2)


async def test_a_placeholder_in_a_gap_is_no_secret(vault: VaultStore) -> None:
    vault.put(3, document())
    reader = VaultSecretReader(vault.new_session("data-plane"))
    with pytest.raises(SecretUnavailable, match="fields"):
        await reader.read("acme", "openai", 2)
    await reader.aclose()


def test_old_versions_outlive_many_writes(vault: VaultStore) -> None:
    for version in range(1, 31):
        vault.put(version, document(key=f"sk-{version}"))
    assert vault.read("acme", "openai", 1) == document(key="sk-1")


@pytest.mark.parametrize(("of_engine", "of_secret"), [(4, 0), (3, 6), (6, 3), (0, 0)])
def test_the_pinned_version_outlives_every_write_without_a_commit(
    own_vault: VaultStore, tmp_path: Path, of_engine: int, of_secret: int
) -> None:
    root = kv(own_vault.server.root())
    root.configure(max_versions=of_engine, cas_required=True, mount_point=MOUNT)
    world = World(tmp_path)
    with own_vault.session("control-plane") as session:
        writer = VaultSecretWriter(session)
        pinned = writes_on(world.database, writer).put(TARGET, ADD).row
        path = own_vault.target("data-plane").path(TARGET.org, TARGET.provider)
        root.update_metadata(path, max_versions=of_secret, mount_point=MOUNT)
        database = LosingDatabase(world.database_url)
        for number in range(RETRIES):
            edit = IntegrationEdit(Secret(f"{KEY}{number}"), None, enabled=True)
            with pytest.raises((DatabaseUnavailable, ProblemError)):
                writes_on(database, writer).put(TARGET, edit)
        assert len(writer.stored(TARGET.org, TARGET.provider)) > 1  # some were written
        database.close()
    kept = own_vault.read(TARGET.org, TARGET.provider, pinned.secret_version)
    world.close()
    assert kept is not None
    assert kept.api_key == Secret(KEY)


class LosingDatabase(Database):
    """A database which loses every commit of a change, though an empty write succeeds."""

    @contextmanager
    def write(self) -> Iterator[Session]:
        with super().write() as session:
            yield session
            raise DatabaseUnavailable("lost at the commit")


def writes_on(database: Database, writer: VaultSecretWriter) -> IntegrationWrites:
    return IntegrationWrites(database, writer, b"pepper", EndpointPolicy(), unix_now)


async def test_a_secret_of_another_org_under_this_path_is_refused(vault: VaultStore) -> None:
    path = vault.target("data-plane").path("acme", "openai")
    fields = {"org": "evil", "provider": "openai", "endpoint": "https://x", "api_key": "sk-evil"}
    kv(vault.server.root()).create_or_update_secret(path, fields, cas=0, mount_point=MOUNT)
    reader = VaultSecretReader(vault.new_session("data-plane"))
    with pytest.raises(SecretUnavailable, match="another integration"):
        await reader.read("acme", "openai", 1)
    await reader.aclose()


def test_setting_up_again_changes_nothing(vault_server: VaultServer) -> None:
    assert vault_server.set_up() == vault_server.set_up()
    root = vault_server.root()
    assert root.secrets.kv.v2.read_configuration(mount_point=MOUNT)["data"]["cas_required"] is True


def test_a_write_without_check_and_set_is_refused_by_the_engine_itself(vault: VaultStore) -> None:
    with vault.session("control-plane") as session, pytest.raises(VaultConflict):
        session.call(
            lambda client: kv(client).create_or_update_secret(
                session.target.path("acme", "openai"), {}, mount_point=MOUNT
            )
        )


# -- logging in


def test_a_short_token_stays_alive_and_a_revoked_one_is_replaced(vault: VaultStore) -> None:
    root = vault.server.root()
    root.auth.approle.create_or_update_approle(
        "short", token_policies=["aigw-data-plane"], token_ttl="2s", token_max_ttl="4s"
    )
    role_id = root.auth.approle.read_role_id("short")["data"]["role_id"]
    vault.put(1, document())
    target = replace(vault.target("data-plane"), role=role_id)
    session = session_of(target, Secret(vault.server.secret_id("short")))
    reading = VaultSecretReader(session)
    deadline = time.monotonic() + 9  # more than two whole lives
    while time.monotonic() < deadline:
        assert reading._read("acme", "openai", 1) == document()
        time.sleep(0.2)
    assert session._token is not None
    root.auth.token.revoke(session._token.text.reveal())
    assert reading._read("acme", "openai", 1) == document()
    session.close()


def test_a_plain_token_is_enough(vault: VaultStore) -> None:
    vault.put(1, document())
    token = Secret(vault.server.token("aigw-data-plane", ttl="1m"))
    session = session_of(vault.target("data-plane", "token"), token)
    assert VaultSecretReader(session)._read("acme", "openai", 1) == document()
    session.close()


def test_a_signed_service_account_token_logs_in(vault: VaultStore, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    vault.server.set_up(SETUP_AUTH="jwt")
    root = vault.server.root()
    root.write_data("auth/jwt/config", data={"jwt_validation_pubkeys": [public.decode()]})
    file = tmp_path / "token"
    session = session_of(vault.target("data-plane", "jwt", credential_file=str(file)), None)
    vault.put(1, document())
    now = int(time.time())  # noqa: TID251  # Vault reads the real clock
    for subject, allowed in (("aigw-control-plane", False), ("aigw-data-plane", True)):
        claims = {"sub": subject, "aud": "aigw", "iat": now, "exp": now + 300}
        file.write_text(jwt.encode(claims, key, algorithm="ES256"))
        session._next_login_at = 0.0  # the first refusal began a back-off
        if allowed:
            assert VaultSecretReader(session)._read("acme", "openai", 1) == document()
        else:
            with pytest.raises(SecretUnavailable, match="refused the login"):
                VaultSecretReader(session)._read("acme", "openai", 1)
    session.close()


def test_a_wrong_secret_id_is_refused_and_not_shown(vault: VaultStore) -> None:
    session = session_of(vault.target("data-plane"), Secret("canary-secret-id"))
    with pytest.raises(SecretUnavailable, match="refused the login") as caught:
        VaultSecretReader(session)._read("acme", "openai", 1)
    assert "canary" not in str(caught.value)
    session.close()


def test_a_server_whose_certificate_is_not_trusted_gets_nothing(vault: VaultStore) -> None:
    target = replace(vault.target("data-plane"), ca_file=None)
    session = session_of(target, Secret(vault.server.secret_id("aigw-data-plane")))
    with pytest.raises(SecretUnavailable, match="certificate is not trusted"):
        VaultSecretReader(session)._read("acme", "openai", 1)
    session.close()


# -- a Vault that fails


async def test_a_sealed_stopped_or_restarted_vault_is_a_passing_failure(own_vault: VaultStore) -> None:
    own_vault.put(1, document())
    server = own_vault.server
    session = own_vault.new_session("data-plane")
    reader = VaultSecretReader(session)
    with own_vault.session("control-plane") as writing:
        writer = VaultSecretWriter(writing)
        writer.write(document(), 2)
        assert await reader.read("acme", "openai", 1) == document()
        server.seal()
        with pytest.raises(SecretUnavailable, match="sealed"):
            await reader.read("acme", "openai", 1)
        with pytest.raises(SecretStoreError, match="sealed"):
            writer.write(document(), 3)
        server.process.stop()
        with pytest.raises(SecretUnavailable, match="cannot be reached"):
            await reader.read("acme", "openai", 1)
        server.start()
        server.unseal()
        assert await reader.read("acme", "openai", 1) == document()
        writer.write(document(), 3)
    await reader.aclose()


def test_no_key_is_in_the_audit_log_or_an_error(vault: VaultStore) -> None:
    canary = Canary()
    with vault.session("control-plane") as session:
        writer = VaultSecretWriter(session)
        writer.write(document(key=canary.text), 1)
        with pytest.raises(SecretVersionTaken) as caught:
            writer.write(document(key=canary.text), 1)
    with vault.session("data-plane") as session:
        assert VaultSecretReader(session)._read("acme", "openai", 1).api_key.reveal() == canary.text
    audit = vault.server.audit_file.read_text()
    assert f"{vault.prefix}/{PATH}" in audit
    assert canary.text not in audit + str(caught.value)
    requests = [json.loads(line) for line in audit.splitlines()]
    assert any(entry.get("request", {}).get("operation") == "read" for entry in requests)


def test_a_session_of_the_real_server_ends_when_closed(vault: VaultStore) -> None:
    with vault.session("data-plane") as session:
        session.call(lambda client: client.auth.token.lookup_self())
        assert isinstance(session, VaultSession)
        keeper = session._keeper
    assert keeper is not None
    assert not keeper.is_alive()
