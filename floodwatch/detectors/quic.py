"""QUIC floods: connections that are begun and come to nothing (RFC 9000).

Initial packets alone may bear any address. Who finishes the handshake answered a packet that only he got: his
address is real, and where no request follows on handshake after handshake, they are all that he does.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..history.sealed import QUIC
from ..history.victims import View
from ..model.epoch import CLASS_UDP, UDP
from ..model.event import Action, Evidence, Origin
from ..model.finding import Finding, Floor, SourceCount, Sum
from ..model.vector import Vector
from .family import BLOCK, PROVEN_SHARE, Detector, Family
from .forging import Bare, addresses, forged_or_unknown
from .reflection import others, reflecting
from .shares import percent, share
from .tls import FINISHED as SHAKEN
from .tls import shakers, unused

FLOOR = Floor(250)
"""Initials in an epoch: 1,000 a second ..."""
FINISHED = Floor(
    SHAKEN.count,
    rule="{floor} Initial packets in a quarter of a second of handshakes that are finished, and hardly any "
    "of which is followed by a request",
)
"""Initials in an epoch: 48 a second of real clients."""
SHARE = 0.5
"""... and this share of the UDP packets: clients that mean it send many more packets than these."""
PORT = 443


class Initials(Bare):
    """UDP packets, and how many of them open a QUIC connection; connections begun, those whose handshake was
    finished, and those that were asked for something.
    """

    packets: Sum = 0.0
    initials: Sum = 0.0
    begun: Sum = 0.0
    finished: Sum = 0.0
    asked: Sum = 0.0


def _evidence(facts: Initials) -> list[Evidence]:
    says = "of the UDP packets are Initials; real clients go on to send many more packets"
    out = [share("initial_share", facts.initials, facts.packets, 0.1, says)]
    if facts.begun > 0:
        says = (
            "of the handshakes were finished: their sources are real"
            if _finished(facts)
            else "of the handshakes were finished: who forges an address gets nothing that he could answer"
        )
        out.append(share("handshakes_finished", min(facts.finished, facts.begun), facts.begun, 0.95, says))
    if facts.finished > 0:
        says = "of those that were finished were followed by a request"
        out.append(share("handshakes_used", min(facts.asked, facts.finished), facts.finished, 0.9, says))
    return out


def _finished(facts: Initials) -> bool:
    return facts.finished > 0 and facts.finished >= PROVEN_SHARE * facts.begun


def _origin(facts: Initials, count: float, distinct: float) -> Origin:
    return "real" if _finished(facts) else forged_or_unknown(facts, count, distinct)


def _advice(facts: Initials, origin: Origin, known_path: bool) -> tuple[Action, str]:
    if origin == "real":
        return BLOCK
    return "limit_victim", (
        "an Initial packet proves no address: let the server answer with Retry (RFC 9000, 8.1.2), limit "
        "Initials to the victim, block no source"
    )


QUIC_FLOOD = Family(
    (Vector.QUIC_FLOOD,),
    Initials,
    _evidence,
    _advice,
    technique="T1499.002",
    floors=(FLOOR, FINISHED),
    rule=f"{{floor}} Initial packets in a quarter of a second, at least {percent(SHARE)} of the UDP packets",
    origin=_origin,
    protocol="udp",
    persist=2,
    usual="udp",
    protection="limited",
)


def only_initials(row: np.void) -> bool:
    """Most of a victim's UDP packets open a connection."""
    return int(row["quic_initials"]) >= SHARE * int(row["kinds"]["packets"][UDP])


def detect(view: View) -> Iterator[Finding[Initials]]:
    """Judge one victim's QUIC Initials of an epoch, and what became of the connections."""
    row = view.row
    if row is None:
        return
    initials = int(row["quic_initials"])
    if initials >= FINISHED.count // 2 and unused(view, row, QUIC):
        top = shakers(view.heavy(), int(row["reference"]), "udp", "udp")
        yield _finding(view, row, initials, FINISHED, top)
    elif initials >= FLOOR.count // 2 and only_initials(row):
        yield _finding(view, row, initials, FLOOR)


def _finding(
    view: View, row: np.void, initials: int, floor: Floor, top: list[SourceCount] | None = None
) -> Finding[Initials]:
    counted = row["sealed"][QUIC]
    facts = Initials(
        packets=float(row["kinds"]["packets"][UDP]),
        initials=float(initials),
        begun=float(counted["hellos"]),
        finished=float(counted["finished"]),
        asked=float(counted["first"]),
        **addresses(view, row, CLASS_UDP),
    )
    return QUIC_FLOOD.seen(
        view,
        facts,
        (UDP,),
        count=initials,
        floor=floor,
        ports=[(PORT, initials)],
        sources=CLASS_UDP,
        own=others(row, reflecting(view)),
        top=top,
    )


DETECTOR = Detector((QUIC_FLOOD,), detect)
