"""Findings from epoch summaries. Each vector family is one module; ``DETECTORS`` is the whole list."""

from __future__ import annotations

from collections.abc import Iterator

from ..findings import Finding, Summary
from .http import HttpDetector
from .reflection import detect_reflection
from .syn import detect_syn
from .track import Tracker
from .volume import detect_icmp, detect_udp

DETECTORS = (detect_syn, detect_reflection, detect_udp, detect_icmp)
"""Detectors that need nothing but one victim's recent epochs."""


class Detection:
    """All detectors over one capture, with what they remember of each victim."""

    def __init__(self) -> None:
        self.tracker = Tracker()
        self._http = HttpDetector()

    def update(self, summary: Summary) -> Iterator[Finding]:
        """Yield the findings of one epoch; epochs come in order."""
        for view in self.tracker.views(summary):
            for detector in DETECTORS:
                yield from detector(view)
            yield from self._http.detect(view, summary)
        self._http.close_epoch(summary)
        self.tracker.close_epoch(summary)
