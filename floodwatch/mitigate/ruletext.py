"""Rules against one event, for people who load them themselves: nft, iptables, FlowSpec, or plain text.

A source stands in a rule only where its address is proven real; reflectors and forged addresses never do.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from floodwatch.detectors import title
from floodwatch.model.event import SOURCE_RATE, Event
from floodwatch.model.vector import protocol_number
from floodwatch.report import words
from floodwatch.report.escape import printable

LIFETIME = "10m"
SLOW_BYTES = 9600
"""What FlowSpec leaves a source that is slowed down, in bytes a second: the least that speakers take."""
LIMIT = 2
"""A victim's limit in times of its usual rate, or of the floor where the usual is not known."""


def render(event: Event, style: str) -> str:
    """The event in one of the styles; every line that is no rule is a comment."""
    return STYLES[style](event)


def _sources(event: Event) -> list[str]:
    proven = event.sources.origin == "real" and event.action.recommended in (
        "drop_sources",
        "limit_per_source",
    )
    return [top.cidr for top in event.sources.top] if proven else []


def _limited(event: Event) -> bool:
    """The sources are to be slowed down, not blocked."""
    return event.action.recommended == "limit_per_source"


def _reflector_port(event: Event) -> int | None:
    if event.action.recommended != "drop_reflector_port":
        return None
    for fact in event.evidence:
        if fact.name == "unasked_answers" and " port " in fact.says:
            return int(fact.says.split(" port ")[1].split(";")[0])
    return None


def _per_second(event: Event) -> int:
    return max(int(LIMIT * (event.rate.baseline or 0)), 100)


def _head(event: Event, mark: str) -> list[str]:
    says = [f"{title(event.vector, event.verdict)} at {event.victim.ip}, {event.id}", event.action.why]
    return [f"{mark} {printable(line)}" for line in says]


def _nft(event: Event) -> str:
    body = _nft_rules(event)
    if not body:
        return "\n".join(
            [*_head(event, "#"), "# there is nothing to load: " + words.ADVICE[event.action.recommended], ""]
        )
    name = "fw_" + event.id.replace("-", "_").replace(".", "_").replace(":", "_").lower()
    lines = [*_head(event, "#"), f"table inet {name[:31]} {{", *body, "}", ""]
    return "\n".join(lines)


def _nft_rules(event: Event) -> list[str]:
    victim = ipaddress.ip_network(event.victim.ip, strict=False)
    family = "ip" if victim.version == 4 else "ip6"
    to = f"{family} daddr {event.victim.ip}"
    port = f" {event.victim.protocol} dport {event.victim.port}" if event.victim.port is not None else ""
    sources, reflector = _sources(event), _reflector_port(event)
    if sources:
        return _nft_sources(sources, limited=_limited(event))
    if reflector is not None:
        rule = f"{to} udp sport {reflector} ct state new counter drop"
        return _nft_chain("filter hook prerouting priority mangle", rule)
    if event.action.recommended == "drop_signature":
        match = (
            f"{to} ip frag-off & 0x1fff != 0"
            if event.vector == "fragment_flood"
            else f"{to} ct state invalid"
        )
        # connection tracking puts fragments together at -400: only before that are there any to drop
        hook = "-450" if event.vector == "fragment_flood" else "mangle"
        return _nft_chain(f"filter hook prerouting priority {hook}", f"{match} counter drop")
    if event.action.recommended == "limit_victim":
        match = f"{to}{port}" if port else f"{to} meta l4proto {protocol_number(event.victim.protocol)}"
        rule = f"{match} limit rate over {_per_second(event)}/second burst 200 packets counter drop"
        return _nft_chain("filter hook prerouting priority mangle", rule)
    return []


def _nft_chain(hook: str, *rules: str) -> list[str]:
    return [
        "  chain prerouting {",
        f"    type {hook}; policy accept;",
        *(f"    {rule}" for rule in rules),
        "  }",
    ]


def _nft_sources(sources: list[str], *, limited: bool) -> list[str]:
    lines, rules = [], []
    for version, kind, family in ((4, "ipv4_addr", "ip"), (6, "ipv6_addr", "ip6")):
        mine = [s for s in sources if ipaddress.ip_network(s).version == version]
        if mine:
            lines += [
                f"  set sources{version} {{",
                f"    type {kind}; flags interval, timeout; timeout {LIFETIME}",
            ]
            lines += [f"    elements = {{ {', '.join(mine)} }}", "  }"]
            over = f"limit rate over {SOURCE_RATE}/second burst {SOURCE_RATE} packets"
            slow = f" meter slow{version} {{ {family} saddr {over} }}" if limited else ""
            rules.append(f"{family} saddr @sources{version}{slow} counter drop")
    return [*lines, *_nft_chain("filter hook prerouting priority raw", *rules)]


def _iptables(event: Event) -> str:
    lines, sources, reflector = _head(event, "#"), _sources(event), _reflector_port(event)
    tool = "iptables" if ipaddress.ip_network(event.victim.ip, strict=False).version == 4 else "ip6tables"
    for source in sources:
        version = ipaddress.ip_network(source).version
        name = "iptables" if version == 4 else "ip6tables"
        above = (
            f" -m hashlimit --hashlimit-above {SOURCE_RATE}/sec --hashlimit-mode srcip --hashlimit-name fw"
        )
        limit = above if _limited(event) else ""
        lines.append(f"{name} -t raw -I PREROUTING -s {source}{limit} -j DROP")
    if reflector is not None:
        match = f"-d {event.victim.ip} -p udp --sport {reflector} -m conntrack --ctstate NEW"
        lines.append(f"{tool} -t mangle -I PREROUTING {match} -j DROP")
    elif event.action.recommended == "drop_signature" and event.vector != "fragment_flood":
        lines.append(
            f"{tool} -t mangle -I PREROUTING -d {event.victim.ip} -m conntrack --ctstate INVALID -j DROP"
        )
    elif not sources:
        lines.append("# there is nothing to load: " + words.ADVICE[event.action.recommended])
    return "\n".join([*lines, ""])


def _flowspec(event: Event) -> str:
    """FlowSpec routes (RFC 8955) as ExaBGP writes them: what they match, and that it is discarded."""
    victim = ipaddress.ip_network(event.victim.ip, strict=False)
    lines, reflector = _head(event, "#"), _reflector_port(event)
    target = f"destination {victim};"
    if reflector is not None:
        lines.append(f"match {{ {target} protocol =17; source-port ={reflector}; }} then {{ discard; }}")
    for source in _sources(event):
        network = ipaddress.ip_network(source)
        if network.version == victim.version:
            then = f"rate-limit {SLOW_BYTES}" if _limited(event) else "discard"
            lines.append(f"match {{ source {network}; {target} }} then {{ {then}; }}")
    if len(lines) == len(_head(event, "#")):
        lines.append("# there is no route to announce: " + words.ADVICE[event.action.recommended])
    return "\n".join([*lines, ""])


def _text(event: Event) -> str:
    named = title(event.vector, event.verdict)
    lines = [f"{named} ({event.verdict}), confidence {event.confidence}, {event.severity}"]
    port = "" if event.victim.port is None else f" port {event.victim.port}"
    lines.append(
        f"victim    {event.victim.ip}{port} ({event.victim.protocol}) {event.victim.path or ''}".rstrip()
    )
    lines.append(f"time      {event.first} to {event.last}, detected {event.detected}")
    usual = "" if event.rate.baseline is None else f", usual {event.rate.baseline:,.0f}"
    lines.append(f"rate      peak {event.rate.peak:,.0f} {event.rate.unit}{usual}")
    distinct = event.sources.distinct
    lines.append(f"sources   {distinct.lo:,} to {distinct.hi:,}, {words.ORIGINS[event.sources.origin]}")
    lines += [f"because   {fact.says} ({fact.name})" for fact in event.evidence]
    lines.append(f"so        {words.ADVICE[event.action.recommended]}: {event.action.why}")
    for top in event.sources.top:
        lines.append(f"source    {top.cidr}  {100 * top.share:.1f} %  {top.count.lo:,} to {top.count.hi:,}")
    return "\n".join(printable(line) for line in lines) + "\n"


STYLES: dict[str, Callable[[Event], str]] = {
    "text": _text,
    "nft": _nft,
    "iptables": _iptables,
    "flowspec": _flowspec,
}
