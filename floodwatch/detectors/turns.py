"""Requests that cannot be read: what is told of them, and the families of floods and crowds of them.

See ``sealed`` for how they are told apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from ..history.sealed import QUIC, TLS, bounds, common_shapes
from ..history.victims import View
from ..model.epoch import CLASS_SEALED, DATA, EPOCHS_PER_SECOND, UDP
from ..model.event import Action, Evidence, Origin
from ..model.finding import Bounds, Finding, Floor, Mean, SourceCount, Sum
from ..model.vector import Vector
from .crowd import RATIO
from .family import Family, Named, by_handshakes, unknown
from .http import block_or_cap, proof
from .shares import share

FLOOR = Floor(15)
"""Turns of machines in an epoch: 60 a second ..."""
ALONE = Floor(25, "all from one source, which may be a health check or a script")
"""... and 100 where one single source sends them."""
SCATTERED = 0.3
"""Share of the exchanges that a few shapes hold, up to which they are as various as people's."""
SURGE = Floor(10)
"""Turns in an epoch from which a surge is worth telling."""
ENDED = 0.3
"""Share of the turns whose answers were seen to their end, from which shapes tell something."""
SETTLED = 12
"""Epochs (3 s) that a surge lasts before it is a crowd: newcomers ask, and then they rest or do not."""
PATIENT = 40
"""Epochs (10 s) that a surge lasts before it is told where machines may yet show."""
RESTING = 0.45
"""Share of the sources that rest in a second, at least, where they are people, who read."""
PACE = 4.0
"""Turns a second for each source that people keep up."""


class Turns(Named):
    """Turns, and those of machines among them, with how many requests these are at most; exchanges that
    ended, and those of common shapes; sources that asked some time ago, and those of them that rest.
    """

    turns: Sum = 0.0
    machine: Sum = 0.0
    most: Sum = 0.0
    exchanges: Sum = 0.0
    common: Sum = 0.0
    answered: Sum = 0.0
    pace: Mean = 0.0
    earlier: Sum = 0.0
    rest: Sum = 0.0


def _shapes(facts: Turns) -> Evidence:
    says = "of the exchanges have one of the few commonest lengths of request and answer"
    return share("common_shapes", facts.common, facts.exchanges, 0.1, says, "at least")


def _evidence(facts: Turns) -> list[Evidence]:
    says = (
        "of the turns (encrypted data of a client after data of the server) come from sources that repeat "
        "the same exchange, as people do not"
    )
    return [
        share("machine_share", facts.machine, facts.turns, 0.0, says),
        _shapes(facts),
        *proof(facts, "of what such sources sent"),
    ]


def _crowd_evidence(facts: Turns) -> list[Evidence]:
    each = facts.answered / max(facts.exchanges, 1)
    says = f"a client that asks in a second does so about {facts.pace:.1f} times, on average of all seconds"
    rest = "of the clients that asked before do not ask in a second: they rest, as readers do"
    rests = [share("resting", facts.rest, facts.earlier, 0.6, rest)] if facts.earlier > 0 else []
    return [
        _shapes(facts),
        *rests,
        Evidence(name="pace", value=round(facts.pace, 2), usual=None, says=says),
        Evidence(
            name="answer_bytes",
            value=round(each),
            usual=None,
            says=f"an answer is {each:,.0f} bytes long on average",
        ),
    ]


def _people(facts: Turns) -> bool:
    ended = facts.exchanges >= ENDED * EPOCHS_PER_SECOND * facts.turns  # exchanges are of a second each
    various = facts.common <= SCATTERED * facts.exchanges
    return ended and various and facts.pace <= PACE and facts.rest >= RESTING * facts.earlier


def _crowd_advice(facts: Turns, origin: Origin, known_path: bool) -> tuple[Action, str]:
    if _people(facts):
        return "scale_out", (
            "these look like people: what they ask for is as various as pages are, at a reader's pace; "
            "blocking would hit users"
        )
    return "observe", (
        "people or machines, nothing that was captured tells: the requests are encrypted, and their lengths "
        "are neither those of readers nor those of programs that repeat. What would tell: the server's log, "
        "or a capture where TLS ends"
    )


def _flood(vector: Vector, protocol: str, what: str) -> Family[Turns]:
    return Family(
        (vector,),
        Turns,
        _evidence,
        block_or_cap,
        technique="T1499.002",
        floors=(FLOOR, ALONE),
        rule="{floor} " + what + " in a quarter of a second, from sources that repeat the same exchanges",
        unit="req/s",
        protocol=protocol,
        persist=2,
        sent=lambda facts: max(facts.machine, facts.most),
        origin=by_handshakes,
        title=lambda vector: "HTTPS flood" if vector is Vector.HTTPS_FLOOD else "HTTP/3 flood",
        promised_s=10.0,
    )


def _crowd(vector: Vector, protocol: str) -> Family[Turns]:
    return Family(
        (vector,),
        Turns,
        _crowd_evidence,
        _crowd_advice,
        floors=(SURGE,),
        severe=200.0,
        rule=f"a surge of {{floor}} or more in a quarter of a second, {RATIO:g} times the usual",
        unit="req/s",
        protocol=protocol,
        verdict="crowd",
        persist=SETTLED,
        origin=unknown,
        people=_people,
        title=lambda vector: "crowd of HTTPS clients",
    )


HTTPS_FLOOD = _flood(Vector.HTTPS_FLOOD, "tcp", "turns of TLS")
HTTP3_FLOOD = _flood(Vector.HTTP3_FLOOD, "udp", "turns of QUIC")
HTTPS_CROWD = _crowd(Vector.HTTPS_FLOOD, "tcp")
HTTP3_CROWD = _crowd(Vector.HTTP3_FLOOD, "udp")
Over: TypeAlias = Literal[0, 1]
OVER: tuple[Over, Over] = (0, 1)
"""``TLS`` and ``QUIC``."""
FLOODS: tuple[Family[Turns], Family[Turns]] = (HTTPS_FLOOD, HTTP3_FLOOD)
CROWDS: tuple[Family[Turns], Family[Turns]] = (HTTPS_CROWD, HTTP3_CROWD)


class Seen(NamedTuple):
    """Turns a second, turns and requests that are usual (None: not known), whether that is a surge, and
    whether newcomers came lately.
    """

    rate: float
    usual: float | None
    asked: float | None
    surges: bool
    arriving: bool


def facts_of(
    view: View, row: np.void, over: Over, exchanged: tuple[int, int], machine: float = 0.0, **whom: float
) -> Turns:
    """What is told of turns; ``exchanged``: exchanges of common shapes in the last second, and all."""
    common, exchanges = exchanged
    return Turns(
        turns=float(row["sealed"][over]["turns"]),
        machine=machine,
        exchanges=float(exchanges),
        common=float(common),
        answered=float(view.sealed("answered", over)),
        pace=view.sealed("turns") / max(view.senders(CLASS_SEALED), 1.0),
        **whom,
    )


def surge(
    view: View, row: np.void, seen: Seen, flood: int, rest: tuple[int, int]
) -> Iterator[Finding[Turns]]:
    """More turns than usual that no machine explains; ``rest``: see ``history.sealed.resting``."""
    rate = seen.rate - EPOCHS_PER_SECOND * flood
    floor = EPOCHS_PER_SECOND * SURGE.count
    if seen.usual is None or rate < floor / 2 or rate < RATIO / 2 * seen.usual:
        return
    turns = row["sealed"]["turns"]
    over = OVER[int(turns[QUIC] > turns[TLS])]
    shapes, exchanges = common_shapes(held["sealed"][over] for held in view.recent())
    facts = facts_of(view, row, over, (sum(shapes.values()), exchanges))
    facts.earlier, facts.rest = map(float, rest)
    count = max(int(turns.sum()) - flood, 0)
    asked = bounds(row["sealed"][over], count / max(int(turns[over]), 1))
    finding = found(CROWDS[over], view, row, facts, over, count, SURGE, seen, asked)
    finding.over = seen.arriving and rate >= floor and rate >= RATIO * seen.usual
    finding.persist = SETTLED if _people(facts) else PATIENT
    yield finding


def found(
    family: Family[Turns],
    view: View,
    row: np.void,
    facts: Turns,
    over: Over,
    count: int,
    floor: Floor,
    seen: Seen,
    asked: Bounds,
    top: list[SourceCount] | None = None,
) -> Finding[Turns]:
    """A finding about the turns of one protocol; see ``Family.seen``."""
    now, turns = row["sealed"][over], max(int(row["sealed"][over]["turns"]), 1)
    finding = family.seen(
        view,
        facts,
        (UDP if over else DATA,),
        count=count,
        floor=floor,
        size=int(now["bytes"]) * min(count, turns) // turns,
        ports=[(int(now["port"]), count)],
        sources=CLASS_SEALED,
        top=top,
        estimated=asked,
    )
    finding.baseline = seen.asked
    return finding
