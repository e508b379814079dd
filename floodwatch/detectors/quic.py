"""QUIC floods: Initial packets of connections that nobody goes on with (RFC 9000)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..history.victims import View
from ..model.epoch import CLASS_UDP, UDP
from ..model.event import Action, Evidence, Origin
from ..model.finding import Finding, Floor, Sum
from ..model.vector import Vector
from .family import Detector, Family
from .forging import Bare, addresses
from .reflection import others, reflecting
from .shares import percent, share

FLOOR = Floor(250)
"""Initials in an epoch: 1,000 a second ..."""
SHARE = 0.5
"""... and this share of the UDP packets: clients that mean it send many more packets than these."""
PORT = 443


class Initials(Bare):
    """UDP packets, and how many of them open a QUIC connection."""

    packets: Sum = 0.0
    initials: Sum = 0.0


def _evidence(facts: Initials) -> list[Evidence]:
    says = "of the UDP packets are Initials; real clients go on to send many more packets"
    return [share("initial_share", facts.initials, facts.packets, 0.1, says)]


def _advice(facts: Initials, origin: Origin, known_path: bool) -> tuple[Action, str]:
    return "limit_victim", (
        "an Initial packet proves no address: let the server answer with Retry (RFC 9000, 8.1.2), limit "
        "Initials to the victim, block no source"
    )


QUIC_FLOOD = Family(
    (Vector.QUIC_FLOOD,),
    Initials,
    _evidence,
    _advice,
    floors=(FLOOR,),
    rule=f"{{floor}} Initial packets in a quarter of a second, at least {percent(SHARE)} of the UDP packets",
    protocol="udp",
    persist=2,
    usual="udp",
    protection="limited",
)


def only_initials(row: np.void) -> bool:
    """Most of a victim's UDP packets open a connection."""
    return int(row["quic_initials"]) >= SHARE * int(row["kinds"]["packets"][UDP])


def detect(view: View) -> Iterator[Finding[Initials]]:
    """Judge one victim's QUIC Initials of an epoch."""
    row = view.row
    if row is None or int(row["quic_initials"]) < FLOOR.count // 2 or not only_initials(row):
        return
    initials = int(row["quic_initials"])
    facts = Initials(
        packets=float(row["kinds"]["packets"][UDP]),
        initials=float(initials),
        **addresses(view, row, CLASS_UDP),
    )
    yield QUIC_FLOOD.seen(
        view,
        facts,
        (UDP,),
        count=initials,
        floor=FLOOR,
        ports=[(PORT, initials)],
        sources=CLASS_UDP,
        own=others(row, reflecting(view)),
    )


DETECTOR = Detector((QUIC_FLOOD,), detect)
