"""The report as a page: the facts of the JSON, nothing from elsewhere, hostile text inert, a real browser."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import floodwatch as fw
from floodwatch.report.formats import FORMATS, Shown
from floodwatch.report.page import render
from floodwatch.report.units import compact

sys.path.insert(0, str(Path(__file__).parent))
from sample_events import REPORT, SYN

PROGRAM = [sys.executable, "-P", "-m", "floodwatch"]
LAUNCH = Path(__file__).parents[1] / "pcaps" / "launch-day.pcap.gz"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[2J\u202eevil\u2028=cmd|'/c calc'!A1"
EMPTY = {"meta", "path", "rect"}
Need = Callable[[object, str], None]


class Page(HTMLParser):
    """Elements with their attributes, all text, and the articles' text; complains of what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.articles: list[list[str]] = []
        self.style = ""
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "article":
            self.articles.append([])
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"]:
            self.style += data
        self.words.append(data)
        if "article" in self.open:
            self.articles[-1].append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, dict[str, Any], bytes]:
    """The page and the JSON of one scan."""
    folder = tmp_path_factory.mktemp("page")
    command = [*PROGRAM, "scan", "--report", folder / "r.html", "--format", "json", "-o", folder / "r.json"]
    assert subprocess.run([*command, LAUNCH], check=False).returncode == 1
    raw = (folder / "r.html").read_bytes()
    return Page(raw.decode()), json.loads((folder / "r.json").read_bytes()), raw


def test_the_page_tells_what_the_json_tells(both: tuple[Page, dict[str, Any], bytes]) -> None:
    page, report, _ = both
    events = [*report["floods"], *report["crowds"], *report["surges"]]
    assert len(page.articles) == len(events) > 3
    for words, event in zip(page.articles, events, strict=True):
        told = " ".join(words)
        assert event["id"] in words
        assert event["victim"]["ip"] in told
        assert f"{event['severity']} severity, confidence {event['confidence']:.2f}" in words
        assert f"peak {compact(event['rate']['peak'])} " in told
        assert f"{event['packets']:,} " in told
        assert (event["technique"] is not None) is (event["verdict"] in ("attack", "mixed"))
        assert (event["technique"] or "") in told
        for fact in event["evidence"]:
            assert fact["says"] in told
        for source in [*event["sources"]["top"], *event["sources"]["seen"]]:
            assert source["cidr"] in words
    for near in report["nearest"]:
        assert near["why"] in page.text
    for item in report["inputs"]:
        assert item["path"] in page.words
        assert f"{item['packets']:,} packets" in page.text


def test_the_page_asks_nobody_and_runs_nothing(both: tuple[Page, dict[str, Any], bytes]) -> None:
    page, _, raw = both
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "image", "use"}
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on") or name in ("style", "src", "srcset")]
    links = [attributes.get("href") for tag, attributes in page.elements if tag == "a"]
    targets = {attributes.get("id") for _, attributes in page.elements}
    assert links
    assert all(link and link[0] == "#" and link[1:] in targets for link in links)
    assert "url(" not in page.style
    assert "@import" not in page.style
    assert b"://" not in raw
    (policy,) = [a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a]
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert str(policy).startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


def test_every_plot_says_what_it_shows(both: tuple[Page, dict[str, Any], bytes]) -> None:
    page, told, raw = both
    pictures = raw.count(b'role="img"')
    assert pictures == 1 + len(told["traffic"]) + len(page.articles)
    assert raw.count(b"<title>") == pictures + 1
    assert len(raw) < 300_000


def test_hostile_text_is_inert() -> None:
    victim = replace(SYN.victim, path=HOSTILE, sni=HOSTILE)
    event = replace(SYN, victim=victim, input=HOSTILE, id=HOSTILE)
    report = replace(
        REPORT, floods=(event,), inputs=tuple(replace(item, path=HOSTILE) for item in REPORT.inputs)
    )
    text = render(report)
    page = Page(text)
    assert not {"script", "img"} & {tag for tag, _ in page.elements}
    assert "<script>alert(1)</script>" in page.text  # as text, for the analyst
    assert not set("\x1b\u202e\u2028") & set(text)


def test_a_day_with_many_events_stays_small() -> None:
    many = tuple(
        replace(SYN, id=f"{number}", timeline=tuple(float(number * step % 977) for step in range(60)))
        for number in range(200)
    )
    text = render(replace(REPORT, floods=many))
    assert len(Page(text).articles) == 200
    assert len(text.encode()) < 1_000_000


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    copy = tmp_path / "own.pcap.gz"
    copy.write_bytes(LAUNCH.read_bytes())
    over = subprocess.run([*PROGRAM, "scan", "--report", copy, copy], capture_output=True, check=False)
    assert over.returncode == 2
    assert b"overwrite a capture" in over.stderr
    nowhere = [*PROGRAM, "scan", "--report", tmp_path / "no" / "r.html", copy]
    missing = subprocess.run(nowhere, capture_output=True, check=False)
    assert missing.returncode == 4
    assert b"cannot write" in missing.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["own.pcap.gz"]
    assert copy.read_bytes() == LAUNCH.read_bytes()


def test_programs_get_the_page_too(tmp_path: Path) -> None:
    report = fw.scan(LAUNCH, seed=bytes(16))
    assert report.to_html(tmp_path / "r.html") == report.to_html() == (tmp_path / "r.html").read_text("utf-8")


def test_the_brief_verdict_fits_in_a_ticket() -> None:
    quiet = replace(SYN, severity="low")
    many = tuple(replace(quiet, id=str(number)) for number in range(50))
    grave = replace(SYN, severity="critical", victim=replace(SYN.victim, path=HOSTILE * 20))
    text = FORMATS["brief"].report(replace(REPORT, floods=(*many, grave)), Shown()).decode()
    first, second, *_, last = text.splitlines()
    assert first.startswith("floodwatch: 51 floods in edge-0217.pcap.gz, 31,402,118 packets")
    assert second.startswith("CRITICAL SYN flood, forged sources: 198.51.100.7:443")
    assert last == f"and {51 - (len(text.splitlines()) - 2)} more: --format text"
    assert len(text) <= 2048
    assert text.isascii()
    assert "\x1b" not in text
    done = subprocess.run([*PROGRAM, "scan", "--brief", LAUNCH], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("\n")) == (1, 7)


@pytest.mark.slow
def test_a_browser_shows_it_and_complains_of_nothing(tmp_path: Path, need: Need) -> None:
    browser = shutil.which("chromium")
    need(browser, "the page is looked at in chromium")
    fw.scan(LAUNCH, seed=bytes(16)).to_html(tmp_path / "r.html")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
               "--disable-component-update", "--disable-sync", "--no-first-run", "--window-size=1000,1000",
               f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr",
               f"--screenshot={tmp_path / 'r.png'}", f"file://{tmp_path / 'r.html'}"]  # fmt: skip
    done = subprocess.run([str(browser), *options], capture_output=True, text=True, check=True, timeout=120)
    assert "CONSOLE" not in done.stderr, done.stderr
    assert (tmp_path / "r.png").stat().st_size > 30_000  # a white page of that size takes some 5 kB
