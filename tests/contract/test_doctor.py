"""`aigw doctor` and `aigw db` beside real servers: what is right, what is missing, and the remedy."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

import pytest

from services.control_plane.store.changes import counter
from services.control_plane.store.database import Database
from tests.support.commands import AIGW
from tests.support.feed_keys import FEED_KEY
from tests.support.gateway import clean_environment
from tests.support.servers.fleet import Fleet
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.process import free_port
from tests.support.servers.tools import REPOSITORY
from tests.support.servers.valkey import ValkeyServer
from tests.support.servers.vault_store import VaultStore

TOKEN = "an-internal-token-of-the-test"
SECONDS = 60


def aigw(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*AIGW, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    for name, value in environment.items():
        if name.endswith(("_TOKEN", "_CREDENTIAL", "_PASSWORD", "_KEY")):
            assert value not in said, f"{name} is in the report"
    return done


def lines(report: str) -> dict[str, str]:
    """The findings by name; several of one name are joined."""
    found: dict[str, str] = {}
    for line in report.splitlines():
        grade, name, text = re.split(r" {2,}", line, maxsplit=2)
        found[name] = f"{found.get(name, '')}{grade}: {text}\n"
    return found


def grades(report: str) -> dict[str, str]:
    return {name: text.partition(":")[0] for name, text in lines(report).items()}


def on_folder(folder: Path, **more: str) -> dict[str, str]:
    """Both planes embedded-style: a SQLite file and a folder."""
    values = {
        "AIGW_DATABASE_URL": f"sqlite:///{folder / 'gateway.db'}",
        "AIGW_SECRET_STORE_URL": f"local://{folder / 'secrets'}",
        "AIGW_INTERNAL_TOKEN": TOKEN,
        "AIGW_CONTROL_PLANE_INTERNAL_URL": f"http://127.0.0.1:{free_port()}",
        **{f"AIGW_{name}_PORT": "0" for name in ("CONTROL_PLANE", "INTERNAL", "BOX", "ADMIN")},
    }
    return clean_environment(**(values | more))


# -- all is well


def test_a_running_fleet_is_healthy_by_its_own_settings(fleet: Fleet) -> None:
    control_plane = fleet.control_plane()
    data_plane = fleet.data_plane(control_plane)
    done = aigw(control_plane.environment, "doctor", "--plane", "control")
    assert set(grades(done.stdout).values()) == {"ok"}, done.stdout
    assert done.returncode == 0
    done = aigw(data_plane.environment, "doctor", "--plane", "data")
    assert done.returncode == 0, done.stdout
    found = lines(done.stdout)
    assert "may write events" in found.pop("data plane: event bus"), "the test's Redis has no users"
    assert all(text.startswith("ok") for text in found.values()), done.stdout
    assert "revision" in found["data plane: snapshot"]


def test_ports_of_a_running_plane_are_its_own_and_those_of_a_stranger_are_not(fleet: Fleet) -> None:
    control_plane = fleet.control_plane()
    ports = {
        "AIGW_CONTROL_PLANE_PORT": str(control_plane.outer_port),
        "AIGW_INTERNAL_PORT": str(control_plane.inner_port),
    }
    done = aigw(control_plane.environment | ports, "doctor", "--plane", "control")
    assert "a plane is running here" in lines(done.stdout)["control plane: ports"]
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = {"AIGW_INTERNAL_PORT": "0", "AIGW_CONTROL_PLANE_PORT": str(stranger.getsockname()[1])}
        done = aigw(control_plane.environment | taken, "doctor", "--plane", "control")
    assert done.returncode == 1
    assert "FAIL" in lines(done.stdout)["control plane: ports"]
    assert "AIGW_CONTROL_PLANE_PORT" in lines(done.stdout)["control plane: ports"]


# -- something is missing


def test_the_role_of_the_other_plane_is_told_right_by_right(tmp_path: Path, vault: VaultStore) -> None:
    secret = vault.server.secret_id("aigw-data-plane")
    environment = on_folder(
        tmp_path,
        AIGW_SECRET_STORE_URL=vault.url("data-plane"),
        AIGW_VAULT_CREDENTIAL=secret,
        AIGW_FINGERPRINT_KEY="a-fingerprint-key-of-the-test",
    )
    done = aigw(environment, "doctor", "--plane", "control")
    assert done.returncode == 1
    said = lines(done.stdout)["control plane: secrets"]
    assert "FAIL: The control plane's role lacks create, update on data/. → run deploy/vault/setup.sh" in said
    assert "can read keys back; it must not" in said
    done = aigw(environment, "doctor", "--plane", "data")
    assert grades(done.stdout)["data plane: secrets"] == "ok"


def test_a_credential_that_vault_refuses_is_said_so(tmp_path: Path, vault: VaultStore) -> None:
    environment = on_folder(
        tmp_path, AIGW_SECRET_STORE_URL=vault.url("data-plane"), AIGW_VAULT_CREDENTIAL="a-wrong-secret-id"
    )
    done = aigw(environment, "doctor", "--plane", "data")
    assert done.returncode == 1
    assert "FAIL: Vault refused the login" in lines(done.stdout)["data plane: secrets"]


USERS = (REPOSITORY / "deploy/redis/users.acl").read_text()
PASSWORDS = {"control": "cp-password", "data": "dp-password"}


def on_redis(folder: Path, server: ValkeyServer, plane: str) -> dict[str, str]:
    return on_folder(
        folder,
        AIGW_EVENT_BUS_URL=f"redis://aigw-{plane}-plane@127.0.0.1:{server.port}",
        AIGW_FEED_KEY=FEED_KEY,
        AIGW_REDIS_PASSWORD=PASSWORDS[plane],
    )


@pytest.mark.parametrize(
    ("plane", "missing", "said"),
    [
        ("control", "", "ok: reachable, and its user may do what it must\n"),
        ("data", "", "ok: reachable, and its user may do what it must\n"),
        ("control", "+xadd ", "FAIL: its user may not xadd"),
        ("control", "+hset ", "FAIL: its user may not hset"),
        ("control", "+multi +exec", "FAIL: its user may not exec, multi"),
        ("control", "+xrevrange +del +set +get ", "FAIL: its user may not xrevrange, set, get, del"),
        ("data", "+xread ", "FAIL: its user may not xread"),
        ("data", "+hget +hstrlen", "FAIL: its user may not hget, hstrlen"),
    ],
)
def test_a_redis_user_is_told_which_rights_it_lacks(
    tmp_path: Path, plane: str, missing: str, said: str
) -> None:
    acl = USERS.replace("CONTROL_PLANE_PASSWORD", PASSWORDS["control"])
    acl = acl.replace("DATA_PLANE_PASSWORD", PASSWORDS["data"])
    assert missing in acl
    acl = acl.replace(missing, "") if missing else acl
    with ValkeyServer(acl=acl.replace("default off", "default on nopass ~* +@all")) as server:
        done = aigw(on_redis(tmp_path, server, plane), "doctor", "--plane", plane)
        assert said in lines(done.stdout)[f"{plane} plane: event bus"], done.stdout
        with server.client() as client:
            assert client.keys("*") == ([b"aigw:doctor"] if "+del" in missing else [])


def test_a_wrong_redis_password_is_said_so(tmp_path: Path) -> None:
    acl = USERS.replace("CONTROL_PLANE_PASSWORD", "another").replace("DATA_PLANE_PASSWORD", "another")
    with ValkeyServer(acl=acl) as server:
        done = aigw(on_redis(tmp_path, server, "data"), "doctor", "--plane", "data")
    assert "FAIL: Redis refused the user name or password" in lines(done.stdout)["data plane: event bus"]


def test_with_everything_down_each_backend_is_named_with_a_remedy(tmp_path: Path) -> None:
    nobody = free_port()
    environment = on_folder(
        tmp_path,
        AIGW_DATABASE_URL=f"postgresql+psycopg://aigw:a-database-password@127.0.0.1:{nobody}/aigw",
        AIGW_SECRET_STORE_URL=f"vault://127.0.0.1:{nobody}/aigw?auth=token&tls=off",
        AIGW_VAULT_CREDENTIAL="a-vault-token-of-the-test",
        AIGW_FINGERPRINT_KEY="a-fingerprint-key-of-the-test",
        AIGW_EVENT_BUS_URL=f"redis://127.0.0.1:{nobody}",
        AIGW_FEED_KEY=FEED_KEY,
    )
    done = aigw(environment, "doctor")
    assert done.returncode == 1
    assert "a-database-password" not in done.stdout + done.stderr
    for name in ("database", "secrets", "event bus"):
        said = lines(done.stdout)[f"control plane: {name}"]
        assert said.startswith("FAIL"), said
        assert "→ check AIGW_" in said
    assert lines(done.stdout)["data plane: snapshot"].startswith("FAIL: the control plane cannot be reached")


def test_settings_that_do_not_fit_are_findings_too(tmp_path: Path) -> None:
    done = aigw(on_folder(tmp_path, AIGW_ADMIN_PORT="99999"), "doctor", "--plane", "data")
    assert done.returncode == 1
    assert lines(done.stdout)["data plane: settings"].startswith("FAIL: AIGW_ADMIN_PORT")


# -- the database


@pytest.mark.parametrize("command", ["upgrade", "check", "current"])
def test_a_database_of_another_encoding_is_refused_in_one_line(
    tmp_path: Path, postgres_server: PostgresServer, command: str
) -> None:
    url = postgres_server.new_database(options="ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    done = aigw(on_folder(tmp_path, AIGW_DATABASE_URL=url), "db", command)
    assert done.returncode != 0
    said = done.stderr.strip().splitlines()
    assert len(said) == 1, done.stderr
    assert "AIGW_DATABASE_URL: " in said[0]
    assert "keeps text as SQL_ASCII, not UTF8" in said[0]


def test_a_database_that_is_behind_is_told_by_doctor_and_check_until_it_is_upgraded(
    tmp_path: Path, postgres_url: str
) -> None:
    environment = on_folder(tmp_path, AIGW_DATABASE_URL=postgres_url)
    done = aigw(environment, "doctor", "--plane", "control")
    assert "run: aigw db upgrade" in lines(done.stdout)["control plane: database"]
    done = aigw(environment, "db", "check")
    assert (done.returncode, "aigw db upgrade" in done.stdout) == (1, True)
    assert aigw(environment, "db", "current").stdout.startswith("empty")
    assert aigw(environment, "db", "upgrade").returncode == 0
    assert aigw(environment, "db", "check").returncode == 0
    assert "empty" not in aigw(environment, "db", "current").stdout
    done = aigw(environment, "doctor", "--plane", "control")
    assert grades(done.stdout)["control plane: database"] == "ok"


def test_a_restored_database_gets_a_new_epoch(tmp_path: Path, migrated_postgres_url: str) -> None:
    environment = on_folder(tmp_path, AIGW_DATABASE_URL=migrated_postgres_url)
    database = Database(migrated_postgres_url)
    with database.read() as session:
        before = counter(session)
    done = aigw(environment, "db", "restored")
    assert done.returncode == 0, done.stderr
    with database.read() as session:
        after = counter(session)
    database.close()
    assert after.epoch in done.stdout
    assert after.epoch != before.epoch
    assert after.revision == before.revision
