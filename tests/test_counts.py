"""The counts of an event are the event's, and their bounds hold what is counted exactly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from counts import Count, counted
from keys import seeds


@pytest.fixture(scope="module")
def launch_day() -> list[Count]:
    return counted("launch_day", seeds(4))


@pytest.mark.parametrize("vector", ["ntp_amplification", "ssdp_amplification"])
def test_reflectors_of_one_protocol_are_not_those_of_the_whole_victim(
    vector: str, launch_day: list[Count]
) -> None:
    """Two reflections of several hundred senders each: half as many again would be those of both."""
    mine = [count for count in launch_day if count.vector == vector]
    assert len(mine) == 4
    assert all(abs(count.est - count.exact) < 0.15 * count.exact for count in mine), mine


def test_one_source_beside_people_is_one() -> None:
    for count in counted("syn_flood_one_source", seeds(4)):
        assert (count.exact, count.lo, count.est) == (1, 1, 1)


FEW = ("launch_day", "syn_flood_one_source", "udp_flood", "http_flood", "login_bruteforce", "carpet_syn")
"""Scenarios of which each counts its sources in another way; the command takes all of them."""


@pytest.mark.slow
def test_bounds_hold_in_nineteen_of_twenty_cases() -> None:
    command = [sys.executable, str(Path(__file__).parent / "counts.py"), "--keys", "20", "--jobs", "2", *FEW]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
