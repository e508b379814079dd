"""What a daemon knows over restarts, crashes, full disks and odd clocks: promises 27, 29 and 41.

Twenty clients flood a web server, are proven by their handshakes, and blocked; what stands is asked of nft.
"""

from __future__ import annotations

import ipaddress
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from floodwatch.daemon.client import Client
from floodwatch.daemon.journal import Journal
from floodwatch.daemon.orders import Mode, Status
from floodwatch.daemon.picture import Picture
from floodwatch.history.memory import decode

sys.path.insert(0, str(Path(__file__).parent))
from lab import SERVER, Lab
from test_daemon import eventually
from test_mitigate import ASK, give_addresses, serve

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.alone]
FIRST, BOTS = 100, 20
TTL_S = 12
ROUNDS = int(os.environ.get("FLOODWATCH_KILLS", "12"))
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
static const volatile long *ahead;
static int (*real)(clockid_t, struct timespec *);
__attribute__((constructor)) static void begin(void) {
    char line[4096];
    int words = open("/proc/self/cmdline", O_RDONLY), file = open(getenv("AHEAD"), O_RDONLY);
    long held = read(words, line, sizeof line);
    close(words);
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    /* the stamps of packets are the kernel's, whose clock nobody sets here: the sensor goes by that */
    if (held > 0 && memmem(line, (size_t)held, "daemon.sensor", 13) == NULL)
        ahead = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    close(file);
}
int clock_gettime(clockid_t which, struct timespec *out) {
    int done = real(which, out);
    if (done == 0 && which == CLOCK_REALTIME && ahead != NULL) out->tv_sec += *ahead;
    return done;
}
"""


@pytest.fixture(autouse=True)
def tools(need: Any) -> None:
    need(shutil.which("nft"), "tests of rules read them back with nft")
    need(shutil.which("unshare"), "a disk of its own takes unshare")


class Daemon:
    """A daemon beside the server, with a folder of its own.

    Args:
        wire: where.
        folder: of its configuration and of what it says.
        before: a shell command that is run before it, in a mount namespace of its own.
        mode: what it may do.
        environment: beside that of the test.
    """

    def __init__(
        self, wire: Lab, folder: Path, before: str = "true", mode: str = "enforce", **environment: str
    ) -> None:
        self.wire, self.state, self._said = wire, folder / "state", folder / "said"
        config = folder / "floodwatch.toml"
        config.write_text(
            f'schema = 1\nmode = "{mode}"\ninterfaces = ["vb"]\nstate = "{self.state}"\n'
            f'[control]\nsocket = "{folder}/ctl.sock"\n'
            f'[rules]\nttl = "{TTL_S}s"\nttl_max = "{TTL_S}s"\n'
        )
        config.chmod(0o600)
        self.client = Client(folder / "ctl.sock", 10)
        self.state.mkdir(mode=0o700, exist_ok=True)
        self._from = self._said.stat().st_size if self._said.exists() else 0
        program = f"{sys.executable} -P -m floodwatch run --config {config}"
        with self._said.open("ab") as said:
            command = ("unshare", "-m", "sh", "-c", f"{before}; exec {program}")
            self.process = wire.start(
                wire.server, *command, stdout=said, stderr=said, env=os.environ | environment
            )
        began = time.monotonic()
        assert eventually(lambda: "watching vb" in self.said or self.process.poll() is not None, 40), (
            self.said
        )
        assert self.process.poll() is None, self.said
        self.took = time.monotonic() - began

    @property
    def said(self) -> str:
        """What it said since it was started."""
        return self._said.read_bytes()[self._from :].decode() if self._said.exists() else ""

    def sensor(self) -> int:
        """Pid of its sensor, 0 while there is none."""
        with suppress(OSError, ValueError):
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            for child in children:
                if b"daemon.sensor" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
        return 0

    def picture(self) -> Picture:
        """Where it says that it stands."""
        return self.client.ask(Status())

    def other_sensor(self, gone: int) -> bool:
        """Another sensor takes the place of this one: soon, but for one that ended again and again."""
        return eventually(lambda: self.sensor() not in (0, gone), 40)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(10) == 0, self.said


def blocks(wire: Lab) -> dict[str, float]:
    """The hosts and networks that are blocked, with the seconds that are left, as nft lists them."""
    listing = wire.start(wire.server, "nft", "-j", "list", "ruleset", stdout=subprocess.PIPE)
    held = json.loads(listing.communicate(timeout=10)[0])["nftables"]
    return {
        f"{element['elem']['val']}/{item['set']['name'].partition('_p')[2] or 32}": float(
            element["elem"].get("expires", 0)
        )
        for item in held
        if "set" in item and item["set"]["name"].startswith("block")
        for element in item["set"].get("elem", [])
        if "elem" in element
    }


def covered(held: Iterable[str]) -> int:
    """How many bots are blocked: hosts that flood together may be blocked as a network."""
    networks = [ipaddress.ip_network(network) for network in held]
    bots = [ipaddress.ip_address(f"10.99.0.{FIRST + number}") for number in range(BOTS)]
    return sum(any(bot in network for network in networks) for bot in bots)


@contextmanager
def flood(wire: Lab, seconds: int) -> Iterator[None]:
    """Bots that ask thirty times a second each, and again and again when they are blocked."""
    words = (SERVER, "/login", str(FIRST), str(BOTS), "30", str(seconds))
    bots = wire.start(wire.client, sys.executable, "-c", ASK, *words, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        bots.kill()
        bots.wait()


def all_blocked(wire: Lab) -> bool:
    return covered(blocks(wire)) == BOTS


@pytest.fixture
def site(wire: Lab) -> Lab:
    """A web server that can be flooded."""
    give_addresses(wire, FIRST, BOTS)
    serve(wire)
    return wire


def learnt_networks(state: Path) -> set[int]:
    return set(decode((state / "learnt").read_bytes().partition(b"\n")[2]).networks.tolist())


def test_p27_what_was_learnt_and_what_is_blocked_outlives_stops_crashes_and_the_host(
    site: Lab, tmp_path: Path
) -> None:
    wire, boot = site, tmp_path / "boot_id"
    boot.write_text("11111111-2222-3333-4444-555555555555\n")
    first = Daemon(wire, tmp_path)
    words = (SERVER, "/read", "1", "1", "5", "6")
    assert wire.start(wire.client, sys.executable, "-c", ASK, *words, stdout=subprocess.DEVNULL).wait(30) == 0
    with flood(wire, 60):
        assert eventually(lambda: all_blocked(wire))
        first.stop()
        assert blocks(wire) == {}  # nothing stays that nobody looks after
    known = learnt_networks(first.state)
    assert known
    past = Journal(first.state)
    assert {change.event.vector for change in past.changes()} >= {"http_flood"}
    assert covered(act.target for act in past.acts() if act.what == "add") == BOTS
    second = Daemon(wire, tmp_path)
    assert eventually(lambda: all_blocked(wire), 1)  # they are back, for the time that is left
    assert max(blocks(wire).values()) <= TTL_S
    second.kill()
    left = blocks(wire)
    assert covered(left) == BOTS  # the kernel holds them without anybody
    # the host starts anew: another boot id, and a kernel that knows nothing
    wire.start(wire.server, "nft", "delete", "table", "inet", "floodwatch").wait(10)
    third = Daemon(wire, tmp_path, f"mount --bind {boot} /proc/sys/kernel/random/boot_id")
    assert eventually(lambda: all_blocked(wire), 1)
    assert max(blocks(wire).values()) <= max(left.values()) + 1
    third.stop()
    assert learnt_networks(third.state) >= known
    time.sleep(max(left.values()) + 1)
    fourth = Daemon(wire, tmp_path)
    assert blocks(wire) == {}  # their time was up
    fourth.stop()


def test_observing_the_journal_tells_what_would_have_been_blocked(site: Lab, tmp_path: Path) -> None:
    wire = site
    daemon = Daemon(wire, tmp_path, mode="observe")
    with flood(wire, 30):
        assert eventually(lambda: "opened" in daemon.said)
        assert eventually(lambda: covered(act.target for act in Journal(daemon.state).acts()) == BOTS)
        assert blocks(wire) == {}
    daemon.stop()
    acts = [act for act in Journal(daemon.state).acts() if act.what == "add"]
    assert {act.enforced for act in acts} == {False}
    assert covered(act.target for act in acts) == BOTS
    assert "(not done)" not in daemon.said


def test_an_order_holds_over_a_crash_and_ends_with_a_stop(wire: Lab, tmp_path: Path) -> None:
    daemon = Daemon(wire, tmp_path, mode="observe")
    assert daemon.picture().mode == "observe"
    daemon.client.ask(Mode(mode="enforce", confirm=600))
    assert eventually(lambda: daemon.state.joinpath("state").exists())
    until = daemon.picture().mode_until
    daemon.kill()
    daemon = Daemon(wire, tmp_path, mode="observe")
    again = daemon.picture()
    assert again.mode == "enforce"
    assert until is not None
    assert again.mode_until == pytest.approx(until, abs=2.0)
    daemon.stop()
    daemon = Daemon(wire, tmp_path, mode="observe")
    assert (daemon.picture().mode, daemon.picture().mode_until) == ("observe", None)
    daemon.stop()


def test_p27_no_round_of_kill_9_loses_a_block_or_lets_one_outlive_its_time(site: Lab, tmp_path: Path) -> None:
    """Either process is killed at random moments under a flood. 500 rounds, by hand, take half an hour:

    FLOODWATCH_KILLS=500 pytest -m slow tests/test_remembered.py -k kill_9
    """
    wire, chance, since = site, random.Random(7), dict[str, float]()

    def look() -> dict[str, float]:
        """What is blocked now; notes since when."""
        held, now = blocks(wire), time.monotonic()
        assert all(left <= TTL_S for left in held.values())
        for network in set(since) - set(held):
            del since[network]
        for network in held:
            since.setdefault(network, now)
        return held

    with flood(wire, 60 + 10 * ROUNDS):
        daemon, lost = Daemon(wire, tmp_path), list[str]()
        assert eventually(lambda: covered(look()) == BOTS)
        for number in range(ROUNDS):
            end = time.monotonic() + chance.uniform(0.0, 4.0)
            while time.monotonic() < end:
                look()
                time.sleep(0.1)
            before, at = look(), time.monotonic()
            old = {network for network in before if at - since[network] > 2.0}
            if chance.random() < 0.5 and (sensor := daemon.sensor()):
                os.kill(sensor, signal.SIGKILL)
                assert daemon.other_sensor(sensor), daemon.said
            else:
                daemon.kill()
                daemon = Daemon(wire, tmp_path)
            held, passed = look(), time.monotonic() - at
            gone = [n for n in old if n not in held and before[n] > passed + 1]
            lost += [f"{number}: {n}" for n in gone if covered(held) < BOTS]  # or its network took its place
            assert "somebody else" not in daemon.said
        assert lost == []
        daemon.kill()
        held = blocks(wire)
        assert covered(held) == BOTS
    assert eventually(lambda: blocks(wire) == {}, max(held.values()) + 1)  # nobody is left to end them


def test_p29_a_disk_that_is_full_or_read_only_stops_no_block(site: Lab, tmp_path: Path) -> None:
    wire, state = site, tmp_path / "state"
    daemon = Daemon(wire, tmp_path, f"mount -t tmpfs -o size=1m none {state}")
    inside = Path(f"/proc/{daemon.process.pid}/root{state}")
    with suppress(OSError), (inside / "filler").open("wb") as filler:
        while True:
            filler.write(bytes(4096))
            filler.flush()
    with flood(wire, 30):
        assert eventually(lambda: all_blocked(wire)), daemon.said
        assert eventually(lambda: "No space left on device" in daemon.said), daemon.said
        assert any("No space left on device" in words for words in daemon.picture().degraded)
        (inside / "filler").unlink()
        assert eventually(lambda: "can be written again" in daemon.said, 15), daemon.said
        assert daemon.picture().degraded == ()
        target = ("nsenter", "-t", str(daemon.process.pid), "-m", "mount", "-o", "remount,ro", str(state))
        assert subprocess.run(target, check=False).returncode == 0
        assert eventually(lambda: "Read-only file system" in daemon.said, 90), daemon.said
        assert all_blocked(wire)
    daemon.stop()


def test_p41_a_clock_that_jumps_a_year_ends_no_block_and_lets_none_stay(
    site: Lab, tmp_path: Path, need: Any
) -> None:
    need(shutil.which("gcc"), "a clock that can be set is compiled by gcc")
    wire, ahead, library = site, tmp_path / "ahead", tmp_path / "clock.so"
    (tmp_path / "clock.c").write_text(CLOCK)
    command = ("gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(tmp_path / "clock.c"), "-ldl")
    subprocess.run(command, check=True)

    def jump(seconds: int) -> None:
        with ahead.open("r+b") as file:
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))

    ahead.write_bytes(bytes(4096))
    year = 366 * 86_400
    daemon = Daemon(wire, tmp_path, LD_PRELOAD=str(library), AHEAD=str(ahead))
    with flood(wire, 60):
        assert eventually(lambda: all_blocked(wire)), daemon.said
        for seconds in (year, 0, -year, 3600, 0):
            jump(seconds)
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                held = blocks(wire)
                assert covered(held) == BOTS
                assert max(held.values()) <= TTL_S
                time.sleep(0.1)
        jump(-year)
        daemon.stop()
        assert blocks(wire) == {}
    jump(year)  # and while nobody runs
    daemon = Daemon(wire, tmp_path, LD_PRELOAD=str(library), AHEAD=str(ahead))
    held = blocks(wire)
    assert covered(held) == BOTS
    assert max(held.values()) <= TTL_S
    assert eventually(lambda: blocks(wire) == {}, TTL_S + 2)
    daemon.stop()
    assert daemon.said.count("opened") == 0  # no flood was made up
