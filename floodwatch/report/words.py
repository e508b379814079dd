"""The words of the report for people: origins, patterns, advice; titles are known to each vector's family."""

from __future__ import annotations

from collections.abc import Iterator

from floodwatch.model.decision import SOURCE_RATES
from floodwatch.model.event import Action, Event, Origin, Severity, Sources, State
from floodwatch.model.report import Decrypted
from floodwatch.model.vector import TECHNIQUES
from floodwatch.report.units import plural

COLORS: dict[Severity, str] = {"low": "36", "medium": "33", "high": "31", "critical": "1;31"}
TITLE_ENDS: dict[Origin, str] = {"forged": ", forged sources", "mixed": ", partly forged sources"}
ORIGINS: dict[Origin, str] = {
    "forged": "forged",
    "real": "proven real by finished handshakes",
    "reflected": "reflectors that answer forged requests",
    "mixed": "some proven real, some forged",
    "unknown": "not proven real",
}
ENDINGS: dict[State, str] = {"open": ", still going", "cut": ", the capture ends first", "ended": ""}
ONE_WAY = "only one direction was captured: no source can be proven real"
MIRRORED = "every frame was captured twice, as mirror ports do: {} left out"
ELSEWHERE = "packets that pass several interfaces count once: {} left out"
NO_OPENER = "to read the hellos of QUIC, pip install 'floodwatch[decrypt]'"
NO_DECRYPTING = "the capture holds keys of TLS: to read with them, pip install 'floodwatch[decrypt]'"
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


GAVE_UP = {
    "cut": "cut by the snap length",
    "lost": "bytes are missing in the capture",
    "cipher": "a cipher suite that is not read",
    "tag": "the keys do not fit",
    "keys": "some of the keys are missing",
    "renegotiated": "renegotiated",
    "other": "no HTTP",
    "broken": "no records of TLS",
}
"""Why a direction of a connection stayed encrypted."""


def decrypted(told: Decrypted) -> Iterator[str]:
    """What was decrypted and what was not, in sentences."""
    if not told.opener:
        yield NO_DECRYPTING
        return
    said = f"decrypted {plural(told.records, 'record')} of {plural(told.connections, 'connection')}"
    yield said + (f"; {plural(told.without, 'hello')} without keys" if told.without else "")
    if told.gave_up:
        why = ", ".join(f"{count:,} ({GAVE_UP.get(name, name)})" for name, count in told.gave_up.items())
        yield f"directions that stayed encrypted, at least in part: {why}"
    if told.failed:
        yield f"{plural(told.failed, 'record')} that no key opens"
    if told.nonsense:
        yield f"{plural(told.nonsense, 'line')} of keys that {'is' if told.nonsense == 1 else 'are'} none, " \
              f"the first at {told.first_nonsense}"  # fmt: skip


def origin(sources: Sources) -> str:
    """Whose addresses these are."""
    forwarded = sum(top.proof == "forwarded" for top in sources.top)
    if not forwarded:
        return ORIGINS[sources.origin]
    return FORWARDED["all" if forwarded == len(sources.top) else "some"]


def technique(event: Event) -> str:
    """The technique of ATT&CK by number and name; empty for what is no attack."""
    return f"{event.technique} {TECHNIQUES[event.technique]}" if event.technique else ""


def advice(event: Event) -> str:
    """What to do about it."""
    at_a_proxy = event.sources.top and all(top.proof == "forwarded" for top in event.sources.top)
    if at_a_proxy and event.action.recommended in SOURCE_RATES:
        return "deny the listed clients at the proxy"
    return ADVICE[event.action.recommended]
