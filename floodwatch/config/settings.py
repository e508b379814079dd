"""What a configuration file says, checked: the settings of the daemon.

``config.toml`` reads the files into it; everything that runs is handed a ``Settings`` and looks at no file.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from ..model.address import Network
from .limits import Limits
from .nat64 import Translator
from .roles import Service

Mode: TypeAlias = Literal["observe", "suggest", "enforce"]
FOLDER = "/etc/floodwatch"
STATE, SOCKET = "/var/lib/floodwatch", "/run/floodwatch/ctl.sock"


class Interface(Struct, frozen=True, kw_only=True):
    """One interface to watch. ``mode`` None: the daemon's."""

    name: str
    mode: Mode | None = None


class CaptureSettings(Struct, frozen=True, kw_only=True):
    """How packets are captured, see ``WatchOptions``."""

    ring_mb: int = 64
    snaplen: int = 256
    promiscuous: bool = True
    workers: int = 1
    filter: str | None = None


class RuleSettings(Struct, frozen=True, kw_only=True):
    """What stands in the kernel.

    Attributes:
        backend: ``nft`` or ``xdp``.
        on_stop: ``remove`` the rules, or ``keep`` them until their time is up.
        max_blocks: blocks that stand at most.
        per_minute: new blocks a minute at most.
        ttl_s: lifetime of a block; ``ttl_max_s``: of a repeater's.
    """

    backend: Literal["nft", "xdp"] = "nft"
    on_stop: Literal["remove", "keep"] = "remove"
    max_blocks: int = 4096
    per_minute: int = 4096
    ttl_s: float = 60.0
    ttl_max_s: float = 3600.0


class ControlSettings(Struct, frozen=True, kw_only=True):
    """The control socket: who of ``group`` may read, who of ``users`` may give orders beside root."""

    socket: str = SOCKET
    group: str = "floodwatch"
    users: tuple[str, ...] = ()


class MetricsSettings(Struct, frozen=True, kw_only=True):
    """Where metrics are told: an address and port to listen at, or a file to write. Neither: nowhere."""

    listen: str | None = None
    textfile: str | None = None


class Receiver(Struct, frozen=True, kw_only=True):
    """One receiver of events; which of the fields it needs hangs on its type.

    Attributes:
        type: ``exec``, ``webhook``, ``syslog``, ``journald``, ``eve``, ``fastnetmon``, ``exabgp``, ``gobgp``.
        argv: program and arguments (exec, fastnetmon), run without a shell.
        url, url_file: of a webhook; the file keeps it secret. ``secret_file``: its HMAC key.
        address: of a syslog server, as ``udp://192.0.2.1:514`` or ``unix:/dev/log``.
        path: of a file (eve), of a pipe (exabgp).
        home: networks that are ours: only hosts in them are announced (exabgp, gobgp).
        min_severity: events below are not sent.
        per_minute: at most; what is beyond is counted.
        timeout_s: how long one may take.
    """

    type: Literal["exec", "webhook", "syslog", "journald", "eve", "fastnetmon", "exabgp", "gobgp"]
    argv: tuple[str, ...] = ()
    url: str | None = None
    url_file: str | None = None
    secret_file: str | None = None
    address: str | None = None
    path: str | None = None
    home: tuple[str, ...] = ()
    min_severity: Literal["low", "medium", "high", "critical"] = "low"
    per_minute: int = 60
    timeout_s: float = 10.0


class Settings(Struct, frozen=True, kw_only=True):
    """All that a configuration says.

    Attributes:
        mode: of every interface that does not say its own; a fresh install observes.
        interfaces: to watch; at least one.
        capture, rules, control, metrics: see there.
        limits: floors and the budget of false alarms.
        services: what is said of services, see ``roles``; the first that covers a flood counts.
        proxies, nat64: networks of proxies and of translators.
        never: networks never to block; ``never_file``: a file with more, followed as it changes.
        notify: receivers of events.
        state: the folder of what is remembered.
    """

    mode: Mode = "observe"
    interfaces: tuple[Interface, ...] = ()
    capture: CaptureSettings = CaptureSettings()
    rules: RuleSettings = RuleSettings()
    control: ControlSettings = ControlSettings()
    metrics: MetricsSettings = MetricsSettings()
    limits: Limits = Limits()
    services: tuple[Service, ...] = ()
    proxies: tuple[Network, ...] = ()
    nat64: tuple[Translator, ...] = ()
    never: tuple[str, ...] = ()
    never_file: str | None = None
    notify: tuple[Receiver, ...] = ()
    state: str = STATE
