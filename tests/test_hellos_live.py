"""ClientHellos of real programs on the wire: read as in a capture of whole frames; other frames are cut."""

from __future__ import annotations

import json
import lzma
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.layers.l2 import Dot1Q
from scapy.packet import Packet
from scapy.utils import PcapReader, wrpcap

import floodwatch as fw

sys.path.insert(0, str(Path(__file__).parent))
from encrypted import serves
from lab import SERVER, SERVER6, Lab

pytestmark = pytest.mark.root
HEAR = str(Path(__file__).parent / "hear.py")
NGINX = """
worker_processes 1; daemon off; pid {root}/nginx.pid; error_log {root}/error.log; user root;
events {{ worker_connections 256; }}
http {{
  access_log off; root {root}; client_body_temp_path {root}/b; proxy_temp_path {root}/p;
  fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
  server {{
    listen {server}:443 ssl; listen [{server6}]:443 ssl;
    ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {root}/cert.pem; ssl_certificate_key {root}/key.pem;
    location = /upload {{ client_max_body_size 1m; return 204; }}
  }}
}}
"""
PYTHON = """
import socket, ssl, sys
host, protocols = sys.argv[1], [f"protocol-{n:03}" for n in range(int(sys.argv[2]))]
context = ssl._create_unverified_context()
context.set_alpn_protocols(["http/1.1", *protocols])
with context.wrap_socket(socket.create_connection((host, 443)), server_hostname="www.example") as s:
    s.sendall(b"GET /big HTTP/1.0\\r\\n\\r\\n")
    while s.recv(65536):
        pass
"""


class Need(Protocol):
    def __call__(self, condition: object, reason: str) -> None: ...


def line(pipe: IO[bytes] | None) -> bytes:
    assert pipe is not None
    return pipe.readline()


@contextmanager
def serving(wire: Lab, root: Path) -> Iterator[None]:
    """nginx with TLS and a page of 1 MB."""
    subprocess.run(
        ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", root / "key.pem", "-out", root / "cert.pem", "-subj", "/CN=www.example", "-days", "2"),
        check=True, capture_output=True,
    )  # fmt: skip
    (root / "big").write_bytes(os.urandom(1_000_000))
    (root / "nginx.conf").write_text(NGINX.format(root=root, server=SERVER, server6=SERVER6))
    nginx = wire.start(wire.server, "nginx", "-c", str(root / "nginx.conf"))
    serves(nginx, root)
    yield
    nginx.terminate()
    nginx.wait(10)


class Heard:
    """What is heard on the server's interface, as a watch captures it and as tcpdump does."""

    def __init__(self, wire: Lab, capture: Path) -> None:
        self._capture = capture
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "bufsize": 0}
        self._hear = wire.start(wire.server, sys.executable, "-P", HEAR, "vb", **pipes)
        assert line(self._hear.stdout) == b"ready\n"
        dump = (
            "tcpdump",
            "-i",
            "vb",
            "-Z",
            "root",
            "-s",
            "0",
            "-B",
            "16384",
            "--immediate-mode",
            "-U",
            "-w",
            str(capture),
        )
        self._dump = wire.start(wire.server, *dump, **pipes)
        while b"listening" not in (told := line(self._dump.stderr)):
            assert told, "tcpdump ended"

    def end(self) -> tuple[dict[str, Any], Counter[str]]:
        """What ``hear`` says, and the fingerprints of the whole frames."""
        time.sleep(0.5)  # until both have the newest frames
        for process in (self._dump, self._hear):
            process.send_signal(signal.SIGINT)
        self._dump.wait(10)
        out, err = self._hear.communicate(timeout=20)
        assert self._hear.returncode == 0, err
        whole = Counter[str]()
        for batch in fw.read(self._capture):
            whole.update(batch.ja4[batch.ja4 != None])  # noqa: E711
        return json.loads(out), whole


def connect(wire: Lab) -> int:
    """Connections of several programs; returns how many."""
    curl = ("curl", "-sk", "-o", "/dev/null")
    asked = [
        *[("openssl", "s_client", "-connect", to, version)
          for to in (f"{SERVER}:443", f"[{SERVER6}]:443") for version in ("-tls1_2", "-tls1_3")],
        *[(*curl, f"https://{host}/big") for host in (SERVER, f"[{SERVER6}]")],
        (*curl, "--tls-max", "1.2", "-d", "x" * 100_000, f"https://{SERVER}/upload"),
        *[(sys.executable, "-c", PYTHON, host, protocols)
          for host in (SERVER, SERVER6) for protocols in ("1", "40", "80", "110")],
    ]  # fmt: skip
    for argv in asked:
        client = wire.start(wire.client, *argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        assert client.wait(20) == 0, argv
    return len(asked)


@pytest.mark.parametrize("merged", [True, False])
def test_hellos_of_real_programs_are_heard_whole(wire: Lab, need: Need, tmp_path: Path, merged: bool) -> None:
    """Hellos of up to two segments, which offloading merges, or does not."""
    for program in ("nginx", "openssl", "curl", "tcpdump"):
        need(shutil.which(program), f"{program} is not installed")
    if not merged:
        for name, interface in ((wire.client, "va"), (wire.server, "vb")):
            wire.link(name, interface, gso_max_segs=1)
    with serving(wire, tmp_path):
        heard = Heard(wire, tmp_path / "whole.pcap")
        connections = connect(wire)
        said, whole = heard.end()
    assert sum(whole.values()) == connections
    assert said["ja4"] == whole
    assert said["longest"] <= 256 - 14 - 20 - 20
    assert said["sent"] > 1_500_000
    assert said["kept"] < 0.3 * said["sent"]


@pytest.mark.slow
@pytest.mark.captures
@pytest.mark.parametrize("tags", [0, 1, 2])
def test_hellos_of_browsers_in_tcp_and_quic_are_heard_behind_tags(
    wire: Lab, need: Need, tmp_path: Path, tags: int
) -> None:
    """What clients sent first in recorded captures, a millisecond apart, in VLANs."""
    folder = Path(os.environ.get("FLOODWATCH_TLS") or os.devnull)
    need(folder.is_dir(), "FLOODWATCH_TLS names no directory")
    frames = list[Packet]()
    for name, kind in (("launch_day", TCP), ("h3_16_hosts", UDP)):
        with lzma.open(folder / f"{name}.pcap.xz") as plain, PcapReader(plain) as capture:
            frames += islice((one for one in capture if _asks(one, kind)), 300)
    for number, frame in enumerate(frames):
        for _ in range(tags):
            inside = frame.payload
            frame.remove_payload()
            frame = frame / Dot1Q(vlan=7, type=frame.type) / inside
            frame.type = 0x8100
        frame.time = number / 1000
        frames[number] = frame
    sent = tmp_path / "sent.pcap"
    wrpcap(str(sent), frames)
    heard = Heard(wire, tmp_path / "whole.pcap")
    wire.send(sent)
    said, whole = heard.end()
    assert {name[0] for name in whole} == {"t", "q"}
    assert sum(whole.values()) >= 10
    assert said["ja4"] == whole


def _asks(frame: Packet, kind: type[Packet]) -> bool:
    """A client's segment or datagram with a payload that fits into a frame with tags."""
    return kind in frame and frame[kind].dport == 443 and 60 < len(frame) <= 1500
