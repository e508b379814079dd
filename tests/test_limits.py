"""Floors and budgets that a user sets: what they silence, what they never silence, and what tune proposes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

import floodwatch as fw
from floodwatch import synth
from floodwatch.cli import main
from floodwatch.config.limits import Limits, budget
from floodwatch.decide.tuning import Proposal
from floodwatch.synth import floods
from floodwatch.synth.addresses import public4

CAPTURES = Path(__file__).resolve().parents[1] / "pcaps"
DAY, FLOOD, CROWD = (CAPTURES / f"{name}.pcap.gz" for name in ("launch-day", "syn_flood", "crowd"))
SEED = bytes(range(16))


def run(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], catch_exceptions=False)


def vectors(report: Any) -> list[str]:
    return sorted(flood.vector for flood in report.floods)


@pytest.mark.slow
def test_a_floor_silences_its_vector_and_no_other() -> None:
    usual = vectors(fw.scan(DAY, seed=SEED))
    assert "syn_flood" in usual
    silenced = vectors(fw.scan(DAY, seed=SEED, floors={"syn_flood": 50_000}))
    assert silenced == [vector for vector in usual if vector != "syn_flood"]
    assert vectors(fw.scan(DAY, seed=SEED, floors={"syn_flood": 500})) == usual
    (flood,) = [
        e for e in fw.scan(DAY, seed=SEED, floors={"syn_flood": 900}).floods if e.vector == "syn_flood"
    ]
    assert "your own limit is 900 per second" in flood.evidence[-1].says


@pytest.mark.parametrize("options", [{"floors": {"syn_flood": 400}}, {"floors": {"slow_http": 900}},
                                     {"floors": {"sin_flood": 900}}, {"floors": {"syn_flood": float("nan")}},
                                     {"false_alarms": "0/30d"}, {"false_alarms": "1/0d"},
                                     {"false_alarms": "often"}])  # fmt: skip
def test_a_limit_that_cannot_be_kept_is_an_error_that_says_why(options: dict[str, Any]) -> None:
    with pytest.raises(fw.ConfigError, match=r"raised|behaviour|no vector|write a budget"):
        fw.scan(FLOOD, **options)


def test_the_command_line_says_the_same() -> None:
    for words in (["--set", "syn_flood"], ["--set", "syn_flood=400"], ["--false-alarms", "x"]):
        with pytest.raises(fw.ConfigError):
            CliRunner().invoke(
                main, ["scan", *words, str(FLOOD)], catch_exceptions=False, standalone_mode=False
            )
    assert run("scan", "--set", "SYN_FLOOD=50000", FLOOD).exit_code == 0


@pytest.mark.slow
def test_a_budget_of_false_alarms_hides_no_flood_of_the_launch_day() -> None:
    usual = fw.scan(DAY, seed=SEED)
    careful = fw.scan(DAY, seed=SEED, false_alarms="1/30d")
    assert vectors(careful) == vectors(usual)
    assert [crowd.victim for crowd in careful.crowds] == [crowd.victim for crowd in usual.crowds]


@pytest.mark.parametrize(("mean", "spread"), [(5.0, 1.0), (400.0, 1.0), (60.0, 8.0)])
def test_chance_keeps_to_the_budget(mean: float, spread: float) -> None:
    """A million counts: Poisson, and negative binomial where the variance is larger than the mean."""
    rng = np.random.default_rng(7)
    limits = Limits(surprise=5.0)
    if spread == 1.0:
        counts = rng.poisson(mean, 1_000_000)
    else:
        counts = rng.negative_binomial(mean / (spread - 1), 1 / spread, 1_000_000)
        assert counts.var() == pytest.approx(spread * mean, rel=0.02)
    share = (counts >= limits.beyond(mean, spread)).mean()
    assert share <= np.exp(-5.0)


def test_a_smaller_budget_gives_a_higher_limit() -> None:
    shown = [Limits(surprise=budget(text)).beyond(100, 2) for text in ("10/1h", "1/h", "1/30d", "1/8w")]
    assert shown == sorted(shown)
    assert shown[0] > 100
    assert Limits().beyond(100, 2) == 0


def test_what_tune_proposes_silences_clean_traffic(tmp_path: Path) -> None:
    capture = tmp_path / "loop.pcap"
    synth.make("http_flood", capture, synth.Params(duration=3))
    said = msgspec.json.decode(run("tune", "--format", "json", capture).stdout, type=Proposal)
    assert [named.vector for named in said.named] == ["http_flood"]
    assert len(said.named[0].sources) == 40
    assert list(said.floors) == ["http_flood"]
    assert vectors(fw.scan(capture, floors=said.floors)) == []
    again = run("tune", capture, "--set", f"http_flood={said.floors['http_flood']:.0f}")
    assert "0 floods would have been named" in again.stdout
    assert "Nothing has to be set" in again.stdout


def test_tune_keeps_a_baseline_and_bounds_the_false_alarms(tmp_path: Path) -> None:
    kept = tmp_path / "site.npz"
    said = run("tune", "--save-baseline", kept, CROWD)
    assert said.exit_code == 0
    assert f"--baseline {kept}" in said.stdout
    assert fw.scan(CROWD, baseline=kept).floods == ()
    proposal = msgspec.json.decode(run("tune", "--format", "json", CROWD).stdout, type=Proposal)
    assert proposal.named == ()
    # Garwood: no event in t hours leaves 3.0 / t with 95 % probability
    assert proposal.most_per_hour == pytest.approx(-np.log(0.05) / proposal.hours, rel=0.01)
    assert run("tune", tmp_path / "missing.pcap").exit_code == 3


def test_tune_names_what_no_floor_can_silence(tmp_path: Path) -> None:
    capture = tmp_path / "guess.pcap"
    synth.make("login_bruteforce", capture)
    said = run("tune", capture)
    assert "No threshold silences login_bruteforce" in said.stdout
    assert "--set" not in said.stdout


def test_the_rule_that_an_event_states_is_the_one_that_fired(tmp_path: Path) -> None:
    """Seen one way a UDP flood is held against twice the floor, and says so."""
    capture = tmp_path / "udp.pcap"
    synth.make("udp_flood", capture)
    for chosen, stated in ((None, "250"), ("dst host 198.51.100.7", "500")):
        (flood,) = fw.scan(capture, seed=SEED, filter=chosen).floods
        rule = flood.evidence[-1].says
        assert rule.startswith(f"rule that fired: {stated} packets in a quarter of a second"), rule


def bursts(path: Path, last: float) -> None:
    """UDP that comes at 100 or 700 packets a second, by chance, for 70 s; then two seconds of ``last``.

    Its addresses are such as clients have: forged ones would add up to evidence of their own.
    """
    rng = np.random.default_rng(5)
    trace = synth.Trace("bursts", 5, rng)
    steps = [(trace.at(step / 2), 0.5, float(rng.choice([100.0, 700.0]))) for step in range(140)]
    for start, seconds, rate in (*steps, (trace.at(70.0), 2.0, last)):
        sent = floods.udp_flood(trace, floods.Flood("198.51.100.7", None, start, seconds, rate))
        sent["src"] = public4(rng, len(sent))
    trace.stop = trace.at(73.0)
    synth.write(trace, path)


@pytest.mark.slow
def test_a_budget_lets_usual_bursts_pass_and_no_flood(tmp_path: Path) -> None:
    usual, large = tmp_path / "usual.pcap", tmp_path / "large.pcap"
    bursts(usual, 3000.0)
    bursts(large, 9000.0)
    for path, plain, careful in ((usual, ["udp_flood"], []), (large, ["udp_flood"], ["udp_flood"])):
        assert vectors(fw.scan(path, seed=SEED)) == plain
        assert vectors(fw.scan(path, seed=SEED, false_alarms="1/30d")) == careful
    (flood,) = fw.scan(large, seed=SEED, false_alarms="1/30d").floods
    assert "your own limit is" in flood.evidence[-1].says
