"""The sketches beside others on the same random 64-bit keys: medians of million keys a second, one core.

Usage: python tests/bench/sketches.py [--keys 10000000] [--runs 3]
Needs nothing but floodwatch; compares with what is installed of: datasketches cmsketch HLL polars duckdb. The
NumPy count-min is what one writes by hand: multiply-shift hashes and a bincount a row. Who takes one key a
call gets a cut of the keys.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Callable, Iterator

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from floodwatch import CountMin, HyperLogLog, TopK
from floodwatch._sketches import cpu

Keys = NDArray[np.uint64]
Job = Callable[[Keys], object]
FEW = 300_000


def numpy_countmin(keys: Keys) -> object:
    cells = np.zeros((4, 65536), dtype=np.int64)
    odd = np.random.default_rng(1).integers(0, 2**63, 4, dtype=np.uint64) * 2 + 1
    for row in range(4):
        for part in np.array_split(keys, max(1, len(keys) // 65536)):
            cells[row] += np.bincount((part * odd[row] >> np.uint64(48)).astype(np.int64), minlength=65536)
    return cells


def one_by_one(update: Callable[[int], object]) -> Job:
    def job(keys: Keys) -> object:
        for key in keys.view(np.int64).tolist():  # datasketches takes signed ones
            update(key)
        return update

    return job


def countmins() -> Iterator[tuple[str, Job, bool]]:
    """(name, job, takes one key a call)."""
    yield "floodwatch CountMin 4 x 65536", lambda keys: CountMin().update(keys), False
    yield "floodwatch, conservative", lambda keys: CountMin(conservative=True).update(keys), False
    yield "numpy by hand", numpy_countmin, False
    if importlib.util.find_spec("datasketches"):
        from datasketches import count_min_sketch

        yield "datasketches count_min_sketch", one_by_one(count_min_sketch(4, 65536).update), True
    if importlib.util.find_spec("cmsketch"):
        from cmsketch import CountMinSketchInt

        insert = one_by_one(CountMinSketchInt(65536, 4).insert)
        yield "cmsketch CountMinSketchInt", lambda keys: insert(keys >> np.uint64(33)), True  # 32 bits only


def distincts() -> Iterator[tuple[str, Job, bool]]:
    yield "floodwatch HyperLogLog p=12", lambda keys: HyperLogLog().update(keys).estimate(), False
    if importlib.util.find_spec("datasketches"):
        from datasketches import hll_sketch

        yield "datasketches hll_sketch(12)", one_by_one(hll_sketch(12).update), True
    if importlib.util.find_spec("HLL"):
        from HLL import HyperLogLog as Compiled

        add = Compiled(12).add  # takes text
        yield "HLL.HyperLogLog(12)", one_by_one(lambda key: add(str(key))), True
    if importlib.util.find_spec("polars"):
        import polars

        yield "polars approx_n_unique", lambda keys: polars.Series(keys).approx_n_unique(), False
    if importlib.util.find_spec("duckdb"):
        import duckdb

        duckdb.execute("SET threads = 1")
        query = "SELECT approx_count_distinct(column0) FROM keys"
        yield "duckdb approx_count_distinct", lambda keys: duckdb.execute(query).fetchall(), False


def frequents() -> Iterator[tuple[str, Job, bool]]:
    """Keys of a skewed stream: on random ones nothing is frequent, and everybody is slow."""
    yield "floodwatch TopK k=1024", lambda keys: TopK(k=1024).update(skewed(keys)).items(10), False
    yield "numpy unique, exact", lambda keys: np.unique(skewed(keys), return_counts=True), False
    if importlib.util.find_spec("datasketches"):
        from datasketches import frequent_strings_sketch

        update = frequent_strings_sketch(10).update  # takes text
        yield "datasketches frequent_strings", one_by_one(lambda key: update(str(key % 5000))), True


def skewed(keys: Keys) -> Keys:
    """Keys of which the n-th has about a share of 1/n."""
    return (np.exp2(keys.astype(np.float64) / 2**64 * 22)).astype(np.uint64)


def million_a_second(job: Job, keys: Keys, runs: int) -> float:
    took = []
    for _ in range(runs):
        start = time.perf_counter()
        job(keys)
        took.append(time.perf_counter() - start)
    return len(keys) / statistics.median(took) / 1e6


def compare(title: str, jobs: Iterator[tuple[str, Job, bool]], keys: Keys, runs: int) -> None:
    print(f"\n{title:<34} {'Mkeys/s':>9} {'floodwatch is':>14}")
    ours = 0.0
    for name, job, single in jobs:
        rate = million_a_second(job, keys[:FEW] if single else keys, runs)
        ours = ours or rate
        print(f"{name:<34} {rate:>9.2f} {f'{ours / rate:.1f} x':>14}")


def scalar_ns(call: Callable[[int], object], runs: int) -> float:
    """Nanoseconds of a call with a key it has not seen in this run, without the loop around it."""
    took = []
    for _ in range(runs):
        start = time.perf_counter()
        for key in range(FEW):
            call(key)
        calls = time.perf_counter() - start
        start = time.perf_counter()
        for _key in range(FEW):
            pass
        took.append(calls - (time.perf_counter() - start))
    return statistics.median(took) / FEW * 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--keys", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    keys = np.random.default_rng(1).integers(0, 2**64, args.keys, dtype=np.uint64)
    print(f"{args.keys:,} random 64-bit keys, kernels: {cpu()}, medians of {args.runs} runs")
    compare("count-min", countmins(), keys, args.runs)
    compare("distinct", distincts(), keys, args.runs)
    compare("frequent", frequents(), keys, args.runs)
    counts, distinct = CountMin(), HyperLogLog()
    print(f"\n{'one key a call':<34} {'ns':>9}")
    for name, call in [("CountMin.update", counts.update), ("CountMin.query", counts.query),
                       ("HyperLogLog.update", distinct.update)]:  # fmt: skip
        print(f"{name:<34} {scalar_ns(call, args.runs):>9.0f}")


if __name__ == "__main__":
    main()
