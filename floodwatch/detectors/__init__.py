"""Findings from epoch summaries. Each vector family is one module; ``DETECTORS`` is the whole list."""

from __future__ import annotations

from collections.abc import Iterator

from ..findings import Finding, Summary
from ..memory import Memory
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
from .track import Tracker
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


class Detection:
    """All detectors over one capture, with what they remember of each victim.

    Args:
        memory: what was learnt before.
    """

    def __init__(self, memory: Memory) -> None:
        self.tracker = Tracker(memory)
        self._http = HttpDetector(memory.networks)
        self._scripts = ScriptDetector()
        self._guessing = GuessingDetector()
        self._slow = SlowDetector()

    def learnt(self) -> Memory:
        """What is known now: clients' networks, and what is usual for each host."""
        return Memory(self._http.known.learnt(), *self.tracker.baseline.learnt())

    def update(self, summary: Summary) -> Iterator[Finding]:
        """Yield the findings of one epoch; epochs come in order."""
        for view in self.tracker.views(summary):
            for detector in DETECTORS:
                yield from detector(view)
            yield from self._http.detect(view, summary)
        yield from detect_carpet(summary)
        scripts = list(self._scripts.detect(summary))
        yield from scripts
        yield from self._guessing.detect(summary, {finding.victim for finding in scripts})
        yield from self._slow.detect(summary)
        self._http.close_epoch(summary)
        self.tracker.close_epoch(summary)
