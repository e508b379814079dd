"""How many distinct sources an event has, with bounds."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from .._sketches import hll_estimate
from ..model.event import Estimate

ERRORS = 2.5
"""Standard errors from the estimate to either bound, so that they hold the exact number for at least 95 % of
the keys (98.8 % of a normal distribution), with a few clients among the sources as well."""


def estimate(registers: object, precision: int) -> Estimate:
    """Distinct sources with the bounds of ``ERRORS`` standard errors (1.04 / sqrt(2^p))."""
    value = hll_estimate(registers)
    error = ERRORS * 1.04 / 2 ** (precision / 2)
    return Estimate(est=round(value), lo=int(value / (1 + error)), hi=int(value * (1 + error)) + 1)


def estimate_own(registers: NDArray[np.uint8], own: NDArray[np.bool_]) -> Estimate:
    """Distinct sources of those registers that stand for one's own, with the bounds of as many errors.

    Whom the filled registers stand for is a sample of all sources (Gibbons, "Distinct sampling", 2001); of
    few sources it is nearly all of them.
    """
    held, value = registers > 0, hll_estimate(registers)
    sample = max(int(held.sum()), 1)
    share = int((held & own).sum()) / sample
    unsampled = max(0.0, 1 - sample / max(value, 1.0))
    spread = value * (share * (1 - share) / sample * unsampled) ** 0.5
    error = ERRORS * ((value * share * 1.04) ** 2 / len(registers) + spread**2) ** 0.5
    est = value * share
    return Estimate(est=round(est), lo=max(int(est - error), 0), hi=int(est + error) + 1)


def without_clients(sources: Estimate, clients: float | None) -> Estimate:
    """The same without so many clients, of whom some came more than once; None: any of them may be one."""
    if not clients:
        return sources if clients is not None else replace(sources, lo=min(sources.lo, 1))
    est, lo = (max(bound - round(clients), 1) for bound in (sources.est, sources.lo))
    return Estimate(est=est, lo=lo, hi=max(sources.hi, 1))
