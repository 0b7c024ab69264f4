"""A stub of Vault's HTTP interface: logins, tokens and a single secret, all scripted. Counts every call.

For cases beyond a real Vault in a test: a Kubernetes login, a redirect, a proxy's error page.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Self


@dataclass
class StubVault:
    """`with StubVault() as vault` serves on loopback.

    Attributes:
        lease_seconds: the life of a token from a login or a renewal.
        renewed_seconds: the life after a renewal, where different.
        valid: the tokens known to the stub; a test revokes a token by taking the token out.
        broken: (status, headers, body) of every answer, where set.
        calls: how often each `METHOD path` came.
        logins: the bodies of the logins.
        headers: those of the last request, lower case.
    """

    lease_seconds: int = 3600
    renewed_seconds: int | None = None
    renewable: bool = True
    refuses_logins: bool = False
    denies_reads: bool = False
    valid: set[str] = field(default_factory=set)
    broken: tuple[int, dict[str, str], bytes] | None = None
    calls: Counter[str] = field(default_factory=Counter)
    logins: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        """Answer a request; called in the server's threads."""
        with self._lock:
            self.calls[f"{method} {path}"] += 1
            self.headers = headers
            if path.endswith("/login"):
                return self._login(json.loads(body))
            token = headers.get("x-vault-token", "")
            if token not in self.valid:
                return 403, {"errors": ["permission denied"]}
            match path.removeprefix("/v1/"):
                case "auth/token/lookup-self":
                    return 200, {"data": {"ttl": self.lease_seconds, "renewable": self.renewable}}
                case "auth/token/renew-self":
                    return 200, {"auth": self._auth(token, self.renewed_seconds or self.lease_seconds)}
                case _ if self.denies_reads:
                    return 403, {"errors": ["permission denied"]}
                case _:
                    return 200, {"data": {"data": {}, "metadata": {"version": 1}}}

    def _login(self, proof: dict[str, Any]) -> tuple[int, Any]:
        self.logins.append(proof)
        if self.refuses_logins:
            return 400, {"errors": ["invalid role or secret ID"]}
        token = f"stub-token-{len(self.logins)}"
        self.valid.add(token)
        return 200, {"auth": self._auth(token, self.lease_seconds)}

    def _auth(self, token: str, seconds: int) -> dict[str, Any]:
        return {"client_token": token, "lease_duration": seconds, "renewable": self.renewable}

    def __enter__(self) -> Self:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._serve()

            def do_POST(self) -> None:
                self._serve()

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, document = stub.answer(self.command, self.path.partition("?")[0], headers, body)
                more = {"content-type": "application/json"}
                data = json.dumps(document).encode()
                if stub.broken is not None:
                    status, more, data = stub.broken
                self.send_response(status)
                for name, value in (more | {"content-length": str(len(data))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Nothing goes to stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
