"""Enforcing on probation: unless somebody confirms in time, the rules go and the watch only observes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..mitigate import Blocker


class Confirmation:
    """Waits for ``ctl confirm``.

    Args:
        blocker: whose rules are on probation.
        seconds: how long it waits, or None: nothing has to be confirmed.
    """

    def __init__(self, blocker: Blocker, seconds: float | None) -> None:
        self._blocker = blocker
        blocker.by_hand.refresh()
        self._before = blocker.by_hand.confirmation()  # by its time it could not be told: clocks are set
        self._seconds = seconds
        self._until = None if seconds is None else time.monotonic() + seconds
        self.over = False
        """It was not confirmed: nothing may be done any more."""

    @property
    def left(self) -> float | None:
        """Seconds in which it has to be confirmed; None: it need not, or not any more."""
        return None if self._until is None else max(self._until - time.monotonic(), 0.0)

    def look(self) -> list[str]:
        """See whether it was confirmed, or the time is up; returns what there is to say.

        Raises:
            EnforceError: the rules cannot be taken back yet; look again.
        """
        if self._until is None:
            return []
        self._blocker.by_hand.refresh()
        word = self._blocker.by_hand.confirmation()
        if word is not None and word != self._before and not self.over:
            self._until = None
            return [f"confirmed by {word.by}: it goes on enforcing"]
        if time.monotonic() < self._until:
            return []
        self.over = True  # before anything can fail
        why = f"nobody confirmed within {self._seconds:.0f} s: it only observes from now on"
        said = self._blocker.stand_down(why)
        self._until = None
        return [f"{why}; {said}"]
