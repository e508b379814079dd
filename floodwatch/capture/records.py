"""The records of one direction of a TLS connection whose secrets are known: bytes in, application data out.

Records of the handshake stay what they are: who judges handshakes sees them, and no keys are needed for it.

TLS 1.3 (RFC 8446) with AES-128-GCM, AES-256-GCM and ChaCha20-Poly1305; TLS 1.2 (RFC 5246) with the suites of
the same ciphers (RFC 5288, 5289, 7905). In TLS 1.3 each direction is read for itself, so that one is enough:
which secret protects a record, and which cipher, shows by what opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from .hkdf import expand_label, prf
from .keylog import EARLY, HANDSHAKE, MASTER, TRAFFIC, Secrets

CHANGE, ALERT, SHAKE, DATA = 20, 21, 22, 23
HEADER = 5
RECORD_MOST = (1 << 14) + 2048
"""Bytes of a record's content (RFC 5246, 6.2.3); TLS 1.3 allows fewer."""
SKIPPED_MOST = 64
"""Records that nothing opens, before the first that something does: early data that the server refused (RFC
8446, 4.2.10), some 16 KiB of it as most servers allow, in small ones."""
TAG = 16
SERVER_HELLO = 2
SERVER_HELLO_MOST = 1024
CHACHA = 12
"""Bytes of a nonce that the secrets give; for AES-GCM in TLS 1.2 four, and eight stand in the record."""
SUITES: dict[int, tuple[Callable[[bytes], Aead], int, str]] = {
    **dict.fromkeys((0x009C, 0x009E, 0xC02B, 0xC02F), (AESGCM, 16, "sha256")),
    **dict.fromkeys((0x009D, 0x009F, 0xC02C, 0xC030), (AESGCM, 32, "sha384")),
    **dict.fromkeys((0xCCA8, 0xCCA9, 0xCCAA), (ChaCha20Poly1305, 32, "sha256")),
}
"""Cipher suites of TLS 1.2: cipher, bytes of its key, digest of the PRF."""


class Aead(Protocol):
    """A cipher with its key."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """The plaintext; raises InvalidTag."""


class _GaveUpError(Exception):
    """Nothing more of a direction can be read."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Records:
    """Cuts the bytes of one direction into records.

    Attributes:
        opened: protected records that were opened.
        failed: those that nothing opened.
        reason: why nothing more can be read (see ``model.report.Decrypted``), or None.
    """

    def __init__(self) -> None:
        self.opened = 0
        self.failed = 0
        self.reason: str | None = None
        self._bytes = bytearray()

    @property
    def held(self) -> int:
        """Bytes that wait for the rest of their record."""
        return len(self._bytes)

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take the next bytes of the stream.

        Returns:
            Of the records that are whole now those of the handshake, as they are, and the application data.
        """
        self._bytes += data
        shaken, out = [], []
        try:
            for header, content in self._cut():
                inner = self._open(header, content)
                if inner is None:
                    shaken.append(header + content)
                else:
                    out.append(inner)
        except _GaveUpError as error:
            self.reason = error.reason
            self._bytes.clear()
        return b"".join(shaken), b"".join(out)

    def _cut(self) -> Iterator[tuple[bytes, bytes]]:
        while len(self._bytes) >= HEADER:
            kind, size = self._bytes[0], int.from_bytes(self._bytes[3:HEADER], "big")
            if not CHANGE <= kind <= DATA or self._bytes[1] != 3 or size > RECORD_MOST:
                raise _GaveUpError("broken")
            if len(self._bytes) < HEADER + size:
                return
            record = bytes(self._bytes[: HEADER + size])
            del self._bytes[: HEADER + size]
            yield record[:HEADER], record[HEADER:]

    def _open(self, header: bytes, content: bytes) -> bytes | None:
        """The application data of a record, perhaps none; None: it belongs to the handshake."""
        raise NotImplementedError


class _Protection:
    """One traffic secret of TLS 1.3 and the number of its next record."""

    def __init__(self, secret: bytes, cipher: Callable[[bytes], Aead], size: int) -> None:
        self.secret, self.cipher, self.size = secret, cipher, size
        self.digest = _digest(secret)
        self._aead = cipher(expand_label(secret, "key", size, self.digest))
        self._vector = int.from_bytes(expand_label(secret, "iv", 12, self.digest), "big")
        self._number = 0

    def open(self, header: bytes, content: bytes) -> bytes:
        """The inner plaintext; raises InvalidTag."""
        inner = self._aead.decrypt((self._vector ^ self._number).to_bytes(12, "big"), content, header)
        self._number += 1
        return inner

    def updated(self) -> _Protection:
        """What a KeyUpdate makes of it (RFC 8446, 7.2)."""
        size = 32 if self.digest == "sha256" else 48
        return _Protection(
            expand_label(self.secret, "traffic upd", size, self.digest), self.cipher, self.size
        )


def _digest(secret: bytes) -> str:
    return "sha256" if len(secret) == 32 else "sha384"


def _ciphers(secret: bytes) -> list[tuple[Callable[[bytes], Aead], int]]:
    """What a secret of this length may belong to."""
    return [(AESGCM, 32)] if len(secret) == 48 else [(AESGCM, 16), (ChaCha20Poly1305, 32)]


class Records13(Records):
    """One direction of TLS 1.3."""

    def __init__(self, secrets: Secrets, side: int) -> None:
        """Prepare for a direction; ``side`` 0 is the client's, 1 the server's."""
        super().__init__()
        labels = (HANDSHAKE[side], *((EARLY,) if side == 0 else ()), TRAFFIC[side])
        self._waiting = [secrets[label] for label in labels if label in secrets]
        self._shaking = secrets.get(HANDSHAKE[side])
        self._traffic = secrets.get(TRAFFIC[side])
        self._now: _Protection | None = None
        self._last = False

    def _open(self, header: bytes, content: bytes) -> bytes | None:
        if header[0] != DATA:
            return None
        if self._now is None and not self._waiting:
            raise _GaveUpError("keys")
        inner = self._inner(header, content)
        if inner is None:
            self.failed += 1
            if self._now is not None or self.failed > SKIPPED_MOST:
                raise _GaveUpError("tag" if self._traffic else "keys")
            return b""
        self.opened += 1
        inner = inner.rstrip(b"\0")
        if inner[-1:] == bytes([SHAKE]) and self._now is not None and self._now.secret == self._shaking:
            return None
        return inner[:-1] if inner[-1:] == bytes([DATA]) else b""

    def _inner(self, header: bytes, content: bytes) -> bytes | None:
        """The inner plaintext (RFC 8446, 5.2) by the secret of now or a later one; None: nothing opens it."""
        for protection in self._candidates():
            try:
                inner = protection.open(header, content)
            except (InvalidTag, ValueError):
                continue
            if protection.secret in self._waiting:
                self._last = protection.secret == self._traffic
                self._waiting = [one for one in self._waiting if one != protection.secret]
            self._now = protection
            return inner
        return None

    def _candidates(self) -> Iterator[_Protection]:
        if self._now is not None:
            yield self._now
        if self._last and self._now is not None:
            yield self._now.updated()
            return
        for secret in self._waiting:
            for cipher, size in _ciphers(secret):
                yield _Protection(secret, cipher, size)


class Session12:
    """What the two directions of a connection of TLS 1.2 share: the keys follow from both hellos."""

    def __init__(self, random: bytes, secrets: Secrets) -> None:
        self._random, self._master = random, secrets[MASTER]
        self._keys: list[tuple[Aead, bytes]] = []

    def greeted(self, hello: bytes) -> None:
        """Take the body of the ServerHello (RFC 5246, 7.4.1.3).

        Raises:
            _GaveUpError: its suite is none that is read.
        """
        at = 35 + hello[34]
        suite = SUITES.get(int.from_bytes(hello[at : at + 2], "big"))
        if suite is None:
            raise _GaveUpError("cipher")
        cipher, size, digest = suite
        fixed = CHACHA if cipher is ChaCha20Poly1305 else 4
        block = prf(self._master, "key expansion", hello[2:34] + self._random, 2 * (size + fixed), digest)
        ends = (size, 2 * size, 2 * size + fixed)
        client, server = block[: ends[0]], block[ends[0] : ends[1]]
        self._keys = [
            (cipher(client), block[ends[1] : ends[2]]),
            (cipher(server), block[ends[2] :]),
        ]

    def keys(self, side: int) -> tuple[Aead, bytes] | None:
        """Cipher and fixed part of the nonce of a direction, once they are known."""
        return self._keys[side] if self._keys else None


class Records12(Records):
    """One direction of TLS 1.2."""

    def __init__(self, session: Session12, side: int) -> None:
        """Prepare for a direction; ``side`` 0 is the client's, 1 the server's."""
        super().__init__()
        self._session, self._side = session, side
        self._hello: bytearray | None = bytearray() if side == 1 else None
        self._changed = False
        self._number = 0

    def _open(self, header: bytes, content: bytes) -> bytes | None:
        if self._changed:
            return self._opened(header, content)
        if header[0] == CHANGE:
            self._changed = True
        elif header[0] == DATA:
            raise _GaveUpError("broken")
        elif header[0] == SHAKE and self._hello is not None:
            self._listen(content)
        return None

    def _listen(self, content: bytes) -> None:
        """Look for the ServerHello, the first message."""
        assert self._hello is not None
        self._hello += content
        size = 4 + int.from_bytes(self._hello[1:4], "big")
        if len(self._hello) < 4 or (len(self._hello) < size <= SERVER_HELLO_MOST):
            return
        if self._hello[0] != SERVER_HELLO or size > SERVER_HELLO_MOST or size < 4 + 38 + self._hello[38]:
            raise _GaveUpError("broken")
        self._session.greeted(bytes(self._hello[4:size]))
        self._hello = None

    def _opened(self, header: bytes, content: bytes) -> bytes | None:
        keys = self._session.keys(self._side)
        if keys is None:  # a server says hello before anybody changes keys: that was not captured
            raise _GaveUpError("lost")
        aead, fixed = keys
        explicit = b"" if len(fixed) == CHACHA else content[:8]
        sealed = content[len(explicit) :]
        number = self._number.to_bytes(8, "big")
        plain = len(sealed) - TAG
        nonce = fixed + explicit
        if not explicit:  # RFC 7905, 2
            nonce = (int.from_bytes(fixed, "big") ^ self._number).to_bytes(CHACHA, "big")
        try:
            inner = aead.decrypt(nonce, sealed, number + header[:3] + max(plain, 0).to_bytes(2, "big"))
        except (InvalidTag, ValueError):
            self.failed += 1
            raise _GaveUpError("tag") from None
        self._number += 1
        self.opened += 1
        if header[0] == CHANGE:
            raise _GaveUpError("renegotiated")
        if header[0] == SHAKE:
            return None
        return inner if header[0] == DATA else b""


def both_directions(random: bytes, secrets: Secrets) -> tuple[Records, Records]:
    """What reads the client's and the server's direction of a connection with these secrets."""
    if MASTER in secrets:
        session = Session12(random, secrets)
        return Records12(session, 0), Records12(session, 1)
    return Records13(secrets, 0), Records13(secrets, 1)
