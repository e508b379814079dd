"""A live interface as a capture: an AF_PACKET receive ring (packet(7)), what it lost, and its life.

Only opening needs CAP_NET_RAW. Afterwards frames, statistics and even binding anew to an interface that was
deleted and made again work without any capability, so the program drops them all once its rings are open.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from .._engine import Batch, Decoder, Ring
from ..config.files import whole
from ..errors import CaptureError
from . import reach
from .filter import Filter
from .linkstats import interface_drops
from .peak import Peak

BLOCK_BYTES = 1 << 20
RETIRE_MS = 40
"""A block is handed over when it is full or this old: the latency at low rates."""
EVERY_PROTOCOL = 0x0003
SOL_PACKET = 263
ADD_MEMBERSHIP, RX_RING, STATISTICS, VERSION, VNET_HDR, FANOUT = 1, 5, 6, 10, 15, 18
TPACKET_V3 = 2
MEMBER_PROMISCUOUS = 1
ATTACH_FILTER = 26
Opener: TypeAlias = Callable[[str], socket.socket]
"""Gives a packet socket for an interface; nothing is bound yet. Raises OSError or CaptureError."""


class LiveRing:
    """The ring of one interface, or of all with ``any``.

    Args:
        interface: its name.
        ring_mb: size of the ring in MiB.
        snaplen: bytes of each frame that are kept, but of requests; see ``reach``.
        promiscuous: ask the interface for frames that are not for this host; undone by closing.
        compiled: lets the kernel drop early what an Ethernet filter does not want.
        group: shares the interface's frames with the other rings of this group, by connection.
        leads: also counts what the interface lost; of a group only one does.
        opener: where sockets come from: whoever has no right to make them is given some.

    Raises:
        CaptureError: no such interface, no permission, no memory; the message says what to do.
    """

    def __init__(
        self,
        interface: str,
        *,
        ring_mb: int,
        snaplen: int,
        promiscuous: bool,
        compiled: Filter | None = None,
        group: int | None = None,
        leads: bool = True,
        opener: Opener | None = None,
    ) -> None:
        self.interface = interface
        self.lost = self.missed = 0
        """Packets that ring and interface lost; those of them that the interface had no room for."""
        self.up = True
        self.fullest = Peak()
        """How full the ring was at most lately, as a share."""
        self._ring_mb, self._snaplen, self._compiled, self._group = ring_mb, snaplen, compiled, group
        self._promiscuous = promiscuous and interface != "any"
        self._index = _index(interface)
        self._recording: tuple[int, int, int] | None = None
        self._opener = opener or open_socket
        self.socket = self._opener(interface)
        try:
            self._set_up(self.socket)
        except BaseException:
            self.socket.close()
            raise
        self._leads = leads
        self._host = interface_drops(self._index)

    def _set_up(self, fresh: socket.socket) -> None:
        """Make a ring on a socket, and bind it."""
        self.memory = _map(fresh, self._ring_mb)
        self.ring = Ring(self.memory, BLOCK_BYTES)
        if self._recording is not None:
            self.ring.record(*self._recording, self._snaplen)
        _cut(fresh, self._snaplen)
        self._filter_early(fresh)
        self._bind(fresh)

    def record(self, room: int, budget: int, interface: int) -> None:
        """Keep a sample of the frames; see ``Ring.record``."""
        self._recording = (room, budget, interface)
        self.ring.record(room, budget, interface, self._snaplen)

    def fill(self, decoder: Decoder, batch: Batch, shift_ns: int) -> bool:
        """Fill the batch from at most one block; False when none is ready."""
        return self.ring.fill(decoder, batch, shift_ns)

    def look(self) -> None:
        """Look how full the ring is."""
        self.fullest.see(self.ring.full)

    def count_lost(self) -> int:
        """Add up and return what the ring and the interface lost since it was opened, in packets."""
        _, dropped, _ = struct.unpack("III", self.socket.getsockopt(SOL_PACKET, STATISTICS, 12))
        now = interface_drops(self._index)
        missed = max(now - self._host, 0) if self._leads else 0
        self.missed += missed
        self.lost += dropped + missed
        self._host = now
        return self.lost

    def follow(self) -> str | None:
        """Look after the interface: bind anew when it was made again, follow a new name.

        Returns what changed, in words, or None.
        """
        self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # ENETDOWN is told once
        if self.interface == "any":
            return None
        try:
            index = socket.if_nametoindex(self.interface)
        except OSError:
            return self._follow_name()
        if index == self._index and self.up:
            return None
        self._index = index
        try:
            self._bind_again()
        except OSError:  # it went away again
            self.up = False
            return None
        self.up = True
        self._host = interface_drops(self._index)
        return f"{self.interface} is back"

    def _follow_name(self) -> str | None:
        try:
            name = socket.if_indextoname(self._index)
        except OSError:
            gone, self.up = self.up, False
            return f"{self.interface} is gone; waiting for it" if gone else None
        old, self.interface = self.interface, name
        return f"{old} is now called {name}"

    def _bind(self, to: socket.socket) -> None:
        _bind(to, self._index)
        if self._promiscuous:
            member = struct.pack("iHH8s", self._index, MEMBER_PROMISCUOUS, 0, b"")
            to.setsockopt(SOL_PACKET, ADD_MEMBERSHIP, member)
        if self._group is not None:  # type 0: by a hash that both directions share
            to.setsockopt(SOL_PACKET, FANOUT, struct.pack("=I", self._group))

    def _bind_again(self) -> None:
        """Bind to what came in place of the old interface. A member of a group cannot: it begins anew."""
        if self._group is None:
            self._bind(self.socket)
            return
        self.count_lost()
        with self._opener(self.interface) as fresh:
            self.ring.close()
            self.memory.close()
            os.dup2(fresh.fileno(), self.socket.fileno(), inheritable=False)  # whoever waits on it goes on
        self._set_up(self.socket)

    def _filter_early(self, fresh: socket.socket) -> None:
        """Let the kernel drop what an Ethernet filter does not want; the decoder still has the last word.

        The kernel takes VLAN tags off before its filter runs: expressions about them are left to the decoder.
        """
        if self._compiled is None or self.interface == "any" or "vlan" in self._compiled.expression:
            return
        program = self._compiled.kernel_program(reach.program(self._snaplen))
        if program is not None:
            fresh.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, program)

    def close(self) -> None:
        """Leave the interface."""
        self.ring.close()
        self.memory.close()
        self.socket.close()


def _index(interface: str) -> int:
    if interface == "any":
        return 0
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        names = ", ".join(name for _, name in socket.if_nameindex())
        raise CaptureError(f"no such interface: {interface}; there are {names}, and any for all") from None


def open_socket(interface: str) -> socket.socket:
    """A packet socket that is bound to nothing yet; the name is for the message.

    Raises:
        CaptureError: there is no right to.
    """
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except PermissionError:
        program = os.path.realpath(sys.executable)
        raise CaptureError(
            f"capturing on {interface} needs the capability CAP_NET_RAW: run 'sudo "
            f"{os.path.abspath(sys.argv[0])} watch -i {interface}', or give it to Python once: 'sudo setcap "
            f"cap_net_raw+ep {program}'"
        ) from None
    except OSError as error:
        raise CaptureError(f"cannot capture on {interface}: {error.strerror}") from error


def _bind(ring: socket.socket, index: int) -> None:
    """Bind to an interface by its number, which ``socket.bind`` cannot: 0 stands for all of them."""
    address = struct.pack("=HHiHBB8s", socket.AF_PACKET, socket.htons(EVERY_PROTOCOL), index, 0, 0, 0, b"")
    library = ctypes.CDLL(None, use_errno=True)
    if library.bind(ring.fileno(), address, len(address)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _map(ring: socket.socket, ring_mb: int) -> mmap.mmap:
    blocks = max(2, ring_mb * (1 << 20) // BLOCK_BYTES)
    frame = 2048  # TPACKET_V3 packs frames by their size; the kernel only checks this number
    request = struct.pack("7I", BLOCK_BYTES, blocks, frame, BLOCK_BYTES // frame * blocks, RETIRE_MS, 0, 0)
    try:
        ring.setsockopt(SOL_PACKET, VERSION, TPACKET_V3)
        ring.setsockopt(SOL_PACKET, VNET_HDR, 1)
        ring.setsockopt(SOL_PACKET, RX_RING, request)
        return mmap.mmap(ring.fileno(), BLOCK_BYTES * blocks)
    except OSError as error:
        if error.errno in (errno.ENOMEM, errno.EINVAL, errno.EAGAIN):
            raise CaptureError(
                f"the kernel has no memory for a ring of {ring_mb} MiB ({error.strerror}); "
                "try a smaller --ring-mb"
            ) from error
        raise CaptureError(f"cannot set up a packet ring: {error.strerror}") from error


def _cut(ring: socket.socket, snaplen: int) -> None:
    """The kernel keeps as many bytes of a frame as its filter returns."""
    code = reach.program(snaplen)
    memory = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HL", len(code) // 8, ctypes.addressof(memory))
    ring.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, program)


class Backlog:
    """Packets that this host drops before any tap sees them, over all interfaces (softnet_stat).

    The file stays open: it is read on when no file can be opened any more.
    """

    def __init__(self) -> None:
        self._last = 0
        try:
            self._file: int | None = os.open("/proc/net/softnet_stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._file = None

    def drops(self) -> int:
        """How many since the host started; 0 where nobody counts them."""
        if self._file is None:
            return self._last
        with suppress(OSError, ValueError, IndexError):
            rows = whole(self._file).splitlines()
            self._last = sum(int(row.split()[1], 16) for row in rows)
        return self._last

    def close(self) -> None:
        """Close the file; the last count stays."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class LinkNews:
    """Wakes a wait when any interface changes (rtnetlink(7)); the messages themselves are not read."""

    def __init__(self) -> None:
        self.socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self.socket.bind((0, 1))  # RTMGRP_LINK

    def drain(self) -> bool:
        """Forget what came; returns whether something did."""
        came = False
        while True:
            try:
                self.socket.recv(65536)
            except BlockingIOError:
                return came
            except OSError:  # ENOBUFS: more news than room, which is news too
                return True
            came = True
