"""Records that pass between the stages and never leave the program: summaries, findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .model import Unit, Vector, Verdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Summary:
    """What the engine counted in one epoch: the only thing that crosses from C to Python.

    Attributes:
        epoch: its number since 1970 (250 ms each).
        gap: epochs without a packet before it; 2^64 - 1 after the clock was set back.
        first_ns: time of its first packet.
        last_ns: time of its last packet.
        victims: one row per loaded address, ``_native.VICTIM_DTYPE``.
        heavy: returns the heavy (source, victim) pairs of the open window, ``_native.HEAVY_DTYPE``.
        hosts: returns every address that got packets, in short, ``_native.HOST_DTYPE``.
        sources_of: returns the union of a source set over addresses given by reference.
        window_ends: the heavy-hitter window is cleared after this epoch.
        final: the capture ends with it.
    """

    epoch: int
    gap: int
    first_ns: int
    last_ns: int
    victims: NDArray[np.void]
    heavy: Callable[[], NDArray[np.void]]
    hosts: Callable[[], NDArray[np.void]]
    sources_of: Callable[[NDArray[np.uint32], int], NDArray[np.uint8]]
    window_ends: bool
    final: bool


Address = tuple[int, int]
"""The upper and lower 64 bits of an address; IPv4 is mapped as in ``::ffff:a.b.c.d``."""


@dataclass(frozen=True, slots=True)
class SourceCount:
    """Lower and upper bound of what one source (IPv4 address or upper half of an IPv6 one) sent."""

    source: int
    v6: bool
    lo: int
    hi: int


@dataclass(slots=True)
class Finding:
    """What one detector says about one victim and one epoch.

    Attributes:
        over: the count is over the detector's floor; otherwise it only keeps an open event alive.
        persist: epochs in a row over the floor before it becomes a verdict.
        count: packets (or requests, connections) of the excess in this epoch.
        facts: additive numbers behind the evidence; summed over the event.
        keys: candidates for the victim's port, with how much of the count each holds.
        paths: the same for its HTTP path.
        prefix: length of the prefix that ``victim`` stands for, or None for one address.
        sources: HyperLogLog registers (p = 10) of the sources in this epoch.
        top: bounds per source, for origins that may be named.
        limit: the rate a second that the count was compared with, where it is above the vector's own floor.
    """

    vector: Vector
    victim: Address
    protocol: str
    epoch: int
    over: bool
    persist: int
    count: int
    bytes: int
    first_ns: int
    last_ns: int
    verdict: Verdict = "attack"
    unit: Unit = "packet/s"
    baseline: float | None = None
    facts: dict[str, float] = field(default_factory=dict)
    keys: list[tuple[int, int]] = field(default_factory=list)
    paths: list[tuple[str, int]] = field(default_factory=list)
    prefix: int | None = None
    sources: NDArray[np.uint8] | None = None
    top: list[SourceCount] = field(default_factory=list)
    limit: float = 0.0
