"""Requests inside TLS are told from outside, in bounds that hold what the server's log counts each second."""

from __future__ import annotations

import shutil
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from subprocess import DEVNULL
from typing import TYPE_CHECKING

import pytest
from conftest import Need

import floodwatch as fw

if TYPE_CHECKING:
    from lab import Lab

SECONDS = 6
WIDEST = 4.0
"""Bounds are no wider than this factor ..."""
ROUNDED = 1.01
HELD = 0.95
"""... and hold the truth in this share of the seconds."""
EPOCHS = 4

CALM = ("http1", "4", "1", "2")
"""Somebody asks now and then, before it begins."""
KINDS = {
    "http1": (8, 30, "TLSv1.3"),
    "http1-posts": (8, 20, "TLSv1.3"),
    "http1-anew": (8, 10, "TLSv1.3"),
    "http2": (8, 30, "TLSv1.3"),
    "http2-posts": (8, 20, "TLSv1.3"),
    "http2-packed": (4, 300, "TLSv1.3"),
    "http2-varies": (4, 200, "TLSv1.3"),
    "http2 of TLS 1.2": (8, 30, "TLSv1.2"),
    "http2-packed of TLS 1.2": (4, 300, "TLSv1.2"),
}
"""What the clients do -> how many they are, how often a second each asks, and the protocol."""


def seconds_of(event: fw.Event) -> Iterator[tuple[int, float, float]]:
    """Whole seconds that an event was counted: which, and its requests at least and at most."""
    spans = [(epoch_of(one.first), epoch_of(one.until)) for one in event.counted.stretches]
    begin, end = spans[0][0], spans[-1][1]
    assert len(event.timeline) == len(event.timeline_lo) == len(event.timeline_hi) == end - begin
    for second in range(-(-begin // EPOCHS), end // EPOCHS):
        steps = slice(second * EPOCHS - begin, (second + 1) * EPOCHS - begin)
        if any(first <= second * EPOCHS and (second + 1) * EPOCHS <= until for first, until in spans):
            yield second, sum(event.timeline_lo[steps]) / EPOCHS, sum(event.timeline_hi[steps]) / EPOCHS


def epoch_of(moment: str) -> int:
    """The number of an epoch since 1970."""
    return round(datetime.fromisoformat(moment).timestamp() * EPOCHS)


def compare(capture: Path, log: Path) -> None:
    """Hold the flood of a capture against the log of its server."""
    report = fw.scan(capture)
    (event,) = [flood for flood in report.floods if flood.vector is fw.Vector.HTTPS_FLOOD]
    times = sorted(map(float, log.read_text().split()))
    told = Counter(map(int, times))
    # what is asked in the last second is answered later, and in the first one what connections ask is learnt
    bounded = list(seconds_of(event))[1:-1]
    assert len(bounded) >= 2
    held = [low <= told[second] <= high for second, low, high in bounded]
    assert sum(held) >= HELD * len(held), [(low, told[second], high) for second, low, high in bounded]
    assert all(high <= ROUNDED * WIDEST * low for _, low, high in bounded)
    rate = event.rate
    assert rate.estimated
    assert rate.lo is not None
    assert rate.hi is not None
    assert rate.lo <= rate.peak <= rate.hi <= ROUNDED * WIDEST * rate.lo
    assert max(told[second] for second, _, _ in bounded) <= rate.hi
    assert rate.lo <= max(bisect_left(times, begin + 1) - at for at, begin in enumerate(times))


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_bounds_hold_what_the_access_log_counts(kind: str, wire: Lab, need: Need, tmp_path: Path) -> None:
    for tool in ("nginx", "openssl"):
        need(shutil.which(tool) or Path(f"/usr/sbin/{tool}").exists(), f"{tool} is not installed")
    import encrypted

    clients, rate, protocol = KINDS[kind]
    capture = tmp_path / "tls.pcap"
    with encrypted.nginx(wire, tmp_path, protocol) as log, encrypted.recording(wire, capture):
        for who in (CALM, (kind.split()[0], str(SECONDS), str(clients), str(rate))):
            assert wire.start(wire.client, sys.executable, encrypted.__file__, *who).wait(60) == 0
    compare(capture, log)


@pytest.mark.root
@pytest.mark.slow
def test_bounds_hold_what_a_benchmark_tool_asks(wire: Lab, need: Need, tmp_path: Path) -> None:
    need(shutil.which("ab"), "ab is not installed")
    need(shutil.which("nginx") or Path("/usr/sbin/nginx").exists(), "nginx is not installed")
    import encrypted

    capture = tmp_path / "ab.pcap"
    with encrypted.nginx(wire, tmp_path) as log, encrypted.recording(wire, capture):
        argv = (
            "ab",
            "-k",
            "-q",
            "-c",
            "4",
            "-t",
            str(SECONDS),
            "-n",
            "9999999",
            f"https://{encrypted.SERVER}/api",
        )
        assert wire.start(wire.client, sys.executable, encrypted.__file__, *CALM).wait(60) == 0
        assert wire.start(wire.client, *argv, stdout=DEVNULL, stderr=DEVNULL).wait(60) == 0
    compare(capture, log)
