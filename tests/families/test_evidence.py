"""Evidence that adds up: what stays far below every floor is named, and nothing that is normal."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from promises import Make, Watch
from scenes import Host, host

import floodwatch as fw
from floodwatch import synth
from floodwatch.config.limits import BUDGETS, Limits, ask
from floodwatch.detectors import least_floor
from floodwatch.detectors.syn import FEW_PORTS, REFUSED_THERE
from floodwatch.history.evidence import PARTS, Evidence, SequentialTest
from floodwatch.model.epoch import CLASS_UDP, EPOCHS_PER_SECOND, SYNACK
from floodwatch.model.vector import Vector
from floodwatch.pipeline.analysis import LEAST

SEED = bytes(16)
WEAK = {
    "syn_flood_weak": "syn_flood",
    "syn_flood_refused": "syn_flood",
    "udp_flood_weak": "udp_flood",
    "udp_flood_drawn_ports": "udp_flood",
    "ack_flood_weak": "ack_flood",
}


def syns(number: int, sources: int | None = None, **more: int) -> Host:
    """So many SYNs that nobody finishes, seen both ways; each of another source."""
    return host().syns(number, sources=number if sources is None else sources, **more).kind(SYNACK, 0, out=1)


@pytest.mark.parametrize("scenario", WEAK)
def test_what_cannot_be_normal_is_named_low_and_only_observed(scenario: str, tmp_path: Path) -> None:
    path = tmp_path / "weak.pcap"
    truth = synth.make(scenario, path, synth.Params(seed=3)).floods[0]
    (flood,) = fw.scan(path, seed=SEED).floods
    assert (flood.vector, flood.victim.ip, flood.severity) == (WEAK[scenario], truth.victim_ip, "low")
    assert truth.packets * 0.8 <= flood.packets <= truth.packets * 1.05
    assert "log-likelihood ratio of 24.7, held against" in flood.evidence[-1].says
    assert (flood.action.recommended, flood.sources.top) == ("observe", ())


@pytest.mark.parametrize("profile", ["default", "sensitive"])
def test_background_noise_names_nothing(profile: str, tmp_path: Path) -> None:
    path = tmp_path / "noise.pcap"
    synth.make("noise", path, synth.Params(seed=5))
    report = fw.scan(path, seed=SEED, profile=profile)
    assert (report.floods, report.surges, report.settings.profile) == ((), (), profile)


def test_strong_evidence_is_quick_and_no_burst_decides() -> None:
    watch = Watch()
    watch.last(syns, 60, PARTS - 1)
    watch.quiet(1)
    assert watch.vectors == []
    watch = Watch()
    watch.last(syns, 60, PARTS + 2)
    assert watch.vectors == [Vector.SYN_FLOOD]
    assert watch.case.weak
    assert (watch.decision().protection, watch.decision().sources) == (None, ())


def test_fewer_packets_than_make_a_row_are_not_looked_at() -> None:
    watch = Watch()
    watch.last(syns, LEAST - 1, 4 * PARTS)
    assert watch.vectors == []
    watch = Watch()
    watch.last(syns, LEAST, PARTS + 2)
    assert watch.vectors == [Vector.SYN_FLOOD]


def closed(number: int) -> Host:
    """So many SYNs of one source, which a closed port refuses."""
    return syns(number, 1, refused=number, port=81)


def unanswered(number: int) -> Host:
    """The same at a port that says nothing."""
    return syns(number, 1, port=81)


@pytest.mark.parametrize(("make", "test"), [(unanswered, FEW_PORTS), (closed, REFUSED_THERE)])
def test_weak_evidence_takes_longer(make: Make, test: SequentialTest) -> None:
    number = math.ceil(test.per_epoch)
    assert number >= LEAST
    watch = Watch()
    watch.last(make, number, PARTS + 2)
    assert watch.vectors == []
    watch.last(make, number, 10 * PARTS)
    assert watch.vectors == [Vector.SYN_FLOOD]
    watch = Watch()
    watch.last(make, number - 1, 40 * PARTS)
    assert watch.vectors == []


@pytest.mark.parametrize(("number", "more"), [
    (60, {"sources": 60, "syn_again": 30}),  # clients of a server that is silent ask again
    (60, {"sources": 60, "finished": 36}),  # people whom a slow server loses
    (50, {"sources": 1, "refused": 50}),  # one program that asks a closed port 200 times a second
    (60, {"sources": 1, "ports": 60, "refused": 60}),  # a scan asks each port once
])  # fmt: skip
def test_what_is_normal_never_adds_up(number: int, more: dict[str, int]) -> None:
    watch = Watch()
    watch.last(lambda n: syns(n, **more), number, 40 * PARTS)
    assert watch.vectors == []


def test_one_source_at_a_closed_port_is_told_with_its_port() -> None:
    watch = Watch()
    watch.last(closed, 95, PARTS + 4)
    assert watch.vectors == [Vector.SYN_FLOOD]
    assert watch.event().victim.port == 81


def test_it_becomes_more_than_weak_when_it_is_over_its_floor() -> None:
    watch = Watch()
    watch.last(syns, 60, PARTS + 2)
    watch.last(syns, 1000, 3)
    assert not watch.case.weak
    assert watch.decision().action == "syn_cookies"


def test_a_limit_of_the_user_is_kept() -> None:
    watch = Watch(limits=Limits(floors={Vector.SYN_FLOOD: 600.0}))
    watch.last(syns, 60, 4 * PARTS)
    assert watch.vectors == []


def test_forged_addresses_add_up_where_one_source_does_not() -> None:
    def udp(number: int) -> Host:
        return host().udp(number, sources=number).nowhere(CLASS_UDP, dark=3, blocks=3)

    watch = Watch()
    watch.last(udp, 60, 3 * PARTS)
    assert watch.vectors == [Vector.UDP_FLOOD]
    watch = Watch()
    watch.last(lambda n: host().udp(n, sources=n), 60, 40 * PARTS)
    assert watch.vectors == []


def test_profiles_are_budgets_by_name() -> None:
    needed = {name: ask({}, None, least_floor, name).needed for name in BUDGETS}
    assert needed["sensitive"] < needed["default"] < needed["strict"]
    assert ask({}, "1/30d", least_floor, "sensitive").needed == needed["default"]
    with pytest.raises(fw.ConfigError, match="no profile 'careless'"):
        ask({}, None, least_floor, "careless")


def test_no_more_false_alarms_than_the_budget_at_the_very_bound() -> None:
    """A Poisson process at the most that is normal, for 200,000 epochs, against a small budget."""
    rng, needed, most = np.random.default_rng(7), 6.0, 20.0
    test = SequentialTest(most, lambda rows: rows["count"].astype(np.float64), "{floor}")
    evidence, alarms, epochs = Evidence([test], needed), 0, 2_000
    rows = np.zeros(100, [("reference", "u4"), ("count", "u4")])
    rows["reference"] = np.arange(100)
    for epoch in range(1, epochs + 1):
        rows["count"] = rng.poisson(most / EPOCHS_PER_SECOND, 100)
        evidence.update(rows, epoch)
        for slot in range(100):
            weight = evidence.of(slot, [test])
            if weight is not None and weight.enough:
                alarms += 1
                rows["reference"][slot] += 1 << 16  # somebody else takes the slot: it begins anew
    assert alarms <= 100 * epochs * math.exp(-needed)
