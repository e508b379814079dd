"""What an operator says about a service: who it is for, and what may be done about floods at it.

Written on the command line as ``udp/2055,4739 role=collector network=198.51.100.0/24``: the protocol and
ports first, then settings. A configuration file has the same settings under the same names, see ``service``.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from ..errors import ConfigError
from ..model.address import Network, within
from .spelling import meant

Sources: TypeAlias = Literal["drop", "limit", "none"]
Mode: TypeAlias = Literal["enforce", "observe"]
PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
PORTS_MOST, SERVICES_MOST, LIMIT_MOST = 64, 256, 10_000_000
SETTINGS = ("role", "mode", "limit", "network", "interface")


class Role(NamedTuple):
    """One role.

    Attributes:
        says: who such a service is for.
        sources: what may be done to sources that are proven real.
        guarded: a rule that limits everybody may stand before it; ``limit``: only one from its limit on.
        why: what is told of a flood that may not be met as it would be elsewhere.
    """

    says: str
    sources: Sources
    guarded: Literal["yes", "limit", "no"]
    why: str = ""


ROLES: Mapping[str, Role] = {
    "public": Role("people and programs from anywhere", "drop", "yes"),
    "api": Role("programs, which ask fast and for the same", "limit", "yes",
                "its clients are programs: a source is slowed down and never dropped"),
    "dns": Role("resolvers, behind each of which are many people", "limit", "limit",
                "a source stands for many people: it is never dropped, and all are limited only from a limit "
                "that you give"),
    "collector": Role("devices that send and get no answer: NetFlow, syslog, sFlow, StatsD", "none", "no",
                      "a rule would cost it data: look at its senders"),
}  # fmt: skip


class Service(Struct, frozen=True, kw_only=True):
    """One service, and what its operator says of it.

    Attributes:
        protocol: IP protocol number.
        ports: of the server: pairs of the first and the last.
        role: a name of ROLES.
        mode: ``observe``: floods at it are told, and nothing is done.
        limit: packets, requests or connections a second that it takes: floods below are not named, and what
            limits all of its clients lets so many through. 0: not given.
        networks: its addresses; none: any.
        interfaces: whose addresses, or networks behind them, it has; none: any.
    """

    protocol: int
    ports: tuple[tuple[int, int], ...]
    role: str = "public"
    mode: Mode = "enforce"
    limit: int = 0
    networks: tuple[Network, ...] = ()
    interfaces: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As it is named to users: ``udp/2055``."""
        name = next(name for name, number in PROTOCOLS.items() if number == self.protocol)
        return f"{name}/{','.join(f'{a}' if a == b else f'{a}-{b}' for a, b in self.ports)}"

    def covers(self, protocol: int, port: int | None, victim: Network) -> bool:
        """Is a flood at this port of this host about it? Interfaces are not looked at."""
        if protocol != self.protocol or port is None or not any(a <= port <= b for a, b in self.ports):
            return False
        return not self.networks or any(within(victim, network) for network in self.networks)


def parse(text: str) -> Service:
    """A service as the command line has it: ``udp/2055 role=collector``.

    Raises:
        ConfigError: it cannot be understood; the message names the part.
    """
    try:
        name, *rest = shlex.split(text) or [""]
    except ValueError as error:
        raise ConfigError(f"--service {text!r}: {error}") from None
    settings: dict[str, list[str]] = {}
    for word in rest:
        key, found, value = word.partition("=")
        if not found:
            raise ConfigError(f"--service {text!r}: write settings as role=collector, not {word!r}")
        settings.setdefault(key, []).extend(value.split(","))
    return service(name, settings, where=f"--service {text!r}")


def service(name: str, settings: Mapping[str, Iterable[str]], *, where: str) -> Service:
    """A service from its name and its settings, each of them a list of texts.

    Args:
        name: ``udp/2055``; several ports as ``tcp/80,443`` or ``udp/27000-27100``.
        settings: ``role``, ``mode`` and ``limit`` with one text, ``network`` and ``interface`` with any.
        where: where it was written, for messages.

    Raises:
        ConfigError: something of it cannot be understood.
    """
    given = {key: list(values) for key, values in settings.items()}
    for key in given:
        if key not in SETTINGS:
            known = meant(key, SETTINGS) or f"; there are {', '.join(SETTINGS)}"
            raise ConfigError(f"{where}: there is no setting {key!r}{known}")
    for key in ("role", "mode", "limit"):
        if len(given.get(key, ("",))) != 1:
            raise ConfigError(f"{where}: {key} is given more than once")
    try:
        protocol, ports = port(name)
        return Service(
            protocol=protocol,
            ports=ports,
            role=_one_of(given, "role", ROLES),
            mode="observe" if _one_of(given, "mode", ("enforce", "observe")) == "observe" else "enforce",
            limit=_limit(given["limit"][0]) if "limit" in given else 0,
            networks=tuple(map(network, given.get("network", ()))),
            interfaces=tuple(map(interface, given.get("interface", ()))),
        )
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def services(texts: Iterable[str]) -> tuple[Service, ...]:
    """All services of a command line, in the order given: the first that covers a flood counts.

    Raises:
        ConfigError: one cannot be understood, or there are too many.
    """
    found = tuple(map(parse, texts))
    if len(found) > SERVICES_MOST:
        raise ConfigError(f"there are {len(found)} services: {SERVICES_MOST} are the most")
    return found


def port(name: str) -> tuple[int, tuple[tuple[int, int], ...]]:
    """The protocol and the ports of ``udp/2055``, see ``Service``.

    Raises:
        ConfigError: there is no such protocol, a port is none, or there are too many.
    """
    protocol, _, text = name.partition("/")
    if protocol not in PROTOCOLS:
        raise ConfigError(f"name the service as udp/2055: the protocol is one of {_listed(PROTOCOLS)}")
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last <= 65_535:
            raise ConfigError(f"{part!r} is no port: write 2055, 80,443 or 27000-27100")
        found.append((first, last))
    if len(found) > PORTS_MOST:
        raise ConfigError(f"{len(found)} ports: {PORTS_MOST} are the most, write a range")
    return PROTOCOLS[protocol], tuple(found)


def _one_of(given: Mapping[str, list[str]], key: str, names: Iterable[str]) -> str:
    known = list(names)
    value = given[key][0] if key in given else known[0]
    if value not in known:
        raise ConfigError(f"there is no {key} {value!r}: take one of {_listed(known)}")
    return value


def _limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= LIMIT_MOST:
        raise ConfigError(f"{text!r} is no limit: write a number a second, up to {LIMIT_MOST}")
    return int(text)


def network(text: str) -> Network:
    """A network whose address has no bits behind its prefix.

    Raises:
        ConfigError: it is none.
    """
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if found.network_address != ipaddress.ip_interface(text).ip:
        raise ConfigError(f"{text} has host bits set: write {found}")
    return found


def interface(text: str) -> str:
    """The name of an interface, as Linux would take it.

    Raises:
        ConfigError: it cannot be one.
    """
    if not re.fullmatch(r"[^\s/]{1,15}", text):
        raise ConfigError(f"{text!r} is no name of an interface")
    return text


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
