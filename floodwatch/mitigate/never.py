"""Who is never blocked by address: found where they live, and followed as they change.

Loopback, the host's own addresses, gateways and next hops, networks behind this host, resolvers, time
servers, the peers of live SSH sessions, and the operator's list. The kernel holds the same sets and looks
them up before any source rule; rules about a victim or a signature stay in force, for anyone can forge a
gateway's address.
"""

from __future__ import annotations

import bisect
import ipaddress
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatch
from functools import cache

from ..config.files import Followed, entries
from ..errors import ConfigError
from ..model.address import Network
from .peers import peers
from .places import Places

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
TIME_FILES = ("/etc/ntp.conf", "/etc/chrony/chrony.conf", "/etc/chrony.conf", "/etc/systemd/timesyncd.conf")
OWN = "address of this host"
LISTED = "your never-block list"
SSH_PORT = 22
SSHD_FILES = ("/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*.conf")
REST_S = 3.0
"""How often it is looked who must not be blocked while nobody is to be."""


class NeverBlock:
    """The networks that no source rule may touch, each with the reason.

    Args:
        listed: the operator's own networks.
        file: a file with more of them, one a line, which is read again when it changes; or None.
        allowed: tells what else is allowed now.

    Raises:
        ValueError: an entry is no network.
        ConfigError: the file cannot be read.
    """

    def __init__(
        self,
        listed: Iterable[str] = (),
        file: str | None = None,
        allowed: Callable[[], Iterable[Network]] = tuple,
    ) -> None:
        self._listed = tuple(ipaddress.ip_network(entry, strict=False) for entry in listed)
        self._file = None if file is None else NeverFile(file)
        self._allowed = allowed
        self.places = Places()
        self._parts: list[tuple[str, Iterable[Network]]] = []
        self.reasons: dict[Network, str] = {}
        self._ranges: dict[int, list[tuple[int, int, str]]] = {}
        self._rest_until = 0.0
        self.refresh()

    def refresh(self, *, rest: bool = False) -> None:
        """Look again; ``reasons`` is another object when something changed.

        Args:
            rest: nothing is blocked or to be blocked, so that it need not be at once: to tell live sessions,
                the kernel walks through all its connections.
        """
        self.places.refresh()
        if rest and time.monotonic() < self._rest_until:
            return
        self._rest_until = time.monotonic() + REST_S
        parts = list(self._look())
        if parts == self._parts:
            return
        self._parts, found = parts, dict[Network, str]()
        for reason, networks in parts:
            for network in networks:
                found.setdefault(network, reason)
        self.reasons = found
        self._ranges = {version: _ranges(found, version) for version in (4, 6)}

    def close(self) -> None:
        """Hear no news any more."""
        self.places.close()

    def folders(self) -> set[str]:
        """Where the files lie that are looked at: they must stay readable after rights were given up."""
        files = ["/etc/resolv.conf", *TIME_FILES, *SSHD_FILES, *([self._file.path] if self._file else [])]
        return {
            os.path.dirname(path)
            for file in files
            for path in (os.path.abspath(file), os.path.realpath(file))
        }

    def complaint(self) -> str | None:
        """What is wrong with the file now, once; its last good entries hold."""
        return None if self._file is None else self._file.complaint()

    def _look(self) -> Iterator[tuple[str, Iterable[Network]]]:
        """Each reason with its networks; what did not change is the very same object as before."""
        yield LISTED, self._listed
        yield LISTED, self._file.networks() if self._file else ()
        yield "allowed by hand:", tuple(self._allowed())
        yield "loopback", LOOPBACK
        yield OWN, self.places.own
        yield "gateway", self.places.gateways
        for interface, networks in self.places.by_interface.items():
            yield f"network behind {interface}", networks
        for path, words, reason in (("/etc/resolv.conf", ("nameserver",), "resolver"), *_time_files()):
            yield reason, tuple(_configured(path, words))
        yield (
            "peer of a live SSH session",
            frozenset(ipaddress.ip_network(peer) for peer in peers(ssh_ports())),
        )

    def why(self, network: Network) -> str | None:
        """The reason why a network must not be blocked (it overlaps one of these), or None."""
        low, ranges = int(network.network_address), self._ranges[network.version]
        high = low | (1 << network.max_prefixlen - network.prefixlen) - 1
        at = bisect.bisect_right(ranges, high, key=lambda held: held[0])
        return ranges[at - 1][2] if at and ranges[at - 1][1] >= low else None


def _ranges(reasons: Mapping[Network, str], version: int) -> list[tuple[int, int, str]]:
    """(first address, last address, reason) in order; a network inside another is left out."""
    bits = 32 if version == 4 else 128
    mine = [(int(n.network_address), n.prefixlen, n) for n in reasons if n.version == version]
    found: list[tuple[int, int, str]] = []
    for first, length, network in sorted(mine, key=lambda held: held[:2]):
        if not found or first > found[-1][1]:
            found.append((first, first | (1 << bits - length) - 1, f"{reasons[network]} {network}"))
    return found


def networks_of(path: str, text: str) -> tuple[Network, ...]:
    """The networks that a never-block list holds.

    Raises:
        ConfigError: a line is none.
    """
    found = list[Network]()
    for number, entry in entries(text):
        try:
            found.append(ipaddress.ip_network(entry, strict=False))
        except ValueError as error:
            raise ConfigError(f"{path}, line {number}: {error}") from error
    return tuple(found)


class NeverFile:
    """The operator's never-block list in a file, followed as it changes; an error keeps what was good.

    Args:
        path: the file: a network a line, ``#`` begins a comment.

    Raises:
        ConfigError: it cannot be read, or a line of it is no network.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._followed = Followed(path)
        self._state = self._followed.state()
        self._networks = self._read()
        self._trouble: str | None = None

    def _read(self) -> tuple[Network, ...]:
        try:
            if self._followed.replaced:
                raise ConfigError(f"{self.path} was replaced by a file that a watch has no right to read")
            text = self._followed.read().decode()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the never-block list {self.path}: {error}") from error
        return networks_of(self.path, text)

    def networks(self) -> tuple[Network, ...]:
        """What it lists now."""
        state = self._followed.state()
        if state != self._state:
            self._state = state
            try:
                self._networks = self._read()
            except ConfigError as error:
                self._trouble = f"{error}; the previous list stays in force"
        return self._networks

    def complaint(self) -> str | None:
        """What is wrong with it, told once."""
        trouble, self._trouble = self._trouble, None
        return trouble


def _time_files() -> tuple[tuple[str, tuple[str, ...], str], ...]:
    words = ("server", "pool", "peer", "NTP", "FallbackNTP")
    return tuple((path, words, "time server") for path in TIME_FILES)


def _configured(path: str, words: tuple[str, ...]) -> Iterator[Network]:
    """Addresses behind the given words of a configuration file; host names are not resolved."""
    for line in _text(path).splitlines():
        first, *rest = re.split(r"[\s=]+", line.strip()) or [""]
        for value in rest if first in words else ():
            try:
                yield ipaddress.ip_network(value.partition("%")[0])
            except ValueError:
                continue


def ssh_ports() -> set[int]:
    """Port 22, and what sshd is told to listen on (sshd_config(5))."""
    ports = {SSH_PORT}
    for path in (found for pattern in SSHD_FILES for found in _matching(pattern)):
        ports |= {int(port) for port in re.findall(r"(?im)^\s*Port\s+(\d+)", _text(path))}
    return ports


_followed = cache(Followed)
_matched: dict[str, list[str]] = {}


def _text(path: str) -> str:
    """What a file of this host holds now, as far as may be known; nothing if there is none."""
    try:
        return _followed(path).read().decode(errors="replace")
    except OSError:
        return ""


def _matching(pattern: str) -> list[str]:
    """The files of a pattern like ``/folder/*.conf``; where the folder is closed, those seen last."""
    folder, name = os.path.split(pattern)
    try:
        _matched[pattern] = [os.path.join(folder, one) for one in os.listdir(folder) if fnmatch(one, name)]
    except PermissionError:
        pass
    except OSError:
        _matched[pattern] = []
    return _matched.get(pattern, [])
