"""Giving up every right once the rings are open: hostile packets are parsed with none."""

from __future__ import annotations

import ctypes
import os

from .errors import EnvironmentFault

CAPABILITY_VERSION_3 = 0x20080522
NO_NEW_PRIVILEGES = 38
NET_ADMIN, NET_RAW = 12, 13


def drop(*, keep_net_admin: bool = False, keep_net_raw: bool = False) -> None:
    """Drop the capabilities of this process for good (capabilities(7)); files are still its user's.

    Args:
        keep_net_admin: keep the one right that changing rules takes.
        keep_net_raw: keep the one that opening rings takes.

    Raises:
        EnvironmentFault: the kernel refused, so that going on would not be safe.
    """
    library = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    kept = keep_net_admin << NET_ADMIN | keep_net_raw << NET_RAW
    sets = (ctypes.c_uint32 * 6)(kept, kept)  # effective, permitted, inheritable; then their upper halves
    if library.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0 or library.capset(header, sets) != 0:
        raise EnvironmentFault(f"cannot give up capabilities: {os.strerror(ctypes.get_errno())}")
