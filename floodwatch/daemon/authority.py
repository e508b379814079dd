"""What the daemon may do now: what is configured, unless an operator said otherwise, or panicked.

An operator's word holds until the daemon is stopped, also over a crash. With a time to confirm in, it holds
that long, and then what held before does; a panic holds over restarts, until it is taken back.
"""

from __future__ import annotations

import time
from contextlib import suppress

from ..config.settings import Mode
from ..errors import EnforceError
from ..mitigate import ByHand
from .state import State


class Authority:
    """Whose word counts.

    Attributes:
        ordered: the mode that an operator ordered, or None.
        panic: everything was taken away by an operator, and only observing is left.
    """

    def __init__(self) -> None:
        self._by_hand = ByHand()
        self._before: Mode | None = None
        self.ordered: Mode | None = None
        self.panic = self._by_hand.panicked() is not None

    @property
    def order(self) -> Mode | None:
        """The mode that an operator ordered, or None: what is configured holds."""
        return "observe" if self.panic else self.ordered

    def say(self, mode: Mode, now: Mode) -> None:
        """An operator orders a mode, which ends a panic if it does more than observe.

        Args:
            mode: what is to be.
            now: what holds now, and again if it is not confirmed; an enforcing that is not confirmed ends.
        """
        if self.panic and mode != "observe":
            with suppress(EnforceError):
                self._by_hand.write("resume", why=f"mode {mode} was ordered")
            self.panic = False
        self._before = "observe" if now == "enforce" else now
        self.ordered = mode

    def resume(self, state: State, configured: Mode) -> float | None:
        """What an operator ordered holds on over a crash; returns until when (monotonic) that has to be
        confirmed, or None.
        """
        if state.mode is None or state.confirm == 0 or self.panic:
            return None
        self.say(state.mode, configured)
        return None if state.confirm is None else time.monotonic() + state.confirm

    def over(self) -> None:
        """Nobody confirmed: what held before holds again."""
        self.ordered = self._before

    def look(self) -> bool:
        """Did an operator begin or end a panic since the last look?"""
        self._by_hand.refresh()
        before, self.panic = self.panic, self._by_hand.panicked() is not None
        return before != self.panic

    def close(self) -> None:
        """Nobody is listened to any more."""
        self._by_hand.close()
