"""Captures that others recorded or made, each with its truth: sets of ``evaluate.py``.

``truths.tsv`` holds what is true of the folders whose own truth is prose: the vectors that are right, victim,
first and last packet of the flood, its sources; measured with tshark. Captures of encrypted traffic have
their truth beside them.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoring import Judge, Score

from floodwatch.config.limits import Limits
from floodwatch.config.options import ScanOptions
from floodwatch.pipeline.scan import scan
from floodwatch.synth.truth import CrowdTruth, FloodTruth, Truth, rfc3339

TRUTHS = Path(__file__).parent / "truths.tsv"
SLACK_NS = 2_000_000_000


@dataclass(frozen=True)
class Expected:
    """A flood or a crowd of a given capture; ``vectors`` are all names that are right for it."""

    vectors: tuple[str, ...]
    victim: str
    first_ns: int
    last_ns: int
    origin: str
    sources: tuple[str, ...] = ()
    crowd: bool = False

    def flood(self) -> FloodTruth:
        """The flood by the first of its names."""
        return FloodTruth(
            vector=self.vectors[0], victim_ip=self.victim, victim_port=None, path=None,
            first=rfc3339(self.first_ns), last=rfc3339(self.last_ns),
            first_ns=self.first_ns, last_ns=self.last_ns, packets=0,
            requests=None, unit="", peak_per_second=0, pattern="", origin=self.origin,
            source_count=len(self.sources), sources=list(self.sources) or None,
        )  # fmt: skip

    def gathering(self) -> CrowdTruth:
        """The crowd, as the generator would write it."""
        return CrowdTruth(
            victim_ip=self.victim, victim_port=443, first=rfc3339(self.first_ns), last=rfc3339(self.last_ns),
            first_ns=self.first_ns, last_ns=self.last_ns, client_count=len(self.sources), requests=0,
        )  # fmt: skip


@dataclass(frozen=True)
class Given:
    """One given capture with what is true of it; without ``expected`` nothing in it may be called a flood."""

    path: Path
    expected: tuple[Expected, ...] = ()
    bystanders: tuple[str, ...] = ()

    def score(self, limits: Limits) -> Score:
        """Scan the capture and judge the report."""
        report = scan([str(self.path)], ScanOptions(top=0, seed=bytes(16), limits=limits))
        truth = Truth(
            scenario=self.path.name,
            seed=0,
            floods=[true.flood() for true in self.expected if not true.crowd],
            crowds=[true.gathering() for true in self.expected if true.crowd],
            clients=list(self.bystanders),
        )
        names = {true.vectors[0]: true.vectors for true in self.expected}
        return Judge(
            self.path.name, report, [truth], slack_ns=SLACK_NS, beyond=frozenset(), whole=True, names=names
        ).judge()


def _ns(seconds: str) -> int:
    whole, _, fraction = seconds.partition(".")
    return int(whole) * 10**9 + int(fraction.ljust(9, "0"))


def _row(row: dict[str, str]) -> Expected:
    """The flood that a row of the table tells of."""
    sources = () if row["sources"] == "-" else tuple(row["sources"].split(","))
    vectors = tuple(row["vectors"].split(","))
    return Expected(vectors, row["victim"], _ns(row["first"]), _ns(row["last"]), row["origin"], sources)


def folder_of(name: str) -> Path | None:
    """The folder that FLOODWATCH_<NAME> names."""
    given = os.environ.get(f"FLOODWATCH_{name.upper()}")
    return Path(given) if given else None


def measured(name: str) -> Iterator[Given]:
    """The captures of a folder whose truth stands in ``truths.tsv``: ``field`` or ``cases``."""
    folder = folder_of(name)
    with TRUTHS.open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t") if row["folder"] == name]
    for row in rows if folder else ():
        assert folder is not None
        yield Given(folder / row["file"], () if row["vectors"] == "-" else (_row(row),))


def benign() -> Iterator[Given]:
    """The captures of everyday traffic in FLOODWATCH_CAPTURES."""
    folder = folder_of("captures")
    for path in sorted((folder / "benign").iterdir()) if folder else ():
        yield Given(path)


def encrypted() -> Iterator[Given]:
    """The captures of FLOODWATCH_TLS, each with its truth beside it."""
    folder = folder_of("tls")
    for path in sorted(folder.glob("*.truth.json")) if folder else ():
        told: dict[str, Any] = json.loads(path.read_text())
        true = tuple(
            Expected(
                tuple(one["vectors"]),
                one["victim"],
                int(one["start"] * 1e6) * 1000,
                int(one["end"] * 1e6) * 1000,
                one["origin"],
                tuple(one["bots"]),
                crowd=one["verdict"] == "crowd",
            )
            for one in told["truth"]
        )
        yield Given(path.with_name(f"{told['name']}.pcap.xz"), true, tuple(told["bystanders"]))
