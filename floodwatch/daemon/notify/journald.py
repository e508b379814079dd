"""Entries of systemd's journal, with fields to search by: ``journalctl FLOODWATCH_VICTIM=192.0.2.1``."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from ...mitigate import Act
from ...report.events import line
from . import datagram
from .letter import INFORMATION, Letter, Receiver

SOCKET = "/run/systemd/journal/socket"


class Journald(Receiver):
    """Sends entries in the journal's own protocol."""

    logs = True

    def send(self, letter: Letter) -> None:
        """Send one entry."""
        self._write(_event(letter))

    def log(self, act: Act) -> None:
        """Send one entry."""
        self._write(_act(act))

    def _write(self, fields: Mapping[str, object]) -> None:
        message = encode({"SYSLOG_IDENTIFIER": "floodwatch", **fields})
        datagram.send(socket.AF_UNIX, SOCKET, message, self.wanted.timeout_s)


def encode(fields: Mapping[str, object]) -> bytes:
    """Fields as the journal takes them; a value of several lines is told by its length."""
    out = bytearray()
    for name, value in fields.items():
        data = str(value).encode("utf-8", "backslashreplace")
        if b"\n" in data:
            out += name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
        else:
            out += name.encode() + b"=" + data + b"\n"
    return bytes(out)


def _event(letter: Letter) -> dict[str, object]:
    event = letter.event
    fields: dict[str, object] = {
        "MESSAGE": line(letter.what, event).decode().rstrip(),
        "PRIORITY": letter.priority,
        "FLOODWATCH_WHAT": letter.what,
        "FLOODWATCH_EVENT": event.id,
        "FLOODWATCH_VECTOR": event.vector.value,
        "FLOODWATCH_VERDICT": event.verdict,
        "FLOODWATCH_SEVERITY": event.severity,
        "FLOODWATCH_CONFIDENCE": event.confidence,
        "FLOODWATCH_VICTIM": event.victim.ip,
        "FLOODWATCH_PEAK": event.rate.peak,
        "FLOODWATCH_UNIT": event.rate.unit,
        "FLOODWATCH_ORIGIN": event.sources.origin,
        "FLOODWATCH_RECOMMENDED": event.action.recommended,
        "FLOODWATCH_TAKEN": event.action.taken,
    }
    return fields if event.victim.port is None else {**fields, "FLOODWATCH_PORT": event.victim.port}


def _act(act: Act) -> dict[str, object]:
    fields: dict[str, object | None] = {
        "MESSAGE": act.says,
        "PRIORITY": INFORMATION,
        "FLOODWATCH_ACT": act.what,
        "FLOODWATCH_TARGET": act.target,
        "FLOODWATCH_EVENT": act.event,
        "FLOODWATCH_BY": act.by,
        "FLOODWATCH_WHY": act.why,
    }
    return {name: value for name, value in fields.items() if value is not None}
