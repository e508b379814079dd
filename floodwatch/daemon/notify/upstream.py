"""Floods told to routers upstream, by ExaBGP or GoBGP: routes of FlowSpec that slow them down on their way.

Off unless it is configured; nothing is announced but while rules may be set here as well. What is announced
is held by a process of its own (``speaker``), which takes it back when this one ends in whatever way.
"""

from __future__ import annotations

import ipaddress
import select
import subprocess
import sys
import time
from contextlib import suppress

import msgspec

from ...config.settings import Receiver as Wanted
from ...errors import ConfigError, InputError
from .letter import Letter, May, Receiver, Undelivered
from .routes import Order, routes_of

LIFETIME_S = 150.0
"""A route ends so much later unless it is renewed: an event that lasts is told every minute."""
ENDS_S = 4.0
PIPE = "/run/exabgp/exabgp.in"


class Upstream(Receiver):
    """Announces routes while floods last.

    Raises:
        ConfigError: it is not said which networks are ours, or the pipe of ExaBGP is none.
    """

    every_s = 0.5

    def __init__(self, wanted: Wanted, may: May) -> None:
        super().__init__(wanted, may)
        if not wanted.home:
            raise ConfigError(f"{wanted.type} needs home: the networks that are yours")
        try:
            self._home = [ipaddress.ip_network(network) for network in wanted.home]
        except ValueError as error:
            raise ConfigError(f"{wanted.type} needs networks as home: {error}") from None
        path = PIPE if wanted.path is None else wanted.path
        if not path.endswith(".in"):
            raise ConfigError(f"exabgp takes its pipe for commands as path, as {PIPE}, not {path}")
        self._target = [path] if wanted.type == "exabgp" else list(wanted.argv or ("gobgp",))
        self._speaker: subprocess.Popen[bytes] | None = None
        self._events = set[str]()

    def send(self, letter: Letter) -> None:
        """Announce what may be announced about an event, or withdraw it."""
        event = letter.event
        if letter.what == "ended" or not self.may():
            self._drop(event.id)
            return
        try:
            routes = tuple(routes_of(event, self._home))
        except InputError as error:
            raise Undelivered(str(error)) from None
        if routes:
            self._events.add(event.id)
            self._order(Order(event.id, routes, LIFETIME_S))

    def look(self) -> None:
        """Withdraw everything as soon as no rules may be set any more."""
        if self._events and not self.may():
            for event in list(self._events):
                with suppress(Undelivered):  # the speaker goes on trying, and each route ends by itself
                    self._drop(event)

    def _drop(self, event: str) -> None:
        if event in self._events:
            self._events.discard(event)
            self._order(Order(event))

    def _order(self, order: Order) -> None:
        """Give the speaker an order, and wait for its answer."""
        speaker = self._speaker
        if speaker is None or speaker.poll() is not None:
            if not order.routes:
                return  # it has withdrawn everything before it ended
            speaker = self._speaker = self._start()
        assert speaker.stdin is not None
        assert speaker.stdout is not None
        try:
            speaker.stdin.write(msgspec.json.encode(order) + b"\n")
            answer, until = b"", time.monotonic() + self.wanted.timeout_s
            while not answer.endswith(b"\n"):
                ready, _, _ = select.select([speaker.stdout], [], [], max(until - time.monotonic(), 0.0))
                more = speaker.stdout.read(4096) if ready else b""
                if not more:
                    raise BrokenPipeError
                answer += more
        except BrokenPipeError:
            self._end()
            raise Undelivered("the process that speaks for us does not answer", again=True) from None
        if said := answer.decode().strip():
            raise Undelivered(said)

    def _start(self) -> subprocess.Popen[bytes]:
        isolated = "-I" if sys.flags.isolated else "-P"
        command = [sys.executable, isolated, "-m", f"{__package__}.speaker", self.wanted.type, *self._target]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, cwd="/", start_new_session=True
        )

    def _end(self) -> None:
        """Let the speaker withdraw everything, and end."""
        speaker, self._speaker = self._speaker, None
        if speaker is None:
            return
        assert speaker.stdin is not None
        assert speaker.stdout is not None
        speaker.stdin.close()
        try:
            speaker.wait(ENDS_S)
        except subprocess.TimeoutExpired:
            speaker.kill()
            speaker.wait()
        speaker.stdout.close()

    def close(self) -> None:
        """Withdraw everything."""
        self._end()
