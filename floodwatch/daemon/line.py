"""The line between the two processes of the daemon: whole records over a stream socket, and descriptors.

Neither end ever waits for the other: what cannot be sent now waits in a queue of bounded length, and what the
queue has no room for is left out and counted.
"""

from __future__ import annotations

import array
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress

from ..errors import FloodwatchError

VERSION = 1
HEAD = struct.Struct("=BBxxI")
"""Version, kind, and the bytes that follow."""
RECORD_MOST, QUEUE_MOST = 1 << 22, 1 << 24
READ, PASSED_MOST = 1 << 18, 64
BUFFER = 1 << 22


class BrokenLine(FloodwatchError):  # noqa: N818 (no error of a user)
    """What came is no record: nothing that follows can be understood."""


class Line:
    """One end of the line.

    Args:
        end: a connected stream socket, which is closed with this.

    Attributes:
        left_out: records that the queue had no room for.
        passed: descriptors that came and that nobody took yet, oldest first.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self.socket = end
        self.left_out = 0
        self.passed: deque[int] = deque()
        self._queue: deque[tuple[memoryview, Sequence[socket.socket]]] = deque()
        self._queued = 0
        self._held = bytearray()

    @property
    def waiting(self) -> bool:
        """Something is still to be sent."""
        return bool(self._queue)

    def send(self, kind: int, body: bytes = b"", descriptors: Sequence[socket.socket] = ()) -> None:
        """Send a record, now or when there is room, and with it sockets, which are closed here then.

        Raises:
            OSError: nobody is at the other end.
        """
        if len(body) > RECORD_MOST or self._queued + len(body) > QUEUE_MOST:
            self.left_out += 1
            return
        whole = HEAD.pack(VERSION, kind, len(body)) + body
        self._queue.append((memoryview(whole), descriptors))
        self._queued += len(whole)
        self.flush()

    def flush(self) -> None:
        """Send what fits now.

        Raises:
            OSError: nobody is at the other end.
        """
        while self._queue:
            rest, descriptors = self._queue[0]
            passed = array.array("i", [one.fileno() for one in descriptors])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)]
            try:  # a sensor that gave up its rights may send, but no descriptors
                sent = self.socket.sendmsg([rest], rights) if descriptors else self.socket.send(rest)
            except BlockingIOError:
                return
            self._queued -= sent
            for one in descriptors:
                one.close()
            if sent == len(rest):
                self._queue.popleft()
            else:
                self._queue[0] = (rest[sent:], ())

    def finish(self, seconds: float) -> None:
        """Send what waits before the line is closed, for so long at most."""
        end = time.monotonic() + seconds
        with suppress(OSError):
            while self._queue and time.monotonic() < end:
                select.select([], [self.socket], [], max(end - time.monotonic(), 0.0))
                self.flush()
        self.socket.close()

    def read(self) -> Iterator[tuple[int, bytes]]:
        """The records that came, as kind and body; at most what one read holds.

        Raises:
            EOFError: the other end is closed.
            BrokenLine: it is no record.
        """
        space = socket.CMSG_SPACE(PASSED_MOST * array.array("i").itemsize)
        try:
            came, rights, _, _ = self.socket.recvmsg(READ, space, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError as error:
            raise EOFError from error
        for level, kind, data in rights:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                held = array.array("i")
                held.frombytes(data[: len(data) - len(data) % held.itemsize])
                self.passed.extend(held)
        if not came:
            raise EOFError
        self._held += came
        yield from self._records()

    def _records(self) -> Iterator[tuple[int, bytes]]:
        at, held = 0, self._held
        try:
            while len(held) - at >= HEAD.size:
                version, kind, size = HEAD.unpack_from(held, at)
                if version != VERSION or size > RECORD_MOST:
                    raise BrokenLine(f"a record of version {version} and {size} bytes")
                if len(held) - at < HEAD.size + size:
                    return
                body = bytes(held[at + HEAD.size : at + HEAD.size + size])
                at += HEAD.size + size
                yield kind, body
        finally:
            del held[:at]
