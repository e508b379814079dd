"""What the numbers of one event mean: origin, evidence, advice, severity and confidence.

Pure functions of the facts that an event has gathered; no clock, no state. Each family of vectors is one
record, and a new vector is one entry of ``FAMILIES``.
"""

from __future__ import annotations

from ...model.event import Advice, Evidence, Origin, Severity, ShareEstimate
from ...model.vector import Vector
from . import http, reflection, tcp, volume
from .family import BOGON_SHARE, Facts, Family, bogons

FAMILIES: dict[Vector, Family] = {
    Vector.SYN_FLOOD: tcp.SYN,
    Vector.SYN_ACK_FLOOD: tcp.STATE,
    Vector.ACK_FLOOD: tcp.STATE,
    Vector.RST_FLOOD: tcp.STATE,
    Vector.FIN_FLOOD: tcp.STATE,
    Vector.TCP_FLAG_FLOOD: tcp.STATE,
    Vector.CONNECTION_FLOOD: tcp.CONNECTION,
    Vector.TLS_FLOOD: tcp.TLS,
    Vector.HTTP2_RAPID_RESET: http.RESETS,
    Vector.HTTP2_CONTINUATION_FLOOD: http.CONTINUATIONS,
    Vector.TCP_REFLECTION: reflection.TCP,
    Vector.HTTP_FLOOD: http.HTTP,
    Vector.SLOW_HTTP: http.SLOW,
    Vector.API_PROBING: http.PROBING,
    Vector.LOGIN_BRUTEFORCE: http.GUESSING,
    Vector.UDP_FLOOD: volume.VOLUME,
    Vector.ICMP_FLOOD: volume.VOLUME,
    Vector.IP_PROTOCOL_FLOOD: volume.VOLUME,
    Vector.FRAGMENT_FLOOD: volume.FRAGMENT,
    Vector.DNS_QUERY_FLOOD: volume.DNS,
    Vector.QUIC_FLOOD: volume.QUIC,
    **{vector: reflection.UDP for vector in Vector if vector.endswith("_amplification")},
}
CROWD_ACTION = "these are people: every client behaves like a reader; blocking would hit users"
DOUBTFUL = (
    "no client stands out as a machine, but few fetch the parts of pages as readers do: see what they ask "
    "for; blocking could hit users"
)
READERS = 0.3
"""Share of the requests that fetch parts of pages, below which a crowd may hold what is none."""


def floor(vector: Vector) -> float:
    """The vector's floor in its unit per second."""
    return FAMILIES[vector].floor


def severity(vector: Vector, peak: float, megabit: float) -> Severity:
    """From how far the peak stands above the floor, and from the bandwidth (Mbit/s)."""
    ratio = max(peak / floor(vector), megabit / 1000)
    return "low" if ratio < 2 else "medium" if ratio < 20 else "high" if ratio < 1000 else "critical"


def confidence(vector: Vector, count: float, epochs: int, verdict: str, facts: Facts) -> float:
    """Grows with the number of packets and epochs behind the verdict; never 1."""
    size = 1 - float(0.5 ** (1 + count / floor(vector) + epochs / 8))
    if verdict != "attack":
        return round(min(0.9, 0.6 * size + 0.2) * (0.6 if _doubtful(facts) else 1.0), 2)
    clear = FAMILIES[vector].clear(facts)
    if facts.get("sent", 1.0) == 0:
        clear *= 0.93  # with one direction less can be excluded
    return round(min(0.99, size * clear), 2)


def origin(vector: Vector, facts: Facts, count: float, distinct: float) -> Origin:
    """Whose addresses these are. ``real`` takes a finished handshake; unknown is treated as forged."""
    return FAMILIES[vector].origin(facts, count, distinct)


def forged_share(vector: Vector, facts: Facts, count: float, distinct: float) -> ShareEstimate | None:
    """Share of forged sources: from reserved addresses where there are any, else from the distinct ones."""
    if origin(vector, facts, count, distinct) != "forged":
        return None
    share = min(1.0, max(bogons(facts, count), distinct / max(count, 1)))
    error = 2 * (BOGON_SHARE * (1 - BOGON_SHARE) / max(count, 1)) ** 0.5 / BOGON_SHARE
    return ShareEstimate(
        est=round(share, 3), lo=round(max(0.0, share - error), 3), hi=round(min(1.0, share + error), 3)
    )


def evidence(
    vector: Vector, facts: Facts, rate: float, usual: float | None, limit: float | None
) -> tuple[Evidence, ...]:
    """The facts in the order of their weight, the rule last.

    Args:
        vector: what was named.
        facts: what it was named for.
        rate: its peak a second.
        usual: what is usual a second, or None.
        limit: the rate a second that the user's limits ask for (0: none), or None for a crowd.
    """
    out = list(FAMILIES[vector].evidence(facts))
    if usual:
        says = f"the peak is {rate / usual:.1f} times the usual {usual:.0f} per second"
        out.append(Evidence(name="surge", value=round(rate / usual, 2), usual=1.0, says=says))
    if facts.get("sent", 1.0) == 0:
        says = "only packets towards the victim were captured: what it answered is not known"
        out.append(Evidence(name="one_way", value=1.0, usual=0.0, says=says))
    if limit is not None:
        more = f"; your limits ask for {limit:.0f} a second" if limit else ""
        says = f"named from: {FAMILIES[vector].rule}{more}"
        out.append(Evidence(name="rule", value=rate, usual=round(limit, 1) or None, says=says))
    return tuple(out)


def _doubtful(facts: Facts) -> bool:
    """Requests were seen, and they are not those of readers; programs that call an API look the same."""
    return facts.get("assets", 0.0) < READERS * facts.get("requests", 0.0)


def advice(vector: Vector, verdict: str, found: Origin, known_path: bool, facts: Facts) -> Advice:
    """The safest action that works against this vector and origin; never by address unless it is real."""
    if verdict == "crowd":
        why = DOUBTFUL if _doubtful(facts) else CROWD_ACTION
        return Advice(recommended="scale_out", why=why, taken="none")
    action, why = FAMILIES[vector].action(found, known_path)
    return Advice(recommended=action, why=why, taken="none")
