"""Machines that report, stream, poll and are served: none of what they do is a flood, at any pace."""

from __future__ import annotations

from pathlib import Path

import pytest

from floodwatch import synth
from floodwatch.config.options import ScanOptions
from floodwatch.pipeline.scan import scan

PACES = {
    "collector": [(1400.0, 60), (3000.0, 7), (9000.0, 400)],
    "collector_own_port": [(1400.0, 60), (20_000.0, 24)],
    "flow_exports": [(2500.0, 3), (6000.0, 200)],
    "recorded_calls": [(1500.0, 30), (8000.0, 160)],
    "relayed_calls": [(1320.0, 12), (6000.0, 200)],
    "polls": [(1500.0, 100), (9000.0, 400)],
    "half_a_resolver": [(2500.0, 80), (6000.0, 5)],
    "api_frontend": [(400.0, 1), (2000.0, 6)],
    "own_crawler": [(400.0, 1), (900.0, 2)],
    "ping_as_fast_as_it_is": [(4000.0, 1), (20_000.0, 1)],
    "scan_of_all_ports": [(60_000.0, 1)],
    "scan_beside_a_client": [(500.0, 1), (2000.0, 1)],
}
CASES = [(name, pace, sources) for name, paces in PACES.items() for pace, sources in paces]


@pytest.mark.parametrize(("name", "pace", "sources"), CASES)
def test_what_services_do_is_no_flood(name: str, pace: float, sources: int, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    synth.make(name, path, synth.Params(seed=11, pps=pace, sources=sources, duration=2.5))
    report = scan([str(path)], ScanOptions())
    assert report.floods == ()
    assert report.crowds == ()
