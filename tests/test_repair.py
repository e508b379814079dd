"""What stands is what is wanted, whatever others do to it: promises 2, 7, 8, 14, 15, 19, 20 and 22 to 24.

A driver inside the server's namespace runs a ``Blocker`` on the decision about a flood of a real scan, whose
one source is the client; what stands is read back by ``nft``.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from pyroute2 import NetNS

from floodwatch import scan, synth

sys.path.insert(0, str(Path(__file__).parent))
from lab import CLIENT, SERVER, Lab
from test_mitigate import ctl, reaches, rules, run, serve

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.alone]
DRIVE = """
import json, sys, time, msgspec
from floodwatch.decide.recall import decision_of
from floodwatch.errors import EnforceError
from floodwatch.mitigate import Blocker, Policy, Table
from floodwatch.model.decision import prove
from floodwatch.model.event import Event
path, ttl, flood_s, rest_s, minor = sys.argv[1], *map(float, sys.argv[2:6])
flood = decision_of(msgspec.json.decode(open(path, "rb").read(), type=Event), prove)
reader = Table()
print("ready", flush=True)
table = Table(linux=(6, int(minor)))
with Blocker(dry_run=False, backend=table, policy=Policy(ttl_s=int(ttl))) as blocker:
    begin, act, seen, said = time.monotonic(), 0.0, [], []
    while (now := time.monotonic() - begin) < flood_s + rest_s:
        if now >= act:
            act = now + 0.25
            try:
                steps = blocker.enforce([flood] if now < flood_s else [])
                said += [*map(str, steps), *blocker.news()]
            except EnforceError as error:
                said.append(str(error))
        try:
            held = {str(n): (packets, block.seconds) for n, (block, packets) in reader.counted().items()}
        except EnforceError:
            held = {}
        seen.append((time.monotonic() - begin, held))
        time.sleep(0.05)
print(json.dumps([seen, said]))
"""
DATAGRAMS = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    try:
        s.sendto(b"x", (sys.argv[1], 9))
    except OSError:
        pass
    time.sleep(0.01)
"""
HOST = f"{CLIENT}/32"


@pytest.fixture(autouse=True)
def nft(need: Any) -> None:
    need(shutil.which("nft"), "tests of rules read them back with nft")


@pytest.fixture(scope="module")
def event(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An HTTP flood as a scan finds it, its only source the client of the lab."""
    folder = tmp_path_factory.mktemp("repair")
    synth.make("http_flood", folder / "http.pcap")
    (flood,) = scan([str(folder / "http.pcap")], top=0).floods
    top = (replace(flood.sources.top[0], cidr=CLIENT),)
    path = folder / "event.json"
    path.write_bytes(msgspec.json.encode(replace(flood, sources=replace(flood.sources, top=top))))
    return path


def drive(wire: Lab, event: Path, ttl: float, flood_s: float, rest_s: float, *, minor: int = 99) -> Any:
    argv = (sys.executable, "-P", "-c", DRIVE, str(event), *map(str, (ttl, flood_s, rest_s, minor)))
    process = wire.start(wire.server, *argv, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def told(process: Any) -> tuple[list[tuple[float, dict[str, Any]]], list[str]]:
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    seen, said = json.loads(out.splitlines()[-1])
    return seen, said


def send(wire: Lab, seconds: float) -> None:
    wire.start(wire.client, sys.executable, "-c", DATAGRAMS, SERVER, str(seconds))


@pytest.mark.parametrize("minor", [12, 1], ids="Linux 6.{}".format)
def test_p14_p15_a_block_is_renewed_without_a_gap_and_ends_with_its_flood(
    wire: Lab, event: Path, minor: int
) -> None:
    driver = drive(wire, event, 2, 6.5, 5, minor=minor)
    send(wire, 6.5)
    seen, said = told(driver)
    first = next(t for t, held in seen if HOST in held)
    assert all(HOST in held for t, held in seen if first < t < 6.5)  # more than three lifetimes
    moments = [(t, held[HOST][0]) for t, held in seen if HOST in held and t < 6.3]
    changed = [t for (_, a), (t, b) in pairwise(moments) if b != a]
    assert max(b - a for a, b in pairwise(changed)) < 1.0  # it never stops to count
    if minor == 12:
        assert moments[-1][1] > 400  # and a renewal does not forget what was counted
    last = max(t for t, held in seen if HOST in held)
    assert last < 6.5 + 2 + 2.5  # two seconds of quiet, and at most its lifetime
    assert any(line.startswith("remove") for line in said) or last < 6.5 + 2.5
    assert any("1 of 1 blocks dropped packets within 1 s" in line for line in said)


def test_p20_a_table_that_is_flushed_in_a_loop_comes_back_with_its_blocks(wire: Lab, event: Path) -> None:
    driver = drive(wire, event, 30, 2, 6)  # the flood is over when the flushing begins
    send(wire, 8)
    ctl(wire, "block", "203.0.113.77", "--for", "10m", "--reason", "by hand")
    time.sleep(2.5)
    for _ in range(4):
        run(wire, "nft", "flush", "ruleset")
        time.sleep(0.7)
        assert sorted(rules(wire)["block4"]) == [CLIENT, "203.0.113.77"]
    seen, said = told(driver)
    assert sum("the table was removed by somebody: 2 blocks restored" in line for line in said) == 4
    gone = [t for t, held in seen if t > 1 and HOST not in held]
    assert len(gone) < 0.2 * len(seen)


def test_p22_what_others_take_out_is_seen_and_put_back(wire: Lab, event: Path) -> None:
    driver = drive(wire, event, 30, 6, 0.5)
    send(wire, 6)
    serve(wire)
    time.sleep(1)
    for command in (
        f"delete element inet floodwatch block4 {{ {CLIENT} }}",
        "flush chain inet floodwatch prerouting",
        "delete table inet floodwatch",
        "add rule inet floodwatch prerouting accept",
    ):
        run(wire, "nft", *command.split())
        time.sleep(0.8)
        assert list(rules(wire)["block4"]) == [CLIENT], command
        assert not reaches(wire), command
    told(driver)


def test_what_ctl_lifts_stays_lifted_until_it_is_blocked_again(wire: Lab, event: Path) -> None:
    driver = drive(wire, event, 30, 5, 0.5)
    time.sleep(1)
    assert list(rules(wire)["block4"]) == [CLIENT]
    ctl(wire, "unblock", CLIENT)
    time.sleep(1)
    assert list(rules(wire)["block4"]) == []
    ctl(wire, "block", CLIENT)
    time.sleep(1)
    assert list(rules(wire)["block4"]) == [CLIENT]
    _, said = told(driver)
    assert any("you lifted its block" in line for line in said)


def test_a_source_that_is_to_be_limited_gets_through_slowly(wire: Lab, event: Path) -> None:
    flood = json.loads(event.read_bytes())
    flood["action"]["recommended"] = "limit_per_source"
    gentle = event.with_name("gentle.json")
    gentle.write_text(json.dumps(flood))
    count = wire.start(wire.server, sys.executable, "-c", COUNT_DATAGRAMS, "5", stdout=subprocess.PIPE)
    driver = drive(wire, gentle, 30, 6, 0.5)
    time.sleep(0.7)
    send(wire, 4)  # a hundred a second
    time.sleep(3)
    assert list(rules(wire)["throttle4"]) == [CLIENT]
    assert f"{HOST} to 5/s" in ctl(wire, "blocks")
    (row,) = json.loads(ctl(wire, "blocks", "--json"))
    assert row["rate"] == 5
    assert row["packets"] > 200
    assert 10 <= int(count.communicate(timeout=20)[0]) <= 40
    _, said = told(driver)
    assert any(f"add    {HOST} to 5 packets a second" in line for line in said)


COUNT_DATAGRAMS = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 9))
s.settimeout(0.1)
end, seen = time.monotonic() + float(sys.argv[1]), 0
while time.monotonic() < end:
    try:
        s.recv(100)
        seen += 1
    except TimeoutError:
        pass
print(seen)
"""


def test_p24_a_full_set_takes_what_fits_and_the_rest_is_told(wire: Lab, event: Path) -> None:
    fill = (
        "import ipaddress; from floodwatch.mitigate import Block, Step, Table; t = Table(); t.ensure()\n"
        "t.apply([Step('add', Block(ipaddress.ip_network(0x0B000000 + i), 600, 'x'), '') "
        "for i in range(65_535)])"
    )
    run(wire, sys.executable, "-P", "-c", fill)
    many = event.with_name("many.json")
    flood = json.loads(event.read_bytes())
    (one,) = flood["sources"]["top"]
    flood["sources"]["top"] = [one, one | {"cidr": "203.0.113.5"}]
    many.write_text(json.dumps(flood))
    code = DRIVE.replace("Policy(ttl_s=int(ttl))", "Policy(ttl_s=30, max_blocks=100_000)")
    argv = (sys.executable, "-P", "-c", code, str(many), "30", "1.5", "0", "99")
    seen, said = told(wire.start(wire.server, *argv, stdout=subprocess.PIPE))
    assert HOST in seen[-1][1]
    assert "203.0.113.5/32" not in seen[-1][1]
    assert any("wanted 2 more blocks, enforced 1, retrying" in line for line in said)
    begin = time.monotonic()
    assert "65536 blocks lifted" in ctl(wire, "unblock", "--all")
    assert time.monotonic() - begin < 10
    assert rules(wire)["block4"] == {}


LOST = """
import time
from floodwatch.errors import EnforceError
from floodwatch.mitigate import Blocker, Table
table = Table()
blocker = Blocker(dry_run=False, backend=table)
kernel = table._kernel
class Deaf:  # the kernel takes what is sent, and its answer gets lost
    def __init__(self, real): self.real = real
    def send(self, data): return self.real.send(data)
    def recv(self, size):
        self.real.recv(size)
        raise TimeoutError
    def close(self): self.real.close()
real, kernel._socket = kernel._socket, Deaf(kernel._socket)
begin = time.monotonic()
try:
    table.apply([])
    table.lift([__import__("ipaddress").ip_network("203.0.113.9")])
    raise SystemExit("it was not told")
except EnforceError as error:
    assert "did not acknowledge in time" in str(error)
assert time.monotonic() - begin < 2.5
kernel._socket = real
assert [str(n) for n in (table.exists(), table.lifted())[1]] == ["203.0.113.9/32"]
"""
SMALL = """
import ipaddress, socket
from floodwatch.mitigate import Block, Step, Table
table = Table()
table.ensure()
table._kernel._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
hosts = [ipaddress.ip_network(0x0B000000 + i) for i in range(3200)]
steps = [Step("add", Block(host, 600, f"reason {host}"), "") for host in hosts]
table.apply(steps)
assert len(table.blocks()) == 3200
"""


@pytest.mark.parametrize("script", [LOST, SMALL], ids=["lost answer", "small buffer"])
def test_p23_lost_answers_and_small_buffers_do_not_hang(wire: Lab, script: str) -> None:
    run(wire, sys.executable, "-P", "-c", script)


OLD = """
import ipaddress, numpy as np
from floodwatch.mitigate import Block, Step, Table
from floodwatch.mitigate.guards import Guard, Order
table = Table(linux=(6, 1))
table.ensure([ipaddress.ip_network("192.0.2.0/24")])
victim, nobody = ipaddress.ip_network("203.0.113.1"), np.zeros(0, np.uint64)
orders = [Order(Guard("limited", victim, 17), 500, "e"), Order(Guard("reflected", victim, 53), 0, "e")]
for _ in range(2):
    table.guard(orders, [], nobody)
    assert len(table.guards()) == 2
table.guard([], [order.guard for order in orders], nobody)
assert not table.guards()
host = Block(ipaddress.ip_network("198.51.100.9"), 60, "x")
for what in ("remove", "add", "extend", "remove", "remove"):
    table.apply([Step(what, host, "")])
    assert (host.network in table.blocks()) == (what != "remove")
table.lift([host.network])
table.lift([host.network])
assert table.lifted() == {host.network}
table.lift([host.network], undo=True)
assert table.lifted() == set()
assert not table.ensure([]) and table.remove()
"""


def test_kernels_before_6_3_take_elements_away_in_their_own_way(wire: Lab) -> None:
    run(wire, sys.executable, "-P", "-c", OLD)


def netfilter_sockets(process: subprocess.Popen[bytes]) -> list[str]:
    """Netlink sockets of nf_tables in the network namespace of a process (proc(5))."""
    rows = Path(f"/proc/{process.pid}/net/netlink").read_text().splitlines()[1:]
    return [row for row in rows if row.split()[1] == "12" and row.split()[2] != "0"]


@pytest.mark.parametrize(("mode", "sockets"), [("observe", 0), ("suggest", 0), ("enforce", 1)])
def test_p02_only_who_enforces_opens_a_netfilter_socket(wire: Lab, mode: str, sockets: int) -> None:
    watch = wire.floodwatch("watch", "-i", "vb", "--mode", mode)
    assert len(netfilter_sockets(watch)) == sockets
    watch.send_signal(signal.SIGINT)
    watch.communicate(timeout=20)


def test_p07_p08_never_block_follows_addresses_and_its_file(wire: Lab, tmp_path: Path) -> None:
    listed = tmp_path / "never.txt"
    listed.write_text("192.0.2.0/24  # partners\n")
    watch = wire.floodwatch("watch", "-i", "vb", "--mode", "enforce", "--never-file", str(listed))
    ctl(wire, "block", "203.0.113.9")
    assert list(rules(wire)["block4"]) == ["203.0.113.9"]
    listed.write_text("203.0.113.0/28\n")
    time.sleep(1.2)
    assert list(rules(wire)["block4"]) == []
    ctl(wire, "block", "198.51.100.1")
    with NetNS(wire.server) as inside:  # a gateway that was not there before
        (index,) = inside.link_lookup(ifname="vb")
        inside.addr("add", index=index, address="198.51.100.2", prefixlen=24)
        inside.route("add", dst="default", gateway="198.51.100.1")
    time.sleep(1.5)
    assert list(rules(wire)["block4"]) == []
    ctl(wire, "block", "192.0.2.7")
    listed.write_text("nonsense\n")
    time.sleep(1)
    ctl(wire, "block", "203.0.113.20")
    watch.send_signal(signal.SIGINT)
    _, err = watch.communicate(timeout=20)
    assert f"{listed}, line 1: 'nonsense' does not appear to be" in err.decode()
    assert "the previous list stays in force" in err.decode()


LONG = """
import ipaddress, sys, time
from floodwatch.errors import BlockRefused
from floodwatch.mitigate import Blocker, Xdp
with Blocker(dry_run=False, never_file=sys.argv[1]) as blocker:
    for refused in ("10.3.7.0", "10.0.0.0/24", "2001:db8:77::9"):
        try:
            blocker.block(refused, ttl=60, reason="x")
            raise SystemExit(f"{refused} was blocked")
        except BlockRefused:
            pass
    blocker.block("10.3.7.1", ttl=60, reason="x")
    xdp = Xdp([])
    xdp.mirror(blocker.active(), blocker.never.reasons)
    begin = time.monotonic()
    hosts = [ipaddress.ip_network(0x0A030000 + 7 * i) for i in range(4096)]
    assert sum(blocker.never.why(host) is None for host in hosts) > 4000
    assert time.monotonic() - begin < 1
"""


def test_a_never_block_list_of_ten_thousand_is_held(wire: Lab, tmp_path: Path) -> None:
    listed = tmp_path / "never.txt"
    lines = [f"10.{n >> 8}.{n & 255}.0" for n in range(10_000)] + [f"2001:db8:{n:x}::/48" for n in range(500)]
    listed.write_text("\n".join(lines))
    run(wire, sys.executable, "-P", "-c", LONG, str(listed))
    held = run(wire, "nft", "list", "set", "inet", "floodwatch", "never4")
    assert held.count("10.") > 10_000


def test_p19_a_watch_leaves_nothing_behind_nor_does_a_failed_start(wire: Lab, event: Path) -> None:
    before = run(wire, "nft", "list", "ruleset")
    command = (sys.executable, "-P", "-m", "floodwatch", "watch", "--mode", "enforce")
    failed = wire.start(wire.server, *command, "-i", "nowhere", stderr=subprocess.PIPE)
    assert failed.wait(10) == 4
    assert run(wire, "nft", "list", "ruleset") == before
    watch = wire.floodwatch("watch", "-i", "vb", "--mode", "enforce")
    assert rules(wire)
    watch.send_signal(signal.SIGTERM)
    watch.communicate(timeout=20)
    assert run(wire, "nft", "list", "ruleset") == before
    watch = wire.floodwatch("watch", "-i", "vb", "--mode", "enforce", "--keep")
    watch.send_signal(signal.SIGTERM)
    watch.communicate(timeout=20)
    assert rules(wire)
