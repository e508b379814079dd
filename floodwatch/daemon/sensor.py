"""The sensor: the process that parses hostile bytes and holds no right.

The enforcer starts it with one end of a line as its only possession. It imports everything, makes rings of
the packet sockets that it is given, gives up what it has left of rights, and only then looks at a packet. It
ends when the line does.
"""

from __future__ import annotations

import ctypes
import errno
import math
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from .._engine import Engine
from .._sketches import hll_estimate
from ..capture import rings
from ..config.options import Counters
from ..errors import ConfigError, FloodwatchError
from ..history.answers import sent_in
from ..history.memory import Memory, Networks, decode, encode, nothing
from ..mitigate.places import Places
from ..model.decision import Decision
from ..model.epoch import SYN, SYNACK
from ..model.event import Action
from ..model.summary import Summary
from ..pipeline.acting import Situation
from ..pipeline.privileges import drop, load_all
from ..pipeline.watch import Watch
from . import records
from .line import Line
from .picture import Counted, Link, Tallies
from .records import Beat, Kind, Ready, Start

if TYPE_CHECKING:
    from ..mitigate import Act

BEAT_S = 0.4
"""How often a sign of life is given."""
NETWORKS_S = 2.0
"""How often networks of clients are told while there are floods, if they changed."""
ENDS_S = 1.0
"""What was not told then is not told any more."""
WINDOW = "window"
STANDARD = 1.04
"""The standard error of a HyperLogLog is this over the root of the number of its registers."""
DIES_WITH = 1
"""PR_SET_PDEATHSIG."""


class Asking:
    """Acts for a watch by asking the enforcer: see ``pipeline.acting``.

    Args:
        line: to the enforcer.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._told: dict[Kind, Networks] = {}
        self._told_at = 0.0
        self._quiet = False
        self.dropped_ahead = 0
        self._syns = self._synacks = self._requests = 0
        self._took = Tallies()

    def heard(self, summary: Summary) -> None:
        """Tell what hosts sent, where any did, and count what begins connections, and requests."""
        packets = summary.hosts()["packets"]
        self._syns += int(packets[:, SYN].sum())
        self._synacks += int(packets[:, SYNACK].sum())
        self._requests += int(summary.victims["requests"].sum())
        sent = sent_in(summary)
        if len(sent):
            self._line.send(Kind.ANSWERED, records.write_answered(summary.epoch, sent))

    def judged(self, seconds: float) -> None:
        """Count how long it took to judge an epoch."""
        self._took.took(WINDOW, seconds)

    def counted(self, engine: Engine) -> Counted:
        """What was counted so far, here and in the engine."""
        registers = engine.total_sources()
        return Counted(
            syns=self._syns, synacks=self._synacks, requests=self._requests, bytes=engine.nbytes,
            sources=hll_estimate(registers), error=STANDARD / math.sqrt(len(registers)),
            windows={bound: count for (bound,), count in self._took.counted().get(WINDOW, {}).items()},
        )  # fmt: skip

    def act(self, situation: Situation) -> list[str]:
        """Ask; where there is nothing to ask for, say so once."""
        quiet = not situation.decisions
        if not quiet and time.monotonic() - self._told_at >= NETWORKS_S:
            self._told_at = time.monotonic()
            self._tell(Kind.KNOWN, situation.known)
            self._tell(Kind.SERVED, situation.served)
        if not (quiet and self._quiet):
            body = records.write_decisions(situation.decisions, one_way=situation.one_way)
            self._line.send(Kind.DECISIONS, body)
        self._quiet = quiet
        return []

    def _tell(self, kind: Kind, networks: Networks) -> None:
        if kind not in self._told or not np.array_equal(self._told[kind], networks):
            self._told[kind] = networks
            self._line.send(kind, records.write_networks(networks))

    def acts(self) -> list[Act]:
        """What is done, the enforcer knows."""
        return []

    def taken(self, decisions: Sequence[Decision]) -> Mapping[str, Action]:
        """What was done, the enforcer puts into the events."""
        del decisions
        return {}

    def ahead(self) -> int:
        """As the enforcer told it last."""
        return self.dropped_ahead


class Sockets:
    """The packet sockets that the enforcer handed over; where there is none, it is asked for another.

    Args:
        line: they come by it.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._asked = False

    def __call__(self, interface: str) -> socket.socket:
        """One of them; see ``capture.ring.Opener``. Whoever gets none looks again soon."""
        if not self._line.passed:
            if not self._asked:
                self._line.send(Kind.WANT)
            self._asked = True
            raise OSError(errno.EAGAIN, f"no packet socket for {interface} yet")
        self._asked = False
        return socket.socket(fileno=self._line.passed.popleft())


class Sensor:
    """One sensor, from its start to the end of its line."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._stop = threading.Event()
        self._asking = Asking(line)
        self._next_beat = 0.0

    def run(self) -> None:
        """See the module."""
        start = self._await_start()
        sockets = Sockets(self._line)
        memory = self._remembered(start.learnt)
        with closing(Places()) as places:
            watch = Watch(
                start.interfaces,
                start.options,
                self._stop,
                self._asking,
                places,
                sockets,
                memory,
                reports=False,
            )
            with closing(watch):
                encode(nothing())  # loads what that takes
                confined = drop(reads=load_all())
                self._die_with_the_enforcer()
                self._beat(watch, watch.counters())  # whoever hears that it is ready may ask where it stands
                self._line.send(Kind.READY, records.encode(Ready(confined.uid, confined.notes)))
                watch.analysis.judged = self._asking.judged
                watch.on_tick = lambda: self._serve(watch)
                watch.also = [self._line.socket]
                self._watch(watch)
                self._beat(watch, watch.counters(), last=True)
        self._line.finish(ENDS_S)

    def _remembered(self, learnt: bytes | None) -> Memory | None:
        """What another sensor had learnt; where it cannot be read, this one learns anew."""
        try:
            return decode(learnt) if learnt else None
        except ConfigError as error:
            self._line.send(Kind.NOTE, f"{error}; it is learnt anew".encode())
            return None

    def _await_start(self) -> Start:
        self._line.socket.setblocking(True)
        while True:
            for kind, body in self._line.read():
                if kind == Kind.START:
                    self._line.socket.setblocking(False)
                    return records.read_start(body)

    def _die_with_the_enforcer(self) -> None:
        """Be killed where the enforcer is: a new user had undone that."""
        parent = os.getppid()
        ctypes.CDLL(None).prctl(DIES_WITH, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent or parent == 1:
            raise EOFError

    def _watch(self, watch: Watch) -> None:
        for moment in watch.moments():
            for change in moment.changes:
                self._line.send(Kind.CHANGE, records.write_change(change))
            for note in moment.notes:
                self._line.send(Kind.NOTE, note.encode())
            self._beat(watch, moment.counters)

    def _beat(self, watch: Watch, counters: Counters, *, last: bool = False) -> None:
        now = time.monotonic()
        if now < self._next_beat and not last:
            return
        self._next_beat = now + BEAT_S
        links = tuple(_told(link) for link in watch.taps.links())
        floods = Counter(one.vector for one in watch.analysis.decisions())
        counted = self._asking.counted(watch.analysis.engine)
        beat = Beat(counters, links, dict(floods), watch.taps.rejected, counted)
        self._line.send(Kind.BEAT, records.encode(beat))

    def _serve(self, watch: Watch) -> None:
        """Between epochs too: send what waits, do what the enforcer asks.

        Raises:
            EOFError: the enforcer is gone.
        """
        try:
            self._line.flush()
        except OSError as error:
            raise EOFError from error
        for kind, body in self._line.read():
            match kind:
                case Kind.STOP:
                    self._stop.set()
                case Kind.PULSE:
                    self._asking.dropped_ahead = int.from_bytes(body, "little")
                case Kind.SAVE:
                    self._line.send(Kind.LEARNT, encode(watch.analysis.detection.learnt()))


def _told(link: rings.Link) -> Link:
    lost = {"ring": link.lost - link.missed, "nic": link.missed}
    return Link(name=link.name, up=link.up, packets=link.packets, bytes=link.bytes, lost=lost, full=link.full)


def main() -> int:
    """Run on the line whose descriptor the first argument names."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # they are for the enforcer
    line = Line(socket.socket(fileno=int(sys.argv[1])))
    try:
        Sensor(line).run()
    except (EOFError, BrokenPipeError):
        return 1  # there is nobody to tell
    except FloodwatchError as error:
        line.send(Kind.NOTE, f"the sensor cannot watch: {error}".encode())
        line.finish(ENDS_S)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
