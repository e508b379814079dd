"""Packets as rows of one NumPy table, and the pool of payloads that they point to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from floodwatch.synth.truth import FloodTruth, Truth

Array = NDArray[Any]

SECOND = 1_000_000_000
"""Nanoseconds in a second."""
START_NS = 1_737_943_987 * SECOND
"""Packet time at which every scenario starts: 2025-01-27T02:13:07Z."""
MSS = 1460
"""Bytes of payload in a full TCP segment."""
WIDTH = 1480
"""Longest payload of one frame: what an IPv4 fragment holds at an MTU of 1500."""

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
DONT_FRAGMENT = 0x4000

PACKET = np.dtype(
    [
        ("t", "i8"),  # nanoseconds since the Unix epoch, whole microseconds
        ("head", "u1"),  # templates.Head
        ("out", "?"),  # sent by the protected network
        ("src_hi", "u8"), ("src", "u8"), ("dst_hi", "u8"), ("dst", "u8"),
        ("sport", "u2"), ("dport", "u2"),  # ICMP echo: identifier and sequence number
        ("seq", "u4"), ("ack", "u4"), ("flags", "u1"), ("win", "u2"),
        ("ttl", "u1"), ("ip_id", "u2"), ("frag", "u2"),
        ("pay", "u4"), ("plen", "u2"),  # row of the pool, bytes of payload on the wire
        ("mark", "u2"), ("marked", "?"),  # stamped over the first two payload bytes (DNS id)
        ("more", "u2"), ("more_sum", "u4"),  # rest of a fragmented datagram: bytes, sum of words
    ]
)  # fmt: skip


def _filler() -> bytes:
    """Text that fills payloads behind their template; one word a line keeps it apart from real headers."""
    words = b"flood watch packet epoch sketch victim source vector crowd ".split()
    return b"".join(words[(i * i + 3 * i) % len(words)] + b"\n" for i in range(WIDTH))[:WIDTH]


class Payloads:
    """A pool of distinct payloads; row 0 is plain filler."""

    def __init__(self) -> None:
        self._filler = _filler()
        self._rows: list[bytes] = [self._filler]
        self._index: dict[bytes, int] = {}
        self._lengths: list[int] = [0]

    def add(self, payload: bytes) -> int:
        """Store one payload (padded with filler, for longer packets) and return its row."""
        if len(payload) > WIDTH:
            raise ValueError(f"a payload holds at most {WIDTH} bytes, this one has {len(payload)}")
        if payload not in self._index:
            self._index[payload] = len(self._rows)
            self._rows.append((payload + self._filler)[:WIDTH])
            self._lengths.append(len(payload))
        return self._index[payload]

    def add_all(self, payloads: list[bytes]) -> Array:
        """Rows of several payloads, in their order."""
        return np.array([self.add(payload) for payload in payloads], np.uint32)

    def lengths(self) -> Array:
        """Template length in bytes of every row."""
        return np.array(self._lengths, np.int64)

    def payload(self, row: int) -> bytes:
        """What was stored in a row."""
        return self._rows[row][: self._lengths[row]]

    def matrix(self) -> Array:
        """All rows as bytes, shape (rows, WIDTH)."""
        return np.frombuffer(b"".join(self._rows), np.uint8).reshape(-1, WIDTH)


class Trace:
    """What a scenario fills: packets in any order, their payloads and the truth about them."""

    def __init__(self, scenario: str, seed: int, rng: np.random.Generator) -> None:
        self.rng = rng
        self.pool = Payloads()
        self.truth = Truth(scenario=scenario, seed=seed)
        self.start = START_NS
        self.stop: int | None = None
        self.sent: list[tuple[FloodTruth, Array]] = []
        """Each flood with the packets that its sources sent."""
        self._parts: list[Array] = []

    def at(self, seconds: float) -> int:
        """Packet time in nanoseconds, ``seconds`` after the start of the scenario."""
        return self.start + int(seconds * SECOND)

    def add(self, t: Array, **columns: Any) -> Array:
        """Append ``len(t)`` packets; columns not named keep a plain default. Returns the rows."""
        part = np.zeros(len(t), PACKET)
        part["t"] = t // 1000 * 1000
        part["ttl"], part["win"], part["frag"] = 64, 64240, DONT_FRAGMENT
        part["ip_id"] = self.rng.integers(0, 1 << 16, len(t))
        for name, value in columns.items():
            part[name] = value
        self._parts.append(part)
        return part

    def mark(self) -> int:
        """Where in the trace the next packets will stand, for ``since``."""
        return len(self._parts)

    def since(self, mark: int) -> list[Array]:
        """The packets that were added since then, to be changed where they lie."""
        return self._parts[mark:]

    def packets(self) -> Array:
        """All packets until ``stop`` by time; equal times keep the order in which they were added."""
        table = np.concatenate(self._parts) if self._parts else np.zeros(0, PACKET)
        table = table if self.stop is None else table[table["t"] <= self.stop]
        return table[np.argsort(table["t"], kind="stable")]


def arrivals(rng: np.random.Generator, start: int, seconds: float, per_second: float) -> Array:
    """Sorted times (ns) of ``seconds * per_second`` independent arrivals from ``start`` on."""
    count = round(seconds * per_second)
    return start + np.sort(rng.integers(0, max(1, int(seconds * SECOND)), count))


def hops(low: Array, initial: Array | int = 64) -> Array:
    """A plausible TTL per address: the initial value less 6 to 21 hops, always the same for a /24."""
    return (
        initial - 6 - ((low >> np.uint64(8)) * np.uint64(2654435761) >> np.uint64(13)).astype(np.int64) % 16
    )
