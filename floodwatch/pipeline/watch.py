"""THE loop of a watch: rings -> analysis -> changes, on the monotonic clock, until somebody says stop."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..capture import Backlog, LinkNews
from ..capture.recorder import Recorder
from ..capture.rings import Taps
from ..config.options import Counters, WatchOptions
from ..decide.seeing import Seen
from ..errors import EnforceError
from ..history.answers import Answers
from ..history.memory import load
from ..model.address import address_text
from ..model.epoch import EPOCH_NS
from ..model.event import Action, Event
from ..model.report import Report
from ..report.events import line
from . import answer
from .analysis import Analysis, Change
from .answer import of_watch
from .confirm import Confirmation
from .posture import Posture

if TYPE_CHECKING:
    from ..mitigate import Act, Blocker, Places

FOLLOW_S = 0.25
"""How often an interface is looked after when nothing is heard of it."""
ACT_S = 0.5
"""How often the kernel is brought in line; a flood that begins is acted on at once."""
ACT_REST = 8.0
"""It then rests for so many times as long as that took: thousands of blocks take a tenth of a second."""
TICK_MS = 50
"""Longest wait for packets: an idle interface still closes its epochs."""
BUSIEST = 3


class Moment(Struct, frozen=True):
    """What a watch yields: once for every epoch that closed, and whenever an interface changed.

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
        blocker: what acts on the floods that are found, or None to only watch.
        places: where this host stands, followed as it changes; or None, where it means nothing.

    Raises:
        ConfigError: the filter is wrong.
        EnvironmentFault: an interface cannot be opened.
    """

    def __init__(
        self,
        interfaces: Sequence[str],
        options: WatchOptions,
        stop: threading.Event,
        blocker: Blocker | None = None,
        places: Places | None = None,
    ) -> None:
        self.options = options
        self._blocker = blocker
        self._confirmation = blocker and Confirmation(blocker, options.confirm)
        self._next_act = 0.0
        self._trouble = ""
        self._stop = stop
        self.name = ",".join(interfaces)
        memory = load(options.baseline) if options.baseline else None
        self._places = places
        posture = Posture(options.services, places)
        self.analysis = Analysis(self.name, options.top, memory, options.limits, posture, options.proxies)
        self.analysis.seen = self._seen
        self._answers: Answers | None = None
        if blocker is not None and not blocker.dry_run:
            self._answers = Answers()
            self.analysis.heard = self._answers.close_epoch
            blocker.track()
        self._recorder = Recorder(options.write, options.write_max) if options.write else None
        self.notes: list[str] = []
        """What the user should hear first, in words."""
        if self._recorder is not None and self._recorder.path != options.write:
            self.notes.append(f"{options.write} is there already: recording to {self._recorder.path}")
        self.taps = Taps(interfaces, options)
        if self._recorder is not None:
            self.taps.attach(self._recorder)
        self._news = LinkNews()
        self._backlog = Backlog()
        self._backlog_before = self._backlog.drops()
        self._began = time.monotonic()
        self._offset = _clock_offset()
        self._next_follow = self._began
        self.on_tick: Callable[[], object] = lambda: None
        """Called some twenty times a second, between epochs too."""

    def moments(self) -> Iterator[Moment]:
        """Run until the stop is set, the time is up or enough packets came; then judge what is left."""
        poll = select.poll()
        for watched in (*self.taps.sockets, self._news.socket):
            poll.register(watched, select.POLLIN)
        self.analysis.begin(self._now_ns())
        while not self._over():
            poll.poll(TICK_MS)
            closed = self._read()
            closed |= self.analysis.advance(self._now_ns())
            notes = self._follow()
            self.on_tick()
            if closed or notes:
                yield self._moment(notes)
        self.analysis.finish()
        yield self._moment([])

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
        acts = [] if self._blocker is None else self._blocker.ledger.acts()
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
        if self._blocker is None or not (at_once or now >= self._next_act):
            return []
        told = self._bring_in_line(self._blocker)
        self._next_act = now + max(ACT_S, ACT_REST * (time.monotonic() - now))
        return told

    def _bring_in_line(self, blocker: Blocker) -> list[str]:
        """What is to be told beside the acts.

        When the kernel takes no rules, the watch goes on, says so and tries again.
        """
        decisions = self.analysis.decisions()
        try:
            told = self._confirmation.look() if self._confirmation else []
            if not (self._confirmation and self._confirmation.over):
                detection, one_way = self.analysis.detection, self.analysis.one_way
                blocker.enforce(decisions, detection.known_networks())
                said = blocker.guard(decisions, detection.served(), self._answers, one_way=one_way)
                told += [*blocker.ledger.untold(said), *blocker.news()]
        except EnforceError as error:
            said_now = f"no rule could be set ({error}); trying again"
            new = said_now != self._trouble
            self._trouble = said_now
            return [said_now] if new else []
        if self._trouble:
            told = ["rules can be set again", *told]
            self._trouble = ""
        return told

    def _seen(self) -> Seen:
        """How the packets were captured until now."""
        ahead = 0 if self._blocker is None else self._blocker.dropped_ahead().dropped
        return Seen(self.name, self.taps.packets, self.taps.count_lost(), ahead)

    def _taken(self, events: list[Event]) -> list[Event]:
        """The events with what was done: only what the kernel holds counts."""
        taken: dict[str, Action] = {}
        if events and self._blocker is not None and not self._blocker.dry_run:
            decisions = self.analysis.decisions({event.id for event in events})
            with suppress(EnforceError):  # then nothing is known to stand
                stands = self._blocker.taken(decisions)
                taken = {one.id: action for one, action in zip(decisions, stands, strict=True)}
        return [
            replace(event, action=replace(event.action, taken=taken.get(event.id, "none")))
            for event in events
        ]

    def counters(self) -> Counters:
        """Where the watch stands now."""
        taps = self.taps
        return Counters(
            seconds=time.monotonic() - self._began,
            packets=taps.packets,
            bytes=taps.bytes,
            lost=taps.count_lost(),
            ahead=0 if self._blocker is None else self._blocker.dropped_ahead().dropped,
            backlog=self._backlog.drops() - self._backlog_before,
            rejected=sum(taps.rejected.values()),
            victims=self._victims(),
            open_floods=self.analysis.open_floods(),
        )

    def _victims(self) -> tuple[tuple[str, float], ...]:
        summary = self.analysis.newest
        if summary is None or not len(summary.victims):
            return ()
        packets = summary.victims["kinds"]["packets"].sum(axis=1)
        order = np.argsort(packets)[::-1][:BUSIEST]
        rows = [(summary.victims[i], int(packets[i])) for i in order]
        per_second = 1e9 / EPOCH_NS
        return tuple((address_text((int(row["hi"]), int(row["lo"]))), n * per_second) for row, n in rows)

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
