"""Places that are held: by whom, how many, how long; over any silence."""

from __future__ import annotations

from ipaddress import IPv4Address

from promises import START, Watch
from scenes import Host, host

from floodwatch.detectors.held import BODY, EACH, FLOOR, LASTS_S, LEAST, READER, SEALED, SERVED, SLOW, STILL
from floodwatch.model.epoch import DATA, EPOCH_NS, EPOCHS_PER_SECOND
from floodwatch.model.vector import Vector

BEGUN = START * EPOCH_NS
OLD = int((LASTS_S + 1) * EPOCHS_PER_SECOND)


def server(*holders: tuple[str, int], **fields: int) -> Host:
    """A server whose places are held by these sources since the scene began."""
    made = host().kind(DATA, 20, out=1)
    for source, places in holders:
        made.holds(source, places, **({"since_ns": BEGUN, "last_ns": BEGUN} | fields))
    return made


def named(made: Host, epochs: int = OLD) -> list[Vector]:
    """What is named after so many epochs."""
    watch = Watch()
    watch.quiet(epochs)
    watch.last(lambda _: made, 1, EPOCHS_PER_SECOND + 1)
    return watch.vectors


def test_many_places_that_few_hold_for_long_are_an_attack() -> None:
    assert named(server(("203.0.113.1", LEAST))) == [Vector.SLOW_HTTP]
    assert named(server(("203.0.113.1", LEAST - 1))) == []
    assert named(server(("203.0.113.1", LEAST)), OLD - 3 * EPOCHS_PER_SECOND) == []
    each = [(f"203.0.113.{n}", EACH) for n in range(1, 5)]
    assert named(server(*each)) == [Vector.SLOW_HTTP]
    lost = [(f"203.0.113.{n}", EACH - 1) for n in range(1, 9)]
    assert named(server(*lost)) == []  # their network


def test_who_moves_on_holds_nothing() -> None:
    moved = int(SLOW * (LASTS_S + 3))
    assert named(server(("203.0.113.1", 4 * LEAST), kind=BODY, moved=moved)) == []
    assert named(server(("203.0.113.1", 4 * LEAST), kind=READER, moved=moved)) == []


def test_it_lasts_over_silence_to_the_last_place_and_says_for_whom() -> None:
    watch = Watch()
    watch.quiet(OLD)
    watch.last(lambda _: server(("203.0.113.1", 50), ("203.0.113.9", 20), proven=1), 1, EPOCHS_PER_SECOND)
    case = watch.case
    assert case.first_ns == BEGUN
    assert case.floor == FLOOR
    assert case.count == 70
    watch.skip(100 * EPOCHS_PER_SECOND)
    watch.last(lambda _: server(("203.0.113.1", STILL), proven=1), 1, EPOCHS_PER_SECOND)
    assert case.pulses == 1  # nothing was paused
    assert case.last_ns >= (watch.epoch - EPOCHS_PER_SECOND) * EPOCH_NS
    end = watch.epoch * EPOCH_NS
    watch.last(lambda _: server(("203.0.113.1", STILL), proven=1, until_ns=end), 1, EPOCHS_PER_SECOND)
    watch.last(lambda _: server(("203.0.113.1", STILL - 1), proven=1), 1, EPOCHS_PER_SECOND)
    assert abs(case.last_ns - end) <= EPOCH_NS
    says = watch.says()
    assert says["held"].startswith("70 connections were held at once")
    assert "2 sources, 50 of them for 203.0.113.1" in says["held"]
    assert "rule that fired: 30 connections held for 10 s or longer" in says["rule"]
    decision = watch.decision()
    assert decision.origin == "real"
    assert [(str(s.network), s.lo) for s in decision.sources] == [
        ("203.0.113.1/32", 50),
        ("203.0.113.9/32", 20),
    ]


def test_where_the_server_was_not_seen_it_lasts_to_the_last_sign() -> None:
    watch = Watch()
    watch.quiet(OLD)
    last = (START + 8) * EPOCH_NS
    watch.last(lambda _: server(("203.0.113.1", 50), heard=0, last_ns=last), 1, 8 * EPOCHS_PER_SECOND)
    assert abs(watch.case.last_ns - last) <= EPOCH_NS
    assert watch.decision().origin == "unknown"


def waits(turns: int = 0) -> Host:
    """One source waits on many connections inside TLS, and takes so many turns on others."""
    source = "203.0.113.1"
    made = server((source, LEAST), kind=SEALED, proven=1)
    tagged = 0xFFFF << 32 | int(IPv4Address(source))
    return made.source(source, source=tagged, packets=900, turns=turns, proven=1) if turns else made


def test_inside_tls_who_waits_holds_a_place_and_who_is_served_does_not() -> None:
    watch = Watch()
    watch.quiet(OLD)
    watch.last(lambda _: waits(), 1, EPOCHS_PER_SECOND + 1)
    assert watch.vectors == [Vector.SLOW_HTTP]
    assert "handshakes of TLS after which nothing is asked" in watch.says()["held"]
    assert named(waits(SERVED * LEAST)) == [Vector.SLOW_HTTP]
    assert named(waits(SERVED * LEAST + 1)) == []
    watch = Watch()
    watch.quiet(OLD)
    watch.last(lambda _: waits(2 * SERVED * LEAST), 1, EPOCHS_PER_SECOND)
    watch.last(lambda _: waits(), 1, EPOCHS_PER_SECOND + 1)  # a new window of the table
    assert watch.vectors == []
