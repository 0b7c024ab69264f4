"""`aigw doctor` with each right taken away and each server in a wrong state, as docs/doctor.md tells."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from sqlmodel import SQLModel

from aigw.doctor.control_plane import examine_control_plane
from aigw.doctor.data_plane import examine_data_plane
from aigw.doctor.database import TABLE_RIGHTS, examine_database
from aigw.doctor.redis import PROBE_KEY, READER_KEYS, WRITER, WRITER_KEYS, Probe
from services.control_plane.settings import ControlPlaneSettings
from services.data_plane.settings import DataPlaneSettings
from shared.clock import Clock, unix_now
from shared.config_feed import STREAM_KEY
from tests.contract.test_doctor import TOKEN
from tests.support.feed_keys import FEED_KEY
from tests.support.servers.issuer_site import IssuerSite
from tests.support.servers.postgres import PgBouncerServer, PostgresServer
from tests.support.servers.process import free_port
from tests.support.servers.tools import REPOSITORY
from tests.support.servers.valkey import SentinelServer, ValkeyServer
from tests.support.servers.vault import MOUNT
from tests.support.servers.vault_store import VaultStore
from tests.unit.control_plane.world import Issuer
from tools.doctor_page import ROWS, Plane

DEADLINE_SECONDS = 30.0
USERS_ACL = (REPOSITORY / "deploy/redis/users.acl").read_text().replace("_PLANE_PASSWORD", "")
Values = dict[str, str]

SQL_ASCII = "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"


def on_folder(folder: Path, **values: str) -> Values:
    """The settings of both planes on a SQLite file and a folder, with `values` in their place."""
    ports = dict.fromkeys(("control_plane_port", "internal_port", "box_port", "admin_port"), "0")
    usual = {
        "database_url": f"sqlite:///{folder / 'gateway.db'}",
        "secret_store_url": f"local://{folder / 'secrets'}",
        "internal_token": TOKEN,
        "control_plane_internal_url": f"http://127.0.0.1:{free_port()}",
    }
    return usual | ports | values


def on_bus(folder: Path, url: str, **more: str) -> Values:
    return on_folder(folder, event_bus_url=url, feed_key=FEED_KEY, **more)


def report(values: Values, plane: str, part: str, clock: Clock = unix_now) -> str:
    """The findings of one check, one line each, as the command prints them."""
    if plane == "control":
        settings = ControlPlaneSettings.model_validate(values)
        findings = asyncio.run(examine_control_plane(settings, clock=clock))
    else:
        findings = asyncio.run(examine_data_plane(DataPlaneSettings.model_validate(values), clock=clock))
    return "\n".join(
        f"{found.grade}: {found.text} → {found.remedy}"
        for found in findings
        if found.name == f"{plane} plane: {part}"
    )


def expect(state: str, values: Values, clock: Clock = unix_now) -> None:
    """Run the doctor, and compare its report with the row of docs/doctor.md."""
    (row,) = [row for row in ROWS if row.state == state]
    said = report(values, row.plane, row.part, clock)
    (line,) = [line for line in said.splitlines() if row.text in line] or [said]
    assert line.startswith(f"{row.grade}: "), said
    assert row.text in line, said
    assert row.remedy in line.partition("→")[2], said
    assert row.grade != "FAIL" or "ok: " not in said


def until(check: Callable[[], bool]) -> None:
    """Wait for a server to be in the state that a test is about."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not check():
        assert time.monotonic() < deadline, "the server did not come into the state of the test"
        time.sleep(0.05)


# -- the database


def as_user(server: PostgresServer, url: str, *grants: str) -> str:
    """Make a user with the given rights; give the URL as that user."""
    name = url.rpartition("/")[2]
    owner = url.replace("+psycopg", "")
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE u_{name} LOGIN PASSWORD 'of-the-test'".encode())
        for grant in grants:
            connection.execute(f"{grant} TO u_{name}".encode())
    return f"postgresql+psycopg://u_{name}:of-the-test@127.0.0.1:{server.port}/{name}"


def table_grants(without: tuple[str, str] = ("", "")) -> list[str]:
    return [
        f"GRANT {right} ON {table}"
        for table, rights in TABLE_RIGHTS.items()
        for right in rights
        if (table, right) != without
    ]


def test_the_rights_name_every_table() -> None:
    assert {"alembic_version", *SQLModel.metadata.tables} == set(TABLE_RIGHTS)


def test_a_user_with_exactly_the_rights_of_the_page_is_healthy(
    tmp_path: Path, postgres_server: PostgresServer, migrated_postgres_url: str
) -> None:
    sequence = "GRANT USAGE ON SEQUENCE audit_id_seq"
    url = as_user(postgres_server, migrated_postgres_url, *table_grants(), sequence)
    assert report(on_folder(tmp_path, database_url=url), "control", "database").startswith("ok: ")


def test_a_user_that_may_only_select_is_told_table_by_table(
    tmp_path: Path, postgres_server: PostgresServer, migrated_postgres_url: str
) -> None:
    url = as_user(postgres_server, migrated_postgres_url, "GRANT SELECT ON ALL TABLES IN SCHEMA public")
    expect("the user may only SELECT", on_folder(tmp_path, database_url=url))


def test_each_right_on_a_table_that_is_taken_away_is_named(
    tmp_path: Path, postgres_server: PostgresServer, migrated_postgres_url: str
) -> None:
    sequence = "GRANT USAGE ON SEQUENCE audit_id_seq"
    url = as_user(postgres_server, migrated_postgres_url, *table_grants(), sequence)
    user = f"u_{migrated_postgres_url.rpartition('/')[2]}"
    taken = [(table, right) for table, rights in TABLE_RIGHTS.items() for right in rights]
    with psycopg.connect(migrated_postgres_url.replace("+psycopg", ""), autocommit=True) as owner:
        for table, right in taken:
            owner.execute(f"REVOKE {right} ON {table} FROM {user}".encode())
            (found,) = examine_database(url)
            owner.execute(f"GRANT {right} ON {table} TO {user}".encode())
            assert (found.grade, table in found.text) == ("FAIL", True), str(found)
    with psycopg.connect(migrated_postgres_url.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute(f"REVOKE USAGE ON SEQUENCE audit_id_seq FROM {user}".encode())
    expect("a right on the sequence of audit is missing", on_folder(tmp_path, database_url=url))


def test_a_database_set_read_only_is_a_finding(
    tmp_path: Path, postgres_server: PostgresServer, migrated_postgres_url: str
) -> None:
    name = migrated_postgres_url.rpartition("/")[2]
    postgres_server.run_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    expect("it is a standby, or set read-only", on_folder(tmp_path, database_url=migrated_postgres_url))


def test_a_database_that_keeps_text_in_another_encoding_is_a_finding(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    url = postgres_server.new_database(options=SQL_ASCII)
    expect("it keeps text in another encoding than UTF-8", on_folder(tmp_path, database_url=url))


def test_a_missing_root_certificate_of_the_database_is_a_finding(
    tmp_path: Path, migrated_postgres_url: str
) -> None:
    url = f"{migrated_postgres_url}?sslmode=verify-full&sslrootcert={tmp_path}/none.pem"
    expect("its sslrootcert is missing", on_folder(tmp_path, database_url=url))


def test_pgbouncer_by_transaction_is_named_and_by_statement_refused(
    tmp_path: Path, postgres_server: PostgresServer, migrated_postgres_url: str
) -> None:
    with PgBouncerServer(postgres_server) as bouncer:
        behind = on_folder(tmp_path, database_url=bouncer.url(migrated_postgres_url))
        expect("PgBouncer pools by transaction", behind)
    with PgBouncerServer(postgres_server, "statement") as bouncer:
        behind = on_folder(tmp_path, database_url=bouncer.url(migrated_postgres_url))
        expect("PgBouncer pools by statement", behind)


def test_a_sqlite_file_where_none_can_be_made_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    url = f"sqlite:///{tmp_path}/file/gateway.db"
    expect("no file can be made there", on_folder(tmp_path, database_url=url))


# -- Redis


def test_a_replica_is_a_finding_for_the_writer_and_a_warning_for_the_reader(tmp_path: Path) -> None:
    with ValkeyServer() as primary, ValkeyServer({"replicaof": f"127.0.0.1 {primary.port}"}) as replica:
        with replica.client() as client:
            until(lambda: client.info("replication")["master_link_status"] == "up")
        expect("it is a read-only replica", on_bus(tmp_path, replica.url))
        expect("a data plane reads a replica", on_bus(tmp_path, replica.url))


def test_a_replica_with_the_gateways_own_users_is_a_finding_too(tmp_path: Path) -> None:
    with ValkeyServer() as primary:
        options = {"replicaof": f"127.0.0.1 {primary.port}"}
        with ValkeyServer(options, acl=USERS_ACL) as replica:
            url = f"redis://aigw-control-plane@127.0.0.1:{replica.port}"
            said = report(on_bus(tmp_path, url, redis_password="CONTROL"), "control", "event bus")
            assert said.startswith("FAIL: it is a replica")


def test_cluster_mode_is_a_finding(tmp_path: Path) -> None:
    with ValkeyServer({"cluster-enabled": "yes"}) as server:
        with server.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))
        expect("it runs in Cluster mode", on_bus(tmp_path, server.url))
    with ValkeyServer({"cluster-enabled": "yes"}) as down:
        expect("it runs in Cluster mode", on_bus(tmp_path, down.url))


def test_a_sentinel_named_as_a_server_is_a_finding(tmp_path: Path) -> None:
    with ValkeyServer() as server, SentinelServer(server) as sentinel:
        expect("a sentinel is named as the server", on_bus(tmp_path, f"redis://127.0.0.1:{sentinel.port}"))


def test_a_full_memory_is_a_finding(tmp_path: Path) -> None:
    with ValkeyServer({"maxmemory": "1", "maxmemory-policy": "noeviction"}) as server:
        expect("its memory is full", on_bus(tmp_path, server.url))


def test_too_few_replicas_are_a_finding(tmp_path: Path) -> None:
    with ValkeyServer({"min-replicas-to-write": "1"}) as server:
        expect("too few replicas follow it", on_bus(tmp_path, server.url))


def test_another_programs_key_is_a_finding(tmp_path: Path) -> None:
    with ValkeyServer() as server:
        with server.client() as client:
            client.set(STREAM_KEY, "x")
        expect("its keys are another program's", on_bus(tmp_path, server.url))


def test_a_missing_ca_file_of_redis_is_a_finding(tmp_path: Path) -> None:
    url = f"rediss://127.0.0.1:{free_port()}/0?ca_file={tmp_path}/none.pem"
    expect("the ca_file of Redis is missing", on_bus(tmp_path, url))


@pytest.mark.parametrize("right", [probe.right for probe in WRITER])
def test_each_right_in_redis_that_is_taken_away_is_named(tmp_path: Path, right: str) -> None:
    with ValkeyServer(acl=USERS_ACL.replace("+exec", f"+exec -{right}", 1)) as server:
        url = f"redis://aigw-control-plane@127.0.0.1:{server.port}"
        said = report(on_bus(tmp_path, url, redis_password="CONTROL"), "control", "event bus")
        assert said.startswith(f"FAIL: its user may not {right} →")


@pytest.mark.parametrize(
    ("plane", "deed", "keys"), [("control", "write", WRITER_KEYS), ("data", "read", READER_KEYS)]
)
def test_each_key_in_redis_that_a_user_may_not_use_is_named(
    tmp_path: Path, plane: Plane, deed: str, keys: tuple[Probe, ...]
) -> None:
    names = [probe.right.removeprefix(f"{deed} ") for probe in keys]
    for name in names:
        allowed = " ".join(f"~{key}" for key in [*names, PROBE_KEY] if key != name)
        acl = USERS_ACL.replace("%R~aigw:*", allowed).replace("~aigw:*", allowed)
        with ValkeyServer(acl=acl) as server:
            url = f"redis://aigw-{plane}-plane@127.0.0.1:{server.port}"
            said = report(on_bus(tmp_path, url, redis_password=plane.upper()), plane, "event bus")
        assert said.startswith("FAIL: its user may not "), said


# -- Vault


@pytest.mark.parametrize(
    ("version", "state"),
    [("", "there is no engine at Vault's mount"), ("1", "the engine at Vault's mount is KV version 1")],
)
def test_a_mount_without_the_engine_is_a_finding(
    tmp_path: Path, vault: VaultStore, version: str, state: str
) -> None:
    mount, root = f"other-{version or 'none'}", vault.server.root()
    policy = (REPOSITORY / "deploy/vault/control-plane.hcl").read_text()
    root.sys.create_or_update_policy(mount, policy.replace("MOUNT", mount).replace("PREFIX", ""))
    if version:
        root.sys.enable_secrets_engine("kv", path=mount, options={"version": version})
    url = vault.url("control-plane", "token").replace(f"/{MOUNT}/{vault.prefix}", f"/{mount}")
    environment = on_folder(
        tmp_path,
        secret_store_url=url,
        vault_credential=vault.server.token(mount),
        fingerprint_key="a-fingerprint-key-of-the-test",
    )
    try:
        expect(state, environment)
    finally:
        if version:
            root.sys.disable_secrets_engine(mount)


def test_a_missing_ca_file_of_vault_is_a_finding(tmp_path: Path) -> None:
    url = f"vault://127.0.0.1:{free_port()}/aigw?auth=token&ca_file={tmp_path}/none.pem"
    environment = on_folder(
        tmp_path,
        secret_store_url=url,
        vault_credential="a-vault-token-of-the-test",
        fingerprint_key="a-fingerprint-key-of-the-test",
    )
    expect("the ca_file of Vault is missing", environment)


def test_a_missing_credential_file_of_vault_is_a_finding(tmp_path: Path, vault: VaultStore) -> None:
    environment = on_folder(
        tmp_path,
        secret_store_url=vault.url("control-plane", credential_file=f"{tmp_path}/none"),
        fingerprint_key="a-fingerprint-key-of-the-test",
    )
    expect("Vault's credential_file is missing", environment)


# -- issuers


def issuers(**source: str) -> str:
    return json.dumps([{"issuer": "https://login.test", "audience": "a", **source}])


def test_an_issuer_whose_keys_cannot_be_had_is_a_finding(tmp_path: Path) -> None:
    dead = f"https://127.0.0.1:{free_port()}/keys"
    expect("a jwks_url does not answer", on_folder(tmp_path, issuers=issuers(jwks_url=dead)))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"keys": []}', '{"keys": [{}]}', '{"keys": [{"kty": "RSA", "kid": "a"}]}']
)
def test_a_broken_jwks_file_is_a_finding(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys").write_text(text)
    expect("a jwks_file is broken", on_folder(tmp_path, issuers=issuers(jwks_file=str(tmp_path / "keys"))))


def test_a_missing_jwks_file_is_a_finding(tmp_path: Path) -> None:
    expect("a jwks_file is missing", on_folder(tmp_path, issuers=issuers(jwks_file=f"{tmp_path}/none")))


def test_a_dead_issuer_of_the_portal_is_a_finding(tmp_path: Path) -> None:
    environment = of_the_portal(tmp_path, f"https://127.0.0.1:{free_port()}")
    expect("the Portal's issuer does not answer", environment)


def of_the_portal(folder: Path, issuer: str, **more: str) -> Values:
    client = {"oidc_client_id": "portal", "portal_origin": "https://portal.test"}
    return on_folder(folder, oidc_issuer=issuer, **client, **more)


def test_an_issuer_of_a_private_authority_is_a_finding_until_the_authority_is_named(tmp_path: Path) -> None:
    with IssuerSite(tmp_path) as site:
        by_url = on_folder(tmp_path, issuers=issuers(jwks_url=site.url("/keys")))
        expect("the authority of a jwks_url is not known", by_url)
        portal = of_the_portal(tmp_path, site.url(""))
        expect("the authority of the Portal's issuer is not known", portal)
        named = {"issuer_ca_file": str(site.ca_file)}
        for values in (by_url | named, portal | named):
            assert report(values, "control", "sign-in").startswith("ok: ")


def test_an_issuer_that_gives_no_keys_is_a_finding(tmp_path: Path) -> None:
    with IssuerSite(tmp_path, keys={"keys": [Issuer().jwk | {"use": "enc"}]}) as site:
        named = {"issuer_ca_file": str(site.ca_file)}
        by_url = on_folder(tmp_path, issuers=issuers(jwks_url=site.url("/keys")), **named)
        expect("a jwks_url gives no keys", by_url)
        expect("the keys of the Portal's issuer are none", of_the_portal(tmp_path, site.url(""), **named))


def test_an_issuer_that_calls_itself_otherwise_is_a_finding(tmp_path: Path) -> None:
    with IssuerSite(tmp_path, name="https://other.test") as site:
        values = of_the_portal(tmp_path, site.url(""), issuer_ca_file=str(site.ca_file))
        expect("the Portal's issuer is another one", values)


def test_a_missing_issuer_ca_file_is_a_finding(tmp_path: Path) -> None:
    values = of_the_portal(tmp_path, "https://login.test", issuer_ca_file=f"{tmp_path}/none.pem")
    expect("AIGW_ISSUER_CA_FILE is missing", values)


def test_a_missing_upstream_ca_file_is_a_finding(tmp_path: Path) -> None:
    environment = on_folder(tmp_path, upstream_ca_file=f"{tmp_path}/none.pem")
    expect("AIGW_UPSTREAM_CA_FILE is missing", environment)


# -- the page


def test_every_row_of_the_page_is_run_here() -> None:
    files = (Path(__file__), Path(__file__).with_name("test_doctor_surroundings.py"))
    source = re.sub(r"expect\(\s+", "expect(", "".join(file.read_text() for file in files))
    ways = ('expect("{}"', ', "{}")', 'expect, "{}"')
    unnamed = [row.state for row in ROWS if not any(way.format(row.state) in source for way in ways)]
    assert unnamed == []
