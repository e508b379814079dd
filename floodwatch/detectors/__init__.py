"""Findings from epoch summaries. Each vector family is one module; ``DETECTORS`` is the whole list."""

from __future__ import annotations

from collections.abc import Iterator

from ..findings import Finding, Summary
from .carpet import detect_carpet
from .connect import detect_connections, detect_tls
from .http import HttpDetector
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
    """All detectors over one capture, with what they remember of each victim."""

    def __init__(self) -> None:
        self.tracker = Tracker()
        self._http = HttpDetector()
        self._scripts = ScriptDetector()
        self._slow = SlowDetector()

    def update(self, summary: Summary) -> Iterator[Finding]:
        """Yield the findings of one epoch; epochs come in order."""
        for view in self.tracker.views(summary):
            for detector in DETECTORS:
                yield from detector(view)
            yield from self._http.detect(view, summary)
        yield from detect_carpet(summary)
        yield from self._scripts.detect(summary)
        yield from self._slow.detect(summary)
        self._http.close_epoch(summary)
        self.tracker.close_epoch(summary)
