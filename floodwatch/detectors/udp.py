"""UDP floods: packets that the victim neither asked for nor answers, and that are no reflection."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..history.victims import View, distinct_sources, port_shares
from ..model.epoch import CLASS_UDP, UDP
from ..model.event import Action, Evidence, Origin
from ..model.finding import Finding, Floor, Sum
from ..model.vector import UDP_NUMBER, Vector
from .family import LIMIT, Bare, Detector, Family, addresses
from .quic import only_initials
from .reflection import reflecting

BOTH_WAYS = Floor(250)
"""Unanswered UDP packets in an epoch (1,000 a second) when both directions are seen ..."""
ONE_WAY = Floor(500, "seen one way, where a service that answers looks the same")
"""... and when only the inbound one is."""
FEW_SENDERS = 2
STREAM = Floor(1_250, f"from at most {FEW_SENDERS} senders: a media stream looks the same")
"""So few senders are a stream or a copy below 5,000 a second ..."""
BULK = Floor(12_500, f"large packets from at most {FEW_SENDERS} senders: a file transfer looks the same")
"""... and with full packets below 50,000 a second (600 Mbit/s)."""
FLOORS = (BOTH_WAYS, ONE_WAY, STREAM, BULK)
BULK_BYTES = 1_000
ANSWER_REACH = 20
"""Packets that one packet of the victim can have asked for (a window of QUIC or NFS)."""


class Unanswered(Bare):
    """Packets of a kind, and what the victim sent of the same kind; ``heard`` as in ``reflection.Answers``."""

    packets: Sum = 0.0
    answers: Sum = 0.0
    heard: Sum = 0.0


def answers_evidence(facts: Unanswered) -> list[Evidence]:
    """What the victim sent for what it received."""
    if facts.heard <= 0:
        says = f"the victim received {facts.packets:,.0f} such packets"
        return [Evidence(name="packets", value=facts.packets, usual=None, says=says)]
    says = f"the victim received {facts.packets:,.0f} such packets and sent {facts.answers:,.0f} itself"
    return [Evidence(name="answers", value=facts.answers, usual=None, says=says)]


def limit_advice(facts: Unanswered, origin: Origin, known_path: bool) -> tuple[Action, str]:
    """Addresses of bare packets may be forged."""
    return LIMIT


RULE = "{floor} packets in a quarter of a second that the victim neither requested nor answered"
UDP_FLOOD = Family(
    (Vector.UDP_FLOOD,),
    Unanswered,
    answers_evidence,
    limit_advice,
    floors=FLOORS,
    rule=RULE,
    protocol="udp",
    usual="udp",
    protection="limited",
)


def detect(view: View) -> Iterator[Finding[Unanswered]]:
    """Judge one victim's UDP packets of an epoch, without what is reflection."""
    row = view.row
    if row is None or int(row["kinds"]["packets"][UDP]) < BOTH_WAYS.count // 2:
        return
    unasked = _unasked(view, row)
    floor = stream_floor(row, UDP, CLASS_UDP, ONE_WAY if view.one_way else BOTH_WAYS)
    if unasked < floor.count / 2:
        return
    kind = row["kinds"][UDP]
    facts = Unanswered(
        packets=float(kind["packets"]),
        answers=float(kind["out"]),
        heard=0.0 if view.one_way else 1.0,
        **addresses(view, row, CLASS_UDP),
    )
    yield UDP_FLOOD.seen(
        view,
        facts,
        (UDP,),
        count=unasked,
        floor=floor,
        ports=port_shares(row["opened"], UDP_NUMBER),
        sources=CLASS_UDP,
    )


def stream_floor(row: np.void, kind: int, sources: int, floor: Floor) -> Floor:
    """The floor of a kind of packets: one or two senders are a stream or a copy until they send very much."""
    if distinct_sources(row, sources) > FEW_SENDERS:
        return floor
    counted = row["kinds"][kind]
    return BULK if int(counted["bytes"]) >= BULK_BYTES * int(counted["packets"]) else STREAM


def _unasked(view: View, row: np.void) -> int:
    """Packets beyond what the victim's own packets, to the same ports, can have asked for.

    DNS queries and QUIC Initials are judged by what becomes of them, not by their number.
    """
    asked = np.zeros(len(row["service"]), np.int64)
    for recent in view.recent():
        asked = np.maximum(asked, recent["service"]["out"])
    excess = np.maximum(row["service"]["packets"].astype(np.int64) - ANSWER_REACH * asked, 0)
    reflected = sum(int(held["packets"]) for held in reflecting(view, half=True))
    judged = int(row["dns_queries"]) + (int(row["quic_initials"]) if only_initials(row) else 0)
    return min(int(excess.sum()) - reflected, int(row["kinds"]["packets"][UDP]) - judged)


DETECTOR = Detector((UDP_FLOOD,), detect)
