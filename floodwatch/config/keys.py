"""Every key of the configuration file: its kind, what it is for, and what holds where it is not written.

The reader, the JSON Schema, the file that ``config init`` writes and the manual's tables are made from this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec import Struct

from ..model.vector import Vector
from . import kinds, nat64, proxies, roles
from .kinds import Kind
from .limits import BUDGETS, budget, floors
from .settings import FOLDER, SOCKET, STATE

SCHEMA = 1
MODES = ("observe", "suggest", "enforce")
LIST_MOST, TABLES_MOST = 4096, 256
RECEIVERS_MOST = 16


class Above(NamedTuple):
    """What rooms above know, and a configuration is held against.

    Attributes:
        least: the built-in floor of a vector, or None, see ``limits.floors``.
        filter: raises what is wrong with a BPF expression.
        never_file: raises what is wrong with a never-block list.
    """

    least: Callable[[Vector], float | None]
    filter: Callable[[str], object]
    never_file: Callable[[str], object]


class Key(Struct, frozen=True, kw_only=True):
    """One key.

    Attributes:
        name: as it is written.
        kind: of its value.
        says: what it is for.
        default: what holds where it is not written, as TOML has it; None: nothing.
        field: its name in the record of settings, where that is another one.
        needed: its table is nothing without it.
        secret: it names a file that only its owner may read.
        judge: what a room above has to say of its value, after the kind.
    """

    name: str
    kind: Kind
    says: str
    default: Any = None
    field: str = ""
    needed: bool = False
    secret: bool = False
    judge: Callable[[Above, Any], object] | None = None


class Table(Struct, frozen=True, kw_only=True):
    """A table of keys; ``most`` above 1: it may be written so often, as ``[[name]]``."""

    name: str
    says: str
    keys: tuple[Key, ...]
    most: int = 1

    @property
    def header(self) -> str:
        """The line that begins it."""
        return f"[[{self.name}]]" if self.most > 1 else f"[{self.name}]"

    def key(self, name: str) -> Key | None:
        """The key of this name."""
        return next((key for key in self.keys if key.name == name), None)


def _of_the_list(parse: Callable[[list[str]], tuple[Any, ...]]) -> Callable[[str], Any]:
    """One entry, read as a list of one."""
    return lambda text: parse([text])


def _floor(vector: Vector) -> Callable[[Above, Any], object]:
    return lambda above, rate: floors({vector: rate}, above.least)


INTERFACE_NAME = kinds.text("the name of an interface", "eth0", roles.interface, r"^[^\s/]{1,15}$")
PROXY = kinds.text("a network, or a file of them", "192.0.2.0/24",
                   _of_the_list(lambda named: proxies.read_proxies(named, of="")))  # fmt: skip
TRANSLATOR = kinds.text("the prefix of a translator", "2001:db8:64::/96", _of_the_list(nat64.translators))
SERVICE_PORT = kinds.text("a protocol and ports", "udp/2055", roles.port, "^(tcp|udp|sctp)/[0-9,-]+$")
NETWORK = kinds.text("a network", "198.51.100.0/24", roles.network)
BUDGET = kinds.text("a budget of false alarms", "1/30d", budget, r"^[0-9]+(\.[0-9]+)?/[0-9]*[hdw]$")

TOP = Table(name="", says="The beginning of the file, before any table.", keys=(
    Key(name="schema", kind=kinds.only(SCHEMA), needed=True,
        says="Which edition of these keys the file is written for."),
    Key(name="mode", kind=kinds.choice(*MODES), default="observe",
        says="Only watch; say what would be blocked; or block it."),
    Key(name="interfaces", kind=kinds.listed(INTERFACE_NAME, 64), default=[],
        says="Interfaces to watch, in that mode; any is all of them."),
    Key(name="never", kind=kinds.listed(kinds.NETWORK, LIST_MOST), default=[],
        says="Networks never to block, on top of gateways, resolvers, time servers and SSH peers."),
    Key(name="never_file", kind=kinds.path(f"{FOLDER}/never.txt"),
        judge=lambda above, path: above.never_file(path),
        says="A file with more of them, one a line; followed as it changes."),
    Key(name="proxies", kind=kinds.listed(PROXY, LIST_MOST), default=[],
        says="Proxies and CDNs, or files that list them: never blocked, their clients are told apart."),
    Key(name="nat64", kind=kinds.listed(TRANSLATOR, 64), default=[],
        says="NAT64 prefixes of your own: each address there is a client."),
    Key(name="profile", kind=kinds.choice(*BUDGETS), default="default",
        says="False alarms allowed: one in 30 days, a day, or a year."),
    Key(name="false_alarms", kind=BUDGET, says="Such a budget of your own, in place of a profile."),
    Key(name="state", kind=kinds.path(STATE), default=STATE, says="The folder of what is remembered."),
))  # fmt: skip
INTERFACE = Table(name="interface", most=64, says="An interface, where it has a mode of its own.", keys=(
    Key(name="name", kind=INTERFACE_NAME, needed=True, says="Its name."),
    Key(name="mode", kind=kinds.choice(*MODES), says="What may be done there; the mode above otherwise."),
))  # fmt: skip
CAPTURE = Table(name="capture", says="How packets are captured.", keys=(
    Key(name="ring_mb", kind=kinds.whole(2, 4096, 64), default=64,
        says="Memory for each interface's rings, in MiB."),
    Key(name="snaplen", kind=kinds.whole(96, 65_535, 256), default=256,
        says="Bytes of each frame that are looked at."),
    Key(name="promiscuous", kind=kinds.FLAG, default=True,
        says="Also see frames that are not for this host."),
    Key(name="workers", kind=kinds.whole(1, 64, 1), default=1, says="Rings of each interface."),
    Key(name="filter", kind=kinds.text("a filter as in tcpdump", "tcp port 443", str),
        judge=lambda above, text: above.filter(text), says="Count only packets that match, as in tcpdump."),
))  # fmt: skip
RULES = Table(name="rules", says="What stands in the kernel.", keys=(
    Key(name="backend", kind=kinds.choice("nft", "xdp"), default="nft",
        says="Drop blocked sources in nftables, or in XDP ahead of it."),
    Key(name="on_stop", kind=kinds.choice("remove", "keep"), default="remove",
        says="Remove the rules when the daemon stops, or leave them until their time is up."),
    Key(name="max_blocks", kind=kinds.whole(1, 65_536, 4096), default=4096,
        says="Blocks that stand at most."),
    Key(name="per_minute", kind=kinds.whole(1, 65_536, 4096), default=4096,
        says="New blocks a minute at most."),
    Key(name="ttl", kind=kinds.duration(10, 3600), default="60s", field="ttl_s",
        says="Lifetime of a block; it is renewed while the flood lasts."),
    Key(name="ttl_max", kind=kinds.duration(10, 86_400), default="1h", field="ttl_max_s",
        says="Lifetime of a block at most; a repeater's doubles up to it."),
))  # fmt: skip
SERVICE = Table(name="service", most=roles.SERVICES_MOST,
                says="A service; the first that covers a flood counts.", keys=(
    Key(name="port", kind=SERVICE_PORT, needed=True, says="Protocol and ports."),
    Key(name="role", kind=kinds.choice(*roles.ROLES), default="public", says="Who it is for."),
    Key(name="mode", kind=kinds.choice("enforce", "observe"), default="enforce",
        says="observe: floods at it are told, and nothing is done."),
    Key(name="limit", kind=kinds.whole(1, roles.LIMIT_MOST, 2000),
        says="Packets, requests or connections a second that it takes."),
    Key(name="network", kind=kinds.listed(NETWORK, LIST_MOST), default=[], field="networks",
        says="Its addresses; none: any."),
    Key(name="interface", kind=kinds.listed(INTERFACE_NAME, 64), default=[], field="interfaces",
        says="Whose addresses, or networks behind them, it has; none: any."),
))  # fmt: skip
FLOORS = Table(name="floors", says="Rates a second from which a vector is named; they can only be raised.",
               keys=tuple(
    Key(name=vector, kind=kinds.RATE, says="Named from this rate on.", judge=_floor(vector))
    for vector in Vector
))  # fmt: skip
CONTROL = Table(name="control", says="The control socket.", keys=(
    Key(name="socket", kind=kinds.SOCKET, default=SOCKET, says="Where it lies."),
    Key(name="group", kind=kinds.text("the name of a group", "floodwatch", str), default="floodwatch",
        says="Who is in it may read."),
    Key(name="users", kind=kinds.listed(kinds.text("the name of a user", "alice", str), 64), default=[],
        says="Who may give orders, beside root."),
))  # fmt: skip
METRICS = Table(name="metrics", says="Where metrics are told; neither: nowhere.", keys=(
    Key(name="listen", kind=kinds.ENDPOINT, says="An address and port for Prometheus to ask."),
    Key(name="textfile", kind=kinds.path("/var/lib/prometheus/node-exporter/floodwatch.prom"),
        says="A file for the textfile collector, written again and again."),
))  # fmt: skip
NOTIFY = Table(name="notify", most=RECEIVERS_MOST, says="A receiver of events.", keys=(
    Key(name="type", needed=True, says="What it is.", kind=kinds.choice(
        "exec", "webhook", "syslog", "journald", "eve", "fastnetmon", "exabgp", "gobgp")),
    Key(name="argv", kind=kinds.listed(kinds.text("a word", "/usr/local/bin/on-flood", str), 64),
        says="Program and arguments, run without a shell."),
    Key(name="url", kind=kinds.URL, says="Where a webhook is."),
    Key(name="url_file", kind=kinds.path(f"{FOLDER}/hook.url"), secret=True,
        says="A file that holds it, and keeps it secret."),
    Key(name="secret_file", kind=kinds.path(f"{FOLDER}/hook.key"), secret=True,
        says="A file with the key that signs each event."),
    Key(name="address", kind=kinds.SYSLOG, says="Where syslog is."),
    Key(name="path", kind=kinds.path("/var/log/floodwatch/eve.json"),
        says="A file (eve), or a pipe (exabgp)."),
    Key(name="home", kind=kinds.listed(kinds.NETWORK, LIST_MOST),
        says="Networks that are yours: only for hosts in them is anything announced."),
    Key(name="min_severity", kind=kinds.choice("low", "medium", "high", "critical"), default="low",
        says="Events below are not sent."),
    Key(name="per_minute", kind=kinds.whole(1, 6000, 60), default=60,
        says="Events a minute at most; those beyond are counted."),
    Key(name="timeout", kind=kinds.duration(1, 300), default="10s", field="timeout_s",
        says="How long one may take."),
))  # fmt: skip
TABLES = (TOP, INTERFACE, CAPTURE, RULES, SERVICE, FLOORS, CONTROL, METRICS, NOTIFY)
TAKES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "exec": (("argv",), ()),
    "webhook": (("url", "url_file"), ("secret_file",)),
    "syslog": (("address",), ()),
    "journald": ((), ()),
    "eve": (("path",), ()),
    "fastnetmon": (("argv",), ()),
    "exabgp": (("home",), ("path",)),
    "gobgp": (("home",), ("argv",)),
}
"""By type of a receiver: of which of these keys it needs one, and which it takes beside."""
