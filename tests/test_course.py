"""Pulses are told from a steady flood in any phase to the epochs, and chance makes none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from floodwatch.decide.course import KEPT, Course
from floodwatch.model.epoch import EPOCH_NS

START = 6_950_000_000
SECOND = 1_000_000_000


def course(times: np.ndarray) -> Course:
    """What the engine would have counted of packets at these times (ns since the start)."""
    made = Course()
    now = START * EPOCH_NS + times.astype(np.int64)
    for epoch in np.unique(now // EPOCH_NS).tolist():
        steps = (now[now // EPOCH_NS == epoch] >> 24) & 15
        made.add(epoch, np.bincount(steps, minlength=16).astype(np.uint32))
    return made


def steady(rate: float, seconds: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.sort(random.random(random.poisson(rate * seconds)) * seconds * SECOND)


@settings(max_examples=60, deadline=None)
@given(
    rate=st.sampled_from([500, 3_000, 40_000]),
    period=st.sampled_from([0.3, 0.5, 1.1, 2.0]),
    duty=st.sampled_from([0.2, 0.4, 0.6]),
    phase=st.floats(0, 1),
    beside=st.sampled_from([0.0, 0.05]),
    seed=st.integers(0, 100),
)
def test_bursts_in_any_phase_are_pulses(
    rate: float, period: float, duty: float, phase: float, beside: float, seed: int
) -> None:
    times = steady(rate / duty, 5 * period + 1, seed)
    inside = (times / SECOND + phase * period) % period < duty * period
    people = steady(beside * rate, 5 * period + 1, seed + 1)
    assert course(np.sort(np.concatenate([times[inside], people]))).pulses()


@pytest.mark.parametrize("rate", [8, 60, 500, 5_000])
def test_a_steady_flood_comes_in_no_pulses(rate: float) -> None:
    assert not any(course(steady(rate, 12, seed)).pulses() for seed in range(20))


def test_two_bursts_are_no_pattern_and_nothing_is_none() -> None:
    times = steady(3_000, 3, 1)
    assert not course(times[(times < 0.4 * SECOND) | (times > 2.5 * SECOND)]).pulses()
    assert not Course().pulses()


def test_a_clock_that_is_set_makes_no_array_of_the_time_between() -> None:
    made = course(steady(3_000, 1, 1))
    made.add(START + 10**8, np.ones(16, np.uint32))
    assert not made.pulses()
    for epoch in range(3 * KEPT):
        made.add(START + epoch, np.ones(16, np.uint32))
    assert len(made._epochs) == KEPT
