"""What a watch that enforces does for a server under attack: a line for each attack, in namespaces.

    sudo python tests/bench/outcomes.py [--backend nft|xdp] [ATTACK ...]
    sudo python tests/bench/outcomes.py --served [KIND ...]      who is served, under twelve kinds of floods

A client's namespace holds people who are known (they come from the start), people who are new (they come with
the attack), and the attackers: real ones with addresses of their own, forged ones as frames. The other
namespace holds the server and ``floodwatch watch --mode enforce``. Printed: seconds from the attack's first
packet until something stands in the kernel against it (-: nothing does; cookies stand from the start), the
share of the attack that reaches the server afterwards, the requests of people that were answered (before,
during and after the attack, of how many) and the median time during it, the rules used, and people who were
blocked. Everything ends by itself.

With ``--served`` connections from before the watch, awake and asleep, at the flooded port and at others, and
polls of another service meet floods of twelve kinds, on a host and behind a router, over IPv4 and IPv6:
printed are seconds until a rule stood, the share of the flood that reached the victim, connections that lived
and polls that were lost. ``--floodwatch PYTHON`` measures another one for comparison.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from evaluate import records, write
from forge import KINDS
from lab import SERVER, Lab, lab
from pyroute2 import NetNS

from floodwatch import synth

KNOWN, NEW, REAL = range(20, 30), range(30, 40), range(50, 250)
"""Last bytes of addresses: people who are known, people who are new, real attackers."""
LEAD, ATTACK, AFTER = 20.0, 10.0, 4.0
"""Seconds before, of and after the attack."""
SERVE = Path(__file__).resolve().parents[1] / "serve.py"
PEOPLE = """
import asyncio, json, sys, time
server, path, first, count, every, begin, end = *sys.argv[1:3], *map(float, sys.argv[3:])
told = []
async def ask(number, path):
    start = time.time()
    try:
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(server, 80, local_addr=(f"10.99.0.{number}", 0)), 3)
        writer.write(f"GET {path} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
        await asyncio.wait_for(reader.readuntil(b"ok"), 3)
        writer.close()
        told.append((start, True, time.time() - start))
    except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
        told.append((start, False, time.time() - start))
async def person(number):
    await asyncio.sleep(max(begin - time.time(), 0) + every * (number % 10) / 10)
    pages = 0
    while time.time() < end:
        pages += 1
        await ask(number, path or f"/page/{number * 7 + pages}")
        await asyncio.sleep(every)
async def main():
    await asyncio.gather(*(person(int(first) + i) for i in range(int(count))))
asyncio.run(main())
print(json.dumps(told))
"""


@dataclass
class Outcome:
    """What was seen of one attack."""

    known: list[tuple[float, bool, float]] = field(default_factory=list)
    new: list[tuple[float, bool, float]] = field(default_factory=list)
    acted: float | None = None
    reached: float | None = None
    rules: int = 0
    wrong: list[str] = field(default_factory=list)
    first: float = 0.0


def people(wire: Lab, numbers: range, begin: float, end: float) -> subprocess.Popen[bytes]:
    """One request a second of each of these clients, each for a page of its own."""
    words = ("", str(numbers.start), str(len(numbers)), "1.0", str(begin), str(end))
    return wire.start(wire.client, sys.executable, "-c", PEOPLE, SERVER, *words, stdout=subprocess.PIPE)


def held(wire: Lab) -> list[dict[str, Any]]:
    """Blocks and guards that stand, read back by ``ctl``."""
    command = (sys.executable, "-P", "-m", "floodwatch", "ctl", "blocks", "--json")
    listed: list[dict[str, Any]] = json.loads(
        wire.start(wire.server, *command, stdout=subprocess.PIPE).communicate()[0]
    )
    return listed


def frames(scenario: str, seconds: float, pps: float) -> Callable[[Lab, Path], subprocess.Popen[bytes]]:
    """An attack of forged or reflected frames; what comes before it in its capture is left out."""

    def start(wire: Lab, folder: Path) -> subprocess.Popen[bytes]:
        made = folder / "all.pcap"
        truth = synth.make(scenario, made, synth.Params(victim=SERVER, duration=seconds, pps=pps))
        capture = folder / "attack.pcap"
        write((frame for frame in records(made) if frame[0] >= truth.floods[0].first_ns), capture)
        return wire.sender(capture, deliver=True)

    return start


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syns(number: int) -> bytes:
    """A SYN of a real attacker, who finishes no handshake: its kernel resets what comes back."""
    source = f"10.99.0.{REAL.start + number % len(REAL)}"
    ends = socket.inet_aton(source) + socket.inet_aton(SERVER)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 40, number & 0xFFFF, 0x4000, 64, 6, 0)
    port = 20_000 + number // len(REAL) % 40_000
    tcp = struct.pack("!HHIIBBHHH", port, 80, number * 7919 & 0xFFFFFFFF, 0, 0x50, 2, 64_240, 0, 0)
    sums = checksum(head + ends), checksum(ends + struct.pack("!HH", 6, len(tcp)) + tcp)
    head, tcp = head[:10] + struct.pack("!H", sums[0]), tcp[:16] + struct.pack("!H", sums[1]) + tcp[18:]
    return bytes(12) + b"\x08\0" + head + ends + tcp


def real_syns(wire: Lab, folder: Path) -> subprocess.Popen[bytes]:
    """200 real addresses that send 4,000 SYNs a second together."""
    capture = folder / "syns.pcap"
    gap = 1_000_000_000 // 4000
    write(((n * gap, 54, syns(n)) for n in range(int(4000 * ATTACK))), capture)
    return wire.sender(capture, deliver=True)


def bots(wire: Lab, folder: Path) -> subprocess.Popen[bytes]:
    """200 real addresses that ask for one path ten times a second each."""
    del folder
    now = time.time()
    words = ("/login", str(REAL.start), str(len(REAL)), "0.1", str(now), str(now + ATTACK))
    return wire.start(wire.client, sys.executable, "-c", PEOPLE, SERVER, *words, stdout=subprocess.PIPE)


def mix(wire: Lab, folder: Path) -> subprocess.Popen[bytes]:
    """The bots, two reflections and forged SYNs, all at once."""
    for scenario, pps in (
        ("ntp_amplification", 1000.0),
        ("ssdp_amplification", 1000.0),
        ("syn_flood", 1500.0),
    ):
        own = folder / scenario
        own.mkdir()
        frames(scenario, ATTACK, pps)(wire, own)
    return bots(wire, folder)


ATTACKS: dict[str, Callable[[Lab, Path], subprocess.Popen[bytes]]] = {
    "SYN flood, forged": frames("syn_flood", ATTACK, 4000),
    "SYN flood, 200 real": real_syns,
    "UDP reflection (DNS)": frames("dns_amplification", ATTACK, 1500),
    "UDP flood, forged": frames("udp_one_port", ATTACK, 4000),
    "HTTP flood, 200 real": bots,
    "all of a launch day": mix,
}
OF_FRAMES = {
    "SYN flood, forged": 4000.0,
    "SYN flood, 200 real": 4000.0,
    "UDP reflection (DNS)": 1500.0,
    "UDP flood, forged": 4000.0,
}
"""Packets a second of the attacks that consist of frames."""


def run(name: str, backend: str) -> Outcome:
    """One attack on a fresh pair of namespaces."""
    out, attack = Outcome(), ATTACKS[name]
    with lab() as wire, tempfile.TemporaryDirectory() as folder:
        with NetNS(wire.client) as inside:
            (index,) = inside.link_lookup(ifname="va")
            for number in (*KNOWN, *NEW, *REAL):
                inside.addr("add", index=index, address=f"10.99.0.{number}", prefixlen=24)
        server = wire.start(wire.server, sys.executable, str(SERVE), stdout=subprocess.PIPE)
        assert server.stdout is not None
        server.stdout.readline()
        watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce",
                                "--backend", backend)  # fmt: skip
        begin = time.time()
        end = begin + LEAD + ATTACK + AFTER
        known = people(wire, KNOWN, begin, end)
        new = people(wire, NEW, begin + LEAD, end)
        time.sleep(max(begin + LEAD - time.time(), 0))
        started = time.time()
        attacker = attack(wire, Path(folder))
        first = out.first = time.time()
        marks: list[tuple[float, int]] = []
        while time.time() < started + ATTACK - 1:
            rows = held(wire)
            if rows:
                out.acted = out.acted or time.time() - first
                marks.append((time.time(), sum(row["packets"] for row in rows)))
                out.rules = max(out.rules, len(rows))
                fair = {f"10.99.0.{number}/32" for number in (*KNOWN, *NEW)}
                out.wrong = sorted(fair & {row.get("network") for row in rows})
            time.sleep(0.2)
        told = attacker.communicate(timeout=60)[0]
        if name not in OF_FRAMES and out.acted is not None:
            late = [ok for start, ok, _ in json.loads(told) if start > first + out.acted + 0.5]
            out.reached = sum(late) / (10.0 * len(REAL) * (ATTACK - out.acted - 0.5))
        elif len(marks) > 1:
            (t0, n0), (t1, n1) = marks[0], marks[-1]
            out.reached = max(0.0, 1 - (n1 - n0) / (OF_FRAMES[name] * (t1 - t0)))
        out.known = json.loads(known.communicate(timeout=60)[0])
        out.new = json.loads(new.communicate(timeout=60)[0])
        watch.send_signal(signal.SIGINT)
        watch.communicate(timeout=30)
    return out


def shown(told: list[tuple[float, bool, float]], first: float) -> str:
    """``answered/asked`` before, during and after an attack, and the median time during it."""
    times, parts = [1000 * s for start, ok, s in told if ok and first <= start < first + ATTACK], []
    for begin, end in ((0.0, first), (first, first + ATTACK), (first + ATTACK, float("inf"))):
        phase = [ok for start, ok, _ in told if begin <= start < end]
        parts += [f"{sum(phase)}/{len(phase)}"] if phase else []
    return " ".join(parts) + (f", {statistics.median(times):.1f} ms" if times else "")


def served(kinds: Sequence[str], python: str) -> None:
    """The table of who is served under each kind of flood; two cells at a time."""
    script = Path(__file__).resolve().parents[1] / "guarded.py"

    def one(cell: tuple[str, int, str]) -> dict[str, Any]:
        where, version, kind = cell
        command = (sys.executable, str(script), where, str(version), kind, "--floodwatch", python)
        told: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        return told

    cells = [(where, version, kind) for kind in kinds for where in ("host", "router") for version in (4, 6)]
    print(
        "{:11}{:8}{:4}{:>9}{:>10}{:>8}{:>15}".format(
            "flood", "at", "IPv", "acts", "reaches", "lived", "polls lost"
        )
    )
    with ThreadPoolExecutor(2) as pool:
        for seen in pool.map(one, cells):
            acted = "-" if seen["acted"] is None else f"{seen['acted']:.2f} s"
            lived = f"{sum(seen['lived'].values())}/{len(seen['lived'])}"
            lost = f"{100 * seen['lost']:.1f} % of {seen['polls']}"
            reached = f"{100 * seen['reached']:.1f} %"
            print(f"{seen['kind']:11}{seen['place']:8}{seen['version']:<4}{acted:>9}{reached:>10}{lived:>8}"
                  f"{lost:>15}  {seen['said'][:90]}", flush=True)  # fmt: skip


def main() -> None:
    """Run the attacks that are named, or all, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", choices=["nft", "xdp"], default="nft")
    parser.add_argument("attacks", nargs="*", metavar="SCENARIO", help=", ".join(ATTACKS))
    parser.add_argument("--served", action="store_true", help=f"kinds of floods: {', '.join(KINDS)}")
    parser.add_argument("--floodwatch", default=sys.executable, metavar="PYTHON")
    options = parser.parse_args()
    if options.served:
        served(options.attacks or KINDS, options.floodwatch)
        return
    head = ("attack", "acts after", "reaches then", "known people", "new people", "rules")
    print("{:24}{:>11}{:>14}  {:31}{:24}{:>6}  wrong".format(*head))
    for name in options.attacks or ATTACKS:
        seen = run(name, options.backend)
        after = "-" if seen.acted is None else f"{seen.acted:.2f} s"
        reached = "-" if seen.reached is None else f"{100 * seen.reached:.1f} %"
        known, new = shown(seen.known, seen.first), shown(seen.new, seen.first)
        print(f"{name:24}{after:>11}{reached:>14}  {known:31}{new:24}{seen.rules:6}  "
              f"{', '.join(seen.wrong) or 'none'}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
