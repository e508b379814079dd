"""The way to one receiver: what it is told of, how often, and what becomes of it when it is slow or dead."""

from __future__ import annotations

import threading
import time
from collections import deque

from msgspec.structs import replace

from ...history.windows import trim
from ...mitigate import Act
from ...model.event import FLOODS, Change, Event, What
from ..picture import Tallies
from .letter import SEVERITIES, Letter, Receiver, Undelivered

QUEUE_MOST = 256
"""Letters that wait; when one more comes, the oldest is dropped."""
TOLD_MOST = 4096
"""Events that a receiver was told of and that still last."""
PAUSES_S = (1.0, 2.0, 4.0)
"""Before a letter is tried again."""
MINUTE_S = 60.0


class Channel:
    """Hands letters to one receiver, in a thread of its own. ``tell`` and ``acted`` are for one thread.

    Args:
        receiver: who is told.
        tallies: where letters are counted, by type and what became of them.

    Attributes:
        receiver: see above.
        complaint: why the last letter did not arrive; empty: it did.
    """

    def __init__(self, receiver: Receiver, tallies: Tallies) -> None:
        self.complaint = ""
        self.receiver, self._tallies = receiver, tallies
        self._told: dict[str, Event] = {}
        self._events, self._acts = _Pace(receiver.wanted.per_minute), _Pace(receiver.wanted.per_minute)
        self._letters: deque[Letter | Act] = deque()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._reopen = False
        self._thread = threading.Thread(target=self._run, name=f"notify {receiver.wanted.type}", daemon=True)
        self._thread.start()

    def tell(self, change: Change) -> None:
        """Something became of an event.

        What was told of is always told to be over as well; all else has to keep to the pace.
        """
        event, told = change.event, change.event.id in self._told
        concerns = self.receiver.logs or event.verdict in FLOODS
        if told:
            what: What = "updated" if concerns and change.what != "ended" else "ended"
        elif concerns and change.what != "ended" and self._severe(change):
            what = "opened"
        else:
            return
        if what == "ended":
            del self._told[event.id]
        elif not self._events.room():
            self._count("suppressed")
            self._tallies.add("events_suppressed")
            return
        else:
            self._told[event.id] = event
            trim(self._told, TOLD_MOST)
        self._put(Letter(what, event))

    def acted(self, act: Act) -> None:
        """Something was done."""
        if not self.receiver.logs:
            return
        if self._acts.room():
            self._put(act)
        else:
            self._count("suppressed")

    def reopen(self) -> None:
        """Let it open its files anew before the next letter."""
        with self._changed:
            self._reopen = True
            self._changed.notify()

    def end(self) -> None:
        """Nothing more comes: what it was told of is over for it, and what waits is tried once."""
        for event in self._told.values():
            self._put(Letter("ended", replace(event, state="cut")))
        self._told = {}
        self._stop.set()
        with self._changed:
            self._changed.notify()

    def join(self, seconds: float) -> None:
        """Wait for the end."""
        self._thread.join(max(seconds, 0.0))

    def _severe(self, change: Change) -> bool:
        return SEVERITIES.index(change.event.severity) >= SEVERITIES.index(self.receiver.wanted.min_severity)

    def _put(self, letter: Letter | Act) -> None:
        with self._changed:
            if len(self._letters) >= QUEUE_MOST:
                self._letters.popleft()
                self._count("dropped")
            self._letters.append(letter)
            self._changed.notify()

    def _count(self, result: str) -> None:
        self._tallies.add("alerts", self.receiver.wanted.type, result)

    def _run(self) -> None:
        while True:
            with self._changed:
                some = self._changed.wait_for(
                    lambda: bool(self._letters) or self._reopen or self._stop.is_set(), self.receiver.every_s
                )
                reopen, self._reopen = self._reopen, False
                letter = self._letters.popleft() if self._letters else None
            if not some:
                self.receiver.look()
            elif reopen:
                self.receiver.reopen()
            elif letter is None:
                break
            if letter is not None:
                self._deliver(letter)
        self.receiver.close()

    def _deliver(self, letter: Letter | Act) -> None:
        for pause in (*PAUSES_S, None):
            try:
                if isinstance(letter, Letter):
                    self.receiver.send(letter)
                else:
                    self.receiver.log(letter)
            except Undelivered as error:
                self.complaint = f"{self.receiver.wanted.type}: {error}"
                if not error.again or pause is None or self._stop.wait(pause):
                    break
            except Exception as error:  # a fault of ours may cost a letter, and not all that follow
                self.complaint = f"{self.receiver.wanted.type}: {type(error).__name__}: {error}"
                break
            else:
                self.complaint = ""
                self._count("sent")
                return
        self._count("failed")


class _Pace:
    """So many a minute, and no more."""

    def __init__(self, most: int) -> None:
        self._when: deque[float] = deque(maxlen=most)

    def room(self) -> bool:
        """One more wants to pass: may it?"""
        now = time.monotonic()
        if len(self._when) == self._when.maxlen and now - self._when[0] < MINUTE_S:
            return False
        self._when.append(now)
        return True
