"""Floods made by tools that we did not write, against nginx, captured by tcpdump: each has its name.

Everything happens inside two namespaces, for a few seconds, and ends by itself.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from floodwatch.config.options import ScanOptions
from floodwatch.model.event import Event
from floodwatch.pipeline.scan import scan

sys.path.insert(0, str(Path(__file__).parent))
from lab import CLIENT, SERVER, Lab

pytestmark = [pytest.mark.root, pytest.mark.slow]
URL = f"http://{SERVER}/"
NGINX = """
daemon off; master_process off; pid {home}/pid; error_log stderr crit;
events {{ worker_connections 2000; }}
http {{
    access_log off; client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fcgi; uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
    server {{ listen 80; root {home}; location /upload {{ proxy_pass http://127.0.0.1:81; }} }}
    server {{ listen 127.0.0.1:81; location / {{ return 200 ok; }} }}
}}
"""
SLOW = ("slowhttptest", "-c", "200", "-r", "100", "-l", "8", "-i", "2")
FORGED = ("timeout", "1.5", "hping3", "--flood", "--rand-source")


@contextmanager
def captured(wire: Lab, capture: Path) -> Iterator[None]:
    """Capture what the server gets and sends while the body runs."""
    dump = wire.start(wire.server, "tcpdump", "-q", "-i", "vb", "-w", str(capture), stderr=subprocess.PIPE)
    assert dump.stderr is not None
    dump.stderr.readline()
    time.sleep(1)  # what a flood is compared with
    yield
    time.sleep(0.5)
    dump.send_signal(signal.SIGINT)
    dump.wait(10)


def floods(wire: Lab, home: Path, need: Any, *command: str) -> list[Event]:
    """The floods of a capture that was made while a tool ran."""
    tool = "hping3" if "hping3" in command else command[0]
    for name in (tool, "tcpdump", "nginx"):
        need(shutil.which(name), f"{name} is not installed")
    (home / "nginx.conf").write_text(NGINX.format(home=home))
    (home / "index.html").write_text("<html>hello</html>")
    (home / "large").write_bytes(bytes(2_000_000))
    home.chmod(0o755)
    wire.start(wire.server, "nginx", "-c", str(home / "nginx.conf"))
    capture = home / "tool.pcap"
    with captured(wire, capture):
        wire.start(wire.client, *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait(60)
    return list(scan([str(capture)], ScanOptions(top=0)).floods)


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that nginx's workers may enter."""
    folder = tmp_path_factory.mktemp("tools")
    for parent in (folder, folder.parent, folder.parent.parent):
        parent.chmod(0o755)
    return folder


@pytest.mark.parametrize(("options", "says"), [
    (("-H", "-u", URL), "came without the end of their header"),
    (("-B", "-s", "8192", "-x", "10", "-u", f"{URL}upload"),
     "declared a body (Content-Length) that did not come with them"),
    (("-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-u", f"{URL}large"),
     "answers that are not read"),
], ids=["headers", "bodies", "readers"])  # fmt: skip
def test_slow_clients_are_named_by_what_they_do(
    wire: Lab, home: Path, need: Any, options: tuple[str, ...], says: str
) -> None:
    (flood,) = floods(wire, home, need, *SLOW, *options)
    assert (flood.vector, flood.victim.ip, flood.victim.port) == ("slow_http", SERVER, 80)
    assert says in flood.evidence[0].says + flood.evidence[2].says
    assert flood.evidence[0].name == "held"
    assert [source.cidr for source in flood.sources.top] == [CLIENT]
    assert flood.pattern == ("steady",)


@pytest.mark.parametrize(("options", "vector"), [
    (("-S", "-p", "80"), "syn_flood"), (("-A", "-p", "80"), "ack_flood"), (("-F", "-p", "80"), "fin_flood"),
    (("-R", "-p", "80"), "rst_flood"), (("-F", "-P", "-U", "-p", "80"), "tcp_flag_flood"),
    (("-2", "-p", "9999", "-d", "1200"), "udp_flood"), (("-1",), "icmp_flood"),
    (("-0", "-H", "47"), "ip_protocol_flood"),
])  # fmt: skip
def test_forged_floods_are_named_and_no_source_is(
    wire: Lab, home: Path, need: Any, options: tuple[str, ...], vector: str
) -> None:
    (flood,) = floods(wire, home, need, *FORGED, *options, SERVER)
    assert (flood.vector, flood.victim.ip, flood.sources.origin) == (vector, SERVER, "forged")
    assert flood.sources.top == ()


def test_a_benchmark_from_one_address_is_a_flood_of_that_address(wire: Lab, home: Path, need: Any) -> None:
    (flood,) = floods(wire, home, need, "ab", "-q", "-t", "3", "-n", "100000", "-c", "20", URL)
    assert (flood.vector, flood.victim.path, flood.sources.origin) == ("http_flood", "/", "real")
    assert [source.cidr for source in flood.sources.top] == [CLIENT]
