"""What crosses from the detectors to the decision: one detector, one victim, one epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .address import Address
from .event import Unit, Verdict
from .vector import Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
