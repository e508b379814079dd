"""Sets, rules and the expressions that rules are made of, as nf_tables messages of our table.

Names and numbers are those of linux/netfilter/nf_tables.h. An address goes into register 1, what is looked up
together with it into the register behind.
"""

from __future__ import annotations

import struct

from . import codec
from .codec import Message, attribute, nested, text, u8, u32, u64

TABLE = "floodwatch"
IPV4, IPV6 = 2, 10
KEY_TYPE = {4: 7, 6: 8}
KEY_BYTES = {4: 4, 6: 16}
SOURCE_AT = {4: 12, 6: 8}
TARGET_AT = {4: 16, 6: 24}
SERVICE, PROTOCOL = 13, 12
"""Key types of a port and of an IP protocol, each in four bytes."""
FLAG_INTERVAL, FLAG_TIMEOUT, FLAG_EXPRESSIONS = 4, 16, 0x100
REGISTER = 1
BEHIND = {4: 9, 6: 2}
"""The register behind an address in register 1."""
NETWORK, TRANSPORT = 1, 2
META_PROTOCOL_FAMILY, META_PROTOCOL = 15, 16
EQUAL, UNEQUAL = 0, 1
INVERTED = 1
INVALID, NEW, UNTRACKED = 1, 8, 64
"""Bits of the state of a connection; new: it was not seen in both directions yet."""
PROXY_MSS, PROXY_WINDOW_SCALE, PROXY_OPTIONS = 1460, 7, 0x0F
"""What synproxy offers: the usual of Ethernet and of Linux; all of MSS, scale, SACK and time stamps."""
FRAGMENT_HEADER = 44
LIST_ELEMENT = 1
PREROUTING, FORWARD = 0, 2
COUNTED = nested(17, text(1, "counter"))
"""Of a set: each element counts its packets."""


def set_message(name: str, key_type: int, key_bytes: int, flags: int, *more: bytes) -> Message:
    """A set of our table."""
    body = text(1, TABLE) + text(2, name) + u32(3, flags) + u32(4, key_type)
    body += u32(5, key_bytes) + u32(10, abs(hash(name)) % 2**31 + 1)
    return Message(codec.NEW_SET, body + b"".join(more), codec.CREATE)


def rule(chain: str, match: list[bytes], end: bytes, words: str) -> Message:
    """A rule at the end of a chain: what it matches is counted and meets its end."""
    listed = nested(4, *match, expression("counter"), end)
    body = text(1, TABLE) + text(2, chain) + listed + codec.comment(7, words)
    return Message(codec.NEW_RULE, body, codec.CREATE | codec.APPEND)


def verdict(number: int) -> bytes:
    """The end of a rule that accepts or drops."""
    return expression("immediate", u32(1, 0), nested(2, nested(2, u32(1, number))))


def base_chain(name: str, hook: int, priority: int) -> Message:
    """A filter chain at a hook, which accepts what no rule drops."""
    where = nested(4, u32(1, hook), attribute(2, struct.pack("!i", priority)))
    body = text(1, TABLE) + text(3, name) + where + u32(5, 1) + text(7, "filter")
    return Message(codec.NEW_CHAIN, body, codec.CREATE)


def expression(name: str, *parts: bytes) -> bytes:
    """One expression of a rule, as a list element."""
    return nested(LIST_ELEMENT, text(1, name), nested(2, *parts))


def compare(value: bytes, how: int = EQUAL) -> bytes:
    """Compare register 1 with a value."""
    return expression("cmp", u32(1, REGISTER), u32(2, how), nested(3, attribute(1, value)))


def masked(mask: bytes) -> bytes:
    """Keep the bits of register 1 that stand in a mask."""
    values = nested(4, attribute(1, mask)), nested(5, attribute(1, bytes(len(mask))))
    return expression("bitwise", u32(1, REGISTER), u32(2, REGISTER), u32(3, len(mask)), *values)


def load(base: int, offset: int, size: int, register: int = REGISTER) -> bytes:
    """Load bytes of the network or transport header into a register."""
    return expression("payload", u32(1, register), u32(2, base), u32(3, offset), u32(4, size))


def meta(key: int, register: int = REGISTER) -> bytes:
    """Load a fact about the packet into a register."""
    return expression("meta", u32(1, register), u32(2, key))


def of_version(version: int) -> list[bytes]:
    """Match packets of one IP version."""
    return [meta(META_PROTOCOL_FAMILY), compare(bytes((IPV4 if version == 4 else IPV6,)))]


def of_protocol(number: int) -> list[bytes]:
    """Match packets of one transport protocol."""
    return [meta(META_PROTOCOL), compare(bytes((number,)))]


def of_states(states: int) -> list[bytes]:
    """Match packets that connection tracking puts into one of these states."""
    some = masked(struct.pack("=I", states))
    return [expression("ct", u32(1, REGISTER), u32(2, 0)), some, compare(bytes(4), UNEQUAL)]


def of_tcp_flags(mask: int, flags: int, *, equal: bool = True) -> list[bytes]:
    """Match TCP packets by some of their flags: as they are given, or any but those."""
    how = EQUAL if equal else UNEQUAL
    return [load(TRANSPORT, 13, 1), masked(bytes((mask,))), compare(bytes((flags,)), how)]


ACCEPT, DROP = verdict(1), verdict(0)


def untracked() -> bytes:
    """The end of a rule whose packets connection tracking does not see."""
    return expression("notrack")


def synproxy() -> bytes:
    """The end of a rule that finishes handshakes with SYN cookies in place of who is behind this host."""
    options = attribute(1, struct.pack("!H", PROXY_MSS)) + u8(2, PROXY_WINDOW_SCALE)
    return expression("synproxy", options, u32(3, PROXY_OPTIONS))


def later_fragments(version: int) -> list[bytes]:
    """Match fragments but the first of each packet."""
    if version == 4:
        return [load(NETWORK, 6, 2), masked(b"\x1f\xff"), compare(bytes(2), UNEQUAL)]
    header = u32(1, REGISTER) + u8(2, FRAGMENT_HEADER) + u32(3, 2) + u32(4, 2)
    return [expression("exthdr", header), masked(b"\xff\xf8"), compare(bytes(2), UNEQUAL)]


def found_in(name: str) -> bytes:
    """Look up what is in register 1, and behind it, in a set."""
    return expression("lookup", text(1, name), u32(2, REGISTER))


def not_in(name: str) -> bytes:
    """Match what is in register 1 if a set does not hold it."""
    return expression("lookup", text(1, name), u32(2, REGISTER), u32(5, INVERTED))


def source_in(version: int, name: str, mask: bytes | None, but: str) -> list[bytes]:
    """Match packets of one IP version whose (masked) source address is in a set, but not in another."""
    address = load(NETWORK, SOURCE_AT[version], KEY_BYTES[version])
    mask_it = [] if mask is None else [masked(mask)]
    return [*of_version(version), address, *mask_it, found_in(name), address, not_in(but)]


def limit_over(rate: int) -> bytes:
    """Match only what comes beyond a rate a second, with as much at once."""
    return _limit(rate, INVERTED)


def limit_up_to(rate: int) -> bytes:
    """Match only what stays within a rate a second, with as much at once."""
    return _limit(rate, 0)


def _limit(rate: int, flags: int) -> bytes:
    return expression("limit", u64(1, rate), u64(2, 1), u32(3, rate), u32(4, 0), u32(5, flags))
