"""Hosts of one network of which none stands out, and which together do: a flood spread over it.

Only what fetches no parts of pages is looked at, only where it makes most of what a victim is asked (or is
asked beyond the usual), and only where it began: what asks so from the first packet on is how things are. The
network is the narrowest prefix that holds them. It is named as a whole where it is filled by them and nobody
else was ever served there; else its hosts are named one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .memory import Networks, number

WIDEST = {0: 24, 1: 48}
"""Prefix lengths of networks of hosts, by the form of their rows: IPv4, and /64s of IPv6."""
BITS = {0: 32, 1: 64}
"""Bits of a host's address, or of its /64."""
MEMBERS = 4
"""Hosts of a network that are looked at together."""
TOGETHER = 50.0
"""Requests a second without the parts of pages, of all of them: no mix of paths excuses that."""
MOST = 0.5
"""Share of what is asked, or of what is asked beyond the usual, that they hold."""
WATCHED = 2.0
"""Seconds that have to be seen before it can be told that something began."""
FROM_THE_FIRST = 0.8
"""Share of what they would have asked at their pace all the time, from which they never began."""
HALF = 0.9
"""Share of their requests that lies in one half of a prefix, from which it is narrowed to that."""
FILLED = 16
"""One of so many addresses of a prefix is one of them, where it is named as a whole."""


@dataclass(frozen=True, slots=True)
class Network:
    """Hosts that flood together.

    Attributes:
        members: their places among the rows.
        source: the first address of the prefix, as rows have it.
        length: of the prefix; 0: the hosts are to be named one by one.
    """

    members: NDArray[np.intp]
    source: int
    length: int


class Seen(NamedTuple):
    """What a victim is asked as a whole.

    Attributes:
        rate: requests a second.
        growth: those beyond the usual; 0 where that is not known, or no surge.
        seconds: how far back the rows reach.
        flooded: a flood was found at the victim already.
    """

    rate: float
    growth: float
    seconds: float
    flooded: bool

    @property
    def least(self) -> float:
        """Requests a second from which a network makes most of it."""
        return max(TOGETHER, MOST * (self.growth or self.rate))


def spread(
    rows: NDArray[np.void],
    able: NDArray[np.bool_],
    second: NDArray[np.float64],
    seen: Seen,
    served: Callable[[], Networks],
    named: NDArray[np.bool_],
) -> list[Network]:
    """The networks whose hosts flood together.

    Args:
        rows: all of a victim's, in this window and the one before.
        able: which of them may be part of it: what they asked for was no part of a page.
        second: their requests a second.
        seen: what the victim is asked as a whole.
        served: tells the networks of known clients; only asked where a network is found.
        named: rows that stand out by themselves.
    """
    found = list[Network]()
    if float(second[able].sum()) < seen.least or (seen.seconds < WATCHED and not seen.flooded):
        return found
    for form, widest in WIDEST.items():
        places = np.flatnonzero(able & (rows["v6"] == form))
        behind = np.uint64(BITS[form] - widest)
        keys, which = np.unique(rows["source"][places] >> behind, return_inverse=True)
        fast = np.bincount(which, second[places], len(keys)) >= seen.least
        for key in np.flatnonzero(fast & (np.bincount(which, minlength=len(keys)) >= MEMBERS)):
            network = _narrowed(rows, places[which == key], second, form)
            rate = float(second[network.members].sum())
            enough = rate >= seen.least and len(network.members) >= MEMBERS
            if enough and (seen.flooded or _began(rows[network.members], rate * seen.seconds)):
                found.append(network if _theirs(rows[~named], network, form, served()) else _apart(network))
    return found


def _began(rows: NDArray[np.void], whole: float) -> bool:
    """They asked less than the whole time through; what came before they were counted is estimated."""
    each = rows["requests"] / np.maximum(rows["packets"], 1)
    return float((rows["requests"] + rows["missed"] * each).sum()) < FROM_THE_FIRST * whole


def _narrowed(
    rows: NDArray[np.void], members: NDArray[np.intp], second: NDArray[np.float64], form: int
) -> Network:
    """The narrowest prefix that holds nearly all that they ask, and those of them that lie in it."""
    sources, bits = rows["source"][members], BITS[form]
    length, first = WIDEST[form], int(sources[0]) >> bits - WIDEST[form] << bits - WIDEST[form]
    inside = np.ones(len(members), bool)
    while length < bits:
        upper = (sources >> np.uint64(bits - length - 1) & np.uint64(1)).astype(bool)
        asked = second[members]
        whole, above = asked[inside].sum(), asked[inside & upper].sum()
        if max(above, whole - above) < HALF * whole:
            break
        length += 1
        if above >= HALF * whole:
            first |= 1 << bits - length
            inside &= upper
        else:
            inside &= ~upper
    return Network(members[inside], first, length)


def _theirs(rows: NDArray[np.void], network: Network, form: int, served: Networks) -> bool:
    """Is the prefix filled by them, and was nobody else there?"""
    behind = BITS[form] - network.length
    there = (rows["v6"] == form) & (rows["source"] >> np.uint64(behind) == network.source >> behind)
    code = np.uint64(number(network.source, bool(form)))
    alone = int(there.sum()) == len(network.members) and not (served == code).any()
    return alone and FILLED * len(network.members) >= 1 << behind


def _apart(network: Network) -> Network:
    return Network(network.members, network.source, 0)
