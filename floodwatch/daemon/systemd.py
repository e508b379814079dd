"""What a service manager is told (sd_notify(3)): datagrams to the socket that it named, and nobody waits."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress


class Manager:
    """Whoever started the daemon, where it asked to be told."""

    def __init__(self) -> None:
        name = os.environ.pop("NOTIFY_SOCKET", "")
        self._name = f"\0{name[1:]}" if name.startswith("@") else name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def ready(self, status: str) -> None:
        """It watches; also after a reload."""
        self._tell("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """Where it stands, in a line."""
        self._tell(f"STATUS={status}")

    def alive(self) -> None:
        """Both processes go on."""
        self._tell("WATCHDOG=1")

    def reloading(self) -> None:
        """The configuration is read anew; ``ready`` ends it."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """It ends."""
        self._tell("STOPPING=1")

    def _tell(self, *words: str) -> None:
        if self._name:
            with suppress(OSError):
                self._socket.sendto("\n".join(words).encode(), self._name)

    def close(self) -> None:
        """There is nothing more to tell."""
        self._socket.close()
