"""Findings over time -> events: hysteresis, one event per victim and vector, pulses included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..config.limits import HABITS
from ..model.address import Address
from ..model.epoch import EPOCH_NS
from ..model.event import Unit, Verdict
from ..model.finding import Finding, SourceCount
from ..model.vector import Vector

HOLD = 12
"""Epochs (3 s) below half the floor after which an event counts as ended."""
HOLD_HABITS = 80
"""The same for what is judged over 20 s: its sources may say nothing for seconds."""
DORMANT = 2400
"""Epochs (10 min) after which its return is a new event and no pulse of the same."""
MAX_TOP = 16_384
MAX_KEYS = 256
MAX_TIMELINE = 4096


@dataclass(slots=True)
class Case:
    """Everything gathered about one victim and vector; becomes an event once ``opened``."""

    vector: Vector
    victim: Address
    protocol: str
    verdict: Verdict
    unit: Unit
    baseline: float | None
    first_ns: int
    last_ns: int
    epoch: int
    prefix: int | None = None
    streak: int = 0
    opened: bool = False
    detected_ns: int = 0
    epochs: int = 0
    count: int = 0
    bytes: int = 0
    peak: int = 0
    pulses: int = 1
    counts: dict[int, int] = field(default_factory=dict)
    recent: dict[int, int] = field(default_factory=dict)
    stride: int = 1
    limit: float = 0.0
    facts: Counter[str] = field(default_factory=Counter)
    ports: Counter[int] = field(default_factory=Counter)
    paths: Counter[str] = field(default_factory=Counter)
    sources: NDArray[np.uint8] | None = None
    top: dict[tuple[int, bool], SourceCount] = field(default_factory=dict)
    settled: dict[tuple[int, bool], SourceCount] = field(default_factory=dict)

    def ended(self, epoch: int) -> bool:
        """There was no finding for so long, at this epoch, that it counts as ended."""
        return epoch - self.epoch > (HOLD_HABITS if self.vector in HABITS else HOLD)

    def add(self, finding: Finding) -> None:
        """Take in one epoch over or near the floor."""
        self.epochs += 1
        self.count += finding.count
        self.limit = max(self.limit, finding.limit)
        self.bytes += finding.bytes
        self.last_ns = max(self.last_ns, finding.last_ns)
        self.epoch = finding.epoch
        self._time(finding.epoch, finding.count)
        self.facts.update(finding.facts)
        self.facts["epochs"] = self.epochs
        for table, found in ((self.ports, finding.keys), (self.paths, finding.paths)):
            for key, n in found:
                table[key] += n  # type: ignore[index]
            if len(table) > 2 * MAX_KEYS:
                kept = table.most_common(MAX_KEYS)
                table.clear()
                table.update(dict(kept))  # type: ignore[arg-type]
        if finding.sources is not None:
            registers = finding.sources
            self.sources = registers.copy() if self.sources is None else np.maximum(self.sources, registers)
        for source in finding.top:
            self.top[source.source, source.v6] = source

    def _time(self, epoch: int, count: int) -> None:
        self.recent[epoch] = self.recent.get(epoch, 0) + count
        for old in [e for e in self.recent if e <= epoch - 4]:
            del self.recent[old]
        self.peak = max(self.peak, sum(self.recent.values()))
        bucket = epoch // self.stride
        self.counts[bucket] = self.counts.get(bucket, 0) + count
        if len(self.counts) > MAX_TIMELINE:
            merged: dict[int, int] = {}
            for key, value in self.counts.items():
                merged[key // 2] = merged.get(key // 2, 0) + value
            self.counts, self.stride = merged, 2 * self.stride

    def settle_window(self) -> None:
        """The heavy-hitter window ends: what it proved about sources is added up."""
        for key, new in self.top.items():
            old = self.settled.get(key)
            if old is None and len(self.settled) >= MAX_TOP:
                continue
            base = old or SourceCount(new.source, new.v6, 0, 0)
            self.settled[key] = SourceCount(new.source, new.v6, base.lo + new.lo, base.hi + new.hi)
        self.top.clear()

    def timeline(self, bins: int) -> tuple[float, ...]:
        """Rates per second from first to last in at most ``bins`` equal steps."""
        if not self.counts:
            return ()
        low, high = min(self.counts), max(self.counts)
        n = min(bins, high - low + 1)
        out = [0.0] * n
        for bucket, count in self.counts.items():
            out[(bucket - low) * n // (high - low + 1)] += count
        seconds = (high - low + 1) * self.stride * EPOCH_NS / 1e9 / n
        return tuple(round(value / seconds, 1) for value in out)


class Decider:
    """Keeps one case per victim, vector and side (flood or crowd)."""

    def __init__(self) -> None:
        self._cases: dict[tuple[Address, int | None, Vector, bool], Case] = {}
        self._closed: list[Case] = []

    def update(self, findings: Iterable[Finding], epoch: int, now_ns: int, *, window_ends: bool) -> None:
        """Take in the findings of one epoch; ``now_ns`` is the packet time at which it closed."""
        for finding in findings:
            self._take(finding, now_ns)
        if window_ends:
            for case in self._cases.values():
                case.settle_window()
        for key, case in list(self._cases.items()):
            quiet = epoch - case.epoch
            if quiet > DORMANT or (not case.opened and quiet > 2):
                del self._cases[key]
                if case.opened:
                    self._closed.append(case)

    def cases(self) -> Iterator[Case]:
        """All opened cases, in the order of their onset."""
        for case in self._cases.values():
            case.settle_window()
        yield from self.opened()

    def opened(self) -> Iterator[Case]:
        """The same cases in the middle of a window: what it proves about sources stays in ``top``."""
        opened = [*self._closed, *(case for case in self._cases.values() if case.opened)]
        yield from sorted(opened, key=lambda case: (case.first_ns, case.vector, case.victim))

    def _take(self, finding: Finding, now_ns: int) -> None:
        key = (finding.victim, finding.prefix, finding.vector, finding.verdict == "crowd")
        case = self._cases.get(key)
        if case is None:
            if not finding.over:
                return
            case = self._cases[key] = _new_case(finding)
        elif case.opened and case.ended(finding.epoch):
            if not finding.over:
                return
            case.pulses += 1
        elif not case.opened and finding.epoch - case.epoch > 1:
            case = self._cases[key] = _new_case(finding)
        case.streak = case.streak + 1 if finding.over else 0
        case.add(finding)
        if not case.opened and case.streak >= finding.persist:
            case.opened = True
            case.detected_ns = now_ns


def _new_case(finding: Finding) -> Case:
    return Case(
        vector=finding.vector,
        victim=finding.victim,
        protocol=finding.protocol,
        verdict=finding.verdict,
        unit=finding.unit,
        baseline=finding.baseline,
        first_ns=finding.first_ns,
        last_ns=finding.last_ns,
        epoch=finding.epoch,
        prefix=finding.prefix,
    )
