"""The heavy-hitter table over time, and how two tables of it are compared pair by pair."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.epoch import EPOCHS_PER_SECOND
from ..model.summary import Summary

SEALED = ("exchanges", "alike", "answered", "small", "turns", "quic_turns", "talk")
"""Counters of a row about TLS and QUIC that do not saturate and are part of a habit."""
TRIED = 12
"""Epochs (3 s) that what was seen stands before it is believed: no flood goes unnoticed for longer ..."""
HELD = 40
"""... and epochs (10 s) after one in which nothing is learnt about its victim."""


def trim(held: dict[Any, Any], most: int) -> None:
    """Forget the oldest entries beyond so many."""
    for oldest in list(islice(held, max(len(held) - most, 0))):
        del held[oldest]


class Windows:
    """The heavy-hitter table over time, rows with requests only: now, an epoch and a second ago, and at the
    end of the window before.

    Args:
        rows: the rows of a table that count, by pair, with requests in the field of that name.
        silent: nobody asked in an epoch, given its victims.

    Attributes:
        number: of the window, from 0 on.
        age: epochs of it that have closed.
        lasted: epochs of the window before.
        earlier: the table at the end of the window before, or None.
        ending: the tables of its last second, the newest last.
    """

    def __init__(
        self,
        rows: Callable[[NDArray[np.void]], NDArray[np.void]] | None = None,
        silent: Callable[[NDArray[np.void]], bool] | None = None,
    ) -> None:
        self._rows, self._silent = rows or asking, silent or nobody_asks
        self.number = self.age = self.lasted = 0
        self.earlier: NDArray[np.void] | None = None
        self.ending: list[NDArray[np.void]] = []
        self._second: deque[NDArray[np.void]] = deque(maxlen=EPOCHS_PER_SECOND)
        self._now: NDArray[np.void] | None = None

    def now(self, summary: Summary) -> NDArray[np.void]:
        """The table at the end of this epoch."""
        if self._now is None:
            self._now = self._rows(summary.heavy())
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

    def lately(self, rows: NDArray[np.void]) -> NDArray[np.float64]:
        """Requests of these pairs, a second, over the last second, also where a window began in it.

        Args:
            rows: of the table now, or of the window before where they are not in this one yet.
        """
        if self.age >= EPOCHS_PER_SECOND or not self.ending:
            asked = rows["requests"].astype(np.int64) - requests_in(self.before, rows)
            return asked.astype(np.float64) * (EPOCHS_PER_SECOND / self.epochs)
        then = self.ending[max(self.age - EPOCHS_PER_SECOND, -len(self.ending))]
        old = requests_in(self.earlier, rows) - requests_in(then, rows)
        asked = requests_in(self._now, rows) + old
        epochs = min(EPOCHS_PER_SECOND, self.age + len(self.ending))
        return asked.astype(np.float64) * (EPOCHS_PER_SECOND / epochs)

    def asking_lately(self, rows: NDArray[np.void]) -> NDArray[np.void]:
        """The rows of this window, and where it began in the last second those of the one before."""
        if self.age >= EPOCHS_PER_SECOND or not self.ending:
            return rows
        gone = self.ending[-1]
        both = np.concatenate([rows, gone[~np.isin(gone["pair_hash"], rows["pair_hash"])]])
        return both[np.argsort(both["pair_hash"])]

    @property
    def seconds(self) -> float:
        """How far back this window and the one before reach, this epoch included."""
        return (self.lasted + self.age + 1) / EPOCHS_PER_SECOND

    def close_epoch(self, summary: Summary) -> None:
        """Keep this epoch's table for the rates of the next ones."""
        if self._now is None and self._second and self._silent(summary.victims):
            self._second.append(self._second[-1])  # nobody asked, so the table stands as it was
        else:
            self._second.append(self.now(summary))
        self.age += 1
        if summary.window_ends:
            self.earlier, self.ending = self._second[-1], list(self._second)
            self._second.clear()
            self.lasted, self.age = self.age, 0
            self.number += 1
        self._now = None


class Since:
    """Since when the sources of this window and of the one before ask."""

    def __init__(self) -> None:
        self._pairs, self._begun = np.zeros(0, np.uint64), np.zeros(0, np.int64)

    def note(self, rows: NDArray[np.void], earlier: NDArray[np.void] | None, epoch: int) -> NDArray[np.int64]:
        """Take in the table, sorted by pair; returns since which epoch its sources ask.

        Args:
            rows: the table now.
            earlier: at the end of the window before; who is in neither is forgotten.
            epoch: the first one since the last look, for those that are new.
        """
        if not len(rows) and not len(self._pairs):
            return np.zeros(0, np.int64)
        pairs = rows["pair_hash"].astype(np.uint64)
        since = np.full(len(rows), epoch)
        if len(self._pairs) and len(rows):
            at, known = positions(self._pairs, pairs)
            since = np.where(known, np.minimum(self._begun[at], since), since)
        kept = ~np.isin(self._pairs, pairs)
        kept &= np.isin(self._pairs, pairs if earlier is None else earlier["pair_hash"])
        asking, begun = np.append(pairs, self._pairs[kept]), np.append(since, self._begun[kept])
        order = np.argsort(asking)
        self._pairs, self._begun = asking[order], begun[order]
        return since


def nobody_asks(victims: NDArray[np.void]) -> bool:
    """No victim got a request in this epoch."""
    return not len(victims) or bool((victims["requests"] == 0).all())


def asking(heavy: NDArray[np.void]) -> NDArray[np.void]:
    """The rows with requests, by pair: the form in which ``machines`` takes its tables."""
    if not len(heavy):
        return heavy
    rows = heavy[heavy["requests"] > 0]
    return rows[np.argsort(rows["pair_hash"])]


def positions(ordered: NDArray[Any], wanted: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where each wanted value stands among sorted ones (not none), and whether it does."""
    at = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return at, ordered[at] == wanted


def looked_up(
    ordered: NDArray[Any], values: NDArray[Any], wanted: NDArray[Any], missing: float = 0
) -> NDArray[Any]:
    """The value beside each wanted key; ``ordered``: the keys, sorted, perhaps none."""
    if not len(ordered):
        return np.full(len(wanted), missing, values.dtype)
    at, known = positions(ordered, wanted)
    return np.where(known, values[at], missing)


def requests_in(
    table: NDArray[np.void] | None, rows: NDArray[np.void], name: str = "requests"
) -> NDArray[np.int64]:
    """What another table says of the requests of the same pairs; 0 for those it does not hold."""
    if table is None:
        return np.zeros(len(rows), np.int64)
    return looked_up(table["pair_hash"], table[name].astype(np.int64), rows["pair_hash"])


def with_earlier(rows: NDArray[np.void], earlier: NDArray[np.void] | None) -> NDArray[np.void]:
    """Add the previous window's habits to this one's, so that a window that just began is not blind."""
    if earlier is None or not len(earlier):
        return rows
    at, found = positions(earlier["pair_hash"], rows["pair_hash"])
    mine = np.flatnonzero(found)
    if not len(mine):
        return rows
    out, theirs = rows.copy(), earlier[at[mine]]
    for name in ("requests", "packets", "missed", *SEALED):
        out[name][mine] += theirs[name]
    for name in (
        "assets",
        "repeats",
        "posts",
        "errors",
        "denied",
        "logins",
        "hellos",
        "shaken",
        "first",
        "closed",
    ):  # these saturate in the engine as well
        both = out[name][mine].astype(np.uint32) + theirs[name]
        out[name][mine] = np.minimum(both, 0xFFFF)
    out["paths"][mine] |= theirs["paths"]
    out["proven"][mine] = np.maximum(out["proven"][mine], theirs["proven"])
    return out
