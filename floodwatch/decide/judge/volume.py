"""Packets that the victim neither asked for nor answers: UDP, ICMP, fragments, other protocols, DNS, QUIC."""

from __future__ import annotations

from ...model.event import Action, Evidence, Origin
from .family import LIMIT, Facts, Family, share


def _limit(origin: Origin, known_path: bool) -> tuple[Action, str]:
    return LIMIT


def _answers_evidence(facts: Facts) -> list[Evidence]:
    answers = facts.get("answers", 0.0)
    says = f"the victim sent {answers:.0f} packets back for {facts['packets']:.0f} received"
    return [Evidence(name="answers", value=answers, usual=None, says=says)]


def _fragment_evidence(facts: Facts) -> list[Evidence]:
    heads, packets = facts["heads"], facts["packets"]
    says = f"{packets:.0f} later fragments came with {heads:.0f} first ones, without which nothing is whole"
    return [Evidence(name="first_fragments", value=heads, usual=None, says=says)]


def _fragment_action(origin: Origin, known_path: bool) -> tuple[Action, str]:
    return "drop_signature", (
        "fragments without their first one can be dropped before they reach the victim; the addresses may "
        "be forged, so no source is blocked"
    )


def _dns_evidence(facts: Facts) -> list[Evidence]:
    queries = facts["queries"]
    out = [
        share("distinct_names", facts["names"], queries, None, "of the queries ask for a name of their own"),
        share("one_zone", facts["zone_queries"], queries, None, "of the queries are about one zone at least"),
    ]
    if facts["dns_answers"] > 0:
        says = "of the answers say that there is no such name, or that the server failed"
        out.append(share("failed_answers", facts["dns_failures"], facts["dns_answers"], 0.1, says))
    out.append(share("answered", facts["dns_answers"], queries, 0.99, "of the queries were answered"))
    return out


def _dns_action(origin: Origin, known_path: bool) -> tuple[Action, str]:
    return "limit_victim", (
        "queries come by way of resolvers that real users share, or from forged addresses: limit queries for "
        "the zone at the server, block no source"
    )


def _quic_evidence(facts: Facts) -> list[Evidence]:
    says = "of the QUIC packets open a connection; clients that mean it send many more"
    return [share("initial_share", facts["initials"], facts["packets"], 0.1, says)]


def _quic_action(origin: Origin, known_path: bool) -> tuple[Action, str]:
    return "limit_victim", (
        "an Initial packet proves no address: let the server answer with Retry (RFC 9000, 8.1.2), limit "
        "Initials to the victim, block no source"
    )


VOLUME = Family(
    _answers_evidence,
    _limit,
    rule="250 packets in a quarter of a second that the victim neither asked for nor answers",
)
FRAGMENT = Family(
    _fragment_evidence, _fragment_action, rule="250 fragments in a quarter of a second that belong to nothing"
)
DNS = Family(
    _dns_evidence,
    _dns_action,
    rule="250 queries in a quarter of a second, most of them for one zone or names of their own",
)
QUIC = Family(
    _quic_evidence, _quic_action, rule="250 Initials in a quarter of a second, and half of the packets"
)
