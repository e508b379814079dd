"""What this host has and lacks for floodwatch, looked at without changing anything."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Literal

from msgspec import Struct

from ._sketches import cpu
from .capture import Backlog, LiveRing, compile_filter
from .capture.compression import ZSTANDARD, compression_of
from .config.files import number
from .config.options import WatchOptions
from .errors import FloodwatchError, InputError
from .mitigate import BACKENDS, Lock, NeverBlock
from .pipeline.landlock import version
from .pipeline.privileges import own_uid, possible

State = Literal["ok", "note", "missing"]
GOOD_CLOCKS = ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page")
ETHTOOL, GET_GRO = 0x8946, 0x2B
UNSYNCHRONISED = 5


class Check(Struct, frozen=True):
    """One look at the host.

    Attributes:
        name: what was looked at.
        state: ``ok``, ``note`` (works, but should be known) or ``missing`` (something will not work).
        says: what was seen.
        do: what to do about it; empty where there is nothing to do.
    """

    name: str
    state: State
    says: str
    do: str = ""


def examine() -> Iterator[Check]:
    """Look at the host, one thing after the other."""
    for look in LOOKS:
        yield from look()


def _tried(name: str, attempt: Callable[[], str], *, needed: bool = True) -> Check:
    try:
        return Check(name, "ok", attempt())
    except FloodwatchError as error:
        says, _, do = str(error).partition(": ")
        return Check(name, "missing" if needed else "note", says, do)


def _capture() -> Iterator[Check]:
    def attempt() -> str:
        usual = WatchOptions()
        LiveRing("lo", ring_mb=usual.ring_mb, snaplen=usual.snaplen, promiscuous=False).close()
        return f"a packet ring of {usual.ring_mb} MiB can be opened"

    yield _tried("capture", attempt)


def _filters() -> Iterator[Check]:
    def attempt() -> str:
        compile_filter("tcp port 443")
        return "libpcap compiles filters"

    yield _tried("filters", attempt)


def _packing() -> Iterator[Check]:
    try:
        compression_of(ZSTANDARD, "")
        yield Check("packed captures", "ok", "gzip, bzip2, xz and Zstandard can be read")
    except InputError:
        says = "gzip, bzip2 and xz can be read, Zstandard cannot"
        yield Check("packed captures", "note", says, "pip install 'floodwatch[zstd]'")


def _hashing() -> Iterator[Check]:
    yield Check("processor", "ok", f"sketches hash with the {cpu()} kernels")


def _backends() -> Iterator[Check]:
    for row in BACKENDS.values():
        if row.check:
            yield _tried(row.check, row.probe, needed=row.needed)


def _cookies() -> Iterator[Check]:
    value = number("/proc/sys/net/ipv4/tcp_syncookies")
    if value is None:
        yield Check("SYN cookies", "note", "the kernel does not say whether it has them")
    elif value == 0:
        says = "switched off: a forged SYN flood fills the backlog of every listening port"
        yield Check("SYN cookies", "missing", says, "sysctl -w net.ipv4.tcp_syncookies=1")
    else:
        yield Check("SYN cookies", "ok", "on: they protect listening ports against forged SYNs")


def _merging() -> Iterator[Check]:
    """Offloads merge segments before anybody sees them; the ring tells their size, so they still count."""
    merged = [name for _, name in socket.if_nameindex() if _merges(name)]
    if merged:
        says = f"{', '.join(merged)} merge segments (GRO); they are counted as the original segments"
        yield Check("offloads", "ok", says)
    else:
        yield Check("offloads", "ok", "no interface merges segments")


def _merges(name: str) -> bool:
    value = ctypes.create_string_buffer(struct.pack("II", GET_GRO, 0))
    request = struct.pack("16sP16x", name.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks:
        try:
            fcntl.ioctl(asks, ETHTOOL, request)
        except OSError:
            return False
    return bool(struct.unpack("II", value.raw[:8])[1])


def _backlog() -> Iterator[Check]:
    room, counts = number("/proc/sys/net/core/netdev_max_backlog"), Backlog()
    lost = counts.drops()
    counts.close()
    if lost:
        says = f"this host has dropped {lost:,} packets before any program could see them"
        yield Check("backlog", "note", says, f"raise net.core.netdev_max_backlog (now {room})")
    else:
        yield Check("backlog", "ok", "no packet was dropped before programs could see it")


def _clock() -> Iterator[Check]:
    source = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    name = source.read_text().strip() if source.exists() else "unknown"
    timex = ctypes.create_string_buffer(256)
    synchronised = ctypes.CDLL(None).adjtimex(timex) != UNSYNCHRONISED
    if name not in GOOD_CLOCKS:
        yield Check("clock", "note", f"{name} is slow to read: time stamps may cost more than the packets")
    elif not synchronised:
        says = f"{name}; no time service keeps the clock right, so reports of two hosts may not line up"
        yield Check("clock", "note", says, "run a time service (chrony, systemd-timesyncd)")
    else:
        resolution = time.clock_getres(time.CLOCK_MONOTONIC) * 1e9
        yield Check("clock", "ok", f"{name}, {resolution:.0f} ns, synchronised by a time service")


def _lockout() -> Iterator[Check]:
    """Who would be hurt by a wrong block, and whether whoever asks would be among them."""
    never = NeverBlock()
    never.close()
    kinds: dict[str, int] = {}
    for reason in never.reasons.values():
        kinds[reason] = kinds.get(reason, 0) + 1
    told = ", ".join(f"{reason} {count}" for reason, count in sorted(kinds.items()))
    yield Check("never blocked", "ok", told)
    peer = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
    if not peer:
        return
    why = never.why(ip_network(ip_address(peer)))
    if why is None:
        says = f"your own SSH session comes from {peer}, which is not protected (sshd on another port?)"
        yield Check("your session", "missing", says, f"give --never {peer} whenever you enforce")
    else:
        yield Check("your session", "ok", f"{peer} is never blocked: {why}")


def _running() -> Iterator[Check]:
    holder = Lock().holder()
    if holder is None:
        whose = "of this user's " if os.geteuid() else ""
        yield Check("running", "ok", f"no floodwatch {whose}is enforcing now")
    else:
        says = f"a floodwatch is enforcing (pid {holder.pid})"
        yield Check("running", "note", says, "floodwatch ctl panic ends it")


def _confinement() -> Iterator[Check]:
    """What a watch gives up here once its rings are open."""
    missing = possible()
    if missing:
        yield Check("privileges", "note", "; ".join(missing))
        return
    files = f"Landlock {version()}" if version() else "a root of few folders"
    user = "stays this user" if os.geteuid() else f"becomes user {own_uid()[0]}"
    says = f"a watch {user}, and loses files ({files}), programs and connections (seccomp)"
    yield Check("privileges", "ok", says)


LOOKS: tuple[Callable[[], Iterator[Check]], ...] = (
    _capture, _filters, _packing, _hashing, _backends, _cookies, _merging, _backlog, _clock, _lockout,
    _confinement, _running,
)  # fmt: skip
