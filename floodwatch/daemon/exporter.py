"""Where metrics are told: an HTTP server of their own, a text file for the node exporter, or both.

Each has a thread, so that neither a slow reader nor a slow disk delays anything else.
"""

from __future__ import annotations

import os
import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app

from ..config.settings import MetricsSettings
from ..errors import ConfigError, EnvironmentFault
from .metrics import Drawn
from .picture import Picture

EVERY_S = 15.0
"""How often the file is written."""
MODE = 0o644
CLIENTS_MOST = 8
"""Readers at once; one more is turned away."""
READER_S = 10.0
"""How long a reader may take to ask, and to read."""

LOOK_S, ENDS_S = 0.1, 0.5
"""How often the server looks whether it is to end; so long the end waits for a file that is being written."""


class Exporter:
    """Tells metrics until it is closed.

    Args:
        settings: where.
        newest: the newest picture; called from other threads.

    Attributes:
        complaint: why the file cannot be written, or empty.

    Raises:
        ConfigError: it is no address and port.
        EnvironmentFault: the address cannot be had.
    """

    def __init__(self, settings: MetricsSettings, newest: Callable[[], Picture]) -> None:
        self.complaint = ""
        self._registry = CollectorRegistry()
        self._registry.register(Drawn(newest))
        self._path = settings.textfile
        self._stop = threading.Event()
        self._threads = list[threading.Thread]()
        self._server = None if settings.listen is None else _serve(settings.listen, self._registry)
        if self._server is not None:
            self._begin(partial(self._server.serve_forever, LOOK_S))
        if self._path is not None:
            self._begin(self._write)

    def _begin(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, name="metrics", daemon=True)
        thread.start()
        self._threads.append(thread)

    @property
    def port(self) -> int:
        """The port that is listened at; 0: none."""
        return 0 if self._server is None else self._server.server_port

    def _write(self) -> None:
        """Write the file now and then: whoever reads it reads a whole."""
        assert self._path is not None
        while True:
            try:
                _replace(self._path, generate_latest(self._registry))
                self.complaint = ""
            except OSError as error:
                self.complaint = f"metrics cannot be written to {self._path}: {error.strerror}"
            if self._stop.wait(EVERY_S):
                break
        with suppress(OSError):  # what nobody renews would go on saying that all is well
            os.unlink(self._path)

    def close(self) -> None:
        """Tell no more, and take the file away."""
        self._stop.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        for thread in self._threads:
            thread.join(ENDS_S)


def _replace(path: str, content: bytes) -> None:
    """Put a file in place of another at once; everybody may read it, whatever our own files are."""
    fresh = f"{path}.{os.getpid()}"
    try:
        with open(fresh, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), MODE)
        os.replace(fresh, path)
    except OSError:
        with suppress(OSError):
            os.unlink(fresh)
        raise


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread for each of a few readers; it asks no name server for its own name."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *args: Any) -> None:
        self._room = threading.BoundedSemaphore(CLIENTS_MOST)
        super().__init__(*args)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), int(port)
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader went away, or asked nothing in time: it has no right to our log."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Reader(WSGIRequestHandler):
    timeout = READER_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name of the overridden method)
        """A scrape is nothing to write down."""


def _serve(listen: str, registry: CollectorRegistry) -> WSGIServer:
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (host and port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise ConfigError(f"metrics.listen takes an address and a port as 127.0.0.1:9733, not {listen!r}")
    try:
        server = (_Server6 if ":" in host else _Server)((host, int(port)), _Reader)
    except OSError as error:
        raise EnvironmentFault(f"metrics cannot be told at {listen}: {error.strerror}") from None
    server.set_app(make_wsgi_app(registry))
    return server
