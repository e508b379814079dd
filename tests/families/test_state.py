"""TCP packets out of any connection, and SYN-ACKs that nobody asked for."""

from __future__ import annotations

import ipaddress
import random
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from evaluate import write
from promises import Watch, keeps_event, keeps_floor
from scenes import Host, host

from floodwatch.config.options import ScanOptions
from floodwatch.detectors.state import (
    FLOOR,
    FLOOR_ODD,
    FLOOR_ONE_WAY,
    ONE_PORT,
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
from floodwatch.pipeline.scan import scan

KINDS = [(ACK, Vector.ACK_FLOOD), (DATA, Vector.ACK_FLOOD), (RST, Vector.RST_FLOOD), (FIN, Vector.FIN_FLOOD),
         (SYNACK, Vector.SYN_ACK_FLOOD)]  # fmt: skip


def one_way(kind: int, packets: int, flows: int | None = None, *, sources: int = 64, held: int = 0) -> Host:
    """Of so many packets so many begin a flow of their own."""
    flows = packets if flows is None else flows
    return host().kind(kind, packets, strange=packets, strange_flows=flows, sources={CLASS_TCP: sources},
                       port=443, port_vote=held)  # fmt: skip


def both(kind: int, packets: int, strange: int | None = None, *, sources: int = 64, held: int = 0) -> Host:
    """The victim sends TCP as well, so a stranger's packet is one that nothing answers."""
    made = one_way(kind, packets, 0, sources=sources, held=held)
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


@pytest.mark.parametrize(("held", "named"), [(ONE_PORT, True), (ONE_PORT - 0.001, False)])
def test_few_sources_on_one_port_are_no_scan(held: float, named: bool) -> None:
    assert bool(vectors(both(FIN, 1000, sources=FEW, held=int(held * 1000)))) is named


@pytest.mark.parametrize(("tried", "named"), [(1000, False), (999, True)])
def test_who_tries_as_many_connections_is_refused(tried: int, named: bool) -> None:
    """The scanner's SYNs may be lost on their way to us, or come after the answers."""
    assert bool(vectors(both(RST, 1000).kind(SYN, 0, out=tried))) is named
    assert bool(vectors(both(SYNACK, 1000).kind(SYN, 0, out=tried))) is named


def test_just_so_few_sources_are_a_scan() -> None:
    assert vectors(both(FIN, 2000, sources=SCAN_SOURCES), 4) == []


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


def _tcp(source: str, target: str, sport: int, dport: int, flags: int) -> bytes:
    addresses = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(target).packed
    header = struct.pack(">BBHHHBBH", 0x45, 0, 40, 0, 0, 64, 6, 0) + addresses
    tcp = struct.pack(">HHIIBBHHH", sport, dport, 7, 9, 0x50, flags, 512, 0, 0)
    return bytes(12) + b"\x08\x00" + header + tcp


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
            at = (1_800_000_001 + 2 * second) * 10**9 + number * 500_000
            port = ports[(second * packets + number) % len(ports)]
            frame = _tcp("9.8.7.6", "9.9.9.9", rng.randrange(1024, 65_536), port, flags)
            frames.append((at, len(frame), frame))
    write(frames, tmp_path / "strays.pcap")
    floods = scan([str(tmp_path / "strays.pcap")], ScanOptions()).floods
    if len(ports) > 10:
        assert floods == ()  # a scan of all ports
        return
    assert [flood.vector for flood in floods] == [vector]
    assert floods[0].packets == pytest.approx(5 * packets, rel=0.05)
