"""One packet at several points of a host counts once: on live interfaces, and in captures of all of them."""

from __future__ import annotations

import signal
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyroute2 import IPRoute, NetNS, netns
from test_live import finish

import floodwatch as fw

sys.path.insert(0, str(Path(__file__).parent))
from lab import SERVER, Lab

SEND = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(int(sys.argv[2])):
    s.sendto(b"equal or not %d" % (i // 4), (sys.argv[1], 9999))
"""
EACH = 400


def _index(inside: NetNS, name: str) -> int:
    (index,) = inside.link_lookup(ifname=name)
    return int(index)


@contextmanager
def router(wire: Lab) -> Iterator[str]:
    """Make the server a router, with a bridge and one container behind it."""
    container = f"{wire.server}-in"
    netns.create(container)
    try:
        with IPRoute() as outside:
            outside.link("add", ifname="vx", kind="veth", peer={"ifname": "vy", "net_ns_fd": container},
                         net_ns_fd=wire.server)  # fmt: skip
        with NetNS(wire.server) as inside:
            inside.link("add", ifname="br0", kind="bridge")
            bridge = _index(inside, "br0")
            inside.link("set", index=_index(inside, "vx"), master=bridge, state="up")
            inside.addr("add", index=bridge, address="10.7.0.1", prefixlen=16)
            inside.link("set", index=bridge, state="up")
        with NetNS(container) as inside:
            inside.addr("add", index=_index(inside, "vy"), address="10.7.0.2", prefixlen=16)
            inside.link("set", index=_index(inside, "vy"), state="up")
            inside.route("add", dst="default", gateway="10.7.0.1")
        with NetNS(wire.client) as inside:
            inside.route("add", dst="10.7.0.0/16", gateway=SERVER)
        forward = "open('/proc/sys/net/ipv4/ip_forward', 'w').write('1')"
        assert wire.start(wire.server, sys.executable, "-c", forward).wait(10) == 0
        yield container
    finally:
        netns.remove(container)


@pytest.mark.root
@pytest.mark.parametrize(
    ("interfaces", "ways"),
    [(("any",), 4), (("vb", "br0", "vx"), 3)],
    ids=["any", "several"],
)
def test_a_packet_that_passes_several_interfaces_counts_once(
    wire: Lab, interfaces: tuple[str, ...], ways: int
) -> None:
    with router(wire) as container:
        flags = [part for name in interfaces for part in ("-i", name)]
        watch = wire.floodwatch("watch", *flags, "--format", "ndjson", "--", "udp", "port", "9999")
        routes = [
            (wire.client, "10.7.0.2"),  # routed: card, bridge, veth
            (container, "10.7.0.1"),  # from a container to its host: veth, bridge
            (wire.server, "10.7.0.2"),  # from the host to a container: bridge, veth
            (wire.server, "127.0.0.1"),  # the loopback shows each packet twice
        ]
        for name, to in routes:
            assert wire.start(name, sys.executable, "-c", SEND, to, str(EACH)).wait(20) == 0
        time.sleep(0.3)
        watch.send_signal(signal.SIGINT)
        lines, _ = finish(watch)
        (read,) = lines[-1]["inputs"]
        assert read["packets"] + read["lost"] == ways * EACH
        assert read["elsewhere"] >= 3 * EACH


def cooked(path: Path, *, routed: bool) -> Path:
    """800 datagrams a second of six senders for three seconds, as ``tcpdump -i any`` writes them.

    Routed, each is seen three times: in at a card, out at a bridge and out at a port of the bridge.
    """
    points = ((2, 0, 0), (3, 4, 1), (4, 4, 1)) if routed else ((2, 0, 0),)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 276))
        for i in range(2400):
            for n, (device, direction, hops) in enumerate(points):
                udp = struct.pack(">HHHH", 40000 + i % 6, 9999, 108, 0) + bytes(100)
                ip = struct.pack(">BBHHHBBH", 0x45, 0, 128, i, 0, 64 - hops, 17, hops) + bytes(
                    [10, 0, 0, 11 + i % 6, 10, 7, 0, 2]
                )
                frame = struct.pack(">HHIHBB8s", 0x0800, 0, device, 1, direction, 6, b"") + ip + udp
                at = 1_700_000_000_000_000 + i * 1250 + n * 20
                file.write(struct.pack("<IIII", at // 10**6, at % 10**6, len(frame), len(frame)) + frame)
    return path


def test_a_capture_of_all_interfaces_counts_a_routed_packet_once(tmp_path: Path) -> None:
    once = fw.scan(str(cooked(tmp_path / "once.pcap", routed=False)))
    thrice = fw.scan(str(cooked(tmp_path / "thrice.pcap", routed=True)))
    assert once.totals.packets == thrice.totals.packets == 2400
    assert (once.inputs[0].elsewhere, thrice.inputs[0].elsewhere) == (0, 4800)
    assert not once.floods
    assert not thrice.floods
