"""A process of the fleet: `aigw data-plane` with any number of orgs, and a fixed snapshot."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from bench.processes import Program
from bench.serving import serving
from bench.subjects.subject import Running, Surroundings
from services.control_plane.secrets.local import LocalSecretWriter
from shared.config_feed import (
    SNAPSHOT_MEDIA_TYPE,
    IntegrationRow,
    NodeRow,
    OrgRow,
    Snapshot,
    encode_snapshot,
    snapshot_etag,
)
from shared.providers import DEFAULT_OFFER
from shared.secret import Secret
from shared.secret_document import SecretDocument

AIGW: Final = Path(sys.executable).with_name("aigw")
FEW_ORGS: Final = 10
_SETTINGS: Final = (
    "AIGW_ENVIRONMENT=development",
    "AIGW_BOX_PORT=0",
    "AIGW_ADMIN_PORT=0",
    "AIGW_EVENT_BUS_URL=memory://",
    "AIGW_IDENTITY_MODE=static",
    "AIGW_ENDPOINT_ADDRESS_EXCEPTIONS=127.0.0.0/8",
    "AIGW_ALLOW_PLAIN_HTTP_ENDPOINTS=true",
    "AIGW_PREFETCH_SECRETS=false",
    "AIGW_ACCESS_LOG=off",  # as with nginx
    "AIGW_USAGE_TAP=false",  # nginx reads no answers; the row `usage-tap` tells what that costs on top
    # One box opens more streams here than a real one may.
    "AIGW_MAX_CONNECTIONS_PER_BOX=8192",
    "AIGW_MAX_CONNECTIONS_PER_ORG=8192",
    "AIGW_MAX_REQUESTS_PER_BOX=8192",
    "AIGW_MAX_REQUESTS_PER_ORG=8192",
)
_EPOCH: Final = "bench"
_REVISION: Final = 1
_ETAG: Final = snapshot_etag(_EPOCH, _REVISION)
_PORTS: Final = re.compile(r"boxes on (?:\S+:|port )(\d+); admin on port (\d+)")
_ADMIN_SECONDS: Final = 5.0


def snapshot_of(orgs: int, nodes: tuple[NodeRow, ...] = ()) -> Snapshot:
    """Write a configuration of `nodes` in which each of `orgs` has both providers switched on."""
    names = [_name(number) for number in range(orgs)]
    return Snapshot(
        _EPOCH,
        _REVISION,
        tuple(IntegrationRow(org, provider, True, 1) for org in names for provider in DEFAULT_OFFER),
        tuple(OrgRow(org, f"Org {org}", (f"owner@{org}.example",)) for org in names),
        nodes,
    )


def org_used(orgs: int) -> str:
    """The only calling org: from the middle of the table."""
    return _name(orgs // 2)


def _name(number: int) -> str:
    return f"org-{number:06}"


@contextmanager
def running_data_plane(
    around: Surroundings, *more: str, orgs: int = FEW_ORGS, nodes: tuple[NodeRow, ...] = ()
) -> Iterator[Running]:
    """Serve the bench's upstream to one of `orgs`, with `more` settings; only that org's secret is read."""
    org = org_used(orgs)
    secrets = around.folder / "secrets"
    document = SecretDocument(org, "openai", around.endpoint, Secret(around.key()))
    LocalSecretWriter(secrets).write(document, 1)
    with snapshot_server(snapshot_of(orgs, nodes)) as control_plane_port:
        command = ["env", *_SETTINGS, *_settings(around, secrets, org, control_plane_port), *more]
        command += [str(AIGW), "data-plane"]
        name = f"data plane with {orgs} orgs"
        with Program(name, command, core=around.core, log=around.folder / "log") as program:
            box_port, admin_port = program.wait_for("ports", lambda: _ports(program.log_text()))
            program.wait_for("configuration", lambda: _is_ready(admin_port) or None)
            yield Running(port=box_port, pid=program.pid)


def _settings(around: Surroundings, secrets: Path, org: str, control_plane_port: int) -> list[str]:
    return [
        f"AIGW_CONTROL_PLANE_INTERNAL_URL=http://127.0.0.1:{control_plane_port}",
        f"AIGW_SECRET_STORE_URL=local://{secrets.resolve()}",
        f"AIGW_STATIC_ORG={org}",
        *([f"AIGW_UPSTREAM_CA_FILE={around.ca_file}"] if around.ca_file else []),
    ]


def _ports(printed: str) -> tuple[int, int] | None:
    found = _PORTS.search(printed)
    return (int(found[1]), int(found[2])) if found else None


def _is_ready(admin_port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", admin_port, timeout=_ADMIN_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def snapshot_server(snapshot: Snapshot) -> Iterator[int]:
    """Stand in for the control plane's internal listener: a fixed snapshot; gives the port."""
    server = _Server(encode_snapshot(snapshot))
    with serving(server):
        yield server.server_port


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a kept connection would block it

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = body


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """Give the snapshot, or nothing to a caller with this snapshot."""
        known = self.headers.get("If-None-Match") == _ETAG
        self.send_response(HTTPStatus.NOT_MODIFIED if known else HTTPStatus.OK)
        self.send_header("ETag", _ETAG)
        if not known:
            self.send_header("Content-Type", SNAPSHOT_MEDIA_TYPE)
            self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        if not known:
            self.wfile.write(self.server.body)

    def do_POST(self) -> None:
        """Take an acknowledgement and do nothing more."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(HTTPStatus.NO_CONTENT)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Print nothing per request."""
