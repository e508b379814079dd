"""The generator against an oracle: dpkt counts on the written file what the truth claims."""

from __future__ import annotations

import gzip
import ipaddress
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dpkt
import numpy as np
import pytest
from click.testing import CliRunner

from floodwatch import synth
from floodwatch.cli.gen import gen
from floodwatch.synth.__main__ import EXAMPLES, SNAPLEN, readme
from floodwatch.synth.quic import ACK_ALONE, HANDSHAKE
from floodwatch.synth.records import RESET_RECORD, requests_of
from floodwatch.synth.truth import peak

PCAPS = Path(__file__).resolve().parent.parent / "pcaps"
SMALL = {"pps": 400.0, "duration": 2.0}
RATES = {"launch_day": 300.0, "clean": 12.0, "crowd": 40.0, "one_client_loop": 133.0}
QUIET = tuple(
    name
    for name, scenario in synth.SCENARIOS.items()
    if (scenario.__doc__ or "").splitlines()[0].endswith(("Not a flood.", "no flood."))
)
OVER_V6 = ("nat64_bots", "bots_over_a_64")
"""Carried over to IPv6 after they were made; tests/test_bystanders.py looks at them."""
CROWDS = ("crowd", "crowd_inside_tls", "app_crowd_inside_tls", "offices_inside_tls")
FLOODS = tuple(name for name in synth.SCENARIOS if name not in ("launch_day", *CROWDS, *QUIET, *OVER_V6))
LINE = re.compile(rb"^PROXY [^\r]*\r\n")
STRAYS = ("ack_flood", "rst_flood", "fin_flood", "syn_ack_flood", "tcp_flag_flood", "tcp_reflection")
REFLECTOR_PORT = {"dns": 53, "ntp": 123, "ssdp": 1900, "memcached": 11211}


@dataclass
class Seen:
    """One IP packet as dpkt decodes it."""

    t: int
    ip: Any
    src: str
    dst: str
    wire: int

    @property
    def tcp(self) -> Any:
        """The TCP segment or None."""
        return self.ip.data if isinstance(self.ip.data, dpkt.tcp.TCP) else None

    @property
    def is_syn(self) -> bool:
        """A SYN without ACK."""
        return self.tcp is not None and (self.tcp.flags & 0x12) == 0x02


def read(path: Path) -> Iterator[Seen]:
    """Decode every record of a capture."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    at = 24
    while at < len(data):
        seconds, micros, captured, wire = np.frombuffer(data, "<u4", 4, at)
        ip = dpkt.ethernet.Ethernet(data[at + 16 : at + 16 + captured]).data
        nanos = int(seconds) * 1_000_000_000 + int(micros) * 1000
        yield Seen(nanos, ip, str(ipaddress.ip_address(ip.src)), str(ipaddress.ip_address(ip.dst)), int(wire))
        at += 16 + int(captured)


def small(name: str, seed: int = 1, **changes: Any) -> synth.Params:
    """Parameters that keep a scenario quick to decode."""
    values = SMALL | {"pps": RATES.get(name, SMALL["pps"])} | ({"duration": 20.0} if name == "crowd" else {})
    if name == "launch_day":
        values["duration"] = None
    return synth.Params(seed=seed, **(values | changes))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Make a scenario once: (truth as JSON, packets as dpkt sees them, path)."""
    folder, cache = tmp_path_factory.mktemp("synth"), {}

    def make(name: str) -> tuple[dict[str, Any], list[Seen], Path]:
        if name not in cache:
            path = folder / f"{name}.pcap"
            synth.make(name, path, small(name))
            cache[name] = json.loads(path.with_suffix(".truth.json").read_text()), list(read(path)), path
        return cache[name]

    return make


def flood_packets(flood: dict[str, Any], packets: list[Seen], clients: list[str]) -> list[Seen]:
    """The packets of one flood, chosen by what the wire shows (and by address where that tells them)."""
    victim = ipaddress.ip_network(flood["victim_ip"])
    to_victim = [p for p in packets if p.dst == flood["victim_ip"]]
    if victim.num_addresses > 1 and ":" not in str(victim):
        people = set(clients)
        inside = [p for p in packets if ipaddress.ip_address(p.dst) in victim and p.src not in people]
        to_victim = [p for p in inside if b"\x07example" not in bytes(p.ip.data)]  # no lookups
    vector = flood["vector"]
    if flood.get("via"):
        named = [source.encode() for source in flood["sources"]]
        tcp = [p for p in to_victim if p.tcp and p.src in flood["via"]]
        guilty = {(p.src, p.tcp.sport) for p in tcp if any(name in p.tcp.data for name in named)}
        return [p for p in tcp if (p.src, p.tcp.sport) in guilty and p.t <= flood["last_ns"]]
    if flood["sources"]:
        guilty = [p for p in to_victim if p.src in set(flood["sources"])]
        return [p for p in guilty if flood["first_ns"] <= p.t <= flood["last_ns"]]
    if vector == "http_flood":
        return to_victim
    if vector == "syn_flood":
        return [p for p in to_victim if p.is_syn and p.tcp.win == 512]
    if vector == "icmp_flood":
        return [p for p in to_victim if p.ip.p == 1]
    if vector == "ip_protocol_flood":
        return [p for p in to_victim if p.ip.p == 47]
    if vector == "dns_query_flood":
        return [p for p in to_victim if b"\x04shop\x07example" in bytes(p.ip.data)]
    people = set(clients)
    if vector in STRAYS:
        return [p for p in to_victim if p.src not in people and p.ip.p == 6]
    port = REFLECTOR_PORT.get(vector.removesuffix("_amplification"))
    udp = [p for p in to_victim if p.ip.p == 17]
    if port is None:
        return udp
    return [p for p in udp if p.ip.offset or p.ip.data.sport == port]


@pytest.mark.parametrize("name", ["syn_flood", "clean", "http_flood", "dns_amplification", "launch_day"])
def test_same_seed_same_bytes(name: str, tmp_path: Path) -> None:
    files = []
    for number, seed in enumerate((3, 3, 4)):
        path = tmp_path / f"{number}.pcap.gz"
        synth.make(name, path, small(name, seed))
        files.append((path.read_bytes(), (tmp_path / f"{number}.truth.json").read_bytes()))
    assert files[0] == files[1]
    assert files[0][0] != files[2][0]
    assert files[0][1] != files[2][1]


@pytest.mark.parametrize("name", synth.SCENARIOS)
def test_every_scenario_is_quick_and_ordered(name: str, tmp_path: Path) -> None:
    begin = time.process_time()
    trace = synth.generate(name)
    truth = synth.write(trace, tmp_path / "x.pcap", snaplen=96)
    assert time.process_time() - begin < 8
    times = trace.packets()["t"]
    assert truth.packets == len(times) > 1000
    assert (np.diff(times) >= 0).all()
    assert (times % 1000 == 0).all()


@pytest.mark.parametrize("name", FLOODS)
def test_truth_of_a_flood_agrees_with_dpkt(name: str, made: Any) -> None:
    truth, packets, _ = made(name)
    assert truth["packets"] == len(packets)
    flood = truth["floods"][-1]
    mine = flood_packets(flood, packets, truth["clients"])
    assert len(mine) == flood["packets"]
    assert (mine[0].t, mine[-1].t) == (flood["first_ns"], flood["last_ns"])
    via = set(flood.get("via", ()))
    assert len({p.src for p in mine}) == (len(via) or flood["source_count"])
    counted = mine
    if name == "http2_flood":  # a frame a packet
        counted = [p for p in mine if b"chat.example" in p.tcp.data]
        assert len(counted) == flood["requests"]
    elif flood["vector"] == "http_flood":
        assert (via or set(flood["sources"] or ())) in ({p.src for p in mine}, set())
        target = f"GET {flood['path']}".encode()
        start = b"GET " if flood["path"] is None else (target + b" HTTP/1.1", target + b"?")
        counted = [p for p in mine if LINE.sub(b"", p.tcp.data).startswith(start)]
        assert len(counted) == flood["requests"] == sum(p.tcp.flags & 8 != 0 for p in mine)
    elif flood["vector"] == "login_bruteforce":
        counted = [p for p in mine if p.tcp.data.startswith((b"POST /login", b"GET /manager/html"))]
    elif flood["vector"] in ("connection_flood", "slow_http"):
        counted = [p for p in mine if p.is_syn]
    elif flood["vector"] == "tls_flood":
        counted = [p for p in mine if p.tcp.data.startswith(b"\x16\x03\x01")]
    elif flood["vector"] == "https_flood":
        counted = [p for p in mine if p.tcp for _ in range(requests_of(p.tcp.data))]
    elif name == "madeyoureset_inside_tls":
        counted = [p for p in mine if len(p.tcp.data) == RESET_RECORD]
    elif flood["vector"] == "http3_flood":
        counted = [p for p in mine if ACK_ALONE < len(p.ip.data.data) < HANDSHAKE]
    elif flood["vector"].startswith(("http2", "made", "web")):  # ten frames a packet, behind the first
        first = (b"PRI ", b"GET ")
        counted = [p for p in mine if p.tcp.data and not p.tcp.data.startswith(first) for _ in range(10)]
    assert peak(np.array([p.t for p in counted])) == flood["peak_per_second"]


@pytest.mark.parametrize("name", [n for n in FLOODS if n.startswith("syn_flood") or n == "pulse"])
def test_forged_syns_are_never_followed_by_an_ack(name: str, made: Any) -> None:
    truth, packets, _ = made(name)
    (flood,) = truth["floods"]
    sources = {p.src for p in flood_packets(flood, packets, truth["clients"])}
    assert not [p for p in packets if p.src in sources and p.tcp and p.tcp.flags & 0x10 and not p.is_syn]


@pytest.mark.parametrize("name", QUIET)
def test_ordinary_traffic_has_no_flood_in_its_truth(name: str, made: Any) -> None:
    truth, packets, _ = made(name)
    assert truth["floods"] == truth["crowds"] == []
    assert truth["client_count"] == len(truth["clients"]) > 0
    assert {p.src for p in packets} >= set(truth["known_clients"])


def test_reflected_packets_look_like_their_protocol(made: Any) -> None:
    for name, size in (("ntp", 440), ("memcached", 1400)):
        truth, packets, _ = made(f"{name}_amplification")
        mine = flood_packets(truth["floods"][0], packets, truth["clients"])
        assert {len(p.ip.data.data) for p in mine} == {size}
    truth, packets, _ = made("dns_amplification")
    mine = flood_packets(truth["floods"][0], packets, truth["clients"])
    whole = [p for p in mine if not p.ip.mf and not p.ip.offset]
    answers = [dpkt.dns.DNS(p.ip.data.data) for p in whole[:20]]
    assert all(a.qr == dpkt.dns.DNS_R and a.qd[0].type == 255 and len(a.an) > 3 for a in answers)
    assert Counter(p.ip.offset for p in mine)[1480 // 8] == sum(
        bool(p.ip.mf and not p.ip.offset) for p in mine
    )


def test_people_complete_their_handshakes_and_stay_consistent(made: Any) -> None:
    """Replay every conversation: each side's sequence numbers continue, each ACK names what was sent."""
    _, packets, _ = made("clean")
    following: dict[tuple[str, int, str, int], int] = {}
    for p in packets:
        if not p.tcp:
            continue
        me, you = (p.src, p.tcp.sport, p.dst, p.tcp.dport), (p.dst, p.tcp.dport, p.src, p.tcp.sport)
        assert p.tcp.seq == following.get(me, p.tcp.seq)
        if p.tcp.flags & 0x10:
            assert (following[you] - p.tcp.ack) % (1 << 32) < 1 << 25
        length = p.ip.len - 4 * p.ip.hl - 4 * p.tcp.off
        following[me] = (p.tcp.seq + length + bool(p.tcp.flags & 0x03)) % (1 << 32)
    assert len(following) > 100


def test_a_crowd_completes_its_handshakes_and_grows_tenfold(made: Any) -> None:
    truth, packets, _ = made("crowd")
    (crowd,) = truth["crowds"]
    syns = {(p.src, p.tcp.sport, p.tcp.seq): p.t for p in packets if p.is_syn}
    acks = {(p.src, p.tcp.sport, p.tcp.seq) for p in packets if p.tcp and p.tcp.flags == 0x10}
    # a SYN that the slow server let fall comes again for up to 3 s, which may be after the capture's end
    settled = [syn for syn, t in syns.items() if t < truth["last_ns"] - 4_000_000_000]
    assert all((src, port, (seq + 1) % (1 << 32)) in acks for src, port, seq in settled)
    first = truth["first_ns"]
    lead = sum(t < first + 4_000_000_000 for t in syns.values()) / 4
    late = sum(t > truth["last_ns"] - 3_000_000_000 for t in syns.values()) / 3
    assert 5 * lead < late < 20 * lead
    assert len({src.rpartition(".")[0] for src, _, _ in syns}) > crowd["client_count"] / 3
    assert sum(p.is_syn for p in packets) > len(syns), "some SYNs come twice as the server slows down"
    # the last few may arrive after the capture's end
    assert crowd["client_count"] - 5 <= sum(t >= crowd["first_ns"] for t in syns.values())
    to_site = [p for p in packets if p.t >= crowd["first_ns"] and p.tcp and p.tcp.dport == 80]
    asked = [p for p in to_site if p.tcp.data[:4] in (b"GET ", b"POST")]
    assert len(asked) == crowd["requests"]


def test_the_launch_day_tells_its_story(made: Any) -> None:
    truth, packets, _ = made("launch_day")
    vectors = [flood["vector"] for flood in truth["floods"]]
    assert vectors == ["ntp_amplification", "ssdp_amplification", "http_flood", "syn_flood"]
    for flood in truth["floods"]:
        assert len(flood_packets(flood, packets, truth["clients"])) == flood["packets"]
        assert truth["crowds"][0]["first_ns"] < flood["first_ns"] < flood["last_ns"] < truth["last_ns"]
    http = truth["floods"][2]
    assert not set(http["sources"]) & set(truth["clients"])
    ours = [
        p for p in packets if p.src in set(http["sources"]) and p.tcp.data.startswith(b"POST /api/v1/signup")
    ]
    assert len(ours) == http["requests"]
    theirs = {
        p.src for p in packets if p.src in set(truth["clients"]) and p.tcp.data.startswith(b"POST /api/v1/si")
    }
    assert theirs, "people sign up too"
    assert truth["probing"][0]["source"] not in truth["clients"]


@pytest.mark.parametrize("name", [*FLOODS, "clean", "busy_dns"])
def test_checksums_are_right_by_scapy(name: str, made: Any) -> None:
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.l2 import Ether
    from scapy.utils import RawPcapReader

    _, packets, path = made(name)
    frames = [raw for raw, _ in RawPcapReader(str(path))]  # dissecting all of them takes seconds
    for number in np.random.default_rng(5).choice(len(packets), 60):
        frame = Ether(frames[int(number)])
        layers = [layer for layer in (IP, TCP, UDP, ICMP) if layer in frame]
        if frame[IP].flags.MF or frame[IP].frag:
            layers = [IP]  # the datagram's checksum: see the next test
        written = [frame[layer].chksum for layer in layers]
        for layer in layers:
            del frame[layer].chksum
        again = Ether(bytes(frame))
        assert [again[layer].chksum for layer in layers] == written


def test_checksum_of_a_fragmented_datagram(made: Any) -> None:
    _, packets, _ = made("dns_amplification")
    first = next(p for p in packets if p.ip.mf and not p.ip.offset)
    parts = [p for p in packets if (p.ip.id, p.src) == (first.ip.id, first.src)]
    datagram = b"".join(bytes(p.ip.data) for p in sorted(parts, key=lambda p: p.ip.offset))
    assert len(datagram) == int.from_bytes(datagram[4:6], "big")
    data = first.ip.src + first.ip.dst + b"\0\x11" + datagram[4:6] + datagram + b"\0" * (len(datagram) % 2)
    total = int(np.frombuffer(data, ">u2").sum(dtype=np.uint64))
    assert total % 0xFFFF == 0


@pytest.mark.parametrize("scenario", ["crowd", "launch_day"])
def test_a_story_that_is_too_short_is_refused(tmp_path: Path, scenario: str) -> None:
    least = synth.LEAST_SECONDS[scenario]
    with pytest.raises(ValueError, match=f"{scenario} takes at least {least:.0f} s, not 3"):
        synth.make(scenario, tmp_path / "x.pcap", synth.Params(duration=3.0))
    assert synth.make(scenario, tmp_path / "x.pcap", synth.Params(duration=least)).packets > 1000


def test_an_ipv6_flood(tmp_path: Path) -> None:
    path = tmp_path / "v6.pcap"
    params = synth.Params(victim="2001:db8::7", pps=500, duration=1)
    flood = synth.make("syn_flood", path, params).floods[0]
    packets = [p for p in read(path) if p.dst == "2001:db8::7"]
    assert len(packets) == flood.packets == 500
    assert len({p.src for p in packets}) == flood.source_count
    assert len({p.ip.src[:8] for p in packets}) > 100
    p = packets[0]
    data = p.ip.src + p.ip.dst + (32).to_bytes(4, "big") + b"\0\0\0\x06" + bytes(p.tcp)
    assert int(np.frombuffer(data, ">u2").sum(dtype=np.uint64)) % 0xFFFF == 0
    with pytest.raises(ValueError, match="IPv4 only"):
        synth.generate("udp_flood", params)


def test_snaplen_cuts_the_capture_and_not_the_stated_length(tmp_path: Path) -> None:
    synth.make("udp_flood", tmp_path / "x.pcap", small("udp_flood"), snaplen=100)
    wire = [p.wire for p in read(tmp_path / "x.pcap")]
    assert max(wire) > 1000
    assert (tmp_path / "x.pcap").stat().st_size <= 24 + 116 * len(wire)


@pytest.mark.parametrize("sources", [None, 50])
def test_bench_syn(sources: int | None, tmp_path: Path) -> None:
    path = tmp_path / "syn.pcap"
    synth.bench_syn(path, 40_000, sources=sources, seed=2, dport=443)
    assert path.stat().st_size == 24 + 80 * 40_000
    packets = list(read(path))[::40]
    assert all(p.is_syn and p.tcp.dport == 443 and p.wire == 64 for p in packets)
    assert packets[1].t - packets[0].t == 40_000
    assert (len({p.src for p in packets}) <= 50) == (sources is not None)
    for p in packets[:50]:
        data = p.ip.src + p.ip.dst + b"\0\x06\0\x14" + bytes(p.tcp)[:20]
        assert int(np.frombuffer(data, ">u2").sum(dtype=np.uint64)) % 0xFFFF == 0


@pytest.mark.slow
def test_bench_web(tmp_path: Path) -> None:
    path = tmp_path / "web.pcap"
    synth.bench_web(path, 120_000)
    count, total, last, clients = 0, 0, 0, set()
    for p in read(path):
        assert p.t >= last
        count, total, last = count + 1, total + p.wire, p.t
        clients.add(p.src)
        if count % 500 == 0:  # also in later cycles, whose checksums are patched
            length = (p.ip.len - 20).to_bytes(2, "big")
            data = p.ip.src + p.ip.dst + b"\0\x06" + length + bytes(p.tcp)[: p.ip.len - 20]
            assert (
                int(np.frombuffer(data + b"\0" * (len(data) % 2), ">u2").sum(dtype=np.uint64)) % 0xFFFF == 0
            )
    assert count == 120_000
    assert 600 < total / count < 850
    assert 1900 < len(clients) < 2010


@pytest.mark.parametrize("name", ["clean", "ntp_amplification"])
def test_the_captures_in_the_repository_are_the_generators(name: str, tmp_path: Path) -> None:
    scenario, params = EXAMPLES[name]
    synth.make(scenario, tmp_path / f"{name}.pcap.gz", params, SNAPLEN)
    for suffix, unpack in ((".pcap.gz", gzip.decompress), (".truth.json", bytes)):
        made_now, stored = (unpack((folder / (name + suffix)).read_bytes()) for folder in (tmp_path, PCAPS))
        assert made_now == stored


def test_the_captures_in_the_repository_are_small_and_described() -> None:
    files = list(PCAPS.iterdir())
    assert sum(path.stat().st_size for path in files) <= 10_000_000
    for path in PCAPS.glob("*.pcap.gz"):
        assert path.with_name(path.name.replace(".pcap.gz", ".truth.json")) in files
    assert (PCAPS / "README.md").read_text() == readme(PCAPS)


def test_the_command(tmp_path: Path) -> None:
    run = CliRunner().invoke
    listed = run(gen, ["--list"])
    assert listed.exit_code == 0
    assert all(name in listed.output for name in synth.SCENARIOS)
    path = tmp_path / "a.pcap.gz"
    options = ["--seed", "5", "--pps", "300", "--duration", "1", "--sources", "9", "--target", "203.0.113.5"]
    result = run(gen, ["syn-flood", "-w", str(path), *options])
    assert result.exit_code == 0, result.output
    truth = json.loads((tmp_path / "a.truth.json").read_text())
    (flood,) = truth["floods"]
    assert (flood["victim_ip"], flood["source_count"], flood["packets"]) == ("203.0.113.5", 9, 300)
    assert run(gen, ["no-such", "-w", str(path)]).exit_code == 2
    assert run(gen, ["udp_flood", "-w", str(path), "--target", "2001:db8::1"]).exit_code == 2
