"""A walk through a capture, cell by cell: what is in it, who talks, what is wrong.

    python tests/examples/walk.py [CAPTURE]

Cells are marked with # %%, so editors that know notebooks can run them one by one.
"""

# %% The capture: the launch day that lies in this repository, or one of yours.
import sys
from ipaddress import ip_address
from pathlib import Path

import numpy as np

import floodwatch as fw

capture = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2] / "pcaps" / "launch-day.pcap.gz"

# %% Packets as columns, a batch at a time; no object a packet, so gigabytes are fine.
seconds: dict[int, int] = {}
sources, talkers = fw.HyperLogLog(p=12), fw.TopK(k=500)
for batch in fw.read(capture):
    sources.update(batch.src)
    talkers.update(batch.src4[batch.src4 > 0])
    numbers, packets = np.unique(batch.ts_ns // 1_000_000_000, return_counts=True)
    for number, count in zip(numbers.tolist(), packets.tolist(), strict=True):
        seconds[number] = seconds.get(number, 0) + count

low, high = sources.bounds(sigma=3)
print(f"{sum(seconds.values()):,} packets from {low:,.0f} to {high:,.0f} addresses")
busiest = max(seconds, key=lambda second: seconds[second])
print(f"the busiest second has {seconds[busiest]:,} packets, {busiest - min(seconds)} s after the first")

# %% The sources that send most, with bounds that always hold.
for number, least, most in talkers.items(3):
    print(f"{ip_address(number)} sent {least:,} to {most:,} packets")

# %% Floods and crowds, and why floodwatch says so.
report = fw.scan(capture)
for flood in report.floods:
    print(f"{flood.vector.value}: {flood.victim.ip}, {len(flood.sources.top)} sources listed")
    print(f"    {flood.evidence[0].says}")
for crowd in report.crowds:
    print(f"a crowd, not an attack: {crowd.victim.ip}")
