"""Giving up every right once the rings are open: hostile packets are parsed with none."""

from __future__ import annotations

import ctypes
import os

from ..errors import EnvironmentFault

CAPABILITY_VERSION_3 = 0x20080522
NO_NEW_PRIVILEGES = 38
NET_ADMIN, NET_RAW, BPF = 12, 13, 39


def drop(*, keep_net_admin: bool = False, keep_net_raw: bool = False, keep_bpf: bool = False) -> None:
    """Drop the capabilities of this process for good (capabilities(7)); files are still its user's.

    Args:
        keep_net_admin: keep the one right that changing rules takes.
        keep_net_raw: keep the one that opening rings takes.
        keep_bpf: keep the one that writing BPF maps takes, on kernels that ask for it.

    Raises:
        EnvironmentFault: the kernel refused, so that going on would not be safe.
    """
    library = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    kept = keep_net_admin << NET_ADMIN | keep_net_raw << NET_RAW | keep_bpf << BPF
    low, high = kept & 0xFFFFFFFF, kept >> 32
    sets = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)  # effective, permitted, inheritable: halves
    if library.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0 or library.capset(header, sets) != 0:
        raise EnvironmentFault(f"cannot drop capabilities: {os.strerror(ctypes.get_errno())}")
