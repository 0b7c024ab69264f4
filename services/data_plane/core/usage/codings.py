"""Inflating a compressed answer slice by slice: gzip, zlib, Zstandard and Brotli, bounded in every direction.

The two libraries missing from Python 3.11 are imported for the first such answer. An answer inflating far
beyond ordinary text is given up: only its tokens are wanted.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from typing import Any, Final, Protocol

KIB: Final = 1024
OUT_BYTES: Final = 64 * KIB
"""So much is inflated at a time."""
MAX_RATIO: Final = 200
FREE_INFLATED_BYTES: Final = 256 * KIB
"""So much may come out however little went in."""
MAX_INFLATED_BYTES: Final = 64 * KIB * KIB
MAX_WINDOW_LOG: Final = 23
"""RFC 9659 §3: a client must support at most a Zstandard window of 8 MiB."""
MAX_MEMBERS: Final = 64

_GZIP: Final = b"\x1f\x8b"  # RFC 1952 §2.3.1
_ZSTD: Final = b"\x28\xb5\x2f\xfd"  # RFC 8878 §3.1.1
_GZIP_OR_ZLIB: Final = 47  # what zlib calls its automatic choice, with the largest window


class BadCoding(ValueError):  # noqa: N818  # a finding about the provider's bytes
    """The bytes do not match their beginning, or their coding is unknown here."""


class Bomb(ValueError):  # noqa: N818  # a finding about the provider's bytes
    """More comes out than an answer's text can be."""


class Inflater(Protocol):
    """A decompressor, fed in order."""

    def inflate(self, data: bytes) -> Iterator[bytes]:
        """Give the inflated bytes, in slices of `OUT_BYTES` at most; raises `BadCoding`."""
        ...


def inflater_of(beginning: bytes) -> Inflater:
    """Choose the inflater by the first bytes. Brotli has no mark of its own and is tried last."""
    if beginning.startswith(_GZIP) or _is_zlib(beginning):
        return _Gzip()
    if beginning.startswith(_ZSTD):
        return _Zstd()
    return _Brotli()


def _is_zlib(beginning: bytes) -> bool:
    """RFC 1950 §2.2: a window size of up to 32 KiB, and the check bits."""
    return beginning[:1] == b"x" and len(beginning) > 1 and int.from_bytes(beginning[:2]) % 31 == 0


class BoundedInflater:
    """An inflater with a counter and a limit for bombs."""

    __slots__ = ("_inflater", "_read_bytes", "_written_bytes")

    def __init__(self, beginning: bytes) -> None:
        self._inflater = inflater_of(beginning)
        self._read_bytes = self._written_bytes = 0

    def inflate(self, data: bytes) -> Iterator[bytes]:
        """Give the inflated bytes; raises `BadCoding` or `Bomb`."""
        self._read_bytes += len(data)
        limit = min(MAX_INFLATED_BYTES, FREE_INFLATED_BYTES + MAX_RATIO * self._read_bytes)
        for out in self._inflater.inflate(data):
            self._written_bytes += len(out)
            if self._written_bytes > limit:
                raise Bomb
            yield out


class _Gzip:
    """gzip and zlib. A gzip file may have several members (RFC 1952 §2.2)."""

    __slots__ = ("_members", "_object")

    def __init__(self) -> None:
        self._object: Any = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._members = 1

    def inflate(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._object.eof:
                data = data.lstrip(b"\0")  # padding, as gzip itself takes it
                if not data:
                    return
                self._members += 1
                if self._members > MAX_MEMBERS:
                    raise Bomb
                self._object = zlib.decompressobj(_GZIP_OR_ZLIB)
            try:
                out = self._object.decompress(data, OUT_BYTES)
            except zlib.error as error:
                raise BadCoding from error
            data = self._object.unused_data if self._object.eof else self._object.unconsumed_tail
            yield out


class _Zstd:
    """Zstandard, frame after frame (RFC 8878 §3)."""

    __slots__ = ("_frames", "_library", "_object")

    def __init__(self) -> None:
        self._library = _zstd_library()
        self._object = self._new()
        self._frames = 1

    def _new(self) -> Any:
        options = {self._library.DecompressionParameter.window_log_max: MAX_WINDOW_LOG}
        return self._library.ZstdDecompressor(options=options)

    def inflate(self, data: bytes) -> Iterator[bytes]:
        while data or not self._object.needs_input:
            if self._object.eof:
                if not data:
                    return
                self._frames += 1
                if self._frames > MAX_MEMBERS:
                    raise Bomb
                self._object = self._new()
            try:
                out = self._object.decompress(data, OUT_BYTES)
            except self._library.ZstdError as error:
                raise BadCoding from error
            data = self._object.unused_data if self._object.eof else b""
            yield out


class _Brotli:
    """Brotli (RFC 7932)."""

    __slots__ = ("_library", "_object")

    def __init__(self) -> None:
        self._library = _brotli_library()
        self._object = self._library.Decompressor()

    def inflate(self, data: bytes) -> Iterator[bytes]:
        while not self._object.is_finished():
            try:
                out = self._object.process(data, output_buffer_limit=OUT_BYTES)
            except self._library.error as error:
                raise BadCoding from error
            if not data and not out:
                return  # nothing is held back for want of room
            data = b""
            yield out


def _zstd_library() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415  # when it is needed first
    else:
        from backports import zstd  # noqa: PLC0415  # when it is needed first
    return zstd


def _brotli_library() -> Any:
    import brotli  # noqa: PLC0415  # when it is needed first

    return brotli
