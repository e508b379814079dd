"""Requests inside TLS and QUIC, handshakes without them, resets: told from the outside."""

from __future__ import annotations

import numpy as np
import pytest
from promises import Watch, keeps_floor, watching
from scenes import Host, host

from floodwatch._engine import HEAVY_DTYPE
from floodwatch.detectors.http2 import ASKING, SEALED, SEALED_NAMED
from floodwatch.detectors.tls import FINISHED, TLS_FLOOD
from floodwatch.detectors.turns import ALONE, FLOOR, HTTPS_FLOOD, PATIENT
from floodwatch.history.sealed import CHURNED, FAST, QUIC, REPEATED, TLS, asking, relentless
from floodwatch.history.windows import with_earlier
from floodwatch.model.vector import Vector

CALM = 16
"""Epochs after which it is known what is usual."""
BOTS = [f"192.0.2.{number}" for number in range(1, 21)]


class Traffic:
    """One victim's epochs: people of many shapes, and bots; what each source did adds up over the window.

    Args:
        over: the protocol of the bots.
    """

    def __init__(self, over: int = TLS) -> None:
        self.over = over
        self.asked = dict.fromkeys(BOTS, 0)

    def people(self, turns: int = 4, hellos: int = 0) -> Host:
        """People alone: each exchange has a shape of its own."""
        return host().sealed(TLS, turns=turns, hellos=hellos, exchanges=turns, sources=max(turns, 1))

    def bots(self, each: int, number: int = 20, shapes: int = 1, proven: int = 1) -> Host:
        """As many bots that take so many turns each, of so many shapes."""
        total = each * number
        made = host().sealed(
            self.over, turns=total + 4, sources=number, shapes={k + 1: total // shapes for k in range(shapes)}
        )
        bits = sum(1 << k + 1 for k in range(shapes))
        for name in BOTS[:number]:
            self.asked[name] += each
            turns = self.asked[name]
            made.source(
                name, packets=2 * turns, turns=turns, quic_turns=turns * self.over, exchanges=turns,
                alike=turns - 1 if shapes == 1 else turns // shapes, proven=proven, shapes=bits,
            )  # fmt: skip
        return made


def calm(traffic: Traffic) -> Watch:
    watch = watching()
    watch.last(lambda n: traffic.people(n), 4, CALM)
    return watch


@pytest.mark.parametrize(("over", "vector"), [(TLS, Vector.HTTPS_FLOOD), (QUIC, Vector.HTTP3_FLOOD)])
def test_hosts_that_repeat_themselves_fast_are_a_flood(over: int, vector: Vector) -> None:
    traffic = Traffic(over)
    watch = calm(traffic)
    watch.last(traffic.bots, 3, 6)
    assert watch.vectors == [vector]
    event = watch.event()
    assert (event.sources.origin, event.victim.port, event.rate.unit) == ("real", 443, "req/s")
    assert {source.cidr for source in event.sources.top} == set(BOTS)
    assert "common_shapes" in watch.says()


def test_hosts_that_repeat_themselves_slowly_are_a_flood_where_they_are_new() -> None:
    traffic = Traffic()
    watch = calm(traffic)
    watch.last(traffic.bots, 1, 6)  # four a second each
    assert watch.vectors == [Vector.HTTPS_FLOOD]


def test_programs_that_polled_from_the_first_on_are_none() -> None:
    traffic, watch = Traffic(), Watch()
    watch.last(traffic.bots, 1, 60)
    assert watch.vectors == []


def test_various_requests_are_none_however_fast() -> None:
    traffic = Traffic()
    watch = calm(traffic)
    for _ in range(8):
        made = traffic.bots(3, 1, shapes=12)
        for row in made.heavy:
            row["shapes"] = (1 << 60) - 1
        watch.see(made)
    assert watch.vectors == []


def test_a_window_that_just_began_has_the_variety_of_the_one_before() -> None:
    before, now = np.zeros(1, HEAVY_DTYPE), np.zeros(1, HEAVY_DTYPE)
    for row, turns, shapes in ((before, 40, 0x0F0F_3333_5555_00FF), (now, 4, 0b1010_0101)):
        row["turns"], row["exchanges"], row["shapes"], row["alike"] = turns, turns, shapes, 0
    habit = with_earlier(asking(now), asking(before))
    assert not relentless(habit, np.array([2 * FAST])).any()
    now["shapes"] = before["shapes"] = 1  # the same ever after
    assert relentless(with_earlier(asking(now), asking(before)), np.array([2 * FAST])).all()


def test_of_unproven_sources_none_is_named() -> None:
    traffic = Traffic()
    watch = calm(traffic)
    watch.last(lambda n: traffic.bots(n, proven=0), 3, 6)
    assert watch.event().sources.top == ()
    assert watch.decision().sources == ()


def test_a_single_source_may_be_a_script() -> None:
    for each, named in ((int(ALONE.count), [Vector.HTTPS_FLOOD]), (int(ALONE.count) - 1, [])):
        traffic = Traffic()
        watch = calm(traffic)
        watch.last(lambda n, traffic=traffic: traffic.bots(n, 1), each, 4)
        assert watch.vectors == named


def test_the_floor_is_that_of_turns_of_machines() -> None:
    def vectors(number: int) -> list[Vector]:
        traffic = Traffic()
        watch = calm(traffic)
        watch.last(lambda n: traffic.bots(n, number), REPEATED // 4 + 1, 2)  # until each has a habit
        traffic.asked = {name: max(turns, REPEATED) for name, turns in traffic.asked.items()}
        watch.decider.current.clear()
        watch.last(lambda n: traffic.bots(n, number), 3, 6)
        return watch.vectors

    assert vectors(int(FLOOR.count) // 3) == [Vector.HTTPS_FLOOD]
    assert vectors(int(FLOOR.count) // 3 - 1) == []


def test_a_connection_per_request_is_a_habit_of_its_own() -> None:
    traffic = Traffic()
    watch = calm(traffic)
    first = 0
    for _ in range(6):
        first += 3
        made = host().sealed(TLS, turns=64, hellos=60, finished=60, first=60, sources=20)
        for name in BOTS:
            made.source(name, packets=6 * first, turns=first, first=first, shaken=first, proven=first)
        watch.see(made)
    assert first > CHURNED
    assert watch.vectors == [Vector.HTTPS_FLOOD]
    assert len(watch.event().sources.top) == len(BOTS)


def test_a_surge_of_people_is_a_crowd() -> None:
    traffic = Traffic()
    watch = calm(traffic)
    watch.last(lambda n: traffic.people(n, hellos=8), 48, 8)
    case = watch.case
    assert (case.vector, watch.event().verdict) == (Vector.HTTPS_FLOOD, "crowd")
    assert watch.event().action.recommended == "scale_out"


def test_those_who_are_here_and_talk_more_are_no_crowd() -> None:
    traffic = Traffic()
    watch = calm(traffic)
    watch.last(lambda n: traffic.people(n, hellos=1), 48, 60)
    assert watch.vectors == []


def test_a_surge_that_nothing_tells_is_unclear_and_waits() -> None:
    """Many hosts ask once for the same: an application's own crowd does so as well."""
    traffic = Traffic()
    watch = calm(traffic)

    def once(turns: int) -> Host:
        return host().sealed(TLS, turns=turns, hellos=turns, shapes={1: turns}, sources=turns)

    watch.last(once, 48, PATIENT - 1)
    assert watch.vectors == []
    watch.last(once, 48, 4)
    assert watch.event().verdict == "unclear"


def idle(shaken: int, asked: int = 0) -> Host:
    made = host().sealed(TLS, hellos=shaken, finished=shaken, first=asked, sources=1)
    return made.set(tls_hellos=shaken, tls_records=3 * shaken, finished=shaken)


def test_handshakes_without_a_request_are_a_flood() -> None:
    keeps_floor(idle, Vector.TLS_FLOOD, FINISHED, TLS_FLOOD.persist)
    watch = watching()
    watch.last(lambda n: idle(n, n // 2), 200, 8)
    assert watch.vectors == []


def test_who_shakes_hands_and_asks_is_not_named() -> None:
    watch = watching()

    def made(shaken: int) -> Host:
        out = idle(shaken).source("192.0.2.1", packets=900, proven=60, shaken=60, hellos=60)
        return out.source("192.0.2.2", packets=900, proven=60, shaken=60, hellos=60, first=30)

    watch.last(made, 60, 4)
    assert [source.cidr for source in watch.event().sources.top] == ["192.0.2.1"]


def resets(small: int, records: int | None = None, turns: int = 0) -> Host:
    asked = small if records is None else records
    made = host().sealed(TLS, small=small, records=asked, turns=turns, sources=2)
    made.source("192.0.2.1", packets=900, small=SEALED_NAMED, proven=1)
    return made.source("192.0.2.2", packets=900, small=SEALED_NAMED, turns=SEALED_NAMED, proven=1)


def test_resets_are_told_by_their_length() -> None:
    keeps_floor(resets, Vector.HTTP2_RAPID_RESET, SEALED, 2)
    watch = watching()
    watch.last(resets, 100, 3)
    assert "TLS hides which" in watch.says()["frames_per_stream"]
    assert [source.cidr for source in watch.event().sources.top] == ["192.0.2.1"]


def test_downloads_open_windows_and_ask_for_nothing() -> None:
    for records, turns in ((int(ASKING * 200) - 1, 0), (200, 200)):
        watch = watching()
        watch.last(lambda n, records=records, turns=turns: resets(n, records, turns), 200, 6)
        assert Vector.HTTP2_RAPID_RESET not in watch.vectors


def test_a_flood_inside_tls_keeps_its_rule() -> None:
    assert "15 turns of TLS" in HTTPS_FLOOD.says(FLOOR)
