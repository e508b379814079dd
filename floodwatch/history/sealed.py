"""What is asked inside TLS and QUIC, told from the outside in the words of requests that can be read.

A turn (application data of the client after data of the server) stands for a request, the shape of an
exchange (lengths of request and answer, in steps) for its path. See ``native/fw_sealed.h``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .sources import distinct_paths

METRICS = ("turns", "hellos")
"""What is usual of each victim: turns, and handshakes begun."""
TLS, QUIC = 0, 1
"""Places in the array ``sealed`` of a victim."""
FAST = 6.0
"""Turns a second of one source over the last second, beyond what people keep up ..."""
REPEATED = 8
"""... if so many of its exchanges in the window ended ..."""
VARIETY = 0.26
"""... and at most this share of them is of different shapes; people's are hardly ever the same twice."""
STUCK = 3
"""Exchanges in the window from which a habit shows at any pace ..."""
ALIKE = 0.6
"""... if this share of them is of the shape of the one before: of people's exchanges at most a third is."""
CHURNED = 8
"""Connections that were asked the first time in the window, by one source, ..."""
A_CONNECTION = 2.0
"""... if each was asked so often at most: browsers open six at once and keep them."""
COMMON = 0.05
"""Share of all exchanges from which a shape is one that many ask for."""


def asking(heavy: NDArray[np.void]) -> NDArray[np.void]:
    """The rows that speak TLS or QUIC, by pair, with turns in the place of requests and shapes in that of
    paths: the form in which ``Windows`` and ``Visitors`` take their tables.
    """
    rows = heavy[(heavy["turns"] > 0) | (heavy["small"] > 0)]
    rows = rows[np.argsort(rows["pair_hash"])]
    rows["requests"], rows["paths"] = rows["turns"], rows["shapes"]
    rows["repeats"] = np.minimum(rows["alike"], 0xFFFF)
    for name in ("assets", "posts", "errors"):
        rows[name] = 0
    return rows


def nobody_asks(victims: NDArray[np.void]) -> bool:
    """No victim got a turn in this epoch."""
    sealed = victims["sealed"]
    return bool((sealed["turns"] == 0).all() and (sealed["small"] == 0).all())


def counts(victims: NDArray[np.void]) -> NDArray[np.float64]:
    """``METRICS`` of each victim in an epoch, as ``Baseline`` learns them."""
    sealed = victims["sealed"]
    return np.stack([sealed[name].sum(axis=1, dtype=np.float64) for name in METRICS], axis=1)


def relentless(habit: NDArray[np.void], second: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Sources that ask for the same again and again, faster than people do, or anew on each connection.

    Args:
        habit: what they did in the window and the one before.
        second: their turns in the last second.
    """
    ended = habit["exchanges"].astype(np.float64)
    monotonous = (second >= FAST) & (ended >= REPEATED) & (varied(habit) <= VARIETY)
    first = habit["first"].astype(np.float64)
    churning = (first >= CHURNED) & (habit["turns"] <= A_CONNECTION * first) & (second > 0)
    found: NDArray[np.bool_] = monotonous | churning
    return found


def stuck(habit: NDArray[np.void], common: Iterable[int]) -> NDArray[np.bool_]:
    """Sources whose exchanges are hardly ever anything but these shapes, one after the other alike."""
    bits = np.uint64(0)
    for shape in common:
        bits |= np.uint64(1) << np.uint64(shape >> 26)
    ended = habit["exchanges"].astype(np.float64)
    other = np.bitwise_count(habit["paths"] & ~bits)
    found: NDArray[np.bool_] = (
        (ended >= STUCK)
        & (habit["alike"] >= ALIKE * (ended - 1))
        & (habit["paths"] & bits > 0)
        & (other <= VARIETY * ended)
    )
    return found


def varied(habit: NDArray[np.void]) -> NDArray[np.float64]:
    """Different shapes per exchange."""
    found: NDArray[np.float64] = distinct_paths(habit["paths"]) / np.maximum(habit["exchanges"], 1)
    return found


def common_shapes(counts: Iterable[np.void]) -> tuple[dict[int, int], int]:
    """Shapes that many of the exchanges in some epochs have, with how many at least, and all exchanges."""
    votes, total = Counter[int](), 0
    for count in counts:
        total += int(count["exchanges"])
        shapes = count["shapes"]
        won = shapes["vote"] > 0
        for shape, vote in zip(shapes["hash"][won].tolist(), shapes["vote"][won].tolist(), strict=True):
            votes[shape] += vote
    return {shape: held for shape, held in votes.items() if held >= COMMON * total}, total
