"""Reflection: answers from service ports that the victim never asked."""

from __future__ import annotations

import pytest
from promises import Watch, keeps_event, keeps_floor
from scenes import Host, host

from floodwatch.detectors.reflection import (
    AMPLIFICATION,
    ANSWERS_BYTES,
    ASKED_SHARE,
    EPHEMERAL,
    FEW,
    FLOOR,
    FLOOR_BYTES,
    FULL_BYTES,
    PEER_PORTS,
    REFLECTORS,
    SHARED_EACH,
    SHARED_PORT,
    SHARED_REFLECTORS,
    SPOKEN_TO,
    UNKNOWN_REFLECTORS,
    amplification,
)
from floodwatch.detectors.streams import SENDERS, TOLD_APART
from floodwatch.model.epoch import EPOCHS_PER_SECOND, FRAGMENT
from floodwatch.model.vector import AMPLIFIERS, UDP_NUMBER, Vector

NTP, UNKNOWN = 123, 4242
BIG = -(-FLOOR_BYTES // FEW)


def answers(packets: int, *, port: int = NTP, sources: int = 200, to: int = 50_000, size: int = 440,
            asked: int = 0, out: int = 1,
            flows: int | None = None, known: int = 0) -> Host:  # fmt: skip
    return host().udp(packets, sources=sources, port=to, source_port=port, size=size, asked=asked, out=out,
                      flows=flows, known=known)  # fmt: skip


def named(made: Host, epochs: int = 1) -> list[Vector]:
    watch = Watch()
    watch.last(lambda _: made, 0, epochs)
    return watch.vectors


def test_the_floor_of_answers() -> None:
    keeps_floor(answers, Vector.NTP_AMPLIFICATION, FLOOR, AMPLIFICATION.persist)
    keeps_event(answers, FLOOR, AMPLIFICATION.persist)


def test_large_answers_count_by_their_bytes() -> None:
    assert named(answers(FEW, size=BIG)) == [Vector.NTP_AMPLIFICATION]
    assert named(answers(FEW, size=BIG - 1)) == []
    assert named(answers(FEW - 1, size=2 * BIG)) == []
    watch = Watch()
    watch.see(answers(FEW, size=BIG))
    watch.last(lambda n: answers(n, size=-(-BIG // 2)), FEW, 2 * AMPLIFICATION.hold)
    assert not watch.ended()
    watch.last(lambda n: answers(n, size=BIG // 2 - 1), FEW, AMPLIFICATION.hold + 1)
    assert watch.ended()


@pytest.mark.parametrize(
    ("asked", "expected"), [(ASKED_SHARE, []), (ASKED_SHARE - 0.001, [Vector.NTP_AMPLIFICATION])]
)
def test_whoever_asked_gets_answers(asked: float, expected: list[Vector]) -> None:
    assert named(answers(1000, asked=int(asked * 1000), out=1000, flows=200), TOLD_APART) == expected


def test_what_was_asked_counts_for_a_second() -> None:
    watch = Watch()
    watch.see(answers(20, asked=1000, out=1000))
    watch.last(answers, 1000, EPOCHS_PER_SECOND - 1)
    assert watch.vectors == []
    watch.last(answers, 1000, 1)
    assert watch.vectors == [Vector.NTP_AMPLIFICATION]


@pytest.mark.parametrize(("known", "reflects"), [(SPOKEN_TO, False), (SPOKEN_TO - 0.01, True)])
def test_from_peers_that_the_victim_speaks_to_come_media(known: float, reflects: bool) -> None:
    """However rarely: 12 calls by way of relays, for each of which hardly a packet goes back."""

    def calls(packets: int) -> Host:
        peers = int(known * packets)
        return answers(
            packets, port=3478, sources=12, flows=12, asked=packets // 15, out=packets // 15, known=peers
        )

    watch = Watch()
    watch.last(calls, 1000, 8)
    assert (Vector.STUN_AMPLIFICATION in watch.vectors) is reflects
    if reflects:
        assert watch.case.count == 8 * (1000 - int(known * 1000))


def test_few_senders_get_the_time_in_which_it_shows_whether_they_are_spoken_to() -> None:
    watch = Watch()
    watch.last(lambda n: answers(n, port=3478, flows=200), 1000, TOLD_APART - 1)
    assert watch.vectors == []
    watch.last(lambda n: answers(n, port=3478, flows=200), 1000, 1)
    assert watch.vectors == [Vector.STUN_AMPLIFICATION]
    watch = Watch()
    watch.last(lambda n: answers(n, flows=200), 1000, 1)  # by NTP nobody talks for long
    assert watch.vectors == [Vector.NTP_AMPLIFICATION]


@pytest.mark.parametrize(("sources", "size", "out", "reflects"), [
    (300, ANSWERS_BYTES, 0, False),
    (300, ANSWERS_BYTES + 1, 0, True),
    (SENDERS + 60, ANSWERS_BYTES, 0, True),
    (300, ANSWERS_BYTES, 1, True),
])  # fmt: skip
def test_a_resolver_that_is_seen_one_way_is_doubtful(
    sources: int, size: int, out: int, reflects: bool
) -> None:
    watch = Watch()
    watch.last(lambda n: answers(n, port=53, sources=sources, size=size, out=out), 1000, 4)
    assert [(case.vector, case.verdict) for case in watch.opened] == [
        (Vector.DNS_AMPLIFICATION, "attack" if reflects else "unclear")
    ]
    if reflects and not out:
        sure = Watch()
        sure.last(lambda n: answers(n, port=53, sources=sources, size=size), 1000, 4)
        sure.last(lambda n: answers(n, port=53, sources=sources, size=size, out=1), 1000, 4)
        assert watch.event().confidence < sure.event().confidence


@pytest.mark.parametrize(
    ("out", "size", "verdict"), [(0, 900, "unclear"), (1, 900, "attack"), (0, 1400, "attack")]
)
def test_media_that_are_seen_one_way_are_doubtful(out: int, size: int, verdict: str) -> None:
    watch = Watch()
    watch.last(lambda n: answers(n, port=3478, sources=40, flows=40, size=size, out=out), 1000, 8)
    assert [case.verdict for case in watch.opened] == [verdict]


def test_devices_that_report_from_a_low_port_are_no_reflectors() -> None:
    watch = Watch()
    watch.last(lambda n: answers(n, port=514, to=5514, sources=60, flows=60), 1000, 8)
    assert watch.opened == []


@pytest.mark.parametrize(("port", "least"), [(NTP, REFLECTORS), (UNKNOWN, UNKNOWN_REFLECTORS)])
def test_fewer_senders_are_servers_that_the_victim_talks_to(port: int, least: int) -> None:
    vector = amplification(port)
    for senders, reflects in ((least, True), (least - 2, False)):
        watch = Watch()
        watch.last(lambda n, senders=senders: answers(n, port=port, sources=senders), 1000, TOLD_APART)
        assert (vector in watch.vectors) is reflects


def test_ports_of_clients_do_not_reflect() -> None:
    known = {port for port, _ in AMPLIFIERS}
    assert EPHEMERAL not in known
    assert Vector.UNKNOWN_AMPLIFICATION in named(answers(1000, port=EPHEMERAL - 1))
    assert Vector.UNKNOWN_AMPLIFICATION not in named(answers(1000, port=EPHEMERAL))


@pytest.mark.parametrize(("sources", "packets", "reflected"), [
    (SHARED_REFLECTORS, SHARED_EACH * SHARED_REFLECTORS, True),
    (SHARED_REFLECTORS - 5, 2000, False),
    (SHARED_REFLECTORS, SHARED_EACH * SHARED_REFLECTORS + 100, False),
])  # fmt: skip
def test_quic_servers_share_the_port_of_dtls(sources: int, packets: int, reflected: bool) -> None:
    found = named(answers(packets, port=SHARED_PORT, sources=sources))
    assert (Vector.DTLS_AMPLIFICATION in found) is reflected


@pytest.mark.parametrize("port", sorted(PEER_PORTS))
def test_peers_use_the_same_port_at_both_ends(port: int) -> None:
    assert amplification(port) not in named(answers(1000, port=port, to=port))
    assert named(answers(1000, port=port)) == [amplification(port)]


def test_other_services_reflect_to_their_own_port_as_well() -> None:
    assert named(answers(1000, port=1900, to=1900)) == [Vector.SSDP_AMPLIFICATION]


def test_a_bucket_that_no_port_holds_is_not_judged() -> None:
    assert named(answers(400).bucket("service", 1, vote=200)) == [Vector.NTP_AMPLIFICATION]
    assert Vector.NTP_AMPLIFICATION not in named(answers(400).bucket("service", 1, vote=199))


def test_two_ports_of_one_bucket_are_two_reflections() -> None:
    both = answers(2000, port=123).bucket(
        "service", 1, vote=990, second=UDP_NUMBER << 16 | 1900, second_vote=980, packets=2000
    )
    assert sorted(named(both)) == [Vector.NTP_AMPLIFICATION, Vector.SSDP_AMPLIFICATION]


def test_fragments_of_full_answers_count_too() -> None:
    def made(size: int) -> Host:
        return answers(500, size=size).kind(FRAGMENT, 120, size=1000)

    watch = Watch()
    watch.see(made(FULL_BYTES))
    assert (watch.case.count, watch.case.bytes) == (620, 500 * FULL_BYTES + 120_000)
    watch = Watch()
    watch.see(made(FULL_BYTES - 1))
    assert watch.case.count == 500


def test_the_evidence_is_what_was_counted() -> None:
    watch = Watch()
    watch.see(answers(1000, asked=30, size=400))
    watch.see(answers(3000, asked=0, size=480))
    says = watch.says()
    size = (1000 * 400 + 3000 * 480) / 4000
    assert says["unasked_answers"] == (
        "at least 4,000 of 4,000 UDP packets come from port 123; the victim sent at most 30 packets to "
        "that port"
    )
    assert says["answer_bytes"] == f"about {size:.0f} bytes per answer on average"
    values = {item.name: item.value for item in watch.event().evidence}
    assert values["unasked_answers"] == round(1 - 30 / 4000, 4)


def test_isakmp_from_two_ports_is_told_with_a_port_that_was_seen() -> None:
    watch = Watch()
    for port in (500, 4500, 4500, 500, 4500):
        watch.see(answers(1000, port=port))
    assert watch.says()["unasked_answers"].startswith(
        "at least 3,000 of 5,000 UDP packets come from port 4500;"
    )
    assert watch.decision().reflector_ports == (500, 4500)


def test_the_decision_is_to_drop_the_port_and_to_block_nobody() -> None:
    bits = (NTP * 0x9E3779B1 & 0xFFFFFFFF) >> 26
    watch = Watch()
    made = answers(1000).source("203.0.113.9", udp=400, packets=410, missed=5, paths=1 << bits)
    made.source("203.0.113.10", udp=0, packets=400, paths=1 << bits)
    made.source("203.0.113.11", udp=300, packets=300, paths=1 << (bits + 1) % 64)
    watch.see(made.source("203.0.113.12", udp=100, packets=300, paths=1 << bits))
    decision, event = watch.decision(), watch.event()
    assert (decision.origin, decision.action, decision.protection) == (
        "reflected",
        "drop_reflector_port",
        "reflected",
    )
    assert (decision.reflector_ports, decision.port, decision.protocol) == ((NTP,), 50_000, UDP_NUMBER)
    assert (decision.sources, decision.proof) == ((), None)
    (top,) = event.sources.top  # told, for it is advice to their owners
    assert (top.cidr, top.count.lo, top.count.hi) == ("203.0.113.9", 400, 405)


def test_an_unknown_service_is_told_with_its_port() -> None:
    watch = Watch()
    watch.see(answers(1000, port=UNKNOWN))
    assert watch.decision().reflector_ports == (UNKNOWN,)
