"""Where a command's answer goes, and the exit codes that tell how it went."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

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
  3    a capture is missing or broken, and nothing was found
       (with --strict also when something was found)
  4    environment: permission, disk, missing library
  130  interrupted (143: terminated), after writing a report
       with "complete": false"""


def say(message: str) -> None:
    """Print one line on standard error, safe for a terminal."""
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
