"""Giving up every right once the rings are open: hostile packets are parsed with none."""

from __future__ import annotations

import ctypes
import os

from .errors import EnvironmentFault

CAPABILITY_VERSION_3 = 0x20080522
NO_NEW_PRIVILEGES = 38
NET_ADMIN = 12


def drop(*, keep_net_admin: bool = False) -> None:
    """Drop the capabilities of this process for good (capabilities(7)); files are still its user's.

    Args:
        keep_net_admin: keep the one right that changing rules takes.

    Raises:
        EnvironmentFault: the kernel refused, so that going on would not be safe.
    """
    library = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    kept = 1 << NET_ADMIN if keep_net_admin else 0
    sets = (ctypes.c_uint32 * 6)(kept, kept)  # effective, permitted, inheritable; then their upper halves
    if library.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0 or library.capset(header, sets) != 0:
        raise EnvironmentFault(f"cannot give up capabilities: {os.strerror(ctypes.get_errno())}")
