"""The house rules a reviewer would have to remember: imports, places, names and the length of files."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# The sources beside the tests: the rules are about them, wherever the package under test is installed.
ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "floodwatch"
MODULES = sorted(PACKAGE.rglob("*.py"))

RECORDS = {"model", "errors", "findings", "memory", "limits"}
STAGES = {"capture", "detectors", "verdict", "mitigate", "report", "synth"}
ALLOWED: dict[str, set[str]] = {
    "__init__": {
        "_native",
        "batches",
        "detector",
        "packets",
        "results",
        "window",
        "watching",
        "pipeline",
        "capture",
        "detectors",
        "verdict",
        "mitigate",
        "report",
        "config",
        *RECORDS,
    },
    "model": {"vectors"},
    "vectors": set(),
    "errors": set(),
    "findings": {"model"},
    "judge": RECORDS,
    "events": {"_native", "judge", "verdict", *RECORDS},
    "analysis": {"_native", "detectors", "verdict", "events", *RECORDS},
    "__main__": {"cli"},
    "config": RECORDS,
    "capture": {"_native", *RECORDS},
    "memory": {"errors"},
    "limits": {"errors", "vectors"},
    "detectors": {"_native", *RECORDS},
    "verdict": RECORDS,
    "mitigate": RECORDS,
    "report": RECORDS,
    "synth": RECORDS,
    "pipeline": {
        "_native",
        "config",
        "capture",
        "analysis",
        "events",
        "merging",
        "reading",
        *RECORDS,
    },
    "reading": {"_native", "capture", "config", *RECORDS},
    "merging": {"_native", "reading", *RECORDS},
    "interop": set(),
    "packets": {"_native", "interop"},
    "batches": {"_native", "capture", "config", "packets", "reading"},
    "window": {"_native", *RECORDS},
    "detector": {"_native", "analysis", "batches", "config", "packets", "report", "watching", *RECORDS},
    "results": {"config", "judge", "pipeline", "report", *RECORDS},
    "recorder": {"analysis", "capture", "report", *RECORDS},
    "taps": {"_native", "capture", "config", "recorder", *RECORDS},
    "live": {"config", "capture", "analysis", "events", "mitigate", "recorder", "taps", *RECORDS},
    "watching": {"live", "config", *RECORDS},
    "doctor": {"_native", "capture", "config", "mitigate", *RECORDS},
    "tuning": {"judge", *RECORDS},
    "privileges": RECORDS,
    "progress": {"config", "report"},
    "picture": {"live", "report", *RECORDS},
    "cli": {
        "_native",
        "analysis",
        "doctor",
        "judge",
        "pipeline",
        "live",
        "privileges",
        "mitigate",
        "progress",
        "picture",
        "synth",
        "tuning",
        "config",
        "report",
        *RECORDS,
    },
}
"""Part (module or folder below floodwatch/) -> the other parts that it may import."""

ONLY_IN = {
    "scapy": {"synth", "interop", "packets"},
    "pyroute2": {"mitigate"},
    "rich": {"progress", "picture"},
    "click": {"cli"},
}
"""Third-party package -> the parts that may import it."""

TOP_LEVEL = {"pyproject.toml", "setup.py", "README.md", "LICENSE", "floodwatch", "native", "tests", "pcaps"}
BUILD_ARTEFACTS = {"build", "dist", "__pycache__"}
VAGUE_NAMES = {"utils", "util", "core", "base", "manager", "managers", "service", "services"}
MAX_LINES = {"py": 320, "c": 420}


def part_of(path: Path) -> str:
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


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 5
    assert "floodwatch.model.Report" in set(imports(PACKAGE / "report" / "text.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_layers(path: Path) -> None:
    part = part_of(path)
    assert part in ALLOWED, f"add {part} to ALLOWED and say what it may import"
    for name in imports(path):
        top, *below = name.split(".")
        if top in ONLY_IN:
            assert part in ONLY_IN[top], f"{path.name} imports {top}"
        if top == "floodwatch" and below[0] != "__version__":
            assert below[0] in ALLOWED[part] | {part}, f"{path.name} imports {name}"


def test_stages_know_only_records() -> None:
    for stage in STAGES:
        assert ALLOWED[stage] - {"_native"} == RECORDS


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
