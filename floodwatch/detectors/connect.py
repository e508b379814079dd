"""Connections that real clients finish and do not use: connection floods, unfinished TLS handshakes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..history.victims import View, source_registers
from ..model.epoch import CLASS_TCP, DATA, SYN
from ..model.finding import Finding, SourceCount
from ..model.vector import Vector

FLOOR = 125
"""Connections, or TLS handshakes begun, in an epoch: 500 a second."""
UNUSED = 0.5
"""Packets of data (or of TLS) per connection below which it was not meant."""
PERSIST = 3
NAMED = 4
"""Connections that one source finished from which it is named ..."""
SMALL = 150
"""... if its packets are this small on average (bytes): it says next to nothing."""


def detect_connections(view: View) -> Iterator[Finding]:
    """Judge the connections that were finished in the last second by what followed on them."""
    row = view.row
    if row is None:
        return
    name = "followed" if view.one_way else "finished"  # one way an ACK is a hint: it can be forged blindly
    made, data = int(row[name]), _lately(view, "kinds", DATA)
    if made < FLOOR // 2 or data >= UNUSED * _lately(view, name):
        return
    facts = {
        "attempts": float(max(int(row["syn_flows"]), made)),
        "made": float(made),
        "finished": float(row["finished"]),
        "data": float(row["kinds"]["packets"][DATA]),
        "again": float(row["syn_again"]),
    }
    yield _finding(view, row, Vector.CONNECTION_FLOOD, made, facts)


def detect_tls(view: View) -> Iterator[Finding]:
    """Judge the TLS handshakes that were begun in the last second by whether they went on."""
    row = view.row
    if row is None:
        return
    hellos = int(row["tls_hellos"])
    begun, records = _lately(view, "tls_hellos"), _lately(view, "tls_records")
    if hellos < FLOOR // 2 or records >= UNUSED * begun:
        return
    facts = {
        "hellos": float(hellos),
        "records": float(row["tls_records"]),
        "finished": float(row["finished"]),
    }
    yield _finding(view, row, Vector.TLS_FLOOD, hellos, facts)


def _lately(view: View, name: str, kind: int | None = None) -> int:
    """A counter over the last second."""
    rows = view.recent()
    return sum(int(r[name] if kind is None else r[name]["packets"][kind]) for r in rows)


def _finding(view: View, row: np.void, vector: Vector, count: int, facts: dict[str, float]) -> Finding:
    kind = row["kinds"][DATA if vector is Vector.TLS_FLOOD else SYN]
    ends = kind if int(kind["packets"]) else row["kinds"][SYN]
    ports = row["kinds"]
    held = [(int(k["port"]), int(k["port_vote"])) for k in ports[SYN + 1 : DATA + 2]]
    return Finding(
        vector=vector,
        victim=view.track.address,
        protocol="tcp",
        epoch=view.epoch,
        over=count >= FLOOR,
        persist=PERSIST,
        count=count,
        bytes=int(ports["bytes"][: DATA + 2].sum()),
        first_ns=int(ends["first_ns"]),
        last_ns=int(ends["last_ns"]),
        unit="hello/s" if vector is Vector.TLS_FLOOD else "conn/s",
        baseline=view.usual("finished"),
        facts=facts | {"sent": float(view.track.sent)},
        keys=held,
        sources=source_registers(row, CLASS_TCP),
        top=_idlers(view.heavy(), int(row["reference"])),
    )


def _idlers(heavy: np.ndarray, victim: int) -> list[SourceCount]:
    """Sources that open connection after connection and say next to nothing on them."""
    rows = heavy[(heavy["victim"] == victim) & (heavy["proven"] >= NAMED) & (heavy["requests"] == 0)]
    rows = rows[rows["bytes"] <= SMALL * rows["packets"].astype(np.int64)]
    return [
        SourceCount(
            int(r["source"]), bool(r["v6"]), int(r["proven"]), max(int(r["packets"]) // 2, int(r["proven"]))
        )
        for r in rows
    ]
