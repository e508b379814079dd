"""Rules that name no source, against floods that are forged or reflected. Decided without a kernel.

A guard stands before one victim, a host or a network, and before one port of it where one holds most of the
flood. It is refreshed while its flood lasts, and outlives it by a minute, for floods come in pulses. What is
served passes: flows that the victim answered or began (``nft.passes`` has the list), and what a network lives
by. A limit comes last and is told as such, for it meets new clients as well; clients who were served before
pass it.

* ``reflected``: new UDP packets from a reflector's port (``drop_reflector_port``).
* ``unasked``: SYN-ACKs to SYNs that the victim never sent (``drop_signature``).
* ``strange``: TCP packets but SYNs that belong to no connection, beyond a few (``drop_signature``); tracking
  learns connections from before it began by their next packet in either direction, hence the few.
* ``fragments``: later fragments without a first one beyond twice what is usual (``drop_signature``).
* ``limited``: new flows of UDP, ICMP or another protocol beyond twice what is usual, and the packets of flows
  that the victim never answered beyond the same (``limit_victim``).
* ``proxied``: SYNs to a port behind this host are answered here, with SYN cookies, and handshakes are
  finished with the victim only when their ACK came (``syn_cookies``).
* ``capped``: new TCP connections to a port beyond twice what is usual (``cap_unknown``; also against SYN
  floods where neither this host's own cookies protect nor a proxy can).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..model.decision import Decision
from ..model.event import Action
from .plan import Network
from .vital import TCP, UDP, is_vital

Kind: TypeAlias = Literal["reflected", "unasked", "strange", "fragments", "limited", "proxied", "capped"]
Shield: TypeAlias = Literal["cookies", "proxy", "none"]
"""What SYN cookies can do for a victim: it has its own, this host can stand in for it, or nothing."""
LIFETIME_S = 60.0
"""A guard ends so much later even if nobody is left to end it."""
LEAST_FLOWS, LEAST_CONNECTIONS, LEAST_STRANGE = 500, 50, 100
"""New flows, new connections, and fragments or packets of none, a second that a limit always lets through."""
SPARE = 2.0
TRIED_S = 3.0
"""A guard that met nothing for so long does nothing, and goes."""
FORGIVEN_S = 600.0
"""It is not tried again for so long."""
TAKEN: Mapping[Kind, Action] = {
    "reflected": "drop_reflector_port", "unasked": "drop_signature", "strange": "drop_signature",
    "fragments": "drop_signature", "limited": "limit_victim", "proxied": "syn_cookies",
    "capped": "cap_unknown",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Guard:
    """One rule.

    Attributes:
        kind: what it does.
        victim: whom it protects.
        number: a source port, an IP protocol or a destination port, as the kind has it.
        port: the destination port that it meets, where it meets only one and the number does not say which.
    """

    kind: Kind
    victim: Network
    number: int = 0
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A guard that is wanted, its limit in packets a second (0: drop all), and the event that wants it."""

    guard: Guard
    rate: int
    event: str


def orders(decisions: Iterable[Decision], shield: Callable[[Network], Shield]) -> list[Order]:
    """The guards that these floods call for; sources that are proven real are blocked instead.

    Args:
        decisions: about the floods that are going on.
        shield: what SYN cookies can do for a victim.
    """
    wanted: dict[Guard, Order] = {}
    for decision in decisions:
        for guard, least in _guards(decision, shield):
            usual = round(SPARE * decision.usual)
            wanted.setdefault(guard, Order(guard, max(usual, least) if least else 0, decision.id))
    return list(wanted.values())


def _guards(decision: Decision, shield: Callable[[Network], Shield]) -> Iterator[tuple[Guard, int]]:
    """Each guard with the least that its limit lets through; 0 where it drops all.

    None stands before what a network lives by: the floods at it are only told.
    """
    victim, port = decision.victim, decision.port
    if is_vital(decision.protocol, port):
        return
    match decision.protection:
        case "reflected":
            for number in decision.reflector_ports:
                yield Guard("reflected", victim, number, port), 0
        case "unasked":
            yield Guard("unasked", victim, port=port), 0
        case "strange":
            yield Guard("strange", victim, port=port), LEAST_STRANGE
        case "fragments":  # all but the first have no port
            yield Guard("fragments", victim), LEAST_STRANGE
        case "limited":
            with_ports = decision.protocol in (TCP, UDP)
            yield Guard("limited", victim, decision.protocol, port if with_ports else None), LEAST_FLOWS
        case "cookies" if port is not None and (how := shield(victim)) != "cookies":
            proxied = how == "proxy"
            yield Guard("proxied" if proxied else "capped", victim, port), 0 if proxied else LEAST_CONNECTIONS
        case "capped" if port is not None:
            yield Guard("capped", victim, port), LEAST_CONNECTIONS


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

    def avoided(self, now: float) -> dict[Guard, float]:
        """The guards that are not to be tried, with the seconds that this lasts."""
        return {guard: left for guard, at in self._failed.items() if (left := at + FORGIVEN_S - now) > 0}

    def avoid(self, guards: Mapping[Guard, float], now: float) -> None:
        """Do not try these for so many seconds."""
        self._failed |= {g: now + min(left, FORGIVEN_S) - FORGIVEN_S for g, left in guards.items()}

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
                said.append(f"lift   {describe(guard, order.rate)}: it had no effect in {TRIED_S:.0f} s")
            elif held.seconds < LIFETIME_S / 2:
                up.append(order)
        kept = {order.guard for order in wanted}
        self._running = {guard: trial for guard, trial in self._running.items() if guard in kept}
        return up, down, said


def describe(guard: Guard, rate: int = 0) -> str:
    """The guard in words; with the rate of its limit, where it is known."""
    number, victim = guard.number, name_of(guard.victim)
    to = f" to {rate} a second" if rate else ""
    flows = "UDP" if number == UDP else "ICMP" if number in (1, 58) else f"protocol {number}"
    at = "" if guard.port is None else f" at port {guard.port}"
    what = {
        "reflected": f"{victim} against new UDP packets from port {number}{at}",
        "unasked": f"{victim} against unsolicited SYN-ACKs{at}",
        "strange": f"{victim} against out-of-state TCP packets{at}, limited{to}",
        "fragments": f"{victim} by limiting fragments{to}",
        "limited": f"{victim} by limiting new {flows} flows{at}{to}",
        "proxied": f"{victim}:{number} by answering its SYNs with cookies",
        "capped": f"{victim}:{number} by limiting new connections of unknown clients{to}",
    }
    return what[guard.kind]


def name_of(victim: Network) -> str:
    """A host by its address, a network by its prefix."""
    return str(victim.network_address if victim.prefixlen == victim.max_prefixlen else victim)
