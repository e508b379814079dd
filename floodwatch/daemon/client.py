"""A client of the control socket: asks a daemon one order at a time."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from ..errors import BlockRefused, ConfigError, ConfigErrors, DaemonUnreachable, EnvironmentFault
from .orders import A, Answer, Events, Order, Request, Told

PIECE = 1 << 16
_answer = msgspec.json.Decoder(Answer)
_encode = msgspec.json.Encoder().encode
REFUSALS = {"refused": BlockRefused, "bad_request": ConfigError, "too_long": ConfigError}
"""What is raised for the faults that are the asker's; for all others it is an EnvironmentFault."""


class Client:
    """Asks at a socket; every order on a connection of its own, for a daemon lets go who says nothing.

    Args:
        path: of the socket.
        timeout_s: how long an answer may take.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self.path, self._timeout_s = path, timeout_s

    def ask(self, order: Order[A]) -> A:
        """The answer to an order.

        Raises:
            DaemonUnreachable: there is none, or it takes too long.
            BlockRefused, ConfigError: the order cannot be carried out as it is.
            EnvironmentFault: the daemon could not, or may not for us.
        """
        with self._asked(order, self._timeout_s) as answers:
            answer = next(answers)
        found: A = msgspec.json.decode(answer.result or b"null", type=type(order).answered())
        return found

    def events(self, order: Events) -> Iterator[Told]:
        """What happened, and with ``follow`` what happens, as long as the daemon lives; raises as ``ask``."""
        with self._asked(order, None if order.follow else self._timeout_s) as answers:
            for answer in answers:
                if not answer.more:
                    return
                yield msgspec.json.decode(answer.result or b"null", type=Told)

    @contextmanager
    def _asked(self, order: Order[A], timeout_s: float | None) -> Iterator[Iterator[Answer]]:
        request = Request(type(order).name(), args=msgspec.Raw(_encode(order)))
        try:
            with socket.socket(socket.AF_UNIX) as daemon:
                daemon.settimeout(self._timeout_s)
                daemon.connect(str(self.path))
                with suppress(BrokenPipeError):  # it let us go at once: what it said is still to be read
                    daemon.sendall(_encode(request) + b"\n")
                yield self._answers(daemon, timeout_s)
        except PermissionError as error:
            raise EnvironmentFault(f"no right to ask at {self.path}: be root, or in its group") from error
        except TimeoutError as error:
            raise self._nobody(f"gave no answer within {self._timeout_s:g} s") from error
        except OSError as error:
            raise self._nobody(f"does not answer ({error.strerror})") from error

    def _answers(self, daemon: socket.socket, timeout_s: float | None) -> Iterator[Answer]:
        """The answers, as they come."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        held = bytearray()
        while True:
            daemon.settimeout(None if end is None else max(end - time.monotonic(), 0.001))
            piece = daemon.recv(PIECE)
            if not piece:
                raise self._nobody("closed the connection")
            held += piece
            *lines, rest = held.split(b"\n")
            for line in lines:
                yield self._sound(bytes(line))
            held = rest

    def _sound(self, line: bytes) -> Answer:
        try:
            answer = _answer.decode(line)
        except ValueError as error:
            raise self._nobody(f"gave no answer that this version understands ({error})") from None
        if (fault := answer.error) is not None:
            if len(told := fault.says.splitlines()) > 1:
                raise ConfigErrors(told)
            raise REFUSALS.get(fault.code, EnvironmentFault)(fault.says)
        return answer

    def _nobody(self, why: str) -> DaemonUnreachable:
        start = "start it with: systemctl start floodwatch"
        return DaemonUnreachable(f"the daemon at {self.path} {why}; is it there? {start}")
