"""Do the counts of an event hold what is counted exactly? Every scenario under many keys, a line a vector.

    python tests/counts.py [--keys 20] [--jobs 1] [SCENARIO ...]

Over keys and scenarios the stated interval of distinct sources has to hold the exact number in 95 % of the
cases. Exact are the addresses (of IPv6 the /64) of the packets that the
generator's flood sent in the stretches of time that the event says it counted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from keys import seeds
from scoring import ns

from floodwatch import synth
from floodwatch.config.options import ScanOptions
from floodwatch.model.event import Event
from floodwatch.pipeline.scan import scan
from floodwatch.synth.packets import Array
from floodwatch.synth.truth import FloodTruth

HELD = 0.95
"""Share of the cases in which an interval holds the exact number."""


class Count(NamedTuple):
    """The distinct sources of one event, as told and as they are."""

    scenario: str
    vector: str
    exact: int
    lo: int
    est: int
    hi: int

    @property
    def holds(self) -> bool:
        """The exact number lies within the bounds."""
        return self.lo <= self.exact <= self.hi


def exact(event: Event, true: FloodTruth, packets: Array) -> int:
    """Distinct sources of a flood's packets in the stretches of an event; what stands for many is one."""
    inside = np.zeros(len(packets), bool)
    for stretch in event.counted.stretches:
        inside |= (packets["t"] >= ns(stretch.first)) & (packets["t"] < ns(stretch.until))
    sources = packets[inside][["src_hi", "src"]].copy()
    sources["src"][sources["src_hi"] > 0] = 0
    return min(len(np.unique(sources)), true.source_count)


def told(true: FloodTruth, floods: Iterable[Event]) -> Iterator[Event]:
    """The events of a flood."""
    for event in floods:
        if event.vector == true.vector and event.victim.ip == true.victim_ip and not true.via:
            yield event


def counted(scenario: str, keys: list[bytes]) -> list[Count]:
    """The counts of every event of a scenario, for every key."""
    trace, out = synth.generate(scenario), list[Count]()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenario.pcap"
        synth.write(trace, path)
        for key in keys:
            floods = scan([str(path)], ScanOptions(seed=key)).floods
            for true, packets in trace.sent:
                for event in told(true, floods) if true in trace.truth.floods else ():
                    said = event.sources.distinct
                    out.append(
                        Count(scenario, true.vector, exact(event, true, packets), said.lo, said.est, said.hi)
                    )
    return out


def main() -> None:
    """Print a line for each vector, and the scenarios that fall short; exit 1 where there is one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", default=list(synth.SCENARIOS))
    parser.add_argument("--keys", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    by_vector = defaultdict[str, list[Count]](list)
    with ProcessPoolExecutor(options.jobs) as pool:
        for found in pool.map(partial(counted, keys=seeds(options.keys)), options.scenarios):
            for count in found:
                by_vector[count.vector].append(count)
    short = 0
    for vector, counts in sorted(by_vector.items()):
        held = sum(count.holds for count in counts)
        short += held < HELD * len(counts)
        print(f"{vector:26} {held} of {len(counts)} hold{'' if held >= HELD * len(counts) else '   SHORT'}")
        for scenario in sorted({count.scenario for count in counts if not count.holds}):
            mine = [count for count in counts if count.scenario == scenario]
            worst = max(mine, key=lambda count: abs(count.est - count.exact))
            good = sum(count.holds for count in mine)
            print(
                f"    {scenario}: {good} of {len(mine)}; exact {worst.exact:,}, "
                f"told {worst.lo:,} to {worst.hi:,} ({worst.est:,})"
            )
    sys.exit(short > 0)


if __name__ == "__main__":
    main()
