"""Does what is found hang on the secret key of the hashes? Scans each capture at hand under many keys.

    python tests/keys.py [--keys 100] [--jobs 1] [CAPTURE ...]

Without a capture: those of ``pcaps/`` and of the folders that FLOODWATCH_FIELD, _CASES, _CAPTURES and _TLS
name. A capture in which a few keys find nothing is not asked further. Prints the captures whose keys disagree
on vectors, victims, origins or advice, and what each answer was; exit 1 where there is one.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from floodwatch.config.options import ScanOptions
from floodwatch.pipeline.scan import scan

PCAPS = Path(__file__).resolve().parent.parent / "pcaps"
FOLDERS = ("FIELD", "CASES", "CAPTURES", "TLS")
FEW = 5
"""Keys that are tried first; where all of them find nothing, the others are spared."""

Answer = tuple[str, ...]


def answer(path: str, seed: bytes) -> Answer:
    """What a report names, whom, and what it advises."""
    report = scan([path], ScanOptions(seed=seed))
    return tuple(
        sorted(
            f"{event.vector} {event.verdict} {event.victim.ip} {event.victim.port} {event.sources.origin} "
            f"{event.action.recommended}"
            for event in report.events()
        )
    )


def seeds(number: int) -> list[bytes]:
    """The same keys each time."""
    random.seed(64)
    return [random.randbytes(16) for _ in range(number)]


def captures() -> Iterator[Path]:
    """Every capture at hand, the smallest first."""
    given = filter(None, (os.environ.get(f"FLOODWATCH_{name}") for name in FOLDERS))
    files = [path for root in (PCAPS, *map(Path, given)) for path in root.rglob("*.pcap*")]
    yield from sorted((path for path in files if path.is_file()), key=lambda path: path.stat().st_size)


def answers(pool: ProcessPoolExecutor, path: Path, keys: list[bytes]) -> Counter[Answer]:
    """How many keys gave which answer."""
    ask = partial(answer, str(path))
    found = Counter(pool.map(ask, keys[:FEW]))
    if len(found) > 1 or any(found):
        found.update(pool.map(ask, keys[FEW:], chunksize=5))
    return found


def main() -> None:
    """Print a line for each capture that names anything, and a sum; exit 1 when keys disagree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("captures", nargs="*", type=Path)
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    asked, differing, keys = 0, 0, seeds(options.keys)
    with ProcessPoolExecutor(options.jobs) as pool:
        for path in options.captures or captures():
            begin = time.monotonic()
            found = answers(pool, path, keys)
            asked += 1
            other = found.total() - max(found.values())
            if other or any(found):
                took = time.monotonic() - begin
                print(f"{path.name}: {other} of {found.total()} keys differ ({took:.0f} s)", flush=True)
            differing += other > 0
            for told, number in found.most_common() if other else ():
                print(f"  {number}: {', '.join(told) or 'nothing'}")
    print(f"{asked} captures, {differing} of which hang on the key")
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
