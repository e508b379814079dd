"""Published attacks on sketches, against a known key and against a secret one (promise 32).

Colliding keys that make a count-min accuse a bystander, and crafted keys that make HyperLogLog report far too
many or far too few (Paterson and Raynal, "HyperLogLog: exponentially bad in adversarial settings", 2022;
Reviriego and Ting, "Security of HyperLogLog cardinality estimation", 2020). They work where the key is fixed,
which shows that the attack is a real one, and not where it is secret.
"""

from __future__ import annotations

import numpy as np

from floodwatch import CountMin, HyperLogLog

KNOWN = bytes(range(16))
SECRETS = [bytes([n]) * 16 for n in range(1, 9)]
"""Keys that the attacker did not have; fixed, so that the test always says the same."""
BYSTANDER = 4_711


def test_p32_colliding_keys_frame_a_bystander_only_under_a_known_key() -> None:
    width, depth, copies = 64, 3, 20
    probe = CountMin(width=width, depth=depth, seed=KNOWN).update(BYSTANDER)
    candidates = np.arange(10**6, 40 * 10**6, dtype=np.uint64)
    colliding = candidates[probe.query(candidates) > 0][:100]
    assert len(colliding) == 100
    stream = np.tile(colliding, copies)
    framed = CountMin(width=width, depth=depth, seed=KNOWN).update(stream)
    assert framed.query(BYSTANDER) == len(stream)  # who never sent anything is charged with all of it
    for secret in SECRETS:
        safe = CountMin(width=width, depth=depth, seed=secret).update(stream)
        assert safe.query(BYSTANDER) <= np.e * len(stream) / width


def _rank(key: int, p: int) -> tuple[int, int]:
    """Which register a key writes, and what, under the known key."""
    registers = HyperLogLog(p=p, seed=KNOWN).update(key).as_array()
    place = int(registers.argmax())
    return place, int(registers[place])


def test_p32_crafted_keys_inflate_a_hyperloglog_only_under_a_known_key() -> None:
    p, best = 4, dict[int, tuple[int, int]]()
    for key in range(60_000):
        place, rank = _rank(key, p)
        if rank > best.get(place, (0, 0))[0]:
            best[place] = rank, key
    crafted = np.array([key for _, key in best.values()], np.uint64)
    assert len(crafted) == 16
    assert HyperLogLog(p=p, seed=KNOWN).update(crafted).estimate() > 10_000  # sixteen keys
    for secret in SECRETS:
        assert HyperLogLog(p=p, seed=secret).update(crafted).estimate() < 16 * (1 + 4 * 1.04 / 4)


def test_p32_keys_that_hide_are_counted_under_a_secret_key() -> None:
    p = 8
    seen = HyperLogLog(p=p, seed=KNOWN).update(np.arange(2_000, dtype=np.uint64))
    registers = seen.as_array().copy()
    hidden = []
    for key in range(10_000, 70_000):
        place, rank = _rank(key, p)
        if rank <= registers[place]:  # it changes nothing
            hidden.append(key)
    crafted = np.array(hidden, np.uint64)
    assert len(crafted) > 40_000
    assert seen.update(crafted).estimate() < 2_000 * 1.3  # tens of thousands of new keys go unseen
    for secret in SECRETS:
        honest = HyperLogLog(p=p, seed=secret).update(np.arange(2_000, dtype=np.uint64)).update(crafted)
        low, high = honest.bounds(sigma=4)
        assert low <= 2_000 + len(crafted) <= high
