"""The control socket: takes orders of those who may give them, and answers, whatever its clients do.

Everything about a client is bounded: how many there are, how long a request is and takes, how long an answer
waits to be read, and how much is kept for one that follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from ..config.netns import control_socket
from ..config.settings import ControlSettings
from ..errors import BlockRefused, ConfigError, ConfigErrors, EnforceError, FloodwatchError
from ..mitigate.byhand import named
from .account import Account, account
from .door import Door
from .following import Followers, Refused
from .metrics import exposition
from .orders import (
    REQUEST_MOST,
    VERSION,
    Answer,
    Done,
    Events,
    Metrics,
    Mode,
    Order,
    Orders,
    Past,
    Reload,
    Report,
    Request,
    Status,
)
from .peer import Gate, Peer, peer_of
from .rules import RULE_ORDERS, Panic, RuleOrder, Terms

if TYPE_CHECKING:
    from ..mitigate import Act
    from ..model.event import Change

OF_DAEMON: tuple[type[Order[Any]], ...] = (Status, Metrics, Events, Report, Mode, Reload)
ORDERS = {of.name(): of for of in OF_DAEMON + RULE_ORDERS}
"""All orders, by the names that requests have for them."""
CLIENTS_MOST = 16
REQUEST_S, ANSWER_S, PART_S = 5.0, 5.0, 1.0
"""A request has to be whole so long after the last answer, and an answer to be read. Time to say goodbye."""
_encode = msgspec.json.Encoder().encode
_request = msgspec.json.Decoder(Request)


class Control:
    """The socket, in whose context clients are served; tell it what happens.

    Args:
        orders: what carries orders out.
        past: what happened.
        settings: where it lies, and who may ask.
        say: where to tell what went wrong here.
    """

    def __init__(
        self, orders: Orders, past: Past, settings: ControlSettings, say: Callable[[str], object]
    ) -> None:
        self._orders, self._past, self._say = orders, past, say
        self._gate = Gate(settings)
        self._door = Door(control_socket(settings.socket), self._gate.gid)
        self._clients: set[asyncio.Task[None]] = set()
        self._followers = Followers()
        self._server: asyncio.Server | None = None
        self._kernel = asyncio.Lock()
        self._closed = ""

    def use(self, settings: ControlSettings) -> None:
        """Other users and another group from now on; the place stays until the next start."""
        self._gate = Gate(settings)

    def complaints(self) -> tuple[str, ...]:
        """What is wrong, in words: it cannot listen, or does not know who may ask."""
        unknown = (f"control: there is no {name}" for name in self._gate.unknown)
        return (*([self._closed] if self._closed else []), *unknown)

    async def __aenter__(self) -> Control:
        """Listen; a daemon that cannot goes on without."""
        try:
            bound = self._door.open()
            self._server = await asyncio.start_unix_server(self._client, sock=bound, limit=REQUEST_MOST)
        except EnforceError as error:
            self._closed = f"control: {error}"
            self._say(self._closed)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Listen no more, and let every client go."""
        self._door.close()
        if self._server is not None:
            self._server.close()
        for client in self._clients:
            client.cancel()
        if self._clients:
            await asyncio.wait(self._clients, timeout=PART_S)

    def changed(self, change: Change) -> None:
        """Something became of an event: who follows is told."""
        self._followers.tell(change)

    def acted(self, act: Act) -> None:
        """Something was done: nobody follows that."""

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, from its beginning to its end."""
        task = asyncio.current_task()
        assert task is not None
        full = len(self._clients) >= CLIENTS_MOST
        if not full:
            self._clients.add(task)
        writer.transport.set_write_buffer_limits(high=REQUEST_MOST)
        try:
            if full:
                await _send(writer, 0, Refused("busy", f"{CLIENTS_MOST} clients are served: try again soon"))
            else:
                await self._serve(reader, writer)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # it went away, is too slow, or does not read; or the socket is closed
        except Exception as error:
            self._say(f"control: {type(error).__name__}: {error}")
        finally:
            self._clients.discard(task)
            await _let_go(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer its requests, one after the other."""
        peer = peer_of(writer.get_extra_info("socket"))
        while True:
            ident = 0
            try:
                async with asyncio.timeout(REQUEST_S):
                    line = await _line(reader)
                if not line:
                    return
                if not self._gate.may_read(peer):
                    says = f"uid {peer.uid} may not ask: root and members of the group {self._gate.group} may"
                    raise Refused("forbidden", says, over=True)
                request = _parsed(line)
                ident = request.id
                order = self._order(request, peer)
                if isinstance(order, Events):
                    await self._events(order, ident, reader, writer)
                await _send(writer, ident, await self._obeyed(order, peer))
            except Refused as refused:
                await _send(writer, ident, refused)
                if refused.over:
                    return

    def _order(self, request: Request, peer: Peer) -> Order[object]:
        """What is asked.

        Raises:
            Refused: it is none, or not for this user to ask.
        """
        if request.v != VERSION:
            raise Refused("version", f"this daemon speaks version {VERSION}, not {request.v}")
        of = ORDERS.get(request.cmd)
        if of is None:
            raise Refused("unknown", f"there is no {request.cmd!r}: {', '.join(sorted(ORDERS))}")
        if of.changes and not self._gate.may_order(peer):
            says = f"uid {peer.uid} may look and not give orders: root may, and whom control.users names"
            raise Refused("forbidden", says)
        try:
            order: Order[object] = msgspec.json.decode(request.args, type=of)
        except (ValueError, RecursionError) as error:
            raise Refused("bad_request", f"{request.cmd}: {error}") from None
        return order

    async def _obeyed(self, order: Order[object], peer: Peer) -> object:
        """The result of an order.

        Raises:
            Refused: there is none.
        """
        try:
            return await self._result(order, named(peer.uid))
        except ConfigErrors as error:
            raise Refused("refused", "\n".join(error.lines)) from error
        except (BlockRefused, ConfigError, ValueError) as error:
            raise Refused("refused", str(error)) from error
        except (FloodwatchError, OSError) as error:
            raise Refused("failed", str(error)) from error
        except Exception as error:
            self._say(f"control: {order.name()}: {type(error).__name__}: {error}")
            raise Refused("bug", f"{type(error).__name__}: this is a bug, please report it") from error

    async def _result(self, order: Order[object], by: str) -> object:
        orders = self._orders
        match order:
            case Status():
                return replace(orders.picture(), tallies={})
            case Metrics():
                return exposition(orders.picture)
            case Report():
                return await asyncio.to_thread(_accounted, self._past, order.since)
            case Mode():
                return Done(await orders.mode(order.mode, order.confirm, by))
            case Reload():
                return Done(await orders.reload(by))
            case RuleOrder():
                work = partial(order.carry_out, Terms(by=by, never=tuple(orders.never)))
                async with self._kernel:  # what keeps the rules up waits for one of these at most
                    done = await orders.on_hands(work)
                    if isinstance(order, Panic):  # what waited behind it may have put rules back: once more
                        await orders.on_hands(work)
                    return done
        return None

    async def _events(
        self, order: Events, ident: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Tell what happened, and with ``follow`` what happens, until the client says anything or goes."""
        with self._followers.one(follow=order.follow) as follower:
            for change in await asyncio.to_thread(self._past.changes, order.since, order.limit):
                await _send(writer, ident, change, more=True)
            if follower is None:
                return
            gone = asyncio.ensure_future(reader.read(1))
            try:
                while (fresh := await follower.next(gone)) is not None:
                    await _send(writer, ident, fresh, more=True)
            finally:
                gone.cancel()
                await asyncio.gather(gone, return_exceptions=True)


def _accounted(past: Past, since: float) -> Account:
    return account(past.changes(since, None), past.acts(since), since)


def _parsed(line: bytes) -> Request:
    try:
        return _request.decode(line)
    except (ValueError, RecursionError) as error:
        raise Refused("bad_request", f"no request: {error}", over=True) from None


async def _line(reader: asyncio.StreamReader) -> bytes:
    """A whole line, or nothing at the end."""
    try:
        line = await reader.readline()
    except ValueError:
        raise Refused("too_long", f"a request has {REQUEST_MOST} bytes at most", over=True) from None
    return line if line.endswith(b"\n") else b""


async def _send(writer: asyncio.StreamWriter, ident: int, result: object, *, more: bool = False) -> None:
    """Send an answer, or a part of it, and wait until it is as good as read.

    Raises:
        TimeoutError: it is not.
    """
    if isinstance(result, Refused):
        answer = Answer(VERSION, ident, ok=False, error=result.fault)
    else:
        answer = Answer(VERSION, ident, ok=True, more=more, result=msgspec.Raw(_encode(result)))
    writer.write(_encode(answer) + b"\n")
    async with asyncio.timeout(ANSWER_S):
        await writer.drain()


async def _let_go(writer: asyncio.StreamWriter) -> None:
    """End a connection; what is not read by now is not waited for."""
    writer.close()
    try:
        async with asyncio.timeout(PART_S):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()
