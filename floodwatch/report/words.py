"""The words of the report for people: origins, patterns, advice; titles are known to each vector's family."""

from __future__ import annotations

from floodwatch.model.decision import SOURCE_RATES
from floodwatch.model.event import Action, Event, Origin, Severity, Sources

COLORS: dict[Severity, str] = {"low": "36", "medium": "33", "high": "31", "critical": "1;31"}
TITLE_ENDS: dict[Origin, str] = {"forged": ", forged sources", "mixed": ", partly forged sources"}
ORIGINS: dict[Origin, str] = {
    "forged": "forged",
    "real": "proven real by finished handshakes",
    "reflected": "reflectors that answer forged requests",
    "mixed": "some proven real, some forged",
    "unknown": "not proven real",
}
ONE_WAY = "only one direction was captured: no source can be proven real"
MIRRORED = "every frame was captured twice, as mirror ports do: {} left out"
ELSEWHERE = "packets that pass several interfaces count once: {} left out"
NO_OPENER = "to read the hellos of QUIC, pip install 'floodwatch[decrypt]'"
DOUBTS = frozenset({"copies", "stamps"})
"""Evidence against the numbers themselves, which is always shown."""
PATTERNS = {"pulse": "in pulses", "carpet": "across a whole prefix", "ramp": "rising slowly"}
FORWARDED = {"all": "named by a proxy", "some": "proven real by handshakes, or named by a proxy"}
HOW = {
    "forwarded_header": "which names its clients in a header",
    "proxy_line": "which names its clients by the PROXY protocol",
    "named": "a proxy that you named",
}
ADVICE: dict[Action, str] = {
    "none": "nothing to do",
    "observe": "keep watching, do not block yet",
    "scale_out": "add capacity, do not block",
    "syn_cookies": "let SYN cookies protect the victim (Linux has them on by default)",
    "limit_victim": "limit the rate towards the victim",
    "drop_signature": "drop the packets that carry the flood's signature",
    "drop_reflector_port": "drop packets from the reflectors' port",
    "limit_per_source": "limit the rate of each source",
    "drop_sources": "block the listed sources",
    "cap_unknown": "cap the rate of unknown clients",
}


def origin(sources: Sources) -> str:
    """Whose addresses these are."""
    forwarded = sum(top.proof == "forwarded" for top in sources.top)
    if not forwarded:
        return ORIGINS[sources.origin]
    return FORWARDED["all" if forwarded == len(sources.top) else "some"]


def advice(event: Event) -> str:
    """What to do about it."""
    at_a_proxy = event.sources.top and all(top.proof == "forwarded" for top in event.sources.top)
    if at_a_proxy and event.action.recommended in SOURCE_RATES:
        return "deny the listed clients at the proxy"
    return ADVICE[event.action.recommended]
