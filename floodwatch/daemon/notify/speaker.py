"""A process that holds what is announced upstream, and takes it back whatever becomes of its enforcer.

It reads orders from its standard input, a line each, and answers with a line: empty, or why not. When its
input ends, for its enforcer stopped or was killed, it withdraws all that it announced; so it does with a
route that nobody renewed in time.

    python -m floodwatch.daemon.notify.speaker exabgp PIPE.in
    python -m floodwatch.daemon.notify.speaker gobgp COMMAND...
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from ...report.escape import printable
from .letter import Undelivered
from .program import run
from .routes import Order, Route, exabgp, gobgp

ROUTES_MOST = 20
"""Routes that are announced at once."""
LIFETIME_MOST_S = 3600.0
ANSWER_S = 5.0
"""How long a speaker of BGP may take."""
LOOK_S = 0.5
ENDS_S = 3.0
"""So long it is tried to withdraw everything at the end."""
LINE_MOST = 1 << 16
Say = Callable[[Route, bool], None]


class Held:
    """What is announced.

    Args:
        say: announces a route, or withdraws it; raises Undelivered.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self._until: dict[Route, float] = {}
        self._event: dict[Route, str] = {}

    def take(self, order: Order) -> None:
        """Carry an order out.

        Raises:
            Undelivered: not all of it.
        """
        until = time.monotonic() + min(max(order.seconds, 0.0), LIFETIME_MOST_S)
        for route, event in self._event.items():
            if event == order.event and route not in order.routes:
                self._until[route] = 0.0
        self.expire()
        for route in order.routes:
            if route not in self._until and len(self._until) >= ROUTES_MOST:
                raise Undelivered(f"{ROUTES_MOST} routes are announced already: that is the limit")
            # remembered before it is said: what may have been announced is withdrawn
            self._until[route], self._event[route] = until, order.event
            self._say(route, True)

    def expire(self) -> None:
        """Withdraw what nobody renewed; what cannot be withdrawn now is tried again.

        Raises:
            Undelivered: something could not be withdrawn.
        """
        now = time.monotonic()
        for route in [route for route, until in self._until.items() if until <= now]:
            self._say(route, False)
            del self._until[route], self._event[route]

    def end(self) -> bool:
        """Withdraw everything; returns whether it is."""
        self._until = dict.fromkeys(self._until, 0.0)
        until = time.monotonic() + ENDS_S
        while self._until and time.monotonic() < until:
            try:
                self.expire()
            except Undelivered:
                time.sleep(LOOK_S / 5)
        return not self._until


def to_exabgp(path: str) -> Say:
    """Say it to ExaBGP."""
    command = through(path)
    return lambda route, announce: command(exabgp(route, announce=announce))


def through(path: str) -> Callable[[str], None]:
    """Commands go through the pipes of ExaBGP's command line: ``NAME.in``, and ``NAME.out`` for answers."""
    answers = path.removesuffix(".in") + ".out"

    def command(line: str) -> None:
        try:
            reader = os.open(answers, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise Undelivered(f"{answers}: {error.strerror}", again=True) from None
        try:
            with suppress(BlockingIOError):  # what was answered to somebody else
                while os.read(reader, LINE_MOST):
                    pass
            _write(path, line.encode() + b"\n")
            _done(reader)
        finally:
            os.close(reader)

    return command


def _write(path: str, line: bytes) -> None:
    try:
        writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(writer, line)  # shorter than PIPE_BUF: all of it, or nothing
        finally:
            os.close(writer)
    except OSError as error:
        raise Undelivered(f"{path}: {error.strerror}", again=True) from None


def _done(reader: int) -> None:
    """Wait for the answer: until it is read, ExaBGP may wait."""
    heard, until = b"", time.monotonic() + ANSWER_S
    while time.monotonic() < until:
        with suppress(BlockingIOError):
            heard += os.read(reader, LINE_MOST)
        lines = heard.split(b"\n")
        if b"done" in lines:
            return
        if b"error" in lines:
            raise Undelivered("ExaBGP does not take the route")
        time.sleep(0.02)  # the other end of a pipe is opened for each answer: there may be nobody to wait for
    raise Undelivered(f"ExaBGP does not answer within {ANSWER_S:g} s", again=True)


def to_gobgp(argv: Sequence[str]) -> Say:
    """Say it by GoBGP's own command."""
    return lambda route, announce: run([*argv, *gobgp(route, announce=announce)], b"", ANSWER_S)


def main(argv: Sequence[str]) -> int:
    """Hold routes until the input ends."""
    kind, *target = argv
    held = Held(to_exabgp(target[0]) if kind == "exabgp" else to_gobgp(target))
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda caught, _: stop.append(caught) if caught != signal.SIGHUP else None)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    orders, waiting = msgspec.json.Decoder(Order), b""
    while not stop:
        ready, _, _ = select.select([0], [], [], LOOK_S)
        if not ready:
            with suppress(Undelivered):
                held.expire()
            continue
        came = os.read(0, LINE_MOST)
        if not came or len(waiting) > LINE_MOST:
            break
        *lines, waiting = (waiting + came).split(b"\n")
        for line in lines:
            with suppress(BrokenPipeError):
                os.write(1, _answer(held, orders, line) + b"\n")
    return 0 if held.end() else 1


def _answer(held: Held, orders: msgspec.json.Decoder[Order], line: bytes) -> bytes:
    try:
        held.take(orders.decode(line))
    except (Undelivered, msgspec.MsgspecError) as error:
        return printable(str(error)).encode()
    return b""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
