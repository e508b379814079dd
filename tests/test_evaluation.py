"""The floor under detection: what ``evaluate.py`` prints for its sets may not get worse than it asks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.alone]
LONGEST_S = 1200.0  # below the time that any test has


def evaluated(which: str) -> subprocess.CompletedProcess[str]:
    """The table of a set, as it is printed. It takes all cores; none of its workers outlives it."""
    command = [sys.executable, str(Path(__file__).parent / "evaluate.py"), which]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            out, _ = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, out)


@pytest.mark.parametrize("which", ["development", "held-out", "degraded-third", "benign"])
def test_the_evaluation_holds_its_floor(which: str, captures: Path) -> None:
    done = evaluated(which)
    assert done.returncode == 0, done.stdout
    assert f"{which} set: " in done.stdout


def test_what_is_told_of_sealed_traffic_is_right_though_not_all_is_told() -> None:
    done = evaluated("sealed")
    short = [line.split("  asked")[0] for line in done.stdout.splitlines() if line.endswith("SHORT")]
    assert "floods found, vector and victim right" in done.stdout, done.stdout
    assert all("crowds found" in line for line in short), done.stdout
    assert int(done.stdout.split("crowds found")[1].split()[0]) >= 9, done.stdout
