"""DNS query floods: random labels under one zone ("water torture"), or queries that drown the server.

A resolver in trouble is asked by real resolvers for names that do not exist, so volume says little: what
tells is that nearly every query asks for a name of its own under one zone, or that most go unanswered. Left
out: a flood of queries for few names seen one way, which looks like a popular name.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._native import hll_estimate
from ..history.victims import View, distinct_sources, source_registers
from ..model.epoch import CLASS_UDP, UDP
from ..model.finding import Finding
from ..model.vector import Vector

FLOOR = 250
"""Queries in an epoch: 1,000 a second ..."""
FLOOR_FEW = 1_250
"""... and 5,000 from one or two askers: a busy resolver, or a test."""
FEW = 2
OWN_NAMES = 0.4
"""Distinct names per query (every frame may be captured twice) from which the labels are random ..."""
ONE_ZONE = 0.3
"""... if this share at least (a lower bound) is about one zone ..."""
GROWN = 3.0
"""... and there are this many times the usual queries, where the usual is known."""
ANSWERED = 0.3
"""Answers per query below which the server drowns."""
PERSIST = 2


def detect_queries(view: View) -> Iterator[Finding]:
    """Judge one server's DNS queries of an epoch."""
    row = view.row
    if row is None:
        return
    queries, answers = int(row["dns_queries"]), int(row["dns_answers"])
    if queries < FLOOR // 2:
        return
    names = min(float(queries), hll_estimate(np.ascontiguousarray(row["dns_names"])))
    usual = view.usual("udp")
    grown = usual is None or queries * 4 >= GROWN * usual
    random = names >= OWN_NAMES * queries and int(row["zone_vote"]) >= ONE_ZONE * queries and grown
    drowned = not view.one_way and answers < ANSWERED * queries
    floor = FLOOR_FEW if distinct_sources(row, CLASS_UDP) <= FEW else FLOOR
    if (random or drowned) and queries >= floor // 2:
        yield _finding(view, row, queries, names, queries >= floor)


def _finding(view: View, row: np.void, queries: int, names: float, over: bool) -> Finding:
    kind = row["kinds"][UDP]
    return Finding(
        vector=Vector.DNS_QUERY_FLOOD,
        victim=view.track.address,
        protocol="udp",
        epoch=view.epoch,
        over=over,
        persist=PERSIST,
        count=queries,
        bytes=int(int(kind["bytes"]) * queries / max(int(kind["packets"]), 1)),
        first_ns=int(kind["first_ns"]),
        last_ns=int(kind["last_ns"]),
        unit="query/s",
        baseline=view.usual("udp"),
        facts={
            "queries": float(queries),
            "names": names,
            "zone_queries": float(max(int(row["zone_vote"]), 0)),
            "dns_answers": float(row["dns_answers"]),
            "dns_failures": float(row["dns_failures"]),
            "bogons": view.bogons("udp_bogons"),
            "sent": float(view.track.sent),
        },
        keys=[(53, queries)],
        paths=[(zone_text(row), int(row["zone_vote"]))] if int(row["zone_length"]) else [],
        sources=source_registers(row, CLASS_UDP),
    )


def zone_text(row: np.void) -> str:
    """The zone that wins the vote, as text; bytes that are no letters, digits or hyphens as ``\\ddd``."""
    raw, labels = bytes(row["zone_text"][: int(row["zone_length"])]), []
    while raw and raw[0]:
        label, raw = raw[1 : 1 + raw[0]], raw[1 + raw[0] :]
        plain = [chr(c) if (chr(c).isalnum() and c < 128) or c in b"-_" else f"\\{c:03d}" for c in label]
        labels.append("".join(plain))
    return ".".join(labels) or "."
