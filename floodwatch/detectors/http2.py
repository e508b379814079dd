"""HTTP/2 in clear text: streams that are opened and reset at once, headers that never end.

Rapid reset (CVE-2023-44487): each stream costs the client two small frames and the server a request. Clients
that change their mind reset a stream now and then; here it is the rule. CONTINUATION flood (CVE-2024-24549
and others): a header goes on in frame after frame and is never finished; browsers hardly ever need one such
frame. Inside TLS a reset is told from its length: it is as long as a WINDOW_UPDATE, which downloads send as
well, but not beside as many records that ask for something. CONTINUATION cannot be told there.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..history.sealed import TLS
from ..history.sources import explaining, source_counts
from ..history.victims import View
from ..model.epoch import CLASS_SEALED, CLASS_TCP, DATA, EPOCHS_PER_SECOND
from ..model.event import Evidence
from ..model.finding import Finding, Floor, Most, Sum
from ..model.vector import Vector
from .family import Detector, Family, Named, by_handshakes
from .http import block_or_cap
from .shares import share

RESETS = Floor(125)
"""Resets in an epoch: 500 a second ..."""
RESET_SHARE = 0.5
"""... if they are this share of the streams of the last second."""
CONTINUATIONS = Floor(50)
"""Continuations in an epoch: 200 a second ..."""
PER_HEADER = 2.0
"""... if so many come for each header of the last second."""
SEALED = Floor(60, "told inside TLS by their length")
"""Records as long as a reset in an epoch, inside TLS: 240 a second ..."""
ASKING = 0.5
"""... if so many records that may ask for something come for each ..."""
TURNS = 0.5
"""... and fewer turns: nobody waits for the answers."""
SEALED_NAMED = 48
"""Such records of one source, in the window of the heavy-hitter table, from which it is named."""
NAMED = 8
"""Packets with such frames, in the window of the heavy-hitter table, from which a source is named."""


class Frames(Named):
    """Streams that were opened, and the frames that broke them.

    ``sealed`` are those inside TLS, told by their length. ``listed`` are sources that sent many packets with
    such frames in one window, ``real`` those of them that are proven.
    """

    streams: Sum = 0.0
    broken: Sum = 0.0
    sealed: Sum = 0.0
    listed: Most = 0.0
    real: Most = 0.0


def _frames(facts: Frames, what: str) -> list[Evidence]:
    value = facts.broken / max(facts.streams, 1)
    says = (
        f"{facts.broken:,.0f} {what} came for {facts.streams:,.0f} streams that were opened, "
        f"{value:.2f} for each"
    )
    out = [Evidence(name="frames_per_stream", value=round(value, 3), usual=0.05, says=says)]
    if facts.listed > 0:
        says = f"of the sources that sent {NAMED} or more packets with such frames finished a handshake"
        out.append(share("proven_share", facts.real, facts.listed, 1.0, says))
    return out


def _resets(facts: Frames) -> list[Evidence]:
    if not facts.sealed:
        return _frames(facts, "RST_STREAM frames")
    what = "records as long as RST_STREAM (and WINDOW_UPDATE; TLS hides which)"
    return _frames(facts, what)


def _continuations(facts: Frames) -> list[Evidence]:
    return _frames(facts, "CONTINUATION frames")


RAPID_RESET = Family(
    (Vector.HTTP2_RAPID_RESET,),
    Frames,
    _resets,
    block_or_cap,
    floors=(RESETS, SEALED),
    severe=EPOCHS_PER_SECOND * SEALED.count,
    title=lambda vector: "HTTP/2 rapid reset",
    rule="{floor} resets of streams in a quarter of a second, at least one for every two streams",
    unit="record/s",
    persist=2,
    origin=by_handshakes,
    promised_s=3.0,
)
CONTINUATION_FLOOD = Family(
    (Vector.HTTP2_CONTINUATION_FLOOD,),
    Frames,
    _continuations,
    block_or_cap,
    floors=(CONTINUATIONS,),
    title=lambda vector: "HTTP/2 CONTINUATION flood",
    rule=f"{{floor}} CONTINUATION frames in a quarter of a second, at least {PER_HEADER:g} per header",
    unit="record/s",
    persist=2,
    origin=by_handshakes,
    promised_s=3.0,
)


def detect(view: View) -> Iterator[Finding[Frames]]:
    """Judge the frames of the last epoch, if a victim got any."""
    row = view.row
    if row is None:
        return
    yield from _inside_tls(view, row)
    resets, continuations = int(row["h2_resets"]), int(row["h2_continuations"])
    reset, continued = resets >= RESETS.count // 2, continuations >= CONTINUATIONS.count // 2
    if not (reset or continued):
        return
    streams, all_resets, all_continuations = (
        view.lately(name) for name in ("h2_streams", "h2_resets", "h2_continuations")
    )
    if reset and all_resets >= RESET_SHARE * streams:
        yield _finding(view, row, RAPID_RESET, resets, RESETS)
    if continued and all_continuations >= PER_HEADER * streams:
        yield _finding(view, row, CONTINUATION_FLOOD, continuations, CONTINUATIONS)


def _finding(view: View, row: np.void, family: Family[Frames], count: int, floor: Floor) -> Finding[Frames]:
    heavy = view.heavy()
    mine = (heavy["victim"] == int(row["reference"])) & (heavy["strains"] >= NAMED)
    rows = explaining(heavy[mine], "strains", 2 * NAMED)
    proven, kind = rows[rows["proven"] > 0], row["kinds"][DATA]
    facts = Frames(
        streams=float(row["h2_streams"]),
        broken=float(count),
        listed=float(len(rows)),
        real=float(len(proven)),
        asked=float(rows["strains"].sum()),
        proven=float(proven["strains"].sum()),
    )
    return family.seen(
        view,
        facts,
        (DATA,),
        count=count,
        floor=floor,
        size=int(kind["bytes"]),
        ports=[(int(kind["port"]), count * int(kind["port_vote"]) // max(int(kind["packets"]), 1))],
        sources=CLASS_TCP,
        top=source_counts(proven, "strains", "packets"),
    )


def _inside_tls(view: View, row: np.void) -> Iterator[Finding[Frames]]:
    """Resets that TLS hides: records of their length, beside as many that may open streams."""
    small = int(row["sealed"][TLS]["small"])
    if small < SEALED.count // 2:
        return
    held = [recent["sealed"][TLS] for recent in view.recent()]
    resets, records, turns = (sum(int(one[name]) for one in held) for name in ("small", "records", "turns"))
    if records < ASKING * resets or turns > TURNS * resets:
        return
    heavy = view.heavy()
    rows = heavy[(heavy["victim"] == int(row["reference"])) & (heavy["small"] >= SEALED_NAMED)]
    rows = explaining(rows[rows["turns"] <= TURNS * rows["small"]], "small", 2 * SEALED_NAMED)
    proven = rows[rows["proven"] > 0]
    facts = Frames(
        streams=float(row["sealed"][TLS]["records"]),
        broken=float(small),
        sealed=float(small),
        asked=float(rows["small"].sum()),
        proven=float(proven["small"].sum()),
    )
    yield RAPID_RESET.seen(
        view,
        facts,
        (DATA,),
        count=small,
        floor=SEALED,
        size=int(row["sealed"][TLS]["bytes"]),
        ports=[(int(row["sealed"][TLS]["port"]), small)],
        sources=CLASS_SEALED,
        top=source_counts(proven, "small", "small"),
    )


DETECTOR = Detector((RAPID_RESET, CONTINUATION_FLOOD), detect)
