"""QUIC floods: Initials of connections that nobody goes on with."""

from __future__ import annotations

import pytest
from promises import Watch, keeps_event, keeps_floor
from scenes import Host, host

from floodwatch.detectors.quic import FLOOR, PORT, QUIC_FLOOD, SHARE
from floodwatch.model.epoch import CLASS_UDP
from floodwatch.model.vector import Vector


def flood(initials: int) -> Host:
    return host().udp(initials, sources=64, port=PORT, out=1).set(quic_initials=initials)


def test_initials_that_nobody_goes_on_with_are_a_flood() -> None:
    keeps_floor(flood, Vector.QUIC_FLOOD, FLOOR, QUIC_FLOOD.persist)
    keeps_event(flood, FLOOR, QUIC_FLOOD.persist)


@pytest.mark.parametrize(("more", "named"), [(0, True), (2, False)])
def test_clients_that_mean_it_send_many_more_packets(more: int, named: bool) -> None:
    initials = 1000
    packets = int(initials / SHARE) + more
    watch = Watch()

    def make(count: int) -> Host:  # what is more than Initials was answered
        return host().udp(packets, sources=64, port=PORT, out=packets, asked=packets).set(quic_initials=count)

    watch.last(make, initials, 8)
    assert (watch.vectors == [Vector.QUIC_FLOOD]) is named


def test_the_evidence_is_what_was_counted() -> None:
    watch = Watch()
    watch.last(lambda n: flood(n - 250).udp(n, sources=64, port=PORT, out=n, asked=n), 1000, 4)
    assert watch.says()["initial_share"].startswith(
        f"{100 * 750 / 1000:.1f} % of the UDP packets are Initials"
    )
    assert watch.event().packets == 4 * 750


@pytest.mark.parametrize(("sources", "bogons", "origin"), [(1000, 0, "unknown"), (64, 0, "unknown"),
                                                          (64, 100, "forged")])  # fmt: skip
def test_initials_prove_no_address(sources: int, bogons: int, origin: str) -> None:
    watch = Watch()

    def make(count: int) -> Host:
        made = host("9.9.9.9").udp(count, sources=sources, port=PORT, out=1)
        return (
            made.set(quic_initials=count)
            .nowhere(CLASS_UDP, bogons=bogons)
            .source("203.0.113.9", udp=500, packets=500)
        )

    watch.last(make, 1000, 2)
    decision = watch.decision()
    assert (decision.origin, decision.action, decision.protection) == (origin, "limit_victim", "limited")
    assert (decision.port, decision.protocol, decision.sources) == (PORT, 17, ())
