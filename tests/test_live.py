"""Live watching through real interfaces, in network namespaces: what is seen, what is lost, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from scapy.utils import PcapNgReader

import floodwatch as fw
from floodwatch import synth

sys.path.insert(0, str(Path(__file__).parent))
from lab import SERVER, Lab, inhabitants, lab

pytestmark = pytest.mark.root


def finish(process: subprocess.Popen[bytes], seconds: float = 20) -> tuple[list[dict[str, Any]], str]:
    """The JSON lines of a watch, the report last, and what it said on standard error."""
    out, err = process.communicate(timeout=seconds)
    return [json.loads(line) for line in out.splitlines()], err.decode()


def says(watch: subprocess.Popen[bytes], text: str) -> None:
    """Wait until a watch says something on standard error."""
    assert watch.stderr is not None
    while line := watch.stderr.readline():
        if text in line.decode():
            return
    raise AssertionError(f"it ended without {text!r}")


def made(tmp_path: Path, scenario: str, **settings: Any) -> tuple[Path, Any]:
    path = tmp_path / f"{scenario}.pcap"
    return path, synth.make(scenario, path, synth.Params(**settings))


def scan_of(capture: Path) -> dict[str, Any]:
    """The one flood that ``scan`` finds in a capture."""
    command = (sys.executable, "-P", "-m", "floodwatch", "scan", "--format", "json", str(capture))
    done = subprocess.run(command, capture_output=True, check=False, cwd="/")
    (flood,) = json.loads(done.stdout)["floods"]
    return dict(flood)


@pytest.mark.parametrize("victim", ["198.51.100.7", pytest.param("2001:db8::7", marks=pytest.mark.slow)])
def test_a_flood_on_the_wire_is_the_flood_of_its_capture(wire: Lab, tmp_path: Path, victim: str) -> None:
    capture, truth = made(tmp_path, "syn_flood", duration=2.0, victim=victim)
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--seed", "0" * 32)
    wire.send(capture)
    wire.seen(watch, truth.packets)
    watch.send_signal(signal.SIGINT)
    lines, _ = finish(watch)
    report = lines[-1]
    (opened,) = [line for line in lines[:-1] if line["state"] == "open"][:1]
    assert opened["schema"] == "floodwatch.event/1"
    assert opened["vector"] == "syn_flood"
    assert opened["victim"]["ip"] == victim
    assert opened["capture"] == {
        "interface": "vb", "unseen_share": 0.0, "copied_share": 0.0, "stamps": "exact"
    }  # fmt: skip
    (flood,) = report["floods"]
    scanned = scan_of(capture)
    for name in ("vector", "verdict", "pattern"):
        assert flood[name] == scanned[name]
    assert flood["sources"]["origin"] == scanned["sources"]["origin"]
    assert flood["packets"] == pytest.approx(scanned["packets"], rel=0.1)
    assert watch.returncode == 130
    assert report["complete"] is False  # nobody knows what would have come
    first, detected = (datetime.fromisoformat(opened[name]) for name in ("first", "detected"))
    assert detected - first < timedelta(seconds=2)


@pytest.mark.slow
def test_p44_every_frame_is_seen_or_said_to_be_lost(wire: Lab, tmp_path: Path) -> None:
    capture, truth = made(tmp_path, "udp_flood", duration=2.0)
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--", "ip")
    wire.send(capture)
    wire.seen(watch, truth.packets)
    watch.send_signal(signal.SIGTERM)
    lines, _ = finish(watch)
    (read,) = lines[-1]["inputs"]
    assert read["packets"] + read["lost"] == truth.packets
    assert read["linktypes"] == ["EN10MB"]
    assert watch.returncode == 143


@pytest.mark.slow
def test_p44_a_stopped_watch_counts_what_its_ring_lost(wire: Lab, tmp_path: Path) -> None:
    capture, truth = made(tmp_path, "udp_flood", duration=3.0, pps=6000.0)
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--ring-mb", "2", "--", "ip")
    watch.send_signal(signal.SIGSTOP)
    wire.send(capture)
    watch.send_signal(signal.SIGCONT)
    wire.seen(watch, truth.packets)
    watch.send_signal(signal.SIGINT)
    lines, err = finish(watch)
    (read,) = lines[-1]["inputs"]
    assert read["lost"] > 0
    assert read["packets"] + read["lost"] == truth.packets
    assert "lost on the way" in err


@pytest.mark.slow
def test_several_workers_give_the_verdicts_of_one(wire: Lab, tmp_path: Path) -> None:
    capture, truth = made(tmp_path, "http_flood", duration=3.0, seed=5)
    watch = wire.floodwatch(
        "watch", "-i", "vb", "--format", "ndjson", "--workers", "2", "--top", "0", "--", "ip"
    )
    wire.send(capture)
    wire.seen(watch, truth.packets)
    watch.send_signal(signal.SIGINT)
    lines, _ = finish(watch)
    (read,) = lines[-1]["inputs"]
    assert read["packets"] + read["lost"] == truth.packets
    (flood,) = lines[-1]["floods"]
    (scanned,) = fw.scan(str(capture), top=0).floods
    assert flood["vector"] == "http_flood"
    assert flood["sources"]["origin"] == "real"  # both directions of a connection meet in one worker
    named = {source["cidr"] for source in flood["sources"]["top"]}
    assert named == {source.cidr for source in scanned.sources.top}
    assert len(named) > 20


@pytest.mark.slow
def test_an_idle_interface_still_ends_its_floods(wire: Lab, tmp_path: Path) -> None:
    capture, _ = made(tmp_path, "syn_flood_one_source", duration=1.0)
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--duration", "16")
    wire.send(capture)
    lines, _ = finish(watch, 40)
    assert [line["state"] for line in lines[:-1]] == ["open", "ended"]
    assert (watch.returncode, lines[-1]["complete"]) == (1, True)


@pytest.mark.slow
def test_lines_for_people_and_counters_on_demand(wire: Lab, tmp_path: Path) -> None:
    capture, truth = made(tmp_path, "ntp_amplification", duration=1.0)
    watch = wire.floodwatch("watch", "-i", "vb")
    wire.send(capture)
    wire.seen(watch, truth.packets)  # as the counters say
    watch.send_signal(signal.SIGINT)
    out, _ = watch.communicate(timeout=20)
    first = out.decode().splitlines()[0]
    assert "opened  NTP amplification (reflection)  198.51.100.7:80  peak" in first
    assert "1 FLOOD" in out.decode()


@pytest.mark.slow
def test_programs_iterate_over_the_events_of_an_interface(wire: Lab, tmp_path: Path) -> None:
    capture, truth = made(tmp_path, "ntp_amplification", duration=1.0)
    script = (
        "import floodwatch as fw\n"
        "with fw.live('vb', duration=60, filter='ip') as watch:\n"
        "    print('ready', flush=True)\n"
        "    for event in watch:\n"
        "        guards = [one.protection for one in watch.decisions()]\n"
        "        print(event.vector.value, event.state, *guards, flush=True)\n"
        "        if event.state == 'ended': watch.stop()\n"
        "    print(watch.stats().packets + watch.stats().lost, len(watch.report().floods))\n"
    )
    program = wire.start(wire.server, sys.executable, "-P", "-c", script, stdout=subprocess.PIPE)
    assert program.stdout is not None
    program.stdout.readline()
    wire.send(capture)
    lines = program.communicate(timeout=60)[0].decode().splitlines()
    assert lines == ["ntp_amplification open reflected", "ntp_amplification ended", f"{truth.packets} 1"]


@pytest.mark.slow
def test_the_picture_shows_floods_and_leaves_the_answer_alone(wire: Lab, tmp_path: Path) -> None:
    capture, truth = made(tmp_path, "udp_flood", duration=1.5)
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--picture", "always")
    wire.send(capture)
    wire.seen(watch, truth.packets)
    watch.send_signal(signal.SIGINT)
    lines, err = finish(watch)
    assert lines[-1]["schema"] == "floodwatch.report/1"
    assert "UDP flood" in err
    assert "198.51.100.7" in err
    assert "lost (0.00 %)" in err


def test_no_right_is_kept_and_a_signal_ends_it_within_a_second(wire: Lab) -> None:
    watch = wire.floodwatch("watch", "-i", "any", "--format", "ndjson")
    status = Path(f"/proc/{watch.pid}/status").read_text()
    sets = {
        line.split(":")[0]: int(line.split()[1], 16) for line in status.splitlines() if line.startswith("Cap")
    }
    assert sets["CapEff"] == sets["CapPrm"] == sets["CapInh"] == 0
    assert "NoNewPrivs:\t1" in status
    took = list[float]()
    while not took or (took[-1] >= 1.0 and len(took) < 4):  # others may hold the machine for a while
        watch = wire.floodwatch("watch", "-i", "any", "--format", "ndjson") if took else watch
        begin = time.monotonic()
        watch.send_signal(signal.SIGINT)
        lines, _ = finish(watch)
        took.append(time.monotonic() - begin)
        assert lines[-1]["schema"] == "floodwatch.report/1"
    assert min(took) < 1.0


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interface_may_go_down_go_away_and_change_its_name(
    wire: Lab, tmp_path: Path, workers: str
) -> None:
    capture, truth = made(tmp_path, "clean", duration=1.0)
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--workers", workers)
    wire.link(wire.server, "vb", state="down")
    wire.link(wire.server, "vb", state="up")
    wire.send(capture)
    wire.seen(watch, truth.packets)
    wire.link(wire.server, "vb", "del")
    says(watch, "vb is gone; waiting for it")
    wire.connect()
    says(watch, "vb is back")
    wire.send(capture)
    wire.link(wire.server, "vb", state="down")
    wire.link(wire.server, "vb", ifname="renamed0")
    wire.link(wire.server, "renamed0", state="up")
    says(watch, "vb is now called renamed0")
    wire.send(capture)
    wire.seen(watch, 3 * truth.packets)
    watch.send_signal(signal.SIGINT)
    lines, _ = finish(watch)
    (report,) = lines  # no event: the life of an interface is no flood
    assert report["inputs"][0]["packets"] >= 3 * truth.packets


def test_p45_merged_frames_count_as_the_segments_they_carry(wire: Lab) -> None:
    """A real TCP transfer: offloading hands over frames of up to 64 KB."""
    script = (
        "import socket, sys\n"
        "s = socket.create_server(('0.0.0.0', 5001)); print('ready', flush=True)\n"
        "c, _ = s.accept()\n"
        "while c.recv(1 << 20): pass"
    )
    server = wire.start(wire.server, sys.executable, "-c", script, stdout=subprocess.PIPE)
    assert server.stdout is not None
    server.stdout.readline()
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--", "tcp", "dst", "port", "5001")
    size = 8_000_000
    sender = (
        f"import socket; s = socket.create_connection(('{SERVER}', 5001))\n"
        f"s.sendall(bytes({size})); s.close()"
    )
    assert wire.start(wire.client, sys.executable, "-c", sender).wait(20) == 0
    wire.seen(watch, -(-size // 1448))
    watch.send_signal(signal.SIGINT)
    lines, _ = finish(watch)
    (read,) = lines[-1]["inputs"]
    segments = -(-size // 1448)
    assert segments <= read["packets"] + read["lost"] <= 1.1 * segments + 20
    assert read["lost"] == 0
    again = 1448 * (read["packets"] - segments)  # what a busy machine makes TCP send twice
    assert size + 66 * read["packets"] <= 1.01 * read["bytes"]
    assert read["bytes"] <= 1.01 * (size + 66 * read["packets"] + again)
    assert not lines[-1]["floods"]


@pytest.mark.slow
def test_the_flight_recorder_keeps_frames_from_before_and_during_a_flood(wire: Lab, tmp_path: Path) -> None:
    capture, truth = made(tmp_path, "ntp_amplification", duration=2.0)
    recorded = tmp_path / "flight.pcapng"
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "-w", str(recorded))
    wire.send(capture)
    wire.seen(watch, truth.packets)
    watch.send_signal(signal.SIGINT)
    lines, _ = finish(watch)
    opened, flood = lines[0], lines[-1]["floods"][0]
    (read,) = fw.scan(str(recorded)).inputs
    assert read.format == "pcapng"
    assert read.error is None
    assert 200 < read.packets <= truth.packets
    assert read.first is not None
    assert read.last is not None
    assert read.first < flood["first"] < opened["detected"] < read.last  # before the flood, and during it
    (again,) = fw.scan(str(recorded)).floods
    assert (again.vector.value, again.victim.ip) == (flood["vector"], flood["victim"]["ip"])
    comments = [p.comment for p in PcapNgReader(str(recorded)) if p.comment]
    assert len(comments) == 1
    assert b"NTP amplification" in comments[0]


@pytest.mark.slow
def test_the_flight_recorder_ends_at_its_limit(wire: Lab, tmp_path: Path) -> None:
    capture, truth = made(tmp_path, "ntp_amplification", duration=2.0)
    recorded = tmp_path / "flight.pcapng"
    watch = wire.floodwatch("watch", "-i", "vb", "-w", str(recorded), "--write-max", "50")
    wire.send(capture)
    said = wire.seen(watch, truth.packets)
    watch.send_signal(signal.SIGINT)
    _, err = watch.communicate(timeout=20)
    assert fw.scan(str(recorded)).inputs[0].packets == 50
    assert f"recorded 50 frames to {recorded}, the limit of --write-max" in said + err.decode()
    nowhere = wire.start(wire.server, sys.executable, "-P", "-m", "floodwatch", "watch", "-i", "vb", "-w",
                         f"{tmp_path}/none/x.pcapng", stderr=subprocess.PIPE)  # fmt: skip
    _, err = nowhere.communicate(timeout=10)
    assert nowhere.returncode == 4
    assert b"No such file or directory" in err


def test_p45_tags_that_the_kernel_took_off_are_put_back(wire: Lab) -> None:
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--", "vlan", "42")
    ethernet = bytes.fromhex("ffffffffffff0200000000018100002a0800")
    packet = bytes.fromhex("4500002000000000401100000102030405060708003500350 00c0000".replace(" ", ""))
    frame = ethernet + packet + bytes(8)
    script = (
        "import socket, sys; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('va', 0))\n"
        f"[s.send({frame!r}) for _ in range(50)]"
    )
    assert wire.start(wire.client, sys.executable, "-c", script).wait(10) == 0
    wire.seen(watch, 50)
    watch.send_signal(signal.SIGINT)
    lines, _ = finish(watch)
    assert lines[-1]["inputs"][0]["packets"] == 50


RING = """
from floodwatch._engine import Batch, Decoder
from floodwatch.capture.ring import LiveRing
ring = LiveRing("vb", ring_mb=2, snaplen=128, promiscuous=False)
print("ready", flush=True)
input()
ring.look()
decoder, batch = Decoder(bytes(16)), Batch(8192)
while ring.fill(decoder, batch, 0):
    pass
print(ring.fullest.most, ring.ring.full, decoder.packets > 0)
"""


def test_how_full_a_ring_got_is_seen_before_it_is_read(wire: Lab, tmp_path: Path) -> None:
    wire.hush()
    capture, _ = made(tmp_path, "udp_flood", duration=1.0)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    reader = wire.start(wire.server, sys.executable, "-P", "-c", RING, **pipes)
    assert reader.stdout is not None
    assert reader.stdout.readline() == b"ready\n"
    wire.send(capture)  # for longer than both blocks take to be handed over
    assert reader.communicate(b"\n", timeout=20)[0].decode().split() == ["1.0", "0.0", "True"]


def test_what_others_left_behind_in_a_lab_ends_with_it(need: Any) -> None:
    """A worker of a server whose master was killed, as it would be else."""
    need(os.geteuid() == 0, "network namespaces take root")
    with lab(7) as made:
        parent = made.start(made.server, "sh", "-c", "sleep 1000 & echo $!", stdout=subprocess.PIPE)
        assert parent.stdout is not None
        left = int(parent.stdout.readline())
        parent.wait(10)
        assert inhabitants(made.server) == [left]
    assert not Path(f"/proc/{left}/ns/net").exists()  # it waits to be buried, at most


def test_what_is_missing_is_said_in_one_line_with_the_way_out(wire: Lab) -> None:
    done = wire.floodwatch("version")
    assert done.wait(10) == 0
    lost = wire.start(wire.server, sys.executable, "-P", "-m", "floodwatch", "watch", "-i", "nowhere0",
                      stderr=subprocess.PIPE)  # fmt: skip
    _, err = lost.communicate(timeout=10)
    assert lost.returncode == 4
    assert b"no such interface: nowhere0; there are lo, vb, and any for all" in err
    command = (sys.executable, "-P", "-m", "floodwatch", "watch", "-i", "vb")
    weak = wire.start(wire.server, "setpriv", "--bounding-set", "-net_raw", *command, stderr=subprocess.PIPE)
    _, err = weak.communicate(timeout=10)
    assert weak.returncode == 4
    assert b"needs the capability CAP_NET_RAW" in err
    assert b"sudo setcap cap_net_raw+ep" in err
