"""Elements of the sets of blocked networks as bytes: packed and parsed flat, for there may be 100,000."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ..plan import Block, Network
from . import codec
from .codec import Message, attribute, nested, text, u32
from .layout import FORMS, set_name
from .objects import TABLE, End, element
from .terms import ADDRESS, LIST_ELEMENT

LIFTED_S = 600.0
"""How long a watch leaves alone what the operator lifted."""
INTERVAL_END = 1
HEAD = struct.Struct("=HHHHHH").pack
"""Headers of an element, its key and the key's value."""
HALF, PAIR = (struct.Struct(form).unpack_from for form in ("=H", "=HH"))
Rows: TypeAlias = npt.NDArray[np.uint8]
Columns: TypeAlias = tuple[list[int], list[int], list[str], list[int], list[int]]


def pack(blocks: Sequence[Block], kind: int, *, renew: bool = False) -> Iterator[Message]:
    """Messages that add or destroy blocks; all but the key is the same for all blocks of one event.

    With ``renew`` blocks that stand get their time anew; it takes Linux 6.12.
    """
    new = kind == codec.NEW_ELEMENT
    groups: dict[tuple[int, int, int, float, str], list[bytes]] = {}
    for block in blocks:
        network = block.network
        seconds, why = (block.seconds, block.why) if new else (0.0, "")
        group = (network.version, network.prefixlen, block.rate, seconds, why)
        groups.setdefault(group, []).append(network.network_address.packed)
    for (version, length, rate, seconds, why), keys in groups.items():
        tail = End(seconds, why).wire(renew=renew) if new else b""
        size = ADDRESS[version].size
        head = HEAD(
            12 + size + len(tail), LIST_ELEMENT | codec.NESTED, 8 + size, 1 | codec.NESTED, 4 + size, 1
        )
        name = text(1, TABLE) + text(2, set_name(version, length, rate))
        for at in range(0, len(keys), codec.CHUNK):
            body = head + (tail + head).join(keys[at : at + codec.CHUNK]) + tail
            yield Message(kind, name + nested(3, body), codec.CREATE if new else 0)


def joined(networks: Iterable[Network]) -> list[tuple[int, int]]:
    """Networks of one version as intervals that do not touch: the first address, and what lies behind."""
    found: list[tuple[int, int]] = []
    ends = ((int(n.network_address), 1 << n.max_prefixlen - n.prefixlen) for n in networks)
    for first, size in sorted(ends):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], first + size)
        else:
            found.append((first, first + size))
    return found


def pack_interval(version: int, first: int, behind: int) -> Iterator[bytes]:
    """The elements that stand for an interval in an interval set: where it begins, and what lies behind."""
    size = ADDRESS[version].size
    yield nested(LIST_ELEMENT, nested(1, attribute(1, first.to_bytes(size, "big"))))
    if behind < 1 << 8 * size:
        end = behind.to_bytes(size, "big")
        yield nested(LIST_ELEMENT, nested(1, attribute(1, end)), u32(3, INTERVAL_END))


def lifted_messages(network: Network, *, undo: bool) -> Iterator[Message]:
    """Add a network to that set anew, or only take it away."""
    key = network.network_address.packed + bytes((network.prefixlen, 0, 0, 0))
    name = f"lifted{network.version}"
    yield element(codec.DESTROY_ELEMENT, name, key)
    if not undo:
        yield element(codec.NEW_ELEMENT, name, key, End(LIFTED_S).wire())


def lifted_network(version: int, key: int) -> Network:
    """The network that an element of that set names."""
    make = ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network
    return make((key >> 32, key >> 24 & 0xFF))


def networks(name: str, bodies: Iterator[memoryview]) -> Iterator[tuple[Network, Block, int, int]]:
    """What a dump of a set of blocked networks holds: each with its block, and what it dropped."""
    version, length, rate = FORMS[name]
    make = ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network
    for keys, left, why, packets, sizes in _columns(bodies, ADDRESS[version].size):
        found = [make((key, length)) for key in keys]
        seconds = [ms / 1000 for ms in left]
        yield from zip(found, map(Block, found, seconds, why, repeat(rate)), packets, sizes, strict=True)


def listed(bodies: Iterator[memoryview], key_bytes: int) -> Iterator[tuple[int, int, str, int, int]]:
    """(key, milliseconds left, comment, packets, bytes) of the elements in a dump of any set."""
    for columns in _columns(bodies, key_bytes):
        yield from zip(*columns, strict=True)


def _columns(bodies: Iterator[memoryview], key_bytes: int) -> Iterator[Columns]:
    """Keys, milliseconds left, comments, packets and bytes of the elements of each layout, all at once.

    The dump is read to its end first, for the kernel is faster that way.
    """
    held = b"".join(value for body in bodies for number, value in codec.attributes(body) if number == 3)
    raw = np.frombuffer(held, np.uint8)
    for size, places in _by_size(held).items():
        rows = raw[np.array(places)[:, None] + np.arange(size)]
        while len(rows):
            layout = _layout(rows[0].tobytes(), key_bytes)
            alike = (rows[:, layout.fixed] == rows[0, layout.fixed]).all(axis=1)
            yield _values(rows[alike], layout, key_bytes)
            rows = rows[~alike]


def _by_size(raw: bytes) -> dict[int, list[int]]:
    """Where elements lie, by their size."""
    found, at = dict[int, list[int]](), 0
    while at + 4 <= len(raw) and 4 <= (size := HALF(raw, at)[0]) <= len(raw) - at:
        found.setdefault(size, []).append(at)
        at += (size + 3) & ~3
    return found


class _Layout(NamedTuple):
    """Where the values of an element lie (0: it has none), and which of its bytes elements share."""

    key: int
    left: int
    why: slice
    packets: int
    bytes: int
    fixed: npt.NDArray[np.bool_]


def _layout(element: bytes, key_bytes: int) -> _Layout:
    key = left = packets = sizes = 0
    why = slice(0)
    fixed = np.ones(len(element), np.bool_)
    for number, at, end in _spans(element, 4, len(element)):
        if number == 1:  # the key: nested, its value behind one more header
            key = at + 4
            fixed[key : key + key_bytes] = False
        elif number in (4, 5):  # lifetime, and what is left of it
            left = at if number == 5 else left
            fixed[at:end] = False
        elif number == 6:  # user data
            why = slice(at, end)
            fixed[at:end] = False
        elif number in (7, 11):  # an expression, or several
            for counted in [(at, end)] if number == 7 else [(a, e) for _, a, e in _spans(element, at, end)]:
                packets, sizes = _counter(element, *counted, fixed) or (packets, sizes)
    return _Layout(key, left, why, packets, sizes, fixed)


def _counter(element: bytes, at: int, end: int, fixed: npt.NDArray[np.bool_]) -> tuple[int, int] | None:
    """Where packets and bytes of an expression lie, if it is a counter; its values are not what is shared."""
    places = {1: 0, 2: 0}
    name, data = (next((s for s in _spans(element, at, end) if s[0] == n), (0, 0, 0)) for n in (1, 2))
    if element[name[1] : name[2]] == b"counter\0":
        for number, begin, stop in _spans(element, data[1], data[2]):
            if number in places:
                fixed[begin:stop] = False
                places[number] = begin
        return places[2], places[1]
    return None


def _spans(raw: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(number, begin, end) of the value of each attribute; a length that lies ends the walk."""
    while at + 4 <= end and 4 <= (pair := PAIR(raw, at))[0] <= end - at:
        yield pair[1] & 0x3FFF, at + 4, at + pair[0]
        at += (pair[0] + 3) & ~3


def _values(rows: Rows, layout: _Layout, key_bytes: int) -> Columns:
    if key_bytes == 4:
        keys = _numbers(rows, layout.key, ">u4")
    else:
        held = rows[:, layout.key : layout.key + key_bytes]
        keys = [int.from_bytes(row.tobytes(), "big") for row in held]
    reasons: dict[bytes, str] = {}
    data = [row.tobytes() for row in rows[:, layout.why]]
    why = [reasons.get(one) or reasons.setdefault(one, codec.comment_of(one)) for one in data]
    left, packets, sizes = (_numbers(rows, at, ">u8") for at in (layout.left, layout.packets, layout.bytes))
    return keys, left, why, packets, sizes


def _numbers(rows: Rows, at: int, form: str) -> list[int]:
    if not at:
        return [0] * len(rows)
    size = np.dtype(form).itemsize
    return np.ascontiguousarray(rows[:, at : at + size]).view(form).ravel().tolist()
