"""An event as a document of the Elastic Common Schema (ECS), for Elasticsearch and what reads it.

The event stands whole under ``floodwatch``, a name that the schema leaves to us. ``source`` holds only
addresses that are proven real: whoever blocks what stands there must not be led by forged ones.
"""

from __future__ import annotations

from typing import Any

import msgspec

from floodwatch.detectors import UNITS, title
from floodwatch.model.event import FLOODS, Event, Severity, TopSource
from floodwatch.model.vector import TECHNIQUES, Technique, protocol_number
from floodwatch.report import phrases, words
from floodwatch.report.json import dump
from floodwatch.report.near import where
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
        "message": _message(event),
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


def _message(event: Event) -> str:
    sources = f"sources: {phrases.distinct(event.sources)}, {words.origin(event.sources)}"
    return f"{phrases.named(event)} at {where(event.victim)}, {phrases.peak(event)[0]}, {sources}"


def _observer(event: Event) -> dict[str, Any]:
    observer: dict[str, Any] = {"type": "ids", "product": "floodwatch", "version": __version__}
    if event.capture.interface:
        observer["ingress"] = {"interface": {"name": event.capture.interface}}
    return observer


def _proven(event: Event) -> tuple[list[TopSource], list[TopSource]]:
    """The sources that are proven real, and those that only a proxy names."""
    top = event.sources.top if event.sources.origin == "real" else ()
    forwarded = [source for source in top if source.proof == "forwarded"]
    return [source for source in top if source not in forwarded], forwarded


def _hosts(sources: list[TopSource]) -> list[str]:
    """Those of them that are one address: the schema has no type for networks."""
    cidrs = (source.cidr.removesuffix("/128") for source in sources)
    return [cidr for cidr in cidrs if "/" not in cidr]


def _ends(event: Event) -> dict[str, Any]:
    """Where it went, where it came from, and all addresses once more, as searches want them."""
    victim, (proven, forwarded) = event.victim, _proven(event)
    destination: dict[str, Any] = {"address": victim.ip}
    related = _hosts(proven) + _hosts(forwarded)
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
    victim, forwarded = event.victim, _hosts(_proven(event)[1])
    network: dict[str, Any] = {
        "type": "ipv6" if ":" in victim.ip else "ipv4",
        "iana_number": str(protocol_number(victim.protocol)),
        "bytes": event.bytes,
    }
    if not victim.protocol.startswith("ip-"):  # which has no name
        network["transport"] = TRANSPORTS.get(victim.protocol, victim.protocol)
    if UNITS[event.rate.unit] == "packets":
        network["packets"] = event.packets
    if forwarded:
        network["forwarded_ip"] = forwarded
    return network


def _threat(technique: Technique) -> dict[str, Any]:
    parent, _, part = technique.partition(".")
    name = TECHNIQUES[technique]
    told: dict[str, Any] = {"id": [parent], "name": [PARENTS.get(parent, name)]}
    if part:
        told["subtechnique"] = {"id": [technique], "name": [name]}
    return {"framework": "MITRE ATT&CK", "technique": told}
