"""The enforcer: the process that holds CAP_NET_ADMIN and never sees a packet.

One asyncio program. It keeps a sensor alive (``supervisor``), hands what that decides to the one thread that
touches the kernel (``hands``), hands on what became of it, and carries out the orders of operators.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from msgspec.structs import replace

from ..config.settings import Mode, Settings
from ..errors import ConfigError, EnforceError, FloodwatchError
from ..mitigate import Lock
from ..mitigate.clocks import clocks
from ..model.event import Change
from .authority import Authority
from .control import Control
from .drawn import counters, drawn
from .hands import Done, Hands
from .hearing import Hearing
from .outward import Listener, Outward
from .picture import Picture, Tallies
from .process import Spawned
from .records import Kind, Start
from .state import State
from .store import Saved, Store, place
from .supervisor import Supervisor
from .systemd import Manager
from .worker import Worker

TICK_S, RECONCILE_S = 1.0, 0.75
"""How often the enforcer shows that it goes on, and holds wanted against the kernel."""
REST, REST_MOST_S = 4.0, 5.0
"""It then rests for so many times as long as that took: thousands of blocks take a tenth of a second."""
HUNG_S, HANDS_S = 5.0, 30.0
"""A loop, or a thread, that is stuck for longer ends the process: the service manager starts another."""
TOLD_MOST = 400
LEARNT_S = 1.0
"""So long the sensor may take to tell what it learnt."""


class Enforcer:
    """The daemon. Carries out ``daemon.orders.Orders``.

    Args:
        load: reads the configuration; raises ConfigError.
        say: tells a line to people.
        listeners: who is told of events and acts.
        answer: tells a line that somebody asked for, if not ``say`` does.
        spawned: the process of the first sensor, if that was started before.

    Attributes:
        settings: what is configured.
        tallies: what is counted.

    Raises:
        ConfigError: the configuration is wrong.
    """

    def __init__(
        self,
        load: Callable[[], Settings],
        say: Callable[[str], object],
        listeners: tuple[Listener, ...] = (),
        answer: Callable[[str], object] | None = None,
        spawned: Spawned | None = None,
    ) -> None:
        self._load, self._say, self._listeners = load, say, list(listeners)
        self._answer = answer or say
        self.settings = load()
        self.tallies = Tallies()
        self._authority = Authority()
        self._manager = Manager()
        self._worker = Worker()
        self.on_hands = self._worker.do
        """Lets something that waits for the kernel be done where everything of that kind is."""
        self._hands = Hands(self.settings)
        self._due, self._stop, self._hup = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._heard = Hearing(self._hands, self._worker.submit, self._watches, self._due.set, self._changed,
                              say, self.tallies)  # fmt: skip
        self._sensors = Supervisor(self._start, self._heard.came, self._heard.gone, say, spawned)
        self._outward = Outward(self.tallies, self.picture)
        self._listeners.append(self._outward)
        self._done = Done()
        self._reloaded, self._wrong = 0.0, ""

    async def run(self) -> int:
        """Until SIGTERM or SIGINT; returns the exit code.

        Raises:
            FloodwatchError: it cannot start; nothing was changed.
        """
        lock = Lock()
        lock.take()
        try:
            self._store = Store(place(self.settings.state), self.tallies, self._say)
            self._control = Control(self, self._store.journal, self.settings.control, self._say)
            return await self._run()
        finally:
            faulthandler.cancel_dump_traceback_later()
            self._worker.close()
            self._authority.close()
            self._manager.close()
            lock.release()

    async def _run(self) -> int:
        loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[object]]()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._hup.set)
        loop.add_signal_handler(signal.SIGUSR1, self._say_counters)
        self._resume()
        last: Saved | None = None
        try:
            async with self._control:
                tasks |= {asyncio.create_task(self._sensors.run()), asyncio.create_task(self._tick())}
                self._tell(await self.on_hands(self._using()))
                self._outward.use(self.settings)
                rest = (self._act(), self._hang_ups(), self._store.keep(self._standing), self._stop.wait())
                self._heard.inherit(self._store.journal.left_open)
                tasks |= {asyncio.create_task(one) for one in rest}
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                self._manager.stopping()
                for task in done:
                    await task  # whatever it raised ends the daemon
                state, known = await self._standing()
                last = replace(state, mode=None, confirm=None), known  # an order ends with the run
                await self._sensors.stop()
        finally:
            await self._sensors.stop()
            for task in (*tasks, *self._heard.pending):
                task.cancel()
            keep = self.settings.rules.on_stop == "keep"
            self._tell(await self.on_hands(partial(self._hands.end, keep=keep)))
            await self._outward.close()
            await self._store.end(last)
        return 0

    def _start(self) -> Start:
        """What the next sensor begins with."""
        return Start.of(self.settings, self._store.learnt)

    def _resume(self) -> None:
        """Take in what the run before left."""
        before = self._store.load()
        for line in before.said:
            self._say(line)
        self._listeners += [self._store.journal, self._control]
        self._hands.before = before.known
        if before.state is not None:
            self._done = Done(until=self._authority.resume(before.state, self.settings.mode))

    async def _learn(self) -> None:
        """Ask the sensor what it learnt so far: the next one begins with it."""
        learnt = await self._heard.learnt(partial(self._sensors.send, Kind.SAVE), LEARNT_S)
        self._store.learnt = learnt or self._store.learnt

    async def _standing(self) -> Saved:
        """What the next run should know."""
        await self._learn()
        known, until = await self.on_hands(self._hands.remembered), self._done.until
        left = None if until is None else max(until - time.monotonic(), 0.0)
        return State(saved=clocks(), mode=self._authority.ordered, confirm=left), known

    # what others ask

    def picture(self) -> Picture:
        """Where the daemon stands now."""
        sensors, panic = self._sensors.sensor, self._authority.panic
        trouble = (*self._store.trouble, *self._outward.complaints(), *self._control.complaints())
        trouble, modes = (*trouble, *([self._wrong] if self._wrong else [])), self._hands.modes
        found = drawn(sensors, self._heard.beat, self._done, modes, self.tallies, trouble, panic=panic)
        return replace(found, reloaded=self._reloaded)

    @property
    def never(self) -> tuple[str, ...]:
        """The networks that the configuration says are never to be blocked."""
        return (*self.settings.never, *map(str, self.settings.proxies))

    async def mode(self, mode: Mode, confirm_s: float | None, by: str) -> str:
        """Change the mode until the daemon is stopped; returns what to tell.

        Raises:
            EnforceError: it cannot be; all is as it was.
        """
        confirm_s = confirm_s if mode == "enforce" else None
        was = self._hands.modes.mode
        self._tell(await self.on_hands(self._using(mode, confirm_s)))
        self._authority.say(mode, was)
        self._store.soon()
        said = f"mode {mode}" + (f" for {confirm_s:.0f} s unless it is confirmed" if confirm_s else "")
        self._say(f"{said}; by {by}")
        return said

    async def reload(self, by: str) -> str:
        """Read the configuration again; returns what to tell.

        Raises:
            ConfigError: it is wrong; the one that runs stays.
        """
        self._manager.reloading()
        try:
            settings = await asyncio.get_running_loop().run_in_executor(None, self._load)
            before, self.settings = self.settings, settings
            try:
                self._tell(await self.on_hands(self._using()))
            except EnforceError as error:
                self.settings = before
                raise ConfigError(f"it cannot be done: {error}") from error
            if Start.of(before).rings != Start.of(settings).rings:
                await self._learn()
            self._sensors.follow()
            self._outward.use(settings)
            self._control.use(settings.control)
        except ConfigError as error:
            self.tallies.add("reloads", "failed")
            self._wrong = f"the configuration is wrong, an earlier one holds: {error}"[:TOLD_MOST]
            told = f"the configuration was not taken over, the one before holds: {error}"
            for line in told.splitlines():
                self._say(line)
            raise
        finally:
            self._manager.ready(f"watching {self._names}")
        self.tallies.add("reloads", "done")
        self._reloaded, self._wrong = time.time(), ""
        self._say(f"the configuration was read again; by {by}")
        return "the configuration was read again"

    @property
    def _names(self) -> str:
        return ", ".join(one.name for one in self.settings.interfaces)

    def _watches(self, uid: int) -> None:
        """A sensor watches from now on."""
        self._say(f"watching {self._names}, mode {self._hands.modes.mode}; the sensor runs as user {uid}")
        self._manager.ready(f"watching {self._names}")

    async def _changed(self, change: Change) -> None:
        """Put into an event what was done about it, and hand it on."""
        event = change.event
        taken = await self.on_hands(partial(self._hands.taken, event.id))
        event = replace(event, action=replace(event.action, taken=taken))
        for one in self._listeners:
            one.changed(Change(change.what, event))

    # what goes on all the time

    def _using(self, order: Mode | None = None, confirm: float | None = None) -> Callable[[], Done]:
        """Let the hands act by the settings, and by the word that counts."""
        order, until = order or self._authority.order, self._done.until
        if until is not None and confirm is None and order == "enforce":
            confirm = max(until - time.monotonic(), 1.0)
        return partial(self._hands.use, self.settings, order, confirm)

    async def _act(self) -> None:
        """Bring the kernel in line: soon when the sensor asks, and again and again."""
        while True:
            begin = time.monotonic()
            self._due.clear()
            try:
                if self._authority.look():
                    self._tell(await self.on_hands(self._using()))
                self._tell(done := await self.on_hands(self._hands.act))
                self.tallies.took("netlink", time.monotonic() - begin)
                if done.over:
                    self._authority.over()
                    self._tell(await self.on_hands(self._using()))
            except EnforceError as error:
                self._say(str(error))
            await asyncio.sleep(min(REST * (time.monotonic() - begin), REST_MOST_S))
            with suppress(TimeoutError):
                async with asyncio.timeout(RECONCILE_S):
                    await self._due.wait()

    def _tell(self, done: Done) -> None:
        """Hand on what was done."""
        self._done = done
        for note in done.notes:
            self._say(note)
        for act in done.acts:
            for one in self._listeners:
                one.acted(act)
        for act in done.silent:
            self._store.journal.acted(act)

    async def _hang_ups(self) -> None:
        """SIGHUP: read the configuration again; of many the last counts."""
        while True:
            await self._hup.wait()
            self._hup.clear()
            with suppress(ConfigError):
                await self.reload("SIGHUP")

    async def _tick(self) -> None:
        """Show that both processes go on."""
        while True:
            faulthandler.dump_traceback_later(HUNG_S, exit=True)
            self._sensors.send(Kind.PULSE, self._done.ahead.to_bytes(8, "little"))
            sensor = self._sensors.sensor
            if sensor is not None and sensor.ready and not sensor.hung():
                self._manager.alive()
            if self._worker.waits() > HANDS_S:
                self._say("the kernel does not answer: the daemon ends, to be started again")
                os._exit(FloodwatchError.exit_code)
            await asyncio.sleep(TICK_S)

    def _say_counters(self) -> None:
        if self._heard.beat is not None:
            self._answer(counters(self._heard.beat, self._done))
