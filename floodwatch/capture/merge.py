"""Several captures on one clock: their packets by time, as if one capture had seen them all.

Rotated files follow each other, so a capture is opened only when its first packet is due: a day of them costs
no more memory than one.
"""

from __future__ import annotations

from collections.abc import Iterator
from queue import SimpleQueue

import numpy as np

from .._engine import MERGED, Batch, merge
from ..errors import InputError
from .file import Reading

PART = 8192
"""Packets decoded at a time of each capture."""


class _Source:
    """A capture that takes part: the batch that is being merged, and the way to the next."""

    def __init__(self, reading: Reading) -> None:
        self._free: SimpleQueue[Batch] = SimpleQueue()
        self._free.put(Batch(PART))
        self._batches = reading.batches(self._free)
        self.batch = Batch(1)

    def refill(self) -> bool:
        """Go on to the next packets; False at the end."""
        for batch in self._batches:
            self._free.put(batch)
            if len(batch):
                self.batch = batch
                return True
        return False


def merged(readings: list[Reading], free: SimpleQueue[Batch]) -> Iterator[Batch]:
    """Yield the packets of all readings by time; the consumer gives each batch back to ``free``.

    A capture that cannot be read ends there, as it does alone; more than 64 that overlap in time end as
    unreadable, with the reason.
    """
    waiting = sorted(((reading.first_ns(), number) for number, reading in enumerate(readings)), reverse=True)
    sources: list[_Source] = []
    at = np.zeros(0, np.uint32)
    out = free.get()
    while sources or waiting:
        while waiting and (not sources or waiting[-1][0] <= _horizon(sources)):
            reading = readings[waiting.pop()[1]]
            source = _Source(reading)
            if len(sources) == MERGED:
                reading.error = InputError(
                    reading.path, "limit", f"more than {MERGED} captures overlap in time"
                )
            elif source.refill():
                sources, at = [*sources, source], np.append(at, np.uint32(0))
        parts = [source.batch for source in sources]
        used = merge(out, parts, at) if parts else 0
        if len(out):
            yield out
            out = free.get()
        if used < len(sources):
            if sources[used].refill():
                at[used] = 0
            else:
                del sources[used]
                at = np.delete(at, used)


def _horizon(sources: list[_Source]) -> int:
    """The time up to which the batches at hand reach."""
    return min(int(source.batch.last_ns) for source in sources)
