"""Keeps one sensor alive: hears its signs of life, starts another when they end, and lets one take over.

A sensor that ends or says nothing for two seconds is replaced, at once the first time, more slowly when that
happens again and again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from ..errors import CaptureError, EnvironmentFault
from .child import Sensor
from .line import BrokenLine
from .process import Spawned
from .records import Kind, Start, start_of

LOOK_S, ENDS_S = 0.4, 2.5
"""How often it is looked after, and how long it may take to end."""
WAITS_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""What is waited before another one is started: the first time, the second ..."""
STEADY_S = 60.0
"""A sensor that lasted for so long begins the row anew."""


class Supervisor:
    """Keeps a sensor alive.

    Args:
        start: what the next sensor is to begin with.
        on_record: called with each record that comes.
        on_gone: called when a sensor is no more, and no other took over.
        say: tells a line.
        spawned: the process of the first sensor, if that was started before.

    Attributes:
        sensor: the one that is listened to, or None.
        restarts: how often another one was started in its place.
    """

    def __init__(
        self,
        start: Callable[[], Start],
        on_record: Callable[[int, bytes], object],
        on_gone: Callable[[], object],
        say: Callable[[str], object],
        spawned: Spawned | None = None,
    ) -> None:
        self._spawned = spawned
        self._start, self._on_record, self._on_gone, self._say = start, on_record, on_gone, say
        self.sensor: Sensor | None = None
        self.restarts = 0
        self._began_with: Start | None = None
        self._next: Sensor | None = None
        self._changed = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Until ``stop``.

        Raises:
            EnvironmentFault: not even the first sensor could start.
        """
        failed, was_ready = 0, False
        while not self._stopping:
            sensor = self.sensor = self._begin()
            if sensor.ready:  # it watched before it was listened to
                self._on_record(Kind.READY, sensor.said_ready)
            why = await self._watch(sensor)
            was_ready |= sensor.ready
            code = self._end(sensor)
            if self._stopping:
                return
            if self._next is not None:
                continue  # it is relieved
            self.sensor = None
            self._on_gone()
            if not was_ready:
                raise EnvironmentFault(f"the sensor did not start (it {why}, {code})")
            failed = 1 if time.monotonic() - sensor.began > STEADY_S else failed + 1
            wait = WAITS_S[min(failed, len(WAITS_S)) - 1]
            self.restarts += 1
            self._say(f"the sensor {why} ({code}); another one starts{f' in {wait} s' if wait else ''}")
            await asyncio.sleep(wait)

    def _begin(self) -> Sensor:
        """A new sensor, or the one that takes over."""
        self._changed.clear()
        if self._next is not None:
            taken, self._next = self._next, None
            return taken
        self._began_with = self._start()
        spawned, self._spawned = self._spawned, None
        return self._listen(Sensor(self._began_with, spawned))

    def _listen(self, sensor: Sensor) -> Sensor:
        asyncio.get_running_loop().add_reader(sensor.line.socket, self._read, sensor)
        return sensor

    def _end(self, sensor: Sensor) -> int:
        asyncio.get_running_loop().remove_reader(sensor.line.socket)
        return sensor.end()

    def _read(self, sensor: Sensor) -> None:
        try:
            for kind, body in sensor.line.read():
                sensor.heard(kind, body)
                if kind == Kind.WANT:
                    with suppress(CaptureError, OSError):
                        sensor.hand_over(sensor.spare)
                if sensor is self._next and sensor.ready:
                    self._changed.set()
                elif sensor is self.sensor:
                    self._on_record(kind, body)
            return
        except (EOFError, OSError):
            pass
        except BrokenLine as error:
            self._say(f"the sensor does not make sense: {error}")
        sensor.gone = True
        asyncio.get_running_loop().remove_reader(sensor.line.socket)
        self._changed.set()

    async def _watch(self, sensor: Sensor) -> str:
        """Until it is gone, hung, or relieved; returns which, in words."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._changed.wait()
                self._changed.clear()
            after = self._next
            if sensor.gone:
                return "ended"
            if sensor.hung():
                return "hung"
            if after is not None and after.ready:
                return "is relieved"
            if after is not None and (after.gone or after.hung()):
                self._say("the sensor for the new configuration did not start: the one before goes on")
                self._end(after)
                self._next = None
            with suppress(OSError):
                sensor.line.flush()

    def follow(self) -> None:
        """What a sensor is to begin with has changed: tell the one that runs, or let another one take over.

        What is judged by changes in place. Rings do not: a sensor with other rings starts, and the one before
        it watches until that is ready.
        """
        after, before = self._start(), self._began_with
        if before is None or self.sensor is None:
            return  # the next one begins with it anyway
        self._began_with = after
        if after.rings == before.rings:
            self.send(Kind.FOLLOW, start_of(after))
            return
        if self._next is not None:
            self._end(self._next)
        self._next = self._listen(Sensor(after))

    async def stop(self) -> None:
        """Let the sensor end, or end it."""
        self._stopping = True
        if self._next is not None:
            self._end(self._next)
        sensor = self.sensor
        if sensor is not None and not sensor.gone:
            with suppress(OSError):
                sensor.line.send(Kind.STOP)
            end = time.monotonic() + ENDS_S
            while not sensor.gone and time.monotonic() < end:
                await asyncio.sleep(0.02)
            sensor.gone = True
        self._changed.set()

    def send(self, kind: Kind, body: bytes = b"") -> None:
        """Tell the sensor something, if there is one that can hear it."""
        if self.sensor is not None and self.sensor.ready:
            with suppress(OSError):
                self.sensor.line.send(kind, body)
