"""The most of something that was seen lately, in two numbers."""

from __future__ import annotations

import time
from collections.abc import Callable

LATELY_S = 15.0
"""Whoever asks this often misses nothing."""


class Peak:
    """The most that was seen in the last ``LATELY_S``, or in up to twice as long.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._before = self._now = 0.0

    def see(self, value: float) -> None:
        """Take in what there is now."""
        self._pass()
        self._now = max(self._now, value)

    @property
    def most(self) -> float:
        """The most of what was seen lately; 0: nothing was."""
        self._pass()
        return max(self._before, self._now)

    def _pass(self) -> None:
        gone = self._clock() - self._began
        if gone >= LATELY_S:
            self._before, self._now = (self._now if gone < 2 * LATELY_S else 0.0), 0.0
            self._began += gone
