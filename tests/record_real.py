"""Record real traffic: nginx, people who browse and a forged SYN flood, all inside two network namespaces.

Run as root from the repository: ``python tests/record_real.py``. It writes
``pcaps/real_nginx_synflood.pcap.gz`` and its truth, whose counts come from the senders. Nothing leaves the
namespaces: they have no other interface than the veth pair between them. Bounded to a minute; it removes its
namespaces and ends its own processes, also upon failure. pytest does not collect this file.
"""

from __future__ import annotations

import gzip
import http.client
import multiprocessing as mp
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from pyroute2 import NetNS, netns  # type: ignore[import-untyped]

from floodwatch.synth.truth import FloodTruth, Truth, peak, span

SERVER, GATEWAY = "198.51.100.7", "198.51.100.1"
CLIENTS = "10.98.0.0/16"
FORGED = "198.18.0.0/15"  # the benchmarking range of RFC 2544
VISIT_SECONDS, FLOOD_AFTER, FLOOD_SECONDS, SYNS_PER_SECOND = 12.0, 4.0, 5.0, 1500
VISITORS = 24
SNAPLEN = 128
ASSETS = ("/app.js", "/app.css", "/logo.svg", "/hero.webp")
SERVER_NS, CLIENT_NS = f"fw-rec-server-{os.getpid()}", f"fw-rec-client-{os.getpid()}"
FORK = mp.get_context("fork")

NGINX = """
worker_processes 1; daemon off; pid {root}/nginx.pid; error_log {root}/error.log; user root;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_timeout 20; root {root}/site; client_body_temp_path {root}/body;
  proxy_temp_path {root}/p; fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
  server {{ listen {server}:80; location = /signup {{ return 201 "welcome\\n"; }} }}
}}
"""


@contextmanager
def namespaces() -> Iterator[None]:
    """The server's and the clients' namespace, joined by one veth pair."""
    made: list[str] = []
    try:
        for name in (SERVER_NS, CLIENT_NS):
            netns.create(name)
            made.append(name)
        _wire()
        yield
    finally:
        for name in made:
            with suppress(Exception):
                netns.remove(name)


def _wire() -> None:
    with NetNS(CLIENT_NS) as clients, NetNS(SERVER_NS) as server:
        clients.link("add", ifname="vc", kind="veth", peer={"ifname": "vs", "net_ns_fd": SERVER_NS})
        for ns, name, address in ((clients, "vc", GATEWAY), (server, "vs", SERVER)):
            lo, index = ns.link_lookup(ifname="lo")[0], ns.link_lookup(ifname=name)[0]
            ns.addr("add", index=index, address=address, prefixlen=24)
            ns.link("set", index=lo, state="up")
            ns.link("set", index=index, state="up")
        # AnyIP: every address of the range is a local one, so clients can bind to any of them
        lo = clients.link_lookup(ifname="lo")[0]
        clients.route("add", dst=CLIENTS, type="local", scope=254, oif=lo, table=255)
        # via the gateway, not the device: one neighbour entry instead of one for each client
        for prefix in (CLIENTS, FORGED):
            server.route("add", dst=prefix, gateway=GATEWAY)
        with suppress(Exception):  # a round trip of some 15 ms, where the kernel has netem
            clients.tc("add", "netem", clients.link_lookup(ifname="vc")[0], 0, delay=15000, jitter=4000)


@contextmanager
def nginx(root: Path) -> Iterator[None]:
    """A real web server with a tiny site, in the server's namespace."""
    site = root / "site"
    site.mkdir()
    (site / "index.html").write_text("<!doctype html><title>chat</title>" + "<p>hello there</p>" * 300)
    for number, name in enumerate(ASSETS):
        (site / name[1:]).write_bytes(bytes(range(33, 127)) * (20 + 30 * number))
    config = root / "nginx.conf"
    config.write_text(NGINX.format(root=root, server=SERVER))
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    process = subprocess.Popen(
        [binary, "-p", str(root), "-c", str(config), "-e", str(root / "error.log")],
        preexec_fn=lambda: netns.setns(SERVER_NS),
    )
    try:
        time.sleep(0.5)
        if process.poll() is not None:
            raise RuntimeError("nginx did not start: " + (root / "error.log").read_text())
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()


def record(path: str, ready: Any, stop: Any) -> None:
    """Write every frame of the server's veth to ``path`` as pcap until ``stop`` is set."""
    netns.setns(SERVER_NS)
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    tap.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    tap.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
    tap.bind(("vs", 0x0003))  # ETH_P_ALL
    tap.settimeout(0.2)
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAPLEN, 1))
        ready.set()
        while not stop.is_set():
            with suppress(TimeoutError):
                frame, extra, _, _ = tap.recvmsg(65536, 64)
                seconds, nanos = struct.unpack("=qq", extra[0][2])
                file.write(struct.pack("<IIII", seconds, nanos // 1000, min(len(frame), SNAPLEN), len(frame)))
                file.write(frame[:SNAPLEN])


def visit(random_: random.Random, address: str, count: dict[str, int]) -> None:
    """One person: the page, its assets, a pause, perhaps another page or the sign-up form."""
    connection = http.client.HTTPConnection(SERVER, 80, timeout=5, source_address=(address, 0))
    headers = {"User-Agent": random_.choice(("Mozilla/5.0 Firefox/133.0", "Mozilla/5.0 Chrome/131.0"))}
    steps: list[tuple[str, str]] = [("GET", "/"), *(("GET", asset) for asset in ASSETS)]
    steps += random_.choice(([], [("GET", "/")], [("GET", "/"), ("POST", "/signup")]))
    try:
        for number, (method, path) in enumerate(steps):
            if number >= 1 + len(ASSETS):
                time.sleep(random_.uniform(0.3, 1.5))
            connection.request(method, path, b"name=visitor" if method == "POST" else None, headers)
            connection.getresponse().read()
            count["requests"] += 1
        count["visits"] += 1
    except OSError:
        count["failed"] += 1
    finally:
        connection.close()


def browse(seed: int, results: Any) -> None:
    """``VISITORS`` people at a time, a new address each visit; reports who came and how often."""
    netns.setns(CLIENT_NS)
    end, lock = time.monotonic() + VISIT_SECONDS, threading.Lock()
    total: dict[str, int] = {"requests": 0, "visits": 0, "failed": 0}
    seen: dict[str, int] = {}

    def person(number: int) -> None:
        mine, random_ = {"requests": 0, "visits": 0, "failed": 0}, random.Random(seed * 1000 + number)
        while time.monotonic() < end:
            address = f"10.98.{random_.randrange(256)}.{random_.randrange(1, 255)}"
            visit(random_, address, mine)
            seen.setdefault(address, time.time_ns())  # when the visit had ended
            time.sleep(random_.uniform(0.1, 0.8))
        with lock:
            for name, value in mine.items():
                total[name] += value

    threads = [threading.Thread(target=person, args=(number,)) for number in range(VISITORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put({"clients": seen, **total})


def checksum(data: bytes) -> int:
    """The Internet checksum of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def forged_syn(random_: random.Random) -> tuple[int, bytes]:
    """A forged source of the test range, and an IP packet with its SYN (the kernel adds the IP checksum)."""
    source = (198 << 24 | 18 << 16) + random_.randrange(1, 1 << 17)
    addresses = source.to_bytes(4, "big") + socket.inet_aton(SERVER)
    ports = random_.randrange(1024, 65536), 80
    syn = struct.pack("!HHIIBBHHH", *ports, random_.getrandbits(32), 0, 0x50, 2, 512, 0, 0)
    total = checksum(addresses + struct.pack("!HH", 6, 20) + syn)
    syn = syn[:16] + total.to_bytes(2, "big") + syn[18:]
    return source, struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 57, 6, 0) + addresses + syn


def flood(seed: int, results: Any) -> None:
    """Send a bounded number of forged SYNs; reports when each left and from how many addresses."""
    netns.setns(CLIENT_NS)
    random_, sender = random.Random(seed), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    packets = [forged_syn(random_) for _ in range(int(FLOOD_SECONDS * SYNS_PER_SECOND))]
    begin, times = time.monotonic(), []
    for number, (_, packet) in enumerate(packets):
        ahead = number / SYNS_PER_SECOND - (time.monotonic() - begin)
        if ahead > 0.002:
            time.sleep(ahead)
        times.append(time.time_ns())
        sender.sendto(packet, (SERVER, 0))
    results.put({"times": times, "sources": len({source for source, _ in packets})})


def _end(process: Any) -> None:
    """Kill a child that is still there."""
    if process.is_alive():
        process.kill()


def run(root: Path, capture: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Let it happen; returns what the clients and what the SYN sender know."""
    ready, stop = FORK.Event(), FORK.Event()
    people, syns = FORK.Queue(), FORK.Queue()
    with ExitStack() as stack:
        stack.enter_context(namespaces())
        stack.enter_context(nginx(root))
        jobs = ((record, (str(capture), ready, stop)), (browse, (7, people)), (flood, (11, syns)))
        recorder, clients, sender = (
            FORK.Process(target=target, args=args, daemon=True) for target, args in jobs
        )
        for process in (recorder, clients, sender):
            stack.callback(_end, process)
        recorder.start()
        ready.wait(10)
        clients.start()
        time.sleep(FLOOD_AFTER)
        sender.start()
        known, sent = people.get(timeout=40), syns.get(timeout=40)
        time.sleep(1.0)
        stop.set()
        recorder.join(5)
    return known, sent


def tell(capture: Path, known: dict[str, Any], sent: dict[str, Any]) -> Truth:
    """The truth record, from the counts of the senders; only the number of packets comes from the file."""
    data, at, times = capture.read_bytes(), 24, []
    while at < len(data):
        seconds, micros, length = struct.unpack_from("<III", data, at)
        times.append(seconds * 1_000_000_000 + micros * 1000)
        at += 16 + length
    moments = np.array(sent["times"])
    truth = Truth(scenario="real_nginx_synflood", seed=0, packets=len(times))
    truth.first_ns, truth.last_ns = min(times), max(times)
    flood_ = FloodTruth(
        vector="syn_flood",
        victim_ip=SERVER,
        victim_port=80,
        path=None,
        packets=len(moments),
        requests=None,
        unit="packet/s",
        peak_per_second=peak(moments),
        pattern="steady",
        origin="forged",
        source_count=sent["sources"],
        sources=None,
        **span(moments),
    )
    truth.floods.append(flood_)
    clients = np.array([int.from_bytes(socket.inet_aton(text), "big") for text in known["clients"]])
    truth.add_clients(clients)
    truth.add_clients(clients[np.array([*known["clients"].values()]) < moments.min()], known=True)
    return truth


def main() -> None:
    """Record, compress and describe."""
    if os.geteuid() != 0:
        sys.exit("record_real.py needs root: it makes network namespaces")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("took longer than a minute: given up"))
    signal.alarm(60)
    folder = Path(__file__).resolve().parent.parent / "pcaps"
    with tempfile.TemporaryDirectory(prefix="fw-rec-") as name:
        root, capture = Path(name), Path(name) / "real.pcap"
        root.chmod(0o755)
        known, sent = run(root, capture)
        truth = tell(capture, known, sent)
        target = folder / "real_nginx_synflood.pcap.gz"
        target.write_bytes(gzip.compress(capture.read_bytes(), 9, mtime=0))
    (folder / "real_nginx_synflood.truth.json").write_bytes(truth.encode())
    counts = {name: value for name, value in known.items() if name != "clients"}
    print(f"{truth.packets} packets, {len(sent['times'])} SYNs sent, {truth.client_count} clients, {counts}")


if __name__ == "__main__":
    main()
