"""One flood against a host, or a host behind a router, that serves meanwhile, under a watch that enforces.

    sudo python tests/guarded.py host|router 4|6 KIND [--floodwatch PYTHON] [--lead S] [--flood S] [--rate N]

Prints one JSON object: seconds until something stood in the kernel, the share of the flood that then reached
the victim, which connections from before the watch lived, and the share of polls of another service that
were lost during the flood. Kinds are those of ``tests/forge.py``, users those of ``tests/served.py``.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pyroute2 import IPRoute, NetNS, netns

sys.path.insert(0, str(Path(__file__).parent))
from lab import CLIENT, CLIENT6, SERVER, SERVER6, Lab

HERE = Path(__file__).parent
INNER, INNER6, GATE, GATE6 = "10.97.0.2", "fd97::2", "10.97.0.1", "fd97::1"
ACTED_S = 4.0
"""Within so many seconds something stands, also where the machine is busy; what then comes is counted."""
PROBE = """
table inet probe {
  counter flood {}
  chain early { type filter hook prerouting priority -445; }
  chain late { type filter hook prerouting priority 300; }
}
"""
LOOK = """
import sys, time
from floodwatch.mitigate import Table
end, first = time.time() + float(sys.argv[1]), None
while time.time() < end and first is None:
    table = Table()
    try:
        first = time.time() if table.exists() and (table.guards() or table.blocks()) else None
    except Exception:
        pass
    table.close()
    time.sleep(0.05)
print(first)
"""


@dataclass
class Cell:
    """What was seen of one flood."""

    place: str
    version: int
    kind: str
    acted: float | None
    reached: float
    lived: dict[str, bool]
    polls: int
    lost: float
    said: str

    @property
    def all_lived(self) -> bool:
        """Every connection from before lived."""
        return bool(self.lived) and all(self.lived.values())


@contextmanager
def place(where: str, version: int) -> Iterator[tuple[Lab, str, str]]:
    """A lab, the namespace of who is flooded, and its address: the server, or one that it forwards to."""
    wire = Lab()
    inner = f"{wire.server}-inner"
    try:
        wire.build()
        with NetNS(wire.server) as inside:
            inside.route("add", dst="default", gateway=CLIENT)
            inside.route("add", dst="default", gateway=CLIENT6, family=10)
        if where == "host":
            yield wire, wire.server, SERVER if version == 4 else SERVER6
            return
        _build_inner(wire, inner)
        yield wire, inner, INNER if version == 4 else INNER6
    finally:
        wire.close()
        if inner in netns.listnetns():
            netns.remove(inner)


def _build_inner(wire: Lab, inner: str) -> None:
    """A namespace behind the server's, which forwards to it."""
    netns.create(inner)
    with IPRoute() as outside:
        outside.link("add", ifname="vc", kind="veth", peer={"ifname": "vd", "net_ns_fd": inner},
                     net_ns_fd=wire.server)  # fmt: skip
    for name, link, own, own6 in ((wire.server, "vc", GATE, GATE6), (inner, "vd", INNER, INNER6)):
        with NetNS(name) as inside:
            (index,) = inside.link_lookup(ifname=link)
            inside.addr("add", index=index, address=own, prefixlen=24)
            inside.addr("add", index=index, address=own6, prefixlen=64, flags=2)
            inside.link("set", index=index, state="up")
            inside.link("set", index=1, state="up")
    with NetNS(inner) as inside:
        inside.route("add", dst="default", gateway=GATE)
        inside.route("add", dst="default", gateway=GATE6, family=10)
    with NetNS(wire.client) as inside:
        inside.route("add", dst="10.97.0.0/24", gateway=SERVER)
        inside.route("add", dst="fd97::/64", gateway=SERVER6, family=10)
    settings = ("ipv4.ip_forward=1", "ipv6.conf.all.forwarding=1", "ipv4.conf.all.rp_filter=0")
    wire.start(wire.server, "sysctl", "-qw", *(f"net.{one}" for one in settings)).wait(10)


def _probe(wire: Lab, victim: str, address: str, kind: str) -> None:
    """Count the flood's packets behind all guards; fragments before they are put together."""
    chain = "early" if kind == "fragments" else "late"
    family, people = ("ip6", CLIENT6) if ":" in address else ("ip", CLIENT)
    words = f"{family} daddr {address} {family} saddr != {people}"
    rule = f"add rule inet probe {chain} {words} counter name flood"
    loaded = wire.start(victim, "nft", "-f", "-", stdin=subprocess.PIPE)
    loaded.communicate(f"{PROBE}{rule}\n".encode(), timeout=10)


def _counted(wire: Lab, victim: str) -> int:
    listed = wire.start(victim, "nft", "list", "counter", "inet", "probe", "flood", stdout=subprocess.PIPE)
    found = re.search(rb"packets (\d+)", listed.communicate(timeout=10)[0])
    return int(found[1]) if found else 0


def cell(where: str, version: int, kind: str, *, python: str = sys.executable, lead: float = 4.0,
         flood: float = 7.0, rate: float = 3000.0, port: int = 0) -> Cell:  # fmt: skip
    """One flood; see above."""
    with place(where, version) as (wire, victim, address):
        server = wire.start(victim, sys.executable, str(HERE / "served.py"), "serve", stdout=subprocess.PIPE)
        assert server.stdout is not None
        server.stdout.readline()
        users = wire.start(wire.client, sys.executable, str(HERE / "served.py"), "use", address,
                           str(1 + flood), "told", stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE)  # fmt: skip
        assert users.stdin is not None
        assert users.stdout is not None
        users.stdout.readline()
        _probe(wire, victim, address, kind)
        command = (
            python,
            "-P",
            "-m",
            "floodwatch",
            "watch",
            "-i",
            "vb",
            "--mode",
            "enforce",
            "--format",
            "ndjson",
        )
        watch = wire.start(wire.server, *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert watch.stderr is not None
        watch.stderr.readline()
        look = wire.start(
            wire.server, python, "-P", "-c", LOOK, str(lead + flood + 2), stdout=subprocess.PIPE
        )
        time.sleep(lead)
        with NetNS(wire.server) as inside:
            (index,) = inside.link_lookup(ifname="vb")
            mac = inside.get_links(index)[0].get_attr("IFLA_ADDRESS")
        how = (kind, address, str(flood), str(rate), *([str(port)] if port else []))
        forging = (sys.executable, str(HERE / "forge.py"), "va", mac, *how)
        sender = wire.start(wire.client, *forging, stdout=subprocess.PIPE)
        assert sender.stdout is not None
        began = float(sender.stdout.readline())
        users.stdin.write(b"go\n")
        users.stdin.flush()
        time.sleep(max(began + ACTED_S + 0.5 - time.time(), 0.1))
        marks = [(time.time(), _counted(wire, victim))]
        time.sleep(max(began + flood - 0.5 - time.time(), 0.1))
        marks.append((time.time(), _counted(wire, victim)))
        sent = int(sender.communicate(timeout=30)[0])
        told = json.loads(users.communicate(timeout=60)[0].splitlines()[-1])
        first = look.communicate(timeout=30)[0].decode().strip()
        watch.send_signal(signal.SIGINT)
        said = watch.communicate(timeout=30)[1].decode()
    (t0, n0), (t1, n1) = marks
    during = [ok for at, ok in told["polls"] if at >= began]
    return Cell(
        where, version, kind,
        acted=None if first == "None" else float(first) - began,
        reached=(n1 - n0) / (t1 - t0) / (sent / flood),
        lived=told["lived"], polls=len(during), lost=1 - sum(during) / max(len(during), 1),
        said="\n".join(line for line in said.splitlines() if re.search(r"guard |lift ", line)),
    )  # fmt: skip


def main() -> None:
    """One cell, printed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("place", choices=["host", "router"])
    parser.add_argument("version", type=int, choices=[4, 6])
    parser.add_argument("kind")
    parser.add_argument("--floodwatch", default=sys.executable, metavar="PYTHON")
    for name, usual in (("lead", 4.0), ("flood", 7.0), ("rate", 3000.0)):
        parser.add_argument(f"--{name}", type=float, default=usual)
    o = parser.parse_args()
    seen = cell(o.place, o.version, o.kind, python=o.floodwatch, lead=o.lead, flood=o.flood, rate=o.rate)
    print(json.dumps(asdict(seen)))


if __name__ == "__main__":
    main()
