"""Carpet bombing: a flood spread over a network so that no host of it is over its own floor.

The excess is summed over /24 (IPv6: /64) networks. It counts when many hosts share it evenly and send nothing
back, so that nobody there asked for it. A sweep by few sources is a scan. Left out: networks wider than the
1,024 victim slots, which hold the busiest addresses only, and TCP packets other than SYNs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._sketches import hll_estimate
from ..model.address import Address
from ..model.epoch import CLASS_OTHER, CLASS_SYN, CLASS_UDP, ICMP, SYN, SYNACK, UDP
from ..model.finding import Finding, Floor
from ..model.summary import Summary
from ..model.vector import AMPLIFIERS
from .family import Detector, Family, Scene
from .icmp import ICMP_FLOOD
from .reflection import AMPLIFICATION, Answers, amplification
from .syn import SYN_FLOOD, Attempts
from .udp import UDP_FLOOD, Unanswered

WHERE = "over a whole network"
FLOOR = {SYN: Floor(125, WHERE), UDP: Floor(250, WHERE), ICMP: Floor(250, WHERE)}
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
PERSIST = 2


class Kind(NamedTuple):
    """What is summed over a network: the family that it is of, and the source set of its packets."""

    family: Family[Any]
    sources: int


KINDS = {
    SYN: Kind(SYN_FLOOD, CLASS_SYN),
    UDP: Kind(UDP_FLOOD, CLASS_UDP),
    ICMP: Kind(ICMP_FLOOD, CLASS_OTHER),
}


def around(victim: Address) -> Address:
    """The address by which a carpet over the network of a host is told: a /24 of IPv4, a /64 of IPv6."""
    hi, lo = victim
    return (0, lo & ~0xFF) if hi == 0 and lo >> 32 == MAPPED else (hi, 0)


def detect(scene: Scene) -> Iterator[Finding[Any]]:
    """Judge the networks of one epoch."""
    hosts = scene.summary.hosts()
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
            yield from _judge(scene.summary, hosts[start:end], kind, bool(four[start]))


def _judge(summary: Summary, hosts: NDArray[np.void], kind: int, four: bool) -> Iterator[Finding[Any]]:
    packets, floor = hosts["packets"][:, kind].astype(np.int64), FLOOR[kind]
    mine = (packets > 0) & (packets < OWN * floor.count)
    hosts, packets = hosts[mine], packets[mine]
    total = int(packets.sum())
    if len(hosts) < HOSTS or total < floor.count // 2 or int(packets.max()) > LARGEST * total:
        return
    answered = int(hosts["finished"].sum()) if kind == SYN else int(hosts["out"][:, kind].sum())
    registers = summary.sources_of(hosts["reference"], KINDS[kind].sources)
    distinct = hll_estimate(np.ascontiguousarray(registers))
    if answered > ANSWERED * total or distinct < SOURCES:
        return
    port = _reflected_from(hosts, total) if kind == UDP else None
    # seen one way, an answered network looks the same; but its packets come from few, and from no reflectors
    everywhere = distinct >= EVERYWHERE * total or (port is not None and distinct >= REFLECTORS)
    if int(hosts["out"].sum()) > 0 or everywhere:
        yield _finding(summary, hosts, kind, four, port, registers)


def _finding(
    summary: Summary,
    hosts: NDArray[np.void],
    kind: int,
    four: bool,
    port: int | None,
    registers: NDArray[np.uint8],
) -> Finding[Any]:
    first, floor = hosts[0], FLOOR[kind]
    family = KINDS[kind].family if port is None else AMPLIFICATION
    total, size = int(hosts["packets"][:, kind].sum()), int(hosts["bytes"][:, kind].sum())
    return Finding(
        vector=family.vectors[0] if port is None else amplification(port),
        verdict=family.verdict,
        victim=around((int(first["hi"]), int(first["lo"]))),
        prefix=24 if four else 64,
        protocol=family.protocol if four or kind != ICMP else "icmp6",
        epoch=summary.epoch,
        facts=_facts(hosts, kind, total, size, port),
        floor=floor,
        over=total >= floor.count,
        persist=PERSIST,
        count=total,
        bytes=size,
        first_ns=summary.first_ns,
        last_ns=summary.last_ns,
        one_way=int(hosts["out"].sum()) == 0,
        sources=registers,
    )


def _facts(
    hosts: NDArray[np.void], kind: int, total: int, size: int, port: int | None
) -> Attempts | Answers | Unanswered:
    heard = float(hosts["out"].sum() > 0)
    if kind == SYN:
        finished, answered = int(hosts["finished"].sum()), int(hosts["out"][:, SYNACK].sum())
        return Attempts(attempts=total, finished=finished, answered=answered, heard=heard)
    out = float(hosts["out"][:, kind].sum())
    if port is not None:
        votes = np.maximum(hosts["udp_vote"], 0)[hosts["udp_from"] == port].sum()
        return Answers(
            answers=total, ports={port: int(votes)},
            asked={port: int(out)},
            unheard=1 - heard, answer_bytes=float(size * votes / total),
            service_port=port,
        )  # fmt: skip
    return Unanswered(packets=total, answers=out, heard=heard)


def _reflected_from(hosts: NDArray[np.void], total: int) -> int | None:
    """The reflectors' port that most of a network's UDP packets come from, or None."""
    votes = np.maximum(hosts["udp_vote"], 0)
    for port, _ in AMPLIFIERS:
        if int(votes[hosts["udp_from"] == port].sum()) >= ONE_PORT * total:
            return port
    return None


DETECTOR = Detector((), of_epoch=detect)
