"""Crowds: a surge over the usual that no machine explains."""

from __future__ import annotations

import numpy as np
import pytest
from promises import Watch
from scenes import Host, address_of, host

from floodwatch.detectors.crowd import (
    CONNECTION_CROWD,
    FLOOR,
    HTTP_CROWD,
    PERSIST,
    RATIO,
    READERS,
)
from floodwatch.detectors.family import HOLD
from floodwatch.history.memory import METRICS, Memory
from floodwatch.model.epoch import DATA, EPOCHS_PER_SECOND, SYNACK
from floodwatch.model.vector import Vector

EACH = int(FLOOR) // EPOCHS_PER_SECOND
"""Requests in an epoch at the floor."""


def usual(rate: float, metric: str = "requests") -> Memory:
    rates = [0.0] * len(METRICS)
    rates[METRICS.index(metric)] = rate
    known = np.array([address_of("198.51.100.7")], np.uint64)
    return Memory(np.zeros(0, np.uint64), known, np.array([rates]))


def readers(requests: int, *, assets: float = 0.5, sources: int = 64) -> Host:
    made = host().requests(requests, sources=sources, held=requests // 4, assets=round(assets * requests))
    return made.kind(SYNACK, 20, strange=20, out=1)  # whatever: it is looked at


def connections(number: int) -> Host:
    """What is asked for cannot be seen, but it is used."""
    return (
        host()
        .syns(max(number, 20), sources=64, finished=number)
        .kind(DATA, 3 * number)
        .kind(SYNACK, 0, out=1)
    )


def surge(rate: float, make: object, number: int, epochs: int, metric: str = "requests") -> Watch:
    """The usual rate for an epoch, then so many of so many."""
    watch = Watch(usual(rate, metric))
    watch.last(make, 0, 1)
    watch.last(make, number, epochs)
    return watch


LATE = EPOCHS_PER_SECOND - 1
"""The rate is that of a second, so it takes as long until the surge fills it."""


@pytest.mark.parametrize(
    ("make", "metric", "vector"),
    [(readers, "requests", Vector.HTTP_FLOOD), (connections, "finished", Vector.CONNECTION_FLOOD)],
)
def test_a_surge_is_a_crowd_after_it_lasted(make: object, metric: str, vector: Vector) -> None:
    assert surge(1, make, EACH - 1, 12, metric).vectors == []
    assert surge(1, make, EACH, LATE + PERSIST - 1, metric).vectors == []
    watch = surge(1, make, EACH, LATE + PERSIST, metric)
    assert watch.vectors == [vector]
    assert (watch.case.verdict, watch.case.floor.count) == ("crowd", FLOOR / EPOCHS_PER_SECOND)
    assert "rule" not in watch.says()  # a crowd is told by its growth
    assert "surge" in watch.says()


@pytest.mark.parametrize(("more", "named"), [(0.97, True), (1.03, False)])
def test_a_surge_is_so_many_times_the_usual(more: float, named: bool) -> None:
    number = 100
    rate = more * EPOCHS_PER_SECOND * number / RATIO
    watch = Watch(usual(rate))
    watch.last(readers, int(rate / EPOCHS_PER_SECOND), 1)
    watch.last(readers, number, LATE + PERSIST)
    assert bool(watch.vectors) is named


def test_without_a_usual_rate_there_is_no_surge() -> None:
    watch = Watch()
    watch.last(readers, 20, 11)
    assert watch.vectors == []


def test_half_a_surge_keeps_it_and_less_ends_it() -> None:
    watch = surge(1, readers, 2 * EACH, LATE + PERSIST)
    name = watch.case.id
    watch.last(readers, EACH // 2, 2 * HOLD)
    assert not watch.ended()
    watch.last(readers, EACH // 2 - 1, HOLD)
    assert not watch.ended()
    watch.last(readers, EACH // 2 - 1, 1)
    assert watch.ended()
    watch.last(readers, 3 * EACH, LATE + 1)
    assert (watch.case.id, watch.case.pulses) == (name, 2)
    assert not watch.ended()


@pytest.mark.parametrize(("more", "lives"), [(1.05, True), (0.95, False)])
def test_half_of_so_many_times_the_usual_keeps_it(more: float, lives: bool) -> None:
    number = 400
    watch = Watch(usual(EPOCHS_PER_SECOND * number / RATIO))
    watch.last(readers, int(number / RATIO), 1)
    watch.last(readers, number + 40, LATE + PERSIST)
    case, left = watch.case, int(more * number / 2)
    watch.last(readers, left, LATE)
    usual_now = watch.decision().usual
    assert usual_now == pytest.approx(EPOCHS_PER_SECOND * number / RATIO, rel=0.05)
    watch.last(readers, left, HOLD + 2)
    assert case.ended(watch.epoch - 1) is not lives


def test_connections_count_only_where_requests_cannot_be_seen() -> None:
    for finished, vector in ((100, Vector.HTTP_FLOOD), (101, Vector.CONNECTION_FLOOD)):
        rates = usual(1)
        rates.usual[0, METRICS.index("finished")] = 1.0
        watch = Watch(rates)
        watch.last(lambda n, f=finished: readers(n).set(finished=f if n else 0), 0, 1)
        watch.last(lambda n, f=finished: readers(n).set(finished=f), 100, LATE + PERSIST)
        assert watch.vectors == [vector]


def test_the_evidence_is_what_was_counted() -> None:
    watch = Watch(usual(1))
    watch.last(lambda n: readers(n, assets=0.4, sources=16), 200, LATE + PERSIST + 3)
    says, event = watch.says(), watch.event()
    assert says["asset_share"].startswith("40.0 % of the requests fetch page assets")
    pace = float(says["pace"].partition("about ")[2].split()[0])
    paces = [min(n, EPOCHS_PER_SECOND) * 200 / 16 for n in range(2, 2 + watch.case.epochs)]
    assert pace == pytest.approx(sum(paces) / len(paces), rel=0.05)
    assert event.packets == 200 * watch.case.epochs


def test_the_evidence_of_connections_is_what_was_counted() -> None:
    def make(number: int) -> Host:
        return connections(number).set(syn_flows=number + number // 4)

    watch = surge(1, make, 100, LATE + PERSIST, "finished")
    assert watch.says()["handshake_completion"].startswith("about 80.0 % as many handshakes")
    assert watch.event().rate.unit == CONNECTION_CROWD.unit == "conn/s"


def test_known_networks_are_told() -> None:
    known = np.array([(4 << 56) | (0xCB007100 >> 8)], np.uint64)
    memory = usual(1)
    watch = Watch(Memory(known, memory.hosts, memory.usual))
    watch.last(readers, 0, 1)
    made = readers(100).source("203.0.113.5", requests=6, bits=6).source("192.0.2.5", requests=4, bits=4)
    watch.last(lambda _: made, 0, LATE + PERSIST)
    assert watch.says()["known_networks"].startswith("60.0 % of the busiest sources' requests")


@pytest.mark.parametrize(("assets", "verdict"), [(READERS, "crowd"), (READERS - 0.01, "unclear")])
def test_whoever_fetches_no_parts_of_pages_may_be_people_or_machines(assets: float, verdict: str) -> None:
    event = surge(1, lambda n: readers(n, assets=assets), 100, 12).event()
    assert event.verdict == verdict
    assert event.action.recommended == ("scale_out" if verdict == "crowd" else "observe")
    assert ("What would tell: " in event.action.why) is (verdict == "unclear")


def test_what_cannot_be_read_is_never_called_people() -> None:
    event = surge(1, connections, 100, LATE + PERSIST, "finished").event()
    assert event.verdict == "unclear"
    assert "their requests could not be read" in event.action.why
    assert "people" not in " ".join(fact.says for fact in event.evidence)


@pytest.mark.parametrize(("make", "metric", "origin", "action"), [
    (readers, "requests", "unknown", "scale_out"),
    (connections, "finished", "real", "observe"),
])  # fmt: skip
def test_nobody_is_blocked_and_nothing_is_listed(make: object, metric: str, origin: str, action: str) -> None:
    def made(number: int) -> Host:
        return make(number).source("203.0.113.9", packets=90, proven=9, requests=3, bits=3)

    watch = surge(1, made, 100, LATE + PERSIST, metric)
    decision = watch.decision()
    assert (decision.origin, decision.action, decision.protection) == (origin, action, None)
    assert (decision.sources, decision.proof, watch.event().sources.top) == ((), None, ())
    assert decision.port == (80 if make is readers else None)


def test_what_machines_ask_is_taken_off() -> None:
    """A flood over readers: the flood is the excess, and the readers are no crowd."""
    watch = Watch(usual(4 * EACH))
    watch.last(readers, EACH, 1)
    for epoch in range(1, 12):
        made = readers(EACH + 400)
        for number in range(4):
            made.source(f"203.0.113.{number}", requests=100 * epoch, bits=1, repeats=100 * epoch, proven=1)
        watch.see(made)
    assert watch.vectors == [Vector.HTTP_FLOOD]
    assert watch.case.verdict == "attack"
    assert watch.case.count == 400 * 11


def test_a_crowd_beside_machines_is_what_they_leave() -> None:
    """Of 440 requests in an epoch machines ask 400; the rest is just a surge, or just none."""
    for rest, crowds in ((EACH, 1), (EACH - 1, 0)):
        watch = Watch(usual(1))
        watch.last(readers, 0, 1)
        for epoch in range(1, LATE + PERSIST + 4):
            made = readers(rest + 400)
            for number in range(4):
                made.source(f"203.0.113.{number}", requests=100 * epoch, bits=1, repeats=100 * epoch)
            watch.see(made)
        assert [case.verdict for case in watch.opened].count("crowd") == crowds


def test_crowds_are_told_by_the_vector_that_they_could_be_taken_for() -> None:
    assert HTTP_CROWD.vectors == (Vector.HTTP_FLOOD,)
    assert CONNECTION_CROWD.vectors == (Vector.CONNECTION_FLOOD,)
