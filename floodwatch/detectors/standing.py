"""Who tells a flood that two ways of looking find: the rate of an epoch, or habits over seconds.

The rate tells it from when it was over its floor for as long as that takes; what never was does not keep
habits from naming it. And what habits told is not told again by the rate of the epochs in it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from ..model.address import Address
from ..model.epoch import EPOCHS_PER_SECOND
from ..model.finding import LOUD, Finding
from ..model.vector import Vector

Key: TypeAlias = tuple[Vector, Address]


class Standing:
    """The floods of the last second, by what tells them.

    Attributes:
        found: all that were found, each with its newest epoch.
        by_rate: those of them that stand by their rate.
    """

    def __init__(self) -> None:
        self.found: dict[Key, int] = {}
        self.by_rate: dict[Key, int] = {}
        self._rising: dict[Key, tuple[int, int]] = {}
        self._by_habits: dict[Key, int] = {}

    def open_epoch(self, epoch: int) -> None:
        """Forget what is older than a second."""
        since = epoch - EPOCHS_PER_SECOND
        self.found = {key: at for key, at in self.found.items() if since < at <= epoch}
        self.by_rate = {key: at for key, at in self.by_rate.items() if since < at <= epoch}
        self._rising = {key: held for key, held in self._rising.items() if since < held[0] <= epoch}
        self._by_habits = {key: at for key, at in self._by_habits.items() if since <= at <= epoch}

    def take(self, finding: Finding[Any]) -> bool:
        """Note a finding of a flood; returns whether it says what is not told yet."""
        key = finding.vector, finding.victim
        if finding.stretches is not None:
            self._by_habits[key] = finding.epoch
            return True
        epochs = self._rising.pop(key, (0, 0))[1] + 1
        if finding.over:
            self._rising[key] = finding.epoch, epochs
        stands = finding.over and (epochs >= finding.persist or finding.count >= LOUD * finding.floor.count)
        if stands or key in self.by_rate:
            self.by_rate[key] = finding.epoch
            return True
        return key not in self._by_habits
