"""Reflection and amplification: answers from service ports that the victim never asked (CISA TA14-017A).

A service port's packets are judged against what the victim sent to that port: whoever asked gets answers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..history.sources import source_counts
from ..history.victims import View, distinct_sources, port_shares, source_registers
from ..model.epoch import CLASS_UDP, FRAGMENT, UDP
from ..model.finding import Finding, SourceCount
from ..model.vector import AMPLIFIERS, Vector

FLOOR = 250
"""Answers in an epoch: 1,000 a second ..."""
FLOOR_BYTES = 1_562_500
"""... or this many bytes (50 Mbit/s) in at least ``FEW`` packets."""
FEW = 50
ASKED_SHARE = 0.1
"""Packets to the port per packet from it, from which on the answers were asked for."""
REFLECTORS = 8
"""Fewer senders are servers that the victim talks to."""
UNKNOWN_REFLECTORS = 50
SHARED_PORT = 443
"""QUIC answers come from here too: reflectors then are many and say little each."""
PEER_PORTS = frozenset({123, 500, 1194, 4500, 5353})
"""Protocols whose peers use the same port at both ends when all is well."""

UDP_PROTOCOL = 17
FULL_BYTES = 1_200
"""Bytes an answer from which on its datagrams reach us in fragments."""

_NAMES = dict(AMPLIFIERS)


def detect_reflection(view: View) -> Iterator[Finding]:
    """Judge every UDP service port of one victim's epoch."""
    if view.row is None or int(view.row["kinds"]["packets"][UDP]) < FEW:
        return
    for bucket in reflecting(view, half=True):
        yield _finding(view, bucket)


def reflecting(view: View, *, half: bool = False) -> list[np.void]:
    """Buckets of ``service`` that reflect (over half of the floor, where ``half``)."""
    row = view.row
    if row is None:
        return []
    service = row["service"]
    scale = 2 if half else 1
    busy = (service["packets"] >= FLOOR / scale) | (
        (service["bytes"] >= FLOOR_BYTES / scale) & (service["packets"] >= FEW)
    )
    return [service[i] for i in np.flatnonzero(busy) if _reflects(view, row, int(i))]


def _reflects(view: View, row: np.void, index: int) -> bool:
    bucket = row["service"][index]
    port, packets = int(bucket["key"]) & 0xFFFF, int(bucket["packets"])
    if int(bucket["vote"]) < 0.5 * packets or int(bucket["key"]) >> 16 != UDP_PROTOCOL:
        return False
    recent = view.recent()
    asked = sum(int(r["service"]["out"][index]) for r in recent)
    answered = sum(int(r["service"]["packets"][index]) for r in recent)
    if asked >= ASKED_SHARE * answered:
        return False
    senders = distinct_sources(row, CLASS_UDP)
    if port in PEER_PORTS and any(p == port and n > 0.5 * packets for p, n in port_shares(row["opened"], 17)):
        return False
    if port == SHARED_PORT:
        return senders >= 200 and packets <= 20 * senders
    return senders >= (REFLECTORS if port in _NAMES else UNKNOWN_REFLECTORS) and (
        port in _NAMES or port < 32768
    )


def _finding(view: View, bucket: np.void) -> Finding:
    row = view.row
    assert row is not None
    port, packets, size = int(bucket["key"]) & 0xFFFF, int(bucket["packets"]), int(bucket["bytes"])
    name = _NAMES.get(port, "unknown")
    kind, fragments = row["kinds"][UDP], row["kinds"][FRAGMENT]
    tails = int(fragments["packets"]) if size >= FULL_BYTES * packets else 0
    tail_bytes = int(fragments["bytes"]) if tails else 0
    return Finding(
        vector=Vector(f"{name}_amplification"),
        victim=view.track.address,
        protocol="udp",
        epoch=view.epoch,
        over=packets >= FLOOR or (size >= FLOOR_BYTES and packets >= FEW),
        persist=1,
        count=int(bucket["vote"]) + tails,
        bytes=int(size * int(bucket["vote"]) / packets) + tail_bytes,
        first_ns=int(kind["first_ns"]),
        last_ns=int(kind["last_ns"]),
        baseline=view.usual("udp"),
        facts={
            "answers": float(packets),
            "asked": float(bucket["out"]),
            "answer_bytes": float(size),
            "service_port": float(port),
            "sent": float(view.track.sent),
        },
        keys=port_shares(row["opened"], 17),
        sources=source_registers(row, CLASS_UDP),
        top=_reflectors(view.heavy(), int(row["reference"]), port),
    )


def _reflectors(rows: np.ndarray, victim: int, port: int) -> list[SourceCount]:
    """Bounds of what each heavy UDP source of that port sent: advice, for queries to them were forged."""
    mine = rows["victim"] == victim
    chosen = rows[mine & (rows["udp"] > 0) & (rows["udp"] >= rows["packets"] // 2) & _from_port(rows, port)]
    return source_counts(chosen, "udp", "udp")


def _from_port(rows: np.ndarray, port: int) -> np.ndarray:
    """Which sources sent from that port, or from one of the 1,000 with the same bit (fw_port_bit)."""
    bit = np.uint64((port * 0x9E3779B1 & 0xFFFFFFFF) >> 26)
    sent: np.ndarray = (rows["paths"] >> bit & np.uint64(1)) > 0
    return sent
