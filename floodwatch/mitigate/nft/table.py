"""Our one table in the kernel, as a backend: what ``layout`` and ``guardtable`` describe, made and read back.

Every element has a timeout, so a block ends even if nobody is left to end it, a counter, and a comment that
tells why. Other tables are never read or touched.
"""

from __future__ import annotations

import errno
import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

from ...errors import EnforceError
from ...history.memory import Networks
from ..guards import Guard, Order, Standing
from ..plan import Block, Network, Step
from ..sockets import Connections
from ..tally import Tally
from . import codec, guardtable, layout, passes
from .codec import Message, Netfilter, nested, running_linux, text, u32
from .elements import joined, lifted_messages, lifted_network, listed, networks, pack, pack_interval
from .layout import holds_blocks, lifted_set
from .objects import TABLE, Rule, Set
from .terms import ADDRESS

READ_AGAIN = 5


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Without the garbage collector, which looks at 100,000 new objects over and over: half of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Table:
    """The table ``inet floodwatch`` of the current network namespace.

    Args:
        linux: version of the kernel to go by. From 6.12 on an element that stands is renewed, and its counter
            goes on; before that it is taken away and added anew, in one transaction.
    """

    def __init__(self, *, linux: tuple[int, int] | None = None) -> None:
        version = linux or running_linux()
        self._renew = version >= (6, 12)
        self._kernel = Netfilter(version)
        self._sets: set[str] = set()
        self._never: frozenset[Network] | None = None
        self._block_sizes: dict[Network | Guard, int] = {}
        self._guard_sizes: dict[Network | Guard, int] = {}
        self._given: tuple[Iterable[Network], frozenset[Network]] = (), frozenset()

    def exists(self) -> bool:
        """Is there such a table now?"""
        try:
            self._sets = set(set_names(self._kernel, TABLE))
        except EnforceError as error:
            if error.errno == errno.ENOENT:
                return False
            raise
        return bool(self._sets)

    def ensure(self, never: Iterable[Network] = ()) -> bool:
        """Make the table if it is missing or its rules were changed; bring its never-block sets up to date.

        Returns whether it was made, and is empty therefore.

        Raises:
            EnforceError: no right, or no nf_tables.
        """
        wanted, messages = self._wanted(never), list[Message]()
        stands = self.exists()
        whole = stands and sorted(rule_comments(self._kernel, TABLE)) == rules_of(frozenset(self._sets))
        if stands and not whole:
            messages.append(Message(codec.DEL_TABLE, text(1, TABLE)))
        if not whole:
            messages += _skeleton()
        if not whole or wanted != self._never:
            messages += _never_messages(wanted, fresh=not whole)
        self._kernel.commit(messages)
        if not whole:
            self._sets = set(set_names(self._kernel, TABLE))
        self._never = wanted
        return not whole

    def _wanted(self, never: Iterable[Network]) -> frozenset[Network]:
        """The networks to spare; there may be 100,000, and the same mapping as last time means the same."""
        if never is not self._given[0]:
            self._given = never, frozenset(never)
        return self._given[1]

    def blocks(self) -> dict[Network, Block]:
        """What the kernel holds now, read back: networks with the seconds that are left and why."""
        return {network: block for network, (block, _) in self.counted().items()}

    def counted(self) -> dict[Network, tuple[Block, int]]:
        """The same, with the packets that each one dropped."""
        self._block_sizes = {}
        if not self.exists():
            return {}
        found: dict[Network, tuple[Block, int]] = {}
        with _collector_paused():
            for name in sorted(self._sets, reverse=True):  # who is in both is dropped
                if holds_blocks(name):
                    found |= self._held(name)
        return found

    def _held(self, name: str) -> dict[Network, tuple[Block, int]]:
        """What one set holds; read again if it changed meanwhile, for then something may be missing."""
        for _ in range(READ_AGAIN):
            try:
                rows = list(networks(name, self._dump(name)))
                self._block_sizes |= {network: size for network, _, _, size in rows}
                return {network: (block, packets) for network, block, packets, _ in rows}
            except EnforceError as error:
                if error.errno != errno.EINTR:
                    raise
        raise EnforceError("the rules keep changing and cannot be read", errno.EINTR)

    def _dump(self, name: str) -> Iterator[memoryview]:
        return self._kernel.dump(codec.GET_ELEMENT, text(1, TABLE) + text(2, name))

    def apply(self, steps: Sequence[Step]) -> None:
        """Carry out the steps of a plan in one transaction: all of it, or nothing.

        Raises:
            EnforceError: the kernel refused; nothing was changed.
        """
        new, more, old = ([step.block for step in steps if step.what == what]
                          for what in ("add", "extend", "remove"))  # fmt: skip
        if not self._renew:
            new, more, old = [*new, *more], [], [*old, *more]
        missing = list(layout.missing([*new, *more], self._sets))
        messages = [part.message() for part in missing]
        messages += pack(old, codec.DESTROY_ELEMENT)
        messages += pack(new, codec.NEW_ELEMENT)
        messages += pack(more, codec.NEW_ELEMENT, renew=True)
        self._kernel.commit(messages)
        self._sets |= {part.name for part in missing if isinstance(part, Set)}

    def guards(self) -> dict[Guard, Standing]:
        """The guards that the kernel holds now, read back."""
        found: dict[Guard, Standing] = {}
        self._guard_sizes = {}
        for name in sorted(self._sets) if self.exists() else ():
            if size := guardtable.key_bytes(name):
                for key, left, why, packets, met in listed(self._dump(name), size):
                    if (guard := guardtable.guard_of(name, key)) is not None:
                        before = found.get(guard)
                        found[guard] = Standing(packets + (before.packets if before else 0), left / 1000, why)
                        self._guard_sizes[guard] = met + self._guard_sizes.get(guard, 0)
        return found

    def sizes(self) -> dict[Network | Guard, int]:
        """Bytes that each block and guard dropped, as of when they were last read."""
        return self._block_sizes | self._guard_sizes

    def track(self) -> None:
        """Turn connection tracking on, with what guards will let pass; it lasts as long as the table.

        Raises:
            EnforceError: the kernel refused; nothing was changed.
        """
        if self.exists() and passes.FIRST not in self._sets:
            self._kernel.commit([part.message() for part in passes.parts()])
            self._sets = set(set_names(self._kernel, TABLE))

    def spare(self, ask: Callable[[], Connections]) -> None:
        """Let connections of this host pass guards, whatever tracking knows; no others any more.

        Args:
            ask: the connections of this host, see ``mitigate.sockets``.

        Raises:
            EnforceError: the kernel refused; nothing was changed.
        """
        self.track()
        self._kernel.commit(passes.live(ask()))

    def guard(self, up: Sequence[Order], down: Sequence[Guard], known: Networks) -> None:
        """Put guards up and take others down, in one transaction.

        Args:
            up: guards that are wanted; their lifetime begins anew.
            down: guards that are not.
            known: networks to add to those whose clients pass limits.

        Raises:
            EnforceError: the kernel refused; nothing was changed.
        """
        wanted = [order.guard for order in up]
        messages = [part.message() for part in guardtable.missing(wanted, self._sets)]
        messages += [*guardtable.known(known), *guardtable.removals(down), *guardtable.elements(up)]
        self._kernel.commit(messages)
        self._sets = set(set_names(self._kernel, TABLE))

    def lift(self, networks: Sequence[Network], *, undo: bool = False) -> None:
        """Remember for ten minutes, for other processes too, that the operator lifted these blocks.

        Raises:
            EnforceError: the kernel refused; nothing was changed.
        """
        made = [] if "lifted4" in self._sets else [lifted_set(version).message() for version in (4, 6)]
        marks = (mark for network in networks for mark in lifted_messages(network, undo=undo))
        self._kernel.commit([*made, *marks])
        self._sets |= {"lifted4", "lifted6"}

    def lifted(self) -> set[Network]:
        """The networks whose blocks the operator lifted lately."""
        found = set[Network]()
        for version in (4, 6) if "lifted4" in self._sets else ():
            for key, *_ in listed(self._dump(f"lifted{version}"), ADDRESS[version].size + 4):
                found.add(lifted_network(version, key))
        return found

    def remove(self) -> bool:
        """Take the whole table away; returns whether there was one."""
        try:
            self._kernel.commit([Message(codec.DEL_TABLE, text(1, TABLE))])
        except EnforceError as error:
            if error.errno == errno.ENOENT:
                return False
            raise
        self._sets.clear()
        return True

    def news(self) -> list[str]:
        """The table has none of its own."""
        return []

    def ahead(self) -> Tally:
        """Nothing is dropped before the table."""
        return Tally()

    def close(self) -> None:
        """Close the socket; what stands keeps standing until its timeout."""
        self._kernel.close()


def set_names(kernel: Netfilter, table: str) -> Iterator[str]:
    """The names of the sets of a table, as the kernel has them."""
    for found in _listed(kernel, codec.GET_SET, table):
        yield bytes(found[2]).rstrip(b"\0").decode()


def rule_comments(kernel: Netfilter, table: str) -> Iterator[str]:
    """The comment of each rule of a table, as the kernel has them."""
    for found in _listed(kernel, codec.GET_RULE, table):
        yield codec.comment_of(bytes(found.get(7, b"")))


def _listed(kernel: Netfilter, kind: int, table: str) -> Iterator[dict[int, memoryview]]:
    for body in kernel.dump(kind, text(1, table)):
        found = dict(codec.attributes(body))
        if bytes(found.get(1, b"")).rstrip(b"\0") == table.encode():
            yield found


@lru_cache(8)
def rules_of(sets: frozenset[str]) -> list[str]:
    """The comments of the rules that belong to these sets."""
    blocks = (part for name in sets if holds_blocks(name) for part in layout.block_set(name))
    guards = (rule for name in sets for rule in guardtable.rules(name))
    return sorted({part.comment for part in (*blocks, *guards) if isinstance(part, Rule)})


def _skeleton() -> list[Message]:
    made = Message(codec.NEW_TABLE, text(1, TABLE) + u32(2, 0), codec.CREATE)
    return [made, *(part.message() for part in layout.skeleton())]


def _never_messages(never: Iterable[Network], *, fresh: bool) -> Iterator[Message]:
    """Replace the never-block sets: flush, then the networks as intervals that do not overlap."""
    networks = list(never)
    for version in (4, 6):
        name = f"never{version}"
        if not fresh:
            yield Message(codec.DEL_ELEMENT, text(1, TABLE) + text(2, name))
        mine = joined(network for network in networks if network.version == version)
        packed = [b"".join(pack_interval(version, *interval)) for interval in mine]
        for at in range(0, len(packed), codec.CHUNK):
            body = text(1, TABLE) + text(2, name) + nested(3, *packed[at : at + codec.CHUNK])
            yield Message(codec.NEW_ELEMENT, body, codec.CREATE)
