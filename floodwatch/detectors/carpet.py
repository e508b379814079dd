"""Carpet bombing: a flood spread over a network so that no host of it is over its own floor.

The excess is summed over /24 (IPv6: /64) networks. It counts when many hosts share it evenly and send nothing
back, so that nobody there asked for it. A sweep by few sources is a scan. Left out: networks wider than the
1,024 victim slots, which hold the busiest addresses only, and TCP packets other than SYNs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .._native import hll_estimate
from ..model.epoch import CLASS_OTHER, CLASS_SYN, CLASS_UDP, ICMP, SYN, SYNACK, UDP
from ..model.finding import Finding
from ..model.summary import Summary
from ..model.vector import AMPLIFIERS, Vector

FLOOR = {SYN: 125, UDP: 250, ICMP: 250}
"""Packets in an epoch over a whole network: the floors of one host."""
OWN = 0.5
"""Share of a host's own floor from which it is judged by itself and left out here."""
HOSTS = 24
"""Fewer hosts are no carpet."""
LARGEST = 0.25
"""Largest share of one host."""
ANSWERED = 0.1
"""Packets of the same kind that the network sends back, per packet, from which it takes part."""
SOURCES = 16
"""So few sources sweep."""
EVERYWHERE = 0.25
"""Distinct sources per packet ..."""
REFLECTORS = 50
"""... or reflectors, where nothing that the network sends is seen."""
ONE_PORT = 0.8
MAPPED = 0xFFFF
CLASSES = {SYN: CLASS_SYN, UDP: CLASS_UDP, ICMP: CLASS_OTHER}
VECTORS = {SYN: Vector.SYN_FLOOD, UDP: Vector.UDP_FLOOD, ICMP: Vector.ICMP_FLOOD}
PROTOCOLS = {SYN: "tcp", UDP: "udp", ICMP: "icmp"}


def detect_carpet(summary: Summary) -> Iterator[Finding]:
    """Judge the networks of one epoch."""
    hosts = summary.hosts()
    if len(hosts) < HOSTS:
        return
    four = (hosts["hi"] == 0) & (hosts["lo"] >> np.uint64(32) == MAPPED)
    network = np.where(four, hosts["lo"] >> np.uint64(8), hosts["hi"])
    order = np.lexsort((network, four))
    hosts, four, network = hosts[order], four[order], network[order]
    starts = np.flatnonzero(np.r_[True, (network[1:] != network[:-1]) | (four[1:] != four[:-1])])
    ends = np.r_[starts[1:], len(hosts)]
    for index in np.flatnonzero(ends - starts >= HOSTS):
        start, end = starts[index], ends[index]
        for kind in FLOOR:
            yield from _judge(summary, hosts[start:end], kind, bool(four[start]))


def _judge(summary: Summary, hosts: NDArray[np.void], kind: int, four: bool) -> Iterator[Finding]:
    packets = hosts["packets"][:, kind].astype(np.int64)
    mine = (packets > 0) & (packets < OWN * FLOOR[kind])
    hosts, packets = hosts[mine], packets[mine]
    total = int(packets.sum())
    if len(hosts) < HOSTS or total < FLOOR[kind] // 2 or int(packets.max()) > LARGEST * total:
        return
    answered = int(hosts["finished"].sum()) if kind == SYN else int(hosts["out"][:, kind].sum())
    sent = int(hosts["out"].sum())
    registers = summary.sources_of(hosts["reference"], CLASSES[kind])
    distinct = hll_estimate(np.ascontiguousarray(registers))
    if answered > ANSWERED * total or distinct < SOURCES:
        return
    vector, port = _reflection(hosts, total) if kind == UDP else (VECTORS[kind], None)
    # seen one way, an answered network looks the same; but its packets come from few, and from no reflectors
    everywhere = distinct >= EVERYWHERE * total or (port is not None and distinct >= REFLECTORS)
    if sent > 0 or everywhere:
        yield _finding(summary, hosts, kind, four, (vector, port), registers)


def _finding(
    summary: Summary,
    hosts: NDArray[np.void],
    kind: int,
    four: bool,
    named: tuple[Vector, int | None],
    registers: NDArray[np.uint8],
) -> Finding:
    first, (vector, port) = hosts[0], named
    total, size = int(hosts["packets"][:, kind].sum()), int(hosts["bytes"][:, kind].sum())
    facts = {
        "packets": float(total),
        "answers": float(hosts["out"][:, kind].sum() if port is None else total),
        "sent": float(hosts["out"].sum()),
    }
    if port is not None:
        facts |= {"asked": 0.0, "answer_bytes": float(size), "service_port": float(port)}
    if kind == SYN:
        facts |= {"attempts": float(total), "finished": float(hosts["finished"].sum()), "syn": float(total)}
        facts |= {"answered": float(hosts["out"][:, SYNACK].sum()), "refused": 0.0, "bogons": 0.0}
    return Finding(
        vector=vector,
        victim=(0, int(first["lo"]) & ~0xFF) if four else (int(first["hi"]), 0),
        prefix=24 if four else 64,
        protocol=PROTOCOLS[kind] if four or kind != ICMP else "icmp6",
        epoch=summary.epoch,
        over=total >= FLOOR[kind],
        persist=2,
        count=total,
        bytes=size,
        first_ns=summary.first_ns,
        last_ns=summary.last_ns,
        facts=facts,
        sources=registers,
    )


def _reflection(hosts: NDArray[np.void], total: int) -> tuple[Vector, int | None]:
    """The amplification that most of a network's UDP packets are, by their source port; else a UDP flood."""
    votes = np.maximum(hosts["udp_vote"], 0)
    for port, name in AMPLIFIERS:
        if int(votes[hosts["udp_from"] == port].sum()) >= ONE_PORT * total:
            return Vector(f"{name}_amplification"), port
    return Vector.UDP_FLOOD, None
