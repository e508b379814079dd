"""Which packets of a batch made a ClientHello whole, and what it said; read only when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._engine import Decoder
from ..capture.hellos import Collector
from ..capture.ja4 import ja4, server_name

MOST_KEPT = 65536
"""Hellos of one batch whose fingerprints can be told."""
Drained = tuple[NDArray[np.void], bytes]


def collecting(decoder: Decoder, key: bytes, rows: int) -> Collector:
    """What gets the hellos that a decoder finds in batches of so many rows."""
    collector = Collector(key, min(rows, MOST_KEPT))
    decoder.collect(collector.found)
    return collector


class _Said:
    """What was drained while a batch was filled; ``packet`` counts its rows."""

    def __init__(self, collector: Collector | None, drained: Sequence[Drained]) -> None:
        self._collector = collector
        self._drained = drained

    @cached_property
    def by_row(self) -> dict[int, tuple[str, str]]:
        """Row -> fingerprint and server name."""
        found: dict[int, tuple[str, str]] = {}
        known: dict[int, str] = {}
        for part in self._drained if self._collector else ():
            assert self._collector is not None
            for records, texts in self._collector.read(*part):
                for hello in records:
                    key = int(hello["key"])
                    fingerprint = known.get(key) or known.setdefault(key, ja4(hello, texts))
                    found[int(hello["packet"])] = (fingerprint, server_name(hello, texts))
        self._drained = ()
        return found


class Greeted:
    """The hellos of a batch, or of some of its rows."""

    def __init__(self, collector: Collector | None = None, drained: Sequence[Drained] = ()) -> None:
        self._said = _Said(collector, drained)
        self._rows: NDArray[Any] | None = None

    def only(self, index: Any, size: int) -> Greeted:
        """The hellos of a slice, mask or array of indexes into ``size`` rows."""
        chosen = Greeted()
        chosen._said = self._said
        chosen._rows = (np.arange(size) if self._rows is None else self._rows)[index]
        return chosen

    def column(self, which: int, size: int) -> NDArray[np.object_]:
        """Fingerprints (0) or server names (1), None where a row has none."""
        out = np.full(size, None, dtype=object)
        said = self._said.by_row
        rows = range(size) if self._rows is None else self._rows.tolist()
        for at, row in enumerate(rows if said else ()):
            if row in said:
                out[at] = said[row][which]
        out.flags.writeable = False
        return out
