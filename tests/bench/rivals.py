"""A watch beside others on the same link: a C receiver that only counts, and FastNetMon if it is installed.

    sudo python tests/bench/rivals.py [--runs 7] [--seconds 4]

The sender runs on one core, who receives on the other, one after the other in alternating runs. Medians.
FastNetMon runs with the defaults of its Debian package; both get the same SYNs from forged addresses.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]
from lab import Lab, lab  # noqa: E402 (the folder of the tests)
from live import RATES, compiled, last_core, measure, spent, start_flood  # noqa: E402

DEFAULTS = Path("/etc/fastnetmon.conf")


def count_only(made: Lab, folder: str, rate: int, seconds: float) -> dict[str, float]:
    """The C receiver under one flood."""
    receiver = made.start(
        made.server, "taskset", "-c", str(last_core()), f"{folder}/count", "vb", str(seconds + 2.5),
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert receiver.stdout is not None
    receiver.stdout.readline()
    flood = start_flood(made, folder, rate, seconds)
    sent, took = flood.communicate(timeout=90)[0].split()
    seen, lost, cpu = receiver.communicate(timeout=90)[0].split()
    return {"sent": int(sent), "rate": int(seen) / float(took), "lost": int(lost),
            "core": 100 * float(cpu) / float(took)}  # fmt: skip


def fastnetmon(made: Lab, folder: str, rate: int, seconds: float) -> dict[str, float]:
    """FastNetMon under one flood: time to its notification, processor time, memory."""
    told, script = Path(folder, "told"), Path(folder, "notify.sh")
    told.unlink(missing_ok=True)
    script.write_text(f"#!/bin/sh\n[ -s {told} ] || date +%s.%N > {told}\n")
    script.chmod(0o755)
    Path(folder, "networks").write_text("10.99.0.0/16\n")
    wanted = {
        "mirror_afpacket": "on", "interfaces": "vb", "networks_list_path": f"{folder}/networks",
        "notify_script_path": str(script), "ban_time": "20", "disable_usage_report": "on",
    }  # fmt: skip
    lines = [line for line in DEFAULTS.read_text().splitlines() if line.split("=")[0].strip() not in wanted]
    settings = Path(folder, "fastnetmon.conf")
    settings.write_text("\n".join([*lines, *(f"{name} = {value}" for name, value in wanted.items())]) + "\n")
    rival = made.start(
        made.server, "taskset", "-c", str(last_core()), "fastnetmon", "--configuration_file", str(settings),
        "--log_file", f"{folder}/log", "--disable_pid_logic", stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(3)
    before, _ = spent(rival.pid)
    begin = time.time()
    flood = start_flood(made, folder, rate, seconds)
    sent, took = flood.communicate(timeout=90)[0].split()
    after, memory = spent(rival.pid)
    deadline = begin + seconds + 10
    while time.time() < deadline and not (told.exists() and told.read_text().strip()):
        time.sleep(0.05)
    when = float(told.read_text()) - begin if told.exists() else float("inf")
    rival.terminate()
    try:
        rival.wait(10)
    except subprocess.TimeoutExpired:
        rival.kill()
    return {"told": when, "rate": int(sent) / float(took), "ns": 1e9 * (after - before) / int(sent),
            "core": 100 * (after - before) / float(took), "memory": memory}  # fmt: skip


def middle(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def beside_the_least(folder: str, runs: int, seconds: float) -> None:
    """Print the packets a second that reach a watch, over those that reach a receiver that only counts."""
    ours, least = [], []
    for _ in range(runs):
        with lab() as made:
            ours.append(measure(made, folder, 0, seconds))
        with lab() as made:
            least.append(count_only(made, folder, 0, seconds))
    us, they = middle([{**run, "rate": run["seen"] / run["took"]} for run in ours]), middle(least)
    print(f"watch     {us['rate']:11,.0f} packets/s, lost {sum(r['lost'] for r in ours):,.0f}, "
          f"{us['core']:.1f} % of a core")  # fmt: skip
    print(f"counting  {they['rate']:11,.0f} packets/s, lost {sum(r['lost'] for r in least):,.0f}, "
          f"{they['core']:.1f} % of a core")  # fmt: skip
    print(f"ratio     {us['rate'] / they['rate']:.2f}, median of {runs} alternating runs")


def beside_fastnetmon(folder: str, runs: int, seconds: float) -> None:
    """Print when each says that a flood is there, and what that costs."""
    print("packets/s      floodwatch: told, ns/packet, core, memory    FastNetMon: the same")
    for rate in RATES:
        ours, theirs = [], []
        for _ in range(runs):
            with lab() as made:
                ours.append(measure(made, folder, rate, seconds))
            with lab() as made:
                theirs.append(fastnetmon(made, folder, rate, max(seconds, 8.0)))
        us, they = middle(ours), middle(theirs)
        cells = [
            f"{m['told']:6.2f} s {m['ns']:7.0f} ns {m['core']:5.1f} % {m['memory']:5.0f} MiB"
            for m in (us, they)
        ]
        print(f"{us['rate']:9,.0f}  {cells[0]}    {cells[1]}")


def main() -> None:
    """Both comparisons, one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compiled(folder, "flood", "count")
        beside_the_least(folder, options.runs, options.seconds)
        if shutil.which("fastnetmon") and DEFAULTS.exists():
            beside_fastnetmon(folder, max(1, options.runs // 2), options.seconds)
        else:
            print("fastnetmon is not installed: left out")


if __name__ == "__main__":
    main()
