"""The numbers of an event beside its evidence, held against what was counted."""

from __future__ import annotations

import ipaddress
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator
from itertools import pairwise
from typing import Any

from oracle.claims import KINDS, Verdict, bounds, nanoseconds
from oracle.counts import Victim
from oracle.packets import FRAGMENT, OTHER, RST, SECOND, SYNACK, UDP

UNITS: dict[str, tuple[Hashable, ...]] = {
    "syn_flood": ("attempts", "again", "copies"), "connection_flood": ("finished", "followed"),
    "tls_flood": ("hellos",), "http_flood": ("requests",), "http2_rapid_reset": ("resets",),
    "http2_continuation_flood": ("continuations",), "dns_query_flood": ("queries",),
    "quic_flood": ("initials",),
    "slow_http": ("unfinished", "owing", "stalled"), "api_probing": ("requests",),
    "login_bruteforce": ("requests",),
    "fragment_flood": (("to", FRAGMENT),), "ip_protocol_flood": (("to", OTHER),), "udp_loop": (("to", UDP),),
    "tcp_reflection": (("to", SYNACK), ("to", RST)),
}  # fmt: skip
"""What an event counts, by its vector; its own packets (``claims.KINDS``) or those of UDP where it is not
here.
"""
CLASSES = {"syn_flood": "syn", "connection_flood": "tcp", "tls_flood": "tcp", "http_flood": "http",
           "icmp_flood": "other", "fragment_flood": "other", "ip_protocol_flood": "other"}  # fmt: skip
SAMPLED = 1.02


def unit(event: dict[str, Any]) -> tuple[Hashable, ...]:
    vector = event["vector"]
    if vector in UNITS:
        return UNITS[vector]
    kinds = KINDS.get(vector, (UDP, FRAGMENT))
    return tuple(("to", kind) for kind in kinds)


def numbers(event: dict[str, Any], exact: Victim) -> Iterator[tuple[str, Verdict, str]]:
    """Each number of an event, by the name of its field."""
    first, last = nanoseconds(event["first"]), nanoseconds(event["last"])
    if event["vector"] == "udp_flood" and event["victim"]["protocol"] != "udp":
        return
    times = sorted(time for what in unit(event) for time in exact.times.get(what, ()))
    yield "first <= last", Verdict(first <= last, ""), event["first"]
    yield "counted", _within(event, first, last), f"{event['counted']['stretches'][:3]}"
    yield "packets", _packets(event, times), f"packets {event['packets']}"
    yield "bytes", _bytes(event, exact), f"bytes {event['bytes']}"
    yield "rate.peak", _peak(event, times), f"peak {event['rate']['peak']} {event['rate']['unit']}"
    yield "sources.distinct", _distinct(event, exact), f"distinct {event['sources']['distinct']}"
    yield "timeline", _timeline(event), f"timeline {event['timeline'][:4]}"
    yield "pattern", _pattern(event), f"pattern {event['pattern']}"
    yield from _top(event, exact)


def _inside(event: dict[str, Any], times: list[int]) -> int:
    first, last = bounds(event)
    return bisect_left(times, last) - bisect_left(times, first)


def _within(event: dict[str, Any], first: int, last: int) -> Verdict:
    begin, end = bounds(event)
    return Verdict(begin <= first and last < end, f"{begin} <= {first}, {last} < {end}")


def _packets(event: dict[str, Any], times: list[int]) -> Verdict:
    found = _inside(event, times)
    return Verdict(event["packets"] <= found * (SAMPLED if len(times) > 4096 else 1), f"{found:,}")


def _bytes(event: dict[str, Any], exact: Victim) -> Verdict:
    total = exact.bytes_in()
    return Verdict(event["bytes"] <= total, f"at most {total:,}")


def _peak(event: dict[str, Any], times: list[int]) -> Verdict:
    """No second holds less; four quarters in a row may miss a part of the largest."""
    most = max((bisect_left(times, time + SECOND) - at for at, time in enumerate(times)), default=0)
    return Verdict(
        event["rate"]["peak"] <= most * (SAMPLED if len(times) > 4096 else 1), f"{most:,} in any second"
    )


def _distinct(event: dict[str, Any], exact: Victim) -> Verdict:
    distinct, vector = event["sources"]["distinct"], event["vector"]
    if any(source["cidr"].endswith("/128") for source in event["sources"]["top"]):
        return Verdict(None, "the oracle counts IPv6 sources by their /64")
    if any(one["name"] == "invented" for one in event["evidence"]):
        return Verdict(None, "only who invents queries is counted")
    if vector in ("api_probing", "login_bruteforce", "slow_http"):
        return Verdict(distinct["lo"] <= len(exact.sources("http")) or None, f"{len(exact.sources('http'))}")
    name = CLASSES.get(vector, "udp" if event["victim"]["protocol"] == "udp" else "tcp")
    if vector == "connection_flood" and event["verdict"] != "attack":
        name = "syn"
    found = len(exact.sources(name))
    if vector.endswith("_amplification"):
        ports = event["sources"]["reflector_ports"]
        found = len({source for port in ports for source in exact.sources(f"udp {port}")})
    if "carpet" in event["pattern"]:
        return Verdict(distinct["lo"] <= found, f"{found:,}")
    # the bounds hold with 95 % probability: twice as far is a denial
    low, high = distinct["est"] * 0.87 - 1, distinct["est"] * 1.13 + 1
    good = distinct["lo"] <= found <= distinct["hi"]
    return Verdict(True if good else None if low <= found <= high else False, f"{found:,}")


def _timeline(event: dict[str, Any]) -> Verdict:
    steps = event["timeline"]
    first, last = bounds(event)
    total = sum(steps) * (last - first) / SECOND / max(len(steps), 1)
    slack = 0.05 * (last - first) / SECOND + 1
    return Verdict(total <= event["packets"] * 1.05 + slack, f"adds up to {total:.0f} of {event['packets']}")


def _pattern(event: dict[str, Any]) -> Verdict:
    stretches = event["counted"]["stretches"]
    pauses = [
        nanoseconds(after["first"]) - nanoseconds(before["until"]) for before, after in pairwise(stretches)
    ]
    longest = max(pauses, default=0)
    pulses = "pulse" in event["pattern"]
    if pulses:
        return Verdict(longest > 0 or None, f"pauses of {longest / SECOND:.2f} s at most")
    return Verdict(longest <= 20 * SECOND, f"pauses of {longest / SECOND:.2f} s at most")


def _sent_from(cidr: str, sent: Counter[bytes]) -> int:
    """What the sources of a network sent; IPv6 is counted by its /64."""
    network = ipaddress.ip_network(cidr)
    first, whole = network.network_address.packed, 4 if network.version == 4 else 8
    length = min(network.prefixlen, 8 * whole)
    if length == 8 * whole:
        return sent[first[:whole]]
    mask = -1 << 8 * whole - length
    wanted = int.from_bytes(first[:whole], "big")
    return sum(
        n for key, n in sent.items() if len(key) == whole and int.from_bytes(key, "big") & mask == wanted
    )


def _top(event: dict[str, Any], exact: Victim) -> Iterator[tuple[str, Verdict, str]]:
    """Bounds of what each source sent while the event was counted, and their shares of it."""
    top, vector = event["sources"]["top"], event["vector"]
    shares = sum(source["share"] for source in top)
    yield "top shares", Verdict(shares <= 1.001, f"{shares:.4f}"), f"{len(top)} shares"
    name = {
        "http_flood": "http", "api_probing": "http", "login_bruteforce": "http",
        "connection_flood": "finished",
        "tls_flood": "finished", "http2_rapid_reset": "strains", "http2_continuation_flood": "strains",
        "slow_http": "strains",
    }.get(vector, "udp" if event["victim"]["protocol"] == "udp" else "all")  # fmt: skip
    if any(source["cidr"].endswith("/128") for source in top):
        yield "top", Verdict(None, "the oracle counts IPv6 sources by their /64"), f"{len(top)} sources"
        return
    ahead = (
        SECOND if vector == "tls_flood" else 0
    )  # a connection is finished before its handshake of TLS begins
    inside, pauses = exact.sources(name), exact.sources(name, pauses=True, ahead=ahead)
    low, high = [], []
    for source in top:
        found, most = (_sent_from(source["cidr"], sent) for sent in (inside, pauses))
        if source["count"]["lo"] > most:
            low.append(f"{source['cidr']} lo {source['count']['lo']} > {most}")
        if source["count"]["hi"] < found:
            high.append(f"{source['cidr']} hi {source['count']['hi']} < {found}")
    if top:
        yield "top lo", Verdict(not low, f"{len(low)} of {len(top)}: {'; '.join(low[:3])}"), "lower bounds"
        yield "top hi", Verdict(not high, f"{len(high)} of {len(top)}: {'; '.join(high[:3])}"), "upper bounds"
