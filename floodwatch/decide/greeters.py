"""Who greeted the victim of a case: fingerprints with shares and sources, and the names asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .._sketches import hll_estimate
from ..history.greetings import weighed
from ..model.event import FingerprintShare
from ..model.finding import Greeted

KEPT = 16
"""Fingerprints, and names, that a case remembers; twice as many before the rarest make room."""
TOLD = 5
LEAST = 0.005
"""Share below which a fingerprint is not told."""
P = 8
"""Of the HyperLogLog of the sources of each: 256 bytes, 6.5 %."""


class Says(Protocol):
    """The texts of fingerprints and names: ``history.greetings.Greetings``."""

    def ja4(self, key: int) -> str | None:
        """The text of a fingerprint, where it is known."""
        ...

    def name(self, key: int) -> str | None:
        """The text of a server name, where it is known."""
        ...


@dataclass(slots=True)
class _Print:
    hellos: int = 0
    sources: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(1 << P, np.uint8))


@dataclass(slots=True)
class Greeters:
    """The hellos of one case, in fixed memory."""

    begun: bool = False
    hellos: int = 0
    usual: dict[int, float] | None = None
    prints: dict[int, _Print] = field(default_factory=dict)
    names: Counter[int] = field(default_factory=Counter)
    outer: Counter[int] = field(default_factory=Counter)

    def add(self, greeted: Greeted) -> None:
        """Take in an epoch; with the first one what came in the seconds before."""
        if not self.begun:
            self.usual = greeted.usual
            self._add(greeted.earlier)
        self.begun = True
        self._add(greeted.hellos)

    def _add(self, hellos: NDArray[np.void]) -> None:
        if not len(hellos):
            return
        self.hellos += int(hellos["weight"].sum())
        for key, weight in weighed(hellos, "key", KEPT):
            one = self.prints.setdefault(key, _Print())
            one.hellos += weight
            _count(one.sources, hellos["sender"][hellos["key"] == key])
        if len(self.prints) > 2 * KEPT:
            kept = sorted(self.prints.items(), key=lambda item: -item[1].hellos)[:KEPT]
            self.prints = dict(kept)
        named = hellos[hellos["name_key"] != 0]
        self.names.update(dict(weighed(named, "name_key", KEPT)))
        self.outer.update(dict(weighed(named[named["outer"] != 0], "name_key", KEPT)))
        if len(self.names) > 2 * KEPT:
            self.names = Counter(dict(self.names.most_common(KEPT)))
            self.outer = Counter({key: n for key, n in self.outer.items() if key in self.names})

    def told(self, says: Says) -> tuple[FingerprintShare, ...]:
        """Those whose share grew most, of equals in the order of their names."""
        found = list[tuple[float, FingerprintShare]]()
        for key, one in self.prints.items():
            share, text = one.hellos / self.hellos, says.ja4(key)
            usual = None if self.usual is None else self.usual.get(key, 0.0)
            if text is None or share < LEAST:
                continue
            told = FingerprintShare(
                ja4=text,
                share=round(min(share, 1.0), 4),
                usual=None if usual is None else round(min(usual, 1.0), 4),
                sources=max(round(hll_estimate(one.sources)), 1),
            )
            found.append((share - (usual or 0.0), told))
        return tuple(told for _, told in sorted(found, key=lambda one: (-one[0], one[1].ja4))[:TOLD])

    def is_outer(self, name: int) -> bool:
        """Most hellos that ask for a name do so ahead of an encrypted one."""
        return 2 * self.outer[name] > self.names[name]


def _count(registers: NDArray[np.uint8], hashes: NDArray[np.uint64]) -> None:
    """Add keyed hashes to HyperLogLog registers, as native/fw_hll.h does."""
    places = (hashes >> np.uint64(64 - P)).astype(np.int64)
    rest = hashes << np.uint64(P) | np.uint64(1 << (P - 1))
    ranks = 65 - np.frexp(rest.astype(np.float64))[1]
    np.maximum.at(registers, places, ranks.astype(np.uint8))
