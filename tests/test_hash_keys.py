"""What is found does not hang on the secret key of the hashes: vectors, victims, origins and advice stay."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from floodwatch.config.options import ScanOptions
from floodwatch.pipeline.scan import scan

PCAPS = Path(__file__).parent.parent / "pcaps"
QUICK = ("syn_flood", "http_flood", "ntp_amplification")
LONG = {"syn_flood": 250, "http_flood": 1000, "real_nginx_synflood": 250}
"""How many keys each is read with; sketches decide most in the second."""


def answer(path: str, seed: bytes) -> tuple[str, ...]:
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
    random.seed(64)
    return [random.randbytes(16) for _ in range(number)]


def the_same(answers: Iterable[tuple[str, ...]]) -> None:
    found = Counter(answers)
    assert len(found) == 1, found.most_common()


@pytest.mark.parametrize("name", QUICK)
def test_twenty_keys_give_one_answer(name: str) -> None:
    the_same(map(partial(answer, str(PCAPS / f"{name}.pcap.gz")), seeds(20)))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "keys"), LONG.items())
def test_many_keys_give_one_answer(name: str, keys: int) -> None:
    with ProcessPoolExecutor(2) as pool:
        the_same(pool.map(partial(answer, str(PCAPS / f"{name}.pcap.gz")), seeds(keys), chunksize=25))
