"""Floods and crowds of requests that cannot be read: HTTPS and HTTP/3, told from the outside.

People read: their requests and the answers to them are hardly ever as long as the last ones, and they pause.
Machines repeat: the same few lengths over and over. Hosts that repeat fast stand out alone. Hosts that repeat
slowly look like programs that poll, which were there before and do not grow; so they are a flood where turns
surge over the usual and a few shapes hold most of what is asked. A surge of many shapes at a reader's pace,
with newcomers who shake hands, is a crowd of people; of a surge that is neither, nothing tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from ..history import sealed
from ..history.baseline import Baseline
from ..history.clients import Visitors
from ..history.memory import nothing
from ..history.sealed import QUIC, TLS, common_shapes, relentless, stuck
from ..history.sources import source_counts
from ..history.victims import View
from ..history.windows import Windows, requests_in, with_earlier
from ..model.epoch import CLASS_SEALED, DATA, EPOCHS_PER_SECOND, UDP
from ..model.event import Action, Evidence, Origin
from ..model.finding import Finding, Floor, Mean, SourceCount, Sum
from ..model.vector import Vector
from .crowd import PERSIST, RATIO
from .family import Detector, Family, Named, Scene, by_handshakes, by_whom, unknown
from .http import block_or_cap, proof
from .shares import share

FLOOR = Floor(15)
"""Turns of machines in an epoch: 60 a second ..."""
ALONE = Floor(25, "all from one source, which may be a health check or a script")
"""... and 100 where one single source sends them."""
GATHERED = 0.5
"""Share of the exchanges that a few shapes hold, from which slow hosts are machines together ..."""
SCATTERED = 0.3
"""... and below which they are as various as people's."""
RESETTING = 2.0
"""Records as long as a reset for each turn, beyond which a source resets streams: another vector."""
SURGE = Floor(10)
"""Turns in an epoch from which a surge is worth telling."""
ENDED = 0.3
"""Share of the turns whose answers were seen to their end, from which shapes tell something."""
PATIENT = 40
"""Epochs (10 s) that a surge lasts before it is told where machines may yet show."""
NEWCOMERS = 10.0
"""Handshakes begun in a second from which newcomers come ..."""
ARRIVING = 40
"""... and epochs (10 s) for which they are new."""
PACE = 4.0
"""Turns a second for each source that people keep up."""
REQUEST = 29.0
"""Bytes of the shortest request: a header of HTTP/2 with three bytes, and 17 of a TLS record."""


class Turns(Named):
    """Turns, those of machines among them, their bytes; exchanges that ended, and those of common shapes."""

    turns: Sum = 0.0
    machine: Sum = 0.0
    bytes: Sum = 0.0
    exchanges: Sum = 0.0
    common: Sum = 0.0
    answered: Sum = 0.0
    pace: Mean = 0.0


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
    return [
        _shapes(facts),
        Evidence(name="pace", value=round(facts.pace, 2), usual=None, says=says),
        Evidence(
            name="answer_bytes",
            value=round(each),
            usual=None,
            says=f"an answer is {each:,.0f} bytes long on average",
        ),
    ]


def _people(facts: Turns) -> bool:
    return facts.common <= SCATTERED * facts.exchanges and facts.pace <= PACE


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
        floors=(FLOOR, ALONE),
        rule="{floor} " + what + " in a quarter of a second, from sources that repeat the same exchanges",
        unit="req/s",
        protocol=protocol,
        persist=2,
        sent=lambda facts: facts.machine,
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
        persist=PERSIST,
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


class SealedDetector:
    """Judges the turns of each victim; remembers who took turns how fast, and what is usual."""

    def __init__(self) -> None:
        self._visitors = Visitors(nothing().networks, windows=Windows(sealed.asking, sealed.nobody_asks))
        self._usual = Baseline(nothing(), sealed.METRICS, sealed.counts)
        self._arrived: dict[int, int] = {}

    def detect(self, scene: Scene) -> Iterator[Finding[Any]]:
        """The findings of one epoch."""
        if scene.summary.gap:
            self._usual.bridge(scene.summary.epoch)
        for view in scene.views:
            if view.row is not None and _taken(view.recent()) >= FLOOR.count:
                yield from self._judge(view, view.row, scene)
        self._usual.update(scene.summary.victims, scene.summary.epoch)
        self._visitors.close_epoch(scene.summary)
        self._arrived = {at: e for at, e in self._arrived.items() if 0 <= scene.summary.epoch - e <= ARRIVING}

    def _judge(self, view: View, row: np.void, scene: Scene) -> Iterator[Finding[Any]]:
        seen = self._look(view, row)
        if view.unchanged("turns"):
            return
        flood = 0
        for over in OVER:
            finding = self._flood(view, row, scene, over, seen)
            if finding is not None:
                flood += finding.count
                yield finding
        visitors, reference = self._visitors, int(row["reference"])
        if flood or seen.surges:
            visitors.flooded(reference, view.epoch)
        if not visitors.flood_ended(reference, view.epoch):
            yield from _surge(view, row, seen, flood)

    def _look(self, view: View, row: np.void) -> Seen:
        """What its turns and handshakes are against what is usual; notes when newcomers came."""
        recent, reference = view.recent(), int(row["reference"])
        rate = _taken(recent) * EPOCHS_PER_SECOND / len(recent)
        begun = sum(int(held["sealed"]["hellos"].sum()) for held in recent)
        usual, shaken = (self._usual.usual(reference, name, view.epoch) for name in sealed.METRICS)
        if usual is None or shaken is None:
            return Seen(rate, None, surges=False, arriving=False)
        if begun >= max(NEWCOMERS, RATIO * shaken):
            self._arrived[reference] = view.epoch
        arriving = 0 <= view.epoch - self._arrived.get(reference, -1) <= ARRIVING
        return Seen(rate, usual, rate >= RATIO * usual, arriving)

    def _flood(self, view: View, row: np.void, scene: Scene, over: Over, seen: Seen) -> Finding[Turns] | None:
        windows = self._visitors.windows
        table = windows.now(scene.summary)
        mine = (table["victim"] == row["reference"]) & (
            (2 * table["quic_turns"] > table["turns"]) == bool(over)
        )
        rows = table[mine]
        if not len(rows):
            return None
        asked = rows["requests"].astype(np.int64)
        last = asked - requests_in(windows.newest, rows)
        second = (asked - requests_in(windows.before, rows)) * (EPOCHS_PER_SECOND / windows.epochs)
        habit = with_earlier(rows, windows.earlier)
        chosen = relentless(habit, second)
        shapes, exchanges = common_shapes(held["sealed"][over] for held in view.recent())
        common = sum(shapes.values())
        grew = seen.surges or (seen.usual is None and not view.track.early)
        if grew and common >= GATHERED * exchanges:
            chosen |= stuck(habit, shapes)
        chosen &= ~self._visitors.paces.kept(rows, second)
        chosen &= habit["small"] <= RESETTING * habit["turns"]
        count = int(last[chosen].sum())
        floor = ALONE if chosen.sum() == 1 else FLOOR
        if count < floor.count / 2:
            return None
        facts = _facts(view, row, over, float(count), **by_whom(habit[chosen], last[chosen]))
        proven = chosen & (rows["proven"] > 0)
        top = source_counts(rows[proven], "requests", "requests", last[proven])
        return _finding(FLOODS[over], view, row, facts, over, count, floor, seen, top=top)


class Seen(NamedTuple):
    """Turns a second, those that are usual (None: not known), whether that is a surge over them, and whether
    newcomers came lately.
    """

    rate: float
    usual: float | None
    surges: bool
    arriving: bool


def _taken(rows: list[np.void]) -> int:
    return sum(int(row["sealed"]["turns"].sum()) for row in rows)


def _facts(view: View, row: np.void, over: Over, machine: float, **whom: float) -> Turns:
    now, recent = row["sealed"][over], view.recent()
    shapes, exchanges = common_shapes(held["sealed"][over] for held in recent)
    return Turns(
        turns=float(now["turns"]),
        machine=machine,
        bytes=float(now["bytes"]),
        exchanges=float(exchanges),
        common=float(sum(shapes.values())),
        answered=float(sum(int(held["sealed"][over]["answered"]) for held in recent)),
        pace=_taken(recent) / max(view.senders(CLASS_SEALED), 1.0),
        **whom,
    )


def _surge(view: View, row: np.void, seen: Seen, flood: int) -> Iterator[Finding[Turns]]:
    """More turns than usual that no machine explains."""
    rate = seen.rate - EPOCHS_PER_SECOND * flood
    floor = EPOCHS_PER_SECOND * SURGE.count
    if seen.usual is None or rate < floor / 2 or rate < RATIO / 2 * seen.usual:
        return
    turns = row["sealed"]["turns"]
    over = OVER[int(turns[QUIC] > turns[TLS])]
    facts = _facts(view, row, over, 0.0)
    count = max(int(turns.sum()) - flood, 0)
    told = _people(facts) and facts.exchanges >= ENDED * _taken(view.recent())
    finding = _finding(CROWDS[over], view, row, facts, over, count, SURGE, seen)
    finding.over = seen.arriving and rate >= floor and rate >= RATIO * seen.usual
    finding.persist = PERSIST if told else PATIENT
    yield finding


def _finding(
    family: Family[Turns],
    view: View,
    row: np.void,
    facts: Turns,
    over: Over,
    count: int,
    floor: Floor,
    seen: Seen,
    top: list[SourceCount] | None = None,
) -> Finding[Turns]:
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
    )
    finding.baseline = seen.usual
    return finding


DETECTOR = Detector((HTTPS_FLOOD, HTTP3_FLOOD, HTTPS_CROWD, HTTP3_CROWD), watcher=SealedDetector)
