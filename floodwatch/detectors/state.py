"""TCP packets out of any connection: ACK, RST, FIN, SYN-ACK and odd-flag floods, and TCP reflection.

The handshake table tells a packet whose connection it saw open, or whose other side it heard, from one that
came out of nowhere. Seen one way only, every old connection comes out of nowhere, but only once: there the
flows that begin are counted and not their packets, and they must be most of what comes. Left out: a flood
that repeats few connections towards a host that never answers, seen one way, looks like an upload; HTTP
answers of middleboxes count into ``ack_flood``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..history.sources import source_counts
from ..history.victims import View, distinct_sources, source_registers
from ..model.epoch import ACK, CLASS_TCP, DATA, FIN, RST, SYN, SYNACK, TCP_ODD
from ..model.finding import Finding, SourceCount
from ..model.vector import Vector

FLOOR = 250
"""Packets out of any connection in an epoch: 1,000 a second."""
SHARE = 0.3
"""Least share of the kind's packets that is out of any connection ..."""
SHARE_ONE_WAY = 0.5
"""... and where only the inbound direction is seen."""
PERSIST = 2
SCAN_SOURCES = 8
SCAN_MAX = 1_250
"""So few sources on scattered ports look for services below this many packets an epoch (5,000 a second)."""
ONE_PORT = 0.2
REFLECTORS = 8
SERVICE_SHARE = 0.5
"""Share of the SYN-ACKs that comes from service ports (below 1,024, or one port alone) in a reflection."""

KINDS = (
    (Vector.ACK_FLOOD, (ACK, DATA)),
    (Vector.RST_FLOOD, (RST,)),
    (Vector.FIN_FLOOD, (FIN,)),
    (Vector.TCP_FLAG_FLOOD, (TCP_ODD,)),
)


def detect_state(view: View) -> Iterator[Finding]:
    """Judge one victim's TCP packets of an epoch that are no SYNs."""
    row = view.row
    if row is None or int(row["kinds"]["packets"][SYNACK : TCP_ODD + 1].sum()) < FLOOR // 2:
        return
    one_way = _hears_only(view)
    answers = _strange(row, (SYNACK,), one_way)
    if answers >= FLOOR // 2:
        resets = _strange(row, (RST,), one_way)
        yield from _answered(view, row, answers, resets)
    for vector, kinds in KINDS:
        if vector is Vector.RST_FLOOD and answers >= FLOOR // 2:
            continue
        count = _strange(row, kinds, one_way)
        if count >= FLOOR // 2 and not _is_scan(row, kinds):
            yield _finding(view, row, vector, kinds, count)


def _hears_only(view: View) -> bool:
    """The victim's own TCP was not seen lately."""
    return not any(int(r["kinds"]["out"][SYN : TCP_ODD + 1].sum()) for r in view.recent())


def _strange(row: np.void, kinds: tuple[int, ...], one_way: bool) -> int:
    """Packets out of any connection, or 0 where they are too small a share to mean something."""
    if kinds == (TCP_ODD,):
        return int(row["kinds"]["packets"][TCP_ODD])  # no stack sends such flags
    packets = sum(int(row["kinds"]["packets"][kind]) for kind in kinds)
    strange = sum(int(row["kinds"]["strange_flows" if one_way else "strange"][kind]) for kind in kinds)
    if kinds == (SYNACK,) and one_way:  # the answers to a client's own SYNs, which data follows
        packets = int(row["kinds"]["packets"][SYNACK : TCP_ODD + 1].sum())
    count = min(strange, packets)
    return count if count >= (SHARE_ONE_WAY if one_way else SHARE) * packets else 0


def _is_scan(row: np.void, kinds: tuple[int, ...]) -> bool:
    packets = sum(int(row["kinds"]["packets"][kind]) for kind in kinds)
    held = sum(int(row["kinds"]["port_vote"][kind]) for kind in kinds)
    few = distinct_sources(row, CLASS_TCP) <= SCAN_SOURCES
    return few and packets < SCAN_MAX and held < ONE_PORT * packets


def _answered(view: View, row: np.void, answers: int, resets: int) -> Iterator[Finding]:
    """SYN-ACKs that nobody asked for: reflected by servers, or forged like any other packet."""
    service = row["service"]
    tcp = [bucket for bucket in service if bucket["vote"] > 0 and int(bucket["key"]) >> 16 == 6]
    if not tcp:
        return
    biggest = max(tcp, key=lambda bucket: (int(bucket["vote"]), int(bucket["key"])))
    served = sum(int(b["vote"]) for b in tcp if int(b["key"]) & 0xFFFF < 1024 or b is biggest)
    servers = served >= SERVICE_SHARE * int(row["kinds"]["packets"][SYNACK])
    if servers and distinct_sources(row, CLASS_TCP) >= REFLECTORS:
        finding = _finding(view, row, Vector.TCP_REFLECTION, (SYNACK, RST), answers + resets)
        finding.persist = 1
        finding.facts |= {
            "answers": float(answers),
            "asked": float(biggest["out"]),
            "resets": float(resets),
            "service_port": float(int(biggest["key"]) & 0xFFFF),
        }
        finding.top = _reflectors(view.heavy(), int(row["reference"]))
        yield finding
    else:
        yield _finding(view, row, Vector.SYN_ACK_FLOOD, (SYNACK,), answers)


def _reflectors(heavy: np.ndarray, victim: int) -> list[SourceCount]:
    """Bounds of what each heavy sender sent to the victim: advice, for the SYNs were forged."""
    rows = heavy[(heavy["victim"] == victim) & (heavy["udp"] == 0) & (heavy["proven"] == 0)]
    return source_counts(rows, "packets", "packets")


def _finding(view: View, row: np.void, vector: Vector, kinds: tuple[int, ...], count: int) -> Finding:
    seen = [row["kinds"][kind] for kind in kinds if int(row["kinds"]["packets"][kind])]
    packets = sum(int(kind["packets"]) for kind in seen)
    size = sum(int(kind["bytes"]) for kind in seen)
    ports = [(int(kind["port"]), int(kind["port_vote"])) for kind in seen]
    return Finding(
        vector=vector,
        victim=view.track.address,
        protocol="tcp",
        epoch=view.epoch,
        over=count >= FLOOR,
        persist=PERSIST,
        count=count,
        bytes=int(size * count / max(packets, 1)),
        first_ns=min(int(kind["first_ns"]) for kind in seen),
        last_ns=max(int(kind["last_ns"]) for kind in seen),
        facts={"packets": float(packets), "strange": float(count), "sent": float(view.track.sent)},
        keys=ports,
        sources=source_registers(row, CLASS_TCP),
    )
