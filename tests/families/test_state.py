"""TCP packets out of any connection, and SYN-ACKs that nobody asked for."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from promises import Watch, keeps_event, keeps_floor
from scenes import Host, host
from test_matrix import address, ip4, scan, tcp

from floodwatch.detectors.state import (
    FLOOR,
    FLOOR_ODD,
    FLOOR_ONE_WAY,
    OUT_OF_STATE,
    REFLECTORS,
    SERVICE_SHARE,
    SHARE,
    SHARE_ONE_WAY,
    TCP_REFLECTION,
    UNASKED_SYN_ACKS,
    WELL_KNOWN,
)
from floodwatch.history.victims import SCAN_SOURCES, SWEEP
from floodwatch.model.epoch import ACK, CLASS_TCP, DATA, EPOCHS_PER_SECOND, FIN, RST, SYN, SYNACK, TCP_ODD
from floodwatch.model.vector import TCP_NUMBER, Vector

SOURCE, TARGET = address("9.8.7.6"), address("9.9.9.9")
KINDS = [(ACK, Vector.ACK_FLOOD), (DATA, Vector.ACK_FLOOD), (RST, Vector.RST_FLOOD), (FIN, Vector.FIN_FLOOD),
         (SYNACK, Vector.SYN_ACK_FLOOD)]  # fmt: skip


def one_way(kind: int, packets: int, flows: int | None = None, *, sources: int = 64, held: int = 0,
            ports: int = 65_000) -> Host:  # fmt: skip
    """Of so many packets so many begin a flow of their own."""
    flows = packets if flows is None else flows
    made = host().set(strays=packets).sketch("stray_ports", ports).sketch("stray_sources", sources)
    return made.kind(kind, packets, strange=packets, strange_flows=flows, sources={CLASS_TCP: sources},
                       port=443, port_vote=held)  # fmt: skip


def both(kind: int, packets: int, strange: int | None = None, *, sources: int = 64, held: int = 0,
         ports: int = 65_000) -> Host:  # fmt: skip
    """The victim sends TCP as well, so a stranger's packet is one that nothing answers."""
    made = one_way(kind, packets, 0, sources=sources, held=held, ports=ports)
    return made.kind(kind, packets, strange=packets if strange is None else strange, out=1)


def vectors(made: Host, epochs: int = OUT_OF_STATE.persist) -> list[Vector]:
    watch = Watch()
    watch.last(lambda _: made, 0, epochs)
    return watch.vectors


@pytest.mark.parametrize(("kind", "vector"), KINDS)
def test_packets_out_of_any_connection_are_a_flood(kind: int, vector: Vector) -> None:
    keeps_floor(lambda n: both(kind, n), vector, FLOOR, OUT_OF_STATE.persist)
    watch = keeps_floor(lambda n: one_way(kind, n), vector, FLOOR_ONE_WAY, OUT_OF_STATE.persist)
    assert "one_way" in watch.says()


@pytest.mark.parametrize(("kind", "vector"), KINDS[::2])
def test_hysteresis(kind: int, vector: Vector) -> None:
    keeps_event(lambda n: both(kind, n), FLOOR, OUT_OF_STATE.persist)
    keeps_event(lambda n: one_way(kind, n), FLOOR_ONE_WAY, OUT_OF_STATE.persist)


def test_odd_flags_are_sent_by_no_stack() -> None:
    keeps_floor(lambda n: both(TCP_ODD, n, 0), Vector.TCP_FLAG_FLOOD, FLOOR_ODD, OUT_OF_STATE.persist)
    keeps_floor(lambda n: one_way(TCP_ODD, n, 0), Vector.TCP_FLAG_FLOOD, FLOOR_ODD, OUT_OF_STATE.persist)
    keeps_event(lambda n: both(TCP_ODD, n, 0), FLOOR_ODD, OUT_OF_STATE.persist)


@pytest.mark.parametrize(("kind", "vector"), KINDS)
def test_most_of_the_kind_belongs_to_connections(kind: int, vector: Vector) -> None:
    assert vectors(both(kind, 2000, round(SHARE * 2000))) == [vector]
    assert vectors(both(kind, 2000, round(SHARE * 2000) - 1), 4) == []
    assert vectors(one_way(kind, 2000, round(SHARE_ONE_WAY * 2000))) == [vector]
    assert vectors(one_way(kind, 2000, round(SHARE_ONE_WAY * 2000) - 1), 4) == []


def test_acks_with_and_without_data_are_one_kind() -> None:
    assert vectors(both(ACK, 1000, 599).kind(DATA, 1000, strange=0), 4) == []
    assert vectors(both(ACK, 1000, 300).kind(DATA, 1000, strange=300)) == [Vector.ACK_FLOOD]


def test_one_way_syn_acks_that_data_follows_were_asked_for() -> None:
    assert vectors(one_way(SYNACK, 1000).kind(DATA, 1000)) == [Vector.SYN_ACK_FLOOD]
    assert vectors(one_way(SYNACK, 1000).kind(DATA, 1001), 4) == []


def test_the_other_direction_is_remembered_for_a_second() -> None:
    """Old connections come out of nowhere once, so packets count only where answers would be seen."""
    watch = Watch()
    watch.see(host().kind(ACK, 20, strange=20, out=1))
    watch.last(lambda n: one_way(ACK, n, 0), 1000, EPOCHS_PER_SECOND - 1)
    assert watch.vectors == [Vector.ACK_FLOOD]
    assert watch.case.epochs == EPOCHS_PER_SECOND - 1
    watch.last(lambda n: one_way(ACK, n, 0), 1000, 4)
    assert watch.case.epochs == EPOCHS_PER_SECOND - 1


FEW = SCAN_SOURCES - 1


def test_a_scan_is_no_flood() -> None:
    assert vectors(both(FIN, SWEEP // 4, sources=FEW), 4) == []
    assert vectors(both(FIN, SWEEP // 4, sources=FEW), 8) == [Vector.FIN_FLOOD]
    assert vectors(both(FIN, 1000, sources=SCAN_SOURCES + 1)) == [Vector.FIN_FLOOD]


@pytest.mark.parametrize(("ports", "named"), [(1, True), (100, True), (250, False)])
def test_few_sources_at_few_ports_are_no_scan(ports: int, named: bool) -> None:
    assert bool(vectors(both(FIN, 1000, sources=FEW, ports=ports))) is named


@pytest.mark.parametrize(("tried", "named"), [(1000, False), (999, True)])
def test_who_tries_as_many_connections_is_refused(tried: int, named: bool) -> None:
    """The scanner's SYNs may be lost on their way to us, or come after the answers."""
    assert bool(vectors(both(RST, 1000).kind(SYN, 0, out=tried))) is named
    assert bool(vectors(both(RST, 1000).kind(TCP_ODD, 0, out=tried))) is named  # or scans with odd flags
    assert bool(vectors(both(SYNACK, 1000).kind(SYN, 0, out=tried))) is named


def test_just_so_few_sources_are_a_scan() -> None:
    assert vectors(both(FIN, 2000, sources=FEW), 4) == []


def test_the_evidence_is_what_was_counted() -> None:
    watch = Watch()
    for packets, strange in ((1000, 500), (3000, 1500)):
        watch.see(both(ACK, packets, strange))
    assert watch.says()["out_of_state"].startswith(f"about {100 * 2000 / 4000:.1f} % of these packets")
    assert (watch.event().packets, watch.event().bytes) == (2000, 60 * 2000)


@pytest.mark.parametrize(("kind", "protection"), [(ACK, "strange"), (SYNACK, "unasked")])
@pytest.mark.parametrize(("dark", "origin"), [(50, "forged"), (0, "unknown")])
def test_the_decision_is_to_drop_what_belongs_to_nothing(
    kind: int, protection: str, dark: int, origin: str
) -> None:
    watch = Watch()
    made = (
        both(kind, 1000, sources=1000, held=1000)
        .nowhere(CLASS_TCP, dark=dark)
        .source("203.0.113.9", packets=900, proven=9)
    )
    watch.last(lambda _: made, 0, 2)
    decision = watch.decision()
    assert (decision.origin, decision.action, decision.protection) == (origin, "drop_signature", protection)
    assert (decision.protocol, decision.port, decision.sources) == (TCP_NUMBER, 443, ())


def reflected(answers: int, resets: int = 0, *, port: int = 443, served: int | None = None,
              sources: int = 64, asked: int = 0) -> Host:  # fmt: skip
    made = both(SYNACK, answers, sources=sources).kind(RST, resets, strange=resets)
    vote = answers if served is None else served
    return made.bucket("service", 0, key=TCP_NUMBER << 16 | port, vote=vote, packets=answers, out=asked)


def test_syn_acks_of_servers_are_reflected() -> None:
    keeps_floor(reflected, Vector.TCP_REFLECTION, FLOOR, TCP_REFLECTION.persist)
    keeps_event(reflected, FLOOR, TCP_REFLECTION.persist)


def test_resets_of_those_who_refuse_count_with_the_answers() -> None:
    half = int(FLOOR.count) // 2
    assert vectors(reflected(half, half), 1) == [Vector.TCP_REFLECTION]
    assert vectors(reflected(half, 3 * half), 3) == [Vector.TCP_REFLECTION]  # and are no flood of their own
    assert vectors(reflected(half, half - 1), 4) == []
    assert vectors(reflected(half - 1, 2 * half)) == [Vector.RST_FLOOD]


@pytest.mark.parametrize("sources", [REFLECTORS, REFLECTORS - 1])
def test_few_senders_do_not_reflect(sources: int) -> None:
    named = Vector.TCP_REFLECTION if sources == REFLECTORS else Vector.SYN_ACK_FLOOD
    assert vectors(reflected(1000, sources=sources)) == [named]


@pytest.mark.parametrize(("served", "named"), [(SERVICE_SHARE, Vector.TCP_REFLECTION),
                                               (SERVICE_SHARE - 0.001, Vector.SYN_ACK_FLOOD)])  # fmt: skip
def test_reflectors_answer_from_service_ports(served: float, named: Vector) -> None:
    assert vectors(reflected(1000, served=int(served * 1000), port=8443)) == [named]


@pytest.mark.parametrize(("second", "named"), [(WELL_KNOWN - 1, Vector.TCP_REFLECTION),
                                               (WELL_KNOWN, Vector.SYN_ACK_FLOOD)])  # fmt: skip
def test_well_known_ports_count_together_and_of_others_only_one(second: int, named: Vector) -> None:
    made = reflected(1000, served=300)
    made.bucket("service", 1, key=TCP_NUMBER << 16 | second, vote=250)
    assert vectors(made) == [named]


def test_a_reflections_evidence_and_decision() -> None:
    watch = Watch()
    watch.see(reflected(1000, 200, asked=5))
    made = reflected(2000, 100, asked=0).source("203.0.113.9", packets=300, missed=7)
    watch.see(made.source("203.0.113.8", packets=300, proven=1).source("203.0.113.7", packets=9, udp=9))
    says, decision, event = watch.says(), watch.decision(), watch.event()
    assert (
        says["unasked_answers"]
        == "at least 3,000 of 3,000 SYN-ACKs come from port 443; the victim sent at most 5 SYNs to that port"
    )
    assert says["resets"] == "about 300 out-of-state resets came too, as from hosts that refuse forged SYNs"
    assert event.packets == 3300
    assert (decision.origin, decision.action, decision.protection) == (
        "reflected",
        "drop_signature",
        "unasked",
    )
    assert (decision.reflector_ports, decision.sources, decision.proof) == ((443,), (), None)
    (top,) = event.sources.top
    assert (top.cidr, top.count.lo, top.count.hi) == ("203.0.113.9", 300, 307)


def test_unasked_syn_acks_share_their_persistence_with_their_kind() -> None:
    assert UNASKED_SYN_ACKS.persist == OUT_OF_STATE.persist > TCP_REFLECTION.persist


@pytest.mark.parametrize(("flags", "vector"), [(0x10, "ack_flood"), (0x11, "fin_flood"), (0x04, "rst_flood"),
                                               (0x29, "tcp_flag_flood")])  # fmt: skip
@pytest.mark.parametrize("ports", [(80, 443), (22, 25, 53, 80, 110, 443, 8080), range(1, 60_000)])
def test_one_source_at_a_few_ports_looks_for_no_services(
    tmp_path: Path, flags: int, vector: str, ports: Sequence[int]
) -> None:
    rng, packets = random.Random(flags), 400
    frames = []
    for second in range(5):
        for number in range(packets):
            port = ports[(second * packets + number) % len(ports)]
            packet = ip4(SOURCE, TARGET, tcp(rng.randrange(1024, 65_536), port, 7, 9, flags))
            frames.append((1 + 2 * second + number * 0.0005, packet))
    floods = scan(frames, tmp_path).floods
    if len(ports) > 10:
        assert floods == ()  # a scan of all ports
        return
    assert [flood.vector for flood in floods] == [vector]
    assert floods[0].packets == pytest.approx(5 * packets, rel=0.05)
