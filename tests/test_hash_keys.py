"""What is found does not hang on the secret key of the hashes: vectors, victims, origins and advice stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pytest
from keys import PCAPS, Answer, answer, seeds

QUICK = ("syn_flood", "http_flood", "ntp_amplification")
LONG = ("syn_flood", "http_flood", "real_nginx_synflood")


def the_same(answers: Iterable[Answer]) -> None:
    found = Counter(answers)
    assert len(found) == 1, found.most_common()


@pytest.mark.parametrize("name", QUICK)
def test_twenty_keys_give_one_answer(name: str) -> None:
    the_same(map(partial(answer, str(PCAPS / f"{name}.pcap.gz")), seeds(20)))


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_a_thousand_keys_give_one_answer(name: str) -> None:
    with ProcessPoolExecutor(2) as pool:
        the_same(pool.map(partial(answer, str(PCAPS / f"{name}.pcap.gz")), seeds(1000), chunksize=50))
