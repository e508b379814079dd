"""Guards against forged and reflected floods, in a real kernel: what they stop and what they let through."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyroute2 import IPRoute, NetNS, netns

from floodwatch import synth

sys.path.insert(0, str(Path(__file__).parent))
from lab import CLIENT, SERVER, Lab
from test_daemon import eventually
from test_mitigate import SERVE, ctl, reaches, rules, run, serve

pytestmark = [pytest.mark.root, pytest.mark.slow]

COUNT = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, int(sys.argv[1]))
s.settimeout(0.2)
print("ready", flush=True)
end, seen = time.monotonic() + float(sys.argv[2]), []
while time.monotonic() < end:
    try:
        s.recv(65535)
        seen.append(time.time())
    except TimeoutError:
        pass
print(*seen)
"""
ASK_DNS = f"""
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
good = 0
for _ in range(20):
    s.sendto(b"question", ("{CLIENT}", 53))
    try:
        good += s.recv(100) == b"answer"
    except TimeoutError:
        pass
    time.sleep(0.1)
print(good)
"""
ANSWER_DNS = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("{CLIENT}", 53))
print("ready", flush=True)
while True:
    _, who = s.recvfrom(100)
    s.sendto(b"answer", who)
"""


@pytest.fixture(autouse=True)
def nft(need: Any) -> None:
    need(shutil.which("nft"), "tests of rules read them back with nft")


def flood(tmp_path: Path, scenario: str, **params: Any) -> Path:
    capture = tmp_path / f"{scenario}.pcap"
    synth.make(scenario, capture, synth.Params(victim=SERVER, **params))
    return capture


def python(wire: Lab, where: str, script: str, *argv: str) -> subprocess.Popen[bytes]:
    process = wire.start(where, sys.executable, "-c", script, *argv, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def report(watch: subprocess.Popen[bytes]) -> tuple[dict[str, Any], str]:
    """The last report of a watch, and what it said on the way."""
    watch.send_signal(signal.SIGINT)
    out, err = watch.communicate(timeout=20)
    return json.loads(out.splitlines()[-1]), err.decode()


def test_answers_of_reflectors_are_dropped_and_the_victims_own_pass(wire: Lab, tmp_path: Path) -> None:
    capture = flood(tmp_path, "dns_amplification", duration=8, pps=1500)
    python(wire, wire.client, ANSWER_DNS)
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce")
    count = python(wire, wire.server, COUNT, "17", "14")
    begin = time.time()
    sender = wire.sender(capture, deliver=True)
    while not rules(wire).get("reflected4"):
        assert time.time() < begin + 12, "three seconds of people, then the flood, and nothing was done"
        time.sleep(0.1)
    guarded = time.time()
    (key,) = rules(wire)["reflected4"]
    assert key == str({"concat": [SERVER, 53]})

    def row() -> dict[str, Any]:
        (only,) = json.loads(ctl(wire, "blocks", "--json"))
        return dict(only)

    assert eventually(lambda: row()["packets"] > 1000)
    assert (row()["guard"], row()["victim"], row()["number"]) == ("reflected", SERVER, 53)
    assert f"protects {SERVER} against new UDP packets from port 53" in ctl(wire, "blocks")
    own = wire.start(wire.server, sys.executable, "-c", ASK_DNS, stdout=subprocess.PIPE)
    assert int(own.communicate(timeout=30)[0]) == 20
    assert sender.wait(30) == 0
    seen = [float(word) for word in count.communicate(timeout=30)[0].split()]
    # three seconds of people, then the flood, of which nothing reaches a socket from its guard on
    assert len(seen) > 200  # the first half second of the flood did reach it
    late = [t for t in seen if guarded < t < begin + 11]
    assert len(late) < 0.05 * 1500 * (begin + 11 - guarded)
    found, said = report(watch)
    (event,) = [e for e in found["floods"] if e["vector"] == "dns_amplification"]
    assert event["action"]["taken"] == "drop_reflector_port"
    assert f"guard  {SERVER} against new UDP packets from port 53" in said
    assert not any(held for name, held in rules(wire).items() if name.startswith("block"))


def test_a_forged_flood_of_udp_is_limited_and_no_source_is_blocked(wire: Lab, tmp_path: Path) -> None:
    serve(wire)
    capture = flood(tmp_path, "udp_one_port", duration=7)
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce")
    wire.send(capture, deliver=True)
    held = rules(wire)
    (element,) = held["limited4_port"].values()
    assert element["limit"] == {"rate": 500, "burst": 500, "per": "second", "inv": True}
    (row,) = json.loads(ctl(wire, "blocks", "--json"))
    assert row["packets"] > 4000 * 5 * 0.6  # of 4,000 a second, 500 pass
    assert not any(found for name, found in held.items() if name.startswith("block"))
    assert reaches(wire)
    found, _ = report(watch)
    (event,) = found["floods"]
    assert event["vector"] == "udp_flood"
    assert event["action"]["taken"] == "limit_victim"


OLD_CONNECTION = """
import socket, sys, time
s = socket.create_connection((sys.argv[1], 80), timeout=2)
print("ready", flush=True)
time.sleep(float(sys.argv[2]))  # the watch and its guard begin after this connection
good = 0
for _ in range(20):
    s.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    try:
        good += s.recv(100).endswith(b"ok")
    except TimeoutError:
        pass
    time.sleep(0.15)
print(good)
"""


@pytest.mark.parametrize(
    ("scenario", "name", "key", "taken"),
    [
        ("ack_flood", "strange4_port", str({"concat": [SERVER, 80]}), "drop_signature"),
        ("fragment_flood", "fragments4", SERVER, "drop_signature"),
        ("carpet_udp", "limited4_p24", str({"concat": ["198.51.100.0", "udp"]}), "limit_victim"),
    ],
)
def test_packets_of_nothing_are_dropped_and_old_connections_go_on(
    wire: Lab, tmp_path: Path, scenario: str, name: str, key: str, taken: str
) -> None:
    serve(wire)
    capture = flood(tmp_path, scenario, duration=5, pps=4000)
    old = python(wire, wire.client, OLD_CONNECTION, SERVER, "6")
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce")
    sender = wire.sender(capture, deliver=True)
    assert eventually(lambda: list(rules(wire).get(name, ())) == [key], 20)
    good = int(old.communicate(timeout=60)[0])
    assert sender.wait(30) == 0
    (row,) = json.loads(ctl(wire, "blocks", "--json"))
    assert row["packets"] > 4000 * 5 * (0.5 if taken == "limit_victim" else 0.75)
    assert good >= 19
    found, _ = report(watch)
    (event,) = found["floods"]
    assert (event["vector"], event["action"]["taken"]) == (scenario.replace("carpet_udp", "udp_flood"), taken)
    assert not any(held for name, held in rules(wire).items() if name.startswith("block"))


def test_cookies_are_told_as_taken_only_where_they_are_on(wire: Lab, tmp_path: Path) -> None:
    serve(wire)
    capture = flood(tmp_path, "syn_flood", duration=3)
    for on in ("1", "0"):
        run(wire, "sysctl", "-q", "-w", f"net.ipv4.tcp_syncookies={on}")
        watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce")
        wire.send(capture, deliver=True)
        found, _ = report(watch)
        (event,) = found["floods"]
        assert event["action"]["taken"] == ("syn_cookies" if on == "1" else "cap_unknown")


def test_suggesting_says_what_guards_would_stand_and_puts_up_none(wire: Lab, tmp_path: Path) -> None:
    before = run(wire, "nft", "list", "ruleset")
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", "suggest")
    wire.send(flood(tmp_path, "ntp_amplification", duration=3), deliver=True)
    assert run(wire, "nft", "list", "ruleset") == before
    found, said = report(watch)
    assert said.count("against new UDP packets from port 123") == 1
    assert found["floods"][0]["action"]["taken"] == "none"


def test_p13_guards_end_by_themselves_when_nobody_is_left(wire: Lab, tmp_path: Path) -> None:
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce")
    wire.send(flood(tmp_path, "ntp_amplification", duration=3), deliver=True)
    watch.kill()
    watch.wait()
    (element,) = rules(wire)["reflected4_port"].values()
    assert element["timeout"] == 60
    assert 0 < element["expires"] <= 60
    run(wire, sys.executable, "-P", "-m", "floodwatch", "ctl", "panic", "--yes")
    assert run(wire, "nft", "list", "ruleset") == ""


PERSON = f"""
import socket, sys, time
good = bad = 0
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    try:
        with socket.create_connection(("{SERVER}", 80), timeout=1, source_address=(sys.argv[1], 0)) as s:
            s.sendall(b"GET /page/%d HTTP/1.1\\r\\n\\r\\n" % time.time_ns())
            good += s.recv(100).endswith(b"ok")
    except OSError:
        bad += 1
    time.sleep(0.1)
print(good, bad)
"""


def test_clients_who_were_served_before_pass_the_cap_of_unknown_ones(wire: Lab, tmp_path: Path) -> None:
    for name, interface, address in ((wire.client, "va", "10.98.0.1"), (wire.server, "vb", "10.98.0.2")):
        with NetNS(name) as inside:
            (index,) = inside.link_lookup(ifname=interface)
            inside.addr("add", index=index, address=address, prefixlen=24)
    serve(wire)
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce")
    known = wire.start(wire.client, sys.executable, "-c", PERSON, CLIENT, "20", stdout=subprocess.PIPE)
    time.sleep(6)  # networks count from the handshake on, if it was three seconds before the flood
    sender = wire.sender(flood(tmp_path, "blind_requests", duration=9), deliver=True)
    begin = time.monotonic()
    while "capped4" not in rules(wire):
        assert time.monotonic() - begin < 20
        time.sleep(0.2)
    new = wire.start(wire.client, sys.executable, "-c", PERSON, "10.98.0.1", "5", stdout=subprocess.PIPE)
    served, refused = map(int, new.communicate(timeout=30)[0].split())
    held = rules(wire)
    assert list(held["capped4"]) == [str({"concat": [SERVER, 80]})]
    (known_network,) = (element for network, element in held["known4"].items() if network == "10.99.0.0")
    assert known_network["limit"]["rate"] == 500  # who forges their addresses gets no further
    assert not known_network["limit"].get("inv")
    assert sender.wait(30) == 0
    assert refused > 0  # 2,000 forged SYNs a second leave strangers little of the 50 that pass
    assert served < 50
    served, refused = map(int, known.communicate(timeout=60)[0].split())
    assert served > 80
    assert refused == 0
    found, _ = report(watch)
    (event,) = [e for e in found["floods"] if e["vector"] == "http_flood"]
    assert event["action"]["taken"] == "cap_unknown"
    assert event["sources"]["top"] == []


def test_p24_a_kernel_that_takes_no_rules_is_told_and_tried_again(wire: Lab, tmp_path: Path) -> None:
    capture = flood(tmp_path, "ntp_amplification", duration=8)
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce")
    foreign = wire.start(wire.server, "nft", "-i", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert foreign.stdin is not None
    # somebody takes our table away and makes one of the same name that only they may change
    foreign.stdin.write(b"delete table inet floodwatch; add table inet floodwatch { flags owner; }\n")
    foreign.stdin.flush()
    sender = wire.sender(capture, deliver=True)
    assert watch.stderr is not None
    said = ""
    while "no rule could be set" not in said:
        said += (line := watch.stderr.readline()).decode()
        assert line, "it ended"
    time.sleep(1.5)  # it tries again, and says so no more
    assert watch.poll() is None
    foreign.kill()  # with its socket the table goes
    foreign.wait()
    assert eventually(lambda: len(rules(wire).get("reflected4_port", ())) == 1)
    assert sender.wait(30) == 0
    found, more = report(watch)
    said += more
    assert said.count("no rule could be set") == 1
    assert "trying again" in said
    assert "rules can be set again" in said
    assert found["floods"][0]["action"]["taken"] == "drop_reflector_port"


INNER, INNER_GATEWAY = "10.97.0.2", "10.97.0.1"
COUNT_SYNS = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 6)
s.settimeout(0.2)
print("ready", flush=True)
end, seen = time.monotonic() + float(sys.argv[1]), 0
while time.monotonic() < end:
    try:
        packet = s.recv(65535)
        seen += packet[(packet[0] & 15) * 4 + 13] & 18 == 2
    except TimeoutError:
        pass
print(seen)
"""


@pytest.fixture
def behind(wire: Lab) -> Iterator[str]:
    """A namespace behind the server's, which forwards to it: the victim of a router's tests."""
    name = f"fw-{os.getpid()}-inner"
    netns.create(name)
    try:
        with IPRoute() as outside:
            outside.link("add", ifname="vc", kind="veth", peer={"ifname": "vd", "net_ns_fd": name},
                         net_ns_fd=wire.server)  # fmt: skip
        for where, link, address in ((wire.server, "vc", INNER_GATEWAY), (name, "vd", INNER)):
            with NetNS(where) as inside:
                (index,) = inside.link_lookup(ifname=link)
                inside.addr("add", index=index, address=address, prefixlen=24)
                inside.link("set", index=index, state="up")
        with NetNS(name) as inside:
            inside.link("set", index=1, state="up")
            inside.route("add", dst="default", gateway=INNER_GATEWAY)
        with NetNS(wire.client) as inside:
            inside.route("add", dst="10.97.0.0/24", gateway=SERVER)
        with NetNS(wire.server) as inside:
            (index,) = inside.link_lookup(ifname="vb")
            inside.route("add", dst="default", gateway=CLIENT)
        run(wire, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0")
        yield name
    finally:
        netns.remove(name)


def connects(wire: Lab, victim: str) -> bool:
    """Does a client get an answer over a connection of its own?"""
    script = (
        f"import socket; s = socket.create_connection(('{victim}', 80), timeout=2)\n"
        "s.sendall(b'GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); assert s.recv(100).endswith(b'ok')"
    )
    return wire.start(wire.client, sys.executable, "-c", script, stderr=subprocess.DEVNULL).wait(10) == 0


def test_a_router_answers_the_syns_of_a_flood_with_cookies_for_who_is_behind_it(
    wire: Lab, behind: str, tmp_path: Path
) -> None:
    server = wire.start(behind, sys.executable, str(SERVE), stdout=subprocess.PIPE)
    assert server.stdout is not None
    server.stdout.readline()
    assert connects(wire, INNER)
    capture = tmp_path / "syn.pcap"
    synth.make("syn_flood", capture, synth.Params(victim=INNER, duration=8, pps=3000))
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce")
    sender = wire.sender(capture, deliver=True)
    # three seconds of people come first
    assert eventually(lambda: list(rules(wire).get("proxied4", ())) == [str({"concat": [INNER, 80]})], 20)
    count = python(wire, behind, COUNT_SYNS, "3")
    assert all(connects(wire, INNER) for _ in range(5))  # from a client that is not known
    reached = int(count.communicate(timeout=20)[0])
    assert reached < 0.01 * 3000 * 3  # those who finished their handshakes, and nobody else
    assert sender.wait(30) == 0
    found, said = report(watch)
    assert found["floods"][0]["action"]["taken"] == "syn_cookies"
    assert f"guard  {INNER}:80 by answering its SYNs with cookies" in said
    assert connects(wire, INNER)
