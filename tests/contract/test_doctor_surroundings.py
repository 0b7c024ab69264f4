"""`aigw doctor` beside wrong clocks, old certificates, unreadable files, full disks and taken ports."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from shared.clock import unix_now
from tests.contract.test_doctor_states import (
    Values,
    expect,
    issuers,
    of_the_portal,
    on_bus,
    on_folder,
    report,
)
from tests.support.servers.fleet import Fleet
from tests.support.servers.issuer_site import IssuerSite
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.tools import missing
from tests.support.servers.valkey import SentinelServer, ValkeyServer
from tests.support.servers.vault_store import VaultStore
from tests.support.tls_front import tls_front

MINUTE_SECONDS = 61.0
NOBODY = 65_534
NOW = datetime.now(UTC)  # noqa: TID251  # the dates of certificates that real programs judge
EXPIRED = NOW - timedelta(days=1)
SOON = NOW + timedelta(days=5)


def minute_ahead() -> float:
    """This machine's clock, a minute ahead of every server's."""
    return unix_now() + MINUTE_SECONDS


# -- clocks


def test_a_clock_of_the_database_that_is_off_is_a_finding(tmp_path: Path, migrated_postgres_url: str) -> None:
    values = on_folder(tmp_path, database_url=migrated_postgres_url)
    expect("its clock is a minute off", values, clock=minute_ahead)
    assert "clock" not in report(values, "control", "database")


def test_a_clock_of_redis_that_is_off_is_a_finding(tmp_path: Path) -> None:
    with ValkeyServer() as server:
        values = on_bus(tmp_path, server.url)
        expect("the clock of Redis is a minute off", values, clock=minute_ahead)
        assert "clock" not in report(values, "control", "event bus")


def test_a_clock_of_vault_that_is_off_is_a_finding(tmp_path: Path, vault: VaultStore) -> None:
    values = on_folder(
        tmp_path,
        secret_store_url=vault.url("control-plane"),
        vault_credential=vault.server.secret_id("aigw-control-plane"),
        fingerprint_key="a-fingerprint-key-of-the-test",
    )
    expect("the clock of Vault is a minute off", values, clock=minute_ahead)
    assert report(values, "control", "secrets").startswith("ok: ")


def test_a_clock_of_an_issuer_that_is_off_is_a_finding(tmp_path: Path) -> None:
    with IssuerSite(tmp_path) as site:
        values = of_the_portal(tmp_path, site.url(""), issuer_ca_file=str(site.ca_file))
        expect("the clock of an issuer is a minute off", values, clock=minute_ahead)
        by_url = on_folder(
            tmp_path, issuers=issuers(jwks_url=site.url("/keys")), issuer_ca_file=str(site.ca_file)
        )
        assert "jwks_url in AIGW_ISSUERS is 6" in report(by_url, "control", "sign-in", clock=minute_ahead)


def test_a_clock_of_the_control_plane_that_is_off_is_a_finding_of_the_data_plane(
    tmp_path: Path, fleet: Fleet
) -> None:
    url = f"http://127.0.0.1:{fleet.control_plane().inner_port}"
    values = on_folder(tmp_path, control_plane_internal_url=url)
    expect("the clock of the control plane is a minute off", values, clock=minute_ahead)


# -- certificates


def pair(folder: Path, ends: datetime, authority: trustme.CA | None = None) -> tuple[trustme.CA, Path, Path]:
    """Write a server's certificate that ends then; give its authority, the certificate and the key."""
    authority = authority or trustme.CA()
    issued = authority.issue_cert(
        "127.0.0.1", "localhost", not_before=ends - timedelta(days=90), not_after=ends
    )
    certificate, key = folder / f"{ends:%j}-cert.pem", folder / f"{ends:%j}-key.pem"
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    for path in (certificate, key):
        path.chmod(0o644)  # the servers drop their rights before they read
    return authority, certificate, key


async def test_a_certificate_of_redis_is_a_finding_before_and_after_its_end(
    valkey: ValkeyServer, tmp_path: Path
) -> None:
    async with tls_front(tmp_path, valkey.port, ends=SOON) as front:
        url = f"rediss://127.0.0.1:{front.port}/0?ca_file="
        values = on_bus(tmp_path, f"{url}{front.ca_file}")
        await asyncio.to_thread(expect, "a server's certificate runs out within 14 days", values)
        assert (await asyncio.to_thread(report, values, "control", "event bus")).startswith("ok: ")
        trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
        values = on_bus(tmp_path, f"{url}{tmp_path}/other.pem")
        await asyncio.to_thread(expect, "its authority is not known", values)
    async with tls_front(tmp_path, valkey.port, ends=EXPIRED) as front:
        values = on_bus(tmp_path, f"rediss://127.0.0.1:{front.port}/0?ca_file={front.ca_file}")
        await asyncio.to_thread(expect, "the certificate of Redis has run out", values)


class Tls:
    """A server on loopback that shows a certificate and answers every request with 200, as an HTTP server."""

    def __init__(self, certificate: Path, key: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Yes)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self.server.server_port

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Yes(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        pass


def test_a_certificate_of_vault_that_has_run_out_is_a_finding(tmp_path: Path) -> None:
    _, certificate, key = pair(tmp_path, EXPIRED)
    with Tls(certificate, key) as server:
        url = f"vault://127.0.0.1:{server.port}/aigw?auth=token&ca_file={tmp_path}/ca.pem"
        values = on_folder(
            tmp_path,
            secret_store_url=url,
            vault_credential="a-vault-token-of-the-test",
            fingerprint_key="a-fingerprint-key-of-the-test",
        )
        expect("Vault's certificate has run out", values)
        assert "ran out on" in report(values, "control", "certificates")


def test_a_certificate_of_an_issuer_is_a_finding_before_and_after_its_end(tmp_path: Path) -> None:
    with IssuerSite(tmp_path, ends=EXPIRED) as site:
        values = of_the_portal(tmp_path, site.url(""), issuer_ca_file=str(site.ca_file))
        expect("an issuer's certificate has run out", values)
    with IssuerSite(tmp_path, ends=SOON) as site:
        values = of_the_portal(tmp_path, site.url(""), issuer_ca_file=str(site.ca_file))
        expect("an issuer's certificate runs out within 14 days", values)


def test_a_certificate_of_the_database_that_has_run_out_is_a_finding(tmp_path: Path) -> None:
    _, certificate, key = pair(tmp_path, EXPIRED)
    options = {"ssl": "on"}
    server = PostgresServer(options)
    options["ssl_cert_file"] = str(server.place("server-cert.pem", certificate.read_bytes()))
    options["ssl_key_file"] = str(server.place("server-key.pem", key.read_bytes()))
    with server:
        url = f"{server.new_database()}?sslmode=verify-full&sslrootcert={tmp_path}/ca.pem"
        values = on_folder(tmp_path, database_url=url)
        expect("its certificate has run out", values)
        assert "ran out on" in report(values, "control", "certificates")


def test_authorities_that_have_run_out_are_a_finding(tmp_path: Path) -> None:
    values = on_folder(tmp_path, upstream_ca_file=str(authority_that_ended(tmp_path)))
    expect("the authorities in AIGW_UPSTREAM_CA_FILE have run out", values)


def authority_that_ended(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of the past")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(EXPIRED - timedelta(days=90)).not_valid_after(EXPIRED)
    built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    path = folder / "ended.pem"
    path.write_bytes(built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return path


def by_tls(folder: Path, certificate: Path, key: Path, **more: str) -> Values:
    values = on_folder(
        folder,
        box_listeners="static+tls://127.0.0.1:0",
        static_org="acme",
        environment="development",
        box_tls_certificate_file=str(certificate),
        box_tls_key_file=str(key),
        **more,
    )
    del values["box_port"]
    return values


def test_a_certificate_of_box_listeners_is_a_finding_after_its_end_and_with_a_foreign_key(
    tmp_path: Path,
) -> None:
    _, certificate, key = pair(tmp_path, EXPIRED)
    expect("the certificate of box listeners has run out", by_tls(tmp_path, certificate, key))
    _, good, other_key = pair(tmp_path, NOW + timedelta(days=60))
    expect("the key of box listeners is another certificate's", by_tls(tmp_path, certificate, other_key))
    assert "box" not in report(by_tls(tmp_path, good, other_key), "data", "certificates").lower()
    soon, soon_key = pair(tmp_path, SOON)[1:]
    assert report(by_tls(tmp_path, soon, soon_key), "data", "certificates").count("warn: ") == 1


# -- files


def test_a_tls_file_of_box_listeners_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    _, certificate, _ = pair(tmp_path, SOON)
    expect("a TLS file of box listeners cannot be read", by_tls(tmp_path, certificate, tmp_path / "none"))
    values = by_tls(tmp_path, certificate, tmp_path, box_tls_client_ca_file=str(tmp_path / "none"))
    said = report(values, "data", "certificates")
    assert "Is a directory" in said
    assert "AIGW_BOX_TLS_CLIENT_CA_FILE" in said


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root's rights for a moment; whoever is no root has none to give up."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def test_each_file_and_folder_that_its_user_may_not_use_is_a_finding_without_a_traceback(
    tmp_path: Path,
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    for name in ("ca.pem", "keys"):
        (closed / name).write_text("x")
    values = of_the_portal(tmp_path, "https://login.test", issuers=issuers(jwks_file=f"{closed}/keys"))
    values |= {
        "database_url": f"sqlite:///{closed}/gateway.db",
        "secret_store_url": f"local://{closed}",
        "upstream_ca_file": f"{closed}/ca.pem",
    }
    settings = {"database": "AIGW_DATABASE_URL", "secrets": "AIGW_SECRET_STORE_URL"}
    settings |= {"certificates": "AIGW_UPSTREAM_CA_FILE", "sign-in": "AIGW_ISSUERS"}
    closed.chmod(0)
    try:
        with as_nobody():
            said = {part: report(values, "control", part) for part in settings}
            read = report(values, "data", "secrets")
    finally:
        closed.chmod(0o700)
    for part, setting in settings.items():
        assert said[part].startswith("FAIL: "), (part, said[part])
        assert setting in said[part]
    assert read.startswith("FAIL: ")


def test_a_folder_that_its_user_may_not_write_is_a_finding(tmp_path: Path) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir()
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(0o755)
    folder.chmod(0o555)
    with as_nobody():
        expect("the folder may not be written", on_folder(tmp_path, secret_store_url=f"local://{folder}"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, check=False, capture_output=True).returncode:
        missing("A disk of 1 MiB", "mounting one needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_a_finding(tmp_path: Path, small_disk: Path) -> None:
    database = on_folder(tmp_path, database_url=f"sqlite:///{small_disk}/gateway.db")
    expect("the disk of its file is full", database)
    (small_disk / "gateway.db").touch()
    expect("the disk of its file is full", database)
    expect("the disk of the folder is full", on_folder(tmp_path, secret_store_url=f"local://{small_disk}"))


# -- Redis at another address


def test_a_redis_of_another_kind_than_the_url_says_is_a_finding(tmp_path: Path) -> None:
    with ValkeyServer() as server, SentinelServer(server) as sentinel:
        by_sentinel = f"redis+sentinel://127.0.0.1:{sentinel.port}/another"
        expect("the sentinels know no such service", on_bus(tmp_path, by_sentinel))
        by_server = f"redis+sentinel://127.0.0.1:{server.port}/{SentinelServer.SERVICE}"
        expect("a server is named as the sentinel", on_bus(tmp_path, by_server))
        expect("it has no such database", on_bus(tmp_path, f"redis://127.0.0.1:{server.port}/99"))
        expect("it does not speak TLS", on_bus(tmp_path, f"rediss://127.0.0.1:{server.port}/0"))


# -- ports


def test_a_port_that_another_program_has_is_a_finding(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = str(stranger.getsockname()[1])
        expect("another program has the port", on_folder(tmp_path, control_plane_port=port))


def test_a_program_that_answers_livez_otherwise_is_not_taken_for_the_plane(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Yes)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        expect(
            "another program answers /livez there", on_folder(tmp_path, admin_port=str(server.server_port))
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
