"""The tutorial does what it says: its commands run in one shell, and each block shows what they print."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = ROOT / "floodwatch" / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*(?:(?<=\\)\n.*)*)\n?((?:(?!\$ ).*\n?)*)", re.MULTILINE)
MARK = "--- next ---"
BUDGET_S = 120.0
"""Of the ten minutes, what the machine may take."""


def shown() -> list[tuple[str, str]]:
    """Every command, and what the tutorial says that it prints."""
    blocks = BLOCK.findall(TUTORIAL.read_text(encoding="utf-8"))
    return [(command, says) for block in blocks for command, says in COMMAND.findall(block)]


def test_every_block_runs_and_prints_what_it_shows(tmp_path: Path) -> None:
    work, programs = tmp_path / "work", tmp_path / "bin"
    work.mkdir()
    programs.mkdir()
    (work / "pcaps").symlink_to(ROOT / "pcaps")
    program = programs / "floodwatch"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m floodwatch "$@"\n')
    program.chmod(0o755)
    steps = shown()
    script = "exec 2>&1\n" + "".join(
        f"{command}\ncode=$?; echo; echo '{MARK}'; (exit $code)\n" for command, _ in steps
    )
    plain = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    run = subprocess.run(
        ["bash", "-c", script], cwd=work, capture_output=True, text=True, timeout=BUDGET_S, check=False,
        env={**plain, "PATH": f"{programs}:{plain['PATH']}"},
    )  # fmt: skip
    printed = run.stdout.split(f"\n{MARK}\n")[:-1]
    assert len(printed) == len(steps) > 10
    checker = doctest.OutputChecker()
    for (command, says), output in zip(steps, printed, strict=True):
        matches = checker.check_output(says, output, doctest.ELLIPSIS)
        assert matches, f"$ {command}\n{output}\nbut the tutorial shows\n{says}"


def test_no_block_is_left_out() -> None:
    text = TUTORIAL.read_text(encoding="utf-8")
    assert text.count("```") == 2 * len(BLOCK.findall(text))
    assert len(re.findall(r"^\$ ", text, re.MULTILINE)) == len(shown())
