"""TCP: half-open connections, packets out of any connection, connections that nobody uses, TLS handshakes."""

from __future__ import annotations

from ...model.event import Action, Evidence, Origin
from .family import LIMIT, Facts, Family, share


def _syn_clear(facts: Facts) -> float:
    return 1 - 0.3 * min(1.0, facts["finished"] / max(facts["attempts"], 1))


def _syn_evidence(facts: Facts) -> list[Evidence]:
    attempts = facts["attempts"]
    says = "of the SYNs were followed by an ACK"
    out = [
        share("handshake_completion", facts["finished"], attempts, 0.97, says),
        share("answered", facts["answered"], attempts, 0.99, "of the SYNs were answered by the victim"),
    ]
    if facts["refused"] > 0.1 * attempts:
        out.append(share("refused", facts["refused"], attempts, 0.0, "of the SYNs met a closed port"))
    if facts["bogons"] > 0:
        says = "of the sources are reserved addresses that cannot exist"
        out.append(share("bogon_share", facts["bogons"], facts["syn"], 0.0, says))
    return out


def _syn_action(origin: Origin, known_path: bool) -> tuple[Action, str]:
    if origin == "forged":
        return "syn_cookies", ("the addresses are forged: blocking them would hit bystanders")
    return "syn_cookies", ("no source finished a handshake, so none is proven real")


def _state_evidence(facts: Facts) -> list[Evidence]:
    says = "of these packets belong to no connection that was seen to open or to be answered"
    return [share("out_of_state", facts["strange"], facts["packets"], 0.0, says)]


def _state_action(origin: Origin, known_path: bool) -> tuple[Action, str]:
    return "drop_signature", (
        "these packets belong to no connection: connection tracking drops them as invalid; the addresses "
        "may be forged, so no source is blocked"
    )


def _connection_origin(facts: Facts, count: float, distinct: float) -> Origin:
    return "real" if facts["finished"] > 0 else "unknown"


def _connection_evidence(facts: Facts) -> list[Evidence]:
    out: list[Evidence] = []
    if facts.get("attempts", 0) > 0:
        says = "of the new connections finished their handshake"
        made = facts.get("made", facts["finished"])
        out.append(share("handshake_completion", made, facts["attempts"], 0.97, says))
    if "data" in facts:
        value = facts["data"] / max(facts["made"], 1)
        says = f"the clients sent {value:.2f} packets of data for each connection that they opened"
        out.append(Evidence(name="data_per_connection", value=round(value, 3), usual=2.0, says=says))
    return out


def _real_action(origin: Origin, known_path: bool) -> tuple[Action, str]:
    if origin == "real":
        return "drop_sources", (
            "the sources finished their handshakes: their addresses are real and may be blocked"
        )
    return LIMIT


def _tls_origin(facts: Facts, count: float, distinct: float) -> Origin:
    return "real" if facts["finished"] >= 0.5 * facts["hellos"] else "unknown"


def _tls_evidence(facts: Facts) -> list[Evidence]:
    value = facts["records"] / max(facts["hellos"], 1)
    says = f"the clients went on with {value:.2f} packets of TLS for each handshake that they began"
    return [Evidence(name="records_per_hello", value=round(value, 3), usual=3.0, says=says)]


SYN = Family(
    _syn_evidence,
    _syn_action,
    rule="125 unfinished attempts in a quarter of a second, and 15 % of all attempts",
    floor=500.0,
    clear=_syn_clear,
)
STATE = Family(
    _state_evidence,
    _state_action,
    rule="250 packets out of any connection in a quarter of a second, and 30 % of their kind",
)
CONNECTION = Family(
    _connection_evidence,
    _real_action,
    rule="125 connections in a quarter of a second, with less data than one packet for two of them",
    floor=500.0,
    origin=_connection_origin,
)
TLS = Family(
    _tls_evidence,
    _real_action,
    rule="125 handshakes begun in a quarter of a second, and less than one of two goes on",
    floor=500.0,
    origin=_tls_origin,
)
