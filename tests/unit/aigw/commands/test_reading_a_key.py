"""Tests of reading a provider's key from a file, as editors and shells leave it."""

from __future__ import annotations

from pathlib import Path

import pytest

from aigw.commands.rest import read_key
from aigw.failures import UserError


@pytest.mark.parametrize("content", [b"sk-a", b"sk-a\n", b"sk-a\r\n", b"\xef\xbb\xbfsk-a\r\n", b" sk-a "])
def test_marks_and_line_ends_around_a_key_are_no_part_of_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    assert read_key(file) == "sk-a"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "There is no key"),
        (b"\xef\xbb\xbf\n", "There is no key"),
        (b"sk-\xff", r"No key can be read from the key file .* \(UnicodeDecodeError\)"),
        (b"a" * 65537, "larger than 65536 bytes"),
    ],
)
def test_a_file_without_a_key_is_told(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(UserError, match=says):
        read_key(file)


def test_a_device_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(UserError, match="larger than 65536 bytes"):
        read_key(Path("/dev/zero"))


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"No key can be read from .* \(IsADirectoryError\)"):
        read_key(tmp_path)
