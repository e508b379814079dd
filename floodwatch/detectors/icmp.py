"""ICMP floods: no errors, no replies to the victim's own echo requests."""

from __future__ import annotations

from collections.abc import Iterator

from ..history.victims import View
from ..model.epoch import CLASS_OTHER, ICMP
from ..model.finding import Finding, Floor
from ..model.vector import Vector
from .family import Detector, Family, addresses
from .udp import RULE, Unanswered, answers_evidence, limit_advice

FLOOR = Floor(250)
ERRORS_MOST = 1_000
"""ICMP errors come back for what others forged; so many of them in an epoch are a flood of their own."""

ICMP_FLOOD = Family(
    (Vector.ICMP_FLOOD,),
    Unanswered,
    answers_evidence,
    limit_advice,
    floors=(FLOOR,),
    rule=RULE,
    protocol="icmp",
    usual="icmp",
    protection="limited",
)


def detect(view: View) -> Iterator[Finding[Unanswered]]:
    """Judge one victim's ICMP packets of an epoch."""
    row = view.row
    if row is None:
        return
    kind = row["kinds"][ICMP]
    packets, errors, replies = int(kind["packets"]), int(row["icmp_errors"]), int(row["icmp_replies"])
    if packets < FLOOR.count // 2:
        return
    asked = replies if int(kind["out"]) >= replies // 2 else 0
    flood = packets - asked - (errors if errors < ERRORS_MOST else 0)
    if flood < FLOOR.count // 2:
        return
    yield ICMP_FLOOD.seen(
        view,
        Unanswered(
            packets=float(packets),
            answers=float(kind["out"]),
            heard=0.0 if view.one_way else 1.0,
            **addresses(view, row, CLASS_OTHER),
        ),
        (ICMP,),
        protocol="icmp6" if view.track.address[0] else "icmp",
        count=flood,
        floor=FLOOR,
        sources=CLASS_OTHER,
    )


DETECTOR = Detector((ICMP_FLOOD,), detect)
