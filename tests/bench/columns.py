"""``read()`` beside scapy's PcapReader and dpkt on one file of 64-byte SYNs: medians, one core.

Usage: python tests/bench/columns.py [--packets 5000000] [--runs 5]
Each takes address, ports, flags and time of every packet; scapy and dpkt get a cut of the file.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import dpkt
from scapy.all import IP, TCP, PcapReader

import floodwatch as fw
from floodwatch import synth

FEW = 20_000


def ours(path: Path) -> int:
    packets = 0
    for batch in fw.read(path):
        packets += len((batch.src4, batch.sport, batch.dport, batch.flags, batch.ts_ns)[0])
    return packets


def by_scapy(path: Path) -> int:
    with PcapReader(str(path)) as reader:
        rows = [(p[IP].src, p[TCP].sport, p[TCP].dport, p[TCP].flags, p.time) for p in islice(reader, FEW)]
    return len(rows)


def by_dpkt(path: Path) -> int:
    with path.open("rb") as file:
        rows = []
        for stamp, frame in islice(dpkt.pcap.Reader(file), FEW):
            ip = dpkt.ethernet.Ethernet(frame).data
            rows.append((ip.src, ip.data.sport, ip.data.dport, ip.data.flags, stamp))
    return len(rows)


def rate(job: Callable[[Path], int], path: Path, runs: int) -> float:
    took = []
    for _ in range(runs):
        start = time.perf_counter()
        packets = job(path)
        took.append(time.perf_counter() - start)
    return packets / statistics.median(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--packets", type=int, default=5_000_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "syn.pcap"
        synth.bench_syn(path, options.packets)
        first = rate(ours, path, options.runs)
        for name, job in [("floodwatch read", ours), ("scapy PcapReader", by_scapy), ("dpkt", by_dpkt)]:
            other = first if job is ours else rate(job, path, options.runs)
            print(f"{name:20} {other / 1e6:9.3f} Mpps   floodwatch is {first / other:8.1f} x")


if __name__ == "__main__":
    main()
