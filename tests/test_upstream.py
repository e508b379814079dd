"""What is announced upstream: only the narrow shape that is safe, for hosts of ours, and never for good."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sample_events import HTTP, SYN

from floodwatch.config.settings import Receiver
from floodwatch.daemon.notify import speaker
from floodwatch.daemon.notify.notifier import Notifier
from floodwatch.daemon.notify.routes import Order, Route, exabgp, gobgp, routes_of
from floodwatch.daemon.picture import Tallies
from floodwatch.errors import ConfigError, InputError
from floodwatch.mitigate.ruletext import render
from floodwatch.model.event import Change
from floodwatch.model.vector import Vector

sys.path.insert(0, str(Path(__file__).parent))
from lab import CLIENT, SERVER, Lab

Need = Callable[[object, str], None]
HOME = ("198.51.100.0/24", "2001:db8::/48")
NETWORKS = [ipaddress.ip_network(network) for network in HOME]
HOST = r"(?:(?:\d{1,3}\.){3}\d{1,3}/32|[0-9a-f:]+/128)"
EXABGP = re.compile(
    rf"(announce|withdraw) flow route {{ match {{ destination ({HOST}); (?:protocol|next-header) =(6|17); "
    r"destination-port =(\d{1,5});(?: source-port =(\d{1,5});)?(?: tcp-flags =syn;)? } "
    r"then { rate-limit (\d+); } }"
)
"""All that may ever be said to ExaBGP."""
GOBGP = re.compile(
    rf"global rib -a ipv[46]-flowspec (add|del) match destination ({HOST}) protocol ==(6|17) "
    r"destination-port ==(\d{1,5})(?: source-port ==(\d{1,5}))?(?: tcp-flags =S)? then rate-limit (\d+)"
)

hosts = st.sampled_from(["198.51.100.7/32", "2001:db8::7/128"])
words = st.one_of(hosts, st.text(max_size=40), st.sampled_from([
    "198.51.100.7", "198.51.100.0/24", "0.0.0.0/0", "2001:db8::7", "2001:db8::7%eth0/128", "::/0",
    "::ffff:198.51.100.7/128", "198.51.100.7/32; } then { discard; } }", "224.0.0.1/32", "127.0.0.1/32",
    "203.0.113.7",
    "198.51.100.7/32\nannounce route 0.0.0.0/0 next-hop self",
]))  # fmt: skip
numbers = st.one_of(st.sampled_from([179, 53, 443, 67, 520, 0, 65_535]), st.integers(-5, 70_000))
protocols = st.one_of(st.sampled_from([6, 17]), st.integers(-1, 256))
rates = st.one_of(st.just(9600), st.integers(-1, 10**13))
VITAL = {6: {0, 179}, 17: {0, 67, 68, 520, 521, 546, 547}}


@settings(max_examples=1000)
@given(words, protocols, numbers, rates, st.none() | numbers, st.booleans())
def test_p57_only_safe_text_comes_out_of_any_route(
    victim: str, protocol: int, port: int, rate: int, source_port: int | None, syn: bool
) -> None:
    raw = {
        "victim": victim,
        "protocol": protocol,
        "port": port,
        "rate": rate,
        "source_port": source_port,
        "syn": syn,
    }
    try:
        route = msgspec.json.decode(json.dumps(raw), type=Route)
    except (msgspec.ValidationError, ValueError):
        return
    safe(route)


def safe(route: Route) -> None:
    """The whole text is of the grammar, names one host, and nothing that a network lives by."""
    for announce in (True, False):
        for found in (
            EXABGP.fullmatch(exabgp(route, announce=announce)),
            GOBGP.fullmatch(" ".join(gobgp(route, announce=announce))),
        ):
            assert found
            what, host, protocol, port, source, rate = found.groups()
            assert (what in ("announce", "add")) == announce
            address = ipaddress.ip_network(host)
            assert address.num_addresses == 1
            assert not address.is_multicast
            assert not address.is_loopback
            assert {int(port), int(source or 1)} & VITAL[int(protocol)] == set()
            assert max(int(port), int(source or 1)) <= 65_535
            assert int(rate) >= 9600, "slowed down, and never discarded"


@settings(max_examples=500)
@given(st.sampled_from(list(Vector)), words, st.none() | numbers, st.lists(numbers, max_size=4),
       st.sampled_from(["tcp", "udp", "icmp", "gre", "6; }"]),
       st.sampled_from(["syn_cookies", "limit_victim", "drop_reflector_port", "drop_sources"]))  # fmt: skip
def test_p57_of_any_event_only_hosts_of_ours_are_announced(
    vector: Vector, victim: str, port: int | None, reflectors: list[int], protocol: str, action: Any
) -> None:
    event = replace(
        SYN, vector=vector, victim=replace(SYN.victim, ip=victim, port=port, protocol=protocol),
        sources=replace(SYN.sources, reflector_ports=tuple(reflectors)),
        action=replace(SYN.action, recommended=action),
    )  # fmt: skip
    with suppress(InputError):
        for route in routes_of(event, NETWORKS):
            safe(route)
            assert any(ipaddress.ip_network(victim).subnet_of(network) for network in same(victim))


def same(victim: str) -> list[Any]:
    """Our networks of the same version."""
    return [network for network in NETWORKS if network.version == ipaddress.ip_network(victim).version]


def test_floods_become_routes_that_leave_what_is_usual() -> None:
    assert [exabgp(route, announce=True) for route in routes_of(SYN, NETWORKS)] == [
        "announce flow route { match { destination 198.51.100.7/32; protocol =6; destination-port =443; "
        "tcp-flags =syn; } then { rate-limit 141184; } }"  # twice 1103 SYNs of 64 bytes
    ]
    ntp = replace(
        SYN, vector=Vector("ntp_amplification"), victim=replace(SYN.victim, protocol="udp", ip="2001:db8::7"),
        sources=replace(SYN.sources, origin="reflected", reflector_ports=(123,)),
        action=replace(SYN.action, recommended="drop_reflector_port"),
    )  # fmt: skip
    assert [" ".join(gobgp(route, announce=False)) for route in routes_of(ntp, NETWORKS)] == [
        "global rib -a ipv6-flowspec del match destination 2001:db8::7/128 protocol ==17 "
        "destination-port ==443 source-port ==123 then rate-limit 9600"
    ]
    assert list(routes_of(HTTP, NETWORKS)) == [], "people come to that port as well"
    assert list(routes_of(SYN, NETWORKS[1:])) == []


class Speakers:
    """What was announced and withdrawn, and what stands."""

    def __init__(self) -> None:
        self.said: list[tuple[bool, Route]] = []
        self.fails = False

    def say(self, route: Route, announce: bool) -> None:
        if self.fails:
            raise speaker.Undelivered("away")
        self.said.append((announce, route))

    @property
    def standing(self) -> set[Route]:
        found = set[Route]()
        for announce, route in self.said:
            (found.add if announce else found.discard)(route)
        return found


def test_p57_at_most_twenty_stand_and_none_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    bgp, now = Speakers(), [0.0]
    monkeypatch.setattr(speaker.time, "monotonic", lambda: now[0])
    held = speaker.Held(bgp.say)
    routes = [Route(f"198.51.100.{n}/32", 6, 443, 9600) for n in range(1, 31)]
    for number, route in enumerate(routes[:20]):
        held.take(Order(f"event-{number}", (route,), 100.0))
    with pytest.raises(speaker.Undelivered, match="20 routes"):
        held.take(Order("event-20", (routes[20],), 100.0))
    held.take(Order("event-0"))
    assert bgp.standing == set(routes[1:20])
    now[0] = 60.0
    held.take(Order("event-1", (routes[1],), 100.0))
    bgp.fails, now[0] = True, 101.0
    with pytest.raises(speaker.Undelivered, match="away"):
        held.expire()
    bgp.fails = False
    held.expire()
    assert bgp.standing == {routes[1]}, "what was renewed"
    held.take(Order("event-1", (routes[2],), 1e9))
    assert bgp.standing == {routes[2]}
    now[0] = 101.0 + speaker.LIFETIME_MOST_S
    held.expire()
    assert bgp.standing == set()


@contextmanager
def fake_gobgp(tmp_path: Path) -> Iterator[tuple[Receiver, Path]]:
    """A command that writes down what it is told."""
    program, log = tmp_path / "gobgp", tmp_path / "log"
    program.write_text(f'#!/bin/sh\necho "$*" >> {log}\n', encoding="utf-8")
    program.chmod(0o755)
    log.touch()
    yield Receiver(type="gobgp", argv=(str(program),), home=HOME), log


def until(true: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def counts(log: Path) -> tuple[int, int]:
    """How often something was announced, and withdrawn."""
    text = log.read_text()
    return text.count(" add "), text.count(" del ")


def test_p57_nothing_is_announced_but_while_rules_may_be_set(tmp_path: Path) -> None:
    may = threading.Event()
    with fake_gobgp(tmp_path) as (receiver, log):
        tallies = Tallies()
        notifier = Notifier([receiver], tallies, may.is_set)
        try:
            notifier.tell(Change("opened", SYN))
            other = replace(SYN, id="other", victim=replace(SYN.victim, ip="203.0.113.7"))
            notifier.tell(Change("opened", other))
            until(lambda: tallies.counted().get("alerts") == {("gobgp", "sent"): 2})
            may.set()
            notifier.tell(Change("updated", SYN))
            until(lambda: counts(log) == (1, 0))
            notifier.tell(Change("updated", other))
            may.clear()  # panic, or another mode
            until(lambda: counts(log) == (1, 1))
            may.set()
            notifier.tell(Change("updated", SYN))
            until(lambda: counts(log) == (2, 1))
            notifier.tell(Change("ended", SYN))
            until(lambda: counts(log) == (2, 2))
        finally:
            asyncio.run(notifier.close())
        assert counts(log) == (2, 2)
        assert "203.0.113.7" not in log.read_text(), "it is nobody of ours"


KILLED = """
import os, signal, sys, time
tests, *words = sys.argv[1:]
sys.path.insert(0, tests)
from sample_events import SYN
from floodwatch.config.settings import Receiver
from floodwatch.daemon.notify.notifier import Notifier
from floodwatch.daemon.picture import Tallies
from floodwatch.model.event import Change
kind, argv, path, home = words
receiver = Receiver(type=kind, argv=(argv,) if argv else (), path=path or None, home=(home,))
tallies = Tallies()
notifier = Notifier([receiver], tallies, lambda: True)
from msgspec.structs import replace
victim = replace(SYN.victim, ip=home.removesuffix("/32"))
notifier.tell(Change("opened", replace(SYN, victim=victim)))
while not (counted := tallies.counted().get("alerts", {})):
    time.sleep(0.01)
print(counted, notifier.complaints(), flush=True)
signal.pause()
"""


def killed(*words: str, start: Callable[..., Any] = subprocess.Popen) -> Any:
    """A program that announced a route, about to be killed."""
    command = [sys.executable, "-P", "-c", KILLED, str(Path(__file__).parent), *words]
    process = start(*([command] if start is subprocess.Popen else command), stdout=subprocess.PIPE)
    assert "sent" in process.stdout.readline().decode()
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_p57_it_is_withdrawn_on_stop_and_kill(tmp_path: Path, number: int) -> None:
    with fake_gobgp(tmp_path) as (receiver, log):
        process = killed("gobgp", receiver.argv[0], "", "198.51.100.7/32")
        assert counts(log) == (1, 0)
        process.send_signal(number)
        process.wait(10)
        until(lambda: counts(log) == (1, 1))


@pytest.mark.parametrize(("receiver", "said"), [
    (Receiver(type="exabgp"), "needs home"),
    (Receiver(type="gobgp"), "needs home"),
    (Receiver(type="gobgp", home=("198.51.100.7/24",)), "needs networks as home"),
    (Receiver(type="exabgp", home=HOME, path="/run/exabgp"), "takes its pipe"),
])  # fmt: skip
def test_what_is_not_said_is_asked_for(receiver: Receiver, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Notifier([receiver], Tallies())


GOBGPD = f"""
[global.config]
as = 65002
router-id = "{SERVER}"
[[neighbors]]
[neighbors.config]
neighbor-address = "{CLIENT}"
peer-as = 65001
[neighbors.transport.config]
passive-mode = true
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "ipv4-flowspec"
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "ipv4-unicast"
"""
EXABGP_CONF = f"""
neighbor {SERVER} {{
  router-id {CLIENT}; local-address {CLIENT}; local-as 65001; peer-as 65002;
  family {{ ipv4 flow; ipv4 unicast; }}
}}
"""


@pytest.mark.root
@pytest.mark.slow
def test_p57_routers_learn_and_forget_routes(wire: Lab, tmp_path: Path, need: Need) -> None:
    """ExaBGP here, GoBGP there: what is announced arrives, and goes when the daemon is killed."""
    for name in ("exabgp", "gobgp", "gobgpd"):
        need(shutil.which(name), f"{name} is not installed")
    run = tmp_path / "run"
    run.mkdir()
    for end in ("in", "out"):
        os.mkfifo(run / f"exabgp.{end}", 0o600)
    (tmp_path / "gobgpd.toml").write_text(GOBGPD, encoding="utf-8")
    (tmp_path / "exabgp.conf").write_text(EXABGP_CONF, encoding="utf-8")
    log = (tmp_path / "log").open("wb")
    wire.start(wire.server, "gobgpd", "-f", str(tmp_path / "gobgpd.toml"), stdout=log, stderr=log)
    settings = {"exabgp_api_pipename": "exabgp", "exabgp_api_cli": "true", "exabgp_daemon_drop": "false",
                "exabgp_daemon_user": "root"}  # fmt: skip
    wire.start(wire.client, "exabgp", "--root", str(tmp_path), str(tmp_path / "exabgp.conf"),
               env={**os.environ, **settings}, stdout=log, stderr=log)  # fmt: skip

    def asked(*words: str) -> str:
        command = wire.start(wire.server, "gobgp", *words, stdout=subprocess.PIPE, stderr=log)
        return str(command.communicate(timeout=10)[0].decode())

    until(lambda: "Establ" in asked("neighbor"), 40)
    flowspec = ("global", "rib", "-a", "ipv4-flowspec")

    def start(*command: str, **settings: Any) -> Any:
        return wire.start(wire.client, *command, **settings)

    process = killed("exabgp", "", str(run / "exabgp.in"), "198.51.100.7/32", start=start)
    until(lambda: "198.51.100.7/32" in asked(*flowspec))
    table = asked(*flowspec)
    assert "[protocol: ==tcp][destination-port: ==443][tcp-flags: =S]" in table
    assert "[rate: 141184.000000]" in table
    process.kill()
    process.wait(10)
    until(lambda: "198.51.100.7/32" not in asked(*flowspec))

    say = speaker.through(str(run / "exabgp.in"))
    (route,) = (line for line in render(SYN, "rtbh").splitlines() if line.startswith("route "))
    say(f"announce {route}")
    until(lambda: "198.51.100.7/32" in asked("global", "rib") and "blackhole" in asked("global", "rib"))

    def there(*command: str, **settings: Any) -> Any:
        return wire.start(wire.server, *command, **settings)

    process = killed("gobgp", "gobgp", "", "198.51.100.8/32", start=there)
    assert "198.51.100.8/32" in asked(*flowspec)
    process.kill()
    process.wait(10)
    until(lambda: "198.51.100.8/32" not in asked(*flowspec))
