"""UDP loops: two services that answer each other, and clients that ask from the service's own port."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from promises import Watch, keeps_floor
from scenes import Host, host

from floodwatch.detectors.loop import BOTH, FLOOR, PERSIST, PORTS, UDP_LOOP
from floodwatch.model.epoch import EPOCHS_PER_SECOND
from floodwatch.model.vector import Vector

PEER = "203.0.113.9"
LEAST = int(FLOOR.count)
LATE = EPOCHS_PER_SECOND - 1
"""Epochs until a second is full."""


def echo(packets: int, *, port: int = 69, source_port: int = 53, back: float = 1.0, peers: int = 1,
         others: int = 0, **counters: int) -> Host:  # fmt: skip
    """Packets between two ports, as many back; ``others`` are what clients sent who ask now and then."""
    answers = int(packets * back)
    made = host().udp(packets, sources=peers, port=port, source_port=source_port, asked=answers, out=answers)
    for number in range(peers):
        sent = packets // peers
        made.source(f"203.0.113.{9 + number}", bits=64, udp=sent, packets=sent)
    for number in range(others):
        made.source(f"192.0.2.{number}", bits=64, udp=1, packets=1)
    return made.set(**counters)


def named(make: Host) -> bool:
    watch = Watch()
    watch.last(lambda _: make, 0, PERSIST + LATE)
    return watch.vectors == [Vector.UDP_LOOP]


def test_a_loop_is_named_at_its_floor_after_ten_seconds() -> None:
    assert LEAST * EPOCHS_PER_SECOND == UDP_LOOP.floor == 100
    assert PERSIST + LATE == 10 * EPOCHS_PER_SECOND
    keeps_floor(echo, Vector.UDP_LOOP, FLOOR, PERSIST, late=LATE)


def test_a_loop_that_slows_down_goes_on_and_one_that_stops_ends() -> None:
    watch = Watch()
    watch.last(echo, LEAST, PERSIST + LATE)
    watch.last(echo, LEAST - 5, 2 * UDP_LOOP.hold)
    assert not watch.ended()
    watch.last(echo, LEAST // 2, UDP_LOOP.hold + 1)
    assert watch.ended()


def test_jitter_is_no_pause() -> None:
    watch = Watch()
    for _ in range(PERSIST):
        watch.last(echo, LEAST + 6, 1)
        watch.last(echo, LEAST - 6, 1)
    assert watch.vectors == [Vector.UDP_LOOP]


def test_the_floor_is_held_against_each_peer() -> None:
    assert named(echo(3 * LEAST, peers=3))
    assert not named(echo(3 * LEAST - 3, peers=3))


@pytest.mark.parametrize("port", sorted(PORTS - {53}))
def test_services_that_answer_anything_are_looked_at(port: int) -> None:
    assert named(echo(LEAST, port=port, source_port=port))
    assert not named(echo(LEAST, port=port, source_port=40_000))
    assert not named(echo(LEAST, port=40_000, source_port=port))


def test_what_is_not_answered_is_no_loop() -> None:
    assert named(echo(40, back=BOTH))
    assert not named(echo(40, back=BOTH - 0.1))


def test_clients_that_ask_now_and_then_from_the_same_port_are_no_loop() -> None:
    assert named(echo(LEAST, port=123, source_port=123, others=LEAST - 1))
    assert not named(echo(LEAST, port=123, source_port=123, others=LEAST))


def test_questions_and_answers_of_dns_are_no_loop() -> None:
    assert not named(echo(LEAST, port=53, dns_queries=LEAST))  # a server that is asked
    assert not named(echo(LEAST, port=53))  # a forwarder that asks
    assert named(echo(LEAST, port=53, dns_answers=LEAST))  # nobody asks, and both answer
    assert named(echo(LEAST, port=53, source_port=69, dns_queries=LEAST))  # errors that look like questions


def test_a_port_that_gets_much_else_is_not_taken_for_the_loops_own() -> None:
    other = echo(LEAST, port=40_000).bucket("opened", 3, key=17 << 16 | 123, vote=3 * LEAST)
    assert not named(other)


def test_what_is_said_and_advised() -> None:
    watch = Watch()
    watch.last(echo, 30, PERSIST + LATE)
    says = watch.says()
    assert says["echoes"].startswith(
        f"at least {30 * PERSIST:,} packets came from UDP port 53, and as many to port 69; about "
    )
    assert says["peers"] == "one host sends most of them"
    event, decision = watch.event(), watch.decision()
    assert (event.sources.origin, event.sources.top[0].cidr) == ("reflected", PEER)
    assert (decision.action, decision.protection, decision.sources) == ("drop_signature", None, ())
    assert decision.port == 69
