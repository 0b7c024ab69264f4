"""The documents of an issuer, served on loopback by a private authority: its configuration and its keys."""

from __future__ import annotations

import json
import ssl
import threading
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import trustme

from tests.unit.control_plane.world import Issuer


class IssuerSite:
    """Inside `with`, the site serves `/.well-known/openid-configuration` and `/keys`."""

    def __init__(
        self,
        folder: Path,
        *,
        keys: dict[str, Any] | None = None,
        name: str = "",
        ends: datetime | None = None,
    ) -> None:
        authority, self._serving = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        begins = None if ends is None else ends - timedelta(days=90)
        issued = authority.issue_cert("127.0.0.1", not_before=begins, not_after=ends)
        issued.configure_cert(self._serving)
        self.ca_file = folder / "issuer-ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        self._keys = keys if keys is not None else {"keys": [Issuer().jwk]}
        self._name = name
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.socket = self._serving.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def url(self, path: str) -> str:
        """Give the address of a path."""
        return f"https://127.0.0.1:{self._server.server_port}{path}"

    def _published(self) -> dict[str, str]:
        return {
            "issuer": self._name or self.url(""),
            "authorization_endpoint": self.url("/auth"),
            "token_endpoint": self.url("/token"),
            "jwks_uri": self.url("/keys"),
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                said = site._keys if self.path == "/keys" else site._published()
                body = json.dumps(said).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
                pass

        return Handler

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
