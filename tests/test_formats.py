"""The formats for other programs: read back as their readers do, and the facts of the JSON in them."""

from __future__ import annotations

import csv
import io
import ipaddress
import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import floodwatch as fw
from floodwatch.model.report import Report
from floodwatch.model.vector import PROTOCOL_NUMBERS
from floodwatch.report import ecs, eve
from floodwatch.report.formats import FORMATS, Shown
from floodwatch.report.table import ABSENT, CELLS, COLUMNS

sys.path.insert(0, str(Path(__file__).parent))
from sample_events import CROWD, HTTP, REPORT, SYN

LAUNCH = Path(__file__).parents[1] / "pcaps" / "launch-day.pcap.gz"
TAKEN = "=+-@\t\r\uff1d\uff0b\uff0d\uff20"
"""What a cell may not begin with, because spreadsheets run it."""
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
LINES = {"ecs": ecs.line, "eve": eve.line}


@pytest.fixture(scope="module")
def launch() -> Report:
    return fw.scan(LAUNCH, seed=bytes(16))


def table(report: Report) -> list[dict[str, str]]:
    """The rows as a reader of RFC 4180 gets them."""
    raw = FORMATS["csv"].report(report, Shown())
    names, *rows = csv.reader(io.StringIO(raw.decode(), newline=""), strict=True)
    assert names == list(COLUMNS)
    assert all(len(row) == len(names) for row in rows)
    assert raw.count(b"\r\n") == raw.count(b"\n") == len(rows) + 1, "a line is a row"
    return [dict(zip(names, row, strict=True)) for row in rows]


def leaves(kind: Any, name: str = "") -> Iterator[str]:
    """The dotted names of a record's fields; lists are not entered."""
    for one in get_args(kind) if isinstance(kind, UnionType) else (kind,):
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            for field in msgspec.structs.fields(one):
                yield from leaves(field.type, f"{name}.{field.name}".lstrip("."))
            return
    yield name


def as_json(event: dict[str, Any], name: str) -> Any:
    value: Any = event
    for part in name.split("."):
        value = value if value is None else value[part]
    return value


def test_every_field_of_an_event_is_a_column_or_left_out_on_purpose() -> None:
    assert sorted({*COLUMNS, *ABSENT}) == sorted(leaves(fw.Event))
    assert len(COLUMNS) == len(set(COLUMNS))


def test_a_table_tells_the_facts_of_the_json(launch: Report) -> None:
    document = json.loads(FORMATS["json"].report(launch, Shown()))
    events = [*document["floods"], *document["crowds"], *document["surges"]]
    rows = table(launch)
    assert [row["id"] for row in rows] == [event["id"] for event in events]
    for row, event in zip(rows, events, strict=True):
        for name in COLUMNS:
            value, cell = as_json(event, name), row[name]
            if isinstance(value, list):
                part, gap = CELLS.get(name, ("", " "))
                assert cell.split(gap) == [str(one[part] if part else one) for one in value] or cell == ""
                assert bool(cell) == bool(value)
            elif value is None or isinstance(value, str):
                assert cell == (value or ""), name
            else:
                assert json.loads(cell) == value, name
    assert len(rows) == 6


@pytest.mark.parametrize(
    ("raw", "cell"),
    [
        ("=cmd|'/c calc'!A1", "'=cmd|'/c calc'!A1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("-1+1", "'-1+1"),
        ("  +1", "'  +1"),
        ("\t=1", "'\\x09=1"),
        ("\r=1", "'\\x0d=1"),
        ("\uff1d1", "'\uff1d1"),
        ('/a;"=1', "/a;'\"=1"),
        ("/a;=1;+2", "/a;'=1;'+2"),
        ('/a,"b"\r\nc', '/a,"b"\\x0d\\x0ac'),
        ("/caf\u00e9?a=1&b=-2", "/caf\u00e9?a=1&b=-2"),
        ("/a\u202egpj", "/a\\u202egpj"),
        ("caf\udce9", "caf\\udce9"),
    ],
)
def test_no_cell_is_a_formula(raw: str, cell: str) -> None:
    event = replace(SYN, input=raw, victim=replace(SYN.victim, path=raw, sni=raw))
    (row,) = table(replace(REPORT, floods=(event,)))
    assert row["victim.path"] == row["victim.sni"] == row["input"] == cell


@given(st.text(max_size=60))
def test_hostile_text_is_inert_in_a_table(text: str) -> None:
    facts = tuple(replace(fact, says=text) for fact in SYN.evidence)
    event = replace(SYN, input=text, victim=replace(SYN.victim, path=text, sni=text), evidence=facts)
    for row in table(replace(REPORT, floods=(event,), crowds=(CROWD,))):
        for cell in row.values():
            assert not CONTROL.search(cell)
            for part in cell.split(";"):  # as it is parted where a comma is the decimal sign
                assert not part.lstrip(' "').startswith(tuple(TAKEN))


@pytest.mark.parametrize("name", ["launch-day", "clean", "crowd"])
def test_a_report_comes_back_from_its_json(name: str) -> None:
    report = fw.scan(LAUNCH.with_name(f"{name}.pcap.gz"))
    text = report.to_json()
    for written in (text, text.encode()):
        again = fw.Report.from_json(written)
        assert type(again) is fw.Report
        assert again == report
        assert again.to_json() == text
        assert (again.to_text(), again.to_html()) == (report.to_text(), report.to_html())


@given(st.text(max_size=60))
def test_hostile_text_comes_back_too(text: str) -> None:
    event = replace(SYN, input=text, victim=replace(SYN.victim, path=text, sni=text))
    whole = FORMATS["json"].report(replace(REPORT, floods=(event, HTTP), crowds=(CROWD,)), Shown()).decode()
    again = fw.Report.from_json(whole)
    assert again.to_json() == whole
    assert again.floods[0] == event


def test_what_a_later_version_adds_is_passed_over_and_nonsense_refused() -> None:
    whole = FORMATS["json"].report(REPORT, Shown()).decode()
    assert fw.Report.from_json(whole.replace('{"schema"', '{"later":[1],"schema"', 1)).to_json() == whole
    deep = "[" * 100_000
    for wrong in ("", "{}", "[]", b"\xff", "\udce9", whole[:-9], whole.replace("0.97", "7"), deep,
                  whole.replace("floodwatch.report/1", "floodwatch.report/2")):  # fmt: skip
        with pytest.raises(fw.InputError, match="not a JSON report of floodwatch") as caught:
            fw.Report.from_json(wrong)
        assert caught.value.code == "no_report"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("traffic", 0, "hosts", 0, "address"), "nobody"),
        (("traffic", 0, "hosts", 0, "address"), "192.0.2.0/24"),
        (("traffic", 0, "packets", "syn"), [1.0]),
        (("traffic", 0, "first"), "0000-00-00T00:00:00Z"),
        (("inputs", 0, "last"), "9999-12-31T23:59:59Z"),
        (("floods", 0, "first"), "2025-13-01T00:00:00Z"),
        (("floods", 0, "victim", "ip"), "nobody"),
        (("floods", 0, "victim", "ip"), "192.0.2.1/24"),
        (("floods", 0, "victim", "protocol"), "smoke"),
        (("floods", 0, "sources", "top", 0, "cidr"), "192.0.2.1' OR '1"),
    ],
)
def test_a_report_of_no_addresses_or_times_is_none(place: tuple[str | int, ...], value: object) -> None:
    written = json.loads(fw.scan(LAUNCH).to_json())
    held = written
    for key in place[:-1]:
        held = held[key]
    held[place[-1]] = value
    with pytest.raises(fw.InputError, match="not a JSON report of floodwatch") as caught:
        fw.Report.from_json(json.dumps(written))
    assert caught.value.code == "no_report"


def test_what_a_later_version_counts_apart_is_left_out_of_the_picture() -> None:
    written = json.loads(fw.scan(LAUNCH).to_json())
    written["traffic"][0]["packets"]['"><b>'] = written["traffic"][0]["packets"]["udp"]
    assert "<b>" not in fw.Report.from_json(json.dumps(written)).to_html()


FIELDS = {
    "@timestamp": "date", "message": "match_only_text", "ecs.version": "keyword",
    "destination.address": "keyword", "destination.ip": "ip", "destination.port": "long",
    "event.action": "keyword", "event.category": "keyword[]", "event.dataset": "keyword",
    "event.end": "date", "event.id": "keyword", "event.kind": "keyword", "event.module": "keyword",
    "event.reason": "keyword", "event.sequence": "long", "event.severity": "long", "event.start": "date",
    "event.type": "keyword[]",
    "network.bytes": "long", "network.forwarded_ip": "ip", "network.iana_number": "keyword",
    "network.packets": "long", "network.transport": "keyword", "network.type": "keyword",
    "observer.ingress.interface.name": "keyword", "observer.product": "keyword",
    "observer.type": "keyword", "observer.version": "keyword", "related.ip": "ip[]",
    "rule.id": "keyword", "rule.name": "keyword", "rule.ruleset": "keyword",
    "source.address": "keyword", "source.ip": "ip",
    "threat.framework": "keyword", "threat.technique.id": "keyword[]",
    "threat.technique.name": "keyword[]", "threat.technique.subtechnique.id": "keyword[]",
    "threat.technique.subtechnique.name": "keyword[]", "tls.client.server_name": "keyword",
    "url.path": "wildcard",
}  # fmt: skip
"""Types of the fields that we write, from the field reference of ECS 8.11; [] where it asks for an array.

Elsewhere a list may stand as well, for Elasticsearch makes no difference; of ours, only addresses do.
"""
SEVERAL = {"source.address", "source.ip", "network.forwarded_ip"}
ALLOWED = {
    "event.kind": {"alert", "event"},
    "event.category": {"network", "intrusion_detection"},
    "event.type": {"info", "denied"},
    "network.type": {"ipv4", "ipv6"},
    "threat.framework": {"MITRE ATT&CK"},
    "ecs.version": {"8.11.0"},
}
"""Values that the schema allows (of kind, category and type: those that go together)."""


def valid(kind: str, value: Any) -> bool:
    """Whether Elasticsearch takes the value as of that type."""
    match kind:
        case "long":
            return type(value) is int and -(2**63) <= value < 2**63
        case "ip":
            return bool(ipaddress.ip_address(value))
        case "date":
            return datetime.fromisoformat(value).utcoffset() is not None
    return isinstance(value, str)


def fields(document: dict[str, Any], name: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        whole = f"{name}.{key}".lstrip(".")
        if isinstance(value, dict):
            yield from fields(value, whole)
        else:
            yield whole, value


def elastic(what: str, event: fw.Event) -> dict[str, Any]:
    """The fields of the document, checked against the schema, without our own."""
    raw = ecs.line(what, event)
    assert raw.endswith(b"}\n")
    assert raw.count(b"\n") == 1
    document = json.loads(raw)
    assert document.pop("floodwatch") == json.loads(FORMATS["ndjson"].change("ended", event))  # type: ignore[misc]
    told = dict(fields(document))
    for name, value in told.items():
        kind = FIELDS[name].removesuffix("[]")
        assert isinstance(value, list) == (FIELDS[name].endswith("[]") or name in SEVERAL), name
        values = value if isinstance(value, list) else [value]
        assert values, name
        assert all(valid(kind, one) for one in values), (name, value)
        assert set(values) <= ALLOWED.get(name, set(values)), name
    return told


def test_events_are_documents_of_the_elastic_common_schema(launch: Report) -> None:
    lines = FORMATS["ecs"].report(launch, Shown()).splitlines(keepends=True)
    assert lines == [ecs.line("ended", event) for event in launch.events()]
    for event in launch.events():
        told = elastic("ended", event)
        flood = event.verdict == "attack"
        assert told["event.kind"] == ("alert" if flood else "event")
        assert ("intrusion_detection" in told["event.category"]) == flood
        assert (told["event.start"], told["event.end"]) == (event.first, event.last)
        assert told["@timestamp"] == event.last
        assert (told["destination.ip"], told["destination.port"]) == (event.victim.ip, event.victim.port)
        assert told["network.transport"] == event.victim.protocol
        assert ("network.packets" in told) == (event.rate.unit == "packet/s"), "requests are no packets"
        proven = [source.cidr for source in event.sources.top] if event.sources.origin == "real" else None
        assert told.get("source.ip") == proven
        assert told["related.ip"] == [event.victim.ip, *(proven or [])]
        assert ("threat.technique.id" in told) == flood
        if flood:
            assert event.technique in (
                *told["threat.technique.id"], *told.get("threat.technique.subtechnique.id", ())
            )  # fmt: skip
    origins = {event.sources.origin for event in launch.events()}
    assert origins >= {"real", "forged", "reflected"}


def test_what_is_not_proven_or_no_address_stands_where_nobody_blocks_it() -> None:
    one, two, three, four = HTTP.sources.top[:4]
    top = (replace(one, cidr="2001:db8:1::/64"), replace(two, cidr="203.0.113.5", proof="forwarded"),
           replace(three, cidr="203.0.113.6", proof="handshake"),
           replace(four, cidr="2001:db8:64::9/128"))  # fmt: skip
    told = elastic("opened", replace(HTTP, sources=replace(HTTP.sources, top=top)))
    assert told["source.address"] == ["2001:db8:1::/64", "203.0.113.6", "2001:db8:64::9/128"]
    assert told["source.ip"] == ["203.0.113.6", "2001:db8:64::9"]
    assert told["network.forwarded_ip"] == ["203.0.113.5"]
    assert told["@timestamp"] == HTTP.detected
    assert (told["url.path"], told["network.type"]) == ("/search", "ipv6")
    carpet = replace(SYN, victim=replace(SYN.victim, ip="198.51.100.0/24", port=None, sni="a.example"),
                     capture=replace(SYN.capture, interface="eth0"),
                     action=replace(SYN.action, taken="limit_victim"))  # fmt: skip
    told = elastic("updated", carpet)
    assert told["destination.address"] == "198.51.100.0/24"
    assert not {"destination.ip", "destination.port", "related.ip", "source.ip", "source.address"} & set(told)
    assert (told["event.type"], told["observer.ingress.interface.name"]) == (["denied"], "eth0")
    assert told["tls.client.server_name"] == "a.example"


@pytest.mark.parametrize("protocol", [*PROTOCOL_NUMBERS, "ip-99"])
def test_protocols_are_named_as_iana_does(protocol: str) -> None:
    told = elastic("ended", replace(SYN, victim=replace(SYN.victim, protocol=protocol)))
    assert told.get("network.transport") == {
        "icmp6": "ipv6-icmp", "ipip": "ipv4", "6in4": "ipv6", "ospf": "ospfigp", "ip-99": None
    }.get(protocol, protocol)  # fmt: skip
    assert told["network.iana_number"] == str(PROTOCOL_NUMBERS.get(protocol, 99))


@pytest.mark.parametrize("name", LINES)
def test_names_that_are_no_utf8_are_spelt_out_in_every_line(name: str) -> None:
    path = b"caf\xe9\x1b[2J.pcap".decode("utf-8", "surrogateescape")
    raw = LINES[name]("ended", replace(SYN, input=path, victim=replace(SYN.victim, path=path)))
    assert raw.isascii()
    assert not CONTROL.search(raw.decode().removesuffix("\n"))
    assert r"caf\xe9" in json.dumps(json.loads(raw), ensure_ascii=False).replace("\\\\", "\\")
    assert json.loads(raw)
