"""Rules that are printed are those that are enforced: for every vector, in namespaces, told by ``nft``."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from pyroute2 import NetNS, netns

from floodwatch.cli import main
from floodwatch.decide.events import PROTECTIONS, protection
from floodwatch.decide.recall import decision_of
from floodwatch.detectors import FAMILIES
from floodwatch.errors import InputError
from floodwatch.mitigate import Blocker
from floodwatch.mitigate.plan import NOBODY
from floodwatch.mitigate.ruletext import LIFETIME_S, render, rules, table_name
from floodwatch.model.decision import Decision, Suspect, prove
from floodwatch.model.event import (
    Action,
    Advice,
    CaptureInfo,
    CountBounds,
    Estimate,
    Event,
    Rate,
    Sources,
    TopSource,
    Victim,
)
from floodwatch.model.vector import AMPLIFIERS, Vector
from floodwatch.report.explained import event_text

ACTIONS: dict[Vector, Action] = {
    vector: family.advice(family.facts(), "real", False)[0] for vector, family in FAMILIES.items()
}
"""What is advised against each, where its sources are real as far as they can be."""
NAMED = ("drop_sources", "limit_per_source")
SOURCES = ("203.0.113.9", "203.0.113.77", "2001:db8:7::/64")


def event(vector: Vector, victim: str = "198.51.100.7", action: Action | None = None) -> Event:
    """An event of a report that asks for this action."""
    action = action or ACTIONS[vector]
    name = vector.removesuffix("_amplification")
    ports = tuple(port for port, protocol in AMPLIFIERS if protocol == name)
    nothing = Estimate(est=0, lo=0, hi=0)
    top = tuple(TopSource(cidr=one, share=0.3, count=CountBounds(lo=90, hi=99)) for one in SOURCES)
    udp = vector in (Vector.UDP_FLOOD, Vector.QUIC_FLOOD, Vector.DNS_QUERY_FLOOD) or ports
    protocols = {Vector.ICMP_FLOOD: "icmp", Vector.IP_PROTOCOL_FLOOD: "ip-253"}
    protocol = protocols.get(vector, "udp" if udp else "tcp")
    return Event(
        id=f"20250127T021740Z-{vector}-{victim}-443", input="a.pcap", seq=0, vector=vector, verdict="attack",
        severity="high", confidence=0.9, state="ended", pattern=(), linked=(), packets=1, bytes=1,
        capture=CaptureInfo(interface=None, unseen_share=0.0), first="2025-01-27T02:13:08Z",
        detected="2025-01-27T02:13:08Z", last="2025-01-27T02:13:09Z", evidence=(), timeline=(),
        victim=Victim(ip=victim, port=443, protocol=protocol, path=None),
        rate=Rate(peak=9000.0, unit="packet/s", baseline=700.0),
        sources=Sources(origin="real" if action in NAMED else "unknown", distinct=nothing, forged_share=None,
                        top=top if action in NAMED else (), reflector_ports=ports or (40_000,)),
        action=Advice(recommended=action, why="because", taken="none"),
    )  # fmt: skip


@contextmanager
def namespace(victim: str | None = None) -> Iterator[str]:
    """A network namespace: the victim's own host, or that of a router."""
    name = f"fw-{os.getpid()}-explain"
    netns.create(name)
    try:
        with NetNS(name) as inside:
            if victim:
                inside.addr("add", index=1, address=victim, prefixlen=32)
            inside.link("set", index=1, state="up")
        netns.pushns(name)
        try:
            for path in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
                Path("/proc/sys/net", path).write_text("0" if victim else "1")
            yield name
        finally:
            netns.popns()
    finally:
        netns.remove(name)


def nft(*argv: str, text: str = "") -> str:
    run = subprocess.run(["nft", *argv], input=text, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr + text
    return run.stdout


def listed(table: str) -> tuple[list[Any], set[int]]:
    """What stands in a table, without what differs by nature; and the lifetimes of its elements."""
    found: list[Any] = []
    lives: set[int] = set()

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(one) for one in value]
        if not isinstance(value, dict):
            return value
        lives.update({value["timeout"]} if "timeout" in value else ())
        drop = ("handle", "table", "packets", "bytes", "expires", "timeout")
        return {key: plain(one) for key, one in value.items() if key not in drop}

    for item in json.loads(nft("-j", "list", "table", "inet", table))["nftables"]:
        ((kind, body),) = item.items()
        if kind in ("set", "chain", "rule"):
            if body.get("name") in ("never4", "never6"):  # who runs it fills them in
                body.pop("elem", None)
            body = plain(body)
            body["elem"] = sorted(body.get("elem", []), key=str)
            found.append((kind, body))
    return sorted(found, key=lambda pair: (pair[0], pair[1].get("name", ""))), lives


def same(decision: Decision, *, router: bool) -> list[Any]:
    """What a Blocker enforces is what is printed; returns it, empty where there is nothing to load."""
    text = "\n".join(rules(decision, "nft", router=router)) + "\n"
    with Blocker(dry_run=False) as blocker:
        blocker.enforce([decision])
        blocker.guard([decision], NOBODY)
        enforced, lives = listed("floodwatch")
        assert lives <= {60}
        bare = not blocker.active() and not blocker.guards()
        blocker.withdraw()
    nft("-c", "-f", "-", text=text)
    nft("-f", "-", text=text)
    if bare:
        assert "there is nothing to load" in text
        assert nft("list", "tables") == ""
        return []
    nft("-f", "-", text=text)  # again: it takes its own place
    name = table_name(decision)
    assert nft("list", "tables") == f"table inet {name}\n"
    printed, lives = listed(name)
    assert printed == enforced
    assert lives == {LIFETIME_S}
    nft("delete", "table", "inet", name)
    return enforced


OTHERS = ("198.51.100.0/24", "2001:db8:1::7", "2001:db8:1::/64")


@pytest.mark.root
@pytest.mark.parametrize(("victim", "whole"), [
    ("198.51.100.7", False), *(pytest.param(other, False, marks=pytest.mark.slow) for other in OTHERS),
    pytest.param("198.51.100.7", True, marks=pytest.mark.slow),
])  # fmt: skip
def test_every_vector_is_printed_as_it_is_enforced(need: Any, victim: str, whole: bool) -> None:
    """Of reflections only one that has a port and one that has two, if it is not the whole."""
    need(os.geteuid() == 0, "network namespaces take root")
    need(shutil.which("nft"), "what stands is asked of nft")
    assert set(ACTIONS) == set(Vector)
    alike = {vector for vector in FAMILIES if vector.endswith("_amplification")} - {
        Vector.NTP_AMPLIFICATION, Vector.ISAKMP_AMPLIFICATION, Vector.UNKNOWN_AMPLIFICATION
    }  # fmt: skip
    with namespace():
        for vector in [v for v in Vector if whole or v not in alike]:
            actions = {ACTIONS[vector], *(("cap_unknown",) if ACTIONS[vector] == "drop_sources" else ())}
            for action in actions:
                stands = same(decision_of(event(vector, victim, action), prove), router=True)
                assert bool(stands) == (action in NAMED or protection(action, FAMILIES[vector]) is not None)


@pytest.mark.root
def test_on_the_victims_own_host_cookies_need_no_rule(need: Any) -> None:
    need(os.geteuid() == 0, "network namespaces take root")
    need(shutil.which("nft"), "what stands is asked of nft")
    decision = decision_of(event(Vector.SYN_FLOOD), prove)
    with namespace("198.51.100.7"):
        assert same(decision, router=False) == []
    assert "sysctl -w net.ipv4.tcp_syncookies=1" in rules(decision, "nft")[0]


@pytest.mark.root
def test_lines_of_iptables_are_taken_by_iptables(need: Any) -> None:
    need(os.geteuid() == 0, "network namespaces take root")
    need(shutil.which("iptables"), "lines are tried with iptables")
    with namespace():
        for vector in (*(v for v in Vector if not v.endswith("_amplification")), Vector.ISAKMP_AMPLIFICATION):
            for victim in ("198.51.100.7", "2001:db8:1::/64"):
                text = render(event(vector, victim), "iptables", router=True)
                lines = [line for line in text.splitlines() if not line.startswith("#")]
                nothing = ACTIONS[vector] not in NAMED and not protection(ACTIONS[vector], FAMILIES[vector])
                assert lines or nothing or "left out, for iptables" in text
                for line in lines:
                    run = subprocess.run(line.split(), capture_output=True, text=True, check=False)
                    assert run.returncode == 0, line + run.stderr
        assert "no list of clients who were served before" in render(event(Vector.ACK_FLOOD), "iptables")
        saved = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
        inside = [line for line in saved.splitlines() if line.startswith("-A FORWARD")]
        assert ["SYNPROXY" in line for line in inside] == [True, False]  # what is answered here comes first


def test_flowspec_says_what_it_can_and_names_what_it_cannot() -> None:
    text = render(event(Vector.ISAKMP_AMPLIFICATION), "flowspec")
    for port in (500, 4500):
        match = f"destination 198.51.100.7/32; protocol =17; source-port ={port}; destination-port =443;"
        assert f"match {{ {match} }} then {{ discard; }}" in text
    assert "what the victim itself asked for on that port goes too" in text
    text = render(event(Vector.HTTP_FLOOD), "flowspec")
    assert "match { source 203.0.113.9/32; destination 198.51.100.7/32; } then { discard; }" in text
    assert "# left out, for the victim has no address of its kind: 2001:db8:7::/64" in text
    assert "then { rate-limit 9600; }" in render(event(Vector.SLOW_HTTP), "flowspec")
    assert "nothing ends this by itself" in text
    text = render(event(Vector.ACK_FLOOD), "flowspec")
    assert (
        "# left out, for FlowSpec knows no connections and no flows: 198.51.100.7 against out-of-state TCP"
        in text
    )
    assert "match {" not in text
    assert "nothing ends this by itself" not in text


def test_nothing_is_left_out_silently() -> None:
    short = event(Vector.HTTP_FLOOD)
    many = replace(short.sources, distinct=Estimate(est=41, lo=41, hi=41))
    assert "# the report lists 3 of 41 sources, and so do these rules: scan with --top 0" in render(
        replace(short, sources=many), "nft"
    )
    forged = changed(decision_of(short), sources=(Suspect(ipaddress.ip_network("224.0.0.0/24"), 9, 9),))
    (line,) = (line for line in rules(forged, "nft") if "left out" in line)
    assert line == "# left out: 224.0.0.0/24: 224.0.0.0/24 cannot be a source address"
    nowhere = event(Vector.HTTP2_RAPID_RESET, action="cap_unknown")
    text = render(replace(nowhere, victim=replace(nowhere.victim, port=None)), "nft")
    assert "no port holds most of it" in text
    unknown = event(Vector.UNKNOWN_AMPLIFICATION)
    text = render(replace(unknown, sources=replace(unknown.sources, reflector_ports=())), "nft")
    assert "the port that the reflectors answer from is not known" in text
    crowd = replace(short, verdict="crowd", action=replace(short.action, recommended="scale_out"))
    assert "there is nothing to load: add capacity, do not block" in render(crowd, "nft")


@pytest.mark.parametrize(
    "data", [b'{"schema":"\xff"}', b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"[]", b""]
)
def test_a_file_that_is_no_report_is_said_to_be_none(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_bytes(data)
    run = CliRunner().invoke(main, ["explain", str(file), "1"])
    assert (run.exit_code, run.stdout) == (3, "")
    assert run.stderr.startswith(f"floodwatch: {file}: not a JSON report of floodwatch")
    assert run.stderr.count(str(file)) == 1


def test_a_black_hole_names_one_host_and_says_what_it_costs() -> None:
    text = render(event(Vector.SYN_FLOOD), "rtbh")
    assert "\nroute 198.51.100.7/32 next-hop self community [65535:666]\n" in text
    assert "nobody reaches 198.51.100.7 any more then, neither the flood nor its clients" in text
    assert "nothing ends this by itself" in text
    carpet = render(event(Vector.UDP_FLOOD, "198.51.100.0/24"), "rtbh")
    assert "\nroute" not in carpet
    assert "# left out: 198.51.100.0/24 is a whole network" in carpet


HOSTILE: dict[str, list[Any]] = {
    "victim.ip": ["198.51.100.7; rm -rf /", "198.51.100.7/24", "fe80::1%x y", "", "198.51.100.7\n}",
                  "0.0.0.0/0", "::/0", "::ffff:1.2.3.4"],
    "victim.port": [65_536, -1],
    "victim.protocol": ["tcp drop", "ip-256", "ip--1", "ip-", "\x1b[2J"],
    "sources.top": ["203.0.113.9 }", "203.0.113.9/8", "fe80::1%a\"b", "0x7f000001"],
    "sources.reflector_ports": [0, 65_536, -5],
    "rate.baseline": [-1.0, 1e300],
    "id": ['x" drop; accept', "x\n}", "a b", "", "é", "x" * 300],
}  # fmt: skip


@pytest.mark.parametrize(("field", "told"), [(f, t) for f, all_told in HOSTILE.items() for t in all_told])
@pytest.mark.parametrize("style", ["nft", "iptables", "flowspec", "rtbh"])
def test_what_is_no_address_port_or_protocol_makes_no_rule(field: str, told: Any, style: str) -> None:
    raw = msgspec.to_builtins(event(Vector.HTTP_FLOOD))
    *inner, last = field.split(".")
    place = raw[inner[0]] if inner else raw
    if last == "top":
        place = place["top"][1]
        place["cidr"] = told
    else:
        place[last] = (told,) if last == "reflector_ports" else told
    written = msgspec.convert(raw, Event)
    with pytest.raises(InputError) as caught:
        render(written, style)
    assert re.search(rf"its {re.escape(field)} is", str(caught.value))
    assert repr(written.id[:80]) in str(caught.value)
    assert event_text(written).replace("\n", "").isprintable()  # it may still be read


def test_every_action_that_guards_has_a_vector() -> None:
    assert set(PROTECTIONS) <= {*ACTIONS.values(), "cap_unknown"}
