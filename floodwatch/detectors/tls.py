"""TLS handshakes that come to nothing, or are all that somebody does.

A handshake costs the server more than the client. Clients that mean it go on: they finish it, and then they
ask. Browsers open a connection ahead of its use now and then, and health checks may end with the handshake;
both are few.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..history.sealed import TLS
from ..history.sources import explaining, source_counts
from ..history.victims import View
from ..model.epoch import DATA
from ..model.event import Evidence, Origin
from ..model.finding import Facts, Finding, Floor, SourceCount, Sum
from ..model.vector import Vector
from .connect import FEW, NAMED, block_or_limit, idle, idlers
from .family import PROVEN_SHARE, Detector, Family
from .shares import share

FLOOR = Floor(125, "begun, not half of them go on")
"""Handshakes begun in an epoch: 500 a second ..."""
UNUSED = 0.5
"""... if fewer packets of TLS than this follow on each."""
FINISHED = Floor(12, "all of them finished")
"""Handshakes finished in an epoch: 48 a second ..."""
ASKED = 0.3
"""... if at most this share of those of the last second is followed by application data."""
LASTING = 6
"""Epochs (1.5 s) that these last before they are a flood: programs that begin together connect at once, some
of them more often than they need to, and health checks of many sites happen to meet."""


class Hellos(Facts):
    """TLS handshakes that were begun, and finished; packets of TLS that followed; connections that were asked
    for something; handshakes of TCP that were finished.
    """

    hellos: Sum = 0.0
    shaken: Sum = 0.0
    records: Sum = 0.0
    asked: Sum = 0.0
    finished: Sum = 0.0


def _evidence(facts: Hellos) -> list[Evidence]:
    value = facts.records / max(facts.hellos, 1)
    says = (
        f"{facts.records:,.0f} further TLS packets came for {facts.hellos:,.0f} handshakes that were begun, "
        f"{value:.2f} for each"
    )
    followed = Evidence(name="records_per_hello", value=round(value, 3), usual=3.0, says=says)
    if not facts.shaken:
        return [followed]
    says = "of the TLS handshakes that were finished were followed by application data of the client"
    return [share("handshakes_used", facts.asked, facts.shaken, 0.9, says), followed]


def _origin(facts: Hellos, count: float, distinct: float) -> Origin:
    return "real" if facts.finished >= PROVEN_SHARE * facts.hellos else "unknown"


TLS_FLOOD = Family(
    (Vector.TLS_FLOOD,),
    Hellos,
    _evidence,
    block_or_limit,
    technique="T1499.002",
    floors=(FINISHED, FLOOR),
    rule="{floor} TLS handshakes in a quarter of a second, hardly any of which is followed by a request",
    unit="hello/s",
    persist=3,
    usual="finished",
    origin=_origin,
    promised_s=3.0,
)


def detect(view: View) -> Iterator[Finding[Hellos]]:
    """Judge the handshakes of the last second by what followed on them."""
    row = view.row
    if row is None:
        return
    counted = row["sealed"][TLS]
    facts = Hellos(
        hellos=float(row["tls_hellos"]),
        shaken=float(counted["finished"]),
        records=float(row["tls_records"]),
        asked=float(counted["first"]),
        finished=float(row["finished"]),
    )
    if unused(view, row, TLS):
        top = shakers(view.heavy(), int(row["reference"]))
        finding = idle(view, row, TLS_FLOOD, DATA, int(counted["finished"]), FINISHED, facts, top)
        finding.persist = LASTING
        yield finding
    elif int(row["tls_hellos"]) >= FLOOR.count // 2 and view.lately("tls_records") < UNUSED * view.lately(
        "tls_hellos"
    ):
        top = idlers(view.heavy(), int(row["reference"]))
        yield idle(view, row, TLS_FLOOD, DATA, int(row["tls_hellos"]), FLOOR, facts, top)


def unused(view: View, row: np.void, over: int) -> bool:
    """Handshakes of TLS or QUIC are finished one after the other, and hardly any is followed by a request."""
    enough = int(row["sealed"][over]["finished"]) >= FINISHED.count // 2
    return enough and view.sealed("first", over) <= ASKED * view.sealed("finished", over)


def shakers(heavy: np.ndarray, victim: int, least: str = "shaken", most: str = "hellos") -> list[SourceCount]:
    """Sources that finish handshake after handshake and hardly ever ask, with these counters of theirs."""
    rows = heavy[(heavy["victim"] == victim) & (heavy["proven"] > 0) & (heavy["shaken"] >= NAMED)]
    rows = explaining(rows[rows["first"] <= ASKED * rows["shaken"]], "shaken", FEW)
    return source_counts(rows, least, most)


DETECTOR = Detector((TLS_FLOOD,), detect)
