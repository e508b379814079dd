"""What the operator says of services, and where this host stands, laid over what was found.

A flood at a service is held against the service's role; a flood that comes from this host, or from networks
behind it, is told as outgoing, and nothing is done about it here: a rule would cut off whom we serve.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import replace as changed
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..config.roles import ROLES, Service
from ..model.address import Network, address_text
from ..model.decision import Decision
from ..model.epoch import EPOCHS_PER_SECOND
from ..model.event import FLOODS, Action, Event, Evidence, TopSource, protocol_number
from ..model.finding import Finding

if TYPE_CHECKING:
    from ..mitigate.places import Places

MOSTLY = 0.8
"""Share of what the named sources sent from which on a flood is outgoing."""
LIMITING = frozenset({"limited", "fragments", "capped"})
"""Protections that meet everybody, beyond a rate."""
SPARE = 2.0
"""Guards let through so many times what is usual."""


class Posture:
    """Holds floods against services and places.

    Args:
        services: the first that covers a flood counts.
        places: where this host stands, or None where that means nothing.
    """

    def __init__(self, services: Sequence[Service] = (), places: Places | None = None) -> None:
        self._services = services
        self._places = places
        self._outgoing: set[str] = set()

    def heed(self, services: Sequence[Service]) -> None:
        """Hold floods against these services from now on."""
        self._services = services

    def weighed(self, finding: Finding[Any]) -> Finding[Any]:
        """A finding, which is over its floor only if it is over its service's limit as well."""
        loud = finding.over or finding.weight is not None
        if loud and self._services and finding.verdict in FLOODS and finding.ports:
            port = max(finding.ports, key=lambda held: held[1])[0]
            victim = _network(address_text(finding.victim), finding.prefix)
            at = self._service(protocol_number(finding.protocol), port, victim)
            if at is not None and finding.count * EPOCHS_PER_SECOND < at.limit:
                finding.over, finding.alone, finding.weight = False, False, None
        return finding

    def decided(self, decision: Decision) -> Decision:
        """What may be done about a flood, given all this."""
        named = [source.network for source in decision.sources]
        if decision.id in self._outgoing or (named and all(map(self._inside, named))):
            return _only_observed(decision)
        at = self._service(decision.protocol, decision.port, decision.victim)
        if at is None:
            return decision
        role = ROLES[at.role]
        if at.mode == "observe" or role.sources == "none":
            return _only_observed(decision)
        if role.guarded == "limit" and not at.limit and decision.protection in LIMITING:
            decision = changed(decision, protection=None)
        if role.sources == "limit" and decision.action == "drop_sources":
            decision = changed(decision, action="limit_per_source")
        return changed(decision, usual=max(decision.usual, at.limit / SPARE)) if at.limit else decision

    def told(self, event: Event) -> Event:
        """An event with what is to be said of its service, and of where its sources live."""
        if event.verdict not in FLOODS:
            return event
        if outgoing := self._said_outgoing(event):
            self._outgoing.add(event.id)
            why = "the flood comes from here: find and stop what sends it; a rule would cut off whom we serve"
            return _with(event, outgoing, "observe", why)
        self._outgoing.discard(event.id)
        victim = ipaddress.ip_network(event.victim.ip)
        at = self._service(protocol_number(event.victim.protocol), event.victim.port, victim)
        return event if at is None else _of_service(event, at)

    def _service(self, protocol: int, port: int | None, victim: Network) -> Service | None:
        covering = (at for at in self._services if at.covers(protocol, port, victim))
        return next((at for at in covering if not at.interfaces or self._on(at.interfaces, victim)), None)

    def _on(self, interfaces: Sequence[str], victim: Network) -> bool:
        places = self._places
        return places is not None and any(places.at(interface, victim) for interface in interfaces)

    def _inside(self, network: Network) -> str | None:
        return None if self._places is None else self._places.inside(network)

    def _said_outgoing(self, event: Event) -> Evidence | None:
        """That the sources that can be named are this host, or lie behind it."""
        named: tuple[TopSource, ...] = event.sources.top or event.sources.seen
        if not named or event.sources.origin == "forged":
            return None
        belongs = [(source, self._inside(ipaddress.ip_network(source.cidr))) for source in named]
        total = sum(source.count.lo for source in named)
        mine = [(source, where) for source, where in belongs if where]
        share = sum(source.count.lo for source, _ in mine) / max(total, 1)
        if not mine or share < MOSTLY:
            return None
        first, where = mine[0]
        says = (
            f"outgoing: {len(mine)} of the {len(named)} sources named are here, first {first.cidr} ({where})"
        )
        return Evidence(name="outgoing", value=round(share, 4), usual=None, says=says)


def _network(address: str, prefix: int | None) -> Network:
    return ipaddress.ip_network(address if prefix is None else f"{address}/{prefix}", strict=False)


def _only_observed(decision: Decision) -> Decision:
    return changed(decision, action="observe", protection=None, sources=(), proof=None)


def _of_service(event: Event, at: Service) -> Event:
    """What is told of a flood at a service that has its own rules."""
    role, advice = ROLES[at.role], event.action
    limit = f", from {at.limit} a second on" if at.limit else ""
    says = f"{at} is for {role.says}, as you said (role {at.role}, mode {at.mode}{limit})"
    evidence = Evidence(name="service", value=float(at.limit), usual=None, says=says)
    if at.mode == "observe":
        return _with(event, evidence, "observe", f"you said that {at} is only to be observed")
    if role.sources == "none":
        return _with(event, evidence, "observe", f"{at} is a {at.role}: {role.why}")
    if role.sources == "limit" and advice.recommended == "drop_sources":
        return _with(event, evidence, "limit_per_source", f"{at} has the role {at.role}: {role.why}")
    if role.guarded == "limit" and not at.limit and advice.recommended in ("limit_victim", "cap_unknown"):
        return _with(event, evidence, "observe", f"{at} has the role {at.role}: {role.why}")
    return _with(event, evidence, advice.recommended, advice.why)


def _with(event: Event, evidence: Evidence, action: Action, why: str) -> Event:
    advice = replace(event.action, recommended=action, why=why)
    return replace(event, evidence=(*event.evidence, evidence), action=advice)
