"""Lines for syslog, as RFC 5424 has them: over UDP (RFC 5426), or to a socket of this host."""

from __future__ import annotations

import os
import re
import socket
from datetime import UTC, datetime

from ...config.settings import Receiver as Wanted
from ...errors import ConfigError
from ...mitigate import Act
from ...report.escape import printable
from ...report.events import line
from . import datagram
from .letter import INFORMATION, Letter, May, Receiver, Undelivered

DAEMON = 3
"""The facility of system daemons."""
PORT = 514
LONGEST = 2048
"""Bytes that every receiver has to take (RFC 5424, 6.1)."""
UDP = re.compile(r"udp://(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?", re.ASCII)


class Syslog(Receiver):
    """Sends lines.

    Raises:
        ConfigError: it is no such address.
    """

    logs = True

    def __init__(self, wanted: Wanted, may: May) -> None:
        super().__init__(wanted, may)
        address = wanted.address or ""
        self._path = address.removeprefix("unix:") if address.startswith("unix:/") else ""
        found = UDP.fullmatch(address)
        if not (self._path or found):
            raise ConfigError(
                f"syslog needs an address as udp://192.0.2.1:514 or unix:/dev/log, not {address!r}"
            )
        self._host = (found[1] or found[2]) if found else ""
        self._port = int(found[3] or PORT) if found else 0
        name = socket.gethostname()
        self._host_name = name if re.fullmatch(r"[!-~]{1,255}", name) else "-"

    def send(self, letter: Letter) -> None:
        """Send one line."""
        said = line(letter.what, letter.event).decode().rstrip()
        self._write(letter.what, letter.priority, f"{said}  {letter.event.id}")

    def log(self, act: Act) -> None:
        """Send one line."""
        self._write(act.what, INFORMATION, act.says)

    def _write(self, what: str, priority: int, text: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = f"<{DAEMON * 8 + priority}>1 {now} {self._host_name} floodwatch {os.getpid()} {what} -"
        message = f"{head} {printable(text)}".encode()[:LONGEST]
        if self._path:
            datagram.send(socket.AF_UNIX, self._path, message, self.wanted.timeout_s)
            return
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise Undelivered(f"{self._host} has no address: {error.strerror}", again=True) from None
        family, _, _, _, (host, port, *_) = found[0]
        datagram.send(family, (str(host), int(port)), message, self.wanted.timeout_s)
