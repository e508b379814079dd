"""Who greets each victim: fingerprints and names of ClientHellos, of the last seconds and of usual days.

What comes from the engine is a bounded sample of each victim and epoch, each hello with a weight. A
fingerprint and a name are numbers here, their keyed hashes; of few a text is kept, which is made once. All is
bounded: so many victims, sources and texts are kept, and the rarest, or the oldest, make room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from ..capture.hellos import Counts, distinct
from ..capture.ja4 import ja4, server_name
from ..model.address import Address
from ..model.finding import F, Finding, Greeted, SourceCount
from .baseline import KNOWN_AFTER

LOOK = 40
"""Epochs (10 s) that are looked back on: connections are begun before what comes over them is a flood."""
VICTIMS = 256
"""Victims, by protocol, whose hellos are kept; twice as many before the rarest make room."""
SOURCES = 16_384
"""Sources whose newest fingerprint is kept."""
MADE = 64
"""New fingerprints, and names, whose texts are made in an epoch: of the most frequent ones."""
MIX = 64
"""Fingerprints that a victim's usual mix holds; twice as many before the rarest make room."""
KNOWN = 20
"""Hellos from which a mix is worth comparing with."""
AGED = 20_000
"""Hellos after which all that was learnt counts half."""
Parts = Sequence[tuple[NDArray[np.void], bytes]]
"""Records of hellos (HELLO_DTYPE, none sealed), each part with its texts."""
TRANSPORTS = {"tcp": ord("t"), "udp": ord("q")}
_KEPT = ["key", "name_key", "sender", "weight", "dport", "outer"]
NOBODY = np.zeros(0, [("key", "<u8"), ("name_key", "<u8"), ("sender", "<u8"), ("weight", "<u4"),
                      ("dport", "<u2"), ("outer", "u1")])  # fmt: skip
"""No hello, in the form in which findings hold them."""


@dataclass(slots=True)
class _Victim:
    """Hellos of the last seconds, and what was learnt of those before."""

    recent: deque[tuple[int, NDArray[np.void]]] = field(default_factory=deque)
    mix: dict[int, int] = field(default_factory=dict)
    total: int = 0
    epochs: int = 0
    flooded: int = -1
    """The last epoch in which something was found there."""

    def forget(self, epoch: int) -> None:
        """Learn from what is no longer looked back on, but for the seconds around what was found."""
        while self.recent and not 0 <= epoch - self.recent[0][0] < LOOK:
            before, hellos = self.recent.popleft()
            if self.flooded < before:
                self._learn(hellos)

    def _learn(self, hellos: NDArray[np.void]) -> None:
        self.epochs += 1
        self.total += int(hellos["weight"].sum())
        for key, weight in weighed(hellos, "key", MIX):
            self.mix[key] = self.mix.get(key, 0) + weight
        if len(self.mix) > 2 * MIX:
            self.mix = dict(sorted(self.mix.items(), key=lambda item: -item[1])[:MIX])
        if self.total > AGED:
            self.total //= 2
            self.mix = {key: weight // 2 for key, weight in self.mix.items() if weight > 1}

    def usual(self) -> dict[int, float] | None:
        """Share of the hellos that each fingerprint has; None where too few are known."""
        if self.total < KNOWN or self.epochs < KNOWN_AFTER:
            return None
        return {key: weight / self.total for key, weight in self.mix.items()}


class Greetings:
    """The hellos of one analysis; see the module."""

    def __init__(self) -> None:
        self._victims: dict[tuple[Address, int], _Victim] = {}
        self._newest: dict[tuple[Address, Address], int] = {}
        self._prints: Counts[str] = Counts()
        self._names: Counts[str] = Counts()

    def take(self, parts: Parts, epoch: int) -> None:
        """The sampled hellos of an epoch, before its findings are told of."""
        if not parts:
            return
        self._make(parts)
        hellos = np.concatenate([records for records, _ in parts])
        ends = np.column_stack([hellos["dst"], hellos["transport"].astype(np.uint64)])
        victims, of = np.unique(ends, axis=0, return_inverse=True)
        for number, (hi, lo, transport) in enumerate(victims.tolist()):
            victim = self._victims.setdefault(((hi, lo), transport), _Victim())
            victim.forget(epoch)
            victim.recent.append((epoch, hellos[_KEPT][of.reshape(-1) == number].astype(NOBODY.dtype)))
        if len(self._victims) > 2 * VICTIMS:
            kept = sorted(self._victims.items(), key=lambda item: -item[1].total)[:VICTIMS]
            self._victims = dict(kept)
        self._note(hellos)

    def _note(self, hellos: NDArray[np.void]) -> None:
        """Which fingerprint each source used last. Of IPv6 it is kept by address and by /64."""
        columns = (hellos["dst"].tolist(), hellos["src"].tolist(), hellos["key"].tolist())
        for (to_hi, to_lo), (hi, lo), key in zip(*columns, strict=True):
            for source in ((hi, lo), (hi, 0)) if hi else ((hi, lo),):
                end = (to_hi, to_lo), source
                self._newest.pop(end, None)  # the newest stand last
                self._newest[end] = key
        if len(self._newest) > 2 * SOURCES:
            self._newest = dict(list(self._newest.items())[-SOURCES:])

    def _make(self, parts: Parts) -> None:
        left = {"key": MADE, "name_key": MADE}
        for name, known, says in (("key", self._prints, ja4), ("name_key", self._names, server_name)):
            for records, texts in parts:
                left[name] -= _made(known, records[records[name] != 0], texts, name, says, left[name])

    def greet(self, finding: Finding[F]) -> None:
        """Say who greeted the victim of a finding, and how its sources did."""
        transport = TRANSPORTS.get(finding.protocol, 0)
        victim = self._victims.get((finding.victim, transport))
        if victim is None or finding.prefix is not None:
            return
        if finding.over:
            victim.flooded = finding.epoch
        victim.forget(finding.epoch)
        port = max(finding.ports, key=lambda one: one[1])[0] if finding.ports else None
        earlier = [NOBODY] + [_at(hellos, port) for epoch, hellos in victim.recent if epoch < finding.epoch]
        now = [NOBODY] + [_at(hellos, port) for epoch, hellos in victim.recent if epoch >= finding.epoch]
        finding.greeted = Greeted(np.concatenate(now), np.concatenate(earlier), victim.usual())
        finding.top = [self._with_newest(finding.victim, source) for source in finding.top]

    def _with_newest(self, victim: Address, source: SourceCount) -> SourceCount:
        if source.behind:
            return source
        address = (source.source, source.low) if source.v6 else (0, source.source)
        key = self._newest.get((victim, address))
        return source if key is None else replace(source, ja4=key)

    def ja4(self, key: int) -> str | None:
        """The text of a fingerprint, where it is still known."""
        return self._prints.says(key)

    def name(self, key: int) -> str | None:
        """The text of a server name, where it is still known."""
        return self._names.says(key)


def weighed(hellos: NDArray[np.void], column: str, most: int) -> list[tuple[int, int]]:
    """The most frequent values of a column, each with the hellos that it stands for; of equals the first."""
    values, first, inverse = np.unique(hellos[column], return_index=True, return_inverse=True)
    weights = np.bincount(inverse.reshape(-1), hellos["weight"], len(values)).astype(np.int64)
    order = np.lexsort((first, -weights))[:most]
    return list(zip(values[order].tolist(), weights[order].tolist(), strict=True))


def _at(hellos: NDArray[np.void], port: int | None) -> NDArray[np.void]:
    return hellos if port is None else hellos[hellos["dport"] == port]


def _made(
    known: Counts[str],
    records: NDArray[np.void],
    texts: bytes,
    name: str,
    says: Callable[[np.void, bytes], str],
    most: int,
) -> int:
    """Count the values of a column, and make texts of at most so many new ones; returns of how many."""
    made = 0
    for at, count in sorted(distinct(records[name]), key=lambda one: -one[1]):
        key = int(records[name][at])
        text = known.says(key)
        if text is None:
            if made >= most:
                continue
            text = says(records[at], texts)
            made += 1
        known.add(key, count, text)
    return made
