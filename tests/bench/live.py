"""A live flood from a compiled sender: what the watch sees, loses, costs, and when it says so.

    sudo python tests/bench/live.py [--runs 5] [--seconds 4] [--modes]

Two network namespaces and a veth pair; the sender runs on one core, the watch on the other. For each rate:
packets sent, seen and lost, processor time and memory of the watch, and the time from the sender's start
to the event line. With ``--modes`` instead what it costs to say or do something about floods: processor time
in each mode at 30,000 packets/s, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))
from lab import Lab, lab  # noqa: E402 (the folder of the tests)

RATES = (30_000, 200_000, 0)


def spent(pid: int) -> tuple[float, float]:
    """Processor seconds and resident MiB of a process (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    status = Path(f"/proc/{pid}/status").read_text()
    return (int(fields[11]) + int(fields[12])) / ticks, int(status.split("VmRSS:")[1].split()[0]) / 1024


def last_core() -> int:
    """Where the watch runs; the sender has core 0."""
    return max(os.sched_getaffinity(0))


def compiled(folder: str, *names: str) -> None:
    """Compile programs of this directory into a folder."""
    for name in names:
        source = str(HERE.parents[2] / "native" / "bench" / f"{name}.c")
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", source, "-o", f"{folder}/{name}"], check=True)


def start_flood(
    made: Lab, folder: str, rate: int, seconds: float, kind: str = "syn"
) -> subprocess.Popen[bytes]:
    """Let the sender flood for some seconds; it prints what it sent and how long that took."""
    packets = str(int((rate or 1_200_000) * seconds))
    return made.start(
        made.client, "taskset", "-c", "0", f"{folder}/flood", "va", packets, str(rate), kind,
        stdout=subprocess.PIPE,
    )  # fmt: skip


def measure(made: Lab, folder: str, rate: int, seconds: float, mode: str = "observe") -> dict[str, float]:
    """One flood of one rate."""
    watch = made.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", mode, "--", "ip")
    os.sched_setaffinity(watch.pid, {last_core()})
    time.sleep(0.6)
    before, _ = spent(watch.pid)
    begin = time.monotonic()
    flood = start_flood(made, folder, rate, seconds)
    assert watch.stdout is not None
    watch.stdout.readline()
    told = time.monotonic() - begin
    sent, took = flood.communicate(timeout=90)[0].split()
    after, memory = spent(watch.pid)
    time.sleep(0.3)
    watch.send_signal(signal.SIGINT)
    (read,) = json.loads(watch.communicate(timeout=20)[0].splitlines()[-1])["inputs"]
    return {
        "sent": int(sent),
        "took": float(took),
        "rate": int(sent) / float(took),
        "seen": read["packets"],
        "lost": read["lost"],
        "core": 100 * (after - before) / float(took),
        "ns": 1e9 * (after - before) / max(read["packets"], 1),
        "memory": memory,
        "told": told,
    }


def show_modes(folder: str, runs: int, seconds: float) -> None:
    """Print processor time by mode, and how many times that of observing it is."""
    modes = ("observe", "suggest", "enforce")
    cores: dict[str, list[float]] = {mode: [] for mode in modes}
    with lab() as made:
        for _ in range(runs):
            for mode in modes:
                cores[mode].append(measure(made, folder, RATES[0], seconds, mode)["core"])
    observed = statistics.median(cores["observe"])
    for mode in modes:
        core = statistics.median(cores[mode])
        print(f"{mode:8} {core:5.1f} % of a core, {core / observed:.2f} of observing")


def main() -> None:
    """Print one line for each rate: medians over the runs, and the slowest event line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--modes", action="store_true", help="compare modes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compiled(folder, "flood")
        if options.modes:
            show_modes(folder, options.runs, options.seconds)
            return
        for rate in RATES:
            with lab() as made:
                runs = [measure(made, folder, rate, options.seconds) for _ in range(options.runs)]
            mid = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
            missing = sum(run["sent"] - run["seen"] - run["lost"] for run in runs)
            slowest = max(run["told"] for run in runs)
            print(f"{mid['rate']:,.0f} packets/s")
            seen = f"seen {mid['seen']:,.0f} of {mid['sent']:,.0f}, lost {mid['lost']:,.0f}"
            print(f"  {seen}, unaccounted in all runs {missing:,.0f}")
            print(f"  {mid['core']:.1f} % of a core, {mid['ns']:.0f} ns a packet, {mid['memory']:.0f} MiB")
            print(f"  event line after {mid['told']:.2f} s, slowest of {len(runs)}: {slowest:.2f} s")


if __name__ == "__main__":
    main()
