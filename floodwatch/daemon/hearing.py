"""What the sensor says, taken in: each record is read, and goes to whom it concerns. It may only ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from msgspec.structs import replace

from ..model.event import Change, Event
from . import records
from .hands import Hands
from .picture import Tallies
from .records import Beat, Kind, Wrong

STEP_S = 1.0
"""A clock that goes so much otherwise than the monotonic one was set."""

OPEN_MOST = 1 << 12
"""Events that are open at once and looked after: more than a sensor holds."""

CUT_S = 5.0
"""So long the next sensor has to find the events of the one before again."""


class Hearing:
    """Hears one sensor after the other.

    Args:
        hands: who acts.
        submit: lets something be done on the thread of the hands.
        on_ready: called with the user of a sensor that watches from now on.
        on_ask: called when the sensor asks for something to be done.
        on_change: called with each change of an event.
        say: tells a line.
        tallies: counts what was refused, and sensors that ended.

    Attributes:
        beat: the last sign of life.
        pending: changes that are still being handed on.
    """

    def __init__(
        self,
        hands: Hands,
        submit: Callable[..., object],
        on_ready: Callable[[int], object],
        on_ask: Callable[[], object],
        on_change: Callable[[Change], Coroutine[Any, Any, None]],
        say: Callable[[str], object],
        tallies: Tallies,
    ) -> None:
        self._hands, self._submit, self._say, self._tallies = hands, submit, say, tallies
        self._on_ready, self._on_ask, self._on_change = on_ready, on_ask, on_change
        self.beat: Beat | None = None
        self.pending: set[asyncio.Task[None]] = set()
        self._open: dict[str, Event] = {}
        self._orphans: dict[str, Event] = {}
        self._learnt: asyncio.Future[bytes] | None = None
        self._clock = time.time() - time.monotonic()

    def came(self, kind: int, body: bytes) -> None:
        """Take in a record; one that may not be is counted, told, and left."""
        hands = self._hands
        try:
            match kind:
                case Kind.READY:
                    ready = records.read_ready(body)
                    for note in ready.notes:
                        self._say(note)
                    self._orphan()  # what the one before had open, where this one took over
                    self._on_ready(ready.uid)
                case Kind.BEAT:
                    self.beat = records.read_beat(body)
                    self._look_at_the_clock()
                case Kind.DECISIONS:
                    self._submit(hands.decided, *records.read_decisions(body))
                    self._on_ask()
                case Kind.KNOWN:
                    self._submit(hands.know, records.read_networks(body))
                case Kind.SERVED:
                    self._submit(hands.serve, records.read_networks(body))
                case Kind.ANSWERED:
                    self._submit(hands.answered, *records.read_answered(body))
                case Kind.CHANGE:
                    self._change(records.read_change(body))
                case Kind.NOTE:
                    self._say(records.read_text(body))
                case Kind.LEARNT:
                    if self._learnt is not None and not self._learnt.done():
                        self._learnt.set_result(body)
        except Wrong as error:
            self._tallies.add("records_refused")
            self._say(f"the sensor asked for what may not be: {error}")

    def _change(self, change: Change) -> None:
        """Something became of an event: hand it on, and keep what is open."""
        event = change.event
        self._open.pop(event.id, None)
        self._orphans.pop(event.id, None)
        if change.what != "ended" and len(self._open) < OPEN_MOST:
            self._open[event.id] = event
        self._later(self._on_change(change))

    def _later(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(what)
        self.pending.add(task)
        task.add_done_callback(self.pending.discard)

    def _orphan(self) -> None:
        """Nobody follows the events of a sensor that is no more: the next one may find them again; what it
        has not by then is cut, for what became of it is not known. Until then nobody withdraws what helps.
        """
        self._take_over(self._open)
        self._open.clear()

    def inherit(self, left: Callable[[], Mapping[str, Event]]) -> None:
        """Take over what a run before had open as well.

        Args:
            left: reads which events, by their ids; it takes its time.
        """

        async def taken() -> None:
            self._take_over(await asyncio.to_thread(left))

        self._later(taken())

    def _take_over(self, events: Mapping[str, Event]) -> None:
        if events:
            asyncio.get_running_loop().call_later(CUT_S, self._cut, tuple(events))
        self._orphans |= events

    def _cut(self, ids: tuple[str, ...]) -> None:
        for event in [self._orphans[one] for one in ids if one in self._orphans]:
            self._change(Change("ended", replace(event, state="cut")))

    def _look_at_the_clock(self) -> None:
        """Count it when somebody sets the clock."""
        before, self._clock = self._clock, time.time() - time.monotonic()
        if abs(self._clock - before) > STEP_S:
            self._tallies.add("clock_steps")

    def gone(self) -> None:
        """There is no sensor: nothing is known of floods that go on."""
        self._tallies.add("sensor_restarts")
        self._orphan()
        if self.beat is not None:
            links = tuple(replace(link, up=False) for link in self.beat.links)
            self.beat = replace(self.beat, links=links, floods={})
        self._submit(self._hands.decided, [], False)

    async def learnt(self, ask: Callable[[], object], seconds: float) -> bytes | None:
        """What the sensor has learnt so far, as a file of it; None: it does not tell.

        Args:
            ask: asks it.
            seconds: how long an answer is waited for.
        """
        if self._learnt is None:
            self._learnt = asyncio.get_running_loop().create_future()
            ask()
        try:
            return await asyncio.wait_for(asyncio.shield(self._learnt), seconds)
        except TimeoutError:
            return None
        finally:
            self._learnt = None
