"""One analysis: engine -> detect -> decide -> events, for a scan, a live watch and the Python API alike.

Packets bring the clock. A live interface that falls silent brings none, so there ``advance`` closes epochs by
a clock of the caller's. Of a silence both close the same epochs: those in which something is waited for. What
follows is a pause, in which nothing is learnt, and ends with the next packet.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Container, Sequence

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from .._engine import Batch, Engine
from ..capture.hellos import Collector
from ..config.limits import Limits
from ..config.roles import Service
from ..decide.case import Case
from ..decide.cases import Decider, onset
from ..decide.events import decide, tell
from ..decide.seeing import FEWEST, Seen
from ..decide.traffic import Measured
from ..detectors import DETECTORS, Detection
from ..detectors.held import SHOWN
from ..history.memory import Memory, nothing
from ..model.address import Network
from ..model.decision import Decision
from ..model.epoch import EPOCH_NS
from ..model.event import FLOODS, Event, Stamps, State, What
from ..model.event import Change as Change
from ..model.report import Near, Traffic
from ..model.summary import Summary
from .posture import Posture

LEAST = 16
"""Packets in an epoch below which an address is not looked at; a request counts as 16, a SYN as 4."""
GRACE_NS = 90_000_000
"""How long after the end of an epoch packets of it may still be on their way out of a ring."""
CATCH_UP = 60
"""Most epochs that one ``advance`` closes: a host that slept does not wake to hours of empty epochs."""
UPDATE_EPOCHS = 240
"""Epochs (one minute) between two updates of an event that lasts."""
LONGEST_GAP = 1 << 63
HOLD_MOST = max(family.hold for detector in DETECTORS for family in detector.families)
HEARD = 1024
"""ClientHellos of one epoch that are looked at, of all victims together ..."""
OPENED = 48
"""... and Initials of QUIC among them that are opened, some 0.1 ms each."""
NOTHING = Batch(1)
"""Stands for "no packet follows"."""


def _once(read: Callable[[], NDArray[np.void]]) -> Callable[[], NDArray[np.void]]:
    """The same reading, done when it is first asked for. There are three an epoch: it has to be cheap."""
    held: list[NDArray[np.void]] = []

    def table() -> NDArray[np.void]:
        if not held:
            held.append(read())
        return held[0]

    return table


class Analysis:
    """The state of one analysis; not for use by two threads at once.

    Args:
        path: what events name as their input: a file or an interface.
        top: length of the ``sources.top`` lists; 0 is all.
        memory: what was learnt before, or None.
        limits: what the user asks of floors and false alarms, or None.
        posture: what is said of services and of this host's place, or None.
        proxies: networks of proxies that the operator names.
        measured: adds up all traffic, for a report; None: nobody will ask for it.
    """

    def __init__(
        self,
        path: str,
        top: int,
        memory: Memory | None = None,
        limits: Limits | None = None,
        posture: Posture | None = None,
        proxies: Sequence[Network] = (),
        measured: Measured | None = None,
    ) -> None:
        self.engine = Engine()
        self._hellos = Collector(os.urandom(16), HEARD)  # nothing that is told depends on this key
        self.engine.collect(self._hellos.found)
        self.detection = Detection(memory or nothing(), limits or Limits(), proxies)
        self.engine.trust(self.detection.proxies.spans)
        self._decider = Decider()
        self._measured = measured
        self._posture = posture or Posture()
        self._path = path
        self._top = top
        self._closed = self._busy = -1
        self._packets = 0
        self._several = False
        self.seen: Callable[[], Seen] = Seen
        """Asked whenever an event is told: how its packets were captured."""
        self.newest: Summary | None = None
        self.heard: Callable[[Summary], object] = lambda summary: None
        """Called with every epoch before it is closed."""
        self.judged: Callable[[float], object] = lambda seconds: None
        """Called with how long that took, of every epoch."""

    @property
    def one_way(self) -> bool:
        """Only one direction was seen, so that no source can be proven real."""
        tracker = self.detection.tracker
        return tracker.received > 0 and tracker.sent == 0

    def begin(self, now_ns: int) -> None:
        """From now on (on the packets' clock) what comes is seen, and of what comes later the onset too.

        Without it an analysis begins with its first packet.
        """
        self.detection.tracker.begin(now_ns // EPOCH_NS)

    def heed(self, limits: Limits, services: Sequence[Service]) -> None:
        """Judge by these from now on; events, and all that was learnt, stay."""
        self.detection.heed(limits)
        self._posture.heed(services)

    def observe(self, batch: Batch) -> bool:
        """Count a batch, closing each epoch that it ends; returns whether it ended one."""
        start, closed = 0, False
        while (start := start + self.engine.observe(batch, start)) < len(batch):
            while 0 < self.engine.gap_before(batch, start) < LONGEST_GAP and self._waits():
                self._close(NOTHING, 1)
            self._close(batch, start)
            closed = True
        return closed

    def advance(self, now_ns: int) -> bool:
        """Close the epochs that ended before ``now_ns`` (on the packets' clock) and had packets, or were
        waited for; returns whether there was one.
        """
        for count in range(CATCH_UP):
            if (due := self.due) is None or due > now_ns:
                return count > 0
            self._close(NOTHING, 1)
        return True

    @property
    def due(self) -> int | None:
        """When ``advance`` closes the open epoch if nothing comes, on the packets' clock; None: never."""
        if self.engine.epoch == 0 or not self._waits():
            return None
        return (self.engine.epoch + 1) * EPOCH_NS + GRACE_NS

    def _waits(self) -> bool:
        """The open epoch is to be judged, though no packet of a later one came: it has some, or what came
        last is judged by what follows it, and nothing follows is an answer too. So is a place that is held
        all that time, and a flood that goes on no more.
        """
        silent = self.engine.epoch - self._busy
        if self.engine.epoch_packets or self.detection.tracker.looking:
            return True
        if self.engine.places and silent <= SHOWN:
            return True
        return silent <= HOLD_MOST and any(not case.ended(self._closed) for case in self._decider.current)

    def finish(self) -> None:
        """The capture ends: judge what is held back, and the open epoch; nothing may have come in that yet,
        where a clock closed the one before it.
        """
        if self.engine.epoch_packets or self.detection.tracker.looking:
            self._close(NOTHING, 1, final=True)

    def events(self) -> list[Event]:
        """The floods, crowds and surges of the analysis by their onset, after ``finish``."""
        last, seen = self.engine.epoch - 1, self._seen()
        return [self._told(case, case, last, "cut", seen) for case in self._decider.cases()]

    def nearest(self) -> list[Near]:
        """What came nearest to a flood and became no event, after ``finish``."""
        told = ((case.vector, case.victim, case.prefix) for case in self._decider.kept())
        return self._decider.nearest.told(self._path, told)

    def traffic(self) -> Traffic | None:
        """All that came, after ``finish``; None where nothing did, or it is not added up."""
        return None if self._measured is None else self._measured.told(self._path)

    @property
    def forgotten(self) -> int:
        """Events that were too many to keep; the smallest were forgotten first."""
        return self._decider.forgotten

    def forget_events(self) -> None:
        """Begin to judge anew, with what is known of the hosts so far."""
        self._decider = Decider()

    def decisions(self, among: Container[str] | None = None) -> list[Decision]:
        """What is to be done about floods, with what is known of them now; every source is named.

        Args:
            among: ids of the floods, whether they are over or not; None: those that are going on.
        """
        if among is None:
            return [self._posture.decided(decide(case.so_far())) for case in self._open_floods()]
        kept = (case for case in self._decider.kept() if case.id in among)
        return [self._posture.decided(decide(case.so_far())) for case in kept if case.verdict in FLOODS]

    def open_floods(self) -> int:
        """How many floods are going on."""
        return len(self._open_floods())

    def _open_floods(self) -> list[Case]:
        current = sorted(self._decider.current, key=onset)
        return [case for case in current if case.verdict in FLOODS and not case.ended(self._closed)]

    def changes(self) -> list[Change]:
        """Events that opened, ended or lasted another minute since the last call, by onset.

        Calling it changes nothing of what ``events`` will say.
        """
        news = [(case, self._news(case)) for case in sorted(self._decider.current, key=onset)]
        if not any(what for _, what in news):
            return []
        seen = self._seen()
        return [Change(what, self._so_far(case, seen)) for case, what in news if what is not None]

    def _so_far(self, case: Case, seen: Seen) -> Event:
        return self._told(case, case.so_far(), self._closed, "open", seen)

    def _told(self, case: Case, counted: Case, last: int, unfinished: State, seen: Seen) -> Event:
        """The event of a case, with what is to be told of it now."""
        overlapping, says = self._decider.overlapping(case), self.detection.greetings
        return self._posture.told(
            tell(counted, overlapping, self._path, last, self._top, unfinished, seen, says)
        )

    def _seen(self) -> Seen:
        """How the packets were captured, with what their time stamps tell."""
        stamps: Stamps = "one" if not self._several else "seconds" if not self.engine.fractions else "exact"
        return replace(self.seen(), stamps=stamps if self._packets >= FEWEST else "exact")

    def _news(self, case: Case) -> What | None:
        """What is new about a case; notes that it was told."""
        ended = case.ended(self._closed)
        what: What | None = None
        if case.told_epoch < 0:
            what = "opened"
        elif ended != case.told_ended:
            what = "ended" if ended else "updated"
        elif not ended and self._closed - case.told_epoch >= UPDATE_EPOCHS:
            what = "updated"
        if what is not None:
            case.told_epoch, case.told_ended = self._closed, ended
        if case.told_ended:
            self._decider.current.discard(case)
        return what

    def _greeted(self) -> Sequence[tuple[NDArray[np.void], bytes]]:
        """The sample of the open epoch's hellos."""
        if not len(self._hellos.found):
            return ()
        self._hellos.initials.allow(OPENED)
        return self._hellos.read(*self._hellos.found.drain())

    def _close(self, batch: Batch, following: int, *, final: bool = False) -> None:
        """Summary out of the engine, through detect and decide; then the next epoch opens."""
        engine, began = self.engine, time.monotonic()
        self._several = self._several or self._closed >= 0 or engine.first_ns != engine.last_ns
        self._packets += engine.epoch_packets
        self._busy = engine.epoch if engine.epoch_packets else self._busy
        summary = Summary(
            epoch=engine.epoch,
            gap=engine.gap,
            first_ns=engine.first_ns,
            last_ns=engine.last_ns,
            victims=engine.victims(LEAST),
            heavy=_once(engine.heavy),
            hosts=_once(engine.hosts),
            held=_once(engine.held),
            sources_of=engine.sources_of,
            window_ends=engine.window_ends(batch, following),
            final=final,
            greeted=self._greeted(),
            coarse=not engine.fractions and self._packets >= FEWEST,
        )
        now = summary.last_ns if final else (summary.epoch + 1) * EPOCH_NS
        if self._measured is not None:
            self._measured.add(engine.epoch, engine.epoch_kinds, engine.epoch_bytes, summary.victims)
        findings = list(map(self._posture.weighed, self.detection.update(summary)))
        self._decider.update(findings, summary.epoch, now, window_ends=summary.window_ends)
        self.heard(summary)
        self._closed = summary.epoch
        engine.vouch(self.detection.proxies.believed())
        engine.close_epoch(batch, following)
        self.newest = summary
        self.judged(time.monotonic() - began)
