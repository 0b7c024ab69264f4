"""The chart on a real Kubernetes node, in namespaces with the restricted standard.

`make chart` runs these tests (marker `full_chart`): every example is installed, until a box streams through;
one is upgraded and rolled back under load. Root, and the tools of `make test-tools`, are needed.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from pathlib import Path

import pytest

from tests.support.documented import behind_a_forward
from tests.support.kubernetes.backends import VAULT_ADDRESS, Backends
from tests.support.kubernetes.node import Node
from tests.support.kubernetes.release import Release
from tests.support.kubernetes.walk import provision, stream, streams
from tools.chart_examples import example_names

pytestmark = [
    pytest.mark.full_chart,
    pytest.mark.xdist_group("kubernetes"),
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(os.geteuid() != 0, reason="a Kubernetes node needs root"),
]
LOAD_SECONDS = 45
SCHEMA = "SELECT version_num FROM alembic_version"
TABLES = """
    SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'
    UNION SELECT tablename, indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2
"""
ONE_MIGRATION_BACK = """
import os
from alembic import command
from services.control_plane.store import migrate
from services.control_plane.store.database import Database
with open(os.environ["AIGW_DATABASE_URL_FILE"]) as file:
    database = Database(file.read().strip())
with database.connection() as connection:
    config = migrate._config()
    config.attributes["connection"] = connection
    command.downgrade(config, "-1")
"""
"""Run in a control plane's pod: the way back from the newest migration, which an upgrade then makes again."""
APART = {"production", "dev", "node-agent"}
"""Examples with a test of their own; a node agent's namespace cannot enforce the restricted standard."""


def test_the_production_example_is_ready_streams_is_closed_and_leaves_nothing(
    node: Node, backends: Backends
) -> None:
    with Release.of_example(backends, "production", "gw-production") as release:
        release.is_ready()
        streams(backends, release)
        release.test()
        stays_apart(backends, release)
    leaves_nothing(node, "gw-production")


def leaves_nothing(node: Node, namespace: str) -> None:
    """Ending pods have their grace; everything else is gone at once."""
    deadline = time.monotonic() + 90
    kinds = "deploy,daemonset,job,pod,service,serviceaccount,networkpolicy,pdb,hpa"
    while left := [
        line for line in node.kubectl("-n", namespace, "get", kinds, "-o", "name").split() if "aigw" in line
    ]:
        assert time.monotonic() < deadline, left
        time.sleep(2)


def stays_apart(backends: Backends, release: Release) -> None:
    """A pod without a rule reaches no listener of the gateway; a data plane reaches only its own needs."""
    names = {
        "boxes": (release.service("data-plane"), 1000),
        "admin": (release.service("data-plane-admin"), 9901),
        "rest": (release.service("control-plane"), 9900),
        "fleet": (release.service("fleet"), 9902),
    }
    stranger = backends.as_box({"do": "reach", "addresses": names}, pod="stranger")
    assert "open" not in stranger.values(), stranger
    box = backends.as_box({"do": "reach", "addresses": names})
    assert {name for name, seen in box.items() if seen == "open"} == {"boxes", "rest"}, box
    wanted = {
        "vault": (VAULT_ADDRESS, 8200),
        "redis": ("redis.backends.svc", 6379),
        "postgres": ("postgres.backends.svc", 5432),
        "rest": (release.service("control-plane"), 9900),
        "api": ("kubernetes.default.svc", 443),
    }
    seen = release.from_a_data_plane({"do": "reach", "addresses": wanted})
    assert {name for name, what in seen.items() if what == "open"} == {"vault", "redis"}, seen


@pytest.mark.parametrize("name", [name for name in example_names() if name not in APART])
def test_every_other_example_is_ready_streams_and_leaves_nothing(
    node: Node, backends: Backends, name: str
) -> None:
    with Release.of_example(backends, name, f"gw-{name}") as release:
        release.is_ready()
        streams(backends, release)
        release.test()
    leaves_nothing(node, f"gw-{name}")


def test_the_notes_of_the_development_example_lead_to_its_stream_and_its_portal(
    backends: Backends, tmp_path: Path
) -> None:
    with Release.of_example(backends, "dev", "gw-dev") as release:
        release.is_ready()
        notes = backends.type("helm get notes aigw --namespace gw-dev", tmp_path)
        shown = backends.type(behind_a_forward(notes), tmp_path)
        assert "data: [DONE]" in shown
        assert re.search(r"^\S*http://\S+/sign-in\S+", shown, re.MULTILINE), shown[-300:]


def test_a_mistyped_value_makes_nothing_and_says_why(node: Node, backends: Backends) -> None:
    release = Release.of_example(backends, "minimal", "gw-mistyped")
    with contextlib.closing(release), pytest.raises(AssertionError, match="'replica' not allowed"):
        release.install({"dataPlane": {"replica": 3}})
    assert not node.kubectl("-n", "gw-mistyped", "get", "all", "-o", "name").strip()


def test_an_upgrade_with_a_migration_and_a_rollback_under_load_fail_no_new_request(
    backends: Backends,
) -> None:
    database = "aigw_gw_rolling"
    with Release.of_example(backends, "minimal", "gw-rolling") as release:
        provision(backends, release)
        newest, tables = (backends.sql(asked, database=database) for asked in (SCHEMA, TABLES))
        release.in_a_pod("control-plane", "python", "-c", ONE_MIGRATION_BACK)
        assert backends.sql(SCHEMA, database=database) != newest
        assert backends.sql(TABLES, database=database) != tables
        for change in (release.upgrade, release.rollback):
            counts: dict[str, int] = {}
            wanted = stream(backends, release) | {"do": "load", "seconds": LOAD_SECONDS, "threads": 4}
            load = threading.Thread(
                target=lambda w=wanted, c=counts: c.update(backends.as_box(w, seconds=180))
            )
            load.start()
            time.sleep(3)
            change()
            load.join()
            assert set(counts) == {"good"}, counts
            assert counts["good"] > 20, counts
            assert backends.sql(SCHEMA, database=database) == newest
            assert backends.sql(TABLES, database=database) == tables


def test_a_rollback_past_a_migration_serves_on_the_newer_schema(backends: Backends) -> None:
    with Release.of_example(backends, "minimal", "gw-schema") as release:
        streams(backends, release)
        there = backends.sql(SCHEMA, database="aigw_gw_schema")
        backends.sql("UPDATE alembic_version SET version_num = '9999'", database="aigw_gw_schema")
        release.upgrade()  # of pods that do not know that schema, as a rollback's
        release.is_ready()
        seen = backends.as_box(stream(backends, release))
        assert seen["done"], seen
        assert backends.sql(SCHEMA, database="aigw_gw_schema") == "9999"
        assert there != "9999"
