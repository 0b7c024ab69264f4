"""Answers once read wrongly, or held only by luck, and the cost of each of them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import brotli
import pytest
from backports import zstd

from services.data_plane.core.usage.shapes import SHAPES
from services.data_plane.core.usage.tap import UsageTap
from services.data_plane.core.usage.tokens import NoUsage, Usage

FILE = Path(__file__).parents[4] / "corpus" / "usage" / "cases.json"
CASES: list[dict[str, Any]] = json.loads(FILE.read_text())
KINDS = [name.removesuffix("_tokens") for name in Usage._fields]


def body_of(answer: dict[str, Any], *, indent: int | None = None, end: str = "\n") -> bytes:
    """Write a case's answer as a provider does."""
    if "json" in answer:
        return json.dumps(answer["json"], indent=indent).encode()
    lines = []
    for event in answer["stream"]:
        data = event["data"] if isinstance(event["data"], str) else json.dumps(event["data"], indent=indent)
        if "event" in event:
            lines.append(f"event: {event['event']}{end}")
        lines += [f"data: {line}{end}" for line in data.split("\n")]
        lines.append(end)
    return "".join(lines).encode()


def gzipped(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(body) + packer.flush()


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def wires(body: bytes) -> Iterator[list[bytes]]:
    """The body as a provider may send it: in pieces of any size, in chunks of any size, compressed."""
    for packed in (body, gzipped(body), zstd.compress(body), brotli.compress(body)):
        for size in (1, 7, 300, 5000, len(packed)) if len(packed) < 5000 else (300, len(packed)):
            yield [packed[at : at + size] for at in range(0, len(packed), size)]
            wire = chunked(packed, max(size, 3))
            yield [wire[at : at + 1000] for at in range(0, len(wire), 1000)]


def gained(pieces: list[bytes], provider: str) -> dict[str, int]:
    """The gain of the books: tokens by kind, or nothing where the tokens are unknown."""
    tap = UsageTap()
    for piece in pieces:
        tap.take(piece)
    usage = tap.read(SHAPES[provider]).usage
    if isinstance(usage, NoUsage):
        return {}
    return {kind: count for kind, count in zip(KINDS, usage, strict=True) if count}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_an_answer_costs_what_it_says_however_it_is_cut_and_coded(case: dict[str, Any]) -> None:
    body = body_of(case["answer"])
    for pieces in wires(body):
        assert gained(pieces, case["provider"]) == case["right"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_an_answer_costs_the_same_in_any_layout(case: dict[str, Any], end: str) -> None:
    body = body_of(case["answer"], indent=2, end=end)
    for size in (100, len(body)):
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        assert gained(pieces, case["provider"]) == case["right"]
