"""Starts the provider of the bench: plain and, where built so, TLS with a certificate of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from bench.build import Programs
from bench.processes import Program
from bench.workload import UPSTREAM_KEY


@dataclass(frozen=True, slots=True)
class Upstream:
    """The running provider.

    Attributes:
        port: plain HTTP on loopback.
        tls_port: TLS on loopback; 0 when built without TLS.
        ca_file: the authority of its certificate, PEM.
        key_file: holds the only accepted key.
    """

    port: int
    tls_port: int
    ca_file: Path
    key_file: Path


@contextmanager
def running_upstream(
    programs: Programs, options: Sequence[str], folder: Path, core: int
) -> Iterator[Upstream]:
    """Serve for as long as the context lasts."""
    ca_file, key_file = folder / "ca.pem", folder / "key"
    key_file.write_text(UPSTREAM_KEY)
    key_file.chmod(0o600)
    command = [str(programs.upstream), *options, "--key", UPSTREAM_KEY]
    if programs.has_tls:
        command += _certificate(folder, ca_file)
    with Program("upstream", command, core=core, log=folder / "upstream.log") as program:
        ports = program.wait_for("port", lambda: _ports(program.log_text()))
        yield Upstream(port=ports["plain"], tls_port=ports["tls"], ca_file=ca_file, key_file=key_file)


def _ports(printed: str) -> dict[str, int] | None:
    if "\n" not in printed:
        return None
    ports: dict[str, int] = json.loads(printed.splitlines()[0])
    return ports


def _certificate(folder: Path, ca_file: Path) -> list[str]:
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(str(ca_file))
    certificate, private_key = folder / "certificate.pem", folder / "private-key.pem"
    leaf.cert_chain_pems[0].write_to_path(str(certificate))
    leaf.private_key_pem.write_to_path(str(private_key))
    private_key.chmod(0o600)
    return ["--certificate", str(certificate), "--private-key", str(private_key)]
