"""How a daemon stands, in words: for people, and in one line for monitoring systems."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from floodwatch.model.epoch import rfc3339
from floodwatch.report.escape import clip, printable
from floodwatch.report.units import compact, duration, largest_first, percent, plural

if TYPE_CHECKING:
    from floodwatch.daemon.account import Account, Charge
    from floodwatch.daemon.picture import Link, Picture

OK, WARNING, CRITICAL, UNKNOWN = range(4)
NAMES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
STALE_S = 10.0
LOST_SHARE = 0.01
"""Share of the packets of a second that may be lost before it is worth a warning."""
SHOWN, WIDTH = 3, 100
"""Interfaces and troubles that are shown, so that all of it stays within fifteen lines."""


def _clock(seconds: float) -> str:
    return rfc3339(int(seconds) * 1_000_000_000).replace("T", " ").replace("Z", " UTC")


def _lost(link: Link) -> int:
    return sum(link.lost.values())


def lines(before: Picture, now: Picture) -> Iterator[str]:
    """Where it stands, in fifteen lines at most.

    Args:
        before: an earlier look, for rates.
        now: the newest.
    """
    up = duration(max(round(now.at - now.started), 0))
    yield f"floodwatch {now.version}, mode {now.mode}, runs since {_clock(now.started)} ({up})"
    anew = [f"configuration read anew {_clock(now.reloaded)}"] if now.reloaded else []
    anew += [f"{plural(now.restarts, 'sensor')} replaced"] if now.restarts else []
    if anew:
        yield f"since then {', '.join(anew)}"
    if now.mode_until is not None:
        left = duration(max(round(now.mode_until - now.at), 0))
        yield f"mode       goes back in {left} unless you say: floodwatch ctl confirm"
    if now.panic:
        yield "panic      everything was taken away; to go on: floodwatch ctl panic --resume"
    earlier = {link.name: link for link in before.links}
    passed = max(now.at - before.at, 0.001)
    for link in now.links[:SHOWN]:
        yield _link(earlier.get(link.name, link), link, passed)
    if len(now.links) > SHOWN:
        yield f"           and {len(now.links) - SHOWN} more interfaces"
    floods = ", ".join(f"{vector} {count}" for vector, count in largest_first(dict(now.floods)))
    yield clip(f"floods     {floods or 'none'}", WIDTH)
    missing = f", {now.missing} MISSING" if now.missing else ""
    yield (
        f"blocks     {now.enforced} of {now.wanted} wanted stand{missing}; {plural(now.guards, 'guard')}; "
        f"{plural(now.blocked_packets, 'packet')} met"
    )
    if now.victims:
        busiest = ", ".join(f"{host} {compact(rate)}/s" for host, rate in now.victims[:SHOWN])
        yield clip(f"busiest    {busiest}", WIDTH)
    for trouble in now.degraded[:SHOWN]:
        yield clip(f"degraded   {printable(trouble)}", WIDTH)
    if len(now.degraded) > SHOWN:
        yield f"           and {len(now.degraded) - SHOWN} more"


def _link(before: Link, now: Link, passed: float) -> str:
    rate, bits = (now.packets - before.packets) / passed, 8 * (now.bytes - before.bytes) / passed
    lost = _lost(now)
    of = f" ({percent(lost / (lost + now.packets))})" if lost else ""
    up = "up" if now.up else "DOWN"
    return (
        f"{printable(now.name):10} {now.mode:8} {up:5} {compact(max(rate, 0))} packets/s, "
        f"{compact(max(bits, 0), ' ')}bit/s; {now.packets:,} in all, {lost:,} lost{of}"
    )


def verdict(before: Picture, now: Picture) -> tuple[int, str]:
    """An exit code of a monitoring plugin, and its line with numbers behind a bar.

    Args:
        before: an earlier look; what is missing only for a moment is not told.
        now: the newest.
    """
    critical, warning = list(_critical(before, now)), list(_warning(before, now))
    code = CRITICAL if critical else WARNING if warning else OK
    floods = sum(now.floods.values())
    fine = f"mode {now.mode}, {plural(len(now.links), 'interface')}, {plural(floods, 'flood')}, "
    fine += f"{plural(now.enforced, 'block')}, {plural(now.guards, 'guard')}"
    says = "; ".join([*critical, *warning]) or fine
    packets, lost = sum(link.packets for link in now.links), sum(map(_lost, now.links))
    numbers = (
        f"floods={floods};;;0 blocks={now.enforced};;;0 missing={now.missing};;0;0 "
        f"guards={now.guards};;;0 packets={packets}c lost={lost}c restarts={now.restarts}c"
    )
    return code, f"floodwatch {NAMES[code]}: {printable(says).replace('|', '/')} | {numbers}"


def _critical(before: Picture, now: Picture) -> Iterator[str]:
    if not now.sensor:
        yield "no sensor watches"
    elif not any(link.up for link in now.links):
        yield "no interface is watched"
    if (age := time.time() - now.at) > STALE_S:
        yield f"the daemon told nothing new for {duration(age)}"
    if missing := min(before.missing, now.missing):
        yield f"{missing} of {plural(now.wanted, 'block')} that are wanted do not stand in the kernel"


def _warning(before: Picture, now: Picture) -> Iterator[str]:
    if now.panic:
        yield "only observing after a panic"
    if now.restarts > before.restarts:
        yield "the sensor was started anew"
    yield from now.degraded
    earlier = {link.name: link for link in before.links}
    for link in now.links:
        last = earlier.get(link.name, link)
        lost, packets = _lost(link) - _lost(last), link.packets - last.packets
        if lost > LOST_SHARE * (lost + packets):
            yield f"{link.name} loses {percent(lost / (lost + packets))} of its packets"


def told(account: Account) -> Iterator[str]:
    """What was done, or would have been, by victim."""
    yield f"from {_clock(account.since)} to {_clock(account.until)}"
    if not account.victims:
        yield "no flood, and nothing blocked"
        return
    yield f"{plural(account.done, 'act')} done, {account.would:,} only said to be what would be done"
    for charge in account.victims:
        yield ""
        yield from _charge(charge)


def _charge(charge: Charge) -> Iterator[str]:
    floods = ", ".join(f"{vector} {count}" for vector, count in largest_first(charge.floods))
    yield f"{printable(charge.victim)}  {floods or 'no flood told'}"
    done = f"{plural(charge.sources, 'source')} blocked or limited, {plural(charge.guards, 'guard')}"
    yield f"  {done}, {plural(charge.packets, 'packet')} met, {charge.refused:,} refused by policy"
    if charge.would_sources or charge.would_guards:
        would = f"{plural(charge.would_sources, 'source')}, {plural(charge.would_guards, 'guard')}"
        yield f"  would have been: {would}"
    if charge.known:
        names = ", ".join(charge.clients[:SHOWN])
        more = f" and {charge.known - SHOWN:,} more" if charge.known > SHOWN else ""
        yield f"  {charge.known:,} in networks of known clients, look at these: {printable(names)}{more}"
