"""The cost of a proved identity on kept connections. Two data planes: `static`, and `proxy-tlv`.

Behind `proxy-tlv` each connection begins with a node's preface, as from the node agent. Its token is verified
once; each request then asks whether the node's key is still in use.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from aigw.node_key import NodeKey, new_key_pem
from bench.measure import Figures
from bench.rows import CPU_PER_REQUEST, Figure, Row
from bench.subjects.data_plane import FEW_ORGS, org_used, running_data_plane
from bench.subjects.subject import Subject
from bench.trials.on_off import Unit, play_on_off
from bench.trials.trial import Scene, Trial
from bench.workload import Work
from shared.box_token import MAX_LIFE_SECONDS
from shared.clock import unix_now
from shared.config_feed import NodeRow
from shared.proxy_preface import encode_preface

NODES_KID: Final = "bench"
"""The key id of the only node in a bench's snapshot."""

_LOADS: Final[dict[str, tuple[Row, Unit]]] = {
    "json": (
        Row("identity", "JSON, 32 connections", Work("json"), 32, (CPU_PER_REQUEST,), 30, 32_000),
        "request",
    )
}


def preface_of(key: NodeKey) -> bytes:
    """Mint a token for a box of the calling org and write its preface."""
    token = key.mint(
        NODES_KID,
        box="box",
        org=org_used(FEW_ORGS),
        lifecycle="1",
        now=unix_now(),
        life_seconds=MAX_LIFE_SECONDS,
    )
    return encode_preface(token.encode())


def _play(scene: Scene, subject: Subject) -> Figures:
    key = NodeKey.from_pem(new_key_pem().encode(), "the bench's node")
    nodes = (NodeRow("node", NODES_KID, key.public_text),)
    with ExitStack() as stack:
        off = stack.enter_context(running_data_plane(scene.around_in("off"), *subject.variables))
        around = scene.around_in("on")
        proved = ("AIGW_IDENTITY_MODE=proxy-tlv", *subject.variables)
        on = stack.enter_context(running_data_plane(around, *proved, nodes=nodes))
        file = around.folder / "preface"

        def renew() -> None:
            file.write_bytes(preface_of(key))

        renew()
        return play_on_off(scene, off, replace(on, preface_file=file, renew=renew), _LOADS)


IDENTITY: Final = Trial(
    "identity",
    "identity by proxy-tlv, 1,000 JSON requests a connection",
    (
        Figure("json_off_us", "static: CPU µs/request"),
        Figure("json_on_us", "proxy-tlv: CPU µs/request"),
        Figure("json_on_over_off", "proxy-tlv against static", decimals=2),
    ),
    _play,
    left_out=frozenset({"direct", "splice", "nginx", "fastapi_httpx"}),
)
