"""HTTP/2 in clear text: streams that are opened and reset at once, by whichever side; headers that never end.

Rapid reset (CVE-2023-44487): each stream costs the client two small frames and the server a request. Clients
that change their mind reset a stream now and then; here it is the rule. CONTINUATION flood (CVE-2024-24549
and others): a header goes on in frame after frame and is never finished; browsers hardly ever need one such
frame. Inside TLS a reset is told from its length: it is as long as a WINDOW_UPDATE, which downloads send as
well, but not beside as many records that ask for something. CONTINUATION cannot be told there.

MadeYouReset (CVE-2025-8671): the client makes the *server* reset each stream, by a frame that breaks the
rules behind a whole request (a window that does not grow, DATA behind the end), and so opens as many as it
likes. No client sends such frames, and a server that blames them says so by the code of its RST_STREAM: it is
another one where it refuses streams or has no use for the rest. Inside TLS it is told from the server: it
sends record after record as long as a reset, one for every other record of its clients or more, and hardly
anything else. Windows it opens so only to who uploads, in records that are long; which code it gives, and
whether the client broke a rule, nobody sees, so such a finding says what it is like. A server that answers in
the same record in which it resets is not found.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..history.sealed import TLS
from ..history.sources import explaining, source_counts
from ..history.victims import View
from ..model.epoch import CLASS_SEALED, CLASS_TCP, DATA, EPOCHS_PER_SECOND
from ..model.event import Evidence
from ..model.finding import Bounds, Finding, Floor, Most, Sum
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
VIOLATIONS = Floor(12)
"""Frames in an epoch for which a server has to reset their stream, or resets that say so: 48 a second ..."""
BLAMED = Floor(50, "what the client did wrong was not seen")
"""... and 200 where only the server says so, for a client may be written badly ..."""
VIOLATED = 0.5
"""... if there are this many for each stream of the last second."""
SEALED = Floor(60, "told inside TLS by their length")
"""Records as long as a reset in an epoch, inside TLS: 240 a second ..."""
ASKING = 0.5
"""... if so many records that may ask for something come for each ..."""
TURNS = 0.5
"""... and fewer turns: nobody waits for the answers."""
LIKE = 0.8
"""Factor of the confidence where what the server resets for is not seen."""
UNSURE = 2.0
"""How many times more or fewer streams are reset inside TLS than records are so long: some open windows, and
a record may hold several frames."""
SEALED_NAMED = 48
"""Such records of one source, in the window of the heavy-hitter table, from which it is named."""
UPLOAD = 400.0
"""Bytes of a client's record from which it may send a body, for which a server opens windows ..."""
RESET_ALONE = 100.0
"""... and bytes of an answer from which it is one ..."""
BEGINNING = 1500.0
"""... beside so many of each connection, by which it begins: tickets, settings."""
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


FRAMES = TypeVar("FRAMES", bound=Frames)


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


class Provoked(Frames):
    """Frames that broke the protocol, and the resets by which the server blamed the client."""

    violations: Sum = 0.0
    blamed: Sum = 0.0


def _resets(facts: Frames) -> list[Evidence]:
    if not facts.sealed:
        return _frames(facts, "RST_STREAM frames")
    what = "records as long as RST_STREAM (and WINDOW_UPDATE; TLS hides which)"
    return _frames(facts, what)


def _continuations(facts: Frames) -> list[Evidence]:
    return _frames(facts, "CONTINUATION frames")


def _provoked(facts: Provoked) -> list[Evidence]:
    if facts.sealed:
        value = facts.broken / max(facts.streams, 1)
        says = (
            f"the server sent {facts.broken:,.0f} records as long as RST_STREAM (and WINDOW_UPDATE; TLS "
            f"hides which) and hardly anything else for {facts.streams:,.0f} records of its clients: so it "
            "does where they make it reset what they ask for"
        )
        return [Evidence(name="resets_per_record", value=round(value, 3), usual=0.05, says=says)]
    out = list[Evidence]()
    if facts.blamed > 0:
        says = f"{facts.blamed:,.0f} times the server reset a stream by a code that blames the client"
        out.append(Evidence(name="provoked_resets", value=facts.blamed, usual=0.0, says=says))
    if facts.violations > 0:
        says = f"{facts.violations:,.0f} frames of clients broke the rules of their stream"
        out.append(Evidence(name="violations", value=facts.violations, usual=0.0, says=says))
    return [*out, *_frames(facts, "such frames or resets")]


RAPID_RESET = Family(
    (Vector.HTTP2_RAPID_RESET,),
    Frames,
    _resets,
    block_or_cap,
    technique="T1499.002",
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
    technique="T1499.002",
    floors=(CONTINUATIONS,),
    title=lambda vector: "HTTP/2 CONTINUATION flood",
    rule=f"{{floor}} CONTINUATION frames in a quarter of a second, at least {PER_HEADER:g} per header",
    unit="record/s",
    persist=2,
    origin=by_handshakes,
    promised_s=3.0,
)

MADEYOURESET = Family(
    (Vector.MADEYOURESET,),
    Provoked,
    _provoked,
    block_or_cap,
    technique="T1499.002",
    floors=(VIOLATIONS, BLAMED, SEALED),
    clear=lambda facts: LIKE if facts.sealed else 1.0,
    title=lambda vector: "MadeYouReset",
    rule=(
        "{floor} frames in a quarter of a second that break their stream, or resets by the server that blame "
        "them, at least one for every two streams"
    ),
    unit="record/s",
    persist=2,
    origin=by_handshakes,
    promised_s=3.0,
)


def detect(view: View) -> Iterator[Finding[Any]]:
    """Judge the frames of the last epoch, if a victim got any."""
    row = view.row
    if row is None:
        return
    yield from _inside_tls(view, row)
    resets, continuations = int(row["h2_resets"]), int(row["h2_continuations"])
    violations, blamed = int(row["h2_violations"]), int(row["h2_provoked"])
    broken, floor = max(violations, blamed), VIOLATIONS if violations >= VIOLATIONS.count // 2 else BLAMED
    reset, continued = resets >= RESETS.count // 2, continuations >= CONTINUATIONS.count // 2
    provoked = broken >= floor.count // 2
    if not (reset or continued or provoked):
        return
    streams, all_resets, all_continuations, all_violations, all_blamed = (
        view.lately(name)
        for name in ("h2_streams", "h2_resets", "h2_continuations", "h2_violations", "h2_provoked")
    )
    if reset and all_resets >= RESET_SHARE * streams:
        yield _finding(view, row, RAPID_RESET, resets, RESETS, Frames())
    if continued and all_continuations >= PER_HEADER * streams:
        yield _finding(view, row, CONTINUATION_FLOOD, continuations, CONTINUATIONS, Frames())
    if provoked and max(all_violations, all_blamed) >= VIOLATED * streams:
        facts = Provoked(violations=float(violations), blamed=float(blamed))
        yield _finding(view, row, MADEYOURESET, broken, floor, facts)


def _finding(
    view: View, row: np.void, family: Family[FRAMES], count: int, floor: Floor, facts: FRAMES
) -> Finding[FRAMES]:
    heavy = view.heavy()
    mine = (heavy["victim"] == int(row["reference"])) & (heavy["strains"] >= NAMED)
    rows = explaining(heavy[mine], "strains", 2 * NAMED)
    proven, kind = rows[rows["proven"] > 0], row["kinds"][DATA]
    facts.streams, facts.broken = float(row["h2_streams"]), float(count)
    facts.listed, facts.real = float(len(rows)), float(len(proven))
    facts.asked, facts.proven = float(rows["strains"].sum()), float(proven["strains"].sum())
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


def _inside_tls(view: View, row: np.void) -> Iterator[Finding[Any]]:
    """Resets that TLS hides: records of their length, by whichever side, beside as many that open streams."""
    if _server_resets(view, row):
        yield from _by_server(view, row)
        return
    small = int(row["sealed"][TLS]["small"])
    if small < SEALED.count // 2:
        return
    resets, records, turns = (view.sealed(name, TLS) for name in ("small", "records", "turns"))
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
        estimated=Bounds(small / UNSURE, small * UNSURE),
    )


def _server_resets(view: View, row: np.void) -> bool:
    resets, records = view.sealed("small_out", TLS), view.sealed("records", TLS)
    return int(row["sealed"][TLS]["small_out"]) >= SEALED.count // 2 and resets >= VIOLATED * records


def _by_server(view: View, row: np.void) -> Iterator[Finding[Provoked]]:
    """The server resets, and hardly says anything else to those whose records go ahead of that."""
    counted, heavy = row["sealed"][TLS], view.heavy()
    asked = heavy[(heavy["victim"] == int(row["reference"])) & (heavy["records"] >= SEALED_NAMED)]
    lengths = (asked["sealed_bytes"] < UPLOAD * asked["records"]) & alone(asked)
    rows = explaining(asked[lengths], "records", 2 * SEALED_NAMED)
    if int(rows["records"].sum()) < VIOLATED * int(counted["records"]):
        return
    proven, count = rows[rows["proven"] > 0], int(counted["small_out"])
    facts = Provoked(
        streams=float(counted["records"]),
        broken=float(count),
        sealed=float(count),
        asked=float(rows["records"].sum()),
        proven=float(proven["records"].sum()),
    )
    yield MADEYOURESET.seen(
        view,
        facts,
        (DATA,),
        count=count,
        floor=SEALED,
        size=int(counted["bytes"]),
        ports=[(int(counted["port"]), count)],
        sources=CLASS_SEALED,
        top=source_counts(proven, "records", "records"),
        estimated=Bounds(count / UNSURE, count * UNSURE),
    )


def alone(rows: NDArray[np.void]) -> NDArray[np.bool_]:
    """Sources that the server tells hardly more than that it resets what they ask for."""
    most = RESET_ALONE * rows["exchanges"] + BEGINNING * np.maximum(rows["first"], 1)
    found: NDArray[np.bool_] = rows["answered"] < most
    return found


DETECTOR = Detector((RAPID_RESET, CONTINUATION_FLOOD, MADEYOURESET), detect)
