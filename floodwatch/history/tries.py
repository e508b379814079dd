"""Ports that few sources try again: a scan asks each port once, who draws ports at random meets some again.

Of n SYNs at ports that are drawn from m, m (1 - exp(-n/m)) ports are hit, and the rest of the SYNs came back
to one (the birthday problem; Feller: "An Introduction to Probability Theory", 1950, II.3).
A scan without an answer asks once more, so there a third time is asked for, and no more second times than
chance brings; a port that answered is asked no more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .._sketches import hll_estimate

PORTS = 65_536
LEAST = 20
"""SYNs that come back, from which they tell something ..."""
SHARE = 0.5
"""... and the share of what chance brings that they have to be; the table of ports holds a part of them."""
MOST = 2.0
"""So many times what chance brings are no chance, but a scan that asks again, or for the second time ..."""
MOSTLY = 0.7
"""... unless most of the SYNs come back the third time or later."""


@dataclass(slots=True)
class Tries:
    """SYNs since a victim is loaded; of these, as the engine counts them: to ports that their source tried
    before, that it had tried twice or more, that had answered. And to how many ports they went, at least:
    what came before the victim was loaded is none of these.
    """

    syns: int = 0
    ports: float = 0.0
    again: int = 0
    often: int = 0
    in_vain: int = 0

    def add(self, row: np.void, syns: int) -> None:
        """Take in one epoch of the victim."""
        self.syns += syns
        self.ports = max(self.ports, hll_estimate(np.ascontiguousarray(row["syn_ports"])))
        self.again += int(row["syn_tried"])
        self.often += int(row["syn_tried_often"])
        self.in_vain += int(row["syn_tried_in_vain"])

    def drawn(self, sources: float) -> bool:
        """The ports are drawn at random, by so many sources."""
        places = PORTS * max(sources, 1.0)
        each = self.syns / places
        never, once = math.exp(-each), each * math.exp(-each)
        again = self.syns - places * (1 - never)
        often = again - places * (1 - never - once)
        mine = min(self.often, self.syns - 2 * self.ports)
        by_chance = self.again <= MOST * again
        if by_chance and self.in_vain >= max(LEAST, SHARE * again):
            return True
        by_chance = by_chance or mine >= MOSTLY * self.syns
        return by_chance and mine >= max(LEAST, SHARE * often)
