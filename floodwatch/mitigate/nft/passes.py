"""What every guard lets pass: the one chain that packets go through before any rule of a guard.

    table inet floodwatch
        set vital_protocols, vital_services, vital_kinds     what a network lives by
        set live4, live6               both ends of connections that this host's kernel has sockets for
        set again4, missed4 ...        both ends of TCP flows of which an unknown packet came lately, for the
                                       limits and for the proxy: each lets pass what it held up once before
        set headed4, headed6           who sent a first fragment lately, and to whom
        set services4, services6       hosts and their UDP ports that answered, each with a limit of its own
        chain guard_answers            behind everything: services are learnt here
        chain guard_passes             without a hook: each chain of guards jumps to it first
            established, related pass; vital pass; live pass

Its rules ask for the state of a connection, and so turn connection tracking on: a watch that enforces makes
this chain at its start, before there is any guard, so that tracking knows who is served when one comes. What
was connected before that is asked of the kernel's sockets (``live``), or shows itself by coming again
(``again``, ``missed``): whoever is really connected repeats a packet that was dropped, and who forges
addresses does not. What was noted is forgotten whenever ``live`` is brought up to date.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from .. import vital
from ..sockets import Connections
from ..vital import TCP, UDP
from . import codec
from .codec import Message, text
from .objects import CONSTANT, DYNAMIC, POSTROUTING, TABLE, Chain, End, Members, Part, Rule, Set, keys
from .terms import (
    ACCEPT,
    ACK,
    ADDRESS,
    ESTABLISHED,
    FIN,
    ICMP,
    ICMP6,
    INVALID,
    KIND_OF_ICMP6,
    LONE_PROTOCOL,
    NEW,
    PROTOCOLS,
    RELATED,
    RST,
    SOURCE_PORT,
    SYN,
    TARGET_PORT,
    TRANSPORT_PROTOCOL,
    UNTRACKED,
    Key,
    Term,
    Type,
    first_fragments,
    flow,
    found_in,
    jump,
    later_fragments,
    limit_over,
    limit_up_to,
    note_in,
    of_icmp,
    of_protocol,
    of_replies,
    of_states,
    of_tcp_flags,
    of_version,
    source,
    target,
)

PASSES, ANSWERS = Chain("guard_passes"), Chain("guard_answers", POSTROUTING, -150)
FIRST = "live4"
"""The set by which one sees that the chain is there."""
LIVE_SIZE, LIVE_S = 262_144, 120.0
NOTED_SIZE = 65_536
SERVICE_RATE = 500
"""New flows a second that each service of a host that is flooded at all its ports gets."""
AGAIN, MISSED, HEADED, SERVICES = "again", "missed", "headed", "services"
AGAIN_RATE = 20
"""Packets a second that pass, of all flows of which an unknown packet came before: enough for connections
that slept through the beginning, and little for a flood that repeats itself."""
HEADED_RATE = 500
"""Later fragments a second that pass, of each sender of first ones."""
NO_SYN = of_protocol(TCP), of_tcp_flags(FIN | SYN | RST | ACK, SYN, equal=False)


def parts() -> Iterator[Part]:
    """The chain and its sets."""
    yield Set("vital_protocols", (LONE_PROTOCOL.type,), (), flag=CONSTANT)
    protocols = tuple(bytes((n,)) for n in vital.PROTOCOLS)
    yield Members("vital_protocols", protocols, tuple(map(str, vital.PROTOCOLS)))
    yield Set("vital_services", (TRANSPORT_PROTOCOL.type, TARGET_PORT.type), (), flag=CONSTANT)
    yield Members(
        "vital_services",
        tuple(struct.pack("!B3xH2x", *service) for service in vital.SERVICES),
        tuple(f"{PROTOCOLS[protocol]} . {port}" for protocol, port in vital.SERVICES),
    )
    yield Set("vital_kinds", (TRANSPORT_PROTOCOL.type, KIND_OF_ICMP6.type), (), flag=CONSTANT)
    kinds = tuple(bytes((ICMP6, 0, 0, 0, n, 0, 0, 0)) for n in vital.ICMP6_KINDS)
    yield Members("vital_kinds", kinds, tuple(f"ipv6-icmp . {n}" for n in vital.ICMP6_KINDS))
    for version in (4, 6):
        yield Set(f"live{version}", _types(*_connection(version)), (), LIVE_SIZE)
        for name in (AGAIN, MISSED):
            yield Set(f"{name}{version}", _types(*flow(version)), (), NOTED_SIZE, DYNAMIC)
        sent = _types(*_sent(version))
        yield Set(f"{HEADED}{version}", sent, (limit_up_to(HEADED_RATE),), NOTED_SIZE, DYNAMIC)
        served = _types(*service(version))
        yield Set(f"{SERVICES}{version}", served, (limit_over(SERVICE_RATE),), NOTED_SIZE, DYNAMIC)
    yield PASSES
    yield ANSWERS
    yield from rules()


def rules() -> Iterator[Rule]:
    """What passes. A SYN begins a connection, whatever tracking thinks of those before it."""
    served = of_states(ESTABLISHED | RELATED)
    yield _pass("connections", *NO_SYN, served)
    yield _pass("answered flows", of_protocol(TCP, equal=False), served)
    yield _pass("vital protocols", found_in("vital_protocols", LONE_PROTOCOL))
    yield _pass("vital services", found_in("vital_services", TRANSPORT_PROTOCOL, TARGET_PORT))
    yield _pass(
        "vital ICMPv6", of_protocol(ICMP6), found_in("vital_kinds", TRANSPORT_PROTOCOL, KIND_OF_ICMP6)
    )
    yield _pass("fragmentation needed", of_protocol(ICMP), of_icmp(*vital.ICMP_NEEDED))
    for version in (4, 6):
        found = found_in(f"live{version}", *_connection(version))
        yield _pass(f"live{version}", of_version(version), found)
        own = source(version, 8 * ADDRESS[version].size), SOURCE_PORT
        learnt = note_in(f"{SERVICES}{version}", *own)
        answers = of_version(version), of_protocol(UDP), of_replies()
        yield Rule(ANSWERS.name, answers, learnt, f"fw: {SERVICES}{version} learnt")


def _pass(what: str, *match: Term) -> Rule:
    return Rule(PASSES.name, match, ACCEPT, f"fw: {what} pass guards")


def first_rule(chain: str) -> Rule:
    """What stands first in a chain of guards."""
    return Rule(chain, (), jump(PASSES.name), f"fw: {chain} begins")


def unknown_again(chain: str, noted: str) -> Iterator[Rule]:
    """In a chain of guards that meet unknown TCP packets: those that come again pass, up to a limit."""
    for version in (4, 6):
        name, ends = f"{noted}{version}", flow(version)
        unknown = of_version(version), *NO_SYN, of_states(NEW | INVALID | UNTRACKED)
        admitted = *unknown, found_in(name, *ends), limit_up_to(AGAIN_RATE)
        yield Rule(chain, admitted, ACCEPT, f"fw: {name} pass {chain}")
        yield Rule(chain, unknown, note_in(name, *ends), f"fw: {name} note {chain}")


def known_heads(chain: str) -> Iterator[Rule]:
    """In the chain of fragments: later ones pass behind a first one, as far as a limit goes."""
    for version in (4, 6):
        name, ends = f"{HEADED}{version}", _sent(version)
        heads = note_in(name, *ends)
        yield Rule(chain, (of_version(version), first_fragments(version)), heads, f"fw: {name} note {chain}")
        behind = of_version(version), later_fragments(version), found_in(name, *ends)
        yield Rule(chain, behind, ACCEPT, f"fw: {name} pass {chain}")


def live(connections: Connections) -> Iterator[Message]:
    """Let these connections pass, and no others any more; what was noted of others is forgotten."""
    end = End(LIVE_S).wire()
    for version, held in connections.items():
        name = f"live{version}"
        for flushed in (name, *(f"{noted}{version}" for noted in (AGAIN, MISSED, HEADED))):
            yield Message(codec.DEL_ELEMENT, text(1, TABLE) + text(2, flushed))
        for at in range(0, min(len(held), LIVE_SIZE), codec.CHUNK):
            yield keys(name, held[at : min(at + codec.CHUNK, LIVE_SIZE)], end)


def service(version: int) -> tuple[Key, Key]:
    """Where a packet goes to: host and port."""
    return target(version, 8 * ADDRESS[version].size), TARGET_PORT


def _connection(version: int) -> tuple[Key, ...]:
    return *flow(version), TRANSPORT_PROTOCOL


def _sent(version: int) -> tuple[Key, Key]:
    whole = 8 * ADDRESS[version].size
    return source(version, whole), target(version, whole)


def _types(*keys: Key) -> tuple[Type, ...]:
    return tuple(key.type for key in keys)
