"""HTTP floods: machines among the clients, one by one or all at one path."""

from __future__ import annotations

import math

import numpy as np
import pytest
from promises import Watch, keeps_event, keeps_floor
from scenes import Host, address_of, host, summary

from floodwatch.detectors.crowd import RATIO
from floodwatch.detectors.family import PROVEN_SHARE
from floodwatch.detectors.http import ALONE, FEW_ASSETS, FLOOR, HTTP_FLOOD, LOUD, ONE_PATH, UNFINISHED
from floodwatch.detectors.slow import MISSING
from floodwatch.history.clients import TRIED
from floodwatch.history.memory import METRICS, Memory
from floodwatch.history.sources import (
    ASSETS,
    BARE,
    DEVOTED,
    FAST,
    HABIT,
    LONG,
    SAME,
    SLACK,
    STEADY,
    VARIETY,
    VERY_FAST,
)
from floodwatch.history.windows import Windows
from floodwatch.model.epoch import EPOCHS_PER_SECOND
from floodwatch.model.vector import TCP_NUMBER, Vector

PERSIST = HTTP_FLOOD.persist


class Bots:
    """Sources whose requests grow from epoch to epoch, as their rows in the heavy-hitter table do."""

    def __init__(self, bots: int = 2, *, proven: int | None = None, out: int = 1, **habits: int) -> None:
        self.asked, self.habits, self.out = [0] * bots, habits, out
        self.proven = bots if proven is None else proven

    def __call__(self, requests: int) -> Host:
        made = host().requests(requests, sources=len(self.asked), path="/login", held=requests // 2)
        made.kind(1, 0, out=self.out)
        for bot in range(len(self.asked)):
            self.asked[bot] += requests // len(self.asked) + (bot < requests % len(self.asked))
            asked = self.asked[bot]
            habits = {"bits": 1, "repeats": max(asked - 1, 0), "proven": int(bot < self.proven)} | self.habits
            made.source(f"203.0.113.{bot + 1}", requests=asked, packets=3 * asked, missed=2, **habits)
        return made


def test_requests_of_machines_are_a_flood() -> None:
    keeps_floor(Bots(), Vector.HTTP_FLOOD, FLOOR, PERSIST)
    keeps_event(Bots(), FLOOR, PERSIST)


def test_one_single_source_might_be_a_script() -> None:
    keeps_floor(Bots(1), Vector.HTTP_FLOOD, ALONE, PERSIST)
    keeps_event(Bots(1), ALONE, PERSIST, half=-(-int(ALONE.count) // 2))


def hammered(requests: int, *, held: float = 1.0, assets: float = 0.0, sources: int = 16) -> Host:
    """Nobody stands out in the table."""
    made = host().requests(requests, sources=sources, path="/search", held=round(held * requests))
    return made.set(assets=round(assets * requests)).kind(1, 0, out=1)


def vectors(made: Host, epochs: int = PERSIST) -> list[Vector]:
    watch = Watch()
    watch.last(lambda _: made, 0, epochs)
    return watch.vectors


def test_one_path_without_its_parts_is_a_flood_though_nobody_stands_out() -> None:
    watch = keeps_floor(hammered, Vector.HTTP_FLOOD, FLOOR, PERSIST, lulls=False)
    assert watch.event().victim.path == "/search"


@pytest.mark.parametrize(
    ("held", "assets", "named"),
    [(ONE_PATH, FEW_ASSETS, True), (ONE_PATH - 0.01, 0, False), (1, FEW_ASSETS + 0.01, False)],
)
def test_people_read_many_pages_with_their_parts(held: float, assets: float, named: bool) -> None:
    assert bool(vectors(hammered(200, held=held, assets=assets), 6)) is named


def test_a_path_at_reading_pace_is_no_flood() -> None:
    sources = int(EPOCHS_PER_SECOND * 60 / LOUD)
    assert vectors(hammered(60, sources=sources - 2), 6) == [Vector.HTTP_FLOOD]
    assert vectors(hammered(60, sources=sources + 2), 6) == []


def usual(rate: float) -> Memory:
    rates = [0.0] * len(METRICS)
    rates[METRICS.index("requests")] = rate
    known = np.array([address_of("198.51.100.7")], np.uint64)
    return Memory(np.zeros(0, np.uint64), known, np.array([rates]))


@pytest.mark.parametrize(("more", "named"), [(0.95, True), (1.05, False)])
def test_a_path_that_is_always_asked_for_so_often_is_no_flood(more: float, named: bool) -> None:
    rate = more * 400 * EPOCHS_PER_SECOND / RATIO
    watch = Watch(usual(rate))
    watch.last(lambda n: hammered(n, held=0.1, assets=0.5), int(rate / EPOCHS_PER_SECOND), 1)
    watch.last(hammered, 400, PERSIST)
    assert (Vector.HTTP_FLOOD in watch.vectors) is named


def test_where_one_path_is_flooded_slow_bots_are_known_by_asking_for_nothing_else() -> None:
    def made(asked: int, bits: int = 1, assets: int = 0) -> list[str]:
        watch, epochs = Watch(), 12
        for epoch in range(1, epochs + 1):
            each, now = hammered(100).bucket("paths", 0, hash=0), asked * epoch // epochs
            for number in range(3):
                each.source(f"203.0.113.{number + 1}", requests=now, proven=1, bits=bits, assets=assets)
            watch.see(each)
        return [str(source.network.network_address) for source in watch.decision().sources]

    assert made(DEVOTED) == ["203.0.113.1", "203.0.113.2", "203.0.113.3"]
    assert made(DEVOTED - 1) == made(DEVOTED, bits=2) == made(DEVOTED, assets=1) == []


def behaves(asked: int, *, bits: int, assets: int, repeats: int = 0, pace: int = 0) -> bool:
    """Are forty sources machines that asked so often in this window, ``pace`` of it lately?"""
    before = asked - (pace or asked)
    watch = Watch()
    for epoch in range(EPOCHS_PER_SECOND + 1):
        now = before + (asked - before) * epoch // EPOCHS_PER_SECOND
        each = host().requests(200, sources=64, held=20, assets=80)
        for number in range(40):
            each.source(f"203.{number}.113.1", requests=now, bits=bits, assets=assets, repeats=repeats)
        found = watch.see(each)
    flood = [finding for finding in found if finding.verdict == "attack"]
    return bool(flood and flood[0].facts.asked)


def steady() -> Windows:
    """Tables over time, more than a second after a window began."""
    windows = Windows()
    for epoch in range(2 * EPOCHS_PER_SECOND):
        windows.close_epoch(summary(epoch, []))
    return windows


def lately(rate: float) -> int:
    """Requests of the last second that are a rate of this, or just above."""
    return math.ceil(rate * steady().epochs / EPOCHS_PER_SECOND)


def test_a_rate_is_taken_over_as_many_epochs_as_lie_between_the_tables() -> None:
    assert steady().epochs == EPOCHS_PER_SECOND
    young = Windows()
    young.close_epoch(summary(0, []))
    assert young.epochs == 1


def bits_of(share: float, asked: int) -> int:
    """The most bits of which linear counting makes at most this share of the requests."""
    return max(b for b in range(64) if 64 * np.log(64 / (64 - b)) <= share * asked)


def test_a_machines_pace_with_little_variety_and_few_parts() -> None:
    asked, pace = 100, lately(FAST)
    few = bits_of(VARIETY, asked)
    assert behaves(asked, bits=few, assets=int(ASSETS * asked), pace=pace)
    assert not behaves(asked, bits=few, assets=int(ASSETS * asked), pace=pace - 1)
    assert not behaves(asked, bits=few + 1, assets=int(ASSETS * asked), pace=pace)
    assert not behaves(asked, bits=few, assets=int(ASSETS * asked) + 1, pace=pace)


def test_a_pace_beyond_people_is_a_machine_whatever_it_asks_for() -> None:
    asked, pace = 100, lately(VERY_FAST)
    parts = int(BARE * asked)
    assert behaves(asked, bits=60, assets=parts, pace=pace)
    assert not behaves(asked, bits=60, assets=parts + 1, pace=pace)
    assert behaves(LONG - 1, bits=30, assets=0, pace=0) is (lately(VERY_FAST) <= LONG - 1)


def test_a_steady_pace_is_a_machine_after_a_while() -> None:
    pace = lately(STEADY)
    assert behaves(LONG, bits=30, assets=0, pace=pace)
    assert not behaves(LONG - 1, bits=30, assets=0, pace=pace)
    assert not behaves(LONG, bits=30, assets=0, pace=pace - 1)
    assert not behaves(LONG, bits=30, assets=int(BARE * LONG) + 1, pace=pace)


def test_the_same_path_again_and_again_is_a_machine_at_any_pace() -> None:
    asked = 21
    again = int(SAME * (asked - 1))
    assert behaves(asked, bits=20, assets=0, repeats=again, pace=4)
    assert not behaves(asked, bits=20, assets=0, repeats=again - 1, pace=4)
    assert not behaves(asked, bits=20, assets=1, repeats=again, pace=4)
    assert behaves(HABIT, bits=1, assets=0, repeats=HABIT - 1)
    assert not behaves(HABIT - 1, bits=1, assets=0, repeats=HABIT - 2)


@pytest.mark.parametrize(
    ("unfinished", "owed", "named"),
    [(UNFINISHED, 0, False), (UNFINISHED - 0.01, 0, True), (0, MISSING, False), (0, MISSING - 0.01, True)],
)
def test_requests_that_never_end_ask_for_nothing(unfinished: float, owed: float, named: bool) -> None:
    made = hammered(200).set(unfinished=int(unfinished * 200))
    if owed:
        made.set(owing=150, owed=int(owed * 1000), loose=1000)
    assert (Vector.HTTP_FLOOD in vectors(made)) is named


def test_the_evidence_is_what_was_counted() -> None:
    watch = Watch()
    bots = Bots(4, proven=3)
    for requests in (400, 800):
        made = bots(requests)
        watch.see(made.requests(2 * requests, sources=64, path="/login", held=requests, assets=requests))
    says, event = watch.says(), watch.event()
    assert says["machine_share"].startswith(f"{100 * 1200 / 2400:.1f} %")
    assert says["asset_share"].startswith(f"{100 * 1200 / 2400:.1f} %")
    assert says["proven_share"].startswith(f"{100 * 3 / 4:.1f} % of what such sources sent")
    assert "known_networks" not in says
    assert (event.packets, event.rate.unit) == (1200, "req/s")


def test_known_networks_are_told() -> None:
    of_bot = np.array([(4 << 56) | (0xCB007100 >> 8)], np.uint64)
    nobody = Memory(of_bot, np.zeros((0, 2), np.uint64), np.zeros((0, len(METRICS))))
    watch = Watch(nobody)
    watch.last(Bots(2), 400, PERSIST)
    assert watch.says()["known_networks"].startswith("100.0 % of the busiest sources' requests")
    elsewhere = Memory(of_bot + np.uint64(1), nobody.hosts, nobody.usual)
    watch = Watch(elsewhere)
    watch.last(Bots(2), 400, PERSIST)
    assert watch.says()["known_networks"].startswith("0.0 %")


@pytest.mark.parametrize(("proven", "origin"), [(5, "real"), (4, "unknown")])
def test_sources_are_blocked_only_where_most_are_proven(proven: int, origin: str) -> None:
    assert PROVEN_SHARE == 5 / 10
    watch = Watch()
    watch.last(Bots(10, proven=proven), 1000, PERSIST)
    decision = watch.decision()
    assert decision.origin == origin
    assert (decision.protocol, decision.port) == (TCP_NUMBER, 80)
    if origin == "real":
        assert (decision.action, decision.protection) == ("drop_sources", None)
        assert {str(s.network) for s in decision.sources} == {f"203.0.113.{n}/32" for n in range(1, 6)}
        assert decision.proof is not None
        assert {(s.lo, s.hi) for s in decision.sources} == {(200, 202)}
    else:
        assert (decision.action, decision.protection) == ("cap_unknown", "capped")
        assert (decision.sources, decision.proof) == ((), None)


def test_bounds_of_a_source_add_up_over_windows() -> None:
    watch = Watch()
    first, second = Bots(2), Bots(2)
    watch.last(first, 1000, 3)
    watch.see(first(1000), window_ends=True)
    watch.last(second, 1000, 3)
    assert watch.case.count == 7000
    assert {(s.lo, s.hi) for s in watch.decision().sources} == {(3500, 3504)}


@pytest.mark.parametrize(("times", "in_it"), [(1.0, False), (SLACK - 0.5, False), (1.5 * SLACK, True)])
def test_whoever_keeps_to_a_pace_of_before_is_no_part_of_a_flood(times: float, in_it: bool) -> None:
    """A monitor asks all day; when a flood comes, the monitor is not in it."""
    watch, bots, asked, pace = Watch(), Bots(3), 0, 8
    for _ in range(TRIED + 2 * EPOCHS_PER_SECOND):
        asked += pace
        watch.see(
            host().requests(30, sources=9).source("203.0.113.99", requests=asked, repeats=asked, proven=1)
        )
    assert watch.vectors == []
    for _ in range(6):
        asked += int(times * pace)
        watch.see(bots(600).source("203.0.113.99", requests=asked, repeats=asked, proven=1))
    named = {str(source.network.network_address) for source in watch.decision().sources}
    assert ("203.0.113.99" in named) is in_it
    assert len(named) == 3 + in_it
