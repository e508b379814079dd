"""The daemon in network namespaces: two processes, what each may do, and what becomes of it when one ends."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from floodwatch import synth
from floodwatch.daemon.client import Client
from floodwatch.daemon.orders import Status

sys.path.insert(0, str(Path(__file__).parent))
from lab import SERVER, Lab
from test_mitigate import ASK, ctl, give_addresses, serve
from test_mitigate import rules as elements

pytestmark = [pytest.mark.root, pytest.mark.alone]


@pytest.fixture(autouse=True)
def nft(need: Any) -> None:
    need(shutil.which("nft"), "tests of rules read them back with nft")


class Daemon:
    """A daemon beside the server, and what it says; ``told`` is what it tells its service manager."""

    def __init__(self, wire: Lab, *argv: str, until: str = "watching vb") -> None:
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._folder = tempfile.TemporaryDirectory(prefix="fw-daemon-")
        place = f"{self._folder.name}/notify"
        self.told.bind(place)
        watched = () if "--config" in argv else ("-i", "vb")
        command = (sys.executable, "-P", "-m", "floodwatch", "run", *watched, *argv)
        self.wire = wire
        self.process = wire.start(
            wire.server, *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
            env={**os.environ, "NOTIFY_SOCKET": place},
        )  # fmt: skip
        self.said = ""
        self.until(until)

    def until(self, text: str, seconds: float = 20) -> str:
        """Read on until a line with this text; returns the line."""
        out = self.process.stdout
        assert out is not None
        end = time.monotonic() + seconds
        while select.select([out], [], [], max(end - time.monotonic(), 0))[0]:
            line = out.readline().decode()
            assert line, f"it ended without {text!r}: {self.said}"
            self.said += line
            if text in line:
                return line
        raise AssertionError(f"no {text!r} in {self.said}")

    @property
    def sensor(self) -> int:
        """The newest sensor's pid."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(found[-1]) if found else 0

    def counted(self) -> int:
        """Packets that the sensor has seen."""
        self.process.send_signal(signal.SIGUSR1)
        found = re.search(r" ([\d,]+) packets", self.until(" packets, "))
        assert found
        return int(found[1].replace(",", ""))

    def words(self) -> list[str]:
        """What the service manager was told since this was last asked."""
        self.told.setblocking(False)
        found = list[str]()
        with suppress(BlockingIOError):
            while True:
                found += self.told.recv(4096).decode().split("\n")
        return found

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        out = self.process.communicate(timeout=20)[0]
        self.said += out.decode()
        return self.process.returncode


def status(pid: int) -> dict[str, str]:
    """The lines of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def gone(pid: int) -> bool:
    """It is no more, or waits to be buried."""
    try:
        return status(pid)["State"].startswith("Z")
    except OSError:
        return True


def rules(wire: Lab) -> str:
    listed = wire.start(wire.server, "nft", "list", "ruleset", stdout=subprocess.PIPE)
    return str(listed.communicate(timeout=10)[0].decode())


def eventually(holds: Callable[[], object], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return False


def test_p01_p54_a_fresh_daemon_tells_floods_and_blocks_nothing(wire: Lab, tmp_path: Path) -> None:
    capture = tmp_path / "syn.pcap"
    truth = synth.make("syn_flood", capture, synth.Params(duration=1.5))
    before = rules(wire)
    daemon = Daemon(wire)
    wire.send(capture)
    assert "SYN flood" in daemon.until("opened")
    assert eventually(lambda: daemon.counted() >= truth.packets)
    assert rules(wire) == before
    begin = time.monotonic()
    assert daemon.end() == 0
    assert time.monotonic() - begin < 5.0


def test_p33_p47_the_sensor_has_no_right_nothing_open_but_its_line_and_rings_and_leaves_no_core(
    wire: Lab,
) -> None:
    daemon = Daemon(wire)
    held = status(daemon.sensor)
    assert set(held["Uid"].split()).isdisjoint({"0"})
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(held[name], 16) == 0, name
    assert (held["Seccomp"], held["NoNewPrivs"]) == ("2", "1")
    assert held["Groups"] == ""
    # what may leave no core, which would hold the key, shows its files as root's
    assert os.stat(f"/proc/{daemon.sensor}/status").st_uid == 0
    for file in Path(f"/proc/{daemon.sensor}/fdinfo").iterdir():
        flags = int(re.findall(r"flags:\s+(\d+)", file.read_text())[0], 8)
        where = os.readlink(f"/proc/{daemon.sensor}/fd/{file.name}")
        writes = flags & os.O_ACCMODE != os.O_RDONLY
        assert not writes or where.startswith(("socket:", "/dev/null", "pipe:", "anon_inode:")), where
    # the enforcer, which has the rights, reads no packet: it holds no packet socket once they are handed over
    inodes = {os.readlink(f) for f in Path(f"/proc/{daemon.process.pid}/fd").iterdir() if f.is_symlink()}
    table = Path(f"/proc/{daemon.process.pid}/net/packet").read_text().splitlines()[1:]
    assert table
    assert inodes.isdisjoint(f"socket:[{row.split()[-1]}]" for row in table)
    assert daemon.end() == 0


def test_p46_a_sensor_that_ends_or_hangs_is_replaced_within_two_seconds(wire: Lab) -> None:
    daemon = Daemon(wire)
    assert eventually(lambda: "READY=1" in daemon.words())
    for number, why in ((signal.SIGSEGV, "ended"), (signal.SIGSTOP, "hung")):
        first, begin = daemon.sensor, time.monotonic()
        os.kill(first, number)
        daemon.until(f"the sensor {why}")
        assert time.monotonic() - begin < 4.0  # two seconds, and as many of a busy machine
        daemon.until("watching vb")
        assert gone(first)
        assert daemon.sensor not in (0, first)
    assert eventually(lambda: "WATCHDOG=1" in daemon.words())
    sensor = daemon.sensor
    daemon.process.kill()
    daemon.process.wait(5)
    assert eventually(lambda: gone(sensor))  # it does not outlive the enforcer


def configuration(folder: Path, *lines: str) -> Path:
    """A configuration of these lines."""
    file = folder / "floodwatch.toml"
    text = ["schema = 1", 'interfaces = ["vb"]', *lines, "[control]", f'socket = "{folder}/ctl.sock"']
    file.write_text("\n".join(text) + "\n")
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_p43_packets_are_counted_again_when_an_interface_comes_back(
    wire: Lab, tmp_path: Path, workers: int
) -> None:
    """Several workers need new packet sockets then, which the sensor is handed."""
    daemon = Daemon(wire, "--config", str(configuration(tmp_path, "[capture]", f"workers = {workers}")))
    sensor = daemon.sensor

    def captured() -> bool:  # all rings, which come back one after the other where there are several
        return Client(tmp_path / "ctl.sock", 10).ask(Status()).links[0].up

    assert eventually(captured)
    wire.link(wire.server, "vb", "del")
    daemon.until("vb is gone")
    assert eventually(lambda: not captured())
    wire.connect()
    begin = time.monotonic()
    daemon.until("vb is back")
    assert time.monotonic() - begin < 4.0  # two seconds, and as many of a busy machine
    assert eventually(captured)
    capture = tmp_path / "udp.pcap"
    before = daemon.counted()
    truth = synth.make("udp_flood", capture, synth.Params(duration=0.5))
    wire.send(capture)
    assert eventually(lambda: daemon.counted() >= before + truth.packets)
    assert daemon.sensor == sensor
    assert daemon.end() == 0


def test_p52_other_rings_are_taken_over_by_another_sensor(wire: Lab, tmp_path: Path) -> None:
    file = configuration(tmp_path)
    daemon = Daemon(wire, "--config", str(file))
    first = daemon.sensor
    configuration(tmp_path, "[capture]", 'filter = "udp"')
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until("the configuration was read again")
    assert not gone(first)  # it watches until the next one does
    daemon.until("watching vb")
    assert eventually(lambda: gone(first))
    words = daemon.words()
    assert words[words.index("RELOADING=1") + 1].startswith("MONOTONIC_USEC=")
    assert "another one starts" not in daemon.said
    assert daemon.end() == 0
    assert "STOPPING=1" in daemon.words()


@pytest.mark.slow
def test_p18_after_a_panic_a_daemon_observes_until_it_is_told_to_go_on(wire: Lab) -> None:
    daemon = Daemon(wire, "--mode", "enforce")
    refused = wire.start(
        wire.server, sys.executable, "-P", "-m", "floodwatch", "run", "-i", "vb", stderr=subprocess.PIPE
    )
    assert f"(pid {daemon.process.pid})" in refused.communicate(timeout=20)[1].decode()
    assert refused.returncode == 4
    sensor = daemon.sensor
    os.kill(daemon.process.pid, signal.SIGSTOP)
    said = ctl(wire, "panic", "--yes")
    assert f"pid {daemon.process.pid}" in said
    assert daemon.process.wait(5) == -signal.SIGKILL
    assert eventually(lambda: gone(sensor))
    assert rules(wire) == ""
    after = Daemon(wire, "--mode", "enforce")
    assert "mode observe" in after.said
    assert rules(wire) == ""
    ctl(wire, "panic", "--resume")
    assert eventually(lambda: "table inet floodwatch" in rules(wire))
    assert after.end() == 0
    assert rules(wire) == ""  # p19


@pytest.mark.slow
def test_p20_p22_p27_blocks_outlive_whatever_ends_and_end_with_the_flood(wire: Lab, tmp_path: Path) -> None:
    give_addresses(wire, 100, 10)
    serve(wire)
    file = configuration(tmp_path, 'mode = "enforce"', "[rules]", 'ttl = "20s"')
    flooders = [f"10.99.0.{number}" for number in range(100, 110)]

    def blocked() -> bool:
        return sorted(elements(wire).get("block4", {})) == flooders

    daemon = Daemon(wire, "--config", str(file))
    ask = (sys.executable, "-c", ASK, SERVER)
    flood = wire.start(wire.client, *ask, "/login", "100", "10", "60", "120", stdout=subprocess.PIPE)
    assert eventually(blocked, 20)  # p10
    asked = Client(tmp_path / "ctl.sock", 10)
    assert eventually(lambda: asked.ask(Status()).blocked_packets > 0)
    met = asked.ask(Status())
    assert 40 * met.blocked_packets <= met.blocked_bytes <= 1500 * met.blocked_packets
    os.kill(daemon.sensor, signal.SIGKILL)
    daemon.until("watching vb")
    assert blocked()
    run = ("nft", "flush", "ruleset")
    assert wire.start(wire.server, *run).wait(5) == 0
    begin = time.monotonic()
    assert eventually(blocked)
    assert time.monotonic() - begin < 3.0  # p20: a second, and two of a busy machine
    run = ("nft", "delete", "element", "inet", "floodwatch", "block4", "{ 10.99.0.104 }")
    assert wire.start(wire.server, *run).wait(5) == 0
    assert eventually(blocked)  # p22
    daemon.process.kill()
    daemon.process.wait(5)
    assert blocked()  # the kernel holds them when nobody is left
    daemon = Daemon(wire, "--config", str(file))
    end = time.monotonic() + 22  # longer than they live: they were taken over, and are renewed
    while time.monotonic() < end:
        assert blocked()
        time.sleep(0.25)
    flood.kill()
    # what the connections that were cut had to say comes again, ever more seldom: blocks stay until ten
    # seconds pass without it
    assert eventually(lambda: not elements(wire).get("block4"), 60)
    begin = time.monotonic()
    assert daemon.end() == 0
    assert time.monotonic() - begin < 5.0  # p54
    assert rules(wire) == ""
