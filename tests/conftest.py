"""Fixtures of all tests: what a test needs from outside, and what its absence means."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

settings.register_profile("busy", deadline=None)  # how long an example takes says more of the machine
settings.load_profile("busy")
sys.path.insert(0, str(Path(__file__).parent))
if TYPE_CHECKING:
    from lab import Lab

Need = Callable[[object, str], None]


def _need(condition: object, reason: str) -> None:
    """Skip the test unless the condition holds; fail it where FLOODWATCH_NO_SKIPS=1 promises everything."""
    if condition:
        return
    if os.environ.get("FLOODWATCH_NO_SKIPS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def need() -> Need:
    """``need(condition, reason)``: go on, skip, or fail in continuous integration."""
    return _need


@pytest.fixture
def wire(need: Need) -> Iterator[Lab]:
    """Two network namespaces with a veth pair between them; see lab.py."""
    need(os.geteuid() == 0, "network namespaces take root")
    from lab import lab  # what it imports, only its tests need

    with lab() as made:
        yield made


@pytest.fixture(scope="session")
def captures(need: Need) -> Path:
    """The directory of third-party captures, with its INDEX.tsv."""
    path = Path(os.environ.get("FLOODWATCH_CAPTURES") or os.devnull)
    need((path / "INDEX.tsv").is_file(), "FLOODWATCH_CAPTURES names no directory with an INDEX.tsv")
    return path
