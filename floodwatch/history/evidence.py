"""Evidence that adds up: what stays far below every floor, and cannot be normal all the same.

One sequential test for each victim and kind of evidence: the CUSUM of log-likelihood ratios (Page:
"Continuous inspection schemes", 1954). Of what is counted in an epoch the test knows the most that scans,
retries, health checks and background noise bring; that is the null hypothesis, a Poisson count of rate
``most``, held against one of ``RATIO`` times that rate:

    S = max(0, S + min(x log RATIO - (RATIO - 1) most, needed / PARTS))

Under the null, or anything below it, exp of the sum is a supermartingale, so S reaches ``needed`` in no more
than a share exp(-needed) of the epochs: ``needed`` is the budget of false alarms (``config.limits``). The cap
keeps a single burst from deciding (Huber: "A robust version of the probability ratio test", 1965), so strong
evidence takes ``PARTS`` epochs, weak evidence takes longer, and what lies below ``RATIO - 1`` over
``log RATIO`` (1.8) times ``most`` is never told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..model.epoch import EPOCHS_PER_SECOND, SLOT_MASK
from ..model.finding import Floor, Weight

RATIO = 3.0
"""How much more than what is normal at most is tested for."""
PARTS = 8
"""Epochs (2 s) that the strongest evidence takes: clients ask again before that (RFC 6298)."""
TOLD = 0.25
"""Share of what is needed from which a victim is looked at."""
FAR = 10_000
"""Epochs of silence after which nothing is left of any evidence."""
Rows: TypeAlias = NDArray[np.void]


class SequentialTest(NamedTuple):
    """One kind of evidence.

    Attributes:
        most: so many a second at most are normal.
        excess: of victims' rows what counts, below 0 where it speaks for the null; shape (rows,).
        rule: the test as a sentence, with ``{floor}`` for what is needed.
    """

    most: float
    excess: Callable[[Rows], NDArray[np.float64]]
    rule: str

    @property
    def per_epoch(self) -> float:
        """The count of an epoch from which it speaks against the null."""
        return (RATIO - 1) * self.most / EPOCHS_PER_SECOND / math.log(RATIO)


class Evidence:
    """The sums of all tests for every victim slot; fixed memory.

    Args:
        tests: what is tested.
        needed: the log-likelihood ratio that names something.
    """

    def __init__(self, tests: Sequence[SequentialTest], needed: float) -> None:
        self._tests = {test: number for number, test in enumerate(tests)}
        self.need(needed)
        self._sums = np.zeros((SLOT_MASK + 1, len(tests)))
        self._reference = np.zeros(SLOT_MASK + 1, np.int64) - 1
        self._last = np.zeros(SLOT_MASK + 1, np.int64)

    def need(self, needed: float) -> None:
        """So much is needed from now on; what was gathered stays."""
        self._needed = round(needed, 1)

    def update(self, victims: Rows, epoch: int, *, coarse: bool = False) -> NDArray[np.bool_]:
        """Take in one epoch's rows; returns which of the victims are worth a look for their evidence.

        Where an epoch holds the packets of a second (``coarse``), it is as many epochs.
        """
        if not len(victims):
            return np.zeros(0, np.bool_)
        reference = victims["reference"].astype(np.int64)
        slot, epochs = reference & SLOT_MASK, EPOCHS_PER_SECOND if coarse else 1
        away = epoch - self._last[slot]
        self._sums[slot[(self._reference[slot] != reference) | (away < 1) | (away > FAR)]] = 0
        self._reference[slot], self._last[slot] = reference, epoch
        silent = np.maximum(away - epochs, 0)
        for test, number in self._tests.items():
            drift = (RATIO - 1) * test.most / EPOCHS_PER_SECOND
            kept = np.maximum(self._sums[slot, number] - drift * silent, 0)
            gain = math.log(RATIO) * test.excess(victims) - drift * epochs
            kept += np.minimum(gain, epochs * self._needed / PARTS)
            self._sums[slot, number] = np.clip(kept, 0, self._needed)
        worth: NDArray[np.bool_] = (self._sums[slot] >= TOLD * self._needed).any(axis=1)
        return worth

    def of(self, reference: int, tests: Sequence[SequentialTest]) -> Weight | None:
        """What speaks loudest of these tests about a victim, or None while it is not worth a look."""
        slot = reference & SLOT_MASK
        if self._reference[slot] != reference:
            return None
        gathered, test = max(((float(self._sums[slot, self._tests[test]]), test) for test in tests),
                             key=lambda held: held[0])  # fmt: skip
        if gathered < TOLD * self._needed:
            return None
        return Weight(gathered, Floor(self._needed, rule=test.rule))
