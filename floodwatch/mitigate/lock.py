"""One writer at a time for each network namespace, for each has rules of its own.

A lock file holds the writer's pid, so that ``ctl panic`` can end it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ..errors import EnforceError


def default_path() -> Path:
    """Where the lock lies: in the directory for run-time files, or in the user's own."""
    folder = Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp")) if os.geteuid() else Path("/run")
    return folder / f"floodwatch-{os.stat('/proc/self/ns/net').st_ino}.lock"


def _is(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


class Lock:
    """Held from ``take`` to ``release``, or until the process ends.

    Args:
        path: the lock file; made when it is missing, removed when it is released.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_path()
        self._file: int | None = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            EnforceError: another floodwatch holds it, or it cannot be made.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            while self._file is None:
                opened = os.open(self.path, flags, 0o644)
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is(self.path, opened):
                    self._file = opened
                else:
                    os.close(opened)  # who held it removed it in between
        except BlockingIOError:
            text = f"another floodwatch is already enforcing (pid {self.holder()}); end it first"
            raise EnforceError(text) from None
        except OSError as error:
            text = f"cannot take the lock {self.path}: {error.strerror}"
            raise EnforceError(text, error.errno) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def holder(self) -> int | None:
        """The pid of who holds the lock now, or None."""
        try:
            with self.path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read(32))
        except (OSError, ValueError):
            return None
        return None

    def release(self) -> None:
        """Let go of it."""
        if self._file is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None
