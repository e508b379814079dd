"""Programs of others, run without a shell: they get a file to read, and a time in which to end."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from ...config.settings import Receiver as Wanted
from ...errors import ConfigError
from .letter import May, Receiver, Undelivered

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Program(Receiver):
    """A receiver that is a program.

    Raises:
        ConfigError: none is named.
    """

    def __init__(self, wanted: Wanted, may: May) -> None:
        super().__init__(wanted, may)
        if not wanted.argv:
            raise ConfigError(f"{wanted.type} needs argv: the program, and its arguments")


def run(
    argv: Sequence[str], given: bytes, seconds: float, environment: Mapping[str, str] | None = None
) -> None:
    """Run a program to its end.

    What it is given is a file in memory and no pipe, so that nothing waits for a program that does not read.

    Args:
        argv: the program and its arguments.
        given: what it finds on its standard input.
        seconds: after which it is killed, with all that it started and did not set apart.
        environment: of it; there is nothing else but a PATH.

    Raises:
        Undelivered: it cannot be started, fails, or takes too long.
    """
    stdin = os.memfd_create("floodwatch", os.MFD_CLOEXEC)
    try:
        os.write(stdin, given)
        os.lseek(stdin, 0, os.SEEK_SET)
        process = subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": PATH, **(environment or {})},
            start_new_session=True,
        )
    except OSError as error:
        raise Undelivered(f"{argv[0]} cannot be started: {error.strerror}") from None
    finally:
        os.close(stdin)
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise Undelivered(f"{argv[0]} took longer than {seconds:g} s and was killed") from None
    if status != 0:
        raise Undelivered(f"{argv[0]} ended with status {status}")
