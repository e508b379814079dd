"""Fragments that belong to nothing, and other IP protocols that nothing answers."""

from __future__ import annotations

import pytest
from promises import Watch, keeps_event, keeps_floor
from scenes import Host, host

from floodwatch.detectors.protocols import (
    FRAGMENT_FLOOD,
    FRAGMENTS,
    IP_PROTOCOL_FLOOD,
    LONGEST,
    TUNNEL_SOURCES,
    UDP_TUNNELS,
)
from floodwatch.detectors.streams import BULK, BULK_BYTES, SENDERS, STREAM, STREAMS
from floodwatch.detectors.udp import ANSWER_REACH, BOTH_WAYS, ONE_WAY
from floodwatch.model.epoch import CARRIER, CLASS_OTHER, FRAGMENT, ICMP, OTHER, SYN
from floodwatch.model.vector import PROTOCOL_NUMBERS, UDP_NUMBER, Vector

MANY = {CLASS_OTHER: SENDERS + 100}
GRE, UDP = PROTOCOL_NUMBERS["gre"], PROTOCOL_NUMBERS["udp"]


def fragments(packets: int) -> Host:
    return host().kind(FRAGMENT, packets, sources=MANY, port=UDP)


def one_way(packets: int) -> Host:
    return host().kind(OTHER, packets, sources=MANY, port=GRE)


def both(packets: int) -> Host:
    return one_way(packets).kind(SYN, 0, out=1)


def carried(packets: int, *, senders: int = SENDERS + 100, port: int = GRE) -> Host:
    """Some of what is inside is for the host itself, so that it is looked at."""
    return host().kind(CARRIER, packets, sources={CLASS_OTHER: senders}, port=port).kind(ICMP, 20)


def udp_tunnels(packets: int) -> Host:
    return carried(packets, port=UDP_NUMBER)


@pytest.mark.parametrize(
    ("make", "family", "vector", "floor"),
    [
        (fragments, FRAGMENT_FLOOD, Vector.FRAGMENT_FLOOD, FRAGMENTS),
        (both, IP_PROTOCOL_FLOOD, Vector.IP_PROTOCOL_FLOOD, BOTH_WAYS),
        (one_way, IP_PROTOCOL_FLOOD, Vector.IP_PROTOCOL_FLOOD, ONE_WAY),
        (carried, IP_PROTOCOL_FLOOD, Vector.IP_PROTOCOL_FLOOD, ONE_WAY),
        (udp_tunnels, UDP_TUNNELS, Vector.UDP_FLOOD, ONE_WAY),
    ],
)
def test_each_has_its_floor(make: object, family: object, vector: Vector, floor: object) -> None:
    watch = keeps_floor(make, vector, floor, family.persist)
    keeps_event(make, floor, family.persist)
    assert watch.case.one_way == (make is not both)


@pytest.mark.parametrize(("size", "floor"), [(BULK_BYTES - 1, STREAM), (BULK_BYTES, BULK)])
@pytest.mark.parametrize(
    ("kind", "vector"), [(FRAGMENT, Vector.FRAGMENT_FLOOD), (OTHER, Vector.IP_PROTOCOL_FLOOD)]
)
def test_one_sender_is_a_stream_or_a_copy(kind: int, vector: Vector, size: int, floor: object) -> None:
    def make(packets: int) -> Host:
        return host().kind(kind, packets, size=size, sources={CLASS_OTHER: 1}, port=GRE)

    keeps_floor(make, vector, floor, 1)


def test_few_senders_that_go_on_are_streams_and_more_are_not() -> None:
    def make(packets: int, senders: int = 40) -> Host:
        return fragments(packets).kind(FRAGMENT, packets, size=1480, sources={CLASS_OTHER: senders})

    keeps_floor(make, Vector.FRAGMENT_FLOOD, STREAMS, 1)
    keeps_floor(lambda n: make(n, SENDERS + 100), Vector.FRAGMENT_FLOOD, FRAGMENTS, 1)


def test_fragments_of_whole_datagrams_are_left_out() -> None:
    def make(packets: int) -> Host:
        return fragments(packets + 10 * LONGEST).set(fragment_heads=10)

    watch = keeps_floor(make, Vector.FRAGMENT_FLOOD, FRAGMENTS, FRAGMENT_FLOOD.persist)
    packets = watch.case.count + 10 * LONGEST
    assert watch.says()["first_fragments"].startswith(
        f"{packets} later fragments came with only 10 first fragments"
    )
    decision = watch.decision()
    assert (decision.action, decision.protection) == ("drop_signature", "fragments")
    assert (decision.origin, decision.protocol, decision.sources) == ("unknown", UDP, ())


def test_tunnels_answer_what_they_get() -> None:
    def make(packets: int) -> Host:
        return host().kind(OTHER, packets + 3 * ANSWER_REACH, sources=MANY, port=GRE, out=3)

    watch = keeps_floor(make, Vector.IP_PROTOCOL_FLOOD, BOTH_WAYS, IP_PROTOCOL_FLOOD.persist)
    packets = watch.case.count + 3 * ANSWER_REACH
    assert watch.says()["answers"] == f"the victim received {packets} such packets and sent 3 itself"


def test_answers_count_for_a_second() -> None:
    watch = Watch()
    watch.see(host().kind(OTHER, 100, sources=MANY, port=GRE, out=50))
    watch.last(one_way, 50 * ANSWER_REACH, 3)
    assert watch.vectors == []
    watch.last(one_way, 50 * ANSWER_REACH, 1)
    assert watch.vectors == [Vector.IP_PROTOCOL_FLOOD]


@pytest.mark.parametrize(("senders", "named"), [(TUNNEL_SOURCES, True), (TUNNEL_SOURCES - 2, False)])
def test_few_senders_of_tunnelled_packets_are_a_networks_own(senders: int, named: bool) -> None:
    watch = Watch()
    watch.see(carried(20_000, senders=senders))
    assert bool(watch.vectors) is named


def test_tunnels_are_looked_at_whatever_is_inside() -> None:
    watch = Watch()
    watch.see(host().kind(CARRIER, 20_000, sources=MANY, port=GRE))
    assert watch.vectors == [Vector.IP_PROTOCOL_FLOOD]


def test_the_larger_of_tunnels_and_other_protocols_is_judged() -> None:
    watch = Watch()
    watch.see(carried(1000, port=UDP_NUMBER).kind(OTHER, 1000, port=99))
    assert watch.decision().protocol == 99
    watch = Watch()
    watch.see(carried(1001, port=UDP_NUMBER).kind(OTHER, 1000, port=99))
    assert watch.decision().protocol == UDP_NUMBER


@pytest.mark.parametrize(("number", "name"), [(GRE, "gre"), (99, "ip-99")])
@pytest.mark.parametrize(("dark", "origin"), [(0, "unknown"), (100, "forged")])
def test_the_decision_is_to_limit(number: int, name: str, dark: int, origin: str) -> None:
    watch = Watch()
    made = host().kind(OTHER, 2000, sources={CLASS_OTHER: 2000}, port=number)
    watch.see(made.nowhere(CLASS_OTHER, dark=dark).source("203.0.113.9", packets=900, proven=1))
    decision = watch.decision()
    assert (decision.origin, decision.action, decision.protection) == (origin, "limit_victim", "limited")
    assert (decision.protocol, decision.port, decision.sources) == (number, None, ())
    assert watch.event().victim.protocol == name


def test_tunnels_in_udp_are_named_as_what_they_are_on_the_wire() -> None:
    watch = Watch()
    watch.last(udp_tunnels, 2000, 1)
    assert (watch.decision().vector, watch.decision().protocol) == (Vector.UDP_FLOOD, UDP_NUMBER)
