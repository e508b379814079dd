"""A day of an edge host in a minute: floods, a crowd, a proxy, telemetry, a reload, flaps, crashes ...

All the while one connection asks for a page each half second, and one client comes again and again.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from floodwatch import synth
from floodwatch.daemon.journal import Journal
from floodwatch.model.event import FLOODS, Change

sys.path.insert(0, str(Path(__file__).parent))
from lab import SERVER, Lab
from test_daemon import eventually
from test_mitigate import ASK, give_addresses, serve
from test_remembered import BOTS, FIRST, Daemon, blocks, covered, flood

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.alone]
HOLD = """
import signal, socket, sys, time
connection = socket.create_connection((sys.argv[1], 80), timeout=10)
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
answered = 0
while not stop:
    connection.sendall(b"GET /live HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    got = b""
    while not got.endswith(b"ok"):
        part = connection.recv(4096)
        assert part, "it was cut"
        got += part
    answered += 1
    time.sleep(0.5)
print(answered, flush=True)
"""
GUESTS = {f"10.99.0.{number}" for number in (1, 90)}
BYTES_MOST = 200_000_000
NO_FLOODS = {
    "198.51.100.7": ("crowd", None),
    "198.51.100.8": ("collector", 20.0),
    "198.51.100.9": ("proxied_people", None),
}
"""Neighbours, whose traffic comes by the same wire: what each gets, and for how many seconds."""


def resident(pid: int) -> int:
    """Bytes of memory of a process; of what it shares with others its share."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def test_a_day_in_a_minute(wire: Lab, tmp_path: Path, need: Any) -> None:
    need(shutil.which("nft") and shutil.which("unshare"), "a day takes nft and unshare")
    forged = tmp_path / "syn.pcap"
    synth.make("syn_flood", forged, synth.Params(duration=2.0, victim=SERVER))
    quiet = [tmp_path / f"{name}.pcap" for name, _ in NO_FLOODS.values()]
    for capture, (victim, (name, seconds)) in zip(quiet, NO_FLOODS.items(), strict=True):
        synth.make(name, capture, synth.Params(victim=victim, duration=seconds))
    give_addresses(wire, 90, 1)
    give_addresses(wire, FIRST, BOTS)
    serve(wire)
    state = tmp_path / "state"
    disk = f"mount -t tmpfs -o size=2m none {state}"
    daemon = Daemon(wire, tmp_path, disk)
    held = wire.start(wire.client, sys.executable, "-c", HOLD, SERVER, stdout=subprocess.PIPE)
    words = (SERVER, "/read", "90", "1", "2", "60")
    guest = wire.start(wire.client, sys.executable, "-c", ASK, *words, stdout=subprocess.PIPE)
    neighbours = [wire.sender(capture) for capture in quiet]
    time.sleep(8)  # both are known by now
    ever: set[str] = set()

    def stands() -> bool:
        ever.update(now := blocks(wire))
        return covered(now) == BOTS

    with flood(wire, 25):
        assert eventually(stands, 20), daemon.said  # morning: bots
        daemon.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: "read again" in daemon.said), daemon.said
        assert stands()
        wire.start(wire.server, "nft", "flush", "ruleset").wait(10)  # somebody else's firewall is loaded
        assert eventually(stands), daemon.said
        inside = Path(f"/proc/{daemon.process.pid}/root{state}")
        people = eventually(lambda: crowds(Journal(inside).changes()), 30)  # the neighbour's
        assert people, daemon.said
        os.kill(sensor := daemon.sensor(), signal.SIGKILL)
        assert daemon.other_sensor(sensor), daemon.said
        assert stands()
        with suppress(OSError), (inside / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        assert eventually(lambda: "No space left" in daemon.said, 30), daemon.said
        assert stands()
    wire.link(wire.server, "vb", state="down")
    time.sleep(1)
    wire.link(wire.server, "vb", state="up")
    assert eventually(lambda: "No space left" in daemon.said)
    wire.send(forged, deliver=True)  # noon: sources that do not exist
    assert eventually(lambda: "SYN flood" in daemon.said, 20), daemon.said
    (inside / "filler").unlink()
    assert eventually(lambda: "can be written again" in daemon.said, 30), daemon.said
    assert resident(daemon.process.pid) + resident(daemon.sensor()) < BYTES_MOST
    assert [sender.wait(60) for sender in neighbours] == [0, 0, 0]
    changes, acts = Journal(inside).changes(), list(Journal(inside).acts())
    daemon.kill()  # evening: a crash, and bots again
    daemon = Daemon(wire, tmp_path)
    with flood(wire, 15):
        assert eventually(stands, 20), daemon.said
    answered = int(held.communicate(timeout=1)[0]) if held.poll() is not None else _end(held)
    good, bad = map(int, guest.communicate(timeout=60)[0].split())
    daemon.stop()
    networks = [ipaddress.ip_network(network) for network in ever]
    assert all(network.subnet_of(ipaddress.ip_network("10.99.0.0/24")) for network in networks)
    assert not [guest for guest in GUESTS if any(ipaddress.ip_address(guest) in n for n in networks)]
    assert answered > 40
    assert good > 30
    assert bad == 0
    assert blocks(wire) == {}
    changes += Journal(state).changes()
    acts += Journal(state).acts()
    opened = [change.event for change in changes if change.what == "opened"]
    floods = {(event.victim.ip, event.vector.value) for event in opened if event.verdict in FLOODS}
    assert floods == {(SERVER, "http_flood"), (SERVER, "syn_flood")}
    assert {"198.51.100.7"} <= crowds(changes) <= {"198.51.100.7", "198.51.100.9"}  # people, all of them
    assert {act.victim.split()[0] for act in acts if act.victim} == {SERVER}
    assert not GUESTS & {top.cidr for event in opened for top in event.sources.top}


def crowds(changes: Iterable[Change]) -> set[str]:
    """Victims of what is told as a crowd."""
    return {c.event.victim.ip for c in changes if c.what == "opened" and c.event.verdict == "crowd"}


def _end(held: subprocess.Popen[bytes]) -> int:
    held.terminate()
    return int(held.communicate(timeout=20)[0])
