"""What holds for every family at once."""

from __future__ import annotations

from collections import Counter
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from promises import Watch
from scenes import host

from floodwatch.detectors import (
    CROWDS,
    DETECTORS,
    FAMILIES,
    family_of,
    least_floor,
    reflection,
    title,
)
from floodwatch.detectors.family import Family
from floodwatch.history.memory import METRICS
from floodwatch.model.epoch import EPOCHS_PER_SECOND
from floodwatch.model.event import Evidence
from floodwatch.model.finding import Floor, Gathered
from floodwatch.model.vector import TECHNIQUES, Vector, protocol_number

ALL: list[Family[Any]] = [family for detector in DETECTORS for family in detector.families]
WIDTH = 60
each = pytest.mark.parametrize("family", ALL, ids=lambda family: f"{family.verdict}-{family.vectors[0]}")


def test_each_vector_belongs_to_one_family() -> None:
    owners = Counter(vector for family in ALL if family.verdict == "attack" for vector in family.vectors)
    assert owners == Counter(Vector)
    assert set(FAMILIES) == set(Vector)
    assert len([f for f in ALL if f.verdict == "crowd"]) == len(CROWDS) == 4
    for vector in Vector:
        assert vector in family_of(vector, "attack").vectors


@each
def test_a_rule_renders_with_each_floor(family: Family[Any]) -> None:
    assert family.floors
    for floor in family.floors:
        says = family.says(floor)
        assert f"{floor.count:,.10g}" in says
        assert "{" not in says
        assert says.endswith(f"({floor.where})") is bool(floor.where)
    assert family.says(Floor(1250)).count("1,250") == 1


@each
def test_a_family_says_what_it_is(family: Family[Any]) -> None:
    assert family.promised_s > 0
    assert family.floor > 0
    assert family.persist >= 1
    assert family.hold >= 1
    assert family.usual is None or family.usual in METRICS
    assert protocol_number(family.protocol) in range(256)
    assert (family.technique in TECHNIQUES) is (family.verdict == "attack")
    for vector in family.vectors:
        assert 0 < len(title(vector, family.verdict)) <= WIDTH
        assert title(vector, family.verdict)[0] == family.title(vector)[0]
        if family.verdict == "attack":
            assert least_floor(vector) == (None if family.habitual else family.floor)


@each
def test_the_floor_a_second_is_the_least_floor_of_an_epoch(family: Family[Any]) -> None:
    """A floor of a user cannot be lower than what is named without it, nor may that be lower."""
    if not family.habitual and family.verdict == "attack":
        of_epochs = [floor.count for floor in family.floors if not floor.rule]
        assert family.floor == EPOCHS_PER_SECOND * min(of_epochs)


def test_a_crowd_without_a_vector_is_a_crowd() -> None:
    assert title(Vector.UDP_FLOOD, "crowd") == "crowd"


@each
def test_evidence_of_nothing_is_no_division_by_zero(family: Family[Any]) -> None:
    nothing = Gathered(family.facts).merged()
    for origin in ("real", "forged", "reflected", "unknown"):
        for path in (False, True):
            action, why = family.advice(nothing, origin, path)
            assert action
            assert why
    assert all(isinstance(item, Evidence) for item in family.evidence(nothing))
    assert 0 < family.clear(nothing) <= 1
    assert family.origin(nothing, 0.0, 0.0) in ("real", "forged", "reflected", "unknown")


def declared(family: Family[Any]) -> dict[str, str]:
    hints = get_type_hints(family.facts, include_extras=True)
    return {name: hints[name].__metadata__[0] for name in family.facts.__struct_fields__}


@each
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_facts_merge_as_declared(family: Family[Any], data: st.DataObject) -> None:
    """Sum adds, Mean averages, Majority votes: whatever the order and the number of epochs."""
    how = declared(family)
    number = {
        name: st.integers(0, 3) if kind == "majority" else st.integers(0, 1000) for name, kind in how.items()
    }
    number |= {
        name: st.dictionaries(st.integers(0, 3), st.integers(1, 9))
        for name, kind in how.items()
        if kind == "tally"
    }
    epochs = data.draw(st.lists(st.fixed_dictionaries(number), min_size=1, max_size=12))
    gathered, shuffled = Gathered(family.facts), Gathered(family.facts)
    for epoch in epochs:
        gathered.add(family.facts(**epoch))
    for epoch in data.draw(st.permutations(epochs)):
        shuffled.add(family.facts(**epoch))
    merged, again = gathered.merged(), shuffled.merged()
    for name, kind in how.items():
        values = [epoch[name] for epoch in epochs]
        if kind == "tally":
            both = sum((Counter(value) for value in values), Counter())
            assert getattr(merged, name) == getattr(again, name) == both
            continue
        if kind == "majority":
            votes = Counter(values)
            assert votes[getattr(merged, name)] == votes[getattr(again, name)] == max(votes.values())
            continue
        expected = max(values) if kind == "most" else sum(values) / (len(values) if kind == "mean" else 1)
        assert getattr(merged, name) == getattr(again, name) == pytest.approx(expected)


def test_of_equal_votes_the_first_wins() -> None:
    gathered = Gathered(reflection.Answers)
    for port in (4500, 500, 500, 4500):
        gathered.add(reflection.Answers(service_port=port))
    assert gathered.merged().service_port == 4500


def test_isakmp_from_two_ports_is_told_with_one_that_was_seen_and_both_are_dropped() -> None:
    watch = Watch()
    for _ in range(3):
        watch.see(
            host()
            .udp(2000, sources=64, port=50_000, source_port=500, size=400, out=1)
            .bucket("service", 2, key=17 << 16 | 4500, vote=1000, packets=1000, bytes=400_000)
        )
    assert watch.vectors == [Vector.ISAKMP_AMPLIFICATION]
    (answers,) = [item for item in watch.event().evidence if item.name == "unasked_answers"]
    assert any(f"come from port {port};" in answers.says for port in (500, 4500))
    assert watch.decision().reflector_ports == (500, 4500)
