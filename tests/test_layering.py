"""The house rules a reviewer would have to remember: imports, places, names and the length of files."""

from __future__ import annotations

import ast
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import floodwatch

# The sources beside the tests: the rules are about them, wherever the package under test is installed.
ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "floodwatch"
MODULES = sorted(PACKAGE.rglob("*.py"))

ROOMS = (
    ("_engine", "_sketches"),
    ("version", "errors"),
    ("model",),
    ("config",),
    ("capture",),
    ("history",),
    ("detectors",),
    ("decide",),
    ("report",),
    ("mitigate",),
    ("pipeline",),
    ("api",),
    ("synth",),
    ("doctor", "daemon"),
    ("cli",),
    ("__main__", "__init__"),
)
"""The rooms of the house (modules and folders below floodwatch/), from the ground up.

Imports run downwards only; rooms on one floor do not know each other.
"""
FLOOR = {room: number for number, rooms in enumerate(ROOMS) for room in rooms}

ONLY_IN = {
    "scapy": {"synth", "api"},
    "pyroute2": {"mitigate"},
    "rich": {"cli"},
    "prometheus_client": {"daemon"},
    "click": {"cli"},
}
"""Third-party package -> the rooms that may import it."""

TOP_LEVEL = {
    "pyproject.toml",
    "setup.py",
    "README.md",
    "LICENSE",
    "bin",
    "floodwatch",
    "native",
    "tests",
    "pcaps",
}
BUILD_ARTEFACTS = {"build", "dist", "__pycache__"}
VAGUE_NAMES = {"utils", "util", "core", "base", "manager", "managers", "service", "services"}
MAX_LINES = {"py": 320, "c": 420}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names that a module imports, anywhere in it, relative ones resolved."""
    package = ["floodwatch", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, *filter(None, [node.module])])
            # "from floodwatch import model" names a module, "from floodwatch.model import Event" does not.
            yield from (f"{module}.{alias.name}" for alias in node.names)


def upwards(room: str, names: Iterator[str]) -> list[str]:
    """Which of these imports go up, or across a floor."""
    rooms = ((name, name.split(".")[1]) for name in names if name.startswith("floodwatch."))
    return [name for name, other in rooms if other != room and FLOOR[other] >= FLOOR[room]]


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 5
    assert "floodwatch.model.report.Report" in set(imports(PACKAGE / "report" / "text.py"))
    assert upwards("model", iter(["floodwatch.errors.InputError", "floodwatch.cli.main"])) == [
        "floodwatch.cli.main"
    ]


def test_every_room_stands_in_the_order() -> None:
    found = {room_of(path) for path in MODULES} | {path.stem for path in PACKAGE.glob("*.pyi")}
    assert found == set(FLOOR)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downwards(path: Path) -> None:
    room, names = room_of(path), list(imports(path))
    assert upwards(room, iter(names)) == []
    for name in names:
        top = name.split(".")[0]
        assert room in ONLY_IN.get(top, {room}), f"{path.name} imports {top}"


def test_no_module_bears_a_public_name() -> None:
    """Python sets a module that is imported as an attribute of its package: it would hide what we export."""
    below = {path.stem for path in PACKAGE.iterdir() if path.suffix in ("", ".py", ".pyi")}
    assert below & set(floodwatch.__all__) == set()


def test_top_level_is_closed() -> None:
    found = {name for name in os.listdir(ROOT) if not name.startswith(".") and not name.endswith(".egg-info")}
    if "PKG-INFO" in found:  # an unpacked sdist
        found -= {"PKG-INFO", "setup.cfg"}
    assert found - BUILD_ARTEFACTS <= TOP_LEVEL


def test_names_say_what_is_inside() -> None:
    for path in [*PACKAGE.rglob("*"), *(ROOT / "native").glob("*")]:
        assert path.stem.lower().removeprefix("fw_") not in VAGUE_NAMES, path


@pytest.mark.parametrize(
    "path",
    [*MODULES, *sorted((ROOT / "native").glob("fw_*.c"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_files_are_short_enough_to_read(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES[path.suffix[1:]]


def test_every_package_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {path.parent.relative_to(ROOT) for path in PACKAGE.rglob("__init__.py")}
    assert set(project["tool"]["setuptools"]["packages"]) == {".".join(folder.parts) for folder in folders}
