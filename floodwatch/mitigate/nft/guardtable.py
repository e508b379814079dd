"""Guards in the kernel: sets of victims with timeouts, and a rule for each set. Made when they are wanted.

    table inet floodwatch
        set known4, known6             networks of clients who were served before: /24 and /48; of those who
                                       came through NAT64 the single addresses
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
from typing import NamedTuple

import numpy as np

from ...history.memory import Networks, singles
from ...model.address import ONE_IPV6
from ..guards import LIFETIME_S, Guard, Kind, Order
from ..plan import MINE
from . import codec
from .codec import Message, nested, text
from .guardforms import FORMS, Line, Place
from .objects import TABLE, End, Part, Rule, Set, element
from .terms import (
    ACCEPT,
    ADDRESS,
    COUNTER,
    LIST_ELEMENT,
    SERVICE,
    Type,
    found_in,
    limit_over,
    limit_up_to,
    of_version,
    source,
    target,
)

KNOWN_SIZE = 262_144
KNOWN_RATE = 500
"""Packets a second, of those that guards are about, that pass of each known network: who forges the addresses
of one gets no further with them."""
KNOWN_LENGTHS = (4, 24), (6, 48), (6, ONE_IPV6)
SHIFT = {4: 8, 6: 80}
"""Bits of an address behind its network's."""


def set_of(guard: Guard) -> str:
    """The set that holds this guard."""
    victim = guard.victim
    whole = victim.prefixlen == victim.max_prefixlen
    return f"{guard.kind}{victim.version}" + ("" if whole else f"_p{victim.prefixlen}")


class SetForm(NamedTuple):
    """What a set of guards holds: of which kind, IP version and prefix length."""

    kind: Kind
    version: int
    length: int


def form_of(name: str) -> SetForm | None:
    """What a set of guards holds, by its name, or None: it is another set."""
    host, _, length = name.partition("_p")
    kind, version = host[:-1], int(host[-1]) if host[-1:].isdigit() else 0
    for known in FORMS:
        if kind == known and version in ADDRESS:
            return SetForm(known, version, int(length) if length else 8 * ADDRESS[version].size)
    return None


def missing(guards: Iterable[Guard], sets: set[str]) -> Iterator[Part]:
    """The sets, rules and chains that these guards need beside the sets that stand."""
    chains = {line.place.chain for name in sets if (form := form_of(name)) for line in _lines(form)}
    wanted = dict.fromkeys(map(set_of, guards))
    if wanted and not chains:
        for version in (4, 6):
            yield Set(f"known{version}", (ADDRESS[version],), (limit_up_to(KNOWN_RATE),), KNOWN_SIZE, 0)
    for name in wanted:
        form = form_of(name)
        if form is None or name in sets:
            continue
        each = (limit_over(1), COUNTER) if FORMS[form.kind].limited else (COUNTER,)
        yield Set(name, _types(form.kind, form.version), each)
        for line in _lines(form):
            if line.place.chain not in chains:
                chains.add(line.place.chain)
                yield line.place.chain
                yield from _known_pass(line.place)
            yield _rule(name, line, form)


def rules(name: str) -> Iterator[Rule]:
    """The rules that belong to a set of guards, those that let known clients pass included."""
    if form := form_of(name):
        for line in _lines(form):
            yield from _known_pass(line.place)
            yield _rule(name, line, form)


def _lines(form: SetForm) -> list[Line]:
    return FORMS[form.kind].lines(form.version)


def _known_pass(place: Place) -> Iterator[Rule]:
    chain, passing = place.chain.name, place.known
    if passing is None:
        return
    for version, length in KNOWN_LENGTHS:
        found = found_in(f"known{version}", source(version, length))
        match = of_version(version), *passing(version), found
        whose = ", one by one," if length == ONE_IPV6 else ""
        yield Rule(chain, match, ACCEPT, f"fw: known{version}{whose} pass {chain}")


def _types(kind: Kind, version: int) -> tuple[Type, ...]:
    behind = FORMS[kind].behind
    return (ADDRESS[version],) if behind is None else (ADDRESS[version], behind(version).type)


def _rule(name: str, line: Line, form: SetForm) -> Rule:
    behind = FORMS[form.kind].behind
    keys = target(form.version, form.length), *(() if behind is None else (behind(form.version),))
    match = of_version(form.version), *line.match, found_in(name, *keys)
    return Rule(line.place.chain.name, match, line.end, f"fw: {name}, {line.words}")


def end_of(order: Order, seconds: float = LIFETIME_S) -> End:
    """What stands behind the key of a guard's element."""
    limited = FORMS[order.guard.kind].limited
    return End(seconds, f"{MINE}{order.event}", (limit_over(order.rate), COUNTER) if limited else ())


def elements(orders: Sequence[Order]) -> Iterator[Message]:
    """Put up, or put up anew, what is ordered."""
    for order in orders:
        name, key = set_of(order.guard), key_of(order.guard)
        yield element(codec.DESTROY_ELEMENT, name, key)
        yield element(codec.NEW_ELEMENT, name, key, end_of(order).wire())


def removals(guards: Sequence[Guard]) -> Iterator[Message]:
    """Take guards down; one that is gone already is no error."""
    for guard in guards:
        yield element(codec.DESTROY_ELEMENT, set_of(guard), key_of(guard))


def key_of(guard: Guard) -> bytes:
    """The key of a guard's element: each part of it in whole words of four bytes."""
    _, *behind = _types(guard.kind, guard.victim.version)
    shift = 16 if behind == [SERVICE] else 24
    number = (guard.number << shift).to_bytes(4, "big") if behind else b""
    return guard.victim.network_address.packed + number


def key_words(guard: Guard) -> str:
    """The same for ``nft``."""
    behind = "" if FORMS[guard.kind].behind is None else f" . {guard.number}"
    return f"{guard.victim.network_address}{behind}"


def guard_of(name: str, key: int) -> Guard | None:
    """The guard whose element in this set has this key, as a number; None: it is a set of others."""
    form = form_of(name)
    if form is None:
        return None
    number, (_, *behind) = 0, _types(form.kind, form.version)
    if behind:
        key, number = key >> 32, (key & 0xFFFFFFFF) >> (16 if behind == [SERVICE] else 24)
    make = ipaddress.IPv4Network if form.version == 4 else ipaddress.IPv6Network
    return Guard(form.kind, make((key, form.length)), number)


def key_bytes(name: str) -> int:
    """Length of the keys of a set of guards; 0: it is another set."""
    form = form_of(name)
    return 0 if form is None else sum(kind.size for kind in _types(form.kind, form.version))


def known(networks: Networks) -> Iterator[Message]:
    """Add networks to those whose clients pass limits."""
    for version in (4, 6):
        mine = networks[networks >> np.uint64(56) == version] & np.uint64((1 << 56) - 1)
        packed = [(int(n) << SHIFT[version]).to_bytes(ADDRESS[version].size, "big") for n in mine]
        if version == 6:
            packed += [int(n).to_bytes(8, "big") + int(m).to_bytes(8, "big") for n, m in singles(networks)]
        parts = [nested(LIST_ELEMENT, nested(1, codec.attribute(1, key))) for key in packed]
        for at in range(0, len(parts), codec.CHUNK):
            body = text(1, TABLE) + text(2, f"known{version}") + nested(3, *parts[at : at + codec.CHUNK])
            yield Message(codec.NEW_ELEMENT, body, codec.CREATE)
