"""The picture of a running daemon: what ``status``, ``top``, ``check`` and the metrics are drawn from.

The enforcer makes a new one every second; whoever reads one reads a whole.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

Mode: TypeAlias = Literal["observe", "suggest", "enforce"]
Labels: TypeAlias = tuple[str, ...]
BOUNDS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the classes into which durations are counted; what is longer has a class of its own."""
LONGER, SUM = "+Inf", "sum"


class Link(Struct, frozen=True, kw_only=True):
    """One interface as the sensor sees it.

    Attributes:
        name: of the interface.
        mode: what may be done about floods that come in there.
        up: frames are captured there now.
        packets: seen so far, after the filter.
        bytes: their length on the wire.
        lost: dropped so far: by the ``ring``, and by the ``nic`` or its driver.
        full: how full its ring was at most in the last quarter of a minute, as a share.
    """

    name: str
    mode: Mode = "observe"
    up: bool = False
    packets: int = 0
    bytes: int = 0
    lost: Mapping[str, int] = {}
    full: float = 0.0


class Counted(Struct, frozen=True, kw_only=True):
    """What the sensor counted, and what that took.

    Attributes:
        syns, synacks, requests: that were seen, at least; requests of HTTP in the clear.
        sources: that were seen since the sensor began, about; ``error``: the standard error, as a share.
        bytes: of memory in which it counts.
        windows: how long it took to judge a quarter of a second: how often, by class, see ``Tallies.took``.
    """

    syns: int = 0
    synacks: int = 0
    requests: int = 0
    sources: float = 0.0
    error: float = 0.0
    bytes: int = 0
    windows: Mapping[str, float] = {}


class Picture(Struct, frozen=True, kw_only=True):
    """Where the daemon stands.

    Attributes:
        version: of floodwatch.
        pid: of the enforcer; ``sensor``: of the sensor, 0 while there is none.
        started: when the enforcer started, Unix time.
        at: when this picture was made, Unix time.
        mode: the mode in force; ``mode_until``: when it falls back to observe unless confirmed, or None.
        links: the interfaces.
        victims: addresses that get most packets now, as (text, packets a second).
        hosts: how many addresses get enough to be looked at; ``victims`` are the first of them.
        floods: open floods by vector.
        wanted: sources that are to be blocked; ``enforced``: of these, read back from the kernel; ``guards``:
            guards read back.
        blocked_packets, blocked_bytes: that blocks and guards met, all that stood since the daemon started.
        errors: how often the kernel took no rules, by the name of its error.
        rejected: frames that could not be decoded, by reason.
        counted: what the sensor counted.
        reconciled: when wanted was last held against the kernel, Unix time; 0: never.
        capacity: share of each kernel set that is taken, by name.
        degraded: what does not work as it should, in words; empty: all is well.
        tallies: counters by name and labels, see ``Tallies``.
        panic: everything was taken away by ``ctl panic``.
        reloaded: when the configuration was read anew last, Unix time; 0: never since the start.
        restarts: sensors that had to be replaced.
    """

    version: str
    pid: int
    sensor: int = 0
    started: float
    at: float
    mode: Mode = "observe"
    mode_until: float | None = None
    links: tuple[Link, ...] = ()
    victims: tuple[tuple[str, float], ...] = ()
    hosts: int = 0
    floods: Mapping[str, int] = {}
    wanted: int = 0
    enforced: int = 0
    guards: int = 0
    blocked_packets: int = 0
    blocked_bytes: int = 0
    errors: Mapping[str, int] = {}
    rejected: Mapping[str, int] = {}
    counted: Counted = Counted()
    reconciled: float = 0.0
    capacity: Mapping[str, float] = {}
    degraded: tuple[str, ...] = ()
    tallies: Mapping[str, Mapping[Labels, float]] = {}
    panic: bool = False
    reloaded: float = 0.0
    restarts: int = 0

    @property
    def missing(self) -> int:
        """Blocks that are wanted and do not stand: the number that pages somebody."""
        return max(self.wanted - self.enforced, 0)


class Tallies:
    """Counters that any part of the enforcer adds to, in any thread; names and labels are bounded by who
    calls, never an address.
    """

    def __init__(self) -> None:
        self._counted: dict[str, dict[Labels, float]] = {}
        self._lock = threading.Lock()
        self.started = time.time()

    def add(self, name: str, *labels: str, by: float = 1.0) -> None:
        """Count something, by the values of its labels."""
        with self._lock:
            row = self._counted.setdefault(name, {})
            row[labels] = row.get(labels, 0.0) + by

    def took(self, name: str, seconds: float) -> None:
        """Count a duration: in its class, by the upper bound, and in the sum of all."""
        bound = next((str(bound) for bound in BOUNDS_S if seconds <= bound), LONGER)
        self.add(name, bound)
        self.add(name, SUM, by=seconds)

    def counted(self) -> dict[str, dict[Labels, float]]:
        """All of them, as they are now."""
        with self._lock:
            return {name: dict(row) for name, row in self._counted.items()}
