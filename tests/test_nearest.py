"""What came nearest to a flood and was none: an answer of "no flood" says how far off it was."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from sample_events import SYN
from test_report import REPORT, UNSAFE

from floodwatch.cli import main
from floodwatch.model.event import Severity
from floodwatch.model.report import Near, Report
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


@pytest.mark.parametrize("width", [40, 60, 100])
def test_the_next_commands_are_whole_for_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(Path(__file__).parents[1] / "pcaps" / "syn_flood.pcap.gz", "it's a.gz")
    only = CliRunner().invoke(main, ["scan", "-q", "--format", "json", "-f", "ip and tcp", "it's a.gz"])
    page = render(msgspec.json.decode(only.stdout, type=Report), width=width)
    scan, explain = page.replace("\\\n", "").splitlines()[-2:]
    assert shlex.split(scan)[-3:] == ["-f", "ip and tcp", "it's a.gz"]
    for line, code in ((scan, 1), (explain, 0)):
        name, *argv = shlex.split(line)
        done = CliRunner().invoke(main, argv)
        assert (name, done.exit_code) == ("floodwatch", code), done.output
    assert "there is nothing to load" in done.stdout
    made = {"it's a.gz", "flood-1.pcapng", "report.html", "report.json"}
    assert {path.name for path in tmp_path.iterdir()} == made
    assert json.loads(Path("report.json").read_text())["settings"]["filter"] == "ip and tcp"


def test_the_gravest_flood_is_cut_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(*floods: tuple[Severity, int]) -> str:
        events = tuple(
            msgspec.structs.replace(REPORT.floods[0], severity=grave, packets=count)
            for grave, count in floods
        )
        return " ".join(render(msgspec.structs.replace(REPORT, floods=events)).replace("\\\n", "").split())

    for floods, number in (
        ([("low", 9), ("high", 1), ("medium", 99)], 2),
        ([("high", 5), ("low", 9), ("high", 7), ("high", 7)], 3),
        ([("medium", 1), ("critical", 1)], 2),
    ):  # fmt: skip
        page = told(*floods)
        assert f"Next, the frames of flood {number}, the gravest, a page to send" in page
        assert f"--cut {number} -w flood-{number}.pcapng " in page
        assert f"floodwatch explain report.json {number} --as nft" in page
    assert "Next, the frames of the flood, a page to send" in told(("low", 1))


def test_what_cannot_be_typed_is_left_to_the_reader() -> None:
    def told(width: int = 80, **settings: Any) -> str:
        names = [msgspec.structs.replace(REPORT.inputs[0], path=path) for path in settings.pop("paths")]
        changed = msgspec.structs.replace(REPORT.settings, **settings)
        return render(msgspec.structs.replace(REPORT, inputs=tuple(names), settings=changed), width=width)

    for paths in (["a.pcap", "b.pcap"], ["caf\xe9.pcap"], ["-f.pcap"], ["x" * 90]):
        assert " CAPTURE...\n" in told(paths=paths)
    assert "floodwatch scan" not in told(paths=["-"])
    ja4 = "t13d1516h2_8daaf6152771_e5627efa2ab1"
    page = " ".join(told(paths=["a.pcap"], ja4=(ja4,), filter="x" * 99).replace("\\\n", "").split())
    assert f"report.json -f FILTER --filter-ja4 {ja4} a.pcap" in page
    assert "--cut" not in page
    assert "Next, a page to send" in page
    assert "--filter-ja4 JA4" in told(40, paths=["a.pcap"], ja4=(ja4,))
