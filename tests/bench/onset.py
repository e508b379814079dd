"""From the first packet of a flood on the wire to the event line, or to the rule, many times over.

    sudo python tests/bench/onset.py [--runs 50] [--rules]

SYN and UDP floods of 30,000 packets/s from the compiled sender; an HTTP flood of 100 real addresses with real
TCP connections against a server. Every run has a watch of its own. With ``--rules`` it enforces, and the time
is that until the kernel holds the rule, read back: the guard against the UDP flood, and blocks of at least 95
of the 100 addresses. (SYN cookies, the answer to the SYN flood, stand all the time.)
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]
from lab import SERVER, Lab, lab  # noqa: E402 (the folder of the tests)
from live import compiled, start_flood  # noqa: E402
from pyroute2 import netns  # noqa: E402

from floodwatch.mitigate import Table  # noqa: E402

SERVE = f"""
import asyncio
async def answer(reader, writer):
    try:
        while await reader.readuntil(b"\\r\\n\\r\\n"):
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
    except (asyncio.IncompleteReadError, ConnectionError): writer.close()
async def main():
    server = await asyncio.start_server(answer, "{SERVER}", 80)
    print("ready", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
"""A server that answers every request."""

FLOOD = f"""
import asyncio, socket, sys, time
async def client(number, end):
    s = socket.socket(); s.setsockopt(0, 24, 1); s.setblocking(False)
    s.bind((f"10.98.{{int(sys.argv[1]) % 250}}.{{number + 1}}", 0))
    await asyncio.get_running_loop().sock_connect(s, ("{SERVER}", 80))
    reader, writer = await asyncio.open_connection(sock=s)
    while time.monotonic() < end:
        writer.write(b"GET /search?q=x HTTP/1.1\\r\\nHost: a\\r\\nUser-Agent: b\\r\\n\\r\\n")
        await reader.readuntil(b"ok")
        await asyncio.sleep(0.03)
    writer.close()
async def main():
    end = time.monotonic() + 3
    print("go", flush=True)
    await asyncio.gather(*(client(n, end) for n in range(100)))
asyncio.run(main())
"""
"""A hundred clients with an address each, some 3,000 requests a second together."""


def told_after(made: Lab, flood: Callable[[Lab, int], subprocess.Popen[bytes]], number: int) -> float:
    """Seconds from the start of a flood to the line that says so."""
    watch = made.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--", "ip")
    time.sleep(0.5)
    sender = flood(made, number)
    begin = time.monotonic()
    assert watch.stdout is not None
    line = json.loads(watch.stdout.readline())
    told = time.monotonic() - begin
    assert line["state"] == "open"
    sender.wait(30)
    watch.kill()
    watch.wait()
    return told


def acted_after(made: Lab, flood: Callable[[Lab, int], subprocess.Popen[bytes]], number: int) -> float:
    """Seconds from the start of a flood until the kernel holds the rules against it."""
    watch = made.floodwatch("watch", "-i", "vb", "--mode", "enforce", "--exit-zero", "--", "ip")
    netns.pushns(made.server)
    table = Table()
    netns.popns()
    time.sleep(0.5)
    sender = flood(made, number)
    begin = time.monotonic()
    while not (table.guards() or len(table.blocks()) >= 95):
        assert time.monotonic() - begin < 10
        time.sleep(0.02)
    acted = time.monotonic() - begin
    table.close()
    sender.kill()  # whoever is blocked would wait for its answer
    sender.wait()
    watch.terminate()
    watch.communicate()
    return acted


def real_clients(made: Lab, number: int) -> subprocess.Popen[bytes]:
    flood = made.start(made.client, sys.executable, "-c", FLOOD, str(number), stdout=subprocess.PIPE)
    assert flood.stdout is not None
    flood.stdout.readline()
    return flood


def routes(made: Lab) -> None:
    """Let the client's side be all of 10.98.0.0/16 (kernel: local routes)."""
    from pyroute2 import NetNS

    with NetNS(made.client) as inside:
        (lo,) = inside.link_lookup(ifname="lo")
        inside.route("add", dst="10.98.0.0/16", oif=lo, type="local", table=255, scope=254)
    with NetNS(made.server) as inside:
        inside.route("add", dst="10.98.0.0/16", gateway="10.99.0.1")


def show(name: str, told: list[float], asked: float) -> None:
    p95 = sorted(told)[max(0, -(-95 * len(told) // 100) - 1)]
    print(
        f"{name:5} median {statistics.median(told):.2f} s, 95th percentile {p95:.2f} s "
        f"(asked {asked:.0f} s), slowest {max(told):.2f} s of {len(told)} runs",
        flush=True,
    )


def main() -> None:
    """Print one line for each kind of flood."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--rules", action="store_true", help="measure until the kernel holds the rule")
    options = parser.parse_args()
    runs, measure = options.runs, acted_after if options.rules else told_after
    with tempfile.TemporaryDirectory() as folder, lab() as made:
        compiled(folder, "flood")
        for kind in ("udp",) if options.rules else ("syn", "udp"):
            told = [
                measure(made, lambda made, _, kind=kind: start_flood(made, folder, 30_000, 1.2, kind), n)
                for n in range(runs)
            ]
            show(kind.upper(), told, 2 if options.rules else 1)
        routes(made)
        server = made.start(made.server, sys.executable, "-c", SERVE, stdout=subprocess.PIPE)
        assert server.stdout is not None
        server.stdout.readline()
        show("HTTP", [measure(made, real_clients, n) for n in range(runs)], 3)


if __name__ == "__main__":
    main()
