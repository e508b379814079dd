"""Connections of TLS whose keys are known: each segment gets plaintext in the place of records.

The application data of a record stands in the segment that made the record whole, and so do records of the
handshake, as they are, where there is no application data; what else a record may hold stands nowhere.
Sequence and acknowledgement numbers count what stands there, so that whoever reads the segments sees a
connection that was hardly ever encrypted. Memory is bounded: by connections, by bytes of each direction that
came out of order, and by bytes of all of them.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec import Struct, field

from .keylog import Keys
from .records import Records, both_directions

CONNECTIONS = 16_384
"""Connections that are followed at a time; of more the one that was silent longest is let go."""
HELD_MOST = 64 << 20
"""Bytes that all of them may hold."""
AHEAD_MOST = 1 << 18
"""Bytes of a direction that may come before the one they follow on; with more that one was not captured."""
PIECES_MOST = 1024
"""Pieces that these may be in."""
MARKS = 64
"""Places of a direction that are remembered in both numberings."""
PLAIN_MOST = 65_000
"""Bytes of plaintext in a segment: with its headers no IP packet is longer than 65,535."""
RANDOM = slice(11, 43)
"""Where the client random lies in the first record of a connection (RFC 8446, 4.1.2 and 5.1)."""
HTTP = re.compile(rb"[A-Z]{1,20}(?: |$)")
"""So the first thing begins that a client says in HTTP, if its record holds that much."""
FIN, SYN, RST = 1, 2, 4
WORD = 0xFFFFFFFF


class Segment(NamedTuple):
    """What matters of a segment of TCP.

    Attributes:
        sender: who sends it: address and port.
        seq: its sequence number ...
        ack: ... and acknowledgement number.
        flags: its flags.
        wire: bytes of its payload ...
        payload: ... and the payload, as far as it was captured.
    """

    sender: tuple[object, ...]
    seq: int
    ack: int
    flags: int
    wire: int
    payload: bytes


class Plain(NamedTuple):
    """What stands in a segment's place: sequence and acknowledgement number, and payload."""

    seq: int
    ack: int
    payload: bytes


class Told(Struct):
    """What was read and what was not.

    Attributes:
        connections: of which keys are known.
        without: ClientHellos of connections of which none are.
        records: protected records that were opened ...
        failed: ... and that nothing opened.
        gave_up: directions of which the rest stayed encrypted, by reason (see ``model.report.Decrypted``).
    """

    connections: int = 0
    without: int = 0
    records: int = 0
    failed: int = 0
    gave_up: Counter[str] = field(default_factory=Counter)


class _Direction:
    """One direction of a connection: its bytes in order, in both numberings.

    Attributes:
        records: what opens its records; None: nothing does any more.
        ahead: pieces of the stream that came before what they follow on, by sequence number ...
        size: ... and their bytes.
        plain: what was opened and has no place in a segment yet.
        speaks: the last segment has application data in clear text.
        last: the last segment, and what stands in its place.
        closed: it ended.
    """

    def __init__(self, records: Records, seq: int) -> None:
        self.records: Records | None = records
        self.ahead: dict[int, bytes] = {}
        self.size = 0
        self.plain = b""
        self.last: tuple[Segment, Plain] | None = None
        self.speaks = self.closed = False
        self._next = self._new = seq
        self._marks = deque([(seq, seq)], MARKS)

    @property
    def held(self) -> int:
        """Bytes that it holds."""
        waiting = self.records.held if self.records else 0
        last = len(self.last[0].payload) + len(self.last[1].payload) if self.last else 0
        return waiting + self.size + len(self.plain) + last

    def place(self, seq: int) -> int:
        """Where a sequence number of the capture lies; behind what was read: at the end, or as it was."""
        for old, new in reversed(self._marks):
            if (seq - old) & WORD < 1 << 31:
                return new + (seq - old if self.records is None and old == self._marks[-1][0] else 0) & WORD
        return self._marks[0][1]

    def take(self, segment: Segment) -> tuple[int, bytes]:
        """The sequence number and the payload that stand in place of a segment's."""
        if self.records is None:
            return self.place(segment.seq), b"" if self.closed else segment.payload
        self._keep(segment)
        shaken = b""
        for piece in self._in_order():
            whole, plain = self.records.feed(piece)
            shaken += whole
            self.plain += plain
        self.speaks = bool(self.plain)
        self.plain = self.plain or shaken
        payload, self.plain = self.plain[:PLAIN_MOST], self.plain[PLAIN_MOST:]
        at = self._new
        self._new = self._new + len(payload) & WORD
        if segment.flags & FIN and (segment.seq + segment.wire) & WORD == self._next:
            self._next, self._new = self._next + 1 & WORD, self._new + 1 & WORD
            self.closed = not self.plain
        self._marks.append((self._next, self._new))
        return at, payload

    def left(self, more: int) -> None:
        """The last segment stays as it is, which is so many bytes more than it was to be."""
        self._new = self._new + more & WORD
        self._marks[-1] = self._next, self._new

    def _keep(self, segment: Segment) -> None:
        if not segment.payload:
            return
        ahead = (segment.seq - self._next) & WORD
        if ahead >= 1 << 31:  # some of it came before
            known = -ahead & WORD
            if known < len(segment.payload):
                self._put(self._next, segment.payload[known:])
        else:
            self._put(segment.seq, segment.payload)

    def _put(self, seq: int, payload: bytes) -> None:
        there = self.ahead.get(seq, b"")
        if len(payload) > len(there):
            self.ahead[seq] = payload
            self.size += len(payload) - len(there)

    def _in_order(self) -> Iterator[bytes]:
        """Take out the pieces that follow on what was read."""
        while self.ahead:
            piece = self.ahead.pop(self._next, None)
            if piece is None:
                piece = self._overlapping()
                if piece is None:
                    return
            else:
                self.size -= len(piece)
            self._next = self._next + len(piece) & WORD
            yield piece

    def _overlapping(self) -> bytes | None:
        """A piece that begins before the next byte and ends behind it, without its known part."""
        for seq, piece in list(self.ahead.items()):
            known = (self._next - seq) & WORD
            if known < 1 << 31:
                del self.ahead[seq]
                self.size -= len(piece)
                if known < len(piece):
                    return piece[known:]
        return None

    def give_up(self) -> None:
        """Leave the rest as it is; after the end there is none."""
        self.records = None
        self.ahead.clear()
        self.size = 0
        self.plain = b""
        self.last = None


class _Connection:
    """A connection and its two directions."""

    def __init__(self, hello: Segment, random: bytes, directions: tuple[Records, Records]) -> None:
        self.client = hello.sender
        self.random = random
        self.directions = (_Direction(directions[0], hello.seq), _Direction(directions[1], hello.ack))
        self.asked = False

    @property
    def held(self) -> int:
        """Bytes that it holds."""
        return self.directions[0].held + self.directions[1].held


class Unsealing:
    """Follows the connections of one capture."""

    def __init__(self, keys: Keys) -> None:
        self._told = Told()
        self._keys = keys
        self._connections: OrderedDict[int, _Connection] = OrderedDict()
        self._held = 0

    @property
    def flows(self) -> list[int]:
        """The connections that are followed."""
        return list(self._connections)

    def greeted(self, flow: int, hello: Segment) -> bool:
        """A ClientHello: follow the connection if its keys are known."""
        random = hello.payload[RANDOM]
        known = self._connections.get(flow)
        if known is not None and known.random == random:  # asked to say it again, or sent again
            return True
        secrets = self._keys.find(random) if len(random) == 32 else {}
        if not secrets:
            self._told.without += known is None
            return known is not None
        if known is not None:
            self._let_go(flow)
        self._told.connections += 1
        self._connections[flow] = _Connection(hello, random, both_directions(random, secrets))
        if len(self._connections) > CONNECTIONS:
            self._let_go(next(iter(self._connections)))
        return True

    def take(self, flow: int, segment: Segment) -> Plain | None:
        """What stands in place of a segment; None: it stays as it is."""
        connection = self._connections.get(flow)
        if connection is None:
            return None
        if segment.flags & SYN:  # the ports are used again
            self._let_go(flow)
            return None
        self._connections.move_to_end(flow)
        side = 0 if segment.sender == connection.client else 1
        mine, other = connection.directions[side], connection.directions[1 - side]
        if mine.last is not None and mine.last[0] == segment:  # captured twice, or sent again at once
            return mine.last[1]
        before = connection.held
        seq, payload = mine.take(segment)
        reason = None if mine.records is None else self._reason(connection, mine, segment, payload)
        if reason is not None:
            if not mine.speaks or reason == "other":
                mine.left(len(segment.payload) - len(payload))
                payload = segment.payload
            self._give_up(connection.directions if reason in ("cipher", "other") else (mine,), reason)
        plain = Plain(seq, other.place(segment.ack), payload)
        if mine.records is not None:
            mine.last = segment, plain
        if mine.closed or segment.flags & RST:
            for one in connection.directions if segment.flags & RST else (mine,):
                one.closed = True
                self._count(one)
                one.give_up()
        self._held += connection.held - before
        while self._held > HELD_MOST and len(self._connections) > 1:
            self._let_go(next(iter(self._connections)))
        return plain

    def _reason(
        self, connection: _Connection, mine: _Direction, segment: Segment, payload: bytes
    ) -> str | None:
        """Why a direction stays encrypted from this segment on; None: it goes on."""
        assert mine.records is not None
        if mine.speaks and segment.sender == connection.client and not connection.asked:
            connection.asked = True
            if not HTTP.match(payload):
                return "other"
        if mine.records.reason is not None:
            return mine.records.reason
        if len(segment.payload) < segment.wire:
            return "cut"
        return "lost" if mine.size > AHEAD_MOST or len(mine.ahead) > PIECES_MOST else None

    def _give_up(self, directions: Iterable[_Direction], reason: str) -> None:
        for one in directions:
            self._told.gave_up[reason] += one.records is not None
            self._count(one)
            one.give_up()

    def _count(self, one: _Direction) -> None:
        if one.records is not None:
            self._told.records += one.records.opened
            self._told.failed += one.records.failed
            one.records.opened = one.records.failed = 0

    def _let_go(self, flow: int) -> None:
        connection = self._connections.pop(flow)
        self._held -= connection.held
        for one in connection.directions:
            self._count(one)

    def finish(self) -> Told:
        """What was read, with what the connections brought that are still followed."""
        for connection in self._connections.values():
            for one in connection.directions:
                self._count(one)
        return self._told
