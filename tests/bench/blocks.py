"""How fast blocks reach the kernel, beside ``nft -f`` with the same elements, in a namespace of its own.

    sudo python tests/bench/blocks.py [--count 50000]

Alternating runs, medians; with a counter for each element, as the table has them, and without, where the
kernel itself has less to do. Also: 100,000 held, listed and compared; 10^5 wanted, limit 4,096.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import statistics
import subprocess
import time
from collections.abc import Callable

from pyroute2 import netns

from floodwatch.mitigate import Block, Ordered, Policy, Step, Table, plan
from floodwatch.mitigate.nft import codec
from floodwatch.mitigate.nft.elements import pack
from floodwatch.mitigate.nft.objects import TABLE, Set
from floodwatch.mitigate.nft.terms import ADDRESS

RUNS = 5


def timed(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def blocks(count: int) -> list[Block]:
    """``count`` hosts, each with a lifetime and a reason."""
    return [Block(ipaddress.ip_network(0x0B000000 + 7 * i), 600, "fw:bench") for i in range(count)]


def ours(held: list[Block]) -> float:
    """One atomic transaction into a fresh table."""
    table = Table()
    table.ensure()
    steps = [Step("add", block, "") for block in held]
    seconds = timed(lambda: table.apply(steps))
    table.remove()
    table.close()
    return seconds


def ours_uncounted(held: list[Block]) -> float:
    """The same messages into a set without counters."""
    kernel = codec.Netfilter(codec.running_linux())
    made = codec.text(1, TABLE) + codec.u32(2, 0)
    bare = Set("block4", (ADDRESS[4],), (), 65_536).message()
    kernel.commit([codec.Message(codec.NEW_TABLE, made, codec.CREATE), bare])
    seconds = timed(lambda: kernel.commit(pack(held, codec.NEW_ELEMENT)))
    kernel.commit([codec.Message(codec.DEL_TABLE, codec.text(1, TABLE))])
    kernel.close()
    return seconds


def theirs(held: list[Block], counter: str = "counter;") -> float:
    """``nft -f`` with the same elements, timeouts and comments into a fresh set of the same kind."""
    subprocess.run(["nft", "add", "table", "inet", "other"], check=True)
    made = f"add set inet other s {{ type ipv4_addr; flags timeout; size 65536; {counter} }}"
    subprocess.run(["nft", "-f", "-"], input=made.encode(), check=True)
    elements = ", ".join(f'{b.network.network_address} timeout 600s comment "{b.why}"' for b in held)
    text = f"add element inet other s {{ {elements} }}".encode()
    seconds = timed(lambda: subprocess.run(["nft", "-f", "-"], input=text, check=True))
    subprocess.run(["nft", "delete", "table", "inet", "other"], check=True)
    return seconds


def hold(count: int) -> tuple[int, float]:
    """Hold ``count`` networks in two sets; returns how many are listed, and the seconds it takes."""
    table = Table()
    table.ensure()
    wanted = blocks(min(count, 60_000))
    wanted += [
        Block(ipaddress.ip_network((0x1E000000 + 256 * i, 24)), 600, "fw:bench")
        for i in range(count - len(wanted))
    ]
    table.apply([Step("add", block, "") for block in wanted])
    want = {block.network for block in wanted}
    listed: set[object] = set()
    seconds = statistics.median(timed(lambda: listed.update(want & table.counted().keys())) for _ in range(3))
    table.remove()
    table.close()
    return len(listed), seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=50_000)
    count = parser.parse_args().count
    name = f"fw-bench-{os.getpid()}"
    netns.create(name)
    try:
        netns.pushns(name)
        held = blocks(count)
        for words, pairs in (
            ("", [(ours(held), theirs(held)) for _ in range(RUNS)]),
            (", not counted", [(ours_uncounted(held), theirs(held, "")) for _ in range(RUNS)]),
        ):
            mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
            what = f"{count:,} in one transaction{words}"
            print(f"{what:43} ours {mine:.3f} s   nft -f {other:.3f} s   {other / mine:.1f} x")
        listed, seconds = hold(100_000)
        print(f"{listed:,} held, listed and compared    {seconds:.2f} s")
        wanted = [Ordered(ipaddress.ip_network(0x01000000 + i), "bench") for i in range(100_000)]
        seconds = timed(lambda: plan(wanted, Policy(max_blocks=4096), {}))
        print(f"100,000 wanted, limit 4,096, planned   {seconds:.2f} s")
    finally:
        netns.popns()
        netns.remove(name)


if __name__ == "__main__":
    main()
