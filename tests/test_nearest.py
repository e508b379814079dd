"""What came nearest to a flood and was none: an answer of "no flood" says how far off it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from sample_events import SYN
from test_report import REPORT, UNSAFE

from floodwatch.cli import main
from floodwatch.model.report import Near
from floodwatch.report.escape import columns
from floodwatch.report.text import render

SEED = "00112233445566778899aabbccddeeff"
NEAR = Near(
    input="edge-0217.pcap.gz", vector=SYN.vector, victim=SYN.victim, what="a rule",
    measured=80.0, floor=125.0, share=0.64, usual=None, at="2025-01-27T02:17:40Z", why="it met 80 of 125",
)  # fmt: skip


def scanned(tmp_path: Path, pps: int, *options: str) -> dict[str, Any]:
    path = str(tmp_path / f"{pps}.pcap")
    made = CliRunner().invoke(main, ["gen", "udp-flood", "-w", path, "--pps", str(pps), "--duration", "2"])
    assert made.exit_code == 0, made.output
    called = CliRunner().invoke(main, ["scan", "-q", "--format", "json", "--seed", SEED, *options, path])
    report: dict[str, Any] = json.loads(called.stdout)
    return report


def test_what_stayed_below_its_floor_is_told_with_both_numbers(tmp_path: Path) -> None:
    report = scanned(tmp_path, 400)
    assert report["floods"] == []
    near, *_ = report["nearest"]
    assert (near["vector"], near["victim"]["ip"]) == ("udp_flood", "198.51.100.7")
    assert near["share"] == pytest.approx(near["measured"] / near["floor"], abs=0.01)
    assert 0.25 <= near["share"] < 1
    assert near["why"].startswith("it met ")
    assert report["inputs"][0]["first"] <= near["at"] <= report["inputs"][0]["last"]
    assert scanned(tmp_path, 400, "--jobs", "2")["nearest"] == report["nearest"]


def test_what_became_a_flood_came_not_only_near_it(tmp_path: Path) -> None:
    report = scanned(tmp_path, 1200)
    assert [flood["vector"] for flood in report["floods"]] == ["udp_flood"]
    assert "udp_flood" not in [near["vector"] for near in report["nearest"]]


def test_your_own_floor_is_named(tmp_path: Path) -> None:
    report = scanned(tmp_path, 1200, "--set", "udp_flood=2000")
    assert report["floods"] == []
    near = next(near for near in report["nearest"] if near["vector"] == "udp_flood")
    assert near["floor"] == 500
    assert "your own limit of 2,000 per second" in near["why"]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_it_stands_in_the_text_and_keeps_to_the_width(width: int) -> None:
    hostile = msgspec.structs.replace(NEAR, why="\x1b[2J\u202e" + "x" * 90)
    page = render(msgspec.structs.replace(REPORT, floods=(), nearest=(NEAR, hostile)), width=width)
    assert "it met 80 of 125 (64 %)" in " ".join(page.split())
    assert not UNSAFE.search(page)
    assert max(columns(line) for line in page.splitlines()) <= width


def test_the_next_commands_are_whole_for_a_shell(tmp_path: Path) -> None:
    path = "a capture.pcap"
    item = msgspec.structs.replace(REPORT.inputs[0], path=path)
    page = render(msgspec.structs.replace(REPORT, inputs=(item,)), width=60)
    assert f"scan --format json --top 0 -o report.json '{path}'" in page.replace("\\\n    ", "")
