"""Giving up every right once the rings are open: hostile packets are parsed with none."""

from __future__ import annotations

import ctypes
import os

from .errors import EnvironmentFault

CAPABILITY_VERSION_3 = 0x20080522
NO_NEW_PRIVILEGES = 38


def drop() -> None:
    """Drop all capabilities of this process for good (capabilities(7)); files are still its user's.

    Raises:
        EnvironmentFault: the kernel refused, so that going on would not be safe.
    """
    library = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if library.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0 or library.capset(header, nothing) != 0:
        raise EnvironmentFault(f"cannot give up capabilities: {os.strerror(ctypes.get_errno())}")
