"""Whole scans through the public command: truth of the captures, determinism, bad input."""

from __future__ import annotations

import fcntl
import gzip
import json
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import dpkt
import jsonschema
import pytest
from click.testing import CliRunner
from scoring import ns

from floodwatch import synth
from floodwatch.cli import main
from floodwatch.config.options import ScanOptions
from floodwatch.detectors.reflection import TALKING
from floodwatch.model.vector import AMPLIFIERS
from floodwatch.pipeline.scan import scan as scan_captures

PCAPS = Path(__file__).resolve().parent.parent / "pcaps"
SEED = "00112233445566778899aabbccddeeff"
FLOODS = [
    "dns_amplification", "http_flood", "icmp_flood", "memcached_amplification", "ntp_amplification",
    "ssdp_amplification", "syn_flood", "udp_flood",
]  # fmt: skip


def run(*args: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "floodwatch", "scan", "--seed", SEED, *args]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=120, check=False, cwd="/")


def report(*args: str, stdin: bytes | None = None) -> tuple[int, dict[str, Any]]:
    """The exit code and the report of the command, in this process where it needs no standard input."""
    argv = ("--format", "json", *args)
    if stdin is None:
        called = CliRunner().invoke(main, ["scan", "--seed", SEED, *argv])
        code, out, err = called.exit_code, called.stdout_bytes, called.stderr
    else:
        done = run(*argv, stdin=stdin)
        code, out, err = done.returncode, done.stdout, done.stderr.decode()
    assert out, err
    return code, json.loads(out)


@pytest.fixture(scope="module")
def schema() -> Any:
    command = [sys.executable, "-m", "floodwatch", "config", "schema", "report"]
    return json.loads(subprocess.run(command, capture_output=True, check=True, cwd="/").stdout)


def truth_of(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((PCAPS / f"{name}.truth.json").read_text())
    return loaded


@pytest.mark.parametrize("name", FLOODS)
def test_each_shipped_flood_is_named_with_its_victim_and_size(name: str, schema: Any) -> None:
    code, answer = report(str(PCAPS / f"{name}.pcap.gz"), "--top", "0")
    jsonschema.validate(answer, schema)
    (flood,) = answer["floods"]
    (true,) = truth_of(name)["floods"]
    assert code == 1
    assert flood["vector"] == true["vector"]
    assert flood["victim"]["ip"] == true["victim_ip"]
    assert flood["sources"]["origin"] == true["origin"]
    assert flood["rate"]["peak"] == pytest.approx(true["peak_per_second"], rel=0.15)
    assert flood["packets"] <= 1.02 * true["packets"]
    assert flood["first"][:18] == true["first"][:18]


def test_http_flood_lists_the_bots_and_no_client() -> None:
    _, answer = report(str(PCAPS / "http_flood.pcap.gz"), "--top", "0")
    truth = truth_of("http_flood")
    (flood,) = answer["floods"]
    named = {source["cidr"] for source in flood["sources"]["top"]}
    bots = set(truth["floods"][0]["sources"])
    assert len(named & bots) >= 0.9 * len(bots)
    assert not named & set(truth["clients"])
    assert flood["action"]["recommended"] == "drop_sources"
    assert flood["victim"]["path"] == truth["floods"][0]["path"]


def test_launch_day_separates_floods_and_probing_from_the_clients() -> None:
    _, answer = report(str(PCAPS / "launch-day.pcap.gz"), "--top", "0")
    truth = truth_of("launch-day")
    found = {f["vector"]: f for f in answer["floods"]}
    assert set(found) == {f["vector"] for f in truth["floods"]} | {"api_probing"}
    (prober,) = found["api_probing"]["sources"]["top"]
    assert prober["cidr"] == truth["probing"][0]["source"]
    http = next(f for f in answer["floods"] if f["vector"] == "http_flood")
    assert http["victim"]["path"] == "/api/v1/signup"
    named = {source["cidr"] for source in http["sources"]["top"]}
    assert not named & (set(truth["clients"]) | set(truth["known_clients"]))
    syn = next(f for f in answer["floods"] if f["vector"] == "syn_flood")
    assert syn["sources"]["origin"] == "forged"
    assert syn["sources"]["top"] == []
    assert syn["victim"]["port"] == 443
    assert http["id"] in syn["linked"]


def test_a_crowd_is_a_crowd_and_exits_0() -> None:
    code, answer = report(str(PCAPS / "crowd.pcap.gz"))
    assert code == 0
    assert answer["floods"] == []
    (crowd,) = answer["crowds"]
    assert crowd["verdict"] == "crowd"
    assert crowd["action"]["recommended"] == "scale_out"


@pytest.mark.parametrize("scenario", ["launch_day", "login_bruteforce"])
def test_what_is_told_by_habit_began_when_its_source_came(tmp_path: Path, scenario: str) -> None:
    """Not with the window of the table in which it was there already, or the one before."""
    truth = synth.make(scenario, tmp_path / "habit.pcap", synth.Params(seed=4))
    began = truth.probing[0].first_ns if truth.probing else truth.floods[0].first_ns
    _, answer = report(str(tmp_path / "habit.pcap"))
    (flood,) = (f for f in answer["floods"] if f["vector"] in ("api_probing", "login_bruteforce"))
    assert abs(ns(flood["first"]) - began) <= 10**9


def test_clean_traffic_is_silent() -> None:
    code, answer = report(str(PCAPS / "clean.pcap.gz"))
    assert (code, answer["floods"], answer["crowds"]) == (0, [], [])


def test_real_programs_and_real_kernel() -> None:
    _, answer = report(str(PCAPS / "real_nginx_synflood.pcap.gz"), "--top", "0")
    (flood,) = answer["floods"]
    (true,) = truth_of("real_nginx_synflood")["floods"]
    assert (flood["vector"], flood["sources"]["origin"]) == ("syn_flood", "forged")
    assert flood["packets"] == pytest.approx(true["packets"], rel=0.1)


QUIET = ["clean", "port_scan", "busy_dns", "bulk_download", "office_nat", "one_client_loop", "sign_ups"]
LOUD = {
    "syn_flood_random_ports": "syn_flood", "syn_flood_one_source": "syn_flood", "pulse": "syn_flood",
    "burst": None, "zero_duration": "udp_flood", "http_flood_low_rate": "http_flood",
    "syn_flood": "syn_flood", "http_flood": "http_flood",
}  # fmt: skip
DEVELOPMENT, HELD_OUT = (1,), (20_260, 77_771)


def generated(tmp_path: Path, scenario: str, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    path = tmp_path / f"{scenario}-{seed}.pcap"
    command = [
        sys.executable, "-m", "floodwatch", "gen", scenario, "-w", str(path), "--seed", str(seed),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, cwd="/")
    _, answer = report(str(path), "--top", "0")
    return answer, json.loads(path.with_suffix(".truth.json").read_text())


@pytest.mark.parametrize("scenario", QUIET)
def test_what_is_no_flood_is_not_called_one(tmp_path: Path, scenario: str) -> None:
    answer, _ = generated(tmp_path, scenario, DEVELOPMENT[0])
    assert answer["floods"] == []


@pytest.mark.parametrize("scenario", LOUD)
def test_each_flood_scenario_is_one_event(tmp_path: Path, scenario: str) -> None:
    answer, truth = generated(tmp_path, scenario, DEVELOPMENT[0])
    assert [f["vector"] for f in answer["floods"]] == [LOUD[scenario] or truth["floods"][0]["vector"]]


@pytest.mark.slow
@pytest.mark.parametrize("seed", HELD_OUT)
@pytest.mark.parametrize("scenario", [*QUIET, *LOUD, "crowd"])
def test_held_out_seeds(tmp_path: Path, scenario: str, seed: int) -> None:
    answer, truth = generated(tmp_path, scenario, seed)
    assert {f["vector"] for f in answer["floods"]} == {f["vector"] for f in truth["floods"]}


def test_random_ports_are_one_flood_on_the_address(tmp_path: Path) -> None:
    answer, _ = generated(tmp_path, "syn_flood_random_ports", 3)
    assert [f["victim"]["port"] for f in answer["floods"]] == [None]


def as_pcapng(capture: bytes, order: str) -> bytes:
    """The records of a microsecond pcap as enhanced packet blocks in the byte order ``order``."""

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        size = struct.pack(order + "I", len(body) + 12)
        return struct.pack(order + "I", kind) + size + body + size

    out = [block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))]
    out.append(block(1, struct.pack(order + "HHI", 1, 0, 0)))
    at = 24
    while at < len(capture):
        second, micro, caplen, length = struct.unpack_from("<IIII", capture, at)
        high, low = divmod(second * 1_000_000 + micro, 1 << 32)
        head = struct.pack(order + "IIIII", 0, high, low, caplen, length)
        out.append(block(6, head + capture[at + 16 : at + 16 + caplen]))
        at += 16 + caplen
    return b"".join(out)


@pytest.mark.slow
def test_same_report_for_every_container_and_number_of_jobs(tmp_path: Path) -> None:
    packed = PCAPS / "launch-day.pcap.gz"
    plain = tmp_path / "launch.pcap"
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    little, big = tmp_path / "little.pcapng", tmp_path / "big.pcapng"
    little.write_bytes(as_pcapng(plain.read_bytes(), "<"))
    big.write_bytes(as_pcapng(plain.read_bytes(), ">"))
    answers = [
        run("--format", "json", "--jobs", jobs, str(path))
        .stdout.replace(str(path).encode(), b"X")
        .replace(b'"format":"pcapng"', b'"format":"pcap"')
        for path in (packed, plain, little, big)
        for jobs in ("1", "2")
    ]
    streamed = run("--format", "json", "-", stdin=plain.read_bytes()).stdout.replace(
        b'"path":"-"', b'"path":"X"'
    )
    streamed = streamed.replace(b'"path":"-"', b'"path":"X"').replace(b'"input":"-"', b'"input":"X"')
    assert len({*answers, streamed}) == 1


def test_truncated_capture_keeps_what_came_before(tmp_path: Path) -> None:
    whole = gzip.decompress((PCAPS / "syn_flood.pcap.gz").read_bytes())
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(whole[:-5])
    code, answer = report(str(cut))
    assert code == 1
    error = answer["inputs"][0]["error"]
    assert error["code"] == "truncated_record"
    assert 0 < error["offset"] < len(whole)
    assert run("--strict", str(cut)).returncode == 3


def test_bad_inputs_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pcap"
    empty.touch()
    text = tmp_path / "text.pcap"
    text.write_text("this is no capture at all\n" * 3)
    missing = tmp_path / "missing.pcap"
    good = PCAPS / "icmp_flood.pcap.gz"
    code, answer = report(str(empty), str(text), str(missing), str(good))
    assert code == 1
    assert [i["error"] and i["error"]["code"] for i in answer["inputs"]] == [
        "empty_file", "bad_magic", "missing_file", None,
    ]  # fmt: skip
    done = run(str(empty), str(text), str(missing))
    assert done.returncode == 3
    for path in (empty, text, missing):
        assert path.name.encode() in done.stderr


def test_bomb_stops_at_max_expand(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.pcap.gz"
    header = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
    bomb.write_bytes(gzip.compress(header + bytes(64 << 20)))
    code, answer = report(str(bomb))
    assert code == 3
    assert answer["inputs"][0]["error"]["code"] == "expansion_limit"
    assert answer["inputs"][0]["packets"] < 2_000_000


REAL: dict[str, list[str]] = {
    "attack/pkt.TCP.synflood.spoofed.pcap": ["syn_flood"],
    "attack/amp.UDP.snmp.src161.pcapng": ["snmp_amplification"],
    "attack/amp.UDP.isakmp.pcap": ["isakmp_amplification"],
    "attack/amp.TCP.reflection.SYNACK.pcap": ["tcp_reflection"],
    "attack/ddos.pcap": ["dns_amplification"],
    "attack/CIC-DDoS-2019-WebDDoS.pcap": [],
    "attack/denial6-6.pcap": ["icmp_flood"],
    "attack/rsmurf6.pcap": ["icmp_flood"],
    "attack/tests-dhcp-request-flood-test.pcap": ["udp_flood"],
    "attack/firewall-tcp-session-syn-flood-drop-precedence-input.pcap": ["syn_flood"],
    "attack/tcp-flood.pcap": [],
    "attack/synscan.pcap": [],
    "attack/tcp_0_1000_20190821.pcap": [],
    "attack/nmap_80_all.pcap": [],
    "attack/bruteforce.pcap": [],
    "attack/nmap-vsn.pcap": [],
    "attack/WebattackSQLinj.pcap": [],
    "benign/reddit.pcap": [],
    "benign/example.pcap": [],
    "benign/echo-connections.pcap.gz": [],
    "benign/wikipedia.pcap": [],
    "benign/web.pcap": [],
    "benign/dns53.pcap": [],
    "benign/dnscrypt-v1-and-resolver-pings.pcap": [],
    "benign/tests-datasets-06-state-long-input.pcap": [],
}


@pytest.mark.captures
@pytest.mark.parametrize("name", REAL)
def test_real_captures(name: str, captures: Path) -> None:
    _, answer = report(str(captures / name))
    assert [f["vector"] for f in answer["floods"]] == REAL[name]


@pytest.mark.captures
def test_lessons_of_one_way_captures(captures: Path) -> None:
    _, answer = report(str(captures / "attack/amp.UDP.snmp.src161.pcapng"))
    assert answer["floods"][0]["rate"]["peak"] == 4079
    assert answer["inputs"][0]["format"] == "pcap"  # whatever the name says
    assert answer["inputs"][0]["one_way"]


@pytest.mark.captures
def test_a_full_backlog_is_no_flood_wherever_the_epochs_fall(captures: Path) -> None:
    """500 connections at once, 158 of them turned away: their clients come back after a second."""
    original = gzip.decompress((captures / "benign/echo-connections.pcap.gz").read_bytes())
    for shift_us in range(0, 250_000, 50_000):
        data, at = bytearray(original), 24
        while at + 16 <= len(data):
            second, micro, caplen = struct.unpack_from("<III", data, at)
            struct.pack_into(
                "<II", data, at, second + (micro + shift_us) // 10**6, (micro + shift_us) % 10**6
            )
            at += 16 + caplen
        _, answer = report("-", stdin=bytes(data))
        assert not answer["floods"], shift_us


@pytest.mark.slow
@pytest.mark.captures
def test_corrupt_and_odd_captures_end_in_a_known_way(captures: Path, schema: Any) -> None:
    done = run("--format", "json", "--recursive", str(captures / "corrupt"), str(captures / "formats"))
    assert done.returncode in (0, 1, 3), done.stderr.decode()
    jsonschema.validate(json.loads(done.stdout), schema)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_one_signal_ends_the_wait_for_a_silent_pipe(jobs: str) -> None:
    command = [sys.executable, "-m", "floodwatch", "scan", "--format", "json", "--jobs", jobs, "-"]
    header = (PCAPS / "clean.pcap.gz").read_bytes()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
    assert process.stdin is not None
    process.stdin.write(gzip.decompress(header)[:10_000])
    process.stdin.flush()
    while int.from_bytes(fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4)), sys.byteorder):
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.2)  # what it took is counted
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    answer = json.loads(process.stdout.read())
    assert process.wait(10) == 130
    assert answer["complete"] is False
    assert answer["inputs"][0]["packets"] > 10


@pytest.mark.slow
def test_memory_is_flat_in_packets_and_sources(tmp_path: Path) -> None:
    """One file fed again and again through a pipe: 10^5 and 10^8 forged SYNs end below 200 MB."""
    path = tmp_path / "syn.pcap"
    synth.bench_syn(path, 1_000_000)
    header, records = path.read_bytes()[:24], path.read_bytes()[24:]
    script = (
        "import sys; from floodwatch.cli import main\n"
        "try: main(['scan', '-q', '-'])\n"
        # ru_maxrss would be that of the parent which forked us
        "finally: print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
    )
    peaks = []
    for feed in ((records[: 80 * 100_000], 1), (records, 100)):
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, cwd="/",
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(header)
        for _ in range(feed[1]):
            process.stdin.write(feed[0])
        process.stdin.close()
        peaks.append(int(process.stderr.read().split()[-1]))
        process.wait()
    print("peak RSS in KiB:", peaks)
    assert max(peaks) < 200_000


@pytest.mark.parametrize(("port", "name"), [a for a in AMPLIFIERS if a[0] not in (53, 123, 443)])
def test_answers_from_each_reflector_port_have_their_name(tmp_path: Path, port: int, name: str) -> None:
    """40 reflectors answer 2,000 times a second for a second; only the port tells the protocol."""
    path = tmp_path / "reflected.pcap"
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file, linktype=101)
        for i in range(2000):
            udp = dpkt.udp.UDP(sport=port, dport=40_000, data=bytes(400))
            udp.ulen = len(udp)
            ip = dpkt.ip.IP(
                src=bytes((192, 0, 2, 1 + i % 40)), dst=bytes((198, 51, 100, 7)), p=17, data=udp, ttl=60
            )
            ip.len = len(ip)
            writer.writepkt(bytes(ip), 1_700_000_000 + i / 2000)
    report = scan_captures([str(path)], ScanOptions())
    if name in TALKING:  # whose peers send as much for long, and here it was not captured who asked
        assert (report.floods, [surge.vector for surge in report.surges]) == ((), [f"{name}_amplification"])
        return
    (flood,) = report.floods
    assert flood.vector == f"{name}_amplification"
    assert (flood.sources.origin, flood.action.recommended) == ("reflected", "drop_reflector_port")
