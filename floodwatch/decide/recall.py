"""An event of a report, read back as what it would ask of mitigation.

A report is a file that anybody may have written: what is no address, port or protocol is refused by name, and
no rule comes of it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Final, TypeVar

from ..detectors import FAMILIES
from ..errors import InputError
from ..model.address import Network, mapped
from ..model.decision import (
    ID_MOST,
    PORT_MOST,
    PROTOCOL_MOST,
    SOURCE_RATES,
    USUAL_MOST,
    WIDEST,
    Decision,
    Proof,
    Suspect,
    reported,
)
from ..model.event import FLOODS, Event
from ..model.vector import protocol_number
from .events import protection

Told = TypeVar("Told")
Read = TypeVar("Read")
ID: Final = re.compile(rf"[\w.:/-]{{1,{ID_MOST}}}", re.ASCII)
"""What an event's id is made of: it stands in rules as a comment, and in the name of a table."""


def decision_of(event: Event, proof: Callable[[str], Proof] = reported) -> Decision:
    """What is to be done about the flood of an event.

    Args:
        event: as a report tells of it.
        proof: makes the proof that its sources are real.

    Raises:
        InputError: a field of the event is not what it should be; names the event and the field.
    """

    def read(field: str, told: Told, reader: Callable[[Told], Read]) -> Read:
        try:
            return reader(told)
        except ValueError:
            text = f"event {event.id[:80]!r} cannot be acted on: its {field} is {repr(told)[:80]}"
            raise InputError(event.input, "bad_event", text) from None

    victim, action, sources = event.victim, event.action.recommended, event.sources
    named = sources.proven() if event.verdict in FLOODS and action in SOURCE_RATES else ()
    return Decision(
        id=read("id", event.id, _id),
        vector=event.vector,
        origin=sources.origin,
        action=action,
        victim=read("victim.ip", victim.ip, _victim),
        protocol=read("victim.protocol", victim.protocol, _protocol),
        port=None if victim.port is None else read("victim.port", victim.port, _port),
        reflector_ports=tuple(
            read("sources.reflector_ports", port, _service) for port in sources.reflector_ports
        ),
        protection=protection(action, FAMILIES[event.vector]),
        usual=read("rate.baseline", event.rate.baseline or 0.0, _usual),
        sources=tuple(
            Suspect(read("sources.top", top.cidr, _network), top.count.lo, top.count.hi, top.shared)
            for top in named
        ),
        proof=proof(event.id),
    )


def _id(told: str) -> str:
    if not ID.fullmatch(told):
        raise ValueError
    return told


def _network(told: str) -> Network:
    """A network without a zone, which Python would take and hand on: ``fe80::1%anything``."""
    if "%" in told:
        raise ValueError
    return ipaddress.ip_network(told)


def _victim(told: str) -> Network:
    network = _network(told)
    if network.prefixlen < WIDEST[network.version] or mapped(network):
        raise ValueError
    return network


def _protocol(told: str) -> int:
    return int(_within(protocol_number(told), 0, PROTOCOL_MOST))


def _port(told: int) -> int:
    """A victim's port: packets to port 0 exist, though nothing listens there."""
    return int(_within(told, 0, PORT_MOST))


def _service(told: int) -> int:
    return int(_within(told, 1, PORT_MOST))


def _usual(told: float) -> float:
    return _within(told, 0, USUAL_MOST)


def _within(told: float, least: float, most: float) -> float:
    if not least <= told <= most:
        raise ValueError
    return told
