"""Places that are held: requests that do not end, bodies that do not come, answers that are not read.

The engine keeps such connections from their first sign on, whatever silence lies between the next ones. Who
holds a few of them may have lost its network; who holds many for long, and moves next to nothing on them, is
there to hold them. A reader takes nothing, or keeps its window at a few segments, and the server fills
them. An event that began (also by the shares of ``slow``) lasts while places are held, and is told to its
last one.
Inside TLS none of this can be read. There a place is held where nothing is asked after the handshake, or
where more and more comes of what is asked and no answer; who takes turn after turn beside that is served, as
the many are behind one address whose browsers connect ahead.
Left out: connections in clear text on which nothing was ever asked, bodies in chunks, which declare no
length, and inside TLS who asks once and sends no more: he may have read the answer, or wait for it as a long
poll does.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._engine import HELD_DTYPE
from ..model.address import ONE_IPV6, Address
from ..model.epoch import EPOCH_NS, EPOCHS_PER_SECOND
from ..model.finding import Floor, SourceCount
from ..model.summary import Summary

LASTS_S = 10.0
"""Seconds after which a connection counts as held: a request is sent in far less, however slowly ..."""
SLOW = 500.0
"""... if less than so many bytes a second moved on it: what servers ask for (Apache's mod_reqtimeout)."""
EACH = 8
"""Such connections of one source from which it holds them: browsers open six ..."""
LEAST = 30
"""... and of all such sources, from which a server feels it."""
SHOWN = int((LASTS_S + 1) * EPOCHS_PER_SECOND)
"""Epochs of silence after which a connection shows as held (``LASTS_S``)."""
STILL = LEAST // 2
"""Held connections of anybody from which what began goes on."""
HEADER, BODY, READER, SEALED = 1, 2, 3, 4
"""``kind`` of a connection that is held."""
SECOND_NS = EPOCHS_PER_SECOND * EPOCH_NS
"""A stall has to last this long to be looked at ..."""
SERVED = 4
"""Turns of a source for each connection that it begins, or on which it waits inside TLS, from which it is
served ..."""
SERVED_EPOCHS = 64
"""... for so many epochs (16 s)."""
MOSTLY = 0.5
"""... and if so many readers read on, a server's stalls say nothing."""
SEEN = 8
"""Sources that are told though they are not proven."""
FLOOR = Floor(
    LEAST,
    rule=f"{{floor}} connections held for {LASTS_S:.0f} s or longer, {EACH} or more by each source, with "
    f"less than {SLOW:.0f} bytes a second on each",
)


Holder: TypeAlias = tuple[int, int, int]
"""``source``, ``low`` and ``v6`` of a row."""


@dataclass(slots=True)
class Told:
    """What was told of one server's places.

    Attributes:
        end: the first epoch that no finding counted.
        newest_ns: connections that began later are new.
        proven: new ones by source, of those with a handshake, in this window of the heavy-hitter table.
    """

    end: int = 0
    newest_ns: int = 0
    proven: Counter[Holder] = field(default_factory=Counter)


class Held(NamedTuple):
    """One server's held places at the end of a second.

    Attributes:
        port: of most of them.
        most: held at once.
        lasted: seconds of the longest.
        holders: sources, and ``holder`` the one that holds most of them, ``most_of_one``.
        kind: how most of them are held.
        slow: of sources that hold many, for long.
        fresh: those that began in this second, and ``before`` those that no finding counted and are older;
            of all of these the most that began in any one second are ``busiest``.
        proven: of both, those whose handshake was seen.
        stretch: epochs that were not told yet.
        top: proven sources, with what they began in this window, and ``seen`` others, with what is new.
        told: what was told of them before.
    """

    port: int
    most: int
    lasted: float
    holders: int
    holder: int
    most_of_one: int
    kind: int
    slow: int
    fresh: int
    before: int
    busiest: int
    proven: int
    stretch: tuple[int, int]
    top: list[SourceCount]
    seen: list[SourceCount]
    told: Told


class Places:
    """Held places of all servers, looked at once a second."""

    def __init__(self) -> None:
        self._told: dict[Address, Told] = {}
        self._readers = np.zeros(0, HELD_DTYPE)
        self._turns: dict[Holder, tuple[int, int]] = {}
        self._now = 0

    def now(self, summary: Summary) -> dict[Address, Held]:
        """The servers whose places are held by now: enough to begin an event, or to go on with one."""
        rows, self._now = summary.held(), _now(summary)
        rows = rows[~_idle(rows)]
        rows = rows[~self._are_served(rows, summary)]
        self._readers = rows[rows["kind"] == READER]
        servers = np.unique(rows[["hi", "lo"]]) if len(rows) else rows
        found = {(int(server["hi"]), int(server["lo"])) for server in servers}
        self._told = {address: told for address, told in self._told.items() if address in found}
        held = dict[Address, Held]()
        for address in sorted(found):
            mine = rows[(rows["hi"] == address[0]) & (rows["lo"] == address[1])]
            if int(mine["weight"].sum()) >= STILL:
                held[address] = _held(mine, summary, self._told.get(address) or Told(), self._now)
        return held

    def _are_served(self, rows: NDArray[np.void], summary: Summary) -> NDArray[np.bool_]:
        """Places inside TLS of sources that take many turns there, or did lately."""
        sealed: NDArray[np.bool_] = rows["kind"] == SEALED
        if not sealed.any():
            self._turns.clear()
            return sealed
        waiting = Counter(_keys(rows[sealed]))
        heavy = summary.heavy()
        asking = heavy[(heavy["turns"] > SERVED * np.maximum(heavy["first"], 1)) & (heavy["proven"] > 0)]
        kept = {
            key: held for key, held in self._turns.items() if 0 <= summary.epoch - held[0] < SERVED_EPOCHS
        }
        for key, turns in zip(_keys(asking), asking["turns"].tolist(), strict=True):
            if key in waiting and turns >= kept.get(key, (0, 0))[1]:
                kept[key] = summary.epoch, turns
        self._turns = kept
        served = {key for key, (_, turns) in kept.items() if turns > SERVED * waiting[key]}
        found: NDArray[np.bool_] = sealed & np.array([key in served for key in _keys(rows)], bool)
        return found

    def are_read(self, address: Address) -> bool:
        """Of the answers that were stalled there lately most go on being read: these are slow clients."""
        mine = (self._readers["hi"] == address[0]) & (self._readers["lo"] == address[1])
        rows = self._readers[mine & (self._readers["since_ns"] + SECOND_NS <= self._now)]
        ages = (self._now - rows["since_ns"].astype(np.int64)) / 1e9
        return bool(len(rows)) and float((rows["moved"] >= SLOW * ages).mean()) >= MOSTLY

    def is_told(self, address: Address) -> bool:
        """An event of this server's places goes on."""
        return address in self._told

    def tell(self, address: Address, held: Held) -> None:
        """A finding counts what is held now."""
        held.told.end, held.told.newest_ns = held.stretch[1], self._now
        self._told[address] = held.told

    def forget_window(self) -> None:
        """The window of the heavy-hitter table ended: bounds of sources are added up from here on."""
        for told in self._told.values():
            told.proven.clear()


def _idle(rows: NDArray[np.void]) -> NDArray[np.bool_]:
    """A reader whose only sign was one window of zero, and nobody sent anything since: nobody waits for it.

    It may be the last word of a connection that was closed.
    """
    once = (rows["heard"] == 0) & (rows["last_ns"] == rows["since_ns"])
    idle: NDArray[np.bool_] = (rows["kind"] == READER) & once
    return idle


def _now(summary: Summary) -> int:
    return max(summary.last_ns, summary.epoch * EPOCH_NS)


def _held(rows: NDArray[np.void], summary: Summary, told: Told, now: int) -> Held:
    since, weight = rows["since_ns"].astype(np.int64), rows["weight"].astype(np.int64)
    over = rows["until_ns"] > 0
    ends = np.where(over, rows["until_ns"], np.where(rows["heard"] > 0, now, rows["last_ns"]))
    ages = np.maximum(now - since, 0) / 1e9
    slow = ~over & (ages >= LASTS_S) & (rows["moved"] < SLOW * ages)
    sources, which = np.unique(rows[["source", "low", "v6"]], return_inverse=True)
    of_each = np.bincount(which, weight, len(sources))
    slow_of_each = np.bincount(which, weight * slow, len(sources))
    first = int(of_each.argmax())
    new = rows["since_ns"] > told.newest_ns
    fresh = new & (since > now - SECOND_NS)
    keys = _keys(sources)
    shaken = _proven(summary)
    real = (rows["proven"] > 0) | np.array([key in shaken for key in keys], bool)[which]
    seen = Counter[Holder]()
    _count(seen, keys, which[new & ~real])
    _count(told.proven, keys, which[new & real])
    begin = told.end or int(rows["since_ns"].min()) // EPOCH_NS
    return Held(
        port=int(np.bincount(rows["port"], weight).argmax()),
        most=max(int(weight[~over].sum()), int(weight[over].sum())),
        lasted=float((ends.astype(np.int64) - since).max()) / 1e9,
        holders=len(sources),
        holder=_code(keys[first]),
        most_of_one=int(of_each[first]),
        kind=int(np.bincount(rows["kind"], weight).argmax()),
        slow=int(slow_of_each[slow_of_each >= EACH].sum()),
        fresh=int(weight[fresh].sum()),
        before=int(weight[new & ~fresh].sum()),
        busiest=_busiest(since[new], weight[new]),
        proven=int(weight[new & real].sum()),
        stretch=(begin, max(int(ends.max()) // EPOCH_NS + 1, begin)),
        top=_sources(told.proven),
        seen=_sources(seen, SEEN),
        told=told,
    )


def _proven(summary: Summary) -> set[Holder]:
    """Sources that are known to have finished a handshake lately, on any connection."""
    rows = summary.heavy()
    return set(_keys(rows[rows["proven"] > 0]))


def _keys(rows: NDArray[np.void]) -> list[Holder]:
    return list(zip(rows["source"].tolist(), rows["low"].tolist(), rows["v6"].tolist(), strict=True))


def _busiest(times: NDArray[np.int64], weight: NDArray[np.int64]) -> int:
    """The most weight in any one second."""
    if not len(times):
        return 0
    order = np.argsort(times)
    sums = np.append(0, weight[order].cumsum())
    first = np.searchsorted(times[order], times[order] - SECOND_NS, side="right")
    return int((sums[1:] - sums[first]).max())


def _count(counter: Counter[Holder], keys: list[Holder], which: NDArray[np.intp]) -> None:
    numbers, counts = np.unique(which, return_counts=True)
    counter.update({keys[n]: c for n, c in zip(numbers.tolist(), counts.tolist(), strict=True)})


def _code(key: Holder) -> int:
    """The address of a source as one number; IPv4 as in ::ffff:a.b.c.d."""
    source, low, v6 = key
    return source << 64 | low if v6 else 0xFFFF << 32 | source & 0xFFFFFFFF


def _sources(counter: Counter[Holder], most: int | None = None) -> list[SourceCount]:
    return [
        SourceCount(source, v6 > 0, count, count, low, ONE_IPV6 if v6 > 1 else 0)
        for (source, low, v6), count in counter.most_common(most)
    ]
