"""Network namespaces: each has rules of its own, so what belongs to one that is not the host's lies apart."""

from __future__ import annotations

import glob
import os
import socket
import sys
from pathlib import Path

from .settings import SOCKET

NETNS_COOKIE = 71
RUN = Path("/run/floodwatch")
"""Where it lies, as long as the host runs."""


def beside_the_host() -> bool:
    """Does this process live in another network namespace than the host's first process?"""
    here = "/proc/self/ns/net"
    try:
        return not os.path.samefile(here, "/proc/1/ns/net")
    except OSError:  # who may not look at that process sees whether its own has a name (ip-netns(8))
        return any(os.path.samefile(here, name) for name in glob.glob("/run/netns/*"))


def namespace() -> int:
    """A number of this network namespace that no other gets until the next boot (SO_NETNS_COOKIE)."""
    with socket.socket(socket.AF_UNIX) as asked:
        return int.from_bytes(asked.getsockopt(socket.SOL_SOCKET, NETNS_COOKIE, 8), sys.byteorder)


def control_socket(configured: str) -> Path:
    """Where a daemon that is configured with this socket listens.

    Where nothing else is said, one beside the host's network namespace has a socket of its own.
    """
    if configured != SOCKET or not beside_the_host():
        return Path(configured)
    return RUN / f"ctl-{namespace():x}.sock"
