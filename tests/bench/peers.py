"""The whole program beside its peers on one file of 64-byte forged SYNs: medians, side by side.

Usage: python tests/bench/peers.py [--packets 20000000] [--runs 3]
Rates are compared; the slow peers get a cut of the file that they finish in about ten seconds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECORD = 80  # bytes of one record in the file: 16 of header, 64 of frame


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start


def cut(path: Path, packets: int) -> Path:
    """The first packets of the file, as a file of its own."""
    out = path.with_name(f"cut{packets}.pcap")
    with path.open("rb") as source:
        out.write_bytes(source.read(24 + RECORD * packets))
    return out


def scan(path: Path, jobs: int) -> list[str]:
    return [sys.executable, "-m", "floodwatch", "scan", "-q", "--jobs", str(jobs), str(path)]


def peers(path: Path) -> dict[str, tuple[list[str], int]]:
    """Name -> command and packets, for the peers that are installed."""
    small, tiny = cut(path, 500_000), cut(path, 40_000)
    walk = (
        "import sys; from scapy.all import PcapReader, TCP\n"
        "print(sum(1 for p in PcapReader(sys.argv[1]) if TCP in p and p[TCP].flags == 2))"
    )
    total = (path.stat().st_size - 24) // RECORD
    all_of_them = {
        "tcpdump -w, tcp[13]=2": (
            ["tcpdump", "-r", str(path), "-w", "/dev/null", "tcp[13]=2"], total,
        ),
        "tshark io,stat": (["tshark", "-r", str(small), "-q", "-z", "io,stat,1"], 500_000),
        "argus": (["argus", "-r", str(small), "-w", "/dev/null"], 500_000),
        "scapy PcapReader": ([sys.executable, "-c", walk, str(tiny)], 40_000),
    }  # fmt: skip
    return {name: job for name, job in all_of_them.items() if shutil.which(job[0][0])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=20_000_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    from floodwatch import synth

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "syn.pcap"
        few = Path(folder) / "few.pcap"
        synth.bench_syn(path, options.packets)
        synth.bench_syn(few, options.packets, sources=1000)
        empty = cut(path, 1)
        web = Path(folder) / "web.pcap"
        synth.bench_web(web, 2_000_000)
        os.sync()  # else the kernel writes gigabytes back while we measure
        jobs = peers(path)
        times: dict[str, list[float]] = {}
        for _ in range(options.runs):
            ours = [("start-up", scan(empty, 1)), ("jobs 1", scan(path, 1)), ("jobs 2", scan(path, 2))]
            ours += [("1,000 sources", scan(few, 1)), ("web mix", scan(web, 1))]
            for name, command in [*ours, *((n, c) for n, (c, _) in jobs.items())]:
                times.setdefault(name, []).append(seconds(command))
        show({name: statistics.median(values) for name, values in times.items()}, options.packets, web, jobs)


def show(median: dict[str, float], packets: int, web: Path, jobs: dict[str, tuple[list[str], int]]) -> None:
    start = median["start-up"]
    ours = packets / median["jobs 1"]
    print(f"floodwatch scan, whole process       {ours / 1e6:8.2f} Mpps  ({packets:,} forged SYNs)")
    print(f"  start-up                           {start:8.2f} s")
    print(f"  without start-up                   {packets / (median['jobs 1'] - start) / 1e6:8.2f} Mpps")
    gain = (median["jobs 1"] - start) / (median["jobs 2"] - start)
    print(f"  --jobs 2 against --jobs 1          {gain:8.2f} x")
    print(f"  all forged against 1,000 sources   {median['1,000 sources'] / median['jobs 1']:8.2f} x")
    gbits = web.stat().st_size * 8 / (median["web mix"] - start) / 1e9
    print(f"  web mix, start-up left out         {gbits:8.1f} Gbit/s")
    for name, (_, count) in jobs.items():
        rate = count / median[name]
        print(f"{name:36} {rate / 1e6:8.3f} Mpps  ours is {ours / rate:8.1f} x")


if __name__ == "__main__":
    main()
