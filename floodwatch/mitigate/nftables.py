"""Our one table in the kernel: hash sets of blocked networks with timeouts, looked up before anything else.

    table inet floodwatch
        set never4, never6             looked up first: these pass
        set block4, block6             hosts
        set block4_p24, block6_p64 ... masked, one per prefix length
        chain prerouting               hook prerouting, priority raw

Every element has a timeout, so a block ends even if nobody is left to end it, a counter, and a comment that
tells why. Other tables are never read or touched.
"""

from __future__ import annotations

import errno
import ipaddress
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..errors import EnforceError
from ..memory import Networks
from . import codec, guardtable
from .codec import Message, Netfilter, attribute, nested, text, u32, u64
from .expressions import (
    ACCEPT,
    COUNTED,
    DROP,
    FLAG_INTERVAL,
    FLAG_TIMEOUT,
    KEY_BYTES,
    KEY_TYPE,
    LIST_ELEMENT,
    PREROUTING,
    TABLE,
    base_chain,
    rule,
    set_message,
    source_in,
)
from .guards import Guard, Order, Standing
from .plan import Block, Network, Step

CHAIN = "prerouting"
SET_SIZE = 65_536
RAW = -300
INTERVAL_END = 1


def set_name(network: Network) -> str:
    """The set that holds networks of this version and prefix length."""
    whole = network.prefixlen == network.max_prefixlen
    return f"block{network.version}" if whole else f"block{network.version}_p{network.prefixlen}"


class Table:
    """The table ``inet floodwatch`` of the current network namespace."""

    def __init__(self) -> None:
        self._kernel = Netfilter()
        self._sets: set[str] = set()

    def exists(self) -> bool:
        """Is there such a table now?"""
        try:
            self._sets = set(self._set_names())
        except EnforceError as error:
            if error.errno == errno.ENOENT:
                return False
            raise
        return bool(self._sets)

    def ensure(self, never: Iterable[Network] = ()) -> None:
        """Make the table if it is missing, and bring its never-block sets up to date.

        Raises:
            EnforceError: no right, or no nf_tables.
        """
        made = [] if self.exists() else _skeleton()
        self._kernel.commit([*made, *_never_messages(never, fresh=bool(made))])
        self._sets = set(self._set_names())

    def _set_names(self) -> Iterator[str]:
        for body in self._kernel.dump(codec.GET_SET, text(1, TABLE)):
            found = dict(codec.attributes(body))
            if 1 in found and 2 in found and bytes(found[1]).rstrip(b"\0") == TABLE.encode():
                yield bytes(found[2]).rstrip(b"\0").decode()

    def blocks(self) -> dict[Network, Block]:
        """What the kernel holds now, read back: networks with the seconds that are left and why."""
        return {network: block for network, (block, _) in self.counted().items()}

    def counted(self) -> dict[Network, tuple[Block, int]]:
        """The same, with the packets that each one dropped."""
        if not self.exists():
            return {}
        found: dict[Network, tuple[Block, int]] = {}
        for name in sorted(self._sets):
            if name.startswith("block"):
                for network, block, packets in self._elements(name):
                    found[network] = (block, packets)
        return found

    def _elements(self, name: str) -> Iterator[tuple[Network, Block, int]]:
        host, _, suffix = name.partition("_p")
        version = int(host.removeprefix("block"))
        length = int(suffix) if suffix else 8 * KEY_BYTES[version]
        make = ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network
        for key, left_ms, why, packets in self._listed(name, KEY_BYTES[version]):
            network = make((key, length))
            yield network, Block(network, left_ms / 1000, why), packets

    def _listed(self, name: str, key_bytes: int) -> Iterator[tuple[int, int, str, int]]:
        """(key, milliseconds left, comment, packets) of a set's elements."""
        for body in self._kernel.dump(codec.GET_ELEMENT, text(1, TABLE) + text(2, name)):
            for number, value in codec.attributes(body):
                if number == 3:
                    yield from _parse(value, key_bytes)

    def apply(self, steps: Sequence[Step]) -> None:
        """Carry out the steps of a plan in one transaction: all of it, or nothing.

        Raises:
            EnforceError: the kernel refused; nothing was changed.
        """
        new = [step.block for step in steps if step.what in ("add", "extend")]
        old = [step.block for step in steps if step.what in ("remove", "extend")]
        messages = list(self._missing_sets(new))
        messages += _element_messages(old, codec.DESTROY_ELEMENT)
        messages += _element_messages(new, codec.NEW_ELEMENT)
        if messages:
            self._kernel.commit(messages)

    def _missing_sets(self, blocks: Iterable[Block]) -> Iterator[Message]:
        for network in {(b.network.version, b.network.prefixlen): b.network for b in blocks}.values():
            if set_name(network) not in self._sets:
                yield _block_set(network)
                yield _block_rule(network)
                self._sets.add(set_name(network))

    def guards(self) -> dict[Guard, Standing]:
        """The guards that the kernel holds now, read back."""
        found: dict[Guard, Standing] = {}
        if self.exists() and guardtable.CHAIN_SET in self._sets:
            for kind in guardtable.SECOND:
                for version in (4, 6):
                    for key, left_ms, why, packets in self._listed(
                        f"{kind}{version}", guardtable.key_bytes(kind, version)
                    ):
                        found[guardtable.guard_of(kind, version, key)] = Standing(
                            packets, left_ms / 1000, why
                        )
        return found

    def guard(self, up: Sequence[Order], down: Sequence[Guard], known: Networks) -> None:
        """Put guards up and take others down, in one transaction.

        Args:
            up: guards that are wanted; their lifetime begins anew.
            down: guards that are not.
            known: networks to add to those whose clients pass limits.

        Raises:
            EnforceError: the kernel refused; nothing was changed.
        """
        messages: list[Message] = []
        if guardtable.CHAIN_SET not in self._sets:
            messages += guardtable.skeleton()
        messages += [*guardtable.known(known), *guardtable.removals(down), *guardtable.elements(up)]
        self._kernel.commit(messages)
        self._sets = set(self._set_names())

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

    def close(self) -> None:
        """Close the socket; what stands keeps standing until its timeout."""
        self._kernel.close()


def _parse(elements: memoryview, key_bytes: int) -> Iterator[tuple[int, int, str, int]]:
    """(key, milliseconds left, comment, packets) of a list of elements; flat, for there may be 100,000."""
    raw, at, end = bytes(elements), 0, len(elements)
    reasons: dict[bytes, str] = {}
    while at + 4 <= end:
        size = HALF(raw, at)[0]
        inner, stop = at + 4, at + size
        key = left = packets = 0
        why = ""
        while inner + 4 <= stop:
            length, number = PAIR(raw, inner)
            number &= 0x3FFF
            if number == 1:  # key: nested, its value behind one more header
                key = int.from_bytes(raw[inner + 8 : inner + 8 + key_bytes], "big")
            elif number == 5:  # expiration
                left = LONG(raw, inner + 4)[0]
            elif number == 6:  # user data
                data = raw[inner + 4 : inner + length]
                why = reasons.get(data) or reasons.setdefault(data, codec.comment_of(data))
            elif number == 7:  # the counter: name, then data
                if raw.startswith(COUNTER, inner + 4) and PAIR(raw, inner + 32) == (12, 2):
                    packets = LONG(raw, inner + 36)[0]
                else:
                    packets = _counter(memoryview(raw)[inner + 4 : inner + length])
            elif number == 11:  # several expressions, of which one is the counter
                listed = codec.attributes(memoryview(raw)[inner + 4 : inner + length])
                packets = max((_counter(one) for _, one in listed), default=0)
            inner += max((length + 3) & ~3, 4)
        yield key, left, why, packets
        at += max((size + 3) & ~3, 4)


COUNTER = b"\x0c\0\x01\0counter\0" + b"\x1c\0\x02\0" + b"\x0c\0\x01\0"
"""How a counter begins: its name, the header of its data, the header of its bytes; its packets follow."""
HALF, PAIR, LONG = (struct.Struct(form).unpack_from for form in ("=H", "=HH", "!Q"))


def _counter(expression: memoryview) -> int:
    """Packets that an element's counter saw; 0 for another expression."""
    for number, value in codec.attributes(expression):
        if number == 1 and bytes(value) != b"counter\0":
            return 0
        if number == 2:
            return next((LONG(v)[0] for n, v in codec.attributes(value) if n == 2), 0)
    return 0


def _element_messages(blocks: Sequence[Block], kind: int) -> Iterator[Message]:
    """Elements by set, packed flat: what follows the key is the same for all blocks of one event."""
    new = kind == codec.NEW_ELEMENT
    by_set: dict[tuple[int, int], list[bytes]] = {}
    tails: dict[tuple[float, str], bytes] = {}
    for block in blocks:
        network = block.network
        tail = b""
        if new:
            end = (block.seconds, block.why)
            tail = tails.get(end) or tails.setdefault(end, _tail(block))
        key = network.network_address.packed
        size = len(key)
        head = HEAD(12 + size + len(tail), LIST_ELEMENT | NESTED, 8 + size, 1 | NESTED, 4 + size, 1)
        by_set.setdefault((network.version, network.prefixlen), []).append(head + key + tail)
    for (version, length), members in by_set.items():
        name = f"block{version}" if length == 8 * KEY_BYTES[version] else f"block{version}_p{length}"
        for at in range(0, len(members), codec.CHUNK):
            body = text(1, TABLE) + text(2, name) + nested(3, *members[at : at + codec.CHUNK])
            yield Message(kind, body, codec.CREATE if new else 0)


HEAD = struct.Struct("=HHHHHH").pack
"""Headers of an element, its key and the key's value."""
NESTED = codec.NESTED


def _tail(block: Block) -> bytes:
    return u64(4, max(int(block.seconds * 1000), 1)) + codec.comment(6, block.why)


def _skeleton() -> list[Message]:
    messages = [
        Message(codec.NEW_TABLE, text(1, TABLE) + u32(2, 0), codec.CREATE),
        base_chain(CHAIN, PREROUTING, RAW),
    ]
    for version in (4, 6):
        name = f"never{version}"
        messages.append(set_message(name, KEY_TYPE[version], KEY_BYTES[version], FLAG_INTERVAL))
        messages.append(rule(CHAIN, source_in(version, name, None), ACCEPT, "fw: never blocked by address"))
    for network in (ipaddress.ip_network("0.0.0.0/32"), ipaddress.ip_network("::/128")):
        messages += [_block_set(network), _block_rule(network)]
    return messages


def _block_set(network: Network) -> Message:
    return set_message(
        set_name(network), KEY_TYPE[network.version], KEY_BYTES[network.version], FLAG_TIMEOUT,
        nested(9, u32(1, SET_SIZE)), COUNTED,
    )  # fmt: skip


def _block_rule(network: Network) -> Message:
    mask = None if network.prefixlen == network.max_prefixlen else network.netmask.packed
    return rule(CHAIN, source_in(network.version, set_name(network), mask), DROP, f"fw: {set_name(network)}")


def _never_messages(never: Iterable[Network], *, fresh: bool) -> Iterator[Message]:
    """Replace the never-block sets: flush, then the networks as intervals that do not overlap."""
    networks = list(never)
    for version in (4, 6):
        name = f"never{version}"
        if not fresh:
            yield Message(codec.DEL_ELEMENT, text(1, TABLE) + text(2, name))
        mine: list[Any] = [network for network in networks if network.version == version]
        packed = [part for network in ipaddress.collapse_addresses(mine) for part in _interval(network)]
        if packed:
            body = text(1, TABLE) + text(2, name) + nested(3, *packed)
            yield Message(codec.NEW_ELEMENT, body, codec.CREATE)


def _interval(network: Network) -> Iterator[bytes]:
    yield nested(LIST_ELEMENT, nested(1, attribute(1, network.network_address.packed)))
    behind = int(network.broadcast_address) + 1
    if behind < 1 << network.max_prefixlen:
        end = behind.to_bytes(KEY_BYTES[network.version], "big")
        yield nested(LIST_ELEMENT, nested(1, attribute(1, end)), u32(3, INTERVAL_END))
