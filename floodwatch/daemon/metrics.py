"""What a daemon tells Prometheus: one table of metrics, each drawn from the newest picture.

Names, types and labels are a contract: the page ``docs/metrics.md``, the alert rules and the dashboard are
held against this table. No address is ever a label, and every label has few values, whatever the traffic.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import accumulate, product
from typing import Literal, NamedTuple, TypeAlias, get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from ..mitigate import Act
from ..mitigate.plan import Because
from ..mitigate.upkeep import RESTORED
from ..model.event import Change
from ..model.vector import Vector
from ..report.info import REJECTS
from .notify.letter import SEVERITIES
from .notify.notifier import RECEIVERS, RESULTS
from .picture import BOUNDS_S, LONGER, SUM, Labels, Link, Picture, Tallies

Rows: TypeAlias = Mapping[Labels, float]
PREFIX = "floodwatch_"
STAGES = ("ring", "nic")
"""Where frames are dropped before anybody reads them."""


class Metric(NamedTuple):
    """One metric.

    Attributes:
        name: whole, as Prometheus has it.
        kind: its type.
        says: what it is.
        told: its values by the values of its labels.
        labels: each with all of its values; none where the host or the configuration says which there are.
    """

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    says: str
    told: Callable[[Picture], Rows]
    labels: Mapping[str, tuple[str, ...]] = {}


def _one(of: Callable[[Picture], float]) -> Callable[[Picture], Rows]:
    """A number of the picture."""
    return lambda picture: {(): of(picture)}


def _links(of: Callable[[Link], float]) -> Callable[[Picture], Rows]:
    """A number of each interface."""
    return lambda picture: {(link.name,): of(link) for link in picture.links}


def _tally(name: str) -> Callable[[Picture], Rows]:
    """What was counted under a name."""
    return lambda picture: picture.tallies.get(name, {})


def _lost(picture: Picture) -> Rows:
    return {(link.name, stage): link.lost.get(stage, 0) for link in picture.links for stage in STAGES}


MODES = ("observe", "suggest", "enforce")
VECTORS: tuple[str, ...] = tuple(Vector)
ACTIONS = ("add", "extend", "remove", "guard", "lift", "over", "gone", "order", "stop")
OUTCOMES = ("enforced", "suggested", "refused")

METRICS = (
    Metric("floodwatch_build_info", "gauge", "Always 1; the labels tell the versions.",
           lambda p: {(p.version, platform.python_version()): 1}, {"version": (), "python": ()}),
    Metric("floodwatch_mode", "gauge", "1 for the mode in force.",
           lambda p: {(mode,): mode == p.mode for mode in MODES}, {"mode": MODES}),
    Metric("floodwatch_start_timestamp_seconds", "gauge", "When the daemon started.",
           _one(lambda p: p.started)),
    Metric("floodwatch_packets_total", "counter", "Packets seen, after the filter.",
           _links(lambda link: link.packets), {"interface": ()}),
    Metric("floodwatch_bytes_total", "counter", "Their bytes on the wire.",
           _links(lambda link: link.bytes), {"interface": ()}),
    Metric("floodwatch_capture_drops_total", "counter", "Packets dropped before they could be read.",
           _lost, {"interface": (), "stage": STAGES}),
    Metric("floodwatch_capture_up", "gauge", "1 while packets are captured there.",
           _links(lambda link: link.up), {"interface": ()}),
    Metric("floodwatch_ring_fill_ratio", "gauge", "How full the ring was at most in the last 15 seconds.",
           _links(lambda link: link.full), {"interface": ()}),
    Metric("floodwatch_decode_errors_total", "counter", "Frames that could not be decoded.",
           lambda p: {(why,): p.rejected.get(why, 0) for why in REJECTS}, {"reason": tuple(REJECTS)}),
    Metric("floodwatch_syn_total", "counter", "SYNs, at least.", _one(lambda p: p.counted.syns)),
    Metric("floodwatch_synack_total", "counter", "SYN-ACKs, at least.", _one(lambda p: p.counted.synacks)),
    Metric("floodwatch_http_requests_total", "counter", "HTTP requests in the clear, at least.",
           _one(lambda p: p.counted.requests)),
    Metric("floodwatch_distinct_sources", "gauge",
           "Sources since the sensor began, about: IPv4 addresses and IPv6 /64 networks.",
           _one(lambda p: p.counted.sources)),
    Metric("floodwatch_sketch_error_ratio", "gauge", "Standard error of the distinct sources.",
           _one(lambda p: p.counted.error)),
    Metric("floodwatch_sketch_bytes", "gauge", "Memory in which the sensor counts, whatever comes.",
           _one(lambda p: p.counted.bytes)),
    Metric("floodwatch_window_seconds", "histogram", "How long the sensor took to judge 250 ms of traffic.",
           lambda p: {(bound,): count for bound, count in p.counted.windows.items()}),
    Metric("floodwatch_detection_delay_seconds", "histogram", "From the onset of a flood until it was told.",
           _tally("detection_delay")),
    Metric("floodwatch_events_total", "counter", "Events that opened, by the severity that they then had.",
           _tally("opened"), {"vector": VECTORS, "severity": SEVERITIES}),
    Metric("floodwatch_active_floods", "gauge", "Floods that go on.",
           lambda p: {(vector,): count for vector, count in p.floods.items()}, {"vector": VECTORS}),
    Metric("floodwatch_decisions_total", "counter", "What was done about blocks and guards, or refused.",
           _tally("decisions"), {"action": ACTIONS, "outcome": OUTCOMES, "reason": get_args(Because)}),
    Metric("floodwatch_blocks_wanted", "gauge", "Sources that are to be blocked.", _one(lambda p: p.wanted)),
    Metric("floodwatch_blocks_enforced", "gauge", "Of these, blocks read back from the kernel.",
           _one(lambda p: p.enforced)),
    Metric("floodwatch_blocks_missing", "gauge", "Blocks that are wanted and do not stand.",
           _one(lambda p: p.missing)),
    Metric("floodwatch_blocked_packets_total", "counter", "Packets that blocks and guards met.",
           _one(lambda p: p.blocked_packets)),
    Metric("floodwatch_blocked_bytes_total", "counter",
           "Their bytes, from the network header on; not of those that XDP dropped.",
           _one(lambda p: p.blocked_bytes)),
    Metric("floodwatch_set_capacity_ratio", "gauge", "Share of a kernel set that is taken.",
           lambda p: {(name,): share for name, share in p.capacity.items()}, {"set": ()}),
    Metric("floodwatch_netlink_errors_total", "counter", "How often the kernel took no rules.",
           lambda p: {(name,): count for name, count in p.errors.items()}, {"errno": ()}),
    Metric("floodwatch_netlink_seconds", "histogram", "How long it took to bring the kernel in line.",
           _tally("netlink")),
    Metric("floodwatch_reconcile_repairs_total", "counter", "Blocks that somebody took away, put back.",
           _tally("repairs"), {"cause": ("flushed",)}),
    Metric("floodwatch_reload_total", "counter", "How often the configuration was read again.",
           _tally("reloads"), {"result": ("done", "failed")}),
    Metric("floodwatch_state_write_total", "counter", "How often what is remembered was saved.",
           _tally("state_write"), {"result": ("ok", "failed")}),
    Metric("floodwatch_last_reconcile_timestamp_seconds", "gauge",
           "When what is wanted was last held against the kernel; 0: never.", _one(lambda p: p.reconciled)),
    Metric("floodwatch_clock_steps_total", "counter", "How often somebody set the clock.",
           _tally("clock_steps")),
    Metric("floodwatch_sensor_restarts_total", "counter", "Sensors that had to be replaced.",
           _tally("sensor_restarts")),
    Metric("floodwatch_records_refused_total", "counter", "Records of the sensor that made no sense.",
           _tally("records_refused")),
    Metric("floodwatch_alerts_total", "counter", "What became of what receivers were to be told.",
           _tally("alerts"), {"type": tuple(RECEIVERS), "result": RESULTS}),
    Metric("floodwatch_events_suppressed_total", "counter", "Of these, events beyond the pace of a receiver.",
           _tally("events_suppressed")),
    Metric("floodwatch_panic", "gauge", "1 while panic holds: everything was taken away by an operator.",
           _one(lambda p: p.panic)),
)  # fmt: skip
"""Every metric there is."""


class Drawn(Collector):
    """The metrics of the newest picture, as prometheus-client collects them.

    Args:
        newest: the newest picture.
    """

    def __init__(self, newest: Callable[[], Picture]) -> None:
        self._newest = newest

    def collect(self) -> Iterator[Family]:
        """Each metric with its values now."""
        picture = self._newest()
        return (_family(metric, picture) for metric in METRICS)


def exposition(newest: Callable[[], Picture]) -> str:
    """All metrics in the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(Drawn(newest))
    return generate_latest(registry).decode()


def _family(metric: Metric, picture: Picture) -> Family:
    rows = metric.told(picture)
    if metric.kind == "histogram":
        family = HistogramMetricFamily(metric.name, metric.says)
        counts = [rows.get((str(bound),), 0.0) for bound in BOUNDS_S]
        totals = accumulate([*counts, rows.get((LONGER,), 0.0)])
        family.add_metric(
            [], list(zip([*map(str, BOUNDS_S), LONGER], totals, strict=True)), rows.get((SUM,), 0)
        )
        return family
    of = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    counted = of(metric.name, metric.says, labels=list(metric.labels))
    # what may still come is told as 0, so that the first one is seen to be an increase; pairs are too many
    none = {} if len(metric.labels) > 1 else dict.fromkeys(product(*metric.labels.values()), 0.0)
    for labels, value in {**none, **rows}.items():
        counted.add_metric(labels, float(value))
    return counted


def count_change(tallies: Tallies, change: Change) -> None:
    """Count an event that opens, and how long it took to see it."""
    if change.what != "opened":
        return
    event = change.event
    tallies.add("opened", event.vector, event.severity)
    tallies.took("detection_delay", _seconds(event.first, event.detected))


def _seconds(first: str, last: str) -> float:
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def count_act(tallies: Tallies, act: Act) -> None:
    """Count what was done about a block or a guard."""
    if act.what == "refuse":
        tallies.add("decisions", "add", "refused", act.because or "")
    else:
        tallies.add("decisions", act.what, "enforced" if act.enforced else "suggested", "")
    if act.what == "add" and act.why == RESTORED:
        tallies.add("repairs", "flushed")
