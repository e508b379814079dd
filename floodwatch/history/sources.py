"""Which sources of a victim behave like machines: rates and habits from the heavy-hitter table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..model.address import ONE_IPV6
from ..model.epoch import EPOCHS_PER_SECOND
from ..model.finding import Proof, SourceCount
from ..model.summary import Summary
from .cover import Onsets, explains, settled
from .memory import Networks
from .nearby import Network as Spread
from .nearby import Seen, spread
from .proxies import Proxies
from .windows import Windows, positions, requests_in, with_earlier

FAST = 12.5
"""Requests a second of one source over the last second, beyond one person's pace ..."""
VARIETY = 0.2
"""... if at most this share of its requests are for different paths ..."""
ASSETS = 0.3
"""... and at most this share fetches what pages pull in."""
VERY_FAST = 50.0
"""Requests a second without the parts of pages that no mix of paths excuses."""
BARE = 0.03
STEADY = 25.0
"""Half as many, where it asked ..."""
LONG = 40
"""... so often in the window: a page of calls to an API is a burst, and then its reader reads."""
HABIT = 8
"""Requests in the window from which a habit shows, at any rate."""
DEVOTED = 3
"""Requests that show it where one path is flooded, if all are for that path and nothing else."""
SEVERAL = 2
"""Requests that show what a source fetches, where it is looked at with others of its network."""
SAME = 0.8
"""Share of requests for the same path as the one before."""


ADDRESS = 2
"""``v6`` of a row of the heavy-hitter table whose source is one IPv6 address."""
SLACK = 5.0
"""Times of its pace before the flood that a source may ask and still be taken for what it was."""
MAX_PACES = 65_536


@dataclass(frozen=True, slots=True)
class Machines:
    """Heavy-table rows of the sources that are machines, and their requests in the last epoch.

    ``rows`` hold the window before as well, for habits; what a source sent in this window is in ``window``,
    what it asked in the last epoch in ``last``. ``networks`` are those whose hosts are machines together,
    who sent
    ``together`` of the requests.
    """

    rows: NDArray[np.void]
    window: NDArray[np.void]
    last: NDArray[np.int64]
    together: int
    networks: list[Spread]

    @property
    def requests(self) -> int:
        """Requests of them all in the last epoch."""
        return int(self.last.sum())

    def named(self) -> list[SourceCount]:
        """Those whose addresses are proven, with the bounds of their requests in this window."""
        proven = self.rows["proven"] > 0
        alone = np.ones(len(self.rows), bool)
        out = list[SourceCount]()
        for network in self.networks:
            members = network.members[proven[network.members]]
            mine = self.window[members]
            if network.length and len(mine):
                alone[network.members] = False
                least = int(mine["requests"].sum(dtype=np.int64))
                out.append(
                    SourceCount(
                        network.source,
                        bool(mine["v6"][0]),
                        least,
                        least + int(mine["missed"].sum(dtype=np.int64)),
                        length=network.length,
                        before=least - int(self.last[members].sum()),
                        proof="forwarded" if mine["via"].any() else "handshake",
                    )
                )
        chosen = proven & alone
        return source_counts(self.window[chosen], "requests", "requests", self.last[chosen]) + out


class Asked(NamedTuple):
    """What is known of a victim's requests as a whole.

    Attributes:
        only: keyed hash of the one path that is flooded, where there is one.
        rate: requests a second.
        usual: those that are usual; 0 where unknown.
        growth: those beyond the usual; 0 where that is unknown, or no surge.
    """

    only: int | None = None
    rate: float = 0.0
    usual: float = 0.0
    growth: float = 0.0


def machines(victim: int, summary: Summary, visitors: Visited, asked: Asked) -> Machines:
    """Pick the machines among one victim's sources: those that explain what machines ask, and no more.

    Args:
        victim: the victim's slot reference.
        summary: the epoch.
        visitors: who asked before, and how fast.
        asked: what is known of its requests.
    """
    windows = visitors.windows
    now = windows.now(summary)
    rows = now[now["victim"] == victim]
    if not len(rows):
        return Machines(rows, rows, np.zeros(0, np.int64), 0, [])
    total = rows["requests"].astype(np.int64)
    last = total - requests_in(windows.newest, rows)
    lately = total - requests_in(windows.before, rows)
    second = lately * (EPOCHS_PER_SECOND / windows.epochs)
    habit = with_earlier(rows, windows.earlier)
    chosen = _behaves_like_machine(habit, second)
    rates, seconds = visitors.onsets.paces(victim, summary.epoch, windows, rows, lately)
    if asked.only is not None:
        bit = np.uint64(1) << np.uint64(asked.only >> 58)
        devoted = (habit["requests"] >= DEVOTED) & (habit["paths"] == bit) & (habit["assets"] == 0)
        chosen |= devoted & settled(rates, seconds)
    kept = visitors.paces.kept(rows, second)
    kept |= (last <= 0) & np.isin(rows["pair_hash"], visitors.proxies.believed())  # what they asked before
    chosen &= ~kept
    bare = (habit["requests"] >= SEVERAL) & (habit["assets"] <= BARE * habit["requests"])
    seen = Seen(asked.rate, asked.growth, windows.seconds, visitors.onsets.begun(victim))
    near = spread(habit, bare & ~kept & ~chosen, second, seen, visitors.known_networks, chosen)
    each = np.flatnonzero(chosen)
    sums = np.array([second[network.members].sum() for network in near])
    taken = explains(np.concatenate([rates[each], sums]), asked.usual)
    near = [network for network, one in zip(near, taken[len(each) :], strict=True) if one]
    chosen[each] = taken[: len(each)]
    member = np.zeros(len(rows), bool)
    for network in near:
        member[network.members] = True
    chosen |= member
    place = np.cumsum(chosen) - 1
    near = [Spread(place[network.members], network.source, network.length) for network in near]
    return Machines(habit[chosen], rows[chosen], last[chosen], int(last[member].sum()), near)


class Visited(Protocol):
    """Who asked before: ``clients.Visitors``."""

    windows: Windows
    paces: Paces
    onsets: Onsets
    proxies: Proxies

    def known_networks(self) -> Networks:
        """Networks of known clients."""
        ...


class Paces:
    """How fast each source asked while nothing was wrong: whoever keeps to it is no part of a flood.

    A bot that was slow before and is fast now does not keep to it.
    """

    def __init__(self) -> None:
        self._pairs = np.zeros(0, np.uint64)
        self._rates = np.zeros(0)
        self._since = np.zeros(0)
        self._window = -1

    def learn(self, rows: NDArray[np.void], asked: NDArray[np.int64], seconds: float, window: int) -> None:
        """Note the paces of pairs that are in no flood, once a second.

        A pace is taken from the second in which a pair first asked: who comes at the end of a window would
        seem slow if it was taken from the beginning of the window.

        Args:
            rows: the table, ``seconds`` after its window began.
            asked: requests of the same pairs, in the same window, up to a second before.
            seconds: see above.
            window: number of the window.
        """
        if not len(rows):  # all keep their paces
            self._since, self._window = np.zeros(len(self._pairs)), window
            return
        pairs = rows["pair_hash"].astype(np.uint64)
        since = np.where(asked == 0, seconds - 1, 0.0)
        if window == self._window and len(self._pairs):
            at, known = positions(self._pairs, pairs)
            since = np.maximum(since, np.where(known, self._since[at], 0.0))
        # two more: the first second was no whole one, and a few requests tell a pace only roughly
        rates = (rows["requests"] + 2.0) / (seconds - since)
        silent = ~np.isin(self._pairs, pairs)  # they keep their paces; where room is short the newest stay
        pairs = np.concatenate([pairs, self._pairs[silent]])[:MAX_PACES]
        rates = np.concatenate([rates, self._rates[silent]])[:MAX_PACES]
        since = np.concatenate([since, np.zeros(int(silent.sum()))])[:MAX_PACES]
        order = np.argsort(pairs)
        self._pairs, self._rates, self._since = pairs[order], rates[order], since[order]
        self._window = window

    def knows(self, rows: NDArray[np.void]) -> NDArray[np.bool_]:
        """Which sources asked before, while nothing was wrong."""
        if not len(self._pairs):
            return np.zeros(len(rows), bool)
        return positions(self._pairs, rows["pair_hash"])[1]

    def kept(self, rows: NDArray[np.void], rate: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which sources ask no more than ``SLACK`` times as fast as they did before."""
        if not len(self._pairs):
            return np.zeros(len(rows), bool)
        at, known = positions(self._pairs, rows["pair_hash"])
        kept: NDArray[np.bool_] = known & (rate <= SLACK * self._rates[at])
        return kept


def source_counts(
    rows: NDArray[np.void], least: str, most: str, last: NDArray[np.int64] | None = None
) -> list[SourceCount]:
    """Bounds of what each source of these rows sent.

    Args:
        rows: of the heavy-hitter table.
        least: the field that certainly counts.
        most: the field that counts at most, with the packets that came before admission.
        last: what of ``least`` came in the last epoch, where that is known.
    """
    before = np.zeros(len(rows), np.int64) if last is None else rows[least].astype(np.int64) - last
    return [
        source_of(r, int(r[least]), int(r[most]) + int(r["missed"]), early)
        for r, early in zip(rows, before.tolist(), strict=True)
    ]


def explaining(rows: NDArray[np.void], field: str, pace: float) -> NDArray[np.void]:
    """Those of the rows that explain what all of them sent in the window.

    Args:
        rows: of the heavy-hitter table, each of a source that may be part of a flood.
        field: what was counted of it.
        pace: what somebody who is none may send in a window.
    """
    kept: NDArray[np.void] = rows[explains(rows[field].astype(np.float64), pace=pace)]
    return kept


def source_of(row: np.void, lo: int, hi: int, before: int = 0) -> SourceCount:
    """The source of a row of the heavy-hitter table, with the bounds of what it sent."""
    form = int(row["v6"])
    length = ONE_IPV6 if form == ADDRESS else 0
    proof: Proof = "forwarded" if row["via"] else "handshake"
    return SourceCount(int(row["source"]), form > 0, lo, hi, int(row["low"]), length, before, proof=proof)


def _behaves_like_machine(rows: NDArray[np.void], rate: NDArray[np.float64]) -> NDArray[np.bool_]:
    requests = rows["requests"].astype(np.float64)
    variety = distinct_paths(rows["paths"]) / np.maximum(requests, 1)
    assets = rows["assets"] / np.maximum(requests, 1)
    same = rows["repeats"] / np.maximum(requests - 1, 1)
    monotonous = (rate >= FAST) & (variety <= VARIETY) & (assets <= ASSETS)
    relentless = (rate >= VERY_FAST) & (assets <= BARE)
    steady = (rate >= STEADY) & (requests >= LONG) & (assets <= BARE)
    stuck = (requests >= HABIT) & (same >= SAME) & (assets <= BARE)
    chosen: NDArray[np.bool_] = (requests >= HABIT) & (monotonous | relentless | steady | stuck)
    return chosen


def distinct_paths(bits: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Linear counting (Whang et al. 1990) on 64 bits; beyond about 250 paths it saturates."""
    zeros = 64.0 - np.bitwise_count(bits).astype(np.float64)
    return 64.0 * np.log(64.0 / np.maximum(zeros, 1.0))
