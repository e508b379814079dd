"""A capture as it would be without TLS: blocks in, blocks out, with plaintext where keys are known.

Only records of such connections are written anew; all others stay the same bytes, and their segments do not
become Python objects: the native library lists where segments lie, NumPy picks.
"""

from __future__ import annotations

import mmap
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._engine import NEED_MORE, Segments
from .blocks import Block, Blocks
from .keylog import Keys
from .unsealing import Plain, Segment, Unsealing

LISTED = 8192
"""Segments that are looked at together."""
TLS_LOG = 0x544C534B
"""Kind of secrets: a TLS key log (draft-ietf-opsawg-pcapng, 4.7)."""
SECRETS_HEADER = 8
BLOCK_HEADER = 28
"""Bytes of a packet block of pcapng before its frame."""
PACKET_BLOCKS = frozenset(struct.pack(order + "I", kind) for kind in (2, 6) for order in "<>")
IP4_LENGTH, IP6_LENGTH, IP6_HEADER, TCP_SEQ, TCP_ACK = 2, 4, 40, 4, 8
ACK = 16


class Plaintext:
    """The blocks of a capture with plaintext in place of what its keys open.

    Attributes:
        unsealing: what follows the connections.
        grown: bytes by which what was handed out is longer than what was read.
    """

    def __init__(self, blocks: Blocks, first: Block, keys: Keys, *, hash_key: bytes, look_only: bool) -> None:
        """Go on with the blocks of a capture, of which the first was taken.

        Args:
            blocks: where the others come from.
            first: the first one.
            keys: what is known, to which the blocks add.
            hash_key: 16 bytes.
            look_only: hand out the bytes as they are, and see only what could be opened.
        """
        self.unsealing = Unsealing(keys)
        self.grown = 0
        self._blocks = blocks
        self._keys = keys
        self._segments = Segments(hash_key)
        self._look_only = look_only
        self._block: Block | None = first
        self._at = first.start
        self._out = b""

    @property
    def done(self) -> int:
        """As of ``Blocks``."""
        return self._blocks.done

    @property
    def total(self) -> int | None:
        """As of ``Blocks``."""
        return self._blocks.total

    def close(self) -> None:
        """Give back the file."""
        self._blocks.close()

    def following(self, position: int, need: int) -> Block | None:
        """The next block; see ``Blocks``."""
        pieces = [self._out[position:]]
        wanted = max(need, len(pieces[0]) + 1)
        while sum(map(len, pieces)) < wanted and self._block is not None:
            pieces.append(self._piece(self._block))
        self._out = b"".join(pieces)
        return Block(self._out, 0, 0) if len(self._out) > len(pieces[0]) else None

    def _piece(self, block: Block) -> bytes:
        """The next bytes of the capture, made anew where they have to be."""
        rows, code, end = self._segments.list(block.data, self._at, LISTED)
        begun, self._at = self._at, end
        made = b"".join(self._rewritten(block.data, begun, rows, end))
        at, size = self._segments.secrets
        if size:
            self._learn(block.data[at : at + size])
        if self._look_only:
            made = block.data[begun:end]
        self.grown += len(made) - (end - begun)
        if code != 0:
            self._block = self._blocks.following(end, self._segments.need) if code == NEED_MORE else None
            if self._block is None:  # what is left is damaged or cut: its reader says how
                return made + block.data[end:]
            self._at = self._block.start
        return made

    def _learn(self, body: bytes) -> None:
        """Take in a Decryption Secrets Block."""
        if len(body) >= SECRETS_HEADER:
            kind, size = struct.unpack_from(self._order + "II", body)
            if kind == TLS_LOG:
                self._keys.take(body[SECRETS_HEADER : SECRETS_HEADER + size])

    @property
    def _order(self) -> str:
        """The byte order of the capture, as ``struct`` writes it."""
        return "<" if (sys.byteorder == "little") != self._segments.swapped else ">"

    def _rewritten(
        self, data: bytes | mmap.mmap, begun: int, rows: NDArray[np.void], end: int
    ) -> Iterator[bytes]:
        """``data[begun:end]`` in pieces, with the records of ``rows`` that have to be made anew."""
        order = self._order
        rows = rows[
            np.isin(rows["flow"], [*self.unsealing.flows, *rows["flow"][rows["hello"] != 0].tolist()])
        ]
        for flow, hello, segment, where in _segments(data, rows):
            if hello:
                self.unsealing.greeted(flow, segment)
            plain = self.unsealing.take(flow, segment)
            if plain is None:
                continue
            yield data[begun : where.record]
            yield _record(data[where.record : where.record + where.size], where, segment, plain, order)
            begun = where.record + where.size
        yield data[begun:end]


class _Where(NamedTuple):
    """Where a segment lies: columns of SEGMENT_DTYPE."""

    record: int
    size: int
    frame: int
    ip: int
    payload: int
    v6: int


def _segments(data: bytes | mmap.mmap, rows: NDArray[np.void]) -> Iterator[tuple[int, int, Segment, _Where]]:
    """For each row the connection, whether a hello begins, the segment, and where it lies."""
    names = ("flow", "hello", "src", "sport", "seq", "ack", "flags", "wire", "captured")
    columns = zip(*(rows[name].tolist() for name in names), strict=True)
    places = zip(*(rows[name].tolist() for name in _Where._fields), strict=True)
    for (flow, hello, src, port, seq, ack, flags, wire, captured), place in zip(columns, places, strict=True):
        where = _Where(*place)
        at = where.record + where.payload
        yield flow, hello, Segment((*src, port), seq, ack, flags, wire, data[at : at + captured]), where


def _record(old: bytes, where: _Where, segment: Segment, plain: Plain, order: str) -> bytes:
    """A record with other sequence numbers, and another payload where that changed."""
    head, link = old[: where.frame], old[where.frame : where.ip]
    packet = bytearray(old[where.ip : where.payload])
    tcp = IP6_HEADER if where.v6 else 4 * (packet[0] & 15)
    struct.pack_into(">I", packet, tcp + TCP_SEQ, plain.seq)
    if segment.flags & ACK:
        struct.pack_into(">I", packet, tcp + TCP_ACK, plain.ack)
    if plain.payload is segment.payload:
        return head + link + packet + old[where.payload :]
    size = len(packet) + len(plain.payload)
    struct.pack_into(
        ">H", packet, IP6_LENGTH if where.v6 else IP4_LENGTH, size - (IP6_HEADER if where.v6 else 0)
    )
    frame = link + packet + plain.payload
    if where.frame != BLOCK_HEADER or old[:4] not in PACKET_BLOCKS:
        return head[:8] + struct.pack(order + "II", len(frame), len(frame)) + head[16:] + frame
    order = "<" if old[0] else ">"
    captured = struct.unpack_from(order + "I", old, 20)[0]
    options = old[BLOCK_HEADER + captured + (-captured & 3) : -4]
    body = frame + bytes(-len(frame) & 3) + options
    whole = struct.pack(order + "I", BLOCK_HEADER + len(body) + 4)
    return head[:4] + whole + head[8:20] + struct.pack(order + "II", len(frame), len(frame)) + body + whole
