"""The floor under detection: what ``evaluate.py`` prints for its sets may not get worse than it asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("which", ["development", "held-out", "degraded", "benign"])
def test_the_evaluation_holds_its_floor(which: str, captures: Path) -> None:
    command = [sys.executable, str(Path(__file__).parent / "evaluate.py"), which]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{which} set: " in done.stdout
