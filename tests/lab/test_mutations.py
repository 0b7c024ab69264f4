"""Mutated prefaces, headers and tokens at the real listeners of a gateway: none is accepted (threat 2)."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from shared.proxy_preface import encode_preface
from tests.lab.conftest import Form
from tests.support.gateway import Gateway
from tests.support.servers.process import short_folder

pytestmark = [pytest.mark.xdist_group("laboratory"), pytest.mark.timeout(7200)]
TASKS: Final = 8
TOKENS_LAST: Final = 500
"""Mutants made from one pair of tokens; new tokens follow long before these expire."""

ANSWER_SECONDS: Final = 60.0
NAME: Final = b"X-Run9-Box-Token"
START: Final = b"GET /run9/ai/openai/v1/models HTTP/1.1\r\nHost: 10.0.2.2:1000\r\nConnection: close\r\n"
FILLER: Final = b"X-Filler: " + b"f" * 8_000 + b"\r\n"
"""More bytes than any preface may say to have, so that a mutant with a longer length waits for none."""

Original = tuple[bytes, bytes]


def mutated(dice: random.Random, data: bytes, other: bytes) -> bytes:
    """Change, drop, add, repeat or exchange some bytes, or put two good ones together."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(changed))
        match dice.randrange(7):
            case 0:
                changed[at] ^= 1 << dice.randrange(8)
            case 1:
                changed[at] = dice.choice(b"\0\r\n =+/.-_,:aA09\xff")
            case 2:
                del changed[at : at + dice.randint(1, 16)]
            case 3:
                changed[at:at] = dice.randbytes(dice.randint(1, 16))
            case 4:
                changed[at:at] = changed[at : at + dice.randint(1, 40)]
            case 5:
                changed[at:] = other[at:]
            case _:
                parts = [dice.choice(pair) for pair in zip(data.split(b"."), other.split(b"."), strict=False)]
                changed = bytearray(b".".join(parts))
        if not changed:
            return b"\0"
    return bytes(changed)


def says_the_same(line: bytes, original: bytes) -> bool:
    """Whether a header line is another spelling of the original (RFC 9110, 5.1 and 5.5)."""
    name, _, value = line.partition(b"\r\n")[0].partition(b":")
    told, _, token = original.partition(b":")
    return name.lower() == told.lower() and value.strip(b" \t") == token.strip(b" \t")


@dataclass(slots=True)
class Attack:
    """Sends mutants to both listeners, and counts the answers by kind of mutant and verdict."""

    gateway: Gateway
    socket: Path
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)

    async def run(self, each: int, seed: int) -> None:
        """Send so many mutants of each kind."""
        dice = random.Random(seed)
        kinds = {"preface": self._preface, "header": self._header, "token": self._token}
        jobs = iter([name for name in kinds for _ in range(each)])
        originals = self._originals()

        async def work() -> None:
            for name in jobs:
                self.seen[name, await kinds[name](dice, *next(originals))] += 1

        await asyncio.gather(*(work() for _ in range(TASKS)))

    def _originals(self) -> Iterator[Original]:
        while True:
            pair = self.gateway.box_token("demo").encode(), self.gateway.box_token("other").encode()
            for _ in range(TOKENS_LAST):
                yield pair

    async def _preface(self, dice: random.Random, token: bytes, other: bytes) -> str:
        good, foreign = encode_preface(token), encode_preface(other)
        mutant = good
        while mutant.startswith((good, foreign)):  # further bytes are the box's
            mutant = mutated(dice, good, foreign)
        return await self.by_preface(mutant)

    async def _header(self, dice: random.Random, token: bytes, other: bytes) -> str:
        good, foreign = NAME + b": " + token, NAME + b": " + other
        mutant = good
        while says_the_same(mutant, good) or says_the_same(mutant, foreign):
            mutant = mutated(dice, good, foreign)
        return await self.by_header(mutant)

    async def _token(self, dice: random.Random, token: bytes, other: bytes) -> str:
        mutant = token
        while mutant.partition(b"\r\n")[0].strip(b" \t") in {token, other}:
            mutant = mutated(dice, token, other)
        send: Callable[[bytes], Awaitable[str]] = dice.choice([self._token_by_preface, self._token_by_header])
        return await send(mutant)

    async def _token_by_preface(self, mutant: bytes) -> str:
        return await self.by_preface(encode_preface(mutant))

    async def _token_by_header(self, mutant: bytes) -> str:
        return await self.by_header(NAME + b": " + mutant)

    async def by_preface(self, preface: bytes) -> str:
        """Ask behind a preface; give the verdict."""
        streams = await asyncio.open_unix_connection(str(self.socket))
        return await _asked(*streams, preface + START + FILLER + b"\r\n")

    async def by_header(self, line: bytes) -> str:
        """Ask with a header line; give the verdict."""
        streams = await asyncio.open_connection("127.0.0.1", self.gateway.box_port)
        return await _asked(*streams, START + line + b"\r\n\r\n")


async def _asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes) -> str:
    answer = b""
    try:
        writer.write(sent)
        async with asyncio.timeout(ANSWER_SECONDS):
            while piece := await reader.read(65_536):
                answer += piece
    except ConnectionError:
        pass  # judged by the bytes before
    finally:
        writer.transport.abort()
    return verdict(answer)


def verdict(answer: bytes) -> str:
    """Tell a box that was accepted from one that was refused, and both from a health check's empty answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    code = re.search(rb"\r\nx-run9-error: (\S+)", head)
    if not head:
        return "refused: closed"
    if code is not None and code[1] in {b"box_identity_required", b"bad_request"}:
        return f"refused: {code[1].decode()}"
    if code is None and not body:
        return "health check"
    return f"accepted: {head[9:12].decode()} {code[1].decode() if code else 'answered by the provider'}"


async def test_no_mutated_preface_header_or_token_is_accepted(tmp_path: Path, form: Form) -> None:
    folder = short_folder("lab")
    socket = folder / "boxes.sock"
    options = ("--identity-mode", "header", "--preface-socket", str(socket), "--demo-pace-ms", "1")
    with Gateway(tmp_path, options=options) as gateway:
        attack = Attack(gateway, socket)
        for org, answered in (("demo", "200 answered by the provider"), ("other", "400 integration_missing")):
            good = gateway.box_token(org).encode()
            assert await attack.by_preface(encode_preface(good)) == f"accepted: {answered}"
            assert await attack.by_header(NAME + b": " + good) == f"accepted: {answered}"
        local = encode_preface(gateway.box_token("demo").encode(), command="local")
        assert await attack.by_preface(local) == "health check"
        await attack.run(form.mutations, random.SystemRandom().randrange(2**32))
    assert attack.seen.total() == 3 * form.mutations
    refusals = Counter[str]()
    for (kind, told), count in attack.seen.items():
        # A changed bit makes a preface one of a health check, which is answered here and says no box.
        assert told.startswith("refused: ") or (kind, told) == ("preface", "health check"), attack.seen
        refusals[kind] += count if told.startswith("refused: ") else 0
    for kind in ("preface", "header", "token"):
        assert refusals[kind] > 0.9 * form.mutations, attack.seen
