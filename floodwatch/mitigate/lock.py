"""One writer at a time for each network namespace, for each has rules of its own.

A file that only its owner can reach is locked as long as a watch enforces, and tells who that is: a number of
a process alone would soon be another's, so the time when it started stands beside it (proc(5)).
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..errors import EnforceError

NAME = "floodwatch"
"""The name of the folder, and of every process that runs this program (comm in proc(5))."""
START = 22
"""The field of /proc/PID/stat that says when a process started, in ticks since the host did."""
TRIES, TRY_AGAIN_S = 5, 0.02
OTHERS_WRITE = 0o022
END_S = 5.0
"""So long an ended process is waited for."""


def default_path() -> Path:
    """Where the lock lies: among the run-time files of root, or the user's own."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if os.geteuid():
        folder = Path(runtime, NAME) if runtime else Path(f"/tmp/{NAME}-{os.geteuid()}")
    else:
        folder = Path("/run", NAME)
    return folder / f"{NAME}-{os.stat('/proc/self/ns/net').st_ino}.lock"


class Holder(NamedTuple):
    """A process that holds the lock: its pid, and when it started."""

    pid: int
    started: int


def started(pid: int) -> int | None:
    """When a process started, or None if there is none."""
    try:
        # the name in it may hold anything, brackets too
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return int(fields[START - 3])
    except (OSError, ValueError, IndexError):
        return None


class Lock:
    """Held from ``take`` to ``release``, or until the process ends.

    Args:
        path: the lock file, in a folder that is made if it is missing, and must be nobody else's.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_path()
        self._file: int | None = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            EnforceError: another floodwatch holds it, or it cannot be made.
        """
        try:
            _private(self.path.parent)
            self._sweep()
            self._file = self._locked()
        except OSError as error:
            text = f"cannot take the lock {self.path}: {error.strerror}"
            raise EnforceError(text, error.errno) from error
        os.fchmod(self._file, 0o600)
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()} {started(os.getpid())}\n".encode(), 0)
        with suppress(OSError):
            Path("/proc/self/comm").write_text(NAME)

    def _locked(self) -> int:
        """The open lock file; others may look at it for a moment."""
        for _ in range(TRIES):
            opened = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            if _lock(opened) and _is(self.path, opened):
                return opened
            os.close(opened)  # somebody holds it, or removed it in between
            time.sleep(TRY_AGAIN_S)
        raise EnforceError(self._taken())

    def _taken(self) -> str:
        holder = self.holder()
        if holder is None:
            return (
                f"something that is no floodwatch holds the lock {self.path}: fuser tells what; end it first"
            )
        return f"another floodwatch is already enforcing (pid {holder.pid}); end it first"

    def _sweep(self) -> None:
        """Remove what watches left that ended without the right to remove it; what is locked is in use."""
        for path in self.path.parent.glob(f"{NAME}-*.lock"):
            with suppress(OSError):
                _remove(path)

    def holder(self) -> Holder | None:
        """The floodwatch that holds the lock now, or None: what a file says is believed of nobody else."""
        try:
            opened = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            pid, when = (int(word) for word in os.pread(opened, 64, 0).split())
            found = Holder(pid, when)
            return found if not _lock(opened) and _holds(found, os.fstat(opened)) else None
        except (OSError, ValueError):
            return None
        finally:
            os.close(opened)

    def end_holder(self) -> Holder | None:
        """End the floodwatch that holds the lock, hung or not; returns who it was, or None if there is none.

        Locks that nobody holds are removed.

        Raises:
            EnforceError: there is no right to, or it does not end.
        """
        holder = self.holder()
        ended = holder is not None and self._end(holder)
        self._sweep()
        return holder if ended else None

    def _end(self, holder: Holder) -> bool:
        try:
            file = os.pidfd_open(holder.pid)
        except ProcessLookupError:
            return False
        try:
            if self.holder() != holder:  # looked at again, now that the pid cannot become another's
                return False
            signal.pidfd_send_signal(file, signal.SIGKILL)
            poll = select.poll()
            poll.register(file, select.POLLIN)
            if not poll.poll(1000 * END_S):
                raise EnforceError(
                    f"the floodwatch with pid {holder.pid} does not end: it may put rules back"
                )
        except ProcessLookupError:
            return True
        except OSError as error:
            text = f"cannot end the floodwatch with pid {holder.pid}: {error.strerror}"
            raise EnforceError(text, error.errno) from error
        finally:
            os.close(file)
        return True

    def release(self) -> None:
        """Let go of it. Who gave up the right to remove the file empties it: the next one removes it."""
        if self._file is None:
            return
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            os.ftruncate(self._file, 0)
        os.close(self._file)
        self._file = None


def _private(folder: Path) -> None:
    """Make a folder that nobody else can write to, or see to it that it is one.

    Raises:
        EnforceError: it is somebody else's.
        OSError: it cannot be made.
    """
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(opened)
        if found.st_uid != os.geteuid():
            raise EnforceError(f"{folder} belongs to another user (uid {found.st_uid}): remove it")
        mode = stat.S_IMODE(found.st_mode)
        if mode & OTHERS_WRITE:  # others may enter: beside locks a daemon's socket lies here for its users
            os.fchmod(opened, mode & ~OTHERS_WRITE)
    finally:
        os.close(opened)


def _is(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _lock(file: int) -> bool:
    """Lock an open file, until it is closed; False if another process holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(path: Path) -> None:
    """Remove a lock that nobody holds.

    Raises:
        OSError: it cannot be removed.
    """
    opened = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if _lock(opened) and _is(path, opened):
            path.unlink()
    finally:
        os.close(opened)


def _holds(holder: Holder, lock: os.stat_result) -> bool:
    """Is it the very process, is it floodwatch, and has it this lock open (as far as may be known)?"""
    folder = Path(f"/proc/{holder.pid}")
    try:
        named = (folder / "comm").read_text().strip() == NAME
        if not named or started(holder.pid) != holder.started:
            return False
        return any(_same(file, lock) for file in (folder / "fd").iterdir())
    except PermissionError:  # root of a container, without CAP_SYS_PTRACE
        return True
    except OSError:
        return False


def _same(path: Path, found: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), found)
    except FileNotFoundError:
        return False
