"""UDP, ICMP, fragment and other-protocol floods: packets that the victim neither asked for nor answers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..history.victims import View, distinct_sources, port_shares, source_registers
from ..model.epoch import CARRIER, CLASS_OTHER, CLASS_UDP, FRAGMENT, ICMP, OTHER, UDP
from ..model.finding import Finding
from ..model.vector import PROTOCOL_NUMBERS, Vector
from .reflection import reflecting

UDP_FLOOR = 250
"""Unanswered UDP packets in an epoch (1,000 a second) when both directions are seen ..."""
UDP_FLOOR_ONE_WAY = 500
"""... and when only the inbound one is, where an answered service looks the same."""
STREAM_SOURCES = 2
STREAM_FLOOR = 1_250
"""So few senders are a media stream or a copy below 5,000 a second ..."""
STREAM_BULK_FLOOR = 12_500
"""... and with full packets below 50,000 a second (600 Mbit/s)."""
BULK_BYTES = 1_000
ANSWER_REACH = 20
"""Packets that one packet of the victim can have asked for (a window of QUIC or NFS)."""
TUNNEL_SOURCES = 32
"""Fewer senders of tunnelled packets are a network's own tunnels, seen one way."""
INITIAL_FLOOR = 250
INITIAL_SHARE = 0.5
"""Share of the UDP packets that are QUIC Initials from which nobody means to go on."""
FRAGMENT_FLOOR = 250
LONGEST = 45
"""Later fragments of one datagram: 64 KB in pieces of 1,480 bytes."""
ICMP_FLOOR = 250
ICMP_ERRORS_FLOOR = 1_000
"""ICMP errors come back for what others forged; so many of them are a flood of their own."""


def detect_udp(view: View) -> Iterator[Finding]:
    """Judge one victim's UDP packets of an epoch, without what is reflection."""
    row = view.row
    if row is None or int(row["kinds"]["packets"][UDP]) < UDP_FLOOR // 2:
        return
    unasked = _unasked(view, row)
    floor = _udp_floor(view, row)
    if unasked < floor / 2:
        return
    kind = row["kinds"][UDP]
    packets = int(kind["packets"])
    yield Finding(
        vector=Vector.UDP_FLOOD,
        victim=view.track.address,
        protocol="udp",
        epoch=view.epoch,
        over=unasked >= floor,
        persist=1,
        count=unasked,
        bytes=int(int(kind["bytes"]) * unasked / packets),
        first_ns=int(kind["first_ns"]),
        last_ns=int(kind["last_ns"]),
        baseline=view.usual("udp"),
        facts={
            "packets": float(packets),
            "bogons": view.bogons("udp_bogons"),
            "answers": float(kind["out"]),
            "sent": float(view.track.sent),
        },
        keys=port_shares(row["opened"], 17),
        sources=source_registers(row, CLASS_UDP),
    )


def _unasked(view: View, row: np.void) -> int:
    """Packets beyond what the victim's own packets, to the same ports, can have asked for.

    DNS queries and QUIC Initials are judged by what becomes of them, not by their number.
    """
    asked = np.zeros(len(row["service"]), np.int64)
    for recent in view.recent():
        asked = np.maximum(asked, recent["service"]["out"])
    excess = np.maximum(row["service"]["packets"].astype(np.int64) - ANSWER_REACH * asked, 0)
    reflected = sum(int(bucket["packets"]) for bucket in reflecting(view, half=True))
    judged = int(row["dns_queries"]) + (int(row["quic_initials"]) if _only_initials(row) else 0)
    return min(int(excess.sum()) - reflected, int(row["kinds"]["packets"][UDP]) - judged)


def _only_initials(row: np.void) -> bool:
    return int(row["quic_initials"]) >= INITIAL_SHARE * int(row["kinds"]["packets"][UDP])


def detect_quic(view: View) -> Iterator[Finding]:
    """Judge one victim's QUIC Initials: clients that mean it send many more packets than these."""
    row = view.row
    if row is None or int(row["quic_initials"]) < INITIAL_FLOOR // 2 or not _only_initials(row):
        return
    kind, initials = row["kinds"][UDP], int(row["quic_initials"])
    yield Finding(
        vector=Vector.QUIC_FLOOD,
        victim=view.track.address,
        protocol="udp",
        epoch=view.epoch,
        over=initials >= INITIAL_FLOOR,
        persist=2,
        count=initials,
        bytes=int(int(kind["bytes"]) * initials / int(kind["packets"])),
        first_ns=int(kind["first_ns"]),
        last_ns=int(kind["last_ns"]),
        baseline=view.usual("udp"),
        facts={
            "packets": float(kind["packets"]),
            "initials": float(initials),
            "bogons": view.bogons("udp_bogons"),
            "sent": float(view.track.sent),
        },
        keys=[(443, initials)],
        sources=source_registers(row, CLASS_UDP),
    )


def detect_fragments(view: View) -> Iterator[Finding]:
    """Judge one victim's later fragments of an epoch: without a first one nothing can come of them."""
    row = view.row
    if row is None:
        return
    packets, heads = int(row["kinds"]["packets"][FRAGMENT]), int(row["fragment_heads"])
    count = packets - LONGEST * heads
    floor = _few_floor(row, FRAGMENT, FRAGMENT_FLOOR)
    if count >= floor // 2:
        yield _other(
            view, row, FRAGMENT, Vector.FRAGMENT_FLOOD, count, count >= floor, {"heads": float(heads)}
        )


def detect_protocols(view: View) -> Iterator[Finding]:
    """Judge one victim's packets of protocols other than TCP, UDP and ICMP; tunnels answer what they get.

    What tunnels carry is judged where it goes to. The tunnel itself is the flood when it comes from many
    and nothing comes back: then the host has no tunnels, and what is inside is only there to be unpacked.
    """
    row = view.row
    if row is None:
        return
    carried = int(row["kinds"]["packets"][CARRIER])
    kind = CARRIER if carried > int(row["kinds"]["packets"][OTHER]) else OTHER
    if kind == CARRIER and distinct_sources(row, CLASS_OTHER) < TUNNEL_SOURCES:
        return
    answers = max((int(r["kinds"]["out"][kind]) for r in view.recent()), default=0)
    count = int(row["kinds"]["packets"][kind]) - ANSWER_REACH * answers
    floor = _few_floor(row, kind, UDP_FLOOR_ONE_WAY if view.one_way else UDP_FLOOR)
    if count >= floor // 2:
        tunnels_in_udp = kind == CARRIER and int(row["kinds"]["port"][kind]) == UDP_NUMBER
        vector = Vector.UDP_FLOOD if tunnels_in_udp else Vector.IP_PROTOCOL_FLOOD
        yield _other(view, row, kind, vector, count, count >= floor, {"answers": float(answers)})


UDP_NUMBER = PROTOCOL_NUMBERS["udp"]
NAMES = {number: name for name, number in PROTOCOL_NUMBERS.items()}


def _other(
    view: View, row: np.void, index: int, vector: Vector, count: int, over: bool, facts: dict[str, float]
) -> Finding:
    kind = row["kinds"][index]
    number = int(kind["port"])
    return Finding(
        vector=vector,
        victim=view.track.address,
        protocol=NAMES.get(number, f"ip-{number}"),
        epoch=view.epoch,
        over=over,
        persist=1,
        count=count,
        bytes=int(int(kind["bytes"]) * count / int(kind["packets"])),
        first_ns=int(kind["first_ns"]),
        last_ns=int(kind["last_ns"]),
        facts=facts | {"packets": float(kind["packets"]), "sent": float(view.track.sent)},
        sources=source_registers(row, CLASS_OTHER),
    )


def _few_floor(row: np.void, index: int, floor: int) -> int:
    """One or two senders are a tunnel or a copy until they send very much."""
    kind = row["kinds"][index]
    if distinct_sources(row, CLASS_OTHER) > STREAM_SOURCES:
        return floor
    return STREAM_BULK_FLOOR if int(kind["bytes"]) >= BULK_BYTES * int(kind["packets"]) else STREAM_FLOOR


def _udp_floor(view: View, row: np.void) -> int:
    senders = distinct_sources(row, CLASS_UDP)
    kind = row["kinds"][UDP]
    if senders <= STREAM_SOURCES:
        return STREAM_BULK_FLOOR if int(kind["bytes"]) >= BULK_BYTES * int(kind["packets"]) else STREAM_FLOOR
    return UDP_FLOOR_ONE_WAY if view.one_way else UDP_FLOOR


def detect_icmp(view: View) -> Iterator[Finding]:
    """Judge one victim's ICMP packets of an epoch: no errors, no replies to its own echo requests."""
    row = view.row
    if row is None:
        return
    kind = row["kinds"][ICMP]
    packets, errors, replies = int(kind["packets"]), int(row["icmp_errors"]), int(row["icmp_replies"])
    if packets < ICMP_FLOOR // 2:
        return
    asked = replies if int(kind["out"]) >= replies // 2 else 0
    flood = packets - asked - (errors if errors < ICMP_ERRORS_FLOOR else 0)
    if flood < ICMP_FLOOR // 2:
        return
    yield Finding(
        vector=Vector.ICMP_FLOOD,
        victim=view.track.address,
        protocol="icmp6" if view.track.address[0] else "icmp",
        epoch=view.epoch,
        over=flood >= ICMP_FLOOR,
        persist=1,
        count=flood,
        bytes=int(int(kind["bytes"]) * flood / packets),
        first_ns=int(kind["first_ns"]),
        last_ns=int(kind["last_ns"]),
        baseline=view.usual("icmp"),
        facts={"packets": float(packets), "errors": float(errors), "sent": float(view.track.sent)},
        sources=source_registers(row, CLASS_OTHER),
    )
