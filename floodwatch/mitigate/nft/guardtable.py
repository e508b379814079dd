"""Guards in the kernel: sets of victims with timeouts, and a rule for each set. Made when they are wanted.

    table inet floodwatch
        set known4, known6             networks of clients who were served before: /24 and /48; of those who
                                       came through NAT64 the single addresses
        chain guard_passes             see ``passes``; all of the following begin with it
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
            limited4, unanswered4 ...      victim . protocol, each element with its limit
            capped4 ...                    victim . port, each element with its limit

A set of guards that meet one port of their victims has it as the last part of its keys and _port behind its
name (limited4_port); one of victims that are networks has the length of their prefix there (limited4_p24).
A guard that counts new flows and packets of unanswered flows apart stands in a set for each. Rules that
nobody needs cost time, so they come with the first guard.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ...history.memory import Networks, singles
from ...model.address import ONE_IPV6
from ..guards import LIFETIME_S, Guard, Kind, Order
from ..plan import MINE
from . import codec, passes
from .codec import Message
from .guardforms import FORMS, SPREAD, Line, Place, behind_of
from .objects import End, Part, Rule, Set, element, keys
from .terms import (
    ACCEPT,
    ADDRESS,
    COUNTER,
    PROTOCOL,
    SERVICE,
    Term,
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
SHIFTS = {SERVICE.number: 16, PROTOCOL.number: 24}
"""Bits behind a number in its word of a key, by its type."""
PORT = "_port"
NAME = re.compile(r"([a-z]+)([46])(_port)?(?:_p(\d+))?")
STORES: Mapping[tuple[Kind, bool], tuple[str, ...]] = {
    (kind, narrow): tuple(
        dict.fromkeys(line.store or kind for line in form.lines(4) if (line.narrow if narrow else line.wide))
    )
    for kind, form in FORMS.items()
    for narrow in (False, True)
}
"""How the names of the sets begin that hold guards of a kind, of all ports or of one."""


def sets_of(guard: Guard) -> list[str]:
    """The sets that hold this guard."""
    victim = guard.victim
    end = f"{victim.version}{'' if guard.port is None else PORT}"
    end += "" if victim.prefixlen == victim.max_prefixlen else f"_p{victim.prefixlen}"
    return [f"{store}{end}" for store in STORES[guard.kind, guard.port is not None]]


class SetForm(NamedTuple):
    """What a set of guards holds: of which kind, IP version and prefix length, and whether of one port."""

    kind: Kind
    store: str
    version: int
    length: int
    one_port: bool

    def guard(self) -> Guard:
        """A guard that such a set may hold."""
        make = ipaddress.IPv4Network if self.version == 4 else ipaddress.IPv6Network
        return Guard(self.kind, make((0, self.length)), 0, 0 if self.one_port else None)


def form_of(name: str) -> SetForm | None:
    """What a set of guards holds, by its name, or None: it is another set."""
    found = NAME.fullmatch(name)
    if found is None:
        return None
    store, version, port, length = found.groups()
    kind = next(
        (kind for (kind, narrow), s in STORES.items() if store in s and narrow == (port is not None)), None
    )
    if kind is None:
        return None
    bits = 8 * ADDRESS[int(version)].size
    if length and int(length) >= bits:
        return None
    return SetForm(kind, store, int(version), int(length or bits), port is not None)


def missing(guards: Iterable[Guard], sets: set[str]) -> Iterator[Part]:
    """The sets, rules and chains that these guards need beside the sets that stand."""
    chains = {line.place.chain for name in sets if (form := form_of(name)) for line in _lines(form)}
    wanted = dict.fromkeys(name for guard in guards for name in sets_of(guard))
    if wanted and passes.FIRST not in sets:
        yield from passes.parts()
    if wanted and not chains:
        for version in (4, 6):
            yield Set(f"known{version}", (ADDRESS[version],), (limit_up_to(KNOWN_RATE),), KNOWN_SIZE, 0)
    for name in wanted:
        form = form_of(name)
        if form is None or name in sets:
            continue
        yield Set(name, _types(form.guard()), _each(form.kind, form.store, 1))
        for line in _lines(form):
            if line.place.chain not in chains:
                chains.add(line.place.chain)
                yield line.place.chain
                yield from _first_of(line.place)
            yield _rule(name, line, form)


def rules(name: str) -> Iterator[Rule]:
    """The rules that belong to a set, those that let others pass included."""
    if name == passes.FIRST:
        yield from passes.rules()
    elif form := form_of(name):
        for line in _lines(form):
            yield from _first_of(line.place)
            yield _rule(name, line, form)


def _lines(form: SetForm) -> list[Line]:
    lines = (
        line for line in FORMS[form.kind].lines(form.version) if (line.narrow if form.one_port else line.wide)
    )
    return [line for line in lines if (line.store or form.kind) == form.store]


def _first_of(place: Place) -> Iterator[Rule]:
    """What stands in a chain before any guard: who passes."""
    chain, passing = place.chain.name, place.known
    yield passes.first_rule(chain)
    for version, length in KNOWN_LENGTHS if passing is not None else ():
        found = found_in(f"known{version}", source(version, length))
        match = of_version(version), *(passing(version) if passing else ()), found
        whose = ", one by one," if length == ONE_IPV6 else ""
        yield Rule(chain, match, ACCEPT, f"fw: known{version}{whose} pass {chain}")
    yield from place.also(chain)


def _types(guard: Guard) -> tuple[Type, ...]:
    return (ADDRESS[guard.victim.version], *(key.type for key in behind_of(guard)))


def _rule(name: str, line: Line, form: SetForm) -> Rule:
    victim = target(form.version, form.length)
    found = found_in(name, victim, *behind_of(form.guard()))
    match = of_version(form.version), *line.match, found, *line.then
    return Rule(line.place.chain.name, match, line.end, f"fw: {name}, {line.words}")


def _each(kind: Kind, store: str, rate: int) -> tuple[Term, ...]:
    """What every element of a set does: nothing where a rule goes on to ask something else."""
    if store == SPREAD:
        return ()
    return (limit_over(rate), COUNTER) if FORMS[kind].limited else (COUNTER,)


def end_of(order: Order, name: str, seconds: float = LIFETIME_S) -> End:
    """What stands behind the key of a guard's element in one of its sets."""
    kind, form = order.guard.kind, form_of(name)
    own = _each(kind, form.store if form else kind, order.rate) if FORMS[kind].limited else ()
    return End(seconds, f"{MINE}{order.event}", own)


def elements(orders: Sequence[Order]) -> Iterator[Message]:
    """Put up, or put up anew, what is ordered."""
    for order in orders:
        for name in sets_of(order.guard):
            key = key_of(order.guard)
            yield element(codec.DESTROY_ELEMENT, name, key)
            yield element(codec.NEW_ELEMENT, name, key, end_of(order, name).wire())


def removals(guards: Sequence[Guard]) -> Iterator[Message]:
    """Take guards down; one that is gone already is no error."""
    for guard in guards:
        for name in sets_of(guard):
            yield element(codec.DESTROY_ELEMENT, name, key_of(guard))


def key_of(guard: Guard) -> bytes:
    """The key of a guard's element: each part of it in whole words of four bytes."""
    numbers = [n for n in (_number(guard), guard.port) if n is not None]
    parts = (n << SHIFTS[key.type.number] for n, key in zip(numbers, behind_of(guard), strict=True))
    return guard.victim.network_address.packed + b"".join(part.to_bytes(4, "big") for part in parts)


def _number(guard: Guard) -> int | None:
    return None if FORMS[guard.kind].behind is None else guard.number


def key_words(guard: Guard) -> str:
    """The same for ``nft``."""
    parts = (guard.victim.network_address, _number(guard), guard.port)
    return " . ".join(str(part) for part in parts if part is not None)


def guard_of(name: str, key: int) -> Guard | None:
    """The guard whose element in this set has this key, as a number; None: it is a set of others."""
    form = form_of(name)
    if form is None:
        return None
    guard, numbers = form.guard(), list[int]()
    for part in reversed(behind_of(guard)):
        numbers.insert(0, (key & 0xFFFFFFFF) >> SHIFTS[part.type.number])
        key >>= 32
    port = numbers.pop() if form.one_port else None
    victim = type(guard.victim)((key, form.length))
    return Guard(form.kind, victim, numbers[0] if numbers else 0, port)


def key_bytes(name: str) -> int:
    """Length of the keys of a set of guards; 0: it is another set."""
    form = form_of(name)
    return 0 if form is None else sum(kind.size for kind in _types(form.guard()))


def known(networks: Networks) -> Iterator[Message]:
    """Add networks to those whose clients pass limits."""
    for version in (4, 6):
        mine = networks[networks >> np.uint64(56) == version] & np.uint64((1 << 56) - 1)
        packed = [(int(n) << SHIFT[version]).to_bytes(ADDRESS[version].size, "big") for n in mine]
        if version == 6:
            packed += [int(n).to_bytes(8, "big") + int(m).to_bytes(8, "big") for n, m in singles(networks)]
        for at in range(0, len(packed), codec.CHUNK):
            yield keys(f"known{version}", packed[at : at + codec.CHUNK])
