"""The report as text and JSON: what it says, how wide it is, and that hostile text is never shown raw."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from sample_events import CROWD, INPUT, REPORT, SYN

from floodwatch.model.report import InputFault, Report
from floodwatch.model.vector import Vector
from floodwatch.report import course
from floodwatch.report.escape import clip, columns, flow, look, printable
from floodwatch.report.events import line
from floodwatch.report.formats import FORMATS, Shown
from floodwatch.report.json import dump, schema
from floodwatch.report.text import render

replace = msgspec.structs.replace

UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

GOLDEN = """\
edge-0217.pcap.gz   2.1 GB   31,402,118 packets
  2025-01-27 02:13:07 to 02:28:41 UTC (15m34s)
decoded 99.98 %   truncated 6,211   not ip 40

2 FLOODS
 1  SYN flood, forged sources                           HIGH     confidence 0.97
    victim    198.51.100.7:443   02:17:40 to 02:24:10 (6m30s)
    rate      peak 412k SYN/s, usual 1.1k (x374)
    course    ...............::::::::######################--------.......
              02:17:40 ---------------- 02:20:55 ---------------- 02:24:10
    volume    98,000,000 packets   6.3 GB   about 211 Mbit/s at the peak
    sources   about 3.9M (+-1.6 %), forged, 99 % of the flood forged
    because   0.1 % of the SYNs were ever followed by an ACK
              the TTLs are spread evenly over all values
    so        the addresses are forged: blocking them would hit bystanders. Let
              SYN cookies protect the victim (Linux has them on by default).
 2  HTTP flood                                          MEDIUM   confidence 0.88
    victim    [2001:db8::9]:80   /search
              02:17:40 to 02:24:10 (6m30s, the capture ends first)
    rate      peak 8.2k req/s, usual 140 (x59)   in pulses
    course    ...............::::::::######################--------.......
              02:17:40 ---------------- 02:20:55 ---------------- 02:24:10
    volume    98,000,000 requests   6.3 GB   about 4.2 Mbit/s at the peak
    sources   41, proven real by finished handshakes, the largest sends 20 %
              203.0.113.1/32 20 %   203.0.113.2/32 10 %   203.0.113.3/32 6.7 %
              203.0.113.4/32 5 %   203.0.113.5/32 4 %   (--top 0 lists all)
    because   0.1 % of the SYNs were ever followed by an ACK
              the TTLs are spread evenly over all values
    so        all of them finished handshakes. Block the listed sources.

Full detail: --format json
Next, the frames of flood 1, the gravest, a page to send, every source, and the
rules against it:
  floodwatch scan --cut 1 -w flood-1.pcapng --report report.html --format json \\
    --top 0 -o report.json edge-0217.pcap.gz
  floodwatch explain report.json 1 --as nft
"""


def with_text(text: str) -> Report:
    """Return a report in which every string that strangers write is ``text``."""
    facts = tuple(replace(fact, says=text) for fact in SYN.evidence)
    event = replace(SYN, input=text, victim=replace(SYN.victim, path=text), evidence=facts)
    fault = InputFault(code="truncated_record", offset=77, message=text)
    source = replace(INPUT, path=text, error=fault, rejected={text: 3})
    settings = replace(REPORT.settings, filter=text)
    return replace(REPORT, inputs=(source, INPUT), floods=(event,), crowds=(event,), settings=settings)


def validate(data: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(data)
    Draft202012Validator(json.loads(schema())).validate(document)
    return document


def test_golden_report() -> None:
    assert render(REPORT) == GOLDEN


def test_the_same_report_gives_the_same_text() -> None:
    shuffled = replace(REPORT, inputs=(replace(INPUT, rejected={"truncated": 6211, "not_ip": 40}),))
    assert render(shuffled) == render(REPORT)


@pytest.mark.parametrize(
    ("vector", "origin", "title"),
    [
        (Vector.SYN_FLOOD, "real", "SYN flood   "),
        (Vector.UDP_FLOOD, "mixed", "UDP flood, partly forged sources"),
        (Vector.ICMP_FLOOD, "unknown", "ICMP flood   "),
        (Vector.NTP_AMPLIFICATION, "reflected", "NTP amplification (reflection)"),
        (Vector.NATPMP_AMPLIFICATION, "reflected", "NAT-PMP amplification (reflection)"),
    ],
)
def test_titles_are_plain_words(vector: Vector, origin: Any, title: str) -> None:
    event = replace(SYN, vector=vector, sources=replace(SYN.sources, origin=origin))
    assert f" 1  {title}" in render(replace(REPORT, floods=(event,)))


@pytest.mark.parametrize("vector", list(Vector))
@pytest.mark.parametrize("verdict", ["attack", "mixed", "crowd", "unclear"])
def test_every_vector_has_a_title_that_fits(vector: Vector, verdict: Any) -> None:
    event = replace(SYN, vector=vector, verdict=verdict)
    told: dict[str, Any] = dict.fromkeys(("floods", "crowds", "surges"), ())
    told[{"crowd": "crowds", "unclear": "surges"}.get(verdict, "floods")] = (event,)
    text = render(replace(REPORT, **told), width=60)
    assert max(map(len, text.splitlines())) <= 60
    flood = verdict in ("attack", "mixed")
    assert ("amplification (reflection)" in text) == (flood and vector.endswith("_amplification"))
    assert "_" not in text


def test_a_surge_is_neither_people_nor_an_attack() -> None:
    surge = replace(CROWD, verdict="unclear")
    text = render(replace(REPORT, floods=(), crowds=(), surges=(surge,)))
    assert "1 SURGE\n 1  surge of requests, people or machines: unclear" in text
    assert text.endswith("No flood found.\n")
    assert "surge of requests" in line("opened", surge).decode()


def test_numbers_go_on_through_the_report() -> None:
    text = render(replace(REPORT, crowds=(CROWD,), surges=(replace(CROWD, verdict="unclear"),)))
    numbered = re.findall(r"^ (\d)  (\w+ \w+)", text, re.MULTILINE)
    assert numbered == [("1", "SYN flood"), ("2", "HTTP flood"), ("3", "crowd of"), ("4", "surge of")]


@pytest.mark.parametrize(
    ("first", "last", "width", "shown"),
    [
        ("2025-01-27T02:17:40Z", "2025-01-27T02:17:42.5Z", 40,
         "02:17:40.000 -------------- 02:17:42.500"),
        ("2025-01-27T02:17:40Z", "2025-01-27T02:17:42.5Z", 26, "02:17:40.000  02:17:42.500"),
        ("2025-01-27T02:17:40.123456789Z", "2025-01-27T02:24:10Z", 40,
         "02:17:40 ------ 02:20:55 ------ 02:24:10"),
        ("2025-01-27T23:00:00Z", "2025-01-29T01:00:00Z", 50,
         "01-27 23:00 ------ 01-28 12:00 ------- 01-29 01:00"),
        ("2025-01-27T02:17:40Z", "2025-01-27T02:17:40Z", 26, "02:17:40.000  02:17:40.000"),
    ],
)  # fmt: skip
def test_the_axis_of_a_course(first: str, last: str, width: int, shown: str) -> None:
    assert course.axis(first, last, width) == shown


def test_a_course_shows_each_pulse_and_has_the_width_of_its_axis() -> None:
    pulse = (1.0,) * 30 + (9.0,) + (1.0,) * 29
    assert course.bars(pulse, 20, unicode=False) == "." * 10 + "#" + "." * 9
    assert course.bars((0.0, 2.0), 6, unicode=False) == "...###"
    assert course.bars((5.0,), 6, unicode=False) == course.bars((0.0, 0.0), 6, unicode=False) == ""
    for width in range(40, 90):
        drawn = re.search(r"course    (\S+)\n +(\d\S+ .*\d)\n", render(REPORT, width=width))
        assert drawn is not None
        assert len(drawn[1]) == len(drawn[2]) == min(60, width - 14)


def test_a_crowd_is_no_flood() -> None:
    text = render(replace(REPORT, floods=(), crowds=(CROWD,)))
    assert "1 CROWD\n 1  crowd of HTTP clients, not an attack" in text
    assert "FLOODS" not in text
    assert text.endswith("\n\nNo flood found.\n")


def test_nothing_found() -> None:
    text = render(replace(REPORT, floods=()))
    assert text.endswith("not ip 40\n\nNo flood found.\n")


def test_incomplete_input_is_said_and_not_called_clean() -> None:
    fault = InputFault(code="truncated_record", offset=123_456, message="the last record is cut short")
    broken = replace(INPUT, error=fault, one_way=True)
    text = render(replace(REPORT, inputs=(broken,), floods=(), complete=False))
    assert "error at byte 123,456: the last record is cut short (truncated_record)" in text
    assert "only one direction was captured: no source can be proven real" in text
    assert "stopped before the end" in text
    assert text.endswith("No flood found in what could be read.\n")


def test_a_watch_that_a_signal_ended_says_so_and_may_be_called_clean() -> None:
    text = render(replace(REPORT, inputs=(replace(INPUT, format="live"),), floods=(), complete=False))
    assert "a signal ended the watch" in text
    assert text.endswith("\n\nNo flood found.\n")


def test_several_inputs_name_the_capture_of_each_flood() -> None:
    second = replace(INPUT, path="other.pcap", first="2025-01-26T23:59:59Z", last="2025-01-26T23:59:59.02Z")
    text = render(replace(REPORT, inputs=(INPUT, second), floods=(replace(SYN, input="other.pcap"),)))
    assert "2025-01-26 23:59:59.000 to 23:59:59.020 UTC (0.02s)" in text
    assert "    capture   other.pcap\n" in text
    assert "2025-01-27 02:17:40 to 02:24:10" in text, "another day than its capture's first is spelt out"


def test_top_limits_the_list_and_zero_lists_all() -> None:
    assert "203.0.113.2/32" not in render(REPORT, top=1)
    everything = render(REPORT, top=0)
    assert "203.0.113.7/32" in everything
    assert "lists all" not in everything


def test_a_capture_without_packets() -> None:
    empty = replace(INPUT, path="-", packets=0, bytes=0, first=None, last=None, rejected={})
    assert render(replace(REPORT, inputs=(empty,), floods=())) == (
        "(standard input)   0 B   0 packets\n\nNo flood found.\n"
    )


def test_decoded_is_never_rounded_up_to_all() -> None:
    almost = replace(INPUT, packets=10_000_000, rejected={"truncated": 1})
    assert "decoded 99.99 %" in render(replace(REPORT, inputs=(almost,)))
    assert "decoded 100 %" in render(replace(REPORT, inputs=(replace(INPUT, rejected={}),)))


def test_colour_is_optional_and_only_added() -> None:
    painted = render(REPORT, color=True)
    assert "\x1b[31mHIGH\x1b[0m" in painted
    assert re.sub(r"\x1b\[[\d;]*m", "", painted) == render(REPORT)


def test_unicode_bars() -> None:
    assert "▂▃▃▃▃▃▃▃▃██████████████████████▅▅▅▅▅▅▅▅▁▁▁▁▁▁▁\n" in render(REPORT, unicode=True)
    assert render(REPORT).isascii()


@given(st.text(max_size=300), st.integers(40, 120), st.booleans())
def test_hostile_text_never_reaches_a_terminal(text: str, width: int, unicode: bool) -> None:
    page = render(with_text(text), unicode=unicode, width=width)
    assert not UNSAFE.search(page)
    assert unicode or page.isascii()
    assert max(columns(line) for line in page.splitlines()) <= width
    assert page.splitlines() == page.split("\n")[:-1], "no other line separator slips in"


@given(st.text(max_size=100))
def test_hostile_text_is_escaped_in_json_and_comes_back(text: str) -> None:
    data = dump(with_text(text))
    assert not UNSAFE.search(data.decode().removesuffix("\n"))
    assert data.count(b"\n") == 1
    document = validate(data)
    assert document["inputs"][0]["path"] == text
    assert document["floods"][0]["victim"]["path"] == text


def test_undecodable_file_names_are_spelt_out() -> None:
    name = b"caf\xe9.pcap".decode("utf-8", "surrogateescape")
    assert validate(dump(with_text(name)))["inputs"][0]["path"] == "caf\\xe9.pcap"
    assert "caf\\udce9.pcap" in render(with_text(name), unicode=True)
    *events, whole = FORMATS["ndjson"].report(with_text(name), Shown()).splitlines()
    assert whole + b"\n" == dump(with_text(name))
    assert [json.loads(event)["schema"] for event in events] == ["floodwatch.event/1"] * len(events) != []


def test_json_keys_are_those_of_the_contract_in_order() -> None:
    document = validate(dump(REPORT))
    assert list(document) == [
        "schema",
        "tool",
        "complete",
        "inputs",
        "settings",
        "totals",
        "floods",
        "crowds",
        "surges",
        "nearest",
        "traffic",
    ]
    assert document["schema"] == "floodwatch.report/1"
    assert list(document["floods"][0])[:4] == ["schema", "id", "input", "seq"]
    assert document["floods"][0]["vector"] == "syn_flood"
    assert dump(REPORT) == dump(msgspec.json.decode(dump(REPORT), type=Report))


def test_schema_names_itself_and_refuses_nonsense() -> None:
    document = json.loads(schema())
    Draft202012Validator.check_schema(document)
    assert document["title"] == "floodwatch.report/1"
    assert document["$id"] == "urn:floodwatch:schema:floodwatch.report/1"
    bad = json.loads(dump(REPORT))
    bad["floods"][0]["confidence"] = 2
    assert not Draft202012Validator(document).is_valid(bad)
    assert schema().startswith(b"{\n  "), "pretty-printed"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("/a\x1b[2J", "/a\\x1b[2J"),
        ("\x9b31m\x7f\r\n\t", "\\x9b31m\\x7f\\x0d\\x0a\\x09"),
        ("a\u202egpj.exe\u2066\u200f", "a\\u202egpj.exe\\u2066\\u200f"),
        ("caf\u00e9 \U0001f600", "caf\\xe9 \\U0001f600"),
        ("plain ~ text", "plain ~ text"),
    ],
)
def test_printable(raw: str, shown: str) -> None:
    assert printable(raw) == shown


def test_printable_keeps_letters_where_unicode_is_allowed() -> None:
    assert printable("caf\u00e9\u202e \u65e5\u672c", unicode=True) == "caf\u00e9\\u202e \u65e5\u672c"


@given(st.lists(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1)), st.integers(40, 90))
def test_flow_loses_nothing(pieces: list[str], width: int) -> None:
    lines = flow(pieces, width, first="label ", rest="      ")
    assert all(columns(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join("".join(["label", *pieces]).split())


def test_clip_counts_wide_characters_twice() -> None:
    assert clip("\u65e5" * 10, 20) == "\u65e5" * 10
    assert clip("\u65e5" * 11, 20) == "\u65e5" * 8 + "..."
    assert unicodedata.east_asian_width("\u65e5") == "W"


@pytest.mark.parametrize(
    ("color", "environ", "painted"),
    [
        ("auto", {}, False),
        ("auto", {"FORCE_COLOR": "1"}, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("always", {"NO_COLOR": "1"}, True),
        ("never", {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_follows_option_then_environment(color: str, environ: dict[str, str], painted: bool) -> None:
    screen = look(color, to_file=False, environ=environ)
    assert (screen.color, screen.unicode, screen.width) == (painted, False, 80)
