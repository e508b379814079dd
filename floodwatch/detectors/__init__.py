"""Findings from epoch summaries. Each family of vectors is one module; ``DETECTORS`` is the whole list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..config.limits import Limits
from ..history.clients import Visitors
from ..history.greetings import Greetings
from ..history.loudest import Loudest
from ..history.memory import Memory, Networks
from ..history.proxies import Proxies
from ..history.served import Flood, Served
from ..history.victims import Tracker
from ..model.address import Network
from ..model.epoch import EPOCHS_PER_SECOND
from ..model.event import FLOODS, Unit, Verdict
from ..model.finding import PART, Finding
from ..model.summary import Summary
from ..model.vector import Vector
from . import (
    carpet,
    connect,
    dns,
    guessing,
    http,
    http2,
    icmp,
    inventing,
    loop,
    malformed,
    protocols,
    quic,
    reflection,
    scripts,
    sealed,
    slow,
    state,
    syn,
    tls,
    udp,
    websocket,
)
from .family import Detector, Family, Scene
from .spared import spare
from .standing import Standing

DETECTORS: tuple[Detector, ...] = (
    syn.DETECTOR,
    state.DETECTOR,
    connect.DETECTOR,
    tls.DETECTOR,
    http2.DETECTOR,
    websocket.DETECTOR,
    reflection.DETECTOR,
    udp.DETECTOR,
    loop.DETECTOR,
    quic.DETECTOR,
    dns.DETECTOR,
    icmp.DETECTOR,
    protocols.DETECTOR,
    malformed.DETECTOR,
    http.DETECTOR,
    inventing.DETECTOR,
    sealed.DETECTOR,
    carpet.DETECTOR,
    scripts.DETECTOR,
    guessing.DETECTOR,
    slow.DETECTOR,
)
"""What is looked for, in this order: ``guessing`` leaves out whom ``scripts`` names,
``inventing`` whom ``http`` names."""
_ALL = [family for detector in DETECTORS for family in detector.families]
FAMILIES: dict[Vector, Family[Any]] = {v: f for f in _ALL if f.verdict == "attack" for v in f.vectors}
CROWDS: dict[Vector, Family[Any]] = {v: f for f in _ALL if f.verdict == "crowd" for v in f.vectors}
SURGES: dict[Vector, Family[Any]] = {v: f for f in _ALL if f.verdict == "unclear" for v in f.vectors}
GREETED = {v for v, f in FAMILIES.items() if f.unit != "packet/s"} | {Vector.QUIC_FLOOD}
"""What is about requests or handshakes: inside TLS and QUIC it is told who begins them."""
UNITS: dict[Unit, str] = {
    "packet/s": "packets",
    "req/s": "requests",
    "conn/s": "new connections",
    "hello/s": "handshakes",
    "query/s": "queries",
    "record/s": "records",
    "frame/s": "frames",
}
"""What a surge is of."""


def family_of(vector: Vector, verdict: Verdict) -> Family[Any]:
    """The family that judges a vector; crowds and surges have the vector that they could be taken for.

    A surge is judged by a family of its own, or else by that of the crowd that it may be.
    """
    if verdict == "unclear":
        return SURGES.get(vector) or CROWDS[vector]
    return CROWDS[vector] if verdict == "crowd" else FAMILIES[vector]


def title(vector: Vector, verdict: Verdict = "attack") -> str:
    """The vector as people write it: ``SYN ACK flood``, ``NTP amplification (reflection)``.

    Reports may name a crowd by any vector: it is then a crowd, or a surge, of whatever it is counted in.
    """
    if verdict == "unclear":
        return f"surge of {UNITS[FAMILIES[vector].unit]}"
    family = CROWDS.get(vector) if verdict == "crowd" else FAMILIES[vector]
    return "crowd" if family is None else family.title(vector)


def least_floor(vector: Vector) -> float | None:
    """The rate a second below which a vector is never named; None: it is told by habits, at any rate."""
    return None if FAMILIES[vector].habitual else FAMILIES[vector].floor


class Detection:
    """All detectors over one capture, with what they remember of each victim.

    Args:
        memory: what was learnt before.
        limits: what the user asks of floors and false alarms.
        proxies: networks of proxies that the operator names.
    """

    def __init__(self, memory: Memory, limits: Limits, proxies: Sequence[Network] = ()) -> None:
        self._limits = limits
        tests = dict.fromkeys(test for detector in DETECTORS for test in detector.tests)
        self.tracker = Tracker(memory, limits, list(tests))
        self._served = Served(memory.networks)
        self.proxies = Proxies(proxies)
        self._visitors = Visitors(memory.networks, self.proxies)
        looks = [(_looking(detector), detector.of_victim is None) for detector in DETECTORS]
        self._detectors = [look for look, _ in looks]
        self._beside_victims = [look for look, beside in looks if beside]
        self._standing = Standing()
        self._loudest = Loudest()
        self.greetings = Greetings()

    def heed(self, limits: Limits) -> None:
        """Hold findings against these limits from now on; all that was learnt stays."""
        self._limits = limits
        self.tracker.heed(limits)

    def learnt(self) -> Memory:
        """What is known now: clients' networks, and what is usual for each host."""
        return Memory(self._visitors.networks.learnt(), *self.tracker.baseline.learnt())

    def known_networks(self) -> Networks:
        """Networks of clients who were served before anything that is going on began."""
        return self._visitors.known_networks()

    def served(self) -> Networks:
        """Networks of clients whom limits let pass: they count from their first handshake on."""
        return np.union1d(self._served.networks(), self.proxies.networks())

    def update(self, summary: Summary) -> Iterator[Finding[Any]]:
        """Yield the findings of one epoch that the limits let through; epochs come in order."""
        self._visitors.open_epoch(summary)
        self._standing.open_epoch(summary.epoch)
        found, by_rate = self._standing.found, self._standing.by_rate
        scene = Scene(summary, self.tracker.views(summary), self._visitors, found, by_rate)
        floods = list[Flood]()
        self.greetings.take(summary.greeted, summary.epoch)
        for look in self._detectors if scene.views else self._beside_victims:
            for finding in look(scene):
                if finding.verdict in FLOODS and not finding.part:
                    found[finding.vector, finding.victim] = summary.epoch
                    floods.append(_as_flood(finding))
                if self._let_through(finding, coarse=summary.coarse) and self._is_new(finding):
                    self._see(finding, summary)
                    spare(finding, self.proxies, summary.heavy)
                    if finding.vector in GREETED:
                        self.greetings.greet(finding)
                    yield finding
        self._loudest.close_epoch(summary, quiet=not scene.views)
        self._visitors.close_epoch(summary)
        self._served.close_epoch(summary, floods)
        self.tracker.close_epoch(summary)

    def _is_new(self, finding: Finding[Any]) -> bool:
        """Whatever is no flood of its own, or no part of what habits told."""
        return finding.verdict not in FLOODS or finding.part or self._standing.take(finding)

    def _see(self, finding: Finding[Any], summary: Summary) -> None:
        """Note who certainly sent much of it. What looks back over seconds is not counted by the epoch."""
        row = self.tracker.row(finding.victim, finding.epoch)
        if row is not None and finding.prefix is None and _by_epoch(finding):
            finding.seen = self._loudest.of(finding, row, FAMILIES[finding.vector].unit, summary)

    def _let_through(self, finding: Finding[Any], *, coarse: bool) -> bool:
        """Hold a finding against the user's limits; below half of them it does not even keep an event.

        Where an epoch holds the packets of a whole second (``coarse``), its floor is that much higher, too.
        Where the network of the victim is named as a whole, its share of that is no evidence of its own.
        """
        if not _by_epoch(finding):
            return True
        finding.limit = max(finding.limit, self._limits.floors.get(finding.vector, 0.0))
        least = finding.limit * finding.quarters / EPOCHS_PER_SECOND
        spread = (finding.vector, carpet.around(finding.victim)) in self._standing.found
        finding.weight = None if spread or finding.count < least else finding.weight
        if coarse:
            least = max(least, EPOCHS_PER_SECOND * finding.floor.count)
        finding.over = finding.over and finding.count >= least
        finding.alone = finding.alone and not coarse
        share = PART if finding.alone else 0.5
        return finding.count >= share * least or finding.weight is not None


def _as_flood(finding: Finding[Any]) -> Flood:
    """What clients are learnt by: floods that are counted in packets ask for nothing."""
    asks = FAMILIES[finding.vector].unit != "packet/s"
    sources = np.fromiter((source.source for source in finding.top), np.uint64, len(finding.top))
    return Flood(finding.victim, finding.prefix, asks, sources)


def _by_epoch(finding: Finding[Any]) -> bool:
    """A flood that is counted by the epoch, and not told by habits over seconds."""
    return finding.verdict in FLOODS and not FAMILIES[finding.vector].habitual


def _looking(detector: Detector) -> Callable[[Scene], Iterator[Finding[Any]]]:
    """The one way to look that a detector has."""
    if detector.watcher is not None:
        return detector.watcher().detect
    if detector.of_epoch is not None:
        return detector.of_epoch
    of_victim = detector.of_victim
    assert of_victim is not None
    return lambda scene: (finding for view in scene.views for finding in of_victim(view))
