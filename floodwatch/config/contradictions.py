"""Settings that are right one by one and cannot be together, and those without which others mean nothing."""

from __future__ import annotations

import ipaddress

from . import kinds
from .document import Document, Entry, Place, Tell
from .durations import seconds
from .keys import RULES, TAKES

TIMES = {key.name: str(key.default) for key in RULES.keys if key.name.startswith("ttl")}
"""The usual lifetime of a block, and the longest."""
EVERYBODY = tuple(map(ipaddress.ip_network, ("0.0.0.0/0", "::/0")))


def look(whole: Document, main: Place, tell: Tell) -> None:
    """Tell what contradicts itself.

    Args:
        whole: all files together.
        main: the beginning of the first of them, for what is missing.
        tell: hears each error.
    """
    (_, top), *_ = whole.tables[""]
    _interfaces(whole, top, main, tell)
    _rules(whole, top, tell)
    _services(whole, tell)
    for place, receiver in whole.tables.get("notify", ()):
        _receiver(place, receiver, tell)
    if "profile" in top and "false_alarms" in top:
        where = top["false_alarms"].places[0]
        tell(
            where, f"false_alarms and profile ({top['profile'].places[0]}) are two budgets, keep one of them"
        )


def modes(whole: Document) -> dict[str, str]:
    """The mode of each interface, in the order in which they are named."""
    (_, top), *_ = whole.tables[""]
    usual = top["mode"].value if "mode" in top else "observe"
    found = dict.fromkeys(top["interfaces"].value if "interfaces" in top else (), usual)
    for _, entry in whole.tables.get("interface", ()):
        if "name" in entry:
            found[entry["name"].value] = entry["mode"].value if "mode" in entry else usual
    return found


def _interfaces(whole: Document, top: Entry, main: Place, tell: Tell) -> None:
    named: dict[str, Place] = {}
    for _, entry in whole.tables.get("interface", ()):
        if "name" not in entry:
            continue
        name, place = entry["name"].value, entry["name"].places[0]
        if name in named:
            tell(place, f'interface.name = "{name}": it stands at {named[name]} already, join both')
        named.setdefault(name, place)
    if "interfaces" in top:
        named |= dict(zip(top["interfaces"].value, top["interfaces"].places, strict=False))
    if not named and "interfaces" not in top.wrong:
        where = top["interfaces"].places[0] if "interfaces" in top else main
        tell(where, 'no interface is named, write interfaces = ["eth0"], or ["any"] for all of them')
    if "any" in named and len(named) > 1:
        tell(named["any"], "any is all interfaces, and others are named too: keep any, or the names")


def _rules(whole: Document, top: Entry, tell: Tell) -> None:
    rules = next((entry for _, entry in whole.tables.get("rules", ())), Entry())
    found = modes(whole)
    ttl, longest = (rules[key].raw if key in rules else usual for key, usual in TIMES.items())
    if seconds(ttl) > seconds(longest):
        where = next(rules[key].places[0] for key in TIMES if key in rules)
        tell(where, f'rules.ttl = "{ttl}" is longer than ttl_max = "{longest}"')
    if "backend" in rules and rules["backend"].value == "xdp" and "any" in found:
        tell(rules["backend"].places[0], 'rules.backend = "xdp" needs the names of interfaces, not any')
    if "never" in top and "enforce" in found.values():
        for network, place in zip(top["never"].value, top["never"].places, strict=False):
            if ipaddress.ip_network(network, strict=False) in EVERYBODY:
                tell(place, f'never = "{network}" is everybody: to block nobody, write mode = "observe"')


def _services(whole: Document, tell: Tell) -> None:
    first: dict[object, Place] = {}
    for place, entry in whole.tables.get("service", ()):
        if "port" in entry:
            where = [entry[key].value if key in entry else () for key in ("network", "interface")]
            same = (entry["port"].value, *map(frozenset, where))
            if same in first:
                what = f'service.port = "{entry["port"].raw}"'
                tell(
                    place, f"{what}: {first[same]} says of the same service, and the first counts: join both"
                )
            first.setdefault(same, place)


def _receiver(place: Place, receiver: Entry, tell: Tell) -> None:
    if "type" not in receiver:
        return
    kind = receiver["type"].value
    one_of, more = TAKES[kind]
    given = [key for key in one_of if key in receiver]
    if one_of and not any(map(receiver.written, one_of)):
        tell(place, f"notify: {kind} needs {' or '.join(one_of)}")
    if len(given) > 1:
        tell(receiver[given[1]].places[0], f"notify.{given[1]}: {given[0]} is given too, keep one of them")
    others = {key for needed, beside in TAKES.values() for key in (*needed, *beside)}
    for key in sorted(others - {*one_of, *more} & receiver.keys()):
        takes = f"; its keys are {', '.join((*one_of, *more))}" if one_of or more else ""
        tell(receiver[key].places[0], f"notify.{key}: {kind} takes no {key}{takes}")
    if kind == "exabgp" and "path" in receiver and not receiver["path"].value.endswith(".in"):
        where = receiver["path"].places[0]
        tell(
            where, "notify.path: name the pipe that exabgp reads, which ends in .in, as /run/exabgp/exabgp.in"
        )
    if "argv" in receiver and not (receiver["argv"].raw and receiver["argv"].raw[0].startswith("/")):
        where = receiver["argv"].places[0]
        tell(
            where,
            f"notify.argv = {kinds.shown(receiver['argv'].raw)}: it begins with the program's whole path",
        )
