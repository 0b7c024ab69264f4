"""Serves one of the bench's own small HTTP servers for as long as a context lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer
from threading import Thread
from typing import Final

_SHUTDOWN_POLL_SECONDS: Final = 0.05


@contextmanager
def serving(server: HTTPServer) -> Iterator[None]:
    """Serve in a thread of its own, then stop and close."""
    thread = Thread(target=server.serve_forever, args=(_SHUTDOWN_POLL_SECONDS,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
