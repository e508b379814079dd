"""Rules that name no source, against floods that are forged or reflected. Decided without a kernel.

A guard stands before one victim, is refreshed while its flood lasts, and outlives it by a minute, for floods
come in pulses. What the victim itself asked for passes by the kernel's connection tracking: its own DNS and
NTP answers, its own connections. A limit comes last and is told as such, for it meets new clients as well;
clients who were served before pass it.

* ``reflected``: new UDP packets from a reflector's port (``drop_reflector_port``).
* ``unasked``: SYN-ACKs to SYNs that the victim never sent (``drop_signature`` of ``tcp_reflection``).
* ``limited``: new UDP or ICMP flows beyond twice what is usual (``limit_victim``).
* ``capped``: new TCP connections to a port beyond twice what is usual (``cap_unknown``).

SYN floods need none while SYN cookies are on. Left out: floods of ACK, RST and FIN, which connection tracking
can only tell from old connections after it has seen those; fragments; victims that are whole prefixes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..model import AMPLIFIERS, Action, Event, Vector

Kind: TypeAlias = Literal["reflected", "unasked", "limited", "capped"]
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
LIFETIME_S = 60.0
"""A guard ends so much later even if nobody is left to end it."""
LEAST_FLOWS = 500
LEAST_CONNECTIONS = 50
"""New UDP or ICMP flows, and new connections, a second that a limit always lets through."""
SPARE = 2.0
TCP, UDP = 6, 17
TRIED_S = 3.0
"""A guard that met nothing for so long does nothing, and goes."""
FORGIVEN_S = 600.0
"""It is not tried again for so long."""
TAKEN: Mapping[Kind, Action] = {
    "reflected": "drop_reflector_port", "unasked": "drop_signature", "limited": "limit_victim",
    "capped": "cap_unknown",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Guard:
    """One rule: ``number`` is a source port, an IP protocol or a destination port, as the kind has it."""

    kind: Kind
    victim: Address
    number: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """A guard that is wanted, its limit in packets a second (0: drop all), and the event that wants it."""

    guard: Guard
    rate: int
    event: str


def orders(events: Iterable[Event]) -> list[Order]:
    """The guards that these floods call for; sources that are proven real are blocked instead."""
    wanted: dict[Guard, Order] = {}
    for event in events:
        order = _order(event)
        if order is not None:
            wanted.setdefault(order.guard, order)
    return list(wanted.values())


def _order(event: Event) -> Order | None:
    if event.verdict == "crowd" or "/" in event.victim.ip:
        return None
    victim, action = ipaddress.ip_address(event.victim.ip), event.action.recommended
    usual = round(SPARE * (event.rate.baseline or 0.0))
    if action == "drop_reflector_port":
        port = reflector_port(event.vector)
        return None if port is None else Order(Guard("reflected", victim, port), 0, event.id)
    if event.vector is Vector.TCP_REFLECTION:
        return Order(Guard("unasked", victim), 0, event.id)
    if action == "limit_victim" and event.vector in (Vector.UDP_FLOOD, Vector.ICMP_FLOOD):
        icmp = 1 if victim.version == 4 else 58
        number = UDP if event.vector is Vector.UDP_FLOOD else icmp
        return Order(Guard("limited", victim, number), max(usual, LEAST_FLOWS), event.id)
    if action == "cap_unknown" and event.victim.port is not None:
        return Order(Guard("capped", victim, event.victim.port), max(usual, LEAST_CONNECTIONS), event.id)
    return None


def reflector_port(vector: Vector) -> int | None:
    """The port that reflectors of this protocol answer from, if there is one."""
    name = vector.removesuffix("_amplification")
    return next((port for port, protocol in AMPLIFIERS if protocol == name), None)


@dataclass(frozen=True, slots=True)
class Standing:
    """A guard in the kernel: the packets it dropped, and the seconds that are left."""

    packets: int
    seconds: float
    why: str


@dataclass(slots=True)
class _Trial:
    began: float
    worked: bool = False


class Trials:
    """What guards did: every one is an experiment, and one that meets nothing is taken back."""

    def __init__(self) -> None:
        self._running: dict[Guard, _Trial] = {}
        self._failed: dict[Guard, float] = {}

    def plan(
        self, wanted: Sequence[Order], standing: Mapping[Guard, Standing], now: float
    ) -> tuple[list[Order], list[Guard], list[str]]:
        """What to put up or refresh, what to take down, and what to say about it.

        Args:
            wanted: the guards that events call for now.
            standing: what the kernel holds, read back.
            now: seconds of a clock that only goes forward.
        """
        up, down, said = list[Order](), list[Guard](), list[str]()
        self._failed = {guard: at for guard, at in self._failed.items() if now - at < FORGIVEN_S}
        for order in wanted:
            guard = order.guard
            if guard in self._failed:
                continue
            trial = self._running.setdefault(guard, _Trial(now))
            held = standing.get(guard)
            if held is None:
                up.append(order)
                said.append(f"guard  {describe(guard, order.rate)}: {order.event}")
                continue
            trial.worked |= held.packets > 0
            if not trial.worked and now - trial.began >= TRIED_S:
                self._failed[guard] = now
                del self._running[guard]
                down.append(guard)
                said.append(f"lift   {describe(guard, order.rate)}: it met nothing in {TRIED_S:.0f} s")
            elif held.seconds < LIFETIME_S / 2:
                up.append(order)
        kept = {order.guard for order in wanted}
        self._running = {guard: trial for guard, trial in self._running.items() if guard in kept}
        return up, down, said


def describe(guard: Guard, rate: int = 0) -> str:
    """The guard in words; with the rate of its limit, where it is known."""
    number, victim = guard.number, guard.victim
    to = f" to {rate} a second" if rate else ""
    what = {
        "reflected": f"{victim} against new UDP packets from port {number}",
        "unasked": f"{victim} against SYN-ACKs that it did not ask for",
        "limited": f"{victim} by a limit of new {'UDP' if number == UDP else 'ICMP'} flows{to}",
        "capped": f"{victim}:{number} by a limit of new connections of unknown clients{to}",
    }
    return what[guard.kind]
