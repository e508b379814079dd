"""Guards in the kernel: sets of victims with timeouts, and one rule for each kind of guard.

    table inet floodwatch
        set reflected4, reflected6     victim . source port
        set unasked4, unasked6         victim
        set known4, known6             networks of clients who were served before: /24 and /48
        set limited4, limited6         victim . protocol, each element with its limit
        set capped4, capped6           victim . port, each element with its limit
        chain prerouting_guard         hook prerouting, behind connection tracking

They are made when the first guard is wanted, because rules that ask for the state of a connection turn
connection tracking on.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..memory import Networks
from . import codec
from .codec import Message, nested, text, u32, u64
from .expressions import (
    ACCEPT,
    BEHIND,
    COUNTED,
    DROP,
    FLAG_EXPRESSIONS,
    FLAG_TIMEOUT,
    KEY_BYTES,
    KEY_TYPE,
    LIST_ELEMENT,
    META_PROTOCOL,
    NETWORK,
    PREROUTING,
    PROTOCOL,
    SERVICE,
    SOURCE_AT,
    TABLE,
    TARGET_AT,
    TRANSPORT,
    base_chain,
    expression,
    found_in,
    limit_over,
    load,
    masked,
    meta,
    of_new_flows,
    of_protocol,
    of_tcp_flags,
    of_version,
    rule,
    set_message,
)
from .guards import LIFETIME_S, TCP, UDP, Guard, Kind, Order

CHAIN = "prerouting_guard"
CHAIN_SET = "reflected4"
"""This set stands where the chain does: both come and go in one transaction."""
BEHIND_TRACKING = -140
KNOWN_SIZE = 262_144
SYN, ACK = 2, 16
SECOND: Mapping[Kind, int | None] = {
    "reflected": SERVICE,
    "unasked": None,
    "limited": PROTOCOL,
    "capped": SERVICE,
}
"""What stands behind the victim's address in the key of a kind."""
WORDS = {
    "reflected": "new packets from a reflector's port",
    "unasked": "SYN-ACKs nobody asked for",
    "known": "clients who were served before",
    "limited": "new flows beyond a limit",
    "capped": "new connections beyond a limit",
}
"""What each rule meets, in the words of its comment."""
WITH_LIMIT = ("limited", "capped")
SHIFT = {4: 8, 6: 80}
"""Bits of an address behind the network's."""
MASK = {4: b"\xff\xff\xff\0", 6: b"\xff" * 6 + bytes(10)}


def skeleton() -> list[Message]:
    """The sets, the chain and its rules."""
    messages = [base_chain(CHAIN, PREROUTING, BEHIND_TRACKING)]
    for version in (4, 6):
        for kind in SECOND:
            messages.append(_set(kind, version))
        size = nested(9, u32(1, KNOWN_SIZE))
        messages.append(set_message(f"known{version}", KEY_TYPE[version], KEY_BYTES[version], 0, size))
    for version in (4, 6):
        messages += _rules(version)
    return messages


def _set(kind: Kind, version: int) -> Message:
    behind, key_type, key_bytes = SECOND[kind], KEY_TYPE[version], KEY_BYTES[version]
    if behind is not None:
        key_type, key_bytes = key_type << 6 | behind, key_bytes + 4
    flags = FLAG_TIMEOUT | (FLAG_EXPRESSIONS if kind in WITH_LIMIT else 0)
    return set_message(f"{kind}{version}", key_type, key_bytes, flags, _set_expressions(kind))


def _set_expressions(kind: Kind) -> bytes:
    if kind in WITH_LIMIT:
        return nested(18, limit_over(1), expression("counter"))
    return COUNTED


def _rules(version: int) -> Iterator[Message]:
    """Signatures first; clients who are known pass the limits, which come last."""
    all_of, new = of_version(version), of_new_flows()
    victim = load(NETWORK, TARGET_AT[version], KEY_BYTES[version])
    source = load(NETWORK, SOURCE_AT[version], KEY_BYTES[version])
    port_from, port_to = (load(TRANSPORT, at, 2, BEHIND[version]) for at in (0, 2))
    protocol = meta(META_PROTOCOL, BEHIND[version])
    answers = [*of_protocol(TCP), *of_tcp_flags(SYN | ACK, SYN | ACK), *new]
    opens = [*of_protocol(TCP), *of_tcp_flags(SYN | ACK, SYN)]
    for name, verdict, match in (
        ("reflected", DROP, [*of_protocol(UDP), *new, victim, port_from]),
        ("unasked", DROP, [*answers, victim]),
        ("known", ACCEPT, [source, masked(MASK[version])]),
        ("limited", DROP, [*new, victim, protocol]),
        ("capped", DROP, [*opens, victim, port_to]),
    ):
        held = found_in(f"{name}{version}")
        yield rule(CHAIN, [*all_of, *match, held], verdict, _comment(name, version))


def _comment(name: str, version: int) -> str:
    return f"fw: {name}{version}, {WORDS[name]}"


def comments() -> list[str]:
    """The comments of all rules of the chain."""
    return [_comment(name, version) for version in (4, 6) for name in WORDS]


def elements(orders: Sequence[Order]) -> Iterator[Message]:
    """Put up, or put up anew, what is ordered."""
    for order in orders:
        yield _element(order.guard, codec.DESTROY_ELEMENT)
        limited = order.guard.kind in WITH_LIMIT
        found = nested(11, limit_over(order.rate), expression("counter")) if limited else b""
        end = u64(4, int(LIFETIME_S * 1000)) + codec.comment(6, f"fw:{order.event}") + found
        yield _element(order.guard, codec.NEW_ELEMENT, end)


def removals(guards: Sequence[Guard]) -> Iterator[Message]:
    """Take guards down; one that is gone already is no error."""
    for guard in guards:
        yield _element(guard, codec.DESTROY_ELEMENT)


def _element(guard: Guard, kind: int, end: bytes = b"") -> Message:
    key = codec.attribute(1, key_of(guard))
    body = nested(LIST_ELEMENT, nested(1, key), end)
    name = f"{guard.kind}{guard.victim.version}"
    flags = codec.CREATE if kind == codec.NEW_ELEMENT else 0
    return Message(kind, text(1, TABLE) + text(2, name) + nested(3, body), flags)


def key_of(guard: Guard) -> bytes:
    """The key of a guard's element."""
    behind = SECOND[guard.kind]
    if behind is None:
        return guard.victim.packed
    number = (
        guard.number.to_bytes(2, "big") + b"\0\0" if behind == SERVICE else bytes((guard.number, 0, 0, 0))
    )
    return guard.victim.packed + number


def guard_of(kind: Kind, version: int, key: int) -> Guard:
    """The guard whose element has this key, as a number."""
    make = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    behind = SECOND[kind]
    if behind is None:
        return Guard(kind, make(key))
    number = key & 0xFFFFFFFF
    return Guard(kind, make(key >> 32), number >> 16 if behind == SERVICE else number >> 24)


def key_bytes(kind: Kind, version: int) -> int:
    """Length of the keys of a kind's set."""
    return KEY_BYTES[version] + (0 if SECOND[kind] is None else 4)


def known(networks: Networks) -> Iterator[Message]:
    """Add networks to those whose clients pass limits."""
    for version in (4, 6):
        mine = networks[networks >> np.uint64(56) == version] & np.uint64((1 << 56) - 1)
        packed = [(int(n) << SHIFT[version]).to_bytes(KEY_BYTES[version], "big") for n in mine]
        parts = [nested(LIST_ELEMENT, nested(1, codec.attribute(1, key))) for key in packed]
        for at in range(0, len(parts), codec.CHUNK):
            body = text(1, TABLE) + text(2, f"known{version}") + nested(3, *parts[at : at + codec.CHUNK])
            yield Message(codec.NEW_ELEMENT, body, codec.CREATE)
