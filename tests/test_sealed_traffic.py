"""Sealed traffic as a whole: numbers of a sentence that fit each other, and nothing told twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import given
import pytest
from conftest import Need
from evaluate import SEALED

import floodwatch as fw
from floodwatch import synth


def scanned(folder: Path, scenario: str, seed: int) -> fw.Report:
    """A scenario's report."""
    path = folder / f"{scenario}.pcap"
    synth.make(scenario, path, synth.Params(seed=seed))
    return fw.scan(str(path))


def told(report: fw.Report) -> set[tuple[str, str]]:
    """What its events are called, and whether they are attacks."""
    return {(str(event.vector), event.verdict) for event in report.events()}


def of_machines(report: fw.Report) -> Iterator[tuple[int, int]]:
    """The numbers of each sentence that tells a share of machines."""
    for event in report.events():
        for fact in event.evidence:
            found = re.search(r"\(([\d,]+) of ([\d,]+)\)$", fact.says)
            if fact.name == "machine_share" and found:
                part, whole = (int(number.replace(",", "")) for number in found.groups())
                yield part, whole


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SEALED)
def test_machines_take_no_more_turns_than_all(scenario: str, tmp_path: Path) -> None:
    assert all(part <= whole for part, whole in of_machines(scanned(tmp_path, scenario, 1)))


@pytest.mark.slow
def test_machines_of_real_programs_take_no_more_turns_than_all(need: Need) -> None:
    need(given.folder_of("tls"), "FLOODWATCH_TLS names no directory")
    told = [pair for one in given.encrypted() for pair in of_machines(fw.scan(str(one.path)))]
    assert told
    assert all(part <= whole for part, whole in told)


@pytest.mark.parametrize("seed", [1, 2, 3, 36, 38])
def test_who_plays_asks_for_nothing(seed: int, tmp_path: Path) -> None:
    assert told(scanned(tmp_path, "games_inside_tls", seed)) == set()


@pytest.mark.parametrize("seed", range(1, 5))
def test_short_answers_of_a_server_are_answers(seed: int, tmp_path: Path) -> None:
    assert told(scanned(tmp_path, "https_flood_curt", seed)) == {("https_flood", "attack")}


@pytest.mark.parametrize("seed", [1, 516, 520])
def test_who_holds_places_with_cut_requests_is_told_once(seed: int, tmp_path: Path) -> None:
    assert told(scanned(tmp_path, "slow_http_inside_tls", seed)) == {("slow_http", "attack")}
