"""Who is at the other end of the control socket, and what that user may ask."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
import struct

from msgspec import Struct

from ..config.settings import ControlSettings

SO_PEERGROUPS = 59
GROUPS_MOST = 256
"""So many groups fit into what Python asks with; who is in more counts as of the first alone."""


class Peer(Struct, frozen=True):
    """A user as the kernel knew it when the socket was connected (SO_PEERCRED, SO_PEERGROUPS; unix(7))."""

    uid: int
    groups: frozenset[int]


def peer_of(connected: socket.socket) -> Peer:
    """Who connected.

    Raises:
        OSError: the kernel does not tell.
    """
    _, uid, gid = struct.unpack("iII", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        held = connected.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 4 * GROUPS_MOST)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        held = b""
    return Peer(uid, frozenset([gid, *struct.unpack(f"{len(held) // 4}I", held)]))


class Gate:
    """Who may read, and who may give orders: root, the daemon's own user, and whom the settings name.

    Attributes:
        group: that may read.
        gid: its number, or None: there is none of its name.
        unknown: names in the settings that no user or group has.
    """

    def __init__(self, settings: ControlSettings) -> None:
        self.group = settings.group
        self.gid: int | None = None
        self.unknown: list[str] = []
        self._users = {0, os.geteuid()}
        try:
            self.gid = grp.getgrnam(settings.group).gr_gid
        except KeyError:
            if settings.group != ControlSettings().group:  # where there is none of that name, root asks
                self.unknown.append(f"group {settings.group}")
        for name in settings.users:
            try:
                self._users.add(pwd.getpwnam(name).pw_uid)
            except KeyError:
                self.unknown.append(f"user {name}")

    def may_order(self, peer: Peer) -> bool:
        """May this user change anything?"""
        return peer.uid in self._users

    def may_read(self, peer: Peer) -> bool:
        """May this user look?"""
        return self.may_order(peer) or self.gid in peer.groups
