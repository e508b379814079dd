"""DNS query floods: names of their own under one zone, or a server that drowns."""

from __future__ import annotations

import numpy as np
import pytest
from promises import Watch, keeps_event, keeps_floor
from scenes import Host, address_of, host

from floodwatch.detectors.dns import (
    ANSWERED,
    DNS_QUERY_FLOOD,
    FEW,
    FLOOR,
    FLOOR_FEW,
    GROWN,
    ONE_ZONE,
    OWN_NAMES,
    PORT,
)
from floodwatch.history.memory import METRICS, Memory
from floodwatch.model.epoch import CLASS_UDP, EPOCHS_PER_SECOND
from floodwatch.model.vector import Vector

ZONE = b"\x07example\x03com\x00"


def queries(
    number: int, *, sources: int = 64, answers: int = 0, names: int = 1, zone: int = 0, **more: int
) -> Host:
    made = host().udp(number, sources=sources, port=PORT, out=answers)
    made.row["zone_text"][: len(ZONE)] = np.frombuffer(ZONE, np.uint8)
    made.set(dns_queries=number, dns_answers=answers, zone_vote=zone, zone_length=len(ZONE) if zone else 0)
    return made.sketch("dns_names", names).set(**more)


def drowned(number: int) -> Host:
    return queries(number, answers=1)


def random_labels(number: int) -> Host:
    """All are answered, each for a name of its own."""
    return queries(number, answers=number, names=number, zone=number, dns_failures=number)


@pytest.mark.parametrize("make", [drowned, random_labels])
def test_the_floor(make: object) -> None:
    keeps_floor(make, Vector.DNS_QUERY_FLOOD, FLOOR, DNS_QUERY_FLOOD.persist, lulls=make is drowned)


def test_hysteresis() -> None:
    keeps_event(drowned, FLOOR, DNS_QUERY_FLOOD.persist)


@pytest.mark.parametrize(
    "askers",
    [
        1,
        FEW,
    ],
)
def test_a_busy_resolver_is_no_flood(askers: int) -> None:
    keeps_floor(lambda n: queries(n, sources=askers, answers=1), Vector.DNS_QUERY_FLOOD, FLOOR_FEW,
                DNS_QUERY_FLOOD.persist)  # fmt: skip


def test_three_askers_are_not_few() -> None:
    keeps_floor(lambda n: queries(n, sources=FEW + 1, answers=1), Vector.DNS_QUERY_FLOOD, FLOOR,
                DNS_QUERY_FLOOD.persist)  # fmt: skip


@pytest.mark.parametrize(("answers", "named"), [(ANSWERED, False), (ANSWERED - 0.001, True)])
def test_a_server_that_answers_does_not_drown(answers: float, named: bool) -> None:
    watch = Watch()
    watch.last(lambda n: queries(n, answers=int(answers * n)), 2000, 4)
    assert bool(watch.vectors) is named


def test_one_way_a_popular_name_looks_the_same() -> None:
    watch = Watch()
    watch.last(queries, 5000, 8)
    assert watch.vectors == []


@pytest.mark.parametrize(
    ("names", "zone", "named"),
    [(OWN_NAMES, ONE_ZONE, True), (OWN_NAMES - 0.06, ONE_ZONE, False), (OWN_NAMES, ONE_ZONE - 0.001, False)],
)
def test_random_labels_are_many_names_under_one_zone(names: float, zone: float, named: bool) -> None:
    number = 1000
    watch = Watch()
    watch.last(lambda n: queries(n, answers=n, names=int(names * n), zone=int(zone * n)), number, 4)
    assert bool(watch.vectors) is named


def test_random_labels_are_told_one_way_too() -> None:
    watch = Watch()
    watch.last(lambda n: queries(n, names=n, zone=n), 500, DNS_QUERY_FLOOD.persist)
    assert watch.vectors == [Vector.DNS_QUERY_FLOOD]
    assert watch.case.one_way


@pytest.mark.parametrize(("more", "named"), [(1.05, False), (0.95, True)])
def test_many_names_are_usual_for_a_large_resolver(more: float, named: bool) -> None:
    number = 1000
    usual = [0.0] * len(METRICS)
    usual[METRICS.index("udp")] = more * number * EPOCHS_PER_SECOND / GROWN
    known = np.array([address_of("198.51.100.7")], np.uint64)
    watch = Watch(Memory(np.zeros(0, np.uint64), known, np.array([usual])))
    watch.last(lambda n: queries(n, answers=n), int(more * number / GROWN), 1)
    watch.last(random_labels, number, 3)
    assert bool(watch.vectors) is named


def test_the_evidence_is_what_was_counted() -> None:
    watch = Watch()
    for _ in range(2):
        watch.see(queries(1000, answers=500, names=800, zone=900, dns_failures=400))
    says = watch.says()
    names = float(says["distinct_names"].split()[1])
    assert names == pytest.approx(80, rel=0.02)
    assert says["one_zone"].startswith("at least 90.0 % of the queries")
    assert says["failed_answers"].startswith("80.0 % of the answers")
    assert says["answered"].startswith("50.0 % as many answers")
    event = watch.event()
    assert (event.packets, event.rate.unit, event.victim.path) == (2000, "query/s", "example.com")


@pytest.mark.parametrize(("sources", "origin"), [(2000, "unknown"), (64, "unknown")])
def test_real_users_share_the_resolvers_so_nobody_is_blocked(sources: int, origin: str) -> None:
    watch = Watch()
    for _ in range(2):
        watch.see(queries(1000, answers=1, sources=sources).source("203.0.113.9", udp=900, packets=900))
    decision = watch.decision()
    assert (decision.origin, decision.action, decision.port) == (origin, "limit_victim", PORT)
    assert (decision.sources, decision.protection, decision.protocol) == ((), None, 17)


def test_reserved_askers_show_forging() -> None:
    watch = Watch()
    made = [queries(1000, answers=1).nowhere(CLASS_UDP, bogons=100) for _ in range(2)]
    for each in made:
        each.row["hi"], each.row["lo"] = address_of("9.9.9.9")
        watch.see(each)
    assert watch.decision().origin == "forged"
