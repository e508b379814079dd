"""Captures in which every frame stands twice: a mirror port of both directions shows it coming and going."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CERTAIN = 0.9
"""Share of frames with exactly one twin from which on the capture is doubled beyond doubt."""
FEWEST = 64
"""Frames below which nothing is said."""
APART_NS = 50_000_000
"""A copy follows at once; what comes later was sent again."""


def share_of_twins(hashes: NDArray[np.uint64], times: NDArray[np.uint64]) -> float:
    """Share of frames that stand in the capture exactly twice, within 50 ms.

    Floods of equal packets have many copies of few frames, retransmissions come later, so neither counts.

    Args:
        hashes: shape (n,), equal for copies of a frame.
        times: shape (n,), nanoseconds.
    """
    if len(hashes) < FEWEST:
        return 0.0
    order = np.argsort(hashes, kind="stable")
    sorted_hashes, sorted_times = hashes[order], times[order].astype(np.int64)
    begins = np.flatnonzero(np.r_[True, sorted_hashes[1:] != sorted_hashes[:-1]])
    sizes = np.diff(np.r_[begins, len(hashes)])
    pairs = begins[sizes == 2]
    near = np.abs(sorted_times[pairs + 1] - sorted_times[pairs]) <= APART_NS
    return 2 * int(near.sum()) / len(hashes)
