"""Reading packed captures beside the tools that only unpack them.

    python tests/bench/unpack.py [--mb 200] [--runs 5]

A capture of full-size packets is packed by each tool that is there; then, in alternating runs, the tool
unpacks it to nowhere, floodwatch reads it (unpacking and decoding every packet), and scans it. Medians, and
the ratios to the tool.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import floodwatch as fw

TOOLS = {"gzip": "gz", "bzip2": "bz2", "xz": "xz", "zstd": "zst"}


def timed(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def make(path: Path, mb: int) -> None:
    """A capture of full packets, every other one with random bytes (as encrypted traffic is) in it."""
    rng = np.random.default_rng(1)
    frame = bytes(12) + b"\x08\0" + bytes.fromhex("450005dc00000000400600000a0000010a000002")
    frame += bytes.fromhex("01bbc000000000010000000150100400") + bytes(4)
    text = (b"GET /a/page HTTP/1.1\r\nHost: chat.example\r\nCookie: session=1\r\n" * 40)[: 1514 - len(frame)]
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
        for number in range((mb << 20) // 1530):
            load = text if number % 2 else rng.bytes(len(text))
            file.write(
                struct.pack("<4I", 1 + number // 50_000, number % 50_000 * 20, 1514, 1514) + frame + load
            )


def compare(name: str, packed: Path, runs: int) -> str:
    """One line for one tool."""
    spent: dict[str, list[float]] = {"tool": [], "read": [], "scan": []}
    tool = [name, "-dc", str(packed)]
    for _ in range(runs):
        spent["tool"].append(timed(lambda: subprocess.run(tool, stdout=subprocess.DEVNULL, check=True)))
        spent["read"].append(timed(lambda: sum(len(batch) for batch in fw.read(str(packed)))))
        spent["scan"].append(timed(lambda: fw.scan(str(packed))))
    mid = {what: statistics.median(times) for what, times in spent.items()}
    return (f"{name:6} {mid['tool']:6.2f} s, read {mid['read']:6.2f} s ({mid['tool'] / mid['read']:.2f}x), "
            f"scan {mid['scan']:6.2f} s ({mid['tool'] / mid['scan']:.2f}x)")  # fmt: skip


def main() -> None:
    """Print one line for each tool that is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mb", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "plain.pcap")
        make(plain, options.mb)
        print(f"{plain.stat().st_size / 1e6:,.0f} MB of packets")
        for name, ending in TOOLS.items():
            if not shutil.which(name):
                print(f"{name:6} is not installed", file=sys.stderr)
                continue
            packed = Path(f"{plain}.{ending}")
            with packed.open("wb") as file:
                subprocess.run([name, "-c", str(plain)], stdout=file, check=True)
            print(compare(name, packed, options.runs), flush=True)
            packed.unlink()


if __name__ == "__main__":
    main()
