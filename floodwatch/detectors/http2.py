"""HTTP/2 in clear text: streams that are opened and reset at once, headers that never end.

Rapid reset (CVE-2023-44487): each stream costs the client two small frames and the server a request. Clients
that change their mind reset a stream now and then; here it is the rule. CONTINUATION flood (CVE-2024-24549
and others): a header goes on in frame after frame and is never finished; browsers hardly ever need one such
frame. Left out: what TLS hides. There both are small records at a high rate, which chats send as well.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..history.sources import source_counts
from ..history.victims import View, source_registers
from ..model.epoch import CLASS_TCP, DATA
from ..model.finding import Finding
from ..model.vector import Vector

RESETS = 125
"""Resets in an epoch: 500 a second ..."""
RESET_SHARE = 0.5
"""... if they are this share of the streams of the last second."""
CONTINUATIONS = 50
"""Continuations in an epoch: 200 a second ..."""
PER_HEADER = 2.0
"""... if so many come for each header of the last second."""
PERSIST = 2
NAMED = 8
"""Packets with such frames, in the window of the heavy-hitter table, from which a source is named."""


def detect_http2(view: View) -> Iterator[Finding]:
    """Judge the frames of the last epoch, if a victim got any."""
    row = view.row
    if row is None:
        return
    resets, continuations = int(row["h2_resets"]), int(row["h2_continuations"])
    if resets < RESETS // 2 and continuations < CONTINUATIONS // 2:
        return
    sums = {
        name: sum(int(r[name]) for r in view.recent())
        for name in ("h2_streams", "h2_resets", "h2_continuations")
    }
    if resets >= RESETS // 2 and sums["h2_resets"] >= RESET_SHARE * sums["h2_streams"]:
        yield _finding(view, row, Vector.HTTP2_RAPID_RESET, resets, over=resets >= RESETS)
    if continuations >= CONTINUATIONS // 2 and sums["h2_continuations"] >= PER_HEADER * sums["h2_streams"]:
        yield _finding(
            view, row, Vector.HTTP2_CONTINUATION_FLOOD, continuations, over=continuations >= CONTINUATIONS
        )


def _finding(view: View, row: np.void, vector: Vector, count: int, *, over: bool) -> Finding:
    heavy = view.heavy()
    rows = heavy[(heavy["victim"] == int(row["reference"])) & (heavy["strains"] >= NAMED)]
    proven = rows[rows["proven"] > 0]
    kind = row["kinds"][DATA]
    return Finding(
        vector=vector,
        victim=view.track.address,
        protocol="tcp",
        epoch=view.epoch,
        over=over,
        persist=PERSIST,
        count=count,
        bytes=int(kind["bytes"]),
        first_ns=int(kind["first_ns"]),
        last_ns=int(kind["last_ns"]),
        unit="record/s",
        facts={
            "broken": float(count),
            "streams": float(row["h2_streams"]),
            "asked": float(rows["strains"].sum()),
            "proven_requests": float(proven["strains"].sum()),
            "sent": float(view.track.sent),
        },
        keys=[(int(kind["port"]), int(kind["port_vote"]))],
        sources=source_registers(row, CLASS_TCP),
        top=source_counts(proven, "strains", "packets"),
    )
