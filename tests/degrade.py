"""What a capture loses on its way: packets, a direction, its order, its clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

Frame: TypeAlias = tuple[int, int, bytes]
"""(nanoseconds, length on the wire, captured bytes)."""

ETHERTYPE_IPV4 = b"\x08\x00"
SECOND = 1_000_000_000


def half_lost(frames: Iterable[Frame], seed: int) -> Iterator[Frame]:
    """Every second packet is missing, at random."""
    rng = random.Random(seed)
    return (frame for frame in frames if rng.random() < 0.5)


def sampled(frames: Iterable[Frame], seed: int) -> Iterator[Frame]:
    """One packet in a hundred was captured."""
    rng = random.Random(seed)
    return (frame for frame in frames if rng.random() < 0.01)


def inbound_only(frames: Iterable[Frame], seed: int) -> Iterator[Frame]:
    """Only what goes to the sites of 198.51.100.0/24 is seen."""
    del seed
    return (frame for frame in frames if _is_to_site(frame[2]))


def _is_to_site(frame: bytes) -> bool:
    return frame[12:14] == ETHERTYPE_IPV4 and frame[30:33] == b"\xc6\x33\x64"


def reordered(frames: Iterable[Frame], seed: int) -> Iterator[Frame]:
    """Records are written up to 20 ms after their turn, as when two queues of a card are merged."""
    rng = random.Random(seed)
    late = ((frame[0] + rng.randrange(20_000_000), number, frame) for number, frame in enumerate(frames))
    return (frame for _, _, frame in sorted(late))


def clock_back(frames: Iterable[Frame], seed: int) -> Iterator[Frame]:
    """After 5 s the clock is set back by an hour."""
    return _step(frames, -3600 * SECOND)


def clock_forward(frames: Iterable[Frame], seed: int) -> Iterator[Frame]:
    """After 5 s the clock is set forward by an hour."""
    return _step(frames, 3600 * SECOND)


def _step(frames: Iterable[Frame], by_ns: int) -> Iterator[Frame]:
    start = None
    for t, length, frame in frames:
        start = t if start is None else start
        yield (t + by_ns if t - start > 5 * SECOND else t), length, frame


def seen_twice(frames: Iterable[Frame], seed: int) -> Iterator[Frame]:
    """Each frame was captured on its way in and on its way out of a switch."""
    del seed
    for t, length, frame in frames:
        yield t, length, frame
        yield t + 2_000, length, frame


Degrade: TypeAlias = Callable[[Iterable[Frame], int], Iterator[Frame]]
DEGRADES: dict[str, Degrade] = {
    function.__name__: function
    for function in (half_lost, sampled, inbound_only, reordered, clock_back, clock_forward, seen_twice)
}
