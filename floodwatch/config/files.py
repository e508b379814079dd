"""Files between a user and a process that gives up its rights: written anew, or followed as they change."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import EnvironmentFault

CONFIGURATION = "/etc/floodwatch/floodwatch.toml"
"""The daemon's first file; ``conf.d`` lies beside it."""
NUMBERS = 10_000
"""So many files of one name may lie side by side."""


def fresh(path: str) -> tuple[BinaryIO, str]:
    """Open a file for writing that holds nothing yet: no file is overwritten, and no link followed.

    Only its owner may read it. Where something lies there already, the file gets a number: ``flight.pcapng``,
    then ``flight.1.pcapng``. An empty file of one's own is taken as it is, and so is a device or a pipe.

    Returns:
        The file, and the name that it got.

    Raises:
        EnvironmentFault: it cannot be written, or is a symbolic link.
    """
    stem, dot, ending = path.rpartition(".")
    if not dot or not stem or "/" in ending or stem.endswith("/"):
        stem, dot, ending = path, "", ""
    try:
        for number in range(NUMBERS):
            name = path if number == 0 else f"{stem}.{number}{dot}{ending}"
            opened = _open(name)
            if opened is not None:
                return os.fdopen(opened, "wb"), name
    except OSError as error:
        link = error.errno == errno.ELOOP
        why = "it is a symbolic link; name the file itself" if link else error.strerror
        raise EnvironmentFault(f"cannot write {path}: {why}") from error
    raise EnvironmentFault(f"cannot write {path}: there are {NUMBERS:,} of that name")


def _open(name: str) -> int | None:
    """A descriptor, or None where a file lies that holds something."""
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if _holds_something(os.stat(name, follow_symlinks=False)):
            return None
    opened = os.open(name, flags)
    found = os.fstat(opened)  # it may be another one by now
    if _holds_something(found):
        os.close(opened)
        return None
    if stat.S_ISREG(found.st_mode):
        os.fchmod(opened, 0o600)
    return opened


def _holds_something(found: os.stat_result) -> bool:
    mine = found.st_uid == os.geteuid() and found.st_nlink == 1
    return stat.S_ISREG(found.st_mode) and not (mine and found.st_size == 0)


def whole(file: int) -> bytes:
    """All that an open file holds now, from its beginning; files of proc(5) come in pieces.

    Raises:
        OSError: it cannot be read.
    """
    os.lseek(file, 0, os.SEEK_SET)
    return b"".join(iter(lambda: os.read(file, 1 << 16), b""))


def number(path: str) -> int | None:
    """The one number that a file holds, as a setting of the kernel (proc(5)); None: there is none."""
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None


def entries(text: str) -> Iterator[tuple[int, str]]:
    """The entries of a list, one a line, with the numbers of their lines; ``#`` begins a comment."""
    for number, line in enumerate(text.splitlines(), 1):
        if entry := line.partition("#")[0].strip():
            yield number, entry


class Followed:
    """A file that is read again and again, also after rights were given up.

    It is opened at once. Later it is opened anew each time, for an editor may put another file in its place;
    where this is not allowed any more, the one that was opened last is read on.

    Args:
        path: its name; it need not be there.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file: int | None = None
        self._look()

    def _look(self) -> OSError | None:
        """Open what lies there now; why it cannot be opened, where another is held."""
        try:
            opened = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except PermissionError as error:
            return error
        except OSError as error:
            self.close()
            return error
        self.close()
        self._file = opened
        return None

    @property
    def replaced(self) -> bool:
        """Did another file take its place, one that may not be read?"""
        refused = self._look() is not None
        return refused and self._file is not None and os.fstat(self._file).st_nlink == 0

    def state(self) -> tuple[int, ...] | None:
        """Something that differs when the file does; None where there is none."""
        self._look()
        if self._file is None:
            return None
        found = os.fstat(self._file)
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_nlink

    def read(self) -> bytes:
        """What it holds now.

        Raises:
            OSError: there is none, or it could never be opened.
        """
        failed = self._look()
        if self._file is None:
            raise failed or FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)
        return whole(self._file)

    def close(self) -> None:
        """Let go of it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
