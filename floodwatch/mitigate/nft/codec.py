"""nf_tables messages over a plain netlink socket: atomic batches out, complete dumps back.

Only what our one table needs. pyroute2 packs set elements some fifty times slower than this and cuts their
dumps short, and an error of the commit itself never reaches its caller; links, addresses and routes stay
with it. Layouts: linux/netfilter/nfnetlink.h and nf_tables.h.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...errors import EnforceError

NETLINK_NETFILTER = 12
SUBSYSTEM = 10 << 8
BATCH_BEGIN, BATCH_END = 0x10, 0x11
DONE, ERROR = 3, 2
REQUEST, ACK, CREATE, APPEND, DUMP = 1, 4, 0x400, 0x800, 0x300
DUMP_INTERRUPTED = 0x10
NEW_TABLE, DEL_TABLE, NEW_CHAIN, NEW_RULE, GET_RULE = 0, 2, 3, 6, 7
NEW_SET, GET_SET, NEW_ELEMENT, GET_ELEMENT, DEL_ELEMENT, DESTROY_ELEMENT = 9, 10, 12, 13, 14, 30
INET = 1
NESTED = 0x8000
BUFFER_BYTES = 8 << 20
RECEIVE_BYTES = 1 << 16
"""The kernel fills 32 KiB at most in one answer to a dump."""
SNDBUFFORCE, RCVBUFFORCE = 32, 33
SOL_NETLINK, CAP_ACK = 270, 10
TIMEOUT_S = 2.0
"""No call waits longer for the kernel: an acknowledgement can get lost."""
COMMENT = 126
"""Bytes of a comment that the kernel keeps."""
CHUNK = 350
"""Elements in one message: an attribute list holds less than 64 KiB, and an element up to 180 bytes."""


@dataclass(frozen=True, slots=True)
class Message:
    """One nf_tables request: its type, flags and attributes, all in the family inet."""

    kind: int
    body: bytes
    flags: int = 0


def attribute(number: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    size = 4 + len(value)
    return struct.pack("=HH", size, number) + value + bytes(-size & 3)


def nested(number: int, *parts: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(number | NESTED, b"".join(parts))


def text(number: int, value: str) -> bytes:
    """A string attribute, ended by NUL."""
    return attribute(number, value.encode() + b"\0")


def u8(number: int, value: int) -> bytes:
    """An attribute of one byte."""
    return attribute(number, bytes((value,)))


def u32(number: int, value: int) -> bytes:
    """An attribute of four bytes, network order."""
    return attribute(number, struct.pack("!I", value))


def u64(number: int, value: int) -> bytes:
    """An attribute of eight bytes, network order."""
    return attribute(number, struct.pack("!Q", value))


def comment(number: int, words: str) -> bytes:
    """User data that ``nft`` shows as a comment: type 0, length, text with its NUL."""
    raw = words.encode()[:COMMENT] + b"\0"
    return attribute(number, bytes((0, len(raw))) + raw)


def comment_of(raw: bytes) -> str:
    """The comment in user data, or nothing."""
    at = 0
    while at + 2 <= len(raw):
        kind, size = raw[at], raw[at + 1]
        if kind == 0:
            return raw[at + 2 : at + 2 + size].rstrip(b"\0").decode(errors="replace")
        at += 2 + size
    return ""


def attributes(body: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
    """(number, value) of every attribute; a length that lies ends the walk."""
    view, at = memoryview(body), 0
    while at + 4 <= len(view):
        size, number = struct.unpack_from("=HH", view, at)
        if size < 4:
            return
        yield number & 0x3FFF, view[at + 4 : at + size]
        at += (size + 3) & ~3


def running_linux() -> tuple[int, int]:
    """The version of the kernel that runs."""
    major, minor = re.findall(r"\d+", os.uname().release)[:2]
    return int(major), int(minor)


class Netfilter:
    """A netlink socket to nf_tables.

    Args:
        linux: version of the kernel to go by.

    Raises:
        EnforceError: the kernel has no nf_tables, or says no; ``errno`` tells why.
    """

    def __init__(self, linux: tuple[int, int]) -> None:
        self._destroys = linux >= (6, 3)
        try:
            sort = socket.SOCK_RAW | socket.SOCK_CLOEXEC
            self._socket = socket.socket(socket.AF_NETLINK, sort, NETLINK_NETFILTER)
            self._socket.bind((0, 0))
        except OSError as error:
            text = f"this kernel offers no netfilter socket: {error.strerror}"
            raise EnforceError(text, error.errno) from error
        self._sequence = itertools.count(int(time.monotonic() * 1000) & 0xFFFFFF)
        self._socket.settimeout(TIMEOUT_S)
        for option, plain in ((SNDBUFFORCE, socket.SO_SNDBUF), (RCVBUFFORCE, socket.SO_RCVBUF)):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
            except PermissionError:
                self._socket.setsockopt(socket.SOL_SOCKET, plain, BUFFER_BYTES)
        self._socket.setsockopt(SOL_NETLINK, CAP_ACK, 1)  # errors need not repeat the whole request

    def _pack(self, kind: int, body: bytes, flags: int, resource: int = 0) -> tuple[int, bytes]:
        number = next(self._sequence) & 0xFFFFFFFF
        head = struct.pack("=IHHII", 20 + len(body), kind, flags | REQUEST, number, 0)
        return number, head + struct.pack("!BBH", 0 if resource else INET, 0, resource) + body

    def commit(self, messages: Iterable[Message]) -> None:
        """Send messages as one transaction: all of them, or none.

        Raises:
            EnforceError: the kernel refused; nothing was changed. Or it did not answer in time, so that
            only
                reading back tells (``errno`` is then ETIMEDOUT).
        """
        first, packed = self._pack(BATCH_BEGIN, b"", 0, 10)
        parts, last = [packed], first
        listed = list(messages) if self._destroys else [old for m in messages for old in _without_destroy(m)]
        for index, message in enumerate(listed):
            final = ACK if index == len(listed) - 1 else 0
            last, packed = self._pack(SUBSYSTEM | message.kind, message.body, message.flags | final)
            parts.append(packed)
        end, packed = self._pack(BATCH_END, b"", 0, 10)
        if not listed:
            return
        try:
            self._socket.send(b"".join([*parts, packed]))
            self._await(first, last, end)
        except TimeoutError:
            raise EnforceError("the kernel did not acknowledge in time", errno.ETIMEDOUT) from None
        except OSError as error:
            raise EnforceError(f"netlink: {error.strerror}", error.errno) from error

    def _await(self, first: int, last: int, end: int) -> None:
        """Read answers until the last message's; an error may carry any number of the batch."""
        while True:
            answer = self._socket.recv(RECEIVE_BYTES)
            at = 0
            while at + 20 <= len(answer):
                size, kind, _, number = struct.unpack_from("=IHHI", answer, at)
                if kind == ERROR and (number - first) & 0xFFFFFFFF <= (end - first) & 0xFFFFFFFF:
                    code = -struct.unpack_from("=i", answer, at + 16)[0]
                    if code:
                        raise EnforceError(_why(code), code)
                    if number == last:
                        return
                at += max((size + 3) & ~3, 16)

    def dump(self, kind: int, body: bytes) -> Iterator[memoryview]:
        """The bodies of all answers to a dump request.

        Raises:
            EnforceError: the kernel refused, or the table changed while it was read (EINTR: try again).
        """
        asked, packed = self._pack(SUBSYSTEM | kind, body, DUMP)
        try:
            self._socket.send(packed)
            while True:
                answer, at = memoryview(self._socket.recv(RECEIVE_BYTES)), 0
                while at + 16 <= len(answer):
                    size, sort, flags, number = struct.unpack_from("=IHHI", answer, at)
                    if number == asked:
                        if flags & DUMP_INTERRUPTED:
                            raise EnforceError("the rules changed while they were read", errno.EINTR)
                        if sort == DONE:
                            return
                        if sort == ERROR:
                            code = -struct.unpack_from("=i", answer, at + 16)[0]
                            if code:
                                raise EnforceError(_why(code), code)
                            return
                        yield answer[at + 20 : at + size]
                    at += max((size + 3) & ~3, 16)
        except TimeoutError:
            raise EnforceError("the kernel did not answer in time", errno.ETIMEDOUT) from None
        except OSError as error:
            raise EnforceError(f"netlink: {error.strerror}", error.errno) from error

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _without_destroy(message: Message) -> Iterator[Message]:
    """What destroying an element was before Linux 6.3: adding it, so that it is there, and deleting it."""
    if message.kind == DESTROY_ELEMENT:
        yield Message(NEW_ELEMENT, message.body, CREATE)
        yield Message(DEL_ELEMENT, message.body)
    else:
        yield message


def _why(code: int) -> str:
    known = {
        errno.EPERM: "changing rules needs the capability CAP_NET_ADMIN: run as root",
        errno.ENFILE: "the set is full",
        errno.EOPNOTSUPP: "this kernel has no nf_tables",
        errno.EBUSY: "the rules are in use",
    }
    return known.get(code, os.strerror(code))
