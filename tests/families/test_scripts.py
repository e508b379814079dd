"""Scripts: API probing, and guessing of logins by single sources."""

from __future__ import annotations

import ipaddress

import numpy as np
import pytest
from promises import Watch
from scenes import Host, host, summary

from floodwatch.detectors.family import Scene
from floodwatch.detectors.guessing import EACH, LOGIN_BRUTEFORCE, REFUSED
from floodwatch.detectors.scripts import (
    API_PROBING,
    FLOOR,
    FRESH,
    PARTS,
    POSTED,
    SAME,
    WALK,
    ScriptDetector,
)
from floodwatch.history.clients import Visitors
from floodwatch.history.memory import nothing
from floodwatch.history.servers import MAX_ASKED, MEMORY
from floodwatch.model.epoch import DATA, EPOCHS_PER_SECOND
from floodwatch.model.vector import Vector

LEAST = int(FLOOR.count)


def asks(requests: int, *, name: str = "203.0.113.1", bits: int, **habits: int) -> Host:
    made = host().kind(DATA, 40, out=1).set(requests=1, http_port=8080)
    fields = {"requests": requests, "packets": requests, "bytes": 300 * requests, "proven": 1}
    return made.source(name, bits=bits, **{**fields, **habits})


def prober(requests: int, *, bits: int = 30, **habits: int) -> Host:
    return asks(requests, bits=bits, **{"errors": requests, **habits})


def guesser(requests: int, **habits: int) -> Host:
    fields = {"errors": requests, "posts": requests, "repeats": max(requests - 1, 0)}
    return asks(requests, bits=1, **{**fields, **habits})


def named(made: Host, then: int = 0) -> list[Vector]:
    """What is named of a second of this."""
    watch = Watch()
    watch.last(lambda _: made, 0, EPOCHS_PER_SECOND)
    watch.quiet(then)
    return watch.vectors


@pytest.mark.parametrize(
    ("make", "vector", "floor"),
    [(prober, Vector.API_PROBING, FLOOR), (guesser, Vector.LOGIN_BRUTEFORCE, EACH)],
)
def test_a_script_shows_after_some_requests(make: object, vector: Vector, floor: object) -> None:
    assert named(make(LEAST - 1)) == []
    assert named(make(LEAST)) == [vector]
    watch = Watch()
    watch.last(make, LEAST, EPOCHS_PER_SECOND - 1)
    assert watch.vectors == []  # it is judged once a second
    watch.last(make, LEAST, 1)
    assert watch.case.floor == floor
    assert watch.case.family.says(floor) in watch.says()["rule"]


@pytest.mark.parametrize("make", [prober, guesser])
@pytest.mark.parametrize(("refused", "parts", "found"), [(REFUSED, PARTS, True), (REFUSED - 0.01, 0, False),
                                                         (1, PARTS + 0.01, False)])  # fmt: skip
def test_people_are_refused_now_and_then_and_fetch_parts(
    make: object, refused: float, parts: float, found: bool
) -> None:
    made = make(100, errors=round(refused * 100), assets=round(parts * 100))
    assert bool(named(made)) is found


def walk(bits: int) -> float:
    return float(64 * np.log(64 / (64 - bits)))


def test_a_prober_walks_many_paths() -> None:
    bits = next(b for b in range(64) if walk(b) >= WALK)
    assert named(prober(20, bits=bits)) == [Vector.API_PROBING]
    assert named(prober(20, bits=bits - 1)) == []  # a path less


def test_a_prober_hardly_comes_back_to_a_path() -> None:
    bits = 30
    assert named(prober(int(walk(bits) / FRESH), bits=bits)) == [Vector.API_PROBING]
    assert named(prober(int(walk(bits) / FRESH) + 1, bits=bits)) == []


@pytest.mark.parametrize(("posts", "same", "found"), [(POSTED, SAME, True), (POSTED - 0.01, 1, False),
                                                      (1, SAME - 0.01, False)])  # fmt: skip
def test_a_guesser_posts_to_the_same_path_again_and_again(posts: float, same: float, found: bool) -> None:
    made = guesser(101, posts=round(posts * 101 + 0.4), repeats=round(same * 100))
    assert bool(named(made)) is found


def test_a_guesser_is_no_prober() -> None:
    assert named(prober(100, bits=40, posts=100, repeats=99)) == [Vector.LOGIN_BRUTEFORCE]


def test_the_window_before_counts_too() -> None:
    watch = Watch()
    watch.see(guesser(LEAST - 2), window_ends=True)
    watch.last(guesser, 2, EPOCHS_PER_SECOND)
    assert watch.vectors == [Vector.LOGIN_BRUTEFORCE]
    watch = Watch()
    watch.see(guesser(LEAST - 2), window_ends=True)
    watch.quiet(1)
    watch.see(window_ends=True)
    watch.last(guesser, 2, EPOCHS_PER_SECOND)
    assert watch.vectors == []


def test_so_many_addresses_are_remembered_and_no_more() -> None:
    detector, visitors = ScriptDetector(), Visitors(nothing().networks)
    for part in range(5):
        hosts = [
            host(str(ipaddress.ip_address(part * 1024 + n + 1)), n).kind(DATA, 16).set(requests=1)
            for n in range(1024)
        ]
        for n, each in enumerate(hosts):
            each.row["reference"] = part << 16 | n
        scene = Scene(summary(part, hosts, window_ends=True), [], visitors, set(), set())
        assert list(detector.detect(scene)) == []
    assert len(detector._asked.known) == MAX_ASKED
    assert min(detector._asked.known) == 1 << 16  # the oldest were forgotten


def test_who_stopped_is_not_told_again_and_after_a_while_it_ends() -> None:
    watch = Watch()
    watch.last(guesser, 50, EPOCHS_PER_SECOND)
    case = watch.case
    since = case.epoch
    watch.last(guesser, 50, 3 * EPOCHS_PER_SECOND)  # its row stands as it was
    assert case.epoch == since
    assert case.family.hold == MEMORY
    watch.quiet(MEMORY - 3 * EPOCHS_PER_SECOND)
    assert not case.ended(watch.epoch - 1)
    watch.quiet(1)
    assert case.ended(watch.epoch - 1)
    watch.quiet(EPOCHS_PER_SECOND)
    for asked in range(100, 200, 10):
        watch.see(guesser(asked))
    assert (case.pulses, len(watch.vectors)) == (2, 1)


@pytest.mark.parametrize(("make", "family"), [(prober, API_PROBING), (guesser, LOGIN_BRUTEFORCE)])
def test_the_evidence_is_what_was_counted(make: object, family: object) -> None:
    watch = Watch()
    posts = int(make is guesser)
    made = make(100, errors=80, posts=90 * posts)
    bits = int(made.heavy[0]["paths"][0]).bit_count()
    made.source("203.0.113.2", bits=bits, requests=50, errors=50, posts=50 * posts, repeats=49 * posts)
    watch.last(lambda _: made, 0, EPOCHS_PER_SECOND)
    says, event = watch.says(), watch.event()
    assert says["refused"].startswith(f"about {100 * 130 / 150:.1f} % as many refusals")
    if make is guesser:
        assert says["posts"].startswith("at least 140 tries sent data (POST, PUT or PATCH)")
    else:
        assert says["distinct_paths"].startswith(f"about {2 * walk(30):.0f} different paths")
    assert (event.packets, event.rate.unit, event.victim.port) == (150, family.unit, 8080)


@pytest.mark.parametrize("make", [prober, guesser])
@pytest.mark.parametrize(("other", "origin"), [(40, "real"), (41, "unknown")])
def test_whom_handshakes_prove_is_slowed_down(make: object, other: int, origin: str) -> None:
    made = make(40)
    bits = int(made.heavy[0]["paths"][0]).bit_count()
    guesses = {"posts": other, "repeats": other - 1} if make is guesser else {}
    made.source("203.0.113.2", bits=bits, requests=other, errors=other, packets=90, missed=1, **guesses)
    watch = Watch()
    watch.last(lambda _: made, 0, EPOCHS_PER_SECOND)
    decision = watch.decision()
    assert (decision.origin, decision.protection) == (origin, None)
    if origin == "real":
        assert decision.action == "limit_per_source"
        assert [(str(s.network), s.lo, s.hi) for s in decision.sources] == [("203.0.113.1/32", 40, 40)]
    else:
        assert (decision.action, decision.sources, decision.proof) == ("observe", (), None)


def test_bounds_of_a_source_add_up_over_windows() -> None:
    watch = Watch()
    watch.last(guesser, 100, EPOCHS_PER_SECOND - 1)
    watch.see(guesser(100), window_ends=True)
    watch.last(guesser, 60, EPOCHS_PER_SECOND)
    assert [(s.lo, s.hi) for s in watch.decision().sources] == [(160, 160)]
