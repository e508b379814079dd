"""Requests inside TLS and QUIC, handshakes without them, resets: told from the outside."""

from __future__ import annotations

import numpy as np
import pytest
from promises import Watch, keeps_floor, watching
from scenes import Host, address_of, host

from floodwatch._engine import HEAVY_DTYPE
from floodwatch.detectors.http2 import (
    ASKING,
    LIKE,
    RESET_ALONE,
    SEALED,
    SEALED_NAMED,
    UNSURE,
    UPLOAD,
)
from floodwatch.detectors.tls import FINISHED, LASTING
from floodwatch.detectors.turns import ALONE, FLOOR, HTTPS_FLOOD, PATIENT, SETTLED
from floodwatch.history.baseline import KNOWN_AFTER
from floodwatch.history.memory import METRICS, Memory
from floodwatch.history.sealed import (
    CHURNED,
    FAST,
    HAMMER,
    PART,
    QUIC,
    REPEATED,
    TALK,
    TLS,
    asking,
    relentless,
)
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


def test_programs_that_come_one_by_one_are_rolled_out() -> None:
    traffic = Traffic()
    watch = calm(traffic)
    for number in range(1, len(BOTS) + 1):
        watch.last(lambda each, number=number: traffic.bots(each, number), 1, 2)
    watch.last(traffic.bots, 1, 8)
    assert watch.vectors == []


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


def at_length(traffic: Traffic, each: int, *, number: int, alike: float, scattered: bool) -> Host:
    """Bots that ask for very much, of as many shapes as a small site has."""
    made = traffic.bots(each, number)
    if scattered:
        people = traffic.people(each * number + 4)
        made.row["sealed"][TLS] = people.row["sealed"][TLS]
    for row in made.heavy:
        row["shapes"], row["alike"] = (1 << 39) - 1, (alike * row["turns"]).astype(int)
    return made


@pytest.mark.parametrize(("scattered", "named"), [(True, []), (False, [Vector.HTTPS_FLOOD])])
def test_a_proxy_asks_for_all_that_a_site_has(scattered: bool, named: list[Vector]) -> None:
    """In time the shapes of many people are few for each request, but one after the other they differ."""
    traffic = Traffic()
    watch = calm(traffic)
    watch.last(lambda n: at_length(traffic, n, number=3, alike=0.05, scattered=scattered), 40, 16)
    assert watch.vectors == named


@pytest.mark.parametrize(("alike", "named"), [(0.3, [Vector.HTTPS_FLOOD]), (0.2, [])])
def test_who_hammers_is_a_machine_however_various_answers_are(alike: float, named: list[Vector]) -> None:
    """A server that cannot keep up answers many requests at once: lengths tell less."""
    traffic = Traffic()
    watch = calm(traffic)
    for _ in range(6):
        made = at_length(traffic, 75, number=1, alike=alike, scattered=True)
        for row in made.heavy:
            row["shapes"] = (1 << 60) - 1
        watch.see(made)
    assert watch.vectors == named


def test_who_never_rests_is_seen_through_the_end_of_a_window() -> None:
    traffic = Traffic()
    watch = calm(traffic)
    for epoch in range(15):  # eight a second on average; nine epochs in a row tell
        made = traffic.bots(1 + 2 * (epoch % 2))
        for row in made.heavy:
            row["shapes"], row["alike"], row["answered"] = (1 << 60) - 1, 0, 1000 * row["turns"]
        watch.see(made, window_ends=epoch == 7)
        if epoch == 7:
            traffic.asked = dict.fromkeys(BOTS, 0)
    assert watch.vectors == [Vector.HTTPS_FLOOD]


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


@pytest.mark.parametrize(("closes", "named"), [(True, [Vector.HTTPS_FLOOD]), (False, [])])
def test_a_connection_per_request_is_a_habit_of_its_own(closes: bool, named: list[Vector]) -> None:
    """Who keeps connections open on which little is asked holds places: that has a name of its own."""
    traffic = Traffic()
    watch = calm(traffic)
    first = 0
    for _ in range(6):
        first += 3
        made = host().sealed(TLS, turns=64, hellos=60, finished=60, first=60, sources=20)
        for name in BOTS:
            fields = {"turns": first, "first": first, "closed": first * closes, "shaken": first}
            made.source(name, packets=6 * first, proven=first, **fields)
        watch.see(made)
    assert first > CHURNED
    assert watch.vectors == named
    if closes:
        assert len(watch.event().sources.top) == len(BOTS)


@pytest.mark.parametrize(
    ("each", "share", "named"),
    [(5, TALK, []), (5, TALK / 2, [Vector.HTTPS_FLOOD]), (int(HAMMER / 4) + 1, 1, [Vector.HTTPS_FLOOD])],
)
def test_who_talks_asks_for_nothing_but_at_no_pace(each: int, share: float, named: list[Vector]) -> None:
    traffic = Traffic()
    watch = calm(traffic)
    for _ in range(6):
        made = traffic.bots(each)
        for row in made.heavy:
            row["talk"] = np.ceil(share * row["turns"])
        watch.see(made)
    assert watch.vectors == named


def test_a_surge_of_people_is_a_crowd() -> None:
    traffic = Traffic()
    watch = calm(traffic)
    watch.last(lambda n: traffic.people(n, hellos=8), 48, SETTLED + 1)
    case = watch.case
    assert (case.vector, watch.event().verdict) == (Vector.HTTPS_FLOOD, "crowd")
    assert watch.event().action.recommended == "scale_out"
    assert watch.says()["pace"].startswith("a client that asks in a second does so about ")


def test_a_surge_of_those_who_never_rest_is_no_crowd() -> None:
    """As various as pages are and at a reader's pace, but whoever asked asks again in every second."""
    traffic = Traffic()
    watch = calm(traffic)
    for _ in range(PATIENT + 4):
        made = traffic.people(48, hellos=8)
        for number in range(40):
            name = f"192.0.2.{number}"
            traffic.asked[name] = traffic.asked.get(name, 0) + 1
            made.source(name, packets=90, turns=traffic.asked[name], proven=1)
        watch.see(made)
    assert watch.event().verdict == "unclear"


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
    keeps_floor(idle, Vector.TLS_FLOOD, FINISHED, LASTING)
    watch = watching()
    watch.last(lambda n: idle(n, n // 2), 200, 8)
    assert watch.vectors == []


def test_programs_that_connect_at_once_are_no_flood() -> None:
    watch = watching()
    watch.last(idle, 40, LASTING - 1)
    watch.last(idle, 4, 12)
    assert watch.vectors == []


def test_who_shakes_hands_and_asks_is_not_named() -> None:
    watch = watching()

    def made(shaken: int) -> Host:
        out = idle(shaken).source("192.0.2.1", packets=900, proven=60, shaken=60, hellos=60)
        return out.source("192.0.2.2", packets=900, proven=60, shaken=60, hellos=60, first=30)

    watch.last(made, 60, LASTING)
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


def made_to_reset(resets: int, of: int = 1, size: int = 60, answer: int = 30, turns: int = 0) -> Host:
    """A server that resets so much, for ``of`` times as many records of so many bytes, with such answers."""
    records = of * resets
    made = host().sealed(TLS, small=resets, small_out=resets, records=records, turns=turns, sources=2)
    made.row["sealed"][TLS]["bytes"] = size * records
    fields = {"records": records, "small": resets, "turns": turns, "exchanges": turns, "alike": turns}
    fields |= {"sealed_bytes": size * records, "answered": answer * turns + 600, "first": 4}
    return made.source("192.0.2.1", packets=900, proven=1, **fields)


def test_a_server_that_is_made_to_reset_is_told_by_its_own_records() -> None:
    keeps_floor(made_to_reset, Vector.MADEYOURESET, SEALED, 2)
    watch = watching()
    watch.last(lambda n: made_to_reset(n, turns=n // 2), 100, 3)
    assert watch.vectors == [Vector.MADEYOURESET]  # neither by its clients, nor as requests
    event = watch.event()
    assert event.confidence <= LIKE
    assert "TLS hides which" in watch.says()["resets_per_record"]
    assert [source.cidr for source in event.sources.top] == ["192.0.2.1"]


@pytest.mark.parametrize(
    "fields", [{"of": 3}, {"size": int(UPLOAD)}, {"turns": 200, "answer": int(RESET_ALONE) + 100}]
)
def test_windows_for_uploads_and_answers_are_no_resets(fields: dict[str, int]) -> None:
    watch = watching()
    watch.last(lambda n: made_to_reset(n, **fields), 200, 4)
    assert Vector.MADEYOURESET not in watch.vectors


def test_downloads_open_windows_and_ask_for_nothing() -> None:
    for records, turns in ((int(ASKING * 200) - 1, 0), (200, 200)):
        watch = watching()
        watch.last(lambda n, records=records, turns=turns: resets(n, records, turns), 200, 6)
        assert Vector.HTTP2_RAPID_RESET not in watch.vectors


def test_requests_are_told_in_bounds() -> None:
    """Twelve a turn, by lengths: the middle of the bounds is the rate, and the usual is counted alike."""
    traffic, watch = Traffic(), watching()

    def asking_for(made: Host, turns: int, *, of: int) -> Host:
        made.row["sealed"][TLS]["least"], made.row["sealed"][TLS]["most"] = (
            of * 4 * PART * turns,
            of * 9 * PART * turns,
        )
        return made

    watch.last(lambda n: asking_for(traffic.people(n), n, of=1), 4, CALM)
    for epoch in range(1, 7):
        made = asking_for(traffic.bots(3), 64, of=2)
        for row in made.heavy:
            row["least"], row["most"] = epoch * 3 * 8 * PART, epoch * 3 * 18 * PART
        watch.see(made)
    rate = watch.event().rate
    assert rate.estimated
    assert "(360 of 384)" in watch.says()["machine_share"]  # of turns, however many requests are in each
    assert (rate.lo, rate.hi, rate.peak) == (4 * 60 * 8, 4 * 60 * 18, 4 * 60 * 12)
    assert rate.baseline == pytest.approx(4 * 4 * 6, rel=0.2)
    event = watch.event()
    assert list(map(len, (event.timeline_lo, event.timeline_hi))) == [len(event.timeline)] * 2
    steps = zip(event.timeline_lo, event.timeline, event.timeline_hi, strict=True)
    assert all(low <= told <= high for low, told, high in steps)


def test_what_is_usual_inside_tls_is_known_from_another_day() -> None:
    """A saved baseline says what a surge is told against; without one there is none so soon."""

    def began(memory: Memory | None) -> Watch:
        traffic, watch = Traffic(), Watch(memory)
        watch.last(traffic.people, 4, KNOWN_AFTER - 8)
        watch.last(traffic.bots, 3, 6)
        return watch

    rates = dict.fromkeys(METRICS, 0.0) | {"turns": 16.0, "hellos": 1.0, "asked": 20.0}
    saved = Memory(
        np.zeros(0, np.uint64),
        np.array([address_of("198.51.100.7")], np.uint64),
        np.array([[*rates.values()]]),
    )
    event = began(saved).event()
    assert event.rate.baseline == pytest.approx(20, rel=0.1)
    assert "times the usual" in next(fact.says for fact in event.evidence if fact.name == "surge")
    assert began(None).event().rate.baseline is None
    learnt = began(saved).detection.learnt()
    assert learnt.usual[0, METRICS.index("asked")] == pytest.approx(20, rel=0.1)


def test_what_is_read_is_not_estimated() -> None:
    watch = watching()
    watch.last(idle, 60, LASTING)
    event = watch.event()
    assert (event.rate.estimated, event.rate.lo, event.rate.hi) == (False, None, None)
    assert event.timeline_lo == event.timeline_hi == ()


def test_resets_inside_tls_are_bounded() -> None:
    watch = watching()
    watch.last(resets, 100, 4)
    rate = watch.event().rate
    assert rate.estimated
    assert (rate.lo, rate.hi) == (400 / UNSURE, 400 * UNSURE)


def test_a_flood_inside_tls_keeps_its_rule() -> None:
    assert "15 turns of TLS" in HTTPS_FLOOD.says(FLOOR)
