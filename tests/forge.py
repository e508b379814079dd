"""Forged floods of twelve kinds as frames, IPv4 and IPv6: each from its own address, with right checksums.

    python tests/forge.py INTERFACE MAC KIND TARGET SECONDS PACKETS_PER_SECOND [PORT]   (inside a namespace)

Prints when it begins, and at the end how many it sent. TCP goes to port 80 and UDP to port 27015 where a kind
floods one port. No two packets have the same source.
"""

from __future__ import annotations

import ipaddress
import random
import socket
import struct
import sys
import time
from collections.abc import Callable

FLAGS = {"syn": 0x02, "ack": 0x10, "rst": 0x04, "fin": 0x11, "synack": 0x12, "odd": 0x29}
KINDS = (*FLAGS, "udp", "udp_ports", "dns", "icmp", "fragments", "gre")
WEB, GAME = 80, 27_015
TCP, UDP, GRE = 6, 17, 47


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Forger:
    """Makes packets of one kind to one address.

    Args:
        kind: one of ``KINDS``.
        target: the address that is flooded.
        seed: of the addresses and ports that are made up.
        port: where the kinds that flood one port go, if not where they go by themselves.
    """

    def __init__(self, kind: str, target: str, seed: int = 1, port: int | None = None) -> None:
        self._port = port or (GAME if kind == "udp" else WEB)
        self.kind, self._target = kind, ipaddress.ip_address(target)
        self._random = random.Random(seed)
        self._v6 = self._target.version == 6

    def packet(self) -> bytes:
        """One more packet, from the IP header on."""
        draw = self._random.getrandbits
        if self._v6:
            source = b"\x26" + draw(120).to_bytes(15, "big")
        else:
            source = bytes((self._random.choice((23, 45, 77, 91)), draw(8), draw(8), draw(8)))
        number, body = self._body(source)
        if self._v6:
            return struct.pack("!IHBB", 6 << 28, len(body), number, 60) + source + self._target.packed + body
        more = 100 if self.kind == "fragments" else 0
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), draw(16), more, 60, number, 0)
        head += source + self._target.packed
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body

    def _body(self, source: bytes) -> tuple[int, bytes]:
        draw, port = self._random.getrandbits, 1024 + self._random.randrange(60_000)
        match self.kind:
            case "udp":
                return UDP, self._summed(
                    UDP, source, struct.pack("!HHHH", port, self._port, 108, 0) + bytes(100), 6
                )
            case "udp_ports":
                head = struct.pack("!HHHH", port, 1024 + draw(15), 108, 0)
                return UDP, self._summed(UDP, source, head + bytes(100), 6)
            case "dns":
                head = struct.pack("!HHHH", 53, 1024 + draw(15), 1008, 0)
                return UDP, self._summed(
                    UDP, source, head + bytes((draw(8), draw(8), 0x81, 0x80)) + bytes(996), 6
                )
            case "icmp" if self._v6:
                return 58, self._summed(
                    58, source, struct.pack("!BBHHH", 128, 0, 0, draw(16), 1) + bytes(56), 2
                )
            case "icmp":
                body = struct.pack("!BBHHH", 8, 0, 0, draw(16), 1) + bytes(56)
                return 1, body[:2] + struct.pack("!H", checksum(body)) + body[4:]
            case "fragments" if self._v6:
                return 44, struct.pack("!BBHI", UDP, 0, 100 << 3, draw(32)) + bytes(400)
            case "fragments":
                return UDP, bytes(400)
            case "gre":
                return GRE, struct.pack("!HH", 0, 0x0800) + bytes(60)
        head = struct.pack(
            "!HHIIBBHHH", port, self._port, draw(32), draw(32), 0x50, FLAGS[self.kind], 64_240, 0, 0
        )
        return TCP, self._summed(TCP, source, head, 16)

    def _summed(self, number: int, source: bytes, body: bytes, at: int) -> bytes:
        """The body with its checksum, which lies at this byte."""
        pseudo = source + self._target.packed + struct.pack("!IHBB", len(body), 0, 0, number)
        return body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2 :]


def send(interface: str, mac: str, packet: Callable[[], bytes], seconds: float, rate: float) -> int:
    """Send packets to a card at a rate; returns how many."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind((interface, 0))
        to, sent, begin = bytes.fromhex(mac.replace(":", "")) + bytes(6), 0, time.monotonic()
        while (now := time.monotonic() - begin) < seconds:
            while sent < now * rate:
                body = packet()
                wire.send(to + (b"\x86\xdd" if body[0] >> 4 == 6 else b"\x08\0") + body)
                sent += 1
            time.sleep(0.001)
    return sent


if __name__ == "__main__":
    name, card, kind, target, *numbers = sys.argv[1:]
    duration, pps, *ports = map(float, numbers)
    forger = Forger(kind, target, time.time_ns(), int(ports[0]) if ports else None)
    print(time.time(), flush=True)
    print(send(name, card, forger.packet, duration, pps))
