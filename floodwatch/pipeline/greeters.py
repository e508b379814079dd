"""Who sent a ClientHello with a given fingerprint: a scan of their packets alone reads a capture twice."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from .._engine import Batch
from ..capture.file import open_reading
from ..capture.hellos import ROOM, Collector
from ..capture.ja4 import ja4
from ..config.options import ScanOptions
from ..errors import ConfigError


def greeters(
    paths: Sequence[str], fingerprints: Sequence[str], key: bytes, stop: threading.Event
) -> NDArray[np.uint64]:
    """The addresses that sent such a hello in one of these captures, in order: (n, 2), upper and lower half.

    What cannot be read of a capture is left to the second reading to tell.

    Raises:
        ConfigError: a capture cannot be read twice.
    """
    found = np.empty((0, 2), np.uint64)
    for path in paths:
        if path == "-" or (os.path.exists(path) and not os.path.isfile(path)):
            raise ConfigError(f"{path} cannot be read twice, as a fingerprint takes: give a file")
        reading = open_reading(path, ScanOptions(), key, None, stop)
        collector = Collector(key)
        reading.decoder.collect(collector.found)
        free: SimpleQueue[Batch] = SimpleQueue()
        free.put(Batch(ROOM))
        for batch in reading.batches(free):
            free.put(batch)
            if len(collector.found):  # united at once, so that memory grows with hosts and not with hellos
                parts = collector.read(*collector.found.drain())
                senders = [_senders(records, texts, fingerprints) for records, texts in parts]
                found = np.unique(np.concatenate([found, *senders]), axis=0)
    return found


def _senders(records: NDArray[np.void], texts: bytes, fingerprints: Sequence[str]) -> NDArray[np.uint64]:
    keys, first = np.unique(records["key"], return_index=True)
    wanted = keys[[ja4(records[i], texts) in fingerprints for i in first]]
    return np.unique(records["src"][np.isin(records["key"], wanted)], axis=0)
