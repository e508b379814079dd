"""The ClientHello inside QUIC: Initials are encrypted, but with keys that anybody can derive.

RFC 9001, 5.2, and RFC 9369 for version 2. A hello with post-quantum keys comes in two datagrams or more, its
pieces in any order. The keys of a connection stay those of the first connection id that its client wrote,
also when the server has named another one.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from typing import Any

from .hkdf import expand_label

CONNECTIONS = 1024
"""Connections whose keys are kept; the oldest goes first."""
OPENED_MOST = 20_000
"""Initials of one capture that are opened, some 0.1 ms each: enough of a flood to tell who sends it."""
HELLO_MOST = 8192 + 4
"""As in native/fw_hello.h, with the header of the message."""
V1, V2 = 1, 0x6B3343CF
SALTS = {
    V1: "38762cf7f55934b34d179ae6a4c80cadccbb7f0a",
    V2: "0dede3def700a6db819381be6e269dcbf9bd2ed9",
    0xFF00001D: "afbfec289993d24c9e9786f19c6111e04390a899",  # drafts 29 to 32
    0xFF000017: "c3eef712c72ebb5a11a7d2432bb46365bef9f502",  # drafts 23 to 28
}
DRAFT_33 = 0xFF000021
"""The drafts 33 and 34 have the salt of version 1."""
PADDING, PING, ACK, ACK_ECN, CRYPTO = 0, 1, 2, 3, 6
INITIAL, RETRY = 0, 3
CLIENT_HELLO = 1


def can_open() -> bool:
    """Is the library here that opens Initials?"""
    try:
        import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401
    except ImportError:
        return False
    return True


class Initials:
    """Opens the Initials of a capture, in its order, and puts hellos together; in fixed memory.

    Attributes:
        refused: Initials that no key opens: forged, damaged, or their connection began before the capture.
        unopened: Initials beyond ``OPENED_MOST``, or all of them where the library is missing.
        broken: what was opened and is no ClientHello.
    """

    def __init__(self) -> None:
        self.refused = 0
        self.unopened = 0
        self.broken = 0
        self._left: int | None = None
        self._connections: OrderedDict[bytes, _Connection] = OrderedDict()

    @property
    def unfinished(self) -> int:
        """Hellos of which pieces are missing, among the connections that are kept."""
        return sum(one.pieces is not None and one.pieces.any() for one in self._connections.values())

    def allow(self, count: int) -> None:
        """Let so many Initials be opened from now on, instead of ``OPENED_MOST`` of a capture."""
        self._left = count if can_open() else 0

    def open(self, client: bytes, server: bytes, datagram: bytes) -> bytes | None:
        """The body of the ClientHello that this datagram makes whole, or None.

        Args:
            client: address and port of who sent it, in any form ...
            server: ... and of who got it.
            datagram: what came over UDP.
        """
        if server + client in self._connections:  # an answer
            return None
        if self._left is None:
            self._left = OPENED_MOST if can_open() else 0
        if self._left == 0:
            self.unopened += 1
            return None
        self._left -= 1
        ends = client + server
        known = self._connections.get(ends)
        try:
            made = self._read(known, datagram)
        except (ValueError, IndexError):
            self.broken += 1
            return None
        if made is None:
            self.refused += 1
            return None
        connection, body = made
        self._connections[ends] = connection
        if len(self._connections) > CONNECTIONS:
            self._connections.popitem(last=False)
        return body

    def _read(
        self, connection: _Connection | None, datagram: bytes
    ) -> tuple[_Connection, bytes | None] | None:
        """Go through the packets of a datagram; None where no Initial among them can be opened."""
        body = None
        opened = None
        while datagram:
            packet, datagram = _cut(datagram)
            if packet is None:
                continue
            frames = connection.keys.open(packet) if connection else None
            if frames is None:
                keys = _Keys(packet.version, packet.destination)
                frames = keys.open(packet)
                if frames is None:
                    continue
                connection = _Connection(keys)
            assert connection is not None
            opened = connection
            body = connection.take(frames) or body
        return None if opened is None else (opened, body)


class _Packet:
    """One Initial inside a datagram: where its parts lie."""

    def __init__(self, data: bytes, version: int, destination: bytes, number: int) -> None:
        self.data = data
        self.version = version
        self.destination = destination
        self.number = number


def _cut(datagram: bytes) -> tuple[_Packet | None, bytes]:
    """Cut the first packet off a datagram (RFC 9000, 12.2 and 17.2); None where it is no Initial.

    Raises:
        ValueError, IndexError: its lengths lie.
    """
    first = datagram[0]
    if first & 0x80 == 0:  # a short header reaches to the end; so does padding
        return None, b""
    version = int.from_bytes(datagram[1:5], "big")
    kind = (first >> 4) & 3
    kind = (kind - 1) & 3 if version == V2 else kind
    if kind == RETRY or version == 0:
        return None, b""
    at = 6 + datagram[5]
    destination = datagram[6:at]
    at += 1 + datagram[at]
    if kind == INITIAL:
        token, at = _number(datagram, at)
        at += token
    length, at = _number(datagram, at)
    if at + length > len(datagram) or len(destination) > 20:
        raise ValueError("a packet reaches beyond its datagram")
    packet = _Packet(datagram[: at + length], version, destination, at) if kind == INITIAL else None
    return packet, datagram[at + length :]


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer (RFC 9000, 16), and where the next thing begins."""
    size = 1 << (data[at] >> 6)
    if at + size > len(data):
        raise ValueError("a number reaches beyond its packet")
    return int.from_bytes(data[at : at + size], "big") & ((1 << (8 * size - 2)) - 1), at + size


class _Keys:
    """The keys of a client's Initials (RFC 9001, 5.1 and 5.2)."""

    def __init__(self, version: int, destination: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        prefix = "quicv2" if version == V2 else "quic"
        salt = SALTS.get(version) or (
            SALTS[V1] if version >= DRAFT_33 else SALTS[max(v for v in SALTS if v <= version and v != V2)]
        )
        secret = expand_label(hmac.digest(bytes.fromhex(salt), destination, "sha256"), "client in", 32)
        self._packets = AESGCM(expand_label(secret, f"{prefix} key", 16))
        self._vector = int.from_bytes(expand_label(secret, f"{prefix} iv", 12), "big")
        self._header = expand_label(secret, f"{prefix} hp", 16)

    def open(self, packet: _Packet) -> bytes | None:
        """The frames of a packet, or None: these are not its keys."""
        from cryptography.exceptions import InvalidTag

        mask = self._mask(packet.data[packet.number + 4 : packet.number + 20])
        if mask is None:
            return None
        head = bytearray(packet.data[: packet.number + 4])
        head[0] ^= mask[0] & 0x0F
        size = (head[0] & 3) + 1
        for i in range(size):
            head[packet.number + i] ^= mask[1 + i]
        del head[packet.number + size :]
        number = int.from_bytes(head[packet.number :], "big")
        nonce = (self._vector ^ number).to_bytes(12, "big")
        try:
            return self._packets.decrypt(nonce, packet.data[packet.number + size :], bytes(head))
        except (InvalidTag, ValueError):
            return None

    def _mask(self, sample: bytes) -> bytes | None:
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.algorithms import AES
        from cryptography.hazmat.primitives.ciphers.modes import ECB

        if len(sample) < 16:
            return None
        block: Any = Cipher(AES(self._header), ECB()).encryptor()  # RFC 9001, 5.4.3
        return bytes(block.update(sample))


class _Connection:
    """The keys of one connection, and its hello until that is whole."""

    def __init__(self, keys: _Keys) -> None:
        self.keys = keys
        self.pieces: _Pieces | None = _Pieces()

    def take(self, frames: bytes) -> bytes | None:
        """Read the frames of one packet (RFC 9000, 19); the hello's body once it is whole.

        Raises:
            ValueError, IndexError: they lie, or what they carry is no ClientHello.
        """
        at = 0
        while at < len(frames) and self.pieces is not None:
            kind = frames[at]
            at += 1
            if kind in (ACK, ACK_ECN):
                at = _after_ack(frames, at, kind)
            elif kind == CRYPTO:
                offset, at = _number(frames, at)
                size, at = _number(frames, at)
                if at + size > len(frames):
                    raise ValueError("a frame reaches beyond its packet")
                self.pieces.lay(offset, frames[at : at + size])
                at += size
            elif kind not in (PADDING, PING):
                break
        if self.pieces is None:
            return None
        body = self.pieces.whole()
        if body is not None:
            self.pieces = None
        return body


def _after_ack(frames: bytes, at: int, kind: int) -> int:
    _, at = _number(frames, at)
    _, at = _number(frames, at)
    ranges, at = _number(frames, at)
    if ranges > len(frames):
        raise ValueError("more ranges than bytes")
    for _ in range(2 * ranges + 1 + (3 if kind == ACK_ECN else 0)):
        _, at = _number(frames, at)
    return at


class _Pieces:
    """Bytes that come in any order; of those that come twice the first stay."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._present = bytearray()

    def any(self) -> bool:
        return bool(self._data)

    def lay(self, offset: int, piece: bytes) -> None:
        end = offset + len(piece)
        if end > HELLO_MOST:
            raise ValueError("a hello longer than any program's")
        more = max(end - len(self._data), 0)
        self._data += bytes(more)
        self._present += bytes(more)
        if self._present.find(1, offset, end) < 0:  # nothing of it came before, as nearly always
            self._data[offset:end] = piece
        else:
            for i in range(offset, end):
                if not self._present[i]:
                    self._data[i] = piece[i - offset]
        self._present[offset:end] = b"\x01" * (end - offset)

    def whole(self) -> bytes | None:
        have = self._present.find(0)
        have = len(self._present) if have < 0 else have
        if have < 4:
            return None
        size = 4 + int.from_bytes(self._data[1:4], "big")
        if self._data[0] != CLIENT_HELLO or size > HELLO_MOST:
            raise ValueError("no ClientHello")
        return bytes(self._data[4:size]) if have >= size else None
