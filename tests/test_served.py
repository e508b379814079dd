"""Guards take nothing from who is served: promises 59 and 60, and a guard that hurts is taken back.

Short ones put guards up by themselves; the long ones are whole watches under floods of twelve kinds.
"""

from __future__ import annotations

import ipaddress
import json
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pyroute2 import NetNS

from floodwatch._engine import HOST_DTYPE
from floodwatch.errors import EnforceError
from floodwatch.history.answers import HOSTS_MOST, KEEP, Answers, sent_in
from floodwatch.mitigate import Blocker, keeper, sockets
from floodwatch.mitigate.dryrun import DryRun
from floodwatch.mitigate.guards import Guard, orders
from floodwatch.mitigate.harm import Harm
from floodwatch.mitigate.plan import NOBODY
from floodwatch.model.decision import Decision
from floodwatch.model.epoch import DATA, RST, UDP
from floodwatch.model.vector import Vector

sys.path.insert(0, str(Path(__file__).parent))
from forge import KINDS
from guarded import ACTED_S
from lab import SERVER, SERVER6, Lab

HERE = Path(__file__).parent
VICTIM = ipaddress.ip_network("198.51.100.7")
GUARD = Guard("limited", VICTIM, 17, 27_015)
MAPPED = 0xFFFF << 32


def told(answers: Answers, epoch: int, *sent: dict[int, int]) -> None:
    """One epoch in which the victim, and the addresses behind it, sent so many packets of some kinds."""
    hosts = np.zeros(len(sent), HOST_DTYPE)
    for more, (row, kinds) in enumerate(zip(hosts, sent, strict=True)):
        row["lo"] = MAPPED | int(VICTIM.network_address) + more
        for kind, packets in kinds.items():
            row["out"][kind] = packets
    answers.take(epoch, sent_in(SimpleNamespace(epoch=epoch, hosts=lambda: hosts)))  # type: ignore[arg-type]


def test_answers_are_remembered_by_host_and_kind_for_sixteen_seconds() -> None:
    answers = Answers()
    for epoch in range(100, 200):
        told(answers, epoch, {UDP: 5, DATA: 7, RST: 90}, {UDP: 2})
    host, around = VICTIM, VICTIM.supernet(new_prefix=24)
    assert answers.sent(host, "udp", 196, 200).tolist() == [5] * 4
    assert answers.sent(host, "tcp", 196, 200).tolist() == [7] * 4  # nobody is served by a reset
    assert answers.sent(around, "any", 199, 200).tolist() == [14]
    assert answers.sent(host, "udp", 200 - KEEP - 1, 200).sum() == 5 * KEEP
    told(answers, 203, {UDP: 9})  # and nothing in the epochs between
    assert answers.sent(host, "udp", 199, 204).tolist() == [5, 0, 0, 0, 9]
    told(answers, 50, {UDP: 1})  # the clock went back
    assert answers.sent(host, "udp", 40, 51).sum() == 1


def test_answers_of_many_hosts_take_no_more_memory() -> None:
    answers = Answers()
    for epoch in range(8):
        told(answers, epoch, {UDP: 3}, *({UDP: 1} if n // 256 == epoch else {} for n in range(2048)))
    assert len(answers._slots) == HOSTS_MOST
    assert answers.sent(VICTIM, "udp", 0, 8).sum() == 24  # who is heard of is not forgotten


def course(*seconds: float) -> tuple[list[tuple[int, str]], Harm]:
    """(epoch, what was said) when a guard comes in the 13th second and answers take this course."""
    answers, harm, said = Answers(), Harm(), list[tuple[int, str]]()
    standing = False
    for epoch in range(4 * len(seconds)):
        told(answers, epoch, {UDP: round(seconds[epoch // 4] / 4)})
        if epoch % 2:
            continue
        back, words = harm.judge([GUARD] if standing else [], answers)
        said += [(epoch, line) for line in words]
        standing = standing and not back
        if epoch >= 48 and not standing and not harm.spared(GUARD):
            harm.came([GUARD], answers)
            standing = True
            said.append((epoch, "came"))
    return said, harm


def test_a_guard_after_which_answers_fall_is_taken_back_within_two_seconds_and_told_once() -> None:
    (came, _), (fell, words), (back, more) = course(*[100] * 12, *[10] * 2, *[100] * 40)[0]
    assert fell - came <= 8
    assert words.startswith(
        "lift   198.51.100.7 by limiting new UDP flows at port 27015: answers of the victim fell"
    )
    assert int(words.split("fell from ")[1].split()[0]) > 70
    assert back - fell <= 12
    assert "it stays away" in more


def test_a_guard_that_was_not_to_blame_comes_again_and_stays() -> None:
    said, _ = course(*[100] * 13, *[10] * 40)  # the victim goes down by itself, right then
    assert [words for _, words in said if words == "came"] == ["came"] * 2
    assert len(said) == 3


@pytest.mark.parametrize("seconds", [
    [*[100] * 8, *[5] * 4, *[4] * 20],  # the flood itself took the answers before the guard came
    [*[100] * 8, *[900] * 4, *[95] * 20],  # answers to the flood end: those that are usual stay
    [*[0, 0, 200, 0] * 3, *[0] * 20],  # work in bursts
    [*[4] * 12, *[0] * 20],  # too few to tell
])  # fmt: skip
def test_what_is_not_the_guards_fault_is_not_blamed_on_it(seconds: list[float]) -> None:
    assert [words for _, words in course(*seconds)[0]] == ["came"]


def decision(protection: Any, *, victim: str = "198.51.100.7", protocol: int = 6, port: int | None = None,
             vector: Vector = Vector.ACK_FLOOD) -> Decision:  # fmt: skip
    return Decision(
        id=f"{protection}-{protocol}-{port}", vector=vector, origin="unknown", action="drop_signature",
        victim=ipaddress.ip_network(victim), protocol=protocol, port=port, protection=protection,
    )  # fmt: skip


def test_no_guard_stands_before_what_a_network_lives_by() -> None:
    vital = [("limited", 89, None), ("limited", 112, None), ("limited", 17, 67), ("limited", 17, 547),
             ("capped", 6, 179), ("strange", 6, 179), ("cookies", 6, 179)]  # fmt: skip
    found = [decision(kind, protocol=protocol, port=port) for kind, protocol, port in vital]
    assert orders(found, lambda victim: "none") == []
    assert len(orders([decision("limited", protocol=17, port=66)], lambda victim: "none")) == 1


def test_what_is_seen_one_way_gets_no_guard_that_takes_both_and_that_is_told_once() -> None:
    with Blocker() as dry:
        wanted = [decision("strange"), decision("limited", protocol=17, port=53)]
        said = dry.guard(wanted, NOBODY, one_way=True)
        assert [line.split()[0] for line in said] == ["no", "guard"]
        assert "only what comes in is seen here" in said[0]
        assert list(dry.guards()) == [Guard("limited", VICTIM, 17, 53)]
        assert dry.guard(wanted, NOBODY, one_way=True) == []


def test_where_tracking_can_never_learn_no_guard_goes_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "number", lambda path: 0)  # strict, and nothing is tracked yet
    with Blocker() as dry:
        dry.track()
        said = dry.guard([decision("strange"), decision("limited", protocol=17, port=53)], NOBODY)
        assert "nf_conntrack_tcp_loose is 0" in said[0]
        assert list(dry.guards()) == [Guard("limited", VICTIM, 17, 53)]
        dry.guard([decision("strange", victim="127.0.0.1")], NOBODY)  # of this host the sockets tell
        assert Guard("strange", ipaddress.ip_network("127.0.0.1")) in dry.guards()


def test_sockets_are_packed_as_packets_name_them() -> None:
    ports, own, peer = struct.pack("!HH", 22, 40_000), bytes((192, 0, 2, 1)), bytes((192, 0, 2, 9))
    key = peer + b"\x9c\x40\0\0" + own + b"\0\x16\0\0" + b"\x06\0\0\0"
    four = bytes(4) + ports + own + bytes(12) + peer + bytes(12)
    assert sockets._packed(four, socket.AF_INET, b"\x06\0\0\0") == (4, key)
    mapped = bytes(4) + ports + sockets.MAPPED + own + sockets.MAPPED + peer  # a socket for both versions
    assert sockets._packed(mapped, socket.AF_INET6, b"\x06\0\0\0") == (4, key)
    six = bytes(4) + ports + b"\x20" * 16 + b"\x21" * 16
    version, long = sockets._packed(six, socket.AF_INET6, b"\x06\0\0\0") or (0, b"")
    assert (version, len(long), long[:16]) == (6, 44, b"\x21" * 16)
    inside = bytes(4) + ports + bytes((127, 0, 0, 1)) + bytes(12) + bytes((127, 0, 0, 1)) + bytes(12)
    assert sockets._packed(inside, socket.AF_INET, b"\x06\0\0\0") is None
    assert sockets._packed(b"short", socket.AF_INET, b"\x06\0\0\0") is None


def test_a_kernel_that_tracks_nothing_is_told_once_and_blocks_nevertheless() -> None:
    class Bare(DryRun):
        def track(self) -> None:
            raise EnforceError("Operation not supported", 95)

    with Blocker(dry_run=False, backend=Bare()) as blocker:
        blocker.track()
        (said,) = blocker.guard([], NOBODY)
        assert said == "the kernel tracks no connections (Operation not supported): there will be no guards"
        blocker.track()
        assert blocker.guard([], NOBODY) == []


def test_a_guard_of_all_ports_goes_when_one_port_turns_out_to_be_flooded() -> None:
    wide, narrow = (decision("limited", protocol=17, port=port) for port in (None, 53))
    with Blocker() as dry:
        dry.guard([wide], NOBODY)
        said = dry.guard([narrow], NOBODY)
        assert list(dry.guards()) == [Guard("limited", VICTIM, 17, 53)]
        assert any("one port holds most of the flood by now" in line for line in said)
        assert dry.guard([narrow], NOBODY) == []
        dry.guard([wide, narrow], NOBODY)  # two floods
        assert len(dry.guards()) == 2


DRIVE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from test_served import decision
from floodwatch.mitigate import Blocker, keeper, sockets
from floodwatch.mitigate.plan import NOBODY
with Blocker(dry_run=False) as blocker:
    blocker.track()
    decisions = []
    for victim, icmp in (("10.99.0.2", 1), ("fd99::2", 58)):
        decisions += [decision("strange", victim=victim), decision("unasked", victim=victim),
                      decision("limited", victim=victim, protocol=17, port=27015),
                      decision("limited", victim=victim, protocol=icmp)]
        if victim == sys.argv[2]:
            decisions.append(decision("limited", victim=victim, protocol=17))
    assert len(blocker.guard(decisions, NOBODY)) == len(decisions)
    print("ready", flush=True)
    input()
    guards, sizes = blocker.guards(), blocker.sizes()
    assert all(20 * held.packets <= sizes[guard] <= 1500 * held.packets for guard, held in guards.items())
    print(json.dumps({f"{g.kind} {g.victim} {g.number} {g.port}": s.packets for g, s in guards.items()}))
"""


@pytest.fixture
def nft(need: Any) -> None:
    need(shutil.which("nft"), "what reaches the victim is counted by nft")


def forge(wire: Lab, *argv: object) -> subprocess.Popen[bytes]:
    with NetNS(wire.server) as inside:
        (index,) = inside.link_lookup(ifname="vb")
        mac = inside.get_links(index)[0].get_attr("IFLA_ADDRESS")
    return wire.start(wire.client, sys.executable, str(HERE / "forge.py"), "va", mac, *map(str, argv),
                      stdout=subprocess.DEVNULL)  # fmt: skip


def drive(wire: Lab, wide: str = "") -> subprocess.Popen[bytes]:
    process = wire.start(wire.server, sys.executable, "-P", "-c", DRIVE, str(HERE), wide,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def met(driver: subprocess.Popen[bytes]) -> dict[str, int]:
    found: dict[str, int] = json.loads(driver.communicate(b"\n", timeout=20)[0])
    return found


@pytest.mark.slow
@pytest.mark.root
def test_p59_p60_old_connections_and_other_services_live_beside_guards(wire: Lab) -> None:
    server = wire.start(wire.server, sys.executable, str(HERE / "served.py"), "serve", stdout=subprocess.PIPE)
    assert server.stdout is not None
    server.stdout.readline()
    users = [
        wire.start(
            wire.client,
            sys.executable,
            str(HERE / "served.py"),
            "use",
            address,
            "6",
            "told",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for address in (SERVER, SERVER6)
    ]
    for one in users:
        assert one.stdout is not None
        one.stdout.readline()
    driver = drive(wire)  # tracking begins only now, and the sleepers have said nothing since
    began = time.time()
    floods = [forge(wire, kind, to, 3, 1500) for kind in ("ack", "udp") for to in (SERVER, SERVER6)]
    for one in users:
        assert one.stdin is not None
        one.stdin.write(b"go\n")
        one.stdin.flush()
    for flood in floods:
        flood.wait(60)
    for one in users:
        told = json.loads(one.communicate(timeout=60)[0].splitlines()[-1])
        assert len(told["lived"]) == 8
        assert all(told["lived"].values()), told["lived"]
        during = [ok for at, ok in told["polls"] if at > began]
        assert len(during) > 20
        assert sum(during) >= 0.99 * len(during)
    packets = met(driver)
    for victim in (f"{SERVER}/32", f"{SERVER6}/128"):
        assert packets[f"strange {victim} 0 None"] > 500
        assert packets[f"limited {victim} 17 27015"] > 200


@pytest.mark.root
def test_what_a_network_lives_by_meets_no_guard(wire: Lab) -> None:
    driver = drive(wire, SERVER)
    floods = [forge(wire, kind, to, 1, 2000, port) for kind, to, port in (
        ("udp", SERVER, 68), ("udp", SERVER, 3784), ("syn", SERVER, 179), ("ack", SERVER6, 179),
    )]  # fmt: skip
    for flood in floods:
        flood.wait(20)
    assert sum(met(driver).values()) == 0


AGAIN = """
import subprocess
TABLE = "inet floodwatch"
from floodwatch.mitigate import Blocker
def stands(): return subprocess.run(["nft", "-s", "list", "ruleset"], capture_output=True, text=True).stdout
with Blocker(dry_run=False) as blocker:
    blocker.track()
    first = stands()
    assert "ct state established,related" in first
    for command in ("flush ruleset", f"flush chain {TABLE} guard_passes", f"delete table {TABLE}"):
        subprocess.run(["nft", *command.split()], check=True)
        blocker.enforce([])
        assert stands() == first, command
"""


@pytest.mark.root
def test_tracking_that_somebody_takes_away_comes_back(wire: Lab, nft: None) -> None:
    assert wire.start(wire.server, sys.executable, "-P", "-c", AGAIN).wait(20) == 0


def cells(*wanted: tuple[str, int, str]) -> list[dict[str, Any]]:
    """Whole watches under floods, two at a time, see ``guarded.py``."""

    def one(cell: tuple[str, int, str]) -> dict[str, Any]:
        command = (sys.executable, str(HERE / "guarded.py"), *map(str, cell), "--lead", "2.5", "--flood", "7")
        seen: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        return seen

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, wanted))


@pytest.mark.root
@pytest.mark.slow
def test_p59_p60_no_flood_of_twelve_kinds_lets_a_guard_cut_what_is_served(need: Any, nft: None) -> None:
    places = (("router", 6), ("host", 4), ("router", 4), ("host", 6))
    seen = cells(*((*places[n % 4], kind) for n, kind in enumerate(KINDS)))
    for cell in seen:
        assert len(cell["lived"]) == 8, cell
        assert all(cell["lived"].values()), cell
        assert cell["lost"] <= 0.01, cell
        assert cell["acted"] is None or cell["acted"] < ACTED_S, cell
    assert sum(cell["acted"] is not None for cell in seen) >= 10  # cookies of the host itself need no rule
    for cell in seen:
        assert cell["acted"] is None or cell["reached"] < 0.3, cell


@pytest.mark.root
@pytest.mark.slow
def test_a_guard_that_takes_a_service_from_its_clients_is_taken_back(need: Any, nft: None) -> None:
    from guarded import cell
    from served import ECHO

    seen = cell(
        "host", 4, "udp", lead=13, flood=12, port=ECHO
    )  # clients come to the flooded port, each time anew
    lines = seen.said.splitlines()
    assert [re.sub("floodwatch: (guard|lift).*", r"\1", line) for line in lines] == ["guard", "lift", "lift"]
    assert "answers of the victim fell" in lines[1]
    assert "answers are back without it" in lines[2]
    assert seen.lost < 0.4  # two of twelve seconds, and as many of a busy machine
    assert seen.all_lived
