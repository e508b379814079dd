"""Floods of malformed packets: the addresses can be read, and what else is there contradicts itself.

No stack sends an IPv4 header or packet shorter than that header is, a UDP length below its own header, a TCP
offset that ends inside of it, or more than ten extension headers of IPv6 (RFC 8200 names six, each once).
Hosts drop such packets, but filters by port miss them.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..history.victims import View
from ..model.epoch import CLASS_OTHER, MALFORMED
from ..model.event import Action, Evidence, Origin
from ..model.finding import Facts, Finding, Floor, Sum
from ..model.vector import Vector
from .family import Detector, Family
from .protocols import protocol_of

FLOOR = Floor(250)
"""Malformed packets in an epoch: 1,000 a second; below it is a broken device."""


class Malformed(Facts):
    """Packets whose transport cannot be read."""

    packets: Sum = 0.0


def _evidence(facts: Malformed) -> list[Evidence]:
    says = (
        f"{facts.packets:.0f} packets have a length in one of their headers that cannot be, or more "
        "extension headers than any stack sends"
    )
    return [Evidence(name="malformed", value=facts.packets, usual=0.0, says=says)]


def _advice(facts: Malformed, origin: Origin, known_path: bool) -> tuple[Action, str]:
    return "drop_signature", (
        "no stack sends such packets: connection tracking drops them as invalid; the addresses may be "
        "forged, so no source is blocked"
    )


MALFORMED_FLOOD = Family(
    (Vector.MALFORMED_FLOOD,),
    Malformed,
    _evidence,
    _advice,
    technique="T1498.001",
    floors=(FLOOR,),
    rule="{floor} packets in a quarter of a second whose headers contradict themselves",
    protocol="udp",
)


def detect(view: View) -> Iterator[Finding[Malformed]]:
    """Judge one victim's malformed packets of an epoch."""
    row = view.row
    packets = 0 if row is None else int(row["kinds"]["packets"][MALFORMED])
    if row is None or packets < FLOOR.part:
        return
    yield MALFORMED_FLOOD.seen(
        view,
        Malformed(packets=float(packets)),
        (MALFORMED,),
        protocol=protocol_of(row, MALFORMED),
        count=packets,
        floor=FLOOR,
        sources=CLASS_OTHER,
    )


DETECTOR = Detector((MALFORMED_FLOOD,), detect)
