"""Every limit and deadline of the relay, as one value with the unit in each name.

The defaults are the documented ones (`docs`, threat model rows 17 to 19); `settings.py` offers each under the
same name. Seconds may be fractions, so tests need not wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """The allowance of an exchange, a box, an org and the pool.

    Attributes:
        preface_seconds: from a connection's beginning to the end of its preface, on proxy-tlv listeners.
        tls_handshake_seconds: from a connection's beginning to the end of its handshake, on TLS listeners.
        head_seconds: from a request's first byte to the end of its head.
        body_progress_seconds: longest pause between two pieces of a request body.
        write_stall_seconds: longest time for either side to refuse bytes.
        connect_seconds: resolve, TCP and TLS together.
        first_byte_seconds: from the request's end to the first byte of the answer.
        idle_seconds: longest pause between two pieces of an answer.
        exchange_past_token_seconds: how long a request or WebSocket may outlive its box's token.
        keep_alive_seconds: how long an idle box connection is kept.
        max_head_bytes, max_head_fields: of a request's or an answer's head.
        max_body_bytes: of a request body; above every provider's own limit.
        write_buffer_bytes: per direction, above which the other side is paused.
        stalled_bytes_per_box: in full write buffers, above which each of its streams keeps at most a single
            piece.
        max_unidentified_connections: connections without a known box; above, the oldest make room.
        max_connections: of boxes, open at once in this process; lowered to fit its descriptors.
        max_connections_per_org: of them, of one org; None is half of all.
        max_connections_per_box, max_requests_per_box, max_requests_per_org: open at once in this process.
        max_idle_upstreams_per_endpoint, max_idle_upstreams: pooled per (org, endpoint), and in all.
        upstream_idle_seconds: how long an unused upstream connection is kept; below common servers' 60 s.
        upstream_life_seconds: after which a connection is not used again, so DNS changes are followed.
        warm_upstreams_per_endpoint: opened ahead of a request where the last idle ones were lost; 0 is off.
        warm_upstream_seconds: how long after its last request an (org, endpoint) is kept warm.
    """

    preface_seconds: float = 5
    tls_handshake_seconds: float = 5
    head_seconds: float = 10
    body_progress_seconds: float = 30
    write_stall_seconds: float = 60
    connect_seconds: float = 10
    first_byte_seconds: float = 600
    idle_seconds: float = 600
    exchange_past_token_seconds: float = 3_600
    keep_alive_seconds: float = 75
    max_head_bytes: int = 64 * KIB
    max_head_fields: int = 128
    max_body_bytes: int = GIB
    write_buffer_bytes: int = 256 * KIB
    stalled_bytes_per_box: int = 4 * MIB
    max_unidentified_connections: int = 1_024
    max_connections: int = 500_000
    max_connections_per_org: int | None = None
    max_connections_per_box: int = 512
    max_requests_per_box: int = 256
    max_requests_per_org: int = 2_048
    max_idle_upstreams_per_endpoint: int = 256
    max_idle_upstreams: int = 2_048
    upstream_idle_seconds: float = 50
    upstream_life_seconds: float = 600
    warm_upstreams_per_endpoint: int = 1
    warm_upstream_seconds: float = 300
