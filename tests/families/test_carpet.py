"""Carpet bombing: a flood over a network of which no host is over its own floor."""

from __future__ import annotations

import ipaddress

import pytest
from promises import Watch, keeps_event, keeps_floor
from scenes import Host, host, registers

from floodwatch.detectors.carpet import (
    ANSWERED,
    EVERYWHERE,
    FLOOR,
    HOSTS,
    KINDS,
    LARGEST,
    ONE_PORT,
    OWN,
    PERSIST,
    REFLECTORS,
    SOURCES,
)
from floodwatch.model.epoch import CLASSES, ICMP, SYN, SYNACK, UDP
from floodwatch.model.vector import Vector

NET = ipaddress.ip_network("198.51.100.0/24")
SIX = ipaddress.ip_network("2001:db8:5:6::/64")
VECTORS = {SYN: Vector.SYN_FLOOD, UDP: Vector.UDP_FLOOD, ICMP: Vector.ICMP_FLOOD}


def carpet(packets: int, kind: int = UDP, *, hosts: int = 2 * HOSTS, sources: int | None = None, out: int = 1,
           net: ipaddress.IPv4Network | ipaddress.IPv6Network = NET, first: int | None = None,
           port: int = 40_000, held: float = 1.0, answered: int = 0) -> list[Host]:  # fmt: skip
    """So many packets over the hosts of a network, of which the first sends something."""
    made = []
    shares = [packets // hosts + (number < packets % hosts) for number in range(hosts)]
    if first is not None:
        rest = packets - first
        shares = [first, *(rest // (hosts - 1) + (n < rest % (hosts - 1)) for n in range(hosts - 1))]
    for number, share in enumerate(shares):
        each = host(str(net[number + 1]), reference=number + 1).kind(
            kind, share, port=port, port_vote=round(held * share)
        )
        sets = each.row["sources"].reshape(len(CLASSES), -1)
        sets[KINDS[kind].sources] = registers(sources or max(packets // 2, SOURCES))
        made.append(each)
    made[0].kind(SYNACK, 0, out=out)
    if answered:
        made[0].kind(kind, shares[0], out=answered)
    return made


@pytest.mark.parametrize("kind", list(FLOOR))
@pytest.mark.parametrize("net", [NET, SIX])
def test_the_floors_of_one_host_over_a_whole_network(kind: int, net: object) -> None:
    def make(packets: int) -> list[Host]:
        return carpet(packets, kind, net=net)

    watch = keeps_floor(make, VECTORS[kind], FLOOR[kind], PERSIST)
    assert watch.event().victim.ip == str(net)
    assert watch.event().pattern[0] == "carpet"
    name = KINDS[kind].family.protocol
    assert watch.event().victim.protocol == ("icmp6" if (kind, net) == (ICMP, SIX) else name)
    assert FLOOR[kind].where in watch.says()["rule"]


@pytest.mark.parametrize("kind", list(FLOOR))
def test_hysteresis(kind: int) -> None:
    keeps_event(lambda packets: carpet(packets, kind), FLOOR[kind], PERSIST)


def named(made: list[Host], epochs: int = PERSIST) -> list[Vector]:
    watch = Watch()
    for _ in range(epochs):
        watch.see(*made)
    assert all(case.prefix for case in watch.opened)
    return watch.vectors


def test_fewer_hosts_are_no_carpet() -> None:
    assert named(carpet(1000, hosts=HOSTS)) == [Vector.UDP_FLOOD]
    assert named(carpet(1000, hosts=HOSTS - 1), 4) == []


def test_hosts_over_half_of_their_own_floor_are_judged_by_themselves() -> None:
    own = int(OWN * FLOOR[UDP].count)
    assert named(carpet(1000, first=own - 1)) == [Vector.UDP_FLOOD]
    watch = Watch()
    for _ in range(PERSIST):
        watch.see(*carpet(1000, first=own))
    assert watch.case.count == PERSIST * (1000 - own)
    assert named(carpet(own * HOSTS, hosts=HOSTS), 4) == []


@pytest.mark.parametrize(("largest", "found"), [(LARGEST, True), (LARGEST + 0.01, False)])
def test_the_hosts_share_it_evenly(largest: float, found: bool) -> None:
    assert bool(named(carpet(400, first=round(largest * 400)), 4)) is found


@pytest.mark.parametrize(("answered", "found"), [(ANSWERED, True), (ANSWERED + 0.001, False)])
@pytest.mark.parametrize("kind", list(FLOOR))
def test_a_network_that_answers_takes_part(kind: int, answered: float, found: bool) -> None:
    number = int(answered * 1000)
    made = carpet(1000, kind, answered=0 if kind == SYN else number)
    if kind == SYN:
        made[0].set(finished=number)
    assert bool(named(made, 4)) is found


def test_few_sources_sweep() -> None:
    assert named(carpet(1000, sources=SOURCES)) == [Vector.UDP_FLOOD]
    assert named(carpet(1000, sources=SOURCES - 1), 4) == []


@pytest.mark.parametrize(("sources", "found"), [(EVERYWHERE, True), (EVERYWHERE - 0.02, False)])
def test_one_way_its_packets_come_from_everywhere(sources: float, found: bool) -> None:
    assert bool(named(carpet(1000, sources=round(sources * 1000), out=0), 4)) is found


@pytest.mark.parametrize(("sources", "found"), [(REFLECTORS, True), (REFLECTORS - 3, False)])
def test_or_one_way_from_reflectors(sources: int, found: bool) -> None:
    assert bool(named(carpet(1000, sources=sources, out=0, port=123), 4)) is found


@pytest.mark.parametrize(
    ("held", "vector"), [(ONE_PORT, Vector.NTP_AMPLIFICATION), (ONE_PORT - 0.1, Vector.UDP_FLOOD)]
)
def test_a_reflectors_port_makes_it_a_reflection(held: float, vector: Vector) -> None:
    watch = Watch()
    for _ in range(PERSIST):
        watch.see(*carpet(20 * 2 * HOSTS, port=123, held=held))
    assert watch.vectors == [vector]
    decision = watch.decision()
    if vector is Vector.NTP_AMPLIFICATION:
        assert (decision.origin, decision.action, decision.reflector_ports) == (
            "reflected",
            "drop_reflector_port",
            (123,),
        )
        assert watch.says()["unasked_answers"].startswith(
            f"at least {PERSIST * 960 * held:,.0f} of {PERSIST * 960:,} UDP packets come from port 123;"
        )
    else:
        assert decision.action == "limit_victim"


def test_two_networks_are_two_carpets() -> None:
    watch = Watch()
    both = carpet(1000) + carpet(1000, net=ipaddress.ip_network("192.0.2.0/24"))
    for number, each in enumerate(both):
        each.row["reference"] = number
    for _ in range(PERSIST):
        watch.see(*both)
    assert sorted(case.where for case in watch.opened) == ["192.0.2.0/24", "198.51.100.0/24"]


@pytest.mark.parametrize(("kind", "evidence", "action", "protection"), [
    (UDP, "the victim received 2,000 such packets and sent 60 itself", "limit_victim", "limited"),
    (ICMP, "the victim received 2,000 such packets and sent 60 itself", "limit_victim", "limited"),
    (SYN, "about 3.0 % as many handshakes were finished as begun (60 of 2,000)", "syn_cookies", "cookies"),
])  # fmt: skip
def test_the_evidence_and_the_decision(kind: int, evidence: str, action: str, protection: str) -> None:
    watch = Watch()
    for _ in range(2):
        made = carpet(1000, kind, answered=0 if kind == SYN else 30, sources=800)
        watch.see(*([made[0].set(finished=30), *made[1:]] if kind == SYN else made))
    assert evidence in watch.says().values()
    decision = watch.decision()
    assert (decision.origin, decision.action, decision.protection) == ("unknown", action, protection)
    assert (str(decision.victim), decision.port, decision.sources) == (str(NET), None, ())
    assert watch.event().packets == 2000
