"""Our one table: hash sets of networks with timeouts, looked up before anything else.

    table inet floodwatch
        set never4, never6             what is in these passes, in whatever set it is as well
        set block4, block6             hosts
        set block4_p24, block6_p64 ... masked, one per prefix length
        set throttle4 ...              the same, each element with a limit, for sources that are slowed down
        set shared4 ...                the same with a wide limit, for addresses that many machines share
        set lifted4, lifted6           networks whose blocks the operator lifted; no rule reads them
        chain prerouting               hook prerouting, priority raw

A rule for each set of blocked networks drops what is in it and not in a never-block set; packets of others
meet one lookup less that way. Sets and chains of guards come beside them, see ``guardtable``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from ...model.event import SHARED_RATE, SOURCE_RATE
from ..plan import Block
from .objects import INTERVAL, PREROUTING, Chain, Part, Rule, Set
from .terms import ADDRESS, COUNTER, DROP, PROTOCOL, found_in, limit_over, not_in, of_version, source

CHAIN, RAW = "prerouting", -300
SET_SIZE = 65_536
NAMES = {0: "block", SOURCE_RATE: "throttle", SHARED_RATE: "shared"}
"""Packets a second that may still pass -> how the names of such sets begin."""
HOSTS = [Block(ipaddress.ip_network(anything), 0, "") for anything in ("0.0.0.0/32", "::/128")]


def set_name(version: int, length: int, rate: int) -> str:
    """The set that holds networks of this version and prefix length: those that are blocked, or limited."""
    name = f"{NAMES[rate]}{version}"
    return name if length == 8 * ADDRESS[version].size else f"{name}_p{length}"


FORMS = {
    set_name(version, length, rate): (version, length, rate)
    for version in (4, 6)
    for length in range(8 * ADDRESS[version].size + 1)
    for rate in NAMES
}
"""The version, prefix length and rate of each such set, by its name; tables of others may have any names."""


def holds_blocks(name: str) -> bool:
    """Is this one of the sets of blocked or limited networks?"""
    return name in FORMS


def skeleton() -> Iterator[Part]:
    """What always stands."""
    yield Chain(CHAIN, PREROUTING, RAW)
    for version in (4, 6):
        yield Set(f"never{version}", (ADDRESS[version],), (), flag=INTERVAL)
    yield from missing(HOSTS, set())


def missing(blocks: Iterable[Block], sets: set[str]) -> Iterator[Part]:
    """The sets and rules that these blocks need beside the sets that stand."""
    for version, length, rate in dict.fromkeys(
        (b.network.version, b.network.prefixlen, b.rate) for b in blocks
    ):
        if (name := set_name(version, length, rate)) not in sets:
            yield from block_set(name)


def block_set(name: str) -> Iterator[Part]:
    """A set of blocked networks, and the rule that looks it up."""
    version, length, rate = FORMS[name]
    kind, never = ADDRESS[version], f"never{version}"
    yield Set(name, (kind,), (limit_over(rate), COUNTER) if rate else (COUNTER,), SET_SIZE)
    whole = source(version, 8 * kind.size)
    match = of_version(version), found_in(name, source(version, length)), not_in(never, whole)
    yield Rule(CHAIN, match, DROP, f"fw: {name}")


def lifted_set(version: int) -> Set:
    """The set of networks whose blocks the operator lifted: address and length."""
    return Set(f"lifted{version}", (ADDRESS[version], PROTOCOL), ())
