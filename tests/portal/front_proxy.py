"""A reverse proxy between the browser and the control plane, with the faults of networks.

The proxy reads HTTP, unlike `tests/support/fault_proxy.py`, so a fault can be made for a single request.
"""

from __future__ import annotations

import http.client
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Literal, Self

Kind = Literal["lose", "late_504", "early_504", "forward_after_504", "cut", "page", "hold"]
"""The fate of a matching request.

lose: the request is carried on, and the connection closes without an answer.
late_504: carried on, and answered by 504 with a page. early_504: the same, but not carried on.
forward_after_504: answered by 504 and carried on after `FORWARD_SECONDS`.
cut: carried on, and the answer ends in the middle of its body.
page: carried on, and answered by 200 with a page of a network's own.
hold: the request waits for `release`, then is carried on and answered as usual.
"""
FORWARD_SECONDS: Final = 3.0
_PAGE: Final = b"<!doctype html><title>A proxy</title><h1>A proxy answers in place of the gateway</h1>"
_HOP_BY_HOP: Final = {"connection", "transfer-encoding", "keep-alive", "content-length"}


@dataclass
class FrontProxy:
    """`with FrontProxy(port) as proxy` puts `proxy.origin` before the server on 127.0.0.1:`port`."""

    target_port: int
    origin: str = ""
    seen: list[str] = field(default_factory=list)
    _faults: list[tuple[Kind, str, re.Pattern[str]]] = field(default_factory=list)
    _released: threading.Event = field(default_factory=threading.Event)
    _server: ThreadingHTTPServer | None = None

    def fault(self, kind: Kind, method: str, path: str) -> None:
        """Treat every request of this method whose path matches so, until `heal`."""
        self._released.clear()
        self._faults.append((kind, method, re.compile(path)))

    def heal(self) -> None:
        """Carry every request again, held requests too."""
        self._faults.clear()
        self._released.set()

    release = heal

    def __enter__(self) -> Self:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True  # the browser has left

            def _carry(self) -> None:
                proxy._handle(self)

            do_GET = do_PUT = do_PATCH = do_DELETE = do_POST = _carry  # noqa: N815  # named by http.server

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, name="front proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self.heal()
        self._server.shutdown()
        self._server.server_close()

    # -- in the threads of the server

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        self.seen.append(f"{request.command} {request.path}")
        body = request.rfile.read(int(request.headers.get("content-length") or 0))
        kind = next(
            (
                kind
                for kind, method, path in self._faults
                if method == request.command and path.search(request.path)
            ),
            None,
        )
        match kind:
            case "early_504":
                _write(request, 504, {"content-type": "text/html"}, _PAGE)
                return
            case "forward_after_504":
                _write(request, 504, {"content-type": "text/html", "connection": "close"}, _PAGE)
                time.sleep(FORWARD_SECONDS)
                self._forward(request, body)
                return
            case "hold":
                self._released.wait(60)
            case _:
                pass
        status, headers, answer = self._forward(request, body)
        match kind:
            case "lose":
                request.close_connection = True
            case "late_504":
                _write(request, 504, {"content-type": "text/html"}, _PAGE)
            case "page":
                _write(request, 200, {"content-type": "text/html"}, _PAGE)
            case "cut":
                _write(request, status, headers, answer, keep=len(answer) // 2)
            case _:
                _write(request, status, headers, answer)

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.target_port, timeout=60)
        try:
            connection.request(request.command, request.path, body or None, dict(request.headers))
            answer = connection.getresponse()
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
            return answer.status, headers, answer.read()
        finally:
            connection.close()


def _write(
    request: BaseHTTPRequestHandler,
    status: int,
    headers: dict[str, str],
    body: bytes,
    *,
    keep: int | None = None,
) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.send_header("content-length", str(len(body)))
    request.end_headers()
    request.wfile.write(body[:keep])
    request.wfile.flush()
    if keep is not None:
        request.close_connection = True
