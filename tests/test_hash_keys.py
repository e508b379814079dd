"""What is found does not hang on the secret key of the hashes: vectors, victims, origins and advice stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pytest
from keys import PCAPS, Answer, answer, seeds

QUICK = ("syn_flood", "http_flood", "ntp_amplification")
LONG = {"syn_flood": 250, "http_flood": 1000, "real_nginx_synflood": 250}
"""How many keys each is read with; sketches decide most in the second."""


def the_same(answers: Iterable[Answer]) -> None:
    found = Counter(answers)
    assert len(found) == 1, found.most_common()


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_twenty_keys_give_one_answer(name: str) -> None:
    the_same(map(partial(answer, str(PCAPS / f"{name}.pcap.gz")), seeds(20)))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "keys"), LONG.items())
def test_many_keys_give_one_answer(name: str, keys: int) -> None:
    with ProcessPoolExecutor(2) as pool:
        the_same(pool.map(partial(answer, str(PCAPS / f"{name}.pcap.gz")), seeds(keys), chunksize=25))
