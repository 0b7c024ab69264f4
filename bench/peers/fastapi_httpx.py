"""A gateway as written in an afternoon: FastAPI in front, a streaming httpx client behind.

A peer to measure against, not a part of the product. Its work is the same: prefix cut, credentials dropped
and set, hop-by-hop headers dropped, nothing buffered.
"""

from __future__ import annotations

import argparse
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask

from bench.workload import BOX_PREFIX

_MAX_CONNECTIONS: Final = 4096
_MAX_IDLE_CONNECTIONS: Final = 32
"""httpx walks its whole pool for every request: as many as the load needs, so that rows with more streams
leave nothing behind that slows the next row."""
_DROPPED: Final = frozenset(
    (
        *("host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
        *("proxy-authorization", "authorization", "x-api-key", "api-key", "cookie"),
        *("openai-organization", "openai-project"),
    )
)
_HIDDEN: Final = frozenset(
    (
        *("connection", "keep-alive", "transfer-encoding", "set-cookie", "alt-svc"),
        "strict-transport-security",
    )
)


def make_app(endpoint: str, key: str, tls: ssl.SSLContext | None) -> FastAPI:
    """Build the app, which passes everything below the box prefix on to `endpoint`."""
    limits = httpx.Limits(max_connections=_MAX_CONNECTIONS, max_keepalive_connections=_MAX_IDLE_CONNECTIONS)
    client = httpx.AsyncClient(
        limits=limits, timeout=httpx.Timeout(600), verify=tls or True, trust_env=False, follow_redirects=False
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    @app.api_route(BOX_PREFIX + "/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def forward(path: str, request: Request) -> StreamingResponse:
        headers = [(name, value) for name, value in request.headers.raw if name.decode() not in _DROPPED]
        headers.append((b"authorization", b"Bearer " + key.encode()))
        outgoing = client.build_request(
            request.method,
            f"{endpoint}/{path}",
            params=request.query_params,
            headers=headers,
            content=request.stream(),
        )
        answer = await client.send(outgoing, stream=True)
        response = StreamingResponse(
            answer.aiter_raw(), status_code=answer.status_code, background=BackgroundTask(answer.aclose)
        )
        response.raw_headers = [
            (name.lower(), value)
            for name, value in answer.headers.raw
            if name.lower().decode() not in _HIDDEN
        ]
        return response

    return app


def main() -> None:
    """Serve on loopback until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--key-file", type=Path, required=True)
    parser.add_argument("--ca-file", type=Path)
    options = parser.parse_args()
    tls = ssl.create_default_context(cafile=options.ca_file) if options.ca_file else None
    app = make_app(options.endpoint, options.key_file.read_text().strip(), tls)
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        backlog=4096,
        timeout_keep_alive=75,
        server_header=False,
        date_header=False,
    )


if __name__ == "__main__":
    main()
