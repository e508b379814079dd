"""ICMP floods: no errors, no replies to the victim's own echo requests.

Where the victim answers all that few senders ask, they measure it, as fast as it is.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import numpy as np

from ..history.victims import View, distinct_sources
from ..model.address import address_text
from ..model.epoch import CLASS_OTHER, ICMP, SYN, SYNACK, UDP
from ..model.finding import Finding, Floor
from ..model.vector import Vector
from .family import Detector, Family
from .forging import FROM_NOWHERE, forging
from .udp import RULE, Unanswered, answers_evidence, limit_advice, unanswered

FLOOR = Floor(250)
PINGERS = 8
ANSWERED = 0.9
PINGS = Floor(125_000, f"all of them answered, from at most {PINGERS} senders: a measurement looks the same")
"""Echo requests of so few senders, this share of them answered, are no flood below 500,000 a second:
who waits for each answer asks no faster than it is served."""
ERRORS_MOST = 1_000
"""ICMP errors come back for what others forged; so many of them in an epoch are a flood of their own,
unless the victim itself tries as many hosts: a scan is told what it meets."""

ICMP_FLOOD = Family(
    (Vector.ICMP_FLOOD,),
    Unanswered,
    answers_evidence,
    limit_advice,
    technique="T1498.001",
    floors=(FLOOR, PINGS),
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
    packets, out = int(row["kinds"]["packets"][ICMP]), row["kinds"]["out"]
    errors, replies = int(row["icmp_errors"]), int(row["icmp_replies"])
    weight = forging(view, row, (ICMP,), CLASS_OTHER)
    if packets < FLOOR.part and weight is None:
        return
    asked = replies if int(out[ICMP]) >= replies // 2 else 0
    flood = packets - asked - (errors if errors < ERRORS_MOST or _scans(row, errors) else 0)
    floor = PINGS if _measures(view, row, flood) else FLOOR
    if flood < (floor.part if weight is None else 1):
        return
    yield ICMP_FLOOD.seen(
        view,
        unanswered(view, row, ICMP, CLASS_OTHER),
        (ICMP,),
        protocol="icmp6" if view.track.address[0] else "icmp",
        count=flood,
        floor=floor,
        sources=CLASS_OTHER,
        weight=weight,
    )


def _measures(view: View, row: np.void, pings: int) -> bool:
    """Few senders, and all that they ask is answered; a group of hosts answers nothing itself."""
    few = (
        distinct_sources(row, CLASS_OTHER) <= PINGERS
        and not ipaddress.ip_address(address_text(view.track.address)).is_multicast
    )
    return few and int(row["kinds"]["out"][ICMP]) >= ANSWERED * pings


def _scans(row: np.void, errors: int) -> bool:
    """The host sends as much as it is refused, and next to nothing of that is answered."""
    tried = sum(int(row["kinds"]["out"][kind]) for kind in (SYN, UDP))
    came = sum(int(row["kinds"]["packets"][kind]) for kind in (SYNACK, UDP))
    return errors <= tried and 2 * came < tried


DETECTOR = Detector((ICMP_FLOOD,), detect, tests=(FROM_NOWHERE[CLASS_OTHER],))
