"""HTTP: machines that ask, among people who do."""

from __future__ import annotations

from ...model.event import Action, Evidence, Origin
from .family import Facts, Family, share


def _origin(facts: Facts, count: float, distinct: float) -> Origin:
    proven = facts.get("asked", 0) and facts["proven_requests"] >= 0.5 * facts["asked"]
    return "real" if proven else "unknown"


def _evidence(facts: Facts) -> list[Evidence]:
    requests = facts["requests"]
    out: list[Evidence] = []
    if "machine_requests" in facts:
        says = "of the requests come from sources that repeat few paths at a machine's pace"
        out.append(share("machine_share", facts["machine_requests"], requests, 0.0, says))
        if facts["asked"] > 0:
            says = "of those come from sources that finished a handshake"
            out.append(share("proven_share", facts["proven_requests"], facts["asked"], 1.0, says))
    if requests > 0:
        says = "of the requests fetch the parts of pages, as browsers do"
        out.append(share("asset_share", facts["assets"], requests, 0.5, says))
    if facts.get("pace", 0) > 0:
        pace = facts["pace"] / max(facts["epochs"], 1)
        says = f"each client asks about {pace:.1f} times a second"
        out.append(Evidence(name="pace", value=round(pace, 2), usual=None, says=says))
    if facts.get("listed_requests", 0) > 0:
        says = "of the busiest sources' requests come from networks that were served before"
        out.append(share("known_networks", facts["known_requests"], facts["listed_requests"], None, says))
    if facts.get("attempts", 0) > 0:
        says = "of the new connections finished their handshake"
        out.append(share("handshake_completion", facts["finished"], facts["attempts"], 0.97, says))
    return out


def _action(origin: Origin, known_path: bool) -> tuple[Action, str]:
    if origin == "real":
        return "drop_sources", (
            "the sources finished their handshakes: their addresses are real and may be blocked"
        )
    where = "the path" if known_path else "the service"
    return "cap_unknown", f"no source is proven real: cap {where} for unknown clients, keep the known ones"


def _refused(facts: Facts) -> Evidence:
    says = "of the requests were refused (a status of 400 or more)"
    return share("refused", facts["errors"], facts["requests"], 0.05, says)


def _probing_evidence(facts: Facts) -> list[Evidence]:
    paths = facts["paths"] / max(facts["epochs"], 1)
    says = f"about {paths:.0f} different paths were tried, and no parts of pages"
    return [_refused(facts), Evidence(name="distinct_paths", value=round(paths, 1), usual=None, says=says)]


def _guessing_evidence(facts: Facts) -> list[Evidence]:
    says = "of the requests post something, nearly always to one path"
    return [_refused(facts), share("posts", facts["posts"], facts["requests"], None, says)]


def _slow_evidence(facts: Facts) -> list[Evidence]:
    requests, stalls = facts["requests"], facts["stalled"] / max(facts["epochs"], 1)
    says = f"{stalls:.0f} packets in 20 s told the server that the client takes nothing now"
    ways = [
        share("unfinished", facts["unfinished"], requests, 0.02, "of the requests never came to their end"),
        share(
            "bodies_owed",
            facts["owing"],
            requests,
            0.02,
            "of the requests promised a body, and it did not come",
        ),
        Evidence(name="stalls", value=round(stalls, 1), usual=0.0, says=says),
    ]
    found = [
        way for way, name in zip(ways, ("unfinished", "owing", "stalled"), strict=True) if facts[name] > 0
    ]
    return [*found, share("answered", facts["responses"], requests, 0.99, "of the requests were answered")]


def _limit_each(origin: Origin, known_path: bool) -> tuple[Action, str]:
    if origin == "real":
        return "limit_per_source", (
            "the sources finished their handshakes, so a limit meets nobody else; see what they asked for"
        )
    return "observe", "no source is proven real: look at what was asked for"


def _frames(facts: Facts, what: str) -> list[Evidence]:
    value = facts["broken"] / max(facts["streams"], 1)
    says = f"{value:.2f} {what} came for each stream that was opened"
    return [Evidence(name="frames_per_stream", value=round(value, 3), usual=0.05, says=says), *_proof(facts)]


def _reset_evidence(facts: Facts) -> list[Evidence]:
    return _frames(facts, "resets")


def _continuation_evidence(facts: Facts) -> list[Evidence]:
    return _frames(facts, "continuations of a header")


def _proof(facts: Facts) -> list[Evidence]:
    if facts["asked"] <= 0:
        return []
    says = "of the frames of listed sources come from sources that finished a handshake"
    return [share("proven_share", facts["proven_requests"], facts["asked"], 1.0, says)]


HTTP = Family(
    _evidence,
    _action,
    rule="50 requests of machines in a quarter of a second (75 if one source sends them all)",
    floor=200.0,
    origin=_origin,
)
SLOW = Family(
    _slow_evidence,
    _limit_each,
    rule="50 requests without their end or body, or stalled packets, in 20 s",
    floor=50.0,
    origin=_origin,
)
PROBING = Family(
    _probing_evidence,
    _limit_each,
    rule="16 requests of one source in 8 s, 60 % refused, for 10 different paths or more",
    floor=200.0,
    origin=_origin,
)
RESETS = Family(
    _reset_evidence,
    _action,
    rule="125 resets in a quarter of a second, and one for two streams",
    floor=500.0,
    origin=_origin,
)
CONTINUATIONS = Family(
    _continuation_evidence,
    _action,
    rule="50 continuations in a quarter of a second, and two for each header",
    floor=200.0,
    origin=_origin,
)
GUESSING = Family(
    _guessing_evidence,
    _limit_each,
    rule="16 posts of one source in 8 s, 60 % refused; or 100 of all in 20 s, 80 % denied",
    floor=200.0,
    origin=_origin,
)
