"""Where this host stands: its own addresses, its next hops, and the networks that lie behind it.

The way out is where a default route goes, of IPv4 or IPv6 and in any table. What is routed over another
interface lies behind this host: bridges of containers and of guests, tunnels' ends, a downstream prefix. A
host without a default route does not tell which side is outside, so nothing lies behind it; and an interface
with more routes than a site has networks leads to the world as well (a full table, an exchange of peers).
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from ..model.address import Network, within

REST = 20.0
"""Routes are not read again for so many times as long as reading them took: there may be a million."""
ROUTE = 0
ADDRESSES_AND_ROUTES = 0x10 | 0x40 | 0x100 | 0x400
"""Groups of rtnetlink: addresses and routes of IPv4 and of IPv6."""
SITE_MOST = 1024
"""Networks that lie behind one interface at most."""
UNICAST, LOCAL_TABLE = 1, 255
LOOPBACK = "lo"


class Route(NamedTuple):
    """One way: to a network, over an interface, perhaps by a gateway."""

    to: str
    interface: str
    gateway: str | None


class Places:
    """What the kernel says about addresses and routes; read again when it tells that they changed."""

    def __init__(self) -> None:
        self._news = RouteNews()
        self._heard, self._rest_until = False, 0.0
        self.own: dict[Network, str] = {}
        self.gateways: frozenset[Network] = frozenset()
        self.behind: dict[Network, str] = {}
        self.by_interface: dict[str, tuple[Network, ...]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Look again, where something changed; what cannot be read any more stays as it was."""
        self._heard |= self._news.drain()
        begin = time.monotonic()
        if self._heard and begin >= self._rest_until:
            with suppress(OSError, NetlinkError), IPRoute() as kernel:
                names = {link["index"]: link.get_attr("IFLA_IFNAME") or "" for link in kernel.get_links()}
                self.own = _own(kernel, names)
                self.gateways, self.by_interface = survey(_routes(kernel, names))
                self.behind = {n: name for name, held in self.by_interface.items() for n in held}
                self._heard = False
            self._rest_until = begin + REST * (time.monotonic() - begin)

    def inside(self, network: Network) -> str | None:
        """In words, how a network belongs here: it is this host's, or lies behind it; or None."""
        if network in self.own:
            return "this host"
        around = (network.supernet(new_prefix=length) for length in range(network.prefixlen, 0, -1))
        found = next((wider for wider in around if wider in self.behind), None)
        return None if found is None else f"{found}, behind {self.behind[found]}"

    def at(self, interface: str, network: Network) -> bool:
        """Is this an address of that interface, or in a network behind it?"""
        if network in self.own:
            return self.own[network] == interface
        return any(within(network, held) for held in self.by_interface.get(interface, ()))

    def close(self) -> None:
        """Hear no news any more."""
        self._news.close()


def ways_out() -> list[str]:
    """The interfaces that carry a default route, by name."""
    with IPRoute() as kernel:
        names = {link["index"]: link.get_attr("IFLA_IFNAME") or "" for link in kernel.get_links()}
        return sorted({route.interface for route in _routes(kernel, names) if route.to.endswith("/0")})


def survey(routes: Iterable[Route]) -> tuple[frozenset[Network], dict[str, tuple[Network, ...]]]:
    """The gateways, and the networks behind this host by the interface that they are reached over."""
    gateways, out, over = set[str](), set[str](), defaultdict[str, set[str]](set)
    for to, interface, gateway in routes:
        if gateway:
            gateways.add(gateway)
        if to.endswith("/0"):
            out.add(interface)
        elif len(over[interface]) <= SITE_MOST:
            over[interface].add(to)
    inside = {name: held for name, held in over.items() if out and name not in out and len(held) <= SITE_MOST}
    return frozenset(map(ipaddress.ip_network, gateways)), {
        name: _site(held) for name, held in sorted(inside.items())
    }


def _site(listed: Iterable[str]) -> tuple[Network, ...]:
    networks = map(ipaddress.ip_network, sorted(listed))
    return tuple(n for n in networks if not (n.is_link_local or n.is_multicast))


class RouteNews:
    """Hears of addresses and routes that change (rtnetlink(7)): they need not be read all the time."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, ROUTE)
        self._socket.bind((0, ADDRESSES_AND_ROUTES))
        self._socket.setblocking(False)
        self._first = True

    def drain(self) -> bool:
        """Was anything heard since the last time? The first answer is yes."""
        heard, self._first = self._first, False
        while True:
            try:
                heard |= bool(self._socket.recv(1 << 16))
            except BlockingIOError:
                return heard
            except OSError:  # so much that some of it was lost
                heard = True

    def close(self) -> None:
        """Stop to hear."""
        self._socket.close()


def _own(kernel: IPRoute, names: dict[int, str]) -> dict[Network, str]:
    found = {}
    for message in kernel.get_addr():
        if address := message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"):
            found[ipaddress.ip_network(address)] = names.get(message["index"], "")
    return found


def _routes(kernel: IPRoute, names: dict[int, str]) -> Iterator[Route]:
    """Every way of every route to somewhere else; those over loopback lead nowhere."""
    for message in kernel.get_routes():
        if message["type"] != UNICAST or message["table"] == LOCAL_TABLE:
            continue
        everywhere = "0.0.0.0" if message["family"] == socket.AF_INET else "::"
        to = f"{message.get_attr('RTA_DST') or everywhere}/{message['dst_len']}"
        ways = [(message.get_attr("RTA_OIF"), message)]
        ways += [(hop["oif"], hop) for hop in message.get_attr("RTA_MULTIPATH") or ()]
        for index, way in ways:
            via = way.get_attr("RTA_VIA")  # an IPv6 next hop of an IPv4 route (RFC 5549)
            name = names.get(index or 0)
            if name and name != LOOPBACK:
                yield Route(to, name, way.get_attr("RTA_GATEWAY") or (via and via["addr"]))
