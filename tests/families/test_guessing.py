"""Guessing of logins by many sources that try once or twice each."""

from __future__ import annotations

import pytest
from promises import Watch
from scenes import Host, host

from floodwatch.detectors.guessing import DENIED, FLOOR, LEAST, LOGIN_BRUTEFORCE, ONE_PATH
from floodwatch.history.servers import MEMORY
from floodwatch.model.epoch import EPOCHS_PER_SECOND, SYNACK
from floodwatch.model.vector import Vector


def guesses(posts: int, *, denied: int | None = None, held: int | None = None) -> Host:
    """Many sources, of whom the heavy-hitter table knows none."""
    held = posts if held is None else held
    made = host().requests(posts, sources=max(posts // 2, 1), path="/login", held=held, posts=posts)
    other = b"/x"
    made.bucket("paths", 1, hash=2, vote=posts - held, posts=1, length=len(other))
    made.row["paths"][1]["text"][: len(other)] = list(other)
    made.set(denied=posts if denied is None else denied, responses=posts)
    return made.kind(SYNACK, 20, strange=20, out=1)


def named(*epochs: Host) -> list[Vector]:
    watch = Watch()
    for made in epochs:
        watch.see(made)
    watch.quiet(EPOCHS_PER_SECOND)
    return watch.vectors


PART = [LEAST // 5] * 5
"""Slow enough to be no flood of requests."""


def test_the_floor() -> None:
    assert named(*map(guesses, PART)) == [Vector.LOGIN_BRUTEFORCE]
    assert named(*map(guesses, [*PART[:-1], PART[0] - 1])) == []


def test_a_verdict_comes_once_a_second() -> None:
    watch = Watch()
    for posts in PART[:-1]:
        watch.see(guesses(posts))
    watch.see(guesses(PART[-1]))
    assert watch.vectors == [Vector.LOGIN_BRUTEFORCE]
    assert watch.case.floor == FLOOR
    assert watch.case.family.says(FLOOR) in watch.says()["rule"]


@pytest.mark.parametrize(("denied", "held", "found"), [(DENIED, ONE_PATH, True), (DENIED - 0.05, 1, False),
                                                       (1, ONE_PATH - 0.05, False)])  # fmt: skip
def test_people_mistype_a_password_now_and_then(denied: float, held: float, found: bool) -> None:
    made = guesses(20, denied=round(denied * 20), held=round(held * 20))
    assert bool(named(*[made] * 6)) is found


def test_twenty_seconds_are_looked_back_on_and_then_it_ends() -> None:
    watch = Watch()
    for posts in PART:
        watch.see(guesses(posts))
    watch.quiet(EPOCHS_PER_SECOND)
    case = watch.case
    last = case.epoch
    assert case.family.hold == MEMORY
    assert case.family is LOGIN_BRUTEFORCE
    watch.quiet(2 * MEMORY)
    assert case.epoch - last < MEMORY + EPOCHS_PER_SECOND
    assert case.ended(watch.epoch - 1)
    for posts in PART * 2:
        watch.see(guesses(posts))
    assert (case.pulses, watch.vectors.count(Vector.LOGIN_BRUTEFORCE)) == (2, 1)


def test_what_was_denied_long_ago_is_forgotten() -> None:
    watch = Watch()
    watch.see(guesses(LEAST // 5))
    watch.quiet(MEMORY)
    for posts in PART[1:]:
        watch.see(guesses(posts))
    watch.quiet(EPOCHS_PER_SECOND)
    assert watch.vectors == []


def test_where_sources_stand_out_one_by_one_they_are_no_crowd_of_guessers() -> None:
    watch = Watch()
    asked = 0
    for posts in PART * 2:
        asked += posts
        made = guesses(posts)
        made.source("203.0.113.1", bits=1, requests=asked, posts=asked, errors=asked, repeats=asked, proven=1)
        watch.see(made)
    assert watch.case.floor != FLOOR
    assert watch.case.count <= asked


def test_the_evidence_and_the_decision() -> None:
    watch = Watch()
    for posts in PART[:-1]:
        watch.see(guesses(posts, denied=posts - 2))
    watch.see(guesses(PART[-1], denied=PART[-1]))
    says, event, decision = watch.says(), watch.event(), watch.decision()
    assert says["refused"].startswith(f"about {100 * (LEAST - 8) / LEAST:.1f} % as many refusals")
    assert says["posts"].startswith(f"at least {LEAST} tries sent data (POST, PUT or PATCH)")
    assert (event.victim.path, event.victim.port, event.rate.unit) == ("/login", 80, "req/s")
    assert (decision.origin, decision.action, decision.protection) == ("unknown", "observe", None)
    assert (decision.sources, decision.proof) == ((), None)
