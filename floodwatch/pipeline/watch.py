"""THE loop of a watch: rings -> analysis -> changes, on the monotonic clock, until somebody says stop."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from .._engine import VICTIM_DTYPE
from ..capture import Backlog, LinkNews
from ..capture.recorder import Recorder
from ..capture.ring import Opener
from ..capture.rings import Taps
from ..config.options import Counters, WatchOptions
from ..decide.seeing import Seen
from ..decide.traffic import Measured
from ..history.memory import Memory, load
from ..model.address import address_text
from ..model.epoch import EPOCH_NS
from ..model.event import Event
from ..model.report import Report
from ..report.events import line
from . import answer
from .acting import Acting, Situation
from .analysis import Analysis, Change
from .answer import of_watch
from .posture import Posture

if TYPE_CHECKING:
    from ..mitigate import Act, Places

STALE_NS = 1_000_000_000
"""Who was busy so long ago is busy no more."""
FOLLOW_S = 0.25
"""How often an interface is looked after when nothing is heard of it."""
ACT_S = 0.5
"""How often the kernel is brought in line; a flood that begins is acted on at once."""
ACT_REST = 8.0
"""It then rests for so many times as long as that took: thousands of blocks take a tenth of a second."""
REST_MS, TICK_MS = 250, 50
"""Longest wait for packets where no epoch is to be closed, and where more lies in the rings than was read."""
IDLE_S = 0.5
"""Longest time between two moments, where no epoch is closed because nothing comes."""
BUSIEST = 3


class Moment(Struct, frozen=True):
    """What a watch yields: once for every epoch that closed, whenever an interface changed, and now and then
    where nothing comes.

    Attributes:
        changes: events that opened, lasted or ended.
        counters: where the watch stands.
        notes: what became of the interfaces, in words.
        acts: what was done in the kernel, or would be in a dry run.
    """

    changes: list[Change]
    counters: Counters
    notes: list[str]
    acts: list[Act]


class Watch:
    """One watch over some interfaces. Opens its rings at once; ``moments`` runs it.

    Args:
        interfaces: names, or ``any``.
        options: see WatchOptions.
        stop: set it to end.
        acting: what acts on the floods that are found, or None to only watch.
        places: where this host stands, followed as it changes; or None, where it means nothing.
        opener: where packet sockets come from; None: they are made here.
        memory: what was learnt before, instead of a file of it.
        reports: ``report`` may be asked for, so that all traffic is added up.

    Raises:
        ConfigError: the filter is wrong.
        EnvironmentFault: an interface cannot be opened.
    """

    def __init__(
        self,
        interfaces: Sequence[str],
        options: WatchOptions,
        stop: threading.Event,
        acting: Acting | None = None,
        places: Places | None = None,
        opener: Opener | None = None,
        memory: Memory | None = None,
        *,
        reports: bool = True,
    ) -> None:
        self.options = options
        self._acting = acting
        self._next_act = 0.0
        self._stop = stop
        self.name = ",".join(interfaces)
        memory = load(options.baseline) if options.baseline else memory
        self._places = places
        posture = Posture(options.services, places)
        measured = Measured() if reports else None
        self.analysis = Analysis(
            self.name, options.top, memory, options.limits, posture, options.proxies, measured
        )
        self.analysis.seen = self._seen
        if acting is not None:
            self.analysis.heard = acting.heard
        self._recorder = Recorder(options.write, options.write_max) if options.write else None
        self.notes: list[str] = []
        """What the user should hear first, in words."""
        if self._recorder is not None and self._recorder.path != options.write:
            self.notes.append(f"{options.write} is there already: recording to {self._recorder.path}")
        self.taps = Taps(interfaces, options, opener)
        if self._recorder is not None:
            self.taps.attach(self._recorder)
        self._news = LinkNews()
        self._backlog = Backlog()
        self._backlog_before = self._backlog.drops()
        self._began = time.monotonic()
        self._offset = _clock_offset()
        self._next_follow = self._next_moment = self._began
        self.on_tick: Callable[[], object] = lambda: None
        """Called some times a second, between epochs too."""
        self.also: list[socket.socket] = []
        """What else ends a wait for packets."""

    def moments(self) -> Iterator[Moment]:
        """Run until the stop is set, the time is up or enough packets came; then judge what is left."""
        poll = select.poll()
        for watched in (*self.taps.sockets, self._news.socket, *self.also):
            poll.register(watched, select.POLLIN)
        self.analysis.begin(self._now_ns())
        while not self._over():
            poll.poll(self._longest_wait())
            now = self._now_ns()  # what comes after it may still lie in a ring when it is read
            closed = self._read()
            if self.taps.drained:
                closed |= self.analysis.advance(now)
            notes = self._follow()
            self.on_tick()
            if closed or notes or time.monotonic() >= self._next_moment:
                self._next_moment = time.monotonic() + IDLE_S
                yield self._moment(notes)
        self.analysis.finish()
        yield self._moment([])

    def _longest_wait(self) -> int:
        """Milliseconds until something is to be done if nothing comes: packets end it sooner."""
        due = self.analysis.due
        if not self.taps.drained:
            return TICK_MS
        return REST_MS if due is None else min(max((due - self._now_ns()) // 1_000_000 + 1, 1), REST_MS)

    def _over(self) -> bool:
        options = self.options
        late = options.duration is not None and time.monotonic() - self._began >= options.duration
        full = options.count is not None and self.taps.packets >= options.count
        return self._stop.is_set() or late or full

    def _read(self) -> bool:
        """Take what the rings hold now; returns whether an epoch closed."""
        closed = False
        for batch in self.taps.batches(_clock_offset() - self._offset):
            if len(batch):
                closed |= self.analysis.observe(batch)
        return closed

    def _now_ns(self) -> int:
        """The clock of the packets: wall time of the beginning, driven by the monotonic clock."""
        return time.monotonic_ns() + self._offset

    def _follow(self) -> list[str]:
        if not (self._news.drain() or time.monotonic() >= self._next_follow):
            return []
        self._next_follow = time.monotonic() + FOLLOW_S
        if self._places is not None:
            self._places.refresh()
        return self.taps.follow()

    def _moment(self, notes: list[str]) -> Moment:
        counters = self.counters()
        news = self.analysis.changes()
        told = self._act(at_once=any(change.what == "opened" for change in news))
        acts = [] if self._acting is None else self._acting.acts()
        notes = [*notes, *told]
        seen = self._taken([change.event for change in news])
        changes = [Change(change.what, event) for change, event in zip(news, seen, strict=True)]
        if self._recorder is not None:
            opened = [line(c.what, c.event) for c in changes if c.what == "opened"]
            said = self._recorder.follow(opened, counters.open_floods, time.monotonic())
            notes = notes if said is None else [*notes, said]
        return Moment(changes, counters, notes, acts)

    def _act(self, *, at_once: bool) -> list[str]:
        """Bring the kernel in line with the floods that are going on, when it is time for it."""
        now = time.monotonic()
        if self._acting is None or not (at_once or now >= self._next_act):
            return []
        analysis = self.analysis
        detection, decisions = analysis.detection, analysis.decisions()
        told = self._acting.act(
            Situation(decisions, detection.known_networks(), detection.served(), analysis.one_way)
        )
        self._next_act = now + max(ACT_S, ACT_REST * (time.monotonic() - now))
        return told

    def _seen(self) -> Seen:
        """How the packets were captured until now."""
        ahead = 0 if self._acting is None else self._acting.ahead()
        return Seen(self.name, self.taps.packets, self.taps.count_lost(), ahead)

    def _taken(self, events: list[Event]) -> list[Event]:
        """The events with what was done: only what the kernel holds counts."""
        acting, ids = self._acting, {event.id for event in events}
        taken = acting.taken(self.analysis.decisions(ids)) if acting is not None and events else {}
        return [
            replace(event, action=replace(event.action, taken=taken.get(event.id, "none")))
            for event in events
        ]

    def counters(self) -> Counters:
        """Where the watch stands now."""
        taps, loaded = self.taps, self._loaded()
        return Counters(
            seconds=time.monotonic() - self._began,
            packets=taps.packets,
            bytes=taps.bytes,
            lost=taps.count_lost(),
            ahead=0 if self._acting is None else self._acting.ahead(),
            backlog=self._backlog.drops() - self._backlog_before,
            rejected=sum(taps.rejected.values()),
            victims=_busiest(loaded),
            loaded=len(loaded),
            open_floods=self.analysis.open_floods(),
        )

    def _loaded(self) -> NDArray[np.void]:
        """The victims of the last epoch, if it was just now."""
        summary = self.analysis.newest
        if summary is None or self._now_ns() - summary.epoch * EPOCH_NS > STALE_NS:
            return np.zeros(0, VICTIM_DTYPE)
        return summary.victims

    def report(self, *, complete: bool = True) -> Report:
        """The report of the whole watch, after ``moments`` ended; not complete where a signal ended it."""
        counters = self.counters()
        events = self.analysis.events()
        read = of_watch(self.name, self.taps, self.analysis, seconds=counters.seconds, lost=counters.lost)
        return answer.report(
            [read],
            self._taken(events),
            sources=self.analysis.engine.total_sources(),
            options=self.options,
            complete=complete,
            forgotten=self.analysis.forgotten,
            nearest=self.analysis.nearest(),
            traffic=[self.analysis.traffic()],
        )

    def close(self) -> None:
        """Leave the interfaces."""
        self._news.socket.close()
        self._backlog.close()
        self.taps.close()
        if self._recorder is not None:
            self._recorder.close()


def _clock_offset() -> int:
    """Nanoseconds that wall time is ahead of the monotonic clock; a clock step changes it."""
    return time.time_ns() - time.monotonic_ns()


def _busiest(loaded: NDArray[np.void]) -> tuple[tuple[str, float], ...]:
    """The addresses that got most packets in an epoch, and how many a second."""
    packets = loaded["kinds"]["packets"].sum(axis=1)
    rows = [(loaded[i], int(packets[i])) for i in np.argsort(packets)[::-1][:BUSIEST]]
    per_second = 1e9 / EPOCH_NS
    return tuple((address_text((int(row["hi"]), int(row["lo"]))), n * per_second) for row, n in rows)
