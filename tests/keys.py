"""Does what is found hang on the secret key of the hashes? Scans each capture at hand under many keys.

    python tests/keys.py [--keys 100] [--jobs 1] [--minutes M] [--state FILE] [CAPTURE ...]

Without a capture: those of ``pcaps/`` and of the folders that FLOODWATCH_FIELD, _CASES, _CAPTURES and _TLS
name. A capture in which a few keys find nothing is not asked further. All get the same time, so that the
small ones are through first; with ``--state`` a run that was cut, by ``--minutes`` or otherwise, is gone on
with by the next one of the same build. Prints a row for each capture that names anything, and for those whose
keys disagree on vectors, victims, origins or advice what each answer was; exit 1 where there is one.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from given import folder_of

from floodwatch.config.options import ScanOptions
from floodwatch.pipeline.scan import scan

PCAPS = Path(__file__).resolve().parent.parent / "pcaps"
FOLDERS = ("field", "cases", "captures", "tls")
FEW = 5
"""Keys that are tried first; where all of them find nothing, the others are spared."""
ROUND = 50
"""Keys that one capture is asked before it is the next one's turn."""
PLAIN: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".xz": lzma.open}
"""What is unpacked once and not for each key."""

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
    roots = filter(None, (PCAPS, *map(folder_of, FOLDERS)))
    files = [path for root in roots for path in root.rglob("*.pcap*")]
    yield from sorted((path for path in files if path.is_file()), key=lambda path: path.stat().st_size)


class Asked:
    """What the keys so far answered about one capture."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers = Counter[Answer]()
        self.seconds = 0.0

    @property
    def keys(self) -> int:
        """How many were asked."""
        return self.answers.total()

    @property
    def differing(self) -> int:
        """How many answered other than most."""
        return self.keys - max(self.answers.values(), default=0)

    @property
    def silent(self) -> bool:
        """None of them named anything."""
        return not any(self.answers)

    def due(self, keys: int) -> int:
        """How many it is asked next; 0: no more."""
        if self.keys < FEW:
            return min(keys, FEW) - self.keys
        return 0 if self.silent else min(keys - self.keys, ROUND)

    def ask(self, pool: ProcessPoolExecutor, keys: list[bytes]) -> None:
        """The next keys of all."""
        with plain(self.path) as path:
            begin = time.monotonic()
            mine = keys[self.keys : self.keys + self.due(len(keys))]
            self.answers.update(pool.map(partial(answer, str(path)), mine, chunksize=5))
            self.seconds += time.monotonic() - begin

    def row(self) -> str:
        """A line of the table, and one for each answer where there are several."""
        lines = [f"{self.path.name:45} {self.keys:6} {self.differing:6} {self.seconds:8.0f} s"]
        if self.differing:
            told = self.answers.most_common()
            lines += [f"  {number}: {', '.join(names) or 'nothing'}" for names, number in told]
        return "\n".join(lines)


@contextmanager
def plain(path: Path) -> Iterator[Path]:
    """The capture without its compression."""
    unpack = PLAIN.get(path.suffix)
    if unpack is None:
        yield path
        return
    with tempfile.NamedTemporaryFile(suffix=path.stem) as out:
        try:
            with unpack(path) as packed:
                out.write(packed.read())
        except (OSError, EOFError, lzma.LZMAError):  # it is broken on purpose
            yield path
            return
        out.flush()
        yield Path(out.name)


def restored(paths: list[Path], state: Path | None) -> list[Asked]:
    """The captures with what earlier runs heard."""
    every = list(map(Asked, paths))
    said = json.loads(state.read_text()) if state and state.exists() else {}
    for asked in every:
        seconds, answers = said.get(str(asked.path), (0.0, []))
        asked.seconds = seconds
        asked.answers.update({tuple(names): number for names, number in answers})
    return every


def save(every: list[Asked], state: Path) -> None:
    """Keep what was heard."""
    told = {str(a.path): (a.seconds, [(names, n) for names, n in a.answers.items()]) for a in every}
    state.write_text(json.dumps(told))


def main() -> None:
    """Ask until all keys are through or the time is up; exit 1 when keys disagree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("captures", nargs="*", type=Path)
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--state", type=Path)
    options = parser.parse_args()
    end, keys = time.monotonic() + 60 * options.minutes, seeds(options.keys)
    every = restored(options.captures or list(captures()), options.state)
    with ProcessPoolExecutor(options.jobs) as pool:
        while waiting := [asked for asked in every if asked.due(len(keys))]:
            if time.monotonic() >= end:
                break
            min(waiting, key=lambda asked: asked.seconds).ask(pool, keys)
            if options.state:
                save(every, options.state)
    naming = [asked for asked in every if not asked.silent]
    print(f"{'capture':45} {'keys':>6} {'differ':>6}")
    print("\n".join(asked.row() for asked in naming))
    differing = sum(asked.differing > 0 for asked in naming)
    print(
        f"{len(every)} captures, {len(naming)} of which name something, {differing} of which hang on the key"
    )
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
