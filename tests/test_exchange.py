"""Bundles of STIX 2.1 and findings of OCSF, held against what their published schemas require."""

from __future__ import annotations

import ipaddress
import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import floodwatch as fw
from floodwatch.model.event import Estimate
from floodwatch.model.report import Report
from floodwatch.model.vector import PROTOCOL_NUMBERS, Vector
from floodwatch.report import ocsf, stix
from floodwatch.report.formats import FORMATS, Shown

sys.path.insert(0, str(Path(__file__).parent))
from sample_events import CROWD, HTTP, REPORT, SYN

LAUNCH = Path(__file__).parents[1] / "pcaps" / "launch-day.pcap.gz"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SHORT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,2}[1-9])?Z")
"""Of what names are made of: canonical JSON takes the text, and some write times without zeros at the end."""
CORE = {"type", "spec_version", "id", "created", "modified"}
NEEDED = {
    "identity": CORE | {"name"},
    "attack-pattern": CORE | {"name"},
    "observed-data": CORE | {"first_observed", "last_observed", "number_observed", "object_refs"},
    "sighting": CORE | {"sighting_of_ref"},
    "indicator": CORE | {"pattern", "pattern_type", "valid_from"},
    "relationship": CORE | {"relationship_type", "source_ref", "target_ref"},
    "ipv4-addr": {"type", "id", "value"},
    "ipv6-addr": {"type", "id", "value"},
    "network-traffic": {"type", "id", "protocols"},
}
"""What STIX 2.1 requires of each type of object that we write."""
MAY = {
    "identity": {"identity_class"},
    "attack-pattern": {"external_references"},
    "observed-data": {"created_by_ref"},
    "sighting": {"created_by_ref", "confidence", "description", "first_seen", "last_seen", "count",
                 "observed_data_refs", "where_sighted_refs"},
    "indicator": {"created_by_ref", "confidence", "name", "description", "indicator_types", "valid_until"},
    "relationship": {"created_by_ref"},
    "ipv4-addr": {"spec_version"},
    "ipv6-addr": {"spec_version"},
    "network-traffic": {"spec_version", "start", "end", "is_active", "src_ref", "dst_ref", "dst_port",
                        "src_byte_count", "src_packets"},
}  # fmt: skip
"""And what it allows beside that, of which we write these."""
TIMES = ("created", "modified", "first_observed", "last_observed", "first_seen", "last_seen", "valid_from",
         "valid_until", "start", "end")  # fmt: skip
ORDERED = (("created", "modified"), ("first_observed", "last_observed"), ("first_seen", "last_seen"),
           ("start", "end"))  # fmt: skip
REFERS = {"created_by_ref": {"identity"}, "sighting_of_ref": {"attack-pattern"},
          "src_ref": {"ipv4-addr", "ipv6-addr"}, "dst_ref": {"ipv4-addr", "ipv6-addr"},
          "source_ref": {"indicator"},
          "target_ref": {"attack-pattern", "observed-data"}, "observed_data_refs": {"observed-data"},
          "where_sighted_refs": {"identity"},
          "object_refs": {"ipv4-addr", "ipv6-addr", "network-traffic"}}  # fmt: skip
OBSERVABLES = UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
NAMED_BY = {"ipv4-addr": ["value"], "ipv6-addr": ["value"],
            "network-traffic": ["start", "end", "src_ref", "dst_ref", "src_port", "dst_port", "protocols",
                                "extensions"]}  # fmt: skip
"""The properties that the name of an observable is made of (STIX 2.1, 6)."""


@pytest.fixture(scope="module")
def launch() -> Report:
    return fw.scan(LAUNCH, seed=bytes(16))


def items(report: Report) -> dict[str, list[dict[str, Any]]]:
    """The objects of the bundle by type, each held against the schema."""
    raw = FORMATS["stix"].report(report, Shown())
    assert raw.endswith(b"}\n")
    assert raw.count(b"\n") == 1
    assert raw == FORMATS["stix"].report(report, Shown())
    whole = json.loads(raw)
    assert set(whole) == {"type", "id", "objects"}
    assert whole["type"] == "bundle"
    kinds = {item["id"]: item["type"] for item in whole["objects"]}
    assert len(kinds) == len(whole["objects"]), "every object stands there once"
    for item in (whole, *whole["objects"]):
        kind, _, number = item["id"].partition("--")
        assert (kind, UUID(number).version) == (item["type"], 5)
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in NEEDED}
    for item in whole["objects"]:
        well_formed(item, kinds)
        found[item["type"]].append(item)
    return found


def well_formed(item: dict[str, Any], kinds: dict[str, str]) -> None:
    kind = item["type"]
    assert NEEDED[kind] <= set(item) <= NEEDED[kind] | MAY[kind]
    assert item["spec_version"] == "2.1"
    assert all(value not in ([], {}, None) for value in item.values()), "nothing may be empty"
    for name in set(TIMES) & set(item):
        assert (SHORT if name in ("start", "end") else TIME).fullmatch(item[name])
        assert datetime.fromisoformat(item[name])
    for first, last in ORDERED:
        if {first, last} <= set(item):
            assert datetime.fromisoformat(item[first]) <= datetime.fromisoformat(item[last])
    for name, allowed in REFERS.items():
        refers = item.get(name, [])
        assert {kinds[ref] for ref in ([refers] if isinstance(refers, str) else refers)} <= allowed, name
    match kind:
        case "ipv4-addr" | "ipv6-addr":
            assert f"ipv{ipaddress.ip_network(item['value']).version}-addr" == kind
        case "network-traffic":
            assert all(re.fullmatch(r"[a-z0-9-]+", protocol) for protocol in item["protocols"])
            assert 0 <= item.get("dst_port", 0) <= 65_535
            assert ("end" in item) == (item.get("is_active") is False), "what has an end is over"
            assert item["src_byte_count"] >= 0
        case "observed-data":
            assert 1 <= item["number_observed"] <= 999_999_999
        case "sighting":
            assert 0 <= item["count"] <= 999_999_999
            assert 0 <= item["confidence"] <= 100
        case "indicator":
            assert item["valid_from"] < item["valid_until"]
            assert item["pattern_type"] == "stix"
    if kind in NAMED_BY:
        named_by = {name: item[name] for name in NAMED_BY[kind] if name in item}
        canonical = json.dumps(named_by, sort_keys=True, separators=(",", ":"))
        assert item["id"] == f"{kind}--{uuid5(OBSERVABLES, canonical)}"


def blocked(item: dict[str, Any]) -> set[str]:
    """The networks that an indicator names."""
    body = re.fullmatch(r"\[(.+)\]", item["pattern"])
    assert body is not None
    test = re.compile(r"ipv[46]-addr:value (=|ISSUBSET) '([0-9a-f.:/]+)'")
    tests = [test.fullmatch(part) for part in body[1].split(" OR ")]
    return {one[2] for one in tests if one is not None and ("/" in one[2]) == (one[1] == "ISSUBSET")}


def test_floods_are_a_bundle_and_only_proven_sources_an_indicator(launch: Report) -> None:
    found = items(launch)
    real = [event for event in launch.floods if event.sources.origin == "real"]
    assert len(launch.floods) > len(real) > 1
    assert len(found["observed-data"]) == len(found["network-traffic"]) == len(launch.events())
    assert len(found["sighting"]) == len(launch.floods), "a crowd is no sighting of an attack"
    assert len(found["indicator"]) == len(real)
    named = set().union(*map(blocked, found["indicator"]))
    assert named == {top.cidr for event in real for top in event.sources.top}
    assert {item["value"] for item in found["ipv4-addr"]} == named | {event.victim.ip for event in real}
    verbs = sorted(item["relationship_type"] for item in found["relationship"])
    assert verbs == sorted(["indicates", "based-on"] * len(real))
    techniques = {
        item["external_references"][0]["external_id"]: item["external_references"][0]
        for item in found["attack-pattern"]
    }
    assert set(techniques) == {event.technique for event in launch.floods}
    assert techniques["T1499.002"] == {
        "source_name": "mitre-attack", "external_id": "T1499.002",
        "url": "https://attack.mitre.org/techniques/T1499/002",
    }  # fmt: skip


def test_an_indicator_names_nobody_who_shares_an_address_or_stands_behind_a_proxy() -> None:
    one, two, three, four = HTTP.sources.top[:4]
    top = (replace(one, cidr="2001:db8:1::/64"), replace(two, proof="forwarded"), replace(three, shared=True),
           replace(four, cidr="203.0.113.6", proof="handshake"))  # fmt: skip
    sources = replace(HTTP.sources, top=top)
    http = replace(HTTP, sources=sources, technique="T1499.002")
    found = items(replace(REPORT, floods=(http,), crowds=(replace(CROWD, id="crowd", sources=sources),)))
    (indicator,) = found["indicator"]
    assert blocked(indicator) == {"2001:db8:1::/64", "203.0.113.6"}
    assert {item["value"] for item in found["ipv4-addr"]} == {"203.0.113.6"}
    assert {item["value"] for item in found["ipv6-addr"]} == {"2001:db8:1::/64", "2001:db8::9"}
    for shared in (replace(http, verdict="unclear"), replace(http, sources=replace(sources, origin="mixed"))):
        assert not items(replace(REPORT, floods=(shared,)))["indicator"]


def test_a_bundle_tells_what_lasts_and_where_one_source_sent_all() -> None:
    alone = replace(HTTP.sources, top=HTTP.sources.top[:1], distinct=Estimate(est=1, lo=1, hi=1))
    for state, active in (("open", True), ("ended", False), ("cut", None)):
        event = replace(HTTP, state=state, sources=alone, technique="T1499.002")
        (traffic,) = items(replace(REPORT, floods=(event,)))["network-traffic"]
        assert traffic.get("is_active") is active
        assert ("end" in traffic) == (state == "ended")
        assert "src_ref" in traffic
    huge = items(replace(REPORT, floods=(replace(SYN, packets=1 << 60, technique="T1499.001"),)))
    assert huge["observed-data"][0]["number_observed"] == 999_999_999
    carpet = replace(SYN, victim=replace(SYN.victim, ip="198.51.100.0/24", port=None))
    found = items(replace(REPORT, floods=(carpet,)))
    assert [item["value"] for item in found["ipv4-addr"]] == ["198.51.100.0/24"]
    assert not found["sighting"], "of no technique"
    assert not items(replace(REPORT, floods=()))["observed-data"]


WHOLE = {
    "class_uid": int, "class_name": str, "category_uid": int, "category_name": str, "activity_id": int,
    "activity_name": str, "type_uid": int, "time": int, "start_time": int, "end_time": int,
    "severity_id": int, "severity": str, "confidence_score": int, "message": str, "metadata.version": str,
    "metadata.uid": str, "metadata.sequence": int, "metadata.product.name": str,
    "metadata.product.vendor_name": str, "metadata.product.version": str, "finding_info.uid": str,
    "finding_info.title": str, "finding_info.desc": str, "finding_info.analytic.type_id": int,
    "finding_info.analytic.type": str, "finding_info.analytic.uid": str, "finding_info.analytic.name": str,
    "finding_info.created_time": int, "finding_info.first_seen_time": int,
    "finding_info.last_seen_time": int, "finding_info.types[]": str,
    "finding_info.attacks[].technique.uid": str, "finding_info.attacks[].technique.name": str,
    "finding_info.attacks[].sub_technique.uid": str, "finding_info.attacks[].sub_technique.name": str,
    "evidences[].dst_endpoint.ip": str, "evidences[].dst_endpoint.name": str,
    "evidences[].dst_endpoint.port": int, "evidences[].src_endpoint.ip": str,
    "evidences[].src_endpoint.name": str, "evidences[].connection_info.direction_id": int,
    "evidences[].connection_info.direction": str, "evidences[].connection_info.protocol_num": int,
    "evidences[].connection_info.protocol_ver_id": int, "evidences[].connection_info.protocol_name": str,
    "evidences[].url.path": str, "observables[].name": str, "observables[].type_id": int,
    "observables[].type": str, "observables[].value": str, "remediation.desc": str,
}  # fmt: skip
"""Types of the attributes that we write of class 2004 (Detection Finding) of OCSF 1.3.0."""
REQUIRED = {
    "activity_id", "category_uid", "class_uid", "severity_id", "time", "type_uid", "metadata.version",
    "metadata.product.vendor_name", "finding_info.uid", "finding_info.title",
    "finding_info.analytic.type_id", "evidences[].connection_info.direction_id",
}  # fmt: skip
"""Those that it requires, with what is required inside of objects that we write always."""
SEVERITIES = {1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical"}
ACTIVITIES = {1: "Create", 2: "Update", 3: "Close"}


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        assert value, f"{name} is empty"
        for key, inner in value.items():
            yield from leaves(inner, f"{name}.{key}".lstrip("."))
    elif isinstance(value, list):
        assert value, f"{name} is empty"
        for inner in value:
            yield from leaves(inner, f"{name}[]")
    else:
        yield name, value


def finding(what: str, event: fw.Event) -> dict[str, Any]:
    """The finding, held against the schema, without our own event."""
    raw = ocsf.line(what, event)
    assert raw.endswith(b"}\n")
    assert raw.count(b"\n") == 1
    told: dict[str, Any] = json.loads(raw)
    unmapped = told.pop("unmapped")
    assert unmapped == {"floodwatch": json.loads(FORMATS["ndjson"].change("ended", event))}  # type: ignore[misc]
    if told["observables"] == []:
        del told["observables"]
    names = set()
    for name, value in leaves(told):
        assert type(value) is WHOLE[name], name
        names.add(name)
    assert names >= REQUIRED
    assert told["type_uid"] == 100 * told["class_uid"] + told["activity_id"]
    assert (told["class_uid"], told["category_uid"]) == (2004, 2)
    assert ACTIVITIES[told["activity_id"]] == told["activity_name"]
    assert SEVERITIES[told["severity_id"]] == told["severity"]
    assert 0 <= told["confidence_score"] <= 100
    for evidence in told["evidences"]:
        for end in ("src_endpoint", "dst_endpoint"):
            held = evidence.get(end, {"name": ""})
            assert {"ip", "name"} & set(held), "one that tells which it is"
            assert "ip" not in held or ipaddress.ip_address(held["ip"])
            assert 0 <= held.get("port", 0) <= 65_535
    for seen in told.get("observables", []):
        held = told
        for key in re.findall(r"\w+", seen["name"]):
            held = held[int(key) if key.isdigit() else key]  # type: ignore[index]
        assert (seen["value"], seen["type_id"]) == (held, 2)
    return told


def test_events_are_detection_findings(launch: Report) -> None:
    lines = FORMATS["ocsf"].report(launch, Shown()).splitlines(keepends=True)
    assert lines == [ocsf.line("opened", event) for event in launch.events()]
    for event in launch.events():
        told = finding("opened", event)
        flood = event.verdict == "attack"
        assert (told["severity_id"] == 1) == (not flood)
        assert told["time"] == told["finding_info"]["created_time"]
        assert told["start_time"] <= told["time"] <= told["end_time"]
        first = datetime.fromisoformat(event.first).timestamp()
        assert told["start_time"] == pytest.approx(1000 * first, abs=1)
        target, *sources = told["evidences"]
        assert target["dst_endpoint"] == {"ip": event.victim.ip, "port": event.victim.port}
        assert target["connection_info"]["protocol_num"] == PROTOCOL_NUMBERS[event.victim.protocol]
        proven = [top.cidr for top in event.sources.top] if event.sources.origin == "real" else []
        assert [source["src_endpoint"]["ip"] for source in sources] == proven
        assert [seen["value"] for seen in told["observables"]] == [event.victim.ip, *proven]
        attacks = told["finding_info"].get("attacks", [])
        named = {
            one[level]["uid"] for one in attacks for level in ("technique", "sub_technique") if level in one
        }
        assert (event.technique in named) if flood else not named


def test_a_finding_lives_as_its_event_does() -> None:
    carpet = replace(SYN, victim=replace(SYN.victim, ip="198.51.100.0/24", port=None))
    for what, activity in (("opened", 1), ("updated", 2), ("ended", 3)):
        told = finding(what, carpet)
        assert told["activity_id"] == activity
        assert told["finding_info"]["uid"] == SYN.id
        assert told["evidences"][0]["dst_endpoint"] == {"name": "198.51.100.0/24"}
        assert "observables" not in told
        assert (told["time"] == told["end_time"]) == (what != "opened")
    one, two, three = HTTP.sources.top[:3]
    top = (replace(one, cidr="2001:db8:1::/64"), replace(two, proof="forwarded"), three)
    told = finding("opened", replace(HTTP, sources=replace(HTTP.sources, top=top)))
    assert [source["src_endpoint"] for source in told["evidences"][1:]] == [
        {"name": "2001:db8:1::/64"}, {"ip": three.cidr.removesuffix("/32")}
    ]  # fmt: skip
    assert told["evidences"][0]["url"] == {"path": "/search"}


@given(st.text(max_size=60))
def test_what_strangers_write_stays_text(text: str) -> None:
    facts = tuple(replace(fact, says=text) for fact in SYN.evidence)
    event = replace(SYN, id=text, input=text, evidence=facts, technique="T1499.001",
                    victim=replace(SYN.victim, path=text, sni=text))  # fmt: skip
    for raw in (ocsf.line("opened", event), stix.bundle(replace(REPORT, floods=(event,)))):
        assert raw.decode().removesuffix("\n").isprintable()
        assert json.loads(raw)


@pytest.mark.parametrize("vector", Vector)
def test_every_vector_has_both(vector: Vector) -> None:
    event = replace(SYN, vector=vector, technique="T1498.001")
    assert finding("opened", event)["finding_info"]["analytic"]["uid"] == vector
    assert len(items(replace(REPORT, floods=(event,)))["sighting"]) == 1
