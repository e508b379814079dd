"""Live watching under load and over time, in network namespaces: replays, mixes, overload, soak."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import floodwatch as fw
from floodwatch import synth

sys.path.insert(0, str(Path(__file__).parent))
from lab import Lab

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.alone]
FLOOD_C = Path(__file__).resolve().parents[1] / "native" / "bench" / "flood.c"
SOAK_S = float(os.environ.get("FLOODWATCH_SOAK", "120"))
REPLAYS = ("attack/ddos.pcap", "attack/denial6-6.pcap", "attack/pkt.TCP.synflood.spoofed.pcap")


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled sender of forged SYNs."""
    path = tmp_path_factory.mktemp("sender") / "flood"
    subprocess.run([shutil.which("cc") or "gcc", "-O2", "-D_GNU_SOURCE", FLOOD_C, "-o", path], check=True)
    return path


def start_flood(wire: Lab, sender: Path, packets: int, rate: int) -> subprocess.Popen[bytes]:
    return wire.start(wire.client, str(sender), "va", str(packets), str(rate), "syn", stdout=subprocess.PIPE)


def ended(watch: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
    time.sleep(0.5)
    watch.send_signal(signal.SIGINT)
    return [json.loads(line) for line in watch.communicate(timeout=30)[0].splitlines()]


def memory_mib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) // 1024


@pytest.mark.captures
@pytest.mark.parametrize("name", REPLAYS)
def test_real_captures_through_the_wire_give_the_findings_of_a_scan(
    wire: Lab, captures: Path, name: str
) -> None:
    capture = captures / name
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson")
    wire.send(capture)
    live = ended(watch)[-1]["floods"]
    scanned = fw.scan(str(capture)).floods
    assert scanned
    assert {(f["vector"], f["victim"]["ip"], f["sources"]["origin"]) for f in live} == {
        (f.vector.value, f.victim.ip, f.sources.origin) for f in scanned
    }


@pytest.mark.parametrize("scenario", ["fragment_flood", "crowd", "http_flood"])
@pytest.mark.parametrize("interfaces", [("any",), ("vb", "lo")])
def test_kinds_of_traffic_on_kinds_of_interfaces(
    wire: Lab, tmp_path: Path, scenario: str, interfaces: tuple[str, ...]
) -> None:
    capture = tmp_path / "x.pcap"
    truth = synth.make(scenario, capture, synth.Params(duration=14.0 if scenario == "crowd" else 4.0))
    flags = [part for name in interfaces for part in ("-i", name)]
    watch = wire.floodwatch("watch", *flags, "--format", "ndjson", "--", "ip")
    wire.send(capture)
    report = ended(watch)[-1]
    (read,) = report["inputs"]
    beside = 20  # what the hosts themselves say
    assert truth.packets <= read["packets"] + read["lost"] <= truth.packets + beside
    scanned = fw.scan(str(capture))
    assert len(scanned.floods) + len(scanned.crowds) == 1
    for kind, expected in (("floods", scanned.floods), ("crowds", scanned.crowds)):
        found = [(event["vector"], event["victim"]["ip"]) for event in report[kind]]
        assert found == [(event.vector.value, event.victim.ip) for event in expected]


def test_p44_overload_loses_packets_and_says_how_many(wire: Lab, sender: Path) -> None:
    """The watch gets a tenth of the time: nothing is lost in silence, memory stays, the flood is found."""
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--ring-mb", "2", "--", "ip")
    flood = start_flood(wire, sender, 1_000_000, 300_000)
    held = threading.Event()

    def hold() -> None:
        while not held.is_set():
            watch.send_signal(signal.SIGSTOP)
            time.sleep(0.09)
            watch.send_signal(signal.SIGCONT)
            time.sleep(0.01)

    thread = threading.Thread(target=hold)
    thread.start()
    time.sleep(0.5)
    before = memory_mib(watch.pid)
    sent = int(flood.communicate(timeout=60)[0].split()[0])
    after = memory_mib(watch.pid)
    held.set()
    thread.join()
    time.sleep(0.5)  # two epochs later all is seen again
    watch.send_signal(signal.SIGUSR1)
    assert watch.stderr is not None
    counters = watch.stderr.readline().decode()
    lost_then = int(counters.split(" lost")[0].rsplit(" ", 1)[1].replace(",", ""))
    more = int(start_flood(wire, sender, 30_000, 30_000).communicate(timeout=60)[0].split()[0])
    report = ended(watch)[-1]
    (read,) = report["inputs"]
    assert read["packets"] + read["lost"] == sent + more
    assert lost_then > 0.05 * sent
    assert read["lost"] - lost_then <= 0.01 * more  # a ring of two blocks may still miss a few
    assert after <= before + 4
    (flood_found,) = report["floods"]
    assert flood_found["vector"] == "syn_flood"
    assert flood_found["capture"]["unseen_share"] > 0.05


def test_p30_p31_hours_of_traffic_in_minutes_leave_nothing_behind(
    wire: Lab, sender: Path, tmp_path: Path
) -> None:
    """Mixed traffic at a steady rate: memory, descriptors and threads do not grow."""
    capture = tmp_path / "mixed.pcap"
    synth.make("http_flood", capture, synth.Params(duration=8.0))
    watch = wire.floodwatch(
        "watch",
        "-i",
        "vb",
        "--format",
        "ndjson",
        "-w",
        str(tmp_path / "flight.pcapng"),
        "--write-max",
        "1000",
    )
    drain = threading.Thread(target=lambda: [None for _ in watch.stdout or ()])
    drain.start()

    def standing() -> tuple[int, int, int]:
        proc = Path(f"/proc/{watch.pid}")
        return memory_mib(watch.pid), len(list((proc / "fd").iterdir())), len(list((proc / "task").iterdir()))

    marks, end = [], time.monotonic() + SOAK_S
    while time.monotonic() < end:
        flood = start_flood(wire, sender, 60_000, 20_000)
        wire.send(capture)
        flood.wait(60)
        marks.append(standing())
    watch.send_signal(signal.SIGINT)
    watch.wait(30)
    drain.join()
    warm = marks[len(marks) // 3]
    assert marks[-1][0] <= warm[0] + 4, marks
    assert marks[-1][1:] == warm[1:]
    assert watch.returncode == 130
