"""Sketches over a million lines of a log: which paths and clients, how many, in fixed memory.

    python tests/examples/log_lines.py [LINES]

Two workers count their half of the log each; their sketches are merged, as those of two machines would be.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import floodwatch as fw

SEED = bytes(range(16))
"""Sketches that are to be merged share their seed."""


def make_log(lines: int) -> tuple[np.ndarray, np.ndarray]:
    """Clients as 32-bit addresses, and paths, of so many requests: few are popular, most are rare."""
    rng = np.random.default_rng(7)
    clients = rng.integers(0x0B000000, 0xDF000000, lines // 20, dtype=np.uint32)[
        (rng.pareto(1.1, lines) * 50).astype(np.int64) % (lines // 20)
    ]
    paths = np.char.add("/page/", ((rng.pareto(1.0, lines) * 3).astype(np.int64) % 5000).astype(str))
    return clients, paths


def count(part: tuple[np.ndarray, np.ndarray]) -> tuple[fw.CountMin, fw.HyperLogLog, fw.TopK]:
    """What one worker knows of its half; the sketches count without the GIL."""
    clients, paths = part
    return (
        fw.CountMin.from_error(epsilon=1e-4, delta=0.01, seed=SEED).update(clients),
        fw.HyperLogLog(p=14, seed=SEED).update(clients),
        fw.TopK(k=200).update(paths),
    )


def main() -> None:
    """Make the log, count it in two halves, merge, and ask."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    clients, paths = make_log(lines)
    halves = [(clients[: lines // 2], paths[: lines // 2]), (clients[lines // 2 :], paths[lines // 2 :])]
    with ThreadPoolExecutor(2) as pool:
        (requests, distinct, popular), other = pool.map(count, halves)
    requests |= other[0]
    distinct |= other[1]
    popular |= other[2]

    exact, counts = np.unique(clients, return_counts=True)
    low, high = distinct.bounds(sigma=3)
    print(f"{requests.total:,} requests from {low:,.0f} to {high:,.0f} clients (exactly {len(exact):,})")
    heaviest = exact[np.argmax(counts)]
    print(f"the heaviest client: at most {requests.query(int(heaviest)):,} (exactly {counts.max():,})")
    for path, least, most in popular.items(3):
        print(f"{path}: {least:,} to {most:,}")
    saved = popular.to_bytes() + distinct.to_bytes()
    print(f"saved, distinct clients and popular paths take {len(saved):,} bytes")


if __name__ == "__main__":
    main()
