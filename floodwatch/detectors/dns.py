"""DNS query floods: random labels under one zone ("water torture"), or queries that drown the server.

A resolver in trouble is asked by real resolvers for names that do not exist, so volume says little: what
tells is that nearly every query asks for a name of its own under one zone, or that most go unanswered. Left
out: a flood of queries for few names seen one way, which looks like a popular name.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._sketches import hll_estimate
from ..history.victims import View, distinct_sources
from ..model.epoch import CLASS_UDP, EPOCHS_PER_SECOND, UDP
from ..model.event import Action, Evidence, Origin
from ..model.finding import Finding, Floor, Sum
from ..model.vector import Vector
from .family import Detector, Family
from .forging import Bare, addresses
from .reflection import others, reflecting
from .shares import share

FLOOR = Floor(250)
"""Queries in an epoch: 1,000 a second ..."""
FEW = 2
FLOOR_FEW = Floor(1_250, f"from at most {FEW} clients: a busy resolver looks the same")
"""... and 5,000 from one or two askers: a busy resolver, or a test."""
OWN_NAMES = 0.4
"""Distinct names per query (every frame may be captured twice) from which the labels are random ..."""
ONE_ZONE = 0.3
"""... if this share at least (a lower bound) is about one zone ..."""
GROWN = 3.0
"""... and there are this many times the usual queries, where the usual is known."""
ANSWERED = 0.3
"""Answers per query below which the server drowns."""
PORT = 53


class Queries(Bare):
    """Queries, the names and the zone that they ask for, and what was answered.

    ``names`` are the different ones of each epoch, added up; ``heard`` as in ``reflection.Answers``.
    """

    queries: Sum = 0.0
    names: Sum = 0.0
    zone_queries: Sum = 0.0
    answers: Sum = 0.0
    heard: Sum = 0.0
    failures: Sum = 0.0


def _evidence(facts: Queries) -> list[Evidence]:
    queries = facts.queries
    out = [
        share(
            "distinct_names",
            facts.names,
            queries,
            None,
            "as many names as queries were asked for, quarter of a second by quarter",
            "about",
        ),
        share("one_zone", facts.zone_queries, queries, None, "of the queries are about one zone", "at least"),
    ]
    if facts.answers > 0:
        says = "of the answers say that there is no such name, or that the server failed"
        out.append(share("failed_answers", facts.failures, facts.answers, 0.1, says))
    if facts.heard > 0:
        out.append(
            share("answered", facts.answers, queries, 0.99, "as many answers were sent as queries came")
        )
    return out


def _advice(facts: Queries, origin: Origin, known_path: bool) -> tuple[Action, str]:
    return "limit_victim", (
        "queries come through resolvers that real users share, or from forged addresses: limit queries for "
        "the zone at the server, block no source"
    )


DNS_QUERY_FLOOD = Family(
    (Vector.DNS_QUERY_FLOOD,),
    Queries,
    _evidence,
    _advice,
    technique="T1499.002",
    floors=(FLOOR, FLOOR_FEW),
    rule="{floor} queries in a quarter of a second, most of them unanswered or each for another name in one "
    "zone",
    unit="query/s",
    protocol="udp",
    persist=2,
    usual="udp",
)


def detect(view: View) -> Iterator[Finding[Queries]]:
    """Judge one server's DNS queries of an epoch."""
    row = view.row
    if row is None:
        return
    queries, answers = int(row["dns_queries"]), int(row["dns_answers"])
    if queries < FLOOR.count // 2:
        return
    names = min(float(queries), hll_estimate(np.ascontiguousarray(row["dns_names"])))
    usual = view.usual("udp")
    grown = usual is None or queries * EPOCHS_PER_SECOND >= GROWN * usual
    random = names >= OWN_NAMES * queries and int(row["zone_vote"]) >= ONE_ZONE * queries and grown
    drowned = not view.one_way and answers < ANSWERED * queries
    floor = FLOOR_FEW if distinct_sources(row, CLASS_UDP) <= FEW else FLOOR
    if (random or drowned) and queries >= floor.count // 2:
        yield _finding(view, row, queries, names, floor)


def _finding(view: View, row: np.void, queries: int, names: float, floor: Floor) -> Finding[Queries]:
    facts = Queries(
        queries=float(queries),
        names=names,
        zone_queries=float(max(int(row["zone_vote"]), 0)),
        answers=float(row["dns_answers"]),
        heard=0.0 if view.one_way else 1.0,
        failures=float(row["dns_failures"]),
        **addresses(view, row, CLASS_UDP),
    )
    return DNS_QUERY_FLOOD.seen(
        view,
        facts,
        (UDP,),
        count=queries,
        floor=floor,
        ports=[(PORT, queries)],
        paths=[(zone_text(row), int(row["zone_vote"]))] if int(row["zone_length"]) else [],
        sources=CLASS_UDP,
        own=others(row, reflecting(view)),
    )


def zone_text(row: np.void) -> str:
    """The zone that wins the vote, as text; bytes that are no letters, digits or hyphens as ``\\ddd``."""
    raw, labels = bytes(row["zone_text"][: int(row["zone_length"])]), []
    while raw and raw[0]:
        label, raw = raw[1 : 1 + raw[0]], raw[1 + raw[0] :]
        plain = [chr(c) if (chr(c).isalnum() and c < 128) or c in b"-_" else f"\\{c:03d}" for c in label]
        labels.append("".join(plain))
    return ".".join(labels) or "."


DETECTOR = Detector((DNS_QUERY_FLOOD,), detect)
