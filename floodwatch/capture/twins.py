"""Captures in which every frame stands twice: a mirror port of both directions shows it coming and going.

A mirror of several ports may show it a third time. A capture that is replayed in a loop is none: its frames
come again and again, and a mirror's copies follow at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CERTAIN = 0.9
"""Share of frames with as many copies as the others, from which on it is doubled beyond doubt."""
COPIES = (1, 2)
"""How many copies of a frame mirrors show beside the first."""
FEWEST = 64
"""Frames below which nothing is said."""
APART_NS = 50_000_000
"""A copy follows at once; what comes later was sent again."""


def share_of_twins(hashes: NDArray[np.uint64], times: NDArray[np.uint64]) -> tuple[float, int]:
    """Share of frames that stand there exactly twice, or exactly thrice, within 50 ms; and copies of each.

    Floods of equal packets have many copies of few frames, retransmissions come later, so neither counts.

    Args:
        hashes: shape (n,), equal for copies of a frame.
        times: shape (n,), nanoseconds.
    """
    if len(hashes) < FEWEST:
        return 0.0, 0
    order = np.argsort(hashes, kind="stable")
    sorted_hashes, sorted_times = hashes[order], times[order].astype(np.int64)
    begins = np.flatnonzero(np.r_[True, sorted_hashes[1:] != sorted_hashes[:-1]])
    sizes = np.diff(np.r_[begins, len(hashes)])
    shares = []
    for copies in COPIES:
        firsts = begins[sizes == copies + 1]
        near = np.abs(sorted_times[firsts + copies] - sorted_times[firsts]) <= APART_NS
        shares.append(((copies + 1) * int(near.sum()) / len(hashes), copies))
    return max(shares)
