"""Deny lists for a proxy or a CDN: the sources of one flood in the form that each of them loads.

They hold addresses that were proven, here or by a proxy that is trusted. The list is for the place where the
clients themselves connect: behind a proxy all of them come from its address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

import msgspec

from ..errors import InputError
from ..model.address import Network, meet
from ..model.event import FLOODS, Event
from ..report.escape import printable
from .guards import name_of
from .plan import Policy, refusal

NOTHING = "there is nothing to deny: no source is proven real"
ENDLESS = "nothing ends this by itself: take it away in time"
WHERE = {
    "nginx": "save it as a file, and include it in an http, server or location block",
    "haproxy": "save it as a file, and refuse its addresses: http-request deny if { src -f FILE }",
}


def deny_list(event: Event, style: str) -> str:
    """The sources of an event as a list.

    Args:
        event: of a report.
        style: a name of ``STYLES``.

    Raises:
        InputError: the event holds what is no address.
    """
    flood, real = event.verdict in FLOODS, event.sources.origin == "real"
    networks = [_network(event, top.cidr) for top in event.sources.top] if flood and real else []
    proxies = [_network(event, via.cidr) for via in event.sources.via]
    listed = [n for n in networks if refusal(n, Policy()) is None and not _among(n, proxies)]
    return STYLES[style](event, listed)


def _network(event: Event, text: str) -> Network:
    try:
        if "%" not in text:
            return ipaddress.ip_network(text)
    except ValueError:
        pass
    why = f"event {event.id[:80]!r} cannot be acted on: an address of its sources is {text[:80]!r}"
    raise InputError(event.input, "bad_event", why)


def _among(network: Network, others: list[Network]) -> bool:
    return any(meet(network, other) for other in others)


def _notes(event: Event, style: str, listed: list[Network]) -> list[str]:
    notes = [f"{event.vector} at {event.victim.ip}, {event.id}"]
    notes += [WHERE[style], ENDLESS] if listed else [NOTHING]
    named, known = len(event.sources.top), event.sources.distinct.lo
    if listed and named < known:
        notes.append(f"the report lists {named} of {known} sources: scan with --top 0")
    return [f"# {printable(note)}" for note in notes]


def _nginx(event: Event, listed: list[Network]) -> str:
    return _lines([*_notes(event, "nginx", listed), *(f"deny {name_of(network)};" for network in listed)])


def _haproxy(event: Event, listed: list[Network]) -> str:
    return _lines([*_notes(event, "haproxy", listed), *map(name_of, listed)])


def _cdn(event: Event, listed: list[Network]) -> str:
    return msgspec.json.encode([name_of(network) for network in listed]).decode() + "\n"


def _lines(lines: Iterable[str]) -> str:
    return "\n".join([*lines, ""])


STYLES: dict[str, Callable[[Event, list[Network]], str]] = {"nginx": _nginx, "haproxy": _haproxy, "cdn": _cdn}
"""Who loads it: nginx a file of ``deny``, HAProxy a file of patterns, a CDN's interface a JSON array."""
