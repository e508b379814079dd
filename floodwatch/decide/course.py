"""The course of a flood in steps finer than an epoch: does it pulse, does the edge of an epoch split it?

Pulses shorter than an epoch, in any phase to it, leave every epoch as full as the other. The engine therefore
counts each victim's packets in steps of 2^24 ns (17 ms), over all kinds of packets.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from ..model.epoch import EPOCH_NS

STEP_BITS = 24
KEPT = 64
"""Epochs (16 s) that are looked at."""
BURSTS = 3
"""So many bursts are pulses ..."""
BUSY, IDLE = 0.5, 0.2
"""... each above this share of a busy step (the 90th percentile), and between them steps below that ..."""
LULL_STEPS = 2
"""... at least so many."""
EACH = 10.0
"""Packets that a step should hold; where it holds fewer, several are taken as one."""
WIDEST = 16
QUARTER = 15
"""Steps of a quarter of a second."""


class Course:
    """Packets of a victim in the last epochs of an event; bounded memory."""

    __slots__ = ("_epochs",)

    def __init__(self) -> None:
        self._epochs: deque[tuple[int, NDArray[np.uint32]]] = deque(maxlen=KEPT)

    def add(self, epoch: int, beats: NDArray[np.uint32]) -> None:
        """Take in one epoch: packets by the low bits of the number of the step."""
        self._epochs.append((epoch, beats.copy()))

    def pulses(self) -> bool:
        """Are there bursts with silence, or what is usual, between them?"""
        steps = self._steps()
        if not len(steps) or not steps.any():
            return False
        width = 1
        while steps[steps > 0].mean() < EACH:
            if width == WIDEST or len(steps) < 2:
                return False  # too few packets for chance to leave no gaps
            steps, width = steps[: len(steps) // 2 * 2].reshape(-1, 2).sum(axis=1), 2 * width
            if not steps.any():
                return False
        usual = np.percentile(steps[steps > 0], 90)
        return _bursts(steps >= BUSY * usual, steps <= IDLE * usual) >= BURSTS

    def _steps(self) -> NDArray[np.int64]:
        """Packets of each step, the oldest first."""
        if not self._epochs:
            return np.zeros(0, np.int64)
        size = len(self._epochs[-1][1])
        starts = [epoch * EPOCH_NS >> STEP_BITS for epoch, _ in self._epochs]
        first, last = min(starts), max(starts)
        if last - first > 2 * KEPT * size:  # the clock was set, or it came back after long
            return np.zeros(0, np.int64)
        out = np.zeros(last - first + size, np.int64)
        for start, (_, beats) in zip(starts, self._epochs, strict=True):
            number = np.arange(start, start + size)
            out[number - first] += beats[number % size]
        return out


def busiest_quarter(epoch: int, counts: tuple[int, int], beats: tuple[NDArray[np.uint32], ...]) -> float:
    """The most in any quarter of a second of an epoch and the one before it.

    What is counted is taken to be spread over its epoch as all of the victim's packets are.

    Args:
        epoch: the later one.
        counts: in the earlier and in the later one.
        beats: packets of all kinds by step, of both; as the engine counts them.
    """
    size = len(beats[0])
    first = (epoch - 1) * EPOCH_NS >> STEP_BITS
    out = np.zeros(2 * size)
    for at, counted, steps in zip((epoch - 1, epoch), counts, beats, strict=True):
        start = at * EPOCH_NS >> STEP_BITS
        number = np.arange(start, start + size)
        out[number - first] += steps[number % size] * (counted / max(int(steps.sum()), 1))
    sums = np.concatenate([[0.0], np.cumsum(out)])
    return float((sums[QUARTER:] - sums[:-QUARTER]).max())


def _bursts(busy: NDArray[np.bool_], idle: NDArray[np.bool_]) -> int:
    """Runs of busy steps, each after ``LULL_STEPS`` idle ones or more."""
    bursts, lull = 0, LULL_STEPS
    for is_busy, is_idle in zip(busy.tolist(), idle.tolist(), strict=True):
        if is_busy:
            bursts += lull >= LULL_STEPS
            lull = 0
        elif is_idle:
            lull += 1
    return bursts
