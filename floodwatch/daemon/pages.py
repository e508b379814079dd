"""Numbered lines on disk, in files of bounded size and number: the oldest go when new ones come.

Each file bears the number of its first line, which gives their order whatever the clock says. A crash may
tear the last line of a file; what is written after it begins on a line of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeAlias

PAGE_BYTES, PAGES_MOST = 4 << 20, 8
LINE_MOST = 1 << 17
"""A longer line is none that was written here: it is cut, and so no line that can be read."""
FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW
Line: TypeAlias = tuple[int, bytes]
"""A line that ends with its line feed, and its number."""


class Pages:
    """The files ``NAME-NUMBER.ndjson`` of a folder. One thread writes, any may read meanwhile.

    Args:
        folder: where they lie; made if it is missing.
        name: how their names begin.
        page_bytes: size from which on a new file is begun.
        most: how many files are kept.
    """

    def __init__(
        self, folder: Path, name: str, *, page_bytes: int = PAGE_BYTES, most: int = PAGES_MOST
    ) -> None:
        self._folder, self._name = folder, name
        self._page_bytes, self._most = page_bytes, most

    def append(self, lines: Sequence[Line]) -> tuple[int, OSError | None]:
        """Write lines; returns how many were written whole, and what kept the others out.

        A disk that fills takes the first of them: what was begun and cannot be ended is cut off.
        """
        done = 0
        try:
            while done < len(lines):
                with closing(_Page(self._open(lines[done][0]))) as page:
                    while done < len(lines) and page.size < self._page_bytes:
                        page.write(lines[done][1])
                        done += 1
        except OSError as error:
            return done, error
        return done, None

    def _open(self, number: int) -> int:
        """The newest file while it has room, or one that begins with the line of this number."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self.files()
        if found and found[-1].stat().st_size < self._page_bytes:
            path = found[-1]
        else:
            path = self._folder / f"{self._name}-{number:012d}.ndjson"
            for old in found[: max(len(found) + 1 - self._most, 0)]:
                old.unlink(missing_ok=True)
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | FLAGS, 0o600)

    def files(self) -> list[Path]:
        """The files, oldest first."""
        found = [
            (at, path) for path in self._folder.glob(f"{self._name}-*.ndjson") if (at := _first_of(path))
        ]
        return [path for _, path in sorted(found)]

    def read(self, since: float = 0.0) -> Iterator[bytes]:
        """The lines, oldest first, of all files that were written since a moment (Unix time).

        The last line of each may be torn.
        """
        for path in self.files():
            with suppress(OSError), path.open("rb") as stream:  # it may be gone by now
                if os.fstat(stream.fileno()).st_mtime >= since:
                    yield from iter(lambda: stream.readline(LINE_MOST), b"")

    def latest(self) -> Iterator[bytes]:
        """The last lines of each file, newest first: where numbering goes on."""
        for path in reversed(self.files()):
            with suppress(OSError), path.open("rb") as stream:
                stream.seek(max(os.fstat(stream.fileno()).st_size - 2 * LINE_MOST, 0))
                yield from reversed(stream.read(2 * LINE_MOST).splitlines(keepends=True))


class _Page:
    """One file that is written at its end."""

    def __init__(self, file: int) -> None:
        self._file = file
        self.size = os.fstat(file).st_size
        if self.size and os.pread(file, 1, self.size - 1) != b"\n":
            self.write(b"\n")

    def write(self, line: bytes) -> None:
        """Append a line, all of it or nothing.

        Raises:
            OSError: it cannot be written.
        """
        done = 0
        try:
            while done < len(line):
                done += os.write(self._file, line[done:])
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self.size)
            raise
        self.size += done

    def close(self) -> None:
        """Let go of it."""
        os.close(self._file)


def _first_of(path: Path) -> int:
    """The number of a file's first line, as its name has it; 0: it is none of ours."""
    digits = path.name.rpartition("-")[2].removesuffix(".ndjson")
    return int(digits) if digits.isascii() and digits.isdigit() else 0
