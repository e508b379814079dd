"""Secrets of TLS connections by their client random, from key logs (SSLKEYLOGFILE) and from pcapng itself.

The format is that of draft-ietf-tls-keylogfile; pcapng holds the same text in its Decryption Secrets Blocks.

Of a file only an index is kept, 16 bytes a line: what a connection needs is read when it comes. So a log of
millions of connections costs little memory.
"""

from __future__ import annotations

import os
import re
import stat
from array import array
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

import numpy as np

from ..errors import ConfigError

LINE_MOST = 512
"""Bytes of a line; the longest that means something has 207."""
LINES_MOST = 1 << 24
"""Lines of a file that are taken in; 256 MiB of index."""
PIPE_MOST = 256 << 20
"""Bytes of a log that cannot be read twice (a pipe): it is kept whole."""
HELD_MOST = 100_000
"""Connections whose secrets from blocks of pcapng are held; the oldest make room."""
EARLY, MASTER = "CLIENT_EARLY_TRAFFIC_SECRET", "CLIENT_RANDOM"
HANDSHAKE = ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET")
TRAFFIC = ("CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0")
USED = frozenset({EARLY, MASTER, *HANDSHAKE, *TRAFFIC})
"""Labels whose secrets open records; others that the format knows are passed over."""
_LINE = re.compile(rb"([A-Z][A-Z0-9_]*) ([0-9a-fA-F]{64}) ((?:[0-9a-fA-F]{2}){32,64})[ \t\r\n]*")
_OTHER = re.compile(rb"(?:#.*|RSA [0-9a-fA-F]{16} [0-9a-fA-F]{96})?[ \t\r\n]*", re.DOTALL)
SIZES = (32, 48)
"""Bytes of a secret: as long as the digest of its suite; a master secret has 48."""

Secrets = dict[str, bytes]


class _Lines:
    """Lines that are read, and counted.

    Attributes:
        lines: that hold a secret which opens records.
        nonsense: lines that are none of a key log.
        first: where the first of these stands, or None.
    """

    def __init__(self) -> None:
        self.lines = self.nonsense = 0
        self.first: str | None = None

    def _secret(self, line: bytes, where: str) -> tuple[str, bytes, bytes] | None:
        """Label, client random and secret of a line; None where it holds none."""
        try:
            secret = _read(line)
        except ValueError:
            self.nonsense += 1
            self.first = self.first or where
            return None
        self.lines += secret is not None
        return secret


class Log(_Lines):
    """One key log that was read; ``first`` is told as ``keys.log:17``."""

    def __init__(self, path: str) -> None:
        """Read a key log.

        Raises:
            ConfigError: it cannot be opened or read, or has too many lines.
        """
        super().__init__()
        self._path = path
        self._data = b""
        try:
            self._file = open(path, "rb")  # noqa: SIM115 (it is read from as long as this lives)
            if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                self._data = self._file.read(PIPE_MOST)
            self._index()
        except OSError as error:
            raise ConfigError(f"cannot read the key log {path}: {error.strerror}") from error

    def _index(self) -> None:
        randoms, places = array("Q"), array("Q")
        for number, at, line in _lines(self._file, self._data):
            secret = self._secret(line, f"{self._path}:{number}")
            if secret is None:
                continue
            if self.lines > LINES_MOST:
                raise ConfigError(f"the key log {self._path} has more than {LINES_MOST:,} secrets: cut it up")
            randoms.append(int.from_bytes(secret[1][:8], "big"))
            places.append(at)
        order = np.argsort(np.frombuffer(randoms, np.uint64), kind="stable")
        self._randoms = np.frombuffer(randoms, np.uint64)[order]
        self._places = np.frombuffer(places, np.uint64)[order]

    def find(self, random: bytes) -> Secrets:
        """The secrets of a connection by label; empty where the log has none."""
        wanted = np.uint64(int.from_bytes(random[:8], "big"))
        low, high = np.searchsorted(self._randoms, wanted), np.searchsorted(self._randoms, wanted, "right")
        found: Secrets = {}
        for at in self._places[low:high].tolist():
            with suppress(ValueError):  # the file may have been written anew
                secret = _read(self._line(at))
                if secret is not None and secret[1] == random:
                    found[secret[0]] = secret[2]
        return found

    def _line(self, at: int) -> bytes:
        if self._data:
            return self._data[at : at + LINE_MOST].partition(b"\n")[0]
        # captures that are read at the same time share the log, and no place in it
        return os.pread(self._file.fileno(), LINE_MOST, at).partition(b"\n")[0]

    def close(self) -> None:
        """Give back the file."""
        self._file.close()


class Keys(_Lines):
    """The secrets for one capture: of a log that was given, and of blocks in the capture itself, whose lines
    are counted.

    Attributes:
        log: what was given, or None.
    """

    def __init__(self, log: Log | None) -> None:
        super().__init__()
        self.log = log
        self._held: dict[bytes, Secrets] = {}

    def __bool__(self) -> bool:
        return self.log is not None or bool(self._held)

    def find(self, random: bytes) -> Secrets:
        """The secrets of a connection by label; empty where nothing knows it."""
        held = self._held.get(random, {})
        return held | self.log.find(random) if self.log else held

    def take(self, text: bytes) -> None:
        """Take in the text of a block; damaged lines are counted."""
        for number, line in enumerate(text.split(b"\n"), 1):
            secret = self._secret(line, f"line {number} of a block of secrets")
            if secret is None:
                continue
            self._held.setdefault(secret[1], {})[secret[0]] = secret[2]
            if len(self._held) > HELD_MOST:
                del self._held[next(iter(self._held))]


def _read(line: bytes) -> tuple[str, bytes, bytes] | None:
    """Label, client random and secret of a line; None for one that is passed over.

    Raises:
        ValueError: it is none of a key log.
    """
    match = _LINE.fullmatch(line)
    if match is None:
        if _OTHER.fullmatch(line):
            return None
        raise ValueError("no line of a key log")
    label = match[1].decode()
    if label not in USED:
        return None
    secret = bytes.fromhex(match[3].decode())
    if len(secret) not in SIZES or (label == MASTER and len(secret) != SIZES[1]):
        raise ValueError("a secret of no digest")
    return label, bytes.fromhex(match[2].decode()), secret


def _lines(file: BinaryIO, data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, place and bytes of each line; of an overlong one the beginning."""
    if data:
        at = 0
        for number, line in enumerate(data.split(b"\n"), 1):
            yield number, at, line[:LINE_MOST]
            at += len(line) + 1
        return
    at = number = 0
    while line := file.readline(LINE_MOST):
        begun, number = at, number + 1
        at += len(line)
        rest = line
        while rest and not rest.endswith(b"\n") and len(rest) == LINE_MOST:
            rest = file.readline(LINE_MOST)
            at += len(rest)
        yield number, begun, line
