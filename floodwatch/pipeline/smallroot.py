"""A root directory with nothing in it but a few folders, to be read: for kernels without Landlock.

It stands in a mount namespace of this process alone (mount_namespaces(7)), so that nobody else sees it and it
goes with the process. Paths stay what they were.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable

NEW_NAMESPACE = 0x00020000
READ_ONLY, NO_SETUID, NO_DEVICES, NO_EXECUTION, REMOUNT, BIND = 1, 2, 4, 8, 32, 4096
ALL_BELOW, PRIVATE = 16_384, 1 << 18
NOTHING_ELSE = NO_SETUID | NO_DEVICES | NO_EXECUTION
PLACE = "/tmp"
"""Where it is put together; what lies there is seen by everybody else as before."""


def enter(reads: Iterable[str]) -> None:
    """Make such a root the root of this process: to be called while there is one thread.

    Args:
        reads: files and folders that stay to be read, with all below them; what is not there is left out.

    Raises:
        OSError: no right to (it takes CAP_SYS_ADMIN and CAP_SYS_CHROOT), or the kernel cannot.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(NEW_NAMESPACE) != 0:
        _refused()
    _mount(library, None, "/", None, ALL_BELOW | PRIVATE)
    opened = {path: _opened(path) for path in sorted(map(os.path.abspath, reads))}
    _mount(library, "none", PLACE, "tmpfs", NOTHING_ELSE, "size=256k,mode=755")
    for path, file in opened.items():
        if file is not None:
            place = PLACE + path
            if not os.path.lexists(place):  # below one of the others it is there already
                _make(place, folder=stat.S_ISDIR(os.fstat(file).st_mode))
                _mount(library, f"/proc/self/fd/{file}", place, None, BIND | ALL_BELOW)
                _mount(library, None, place, None, REMOUNT | BIND | READ_ONLY | NOTHING_ELSE)
            os.close(file)
    _mount(library, None, PLACE, None, REMOUNT | READ_ONLY | NOTHING_ELSE)
    os.chdir(PLACE)
    os.chroot(".")


def _opened(path: str) -> int | None:
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None


def _make(place: str, *, folder: bool) -> None:
    """Something to mount on."""
    os.makedirs(place if folder else os.path.dirname(place), 0o755, exist_ok=True)
    if not folder:
        os.close(os.open(place, os.O_WRONLY | os.O_CREAT, 0o444))


def _mount(
    library: ctypes.CDLL, source: str | None, target: str, kind: str | None, flags: int, data: str = ""
) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    if library.mount(*texts, ctypes.c_ulong(flags), data.encode() or None) != 0:
        _refused()


def _refused() -> None:
    code = ctypes.get_errno()
    raise OSError(code, os.strerror(code))
