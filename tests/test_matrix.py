"""Vectors x shapes x phases: what is named hangs on no rate, count or phase; and its benign twins.

Each capture is made here, of forged packets (``forge``) or by hand. Beside it the victim talks to one client,
so that it is heard, or nobody talks at all. A few of each kind are quick; all of them are slow.
"""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import TypeAlias

import pytest

import floodwatch as fw
from floodwatch import synth

sys.path.insert(0, str(Path(__file__).parent))
from forge import FLAGS, TCP, Forger

Frame: TypeAlias = tuple[float, bytes]
"""Seconds from the beginning of an epoch, and the packet from its IP header on."""
Make: TypeAlias = Callable[[], list[Frame]]
START = 1_737_943_987
VICTIM, VICTIM6 = "198.51.100.7", "2001:db8:5::7"
NAMES = {
    "syn": "syn_flood", "ack": "ack_flood", "rst": "rst_flood", "fin": "fin_flood",
    "synack": "syn_ack_flood", "odd": "tcp_flag_flood", "udp": "udp_flood", "udp_ports": "udp_flood",
    "dns": "dns_amplification", "icmp": "icmp_flood", "fragments": "fragment_flood",
    "gre": "ip_protocol_flood",
}  # fmt: skip
PHASES = (0.0, 0.06, 0.12, 0.18, 0.22)
"""Seconds behind the beginning of an epoch."""
PULSES = ((0.2, 0.3, 400), (0.05, 0.7, 400), (0.1, 0.4, 320), (0.3, 2.0, 700))
"""Seconds of a pulse and of the pause behind it, and packets in a pulse: above 1.25 floors of all vectors."""
LOOPS = (1, 20, 200, 2000)


def address(text: str) -> bytes:
    return bytes(map(int, text.split(".")))


def ip4(source: bytes, target: bytes, body: bytes, number: int = TCP, identification: int = 0) -> bytes:
    return (
        struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), identification, 0, 60, number, 0)
        + source
        + target
        + body
    )


def tcp(sport: int, dport: int, seq: int, ack: int, flags: int, payload: bytes = b"") -> bytes:
    return (
        struct.pack("!HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, 0x50, flags, 64_240, 0, 0) + payload
    )


def udp(sport: int, dport: int, payload: bytes) -> bytes:
    return struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload


def talk(seconds: float) -> Iterator[Frame]:
    """The victim and one client say something 20 times a second, on a connection from before."""
    us, other = address(VICTIM), address("192.0.2.200")
    for number in range(int(20 * seconds)):
        at, said = number / 20, b"\x17\x03\x03\0\x0a" + bytes(10)
        yield at, ip4(other, us, tcp(5000, 443, 15 * number, 15 * number, FLAGS["ack"], said))
        yield at + 0.01, ip4(us, other, tcp(443, 5000, 15 * number, 15 * number + 15, FLAGS["ack"], said))


def spread(packet: Callable[[], bytes], begin: float, seconds: float, count: int) -> Iterator[Frame]:
    return ((begin + seconds * number / count, packet()) for number in range(count))


def scan(frames: Iterable[Frame], folder: Path) -> fw.Report:
    path = folder / "made.pcap"
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 1 << 18, 101))
        for at, packet in sorted(frames):
            ns = int(at * 1e9)
            seconds = START + ns // 10**9
            file.write(struct.pack("<IIII", seconds, ns % 10**9, len(packet), len(packet)) + packet)
    return fw.scan(path, seed=bytes(16))


def named(report: fw.Report) -> list[str]:
    return [flood.vector for flood in report.floods]


def pulses(kind: str, phase: float, pulse: tuple[float, float, int]) -> list[Frame]:
    on, off, count = pulse
    forger, frames = Forger(kind, VICTIM, seed=int(1e3 * phase)), list[Frame]()
    for number in range(5):
        frames += spread(forger.packet, 1 + phase + number * (on + off), on, count)
    return [*frames, *talk(2 + 5 * (on + off))]


QUICK = [(kind, phase, PULSES[0]) for kind, phase in zip(NAMES, 3 * PHASES[1:], strict=False)]
ALL = list(product(NAMES, PHASES, PULSES))


def holds_pulses(folder: Path, kind: str, phase: float, pulse: tuple[float, float, int]) -> None:
    report = scan(pulses(kind, phase, pulse), folder)
    assert named(report) == [NAMES[kind]]
    assert "pulse" in report.floods[0].pattern


@pytest.mark.parametrize(("kind", "phase", "pulse"), QUICK)
def test_pulses_in_any_phase(
    tmp_path: Path, kind: str, phase: float, pulse: tuple[float, float, int]
) -> None:
    holds_pulses(tmp_path, kind, phase, pulse)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "phase", "pulse"), ALL)
def test_all_pulses_in_any_phase(
    tmp_path: Path, kind: str, phase: float, pulse: tuple[float, float, int]
) -> None:
    holds_pulses(tmp_path, kind, phase, pulse)


@pytest.mark.parametrize("phase", PHASES)
def test_a_burst_of_syns_and_then_nothing(tmp_path: Path, phase: float) -> None:
    burst = list(spread(Forger("syn", VICTIM).packet, phase, 0.1, 200))
    after = 1.1, ip4(address("192.0.2.9"), address("198.51.100.99"), udp(5, 6, b"later"), 17)
    (flood,) = scan([*burst, after], tmp_path).floods
    assert (flood.vector, flood.packets) == ("syn_flood", 200)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "victim", "rate"), list(product(NAMES, (VICTIM, VICTIM6), (2_400, 8_000))))
def test_captures_that_begin_inside_a_flood(tmp_path: Path, kind: str, victim: str, rate: int) -> None:
    report = scan(spread(Forger(kind, victim).packet, 0.07, 1.5, int(1.5 * rate)), tmp_path)
    assert named(report) == [NAMES[kind]]


def holds_loops(folder: Path, kind: str, length: int) -> None:
    forger = Forger(kind, VICTIM, seed=length)
    loop = [forger.packet() for _ in range(length)]
    frames = [(number / 2_600, loop[number % length]) for number in range(5_200)]
    few = {"synack": ["tcp_reflection"]}
    assert named(scan(frames, folder)) in ([NAMES[kind]], few.get(kind))


@pytest.mark.parametrize(
    ("kind", "length"), [("syn", 200), ("udp", 20), ("fragments", 200), ("gre", 20), ("icmp", 1)]
)
def test_what_is_replayed_is_a_flood(tmp_path: Path, kind: str, length: int) -> None:
    holds_loops(tmp_path, kind, length)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "length"), list(product(NAMES, LOOPS)))
def test_all_that_is_replayed_is_a_flood(tmp_path: Path, kind: str, length: int) -> None:
    holds_loops(tmp_path, kind, length)


def at_ports(ports: Iterable[int], rate: float, *, refused: bool) -> list[Frame]:
    """SYNs of one source, one to each of the ports."""
    draw, us, source, frames = random.Random(5), address(VICTIM), address("203.0.113.5"), list[Frame]()
    for number, port in enumerate(ports):
        at, seq, sport = 1 + number / rate, draw.getrandbits(32), draw.randrange(1024, 65_536)
        frames.append((at, ip4(source, us, tcp(sport, port, seq, 0, FLAGS["syn"]))))
        if refused:
            frames.append(
                (at + 5e-5, ip4(us, source, tcp(port, sport, 0, seq + 1, FLAGS["rst"] | FLAGS["ack"])))
            )
    return [*frames, *talk(2 + number / rate)]


def drawn(count: int) -> list[int]:
    draw = random.Random(count)
    return [draw.randrange(1, 65_536) for _ in range(count)]


def each_once(count: int) -> list[int]:
    return random.Random(count).sample(range(1, 65_536), count)


@pytest.mark.parametrize(("rate", "count", "refused"), [(1_000, 4_000, True), (5_000, 16_000, False)])
def test_one_source_that_draws_ports_is_a_flood(tmp_path: Path, rate: int, count: int, refused: bool) -> None:
    (flood,) = scan(at_ports(drawn(count), rate, refused=refused), tmp_path).floods
    assert flood.vector == "syn_flood"


@pytest.mark.parametrize(("rate", "count", "refused"), [(1_000, 3_000, True), (20_000, 20_000, False)])
def test_one_source_that_asks_each_port_once_scans(
    tmp_path: Path, rate: int, count: int, refused: bool
) -> None:
    assert named(scan(at_ports(each_once(count), rate, refused=refused), tmp_path)) == []


def test_a_scan_may_ask_once_more_where_nothing_answers(tmp_path: Path) -> None:
    ports = each_once(12_000)
    again = [port for begin in range(0, len(ports), 3_000) for port in 2 * ports[begin : begin + 3_000]]
    assert named(scan(at_ports(again, 3_000, refused=False), tmp_path)) == []


@pytest.mark.parametrize(("rate", "floods"), [(55, 0), (200, 0), (400, 1)])
def test_a_client_of_a_closed_port(tmp_path: Path, rate: int, floods: int) -> None:
    assert len(scan(at_ports([80] * 8 * rate, rate, refused=True), tmp_path).floods) == floods


@pytest.mark.parametrize(("devices", "rate"), [(60, 700), (200, 1_400), (400, 2_800)])
@pytest.mark.parametrize("scenario", ["collector", "collector_own_port"])
def test_devices_that_report(tmp_path: Path, scenario: str, devices: int, rate: int) -> None:
    path = tmp_path / "devices.pcap"
    synth.make(scenario, path, synth.Params(seed=rate, sources=devices, pps=rate, duration=3.0))
    assert named(fw.scan(path, seed=bytes(16))) == []


@pytest.mark.parametrize("rate", [200, 800])
def test_health_checks_connect_and_close(tmp_path: Path, rate: int) -> None:
    us, frames, flags = address(VICTIM), list[Frame](), (FLAGS["ack"], FLAGS["fin"])
    for number in range(4 * rate):
        at, sport, source = number / rate, 20_000 + number % 40_000, address(f"192.0.2.{1 + number % 4}")
        frames += [
            (at, ip4(source, us, tcp(sport, 8080, number, 0, FLAGS["syn"]))),
            (at + 1e-4, ip4(us, source, tcp(8080, sport, 7 * number, number + 1, FLAGS["synack"]))),
            *(
                (at + 2e-4, ip4(source, us, tcp(sport, 8080, number + 1, 7 * number + 1, flag)))
                for flag in flags
            ),
        ]
    assert named(scan(frames, tmp_path)) == []
