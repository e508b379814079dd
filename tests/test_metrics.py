"""What Prometheus is told: as the table has it, of bounded size, and all that rules and dashboard ask for."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

import floodwatch
from floodwatch._engine import Batch, Decoder
from floodwatch.capture.peak import Peak
from floodwatch.config.options import Counters
from floodwatch.config.settings import Interface, MetricsSettings, Receiver, Settings
from floodwatch.daemon import exporter
from floodwatch.daemon.drawn import drawn
from floodwatch.daemon.exporter import CLIENTS_MOST, Exporter
from floodwatch.daemon.hands import Done, Modes
from floodwatch.daemon.line import Line
from floodwatch.daemon.metrics import METRICS, count_act
from floodwatch.daemon.outward import Outward
from floodwatch.daemon.picture import Counted, Link, Picture, Tallies
from floodwatch.daemon.records import Beat
from floodwatch.daemon.sensor import Asking
from floodwatch.errors import ConfigError, EnvironmentFault
from floodwatch.mitigate import Act
from floodwatch.pipeline.analysis import Analysis

Need = Callable[[object, str], None]
PCAPS = Path(__file__).parents[1] / "pcaps"
FILES = Path(floodwatch.__file__).parent / "daemon" / "files"
RULES, DASHBOARD = FILES / "floodwatch.rules.yml", FILES / "floodwatch.json"
HOST = {"instance", "job"}
"""Labels that Prometheus itself gives."""
SPELLED = re.compile(r"\bfloodwatch_\w+")
ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f]*:[0-9a-f:]*")
SERIES = {
    name: set(metric.labels) | ({"le"} if name.endswith("_bucket") else set())
    for metric in METRICS
    for name in (
        [f"{metric.name}_{part}" for part in ("bucket", "sum", "count")]
        if metric.kind == "histogram"
        else [metric.name]
    )
}
"""Every series with its labels."""


def busy(tallies: Tallies) -> Picture:
    """A picture with something in every field."""
    return Picture(
        version="1.2.3",
        pid=1,
        started=1e9,
        at=1e9 + 60,
        mode="enforce",
        links=(Link(name='eth"0\n', up=True, packets=7, bytes=700, lost={"ring": 2}, full=0.5),),
        victims=(("198.51.100.7", 1e5), ("2001:db8::7", 1e4)),
        floods={"syn_flood": 2},
        wanted=5,
        enforced=3,
        blocked_packets=11,
        errors={"EPERM": 1},
        rejected={"truncated": 4},
        reconciled=1e9 + 59,
        capacity={"block4": 0.25},
        degraded=("198.51.100.9 is away",),
        tallies=tallies.counted(),
        counted=Counted(syns=6, sources=3.2e6, error=0.016, bytes=1 << 24, windows={"0.01": 3, "sum": 0.006}),
    )


def scraped(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def values(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Each series with its value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def told() -> Iterator[Exporter]:
    tallies = Tallies()
    tallies.add("opened", "syn_flood", "high")
    tallies.took("detection_delay", 0.4)
    tallies.took("detection_delay", 100.0)
    count_act(tallies, Act(time="2026-01-01T00:00:00Z", what="refuse", target="198.51.100.9", why="never",
                           because="never_block"))  # fmt: skip
    made = Exporter(MetricsSettings(listen="127.0.0.1:0"), lambda: busy(tallies))
    with closing(made):
        yield made


def test_a_scrape_tells_every_metric_and_no_address(told: Exporter) -> None:
    text = scraped(told.port)
    families = {family.name: family.type for family in text_string_to_metric_families(text)}
    assert families == {metric.name.removesuffix("_total"): metric.kind for metric in METRICS}
    seen = values(text)
    for name, labels in seen:
        assert {label for label, _ in labels} == SERIES[name]
        assert not [value for _, value in labels if ADDRESS.search(value)]
    assert seen["floodwatch_blocks_missing", ()] == 2
    assert seen["floodwatch_active_floods", (("vector", "syn_flood"),)] == 2
    assert seen["floodwatch_active_floods", (("vector", "udp_flood"),)] == 0
    drops = (("interface", 'eth"0\n'), ("stage", "ring"))
    assert seen["floodwatch_capture_drops_total", drops] == 2
    assert seen["floodwatch_ring_fill_ratio", (("interface", 'eth"0\n'),)] == 0.5
    assert (seen["floodwatch_syn_total", ()], seen["floodwatch_distinct_sources", ()]) == (6, 3.2e6)
    assert (seen["floodwatch_window_seconds_count", ()], seen["floodwatch_window_seconds_sum", ()]) == (
        3,
        0.006,
    )
    assert (
        seen[
            "floodwatch_decisions_total",
            (("action", "add"), ("outcome", "refused"), ("reason", "never_block")),
        ]
        == 1
    )
    delay = "floodwatch_detection_delay_seconds"
    buckets = [seen[f"{delay}_bucket", (("le", le),)] for le in ("0.25", "0.5", "60.0", "+Inf")]
    assert (buckets, seen[f"{delay}_count", ()], seen[f"{delay}_sum", ()]) == ([0, 1, 1, 2], 2, 100.4)


def test_promtool_takes_a_scrape(told: Exporter, need: Need) -> None:
    need(shutil.which("promtool"), "prometheus is not installed")
    command = ["promtool", "check", "metrics"]
    check = subprocess.run(command, input=scraped(told.port).encode(), capture_output=True, check=False)
    assert check.returncode == 0, check.stderr.decode()


def test_readers_who_say_nothing_keep_nobody_out_for_long(
    told: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter._Reader, "timeout", 0.5)
    silent = [socket.create_connection(("127.0.0.1", told.port)) for _ in range(CLIENTS_MOST)]
    time.sleep(0.1)
    with socket.create_connection(("127.0.0.1", told.port), timeout=5) as turned_away:
        assert turned_away.recv(1) == b""
    for each in silent:
        each.settimeout(5)
        assert each.recv(1) == b""
        each.close()
    assert "floodwatch_mode" in scraped(told.port)


@pytest.mark.parametrize("listen", ["9733", "127.0.0.1:", ":9733", "127.0.0.1:http", "127.0.0.1:65536"])
def test_what_is_no_address_is_told_by_name(listen: str) -> None:
    with pytest.raises(ConfigError, match=r"metrics\.listen"):
        Exporter(MetricsSettings(listen=listen), lambda: busy(Tallies()))


def test_an_address_that_is_taken_is_told(told: Exporter) -> None:
    with pytest.raises(EnvironmentFault, match="Address already in use"):
        Exporter(MetricsSettings(listen=f"127.0.0.1:{told.port}"), lambda: busy(Tallies()))


def test_a_file_is_always_whole_and_goes_with_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "EVERY_S", 0.001)
    before = os.umask(0o077)  # as the unit has it
    path = tmp_path / "floodwatch.prom"
    made = Exporter(MetricsSettings(textfile=str(path)), lambda: busy(Tallies()))
    with closing(made):
        until(path.exists)
        first = path.stat().st_mtime_ns
        for _ in range(200):
            assert ("floodwatch_panic", ()) in values(path.read_text(encoding="utf-8"))
        assert path.stat().st_mtime_ns != first
        assert path.stat().st_mode & 0o777 == 0o644, "the node exporter is another user"
    os.umask(before)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "floodwatch.prom"
    with closing(Exporter(MetricsSettings(textfile=str(path)), lambda: busy(Tallies()))) as made:
        until(lambda: made.complaint)
        assert made.complaint == f"metrics cannot be written to {path}: No such file or directory"


def until(true: Callable[[], object], seconds: float = 10) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_sensor_that_is_taken_over_makes_no_label() -> None:
    """It cannot fill Prometheus with interfaces or reasons that there are not."""
    links = tuple(Link(name=f"203.0.113.{n}", packets=1) for n in range(99))
    beat = Beat(
        Counters(1.0, 5, 300, 0, 0, 0, 2, (), 0),
        (*links, Link(name="lo", packets=5)),
        {},
        {"203.0.113.1": 1, "not_ip": 2},
        Counted(windows={"203.0.113.2": 9, "0.05": 4}),
    )
    settings = Settings(interfaces=(Interface(name="eth9"),))
    picture = drawn(None, beat, Done(), Modes(settings), Tallies(), (), panic=False)
    with closing(Exporter(MetricsSettings(listen="127.0.0.1:0"), lambda: picture)) as made:
        text = scraped(made.port)
    assert not ADDRESS.search(text.replace("::", ""))
    seen = values(text)
    assert seen["floodwatch_packets_total", (("interface", "lo"),)] == 5
    assert seen["floodwatch_decode_errors_total", (("reason", "not_ip"),)] == 2
    assert seen["floodwatch_window_seconds_count", ()] == 4


def test_what_the_sensor_counts_comes_by_its_beat() -> None:
    asking, analysis = Asking(Line(socket.socket(socket.AF_UNIX))), Analysis("x", 0)
    engine = analysis.engine
    asking.judged(0.003)
    asking.judged(90.0)
    counted = asking.counted(engine)
    assert counted.windows == {"0.01": 1, "+Inf": 1, "sum": 90.003}
    assert (counted.sources, counted.bytes) == (0, engine.nbytes)
    assert 0.016 < counted.error < 0.0165
    batch, capture = Batch(1 << 16), gzip.decompress((PCAPS / "syn_flood.pcap.gz").read_bytes())
    Decoder(bytes(16)).fill(capture, 0, batch)
    analysis.observe(batch)
    exact = len(np.unique(batch.records()["src"], axis=0))
    assert exact > 1000
    assert asking.counted(engine).sources == pytest.approx(exact, rel=4 * counted.error)


def test_a_peak_is_told_for_fifteen_seconds_and_no_longer_than_thirty() -> None:
    now = [100.0]
    peak = Peak(lambda: now[0])
    peak.see(0.7)
    peak.see(0.2)
    for after, most in ((0.0, 0.7), (14.9, 0.7), (15.0, 0.7), (29.0, 0.7), (30.1, 0.0), (500.0, 0.0)):
        now[0] = 100.0 + after
        assert peak.most == most, after
    peak.see(0.4)
    now[0] += 29.0
    assert peak.most == 0.4


def test_what_cannot_be_told_ends_nothing_and_is_told(told: Exporter) -> None:
    taken = MetricsSettings(listen=f"127.0.0.1:{told.port}")
    outward = Outward(Tallies(), lambda: busy(Tallies()))
    outward.use(Settings(metrics=taken, notify=(Receiver(type="exec"),)))
    assert [line.partition(":")[0] for line in outward.complaints()] == [
        "exec needs argv", "metrics cannot be told at 127.0.0.1",
    ]  # fmt: skip
    outward.use(Settings(metrics=MetricsSettings(listen="127.0.0.1:0")))
    assert outward.complaints() == ()
    outward.use(Settings(metrics=taken))
    assert len(outward.complaints()) == 1, "the address that it had is let go"
    asyncio.run(outward.close())


def test_names_are_as_prometheus_asks() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
    for metric in METRICS:
        assert re.fullmatch(r"floodwatch_[a-z]+(_[a-z]+)*", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.says.endswith(".")
        assert not set(metric.labels) & {"ip", "address", "source", "victim", "network", *HOST}


def asked(expression: str) -> None:
    """Every series of an expression is in the table, and has the labels by which it is chosen or summed."""
    names = SPELLED.findall(expression)
    assert names
    assert set(names) <= set(SERIES), expression
    has = set.union(*(SERIES[name] for name in names)) | HOST
    for name, chosen in re.findall(r"\b(floodwatch_\w+){([^}]*)}", expression):
        assert set(re.findall(r"(\w+)(?:=|!)", chosen)) <= SERIES[name] | HOST, expression
    for summed in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        assert set(summed.split(", ")) <= has, expression


def test_rules_ask_for_what_there_is() -> None:
    rules = RULES.read_text(encoding="utf-8").split("- alert: ")[1:]
    assert len(rules) > 5
    for rule in rules:
        expression, labels = (
            re.findall(r"expr: (?:>-\n)?((?:.|\n)*?)\n +(?:for|labels):(?:.|\n)*", rule)[0],
            rule,
        )
        if not expression.startswith("up{"):
            asked(expression)
            has = set.union(*(SERIES[name] for name in SPELLED.findall(expression))) | HOST
            assert set(re.findall(r"\$labels\.(\w+)", labels)) <= has


def panels() -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def test_the_dashboard_asks_for_what_there_is() -> None:
    assert len({panel["id"] for panel in panels()}) == len(panels()) > 5
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"]
            asked(expression)
            has = set.union(*(SERIES[name] for name in SPELLED.findall(expression))) | HOST
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= has
            assert '{instance=~"$instance"}' in expression


UNIT = """
rule_files: [{rules}]
evaluation_interval: 15s
tests:
  - interval: 15s
    input_series:
      - series: 'floodwatch_blocks_wanted{{instance="edge1"}}'
        values: '5x20'
      - series: 'floodwatch_blocks_enforced{{instance="edge1"}}'
        values: '5x3 3x16'
      - series: 'floodwatch_blocks_wanted{{instance="edge2"}}'
        values: '5x20'
      - series: 'floodwatch_blocks_enforced{{instance="edge2"}}'
        values: '5x3 3x2 5x13'
      - series: 'floodwatch_mode{{instance="edge2", mode="enforce"}}'
        values: '1x20'
      - series: 'floodwatch_last_reconcile_timestamp_seconds{{instance="edge2"}}'
        values: '0x20'
    alert_rule_test:
      - eval_time: 1m45s
        alertname: FloodwatchBlocksMissing
      - eval_time: 2m15s
        alertname: FloodwatchBlocksMissing
        exp_alerts:
          - exp_labels: {{severity: page, instance: edge1}}
            exp_annotations:
              summary: 2 blocks that are wanted do not stand on edge1
              description: "The kernel was read back and does not hold them. \\
                Ask: floodwatch ctl status, floodwatch doctor."
      - eval_time: 4m
        alertname: FloodwatchReconcileStale
        exp_alerts:
          - exp_labels: {{severity: page, instance: edge2}}
            exp_annotations:
              summary: the rules of edge2 were not held against the kernel for 4m 0s
"""


def test_promtool_takes_the_rules_and_pages_after_a_minute(tmp_path: Path, need: Need) -> None:
    need(shutil.which("promtool"), "prometheus is not installed")
    (tmp_path / "unit.yml").write_text(UNIT.format(rules=RULES), encoding="utf-8")
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    queries = [text.replace("$__rate_interval", "5m").replace("$instance", ".*") for text in shown]
    rules = "".join(f"      - record: fw:{n}\n        expr: {json.dumps(q)}\n" for n, q in enumerate(queries))
    (tmp_path / "shown.yml").write_text(f"groups:\n  - name: shown\n    rules:\n{rules}", encoding="utf-8")
    for words in (
        ["check", "rules", str(RULES)],
        ["check", "rules", "shown.yml"],
        ["test", "rules", "unit.yml"],
    ):
        run = subprocess.run(["promtool", *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
