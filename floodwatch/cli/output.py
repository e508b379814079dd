"""Where a command's answer goes, and the exit codes that tell how it went."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

import click

from floodwatch.config.files import fresh
from floodwatch.errors import EnvironmentFault
from floodwatch.report.escape import printable

if TYPE_CHECKING:
    from floodwatch.model.report import Report

EXIT_FLOOD, EXIT_INPUT, EXIT_ENVIRONMENT, EXIT_SIGNAL = 1, 3, 4, 128
EXIT_CODES = """\b
Exit codes:
  0    no flood (a crowd or a surge alone is no flood)
  1    at least one flood
  2    usage, filter or configuration error
  3    a capture is missing, broken or not understood, and nothing was found
       (with --strict also when something was found)
  4    environment: permission, disk, missing library
  130  interrupted (143: terminated), after writing a report that has
       "complete": false; 129: hung up, the same"""


PROGRAM = "program"
"""The object of click's context where the process is ours alone, and may give up rights for good."""
NOWHERE = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
"""Open from the beginning: later a watch has no right to open files."""


def say(message: str) -> None:
    """Print one line on standard error, safe for a terminal; that nobody can read it stops nothing."""
    with contextlib.suppress(OSError):
        click.echo(f"floodwatch: {printable(message)}", err=True)


def complain(report: Report) -> None:
    """Say which captures could not be read to their end, where, and why."""
    for item in report.inputs:
        if item.error:
            where = "" if item.error.offset is None else f"byte {item.error.offset}: "
            say(f"{item.path}: {where}{item.error.message} ({item.error.code})")


def check_output(output: str, paths: Sequence[str]) -> None:
    """Refuse a bad ``-o`` before hours of reading, and never overwrite the evidence."""
    if os.path.exists(output) and any(os.path.exists(p) and os.path.samefile(p, output) for p in paths):
        raise click.UsageError(f"-o {printable(output)} would overwrite a capture")
    folder = os.path.dirname(os.path.realpath(output))
    if os.path.isdir(output) or not os.access(folder, os.W_OK | os.X_OK):
        raise EnvironmentFault(f"cannot write {output}: not a file in a writable directory")


def write(output: str | None, data: bytes) -> None:
    """Write an answer to a file, all of it or nothing, or to standard output.

    Raises:
        EnvironmentFault: it cannot be written.
    """
    if output is None:
        return write_stdout(data)
    target = os.path.realpath(output)
    # Renaming over a device or a pipe would replace it, so those are written to.
    special = os.path.exists(target) and not os.path.isfile(target)
    temporary = target if special else f"{target}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb" if special else "xb") as stream:
            stream.write(data)
        if not special:
            os.replace(temporary, target)
    except OSError as error:
        if not special and os.path.exists(temporary):
            os.unlink(temporary)
        raise EnvironmentFault(f"cannot write {output}: {error.strerror}") from error


def kept_file(path: str) -> BinaryIO:
    """Open a file that is kept for another day; says so when another file made it take another name.

    Raises:
        EnvironmentFault: it cannot be written, or is a symbolic link.
    """
    file, name = fresh(path)
    if name != path:
        say(f"{path} is there already: writing {name}")
    return file


def write_kept(file: BinaryIO, data: bytes) -> None:
    """Write to such a file, and close it.

    Raises:
        EnvironmentFault: it cannot be written.
    """
    try:
        with file:
            file.write(data)
    except OSError as error:
        raise EnvironmentFault(f"cannot write {file.name}: {error.strerror}") from error


def write_stdout(data: bytes) -> None:
    """Write to standard output and flush; a reader that went away ends the program quietly."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        discard_stdout()
        if not isinstance(error, BrokenPipeError):
            raise EnvironmentFault(f"cannot write to standard output: {error.strerror}") from error


def discard_stdout() -> None:
    """Send what is still unwritten to nowhere."""
    # The interpreter flushes once more when it exits; give it something that accepts the rest.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(NOWHERE, sys.stdout.fileno())
