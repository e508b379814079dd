"""An event as a document of the Elastic Common Schema (ECS), for Elasticsearch and what reads it.

The event stands whole under ``floodwatch``, a name that the schema leaves to us. ``source`` holds only
addresses that are proven real: whoever blocks what stands there must not be led by forged ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from floodwatch.detectors import UNITS, title
from floodwatch.model.event import FLOODS, Event, Severity, Sources, TopSource
from floodwatch.model.vector import TECHNIQUES, Technique, protocol_number
from floodwatch.report import phrases
from floodwatch.report.json import dump
from floodwatch.version import __version__

VERSION = "8.11.0"
"""Of the schema that the fields are taken from; later ones of the same number only add to it."""
SEVERITIES: dict[Severity, int] = {"low": 21, "medium": 47, "high": 73, "critical": 99}
"""As Elastic's own rules weigh them."""
TRANSPORTS = {"icmp6": "ipv6-icmp", "ipip": "ipv4", "6in4": "ipv6", "ospf": "ospfigp"}
"""Names of IP protocols that IANA, and so the schema, spells otherwise."""
PARENTS = {"T1498": "Network Denial of Service", "T1499": "Endpoint Denial of Service"}
"""Techniques of ATT&CK of which we name a part."""


def line(what: str, event: Event) -> bytes:
    """One line of JSON: an alert where it is a flood, else an event that only informs."""
    flood, stamp = event.verdict in FLOODS, event.last if what == "ended" else event.detected
    document: dict[str, Any] = {
        "@timestamp": stamp,
        "ecs": {"version": VERSION},
        "message": phrases.message(event),
        "event": {
            "kind": "alert" if flood else "event",
            "category": ["network", "intrusion_detection"] if flood else ["network"],
            "type": ["info"] if event.action.taken == "none" else ["denied"],
            "action": what,
            "id": event.id,
            "sequence": event.seq,
            "module": "floodwatch",
            "dataset": "floodwatch.event",
            "start": event.first,
            "end": event.last,
            "severity": SEVERITIES[event.severity],
            "reason": "; ".join(fact.says for fact in event.evidence),
        },
        "observer": _observer(event),
        "rule": {
            "id": event.vector,
            "name": title(event.vector, event.verdict),
            "ruleset": "floodwatch",
        },
        **_ends(event),
        "network": _network(event),
    }
    if event.technique:
        document["threat"] = _threat(event.technique)
    if event.victim.path:
        document["url"] = {"path": event.victim.path}
    if event.victim.sni is not None:
        document["tls"] = {"client": {"server_name": event.victim.sni}}
    return dump({**document, "floodwatch": msgspec.to_builtins(event)})


def transport(protocol: str) -> str | None:
    """An IP protocol as IANA spells it; None where it has only a number."""
    return None if protocol.startswith("ip-") else TRANSPORTS.get(protocol, protocol)


def lineage(technique: Technique) -> list[tuple[str, str]]:
    """Numbers and names of a technique of ATT&CK: the technique, and the part of it where we name a part."""
    parent, _, part = technique.partition(".")
    name = TECHNIQUES[technique]
    return [(parent, PARENTS[parent]), (technique, name)] if part else [(parent, name)]


def _observer(event: Event) -> dict[str, Any]:
    observer: dict[str, Any] = {"type": "ids", "product": "floodwatch", "version": __version__}
    if event.capture.interface:
        observer["ingress"] = {"interface": {"name": event.capture.interface}}
    return observer


def _forwarded(sources: Sources) -> list[str]:
    """The sources that only a proxy names."""
    top = sources.top if sources.origin == "real" else ()
    return _hosts(source for source in top if source.proof == "forwarded")


def _hosts(sources: Iterable[TopSource]) -> list[str]:
    """Those of them that are one address: the schema has no type for networks."""
    cidrs = (source.cidr.removesuffix("/128") for source in sources)
    return [cidr for cidr in cidrs if "/" not in cidr]


def _ends(event: Event) -> dict[str, Any]:
    """Where it went, where it came from, and all addresses once more, as searches want them."""
    victim, proven = event.victim, event.sources.proven()
    destination: dict[str, Any] = {"address": victim.ip}
    related = _hosts(proven) + _forwarded(event.sources)
    if "/" not in victim.ip:
        destination["ip"] = victim.ip
        related = [victim.ip, *related]
    if victim.port is not None:
        destination["port"] = victim.port
    ends: dict[str, Any] = {"destination": destination}
    if proven:
        hosts = _hosts(proven)
        ends["source"] = {"address": [source.cidr for source in proven], **({"ip": hosts} if hosts else {})}
    return ends | ({"related": {"ip": related}} if related else {})


def _network(event: Event) -> dict[str, Any]:
    victim, forwarded = event.victim, _forwarded(event.sources)
    network: dict[str, Any] = {
        "type": "ipv6" if ":" in victim.ip else "ipv4",
        "iana_number": str(protocol_number(victim.protocol)),
        "bytes": event.bytes,
    }
    if (name := transport(victim.protocol)) is not None:
        network["transport"] = name
    if UNITS[event.rate.unit] == "packets":
        network["packets"] = event.packets
    if forwarded:
        network["forwarded_ip"] = forwarded
    return network


def _threat(technique: Technique) -> dict[str, Any]:
    (whole, *parts) = ({"id": [number], "name": [name]} for number, name in lineage(technique))
    told: dict[str, Any] = {**whole, **({"subtechnique": parts[0]} if parts else {})}
    return {"framework": "MITRE ATT&CK", "technique": told}
