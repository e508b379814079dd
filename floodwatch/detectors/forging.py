"""What shows that the addresses of bare packets are forged: they point where nobody is.

Random addresses hit reserved space, and blocks without Internet clients, in proportion to their size (Moore,
Voelker, Savage: "Inferring Internet Denial-of-Service Activity", 2001, counts the same from the other side).
Many addresses that send once each are no sign of it. Of handshakes silence says more, see ``syn``.

So much so that it is evidence far below the floors: packets from several blocks at once in which nobody is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..history.evidence import Rows, SequentialTest
from ..history.victims import KINDS_OF, View
from ..model.epoch import CLASS_OTHER, CLASS_TCP, CLASS_UDP, TCP_ODD
from ..model.event import Evidence, Origin
from ..model.finding import Facts, Sum, Weight
from .shares import share

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORGED_MIN = 100
"""Packets from which addresses show forging ..."""
FORGED_SHARE = 0.25
"""... where random addresses explain this share of them."""
BOGON_SHARE = 0.138
"""Share of the 32-bit space that cannot be a public source (RFC 6890 and multicast)."""
DARK_SHARE = 11 / 221
"""Share of the unicast space in blocks from which no Internet clients come (see fw_victim.c)."""
BLOCKS = 2
"""Such blocks in one epoch from which their packets count as evidence: a network may use one as its own."""


def _from_nowhere(source_class: int) -> SequentialTest:
    """Packets of a class from several blocks at once in which nobody is."""

    def excess(rows: Rows) -> NDArray[np.float64]:
        scattered = np.bitwise_count(rows["dark_blocks"][:, source_class]) >= BLOCKS
        return np.where(scattered, rows["dark"][:, source_class].astype(np.float64), 0.0)

    return SequentialTest(
        0.5,
        excess,
        "packets from several /8 networks that hold no Internet clients add up to a log-likelihood ratio of "
        "{floor}, held against one in two seconds: only forged addresses bring more",
    )


FROM_NOWHERE = {held: _from_nowhere(held) for held in (CLASS_UDP, CLASS_OTHER, CLASS_TCP)}


def mostly(row: np.void, kinds: tuple[int, ...], source_class: int) -> bool:
    """These kinds are most of the packets of a class that nobody asked for: what adds up is about them."""
    packets = row["kinds"]["strange" if source_class == CLASS_TCP else "packets"].copy()
    packets[TCP_ODD] = row["kinds"]["packets"][TCP_ODD]
    return 2 * int(packets[list(kinds)].sum()) > int(packets[KINDS_OF[source_class]].sum())


def forging(view: View, row: np.void, kinds: tuple[int, ...], source_class: int,
            *tests: SequentialTest) -> Weight | None:  # fmt: skip
    """Evidence that adds up against packets of some kinds, by their addresses or by other tests."""
    if not mostly(row, kinds, source_class):
        return None
    return view.weight(FROM_NOWHERE[source_class], *tests)


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
