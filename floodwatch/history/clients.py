"""Networks whose clients were served before anything happened: /24 of IPv4, /48 of IPv6.

Learnt only from sources that finished a handshake and asked for something, seconds later and when no flood
was found at their host in between. A network counts as known two windows of the heavy-hitter table (8 s each)
after its first visit: visits right before an attack do not make it known. Whoever comes earlier and asks as
people do is known, bot or not; that is why being known is evidence and never decides alone. What was learnt
is never pushed out by what comes later.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .memory import Networks
from .sources import positions

MOST = 262_144
"""Networks that are remembered; then no new ones are learnt."""
AGED = 2
"""Windows after its first visit from which on a network is known."""


class KnownNetworks:
    """Which networks are known, and how much of some traffic comes from them.

    Args:
        before: networks that are known from the start, sorted.
    """

    def __init__(self, before: Networks) -> None:
        self._ids = before
        self._first = np.full(len(before), -AGED, np.int64)

    def learn(self, rows: NDArray[np.void], window: int) -> None:
        """Note the networks of sources in no flood, seen in one window (``window`` is its number)."""
        seen = np.unique(networks(rows[rows["proven"] > 0]))
        new = seen[~_among(seen, self._ids)][: MOST - len(self._ids)]
        if len(new):
            ids = np.concatenate([self._ids, new])
            order = np.argsort(ids)
            self._ids = ids[order]
            self._first = np.concatenate([self._first, np.full(len(new), window)])[order]

    def learnt(self) -> Networks:
        """All networks that were served, sorted: on another day they are known."""
        return self._ids

    def aged(self, window: int) -> Networks:
        """Networks that were first served long enough before this window."""
        return self._ids[self._first <= window - AGED]

    def asked(self, rows: NDArray[np.void], window: int) -> dict[str, float]:
        """Requests of these sources, and those from known networks; empty while none is known."""
        known = self.aged(window)
        if not len(known) or not len(rows):
            return {}
        found = _among(networks(rows), known)
        total, of_known = int(rows["requests"].sum()), int(rows["requests"][found].sum())
        return {"listed_requests": float(total), "known_requests": float(of_known)}


def _among(wanted: Networks, ids: Networks) -> NDArray[np.bool_]:
    """Which of the wanted networks stand among sorted ones."""
    return positions(ids, wanted)[1] if len(ids) else np.zeros(len(wanted), bool)


def networks(rows: NDArray[np.void]) -> Networks:
    """Network of each source: IP version in the upper byte, then the leading 24 or 48 bits of the address."""
    source = rows["source"].astype(np.uint64)
    four = (source & np.uint64(0xFFFFFFFF)) >> np.uint64(8) | np.uint64(4 << 56)
    six = source >> np.uint64(16) | np.uint64(6 << 56)
    return np.where(rows["v6"] > 0, six, four)
