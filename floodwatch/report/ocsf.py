"""An event as a Detection Finding of the Open Cybersecurity Schema Framework (OCSF), for data lakes.

The event stands whole under ``unmapped.floodwatch``. An endpoint that it came from is told only where its
address is proven real: whoever blocks what stands there must not be led by forged ones.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any, Final

import msgspec

from floodwatch.detectors import title
from floodwatch.model.event import FLOODS, Event, Severity
from floodwatch.model.vector import Technique, protocol_number
from floodwatch.report import phrases, words
from floodwatch.report.ecs import lineage, transport
from floodwatch.report.json import dump
from floodwatch.report.near import where
from floodwatch.version import __version__

VERSION = "1.3.0"
"""Of the schema that the attributes are taken from; later ones of the same number only add to it."""
CATEGORY, CLASS = 2, 2004
ACTIVITIES: dict[str, tuple[int, str]] = {
    "opened": (1, "Create"), "updated": (2, "Update"), "ended": (3, "Close"),
}  # fmt: skip
SEVERITIES: dict[Severity, tuple[int, str]] = {
    "low": (2, "Low"), "medium": (3, "Medium"), "high": (4, "High"), "critical": (5, "Critical"),
}  # fmt: skip
INFORMATIONAL = (1, "Informational")
"""Of crowds and surges, which are no attacks."""
BEHAVIOURAL: Final = 2
INBOUND: Final = 1
ADDRESS: Final = 2
"""Numbers of the schema: the type of an analytic, a direction, and the type of an observable."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Told = dict[str, Any]


def line(what: str, event: Event) -> bytes:
    """One line of JSON.

    Args:
        what: what became of the event, as in a watch: a finding is created, updated or closed.
        event: the event.
    """
    activity, name = ACTIVITIES[what]
    grave, gravity = SEVERITIES[event.severity] if event.verdict in FLOODS else INFORMATIONAL
    begin, end = _time(event.first), _time(event.last)
    evidences = [_traffic(event), *_sources(event)]
    return dump({
        "class_uid": CLASS, "class_name": "Detection Finding",
        "category_uid": CATEGORY, "category_name": "Findings",
        "activity_id": activity, "activity_name": name, "type_uid": 100 * CLASS + activity,
        "time": _time(event.detected) if what == "opened" else end, "start_time": begin, "end_time": end,
        "severity_id": grave, "severity": gravity, "confidence_score": round(100 * event.confidence),
        "message": phrases.message(event),
        "metadata": {
            "version": VERSION, "uid": f"{event.id} {event.seq}", "sequence": event.seq,
            "product": {"name": "floodwatch", "vendor_name": "floodwatch", "version": __version__},
        },
        "finding_info": _finding(event),
        "evidences": evidences,
        "observables": _observables(evidences),
        "remediation": {"desc": f"{words.advice(event)}: {event.action.why}"},
        "unmapped": {"floodwatch": msgspec.to_builtins(event)},
    })  # fmt: skip


def _finding(event: Event) -> Told:
    named = title(event.vector, event.verdict)
    finding: Told = {
        "uid": event.id, "title": f"{phrases.named(event)} at {where(event.victim)}",
        "desc": "; ".join(fact.says for fact in event.evidence),
        "analytic": {"type_id": BEHAVIOURAL, "type": "Behavioral", "uid": event.vector, "name": named},
        "created_time": _time(event.detected), "first_seen_time": _time(event.first),
        "last_seen_time": _time(event.last), "types": [event.verdict],
    }  # fmt: skip
    if event.technique:
        finding["attacks"] = [_attack(event.technique)]
    return finding


def _attack(technique: Technique) -> Told:
    ends = zip(("technique", "sub_technique"), lineage(technique), strict=False)
    return {end: {"uid": number, "name": name} for end, (number, name) in ends}


def _traffic(event: Event) -> Told:
    """What was seen: where it went, and by which protocol."""
    victim = event.victim
    connection: Told = {
        "direction_id": INBOUND, "direction": "Inbound", "protocol_num": protocol_number(victim.protocol),
        "protocol_ver_id": 6 if ":" in victim.ip else 4,
    }  # fmt: skip
    if (name := transport(victim.protocol)) is not None:
        connection["protocol_name"] = name
    told: Told = {"dst_endpoint": _endpoint(victim.ip), "connection_info": connection}
    if victim.port is not None:
        told["dst_endpoint"]["port"] = victim.port
    if victim.path:
        told["url"] = {"path": victim.path}
    return told


def _sources(event: Event) -> list[Told]:
    """Those that are proven real; what only a proxy names stands in the event."""
    return [{"src_endpoint": _endpoint(one.cidr)} for one in event.sources.proven()]


def _endpoint(text: str) -> Told:
    """A host by its address; a network has no type there, so it is only named."""
    network = ip_network(text)
    host = network.prefixlen == network.max_prefixlen
    return {"ip": str(network.network_address)} if host else {"name": str(network)}


def _observables(evidences: list[Told]) -> list[Told]:
    """The addresses once more, as searches want them."""
    return [
        {
            "name": f"evidences[{number}].{end}.ip",
            "type_id": ADDRESS,
            "type": "IP Address",
            "value": held["ip"],
        }
        for number, evidence in enumerate(evidences)
        for end, held in evidence.items()
        if "ip" in held
    ]


def _time(stamp: str) -> int:
    """Milliseconds since 1970."""
    return (datetime.fromisoformat(stamp) - EPOCH) // timedelta(milliseconds=1)
