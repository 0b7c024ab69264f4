"""Whether the doctor sees that a data plane can test saved keys."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aigw.doctor.control_plane import _examine_key_tests
from aigw.doctor.finding import Finding
from services.control_plane.settings import ControlPlaneSettings
from shared.key_test import KeyTestResponse, encode_key_test_response
from shared.secret import Secret

NOT_YET = encode_key_test_response(KeyTestResponse("not_yet"))


async def examine(folder: Path, url: str) -> Finding:
    settings = ControlPlaneSettings(
        database_url=f"sqlite:///{folder / 'x.db'}",
        secret_store_url=f"local://{folder}",
        internal_token=Secret("the-token-of-the-fleet"),
        data_plane_admin_url=url,
    )
    return await _examine_key_tests(settings)


async def examine_beside(folder: Path, answer: bytes) -> Finding:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(reply, "127.0.0.1", 0)
    async with server:
        return await examine(folder, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")


@pytest.mark.parametrize(
    ("answer", "grade", "words"),
    [
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(NOT_YET), NOT_YET),
            "ok",
            "tests saved keys",
        ),
        (b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n", "FAIL", "refuses"),
        (b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", "warn", "no data plane answers"),
    ],
)
async def test_a_data_plane_is_asked_for_the_test_of_a_key_that_nobody_has(
    tmp_path: Path, answer: bytes, grade: str, words: str
) -> None:
    found = await examine_beside(tmp_path, answer)
    assert (found.grade, words in found.text) == (grade, True), str(found)


async def test_an_address_where_nobody_listens_is_a_warning_and_none_is_no_fault(tmp_path: Path) -> None:
    assert (await examine(tmp_path, "http://127.0.0.1:9")).grade == "warn"
    found = await examine(tmp_path, "")
    assert (found.grade, "typed keys only" in found.text) == ("ok", True)
