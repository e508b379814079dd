"""Compressed captures, told by their first bytes: gzip, bzip2 and xz of the standard library, and Zstandard.

Each member is a decompressor with the interface that ``bz2`` and ``lzma`` share. Zstandard comes with Python
3.14; before, the package ``zstandard`` (the extra ``zstd``) reads it.
"""

from __future__ import annotations

import bz2
import importlib
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import InputError


class Member(Protocol):
    """One compressed member."""

    @property
    def eof(self) -> bool:
        """The member ended."""

    @property
    def unused_data(self) -> bytes:
        """What came behind its end."""

    @property
    def needs_input(self) -> bool:
        """True when ``decompress`` has nothing left to give without more bytes."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Take all of ``data``; give at most ``max_length`` bytes."""


class _Gzip:
    """zlib's object behind the interface of the others."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)


class _Zstandard:
    """The package's object, which cannot stop in the middle, behind the same interface."""

    def __init__(self, library: Any) -> None:
        self._object = library.ZstdDecompressor().decompressobj()
        self._waiting = memoryview(b"")

    @property
    def eof(self) -> bool:
        return bool(self._object.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._object.unused_data) + bytes(self._waiting)

    @property
    def needs_input(self) -> bool:
        return not self._waiting

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        self._waiting = memoryview(bytes(self._waiting) + data if self._waiting else data)
        out: list[bytes] = []
        made = 0
        # pieces keep what one call may expand to within bounds
        while self._waiting and made < max_length // 4 and not self._object.eof:
            out.append(self._object.decompress(self._waiting[:PIECE]))
            self._waiting = self._waiting[PIECE:]
            made += len(out[-1])
        return out[0] if len(out) == 1 else b"".join(out)


ZSTANDARD = b"\x28\xb5\x2f\xfd"
"""How its files begin (RFC 8878)."""
PIECE = 1 << 14
"""Compressed bytes that Zstandard is given at a time, for what comes out cannot be bounded."""


@dataclass(frozen=True)
class Compression:
    """One format: its name, how a member is opened, and what a damaged one raises."""

    name: str
    open: Callable[[], Member]
    errors: tuple[type[Exception], ...]


def compression_of(head: bytes, path: str) -> Compression | None:
    """The format that the first bytes of a file tell, or None for what is not compressed.

    Raises:
        InputError: it is Zstandard, and nothing here can read that.
    """
    if head.startswith(b"\x1f\x8b"):
        return Compression("gzip", _Gzip, (zlib.error,))
    if head.startswith(b"BZh"):
        return Compression("bzip2", bz2.BZ2Decompressor, (OSError, ValueError))
    if head.startswith(b"\xfd7zXZ\0"):
        return Compression("xz", lzma.LZMADecompressor, (lzma.LZMAError,))
    if head.startswith(ZSTANDARD):
        return _zstandard(path)
    return None


def _zstandard(path: str) -> Compression:
    try:
        own = importlib.import_module("compression.zstd")
        return Compression("zstd", own.ZstdDecompressor, (own.ZstdError,))
    except ImportError:
        pass
    try:
        package = importlib.import_module("zstandard")
    except ImportError:
        text = "it is Zstandard: install the extra floodwatch[zstd], or pipe it through zstd -dc"
        raise InputError(path, "no_zstd", text, offset=0) from None
    return Compression("zstd", lambda: _Zstandard(package), (package.ZstdError,))
