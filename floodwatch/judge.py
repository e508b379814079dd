"""What the numbers of one event mean: origin, evidence, advice, severity and confidence.

Pure functions of the facts that an event has gathered; no clock, no state.
"""

from __future__ import annotations

from collections.abc import Mapping

from .model import Action, Advice, Evidence, Origin, Severity, ShareEstimate, Vector

Facts = Mapping[str, float]

FLOORS: dict[str, float] = {"http_flood": 200.0, "syn_flood": 500.0}
DEFAULT_FLOOR = 1000.0
FORGED_DISTINCT = 0.5
"""Distinct sources per attempt from which forging explains a flood that nobody answers."""
FORGED_MIN = 400
BOGON_SHARE = 0.138
"""Share of the 32-bit space that cannot be a public source (RFC 6890 and multicast)."""


def floor(vector: Vector) -> float:
    """The vector's floor in its unit per second."""
    return FLOORS.get(vector, DEFAULT_FLOOR)


def severity(vector: Vector, peak: float, megabit: float) -> Severity:
    """From how far the peak stands above the floor, and from the bandwidth (Mbit/s)."""
    ratio = max(peak / floor(vector), megabit / 1000)
    return "low" if ratio < 2 else "medium" if ratio < 20 else "high" if ratio < 1000 else "critical"


def confidence(vector: Vector, count: float, epochs: int, verdict: str, facts: Facts) -> float:
    """Grows with the number of packets and epochs behind the verdict; never 1."""
    size = 1 - float(0.5 ** (1 + count / floor(vector) + epochs / 8))
    if verdict != "attack":
        return round(min(0.9, 0.6 * size + 0.2), 2)
    clear = 1.0
    if vector is Vector.SYN_FLOOD:
        attempts = max(facts["attempts"], 1)
        clear = 1 - 0.3 * min(1.0, facts["finished"] / attempts)
    if facts.get("sent", 1.0) == 0:
        clear *= 0.93  # with one direction less can be excluded
    return round(min(0.99, size * clear), 2)


def origin(vector: Vector, facts: Facts, count: float, distinct: float) -> Origin:
    """Whose addresses these are. ``real`` takes a finished handshake; unknown is treated as forged."""
    if vector.endswith("_amplification"):
        return "reflected"
    if vector in (Vector.HTTP_FLOOD, Vector.CONNECTION_FLOOD):
        if vector is Vector.CONNECTION_FLOOD:
            return "real" if facts["finished"] > 0 else "unknown"
        return (
            "real"
            if facts.get("asked", 0) and facts["proven_requests"] >= 0.5 * facts["asked"]
            else "unknown"
        )
    many = count >= FORGED_MIN and distinct >= FORGED_DISTINCT * count
    return "forged" if many or _bogons(facts, count) >= 0.25 else "unknown"


def _bogons(facts: Facts, count: float) -> float:
    return facts.get("bogons", 0.0) / max(count, 1) / BOGON_SHARE


def forged_share(vector: Vector, facts: Facts, count: float, distinct: float) -> ShareEstimate | None:
    """Share of forged sources: from reserved addresses where there are any, else from the unfinished SYNs."""
    found = origin(vector, facts, count, distinct)
    if found != "forged":
        return None
    share = min(1.0, max(_bogons(facts, count), distinct / max(count, 1)))
    error = 2 * (BOGON_SHARE * (1 - BOGON_SHARE) / max(count, 1)) ** 0.5 / BOGON_SHARE
    return ShareEstimate(
        est=round(share, 3), lo=round(max(0.0, share - error), 3), hi=round(min(1.0, share + error), 3)
    )


def evidence(vector: Vector, facts: Facts, rate: float, usual: float | None) -> tuple[Evidence, ...]:
    """The facts in the order of their weight."""
    out: list[Evidence] = []
    if vector is Vector.SYN_FLOOD:
        out += _syn_evidence(facts)
    elif vector.endswith("_amplification"):
        out += _reflection_evidence(facts)
    elif vector in (Vector.HTTP_FLOOD, Vector.CONNECTION_FLOOD):
        out += _http_evidence(facts)
    else:
        answers = facts.get("answers", 0.0)
        says = f"the victim sent {answers:.0f} packets back for {facts['packets']:.0f} received"
        out.append(Evidence(name="answers", value=answers, usual=None, says=says))
    if usual:
        says = f"the peak is {rate / usual:.1f} times the usual {usual:.0f} per second"
        out.append(Evidence(name="surge", value=round(rate / usual, 2), usual=1.0, says=says))
    if facts.get("sent", 1.0) == 0:
        says = "only packets towards the victim were captured: what it answered is not known"
        out.append(Evidence(name="one_way", value=1.0, usual=0.0, says=says))
    return tuple(out)


def _share(name: str, part: float, whole: float, usual: float | None, says: str) -> Evidence:
    value = round(min(1.0, part / max(whole, 1)), 4)
    return Evidence(name=name, value=value, usual=usual, says=f"{100 * value:.1f} % {says}")


def _syn_evidence(facts: Facts) -> list[Evidence]:
    attempts = facts["attempts"]
    out = [
        _share(
            "handshake_completion", facts["finished"], attempts, 0.97, "of the SYNs were followed by an ACK"
        ),
        _share("answered", facts["answered"], attempts, 0.99, "of the SYNs were answered by the victim"),
    ]
    if facts["refused"] > 0.1 * attempts:
        out.append(_share("refused", facts["refused"], attempts, 0.0, "of the SYNs met a closed port"))
    if facts["bogons"] > 0:
        says = "of the sources are reserved addresses that cannot exist"
        out.append(_share("bogon_share", facts["bogons"], facts["syn"], 0.0, says))
    return out


def _reflection_evidence(facts: Facts) -> list[Evidence]:
    port = int(facts["service_port"] / max(facts["epochs"], 1))
    answers, asked = facts["answers"], facts["asked"]
    size = facts["answer_bytes"] / max(answers, 1)
    return [
        Evidence(
            name="unasked_answers",
            value=round(1 - min(1.0, asked / max(answers, 1)), 4),
            usual=0.0,
            says=f"{answers:.0f} answers from UDP port {port}; the victim sent {asked:.0f} to it",
        ),
        Evidence(
            name="answer_bytes",
            value=round(size, 1),
            usual=None,
            says=f"{size:.0f} bytes an answer on average",
        ),
    ]


def _http_evidence(facts: Facts) -> list[Evidence]:
    requests = facts["requests"]
    out: list[Evidence] = []
    if "machine_requests" in facts:
        machine = facts["machine_requests"]
        says = "of the requests come from sources that repeat few paths at a machine's pace"
        out.append(_share("machine_share", machine, requests, 0.0, says))
        if facts["asked"] > 0:
            says = "of those come from sources that finished a handshake"
            out.append(_share("proven_share", facts["proven_requests"], facts["asked"], 1.0, says))
    if requests > 0:
        says = "of the requests fetch the parts of pages, as browsers do"
        out.append(_share("asset_share", facts["assets"], requests, 0.5, says))
    if facts.get("attempts", 0) > 0:
        says = "of the new connections finished their handshake"
        out.append(_share("handshake_completion", facts["finished"], facts["attempts"], 0.97, says))
    return out


def advice(vector: Vector, verdict: str, found: Origin, known_path: bool) -> Advice:
    """The safest action that works against this vector and origin; never by address unless it is real."""
    action, why = _action(vector, verdict, found, known_path)
    return Advice(recommended=action, why=why, taken="none")


def _action(vector: Vector, verdict: str, found: Origin, known_path: bool) -> tuple[Action, str]:
    if verdict == "crowd":
        return "scale_out", "these are people: every client behaves like a reader; blocking would hit users"
    if vector is Vector.SYN_FLOOD:
        if found == "forged":
            return "syn_cookies", (
                "the addresses are forged: blocking them would hit bystanders; SYN cookies protect the victim"
            )
        return "syn_cookies", (
            "no source finished a handshake, so none is proven real: SYN cookies protect the victim"
        )
    if vector.endswith("_amplification"):
        return "drop_reflector_port", (
            "the senders are reflectors of forged queries: drop new packets from that port, keep the servers "
            "that the victim itself asks"
        )
    if vector is Vector.HTTP_FLOOD and found == "real":
        return (
            "drop_sources",
            "the sources finished their handshakes: their addresses are real and may be blocked",
        )
    if vector is Vector.HTTP_FLOOD:
        where = "the path" if known_path else "the service"
        return (
            "cap_unknown",
            f"no source is proven real: cap {where} for unknown clients, keep the known ones",
        )
    return "limit_victim", "the addresses may be forged: limit what reaches the victim, block no source"
