"""Every sentence of the evidence is true by itself: its numbers are counted again from the packets.

The quick part runs over the example captures and a scenario for each way of counting; the long one over every
scenario, and over every capture that the environment names.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import dpkt
import msgspec
import pytest
from oracle import inspect
from oracle.claims import CLAIMS, nanoseconds
from oracle.packets import UDP, UnreadableError, content, frames, network, packet

from floodwatch import synth
from floodwatch.config.options import ScanOptions
from floodwatch.pipeline.scan import scan
from floodwatch.synth import Params

HERE = Path(__file__).parent
EXAMPLES = sorted((HERE.parent / "pcaps").glob("*.pcap.gz"))
DIRECTORIES = ("FLOODWATCH_CAPTURES", "FLOODWATCH_CASES", "FLOODWATCH_FIELD", "FLOODWATCH_TLS")
KEY = b"oracle of report"
BRIEF = {
    "ack_flood": 1.5, "connection_flood": 1.5, "fragment_flood": 1.5, "gre_flood": 1.5,
    "http2_rapid_reset": 2,
    "http2_continuation_flood": 2, "pulse": 4, "slow_http": 4, "slow_post": 4, "slow_read": 4,
    "tcp_reflection": 3,
}  # fmt: skip
"""Scenarios that the quick part makes, and for how many seconds."""
CAPTURES = (".pcap", ".pcapng", ".gz", ".xz")


def told(path: Path) -> tuple[dict[str, Any], bool]:
    """The report about a capture, and whether it shows every frame twice."""
    report = msgspec.to_builtins(scan([str(path)], ScanOptions(seed=KEY, top=0)))
    return report, any(given["doubled"] > 0.9 for given in report["inputs"])


def denied(path: Path) -> tuple[list[str], Counter[str]]:
    """What the packets deny of a report, and how many of its numbers agree, are denied, cannot be known."""
    report, doubled = told(path)
    out, found = [], Counter[str]()
    for event in report["floods"] + report["crowds"] + report["surges"]:
        try:
            for name, verdict, says in inspect(event, str(path), doubled):
                found[str(verdict.agrees)] += 1
                if verdict.agrees is False:
                    out.append(f"{event['id']} {name}: {says}; counted: {verdict.counted}")
        except UnreadableError as error:
            found[f"cannot know: {error}"] += 1
    return out, found


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_no_number_about_an_example_is_denied(path: Path) -> None:
    out, found = denied(path)
    assert not out, "\n".join(out)
    assert set(found) <= {"True", "None"}


@pytest.mark.parametrize("scenario", BRIEF)
def test_no_number_about_a_brief_flood_is_denied(scenario: str, tmp_path: Path) -> None:
    path = tmp_path / "flood.pcap"
    synth.make(scenario, path, Params(seed=11, duration=BRIEF[scenario]))
    out, found = denied(path)
    assert not out, "\n".join(out)
    assert found["True"] > 10


@pytest.mark.slow
@pytest.mark.parametrize("scenario", synth.SCENARIOS)
def test_no_number_about_a_scenario_is_denied(scenario: str, tmp_path: Path) -> None:
    path = tmp_path / "scenario.pcap"
    synth.make(scenario, path, Params(seed=1))
    out, _ = denied(path)
    assert not out, "\n".join(out)


def _given() -> list[Any]:
    """The captures that the environment names; one that stands for those it does not."""
    out = []
    for name in DIRECTORIES:
        home = Path(os.environ.get(name) or os.devnull)
        found = sorted(path for path in home.rglob("*") if path.is_file() and path.suffix in CAPTURES)
        out += [
            pytest.param(path, id=f"{name}-{path.relative_to(home)}")
            for path in found
            if "corrupt" not in path.parts
        ]
        out += [] if found else [pytest.param(None, id=name)]
    return out


@pytest.mark.slow
@pytest.mark.parametrize("path", _given())
def test_no_number_about_a_capture_is_denied(path: Path | None, need: Any) -> None:
    need(path is not None, "the variable names no directory of captures")
    assert path is not None
    out, found = denied(path)
    print(dict(found))
    assert not out, "\n".join(out)


def test_the_oracle_knows_every_sentence() -> None:
    """A sentence that no check belongs to would pass for true."""
    from floodwatch import detectors

    source = "".join(path.read_text() for path in Path(detectors.__file__).parent.glob("*.py"))
    names = {name for name in CLAIMS if f'"{name}"' in source}
    assert names >= CLAIMS.keys() - {"surge", "one_way", "rule", "stamps"}
    for event in (event for path in EXAMPLES for event in told(path)[0]["floods"]):
        assert {evidence["name"] for evidence in event["evidence"]} <= CLAIMS.keys()


@pytest.mark.parametrize("change", [
    lambda event: event["evidence"][0].update(says="about 50.0 % as many handshakes were finished (9 of 18)"),
    lambda event: event.update(packets=event["packets"] + 1000),
    lambda event: event["rate"].update(peak=2 * event["rate"]["peak"]),
    lambda event: event["sources"]["distinct"].update(est=9, lo=9, hi=9),
    lambda event: event["counted"]["stretches"][-1].update(until=event["first"]),
])  # fmt: skip
def test_a_lie_is_denied(change: Any) -> None:
    """An oracle that never denies would prove nothing."""
    path = HERE.parent / "pcaps" / "syn_flood.pcap.gz"
    (event,) = told(path)[0]["floods"]
    change(event)
    event["counted"]["seconds"] = sum(
        (nanoseconds(stretch["until"]) - nanoseconds(stretch["first"])) / 1e9
        for stretch in event["counted"]["stretches"]
    )
    assert [name for name, verdict, _ in inspect(event, str(path)) if verdict.agrees is False]


@pytest.mark.parametrize("name", ["udp_flood", "real_nginx_synflood"])
def test_the_oracle_reads_packets_as_dpkt_does(name: str) -> None:
    compared = 0
    for frame in frames(content(HERE.parent / "pcaps" / f"{name}.pcap.gz")):
        _, version = network(frame)
        mine = packet(frame)
        if version != 4 or mine is None or mine.kind not in (UDP, "SYN", "SYN-ACK", "DATA", "ACK"):
            continue
        ip = dpkt.ethernet.Ethernet(frame.data).data
        assert (ip.src, ip.dst, ip.p) == (mine.source, mine.target, mine.protocol)
        if isinstance(ip.data, dpkt.tcp.TCP):
            assert (ip.data.sport, ip.data.dport) == (mine.sport, mine.dport)
            assert (ip.data.seq, ip.data.ack, ip.data.win) == (mine.seq, mine.ack, mine.window)
            compared += 1
        elif isinstance(ip.data, dpkt.udp.UDP):
            assert (ip.data.sport, ip.data.dport, ip.data.ulen - 8) == (mine.sport, mine.dport, mine.length)
            compared += 1
    assert compared > 5000


def test_the_tool_prints_what_it_counted(tmp_path: Path) -> None:
    path = HERE.parent / "pcaps" / "syn_flood.pcap.gz"
    report = tmp_path / "report.json"
    report.write_bytes(msgspec.json.encode(told(path)[0]))
    command = [sys.executable, "-m", "oracle", str(report), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "handshake_completion" in done.stdout
    assert done.stdout.endswith("\n0 denied\n")
