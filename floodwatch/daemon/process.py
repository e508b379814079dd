"""The process of a sensor, with one end of a line as its only possession.

Nothing heavy is imported here: the first sensor is started before its enforcer knows what it is to watch, and
imports what it takes meanwhile.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import NamedTuple


class Spawned(NamedTuple):
    """A process that waits to be told what to watch, and our end of its line: it ends when that is closed."""

    process: subprocess.Popen[bytes]
    end: socket.socket


def spawn() -> Spawned:
    """Start one."""
    mine, theirs = socket.socketpair()
    command = [sys.executable, "-I" if sys.flags.isolated else "-P", "-m", f"{__package__}.sensor"]
    with theirs:
        process = subprocess.Popen(
            [*command, str(theirs.fileno())], pass_fds=[theirs.fileno()], cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    return Spawned(process, mine)
