"""UDP floods: packets that the victim neither asked for nor answers, and that are no reflection.

Few senders whose flows last are streams (``streams``): no flood below their own floor, nor at any rate where
they sent as much from the first packet on. Where more than two of them come together while we look, nothing
tells the devices of a collector from a few bots: a surge (``unclear``). Few that try port after port scan.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .._sketches import hll_estimate
from ..history.evidence import Rows, SequentialTest
from ..history.ports import Service, port_shares
from ..history.victims import SCAN_PORTS, SCAN_SOURCES, SCAN_TRIES, View, distinct_sources
from ..model.epoch import CLASS_UDP, EPOCHS_PER_SECOND, UDP
from ..model.event import Action, Evidence, Origin
from ..model.finding import Finding, Floor, Mean, Sum
from ..model.vector import UDP_NUMBER, Vector
from .crowd import RATIO, surging
from .family import LIMIT, Detector, Family
from .forging import FROM_NOWHERE, Bare, addresses, forging
from .quic import only_initials
from .reflection import others, reflecting
from .shares import share
from .streams import (
    BULK,
    FEW_SENDERS,
    REPLAYED,
    STREAM,
    STREAMS,
    lasts,
    lately,
    packets_a_flow,
    patience,
    replayed,
    stream_floor,
)

BOTH_WAYS = Floor(250)
"""Unanswered UDP packets in an epoch (1,000 a second) when both directions are seen ..."""
ONE_WAY = Floor(500, "seen one way, where a service that answers looks the same")
"""... and when only the inbound one is."""
FLOORS = (BOTH_WAYS, ONE_WAY, STREAM, BULK, STREAMS)
ANSWER_REACH = 20
"""Packets that one packet of the victim can have asked for (a window of QUIC or NFS): of its flow, so that
where each flow has but one packet an answer stands for one."""
SCAN_BYTES = 300
"""Bytes a packet, at most, of those who look for services."""


DRAWN_FLOWS = 0.7
"""Distinct flows a packet from which ports are drawn for each: sockets that live send more in a flow."""


def _drawn_ports(rows: Rows) -> NDArray[np.float64]:
    """Packets of few sources, each from another port, to few ports, that the victim does not answer."""
    packets = rows["kinds"]["packets"][:, UDP].astype(np.float64)
    left: NDArray[np.float64] = (
        packets - rows["kinds"]["out"][:, UDP] - rows["dns_queries"] - rows["quic_initials"]
    )
    for at in np.flatnonzero(left > 0):
        flows, touched = (
            hll_estimate(np.ascontiguousarray(rows[name][at])) for name in ("udp_flows", "udp_ports")
        )
        few = distinct_sources(rows[at], CLASS_UDP) <= SCAN_SOURCES
        if not few or flows < DRAWN_FLOWS * packets[at] or packets[at] <= SCAN_TRIES * touched:
            left[at] = 0
    return left


DRAWN_PORTS = SequentialTest(
    80.0,
    _drawn_ports,
    "unanswered packets of few sources, each from another port, add up to a log-likelihood ratio of {floor}, "
    "held against 80 a second: clients that ask again bring no more",
)


class Unanswered(Bare):
    """Packets of a kind, those that came before, and what the victim sent of the same kind; ``heard`` is
    above 0 where it was seen to send.
    """

    packets: Sum = 0.0
    answers: Sum = 0.0
    replayed: Sum = 0.0
    heard: Sum = 0.0


def unanswered(view: View, row: np.void, kind: int, sources: int) -> Unanswered:
    """Those facts of one kind of packets, whose sources are kept in a class."""
    counted = row["kinds"][kind]
    return Unanswered(
        packets=float(counted["packets"]),
        answers=float(counted["out"]),
        replayed=float(counted["replayed"]),
        heard=0.0 if view.one_way else 1.0,
        **addresses(view, row, sources),
    )


def unanswered_floor(view: View, kind: int) -> Floor:
    """Seen one way, what is sent once may be asked for; what is replayed is not."""
    return ONE_WAY if view.one_way and not replayed(view, kind) else BOTH_WAYS


def answers_evidence(facts: Unanswered) -> list[Evidence]:
    """What the victim sent for what it received."""
    told = f"the victim received {facts.packets:,.0f} such packets"
    if facts.heard <= 0:
        out = [Evidence(name="packets", value=facts.packets, usual=None, says=told)]
    else:
        says = f"{told} and sent {facts.answers:,.0f} itself"
        out = [Evidence(name="answers", value=facts.answers, usual=None, says=says)]
    if facts.replayed >= REPLAYED * facts.packets > 0:
        says = "of them came before, whole and with their identification, which no host gives twice"
        out.insert(0, share("replayed", facts.replayed, facts.packets, 0.0, says))
    return out


def limit_advice(facts: Unanswered, origin: Origin, known_path: bool) -> tuple[Action, str]:
    """Addresses of bare packets may be forged."""
    return LIMIT


RULE = "{floor} packets in a quarter of a second that the victim neither requested nor answered"
UDP_FLOOD = Family(
    (Vector.UDP_FLOOD,),
    Unanswered,
    answers_evidence,
    limit_advice,
    technique="T1498.001",
    floors=FLOORS,
    rule=RULE,
    protocol="udp",
    usual="udp",
    protection="limited",
)


class Streams(Unanswered):
    """Senders of a second, and the packets of one of their flows in it."""

    senders: Mean = 0.0
    each: Mean = 0.0


def _streams_evidence(facts: Streams) -> list[Evidence]:
    says = (
        f"about {facts.senders:.0f} senders, each of whose flows has about {facts.each:.0f} packets a "
        "second: they keep their ports"
    )
    told = Evidence(name="packets_a_flow", value=round(facts.each, 1), usual=None, says=says)
    return [*answers_evidence(facts), told]


def _streams_advice(facts: Unanswered, origin: Origin, known_path: bool) -> tuple[Action, str]:
    return "observe", (
        "devices that report to a collector, senders of media, or a few bots: nothing that was captured "
        "tells. What would tell: whose addresses they are, and a capture that begins before them"
    )


UDP_STREAMS = Family(
    (Vector.UDP_FLOOD,),
    Streams,
    _streams_evidence,
    _streams_advice,
    floors=(BOTH_WAYS, ONE_WAY),
    rule=f"{RULE}, {RATIO:g} times the usual, from few senders whose flows last",
    protocol="udp",
    verdict="unclear",
    persist=EPOCHS_PER_SECOND,
    usual="udp",
    title=lambda vector: "surge of packets",
)


def detect(view: View) -> Iterator[Finding[Unanswered] | Finding[Streams]]:
    """Judge one victim's UDP packets of an epoch, without what is reflection."""
    row = view.row
    weight = None if row is None else forging(view, row, (UDP,), CLASS_UDP, DRAWN_PORTS)
    if row is None or (weight is None and int(row["kinds"]["packets"][UDP]) < BOTH_WAYS.part):
        return
    reflectors = reflecting(view)
    unasked, usual = _unasked(view, row, reflectors), unanswered_floor(view, UDP)
    if unasked < (usual.part if weight is None else 1) or _is_scan(view, row):
        return
    floor = stream_floor(view, row, UDP, CLASS_UDP, usual)
    if floor is not usual and view.unchanged("udp"):
        return
    if unasked < (floor.part if floor is usual else floor.count / 2) and weight is None:
        yield from _streams(view, row, unasked, usual, reflectors)
        return
    yield UDP_FLOOD.seen(
        view,
        unanswered(view, row, UDP, CLASS_UDP),
        (UDP,),
        count=unasked,
        floor=floor,
        persist=patience(view, row, UDP, CLASS_UDP),
        ports=port_shares(row["opened"], UDP_NUMBER),
        sources=CLASS_UDP,
        own=others(row, reflectors),
        weight=weight,
    )


def _streams(
    view: View, row: np.void, unasked: int, floor: Floor, reflectors: list[Service]
) -> Iterator[Finding[Streams]]:
    """Streams of more than two senders that were not there before."""
    senders = lately(view, CLASS_UDP)
    if senders <= FEW_SENDERS or not lasts(view, UDP, CLASS_UDP):
        return
    if not surging(view, "udp", unasked * EPOCHS_PER_SECOND):
        return
    kind = row["kinds"][UDP]
    facts = Streams(
        packets=float(kind["packets"]),
        answers=float(kind["out"]),
        senders=senders,
        each=packets_a_flow(view) * EPOCHS_PER_SECOND / len(view.recent()),
    )
    yield UDP_STREAMS.seen(
        view,
        facts,
        (UDP,),
        count=unasked,
        floor=floor,
        ports=port_shares(row["opened"], UDP_NUMBER),
        sources=CLASS_UDP,
        own=others(row, reflectors),
    )


def _is_scan(view: View, row: np.void) -> bool:
    packets, size = int(row["kinds"][UDP]["packets"]), int(row["kinds"][UDP]["bytes"])
    touched = hll_estimate(np.ascontiguousarray(row["udp_ports"]))
    return (
        touched >= SCAN_PORTS
        and size <= SCAN_BYTES * packets
        and packets <= SCAN_TRIES * touched
        and distinct_sources(row, CLASS_UDP) <= SCAN_SOURCES
        and view.sweeps(packets)
    )


def _unasked(view: View, row: np.void, reflectors: list[Service]) -> int:
    """Packets beyond what the victim's own packets, to the same ports, can have asked for.

    DNS queries and QUIC Initials are judged by what becomes of them, not by their number.
    """
    asked = np.zeros(len(row["service"]), np.int64)
    for recent in view.recent():
        asked = np.maximum(asked, recent["service"]["out"])
    reach = int(min(max(packets_a_flow(view), 1.0), ANSWER_REACH))
    excess = np.maximum(row["service"]["packets"].astype(np.int64) - reach * asked, 0)
    reflected = sum(held.packets for held in reflectors)
    judged = int(row["dns_queries"]) + (int(row["quic_initials"]) if only_initials(row) else 0)
    return min(int(excess.sum()) - reflected, int(row["kinds"]["packets"][UDP]) - judged)


DETECTOR = Detector((UDP_FLOOD, UDP_STREAMS), detect, tests=(DRAWN_PORTS, FROM_NOWHERE[CLASS_UDP]))
