"""A coverage-guided fuzzer of the pure core: raw request streams, heads and chunked bodies together.

It starts from `tests/corpus/requests` and looks for three things: an exception that is no refusal, an
outcome that depends on how the bytes were cut, and a forwarded request that llhttp or h11 reads differently.
How to run it is in `fuzz/README.md`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

import atheris  # type: ignore[import-untyped]  # only requirements/fuzz.txt has it

with atheris.instrument_imports(include=["services.data_plane.core"]):
    from services.data_plane.core import framing, head_buffer, request_head, route

from tests.corpus.reference_parsers import LLHTTP_METHODS, NOT_COMPLETE, read_with_h11, read_with_llhttp
from tests.corpus.replay import Replay, Sent, replay

INSTRUMENTED: Final = (framing, head_buffer, request_head, route)
SEEDS: Final = Path(__file__).parents[1] / "tests" / "corpus" / "requests"
MAX_INPUT_BYTES: Final = 4096
_NEXT: Final = b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n"


class Disagreement(Exception):  # noqa: N818  # what the fuzzer is looking for
    """Two ways of reading the same bytes came to different ends."""


def check(data: bytes) -> None:
    """Replay one input; raises on anything that must not be. The first byte says where the stream is cut."""
    if not data:
        return
    step, stream = data[0] + 1, data[1:]
    whole = replay([stream])
    cut = replay(stream[at : at + step] for at in range(0, len(stream), step))
    if _summary(whole) != _summary(cut):
        raise Disagreement(f"cut every {step} bytes: {whole.outcomes} became {cut.outcomes}")
    for sent in whole.sent:
        _compare(sent)


def _summary(connection: Replay) -> tuple[list[str], list[tuple[bytes, bytes]]]:
    return connection.outcomes, [(sent.sent_head, sent.body) for sent in connection.sent if sent.whole]


def _compare(sent: Sent) -> None:
    """Ask the other parsers where the request ends that the core sent on."""
    raw = sent.sent_head + sent.body
    expected = len(raw) if sent.whole else NOT_COMPLETE
    after = _NEXT if sent.whole else b""
    readings = [read_with_h11(raw + after)]
    if sent.head.method in LLHTTP_METHODS:
        readings.append(read_with_llhttp(raw + after))
    for reading in readings:
        if reading is None and not sent.whole:
            continue  # the doubt was theirs first; the core cuts such a connection too
        if reading is None or reading.end != expected or reading.start[0] != sent.head.method:
            raise Disagreement(f"sent {raw!r}, read as {reading}")


def main() -> None:
    """Run until stopped, or as libFuzzer's options in the arguments say."""
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(sorted(SEEDS.glob("*.http"))):
            data = seed.read_bytes()
            if len(data) < MAX_INPUT_BYTES:
                (Path(folder) / seed.stem).write_bytes(bytes([number % 256]) + data)
        options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
        folders = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
        arguments = [sys.argv[0], f"-max_len={MAX_INPUT_BYTES}", "-timeout=5", *options, *folders, folder]
        atheris.Setup(arguments, check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
