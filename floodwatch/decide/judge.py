"""What the numbers of one event mean: severity, confidence, forged share, and the order of the evidence.

Pure functions of what an event has gathered; no clock, no state. What is particular to a vector is asked of
its family.
"""

from __future__ import annotations

from ..detectors.family import Family
from ..detectors.forging import BOGON_SHARE, nowhere_evidence
from ..model.event import FLOODS, Evidence, Severity, ShareEstimate
from ..model.finding import F, Floor
from .seeing import Seen, factor
from .seeing import evidence as captured

CROWD_MOST = 0.9
ONE_WAY = 0.93
"""Factor of the confidence where one direction was captured: less can be excluded."""


def severity(family: Family[F], peak: float, megabit: float) -> Severity:
    """From how far the peak stands above the floor, and from the bandwidth (Mbit/s)."""
    ratio = max(peak / family.floor, megabit / 1000)
    return "low" if ratio < 2 else "medium" if ratio < 20 else "high" if ratio < 1000 else "critical"


def confidence(family: Family[F], facts: F, *, count: float, epochs: int, one_way: bool, seen: Seen) -> float:
    """Grows with the packets and epochs behind the verdict; never 1, and less where little was seen."""
    size = 1 - float(0.5 ** (1 + count / family.floor + epochs / 8))
    clear = family.clear(facts) * factor(seen)
    if family.verdict not in FLOODS:
        return round(min(CROWD_MOST, 0.6 * size + 0.2) * clear, 2)
    return round(min(0.99, size * clear * (ONE_WAY if one_way else 1.0)), 2)


def forged_share(family: Family[F], facts: F, count: float, distinct: float) -> ShareEstimate:
    """Share of the packets that forging explains, with the bounds of two standard errors."""
    share = min(1.0, family.forged(facts, count, distinct))
    error = 2 * (BOGON_SHARE * (1 - BOGON_SHARE) / max(count, 1)) ** 0.5 / BOGON_SHARE
    return ShareEstimate(
        est=round(share, 3), lo=round(max(0.0, share - error), 3), hi=round(min(1.0, share + error), 3)
    )


def evidence(
    family: Family[F],
    facts: F,
    *,
    rate: float,
    usual: float | None,
    one_way: bool,
    floor: Floor,
    held: float,
    limit: float,
    seen: Seen,
) -> tuple[Evidence, ...]:
    """The facts in the order of their weight, the rule that fired last.

    Args:
        family: what was named.
        facts: what it was named for.
        rate: its peak a second.
        usual: what is usual a second, or None.
        one_way: the victim was never seen to send.
        floor: what the finding that opened the event was held against ...
        held: ... and what was held against it.
        limit: the rate a second that the user's limits ask for; 0: none.
        seen: how it was captured.
    """
    out = [*family.evidence(facts), *nowhere_evidence(facts)]
    if usual:
        says = (
            f"the peak is {rate / usual:.1f} times the usual {usual:.{0 if usual >= 10 else 1}f} per second"
        )
        out.append(Evidence(name="surge", value=round(rate / usual, 2), usual=1.0, says=says))
    if one_way:
        says = "only packets to the victim were captured; what it answered is not known"
        out.append(Evidence(name="one_way", value=1.0, usual=0.0, says=says))
    out += captured(seen)
    if family.verdict in FLOODS:  # which is told by its growth
        more = f"; your own limit is {limit:.0f} per second" if limit else ""
        says = f"rule that fired: {family.says(floor)}; it met {held:,.0f}{more}"
        out.append(Evidence(name="rule", value=held, usual=round(limit, 1) or None, says=says))
    return tuple(out)
