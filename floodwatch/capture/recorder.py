"""The flight recorder of a watch: frames from before and during each flood, in a pcapng file of bounded size.

Any tool reads pcapng. The comment of the first frame that is written for a flood
says which flood it is.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ..config.files import fresh
from . import LiveRing
from .pcapng import COMMENT, COMMENT_MOST, END, NAME, PACKET, block, interface, option, section

HALF_BYTES = 2 << 20
"""Memory for the frames before a flood: two of these for each ring."""
BUDGET = 500
"""Frames that are kept of each ring in an epoch, about."""
WHOLE_S = 10.0
"""So long all that is kept of a flood is written; later ..."""
GLIMPSE_S = 10.0
"""... only what the last seconds held, once in so long."""
LINKTYPES = (1, 101)
"""Ethernet and raw IP: every ring has one interface of each in the file."""


class Recorder:
    """Writes what the rings keep; made before the rings and closed after them.

    Args:
        path: the file; where one lies, another beside it, see ``config.files``.
        most: frames after which nothing more is written.

    Raises:
        EnvironmentFault: the file cannot be written, or is a symbolic link.

    Attributes:
        path: the name that the file got.
    """

    def __init__(self, path: str, most: int) -> None:
        self.written = 0
        self._most = most
        self._rings: list[LiveRing] = []
        self._began = self._glimpsed = float("-inf")
        self._file, self.path = fresh(path)
        self._file.write(section())

    def attach(self, ring: LiveRing) -> None:
        """Let a ring keep frames for this file."""
        ring.record(HALF_BYTES, BUDGET, len(self._rings) * len(LINKTYPES))
        self._rings.append(ring)
        for linktype in LINKTYPES:
            self._file.write(interface(linktype, option(NAME, ring.interface.encode())))

    def follow(self, opened: Sequence[bytes], open_floods: int, now: float) -> str | None:
        """Write what belongs to the floods; called after every epoch.

        Args:
            opened: a line for each flood that began with this epoch.
            open_floods: how many are going on.
            now: seconds of a monotonic clock.

        Returns:
            What the user should hear, or None.
        """
        if self._file.closed or not (opened or open_floods):
            return None
        if opened:
            self._began = now
        elif now - self._began > WHOLE_S and now - self._glimpsed < GLIMPSE_S:
            return None
        self._glimpsed = now
        try:
            self._write(b"".join(opened).rstrip())
        except OSError as error:
            self.close()
            return f"recording to {self.path} ended: {error.strerror}"
        if self.written >= self._most:
            self.close()
            return f"recorded {self.written:,} frames to {self.path}, the limit of --write-max"
        return None

    def _write(self, comment: bytes) -> None:
        blocks = sorted(kept for ring in self._rings for kept in _blocks(ring.ring.recorded()))
        blocks = blocks[: self._most - self.written]
        for place, (_, kept) in enumerate(blocks):
            self._file.write(_commented(kept, comment) if comment and place == 0 else kept)
        self.written += len(blocks)
        self._file.flush()

    def close(self) -> None:
        """Close the file; what was written stays."""
        self._file.close()


def _commented(kept: bytes, comment: bytes) -> bytes:
    """A packet block without options, with a comment."""
    return block(PACKET, kept[8:-4] + option(COMMENT, comment[:COMMENT_MOST]) + END)


def _blocks(recorded: bytes) -> list[tuple[int, bytes]]:
    """Packet blocks, one by one, each with its time."""
    out, at = [], 0
    while at < len(recorded):
        _, size, _, high, low = struct.unpack_from("<5I", recorded, at)
        out.append((high << 32 | low, recorded[at : at + size]))
        at += size
    return out
