"""A web server behind TLS with its own log, clients that ask it in various ways, and a recording of both.

    python tests/encrypted.py KIND SECONDS CLIENTS RATE [FIRST]      the clients (inside a namespace)

``KIND`` is one of ``CLIENTS``. Each client has an address of its own and asks so many times a second. HTTP/2
is spoken here by hand, so that it is known what is in one record.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import CLIENT, SERVER, Lab
from pyroute2 import NetNS

FIRST, MOST = 11, 40
"""Clients have the addresses from 10.99.0.11 on."""
NGINX = """
worker_processes 1; daemon off; pid {root}/nginx.pid; error_log {root}/error.log; user root;
events {{ worker_connections 4096; }}
http {{
  log_format times '$msec'; access_log {root}/access.log times; keepalive_requests 10000000; root {root};
  client_body_temp_path {root}/b; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f;
  uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
  server {{
    listen 443 ssl http2; ssl_protocols {protocol};
    ssl_certificate {root}/cert.pem; ssl_certificate_key {root}/key.pem;
    location /api {{ return 200 "0123456789012345678901234567890123456789"; }}
    location /login {{ return 401 "no"; }}
    location = /slow {{ proxy_pass http://{nobody}; }}
  }}
}}
"""
CERTIFICATE = (
    "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=www.shop.example -keyout key.pem -out cert.pem"
)


@contextmanager
def nginx(lab: Lab, root: Path, protocol: str = "TLSv1.3") -> Iterator[Path]:
    """A server at port 443 of the lab's server; gives its log: a time a line, of each answer."""
    subprocess.run(["openssl", *CERTIFICATE.split()], check=True, capture_output=True, cwd=root)
    (root / "nginx.conf").write_text(NGINX.format(root=root, protocol=protocol, nobody=address(200)))
    with NetNS(lab.client) as clients:
        (index,) = clients.link_lookup(ifname="va")
        for number in range(MOST):
            clients.addr("add", index=index, address=address(number), prefixlen=24)
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    server = lab.start(
        lab.server, binary, "-p", str(root), "-c", str(root / "nginx.conf"), stderr=subprocess.DEVNULL
    )
    serves(server, root)
    yield root / "access.log"
    server.terminate()
    server.wait(10)


def serves(server: subprocess.Popen[bytes], root: Path) -> None:
    """Wait until nginx serves: its pid is written when it listens.

    Raises:
        AssertionError: it does not, and why.
    """
    end = time.monotonic() + 20
    while not (root / "nginx.pid").exists():
        assert server.poll() is None, (root / "error.log").read_text()
        assert time.monotonic() < end, "nginx does not begin"
        time.sleep(0.05)


def address(number: int) -> str:
    """The address of a client."""
    return CLIENT.rsplit(".", 1)[0] + f".{FIRST + number}"


@contextmanager
def recording(lab: Lab, capture: Path) -> Iterator[None]:
    """Write what the server's interface sees to a capture."""
    from pyroute2 import netns

    ready, stop = threading.Event(), threading.Event()

    def record() -> None:
        netns.setns(lab.server)  # of this thread alone
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as tap, capture.open("wb") as file:
            tap.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
            tap.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
            tap.bind(("vb", 0x0003))  # ETH_P_ALL
            tap.settimeout(0.2)
            file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 1 << 17, 1))
            ready.set()
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    frame, extra, _, _ = tap.recvmsg(1 << 17, 64)
                    at = struct.unpack("=qq", extra[0][2])
                    file.write(struct.pack("<IIII", *at, len(frame), len(frame)) + frame)

    thread = threading.Thread(target=record)
    thread.start()
    try:
        assert ready.wait(5)
        yield
        time.sleep(0.5)
    finally:
        stop.set()
        thread.join()


def trusting(*protocols: str) -> ssl.SSLContext:
    """A context that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


Beat = Callable[[int], bool]
"""Waits until so many requests are due; False: it is over."""


def http1(source: str, beat: Beat, *, posts: bool = False, anew: bool = False) -> None:
    """HTTP/1.1; ``anew``: a connection for each request."""
    context, connection = trusting(), None
    while beat(1):
        if connection is None:
            connection = http.client.HTTPSConnection(
                SERVER, 443, context=context, source_address=(source, 0), timeout=9
            )
        if posts:
            connection.request("POST", "/login", b"user=bob&password=%08d" % random.randrange(10**8))
        else:
            connection.request("GET", "/api?q=1")
        connection.getresponse().read()
        if anew:
            connection.close()
            connection = None


END_STREAM, END_HEADERS, ACK = 1, 4, 1
DATA, HEADERS, SETTINGS, GOAWAY, WINDOW_UPDATE = 0, 1, 4, 7, 8


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """RFC 9113, 4.1."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def block(method: bytes, path: str) -> bytes:
    """A header block of what the static table holds, and the path as a literal (RFC 7541, 6.1 and 6.2.2)."""
    return method + b"\x87\x01\x10www.shop.example" + b"\x04" + bytes([len(path)]) + path.encode()


class Streams:
    """One connection of HTTP/2."""

    def __init__(self, source: str) -> None:
        plain = socket.create_connection((SERVER, 443), source_address=(source, 0), timeout=9)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wire = trusting("h2").wrap_socket(plain)
        self.wire.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))
        self.newest, self.held = -1, b""

    def ask(self, path: str) -> bytes:
        """The frame of a request."""
        self.newest += 2
        return frame(HEADERS, END_STREAM | END_HEADERS, self.newest, block(b"\x82", path))

    def post(self, path: str, body: bytes) -> tuple[bytes, bytes]:
        """The frames of a request with a body."""
        self.newest += 2
        return frame(HEADERS, END_HEADERS, self.newest, block(b"\x83", path)), frame(
            DATA, END_STREAM, self.newest, body
        )

    def answers(self, wanted: int) -> None:
        """Wait for so many answers."""
        while wanted > 0:
            self.held += self.wire.recv(65536) or b"\0" * 3 + bytes([GOAWAY]) + b"\0" * 5
            while len(self.held) >= 9 and len(self.held) >= 9 + int.from_bytes(self.held[:3], "big"):
                kind, flags, end = self.held[3], self.held[4], 9 + int.from_bytes(self.held[:3], "big")
                self.held = self.held[end:]
                if kind == SETTINGS and not flags & ACK:
                    self.wire.sendall(frame(SETTINGS, ACK, 0))
                if kind == GOAWAY:
                    raise OSError("the server goes away")
                wanted -= kind in (DATA, HEADERS) and flags & END_STREAM


def http2(source: str, beat: Beat, *, packed: int = 1, varies: bool = False, posts: bool = False) -> None:
    """HTTP/2; ``packed`` requests in one record, or up to so many if that ``varies``."""
    streams = Streams(source)
    count = random.randint(1, packed) if varies else packed
    while beat(count):
        if posts:
            for part in streams.post("/login", b"user=bob&password=%08d" % random.randrange(10**8)):
                streams.wire.sendall(part)
        else:
            streams.wire.sendall(b"".join(streams.ask("/api?q=1") for _ in range(count)))
        streams.answers(count)
        count = random.randint(1, packed) if varies else packed


PLACES, KEPT = 12, 5
"""Connections that one client holds, and that a browser keeps."""


def connect(source: str) -> ssl.SSLSocket:
    """A connection with its handshake."""
    plain = socket.create_connection((SERVER, 443), source_address=(source, 0), timeout=9)
    return trusting().wrap_socket(plain)


def mute(source: str, beat: Beat) -> None:
    """Handshakes, and then nothing."""
    held = [connect(source) for _ in range(PLACES)]
    while beat(1):
        pass
    del held


def endless(source: str, beat: Beat) -> None:
    """Requests whose header goes on and on."""
    held = [connect(source) for _ in range(PLACES)]
    for one in held:
        one.sendall(b"GET /api HTTP/1.1\r\nHost: www.shop.example\r\n")
    while beat(1):
        for number, one in enumerate(held):
            one.sendall(b"X-%d: %d\r\n" % (number, random.randrange(1000)))


def keeping(source: str, beat: Beat) -> None:
    """Connections that are asked once, and then kept."""
    held = list[ssl.SSLSocket]()
    while beat(1):
        if len(held) < KEPT:
            held.append(connect(source))
            held[-1].sendall(b"GET /api HTTP/1.1\r\nHost: www.shop.example\r\n\r\n")
            held[-1].recv(65536)


def provoking(source: str, beat: Beat) -> None:
    """Each request is followed by a window that grows beyond all bounds: the server resets its stream."""
    streams = Streams(source)
    streams.wire.settimeout(0.001)
    while beat(1):
        streams.wire.sendall(streams.ask("/slow"))
        streams.wire.sendall(frame(WINDOW_UPDATE, 0, streams.newest, b"\x7f\xff\xff\xff"))
        with contextlib.suppress(TimeoutError):
            while streams.wire.recv(65536):
                pass


CLIENTS: dict[str, Callable[[str, Beat], None]] = {
    "http1": http1,
    "http1-posts": lambda source, beat: http1(source, beat, posts=True),
    "http1-anew": lambda source, beat: http1(source, beat, anew=True),
    "http2": http2,
    "http2-posts": lambda source, beat: http2(source, beat, posts=True),
    "http2-packed": lambda source, beat: http2(source, beat, packed=8),
    "mute": mute,
    "endless": endless,
    "keeping": keeping,
    "provoking": provoking,
    "http2-varies": lambda source, beat: http2(source, beat, packed=12, varies=True),
}


def pacing(rate: float, until: float) -> Beat:
    """A client's pace: never more than a second behind."""
    due = time.monotonic() + random.random() / rate

    def beat(count: int) -> bool:
        nonlocal due
        time.sleep(max(due - time.monotonic(), 0))
        due = max(due + count / rate, time.monotonic() - 1)
        return time.monotonic() < until

    return beat


def main(kind: str, seconds: str, number: str, rate: str, first: str = "0") -> None:
    """Run the clients, from the address of that number on."""
    until = time.monotonic() + float(seconds)

    def one(source: str) -> None:
        while time.monotonic() < until:
            with contextlib.suppress(OSError, http.client.HTTPException):
                CLIENTS[kind](source, pacing(float(rate), until))

    threads = [
        threading.Thread(target=one, args=(address(int(first) + index),)) for index in range(int(number))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
