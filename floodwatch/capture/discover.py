"""Arguments of a scan -> the captures to read, in a fixed order."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence

from msgspec import Struct

_MAGICS = (
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\xc3\xd4",
    b"\x4d\x3c\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x34\xcd\xb2\xa1",
    b"\xa1\xb2\xcd\x34",
    b"snoo",
    b"\x0a\x0d\x0d\x0a",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zX",
    b"\x28\xb5\x2f\xfd",
)


class Found(Struct, frozen=True):
    """One capture to read; ``capture`` is False for a file of a directory that is none."""

    path: str
    capture: bool = True


def discover(paths: Sequence[str], *, recursive: bool) -> Iterator[Found]:
    """Yield what the arguments name.

    A file (or ``-``, standard input) is taken as it is, so that its error can be reported. Of a directory the
    regular files come in name order, told by their first bytes and not by their names; symbolic links to
    directories are not followed. A directory without any capture is named itself, and its error says so.
    """
    for path in paths:
        if path != "-" and os.path.isdir(path):
            found = list(_directory(path, recursive))
            yield from found
            if not any(item.capture for item in found):
                yield Found(path)
        else:
            yield Found(path)


def _directory(path: str, recursive: bool) -> Iterator[Found]:
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError:
        yield Found(path)  # reading it as a file gives the user the reason
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if recursive:
                yield from _directory(entry.path, recursive)
        elif entry.is_file():
            yield Found(entry.path, _looks_like_capture(entry.path))


def _looks_like_capture(path: str) -> bool:
    """A file that cannot be opened counts as a capture: the reader then says why it cannot."""
    try:
        with open(path, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return False
            head = file.read(4)
    except OSError:
        return True
    return head.startswith(_MAGICS)
