"""Where audit lines go: a file of its own, opened before any right is given up, or standard error."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from floodwatch.errors import EnvironmentFault
from floodwatch.report.escape import printable

from .output import say, write_stdout

if TYPE_CHECKING:
    from floodwatch.mitigate import Act

FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
STEPS_TOLD = 10


class Audit:
    """Takes the acts of a watch.

    Args:
        path: a file to append to, ``-`` for standard output, or None.
        style: ``text`` or ``ndjson``, for the file.

    Raises:
        EnvironmentFault: the file cannot be opened, or is a link or no file.
    """

    def __init__(self, path: str | None, style: str) -> None:
        self._style = style
        self._to_stdout = path == "-"
        self._file = None if path in (None, "-") else _opened(str(path))
        self._failed = False

    def write(self, acts: Sequence[Act]) -> None:
        """Write these down: all of them in the file, the first of each kind on standard error."""
        for line in summed(acts):
            say(line)
        if not acts or not (self._to_stdout or self._file is not None):
            return
        data = b"".join(map(self._line, acts))
        if self._file is None:
            write_stdout(data)
            return
        try:
            done = 0
            while done < len(data):
                done += os.write(self._file, data[done:])
            self._failed = False
        except OSError as error:
            if not self._failed:  # a full disk must not end a watch
                say(f"audit lines are lost: {error.strerror}")
            self._failed = True

    def _line(self, act: Act) -> bytes:
        if self._style != "ndjson":
            return printable(str(act)).encode() + b"\n"
        from floodwatch.report.json import dump

        return dump(act)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _opened(path: str) -> int:
    try:
        file = os.open(path, FLAGS, 0o600)
    except OSError as error:
        raise EnvironmentFault(f"cannot write the audit to {path}: {error.strerror}") from error
    held = os.fstat(file)
    if not stat.S_ISREG(held.st_mode) or held.st_nlink != 1:
        os.close(file)
        raise EnvironmentFault(f"cannot write the audit to {path}: it is no file of its own")
    return file


@contextmanager
def auditing(path: str | None, style: str) -> Iterator[Audit]:
    """An audit that is closed at the end."""
    audit = Audit(path, style)
    try:
        yield audit
    finally:
        audit.close()


def summed(acts: Iterable[Act]) -> Iterator[str]:
    """The first acts of each kind, without their time, and how many more: a plan may have thousands."""
    kinds: dict[tuple[str, str], list[Act]] = {}
    for act in acts:
        kinds.setdefault((act.what, act.why), []).append(act)
    for (what, why), alike in kinds.items():
        yield from (act.says for act in alike[:STEPS_TOLD])
        if len(alike) > STEPS_TOLD:
            yield f"{what:7}{len(alike) - STEPS_TOLD:,} more: {why}"
