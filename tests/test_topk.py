"""TopK and Window against exact counting: bounds that always hold, merges, saved bytes, bad input."""

from __future__ import annotations

import contextlib
import pickle
import threading
from collections import Counter
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import floodwatch as fw
from floodwatch import SketchMismatch, TopK, Window

KEYS = st.one_of(
    st.integers(0, 40), st.text("ab", max_size=3), st.binary(max_size=3),
    st.integers(0, 9).map(IPv4Address), st.integers(0, 9).map(IPv6Address),
)  # fmt: skip


def plain(key: Any) -> bytes:
    """Equal bytes are equal keys: an int is its 8 bytes, an IPv4 address its number."""
    if isinstance(key, int | IPv4Address):
        return int(key).to_bytes(8, "little")
    return key.packed if isinstance(key, IPv6Address) else key.encode() if isinstance(key, str) else key


class AgainstCounter(RuleBasedStateMachine):
    """Whatever is done, both bounds hold for every key, and the error stays within its limit."""

    def __init__(self) -> None:
        super().__init__()
        self.sketch, self.truth = TopK(k=8), Counter[bytes]()

    @rule(keys=st.lists(KEYS, max_size=30), count=st.integers(0, 5))
    def update(self, keys: list[Any], count: int) -> None:
        self.sketch.update(keys, count)
        for key in keys:
            self.truth[plain(key)] += count

    @rule(keys=st.lists(st.integers(0, 60), max_size=50))
    def update_array(self, keys: list[int]) -> None:
        self.sketch.update(np.array(keys, np.int64))
        self.truth.update(plain(key) for key in keys)

    @rule(keys=st.lists(KEYS, max_size=30), k=st.integers(3, 20))
    def merge(self, keys: list[Any], k: int) -> None:
        self.sketch |= TopK(k=k).update(keys)
        self.truth.update(plain(key) for key in keys)

    @rule()
    def save_and_load(self) -> None:
        again = pickle.loads(pickle.dumps(self.sketch))
        assert again == self.sketch
        assert again.items() == self.sketch.items()
        self.sketch = again.copy()

    @invariant()
    def bounds_hold(self) -> None:
        assert self.sketch.total == sum(self.truth.values())
        assert len(self.sketch) <= self.sketch.k
        held = {plain(key): (low, high) for key, low, high in self.sketch.items()}
        for key, count in self.truth.items():
            low, high = self.sketch.bounds(key)
            assert low <= count <= high
            assert held.get(key, (0, high)) == (low, high)
        assert all(key in self.truth for key in held)


TestAgainstCounter = AgainstCounter.TestCase
TestAgainstCounter.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def test_a_heavy_key_is_always_held() -> None:
    """Ten million draws of a skewed stream, against exact counting."""
    rng = np.random.default_rng(1)
    keys = (rng.zipf(1.2, 10_000_000) % (1 << 40)).astype(np.uint64)
    sketch = TopK(k=1000).update(keys)
    values, counts = np.unique(keys, return_counts=True)
    assert sketch.offset <= 2 * sketch.total // 1000
    held = {key: (low, high) for key, low, high in sketch.items()}
    for key, count in zip(values.tolist(), counts.tolist(), strict=True):
        if count > 2 * sketch.total / 1000:
            assert held[key][0] <= count <= held[key][1]
    top = [key for key, _, _ in sketch.items(10)]
    exact = values[np.argsort(counts)[::-1][:10]].tolist()
    assert set(top[:5]) == set(exact[:5])


def test_keys_come_back_as_they_went_in() -> None:
    keys = [7, b"raw", "text", IPv4Address("203.0.113.9"), IPv6Address("2001:db8::1")]
    sketch = TopK().update(keys)
    assert sorted(map(repr, (key for key, _, _ in sketch.items()))) == sorted(map(repr, keys))
    assert sketch.bounds(int(IPv4Address("203.0.113.9"))) == (1, 1)  # equal bytes, equal keys
    arrays = (
        TopK().update(np.array(["a", "b", "a"])).update(np.array([b"raw"])).update(np.array([3], np.int32))
    )
    assert arrays.items() == [("a", 2, 2), (3, 1, 1), ("b", 1, 1), (b"raw", 1, 1)]
    rows = np.array([[1, 2, 3, 4], [1, 2, 3, 4]], np.uint8)
    assert TopK().update(rows).items() == [(bytes([1, 2, 3, 4]), 2, 2)]


def test_memory_and_saved_size_are_those_of_the_formulas() -> None:
    for k in (3, 100, 1024):
        table = 4
        while table < k + k // 3 + 1:
            table *= 2
        sketch = TopK(k=k).update(range_keys := list(range(k)))
        assert sketch.nbytes == 256 * table + 8 * (k + 1)
        assert len(sketch.to_bytes()) == 48 + len(range_keys) * (10 + 8)


def test_damage_at_every_byte_is_refused() -> None:
    blob = TopK(k=5).update(["abc", 7, IPv4Address("1.2.3.4"), "abc"]).to_bytes()
    for at in range(len(blob)):
        damaged = bytearray(blob)
        damaged[at] ^= 0x41
        with pytest.raises(SketchMismatch):
            TopK.from_bytes(damaged)
        with pytest.raises(SketchMismatch):
            TopK.from_bytes(blob[:at])
    for at in range(len(blob) - 4):  # with a check sum that fits: what is accepted says these bytes
        damaged = bytearray(blob[:-4])
        damaged[at] ^= 0x41
        damaged += crc32(damaged).to_bytes(4, "little")
        with contextlib.suppress(SketchMismatch):
            assert TopK.from_bytes(damaged).to_bytes() == bytes(damaged)
    with pytest.raises(SketchMismatch, match="kind"):
        fw.CountMin.from_bytes(blob)
    with pytest.raises(SketchMismatch, match="kind"):
        TopK.from_bytes(fw.HyperLogLog().to_bytes())


@pytest.mark.parametrize(("keys", "error"), [
    (1.5, TypeError), (None, TypeError), (True, TypeError), (-1, OverflowError), (1 << 64, OverflowError),
    ("x" * 111, ValueError), ([1, [2]], TypeError), (np.array([1.5]), TypeError),
    (np.array([-1]), OverflowError), (np.zeros((2, 111), np.uint8), ValueError),
    (np.zeros((2, 2, 2), np.uint8), ValueError), (object(), TypeError),
])  # fmt: skip
def test_wrong_keys_change_nothing(keys: Any, error: type[Exception]) -> None:
    sketch = TopK().update("a")
    with pytest.raises(error):
        sketch.update(keys)
    assert sketch.items() == [("a", 1, 1)]


@pytest.mark.parametrize(("counts", "error"), [
    (-1, OverflowError), (1 << 64, OverflowError), ((1 << 64) - 1, OverflowError), (1.5, TypeError),
    ([1], ValueError), ([1, -2], OverflowError), (np.array([1.0, 2.0]), TypeError),
])  # fmt: skip
def test_wrong_counts_change_nothing(counts: Any, error: type[Exception]) -> None:
    for keys in (["a", "b"], np.array([1, 2])):
        sketch = TopK().update("a")
        with pytest.raises(error):
            sketch.update(keys, counts)
        assert (sketch.total, sketch.items()) == (1, [("a", 1, 1)])


def test_threads_take_turns() -> None:
    sketch, other = TopK(k=50), TopK(k=50)
    keys = np.arange(20_000, dtype=np.uint64) % 40

    def work() -> None:
        for _ in range(10):
            sketch.update(keys)
            other.merge(TopK(k=50).update(keys))
            sketch.items(3), other.copy()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in (sketch, other):
        assert each.total == 4 * 10 * 20_000
        assert {count for _, count, _ in each.items()} == {20_000}


def test_a_window_keeps_the_last_intervals() -> None:
    window = Window(interval_s=1, keep=3, width=1024, p=10, k=16)
    for second in range(6):
        window.update(["steady", f"only {second}"], now_ns=second * 10**9 + 5)
    assert [interval.start_ns for interval in window.intervals] == [3 * 10**9, 4 * 10**9, 5 * 10**9]
    whole = window.merged()
    assert whole.counts.query("steady") == 3
    assert whole.counts.query("only 0") == 0
    assert round(whole.distinct.estimate()) == 4
    assert window.merged(last=1).top.items() == [("only 5", 1, 1), ("steady", 1, 1)]
    assert window.rotate(1) == 0  # a clock that goes back
    assert window.update("late").merged(last=1).counts.query("late") == 1
    assert window.rotate(10**15) == 10**6 - 5  # after a long silence all intervals are there, and empty
    assert len(window) == 3
    assert window.merged().counts.total == 0


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 5)), max_size=40))
def test_merged_windows_saw_both_streams(stream: list[tuple[int, int]]) -> None:
    stream.sort()
    seed = bytes(16)
    both, left, right = (Window(interval_s=1, keep=4, width=256, p=8, seed=seed) for _ in range(3))
    for number, (second, key) in enumerate(stream):
        both.update(key, now_ns=second * 10**9)
        (left if number % 2 else right).update(key, now_ns=second * 10**9)
    left.merge(right)
    seen = {interval.start_ns: interval for interval in both.intervals}
    for interval in left.intervals:
        if interval.start_ns in seen:
            assert interval.counts == seen[interval.start_ns].counts
            assert interval.distinct == seen[interval.start_ns].distinct
        else:
            assert interval.counts.total == 0


def test_windows_refuse_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="an interval is longer than nothing"):
        Window(interval_s=0)
    with pytest.raises(ValueError, match="the window does not know the time"):
        Window().update("a")
    with pytest.raises(ValueError, match="width"):
        Window(width=0)
    with pytest.raises(SketchMismatch, match="interval"):
        Window().merge(Window(interval_s=2))
    with pytest.raises(SketchMismatch, match="width"):
        Window(width=64).update("a", now_ns=5).merge(Window(width=128).update("a", now_ns=5))
    assert Window(keep=2).clear().merged().counts.total == 0
