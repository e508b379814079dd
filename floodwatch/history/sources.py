"""Which sources of a victim behave like machines: rates and habits from the heavy-hitter table."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.epoch import EPOCHS_PER_SECOND
from ..model.finding import SourceCount
from ..model.summary import Summary

FAST = 12.5
"""Requests a second of one source over the last second, beyond one person's pace ..."""
VARIETY = 0.2
"""... if at most this share of its requests are for different paths ..."""
ASSETS = 0.3
"""... and at most this share fetches what pages pull in."""
VERY_FAST = 50.0
"""Requests a second without the parts of pages that no mix of paths excuses."""
BARE = 0.03
STEADY = 25.0
"""Half as many, where it asked ..."""
LONG = 40
"""... so often in the window: a page of calls to an API is a burst, and then its reader reads."""
HABIT = 8
"""Requests in the window from which a habit shows, at any rate."""
DEVOTED = 3
"""Requests that show it where one path is flooded, if all are for that path and nothing else."""
SAME = 0.8
"""Share of requests for the same path as the one before."""


SLACK = 5.0
"""Times of its pace before the flood that a source may ask and still be taken for what it was."""
MAX_PACES = 65_536


class Windows:
    """The heavy-hitter table over time, rows with requests only: now, an epoch and a second ago, and at the
    end of the window before.

    Attributes:
        number: of the window, from 0 on.
        age: epochs of it that have closed.
        earlier: the table at the end of the window before, or None.
    """

    def __init__(self) -> None:
        self.number = self.age = 0
        self.earlier: NDArray[np.void] | None = None
        self._second: deque[NDArray[np.void]] = deque(maxlen=EPOCHS_PER_SECOND)
        self._now: NDArray[np.void] | None = None

    def now(self, summary: Summary) -> NDArray[np.void]:
        """The table at the end of this epoch."""
        if self._now is None:
            self._now = asking(summary.heavy())
        return self._now

    @property
    def newest(self) -> NDArray[np.void] | None:
        """The table one epoch ago, or None at the start of a window."""
        return self._second[-1] if self._second else None

    @property
    def before(self) -> NDArray[np.void] | None:
        """The table about a second ago, ``epochs`` before the end of this one; None as above."""
        return self._second[0] if self._second else None

    @property
    def epochs(self) -> int:
        """Length of the stretch over which a rate is taken, in epochs."""
        return max(len(self._second), 1)

    def close_epoch(self, summary: Summary) -> None:
        """Keep this epoch's table for the rates of the next ones."""
        if self._now is None and (summary.victims["requests"] == 0).all() and self._second:
            self._second.append(self._second[-1])  # nobody asked, so the table stands as it was
        else:
            self._second.append(self.now(summary))
        self.age += 1
        if summary.window_ends:
            self.earlier = self._now
            self._second.clear()
            self.age = 0
            self.number += 1
        self._now = None


@dataclass(frozen=True, slots=True)
class Machines:
    """Heavy-table rows of the sources that are machines, and their requests in the last epoch.

    ``rows`` hold the window before as well, for habits; what a source sent in this window is in ``window``, what
    it asked in the last epoch in ``last``.
    """

    rows: NDArray[np.void]
    window: NDArray[np.void]
    last: NDArray[np.int64]

    @property
    def requests(self) -> int:
        """Requests of them all in the last epoch."""
        return int(self.last.sum())


def machines(
    victim: int, summary: Summary, windows: Windows, paces: Paces, only: int | None = None
) -> Machines:
    """Pick the machines among one victim's sources.

    Args:
        victim: the victim's slot reference.
        summary: the epoch.
        windows: the tables of before.
        paces: how fast the sources asked before.
        only: keyed hash of the one path that is flooded, where there is one.
    """
    now = windows.now(summary)
    rows = now[now["victim"] == victim]
    if not len(rows):
        return Machines(rows, rows, np.zeros(0, np.int64))
    total = rows["requests"].astype(np.int64)
    last = total - requests_in(windows.newest, rows)
    second = (total - requests_in(windows.before, rows)) * (EPOCHS_PER_SECOND / windows.epochs)
    habit = with_earlier(rows, windows.earlier)
    chosen = _behaves_like_machine(habit, second)
    if only is not None:
        bit = np.uint64(1) << np.uint64(only >> 58)
        chosen |= (habit["requests"] >= DEVOTED) & (habit["paths"] == bit) & (habit["assets"] == 0)
    chosen &= ~paces.kept(rows, second)
    return Machines(habit[chosen], rows[chosen], last[chosen])


class Paces:
    """How fast each source asked while nothing was wrong: whoever keeps to it is no part of a flood.

    A bot that was slow before and is fast now does not keep to it.
    """

    def __init__(self) -> None:
        self._pairs = np.zeros(0, np.uint64)
        self._rates = np.zeros(0)
        self._since = np.zeros(0)
        self._window = -1

    def learn(self, rows: NDArray[np.void], asked: NDArray[np.int64], seconds: float, window: int) -> None:
        """Note the paces of pairs that are in no flood, once a second.

        A pace is taken from the second in which a pair first asked: who comes at the end of a window would
        seem slow if it was taken from the beginning of the window.

        Args:
            rows: the table, ``seconds`` after its window began.
            asked: requests of the same pairs, in the same window, up to a second before.
            seconds: see above.
            window: number of the window.
        """
        pairs = rows["pair_hash"].astype(np.uint64)
        since = np.where(asked == 0, seconds - 1, 0.0)
        if window == self._window and len(self._pairs):
            at, known = positions(self._pairs, pairs)
            since = np.maximum(since, np.where(known, self._since[at], 0.0))
        # two more: the first second was no whole one, and a few requests tell a pace only roughly
        rates = (rows["requests"] + 2.0) / (seconds - since)
        silent = ~np.isin(self._pairs, pairs)  # they keep their paces; where room is short the newest stay
        pairs = np.concatenate([pairs, self._pairs[silent]])[:MAX_PACES]
        rates = np.concatenate([rates, self._rates[silent]])[:MAX_PACES]
        since = np.concatenate([since, np.zeros(int(silent.sum()))])[:MAX_PACES]
        order = np.argsort(pairs)
        self._pairs, self._rates, self._since = pairs[order], rates[order], since[order]
        self._window = window

    def knows(self, rows: NDArray[np.void]) -> NDArray[np.bool_]:
        """Which sources asked before, while nothing was wrong."""
        if not len(self._pairs):
            return np.zeros(len(rows), bool)
        return positions(self._pairs, rows["pair_hash"])[1]

    def kept(self, rows: NDArray[np.void], rate: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which sources ask no more than ``SLACK`` times as fast as they did before."""
        if not len(self._pairs):
            return np.zeros(len(rows), bool)
        at, known = positions(self._pairs, rows["pair_hash"])
        kept: NDArray[np.bool_] = known & (rate <= SLACK * self._rates[at])
        return kept


def source_counts(
    rows: NDArray[np.void], least: str, most: str, last: NDArray[np.int64] | None = None
) -> list[SourceCount]:
    """Bounds of what each source of these rows sent.

    Args:
        rows: of the heavy-hitter table.
        least: the field that certainly counts.
        most: the field that counts at most, with the packets that came before admission.
        last: what of ``least`` came in the last epoch, where that is known.
    """
    before = np.zeros(len(rows), np.int64) if last is None else rows[least].astype(np.int64) - last
    return [
        SourceCount(int(r["source"]), bool(r["v6"]), int(r[least]), int(r[most]) + int(r["missed"]), early)
        for r, early in zip(rows, before.tolist(), strict=True)
    ]


def asking(heavy: NDArray[np.void]) -> NDArray[np.void]:
    """The rows with requests, by pair: the form in which ``machines`` takes its tables."""
    rows = heavy[heavy["requests"] > 0]
    return rows[np.argsort(rows["pair_hash"])]


def _behaves_like_machine(rows: NDArray[np.void], rate: NDArray[np.float64]) -> NDArray[np.bool_]:
    requests = rows["requests"].astype(np.float64)
    variety = distinct_paths(rows["paths"]) / np.maximum(requests, 1)
    assets = rows["assets"] / np.maximum(requests, 1)
    same = rows["repeats"] / np.maximum(requests - 1, 1)
    monotonous = (rate >= FAST) & (variety <= VARIETY) & (assets <= ASSETS)
    relentless = (rate >= VERY_FAST) & (assets <= BARE)
    steady = (rate >= STEADY) & (requests >= LONG) & (assets <= BARE)
    stuck = (requests >= HABIT) & (same >= SAME) & (assets <= BARE)
    chosen: NDArray[np.bool_] = (requests >= HABIT) & (monotonous | relentless | steady | stuck)
    return chosen


def distinct_paths(bits: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Linear counting (Whang et al. 1990) on 64 bits; beyond about 250 paths it saturates."""
    zeros = 64.0 - np.bitwise_count(bits).astype(np.float64)
    return 64.0 * np.log(64.0 / np.maximum(zeros, 1.0))


def positions(ordered: NDArray[Any], wanted: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where each wanted value stands among sorted ones (not none), and whether it does."""
    at = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return at, ordered[at] == wanted


def requests_in(
    table: NDArray[np.void] | None, rows: NDArray[np.void], name: str = "requests"
) -> NDArray[np.int64]:
    """What another table says of the requests (or of ``name``) of the same pairs; 0 for those it does not hold."""
    if table is None or not len(table):
        return np.zeros(len(rows), np.int64)
    at, found = positions(table["pair_hash"], rows["pair_hash"])
    return np.where(found, table[name][at].astype(np.int64), 0)


def with_earlier(rows: NDArray[np.void], earlier: NDArray[np.void] | None) -> NDArray[np.void]:
    """Add the previous window's habits to this one's, so that a window that just began is not blind."""
    if earlier is None or not len(earlier):
        return rows
    at, found = positions(earlier["pair_hash"], rows["pair_hash"])
    mine = np.flatnonzero(found)
    if not len(mine):
        return rows
    out, theirs = rows.copy(), earlier[at[mine]]
    for name in ("requests", "packets", "missed"):
        out[name][mine] += theirs[name]
    for name in ("assets", "repeats", "posts", "errors"):  # these saturate in the engine as well
        both = out[name][mine].astype(np.uint32) + theirs[name]
        out[name][mine] = np.minimum(both, 0xFFFF)
    out["paths"][mine] |= theirs["paths"]
    out["proven"][mine] = np.maximum(out["proven"][mine], theirs["proven"])
    return out
