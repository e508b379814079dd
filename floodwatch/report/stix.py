"""A report as a bundle of STIX 2.1, for platforms that share what they know of threats.

Each event is observed data; a flood is also a sighting of its technique of ATT&CK. An indicator, which others
may block by, names only sources that are proven real and stand alone behind their address. Identifiers are
made of what they name (UUID version 5), so that the same report gives the same bundle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID, uuid5

from floodwatch.detectors import UNITS, title
from floodwatch.model.event import FLOODS, Event
from floodwatch.model.report import Report
from floodwatch.model.vector import TECHNIQUES, Technique
from floodwatch.report import phrases
from floodwatch.report.ecs import transport
from floodwatch.report.json import dump
from floodwatch.report.near import where

OBSERVABLES = UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
"""The name space of observables (STIX 2.1, 2.9): whoever sees the same address gives it the same name."""
OURS = UUID("f10aa5b8-5a42-5d0c-9bb9-5f1f7f0b8c9e")
"""Of everything else that we name."""
BEGIN = "2025-01-01T00:00:00.000Z"
"""When what is the same in every bundle was made."""
MOST = 999_999_999
"""The largest count that the schema allows."""
VALID = timedelta(hours=1)
"""How long an indicator holds after its flood: so long we block an address at most."""

Item = dict[str, Any]


def bundle(report: Report) -> bytes:
    """All events of a report."""
    items: dict[str, Item] = {}
    for item in (IDENTITY, *(made for event in report.events() for made in _event(event))):
        items.setdefault(item["id"], item)  # several events have the same victim
    name = uuid5(OURS, " ".join(f"{key} {item.get('modified', '')}" for key, item in items.items()))
    return dump({"type": "bundle", "id": f"bundle--{name}", "objects": list(items.values())})


def _object(kind: str, of: str, created: str, modified: str, **told: Any) -> Item:
    """An object with the properties that all have; named by what it is ``of``."""
    return {
        "type": kind, "spec_version": "2.1", "id": f"{kind}--{uuid5(OURS, f'{kind} {of}')}",
        "created": created, "modified": max(created, modified), **told,
    }  # fmt: skip


IDENTITY = _object("identity", "floodwatch", BEGIN, BEGIN, name="floodwatch", identity_class="system")


def _observable(kind: str, named_by: Item, **told: Any) -> Item:
    """An observable: its name is made of the properties that tell it from others."""
    canonical = json.dumps(named_by, sort_keys=True, separators=(",", ":"))
    name = uuid5(OBSERVABLES, canonical)
    return {"type": kind, "spec_version": "2.1", "id": f"{kind}--{name}", **named_by, **told}


def _address(text: str) -> Item:
    """An address or a network: the schema has one type for both."""
    network = ip_network(text)
    host = network.prefixlen == network.max_prefixlen
    return _observable(
        f"ipv{network.version}-addr", {"value": str(network.network_address if host else network)}
    )


def _event(event: Event) -> Iterator[Item]:
    victim, sources = _address(event.victim.ip), [_address(cidr) for cidr in _proven(event)]
    traffic = _traffic(event, victim["id"], sources)
    yield from (victim, *sources, traffic)
    first, last = _time(event.first), _time(event.last)
    made = (_time(event.detected), last)
    ours = {"created_by_ref": IDENTITY["id"]}
    observed = _object(
        "observed-data", event.id, *made, **ours, first_observed=first, last_observed=last,
        number_observed=min(max(event.packets, 1), MOST),
        object_refs=[item["id"] for item in (victim, *sources, traffic)],
    )  # fmt: skip
    yield observed
    if event.verdict not in FLOODS or event.technique is None:
        return
    technique, sure = _technique(event.technique), round(100 * event.confidence)
    yield technique
    yield _object(
        "sighting", event.id, *made, **ours, confidence=sure, description=_description(event),
        first_seen=first, last_seen=last, count=1, sighting_of_ref=technique["id"],
        observed_data_refs=[observed["id"]], where_sighted_refs=[IDENTITY["id"]],
    )  # fmt: skip
    if not sources:
        return
    indicator = _object(
        "indicator", event.id, *made, **ours, confidence=sure,
        name=f"sources of {phrases.named(event)} at {where(event.victim)}", description=_description(event),
        indicator_types=["malicious-activity"], pattern=_pattern(sources), pattern_type="stix",
        valid_from=first, valid_until=_time((datetime.fromisoformat(event.last) + VALID).isoformat()),
    )  # fmt: skip
    yield indicator
    for verb, target in (("indicates", technique), ("based-on", observed)):
        yield _object(
            "relationship", f"{event.id} {verb}", *made, **ours, relationship_type=verb,
            source_ref=indicator["id"], target_ref=target["id"],
        )  # fmt: skip


def _proven(event: Event) -> list[str]:
    """Sources that others may block: proven by handshakes, and nobody else is behind their address."""
    proven = event.sources.proven() if event.verdict in FLOODS else ()
    return [one.cidr for one in proven if not one.shared]


def _traffic(event: Event, victim: str, sources: list[Item]) -> Item:
    """What came to the victim; with where it came from, if that is one address."""
    named_by: Item = {"start": _short(event.first)}
    if event.state == "ended":
        named_by["end"] = _short(event.last)
    if len(sources) == 1 and event.sources.distinct.hi == 1:
        named_by["src_ref"] = sources[0]["id"]
    named_by["dst_ref"] = victim
    if event.victim.port is not None:
        named_by["dst_port"] = event.victim.port
    named_by["protocols"] = _protocols(event)
    told: Item = {"src_byte_count": event.bytes}
    if event.state != "cut":  # of which nobody knows how it went on
        told["is_active"] = event.state == "open"
    if UNITS[event.rate.unit] == "packets":
        told["src_packets"] = event.packets
    return _observable("network-traffic", named_by, **told)


def _protocols(event: Event) -> list[str]:
    """From the outside to the inside, by the names that IANA gives them."""
    outer, inner = "ipv6" if ":" in event.victim.ip else "ipv4", transport(event.victim.protocol)
    return [outer] if inner is None else [outer, inner]


def _technique(technique: Technique) -> Item:
    reference = {
        "source_name": "mitre-attack", "external_id": technique,
        "url": f"https://attack.mitre.org/techniques/{technique.replace('.', '/')}",
    }  # fmt: skip
    return _object(
        "attack-pattern", technique, BEGIN, BEGIN, name=TECHNIQUES[technique], external_references=[reference]
    )


def _description(event: Event) -> str:
    because = "; ".join(fact.says for fact in event.evidence)
    named = f"{title(event.vector, event.verdict)} at {where(event.victim)}"
    return f"{named}, {phrases.peak(event)[0]}, {phrases.senders(event.sources)}. Because: {because}."


def _pattern(sources: list[Item]) -> str:
    """What matches any of these addresses (STIX patterning)."""
    tests = (
        f"{item['type']}:value {'ISSUBSET' if '/' in item['value'] else '='} '{item['value']}'"
        for item in sources
    )
    return f"[{' OR '.join(tests)}]"


def _short(stamp: str) -> str:
    """Without zeros at the end: such times others make names of, whatever was written."""
    return _time(stamp).removesuffix("Z").rstrip("0").removesuffix(".") + "Z"


def _time(stamp: str) -> str:
    """With milliseconds, as the schema wants times."""
    whole, _, part = stamp.removesuffix("Z").removesuffix("+00:00").partition(".")
    return f"{whole}.{part[:3].ljust(3, '0')}Z"
