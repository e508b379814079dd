"""The usual rate of each victim: a slow moving average that a flood cannot drag along.

Clipped updates (Huber): what exceeds one and a half times the usual counts as just that, so a surge is learnt
only over minutes. Rows follow the native victim slots; a slot that changed hands starts anew.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model.epoch import EPOCHS_PER_SECOND, ICMP, SLOT_MASK, SYN, UDP
from . import sealed
from .memory import METRICS, Memory

KNOWN_AFTER = 12
"""Epochs (3 s) before a usual rate is worth comparing with."""
SPREAD_AFTER = 240
"""Epochs (a minute) before it is known how much the counts vary."""
SAVED = 0.1
"""Rate a second below which a host is not worth keeping in a file."""
_ALPHA = 1 / 240
_CLIP = 1.5
_CLIP_FLOOR = 2.0
_SLOTS = SLOT_MASK + 1


class Baseline:
    """Averages per epoch of ``METRICS`` for every slot; fixed memory.

    Args:
        memory: what is usual from the start, for the hosts in it.
    """

    def __init__(self, memory: Memory) -> None:
        self._hosts = np.zeros((_SLOTS, 2), np.uint64)
        self._before = {
            tuple(host): row / EPOCHS_PER_SECOND
            for host, row in zip(memory.hosts.tolist(), memory.usual, strict=True)
        }
        self._value = np.zeros((_SLOTS, len(METRICS)))
        self._variance = np.zeros((_SLOTS, len(METRICS)))
        self._reference = np.zeros(_SLOTS, np.int64) - 1
        self._first = np.zeros(_SLOTS, np.int64)
        self._last = np.zeros(_SLOTS, np.int64)
        self._epoch = 0
        self._earlier: dict[int, NDArray[np.float64]] = {}

    def usual(self, reference: int, metric: str, epoch: int) -> float | None:
        """The usual rate per second before an epoch, the open one or the one before it; None while it is
        unknown.
        """
        slot = reference & SLOT_MASK
        if self._reference[slot] != reference or epoch - self._first[slot] < KNOWN_AFTER:
            return None
        value = self._value[slot]
        if epoch <= self._epoch:
            value = self._earlier.get(slot, value)
        return float(value[METRICS.index(metric)]) * EPOCHS_PER_SECOND

    def spread(self, reference: int, metric: str, epoch: int) -> float | None:
        """Variance over mean of an epoch's counts, or None: 1 for a Poisson process, more for bursts."""
        at = reference & SLOT_MASK, METRICS.index(metric)
        if epoch - self._first[at[0]] < SPREAD_AFTER:
            return None
        return float(self._variance[at] / max(float(self._value[at]), 1e-9))

    def bridge(self, epoch: int) -> None:
        """The capture paused or its clock was set: time in which nothing was seen teaches nothing."""
        unseen = epoch - self._epoch - 1
        self._first += unseen
        self._last += unseen

    def update(self, victims: NDArray[np.void], epoch: int) -> None:
        """Learn one epoch's rows."""
        self._epoch, self._earlier = epoch, {}
        if not len(victims):
            return
        reference = victims["reference"].astype(np.int64)
        slot = reference & SLOT_MASK
        fresh = self._reference[slot] != reference
        new = slot[fresh]
        self._reference[new] = reference[fresh]
        self._first[new] = epoch
        self._last[new] = epoch - 1
        self._value[new] = self._variance[new] = 0
        self._hosts[new, 0], self._hosts[new, 1] = victims["hi"][fresh], victims["lo"][fresh]
        for place in new.tolist() if self._before else ():
            before = self._before.get(tuple(self._hosts[place].tolist()))
            if before is not None:
                self._value[place], self._first[place] = before, epoch - KNOWN_AFTER
        self._learn(slot, _counts(victims), epoch)

    def learnt(self) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
        """Hosts and their usual rates a second, of those that are known and not silent."""
        old = (self._reference >= 0) & (self._epoch - self._first >= KNOWN_AFTER)
        kept = np.flatnonzero(old & (self._value.max(axis=1) * EPOCHS_PER_SECOND >= SAVED))
        return self._hosts[kept], self._value[kept] * EPOCHS_PER_SECOND

    def _learn(self, slot: NDArray[np.int64], counts: NDArray[np.float64], epoch: int) -> None:
        age = np.maximum(epoch - self._first[slot] + 1, 1)[:, None]
        silent = np.clip(epoch - self._last[slot] - 1, 0, 10_000)[:, None]
        warm = age > KNOWN_AFTER
        alpha = np.where(warm, _ALPHA, 1 / age)
        value = self._value[slot] * (1 - alpha) ** silent
        clipped = np.where(warm, np.minimum(counts, _CLIP * value + _CLIP_FLOOR), counts)
        away = clipped - value
        self._earlier = dict(zip(slot.tolist(), self._value[slot], strict=True))
        self._value[slot] = value + alpha * away
        self._variance[slot] = (1 - alpha) * (self._variance[slot] + alpha * away * away)
        self._last[slot] = epoch


def _counts(victims: NDArray[np.void]) -> NDArray[np.float64]:
    packets = victims["kinds"]["packets"]
    read = [packets[:, SYN], packets[:, UDP], packets[:, ICMP], victims["requests"], victims["finished"]]
    return np.column_stack([*(column.astype(np.float64) for column in read), sealed.counts(victims)])
