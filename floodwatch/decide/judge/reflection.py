"""Reflection: servers that answer queries which somebody forged in the victim's name."""

from __future__ import annotations

from ...model.event import Action, Evidence, Origin
from .family import Facts, Family


def _reflected(facts: Facts, count: float, distinct: float) -> Origin:
    return "reflected"


def _unasked(facts: Facts, what: str) -> Evidence:
    port = int(facts["service_port"] / max(facts["epochs"], 1))
    answers, asked = facts["answers"], facts["asked"]
    return Evidence(
        name="unasked_answers",
        value=round(1 - min(1.0, asked / max(answers, 1)), 4),
        usual=0.0,
        says=f"{answers:.0f} {what} port {port}; the victim sent {asked:.0f} to it",
    )


def _udp_evidence(facts: Facts) -> list[Evidence]:
    size = facts["answer_bytes"] / max(facts["answers"], 1)
    says = f"{size:.0f} bytes an answer on average"
    return [
        _unasked(facts, "answers from UDP"),
        Evidence(name="answer_bytes", value=round(size, 1), usual=None, says=says),
    ]


def _tcp_evidence(facts: Facts) -> list[Evidence]:
    resets = facts["resets"]
    says = f"{resets:.0f} resets from others that refused the same"
    return [
        _unasked(facts, "SYN-ACKs, most of them from TCP"),
        Evidence(name="resets", value=resets, usual=0.0, says=says),
    ]


def _udp_action(origin: Origin, known_path: bool) -> tuple[Action, str]:
    return "drop_reflector_port", (
        "the senders are reflectors of forged queries; the servers that the victim itself asks must pass"
    )


def _tcp_action(origin: Origin, known_path: bool) -> tuple[Action, str]:
    return "drop_signature", (
        "the senders answer SYNs that were forged in the victim's name: connection tracking drops SYN-ACKs "
        "that nobody asked for; the senders are innocent"
    )


UDP = Family(
    _udp_evidence,
    _udp_action,
    rule="250 answers (or 1.56 MB) in a quarter of a second that nobody asked for",
    origin=_reflected,
)
TCP = Family(
    _tcp_evidence,
    _tcp_action,
    rule="250 SYN-ACKs in a quarter of a second that nobody asked for",
    origin=_reflected,
)
