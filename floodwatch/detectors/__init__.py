"""Findings from epoch summaries. Each vector family is one module; ``DETECTORS`` is the whole list."""

from __future__ import annotations

from collections.abc import Iterator

from ..config.limits import HABITS, Limits
from ..history.memory import Memory, Networks
from ..history.victims import Tracker, View
from ..model.epoch import EPOCHS_PER_SECOND
from ..model.finding import Finding
from ..model.summary import Summary
from ..model.vector import Vector
from .carpet import detect_carpet
from .connect import detect_connections, detect_tls
from .guessing import GuessingDetector
from .http import HttpDetector
from .http2 import detect_http2
from .names import detect_queries
from .reflection import detect_reflection
from .scripts import ScriptDetector
from .slow import SlowDetector
from .state import detect_state
from .syn import detect_syn
from .volume import detect_fragments, detect_icmp, detect_protocols, detect_quic, detect_udp

DETECTORS = (
    detect_syn,
    detect_state,
    detect_connections,
    detect_tls,
    detect_http2,
    detect_reflection,
    detect_udp,
    detect_quic,
    detect_queries,
    detect_icmp,
    detect_fragments,
    detect_protocols,
)
"""Detectors that need nothing but one victim's recent epochs."""
METRIC = {
    Vector.SYN_FLOOD: "syn",
    Vector.UDP_FLOOD: "udp",
    Vector.QUIC_FLOOD: "udp",
    Vector.DNS_QUERY_FLOOD: "udp",
    Vector.ICMP_FLOOD: "icmp",
    Vector.HTTP_FLOOD: "requests",
    Vector.CONNECTION_FLOOD: "finished",
    Vector.TLS_FLOOD: "finished",
    **{vector: "udp" for vector in Vector if vector.endswith("_amplification")},
}
"""The usual rate that a vector is measured against; others, such as ACKs out of any connection, have none."""


class Detection:
    """All detectors over one capture, with what they remember of each victim.

    Args:
        memory: what was learnt before.
        limits: what the user asks of floors and false alarms.
    """

    def __init__(self, memory: Memory, limits: Limits) -> None:
        self._limits = limits
        self.tracker = Tracker(memory)
        self._http = HttpDetector(memory.networks)
        self._scripts = ScriptDetector()
        self._guessing = GuessingDetector()
        self._slow = SlowDetector()

    def learnt(self) -> Memory:
        """What is known now: clients' networks, and what is usual for each host."""
        return Memory(self._http.known.learnt(), *self.tracker.baseline.learnt())

    def known_networks(self) -> Networks:
        """Networks of clients who were served before anything that is going on began."""
        return self._http.known_networks()

    def update(self, summary: Summary) -> Iterator[Finding]:
        """Yield the findings of one epoch that the limits let through; epochs come in order."""
        for finding, usual_limit in self._each(summary):
            if finding.verdict != "crowd" and finding.vector not in HABITS:
                finding.limit = max(usual_limit, self._limits.floors.get(finding.vector, 0.0))
                rate = EPOCHS_PER_SECOND * finding.count
                if rate < finding.limit / 2:
                    continue
                finding.over = finding.over and rate >= finding.limit
            yield finding

    def _each(self, summary: Summary) -> Iterator[tuple[Finding, float]]:
        """What detectors say, with the limit that the victim's usual traffic gives (0: none)."""
        for view in self.tracker.views(summary):
            for finding in self._of_victim(view, summary):
                metric = METRIC.get(finding.vector)
                yield finding, view.limit(metric, self._limits) if metric else 0.0
        for finding in self._whole(summary):
            yield finding, 0.0
        self._http.close_epoch(summary)
        self.tracker.close_epoch(summary)

    def _of_victim(self, view: View, summary: Summary) -> Iterator[Finding]:
        for detector in DETECTORS:
            yield from detector(view)
        yield from self._http.detect(view, summary)

    def _whole(self, summary: Summary) -> Iterator[Finding]:
        """Findings of detectors that look at more than one victim's recent epochs."""
        yield from detect_carpet(summary)
        scripts = list(self._scripts.detect(summary))
        yield from scripts
        yield from self._guessing.detect(summary, {finding.victim for finding in scripts})
        yield from self._slow.detect(summary)
