"""An event as Suricata's EVE output tells an alert, for pipelines that read those.

The event stands whole under ``alert.metadata.floodwatch``, the only place that the schema of EVE leaves open.
Times have microseconds and end in ``+0000``, as Suricata's do.
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from floodwatch.detectors import title
from floodwatch.model.event import Event, Severity, Verdict
from floodwatch.model.vector import Vector
from floodwatch.report.json import dump

GENERATOR = 1
FIRST_ID, IDS = 42_000_000, 1_000_000
"""Where the numbers of our signatures begin, and how many there may be."""
SEVERITIES: dict[Severity, int] = {"critical": 1, "high": 2, "medium": 3, "low": 4}
CATEGORIES: dict[Verdict, str] = {
    "attack": "Attempted Denial of Service",
    "mixed": "Attempted Denial of Service",
    "crowd": "Not Suspicious Traffic",
    "unclear": "Misc activity",
}
"""By verdict, in the words of Suricata's own classification."""


def signature_id(vector: Vector) -> int:
    """The number of a vector: made of its name, so that it stays when others come."""
    return FIRST_ID + zlib.crc32(vector.encode()) % IDS


def line(what: str, event: Event) -> bytes:
    """One line of EVE.

    A source stands in it only where there is one and it is proven; ``alert.action`` is blocked only where the
    kernel was read back.
    """
    victim, top = event.victim, event.sources.top
    alone = event.sources.origin == "real" and len(top) == 1
    alert = {
        "action": "allowed" if event.action.taken == "none" else "blocked",
        "gid": GENERATOR,
        "signature_id": signature_id(event.vector),
        "rev": 1,
        "signature": f"floodwatch {title(event.vector, event.verdict)}",
        "category": CATEGORIES[event.verdict],
        "severity": SEVERITIES[event.severity],
        "metadata": {"floodwatch": [{"what": what, "event": msgspec.to_builtins(event)}]},
    }
    told: dict[str, Any] = {"timestamp": _time(event.last if what == "ended" else event.detected)}
    if event.capture.interface:
        told["in_iface"] = event.capture.interface
    told["event_type"] = "alert"
    if alone:
        told["src_ip"] = top[0].cidr
    told["dest_ip"] = victim.ip
    if victim.port is not None:
        told["dest_port"] = victim.port
    told |= {"proto": victim.protocol.upper(), "alert": alert}
    return dump(told)


def _time(rfc3339: str) -> str:
    """In microseconds, and with an offset."""
    whole, _, part = rfc3339.removesuffix("Z").partition(".")
    return f"{whole}.{part[:6].ljust(6, '0')}+0000"
