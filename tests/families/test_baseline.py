"""What is usual for a host: learnt within seconds, outweighed by what comes later, dragged by no flood."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from floodwatch._engine import VICTIM_DTYPE
from floodwatch.history.baseline import Baseline
from floodwatch.history.memory import METRICS, Memory
from floodwatch.model.epoch import EPOCHS_PER_SECOND

HOST = 7


def known(rate: float) -> Memory:
    """A memory in which the host has a usual rate of requests; with 0 there is none."""
    hosts = np.array([[0, HOST]] if rate else [], np.uint64).reshape(-1, 2)
    usual = np.zeros((len(hosts), len(METRICS)))
    usual[:, METRICS.index("requests")] = rate
    return Memory(np.zeros(0, np.uint64), hosts, usual)


def after(*phases: tuple[float, float], memory: Memory | None = None, seed: int = 1) -> float | None:
    """The usual rate of requests after phases of (seconds, rate a second), drawn by chance; 0 is silence."""
    rng, baseline, epoch = np.random.default_rng(seed), Baseline(memory or known(0.0)), 1000
    for seconds, rate in phases:
        for _ in range(round(seconds * EPOCHS_PER_SECOND)):
            rows = np.zeros(1 if rate else 0, VICTIM_DTYPE)
            rows["reference"], rows["hi"], rows["lo"] = HOST, 0, HOST
            rows["requests"] = rng.poisson(rate / EPOCHS_PER_SECOND, len(rows))
            baseline.update(rows, epoch)
            epoch += 1
    return baseline.usual(HOST, "requests", epoch)


@pytest.mark.parametrize("seed", range(5))
def test_a_steady_rate_is_learnt(seed: int) -> None:
    assert after((60, 90.0), seed=seed) == pytest.approx(90, rel=0.1)
    assert after((10, 90.0), seed=seed) == pytest.approx(90, rel=0.2)


@pytest.mark.parametrize(("quiet", "most"), [(10, 145.0), (30, 115.0), (57, 105.0)])
def test_what_an_analysis_began_with_is_soon_outweighed(quiet: float, most: float) -> None:
    usual = after((3, 300.0), (quiet, 90.0))
    assert usual is not None
    assert 80 <= usual <= most


def test_a_flood_in_the_first_minute_drags_nothing() -> None:
    usual = after((10, 90.0), (10, 5000.0))
    assert usual is not None
    assert 80 <= usual <= 150


def test_silence_counts() -> None:
    usual = after((3, 300.0), (17, 0.0), (10, 90.0))
    assert usual is not None
    assert usual <= (3 * 300 + 10 * 90) / 30 * 1.1


def test_what_was_saved_is_no_first_minute() -> None:
    memory = known(100.0)
    usual: Sequence[float | None] = [after((1, 4.0), memory=memory), after((20, 4.0), memory=memory)]
    assert usual[0] == pytest.approx(100, rel=0.05)
    assert usual[1] is not None
    assert usual[1] > 65
