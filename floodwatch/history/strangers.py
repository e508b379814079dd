"""How many sources ask a host for connections and finish none, beside those who do.

A scanner beside a thousand visitors is one stranger; forged addresses are as many as their SYNs. It is told
by the union of two HyperLogLogs, which is exact: what the sources of SYNs add to those who finished one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .._sketches import hll_estimate
from ..model.epoch import CLASS_SYN, CLASS_TCP
from .victims import distinct_sources, source_registers

IMPATIENT = 0.1
"""Share of the visitors who leave in the midst of a handshake, or are cut off by the end of an epoch."""
SPREAD = 2 / math.sqrt(32)
"""Two standard deviations of what eight sources add to 256 registers, by the root of what these hold."""


def strangers(row: np.void, after: np.void | None, *, one_way: bool) -> float:
    """Distinct sources of SYNs in an epoch that finished no handshake in it or in the next, at least.

    Args:
        row: a victim's counters of the epoch.
        after: of the next one, as far as it is known.
        one_way: nothing that the victim sends is seen: whoever sends more than SYNs finished.
    """
    served = _served(row, one_way)
    if not served.any():
        return distinct_sources(row, CLASS_SYN)
    if after is not None:
        served = np.maximum(served, _served(after, one_way))
    known = hll_estimate(served)
    added = hll_estimate(np.maximum(served, _coarse(source_registers(row, CLASS_SYN)))) - known
    return max(0.0, added - IMPATIENT * known - SPREAD * math.sqrt(known))


def _served(row: np.void, one_way: bool) -> NDArray[np.uint8]:
    return _coarse(source_registers(row, CLASS_TCP)) if one_way else np.ascontiguousarray(row["finishers"])


def _coarse(registers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Registers of p = 10 as those of p = 8: two bits of a register's number become the first of its rank."""
    four = registers.reshape(-1, 4)
    ranks = np.where(four > 0, np.array([0, 2, 1, 1], np.uint8), np.uint8(0))
    ranks[:, 0] = np.where(four[:, 0] > 0, four[:, 0] + 2, 0)
    coarse: NDArray[np.uint8] = ranks.max(axis=1)
    return coarse
