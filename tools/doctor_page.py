"""Writes docs/doctor.md: each missing right and wrong state of a server, with `aigw doctor`'s findings.

`python -m tools.doctor_page` writes the file; `tests/tidy` fails when the file differs from the code's, and
`tests/contract/test_doctor_states.py` brings about each row and compares the report.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from aigw.doctor.database import TABLE_RIGHTS
from aigw.doctor.finding import Grade
from aigw.doctor.redis import READER, WRITER

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "doctor.md"

Plane = Literal["control", "data"]


@dataclass(frozen=True, slots=True)
class Row:
    """A wrong state. `text` and `remedy` are parts of the finding; `part` is the check with this finding."""

    part: str
    state: str
    text: str
    remedy: str
    plane: Plane = "control"
    grade: Grade = "FAIL"


_DATABASE: Final = "check AIGW_DATABASE_URL"
_PRIMARY: Final = "name the primary in AIGW_EVENT_BUS_URL"
_SERVER: Final = "the certificate of the server in"
_NTP: Final = "set both clocks by a time service (NTP)"
_MOUNT: Final = "check the mount in AIGW_SECRET_STORE_URL"

ROWS: Final = (
    Row("database", "the user may only SELECT", "its user may not INSERT on audit", "AIGW_DATABASE_URL"),
    Row("database", "a right on the sequence of audit is missing", "USAGE on sequence", "AIGW_DATABASE_URL"),
    Row(
        "database",
        "it is a standby, or set read-only",
        "it only takes reads",
        "point AIGW_DATABASE_URL at the primary",
    ),
    Row(
        "database",
        "it keeps text in another encoding than UTF-8",
        "keeps text as SQL_ASCII, not UTF8",
        "ENCODING 'UTF8'",
    ),
    Row(
        "database",
        "its sslrootcert is missing",
        "it cannot be used",
        "check sslmode and sslrootcert in AIGW_DATABASE_URL",
    ),
    Row("database", "PgBouncer pools by transaction", "through a pooler", "", grade="ok"),
    Row("database", "PgBouncer pools by statement", "it cannot be used", "pool_mode=transaction"),
    Row("database", "no file can be made there", "is no folder that this user may write", _DATABASE),
    Row(
        "database",
        "its certificate has run out",
        "ran out on",
        "in AIGW_DATABASE_URL",
    ),
    Row("database", "its clock is a minute off", "behind this machine's", _NTP),
    Row(
        "database", "the disk of its file is full", "is full", "check AIGW_DATABASE_URL, and make room there"
    ),
    Row("event bus", "it is a read-only replica", "it is a replica, which takes no writes", _PRIMARY),
    Row("event bus", "a data plane reads a replica", "it is a replica", _PRIMARY, plane="data", grade="warn"),
    Row("event bus", "it runs in Cluster mode", "it runs in Cluster mode", "AIGW_EVENT_BUS_URL"),
    Row("event bus", "a sentinel is named as the server", "it is a sentinel, no server", "redis+sentinel://"),
    Row(
        "event bus",
        "a server is named as the sentinel",
        "a server answers",
        "name the sentinels in",
    ),
    Row(
        "event bus",
        "the sentinels know no such service",
        "no sentinel",
        "check the service's name",
    ),
    Row(
        "event bus",
        "it has no such database",
        "no database of this number",
        "check the database's number",
    ),
    Row("event bus", "it does not speak TLS", "Redis", "(rediss:// is for a server with TLS)"),
    Row("event bus", "its memory is full", "its memory is full", "raise its maxmemory"),
    Row("event bus", "too few replicas follow it", "too few replicas follow it", "min-replicas-to-write"),
    Row("event bus", "its keys are another program's", "holds something else", "AIGW_EVENT_BUS_URL"),
    Row(
        "event bus",
        "the certificate of Redis has run out",
        "has expired",
        f"renew {_SERVER} AIGW_EVENT_BUS_URL",
    ),
    Row("event bus", "its authority is not known", "is not trusted", "check ca_file in AIGW_EVENT_BUS_URL"),
    Row("event bus", "the clock of Redis is a minute off", "behind this machine's", _NTP),
    Row(
        "event bus",
        "the ca_file of Redis is missing",
        "cannot be read (No such file or directory)",
        "check ca_file in AIGW_EVENT_BUS_URL, and its mount",
    ),
    Row(
        "secrets",
        "the ca_file of Vault is missing",
        "cannot be read (No such file or directory)",
        "check ca_file in AIGW_SECRET_STORE_URL, and its mount",
    ),
    Row(
        "secrets",
        "Vault's credential_file is missing",
        "the credential file for Vault is not readable",
        "check credential_file, role and auth_mount in AIGW_SECRET_STORE_URL, and the file's mount",
    ),
    Row("secrets", "there is no engine at Vault's mount", "no engine that its role can see", _MOUNT),
    Row("secrets", "the engine at Vault's mount is KV version 1", "is kv-1, not kv-2", _MOUNT),
    Row(
        "secrets", "Vault's certificate has run out", "has expired", f"renew {_SERVER} AIGW_SECRET_STORE_URL"
    ),
    Row("secrets", "the clock of Vault is a minute off", "behind this machine's", _NTP),
    Row(
        "secrets", "the folder may not be written", "is no folder that this user may write", "mount and owner"
    ),
    Row("secrets", "the disk of the folder is full", "is full", "AIGW_SECRET_STORE_URL, and make room there"),
    Row("sign-in", "a jwks_url does not answer", "does not give its keys", "check jwks_url in AIGW_ISSUERS"),
    Row("sign-in", "a jwks_url gives no keys", "no key for signatures", "check jwks_url in AIGW_ISSUERS"),
    Row(
        "sign-in",
        "the authority of a jwks_url is not known",
        "CERTIFICATE_VERIFY_FAILED",
        "put the authority of jwks_url in AIGW_ISSUERS into AIGW_ISSUER_CA_FILE",
    ),
    Row("sign-in", "a jwks_file is broken", "is no readable JWK Set", "check jwks_file in AIGW_ISSUERS"),
    Row("sign-in", "a jwks_file is missing", "is no readable JWK Set", "check jwks_file in AIGW_ISSUERS"),
    Row(
        "sign-in",
        "the Portal's issuer does not answer",
        "its configuration cannot be read",
        "check AIGW_OIDC_ISSUER, and the way there (AIGW_ISSUER_PROXY",
    ),
    Row(
        "sign-in",
        "the authority of the Portal's issuer is not known",
        "CERTIFICATE_VERIFY_FAILED",
        "put the authority of AIGW_OIDC_ISSUER into AIGW_ISSUER_CA_FILE",
    ),
    Row(
        "sign-in",
        "the Portal's issuer is another one",
        "it is another issuer's",
        "check AIGW_OIDC_ISSUER",
    ),
    Row(
        "sign-in",
        "the keys of the Portal's issuer are none",
        "no key for signatures",
        "check AIGW_OIDC_ISSUER",
    ),
    Row("sign-in", "the clock of an issuer is a minute off", "behind this machine's", _NTP),
    Row(
        "sign-in",
        "an issuer's certificate has run out",
        "has expired",
        "renew the certificate of the server of AIGW_OIDC_ISSUER",
    ),
    Row(
        "sign-in",
        "an issuer's certificate runs out within 14 days",
        "runs out on",
        "renew the certificate of the server of AIGW_OIDC_ISSUER",
        grade="warn",
    ),
    Row(
        "sign-in",
        "AIGW_ISSUER_CA_FILE is missing",
        "cannot be read (No such file or directory)",
        "check AIGW_ISSUER_CA_FILE, and its mount",
    ),
    Row(
        "certificates",
        "AIGW_UPSTREAM_CA_FILE is missing",
        "cannot be read (No such file or directory)",
        "check AIGW_UPSTREAM_CA_FILE, and its mount",
    ),
    Row(
        "certificates",
        "the authorities in AIGW_UPSTREAM_CA_FILE have run out",
        "have run out on",
        "check AIGW_UPSTREAM_CA_FILE",
    ),
    Row(
        "certificates",
        "a server's certificate runs out within 14 days",
        "runs out on",
        "in AIGW_EVENT_BUS_URL",
        grade="warn",
    ),
    Row(
        "certificates",
        "the certificate of box listeners has run out",
        "ran out on",
        "renew AIGW_BOX_TLS_CERTIFICATE_FILE",
        plane="data",
    ),
    Row(
        "certificates",
        "a TLS file of box listeners cannot be read",
        "cannot be read",
        "AIGW_BOX_TLS_KEY_FILE, its mount and its owner",
        plane="data",
    ),
    Row(
        "certificates",
        "the key of box listeners is another certificate's",
        "are no pair",
        "check AIGW_BOX_TLS_CERTIFICATE_FILE and AIGW_BOX_TLS_KEY_FILE",
        plane="data",
    ),
    Row(
        "snapshot",
        "the clock of the control plane is a minute off",
        "behind this machine's",
        _NTP,
        plane="data",
    ),
    Row("ports", "another program has the port", "is in use", "AIGW_CONTROL_PLANE_PORT"),
    Row("ports", "another program answers /livez there", "is in use", "AIGW_ADMIN_PORT", plane="data"),
)

_HEAD = """\
# What `aigw doctor` finds

<!-- Generated by `make docs` from tools/doctor_page.py. Do not edit. -->

Each row is brought about on a real server by `tests/contract/test_doctor_states.py`, which compares the
report with this table. `FAIL` makes the command exit with 1.

| check | what is wrong | the finding says | and the remedy |
|---|---|---|---|
"""
_RIGHTS = """
## The rights of the database's user

A user that does not own the tables needs these rights, and `USAGE` on the sequence `audit_id_seq`. Migrations
(`aigw db upgrade`) need the owner. The finding names each right that is missing.

| table | rights |
|---|---|
"""
_REDIS = """
## The rights of the users in Redis

The finding names each command that the user may not send; `deploy/redis/users.acl` has both users.

| plane | commands |
|---|---|
"""


def page() -> str:
    """Give the whole page as Markdown."""
    rows = "".join(
        f"| {row.plane} plane: {row.part} | {row.state} | {row.grade}: {row.text} | {row.remedy} |\n"
        for row in ROWS
    )
    rights = "".join(f"| `{table}` | {', '.join(held)} |\n" for table, held in TABLE_RIGHTS.items())
    commands = "".join(
        f"| {plane} | {', '.join(f'`{probe.right}`' for probe in probes)} |\n"
        for plane, probes in (("control", WRITER), ("data", READER))
    )
    return f"{_HEAD}{rows}{_RIGHTS}{rights}{_REDIS}{commands}"


if __name__ == "__main__":
    PAGE.write_text(page())
