"""Who is a proxy: an address behind which others ask, and which must not pay for what they do.

Anybody may write X-Forwarded-For, Forwarded or a PROXY line, and a bot that invents a client with every
request would look like a proxy. So what a sender says of its clients is believed only

- of proxies that the operator names;
- where it was earned while nothing was wrong: the sender named several clients, for ``AGED`` epochs, and
  carried a share of what the victim served. Shares add up to one: few can have one, and a botnet none;
- of a neighbour of one that earned it, as proxies come in rows;
- for the time being, where the victim has no clients that come directly: then whoever speaks for several
  clients is all that the victim is reached by.

At a victim with direct clients nothing is believed of who comes with a flood. A sender that names nobody, but
carried most of what the victim served, as various as many people ask, is believed nothing, but spared as
well; one behind which several TCP stacks ask as variously is shared, and limited instead of blocked. What was
learnt holds for one victim: nobody earns it elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._engine import VOUCHED_MOST
from ..model.address import Address, Network, meet, source_cidr, source_network, spans
from ..model.epoch import EPOCHS_PER_SECOND
from ..model.finding import Via
from ..model.summary import Summary
from .memory import Networks
from .windows import HELD, TRIED, trim

Known: TypeAlias = Literal["forwarded_header", "proxy_line", "named", "carried", "shared"]
"""How a proxy is known to be one; ``carried``: it names nobody, but carried most of what was served;
``shared``: several machines are behind it, but it is no proxy."""
VALUES = 4
"""Different clients that a sender names before it earns trust ..."""
SHARE = 0.05
"""... its share of the packets of those who ask the victim for something ..."""
AGED = 32
"""... and epochs (8 s) that it does so."""
SEVERAL = 2
"""Different clients that a sender names where nobody comes directly ..."""
DIRECT = 3
"""... which is so with fewer sources than these that name nobody."""
MOST_OF_IT = 0.5
"""Share of one who names nobody ..."""
VARIOUS, PARTS, ENOUGH = 8, 0.3, 40
"""... and its different paths, or the share of parts of pages among its requests, and how many those are in a
window, from which it may be many people."""
STACKS = 3
"""Different TCP stacks behind an address that asks like that, from which it is shared; so is one with
``SHARE`` and ``ENOUGH`` requests that fetch parts of pages: no single person reads so fast."""
CARRIERS_MOST = VOUCHED_MOST
"""Senders that are remembered; then no new ones are learnt."""
ADDRESSES_MOST = 4096
NEIGHBOURS = {False: 8, True: 16}
"""Bits of a source that its network leaves out: a /24, or a /48 of the upper half of an IPv6 address."""
BY_LINE = 2


class Key(NamedTuple):
    """A sender at a victim; ``source`` and ``v6`` as in the heavy-hitter table."""

    victim: Address
    source: int
    v6: bool

    @property
    def network(self) -> tuple[Address, int, bool]:
        """Its neighbourhood at the victim."""
        return self.victim, self.source >> NEIGHBOURS[self.v6], self.v6


@dataclass(slots=True)
class Carrier:
    """What is known of one sender at one victim.

    Attributes:
        pair: its number in the heavy-hitter table.
        how: 1 it names clients by a header, 2 by a PROXY line, 3 by both, 0 not at all.
        most: it carried most of what the victim served.
        since: the epoch in which it was first seen to carry.
        clients: bits of the clients that it named.
        earned: it may be believed, or only spared where it names nobody.
    """

    pair: int
    how: int
    since: int
    clients: int = 0
    most: bool = False
    earned: bool = False

    @property
    def known(self) -> Known:
        """How users are told."""
        if not self.how:
            return "carried" if self.most else "shared"
        return "proxy_line" if self.how & BY_LINE else "forwarded_header"


class Asked(NamedTuple):
    """Those who asked, at the end of a second: direct rows of the heavy-hitter table."""

    epoch: int
    rows: NDArray[np.void]


class Proxies:
    """Learns who is a proxy.

    Args:
        named: networks of proxies that the operator names, without overlaps.
    """

    def __init__(self, named: Sequence[Network] = ()) -> None:
        self.spans = spans(named)
        """Ranges of the named ones, as the engine takes them."""
        self._named = {version: [n for n in named if n.version == version] for version in (4, 6)}
        self._carriers: dict[Key, Carrier] = {}
        self._presumed: dict[Key, Carrier] = {}
        self._addresses: dict[int, Address] = {}
        self._pending: deque[Asked] = deque()
        self._earlier: NDArray[np.void] | None = None
        self._before: dict[int, tuple[int, int]] = {}
        self._lately: dict[Key, tuple[int, int]] = {}
        self._met: set[tuple[int, bool]] = set()

    def believed(self) -> NDArray[np.uint64]:
        """Pairs of the heavy-hitter table whose senders are believed beside the named ones, in order."""
        held = [c.pair for c in self._carriers.values() if c.earned and c.how]
        if not held and not self._presumed:
            return np.zeros(0, np.uint64)
        return np.unique(np.array(held + [c.pair for c in self._presumed.values()], np.uint64))

    def known(self, victim: Address, source: int, v6: bool) -> Known | None:
        """How a sender to a victim is known to be a proxy, or None."""
        if self._is_named(source, v6):
            return "named"
        key = Key(victim, source, v6)
        carrier = self._carriers.get(key)
        carrier = carrier if carrier is not None and carrier.earned else self._presumed.get(key)
        return None if carrier is None else carrier.known

    def within(self, victim: Address, network: Network) -> bool:
        """A network of sources holds a proxy, or an address that many share."""
        named = self._named[network.version]
        both = (*self._presumed, *(key for key, carrier in self._carriers.items() if carrier.earned))
        mine = (source_network(key.source, key.v6) for key in both if key.victim == victim)
        return any(meet(one, network) for one in (*named, *mine))

    def networks(self) -> Networks:
        """The networks of all that are spared, as ``clients`` numbers them: limits let them pass."""
        held = [
            source >> 16 | 6 << 56 if v6 else (source & 0xFFFFFFFF) >> 8 | 4 << 56
            for source, v6 in self.sources()
        ]
        return np.unique(np.array(held, np.uint64))

    def sources(self) -> Iterator[tuple[int, bool]]:
        """All that are spared; of the named ones those that were met."""
        yield from self._met
        yield from {(key.source, key.v6) for key, carrier in self._carriers.items() if carrier.earned}
        yield from {(key.source, key.v6) for key in self._presumed}

    def carried(self, victim: Address) -> list[tuple[Via, float]]:
        """The proxies that named clients to a victim in this epoch, each with its share of them."""
        found = [
            (key, told) for key, told in self._lately.items() if key.victim == victim and self.known(*key)
        ]
        column = 0 if any(forwards for _, (forwards, _) in found) else 1  # lines stand ahead of many requests
        total = sum(told[column] for _, told in found)
        out: list[tuple[Via, float]] = []
        for key, told in found:
            known = self.known(*key)
            if told[column] and known is not None and known != "carried" and known != "shared":
                out.append(
                    (Via(source_cidr(source_network(key.source, key.v6)), known), told[column] / total)
                )
        return out

    def update(self, summary: Summary, flooded: Mapping[int, int]) -> None:
        """Take in an epoch, before it is judged.

        Args:
            summary: the epoch.
            flooded: the last epochs of floods of requests, by the victim's slot.
        """
        epoch, victims = summary.epoch, summary.victims
        if self._pending and self._pending[-1].epoch >= epoch:  # the clock was set back
            self._pending.clear()
        self._lately = {}
        asked = victims[victims["requests"] > 0] if len(victims) else victims
        if len(asked):
            self._take(summary, asked)
        while self._pending and self._pending[0].epoch <= epoch - TRIED:
            second = self._pending.popleft()
            if not len(second.rows):
                continue
            calm = [v for v in self._addresses if flooded.get(v, epoch - HELD) <= epoch - HELD]
            self._believe(second.epoch, second.rows[np.isin(second.rows["victim"], calm)])
        if summary.window_ends:
            self._earlier, self._before = (_direct(summary.heavy()) if len(asked) else None), {}

    def _take(self, summary: Summary, asked: NDArray[np.void]) -> None:
        for row in asked:
            self._addresses[int(row["reference"])] = int(row["hi"]), int(row["lo"])
        trim(self._addresses, ADDRESSES_MOST)
        rows = _direct(summary.heavy())
        for row in rows[rows["forwards"] > 0]:
            key, pair = self._key(row), int(row["pair_hash"])
            now = int(row["forwards"]), int(row["packets"])
            if key is not None:
                before = self._before.get(pair, (0, 0))
                self._lately[key] = max(now[0] - before[0], 0), max(now[1] - before[1], 0)
                if len(self._met) < CARRIERS_MOST and self._is_named(key.source, key.v6):
                    self._met.add((key.source, key.v6))
            self._before[pair] = now
        self._presume(summary.epoch, rows)
        if not self._pending or summary.epoch - self._pending[-1].epoch >= EPOCHS_PER_SECOND:
            self._pending.append(Asked(summary.epoch, rows))

    def _key(self, row: np.void) -> Key | None:
        victim = self._addresses.get(int(row["victim"]))
        return None if victim is None else Key(victim, int(row["source"]), bool(row["v6"]))

    def _is_named(self, source: int, v6: bool) -> bool:
        if v6:
            low, high = source << 64, source << 64 | (1 << 64) - 1
        else:
            low = high = source & 0xFFFFFFFF
        held = self._named[6 if v6 else 4]
        return any(int(n.network_address) <= high and low <= int(n.broadcast_address) for n in held)

    def _presume(self, epoch: int, rows: NDArray[np.void]) -> None:
        """Who is believed for the time being: see above."""
        if self._earlier is not None and len(self._earlier):
            rows = np.concatenate([rows, self._earlier])
        several = np.bitwise_count(rows["clients"]) >= SEVERAL
        speaks = (rows["how"] & BY_LINE > 0) | (2 * rows["forwards"] >= rows["requests"])
        self._presumed = {}
        if not (several & speaks).any():
            return
        earned = [key for key, carrier in self._carriers.items() if carrier.earned and carrier.how]
        settled, networks = {key.victim for key in earned}, {key.network for key in earned}
        for victim in np.unique(rows["victim"][several & speaks]):
            mine = rows["victim"] == victim
            quiet = mine & (rows["forwards"] == 0) & (rows["proven"] > 0)
            alone = len(np.unique(rows["source"][quiet])) < DIRECT
            for row in rows[mine & several & speaks]:
                key = self._key(row)
                if key is None or self._is_named(key.source, key.v6):
                    alone = alone and key is None
                elif key.network in networks or (alone and key.victim not in settled):
                    self._presumed[key] = Carrier(int(row["pair_hash"]), int(row["how"]), epoch)

    def _believe(self, epoch: int, rows: NDArray[np.void]) -> None:
        """Learn from a second in which nothing was wrong."""
        for victim in np.unique(rows["victim"]):
            mine = rows[rows["victim"] == victim]
            share = mine["packets"] / max(float(mine["packets"].sum()), 1.0)
            speaks = (mine["forwards"] > 0) & (share >= SHARE)
            reads = mine["assets"] >= PARTS * mine["requests"]
            many = ((np.bitwise_count(mine["paths"]) >= VARIOUS) | reads) & (mine["proven"] > 0)
            busy = many & (mine["requests"] >= ENOUGH)
            most = busy & (share > MOST_OF_IT)
            several = many & (np.bitwise_count(mine["stacks"]) >= STACKS)
            several |= busy & reads & (share >= SHARE)
            for row, much in zip(mine[speaks | most | several], most[speaks | most | several], strict=True):
                key = self._key(row)
                if key is not None and not self._is_named(key.source, key.v6):
                    self._learn(epoch, key, row, most=bool(much))

    def _learn(self, epoch: int, key: Key, row: np.void, *, most: bool) -> None:
        carrier = self._carriers.get(key)
        if carrier is None:
            if len(self._carriers) >= CARRIERS_MOST:
                return
            carrier = self._carriers[key] = Carrier(int(row["pair_hash"]), int(row["how"]), epoch)
        carrier.clients |= int(row["clients"])
        carrier.most |= most
        enough = not row["how"] or carrier.clients.bit_count() >= VALUES
        if epoch - carrier.since >= AGED and enough:
            carrier.how, carrier.earned = int(row["how"]), True


def _direct(heavy: NDArray[np.void]) -> NDArray[np.void]:
    """Those who ask for something, for themselves or for others."""
    rows: NDArray[np.void] = heavy[(heavy["via"] == 0) & ((heavy["requests"] > 0) | (heavy["forwards"] > 0))]
    return rows
