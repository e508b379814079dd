"""Giving up every right once the rings are open: hostile packets are parsed with none.

A watch is then a user of its own without files, who cannot start programs, open connections, or reach other
processes. What it needs afterwards was opened before: rings, the recorder's file, the file of a baseline,
the lock. Files that are *followed* (a never-block list, resolv.conf) are read by ``config.files``: their
folders are listed in ``reads`` and stay readable, to this user as to everybody; what only root may read is
read on from the descriptor that was opened before, as long as the same file is written to.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from msgspec import Struct

from ..errors import EnvironmentFault
from . import landlock, seccomp, smallroot

CAPABILITY_VERSION_3 = 0x20080522
KEEP_CAPABILITIES, DROP_FROM_BOUNDS, NO_NEW_PRIVILEGES, AMBIENT, CLEAR_AMBIENT = 8, 24, 38, 47, 4
SETGID, SETUID, NET_ADMIN, NET_RAW, SYS_ADMIN, BPF = 6, 7, 12, 13, 21, 39
ACCOUNT = "floodwatch"
NOBODYS_UID = 61_017
"""Where there is no account of that name: a number that no distribution and no service manager gives away.

It is not nobody's, whose other processes could send this one signals."""
NOBODY = 65_534
"""Where that number does not exist: in a user namespace of few."""

ALWAYS = ("/proc/self", "/proc/sys/net")
"""What the kernel says of this process and of its network can always be read."""

ROOMS = ("model", "config", "capture", "history", "detectors", "decide", "report", "mitigate", "pipeline")
"""What a watch consists of."""
PUT_OFF = ("numpy.ma",)
"""What NumPy imports in the middle of other calls."""


class Confinement(Struct, frozen=True):
    """What became of a process.

    Attributes:
        uid: its user now.
        notes: what could not be taken away on this host, in words; empty: nothing is left.
    """

    uid: int
    notes: tuple[str, ...]


def drop(
    *,
    keep_net_admin: bool = False,
    keep_net_raw: bool = False,
    keep_bpf: bool = False,
    reads: Sequence[str] = (),
) -> Confinement:
    """Give up user, capabilities, files and most system calls of this process, for good.

    To be called while there is one thread: capabilities and Landlock hold for the calling thread and those
    that it starts; user and system calls are taken from all.

    Args:
        keep_net_admin: keep the one capability that changing rules takes (capabilities(7)).
        keep_net_raw: keep the one that opening rings takes.
        keep_bpf: keep the one that writing BPF maps takes, on kernels that ask for it.
        reads: files and folders that may still be read, beside ``ALWAYS``.

    Raises:
        EnvironmentFault: the kernel refused, so that going on would not be safe.
    """
    notes: list[str] = []
    try:
        library = ctypes.CDLL(None, use_errno=True)
        filtered = seccomp.available()
        _checked(library.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        rules = landlock.Rules((*ALWAYS, *reads)) if landlock.version() else None
        if rules is None:
            notes += _hide_files((*ALWAYS, *reads))
        notes += _change_user(library)
        _keep(library, keep_net_admin << NET_ADMIN | keep_net_raw << NET_RAW | keep_bpf << BPF)
        if rules is not None:
            rules.enforce()
        if filtered:
            seccomp.confine(seccomp.ways(net_admin=keep_net_admin, net_raw=keep_net_raw, bpf=keep_bpf))
        else:
            notes.append(NO_FILTER.format(os.uname().machine))
    except OSError as error:
        raise EnvironmentFault(f"cannot drop privileges: {error.strerror}") from error
    return Confinement(os.getuid(), tuple(notes))


def drop_for_scan(writes: Sequence[str]) -> None:
    """Give up what reading captures does not take, as far as this host can: no error where it cannot.

    No program is started then, no connection made, no other process reached, and no file written but in some
    folders. User and capabilities stay, for captures are the user's.

    Args:
        writes: the folders that the answers go to.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return
    with suppress(OSError):
        if landlock.version():
            landlock.Rules(None, writes).enforce()
    with suppress(OSError):
        if seccomp.available():
            seccomp.confine(seccomp.ways_of_scan(), strict=False)


def load_all() -> list[str]:
    """Import what a watch may need: the rest of each room that is in use, and what NumPy puts off.

    Returns:
        The folders of Python's library. They should stay readable after ``drop``, for whatever a library
        still imports later on; where only root may read them, what was imported here has to do.
    """
    import site
    import sysconfig
    from pkgutil import walk_packages

    package = __package__.partition(".")[0]
    for room in (f"{package}.{name}" for name in ROOMS):
        if room in sys.modules:
            for module in walk_packages(sys.modules[room].__path__, f"{room}."):
                import_module(module.name)
    for name in PUT_OFF if "numpy" in sys.modules else ():
        import_module(name)
    ours = os.path.dirname(str(sys.modules[package].__file__))
    return [ours, sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), *site.getsitepackages()]


NO_FILTER = "system calls are not filtered: no seccomp filter for this kernel or machine ({})"
NO_FILES = "files are not hidden: no Landlock in this kernel, and no right to mount (CAP_SYS_ADMIN)"
NO_USER = "a watch stays user 0: the capabilities CAP_SETUID and CAP_SETGID, or other users, are missing here"


def possible() -> list[str]:
    """What ``drop`` could not do on this host, in words, for this user; nothing is changed."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        held = next((int(line.split()[1], 16) for line in file if line.startswith("CapEff:")), 0)
    notes = []
    if not landlock.version() and not held >> SYS_ADMIN & 1:
        notes.append(NO_FILES)
    if os.geteuid() == 0 and not held >> SETUID & held >> SETGID & 1:
        notes.append(NO_USER)
    if not seccomp.available():
        notes.append(NO_FILTER.format(os.uname().machine))
    return notes


def own_uid() -> tuple[int, int]:
    """User and group that a watch of root's becomes."""
    import pwd

    try:
        found = pwd.getpwnam(ACCOUNT)
    except KeyError:
        return NOBODYS_UID, NOBODYS_UID
    return found.pw_uid, found.pw_gid


def _hide_files(reads: Sequence[str]) -> list[str]:
    try:
        smallroot.enter(reads)
    except OSError:
        return [NO_FILES]
    return []


def _change_user(library: ctypes.CDLL) -> list[str]:
    """Become the user of floodwatch in all threads, capabilities kept for now. Others stay who they are."""
    if os.geteuid() and os.getuid():
        return []
    for number in range(64):
        library.prctl(DROP_FROM_BOUNDS, number, 0, 0, 0)  # beyond the kernel's last: refused
    _checked(library.prctl(KEEP_CAPABILITIES, 1, 0, 0, 0))
    for uid, gid in (own_uid(), (NOBODY, NOBODY)):
        try:
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EINVAL):
                raise
        else:
            return []
    return [NO_USER]


def _keep(library: ctypes.CDLL, kept: int) -> None:
    """Hold these capabilities and no others."""
    library.prctl(AMBIENT, CLEAR_AMBIENT, 0, 0, 0)  # kernels before 4.3 have none
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    low, high = kept & 0xFFFFFFFF, kept >> 32
    sets = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)  # effective, permitted, inheritable: halves
    _checked(library.capset(header, sets))


def _checked(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
