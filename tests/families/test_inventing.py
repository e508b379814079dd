"""Floods of invented requests: one source that never asks the same thing twice, at any rate."""

from __future__ import annotations

from pathlib import Path

import pytest
from promises import Watch
from scenes import Host, host

from floodwatch import synth
from floodwatch.config.options import ScanOptions
from floodwatch.detectors.http import DISGUISED, INVENTED, STEADY
from floodwatch.detectors.inventing import WITHIN
from floodwatch.model.epoch import DATA, EPOCHS_PER_SECOND
from floodwatch.model.vector import Vector
from floodwatch.pipeline.scan import scan

ALL = (1 << 64) - 1
LONG = 2 * EPOCHS_PER_SECOND


def bits(distinct: int) -> int:
    """So many bits that linear counting estimates about that many."""
    return ALL if distinct >= 250 else (1 << round(64 * (1 - 2.718281828 ** (-distinct / 64)))) - 1


def asks(requests: int, *, names: int = 0, assets: int = 0, agents: int = 0, queries: int = 0,
         stacks: int = 1) -> Host:  # fmt: skip
    """What one source asked in this window: with so many names of parameters, queries, changes of agents."""
    made = host().kind(DATA, 20, out=1).set(requests=2, responses=2, http_port=80)
    return made.source(
        "203.0.113.1", requests=requests, packets=4 * requests, named=requests if names else 0, proven=1,
        names=bits(names), queries=bits(queries), agents=agents, repeats=requests - 1, stacks=stacks,
        assets=assets,
    )  # fmt: skip


def found(*made: Host) -> list[Vector]:
    """What is named after a window that grew to this."""
    watch = Watch()
    for each in made:
        watch.last(lambda _, each=each: each, 1, LONG)
    return watch.vectors


def test_names_of_parameters_that_are_ever_new_name_a_source_at_any_rate() -> None:
    least = STEADY
    assert found(asks(least - 8, names=least - 8)) == []
    assert found(asks(least + 8, names=least + 8)) == [Vector.HTTP_FLOOD]


def test_a_program_knows_few_names_however_much_it_asks() -> None:
    assert found(asks(2000, names=60)) == []


def test_names_count_sooner_under_changing_agents_of_one_stack() -> None:
    names = int(INVENTED.count) + 4
    assert found(asks(names, names=names, agents=names - 1)) == [Vector.HTTP_FLOOD]
    assert found(asks(names, names=names, agents=names - 1, stacks=0b101)) == []  # several machines


def test_different_queries_under_changing_agents_name_a_source() -> None:
    many = DISGUISED + 60
    assert found(asks(many, queries=many, agents=many - 1)) == [Vector.HTTP_FLOOD]
    assert found(asks(many, queries=many)) == []  # a program of one name: it may search
    assert found(asks(many, queries=many, agents=many - 1, stacks=0b11)) == []  # an office
    assert found(asks(many, queries=30, agents=many - 1)) == []


def test_who_fetches_parts_of_pages_is_no_tool() -> None:
    assert found(asks(100, names=100, assets=10)) == []


def test_weak_evidence_is_gathered_over_windows_and_forgotten_in_the_end() -> None:
    watch = Watch()
    for window in range(3):
        names = bits(20) << 19 * window & ALL
        made = asks(20)
        made.heavy[0]["names"], made.heavy[0]["named"] = names, 20
        watch.see(made, window_ends=True)
        watch.quiet(3)
    assert watch.vectors == [Vector.HTTP_FLOOD]
    (case,) = watch.opened
    assert case.count == 60
    assert case.floor == INVENTED
    slow = Watch()
    for window in range(3):
        made = asks(20)
        made.heavy[0]["names"], made.heavy[0]["named"] = bits(20) << 19 * window & ALL, 20
        slow.see(made, window_ends=True)
        slow.quiet(WITHIN + 1)
    assert slow.vectors == []


def test_it_goes_on_while_the_source_asks() -> None:
    watch = Watch()
    for n in range(60, 200, 10):
        watch.last(lambda _, n=n: asks(n, names=n), 1, EPOCHS_PER_SECOND)
    case = watch.case
    assert case.count == 190
    assert watch.says()["rule"].startswith("rule that fired: 16 or more names")
    assert watch.decision().action == "drop_sources"
    before = case.last_ns
    watch.last(lambda _: asks(190, names=190), 1, 3 * EPOCHS_PER_SECOND)  # its row stands as it was
    assert case.last_ns == before


@pytest.mark.parametrize(("sources", "rate"), [(10, 100), (20, 120), (30, 90)])
def test_a_rate_that_is_near_its_floor_keeps_no_habits_from_being_told(
    tmp_path: Path, sources: int, rate: int
) -> None:
    params = synth.Params(seed=3, pps=rate, sources=sources)
    truth = synth.make("invented_queries", tmp_path / "bots.pcap", params).floods[0]
    assert truth.requests is not None
    floods = list(scan([str(tmp_path / "bots.pcap")], ScanOptions(top=0)).floods)
    (flood,) = [flood for flood in floods if flood.vector == "http_flood"]
    assert flood.packets == pytest.approx(truth.requests, rel=0.1)
    assert {source.cidr for source in flood.sources.top} == set(truth.sources or ())
