"""The ClientHellos of a capture, counted by fingerprint, name and version, in fixed memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._engine import HELLO_DTYPE, Hellos
from ..model.report import Fingerprint, Greetings, ServerName
from .initials import Initials, can_open
from .ja4 import UNKNOWN, VERSIONS, ja4, server_name

ROOM = 8192
"""Hellos between two drains: one a packet of a scan's batch."""
KEPT = 4096
"""Fingerprints, and names, that are counted at a time."""
TOLD = 50
"""Of them the most frequent ones are told."""
T = TypeVar("T")


class Collector:
    """Gets the ClientHellos that a decoder finds; those of QUIC are opened here.

    Attributes:
        found: what the decoder collects into.
        initials: what opens QUIC.
    """

    def __init__(self, key: bytes, room: int = ROOM) -> None:
        self.found = Hellos(room, key)
        self.initials = Initials()
        self._inside = Hellos(1, key)

    def read(self, records: NDArray[np.void], texts: bytes) -> list[tuple[NDArray[np.void], bytes]]:
        """Of what was drained the hellos (HELLO_DTYPE, none sealed), each part with its texts."""
        plain = records[records["sealed"] == 0]
        parts = [(plain, texts)] if len(plain) else []
        for sealed in records[records["sealed"] != 0]:
            opened = self._open(sealed, texts)
            if opened is not None:
                parts.append(opened)
        return parts

    def _open(self, sealed: np.void, texts: bytes) -> tuple[NDArray[np.void], bytes] | None:
        client = sealed["src"].tobytes() + sealed["sport"].tobytes()
        server = sealed["dst"].tobytes() + sealed["dport"].tobytes()
        at = int(sealed["at"])
        body = self.initials.open(client, server, texts[at : at + int(sealed["size"])])
        if body is None or not self._inside.add(body, "q"):
            return None
        records, text = self._inside.drain()
        opened = records.copy()
        for name in ("ts_ns", "sender", "src", "dst", "packet", "weight", "sport", "dport"):
            opened[name] = sealed[name]
        return opened, text

    @property
    def broken(self) -> int:
        """Hellos, and what was opened of QUIC, that contradict themselves."""
        return self.found.broken + self.initials.broken + self._inside.broken


class Counts(Generic[T]):
    """How often each key came, how often as an outer name, and what it stands for; the rarest make room.

    They go with all their numbers, so that a key that returns begins anew, and are counted together in
    ``others``; of names nobody is told that.
    """

    def __init__(self) -> None:
        self.held: dict[int, tuple[int, int, T]] = {}
        self.others = 0

    def add(self, key: int, count: int, what: T, outer: int = 0) -> None:
        """A key came so often, and so often as an outer name; ``what`` it stands for is kept once."""
        before = self.held.get(key)
        self.held[key] = (
            (count, outer, what) if before is None else (before[0] + count, before[1] + outer, before[2])
        )
        if len(self.held) > 2 * KEPT:
            ordered = sorted(self.held.items(), key=lambda item: -item[1][0])
            self.held = dict(ordered[:KEPT])
            self.others += sum(counted for _, (counted, _, _) in ordered[KEPT:])

    def says(self, key: int) -> T | None:
        """What a key stands for, where it is still there."""
        held = self.held.get(key)
        return None if held is None else held[2]


_Kept = tuple[bytes, bytes]
"""A record and its text. What they say is worked out at the end, of those that are still there."""


def _keep(hello: np.void, texts: bytes) -> _Kept:
    at = int(hello["at"])
    return hello.tobytes(), texts[at : at + int(hello["size"])]


def _kept(kept: _Kept) -> tuple[np.void, bytes]:
    record = np.frombuffer(kept[0], HELLO_DTYPE).copy()
    record["at"] = 0
    return record[0], kept[1]


class Tally:
    """Counts the hellos of one capture."""

    def __init__(self, key: bytes) -> None:
        self.collector = Collector(key)
        self._fingerprints: Counts[_Kept] = Counts()
        self._names: Counts[_Kept] = Counts()
        self._versions: Counter[str] = Counter()
        self._transports: Counter[str] = Counter()

    def take(self) -> None:
        """Count what the decoder found since the last call."""
        if len(self.collector.found) == 0:
            return
        for records, texts in self.collector.read(*self.collector.found.drain()):
            for i, count in distinct(records["key"]):
                self._fingerprints.add(int(records["key"][i]), count, _keep(records[i], texts))
            named = records[records["name_length"] > 0]
            outer = Counter(named["name_key"][named["outer"] != 0].tolist())
            for i, count in distinct(named["name_key"]):
                key = int(named["name_key"][i])
                self._names.add(key, count, _keep(named[i], texts), outer[key])
            for i, count in distinct(records["version"]):
                self._versions[VERSIONS.get(int(records["version"][i]), UNKNOWN)[1]] += count
            for i, count in distinct(records["transport"]):
                self._transports[chr(records["transport"][i])] += count

    def told(self) -> Greetings:
        """What was counted, most frequent first."""
        found, initials = self.collector.found, self.collector.initials
        return Greetings(
            tls=self._transports["t"],
            dtls=self._transports["d"],
            quic=self._transports["q"],
            versions=dict(sorted(self._versions.items(), key=lambda item: (-item[1], item[0]))),
            fingerprints=tuple(
                Fingerprint(ja4=text, hellos=count) for count, _, text in _ranked(self._fingerprints, ja4)
            ),
            names=tuple(
                ServerName(sni=text, hellos=count, outer=outer)
                for count, outer, text in _ranked(self._names, server_name)
            ),
            forgotten=self._fingerprints.others,
            broken=self.collector.broken,
            unfinished=found.unfinished + initials.unfinished,
            cut=found.cut,
            initials=found.sealed,
            refused=initials.refused,
            missed=found.missed + initials.unopened,
            opener=can_open(),
        )


def _ranked(counts: Counts[_Kept], says: Callable[[np.void, bytes], str]) -> list[tuple[int, int, str]]:
    """Both counts and text of the most frequent ones, in an order that does not depend on the keys."""
    ordered = sorted((-count, says(*_kept(kept)), outer) for count, outer, kept in counts.held.values())
    return [(-count, outer, text) for count, text, outer in ordered[:TOLD]]


def distinct(column: NDArray[np.generic]) -> list[tuple[int, int]]:
    """Where each distinct value stands first, in this order, and how often it comes."""
    _, first, counts = np.unique(column, return_index=True, return_counts=True)
    return sorted(zip(first.tolist(), counts.tolist(), strict=True))
