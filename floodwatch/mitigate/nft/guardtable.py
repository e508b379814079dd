"""Guards in the kernel: sets of victims with timeouts, and a rule for each set. Made when they are wanted.

    table inet floodwatch
        set known4, known6             networks of clients who were served before: /24 and /48
        chain guard_fragments          before fragments are put together
            known pass; fragments4 ...     victim, each element with its limit
        chain guard_untracked          before connection tracking, whose SYNs it must not see
        chain guard_forwarded          where packets are forwarded
            known pass; proxied4 ...       victim . port
        chain guard_signatures         behind connection tracking
            reflected4 ...                 victim . source port
            unasked4 ...                   victim
        chain guard_limits             behind that
            known pass; strange4 ...       victim, each element with its limit
            limited4 ...                   victim . protocol, each element with its limit
            capped4 ...                    victim . port, each element with its limit

A set of victims that are networks has the length of their prefix behind its name (limited4_p24). Rules that
ask for the state of a connection turn connection tracking on, and rules that nobody needs cost time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ...history.memory import Networks
from ..guards import LIFETIME_S, Guard, Kind, Order
from ..plan import MINE, Network
from . import codec
from .codec import Message, nested, text, u32, u64
from .expressions import (
    ACCEPT,
    COUNTED,
    FLAG_EXPRESSIONS,
    FLAG_TIMEOUT,
    KEY_BYTES,
    KEY_TYPE,
    LIST_ELEMENT,
    NETWORK,
    SERVICE,
    SOURCE_AT,
    TABLE,
    TARGET_AT,
    base_chain,
    expression,
    found_in,
    limit_over,
    limit_up_to,
    load,
    masked,
    of_version,
    rule,
    set_message,
)
from .guardforms import CHAINS, FORMS, Line

KNOWN_SIZE = 262_144
KNOWN_RATE = 500
"""Packets a second, of those that guards are about, that pass of each known network: who forges the addresses
of one gets no further with them."""
SHIFT = {4: 8, 6: 80}
"""Bits of an address behind its network's."""
MASK = {4: b"\xff\xff\xff\0", 6: b"\xff" * 6 + bytes(10)}


def set_of(guard: Guard) -> str:
    """The set that holds this guard."""
    victim = guard.victim
    whole = victim.prefixlen == victim.max_prefixlen
    return f"{guard.kind}{victim.version}" + ("" if whole else f"_p{victim.prefixlen}")


def form_of(name: str) -> tuple[Kind, int, int] | None:
    """The kind, IP version and prefix length of a set of guards, or None: it is another set."""
    host, _, length = name.partition("_p")
    kind, version = host[:-1], int(host[-1]) if host[-1:].isdigit() else 0
    for known in FORMS:
        if kind == known and version in KEY_BYTES:
            return known, version, int(length) if length else 8 * KEY_BYTES[version]
    return None


def missing(guards: Iterable[Guard], sets: set[str]) -> Iterator[Message]:
    """The sets, rules and chains that these guards need beside those that stand."""
    chains = {line.chain for _, line in _lines(sets)}
    if not chains:
        for version in (4, 6):
            size, each = nested(9, u32(1, KNOWN_SIZE)), nested(18, limit_up_to(KNOWN_RATE))
            form = KEY_TYPE[version], KEY_BYTES[version], FLAG_EXPRESSIONS
            yield set_message(f"known{version}", *form, size, each)
    for guard in {set_of(guard): guard for guard in guards if set_of(guard) not in sets}.values():
        yield _set(guard)
        for line in FORMS[guard.kind].lines(guard.victim.version):
            if line.chain not in chains:
                chains.add(line.chain)
                yield from _chain(line.chain)
            yield _rule(guard, line)


def _lines(sets: Iterable[str]) -> Iterator[tuple[str, Line]]:
    """The rules of these sets: each with its set."""
    for name in sets:
        if form := form_of(name):
            yield from ((name, line) for line in FORMS[form[0]].lines(form[1]))


def _chain(name: str) -> Iterator[Message]:
    chain = CHAINS[name]
    yield base_chain(name, chain.hook, chain.priority)
    for version in (4, 6):
        if chain.known is None:
            continue
        source = [load(NETWORK, SOURCE_AT[version], KEY_BYTES[version]), masked(MASK[version])]
        match = [*of_version(version), *chain.known(version), *source, found_in(f"known{version}")]
        yield rule(name, match, ACCEPT, f"fw: known{version} pass {name}")


def _set(guard: Guard) -> Message:
    form, version = FORMS[guard.kind], guard.victim.version
    key_type, key_bytes = KEY_TYPE[version], KEY_BYTES[version]
    if form.behind is not None:
        key_type, key_bytes = key_type << 6 | form.behind, key_bytes + 4
    flags = FLAG_TIMEOUT | (FLAG_EXPRESSIONS if form.limited else 0)
    held = nested(18, limit_over(1), expression("counter")) if form.limited else COUNTED
    return set_message(set_of(guard), key_type, key_bytes, flags, held)


def _rule(guard: Guard, line: Line) -> Message:
    form, victim = FORMS[guard.kind], guard.victim
    version = victim.version
    target = [load(NETWORK, TARGET_AT[version], KEY_BYTES[version])]
    if victim.prefixlen != victim.max_prefixlen:
        target.append(masked(victim.netmask.packed))
    match = [*of_version(version), *line.match, *target, *form.number(version), found_in(set_of(guard))]
    return rule(line.chain, match, line.end, _comment(set_of(guard), line))


def _comment(name: str, line: Line) -> str:
    return f"fw: {name}, {line.words}"


def comments(sets: Iterable[str]) -> list[str]:
    """The comments of all rules that belong to these sets."""
    lines = list(_lines(sets))
    passing = {line.chain for _, line in lines if CHAINS[line.chain].known}
    known_pass = [f"fw: known{version} pass {chain}" for version in (4, 6) for chain in passing]
    return [*known_pass, *(_comment(name, line) for name, line in lines)]


def elements(orders: Sequence[Order]) -> Iterator[Message]:
    """Put up, or put up anew, what is ordered."""
    for order in orders:
        yield _element(order.guard, codec.DESTROY_ELEMENT)
        limited = FORMS[order.guard.kind].limited
        found = nested(11, limit_over(order.rate), expression("counter")) if limited else b""
        end = u64(4, int(LIFETIME_S * 1000)) + codec.comment(6, f"{MINE}{order.event}") + found
        yield _element(order.guard, codec.NEW_ELEMENT, end)


def removals(guards: Sequence[Guard]) -> Iterator[Message]:
    """Take guards down; one that is gone already is no error."""
    for guard in guards:
        yield _element(guard, codec.DESTROY_ELEMENT)


def _element(guard: Guard, kind: int, end: bytes = b"") -> Message:
    key = codec.attribute(1, key_of(guard))
    body = nested(LIST_ELEMENT, nested(1, key), end)
    flags = codec.CREATE if kind == codec.NEW_ELEMENT else 0
    return Message(kind, text(1, TABLE) + text(2, set_of(guard)) + nested(3, body), flags)


def key_of(guard: Guard) -> bytes:
    """The key of a guard's element."""
    behind, address = FORMS[guard.kind].behind, guard.victim.network_address.packed
    if behind is None:
        return address
    if behind == SERVICE:
        return address + guard.number.to_bytes(2, "big") + b"\0\0"
    return address + bytes((guard.number, 0, 0, 0))


def guard_of(name: str, key: int) -> Guard | None:
    """The guard whose element in this set has this key, as a number; None: it is a set of others."""
    form = form_of(name)
    if form is None:
        return None
    kind, version, length = form
    behind = FORMS[kind].behind
    if behind is None:
        return Guard(kind, _network(version, key, length))
    number = key & 0xFFFFFFFF
    return Guard(
        kind, _network(version, key >> 32, length), number >> 16 if behind == SERVICE else number >> 24
    )


def _network(version: int, address: int, length: int) -> Network:
    make = ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network
    return make((address, length))


def key_bytes(name: str) -> int:
    """Length of the keys of a set of guards; 0: it is another set."""
    form = form_of(name)
    if form is None:
        return 0
    return KEY_BYTES[form[1]] + (0 if FORMS[form[0]].behind is None else 4)


def known(networks: Networks) -> Iterator[Message]:
    """Add networks to those whose clients pass limits."""
    for version in (4, 6):
        mine = networks[networks >> np.uint64(56) == version] & np.uint64((1 << 56) - 1)
        packed = [(int(n) << SHIFT[version]).to_bytes(KEY_BYTES[version], "big") for n in mine]
        parts = [nested(LIST_ELEMENT, nested(1, codec.attribute(1, key))) for key in packed]
        for at in range(0, len(parts), codec.CHUNK):
            body = text(1, TABLE) + text(2, f"known{version}") + nested(3, *parts[at : at + codec.CHUNK])
            yield Message(codec.NEW_ELEMENT, body, codec.CREATE)
