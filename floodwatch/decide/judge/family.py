"""What a family of vectors brings to its events, and the sums that families share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ...model.event import Action, Evidence, Origin

Facts = Mapping[str, float]
"""Additive numbers of one event, by name; ``epochs`` is how many epochs they were summed over."""

FORGED_DISTINCT = 0.5
"""Distinct sources per packet from which forging explains a flood that nobody answers."""
FORGED_MIN = 400
BOGON_SHARE = 0.138
"""Share of the 32-bit space that cannot be a public source (RFC 6890 and multicast)."""
LIMIT: tuple[Action, str] = (
    "limit_victim",
    "the addresses may be forged: block no source",
)


def forged_or_unknown(facts: Facts, count: float, distinct: float) -> Origin:
    """Bare packets prove nothing: the origin is forged where the addresses show it, else unknown."""
    many = count >= FORGED_MIN and distinct >= FORGED_DISTINCT * count
    return "forged" if many or bogons(facts, count) >= 0.25 else "unknown"


def bogons(facts: Facts, count: float) -> float:
    """Share of the packets that forging over the whole address space explains, from reserved addresses."""
    return facts.get("bogons", 0.0) / max(count, 1) / BOGON_SHARE


def share(name: str, part: float, whole: float, usual: float | None, says: str) -> Evidence:
    """A percentage as evidence."""
    value = round(min(1.0, part / max(whole, 1)), 4)
    return Evidence(name=name, value=value, usual=usual, says=f"{100 * value:.1f} % {says}")


def no_doubt(facts: Facts) -> float:
    """Nothing but size and length bears on the confidence."""
    return 1.0


@dataclass(frozen=True, slots=True)
class Family:
    """Vectors that are judged alike.

    Attributes:
        evidence: the facts in the order of their weight.
        action: what to do and why, given the origin and whether one path is the target.
        rule: what is the least from which such a vector is named.
        floor: the rate, in the vector's unit per second, from which severity counts.
        origin: whose addresses these are, given the facts, the packets and the distinct sources.
        clear: factor of the confidence, at most 1.
    """

    evidence: Callable[[Facts], list[Evidence]]
    action: Callable[[Origin, bool], tuple[Action, str]]
    rule: str
    floor: float = 1000.0
    origin: Callable[[Facts, float, float], Origin] = forged_or_unknown
    clear: Callable[[Facts], float] = no_doubt
