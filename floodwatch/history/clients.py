"""Who was served before anything happened: networks of clients, and their paces.

A network is a /24 of IPv4 or a /48 of IPv6; whoever came through a translator (NAT64) is a single address.

Learnt only from sources that finished a handshake and asked for something, seconds later and when no flood
was found at their host in between. A network counts as known two windows of the heavy-hitter table (8 s each)
after its first visit: visits right before an attack do not make it known. Whoever comes earlier and asks as
people do is known, bot or not; that is why being known is evidence and never decides alone. What was learnt
is never pushed out by what comes later.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..model.epoch import EPOCHS_PER_SECOND
from ..model.summary import Summary
from .cover import Onsets
from .memory import Addresses, Networks, codes
from .proxies import Proxies
from .sources import ADDRESS, Paces
from .windows import HELD, TRIED, Windows, positions, requests_in

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
        if not len(rows):
            return
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

    def asked(self, rows: NDArray[np.void], requests: NDArray[np.int64], window: int) -> tuple[float, float]:
        """Of the requests of these sources all, and those from known networks; both 0 while none is known."""
        known = self.aged(window)
        if not len(known) or not len(rows):
            return 0.0, 0.0
        found = _among(networks(rows), known)
        return float(requests.sum()), float(requests[found].sum())


class Second(NamedTuple):
    """The table at the end of a second, and what its pairs had asked by the second before."""

    epoch: int
    rows: NDArray[np.void]
    asked: NDArray[np.int64]
    seconds: float
    window: int


class Visitors:
    """Who was served while nothing was wrong, and how fast they asked: believed only some seconds later.

    Args:
        before: networks of clients that are known from the start.
        proxies: whoever asks for others.
        windows: the table over time, where requests are something else than those of HTTP in clear text.
    """

    def __init__(
        self, before: Networks, proxies: Proxies | None = None, windows: Windows | None = None
    ) -> None:
        self.windows = windows or Windows()
        self.proxies = proxies or Proxies()
        self.networks = KnownNetworks(before)
        self.paces = Paces()
        self.onsets = Onsets()
        self._learnt: NDArray[np.void] | None = None
        self._pending: deque[Second] = deque()
        self._flooded: dict[int, int] = {}

    def flooded(self, victim: int, epoch: int) -> None:
        """A flood was found at a victim, given by its slot reference: nothing is learnt of it for a while."""
        self._flooded[victim] = epoch
        self.onsets.begin(victim, epoch, self.windows)

    def flood_ended(self, victim: int, epoch: int) -> bool:
        """A flood at a victim was found in the second before this epoch: sums of a second still hold it."""
        return 0 < epoch - self._flooded.get(victim, epoch) < EPOCHS_PER_SECOND

    def known_networks(self) -> Networks:
        """Networks that are known by now, and those of proxies, whose clients are."""
        return np.union1d(self.networks.aged(self.windows.number), self.proxies.networks())

    def open_epoch(self, summary: Summary) -> None:
        """See who is a proxy, before the epoch is judged."""
        self.proxies.update(summary, self._flooded)

    def asked(self, rows: NDArray[np.void]) -> tuple[float, float]:
        """Requests of these sources in the last epoch, and those from known networks; both 0 while none is
        known.
        """
        last = rows["requests"].astype(np.int64) - requests_in(self.windows.newest, rows)
        return self.networks.asked(rows, last, self.windows.number)

    def close_epoch(self, summary: Summary) -> None:
        """Once a second, remember how fast everybody asks; believe it when no flood was found since."""
        epoch, windows = summary.epoch, self.windows
        if self._pending and self._pending[-1].epoch >= epoch:  # the clock was set back
            self._pending.clear()
        if windows.age % EPOCHS_PER_SECOND == EPOCHS_PER_SECOND - 1:
            table, seconds = windows.now(summary), (windows.age + 1) / EPOCHS_PER_SECOND
            asked = requests_in(self._learnt, table)
            self._learnt = table
            self._pending.append(Second(epoch, table, asked, seconds, windows.number))
        while self._pending and self._pending[0].epoch <= epoch - TRIED:
            self._believe(self._pending.popleft())
        oldest = self._pending[0].epoch if self._pending else epoch - TRIED
        self._flooded = {v: at for v, at in self._flooded.items() if oldest + TRIED - HELD < at <= epoch}
        self.onsets.end(set(self._flooded))
        if summary.window_ends:
            self._learnt = None
        windows.close_epoch(summary)

    def _believe(self, second: Second) -> None:
        recent = [victim for victim, at in self._flooded.items() if at > second.epoch + TRIED - HELD]
        calm = ~np.isin(second.rows["victim"], recent)
        self.paces.learn(second.rows[calm], second.asked[calm], second.seconds, second.window)
        self.networks.learn(second.rows[calm], second.window)


def _among(wanted: Networks, ids: Networks) -> NDArray[np.bool_]:
    """Which of the wanted networks stand among sorted ones."""
    return positions(ids, wanted)[1] if len(ids) else np.zeros(len(wanted), bool)


def networks(rows: NDArray[np.void]) -> Networks:
    """Network of each source: IP version in the upper byte, then the leading 24 or 48 bits of the address.

    A source that is a single IPv6 address has its code.
    """
    source, form = rows["source"].astype(np.uint64), rows["v6"]
    four = (source & np.uint64(0xFFFFFFFF)) >> np.uint64(8) | np.uint64(4 << 56)
    six = source >> np.uint64(16) | np.uint64(6 << 56)
    found = np.where(form > 0, six, four)
    single = form == ADDRESS
    if single.any():
        found[single] = codes(_addresses(rows))
    return found


def _addresses(rows: NDArray[np.void]) -> Addresses:
    """Those of the rows whose source is a single IPv6 address."""
    mine = rows[rows["v6"] == ADDRESS]
    return np.column_stack([mine["source"], mine["low"]]).astype(np.uint64)
