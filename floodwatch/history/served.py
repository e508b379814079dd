"""Whom the limits of guards let pass: networks of clients who finished a handshake before a flood began.

They count from the handshake on, whatever they ask for, and are believed for good when no flood of askers was
found at their host for three seconds: bots that connect and begin at once pass nothing. A flood that asks for
nothing (forged packets, which finish no handshakes) takes nothing from those who came right before it. While
a flood runs, nobody is learnt at its victim, and none of the sources that it lists anywhere.

These are more than ``clients`` knows, and evidence of nothing: who is spared by a limit may still be blocked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..model.address import Address
from ..model.epoch import EPOCHS_PER_SECOND
from ..model.summary import Summary
from .clients import KnownNetworks, networks
from .memory import Networks
from .windows import HELD, TRIED


class Flood(NamedTuple):
    """What is to be known of one flood in one epoch.

    Attributes:
        victim: its address, or that of the network under load.
        prefix: length of that network, or None.
        asks: its sources finish handshakes, or may.
        sources: those that it lists, as the heavy-hitter table has them.
    """

    victim: Address
    prefix: int | None
    asks: bool
    sources: NDArray[np.uint64]


class Served:
    """See above.

    Args:
        before: networks that are known from the start, sorted.
    """

    def __init__(self, before: Networks) -> None:
        self._believed = KnownNetworks(before)
        self._pending: deque[tuple[int, NDArray[np.void]]] = deque()
        self._flooded: dict[int, int] = {}
        self._asked: dict[int, int] = {}
        self._listed: deque[tuple[int, NDArray[np.uint64]]] = deque()

    def networks(self) -> Networks:
        """All of them, sorted."""
        fresh = [networks(self._calm(rows)) for _, rows in self._pending]
        return np.unique(np.concatenate([self._believed.learnt(), *fresh]))

    def close_epoch(self, summary: Summary, floods: Iterable[Flood]) -> None:
        """Take in one epoch, with the floods that were found in it."""
        epoch, floods = summary.epoch, list(floods)
        if self._pending and self._pending[-1][0] >= epoch:  # the clock was set back
            self._pending.clear()
        self._forget(epoch)
        begun = {reference: flood.asks for flood in floods for reference in _references(summary, flood)}
        for flood in floods:
            if len(flood.sources):
                self._listed.append((epoch, flood.sources))
        ends = epoch % EPOCHS_PER_SECOND == EPOCHS_PER_SECOND - 1 or summary.window_ends
        if ends or begun.keys() - self._flooded.keys():
            self._note(epoch, summary.heavy())
        self._flooded |= dict.fromkeys(begun, epoch)
        self._asked |= {reference: epoch for reference, asks in begun.items() if asks}
        while self._pending and self._pending[0][0] <= epoch - TRIED:
            self._believed.learn(self._calm(self._pending.popleft()[1]), 0)

    def _forget(self, epoch: int) -> None:
        """Floods that are over for long."""
        lately = range(epoch - HELD + 1, epoch + 1)
        self._flooded = {v: at for v, at in self._flooded.items() if at in lately}
        self._asked = {v: at for v, at in self._asked.items() if at in lately}
        while self._listed and self._listed[0][0] not in lately:
            self._listed.popleft()

    def _note(self, epoch: int, heavy: NDArray[np.void]) -> None:
        if not len(heavy):
            return
        rows = heavy[heavy["proven"] > 0]
        rows = rows[~np.isin(rows["victim"], list(self._flooded))]
        if len(rows):
            self._pending.append((epoch, rows))

    def _calm(self, rows: NDArray[np.void]) -> NDArray[np.void]:
        """Those who came to hosts where no flood of askers was found since, and whom none lists."""
        rows = rows[~np.isin(rows["victim"], list(self._asked))]
        for _, sources in self._listed if len(rows) else ():
            rows = rows[~np.isin(rows["source"], sources)]
        return rows


def _references(summary: Summary, flood: Flood) -> list[int]:
    """The slots of a flood's victims."""
    victims, (hi, lo) = summary.victims, flood.victim
    if flood.prefix is None:
        mine = victims[(victims["hi"] == hi) & (victims["lo"] == lo)]
        return [int(reference) for reference in mine["reference"]]
    four = hi == 0 and lo >> 32 == 0xFFFF
    shift = (32 if four else 128) - flood.prefix
    around = (hi << 64 | lo) >> shift
    return [int(v["reference"]) for v in victims if (int(v["hi"]) << 64 | int(v["lo"])) >> shift == around]
