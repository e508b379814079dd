"""How much was counted when: a course in a bounded number of steps, and the busiest second of an event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..model.epoch import EPOCH_NS, EPOCHS_PER_SECOND

STEPS_MOST = 240
"""Steps that are kept: a minute of epochs; what lasts longer is told more coarsely."""


Counted = TypeVar("Counted", float, NDArray[np.uint64])
"""A number, or several that are counted together."""


class Steps(Generic[Counted]):
    """What was counted by steps of time, of which there are never too many.

    Attributes:
        counted: what, by the number of the step.
    """

    __slots__ = ("_stride", "counted")

    def __init__(self) -> None:
        self.counted: dict[int, Counted] = {}
        self._stride = 1

    def copy(self) -> Steps[Counted]:
        """The same so far."""
        out = Steps[Counted]()
        out.counted, out._stride = dict(self.counted), self._stride
        return out

    def add(self, epoch: int, count: Counted) -> None:
        """Take in what was counted in an epoch."""
        _add(self.counted, epoch // self._stride, count)
        if len(self.counted) > STEPS_MOST:
            merged: dict[int, Counted] = {}
            for step, value in self.counted.items():
                _add(merged, step // 2, value)
            self.counted, self._stride = merged, 2 * self._stride

    def even(self, bins: int, zero: Counted) -> tuple[list[Counted], int, float]:
        """What was counted, in at most ``bins`` steps of as many epochs each: the last one may end later.

        Args:
            bins: how many.
            zero: what stands where nothing was counted.

        Returns:
            the steps, the epoch in which the first one begins, and the seconds of each.
        """
        low, high = min(self.counted, default=0), max(self.counted, default=0)
        each = (high - low) // bins + 1
        out = [zero] * ((high - low) // each + 1)
        for step, count in self.counted.items():
            out[(step - low) // each] = out[(step - low) // each] + count
        return out, low * self._stride, each * self._stride * EPOCH_NS / 1e9

    def course(self, bins: int, zero: Counted, epochs: Sequence[int]) -> tuple[list[Counted], float]:
        """What was counted from first to last in at most ``bins`` equal steps; none where nothing was.

        Args:
            bins: how many.
            zero: what stands where nothing was counted.
            epochs: the course reaches at least over these.

        Returns:
            the steps, and the seconds of each.
        """
        if not self.counted:
            return [], 0.0
        met = [*self.counted, *(epoch // self._stride for epoch in epochs)]
        low, length = min(met), max(met) - min(met) + 1
        n = min(bins, length)
        out = [zero] * n
        for step, count in self.counted.items():
            out[(step - low) * n // length] = out[(step - low) * n // length] + count
        return out, length * self._stride * EPOCH_NS / 1e9 / n


def _add(counted: dict[int, Counted], step: int, count: Counted) -> None:
    counted[step] = counted[step] + count if step in counted else count


class Pace:
    """What was counted epoch by epoch.

    Attributes:
        peak: the most in any one second.
        recent: what was counted in the epochs of the last one.
        steps: the course.
    """

    __slots__ = ("peak", "recent", "steps")

    def __init__(self) -> None:
        self.peak: float = 0
        self.recent: dict[int, float] = {}
        self.steps = Steps[float]()

    def copy(self) -> Pace:
        """The same so far."""
        out = Pace()
        out.peak, out.recent, out.steps = self.peak, dict(self.recent), self.steps.copy()
        return out

    def add(self, counts: Sequence[tuple[int, float]], *, newest: int, busiest: float = 0) -> None:
        """Take in what was counted in some epochs, up to the newest; ``busiest``: the most in a second."""
        for epoch, count in counts:
            self.recent[epoch] = self.recent.get(epoch, 0) + count
            self.step(epoch, count)
        for old in [e for e in self.recent if not newest - EPOCHS_PER_SECOND < e <= newest]:
            del self.recent[old]
        self.peak = max(self.peak, sum(self.recent.values()), busiest)

    def step(self, epoch: int, count: float) -> None:
        """Take in what belongs to the course only."""
        self.steps.add(epoch, count)

    def timeline(self, bins: int, stretches: Sequence[Sequence[int]]) -> tuple[float, ...]:
        """Rates a second from first to last in at most ``bins`` equal steps.

        Args:
            bins: how many.
            stretches: epochs that were counted, from one up to before another.
        """
        epochs = [epoch for first, end in stretches for epoch in (first, end - 1)]
        counted, seconds = self.steps.course(bins, 0.0, epochs)
        return tuple(round(value / seconds, 1) for value in counted)
