"""Ground truth of a capture, written beside it as JSON.

Counts and times come from the arrays that become packets, never from what a scenario intended.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import Any

import numpy as np
from msgspec import Struct, field, json
from numpy.typing import NDArray

Array = NDArray[Any]


class FloodTruth(Struct, kw_only=True, omit_defaults=True):
    """One flood; ``packets`` are those that its sources sent, ``peak_per_second`` is in ``unit``."""

    vector: str
    victim_ip: str
    victim_port: int | None
    path: str | None
    first: str
    last: str
    first_ns: int
    last_ns: int
    packets: int
    requests: int | None
    unit: str
    peak_per_second: int
    pattern: str
    origin: str
    source_count: int
    sources: list[str] | None
    via: list[str] = field(default_factory=list)
    """The proxies that it came through: the addresses that its packets bear."""
    late_s: float = 0.0
    """Seconds from its onset until it is a flood: it may be found so much later."""
    limit: str | None = None
    """Why it need not be found: a limit that the documentation names."""


class CrowdTruth(Struct, kw_only=True):
    """One crowd: from the moment arrivals exceed their usual rate; ``clients`` came after that moment."""

    victim_ip: str
    victim_port: int
    first: str
    last: str
    first_ns: int
    last_ns: int
    client_count: int
    requests: int


class SideTruth(Struct, kw_only=True):
    """Something that looks like a flood and is none: a scan, probing, a loop."""

    kind: str
    source: str
    victim_ip: str
    first_ns: int
    last_ns: int
    packets: int


class Truth(Struct, kw_only=True):
    """All that is true of one capture."""

    scenario: str
    seed: int
    packets: int = 0
    first_ns: int = 0
    last_ns: int = 0
    floods: list[FloodTruth] = field(default_factory=list)
    crowds: list[CrowdTruth] = field(default_factory=list)
    probing: list[SideTruth] = field(default_factory=list)
    scans: list[SideTruth] = field(default_factory=list)
    loops: list[SideTruth] = field(default_factory=list)
    client_count: int = 0
    clients: list[str] = field(default_factory=list)
    known_client_count: int = 0
    known_clients: list[str] = field(default_factory=list)

    def add_clients(self, low: Array, known: bool = False) -> None:
        """Add legitimate IPv4 clients; ``known`` ones completed a handshake before any flood began."""
        new = {str(ipaddress.IPv4Address(int(value))) for value in np.unique(low)}
        self.clients = sorted(new.union(self.clients), key=ipaddress.ip_address)
        self.client_count = len(self.clients)
        if known:
            self.known_clients = sorted(new.union(self.known_clients), key=ipaddress.ip_address)
            self.known_client_count = len(self.known_clients)

    def encode(self) -> bytes:
        """The JSON text, indented, ending in a newline."""
        return json.format(json.encode(self), indent=1) + b"\n"


def rfc3339(ns: int) -> str:
    """UTC text of a time in nanoseconds, with microseconds."""
    whole = datetime.fromtimestamp(ns // 1_000_000_000, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{ns % 1_000_000_000 // 1000:06d}Z"


def peak(times: Array) -> int:
    """Largest number of ``times`` (ns) within any one second, the far end excluded."""
    ordered = np.sort(times)
    if not ordered.size:
        return 0
    ends = np.searchsorted(ordered, ordered + 1_000_000_000, side="left")
    return int((ends - np.arange(ordered.size)).max())


def span(times: Array) -> dict[str, Any]:
    """The four time fields of a truth record."""
    first, last = int(times.min()), int(times.max())
    return {"first": rfc3339(first), "last": rfc3339(last), "first_ns": first, "last_ns": last}
