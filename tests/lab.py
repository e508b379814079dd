"""Two network namespaces and a veth pair between them: where live tests send and watch.

    python tests/lab.py send INTERFACE CAPTURE [MAC]   send a capture at its own pace (inside a namespace)
    python tests/lab.py record INTERFACE CAPTURE       record what comes until SIGTERM

Everything is made through netlink by pyroute2 and taken down again, whatever happens in between.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute, NetNS, netns

sys.path.insert(0, str(Path(__file__).parent))
from evaluate import Frame, records, write

from floodwatch.model.epoch import EPOCH_NS

CLIENT, SERVER = "10.99.0.1", "10.99.0.2"
CLIENT6, SERVER6 = "fd99::1", "fd99::2"
COUNTED = re.compile(rb" ([\d,]+) packets,.* ([\d,]+) lost,")
"""The packets of a watch's counters, and the lost ones."""
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35
EARLY_NS = 1_000_000
"""By how much a frame is sent early at most."""


class Lab:
    """``client`` and ``server`` are namespaces; ``va`` lies in the one, ``vb`` in the other."""

    def __init__(self, number: int = 0) -> None:
        prefix = f"fw-{os.getpid()}-{number}"
        self.client, self.server = f"{prefix}-client", f"{prefix}-server"
        self.running: list[subprocess.Popen[bytes]] = []

    def build(self) -> None:
        """Make both namespaces and the pair between them."""
        for name in (self.client, self.server):
            netns.create(name)
            with NetNS(name) as inside:
                inside.link("set", index=1, state="up")
        self.connect()

    def connect(self) -> None:
        """Make the veth pair, with addresses, both ends up."""
        with IPRoute() as outside:
            outside.link("add", ifname="va", kind="veth", peer={"ifname": "vb", "net_ns_fd": self.server},
                         net_ns_fd=self.client)  # fmt: skip
        ends = ((self.client, "va", CLIENT, CLIENT6), (self.server, "vb", SERVER, SERVER6))
        for name, interface, address, address6 in ends:
            with NetNS(name) as inside:
                (index,) = inside.link_lookup(ifname=interface)
                inside.addr("add", index=index, address=address, prefixlen=24)
                inside.addr(
                    "add", index=index, address=address6, prefixlen=64, flags=2
                )  # no duplicate detection
                inside.link("set", index=index, state="up")

    def hush(self) -> None:
        """Let the hosts say nothing of their own: no neighbours are looked for."""
        for name in (self.client, self.server):
            switch = "/proc/sys/net/ipv6/conf/all/disable_ipv6"
            assert self.start(name, "sh", "-c", f"echo 1 > {switch}").wait(10) == 0

    def link(self, name: str, interface: str, *how: str, **change: Any) -> None:
        """Change an interface: ``link("set", ..., state="down")``, ``link("del", ...)``."""
        with NetNS(name) as inside:
            (index,) = inside.link_lookup(ifname=interface)
            inside.link(*(how or ("set",)), index=index, **change)

    def start(self, name: str, *argv: str, **settings: Any) -> subprocess.Popen[bytes]:
        """Start a program inside a namespace; it is killed with the lab if it still runs."""
        process = subprocess.Popen(argv, preexec_fn=lambda: netns.setns(name), cwd="/", **settings)
        self.running.append(process)
        return process

    def floodwatch(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start floodwatch beside the server, and wait until it watches if that is what it does."""
        command = (sys.executable, "-P", "-m", "floodwatch", *argv)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "bufsize": 0}  # a line, and no more
        process = self.start(self.server, *command, **pipes)
        assert process.stderr is not None
        if argv[0] == "watch":
            process.stderr.readline()
        return process

    def seen(self, watch: subprocess.Popen[bytes], packets: int, seconds: float = 20) -> str:
        """Wait until a watch has seen so many packets, or counted them as lost, by its own counters. Returns
        what it said meanwhile.

        Raises:
            AssertionError: they do not come.
        """
        assert watch.stderr is not None
        end, found, said = time.monotonic() + seconds, 0, b""
        while found < packets and watch.poll() is None:
            assert time.monotonic() < end, f"{found} of {packets} packets were seen"
            watch.send_signal(signal.SIGUSR1)
            while not (counted := COUNTED.search(line := watch.stderr.readline())):
                assert line, "the watch ended"
                said += line
            found = sum(int(number.replace(b",", b"")) for number in counted.groups())
        assert found >= packets, f"the watch ended, {found} of {packets} packets were seen"
        return said.decode()

    def send(self, capture: Path, *, deliver: bool = False) -> None:
        """Send a capture from the client's end, at its own pace; see ``sender``."""
        assert self.sender(capture, deliver=deliver).wait(60) == 0

    def sender(self, capture: Path, *, deliver: bool = False) -> subprocess.Popen[bytes]:
        """Start to send a capture; with ``deliver`` the server takes the frames as its own."""
        to: tuple[str, ...] = ()
        if deliver:
            with NetNS(self.server) as inside:
                (index,) = inside.link_lookup(ifname="vb")
                to = (inside.get_links(index)[0].get_attr("IFLA_ADDRESS"),)
        return self.start(self.client, sys.executable, __file__, "send", "va", str(capture), *to)

    def recorder(self, capture: Path) -> subprocess.Popen[bytes]:
        """Start to record at the server's end what a watch there sees, with the same time stamps."""
        process = self.start(
            self.server, sys.executable, __file__, "record", "vb", str(capture), stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        return process

    def close(self) -> None:
        """Kill what still runs, also what others left behind, and remove the namespaces."""
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
        for name in (self.client, self.server):
            if name in netns.listnetns():
                end = time.monotonic() + 5
                while (left := inhabitants(name)) and time.monotonic() < end:
                    for pid in left:
                        with suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                    time.sleep(0.01)
                netns.remove(name)


def inhabitants(name: str) -> list[int]:
    """Processes inside a namespace."""
    here, found = os.stat(f"{netns.NETNS_RUN_DIR}/{name}").st_ino, list[int]()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it ended meanwhile
                if os.stat(entry / "ns" / "net").st_ino == here:
                    found.append(int(entry.name))
    return found


@contextmanager
def lab(number: int = 0) -> Iterator[Lab]:
    """A lab that is taken down at the end; those at the same time have other numbers."""
    made = Lab(number)
    try:
        made.build()
        yield made
    finally:
        made.close()


def send(interface: str, capture: Path, to: str = "") -> int:
    """Put every frame of a capture on the wire when its time has come, perhaps for another card.

    It begins where an epoch is as old as it was in the capture, a little older: what lay in one epoch then
    does so again, also where frames come a little early.
    """
    mac = bytes.fromhex(to.replace(":", ""))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind((interface, 0))
        begin, first, sent = time.monotonic_ns(), None, 0
        for t, _, frame in records(capture):
            if first is None:
                first = t
                begin += (t - time.time_ns()) % EPOCH_NS + EARLY_NS
            wait = begin + t - first - time.monotonic_ns()
            if wait > EARLY_NS:
                time.sleep(wait / 1e9)
            try:
                wire.send(mac + frame[len(mac) : 1514])
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # frames are lost while the other end goes down
                    raise
            sent += 1
    return sent


def record(interface: str, capture: Path) -> None:
    """Write every frame that comes until SIGTERM.

    SO_TIMESTAMPNS has the kernel stamp a frame when it comes in, once for all sockets that read it.
    """
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as wire:
        wire.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        wire.bind((interface, 3))
        signal.signal(signal.SIGTERM, lambda *_: wire.setblocking(False))
        print("ready", flush=True)
        write(_frames(wire), capture)


def _frames(wire: socket.socket) -> Iterator[Frame]:
    """What comes, and when it is to block no more, what still waits."""
    with suppress(BlockingIOError):
        while True:
            frame, told, *_ = wire.recvmsg(1 << 16, 64)
            second, part = struct.unpack("qq", told[0][2])
            yield second * 1_000_000_000 + part, len(frame), frame


if __name__ == "__main__":
    {"send": send, "record": record}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]), *sys.argv[4:])
