"""What operators say: services and their roles, networks that are allowed, guards that are lifted, probation,
and the audit of it all; in network namespaces, promises 8, 62 and 67.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pyroute2 import NetNS

from floodwatch import synth

sys.path.insert(0, str(Path(__file__).parent))
from lab import CLIENT, SERVER, Lab
from test_mitigate import ASK, ctl, give_addresses, rules, run, serve

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(autouse=True)
def nft(need: Any) -> None:
    need(shutil.which("nft"), "tests of rules read them back with nft")


def ends(watch: subprocess.Popen[bytes]) -> tuple[dict[str, Any], str]:
    """The last report of a watch, and what it said on the way."""
    watch.send_signal(signal.SIGINT)
    out, err = watch.communicate(timeout=20)
    return json.loads(out.splitlines()[-1]), err.decode()


def within(seconds: float, true: Any) -> float:
    """Wait until it is true; returns how long that took."""
    begin = time.monotonic()
    while not true():
        assert time.monotonic() - begin < seconds
        time.sleep(0.05)
    return time.monotonic() - begin


def udp_flood(tmp_path: Path, **params: Any) -> Path:
    capture = tmp_path / "udp.pcap"
    synth.make("udp_one_port", capture, synth.Params(victim=SERVER, **params))
    return capture


def test_p08_whom_an_operator_allows_is_free_within_a_second_and_stays_so(wire: Lab) -> None:
    give_addresses(wire, 100, 8)
    serve(wire)
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce")
    flood = wire.start(wire.client, sys.executable, "-c", ASK, SERVER, "/login", "100", "8", "60", "14",
                       stdout=subprocess.PIPE)  # fmt: skip
    within(12, lambda: "10.99.0.103" in rules(wire).get("block4", {}))
    assert "lifted 10.99.0.103/32" in ctl(wire, "allow", "10.99.0.103", "--for", "7d", "--reason", "partner")
    within(1, lambda: "10.99.0.103" not in rules(wire)["block4"])
    never = ("nft", "list", "set", "inet", "floodwatch", "never4")
    within(1, lambda: "10.99.0.103" in run(wire, *never))
    time.sleep(1.5)
    assert "10.99.0.103" not in rules(wire)["block4"]
    assert "partner" in ctl(wire, "allowed")
    (row,) = json.loads(ctl(wire, "allowed", "--json"))
    assert (row["network"], row["why"]) == ("10.99.0.103/32", "partner")
    assert 604_700 < row["seconds"] <= 604_800
    ctl(wire, "disallow", "10.99.0.103")
    ctl(wire, "disallow", "10.99.0.103", code=1)
    ctl(wire, "allowed", code=1)
    flood.wait(30)
    found, said = ends(watch)
    (event,) = found["floods"]
    assert event["action"]["taken"] == "drop_sources"
    assert "order  allow 10.99.0.103/32" in said
    assert "partner" in said


def test_a_victim_that_is_unguarded_by_hand_stays_so(wire: Lab, tmp_path: Path) -> None:
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce")
    sender = wire.sender(udp_flood(tmp_path, duration=9), deliver=True)

    def guarded() -> bool:
        return any(found for name, found in rules(wire).items() if name.startswith("limited"))

    within(15, guarded)
    assert f"protects {SERVER}" in ctl(wire, "guards", "--why")
    assert json.loads(ctl(wire, "guards", "--json"))[0]["victim"] == SERVER
    assert "1 guards lifted" in ctl(wire, "unguard", SERVER)
    assert not guarded()
    time.sleep(1.5)
    assert not guarded()
    ctl(wire, "guards", code=1)
    ctl(wire, "unguard", SERVER, code=1)
    assert sender.wait(30) == 0
    found, said = ends(watch)
    assert found["floods"][0]["action"]["taken"] == "limit_victim"  # it was done, though it stands no more
    assert f": gone   {SERVER}" in said


@pytest.mark.parametrize("confirmed", [True, False])
def test_enforcing_ends_unless_it_is_confirmed(wire: Lab, tmp_path: Path, confirmed: bool) -> None:
    assert "no floodwatch is enforcing" in ctl(wire, "confirm", code=1)
    audit = tmp_path / "audit.ndjson"
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce", "--confirm", "6s",
                            "--audit", str(audit))  # fmt: skip
    if confirmed:
        ctl(wire, "confirm")
        time.sleep(6.5)
        assert rules(wire)
    else:
        within(15, lambda: not rules(wire))
    wire.send(udp_flood(tmp_path, duration=1.5), deliver=True)
    found, said = ends(watch)
    (event,) = found["floods"]
    assert event["action"]["taken"] == ("limit_victim" if confirmed else "none")
    acts = [json.loads(line) for line in audit.read_text().splitlines()]
    if confirmed:
        assert "it goes on enforcing" in said
        assert acts[0]["target"] == "confirm"
        assert "(uid " in acts[0]["by"]
    else:
        assert "nobody confirmed within 6 s: it only observes from now on" in said
        assert [act["what"] for act in acts] == ["stop"]


def test_p62_a_network_behind_this_host_is_not_blocked_and_told_as_outgoing(wire: Lab) -> None:
    """The client becomes a container: the default route leads elsewhere."""
    with NetNS(wire.server) as inside:
        inside.link("add", ifname="up", kind="veth", peer={"ifname": "out"})
        for name, address in (("up", "192.0.2.2"), ("out", None)):
            (index,) = inside.link_lookup(ifname=name)
            if address:
                inside.addr("add", index=index, address=address, prefixlen=24)
            inside.link("set", index=index, state="up")
        inside.route("add", dst="default", gateway="192.0.2.1")
    serve(wire)
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce")
    give_addresses(wire, 100, 3)
    ask = (sys.executable, "-c", ASK, SERVER, "/login", "100", "3", "300", "4")
    asked = wire.start(wire.client, *ask, stdout=subprocess.PIPE)
    good, bad = map(int, asked.communicate(timeout=30)[0].split())
    assert (good > 300, bad) == (True, 0)
    assert "network behind vb 10.99.0.0/24" in ctl(wire, "block", CLIENT, code=2)
    found, said = ends(watch)
    (event,) = [event for event in found["floods"] if event["vector"] == "http_flood"]
    (says,) = [proof["says"] for proof in event["evidence"] if proof["name"] == "outgoing"]
    assert "3 of the 3 sources named are here" in says
    assert "(10.99.0.0/24, behind vb)" in says
    assert (event["action"]["recommended"], event["action"]["taken"]) == ("observe", "none")
    assert "add " not in said


def test_a_collector_that_is_flooded_is_named_and_not_guarded(wire: Lab, tmp_path: Path) -> None:
    said = "udp/27000-27100 role=collector interface=vb"
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce", "--service", said)
    wire.send(udp_flood(tmp_path, duration=2), deliver=True)
    found, told = ends(watch)
    (event,) = found["floods"]
    assert event["vector"] == "udp_flood"
    assert (event["action"]["recommended"], event["action"]["taken"]) == ("observe", "none")
    (says,) = [proof["says"] for proof in event["evidence"] if proof["name"] == "service"]
    assert says.startswith("udp/27000-27100 is for devices that send and get no answer")
    assert "guard" not in told


def test_blocks_by_hand_end_within_a_day(wire: Lab) -> None:
    assert "--force makes it longer" in ctl(wire, "block", "203.0.113.9", "--for", "2d", code=2)
    ctl(wire, "block", "203.0.113.9", "--for", "2d", "--force")
    assert rules(wire)["block4"]["203.0.113.9"]["timeout"] == 172_800


def test_p67_the_audit_is_what_the_kernel_saw(wire: Lab, tmp_path: Path) -> None:
    """``nft monitor`` tells of every element that came or went by command; the audit has a line for each."""
    give_addresses(wire, 100, 6)
    serve(wire)
    audit = tmp_path / "audit.ndjson"
    watch = wire.floodwatch(
        "watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce", "--audit", str(audit)
    )
    trace = tmp_path / "trace"
    with trace.open("wb") as out:
        monitor = wire.start(wire.server, "nft", "monitor", "elements", stdout=out)
        time.sleep(0.5)
        ask = (sys.executable, "-c", ASK, SERVER, "/login", "100", "6", "60", "8")
        flood = wire.start(wire.client, *ask, stdout=subprocess.PIPE)
        within(12, lambda: len(rules(wire).get("block4", {})) == 6)
        ctl(wire, "block", "203.0.113.9", "--reason", "ticket 4711")
        time.sleep(0.7)
        ctl(wire, "unblock", "10.99.0.102")
        flood.wait(30)
        ctl(wire, "block", "203.0.113.10", "--for", "1s")
        time.sleep(2.5)
        wire.send(udp_flood(tmp_path, duration=1.5), deliver=True)
        time.sleep(1)
        ctl(wire, "unblock", "203.0.113.9")
        time.sleep(0.7)
        ends(watch)
        time.sleep(0.3)
        monitor.terminate()
        monitor.wait(10)
    seen = [line.split() for line in trace.read_text().splitlines() if "element inet floodwatch" in line]
    kernel: dict[str, list[str]] = {"add": [], "delete": []}
    for what, _, _, _, name, _, first, *_ in seen:
        if name.startswith(("block", "limited")):
            kernel[what].append(first)
    acts = [json.loads(line) for line in audit.read_text().splitlines()]

    def of(*whats: str) -> list[str]:
        named = (act["target"].split()[0] for act in acts if act["what"] in whats)
        return sorted(name.removesuffix("/32") for name in named)

    assert of("add", "extend", "guard") == sorted(kernel["add"])
    assert set(kernel["delete"]) <= set(of("remove", "lift", "gone"))
    assert of("over") == ["203.0.113.10"]
    met = {act["target"]: act["packets"] for act in acts if act["what"] in ("remove", "gone")}
    assert met["10.99.0.102/32"] > 0
    (manual,) = [act for act in acts if act["what"] == "add" and act["target"] == "203.0.113.9/32"]
    assert "(uid " in manual["by"]
    assert manual["why"] == "ticket 4711"
    guard = next(act for act in acts if act["what"] == "guard")
    assert guard["event"]
    assert guard["victim"].startswith(SERVER)
    assert guard["until"] > guard["time"]
    assert audit.stat().st_mode & 0o777 == 0o600
    assert all(act["schema"] == "floodwatch.audit/1" and act["by"] and act["why"] for act in acts)
