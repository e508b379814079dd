"""UDP floods: what the victim neither asked for nor answers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from promises import Watch, keeps_event, keeps_floor, watching
from scenes import Host, address_of, host
from test_matrix import address, ip4, scan, udp

from floodwatch.config.limits import Limits
from floodwatch.decide.case import HELD
from floodwatch.detectors.family import HOLD
from floodwatch.detectors.forging import BOGON_SHARE, DARK_SHARE, FORGED_MIN, FORGED_SHARE, Bare, random_share
from floodwatch.detectors.quic import SHARE as INITIALS
from floodwatch.detectors.streams import (
    BULK,
    BULK_BYTES,
    FEW_SENDERS,
    SENDERS,
    STREAM,
    STREAMS,
    TOLD_APART,
)
from floodwatch.detectors.udp import (
    ANSWER_REACH,
    BOTH_WAYS,
    ONE_WAY,
    RATIO,
    SCAN_BYTES,
    UDP_FLOOD,
    UDP_STREAMS,
)
from floodwatch.history.memory import METRICS, Memory
from floodwatch.history.victims import SCAN_PORTS, SCAN_SOURCES, SCATTERED, SWEEP
from floodwatch.model.epoch import CLASS_UDP, EPOCHS_PER_SECOND
from floodwatch.model.vector import UDP_NUMBER, Vector

PUBLIC = "9.9.9.9"
MANY = 600
"""More than an operator's devices."""


def both(packets: int) -> Host:
    """Seen both ways: the victim sends something, somewhere."""
    return host().udp(packets, sources=MANY, out=1)


def one_way(packets: int) -> Host:
    return host().udp(packets, sources=MANY)


@pytest.mark.parametrize(("make", "floor"), [(both, BOTH_WAYS), (one_way, ONE_WAY)])
def test_the_floor_is_higher_where_one_way_is_seen(make: object, floor: object) -> None:
    watch = keeps_floor(make, Vector.UDP_FLOOD, floor, UDP_FLOOD.persist)
    keeps_event(make, floor, UDP_FLOOD.persist)
    assert watch.case.one_way == (floor is ONE_WAY)
    assert ("one_way" in watch.says()) == (floor is ONE_WAY)
    assert watch.case.family.hold == HOLD


def test_one_way_is_less_certain() -> None:
    sure, unsure = Watch(), Watch()
    sure.last(both, 5000, 8)
    unsure.last(one_way, 5000, 8)
    assert unsure.event().confidence < sure.event().confidence < 1


@pytest.mark.parametrize(
    "senders",
    [
        1,
        FEW_SENDERS,
    ],
)
@pytest.mark.parametrize(("size", "floor"), [(BULK_BYTES - 1, STREAM), (BULK_BYTES, BULK)])
def test_few_senders_are_a_stream_or_a_copy_until_they_send_very_much(
    senders: int, size: int, floor: object
) -> None:
    def make(packets: int) -> Host:
        return host().udp(packets, sources=senders, size=size, flows=senders)

    keeps_floor(make, Vector.UDP_FLOOD, floor, UDP_FLOOD.persist)
    keeps_event(make, floor, UDP_FLOOD.persist)


def test_few_senders_that_draw_a_port_for_each_packet_are_no_stream() -> None:
    def make(packets: int) -> Host:
        return host().udp(packets, sources=1)

    keeps_floor(make, Vector.UDP_FLOOD, ONE_WAY, UDP_FLOOD.persist)


def devices(packets: int, senders: int = 60, size: int = 250) -> Host:
    """Each of them sends from its own port to one, and nothing goes back."""
    return host().udp(packets, sources=senders, flows=senders, size=size)


def test_more_senders_whose_flows_last_have_a_floor_of_their_own() -> None:
    keeps_floor(devices, Vector.UDP_FLOOD, STREAMS, UDP_FLOOD.persist)
    keeps_event(devices, STREAMS, UDP_FLOOD.persist)


def test_devices_of_one_v6_network_are_told_apart_by_their_flows() -> None:
    def network(flows: int, packets: int) -> Host:
        return host("2001:db8::7").udp(packets, sources=1, flows=flows, size=200)

    alone, several, drawn = watching(), watching(), watching()
    alone.last(lambda n: network(1, n), 2 * int(STREAM.count), 4)
    several.last(lambda n: network(60, n), 2 * int(STREAM.count), 4)
    drawn.last(lambda n: network(2 * SENDERS, n), 4 * int(STREAM.count), 4)
    verdicts = [[case.verdict for case in watch.opened] for watch in (alone, several, drawn)]
    assert verdicts == [["attack"], ["unclear"], ["attack"]]


def test_one_of_them_that_sends_more_than_a_stream_is_told() -> None:
    made = devices(3 * int(STREAM.count))
    made.source("203.0.113.9", packets=2000, udp=2000).source("203.0.113.10", packets=100, udp=100)
    watch = watching()
    watch.see(made)
    assert watch.vectors == [Vector.UDP_FLOOD]
    assert watch.case.floor == STREAM


def test_flows_of_many_senders_are_a_flood_though_they_last() -> None:
    watch = watching()
    watch.last(lambda n: devices(n, senders=SENDERS + 60), 4000, 1)
    assert watch.vectors == [Vector.UDP_FLOOD]


def test_few_senders_get_the_time_in_which_flows_show_that_they_last() -> None:
    def slow(packets: int) -> Host:
        return host().udp(packets, sources=400, flows=400)

    watch = watching()
    watch.last(slow, 600, TOLD_APART - 1)
    assert watch.vectors == []
    watch.last(slow, 600, 8)
    assert all(case.verdict == "unclear" for case in watch.opened)


def test_streams_from_the_first_packet_on_are_no_flood_at_any_rate() -> None:
    watch = Watch()
    watch.last(devices, 10 * int(STREAMS.count), 20)
    assert watch.opened == []
    watch.last(devices, 20 * int(STREAMS.count), EPOCHS_PER_SECOND)
    assert watch.vectors == [Vector.UDP_FLOOD]


def test_what_ends_within_a_second_was_no_habit() -> None:
    watch = Watch()
    watch.see(devices(2 * int(STREAMS.count)), final=True)
    assert watch.vectors == [Vector.UDP_FLOOD]


def test_streams_that_come_together_are_a_surge_until_they_are_usual() -> None:
    watch = watching()
    watch.last(devices, 1000, UDP_STREAMS.persist - 1)
    assert watch.opened == []
    watch.last(devices, 1000, 1)
    assert (watch.case.verdict, watch.event().action.recommended) == ("unclear", "observe")
    says = "about 61 senders, each of whose flows has about 62 packets a second: they keep their ports"
    assert watch.says()["packets_a_flow"] == says
    watch.last(devices, 1000, 40)
    assert watch.ended()
    watch.last(devices, int(RATIO * 1000) + 500, 4)
    assert not watch.ended()
    again = watching()
    again.last(lambda n: devices(n, senders=FEW_SENDERS), 1000, 8)
    assert again.opened == []


@pytest.mark.parametrize(("sources", "size", "named"), [(SCAN_SOURCES, SCAN_BYTES, False),
                                                        (SCAN_SOURCES + 2, SCAN_BYTES, True),
                                                        (SCAN_SOURCES, SCAN_BYTES + 1, True)])  # fmt: skip
def test_a_scan_is_no_flood_until_all_ports_were_tried(sources: int, size: int, named: bool) -> None:
    def scan(packets: int) -> Host:
        return host().udp(packets, sources=sources, size=size, out=1).sketch("udp_ports", 4000)

    watch = watching()
    watch.last(scan, 4000, 4)
    assert bool(watch.vectors) is named
    watch.last(scan, 4000, SWEEP // 4000)
    assert watch.vectors == [Vector.UDP_FLOOD]
    few = watching()
    few.last(lambda n: scan(n).sketch("udp_ports", SCAN_PORTS // 2), 4000, 4)
    assert few.vectors == [Vector.UDP_FLOOD]


def test_what_the_victim_asked_for_is_left_out_for_a_second() -> None:
    def make(packets: int) -> Host:
        return host().udp(packets + 10 * ANSWER_REACH, sources=MANY, out=10, asked=10, flows=10)

    keeps_floor(make, Vector.UDP_FLOOD, BOTH_WAYS, UDP_FLOOD.persist)
    watch = Watch()
    watch.see(host().udp(100, sources=MANY, out=20, asked=20, flows=5))
    watch.last(
        lambda n: host().udp(n, sources=MANY, out=1, flows=20), 20 * ANSWER_REACH, EPOCHS_PER_SECOND - 1
    )
    assert watch.vectors == []
    watch.last(lambda n: host().udp(n, sources=MANY, out=1, flows=20), 20 * ANSWER_REACH, 1)
    assert watch.vectors == [Vector.UDP_FLOOD]


def test_an_answer_stands_for_one_packet_where_each_is_a_flow() -> None:
    def make(packets: int) -> Host:
        return host().udp(packets + 300, sources=MANY, out=300, asked=300)

    keeps_floor(make, Vector.UDP_FLOOD, BOTH_WAYS, UDP_FLOOD.persist)


def test_dns_queries_are_judged_elsewhere() -> None:
    def make(packets: int) -> Host:
        return host().udp(packets + 200, sources=MANY, port=53, out=200).set(dns_queries=200, dns_answers=200)

    keeps_floor(make, Vector.UDP_FLOOD, BOTH_WAYS, UDP_FLOOD.persist)


@pytest.mark.parametrize(("short", "named"), [(0, False), (1, True)])
def test_quic_initials_are_judged_elsewhere_where_they_are_most(short: int, named: bool) -> None:
    packets = int(BOTH_WAYS.count) * 3 // 2 // 10 * 10
    initials = int(INITIALS * packets) - short
    watch = Watch()
    watch.last(lambda n: both(n).set(quic_initials=initials), packets, 4)
    assert (watch.vectors == [Vector.UDP_FLOOD]) is named


def test_reflection_is_left_out() -> None:
    watch = Watch()
    watch.see(host().udp(2000, sources=MANY, source_port=123, out=1))
    assert watch.vectors == [Vector.NTP_AMPLIFICATION]


def test_the_evidence_is_what_was_counted() -> None:
    watch = Watch()
    for packets, out in ((1000, 3), (3000, 4)):
        watch.see(host().udp(packets, sources=MANY, out=out, size=120))
    event, says = watch.event(), watch.says()
    assert says["answers"] == "the victim received 4,000 such packets and sent 7 itself"
    assert (event.packets, event.bytes, event.rate.peak) == (4000, 4000 * 120, 4000)
    assert event.rate.unit == "packet/s"
    assert (event.victim.ip, event.victim.port, event.victim.protocol) == ("198.51.100.7", 7777, "udp")


@pytest.mark.parametrize(
    ("share", "blocks", "origin"),
    [
        (0.0, 0, "unknown"),  # many addresses that say little each prove nothing
        (1.04 * FORGED_SHARE, 11, "forged"),
        (0.96 * FORGED_SHARE, 11, "unknown"),
        (1.0, SCATTERED, "forged"),
        (1.0, SCATTERED - 1, "unknown"),  # one network uses such a block as if it was private
    ],
)
def test_forging_hits_the_blocks_where_nobody_is(share: float, blocks: int, origin: str) -> None:
    packets = 10_000
    made = host().udp(packets, sources=packets, out=1)
    watch = Watch()
    watch.see(made.nowhere(CLASS_UDP, dark=round(share * DARK_SHARE * packets), blocks=blocks))
    assert watch.decision().origin == origin
    forged = watch.event().sources.forged_share
    assert (forged.est if forged else None) == (
        pytest.approx(share, abs=0.01) if origin == "forged" else None
    )
    assert ("dark_share" in watch.says()) is (share > 0 and blocks >= SCATTERED)


def test_too_few_packets_show_no_forging() -> None:
    facts = Bare(looked=FORGED_MIN - 1, bogons=FORGED_MIN - 1)
    assert random_share(facts) == 0.0
    assert random_share(Bare(looked=FORGED_MIN, bogons=FORGED_MIN)) == 1.0


@pytest.mark.parametrize(("more", "origin"), [(5, "forged"), (-5, "unknown")])
def test_reserved_addresses_show_forging(more: int, origin: str) -> None:
    packets = 10_000
    bogons = int(FORGED_SHARE * BOGON_SHARE * packets) + more
    watch = Watch()
    watch.see(host(PUBLIC).udp(packets, sources=MANY, out=1).nowhere(CLASS_UDP, bogons=bogons))
    assert watch.decision().origin == origin


@pytest.mark.parametrize(("where", "octets", "origin"), [
    ("9.9.9.9", range(1, 256), "forged"),
    ("9.9.9.9", (10, 172, 192), "forged"),  # private networks are not on the Internet ...
    ("10.0.0.9", (10, 172, 192), "unknown"),  # ... and are where a private network's clients are
    ("10.0.0.9", (*range(56, 127), *range(200, 256)), "forged"),  # a tool that draws no block of DARK8
    ("192.168.7.7", range(224, 256), "forged"),
    ("10.0.0.9", range(56, 200), "unknown"),
])  # fmt: skip
def test_a_private_network_has_private_clients_and_no_others_that_nobody_has(
    tmp_path: Path, where: str, octets: Sequence[int], origin: str
) -> None:
    rest = {172: 16, 192: 168}
    rng = random.Random(7)
    frames = []
    for number in range(20_000):
        first = rng.choice(octets)
        source = bytes([first, rest.get(first, rng.randrange(256)), rng.randrange(256), rng.randrange(256)])
        datagram = udp(rng.randrange(1024, 65_536), 7777, b"")
        frames.append((number * 0.00005, ip4(source, address(where), datagram, UDP_NUMBER)))
    (flood,) = scan(frames, tmp_path).floods
    assert (flood.vector, flood.sources.origin) == ("udp_flood", origin)


@pytest.mark.parametrize("bursts", [(0,), (0, 20), (0, 1, 3)])
def test_who_sends_it_all_is_seen_from_the_first_packet_on_and_after_silence(
    tmp_path: Path, bursts: Sequence[int]
) -> None:
    frames = []
    for begin in bursts:
        for number in range(2000):
            datagram = udp(1024 + number, 7777, b"")
            packet = ip4(address("9.8.7.6"), address("9.9.9.9"), datagram, UDP_NUMBER)
            frames.append((begin + number * 0.00005, packet))
    (flood,) = scan(frames, tmp_path).floods
    (seen,) = flood.sources.seen
    assert (seen.cidr, flood.packets) == ("9.8.7.6", 2000 * len(bursts))
    assert seen.share == pytest.approx(1, abs=0.02)


def test_the_decision_is_to_limit_and_to_block_nobody() -> None:
    watch = Watch()
    watch.see(host().udp(5000, sources=5000, out=1).source("203.0.113.9", packets=900, udp=900, proven=3))
    decision = watch.decision()
    assert (decision.action, decision.protection) == ("limit_victim", "limited")
    assert (decision.protocol, decision.port, str(decision.victim)) == (17, 7777, "198.51.100.7/32")
    assert (decision.sources, decision.proof, decision.reflector_ports) == ((), None, ())


@pytest.mark.parametrize(("held", "port", "name"), [(HELD, 7777, "7777"), (HELD - 0.001, None, "any")])
def test_scattered_ports_are_not_named(held: float, port: int | None, name: str) -> None:
    watch = Watch()
    watch.see(host().udp(5000, sources=5000, out=1, held=int(held * 5000)))
    assert watch.decision().port == port
    assert watch.case.id.endswith(f"-{name}")


def test_what_is_usual_is_told_and_what_the_user_asks_for_is_kept() -> None:
    usual = [0.0] * len(METRICS)
    usual[METRICS.index("udp")] = 80.0
    memory = Memory(np.zeros(0, np.uint64), np.array([address_of("198.51.100.7")], np.uint64),
                    np.array([usual]))  # fmt: skip
    limits = Limits({Vector.UDP_FLOOD: EPOCHS_PER_SECOND * 3000.0})
    watch = Watch(memory, limits)
    watch.last(both, 20, 1)
    watch.last(both, 2999, 3)
    assert watch.vectors == []
    watch.last(both, 3000, 1)
    assert watch.decision().usual == pytest.approx(80, rel=0.1)
    assert "your own limit is 12000 per second" in watch.says()["rule"]
    assert "surge" in watch.says()
    watch.last(both, 1500, 2 * HOLD)
    assert not watch.ended()
    watch.last(both, 1499, HOLD + 1)
    assert watch.ended()
