"""``floodwatch sketch`` over files that a program saved."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from floodwatch import CountMin, HyperLogLog

SEED = bytes(range(16))


def sketch(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "floodwatch", "sketch", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def saved(path: Path, made: CountMin | HyperLogLog) -> Path:
    path.write_bytes(made.to_bytes())
    return path


def test_days_become_a_week_and_answer(tmp_path: Path) -> None:
    days = [
        saved(
            tmp_path / f"{day}.fwsk", CountMin(seed=SEED).update(["203.0.113.9", 7, "/login"], [day, 10, 1])
        )
        for day in range(1, 4)
    ]
    assert sketch("merge", *days, "-o", tmp_path / "week.fwsk").returncode == 0
    one, week = map(json.loads, sketch("info", days[0], tmp_path / "week.fwsk").stdout.splitlines())
    assert (one["kind"], one["depth"], one["width"], one["total"]) == ("CountMin", 4, 65536, 12)
    assert week["total"] == 6 + 30 + 3
    answers = sketch(
        "query", tmp_path / "week.fwsk", "--seed", SEED.hex(), "--key", "/login", "--number", "7"
    )
    assert [json.loads(line) for line in answers.stdout.splitlines()] == [
        {"key": "/login", "count": {"lo": 3, "hi": 3}},
        {"key": 7, "count": {"lo": 30, "hi": 30}},
    ]


def test_an_address_is_asked_as_an_address(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.fwsk", CountMin(seed=SEED).update(np.array([0xCB007109], dtype=np.uint32), 5))
    answer = sketch("query", path, "--seed", SEED.hex(), "--key", "203.0.113.9")
    assert json.loads(answer.stdout)["count"]["hi"] == 5


def test_distinct_counts_merge_without_their_key(tmp_path: Path) -> None:
    parts = [HyperLogLog(seed=SEED).update(np.arange(at, at + 5000)) for at in (0, 2500)]
    files = [saved(tmp_path / f"{at}.fwsk", part) for at, part in enumerate(parts)]
    assert sketch("merge", *files, "-o", tmp_path / "all.fwsk").returncode == 0
    assert (tmp_path / "all.fwsk").read_bytes() == (parts[0] | parts[1]).to_bytes()
    answer = json.loads(sketch("info", tmp_path / "all.fwsk").stdout)
    assert answer["kind"] == "HyperLogLog"
    assert answer["distinct"]["lo"] <= 7500 <= answer["distinct"]["hi"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["info", "missing.fwsk"], 3, "missing.fwsk: cannot be read"),
        (["info", "cut.fwsk"], 3, "cut.fwsk: no sketch that this version reads: wrong size"),
        (["merge", "counts.fwsk", "distinct.fwsk", "-o", "out.fwsk"], 3, "distinct.fwsk: a HyperLogLog"),
        (
            ["merge", "counts.fwsk", "other.fwsk", "-o", "out.fwsk"],
            3,
            "other.fwsk: sketches under different hash",
        ),
        (["merge", "counts.fwsk", "-o", "counts.fwsk"], 2, "would overwrite"),
        (
            ["query", "distinct.fwsk", "--seed", SEED.hex(), "--number", "1"],
            2,
            "cannot be asked for single keys",
        ),
        (["query", "counts.fwsk", "--seed", SEED.hex()], 2, "name a --key"),
        (["query", "counts.fwsk", "--seed", "00" * 16, "--number", "1"], 3, "another key"),
        (["query", "counts.fwsk", "--seed", "secret"], 2, "32 hexadecimal digits"),
        (["info"], 2, "Missing argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    counts = saved(Path("counts.fwsk"), CountMin(width=64, seed=SEED))
    saved(Path("other.fwsk"), CountMin(width=64, seed=bytes(16)))
    saved(Path("distinct.fwsk"), HyperLogLog(seed=SEED))
    Path("cut.fwsk").write_bytes(counts.read_bytes()[:-1])
    run = sketch(*words)
    assert (run.returncode, run.stdout) == (code, "")
    assert says in run.stderr
    assert "secret" not in run.stderr
    assert not Path("out.fwsk").exists()
