"""The sources that explain an excess, and nobody more.

They are taken from the heaviest on. Whoever asks like those taken so far is taken too. Whoever asks less is
taken only while a part of the excess is left that nobody explains; at a pace at which people ask as well,
only while more is left than ordinary clients make. So a visitor of the page that is flooded, who asks as a
visitor does, could be left out without a remainder, and is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..model.epoch import EPOCHS_PER_SECOND
from .windows import Windows, looked_up

ALIKE = 0.1
"""Share of the median of those taken so far from which a source is one of them ..."""
AT_PACE = 0.5
"""... and at a reader's pace."""
REST = 0.05
"""Share of the excess that may stay unexplained."""
READING = 1.5
"""Requests a second for pages that no reader keeps up; below, more may stay unexplained ..."""
ORDINARY = 0.2
"""... this share of the excess, or what is usual, if that is more."""


def explains(rates: NDArray[np.float64], usual: float = 0.0, pace: float = READING) -> NDArray[np.bool_]:
    """Which sources explain the sum of these rates.

    Args:
        rates: what each sends, at least.
        usual: what ordinary clients send together.
        pace: up to which a single one of them may send.
    """
    if not len(rates):
        return np.zeros(0, bool)
    order = np.argsort(-rates, kind="stable")
    sent = rates[order]
    excess = float(sent.sum())
    left = excess - (np.cumsum(sent) - sent)
    median = sent[np.maximum(np.arange(len(sent)) - 1, 0) // 2]
    alike = sent >= np.where(sent >= pace, ALIKE, AT_PACE) * median
    needed = (sent >= pace) & (left > REST * excess) | (left > max(ORDINARY * excess, usual))
    wanted = alike | needed
    taken = np.zeros(len(rates), bool)
    taken[order[: int(wanted.argmin()) if not wanted.all() else len(order)]] = True
    return taken


UNCOUNTED = 8
"""Packets of a source in a window before it is counted (the gate of ``fw_topk.h`` at its lowest)."""
FAST = 8.0
"""Requests within a second that no reader makes."""
SETTLED = 2.0
"""Seconds after the onset before which nobody is told apart at a reader's pace."""


class Onset(NamedTuple):
    """When a flood began: a second before it was found, and what its victim's sources had asked by then."""

    epoch: int
    window: int
    asked: NDArray[np.void] | None


class Onsets:
    """The onsets of the floods that go on, by the victim's slot reference."""

    def __init__(self) -> None:
        self._begun: dict[int, Onset] = {}

    def begin(self, victim: int, epoch: int, windows: Windows) -> None:
        """A flood is found at a victim; it counts from the first time on."""
        if victim not in self._begun:
            before = windows.before
            mine = None if before is None else before[before["victim"] == victim]
            self._begun[victim] = Onset(epoch - windows.epochs, windows.number, mine)

    def begun(self, victim: int) -> bool:
        """A flood goes on there."""
        return victim in self._begun

    def end(self, victims: set[int]) -> None:
        """Floods go on at these victims alone."""
        self._begun = {victim: onset for victim, onset in self._begun.items() if victim in victims}

    def paces(
        self, victim: int, epoch: int, windows: Windows, rows: NDArray[np.void], second: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], float]:
        """Requests a second of each source since the onset, at least, and how many seconds that is.

        Of n requests n - sqrt(n) are taken for more than chance. Whoever came late counts by the last second,
        where that is faster than people are.

        Args:
            victim: the slot reference.
            epoch: the one that closes.
            windows: the tables of before.
            rows: the victim's rows of the open window.
            second: requests of theirs, at most a second ago.
        """
        asked, epochs = self._asked(victim, epoch, windows, rows)
        seconds = max(epochs / EPOCHS_PER_SECOND, 1.0)
        lately = np.where(second >= FAST, surely(second), 0.0)
        return np.maximum(surely(asked) / seconds, lately), seconds

    def _asked(
        self, victim: int, epoch: int, windows: Windows, rows: NDArray[np.void]
    ) -> tuple[NDArray[np.float64], int]:
        """Requests since the onset, in this window and the one before, and epochs since then."""
        asked, onset = likely(rows), self._begun.get(victim)
        if onset is None:
            return asked - _likely_in(windows.before, rows), windows.epochs
        since = epoch - onset.epoch
        if onset.window == windows.number:
            return asked - _likely_in(onset.asked, rows), since
        asked += _likely_in(windows.earlier, rows)
        if onset.window == windows.number - 1:
            return asked - _likely_in(onset.asked, rows), since
        return asked, windows.lasted + windows.age + 1


def likely(rows: NDArray[np.void]) -> NDArray[np.float64]:
    """Requests of each source in a window, with those that came before it was counted at all."""
    each = rows["requests"] / np.maximum(rows["packets"], 1)
    counted: NDArray[np.float64] = rows["requests"] + np.minimum(rows["missed"], UNCOUNTED) * each
    return counted


def _likely_in(table: NDArray[np.void] | None, rows: NDArray[np.void]) -> NDArray[np.float64]:
    """The same by another table; 0 for those it does not hold."""
    if table is None:
        return np.zeros(len(rows))
    return looked_up(table["pair_hash"], likely(table), rows["pair_hash"])


def surely(counts: NDArray[Any]) -> NDArray[np.float64]:
    """What of counts is no chance: less one standard deviation of a Poisson count."""
    held: NDArray[np.float64] = counts - np.sqrt(np.maximum(counts, 0))
    return np.maximum(held, 0.0)


def settled(rates: NDArray[np.float64], seconds: float) -> NDArray[np.bool_]:
    """Which of the sources may be told apart by now: who asks as readers do takes time."""
    told: NDArray[np.bool_] = np.full(len(rates), seconds >= SETTLED) | (rates >= READING)
    return told
