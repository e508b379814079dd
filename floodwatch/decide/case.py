"""A case: everything gathered about one victim and vector, from the first finding on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
from msgspec.structs import replace as replaced
from numpy.typing import NDArray

from ..detectors import family_of
from ..detectors.family import Family
from ..model.address import Address, address_text
from ..model.decision import SOURCES_MOST
from ..model.event import Verdict
from ..model.finding import Finding, Floor, Gathered, Own, SourceCount, SourceKey, Via
from ..model.vector import Vector
from .course import Course
from .greeters import Greeters
from .pace import Pace

KEYS_MOST = 256
VIA_MOST = 64
"""Proxies that a case remembers."""
SEEN_MOST = 64
"""Sources that are seen and not proven, of which at least a twentieth each is told."""
HELD = 0.8
"""Share of the count that one port or path holds, from which it is named."""
LAST_SECOND = 253_402_300_799
"""The end of the year 9999."""

STRETCHES_MOST = 60
"""Stretches of time that are told apart; of more, the two with the shortest pause between them become one."""

K = TypeVar("K")
Edge: TypeAlias = Literal["rising", "falling"]


@dataclass(slots=True, eq=False)
class Case:
    """Everything gathered about one victim and vector; becomes an event once ``opened``, with its ``id``."""

    vector: Vector
    verdict: Verdict
    victim: Address
    prefix: int | None
    protocol: str
    baseline: float | None
    first_ns: int
    last_ns: int
    epoch: int
    floor: Floor
    gathered: Gathered[Any]
    id: str = ""
    streak: int = 0
    persist: int = 1
    weak: bool = True
    """It was never over its floor for as long as it takes: only evidence that adds up can name it."""
    course: Course = field(default_factory=Course)
    detected_ns: int = 0
    epochs: int = 0
    count: int = 0
    newest_count: int = 0
    """What the newest finding counted ..."""
    edge: Edge | None = None
    """... and, where that was below the floor, which edge of a pulse it may be."""
    bytes: int = 0
    pace: Pace = field(default_factory=Pace)
    bounds: tuple[Pace, Pace] | None = None
    """Where it is estimated: of what was counted at least, and at most."""
    pulses: int = 1
    one_way: bool = True
    told_epoch: int = -1
    told_ended: bool = False
    limit: float = 0.0
    held: float = 0.0
    """What was held against the floor when it became a verdict."""
    quarters: int = 0
    """Epochs that its numbers are of ..."""
    stretches: list[list[int]] = field(default_factory=list)
    """... as pairs of the first one and the one after the last."""
    ports: Counter[int] = field(default_factory=Counter)
    paths: Counter[str] = field(default_factory=Counter)
    via: Counter[Via] = field(default_factory=Counter)
    spared: set[SourceKey] = field(default_factory=set)
    sources: NDArray[np.uint8] | None = None
    own: Own | None = None
    greeters: Greeters | None = None
    top: dict[SourceKey, SourceCount] = field(default_factory=dict)
    settled: dict[SourceKey, SourceCount] = field(default_factory=dict)
    seen: dict[SourceKey, SourceCount] = field(default_factory=dict)
    before: dict[SourceKey, int] = field(default_factory=dict)
    """What sources sent before it began, in the window in which it did."""
    newest: set[SourceKey] = field(default_factory=set)
    """Who was listed last ..."""
    least: int = 0
    """... and the least upper bound among these."""
    windows: int = 0
    """Windows of the heavy-hitter table that it lasted, as far as they are settled ..."""
    settled_epochs: int = 0
    """... which they are up to so many of its ``epochs``."""

    @property
    def opened(self) -> bool:
        """It became a verdict."""
        return bool(self.id)

    @property
    def family(self) -> Family[Any]:
        """What judges it."""
        return family_of(self.vector, self.verdict)

    @property
    def where(self) -> str:
        """The victim as users read it."""
        return address_text(self.victim) + ("" if self.prefix is None else f"/{self.prefix}")

    @property
    def port(self) -> int | None:
        """The victim's port, where one holds most of it."""
        return winner(self.ports, self.count)

    def ended(self, epoch: int) -> bool:
        """Its last finding is so far from this epoch that it counts as ended; clocks are set back, too."""
        return abs(epoch - self.epoch) > self.family.hold

    def open(self, now_ns: int) -> None:
        """It is a verdict from now on: its id says since when, what, and where."""
        self.detected_ns = now_ns
        since = datetime.fromtimestamp(min(self.first_ns // 10**9, LAST_SECOND), UTC)
        port = "any" if self.port is None else self.port
        self.id = f"{since:%Y%m%dT%H%M%SZ}-{self.vector}-{self.where}-{port}"

    def add(self, finding: Finding[Any]) -> None:
        """Take in one epoch over or near the floor."""
        self.epochs += 1
        self.count += finding.count + finding.earlier
        self.newest_count = finding.count
        self.bytes += finding.bytes
        self.limit = max(self.limit, finding.limit)
        self.last_ns = max(self.last_ns, finding.last_ns)
        self.epoch = finding.epoch
        self.one_way = self.one_way and finding.one_way
        alone = [(finding.epoch, finding.epoch + 1)]
        for first, end in alone if finding.stretches is None else finding.stretches:
            self._stretch(first, end)
        self._time(finding)
        self.gathered.add(finding.facts)
        _vote(self.ports, finding.ports)
        _vote(self.paths, finding.paths)
        for via, carried in finding.via[:VIA_MOST]:
            if via in self.via or len(self.via) < VIA_MOST:
                self.via[via] += round(carried)
        for key in finding.spared:  # what it was taken for before it was known to be a proxy
            self.top.pop(key, None)
            self.settled.pop(key, None)
        self.spared.update(finding.spared[: VIA_MOST - len(self.spared)])
        if finding.sources is not None:
            self._merge(finding.sources, finding.own)
        if finding.greeted is not None:
            self.greeters = self.greeters or Greeters()
            self.greeters.add(finding.greeted)
        if finding.beats is not None:
            self.course.add(finding.epoch, finding.beats)
        if finding.top:
            self.newest = {source.key for source in finding.top}
            self.least = min(source.hi for source in finding.top)
        for source in finding.top:
            # in the window in which it began, what came before does not count
            early = 0 if self.windows else self.before.setdefault(source.key, source.before)
            self.top[source.key] = replaced(source, lo=source.lo - early)
        for source in finding.seen:
            _sum(self.seen, source)
        if len(self.seen) > 2 * SEEN_MOST:
            kept = sorted(self.seen.values(), key=lambda s: -s.lo)[:SEEN_MOST]
            self.seen = {source.key: source for source in kept}

    def _merge(self, registers: NDArray[np.uint8], own: Own | None) -> None:
        """Add one epoch's sources; of two in one register the higher rank stays, as in the engine."""
        if self.sources is None:
            self.sources, self.own = registers.copy(), own
            return
        if self.own is not None and own is not None:
            new = (registers > self.sources) | ((registers == self.sources) & (own.order > self.own.order))
            self.own = Own(*(np.where(new, of, before) for of, before in zip(own, self.own, strict=True)))
        self.sources = np.maximum(self.sources, registers)

    def _stretch(self, first: int, end: int) -> None:
        """Note the epochs that a finding counted; those of two detectors may overlap."""
        if self.stretches and self.stretches[-1][0] <= first < self.stretches[-1][1]:
            first = min(self.stretches[-1][1], end)
        self.quarters += end - first
        if self.stretches and self.stretches[-1][1] == first:
            self.stretches[-1][1] = end
            return
        self.stretches.append([first, end])
        if len(self.stretches) > STRETCHES_MOST:
            pauses = [after[0] - before[1] for before, after in pairwise(self.stretches)]
            at = pauses.index(min(pauses))
            self.stretches[at : at + 2] = [[self.stretches[at][0], self.stretches[at + 1][1]]]

    def _time(self, finding: Finding[Any]) -> None:
        if finding.estimated is not None and self.bounds is None:
            self.bounds = self.pace.copy(), self.pace.copy()
        epoch, begin = finding.epoch, finding.epoch - finding.quarters + 1
        parts = list(_spread(finding.count, range(begin, epoch + 1)))
        self.pace.add(parts, newest=epoch, busiest=finding.busiest)
        for pace, bound in zip(self.bounds or (), finding.estimated or (None, None), strict=False):
            pace.add(parts if bound is None else [(epoch, bound)], newest=epoch, busiest=finding.busiest)
        if finding.earlier:
            before = [at for first, end in finding.stretches or () for at in range(first, min(end, begin))]
            for at, part in _spread(finding.earlier, before or [begin]):
                for pace in (self.pace, *(self.bounds or ())):
                    pace.step(at, part)

    def settle_window(self) -> None:
        """The heavy-hitter window ends: what it proved about sources is added up."""
        if self.settled_epochs == self.epochs:
            return
        self.settled_epochs = self.epochs
        self.windows += 1
        for key, new in self.top.items():
            if key in self.settled or len(self.settled) < SOURCES_MOST:
                # who fell out of the table sent no more than the least in it (Space-Saving)
                most = new.hi if key in self.newest else max(new.hi, self.least)
                _sum(self.settled, replaced(new, hi=most, windows=int(key in self.newest)))
        self.top.clear()
        self.before = {}

    def so_far(self) -> Case:
        """A copy that adds up what the open window proved until now, without ending it."""
        copy = replace(self, top=dict(self.top), settled=dict(self.settled))
        copy.settle_window()
        return copy

    @property
    def peak(self) -> float:
        """The most in any one second; of what is estimated the middle of its bounds, as their factors go."""
        return self.pace.peak if self.bounds is None else between(*(pace.peak for pace in self.bounds))

    def timeline(self, bins: int) -> tuple[float, ...]:
        """Rates per second from first to last in at most ``bins`` equal steps."""
        if self.bounds is None:
            return self.pace.timeline(bins, self.stretches)
        return tuple(map(between, *self.bounded(bins)))

    def bounded(self, bins: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The same at least, and at most; empty where nothing is estimated."""
        low, high = (pace.timeline(bins, self.stretches) for pace in self.bounds or (Pace(), Pace()))
        return low, high


def between(low: float, high: float) -> float:
    """The middle of two bounds: as many times the one as the other is of it."""
    return round(math.sqrt(low * high), 1)


def winner(table: Counter[K], count: int) -> K | None:
    """The key that holds most of the count, or None: scattered ports and paths are not named."""
    if not table:
        return None
    key, held = max(table.items(), key=lambda item: (item[1], str(item[0])))
    return key if held >= HELD * count and held > 0 else None


def _sum(sources: dict[SourceKey, SourceCount], new: SourceCount) -> None:
    """Add one source's bounds to those it has."""
    old = sources.get(new.key)
    if old is not None:
        new = replaced(
            new,
            lo=old.lo + new.lo,
            hi=old.hi + new.hi,
            windows=old.windows + new.windows,
            proof=new.proof if old.proof == "forwarded" else old.proof,
            shared=old.shared or new.shared,
            ja4=new.ja4 or old.ja4,
        )
    sources[new.key] = new


def _spread(count: int, epochs: Sequence[int]) -> Iterator[tuple[int, int]]:
    """A count in equal parts over epochs, the rest on the last one."""
    part = count // len(epochs)
    for epoch in epochs[:-1]:
        yield epoch, part
    yield epochs[-1], count - part * (len(epochs) - 1)


def _vote(table: Counter[K], found: Iterable[tuple[K, int]]) -> None:
    for key, n in found:
        table[key] += n
    if len(table) > 2 * KEYS_MOST:
        kept = table.most_common(KEYS_MOST)
        table.clear()
        table.update(dict(kept))


def new_case(finding: Finding[Any]) -> Case:
    """A case that begins with this finding."""
    return Case(
        vector=finding.vector,
        verdict=finding.verdict,
        victim=finding.victim,
        prefix=finding.prefix,
        protocol=finding.protocol,
        baseline=finding.baseline,
        first_ns=finding.first_ns,
        last_ns=finding.last_ns,
        epoch=finding.epoch,
        floor=finding.floor,
        gathered=Gathered(type(finding.facts)),
    )
