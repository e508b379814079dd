"""Cases: bounded in memory and work, named once, and indifferent to a clock that jumps."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest

from floodwatch.decide.case import Case
from floodwatch.decide.cases import (
    CASES_MOST,
    CLOSED_MOST,
    CLOSED_SOURCES_MOST,
    DORMANT,
    FEW,
    LULL,
    Decider,
)
from floodwatch.decide.course import STEP_BITS
from floodwatch.decide.pace import STEPS_MOST
from floodwatch.detectors.family import HOLD
from floodwatch.detectors.http import FLOOR, Requests
from floodwatch.detectors.udp import BOTH_WAYS, Unanswered
from floodwatch.model.decision import SOURCES_MOST
from floodwatch.model.epoch import EPOCH_NS
from floodwatch.model.finding import Finding, SourceCount
from floodwatch.model.vector import Vector

START = 6_950_000_000
IPV4 = 0xFFFF << 32


def udp(victim: int, epoch: int, count: int = 1000, *, over: bool = True, persist: int = 1,
        ports: list[tuple[int, int]] | None = None) -> Finding[Unanswered]:  # fmt: skip
    """One victim's epoch of a UDP flood."""
    ns = epoch * EPOCH_NS
    return Finding(
        vector=Vector.UDP_FLOOD, verdict="attack", victim=(0, IPV4 | victim), protocol="udp", epoch=epoch,
        facts=Unanswered(packets=float(count)), floor=BOTH_WAYS, over=over, persist=persist, count=count,
        bytes=100 * count, first_ns=ns, last_ns=ns + EPOCH_NS - 1,
        ports=[(53, count)] if ports is None else ports,
    )  # fmt: skip


def requests(victim: int, epoch: int, first: int, sources: int, count: int = 1000) -> Finding[Requests]:
    """One victim's epoch of an HTTP flood by proven sources."""
    ns = epoch * EPOCH_NS
    return Finding(
        vector=Vector.HTTP_FLOOD, verdict="attack", victim=(0, IPV4 | victim), protocol="tcp", epoch=epoch,
        facts=Requests(requests=float(count)), floor=FLOOR, over=True, persist=1, count=count,
        bytes=100 * count, first_ns=ns, last_ns=ns + EPOCH_NS - 1,
        top=[SourceCount(first + n, False, 9, 10) for n in range(sources)],
    )  # fmt: skip


def feed(decider: Decider, epoch: int, *findings: Finding[Any], window_ends: bool = False) -> None:
    decider.update(findings, epoch, (epoch + 1) * EPOCH_NS, window_ends=window_ends)


def calls(work: Callable[[], None]) -> int:
    """Python and C calls that some work takes: the same on every machine."""
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    gc.collect()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def one() -> tuple[Decider, Case]:
    decider = Decider()
    feed(decider, START, udp(7, START))
    (case,) = decider.current
    return decider, case


def held(decider: Decider) -> dict[str, int]:
    """How much of everything is kept."""
    return {
        "pending": len(decider._pending),
        "open": len(decider._open),
        "closed": len(decider._closed),
        "addresses": len(decider._at),
        "current": len(decider.current),
        "cases of addresses": sum(map(len, decider._at.values())),
    }


def short_floods(number: int) -> None:
    """Many victims, one epoch each: memory is flat, an epoch costs what happened in it."""
    decider, each = Decider(), 100
    seen, cost = [], []
    fed = 0

    def epochs(first: int, last: int) -> None:
        nonlocal fed
        fed += each * (last - first)
        for epoch in range(first, last):
            found = [
                udp(epoch * each + n, START + epoch, 1000 + (epoch * 7919 + n) % 1000) for n in range(each)
            ]
            decider.update(found, START + epoch, (START + epoch + 1) * EPOCH_NS, window_ends=epoch % 32 == 31)
            decider.current = {case for case in decider.current if not case.ended(START + epoch)}

    whole = number // each
    early = 2 * (CASES_MOST + CLOSED_MOST) // each  # by then everything is full
    epochs(0, early)
    for first in range(early, whole - 64, max((whole - 64 - early) // 4, 64)):
        cost.append(calls(lambda first=first: epochs(first, first + 64)))
        seen.append(held(decider))
        epochs(first + 64, first + max((whole - 64 - early) // 4, 64))
    assert len(cost) >= 4
    assert max(cost) <= 1.1 * min(cost)
    most = CASES_MOST + CLOSED_MOST
    for kept in seen:
        assert kept["pending"] <= CASES_MOST
        assert kept["open"] <= CASES_MOST
        assert kept["closed"] <= CLOSED_MOST
        assert kept["cases of addresses"] <= most
        assert kept["addresses"] <= most
        assert kept["current"] <= (HOLD + 2) * each
    assert seen[0] == seen[-1]
    assert decider.forgotten == decider._closes - CLOSED_MOST
    assert decider.forgotten + len(decider.cases()) == fed >= number - 64 * each


@pytest.mark.slow
def test_fifty_thousand_short_floods_cost_flat_memory_and_constant_work() -> None:
    short_floods(50_000)


@pytest.mark.slow
def test_many_more_short_floods_cost_flat_memory_and_constant_work() -> None:
    """Two hundred thousand, or as many as FLOODWATCH_FLOODS says."""
    short_floods(int(os.environ.get("FLOODWATCH_FLOODS", "200000")))


def lines(work: Callable[[], None]) -> int:
    """Lines of Python that some work takes."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return note

    before = sys.gettrace()
    sys.settrace(note)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("persist", [1, 2])
def test_an_epoch_costs_what_happened_in_it_however_many_floods_are_open(persist: int) -> None:
    cost = []
    for number in (10, CASES_MOST):
        decider = Decider()
        feed(decider, START, *(udp(n, START, persist=persist) for n in range(number)))
        cost.append(lines(lambda d=decider: feed(d, START + 1, udp(3, START + 1))))
    assert cost[0] == cost[1]


def test_what_never_becomes_a_verdict_is_forgotten() -> None:
    decider = Decider()
    for epoch in range(300):
        feed(decider, START + epoch, *(udp(epoch * 50 + n, START + epoch, 999, persist=2) for n in range(50)))
        assert len(decider._pending) <= 50 * (LULL + 1)
    assert decider.cases() == []
    assert decider.forgotten == 0
    assert decider._at == {}


def test_pending_cases_are_bounded_within_an_epoch_too() -> None:
    decider = Decider()
    feed(decider, START, *(udp(n, START, 999, persist=2) for n in range(2 * CASES_MOST)))
    assert len(decider._pending) == CASES_MOST
    feed(decider, START + 1, *(udp(n, START + 1, 999, persist=2) for n in range(2 * CASES_MOST)))
    assert len(decider._open) == CASES_MOST  # the newest half had been kept


def test_the_largest_closed_cases_are_kept_and_the_others_counted() -> None:
    decider, number = Decider(), CLOSED_MOST + 200
    sizes = np.random.default_rng(5).permutation(number) + 1000
    for n, size in enumerate(sizes.tolist()):
        feed(decider, START + n, udp(n, START + n, size))
    feed(decider, START + number + DORMANT)
    assert decider.forgotten == 200
    kept = decider.cases()
    assert sorted(case.count for case in kept) == sorted(sizes.tolist())[200:]
    assert [case.first_ns for case in kept] == sorted(case.first_ns for case in kept)
    assert decider.current == set(kept)


def test_the_sources_of_closed_cases_are_bounded_all_together() -> None:
    decider, each = Decider(), SOURCES_MOST
    cases = CLOSED_SOURCES_MOST // each + 3
    for n in range(cases):
        feed(decider, START + n, requests(n, START + n, 0, each, 1000 + n), window_ends=True)
    feed(decider, START + cases + DORMANT)
    kept = decider.cases()
    assert sum(len(case.settled) for case in kept) == CLOSED_SOURCES_MOST
    assert (len(kept), decider.forgotten) == (cases - 3, 3)
    assert min(case.count for case in kept) == 1003


def test_the_sources_of_one_case_are_bounded() -> None:
    decider, each = Decider(), SOURCES_MOST // 4
    for n in range(6):
        feed(decider, START + n, requests(7, START + n, n * each, each), window_ends=True)
        feed(decider, START + n, requests(7, START + n, 0, 1), window_ends=True)
    (case,) = decider.cases()
    assert len(case.settled) == SOURCES_MOST
    assert case.settled[0, False, 0, 0].lo == 7 * 9  # who is listed goes on being counted


def test_too_many_at_once_close_the_longest_silent() -> None:
    decider = Decider()
    feed(decider, START, *(udp(n, START) for n in range(CASES_MOST)))
    feed(decider, START + 1, *(udp(n, START + 1) for n in range(1, CASES_MOST)))
    feed(decider, START + 2, udp(CASES_MOST, START + 2))
    assert [case.victim[1] & 0xFFFFFFFF for _, _, case in decider._closed] == [0]
    assert len(decider._open) == CASES_MOST


def test_a_timeline_and_ports_are_bounded_however_long_it_lasts() -> None:
    decider, case = one()
    for epoch in range(1, 5000):
        feed(decider, START + epoch, udp(7, START + epoch, ports=[(epoch % 60_000, 10)]))
    assert len(case.pace.steps.counted) <= STEPS_MOST
    assert len(case.ports) <= 512
    assert sum(case.pace.steps.counted.values()) == case.count == 5_000_000
    assert len(case.timeline(60)) == 60
    assert len(case.pace.recent) <= 4


def test_an_id_is_minted_once_and_stays_though_its_port_does_not() -> None:
    decider, case = one()
    name = case.id
    assert name.endswith("-udp_flood-0.0.0.7-53")
    for epoch in range(1, 100):
        feed(decider, START + epoch, udp(7, START + epoch, ports=[(epoch, 10)]))
        assert case.id == name
    assert case.port is None
    feed(decider, START + 100 + HOLD * 4, udp(7, START + 100 + HOLD * 4))
    assert (case.id, case.pulses) == (name, 2)
    assert decider.cases() == [case]


def test_a_return_within_ten_minutes_is_a_pulse_and_later_another_event() -> None:
    for pause, pulses in ((HOLD, [1]), (HOLD + 1, [2]), (DORMANT, [2]), (DORMANT + 1, [1, 1])):
        decider, _ = one()
        feed(decider, START + pause - 1)
        if pause > DORMANT:
            feed(decider, START + pause)
        back = START + pause + (pause > DORMANT)
        feed(decider, back, udp(7, back))
        assert [case.pulses for case in decider.cases()] == pulses


def test_after_ten_minutes_without_any_packet_it_is_another_event_too() -> None:
    decider, _ = one()
    later = START + 100 * DORMANT
    feed(decider, later, udp(7, later))
    assert len(decider.cases()) == 2


def test_below_the_floor_nothing_returns() -> None:
    decider, case = one()
    feed(decider, START + HOLD + 1, udp(7, START + HOLD + 1, over=False))
    assert (case.pulses, case.epochs, case.ended(START + HOLD + 1)) == (1, 1, True)


def test_floods_and_crowds_and_vectors_and_networks_are_apart() -> None:
    decider = Decider()
    carpet = udp(7, START)
    carpet.prefix = 24
    crowd = requests(7, START, 0, 0)
    crowd.verdict = "crowd"
    feed(decider, START, udp(7, START), udp(8, START), carpet, crowd, requests(7, START, 0, 0))
    cases = decider.cases()
    assert len({case.id for case in cases if case.verdict == "attack"}) == 4
    assert len(cases) == 5
    here = next(case for case in cases if case.victim[1] == IPV4 | 8)
    assert decider.overlapping(here) == []
    (first, *_) = [case for case in cases if case.victim[1] == IPV4 | 7]
    assert len(decider.overlapping(first)) == 3


def test_persistence_takes_epochs_in_a_row() -> None:
    decider = Decider()
    for epoch, over in enumerate([True, True, False, True, True, True]):
        feed(decider, START + epoch, udp(7, START + epoch, over=over, persist=3))
        assert bool(decider.current) is (epoch == 5)
    (case,) = decider.current
    assert (case.epochs, case.first_ns) == (6, START * EPOCH_NS)
    decider = Decider()
    for epoch in (
        0,
        1,
        2,
        4,
        5,
        6,
        8,
        9,
        10,
    ):  # an epoch without a finding begins anew, where many are asked for
        feed(decider, START + epoch, udp(7, START + epoch, persist=FEW + 1))
    assert not decider.current


@pytest.mark.parametrize("persist", [2, 3])
def test_edges_of_pulses_are_no_traffic_between_them(persist: int) -> None:
    """Each pulse of 1.6 floors lies across the edge of two epochs, its smaller part first or last."""
    for first, last in ((140, 260), (260, 140)):
        decider = Decider()
        for number in range(3):
            epoch = START + 5 * number
            feed(decider, epoch, udp(7, epoch, first, over=first >= 250, persist=persist))
            feed(decider, epoch + 1, udp(7, epoch + 1, last, over=last >= 250, persist=persist))
        (case,) = decider.current
        assert case.first_ns <= (START + 1) * EPOCH_NS


@pytest.mark.parametrize(("counts", "floods"), [
    ((300, 700), 1),
    ((240, 760), 1),  # four floors, on both sides of an edge
    ((240, 0, 760), 0),
    ((200, 200, 240, 700), 0),
])  # fmt: skip
def test_a_burst_of_many_floors_may_lie_across_an_edge(counts: tuple[int, ...], floods: int) -> None:
    decider = Decider()
    for epoch, count in enumerate(counts, START):
        if count:
            feed(decider, epoch, udp(7, epoch, count, over=count >= 250, persist=2))
    assert len(decider.current) == floods
    assert all(case.first_ns == START * EPOCH_NS for case in decider.current)


@pytest.mark.parametrize(("lull", "counts", "floods"), [
    (LULL, (300, 300), 1),
    (LULL + 1, (300, 300), 0),
    (LULL + 1, (1000, 300), 1),  # four floors at once are enough
    (1, (300, 199, 300), 0),  # what lies between is traffic, and no silence
    (1, (300, 200, 300), 1),  # but it is close to the edge
])  # fmt: skip
def test_pulses_shorter_than_an_epoch_add_up(lull: int, counts: tuple[int, ...], floods: int) -> None:
    decider = Decider()
    for number, count in enumerate(counts):
        epoch = START + number * lull
        feed(decider, epoch, udp(7, epoch, count, over=count >= 250, persist=2))
    assert len(decider.current) == floods


BACK = 24 * 3600 * 4
"""A clock that is set back by a day."""


def test_p42_a_clock_set_back_changes_no_id_and_loses_no_flood() -> None:
    decider, case = one()
    name = case.id
    for epoch in range(1, 10):
        feed(decider, START - BACK + epoch, udp(7, START - BACK + epoch), udp(8, START - BACK + epoch))
    assert case.id == name
    assert [c.count for c in decider.cases()] == [9000, 10_000]
    assert case.epoch == START - BACK + 9
    feed(decider, START - BACK + 10 + HOLD)
    assert case.ended(START - BACK + 10 + HOLD)


def test_a_clock_that_jumps_back_and_forth_keeps_memory_bounded() -> None:
    decider = Decider()
    for step in range(3000):
        epoch = START + (step * 7919) % 100_000
        feed(decider, epoch, *(udp(step * 10 + n, epoch) for n in range(10)))
    assert len(decider._open) <= CASES_MOST
    assert len(decider._closed) <= CLOSED_MOST
    assert len(decider._at) <= CASES_MOST + CLOSED_MOST


def test_a_clock_set_back_does_not_raise_the_peak() -> None:
    decider, case = one()
    for epoch in range(1, 8):
        feed(decider, START + epoch, udp(7, START + epoch))
    peak = case.peak
    for epoch in range(8):
        feed(decider, START - BACK + epoch, udp(7, START - BACK + epoch))
    assert case.peak == peak
    assert len(case.pace.recent) <= 4


def test_a_flood_that_stopped_before_the_clock_was_set_back_ends() -> None:
    decider, case = one()
    for epoch in range(DORMANT + 10):
        feed(decider, START - BACK + epoch)
    assert case.ended(START - BACK + DORMANT + 9)


def part(epoch: int, count: int, steps: tuple[int, int], persist: int = 1) -> Finding[Unanswered]:
    """What lies between two steps (of 16) of an epoch."""
    found, beats = udp(7, epoch, count, over=count >= 250, persist=persist), np.zeros(16, np.uint32)
    for step in range(*steps):
        beats[((epoch * EPOCH_NS >> STEP_BITS) + step) % 16] = 100
    found.beats, found.alone = beats, True
    return found


@pytest.mark.parametrize(("first", "second", "floods"), [
    ((150, (10, 15)), (150, (0, 5)), 1),
    ((70, (12, 15)), (200, (0, 8)), 1),  # less than half of the floor is a part all the same
    ((200, (7, 15)), (70, (0, 3)), 1),
    ((150, (0, 5)), (150, (10, 15)), 0),  # two bursts
    ((150, (0, 15)), (150, (0, 15)), 0),  # as much all the time
])  # fmt: skip
def test_a_burst_counts_as_one_whatever_edge_splits_it(first: Any, second: Any, floods: int) -> None:
    decider = Decider()
    feed(decider, START, part(START, *first))
    feed(decider, START + 1, part(START + 1, *second))
    assert len(decider.current) == floods
    for case in decider.current:
        assert (case.count, case.held, case.first_ns) == (first[0] + second[0], case.count, START * EPOCH_NS)


@pytest.mark.parametrize(("counts", "floods"), [
    ((150, 150, 150, 150), 1),  # two bursts of 300, each split in two
    ((400, 130, 400, 130), 1),
    ((150, 150, 0, 0), 0),
])  # fmt: skip
def test_split_bursts_add_up_and_count_once_each(counts: tuple[int, ...], floods: int) -> None:
    decider = Decider()
    for number, count in enumerate(counts):
        if count:
            steps = (10, 15) if number % 2 == 0 else (0, 5)
            feed(decider, START + number, part(START + number, count, steps, persist=2))
    assert len(decider.current) == floods
