"""A sign of life from a watch that has nothing to tell."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from floodwatch.config.options import Counters

QUIET_S = 600.0


class Heartbeat:
    """Counts how long nothing was told, on the monotonic clock.

    Args:
        quiet_s: seconds of quiet after which there is something to say, again and again.
        clock: seconds of a clock that is never set.
    """

    def __init__(self, quiet_s: float = QUIET_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._quiet_s = quiet_s
        self._clock = clock
        self._since = clock()
        self._packets = self._lost = 0

    def beat(self, counters: Counters, *, told: bool) -> str | None:
        """Take in a moment of the watch; returns a line when it was quiet for long.

        Args:
            counters: where the watch stands.
            told: something was told in this moment.
        """
        now = self._clock()
        if told:
            self._since = now
        if now - self._since < self._quiet_s:
            return None
        quiet, self._since = now - self._since, now
        packets, lost = counters.packets - self._packets, counters.lost - self._lost
        self._packets, self._lost = counters.packets, counters.lost
        span = f"{quiet / 60:.0f} minutes" if quiet >= 60 else f"{quiet:.0f} s"
        return (
            f"all quiet for {span}: still watching; {packets:,} packets and {lost:,} lost since the last "
            f"such line, {counters.open_floods} floods open"
        )
