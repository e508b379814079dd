"""The place of the control socket in the file system: made for those who may read, and taken away again."""

from __future__ import annotations

import os
import socket
import stat
import time
from contextlib import suppress
from pathlib import Path

from ..config.netns import RUN
from ..errors import EnforceError

ASK_S = 1.0
"""How long another daemon may take to be there."""
PRIVATE, ENTERED, SHARED = 0o700, 0o710, 0o660
"""Modes: of a folder that only root enters, of one that the group enters too, and of the socket."""

BESIDE, LISTENS_S = "ctl-*.sock", 60.0
"""Sockets of other network namespaces than the host's; what is younger may be of one about to listen."""


class Door:
    """A listening socket with a name, from ``open`` to ``close``.

    Args:
        path: the name.
        gid: of the group that may connect; None, or where that is not in our power: only our own user may.
    """

    def __init__(self, path: Path, gid: int | None) -> None:
        self._path = path
        self._gid = gid if os.geteuid() == 0 else None
        self._made: os.stat_result | None = None

    def open(self) -> socket.socket:
        """The bound socket.

        Raises:
            EnforceError: another daemon answers there, or it cannot be made.
        """
        bound = socket.socket(socket.AF_UNIX)
        try:
            self._enter()
            _sweep(self._path)
            self._clear()
            before = os.umask(0o177)  # until it has its group, nobody else connects
            try:
                bound.bind(str(self._path))
            finally:
                os.umask(before)
            if self._gid is not None:
                os.chown(self._path, 0, self._gid)
                self._path.chmod(SHARED)
            self._made = self._path.lstat()
        except OSError as error:
            bound.close()
            raise EnforceError(f"cannot listen at {self._path}: {error.strerror}", error.errno) from error
        except BaseException:
            bound.close()
            raise
        return bound

    def _enter(self) -> None:
        """Make the folder, and let the group enter one that is root's alone."""
        folder = self._path.parent
        folder.mkdir(mode=PRIVATE, exist_ok=True)
        held = folder.stat()
        if self._gid is not None and held.st_uid == 0 and stat.S_IMODE(held.st_mode) == PRIVATE:
            os.chown(folder, 0, self._gid)
            folder.chmod(ENTERED)

    def _clear(self) -> None:
        """Remove what a daemon left that was killed."""
        try:
            if not stat.S_ISSOCK(self._path.lstat().st_mode):
                raise EnforceError(f"{self._path} is no socket: remove it, or name another in the settings")
        except FileNotFoundError:
            return
        if not _answers(self._path):
            self._path.unlink()
            return
        raise EnforceError(f"another daemon answers at {self._path}: end it, or name another socket")

    def close(self) -> None:
        """Remove the name, if it is still ours."""
        with suppress(OSError):
            if self._made is not None and os.path.samestat(self._path.lstat(), self._made):
                self._path.unlink()


def _answers(path: Path) -> bool:
    """Does anybody listen at this socket?

    Raises:
        OSError: that cannot be told.
    """
    with socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(ASK_S)
        try:
            asked.connect(str(path))
        except ConnectionRefusedError:
            return False
    return True


def _sweep(mine: Path) -> None:
    """Remove what daemons of network namespaces that are gone left when they were killed."""
    for path in RUN.glob(BESIDE):
        with suppress(OSError):
            found = path.lstat()
            old = time.time() - found.st_mtime > LISTENS_S
            if path != mine and old and stat.S_ISSOCK(found.st_mode) and not _answers(path):
                path.unlink()
