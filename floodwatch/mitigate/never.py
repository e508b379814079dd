"""Who is never blocked by address: found where they live, and followed as they change.

Loopback, the host's own addresses, gateways and next hops, resolvers, time servers, the peers of live SSH
sessions, and the operator's list. The kernel holds the same sets and looks them up before any source rule;
rules about a victim or a signature stay in force, for anyone can forge a gateway's address.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from pyroute2 import IPRoute

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
TIME_FILES = ("/etc/ntp.conf", "/etc/chrony/chrony.conf", "/etc/chrony.conf", "/etc/systemd/timesyncd.conf")
OWN = "address of this host"
SSH_PORT = 22
ESTABLISHED = "01"


class NeverBlock:
    """The networks that no source rule may touch, each with the reason.

    Args:
        listed: the operator's own networks.
    """

    def __init__(self, listed: Iterable[str] = ()) -> None:
        self._listed = tuple(ipaddress.ip_network(entry, strict=False) for entry in listed)
        self.reasons: dict[Network, str] = {}
        self.refresh()

    def refresh(self) -> bool:
        """Look again; returns whether anything changed."""
        found: dict[Network, str] = {}
        for network, reason in self._look():
            found.setdefault(network, reason)
        changed = found != self.reasons
        self.reasons = found
        return changed

    def _look(self) -> Iterator[tuple[Network, str]]:
        for network in self._listed:
            yield network, "your never-block list"
        for network in LOOPBACK:
            yield network, "loopback"
        yield from _of_this_host()
        for path, words, reason in (("/etc/resolv.conf", ("nameserver",), "resolver"), *_time_files()):
            for network in _configured(path, words):
                yield network, reason
        for network in _ssh_peers():
            yield network, "peer of a live SSH session"

    def why(self, network: Network) -> str | None:
        """The reason why a network must not be blocked (it overlaps one of these), or None."""
        for held, reason in self.reasons.items():
            if held.version == network.version and held.overlaps(network):
                return f"{reason} {held}"
        return None


def _of_this_host() -> Iterator[tuple[Network, str]]:
    """Own addresses, gateways and next hops, by rtnetlink."""
    with IPRoute() as route:
        for message in route.get_addr():
            address = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            if address:
                yield _host(address), OWN
        for message in route.get_routes():
            hops = [message.get_attr("RTA_GATEWAY")]
            for hop in message.get_attr("RTA_MULTIPATH") or ():
                hops.append(hop.get_attr("RTA_GATEWAY"))
            for gateway in hops:
                if gateway:
                    yield _host(gateway), "gateway"


def _host(address: str) -> Network:
    return ipaddress.ip_network(address)


def _time_files() -> tuple[tuple[str, tuple[str, ...], str], ...]:
    words = ("server", "pool", "peer", "NTP", "FallbackNTP")
    return tuple((path, words, "time server") for path in TIME_FILES)


def _configured(path: str, words: tuple[str, ...]) -> Iterator[Network]:
    """Addresses behind the given words of a configuration file; host names are not resolved."""
    try:
        lines = Path(path).read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        first, *rest = re.split(r"[\s=]+", line.strip()) or [""]
        for value in rest if first in words else ():
            try:
                yield _host(value.partition("%")[0])
            except ValueError:
                continue


def _ssh_peers() -> Iterator[Network]:
    """Remote ends of established connections to our port 22 (proc(5): /proc/net/tcp)."""
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(path).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            _, local, remote, state, *_ = row.split()
            if state == ESTABLISHED and int(local.rpartition(":")[2], 16) == SSH_PORT:
                yield _peer(remote.partition(":")[0])


def _peer(raw: str) -> Network:
    """The kernel prints addresses as words in host order."""
    data = b"".join(bytes.fromhex(raw[at : at + 8])[::-1] for at in range(0, len(raw), 8))
    family = socket.AF_INET if len(data) == 4 else socket.AF_INET6
    address = ipaddress.ip_address(socket.inet_ntop(family, data))
    mapped = getattr(address, "ipv4_mapped", None)
    return _host(str(mapped or address))
