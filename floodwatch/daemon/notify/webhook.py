"""An HTTP POST for each change of a flood: the event as JSON, signed."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import threading
import time
from contextlib import closing, suppress
from urllib.parse import urlsplit

from ...config.settings import Receiver as Wanted
from ...errors import ConfigError
from ...report.json import dump
from ...version import __version__
from .letter import Letter, May, Receiver, Undelivered

SECRET_LEAST = 16
"""Bytes of a key; a shorter one is guessed."""
LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
"""What a server answers when it may take the same another time."""


class Webhook(Receiver):
    """Posts to a server.

    ``X-Floodwatch-Signature`` is ``sha256=`` and the HMAC, as hexadecimal digits, over the time in
    ``X-Floodwatch-Timestamp``, a full stop, and the body: whoever has the key knows that it is from us, and
    not of yesterday. Redirections are not followed: they would lead the event elsewhere.

    Raises:
        ConfigError: it is no such URL, or a file cannot be read.
    """

    def __init__(self, wanted: Wanted, may: May) -> None:
        super().__init__(wanted, may)
        url = wanted.url if wanted.url_file is None else _secret(wanted.url_file).decode("ascii", "replace")
        parts = urlsplit(url or "")
        try:
            port, host = parts.port, parts.hostname
        except ValueError:
            host = None
        if parts.scheme not in ("http", "https") or not host or parts.username is not None:
            raise ConfigError("webhook needs the URL of a server, as https://hooks.example.net/flood")
        if not (url or "").isprintable() or " " in (url or ""):
            raise ConfigError("webhook needs a URL without spaces and control characters")
        self._host, self._port, self._secure = host, port, parts.scheme == "https"
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._key = None if wanted.secret_file is None else _secret(wanted.secret_file)
        if self._key is not None and len(self._key) < SECRET_LEAST:
            raise ConfigError(f"{wanted.secret_file} holds a key of less than {SECRET_LEAST} bytes")

    def send(self, letter: Letter) -> None:
        """Post it."""
        body, now = dump(letter.event), str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"floodwatch/{__version__}",
            "X-Floodwatch-What": letter.what,
            "X-Floodwatch-Timestamp": now,
        }
        if self._key is not None:
            mac = hmac.new(self._key, f"{now}.".encode() + body, hashlib.sha256)
            headers["X-Floodwatch-Signature"] = f"sha256={mac.hexdigest()}"
        status = self._post(body, headers)
        if not 200 <= status < 300:
            raise Undelivered(f"the server answers {status}", again=status in LATER)

    def _post(self, body: bytes, headers: dict[str, str]) -> int:
        """Post once; returns the status that the server answers."""
        seconds = self.wanted.timeout_s
        made = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        with (
            closing(made(self._host, self._port, timeout=seconds)) as connection,
            _Cut(connection, seconds) as cut,
        ):
            try:
                connection.request("POST", self._path, body, headers)
                status = connection.getresponse().status
            except (OSError, http.client.HTTPException) as error:
                why = getattr(error, "strerror", None) or str(error) or type(error).__name__
                raise Undelivered(f"the server cannot be reached: {why}", again=True) from None
        if cut.was:
            raise Undelivered(f"the server took longer than {seconds:g} s", again=True)
        return status


class _Cut:
    """Cuts a connection that takes too long in all: each step has a time of its own, and a server that sends
    a byte now and then would have all of them.
    """

    def __init__(self, connection: http.client.HTTPConnection, seconds: float) -> None:
        self.was = False
        self._connection = connection
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> _Cut:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        self.was = True
        if self._connection.sock is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)


def _secret(path: str) -> bytes:
    """What a file holds, without the end of its line."""
    try:
        with open(path, "rb") as file:
            return file.read(4096).strip()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
