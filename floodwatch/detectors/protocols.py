"""Floods of fragments that belong to nothing, and of IP protocols other than TCP, UDP and ICMP.

What tunnels carry is judged where it goes to. The tunnel itself is the flood when it comes from many and
nothing comes back: then the host has no tunnels, and what is inside is only there to be unpacked.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from msgspec.structs import replace

from ..history.victims import View, distinct_sources
from ..model.epoch import CARRIER, CLASS_OTHER, FRAGMENT, OTHER
from ..model.event import Action, Evidence, Origin
from ..model.finding import Finding, Floor, Sum
from ..model.vector import PROTOCOL_NUMBERS, UDP_NUMBER, Vector
from .family import Detector, Family
from .forging import FROM_NOWHERE, Bare, addresses, forging
from .streams import BULK, STREAM, STREAMS, patience, replayed, stream_floor
from .udp import (
    ANSWER_REACH,
    FLOORS,
    RULE,
    UDP_FLOOD,
    Unanswered,
    answers_evidence,
    limit_advice,
    unanswered,
    unanswered_floor,
)

FRAGMENTS = Floor(250)
LONGEST = 45
"""Later fragments of one datagram: 64 KB in pieces of 1,480 bytes."""
TUNNEL_SOURCES = 256
"""Fewer senders of tunnelled packets are a network's own tunnels, seen one way: a hub has many offices."""
NAMES = {number: name for name, number in PROTOCOL_NUMBERS.items()}


class Fragments(Bare):
    """Later fragments, and the first ones that they could belong to."""

    packets: Sum = 0.0
    heads: Sum = 0.0


def _evidence(facts: Fragments) -> list[Evidence]:
    says = (
        f"{facts.packets:,.0f} later fragments came with only {facts.heads:,.0f} first fragments, without "
        "which no datagram can be reassembled"
    )
    return [Evidence(name="first_fragments", value=facts.heads, usual=None, says=says)]


def _advice(facts: Fragments, origin: Origin, known_path: bool) -> tuple[Action, str]:
    return "drop_signature", (
        "fragments without their first one can be dropped before they reach the victim; the addresses may "
        "be forged, so no source is blocked"
    )


FRAGMENT_FLOOD = Family(
    (Vector.FRAGMENT_FLOOD,),
    Fragments,
    _evidence,
    _advice,
    technique="T1498.001",
    floors=(FRAGMENTS, STREAM, BULK, STREAMS),
    rule="{floor} later fragments in a quarter of a second without their first fragments",
    protection="fragments",
)
IP_PROTOCOL_FLOOD = Family(
    (Vector.IP_PROTOCOL_FLOOD,),
    Unanswered,
    answers_evidence,
    limit_advice,
    technique="T1498.001",
    floors=FLOORS,
    rule=RULE,
    protection="limited",
)
UDP_TUNNELS = replace(UDP_FLOOD, usual=None)
"""Tunnels over UDP are named as what they are on the wire; the usual rate counts what is no tunnel."""


def detect(view: View) -> Iterator[Finding[Fragments] | Finding[Unanswered]]:
    """Judge one victim's later fragments and packets of other protocols of an epoch."""
    row = view.row
    if row is None:
        return
    yield from _fragments(view, row)
    yield from _protocols(view, row)


def _fragments(view: View, row: np.void) -> Iterator[Finding[Fragments]]:
    packets, heads = int(row["kinds"]["packets"][FRAGMENT]), int(row["fragment_heads"])
    count, weight = packets - LONGEST * heads, forging(view, row, (FRAGMENT,), CLASS_OTHER)
    if count < (FRAGMENTS.part if weight is None else 1):
        return
    floor = stream_floor(view, row, FRAGMENT, CLASS_OTHER, FRAGMENTS)
    if count >= floor.part or weight is not None:
        facts = Fragments(packets=float(packets), heads=float(heads), **addresses(view, row, CLASS_OTHER))
        yield FRAGMENT_FLOOD.seen(
            view,
            facts,
            (FRAGMENT,),
            protocol=protocol_of(row, FRAGMENT),
            count=count,
            floor=floor,
            persist=patience(view, row, FRAGMENT, CLASS_OTHER),
            sources=CLASS_OTHER,
            weight=weight,
        )


def _protocols(view: View, row: np.void) -> Iterator[Finding[Unanswered]]:
    """Packets that nothing answers; tunnels answer what they get."""
    carried = int(row["kinds"]["packets"][CARRIER])
    kind = CARRIER if carried > int(row["kinds"]["packets"][OTHER]) else OTHER
    few = distinct_sources(row, CLASS_OTHER) < TUNNEL_SOURCES
    if kind == CARRIER and few and not replayed(view, CARRIER):
        return
    answers = max((int(r["kinds"]["out"][kind]) for r in view.recent()), default=0)
    packets = int(row["kinds"]["packets"][kind])
    count, usual = packets - ANSWER_REACH * answers, unanswered_floor(view, kind)
    weight = forging(view, row, (kind,), CLASS_OTHER)
    if count < (usual.part if weight is None else 1):
        return
    floor = stream_floor(view, row, kind, CLASS_OTHER, usual)
    if count >= floor.part or weight is not None:
        tunnels_in_udp = kind == CARRIER and int(row["kinds"]["port"][kind]) == UDP_NUMBER
        family = UDP_TUNNELS if tunnels_in_udp else IP_PROTOCOL_FLOOD
        yield family.seen(
            view,
            unanswered(view, row, kind, CLASS_OTHER),
            (kind,),
            protocol=protocol_of(row, kind),
            count=count,
            floor=floor,
            persist=patience(view, row, kind, CLASS_OTHER),
            sources=CLASS_OTHER,
            weight=weight,
        )


def protocol_of(row: np.void, kind: int) -> str:
    """The protocol of most packets of a kind, as a victim shows it."""
    number = int(row["kinds"]["port"][kind])
    return NAMES.get(number, f"ip-{number}")


DETECTOR = Detector((FRAGMENT_FLOOD, IP_PROTOCOL_FLOOD), detect, tests=(FROM_NOWHERE[CLASS_OTHER],))
