"""Connections that real clients finish and do not use: connection floods.

Health checks and monitoring connect and close, too: few sources that did so from the first packet on and
do it no faster now are no flood below a floor of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..history.sources import explaining, source_of
from ..history.victims import View
from ..model.epoch import CLASS_SYN, CLASS_TCP, DATA, SYN
from ..model.event import Action, Evidence, Origin
from ..model.finding import F, Facts, Finding, Floor, SourceCount, Sum
from ..model.vector import Vector
from .family import BLOCK, LIMIT, Detector, Family, by_finished
from .shares import share
from .syn import FINISHED, WENT_ON

FLOOR = Floor(125)
"""Connections in an epoch: 500 a second."""
CHECKERS = 32
CHECKS = Floor(
    250, f"from at most {CHECKERS} sources that did so from the first packet on: health checks look the same"
)
"""So few that always connected, and do it no faster, are no flood below 1,000 a second ..."""
VISITORS = 0.1
"""... beside people, of whom as many as this share of the connections may come."""
UNUSED = 0.5
"""Packets of data per connection below which it was not meant."""
NAMED = 4
"""Connections that one source finished from which it is named ..."""
FEW = 12
"""... at so few in a window only while they explain much of it: a browser opens six at once ..."""
SMALL = 150
"""... if its packets are this small on average (bytes): it says next to nothing."""


class Connections(Facts):
    """Connections asked for and made, those proven by a handshake, and packets of data in the same epochs."""

    attempts: Sum = 0.0
    made: Sum = 0.0
    finished: Sum = 0.0
    data: Sum = 0.0


def _evidence(facts: Connections) -> list[Evidence]:
    value = facts.data / max(facts.made, 1)
    says = (
        f"{facts.data:,.0f} data packets came to about {facts.made:,.0f} new connections, "
        f"{value:.2f} for each"
    )
    done = FINISHED if facts.finished else WENT_ON
    return [
        share("handshake_completion", facts.made, facts.attempts, 0.97, done, "about"),
        Evidence(name="data_per_connection", value=round(value, 3), usual=2.0, says=says),
    ]


def block_or_limit(facts: Facts, origin: Origin, known_path: bool) -> tuple[Action, str]:
    """Block whom handshakes prove, else limit what is begun."""
    return BLOCK if origin == "real" else LIMIT


CONNECTION_FLOOD = Family(
    (Vector.CONNECTION_FLOOD,),
    Connections,
    _evidence,
    block_or_limit,
    technique="T1499.001",
    floors=(FLOOR, CHECKS),
    rule="{floor} connections in a quarter of a second, with less than one data packet for every two of them",
    unit="conn/s",
    persist=3,
    usual="finished",
    origin=by_finished,
)


def detect(view: View) -> Iterator[Finding[Connections]]:
    """Judge the connections that were made in the last second by what followed on them."""
    row = view.row
    if row is None:
        return
    name = "followed" if view.one_way else "finished"  # one way an ACK is a hint: it can be forged blindly
    made, data = int(row[name]), view.lately("kinds", DATA)
    if made >= FLOOR.count // 2 and data < UNUSED * view.lately(name):
        facts = Connections(
            attempts=float(row["syn_flows"]),
            made=float(made),
            finished=float(row["finished"]),
            data=float(row["kinds"]["packets"][DATA]),
        )
        top = idlers(view.heavy(), int(row["reference"]))
        floor = CHECKS if _checks(view, view.lately(name), len(top)) else FLOOR
        if made >= floor.count // 2:
            yield idle(view, row, CONNECTION_FLOOD, SYN, made, floor, facts, top)


def _checks(view: View, made: int, named: int) -> bool:
    """Few sources always connected so fast."""
    few = named <= CHECKERS and view.senders(CLASS_SYN) <= CHECKERS + VISITORS * made
    return few and view.unchanged("connections")


def idle(
    view: View,
    row: np.void,
    family: Family[F],
    kind: int,
    count: int,
    floor: Floor,
    facts: F,
    top: list[SourceCount],
) -> Finding[F]:
    """What is begun and not used, by ``top``."""
    kinds = row["kinds"]
    return family.seen(
        view,
        facts,
        (kind,),
        count=count,
        floor=floor,
        size=int(kinds["bytes"][: DATA + 2].sum()),
        ports=[(int(k["port"]), int(k["port_vote"])) for k in kinds[SYN + 1 : DATA + 2]],
        sources=CLASS_TCP,
        top=top,
    )


def idlers(heavy: np.ndarray, victim: int) -> list[SourceCount]:
    """Sources that open connection after connection and say next to nothing on them."""
    rows = heavy[(heavy["victim"] == victim) & (heavy["proven"] >= NAMED) & (heavy["requests"] == 0)]
    rows = rows[rows["bytes"] <= SMALL * rows["packets"].astype(np.int64)]
    rows = explaining(rows, "proven", FEW)
    return [
        source_of(row, int(row["proven"]), max(int(row["packets"]) // 2, int(row["proven"]))) for row in rows
    ]


DETECTOR = Detector((CONNECTION_FLOOD,), detect)
