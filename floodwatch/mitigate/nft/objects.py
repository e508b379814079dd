"""What our table is made of: sets, chains, rules and elements, each as a netlink message and as text."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from . import codec
from .codec import Message, attribute, nested, text, u32, u64
from .terms import COUNTER, LIST_ELEMENT, Term, Type

TABLE = "floodwatch"
CONSTANT, INTERVAL, TIMEOUT, DYNAMIC = 0, 4, 16, 32
FLAGS = {CONSTANT: "", INTERVAL: "flags interval; ", TIMEOUT: "flags timeout; ", DYNAMIC: "flags dynamic; "}
FLAG_EXPRESSIONS = 0x100
"""Of a set: each element has more than one expression."""
PREROUTING, FORWARD, POSTROUTING = 0, 2, 4
HOOKS = {PREROUTING: "prerouting", FORWARD: "forward", POSTROUTING: "postrouting"}


class Set(NamedTuple):
    """A set: its keys, what each element does with its packets, and how many it may hold (0: no matter)."""

    name: str
    types: tuple[Type, ...]
    each: tuple[Term, ...] = (COUNTER,)
    size: int = 0
    flag: int = TIMEOUT

    def message(self) -> Message:
        """For the kernel."""
        key, size, parts, flags = 0, 0, b"", self.flag
        for kind in self.types:
            key, size = key << 6 | kind.number, size + kind.size
        if self.size:
            parts += nested(9, u32(1, self.size))
        if len(self.each) == 1:
            parts += attribute(17 | codec.NESTED, self.each[0].wire[4:])  # not in a list
        elif self.each:
            parts += nested(18, *(term.wire for term in self.each))
            flags |= FLAG_EXPRESSIONS
        body = text(1, TABLE) + text(2, self.name) + u32(3, flags) + u32(4, key) + u32(5, size)
        return Message(codec.NEW_SET, body + u32(10, abs(hash(self.name)) % 2**31 + 1) + parts, codec.CREATE)

    def text(self, elements: list[str]) -> str:
        """For ``nft``, with elements."""
        size = f"size {self.size}; " if self.size else ""
        each = " ".join(term.words for term in self.each) + "; " if self.each else ""
        held = ",\n      ".join(elements)
        end = f"elements = {{\n      {held}\n    }} " if held else ""
        types = " . ".join(kind.name for kind in self.types)
        return f"  set {self.name} {{ type {types}; {size}{FLAGS[self.flag]}{each}{end}}}"


class Members(NamedTuple):
    """What a set holds from the start and for good: keys, and the same in the words of ``nft``."""

    of: str
    keys: tuple[bytes, ...]
    words: tuple[str, ...]

    def message(self) -> Message:
        """For the kernel."""
        return keys(self.of, self.keys)


class Chain(NamedTuple):
    """A filter chain at a hook, which accepts what no rule drops; without a hook others jump to it."""

    name: str
    hook: int | None = None
    priority: int = 0

    def message(self) -> Message:
        """For the kernel."""
        body = text(1, TABLE) + text(3, self.name)
        if self.hook is not None:
            where = nested(4, u32(1, self.hook), attribute(2, struct.pack("!i", self.priority)))
            body += where + u32(5, 1) + text(7, "filter")
        return Message(codec.NEW_CHAIN, body, codec.CREATE)

    def text(self, rules: list[str]) -> str:
        """For ``nft``, with rules."""
        lines = [] if self.hook is None else [
            f"type filter hook {HOOKS[self.hook]} priority {self.priority}; policy accept;"
        ]  # fmt: skip
        return "\n".join([f"  chain {self.name} {{", *(f"    {r}" for r in (*lines, *rules)), "  }"])


class Rule(NamedTuple):
    """A rule at the end of a chain: what it matches is counted and meets its end."""

    chain: str
    match: tuple[Term, ...]
    end: Term
    comment: str

    @property
    def terms(self) -> tuple[Term, ...]:
        """All of it, in order."""
        return (*self.match, COUNTER, self.end)

    def message(self) -> Message:
        """For the kernel."""
        listed = nested(4, *(term.wire for term in self.terms))
        body = text(1, TABLE) + text(2, self.chain) + listed + codec.comment(7, self.comment)
        return Message(codec.NEW_RULE, body, codec.CREATE | codec.APPEND)

    def text(self) -> str:
        """For ``nft``."""
        return f'{" ".join(term.words for term in self.terms)} comment "{self.comment}"'


Part: TypeAlias = Set | Members | Chain | Rule


class End(NamedTuple):
    """What stands behind the key of an element: its lifetime, why it is there, and expressions of its own."""

    seconds: float
    why: str = ""
    each: tuple[Term, ...] = ()

    def wire(self, *, renew: bool = False) -> bytes:
        """For the kernel; with ``renew`` an element that stands gets its time anew (Linux 6.12)."""
        left = max(int(self.seconds * 1000), 1)
        found = u64(4, left) + (u64(5, left) if renew else b"")
        found += codec.comment(6, self.why) if self.why else b""
        return found + (nested(11, *(term.wire for term in self.each)) if self.each else b"")

    def text(self) -> str:
        """For ``nft``."""
        own = "".join(f" {term.words}" for term in self.each)
        why = self.why.encode()[: codec.COMMENT].decode(errors="ignore")
        return f"{own} timeout {self.seconds:.0f}s" + (f' comment "{why}"' if why else "")


def element(kind: int, name: str, key: bytes, end: bytes = b"") -> Message:
    """Add one element to a set, or take it away."""
    body = nested(LIST_ELEMENT, nested(1, attribute(1, key)), end)
    flags = codec.CREATE if kind == codec.NEW_ELEMENT else 0
    return Message(kind, text(1, TABLE) + text(2, name) + nested(3, body), flags)


def keys(name: str, listed: Iterable[bytes], end: bytes = b"") -> Message:
    """Add elements that differ in nothing but their keys to a set; at most ``codec.CHUNK``."""
    parts = (nested(LIST_ELEMENT, nested(1, attribute(1, key)), end) for key in listed)
    return Message(codec.NEW_ELEMENT, text(1, TABLE) + text(2, name) + nested(3, *parts), codec.CREATE)
