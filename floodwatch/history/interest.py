"""Which victims of an epoch are worth a look: a burst of one kind of packets, far under every floor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model.epoch import CARRIER, FRAGMENT, ICMP, MALFORMED, OTHER, SYN, TCP_ODD, UDP

BARE = [SYN, TCP_ODD, UDP, ICMP, FRAGMENT, OTHER, CARRIER, MALFORMED]
"""Kinds of which a burst is worth a look by itself; the others belong to connections."""
PACKETS, REQUESTS = 20, 5
"""So many of one kind in an epoch."""
FRAMES = ("h2_resets", "h2_continuations", "h2_violations", "h2_provoked", "ws_fast")
"""Counters of frames that hardly anybody needs; as many of them as ``REQUESTS`` are worth a look."""


def bursting(victims: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which of the rows are; shape (rows,)."""
    if not len(victims):
        return np.zeros(0, np.bool_)
    packets = victims["kinds"]["packets"]
    odd: NDArray[np.bool_] = victims["kinds"]["strange"].max(axis=1, initial=0) >= PACKETS
    bare: NDArray[np.bool_] = packets[:, BARE].max(axis=1, initial=0) >= PACKETS
    sealed = victims["sealed"]  # turns, handshakes and resets that TLS and QUIC hide are requests, too
    asked = victims["requests"] + (sealed["turns"] + sealed["hellos"] + sealed["small"]).sum(axis=1)
    frames = sum(victims[name] for name in FRAMES)
    found: NDArray[np.bool_] = bare | odd | (asked >= REQUESTS) | (frames >= REQUESTS)
    return found
