"""A file that is whole or not there: what is written replaces it in one step, and the last good one is kept.

It begins with a line of its kind, the version of its format, its length and the SHA-256 of all the rest, so
that a byte that was flipped is seen, and one file is never taken for another. A version that adds something
counts up behind the point and is read by the one before it; what another version before the point wrote is
left to that one.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

BYTES_MOST = 64 << 20
"""A larger file is not read."""
MAGIC = b"floodwatch"
FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW
T = TypeVar("T")


class Unreadable(Exception):  # noqa: N818 (it says what the file is)
    """A file is there and cannot be taken as it is; the message says why."""


class Kept:
    """One such file, with the last good one beside it.

    Args:
        path: where it lies; the other ones have its name with ``.last``, ``.new`` and ``.bad`` behind it.
        version: of its format: major and minor.
    """

    def __init__(self, path: Path, version: tuple[int, int]) -> None:
        self._path, self._version = path, version

    def save(self, content: bytes) -> None:
        """Put new content in its place.

        Raises:
            OSError: it cannot be written; what was there stays.
        """
        new, folder = self._beside("new"), self._path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            new.unlink()
        try:
            file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FLAGS, 0o600)
            with os.fdopen(file, "wb") as stream:
                stream.write(self._sealed(content))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError:
            with suppress(OSError):
                new.unlink()
            raise
        with suppress(FileNotFoundError):
            self._path.replace(self._beside("last"))
        new.replace(self._path)
        _sync(folder)

    def load(self, decode: Callable[[bytes], T]) -> tuple[T | None, list[str]]:
        """The newest good content, or None, and what to say of files that could not be read.

        Those are set aside under the name ``.bad``.

        Args:
            decode: makes something of the content, or raises Unreadable.
        """
        said = list[str]()
        for path in (self._path, self._beside("last")):
            try:
                return decode(self._opened(_read(path))), said
            except FileNotFoundError:
                continue
            except OSError as error:
                said.append(f"{path} cannot be read: {error.strerror or error}")
            except Unreadable as error:
                said.append(f"{path} {error}")
                with suppress(OSError):  # a folder that cannot be written
                    path.replace(self._beside("bad"))
                    said[-1] += f"; it lies in {self._beside('bad')} now"
        return None, said

    def _beside(self, ending: str) -> Path:
        return self._path.with_name(f"{self._path.name}.{ending}")

    def _sealed(self, content: bytes) -> bytes:
        major, minor = self._version
        head = b"%s %s %d.%d %d" % (MAGIC, self._path.name.encode(), major, minor, len(content))
        return b"%s %s\n%s" % (head, _digest(head, content).encode(), content)

    def _opened(self, data: bytes) -> bytes:
        """The content of a file.

        Raises:
            Unreadable: it is damaged, something else, or of another major version.
        """
        line, _, content = data.partition(b"\n")
        head, _, digest = line.rpartition(b" ")
        words = head.split(b" ")
        if len(words) != 4 or words[:2] != [MAGIC, self._path.name.encode()]:
            raise Unreadable(f"is no {self._path.name} of floodwatch")
        if words[2].partition(b".")[0] != b"%d" % self._version[0]:
            version = words[2].decode("ascii", "backslashreplace")
            raise Unreadable(f"has the format {version}, and this floodwatch reads {self._version[0]}.x")
        if words[3] != b"%d" % len(content) or digest != _digest(head, content).encode():
            raise Unreadable("is damaged: its checksum is not that of its content")
        return content


def _digest(head: bytes, content: bytes) -> str:
    return hashlib.sha256(head + b"\n" + content).hexdigest()


def _read(path: Path) -> bytes:
    """What a file holds that nobody else can write.

    Raises:
        OSError: it cannot be read.
        Unreadable: it is no plain file of ours, or too large.
    """
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | FLAGS)
    with os.fdopen(file, "rb") as stream:
        held = os.fstat(file)
        if not stat.S_ISREG(held.st_mode) or held.st_uid not in (0, os.geteuid()) or held.st_mode & 0o022:
            raise Unreadable("is not ours alone to write")
        if held.st_size > BYTES_MOST:
            raise Unreadable(f"is larger than {BYTES_MOST >> 20} MiB")
        return stream.read(BYTES_MOST)


def _sync(folder: Path) -> None:
    """Have the names of a folder written, too."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
