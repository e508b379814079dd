"""What shows that the addresses of bare packets are forged: they point where nobody is.

Random addresses hit reserved space, and blocks without Internet clients, in proportion to their size (Moore,
Voelker, Savage: "Inferring Internet Denial-of-Service Activity", 2001, counts the same from the other side).
Many addresses that send once each are no sign of it. Of handshakes silence says more, see ``syn``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..history.victims import KINDS_OF, View
from ..model.event import Evidence, Origin
from ..model.finding import Facts, Sum
from .shares import share

if TYPE_CHECKING:
    import numpy as np

FORGED_MIN = 100
"""Packets from which addresses show forging ..."""
FORGED_SHARE = 0.25
"""... where random addresses explain this share of them."""
BOGON_SHARE = 0.138
"""Share of the 32-bit space that cannot be a public source (RFC 6890 and multicast)."""
DARK_SHARE = 11 / 221
"""Share of the unicast space in blocks from which no Internet clients come (see fw_victim.c)."""


class Bare(Facts):
    """Of packets that prove nothing: how many were looked at, and of those how many come from reserved
    addresses and from blocks that hold no Internet clients.
    """

    looked: Sum = 0.0
    bogons: Sum = 0.0
    dark: Sum = 0.0


def addresses(view: View, row: np.void, source_class: int) -> dict[str, float]:
    """The facts of ``Bare``: what the addresses of one class of packets show."""
    bogons, dark = view.nowhere(row, source_class)
    looked = row["kinds"]["packets"][KINDS_OF[source_class]].sum()
    return {"looked": float(looked), "bogons": bogons, "dark": dark}


def forged_or_unknown(facts: Any, count: float, distinct: float) -> Origin:
    """Bare packets prove nothing: the origin is forged where the addresses show it, else unknown.

    Many addresses that send once each are no sign of it: so do the clients of a server that went away.
    """
    return "forged" if random_share(facts) >= FORGED_SHARE else "unknown"


def random_share(facts: Facts) -> float:
    """Share of the packets that random addresses explain, from what they hit where nobody is."""
    if not isinstance(facts, Bare) or facts.looked < FORGED_MIN:
        return 0.0
    return min(1.0, max(facts.bogons / BOGON_SHARE, facts.dark / DARK_SHARE) / facts.looked)


def nowhere_evidence(facts: Facts) -> list[Evidence]:
    """Where the addresses of bare packets point to nobody."""
    out: list[Evidence] = []
    if isinstance(facts, Bare) and facts.bogons > 0:
        says = "of the packets come from reserved addresses (RFC 6890, multicast)"
        out.append(share("bogon_share", facts.bogons, facts.looked, 0.0, says))
    if isinstance(facts, Bare) and facts.dark > 0:
        says = (
            "of the packets come from /8 networks of which no Internet clients are known (US DoD, 11 of 256)"
        )
        out.append(share("dark_share", facts.dark, facts.looked, 0.0, says))
    return out
