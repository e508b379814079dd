"""WebSocket floods (RFC 6455): clients that send frame after frame on connections that were upgraded.

People type, and their programs send a few dozen small frames a second; games up to 128. What one connection
sends beyond ``FRAMES_A_SECOND`` of them, or ``CONTROLS_A_SECOND`` pings, counts here, whoever else speaks;
large frames carry data, and what servers push is no flood of theirs. Left out: what TLS hides, and floods by
so many connections that none is fast.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..history.sources import explaining, source_counts
from ..history.victims import View
from ..model.epoch import CLASS_TCP, CONTROLS_A_SECOND, DATA, FRAMES_A_SECOND
from ..model.event import Evidence
from ..model.finding import Finding, Floor, Most, Sum
from ..model.vector import Vector
from .family import Detector, Family, Named, by_handshakes
from .http import block_or_cap
from .shares import share

FLOOR = Floor(
    50, f"from connections that each send over {FRAMES_A_SECOND} a second, or {CONTROLS_A_SECOND} pings"
)
"""Frames of fast connections in an epoch: 200 a second."""
NAMED = 32
"""Such frames, in the window of the heavy-hitter table, from which a source is named."""


class Frames(Named):
    """Frames of clients, those of connections that are too fast, and the control frames.

    ``listed`` are sources that sent many such frames in one window, ``real`` those of them that are proven.
    """

    frames: Sum = 0.0
    fast: Sum = 0.0
    controls: Sum = 0.0
    listed: Most = 0.0
    real: Most = 0.0


def _evidence(facts: Frames) -> list[Evidence]:
    says = f"of the frames came on connections that each send over {FRAMES_A_SECOND} small ones a second"
    out = [share("fast_share", facts.fast, facts.frames, 0.0, says)]
    if facts.controls > 0:
        out.append(share("control_share", facts.controls, facts.frames, 0.02, "of the frames were pings"))
    if facts.listed > 0:
        says = f"of the sources that sent {NAMED} or more such frames finished a handshake"
        out.append(share("proven_share", facts.real, facts.listed, 1.0, says))
    return out


WEBSOCKET_FLOOD = Family(
    (Vector.WEBSOCKET_FLOOD,),
    Frames,
    _evidence,
    block_or_cap,
    technique="T1499.003",
    floors=(FLOOR,),
    title=lambda vector: "WebSocket flood",
    rule="{floor} small frames of WebSockets in a quarter of a second",
    unit="frame/s",
    persist=2,
    origin=by_handshakes,
    promised_s=3.0,
)


def detect(view: View) -> Iterator[Finding[Frames]]:
    """Judge the frames of the last epoch, if a victim got any."""
    row = view.row
    if row is None or int(row["ws_fast"]) < FLOOR.count // 2:
        return
    yield _finding(view, row, int(row["ws_fast"]))


def _finding(view: View, row: np.void, fast: int) -> Finding[Frames]:
    heavy = view.heavy()
    mine = (heavy["victim"] == int(row["reference"])) & (heavy["frames"] >= NAMED)
    rows = explaining(heavy[mine], "frames", NAMED)
    proven = rows[rows["proven"] > 0]
    facts = Frames(
        frames=float(row["ws_frames"]),
        fast=float(fast),
        controls=float(row["ws_controls"]),
        listed=float(len(rows)),
        real=float(len(proven)),
        asked=float(rows["frames"].sum()),
        proven=float(proven["frames"].sum()),
    )
    return WEBSOCKET_FLOOD.seen(
        view,
        facts,
        (DATA,),
        count=fast,
        floor=FLOOR,
        size=int(row["kinds"]["bytes"][DATA]),
        ports=[(int(row["ws_port"]), int(row["ws_port_vote"]))],
        sources=CLASS_TCP,
        top=source_counts(proven, "frames", "frames"),
    )


DETECTOR = Detector((WEBSOCKET_FLOOD,), detect)
