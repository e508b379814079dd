"""Services of a host, and those who use them: what a guard must not take from anybody.

    python tests/served.py serve                       TCP echo at PORTS, UDP echo at ECHO
    python tests/served.py use ADDRESS SECONDS         connections that last and polls; prints JSON at the end
    python tests/served.py use ADDRESS SECONDS told    the same; a line of standard input begins the seconds

Long connections to each of ``PORTS`` send a byte five times a second; one more to each sleeps from its first
byte until shortly before the end. Polls of ``ECHO`` come each from a new port.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import time
from typing import Any

PORTS = (22, 80, 179, 873)
"""80 is the port that floods of TCP meet."""
ECHO = 161
WAKES_S = 4.0
QUESTION = b"get"
PATIENCE_S = 3.0
"""A byte that is not answered for so long was cut off: a lost packet comes again before."""


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes."""
    with contextlib.suppress(OSError):
        while data := await reader.read(100):
            writer.write(data)
            await writer.drain()
    writer.close()


class EchoBack(asyncio.DatagramProtocol):
    """Sends questions back; what is none gets no answer."""

    def connection_made(self, transport: Any) -> None:
        """Keep what sends."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Send it back."""
        if data == QUESTION:
            self.transport.sendto(data, addr)


async def serve() -> None:
    """Serve until killed; says when it is ready."""
    loop = asyncio.get_running_loop()
    for port in PORTS:
        await asyncio.start_server(echo, None, port)
    for family in (socket.AF_INET, socket.AF_INET6):
        bound = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(("", ECHO))
        await loop.create_datagram_endpoint(EchoBack, sock=bound)
    print("ready", flush=True)
    await asyncio.Event().wait()


class Told:
    """How the users fared."""

    def __init__(self) -> None:
        self.lived: dict[str, bool] = {}
        self.polls: list[tuple[float, bool]] = []


async def byte(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One byte there and back."""
    writer.write(b"x")
    await writer.drain()
    await asyncio.wait_for(reader.readexactly(1), PATIENCE_S)


def over(end: asyncio.Future[float]) -> bool:
    """Has the end come, if it is known yet?"""
    return end.done() and time.time() >= end.result()


async def long_connection(
    address: str, port: int, end: asyncio.Future[float], told: Told, *, sleeps: bool
) -> None:
    """A connection from the beginning to the end."""
    name = f"{port}{' asleep' if sleeps else ''}"
    told.lived[name] = False
    reader, writer = await asyncio.open_connection(address, port)
    with contextlib.suppress(OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
        await byte(reader, writer)
        if sleeps:
            await asyncio.sleep(max(await end - WAKES_S - time.time(), 0))
        while not over(end):
            await byte(reader, writer)
            await asyncio.sleep(0.2)
        told.lived[name] = True
    writer.close()


async def polls(address: str, end: asyncio.Future[float], told: Told) -> None:
    """Forty questions a second, each from a new port."""
    loop, family = asyncio.get_running_loop(), socket.AF_INET6 if ":" in address else socket.AF_INET

    async def ask() -> None:
        with socket.socket(family, socket.SOCK_DGRAM) as asker:
            asker.setblocking(False)
            began = time.time()
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                await loop.sock_connect(asker, (address, ECHO))
                await loop.sock_sendall(asker, QUESTION)
                await asyncio.wait_for(loop.sock_recv(asker, 10), 1.0)
                told.polls.append((began, True))
                return
            told.polls.append((began, False))

    asked = set[asyncio.Task[None]]()
    while not over(end):
        asked.add(asyncio.create_task(ask()))
        await asyncio.sleep(0.025)
    await asyncio.gather(*asked)


async def use(address: str, seconds: float, *, waits: bool) -> None:
    """Use everything for a while, which may begin when it is told to, then tell.

    The first connection finds the way: who had to repeat its SYN would repeat everything else slowly as well.
    """
    _, first = await asyncio.open_connection(address, PORTS[0])
    first.close()
    told, end = Told(), asyncio.get_running_loop().create_future()
    users = [
        asyncio.create_task(long_connection(address, port, end, told, sleeps=sleeps))
        for port in PORTS
        for sleeps in (False, True)
    ]
    await asyncio.sleep(0.3)
    print("ready", flush=True)
    users.append(asyncio.create_task(polls(address, end, told)))
    if waits:
        await asyncio.to_thread(sys.stdin.readline)
    end.set_result(time.time() + seconds)
    await asyncio.gather(*users)
    print(json.dumps({"lived": told.lived, "polls": told.polls}))


if __name__ == "__main__":
    what, *argv = sys.argv[1:]
    asyncio.run(serve() if what == "serve" else use(argv[0], float(argv[1]), waits="told" in argv))
