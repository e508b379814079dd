"""``explain`` for people: an event in full, what an address is in a report, and what a report lacks."""

from __future__ import annotations

import ipaddress
import json
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import floodwatch as fw
from floodwatch.cli import main
from floodwatch.model.event import Event, TopSource, Via
from floodwatch.model.report import Host, Near, Report, Traffic
from floodwatch.report.escape import columns
from floodwatch.report.explained import address_text, event_text, fewer
from floodwatch.report.formats import FORMATS, Shown

sys.path.insert(0, str(Path(__file__).parent))
from sample_events import CROWD, HTTP, REPORT, SYN

LAUNCH = Path(__file__).parents[1] / "pcaps" / "launch-day.pcap.gz"
SEEN = TopSource(cidr="192.0.2.44", share=0.4, count=HTTP.sources.top[0].count)
NTP = replace(
    HTTP, vector=fw.Vector.NTP_AMPLIFICATION, victim=replace(SYN.victim, ip="198.51.100.0/24", port=None),
    sources=replace(HTTP.sources, origin="reflected"),
)  # fmt: skip
NEAR = Near(
    input="a.pcap", vector=SYN.vector, victim=replace(SYN.victim, ip="198.51.100.50"), what="a rule",
    measured=80.0, floor=125.0, share=0.64, usual=None, at="2025-01-27T02:17:40Z", why="it met 80 of 125",
)  # fmt: skip
BUSY = tuple(Host(address=f"198.51.{n}.9", packets=70_000 * n, peak=400.0 * n) for n in (1, 100, 101))
HELD = replace(
    REPORT,
    floods=(
        replace(SYN, sources=replace(SYN.sources, seen=(SEEN,))),
        replace(HTTP, sources=replace(HTTP.sources, via=(Via(cidr="10.0.0.0/28", share=0.9, how="named"),))),
        NTP,
    ),
    crowds=(CROWD,),
    nearest=(NEAR,),
    traffic=(Traffic(input="a.pcap", first=SYN.first, step_s=1.0, packets={}, bits=(), hosts=BUSY),),
)


def of(address: str, report: Report = HELD) -> str:
    return " ".join(address_text(report, ipaddress.ip_network(address), "r.json", width=100).split())


def explained(*argv: object) -> Result:
    done = CliRunner().invoke(main, ["explain", *map(str, argv)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The report of a scan with five sources a flood, and with all."""
    folder = tmp_path_factory.mktemp("explained")
    paths = folder / "five.json", folder / "all.json"
    for path, top in zip(paths, (5, 0), strict=True):
        path.write_text(fw.scan(LAUNCH, seed=bytes(16), top=top).to_json())
    return paths


def test_an_address_is_told_by_all_that_it_is() -> None:
    victim = of("198.51.100.7")
    assert "victim of 1 SYN flood, forged sources: 198.51.100.7:443, 2025-01-27 02:17:40 to" in victim
    assert "victim of 3 NTP amplification (reflection): 198.51.100.0/24" in victim, "inside of the prefix"
    assert victim.endswith("more floodwatch explain r.json N, where N is 1, 3")
    source = of("203.0.113.2")
    assert "source of 2 HTTP flood at [2001:db8::9]:80" in source
    assert "203.0.113.2/32 10 % 90 to 99" in source
    assert "reflector of 3 NTP" in source
    assert "seen as a sender of 1 SYN flood" in of("192.0.2.44")
    assert "not proven, so it may be forged" in of("192.0.2.44")
    assert "proxy of 2 HTTP flood" in of("10.0.0.3")
    assert "90 % came through it, a proxy that you named" in of("10.0.0.3")
    assert "nearest to a flood, and none: SYN flood at 198.51.100.50:443" in of("198.51.100.50")


def test_what_stayed_normal_is_said_to_be_normal() -> None:
    assert "normal 198.51.1.9: 70,000 packets at least, at most 400 packets/s, and no flood" in of(
        "198.51.1.9"
    )
    assert "got 198.51.100.9: 7,000,000 packets" in of("198.51.100.9"), "a victim, by its prefix"
    assert "normal" not in of("198.51.100.9")
    assert of("198.51.0.0/16").count("normal") == 2, "a network is told by its hosts"


def test_what_a_report_cannot_know_it_does_not_deny() -> None:
    text = of("192.0.2.1")
    assert text.startswith("192.0.2.1 unnamed no event, near miss or busy host of the report names it")
    assert "unsure whether it sent 1: the sources are forged" in text
    assert "unsure whether it sent 2, 3, 4: not all of the sources are listed, scan with --top 0" in text
    assert "more" not in text
    whole = replace(HTTP.sources, distinct=replace(HTTP.sources.distinct, est=7, lo=7, hi=7))
    text = of("192.0.2.1", replace(HELD, floods=(replace(HTTP, sources=whole),), crowds=()))
    assert "unsure" not in text, "all of them are listed, and it is none"


def test_the_command_takes_numbers_ids_addresses_and_networks(files: tuple[Path, Path]) -> None:
    five, _ = files
    held = json.loads(five.read_text())
    top = held["floods"][3]["sources"]["top"][0]["cidr"]
    first = explained(five, 4).stdout
    assert first == explained(five, held["floods"][3]["id"]).stdout
    assert first.startswith("HTTP flood (attack)")
    assert f"source    {top} " in first
    assert "source    of 4 HTTP flood" in explained(five, top).stdout
    assert explained(five, f"::ffff:{top}").stdout == explained(five, top).stdout
    assert explained(five, "198.51.100.7").stdout.count("\nvictim") == 6
    assert explained(five, "198.51.100.0/24").exit_code == 0
    done = explained(five, "198.51.100.7", "--as", "nft")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "rules are against an event, not an address" in done.stderr
    assert (explained(five, "198.51.100.700").exit_code, explained(five, 99).exit_code) == (2, 2)


def test_that_a_report_holds_fewer_sources_is_said_on_standard_error(files: tuple[Path, Path]) -> None:
    five, everything = files
    for style in ("text", "nft", "iptables", "flowspec", "nginx", "haproxy", "cdn"):
        done = explained(five, 4, "--as", style)
        said = f"floodwatch: {five}: the report lists 5 of at least 39 sources: scan with --top 0"
        assert done.stderr.startswith(said), style
        assert done.stderr.count("\n") == 1
        assert explained(everything, 4, "--as", style).stderr == "", style
    assert "the report lists 5 of at least" in explained(five, 2).stderr
    assert explained(five, 2, "--as", "nft").stderr == "", "rules against reflectors name none of them"
    assert explained(five, 5).stderr == "", "of a forged flood no source is listed at all"
    assert fewer(SYN) == ""


def test_it_wraps_at_the_width_of_the_terminal(files: tuple[Path, Path]) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb"), os.fdopen(theirs, "wb"):
        termios.tcsetwinsize(theirs, (24, 47))
        plain = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        command = [sys.executable, "-P", "-m", "floodwatch", "explain", str(files[1]), "5"]
        subprocess.run(command, stdout=theirs, env=plain, check=True)
        shown = os.read(ours, 1 << 16).decode().splitlines()
    assert len(shown) > 10
    assert 42 <= max(map(len, shown)) <= 47
    report = fw.Report.from_json(files[1].read_text())
    for width in (40, 60, 80, 100):
        pages = [event_text(event, width=width) for event in report.events()]
        pages.append(address_text(report, ipaddress.ip_network("198.51.100.7"), "r.json", width=width))
        lines = [line for page in pages for line in page.splitlines()]
        assert width - 6 < max(map(len, lines)) <= width
        assert all(re.match(r"\S", line) or line.startswith(" " * 10) for line in lines)
    words = [" ".join(event_text(report.floods[3], width=width).split()) for width in (60, 100)]
    assert words[0] == words[1]


@given(st.text(max_size=80), st.integers(40, 120), st.booleans())
def test_hostile_text_is_shown_as_what_it_is(text: str, width: int, unicode: bool) -> None:
    """Also where whoever wrote the report put text in the place of addresses."""
    facts = tuple(replace(fact, says=text) for fact in SYN.evidence)
    odd = replace(SEEN, cidr=text)
    event: Event = replace(
        SYN, id=text, input=text, evidence=facts, victim=replace(SYN.victim, ip=text, path=text, sni=text),
        sources=replace(SYN.sources, top=(odd,), seen=(odd,)), display_filter=text, linked=(text,),
    )  # fmt: skip
    odd_host = replace(HELD.traffic[0], hosts=(replace(BUSY[0], address=text),), input=text)
    report = replace(HELD, floods=(event,), traffic=(odd_host, *HELD.traffic))
    everything = ipaddress.ip_network("0.0.0.0/0")
    pages = (event_text(event, width=width, unicode=unicode),
             address_text(report, everything, "r.json", width=width, unicode=unicode))  # fmt: skip
    for page in pages:
        assert page.replace("\n", "").isprintable()
        assert page.splitlines() == page.split("\n")[:-1]
        assert unicode or page.isascii()
        assert max(columns(line) for line in page.splitlines()) <= width


def test_the_page_and_the_text_number_alike() -> None:
    text, page = (FORMATS[name].report(HELD, Shown()).decode() for name in ("text", "html"))
    numbered = dict(re.findall(r"^ (\d)  (\w+ \w+)", text, re.MULTILINE))
    assert list(numbered) == ["1", "2", "3", "4"]
    for number, named in numbered.items():
        assert f'<span class="number">{number}</span> {named}' in page
