"""Conversations of TCP as a capture shows them, in clear text and with OpenSSL's TLS around the same bytes.

Nothing is sent: both ends of TLS talk through memory, and what they say is cut into segments here. So one
script makes two captures that differ in nothing but encryption, and a log of the keys.
"""

from __future__ import annotations

import datetime
import hashlib
import socket
import ssl
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

MSS = 1400
SYN, FIN, RST, PSH, ACK = 2, 1, 4, 8, 16
START_NS = 1_800_000_000 * 10**9
STEP_NS = 200_000
"""Between the packets of one exchange."""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Wire:
    """The packets of a capture."""

    def __init__(self) -> None:
        self.packets: list[tuple[int, int, bytes]] = []

    def put(self, time_ns: int, frame: bytes) -> None:
        """Add a packet at its time."""
        self.packets.append((time_ns, len(self.packets), frame))

    def ordered(self) -> list[tuple[int, bytes]]:
        """The packets by time."""
        return [(time_ns, frame) for time_ns, _, frame in sorted(self.packets)]

    def write(self, path: Path) -> Path:
        """Write them as pcap of link type RAW."""
        return write(path, self.ordered())


def write(path: Path, packets: Iterable[tuple[int, bytes]]) -> Path:
    """Write IP packets with their times as pcap."""
    with path.open("wb") as out:
        out.write(struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 101))
        for time_ns, frame in packets:
            out.write(struct.pack("<IIII", time_ns // 10**9, time_ns % 10**9, len(frame), len(frame)) + frame)
    return path


class Conversation:
    """One connection in clear text; each side speaks in turn and the other acknowledges."""

    def __init__(self, wire: Wire, client: tuple[str, int], server: tuple[str, int], time_ns: int) -> None:
        self.wire, self.ends, self.time_ns = wire, (client, server), time_ns
        self.seq = [client[1] * 65_537 % 2**32, (client[1] * 257 + 4_294_900_000) % 2**32]
        self.mss = MSS
        self._send(0, b"", SYN)
        self._send(1, b"", SYN | ACK)
        self._send(0, b"", ACK)

    def wait_until(self, time_ns: int) -> None:
        """Let time pass."""
        self.time_ns = max(self.time_ns, time_ns)

    def say(self, side: int, data: bytes) -> None:
        """Side 0 is the client, 1 the server."""
        self._stream(side, data)

    def close(self) -> None:
        """The client ends it, then the server."""
        self._send(0, b"", FIN | ACK)
        self._send(1, b"", FIN | ACK)
        self._send(0, b"", ACK)

    def _stream(self, side: int, data: bytes) -> None:
        for at in range(0, len(data), self.mss):
            self._send(side, data[at : at + self.mss], PSH | ACK)
        if data:
            self._send(1 - side, b"", ACK)

    def _send(self, side: int, payload: bytes, flags: int) -> None:
        (src, sport), (dst, dport) = self.ends[side], self.ends[1 - side]
        ack = self.seq[1 - side] if flags & ACK else 0
        tcp = struct.pack(">HHIIBBHHH", sport, dport, self.seq[side], ack, 5 << 4, flags, 64_000, 0, 0)
        body = tcp + payload
        if ":" in src:
            addresses = socket.inet_pton(socket.AF_INET6, src) + socket.inet_pton(socket.AF_INET6, dst)
            head = struct.pack(">IHBB", 6 << 28, len(body), 6, 64) + addresses
        else:
            number = len(self.wire.packets) & 0xFFFF
            head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), number, 0, 64, 6, 0)
            head += socket.inet_aton(src) + socket.inet_aton(dst)
        self.wire.put(self.time_ns, head + body)
        self.time_ns += STEP_NS
        self.seq[side] = (self.seq[side] + len(payload) + bool(flags & (SYN | FIN))) % 2**32


class Encrypted(Conversation):
    """The same inside TLS."""

    def __init__(self, wire: Wire, client: tuple[str, int], server: tuple[str, int], time_ns: int,
                 contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:  # fmt: skip
        super().__init__(wire, client, server, time_ns)
        self._bios = [(ssl.MemoryBIO(), ssl.MemoryBIO()) for _ in contexts]
        self._tls = [
            context.wrap_bio(
                *bios, server_side=bool(side), server_hostname=None if side else "www.shop.example"
            )
            for side, (context, bios) in enumerate(zip(contexts, self._bios, strict=True))
        ]
        waiting = {0, 1}
        while waiting:
            for side in (0, 1):
                try:
                    if side in waiting:
                        self._tls[side].do_handshake()
                        waiting.discard(side)
                except ssl.SSLWantReadError:
                    pass
                self._flush(side)

    def say(self, side: int, data: bytes) -> None:
        """As above; the other end reads it, so that its tickets and alerts go out as well."""
        if data:
            self._tls[side].write(data)
        self._flush(side)
        left = len(data)
        while left:
            left -= len(self._tls[1 - side].read(left))

    def _flush(self, side: int) -> None:
        said = self._bios[side][1].read()
        self._bios[1 - side][0].write(said)
        self._stream(side, said)


def contexts(
    folder: Path, *, version: ssl.TLSVersion, ciphers: str = ""
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a client, which logs its keys to ``keys.log`` in this folder, and of a server."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "www.shop.example")])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin.replace(year=2099))
    certificate = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + certificate)
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.keylog_filename = str(folder / "keys.log")
    server.load_cert_chain(folder / "server.pem")
    for context in (client, server):
        context.minimum_version = context.maximum_version = version
        if ciphers:
            context.set_ciphers(ciphers)
    return client, server


def get(path: str, *headers: str) -> bytes:
    """A request of HTTP/1.1."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: www.shop.example", *headers, "", ""]).encode()


def answer(status: int = 200, size: int = 300) -> bytes:
    """An answer of HTTP/1.1."""
    return f"HTTP/1.1 {status} OK\r\nContent-Length: {size}\r\n\r\n".encode() + bytes(size)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2 (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def headers(stream: int, path: str) -> bytes:
    """A request of HTTP/2: GET, https, path and authority as literals (RFC 7541, appendix A)."""
    text = bytes([0x82, 0x87, 0x04, len(path)]) + path.encode() + b"\x01\x10www.shop.example"
    return frame(1, 5, stream, text)


class Sealer:
    """TLS 1.3 written here, for what the module ``ssl`` cannot be told: suites, KeyUpdate, early data."""

    def __init__(
        self, random: bytes, cipher: Callable[[bytes], AESGCM | ChaCha20Poly1305], key: int, digest: str
    ) -> None:
        self.random, self.cipher, self.key, self.digest = random, cipher, key, digest
        self.size = 48 if digest == "sha384" else 32
        self.log = ""
        self._secrets: dict[str, bytes] = {}
        self._numbers: dict[str, int] = {}

    def secret(self, label: str) -> None:
        """Choose a secret and log it."""
        self._secrets[label] = hashlib.sha512(self.random + label.encode()).digest()[: self.size]
        self._numbers[label] = 0
        self.log += f"{label} {self.random.hex()} {self._secrets[label].hex()}\n"

    def update(self, label: str) -> None:
        """Go on with the next generation of a secret (RFC 8446, 7.2)."""
        self._secrets[label] = self._expand(self._secrets[label], b"traffic upd", self.size)
        self._numbers[label] = 0

    def hello(self) -> bytes:
        """The record of a ClientHello; nothing but the random matters."""
        body = b"\x03\x03" + self.random + b"\0" + b"\0\x02\x13\x01" + b"\x01\0" + b"\0\0"
        message = b"\x01" + len(body).to_bytes(3, "big") + body
        return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message

    def seal(self, label: str, kind: int, data: bytes, padding: int = 0) -> bytes:
        """One record (RFC 8446, 5.2)."""
        secret, number = self._secrets[label], self._numbers[label]
        self._numbers[label] += 1
        nonce = int.from_bytes(self._expand(secret, b"iv", 12), "big") ^ number
        inner = data + bytes([kind]) + bytes(padding)
        header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
        aead = self.cipher(self._expand(secret, b"key", self.key))
        return header + aead.encrypt(nonce.to_bytes(12, "big"), inner, header)

    def _expand(self, secret: bytes, label: bytes, size: int) -> bytes:
        algorithm = hashes.SHA384() if self.digest == "sha384" else hashes.SHA256()
        label = b"tls13 " + label
        info = size.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
        return HKDFExpand(algorithm, size, info).derive(secret)
