"""Malformed packets: over the floor they are a flood, whoever sends them and whatever comes back."""

from __future__ import annotations

from promises import Watch, keeps_event, keeps_floor
from scenes import Host, host

from floodwatch.detectors.malformed import FLOOR, MALFORMED_FLOOD
from floodwatch.model.epoch import CLASS_OTHER, MALFORMED, SYN
from floodwatch.model.vector import UDP_NUMBER, Vector


def malformed(packets: int) -> Host:
    return host().kind(MALFORMED, packets, sources={CLASS_OTHER: 64}, port=UDP_NUMBER)


def test_malformed_packets_are_a_flood() -> None:
    watch = keeps_floor(malformed, Vector.MALFORMED_FLOOD, FLOOR, MALFORMED_FLOOD.persist)
    keeps_event(malformed, FLOOR, MALFORMED_FLOOD.persist)
    assert watch.case.protocol == "udp"


def test_answers_excuse_nothing() -> None:
    watch = Watch()
    watch.see(malformed(int(FLOOR.count)).kind(SYN, 0, out=1000))
    assert watch.vectors == [Vector.MALFORMED_FLOOD]
