"""A capture as a sequence of blocks of bytes, each starting where the last one was left.

Regular files are mapped in windows, so memory stays flat whatever the size; streams (standard input, pipes,
what is compressed) are read in pieces with the unread rest carried over. Magic bytes tell, names do not.
"""

from __future__ import annotations

import mmap
import os
import stat
import sys
import threading
from typing import BinaryIO, Protocol

from msgspec import Struct

from ..errors import InputError
from .compression import Compression, compression_of

WINDOW = 16 << 20
"""Bytes of a file that are mapped at once."""
PIECE = 1 << 20
"""Bytes that a stream is read by."""
GROWTH_S = 0.1
"""How often a file that is followed is asked for more."""
HEAD = 4
"""Bytes that tell what a file is."""
EXPAND_FREE = 1 << 20
"""Decompressed bytes below which no ratio is a bomb."""


class Block(Struct, frozen=True):
    """``data[start:]`` is unread; ``offset`` is the capture's byte offset of ``data[start]``."""

    data: bytes | mmap.mmap
    start: int
    offset: int


class Blocks(Protocol):
    """Blocks of one capture; sizes are those of the file as it lies on disk."""

    @property
    def done(self) -> int:
        """Bytes read so far."""

    @property
    def total(self) -> int | None:
        """Bytes of the file, or None where that is unknown."""

    def following(self, position: int, need: int) -> Block | None:
        """The next block, to start at ``position`` in the last one and to hold ``need`` bytes if they exist.

        None when nothing is left to read. Raises InputError when reading fails.
        """

    def close(self) -> None:
        """Give back the file."""


class _Mapped:
    """A regular file in windows. A truncation while we read it shows as an early end, not as a signal."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.total: int | None = size
        self.done = 0
        self._base = 0
        self._end = 0

    def following(self, position: int, need: int) -> Block | None:
        start = self._base + position
        size = min(self.total or 0, os.fstat(self._file.fileno()).st_size)
        if self._end and self._end >= size:
            return None
        base = start - start % mmap.ALLOCATIONGRANULARITY
        length = min(max(WINDOW, start - base + need), size - base)
        if length <= 0:
            return None
        window = mmap.mmap(
            self._file.fileno(), length, mmap.MAP_PRIVATE | mmap.MAP_POPULATE, mmap.PROT_READ, offset=base
        )
        self._base, self._end = base, base + length
        self.done = self._end
        return Block(window, start - base, start)

    def close(self) -> None:
        self._file.close()


class _Stream:
    """Bytes that come in order and once."""

    def __init__(self, file: BinaryIO, head: bytes, path: str, total: int | None) -> None:
        self._file = file
        self._pending = head
        self._path = path
        self._data = b""
        self._offset = 0
        self.total = total
        self.done = len(head)

    def following(self, position: int, need: int) -> Block | None:
        rest = self._data[position:]
        self._offset += position
        pieces, held = [rest], len(rest)
        while held < max(need, len(rest) + 1):
            piece = self._read()
            if not piece:
                break
            pieces.append(piece)
            held += len(piece)
        if held == len(rest):
            return None
        self._data = b"".join(pieces)
        return Block(self._data, 0, self._offset)

    def _read(self) -> bytes:
        return self._raw()

    def _raw(self) -> bytes:
        if self._pending:
            head, self._pending = self._pending, b""
            return head
        try:
            piece = self._file.read(PIECE)
        except OSError as error:
            raise InputError(self._path, "read_error", f"cannot read on: {error.strerror}") from error
        self.done += len(piece)
        return piece

    def close(self) -> None:
        self._file.close()


class _Growing(_Stream):
    """A file that somebody still writes: its end is only where it stands now."""

    def __init__(self, file: BinaryIO, head: bytes, path: str, stop: threading.Event) -> None:
        super().__init__(file, head, path, None)
        self._stop = stop

    def _read(self) -> bytes:
        while not (piece := self._raw()):
            if self._stop.wait(GROWTH_S):
                break
        return piece


class _Compressed(_Stream):
    """One or more compressed members, never expanded beyond ``max_expand`` times what was read."""

    def __init__(
        self, file: BinaryIO, head: bytes, path: str, total: int | None, how: Compression, max_expand: int
    ) -> None:
        super().__init__(file, head, path, total)
        self._how = how
        self._max_expand = max_expand
        self._member = how.open()
        self._input = b""
        self._made = 0
        self._ended = False

    def _read(self) -> bytes:
        while True:
            if not self._input and (self._member.needs_input or self._member.eof):
                self._input = self._raw()
                if not self._input:
                    return self._at_end()
            if self._member.eof and not self._next_member():
                continue
            out = self._decompress()
            if out:
                self._made += len(out)
                self._check_ratio()
                return out

    def _decompress(self) -> bytes:
        try:
            out = self._member.decompress(self._input, PIECE)
        except self._how.errors as error:
            text = f"the {self._how.name} data is damaged ({error})"
            raise InputError(self._path, f"bad_{self._how.name}", text, offset=self._made) from error
        self._input = self._member.unused_data if self._member.eof else b""
        self._ended = self._member.eof
        return out

    def _next_member(self) -> bool:
        """Zero bytes after a member are padding (as tape blocks leave it); else a member must follow."""
        self._input = self._input.lstrip(b"\0")
        if not self._input:
            return False
        self._member = self._how.open()
        return True

    def _at_end(self) -> bytes:
        if not self._ended:
            text = f"the {self._how.name} data ends before its end mark"
            raise InputError(self._path, f"truncated_{self._how.name}", text, offset=self._made)
        return b""

    def _check_ratio(self) -> None:
        read = self.done - len(self._input)
        if self._made > EXPAND_FREE and self._made > self._max_expand * max(read, 1):
            raise InputError(
                self._path,
                "expansion_limit",
                f"decompresses to more than {self._max_expand} times its size; "
                "raise --max-expand if you trust it",
                offset=self._made,
            )


def open_blocks(path: str, *, max_expand: int, follow: threading.Event | None = None) -> Blocks:
    """Open a capture for reading; ``-`` is standard input.

    Args:
        path: its name.
        max_expand: how many times larger than its file a decompressed capture may grow.
        follow: wait for a file to grow until this is set; None reads to where it ends now.

    Raises:
        InputError: missing, unreadable or empty file, a directory; a compressed file to follow.
    """
    file = _open(path)
    try:
        status = os.fstat(file.fileno())
        regular = stat.S_ISREG(status.st_mode)
        head = _peek(file, path)
        while follow is not None and len(head) < HEAD and not follow.wait(GROWTH_S):
            head += _peek(file, path)
        if not head:
            raise InputError(path, "empty_file", "the file is empty", offset=0)
        total = status.st_size if regular else None
        how = compression_of(head, path)
        if follow is not None and how is not None:
            raise InputError(path, "compressed", f"a {how.name} file cannot be followed as it grows")
        if follow is not None and regular:
            return _Growing(file, head, path, follow)
        if how is not None:
            return _Compressed(file, head, path, total, how, max_expand)
        if regular and path != "-":
            return _Mapped(file, status.st_size)
        return _Stream(file, head, path, total)
    except BaseException:
        file.close()
        raise


def _open(path: str) -> BinaryIO:
    try:
        return open(os.dup(sys.stdin.fileno()) if path == "-" else path, "rb", buffering=0)
    except FileNotFoundError:
        raise InputError(path, "missing_file", "no such file") from None
    except IsADirectoryError:
        raise InputError(path, "no_capture", "there is no capture in this directory") from None
    except OSError as error:
        raise InputError(path, "unreadable", f"cannot be opened: {error.strerror}") from error


def _peek(file: BinaryIO, path: str) -> bytes:
    """The first bytes, at least 4 if the capture has them: pipes may hand them over one by one."""
    head = b""
    while len(head) < HEAD:
        try:
            piece = file.read(PIECE if not head else HEAD - len(head))
        except OSError as error:
            raise InputError(path, "unreadable", f"cannot be read: {error.strerror}") from error
        if not piece:
            break
        head += piece
    return head
