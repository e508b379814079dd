"""Slow HTTP: places that are held, over the last 20 s, judged once a second."""

from __future__ import annotations

import pytest
from promises import Watch
from scenes import Host, host

from floodwatch.detectors.family import PROVEN_SHARE
from floodwatch.detectors.slow import (
    FLOOR,
    IDLE,
    LEAST,
    MISSING,
    MOST_NAMED,
    NAMED,
    NAMED_STALLS,
    SHARE,
    SLOW_HTTP,
)
from floodwatch.history.servers import MEMORY
from floodwatch.model.epoch import DATA, EPOCHS_PER_SECOND
from floodwatch.model.vector import Vector


def headers(number: int, *, requests: int | None = None, responses: int = 0) -> Host:
    """Requests without their end."""
    requests = number if requests is None else requests
    made = host().kind(DATA, max(requests, 16), out=1)
    return made.set(requests=requests, unfinished=number, responses=responses, http_port=80)


def bodies(number: int, *, owed: int = 4000, loose: int = 1000, responses: int = 0) -> Host:
    made = headers(0, requests=number, responses=responses)
    return made.set(owing=number, owed=owed, loose=loose)


def readers(stalls: int, *, sent: int = 0) -> Host:
    """Windows of zero on connections that asked for something each."""
    made = host().kind(DATA, max(stalls, 16), out=sent or 1).set(stalled=stalls, http_port=80)
    return made.source("203.0.113.1", strains=255, proven=NAMED, requests=NAMED, packets=500)


def after(*epochs: Host, then: int = EPOCHS_PER_SECOND) -> list[Vector]:
    """What is named after these epochs and some quiet ones."""
    watch = Watch()
    for made in epochs:
        watch.see(made)
    watch.quiet(then)
    return watch.vectors


@pytest.mark.parametrize("make", [headers, bodies, readers])
def test_the_floor(make: object) -> None:
    assert after(make(LEAST - 1)) == []
    assert after(make(LEAST)) == [Vector.SLOW_HTTP]
    watch = Watch()
    watch.see(make(LEAST))
    assert watch.case.floor == FLOOR
    assert f"{LEAST} unfinished requests, missing bodies or zero-window packets" in watch.says()["rule"]


def test_a_verdict_comes_once_a_second_from_what_adds_up() -> None:
    watch = Watch()
    watch.see(headers(1))
    watch.last(headers, 16, EPOCHS_PER_SECOND - 1)  # 49 in the first second
    assert watch.vectors == []
    watch.see(headers(1))
    assert watch.vectors == [Vector.SLOW_HTTP]


def test_twenty_seconds_are_looked_back_on() -> None:
    for quiet, named in ((MEMORY - 2 * EPOCHS_PER_SECOND, True), (MEMORY + EPOCHS_PER_SECOND, False)):
        watch = Watch()
        watch.see(headers(LEAST // 2))
        watch.quiet(quiet)
        watch.see(headers(LEAST // 2))
        watch.quiet(EPOCHS_PER_SECOND)
        assert bool(watch.vectors) is named


def test_an_event_lives_as_long_as_places_are_held_and_then_ends() -> None:
    watch = Watch()
    watch.see(headers(2 * LEAST))
    case = watch.case
    watch.quiet(MEMORY - 1)
    assert not case.ended(watch.epoch - 1)
    last = case.epoch
    watch.quiet(SLOW_HTTP.hold + EPOCHS_PER_SECOND)
    assert case.epoch - last <= EPOCHS_PER_SECOND
    assert case.ended(watch.epoch - 1)
    watch.last(headers, 2 * LEAST, EPOCHS_PER_SECOND)
    assert (case.pulses, case.ended(watch.epoch - 1)) == (2, False)


@pytest.mark.parametrize(("share", "named"), [(SHARE, True), (SHARE - 0.01, False)])
def test_most_requests_lack_their_end(share: float, named: bool) -> None:
    assert bool(after(headers(int(share * 200), requests=200))) is named


@pytest.mark.parametrize(("answered", "named"), [(1 - SHARE - 0.01, True), (1 - SHARE, False)])
def test_requests_that_are_answered_hold_no_place(answered: float, named: bool) -> None:
    assert bool(after(headers(200, responses=round(answered * 200)))) is named
    assert bool(after(bodies(200, responses=round((answered + 0.01) * 200)))) is named


@pytest.mark.parametrize(("owed", "named"), [(MISSING, True), (MISSING - 0.01, False)])
def test_far_less_arrives_than_was_promised(owed: float, named: bool) -> None:
    assert bool(after(bodies(100, owed=int(owed * 1000), loose=1000))) is named


@pytest.mark.parametrize(("sent", "named"), [(1 / IDLE, True), (1 / IDLE + 0.1, False)])
def test_a_server_that_goes_on_sending_is_not_held(sent: float, named: bool) -> None:
    assert bool(after(readers(100, sent=int(sent * 100)))) is named


@pytest.mark.parametrize(("field", "value"), [("strains", NAMED_STALLS - 1), ("proven", NAMED - 1),
                                              ("requests", NAMED - 1)])  # fmt: skip
def test_a_viewer_who_pauses_stalls_one_or_two_connections(field: str, value: int) -> None:
    def made(**more: int) -> Host:
        each = readers(3 * (NAMED_STALLS - 1))
        each.heavy.clear()
        fields = {"strains": NAMED_STALLS, "proven": NAMED, "requests": NAMED, "packets": 500}
        for number in range(3):
            each.source(f"203.0.113.{number}", **{**fields, **more})
        return each

    assert after(made()) == [Vector.SLOW_HTTP]
    assert after(made(**{field: value})) == []


@pytest.mark.parametrize(("share", "named"), [(SHARE, True), (SHARE - 0.01, False)])
def test_named_sources_make_most_of_the_stalls(share: float, named: bool) -> None:
    made = readers(200)
    made.heavy[0]["strains"] = int(share * 200)
    assert bool(after(made)) is named


def test_one_source_may_make_them_all() -> None:
    """200 connections of one, each probed a few times: its own count must keep up with the server's."""
    made = readers(900)
    made.heavy[0]["strains"] = 900
    assert after(made) == [Vector.SLOW_HTTP]
    made.heavy[0]["strains"] = 255
    assert after(made) == []


@pytest.mark.parametrize("before", ["203.0.113.1", "203.0.113.2"])
def test_whoever_opened_connections_before_this_window_is_remembered(before: str) -> None:
    watch = Watch()
    first = readers(LEAST)
    first.heavy.clear()
    watch.see(first.source(before, strains=255, proven=NAMED, requests=NAMED), window_ends=True)
    watch.quiet(EPOCHS_PER_SECOND - 1)
    later = readers(LEAST)
    later.heavy[0]["proven"], later.heavy[0]["requests"] = 1, 0
    watch.see(later)
    assert (watch.case.epoch == watch.epoch - 1) is (before == "203.0.113.1")


@pytest.mark.parametrize(("others", "remembered"), [(MOST_NAMED - 1, True), (MOST_NAMED, False)])
def test_so_many_are_remembered_and_no_more(others: int, remembered: bool) -> None:
    watch = Watch()
    first = readers(LEAST)
    for number in range(others):
        text = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        first.source(text, strains=255, proven=NAMED, requests=NAMED)
    watch.see(first, window_ends=True)
    watch.quiet(EPOCHS_PER_SECOND - 1)
    later = readers(LEAST)
    later.heavy[0]["proven"], later.heavy[0]["requests"] = 1, 0
    watch.see(later)
    assert (watch.case.epoch == watch.epoch - 1) is remembered


def test_what_others_stalled_long_ago_does_not_dilute_a_window() -> None:
    """Sources are known for a window of 8 s, so their share is one of the last 8 s."""
    for pause, named in ((7 * EPOCHS_PER_SECOND, False), (8 * EPOCHS_PER_SECOND, True)):
        watch = Watch()
        others = readers(300)
        others.heavy.clear()
        watch.see(others)
        watch.quiet(pause - 1)
        made = readers(LEAST)
        made.heavy[0]["strains"] = LEAST
        watch.see(made)
        assert bool(watch.vectors) is named


def test_the_evidence_is_what_was_counted() -> None:
    watch = Watch()
    watch.see(headers(80, requests=100, responses=10).set(owing=60, stalled=30, owed=0))
    says, event = watch.says(), watch.event()
    assert says["unfinished"] == "80.0 % of the requests came without the end of their header (80 of 100)"
    assert says["bodies_owed"].startswith("60.0 % of the requests declared a body")
    assert says["stalls"].startswith("30 packets announced")
    assert says["answered"].startswith("10.0 % as many answers")
    assert (event.packets, event.rate.unit, event.victim.port) == (80 + 60 + 30, "conn/s", 80)
    assert not watch.case.one_way


def test_one_way_is_told() -> None:
    watch = Watch()
    watch.see(headers(100).kind(DATA, 100, out=0))
    assert watch.case.one_way
    assert "one_way" in watch.says()


@pytest.mark.parametrize(("proven", "origin"), [(True, "real"), (False, "unknown")])
def test_whom_handshakes_prove_is_slowed_down(proven: bool, origin: str) -> None:
    assert PROVEN_SHARE == 1 / 2
    made = headers(100).source("203.0.113.1", strains=NAMED + 1, proven=1, packets=30, missed=2)
    made.source("203.0.113.2", strains=NAMED + 1 + (not proven), packets=30)
    made.source("203.0.113.3", strains=NAMED - 1, proven=1, packets=30)
    watch = Watch()
    watch.see(made)
    decision = watch.decision()
    assert (decision.origin, decision.protection, decision.port) == (origin, None, 80)
    if proven:
        assert decision.action == "limit_per_source"
        assert [(str(s.network), s.lo, s.hi) for s in decision.sources] == [("203.0.113.1/32", NAMED + 1, 32)]
    else:
        assert (decision.action, decision.sources, decision.proof) == ("observe", (), None)
