"""ICMP floods: no errors, no replies to the victim's own echo requests."""

from __future__ import annotations

import pytest
from promises import Watch, keeps_event, keeps_floor
from scenes import Host, host

from floodwatch.detectors.icmp import ANSWERED, ERRORS_MOST, FLOOR, ICMP_FLOOD, PINGERS, PINGS
from floodwatch.model.epoch import CLASS_OTHER, ICMP, SYN, SYNACK
from floodwatch.model.vector import Vector


def flood(packets: int, sources: int = 64, where: str = "198.51.100.7", out: int = 0) -> Host:
    return host(where).kind(ICMP, packets, sources={CLASS_OTHER: sources}, out=out)


def test_icmp_that_nobody_asked_for_is_a_flood() -> None:
    keeps_floor(flood, Vector.ICMP_FLOOD, FLOOR, ICMP_FLOOD.persist)
    keeps_event(flood, FLOOR, ICMP_FLOOD.persist)


def test_errors_come_back_for_what_others_forged_until_they_are_very_many() -> None:
    def make(packets: int) -> Host:
        return flood(packets + 500).set(icmp_errors=500)

    keeps_floor(make, Vector.ICMP_FLOOD, FLOOR, ICMP_FLOOD.persist)
    watch = Watch()
    watch.last(lambda n: flood(n).set(icmp_errors=n), ERRORS_MOST - 1, 4)
    assert watch.vectors == []
    watch.last(lambda n: flood(n).set(icmp_errors=n), ERRORS_MOST, 1)
    assert watch.vectors == [Vector.ICMP_FLOOD]


def pings(packets: int, sources: int = PINGERS, where: str = "198.51.100.7") -> Host:
    return flood(packets, sources, where, out=int(ANSWERED * packets) + 1)


def test_a_measurement_is_answered_and_no_flood() -> None:
    keeps_floor(pings, Vector.ICMP_FLOOD, PINGS, ICMP_FLOOD.persist)
    keeps_floor(lambda n: pings(n, PINGERS + 2), Vector.ICMP_FLOOD, FLOOR, ICMP_FLOOD.persist)
    keeps_floor(lambda n: flood(n, PINGERS, out=n // 2), Vector.ICMP_FLOOD, FLOOR, ICMP_FLOOD.persist)
    watch = Watch()
    watch.see(pings(1000, where="ff02::1"))  # a group answers nothing, whoever seems to
    assert watch.vectors == [Vector.ICMP_FLOOD]


@pytest.mark.parametrize(
    ("tried", "came", "named"), [(4000, 100, False), (3900, 100, True), (4000, 2100, True)]
)
def test_a_scan_is_told_what_it_meets(tried: int, came: int, named: bool) -> None:
    watch = Watch()
    met = flood(4000).set(icmp_errors=4000).kind(SYN, 0, out=tried).kind(SYNACK, came)
    watch.last(lambda _: met, 0, 4)
    assert bool(watch.vectors) is named


@pytest.mark.parametrize(("out", "named"), [(500, False), (499, True)])
def test_replies_to_the_victims_own_requests_are_left_out(out: int, named: bool) -> None:
    watch = Watch()
    watch.last(lambda n: flood(n, out=out).set(icmp_replies=n), 1000, 4)
    assert bool(watch.vectors) is named


def test_the_evidence_is_what_was_counted() -> None:
    watch = Watch()
    for packets, out in ((1000, 30), (2000, 0)):
        watch.see(flood(packets, out=out))
    assert watch.says()["answers"] == "the victim received 3,000 such packets and sent 30 itself"


@pytest.mark.parametrize(("dark", "origin"), [(50, "forged"), (0, "unknown")])
@pytest.mark.parametrize(("where", "protocol", "number"), [("198.51.100.7", "icmp", 1),
                                                           ("2001:db8::7", "icmp6", 58)])  # fmt: skip
def test_the_decision_is_to_limit(dark: int, origin: str, where: str, protocol: str, number: int) -> None:
    watch = Watch()
    watch.see(
        flood(1000, 500, where).nowhere(CLASS_OTHER, dark=dark).source("203.0.113.9", packets=500, proven=1)
    )
    decision = watch.decision()
    assert (decision.origin, decision.action, decision.protection) == (origin, "limit_victim", "limited")
    assert (decision.port, decision.protocol, decision.sources) == (None, number, ())
    assert watch.event().victim.protocol == protocol
