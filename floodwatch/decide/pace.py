"""How much was counted when: the busiest second of an event, and its course in a bounded number of steps."""

from __future__ import annotations

from collections.abc import Sequence

from ..model.epoch import EPOCH_NS, EPOCHS_PER_SECOND

STEPS_MOST = 240
"""Steps that are kept: a minute of epochs; what lasts longer is told more coarsely."""


class Pace:
    """What was counted epoch by epoch.

    Attributes:
        peak: the most in any one second.
        recent: what was counted in the epochs of the last one.
        steps: the course: what was counted by steps of time.
    """

    __slots__ = ("_stride", "peak", "recent", "steps")

    def __init__(self) -> None:
        self.peak: float = 0
        self.recent: dict[int, float] = {}
        self.steps: dict[int, float] = {}
        self._stride = 1

    def copy(self) -> Pace:
        """The same so far."""
        out = Pace()
        out.peak, out._stride = self.peak, self._stride
        out.recent, out.steps = dict(self.recent), dict(self.steps)
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
        step = epoch // self._stride
        self.steps[step] = self.steps.get(step, 0) + count
        if len(self.steps) > STEPS_MOST:
            merged: dict[int, float] = {}
            for key, value in self.steps.items():
                merged[key // 2] = merged.get(key // 2, 0) + value
            self.steps, self._stride = merged, 2 * self._stride

    def timeline(self, bins: int, stretches: Sequence[Sequence[int]]) -> tuple[float, ...]:
        """Rates a second from first to last in at most ``bins`` equal steps.

        Args:
            bins: how many.
            stretches: epochs that were counted, from one up to before another.
        """
        if not self.steps:
            return ()
        counted = [epoch // self._stride for first, end in stretches for epoch in (first, end - 1)]
        low, high = min([*self.steps, *counted]), max([*self.steps, *counted])
        n = min(bins, high - low + 1)
        out = [0.0] * n
        for step, count in self.steps.items():
            out[(step - low) * n // (high - low + 1)] += count
        seconds = (high - low + 1) * self._stride * EPOCH_NS / 1e9 / n
        return tuple(round(value / seconds, 1) for value in out)
