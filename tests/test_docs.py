"""What the documentation says: the snippets run, the types hold, the import is light."""

from __future__ import annotations

import doctest
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import floodwatch

Need = Callable[[object, str], None]
HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize("name", ["floodwatch", *floodwatch.__all__])
def test_docstrings_run(name: str) -> None:
    thing = floodwatch if name == "floodwatch" else getattr(floodwatch, name)
    finder = doctest.DocTestFinder(recurse=False)
    for test in finder.find(thing, name, module=False, globs={}):
        assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize(("name", "says"), [
    ("walk", ["41,582 packets", "http_flood: 198.51.100.7, 39 sources listed", "a crowd, not an attack"]),
    ("log_lines", ["1,000,000 requests", "/page/0: 249,9"]),
    ("service", ["open: attack http_flood", "would do: add", "40 steps planned, none taken"]),
])  # fmt: skip
def test_examples_run(name: str, says: list[str]) -> None:
    program = HERE / "examples" / f"{name}.py"
    run = subprocess.run([sys.executable, "-P", str(program)], capture_output=True, text=True, check=True)
    for words in says:
        assert words in run.stdout


@pytest.mark.parametrize("name", ["CountMin", "Detector", "HyperLogLog", "TopK", "Window"])
def test_sketches_have_an_example(name: str) -> None:
    assert ">>>" in getattr(floodwatch, name).__doc__


def test_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (HERE.parent / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(HERE.parent)
    test = doctest.DocTestParser().get_doctest(text, {}, "README", "README.md", 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


def test_types_hold(need: Need) -> None:
    need(importlib.util.find_spec("mypy"), "mypy is not installed")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--follow-imports=silent",
        "typed_api.py",
    ]
    place = Path(floodwatch.__file__).parents[1]  # an editable install is nowhere that mypy would look
    path = {} if place.name == "site-packages" else {"MYPYPATH": str(place)}
    run = subprocess.run(
        command, capture_output=True, text=True, cwd=HERE, env={**os.environ, **path}, check=False
    )
    assert run.returncode == 0, run.stdout


LIGHT = """
import json, sys, time
start = time.perf_counter()
import floodwatch
floodwatch.CountMin
print(json.dumps([sorted({name.partition(".")[0] for name in sys.modules}), time.perf_counter() - start]))
"""


def test_import_pulls_in_numpy_only() -> None:
    run = subprocess.run([sys.executable, "-P", "-c", LIGHT], stdout=subprocess.PIPE, check=True)
    modules, _ = json.loads(run.stdout)
    for heavy in ("msgspec", "click", "rich", "scapy", "pyroute2", "pandas"):
        assert heavy not in modules


FIRST = """
import inspect, os, sys
import msgspec, numpy, pyroute2  # of others; each child begins with none of our own modules
def look(asked):
    import floodwatch as fw
    first = getattr(fw, asked)
    for name in fw.__all__:
        thing = getattr(fw, name)
        assert not inspect.ismodule(thing), f"{name} is {thing} after {asked}"
        assert name in ("__version__", "Verdict") or callable(thing), name
    assert getattr(fw, asked) is first
for asked in sys.argv[1:]:
    if os.fork() == 0:
        look(asked)
        os._exit(0)
    assert os.wait()[1] == 0, asked
"""


@pytest.mark.slow
def test_every_name_is_itself_whatever_was_used_first() -> None:
    """Modules that are imported become attributes of their package: none may take a public name."""
    command = [sys.executable, "-P", "-c", FIRST, *floodwatch.__all__]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_every_name_is_there() -> None:
    assert set(floodwatch.__all__) <= set(dir(floodwatch))
    with pytest.raises(AttributeError, match="nonsense"):
        floodwatch.nonsense  # noqa: B018
