"""Recent epochs of each loaded victim, and the view of them that detectors judge.

Handshakes need a round trip, so SYNs are judged one epoch late, with the ACKs that followed. A view therefore
carries the epoch that just closed and the one before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from .._sketches import hll_estimate
from ..config.limits import Limits
from ..model.address import Address
from ..model.epoch import (
    CARRIER,
    CLASS_OTHER,
    CLASS_SYN,
    CLASS_TCP,
    CLASS_UDP,
    CLASSES,
    EPOCHS_PER_SECOND,
    FRAGMENT,
    ICMP,
    MALFORMED,
    OTHER,
    SYN,
    SYNACK,
    TCP_ODD,
    UDP,
)
from ..model.finding import Weight
from ..model.summary import Summary
from .baseline import Baseline
from .evidence import Evidence, SequentialTest
from .interest import bursting
from .memory import Memory
from .tries import Tries

KINDS_OF = {
    CLASS_SYN: [SYN],
    CLASS_UDP: [UDP],
    CLASS_OTHER: [ICMP, FRAGMENT, OTHER, CARRIER, MALFORMED],
    CLASS_TCP: list(range(SYNACK, TCP_ODD + 1)),
}
"""Kinds of packets that make a class, where sources are kept by it."""
KEEP = 5
"""Epochs that a track remembers: one second, and the one that is judged late."""
MAX_TRACKS = 4096
SCAN_SOURCES, SCAN_PORTS, SCAN_TRIES = 8, 40, 6
"""So few sources that try so many ports in an epoch, each so often at most, look for services."""
SCATTERED = 3
"""Blocks without Internet clients in one epoch from which random addresses explain them."""
SWEEP = 3 * 65_536
"""Packets that try every port of a host three times; what goes on after them looks for nothing."""
RISE = 1.5
"""How much more than at first is no rise yet."""
BEGIN = 2
"""Epochs in which an analysis begins: the first one is hardly ever whole."""
Metric: TypeAlias = Literal["udp", "requests", "turns", "connections"]


def source_registers(row: np.void, source_class: int) -> NDArray[np.uint8]:
    """HyperLogLog registers (p = 10) of one of a victim's source sets."""
    registers: NDArray[np.uint8] = row["sources"].reshape(len(CLASSES), -1)[source_class]
    return registers


def distinct_sources(row: np.void, source_class: int) -> float:
    """Estimated distinct sources of one of a victim's source sets in one epoch; few of them are exact."""
    return float(round(hll_estimate(np.ascontiguousarray(source_registers(row, source_class)))))


def union(registers: Sequence[NDArray[np.uint8]]) -> float:
    """Estimated distinct items of several sketches together."""
    return hll_estimate(np.ascontiguousarray(np.maximum.reduce(registers))) if registers else 0.0


def counted(row: np.void, metric: Metric) -> int:
    """One of the counters of which ``View.unchanged`` knows how it began."""
    if metric == "turns":
        return int(row["sealed"]["turns"].sum())
    if metric == "connections":
        return int(row["finished"]) + int(row["followed"])
    return int(row["kinds"]["packets"][UDP] if metric == "udp" else row["requests"])


@dataclass(slots=True)
class Track:
    """One victim's last epochs."""

    address: Address
    rows: deque[tuple[int, np.void]] = field(default_factory=lambda: deque(maxlen=KEEP))
    sent: int = 0
    judged: int = -1
    """The last epoch whose SYNs were judged."""
    swept: int = 0
    tries: Tries = field(default_factory=Tries)
    """Packets of few sources to ever other ports since it is loaded, and what the SYNs among them tried."""
    early: bool = False
    """It was loaded when the analysis began, and ever since ..."""
    at_first: dict[str, int] = field(default_factory=dict)
    """... and so much was counted in an epoch at first."""

    def row(self, epoch: int) -> np.void | None:
        """The row of one epoch, or None if the victim was quiet."""
        for number, row in self.rows:
            if number == epoch:
                return row
        return None


@dataclass(frozen=True, slots=True)
class View:
    """One victim at the end of one epoch."""

    track: Track
    epoch: int
    row: np.void | None
    before: np.void | None
    final: bool
    baseline: Baseline
    evidence: Evidence
    limits: Limits
    heavy: Callable[[], NDArray[np.void]]

    @property
    def one_way(self) -> bool:
        """The victim was never seen to send: only the inbound half can be judged."""
        return self.track.sent == 0

    def usual(self, metric: str, late: int = 0) -> float | None:
        """The victim's usual rate per second of one of ``baseline.METRICS``, ``late`` (0, 1) epochs ago."""
        row = self.row if self.row is not None else self.before
        return None if row is None else self.baseline.usual(int(row["reference"]), metric, self.epoch - late)

    def weight(self, *tests: SequentialTest) -> Weight | None:
        """What adds up by the loudest of these tests; None: nothing worth a look."""
        row = self.row if self.row is not None else self.before
        return None if row is None else self.evidence.of(int(row["reference"]), tests)

    def sweeps(self, packets: int) -> bool:
        """So many packets more that few sources sent to ever other ports are still a look for services."""
        self.track.swept += packets
        return self.track.swept <= SWEEP

    def unchanged(self, metric: Metric) -> bool:
        """It was so when the analysis began, and did not grow: no onset was seen.

        In the first second that cannot be told yet, and is taken to be so; what ends with it was no habit.

        Args:
            metric: ``requests``, ``connections``, ``udp`` for packets of UDP, or ``turns`` of TLS and QUIC.
        """
        first, rows = self.track.at_first.get(metric, 0), self.recent()
        if not self.track.early:
            return False
        if len(rows) < EPOCHS_PER_SECOND:
            return not self.final
        return sum(counted(row, metric) for row in rows) <= RISE * first * len(rows)

    def limit(self, metric: str) -> float:
        """The rate a second above which the budget of false alarms allows to name something; 0: any."""
        usual = self.usual(metric)
        row = self.row if self.row is not None else self.before
        if usual is None or row is None:
            return 0.0
        spread = self.baseline.spread(int(row["reference"]), metric, self.epoch)
        if spread is None:
            return 0.0
        return EPOCHS_PER_SECOND * self.limits.beyond(usual / EPOCHS_PER_SECOND, spread)

    def nowhere(self, row: np.void, source_class: int) -> tuple[float, float]:
        """Packets of one class from reserved addresses, and from blocks without Internet clients.

        The latter count where several blocks are hit: some networks use one of them as if it was private.
        """
        scattered = int(row["dark_blocks"][source_class]).bit_count() >= SCATTERED
        return float(row["bogons"][source_class]), float(row["dark"][source_class]) if scattered else 0.0

    def recent(self) -> list[np.void]:
        """Rows of the last second, newest last."""
        return [row for number, row in self.track.rows if number > self.epoch - EPOCHS_PER_SECOND]

    def lately(self, name: str, kind: int | None = None) -> int:
        """A counter over the last second; with ``kind`` the packets of that kind."""
        return sum(int(row[name] if kind is None else row[name]["packets"][kind]) for row in self.recent())

    def sealed(self, name: str, over: int | None = None) -> int:
        """A counter of what TLS (0) or QUIC (1) hide, or of both, over the last second."""
        counts = (row["sealed"][name] for row in self.recent())
        return sum(int(count.sum() if over is None else count[over]) for count in counts)

    def rate(self, name: str) -> float:
        """The same a second, also where the second has just begun."""
        return self.lately(name) * EPOCHS_PER_SECOND / max(len(self.recent()), 1)

    def senders(self, source_class: int) -> float:
        """Estimated distinct sources of the last second."""
        return union([source_registers(row, source_class) for row in self.recent()])


class Tracker:
    """Tracks of every victim worth a look; at most ``MAX_TRACKS``, the stalest forgotten first."""

    def __init__(self, memory: Memory, limits: Limits, tests: Sequence[SequentialTest] = ()) -> None:
        self._limits = limits
        self._evidence = Evidence(tests, limits.needed)
        self._tracks: dict[Address, Track] = {}
        self.baseline = Baseline(memory)
        self.received = self.sent = 0
        self._begun: int | None = None

    def begin(self, epoch: int) -> None:
        """The first epoch that is looked at; the first that has packets, where nobody says."""
        self._begun = epoch if self._begun is None else self._begun

    def heed(self, limits: Limits) -> None:
        """Hold what comes against these limits from now on."""
        self._limits = limits
        self._evidence.need(limits.needed)

    @property
    def looking(self) -> bool:
        """Some victim was worth a look in the last second."""
        return bool(self._tracks)

    def views(self, summary: Summary) -> list[View]:
        """Views of all victims that are or were loaded; call ``close_epoch`` afterwards."""
        victims, epoch = summary.victims, summary.epoch
        self.begin(epoch)
        if summary.gap:
            self._forget_gap(epoch)
            self.baseline.bridge(epoch)
        interesting = bursting(victims) | self._evidence.update(victims, epoch, coarse=summary.coarse)
        for index in np.flatnonzero(interesting | self._tracked(victims)):
            self._add(victims[index], epoch)
        return [view for track in self._tracks.values() if (view := self._view(track, summary)) is not None]

    def _view(self, track: Track, summary: Summary) -> View | None:
        epoch = summary.epoch
        row, before = track.row(epoch), track.row(epoch - 1)
        if row is None and before is None:
            return None
        return View(track, epoch, row, before, summary.final, self.baseline, self._evidence, self._limits,
                    summary.heavy)  # fmt: skip

    def row(self, victim: Address, epoch: int) -> np.void | None:
        """What a victim that is worth a look got in one of the last epochs, or None."""
        track = self._tracks.get(victim)
        return None if track is None else track.row(epoch)

    def close_epoch(self, summary: Summary) -> None:
        """Learn the epoch's rates and forget tracks that went quiet."""
        if len(summary.victims):
            packets = summary.victims["kinds"]
            self.received += int(packets["packets"].sum())
            self.sent += int(packets["out"].sum())
        self.baseline.update(summary.victims, summary.epoch)
        stale = [a for a, t in self._tracks.items() if not t.rows or t.rows[-1][0] < summary.epoch - KEEP]
        for address in stale:
            del self._tracks[address]
        while len(self._tracks) > MAX_TRACKS:
            del self._tracks[min(self._tracks, key=lambda a: self._tracks[a].rows[-1][0])]

    def _tracked(self, victims: np.ndarray) -> np.ndarray:
        if not self._tracks:
            return np.zeros(len(victims), bool)
        pairs = zip(victims["hi"].tolist(), victims["lo"].tolist(), strict=True)
        return np.fromiter((pair in self._tracks for pair in pairs), bool, len(victims))

    def _add(self, row: np.void, epoch: int) -> None:
        address = (int(row["hi"]), int(row["lo"]))
        track = self._tracks.setdefault(address, Track(address, early=self._begins(epoch)))
        if track.early and self._begins(epoch):
            for metric in get_args(Metric):
                track.at_first[metric] = max(track.at_first.get(metric, 0), counted(row, metric))
        track.rows.append((epoch, row))
        track.sent += int(row["kinds"]["out"].sum())

    def _begins(self, epoch: int) -> bool:
        return self._begun is not None and 0 <= epoch - self._begun < BEGIN

    def _forget_gap(self, epoch: int) -> None:
        """After a silence or a clock step, what lies outside the last second is no context any more."""
        for track in self._tracks.values():
            kept = [(n, row) for n, row in track.rows if epoch - KEEP < n < epoch]
            track.rows.clear()
            track.rows.extend(kept)
            track.judged = -1 if track.judged >= epoch else track.judged
