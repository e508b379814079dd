"""Findings over time -> cases: hysteresis, one case per victim and vector, pulses included.

Memory is bounded, however many floods there are: so many cases are looked after at once, the longest silent
are closed first; of closed ones the largest are kept. Work per epoch is bounded by what happened in it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from ..model.address import Address
from ..model.epoch import EPOCHS_PER_SECOND
from ..model.event import FLOODS, Verdict
from ..model.finding import LOUD, Finding
from ..model.vector import Vector
from .case import Case, Edge, new_case
from .course import busiest_quarter
from .nearest import Nearest

DORMANT = 2400
"""Epochs (10 min) after which its return is a new event and no pulse of the same."""
PATIENCE = 2
"""Epochs without a finding after which what never became a verdict is forgotten ..."""
LULL = 12
"""... or, of a flood that needs few of them, so many (3 s): a pulse may be shorter than an epoch. What lies
between must be silence: less than half of the floor, but for the edges of a pulse."""
EDGE = 0.8
"""From this share of the floor on an epoch does not begin anew what was counted before: chance moves it."""
FEW = 3
"""So it is where few epochs are asked for; more of them are there to outlast something."""
LOUD_PERSIST = 2
"""Where so many epochs are asked for, an excess of ``LOUD`` floors counts for two, in one epoch or on both
sides of the edge between two."""
LATE = 2
"""Epochs after which no part of a burst is looked back on: SYNs are judged one late."""
CASES_MOST = 4096
"""Cases that are looked after at once."""
CLOSED_MOST = 1024
"""Closed cases that are kept for the report ..."""
CLOSED_SOURCES_MOST = 262_144
"""... and sources that they list, all together."""
Key: TypeAlias = tuple[Address, int | None, Vector, Verdict]


class Decider:
    """Keeps one case per victim, vector and side (flood, crowd or surge).

    Attributes:
        current: opened cases whose end was not told yet; whoever tells it takes them out.
        forgotten: closed cases that were too many to keep.
        nearest: what came nearest to an event and became none.
    """

    def __init__(self) -> None:
        # both with the longest silent first
        self._pending: dict[Key, Case] = {}
        self._lately: dict[int, dict[Key, Finding[Any]]] = {}  # of the last epochs
        self._open: dict[Key, Case] = {}
        self._closed: list[tuple[int, int, Case]] = []  # a heap, the smallest first
        self._closed_sources = 0
        self._at: dict[Address, list[Case]] = {}
        self._closes = 0
        self.current: set[Case] = set()
        self.forgotten = 0
        self.nearest = Nearest()

    def update(self, findings: Iterable[Finding[Any]], epoch: int, now_ns: int, *, window_ends: bool) -> None:
        """Take in the findings of one epoch; ``now_ns`` is the packet time at which it closed."""
        for finding in findings:
            self._take(finding, now_ns)
        self._lately = {at: told for at, told in self._lately.items() if 0 <= epoch - at <= LATE}
        if window_ends:
            for case in (*self._pending.values(), *self._open.values()):
                case.settle_window()
        for key in _silent(self._pending, epoch, LULL):
            del self._pending[key]
        for key in _silent(self._open, epoch, DORMANT):
            self._close(self._open.pop(key))

    def cases(self) -> list[Case]:
        """All opened cases, in the order of their onset; what the open window proved is added up."""
        for case in self._open.values():
            case.settle_window()
        return sorted(self.kept(), key=onset)

    def kept(self) -> Iterator[Case]:
        """The same in no order, in the middle of a window: what it proved stays in ``top``."""
        yield from self._open.values()
        yield from (case for _, _, case in self._closed)

    def overlapping(self, case: Case) -> list[Case]:
        """The other cases at the same victim at the same time, in the order of their onset."""
        others = [
            other
            for other in self._at[case.victim]
            if other is not case and other.first_ns <= case.last_ns and case.first_ns <= other.last_ns
        ]
        return sorted(others, key=onset)

    def _take(self, finding: Finding[Any], now_ns: int) -> None:
        key = (finding.victim, finding.prefix, finding.vector, finding.verdict)
        before = self._lately.get(finding.epoch - 1, {}).get(key)
        self._lately.setdefault(finding.epoch, {})[key] = finding
        split = before is not None and not finding.over and unite(before, finding)
        if before is not None and split and finding.over and before.part:
            self._take_in(key, before, now_ns)
        if not finding.part:
            self._take_in(key, finding, now_ns, split=split)
        if key not in self._open:
            pending = self._pending.get(key)
            self.nearest.note(finding, 0 if pending is None else pending.streak)

    def _take_in(self, key: Key, finding: Finding[Any], now_ns: int, *, split: bool = False) -> None:
        """A finding, of which a burst that the edge of an epoch splits is no edge of a pulse (``split``)."""
        case = self._open.pop(key, None)
        if case is not None and finding.epoch - case.epoch > DORMANT:
            self._close(case)
            case = None
        if case is None:
            self._try(key, finding, now_ns, split=split)
            return
        self._open[key] = case
        if finding.epoch > case.epoch and case.ended(max(_begin(finding), case.epoch)):
            if not (finding.over or _enough(finding)):
                return
            case.pulses += 1
        if case.weak:
            self._strengthen(case, finding, split=split)
        case.add(finding)
        self.current.add(case)

    def _try(self, key: Key, finding: Finding[Any], now_ns: int, *, split: bool) -> None:
        """A finding about what is no verdict yet."""
        case = self._pending.pop(key, None)
        if case is None or _stale(case, finding):
            parts = finding.alone and finding.persist <= FEW
            bursts = (parts or finding.persist == LOUD_PERSIST) and finding.verdict in FLOODS
            if not finding.over and finding.weight is None and not bursts:
                return
            case = new_case(finding)
        self._strengthen(case, finding, split=split)
        case.add(finding)
        if case.weak and not _enough(finding):
            self._pending[key] = case
            return
        if case.weak and finding.weight is not None:
            case.floor, case.held = finding.weight.floor, finding.weight.gathered
        case.open(now_ns)
        self.nearest.drop(finding)
        self._open[key] = case
        self._at.setdefault(case.victim, []).append(case)
        self.current.add(case)

    @staticmethod
    def _strengthen(case: Case, finding: Finding[Any], *, split: bool) -> None:
        """Count epochs over the floor; enough of them in a row and it is more than weak evidence."""
        case.edge = None if split else case.edge
        case.streak = _streak(case, finding)
        case.edge = None if split else _edge(case, finding)
        case.persist = finding.persist
        if case.streak >= finding.persist:
            case.weak = False
            case.floor = finding.floor
            case.held = finding.count if finding.held is None else finding.held

    def _close(self, case: Case) -> None:
        """Keep a closed case; where there are too many, forget the smallest."""
        case.settle_window()
        self._closed_sources += len(case.settled)
        self._closes += 1
        heapq.heappush(self._closed, (case.count, self._closes, case))
        while len(self._closed) > CLOSED_MOST or self._closed_sources > CLOSED_SOURCES_MOST:
            _, _, least = heapq.heappop(self._closed)
            self._closed_sources -= len(least.settled)
            self.forgotten += 1
            self.current.discard(least)
            self._at[least.victim].remove(least)
            if not self._at[least.victim]:
                del self._at[least.victim]


def onset(case: Case) -> tuple[int, Vector, Address]:
    """By what cases are told in order."""
    return case.first_ns, case.vector, case.victim


def unite(before: Finding[Any], finding: Finding[Any]) -> bool:
    """Does the edge between two epochs split a burst that is over the floor in a quarter of a second?

    Where neither part is over it, the later one is from now on.
    """
    if not finding.alone or before.beats is None or finding.beats is None:
        return False
    counts = before.count, finding.count
    held = round(busiest_quarter(finding.epoch, counts, (before.beats, finding.beats)))
    if held < max(finding.floor.count, finding.limit / EPOCHS_PER_SECOND):
        return False
    if not before.over:
        finding.over, finding.held = True, held
    return True


def _begin(finding: Finding[Any]) -> int:
    """The first epoch that it counts: what went on from the last finding to this one was no pause."""
    return finding.stretches[0][0] if finding.stretches else finding.epoch


def _streak(case: Case, finding: Finding[Any]) -> int:
    """Epochs over the floor so far, with this one."""
    before, persist, burst = case.streak, finding.persist, finding.count
    if finding.epoch - case.epoch == 1:
        burst += case.newest_count
        if case.edge == "falling":
            before = 0  # what goes on below the floor is no edge of a pulse
    if finding.over:
        return before + (2 if persist == LOUD_PERSIST and burst >= LOUD * finding.floor.count else 1)
    return before if persist <= FEW else 0


def _edge(case: Case, finding: Finding[Any]) -> Edge | None:
    """What an epoch below the floor may be, where there is silence on its other side."""
    near = EDGE * finding.floor.count <= finding.count < finding.floor.count
    if finding.over or near or finding.weight is not None:
        return None
    return "falling" if case.edge is None and finding.epoch - case.epoch == 1 else "rising"


def _stale(case: Case, finding: Finding[Any]) -> bool:
    """A finding is no more about what was pending: that lies too far back, began no pulse, or is in it."""
    apart = finding.epoch - case.epoch
    told = finding.stretches is not None and finding.over and finding.persist == 1
    if told and _begin(finding) <= case.epoch:
        return True
    few = case.persist <= FEW
    patience = LULL if case.verdict in FLOODS and few else PATIENCE - 1
    return apart > patience or (few and case.edge == "rising" and (apart != 1 or not finding.over))


def _enough(finding: Finding[Any]) -> bool:
    """Evidence adds up to what names it, whatever one epoch holds."""
    return finding.weight is not None and finding.weight.enough


def _silent(cases: dict[Key, Case], epoch: int, patience: int) -> list[Key]:
    """Cases without a finding for so long, and those that are too many, the longest silent first."""
    surplus = len(cases) - CASES_MOST
    out = list[Key]()
    for key, case in cases.items():
        if abs(epoch - case.epoch) <= patience and len(out) >= surplus:
            break
        out.append(key)
    return out
