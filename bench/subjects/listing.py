"""The subjects in the order of the table's columns."""

from __future__ import annotations

from typing import Final

from bench.subjects.direct import DIRECT
from bench.subjects.fastapi_httpx import FASTAPI_HTTPX
from bench.subjects.gateway import GATEWAY, GATEWAY_COMPILED
from bench.subjects.haproxy import SPLICE
from bench.subjects.litellm import LITELLM
from bench.subjects.nginx import NGINX
from bench.subjects.portkey import PORTKEY
from bench.subjects.subject import Subject

SUBJECTS: Final[tuple[Subject, ...]] = (
    DIRECT,
    SPLICE,
    NGINX,
    GATEWAY,
    GATEWAY_COMPILED,
    FASTAPI_HTTPX,
    PORTKEY,
    LITELLM,
)
YARDSTICK: Final = NGINX.name
"""The subject against which ratios are taken."""
NO_PROXY: Final = DIRECT.name
"""The subject from whose latency added latency is counted."""
OURS: Final = (GATEWAY.name, GATEWAY_COMPILED.name)
"""The subjects in terms of whose CPU the peers' CPU is told."""
SHIPPED: Final = GATEWAY_COMPILED.name
"""The form in the container image, which the README shows."""
