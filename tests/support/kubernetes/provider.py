"""The demo provider by TLS, as a pod of the test runs it; certificate and key lie beside this file."""

from __future__ import annotations

from pathlib import Path

import uvicorn

from aigw.demo.provider.app import build_app
from shared.providers import PROVIDERS
from shared.secret import Secret

HERE = Path(__file__).parent

if __name__ == "__main__":
    keys = {name: Secret(f"{row.keys[0].prefix}demo-of-the-test") for name, row in PROVIDERS.items()}
    uvicorn.run(
        build_app(keys, pace_seconds=0.05),
        host="0.0.0.0",  # its pod's address
        port=8443,
        ssl_certfile=HERE / "provider.crt",
        ssl_keyfile=HERE / "provider.key",
        log_level="warning",
    )
