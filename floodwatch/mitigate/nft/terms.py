"""The parts that rules are made of, each in the languages that can say it, so that they cannot drift apart.

A term carries its expressions for the kernel, the words of ``nft`` for the very same, and those of iptables.
Names and numbers are those of linux/netfilter/nf_tables.h. What a set is asked for goes into register 1, each
part of it into whole words behind the one before.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from ..vital import TCP, UDP
from .codec import attribute, nested, text, u8, u32, u64

IPV4, IPV6 = 2, 10
FAMILY = {4: "ip", 6: "ip6"}
SOURCE_AT = {4: 12, 6: 8}
TARGET_AT = {4: 16, 6: 24}
REGISTER, FIRST_WORD = 1, 8
"""Register 1, and the number by which the first word of it is called; the words behind it follow."""
NETWORK, TRANSPORT = 1, 2
META_PROTOCOL_FAMILY, META_PROTOCOL = 15, 16
EQUAL, UNEQUAL = 0, 1
INVERTED = 1
ADD = 0
INVALID, ESTABLISHED, RELATED, NEW, UNTRACKED = 1, 2, 4, 8, 64
"""Bits of the state of a connection; new: it was not seen in both directions yet."""
STATES: Mapping[int, str] = {
    INVALID: "invalid", ESTABLISHED: "established", RELATED: "related", NEW: "new", UNTRACKED: "untracked",
}  # fmt: skip
CT_STATE, CT_DIRECTION, CT_STATUS, CONFIRMED = 0, 1, 2, 8
FIN, SYN, RST, ACK = 1, 2, 4, 16
FLAGS: Mapping[int, str] = {FIN: "fin", SYN: "syn", RST: "rst", ACK: "ack"}
ICMP, ICMP6 = 1, 58
PROTOCOLS: Mapping[int, str] = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMP6: "ipv6-icmp"}
JUMP = 0xFFFF_FFFD
PROXY_MSS, PROXY_WINDOW_SCALE, PROXY_OPTIONS = 1460, 7, 0x0F
"""What synproxy offers: the usual of Ethernet and of Linux; all of MSS, scale, SACK and time stamps."""
FRAGMENT_HEADER = 44
LIST_ELEMENT = 1


class Term(NamedTuple):
    """A part of a rule.

    Attributes:
        wire: its expressions, as list elements.
        words: the same for ``nft``.
        iptables: the same for iptables; None where it has no words for it.
    """

    wire: bytes
    words: str
    iptables: str | None = None


class Type(NamedTuple):
    """What the keys of a set are: number and name in nf_tables, and their bytes."""

    number: int
    name: str
    size: int


ADDRESS = {4: Type(7, "ipv4_addr", 4), 6: Type(8, "ipv6_addr", 16)}
SERVICE, PROTOCOL, ICMP6_TYPE = (
    Type(13, "inet_service", 4),
    Type(12, "inet_proto", 4),
    Type(29, "icmpv6_type", 4),
)
"""A port, an IP protocol, a type of ICMPv6, each in four bytes."""


class Key(NamedTuple):
    """A part of what a set is asked for.

    Attributes:
        load: loads it from the packet into a register.
        words: the same for ``nft``.
        type: what it is in the set.
        iptables: how iptables compares it with one value.
    """

    load: Callable[[int], bytes]
    words: str
    type: Type
    iptables: str = ""


def _expression(name: str, *parts: bytes) -> bytes:
    return nested(LIST_ELEMENT, text(1, name), nested(2, *parts))


def _verdict(number: int, chain: bytes = b"") -> bytes:
    return _expression("immediate", u32(1, 0), nested(2, nested(2, u32(1, number), chain)))


def _compare(value: bytes, how: int = EQUAL) -> bytes:
    """Compare register 1 with a value."""
    return _expression("cmp", u32(1, REGISTER), u32(2, how), nested(3, attribute(1, value)))


def _masked(mask: bytes, register: int = REGISTER) -> bytes:
    """Keep the bits of a register that stand in a mask."""
    values = nested(4, attribute(1, mask)), nested(5, attribute(1, bytes(len(mask))))
    return _expression("bitwise", u32(1, register), u32(2, register), u32(3, len(mask)), *values)


def _load(base: int, offset: int, size: int, register: int = REGISTER) -> bytes:
    """Load bytes of the network or transport header into a register."""
    return _expression("payload", u32(1, register), u32(2, base), u32(3, offset), u32(4, size))


def _meta(key: int, register: int = REGISTER) -> bytes:
    """Load a fact about the packet into a register."""
    return _expression("meta", u32(1, register), u32(2, key))


def _named(bits: int, names: Mapping[int, str]) -> list[str]:
    return [name for bit, name in names.items() if bits & bit]


COUNTER = Term(_expression("counter"), "counter", "")
ACCEPT = Term(_verdict(1), "accept", "-j ACCEPT")
DROP = Term(_verdict(0), "drop", "-j DROP")
NOTRACK = Term(_expression("notrack"), "notrack", "-j CT --notrack")
"""The end of a rule whose packets connection tracking does not see."""
SYNPROXY = Term(
    _expression("synproxy", attribute(1, struct.pack("!H", PROXY_MSS)), u8(2, PROXY_WINDOW_SCALE),
                u32(3, PROXY_OPTIONS)),
    f"synproxy mss {PROXY_MSS} wscale {PROXY_WINDOW_SCALE} timestamp sack-perm",
    f"-j SYNPROXY --mss {PROXY_MSS} --wscale {PROXY_WINDOW_SCALE} --timestamp --sack-perm",
)  # fmt: skip
"""The end of a rule that finishes handshakes with SYN cookies in place of who is behind this host."""


def of_version(version: int) -> Term:
    """Match packets of one IP version; iptables has a program for each."""
    wire = _meta(META_PROTOCOL_FAMILY) + _compare(bytes((IPV4 if version == 4 else IPV6,)))
    return Term(wire, f"meta nfproto ipv{version}", "")


def jump(chain: str) -> Term:
    """The end of a rule whose packets go through another chain first."""
    return Term(_verdict(JUMP, text(2, chain)), f"jump {chain}")


def of_protocol(number: int, *, equal: bool = True) -> Term:
    """Match packets of one transport protocol, or of any other."""
    name = PROTOCOLS.get(number, str(number))
    wire = _meta(META_PROTOCOL) + _compare(bytes((number,)), EQUAL if equal else UNEQUAL)
    return Term(wire, f"meta l4proto {'' if equal else '!= '}{name}", f"{'' if equal else '! '}-p {name}")


def of_icmp(kind: int, code: int) -> Term:
    """Match ICMP of one type and code."""
    wire = _load(TRANSPORT, 0, 2) + _compare(bytes((kind, code)))
    return Term(wire, f"@th,0,16 {kind << 8 | code}", f"--icmp-type {kind}/{code}")


def of_flows(*, first: bool) -> Term:
    """Match the first packet of a flow, or the later ones: tracking remembers a flow when a packet got in."""
    wire = _expression("ct", u32(1, REGISTER), u32(2, CT_STATUS)) + _masked(struct.pack("=I", CONFIRMED))
    wire += _compare(bytes(4), EQUAL if first else UNEQUAL)
    how, no = ("== 0", "! ") if first else ("!= 0", "")
    return Term(wire, f"ct status & confirmed {how}", f"-m conntrack {no}--ctstatus CONFIRMED")


def of_replies() -> Term:
    """Match packets that go back to who began their flow."""
    return Term(
        _expression("ct", u32(1, REGISTER), u32(2, CT_DIRECTION)) + _compare(b"\1"), "ct direction reply"
    )


def of_states(states: int) -> Term:
    """Match packets that connection tracking puts into one of these states."""
    wire = _expression("ct", u32(1, REGISTER), u32(2, CT_STATE)) + _masked(struct.pack("=I", states))
    names = ",".join(_named(states, STATES))
    words = f"ct state {names}", f"-m conntrack --ctstate {names.upper()}"
    return Term(wire + _compare(bytes(4), UNEQUAL), *words)


def of_tcp_flags(mask: int, flags: int, *, equal: bool = True) -> Term:
    """Match TCP packets by some of their flags: as they are given, or any but those."""
    how, sign, no = (EQUAL, "==", "") if equal else (UNEQUAL, "!=", "! ")
    wire = _load(TRANSPORT, 13, 1) + _masked(bytes((mask,))) + _compare(bytes((flags,)), how)
    of, are = _named(mask, FLAGS), _named(flags, FLAGS)
    words = f"tcp flags & ({' | '.join(of)}) {sign} {' | '.join(are)}"
    return Term(wire, words, f"{no}--tcp-flags {','.join(of).upper()} {','.join(are).upper()}")


def later_fragments(version: int) -> Term:
    """Match fragments but the first of each packet; iptables looks when they are put together already."""
    if version == 4:
        wire, words = _load(NETWORK, 6, 2) + _masked(b"\x1f\xff"), "ip frag-off & 0x1fff != 0"
    else:
        wire, words = _fragment_header(2, 2) + _masked(b"\xff\xf8"), "frag frag-off != 0"
    return Term(wire + _compare(bytes(2), UNEQUAL), words)


def first_fragments(version: int) -> Term:
    """Match the first fragment of each packet that comes in several."""
    if version == 4:
        wire = _load(NETWORK, 6, 2) + _masked(b"\x3f\xff") + _compare(b"\x20\0")
        return Term(wire, "ip frag-off & 0x3fff == 0x2000")
    wire = _fragment_header(2, 2) + _masked(b"\xff\xf8") + _compare(bytes(2))
    wire += _fragment_header(3, 1) + _masked(b"\1") + _compare(b"\1")
    return Term(wire, "frag frag-off 0 frag more-fragments 1")


def _fragment_header(at: int, size: int) -> bytes:
    """Load bytes of the fragment header of IPv6."""
    return _expression("exthdr", u32(1, REGISTER) + u8(2, FRAGMENT_HEADER) + u32(3, at) + u32(4, size))


def source(version: int, length: int) -> Key:
    """The source address, as far as its prefix goes."""
    return _address(version, length, SOURCE_AT[version], "saddr", "-s {}")


def target(version: int, length: int) -> Key:
    """The destination address, as far as its prefix goes."""
    return _address(version, length, TARGET_AT[version], "daddr", "-d {}")


def _address(version: int, length: int, at: int, name: str, iptables: str) -> Key:
    kind = ADDRESS[version]
    words, mask = f"{FAMILY[version]} {name}", b""
    if length < 8 * kind.size:
        make = ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network
        netmask = make((0, length)).netmask
        words, mask = f"{words} & {netmask}", netmask.packed

    def load(register: int) -> bytes:
        return _load(NETWORK, at, kind.size, register) + (_masked(mask, register) if mask else b"")

    return Key(load, words, kind, iptables)


def _port(at: int, words: str, iptables: str) -> Key:
    return Key(lambda register: _load(TRANSPORT, at, 2, register), words, SERVICE, iptables)


SOURCE_PORT, TARGET_PORT = _port(0, "th sport", "--sport {}"), _port(2, "th dport", "--dport {}")
"""Ports of TCP and UDP."""
TRANSPORT_PROTOCOL = Key(lambda register: _meta(META_PROTOCOL, register), "meta l4proto", PROTOCOL, "-p {}")
LONE_PROTOCOL = TRANSPORT_PROTOCOL._replace(type=PROTOCOL._replace(size=1))
"""The same as the only part of a key."""
KIND_OF_ICMP6 = Key(lambda register: _load(TRANSPORT, 0, 1, register), "icmpv6 type", ICMP6_TYPE)


def flow(version: int) -> tuple[Key, ...]:
    """Both ends of a flow of TCP or UDP as a packet names them: source, its port, target, its port."""
    whole = 8 * ADDRESS[version].size
    return source(version, whole), SOURCE_PORT, target(version, whole), TARGET_PORT


def found_in(name: str, *keys: Key) -> Term:
    """Look up what the keys load in a set."""
    return _looked_up(name, keys, "", b"")


def not_in(name: str, *keys: Key) -> Term:
    """Match if a set does not hold what the keys load."""
    return _looked_up(name, keys, "!= ", u32(5, INVERTED))


def _looked_up(name: str, keys: Sequence[Key], sign: str, how: bytes) -> Term:
    wire = _loaded(keys) + _expression("lookup", text(1, name), u32(2, REGISTER), how)
    return Term(wire, f"{_listed(keys)} {sign}@{name}")


def note_in(name: str, *keys: Key) -> Term:
    """Remember what the keys load in a set, while it has room; the end of a rule whose packets go on."""
    wire = _loaded(keys) + _expression("dynset", text(1, name), u32(3, ADD), u32(4, REGISTER))
    return Term(wire, f"add @{name} {{ {_listed(keys)} }}")


def _loaded(keys: Iterable[Key]) -> bytes:
    """Every key in whole words behind the one before; the first in register 1."""
    wire, word = b"", FIRST_WORD
    for key in keys:
        wire += key.load(word if wire else REGISTER)
        word += (key.type.size + 3) // 4
    return wire


def _listed(keys: Iterable[Key]) -> str:
    return " . ".join(key.words for key in keys)


def limit_over(rate: int) -> Term:
    """Match only what comes beyond a rate a second, with as much at once."""
    return _limit(rate, "over ", INVERTED)


def limit_up_to(rate: int) -> Term:
    """Match only what stays within a rate a second, with as much at once."""
    return _limit(rate, "", 0)


def _limit(rate: int, over: str, flags: int) -> Term:
    wire = _expression("limit", u64(1, rate), u64(2, 1), u32(3, rate), u32(4, 0), u32(5, flags))
    return Term(wire, f"limit rate {over}{rate}/second burst {rate} packets")
