"""Counts, distinct keys and frequent keys of the last intervals, in fixed memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from .._sketches import CountMin, HyperLogLog, TopK
from ..errors import SketchMismatch

SECOND_NS = 1_000_000_000


class Interval(Struct, frozen=True):
    """What a window knows of one interval, or of several together.

    Attributes:
        start_ns: where it begins, in nanoseconds of the caller's clock.
        counts: how often each key came.
        distinct: how many keys came.
        top: the most frequent ones.
    """

    start_ns: int
    counts: CountMin
    distinct: HyperLogLog
    top: TopK


class Window:
    """Sketches for each of the last intervals; the caller's clock decides which is open.

    Keys, guarantees and errors are those of ``CountMin``, ``HyperLogLog`` and ``TopK``. Memory: ``keep``
    times 8 * depth * width + 2^p bytes and a ``TopK``. Not for use by two threads at once.

    Args:
        interval_s: seconds of an interval.
        keep: intervals that are kept, the open one among them.
        depth: of the count-min sketches.
        width: of the count-min sketches.
        p: of the HyperLogLogs.
        k: of the top lists.
        seed: 16 bytes for the hash key; None takes the process's own.

    Raises:
        ValueError: an interval that is not positive, or ``keep`` under 1.

    >>> from floodwatch import Window
    >>> window = Window(interval_s=10, keep=6)
    >>> for second, name in enumerate(["a", "b", "a", "a"]):
    ...     _ = window.update(name, now_ns=second * 10**10)
    >>> minute = window.merged()
    >>> minute.counts.query("a"), round(minute.distinct.estimate()), minute.top.items(1)
    (3, 2, [('a', 3, 3)])
    """

    def __init__(
        self,
        *,
        interval_s: float = 1.0,
        keep: int = 60,
        depth: int = 4,
        width: int = 16_384,
        p: int = 12,
        k: int = 256,
        seed: bytes | None = None,
    ) -> None:
        self.interval_ns = round(interval_s * SECOND_NS)
        if self.interval_ns < 1 or keep < 1:
            raise ValueError("an interval is longer than nothing, and at least one is kept")
        self.keep = keep
        self._shape = (depth, width, p, k, seed)
        self._intervals: deque[Interval] = deque(maxlen=keep)
        self._empty(0)  # a wrong shape is told here

    def _empty(self, start_ns: int) -> Interval:
        depth, width, p, k, seed = self._shape
        counts = CountMin(depth=depth, width=width, seed=seed)
        return Interval(start_ns, counts, HyperLogLog(p=p, seed=seed), TopK(k=k))

    def rotate(self, now_ns: int) -> int:
        """Let the interval that holds ``now_ns`` be the open one; returns how many ended.

        A clock that goes back changes nothing: what comes late counts for the open interval.
        """
        start = now_ns - now_ns % self.interval_ns
        if not self._intervals:
            self._intervals.append(self._empty(start))
            return 0
        ended = max(0, (start - self._intervals[-1].start_ns) // self.interval_ns)
        for back in range(min(ended, self.keep) - 1, -1, -1):
            self._intervals.append(self._empty(start - back * self.interval_ns))
        return ended

    def update(self, keys: Any, counts: Any = 1, *, now_ns: int | None = None) -> Window:
        """Add keys to the open interval, after ``rotate(now_ns)`` if a time is given.

        Raises:
            ValueError: no time was ever given.
        """
        if now_ns is not None:
            self.rotate(now_ns)
        if not self._intervals:
            raise ValueError("the window does not know the time: rotate(now_ns) first")
        now = self._intervals[-1]
        now.counts.update(keys, counts)
        now.distinct.update(keys)
        now.top.update(keys, counts)
        return self

    @property
    def intervals(self) -> Sequence[Interval]:
        """What is kept, the oldest first; the last one is open."""
        return tuple(self._intervals)

    def merged(self, last: int | None = None) -> Interval:
        """The ``last`` intervals as one (None: all that are kept), independent of the window."""
        if last is not None and last < 1:
            raise ValueError(f"at least one interval, not {last}")
        chosen = list(self._intervals)[-(last or self.keep) :]
        out = self._empty(chosen[0].start_ns if chosen else 0)
        for interval in chosen:
            _add(out, interval)
        return out

    def merge(self, other: Window) -> Window:
        """Add what another window saw, interval by interval; returns this window.

        Raises:
            SketchMismatch: the windows differ in interval, shape or hash key.
        """
        if self.interval_ns != other.interval_ns:
            raise SketchMismatch("interval", "windows of different intervals do not merge")
        mine = {interval.start_ns: interval for interval in self._intervals}
        theirs = {interval.start_ns: interval for interval in other._intervals}
        if not mine and not theirs:
            return self
        newest = max([*mine, *theirs])
        oldest = max(min([*mine, *theirs]), newest - (self.keep - 1) * self.interval_ns)
        merged = [self._empty(start) for start in range(oldest, newest + 1, self.interval_ns)]
        for interval in merged:
            for part in (mine.get(interval.start_ns), theirs.get(interval.start_ns)):
                if part is not None:
                    _add(interval, part)
        self._intervals = deque(merged, maxlen=self.keep)
        return self

    def clear(self) -> Window:
        """Forget everything, the time too; returns the window."""
        self._intervals.clear()
        return self

    @property
    def nbytes(self) -> int:
        """Bytes of the sketches when all intervals are there."""
        one = self._empty(0)
        return self.keep * (one.counts.nbytes + one.distinct.nbytes + one.top.nbytes)

    def __len__(self) -> int:
        return len(self._intervals)

    def __repr__(self) -> str:
        seconds = self.interval_ns / SECOND_NS
        return f"Window(interval_s={seconds:g}, keep={self.keep}, intervals={len(self)})"


def _add(to: Interval, part: Interval) -> None:
    to.counts.merge(part.counts)
    to.distinct.merge(part.distinct)
    to.top.merge(part.top)
