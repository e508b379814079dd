"""One sensor process, as its enforcer sees it: started, handed packet sockets, and ended."""

from __future__ import annotations

import time
from contextlib import suppress

from ..capture.ring import open_socket
from .line import Line
from .process import Spawned, spawn
from .records import Kind, Start, start_of

HUNG_S, STARTS_S = 1.5, 20.0
"""Silence after which a sensor is hung, and how long it may take to start."""
HANDED_MOST = 32
"""Descriptors that go with one record."""


class Sensor:
    """A sensor process. What it needs of rights it is handed: it makes no packet socket itself.

    Args:
        start: what it begins with.
        spawned: its process, if that was started before.

    Attributes:
        ready: it watches, and ``said_ready`` is the body of the record that said so.
        gone: its line ended.
        spare: what it is handed when it asks for more.

    Raises:
        CaptureError: we have no right to make packet sockets.
    """

    def __init__(self, start: Start, spawned: Spawned | None = None) -> None:
        self.process, end = spawned or spawn()
        # later it is another user's process, into which a unit with ProtectProc= may not look
        self._schedule = open(f"/proc/{self.process.pid}/schedstat", "rb", buffering=0)  # noqa: SIM115
        self.line = Line(end)
        self.began = self._heard = time.monotonic()
        self.ready = self.gone = False
        self.said_ready = b""
        self._waited = 0.0
        # as many as an interface that comes back takes: the rings of a group move to it together
        self.spare = ["an interface that came back"] * start.options.workers
        names = [name for name in start.interfaces for _ in range(start.options.workers)]
        try:
            for at in range(0, len(names), HANDED_MOST):
                self.hand_over(names[at : at + HANDED_MOST])
            self.line.send(Kind.START, start_of(start))
        except BaseException:
            self.end()
            raise

    def hand_over(self, names: list[str]) -> None:
        """Give it packet sockets, which only we have the right to make.

        Raises:
            CaptureError: we have not.
        """
        made = [open_socket(name) for name in names]
        self.line.send(Kind.SOCKETS, descriptors=made)

    def heard(self, kind: int, body: bytes) -> None:
        """A record came. Only its signs of life count: they are given where packets are judged."""
        if kind == Kind.READY:
            self.ready, self.said_ready = True, body
        if kind in (Kind.READY, Kind.BEAT):
            self._heard = time.monotonic()

    def hung(self) -> bool:
        """It says nothing, though it was let run: time that it waited for a processor is not its fault."""
        silent = time.monotonic() - self._heard
        if not self.ready:
            return silent > STARTS_S
        if silent < HUNG_S / 2:
            self._waited = self._held_up()
            return False
        return silent - max(self._held_up() - self._waited, 0.0) > HUNG_S

    def _held_up(self) -> float:
        """Seconds that it has waited for a processor, in all (schedstat in proc(5))."""
        with suppress(OSError, ValueError, IndexError):
            self._schedule.seek(0)
            return int(self._schedule.read().split()[1]) / 1e9
        return 0.0

    def end(self) -> int:
        """Kill it if it still runs; returns how it ended."""
        self.gone = True
        self.line.socket.close()
        self._schedule.close()
        if self.process.poll() is None:
            self.process.kill()
        return self.process.wait()
