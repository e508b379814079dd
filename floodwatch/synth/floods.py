"""Floods of bare packets: SYN, UDP, ICMP, and reflections. No object per packet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floodwatch.synth.addresses import forged4, forged6, is_v6, parse, public4
from floodwatch.synth.packets import ACK, SECOND, SYN, Trace, arrivals, hops
from floodwatch.synth.templates import Head, dns_any_answer, memcached_reply, ntp_monlist, ssdp_reply
from floodwatch.synth.truth import FloodTruth, peak, span

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Flood:
    """Who is flooded, from when (ns), for how many seconds, how fast, by how many sources (or all differ)."""

    victim: str
    port: int | None
    start: int
    seconds: float
    pps: float
    sources: int | None = None


def record(trace: Trace, flood: Flood, vector: str, packets: Array, **facts: Any) -> None:
    """Add the truth of one flood; ``packets`` are those that its sources sent."""
    distinct = len(np.unique(packets[["src_hi", "src"]]))
    known: dict[str, Any] = {"unit": "packet/s", "pattern": "steady", "path": None, "sources": None}
    known |= {"requests": None, "peak_per_second": peak(packets["t"]), "source_count": distinct} | facts
    true = FloodTruth(
        vector=vector,
        victim_ip=flood.victim,
        victim_port=flood.port,
        packets=len(packets),
        **span(packets["t"]),
        **known,
    )
    trace.truth.floods.append(true)
    trace.sent.append((true, packets))


def forge(trace: Trace, flood: Flood, count: int) -> dict[str, Any]:
    """Source and destination columns of ``count`` forged packets to the victim, IPv4 or IPv6."""
    rng = trace.rng
    pool = count if flood.sources is None else flood.sources
    high, low = parse(flood.victim)
    if is_v6(flood.victim):
        src_hi, src = forged6(rng, pool, max(1, pool // 3))
        src_hi = src_hi.astype(np.uint64)
    else:
        src_hi, src = np.zeros(pool, np.uint64), forged4(rng, pool)
    if flood.sources is not None:
        chosen = rng.integers(0, pool, count)
        src_hi, src = src_hi[chosen], src[chosen]
    # three machines send all of it, so only three distances show
    ttl = rng.choice([51, 57, 242], count, p=[0.5, 0.3, 0.2])
    return {"src_hi": src_hi, "src": src, "dst_hi": high, "dst": low, "ttl": ttl, "frag": 0}


def syn_packets(trace: Trace, flood: Flood, ports: Array | int, answered: float = 0.2) -> Array:
    """Bare SYNs to the victim; it answers a share, once more a second later, and no ACK ever follows."""
    rng, v6 = trace.rng, is_v6(flood.victim)
    t = arrivals(rng, flood.start, flood.seconds, flood.pps)
    columns = forge(trace, flood, len(t))
    syns = trace.add(t, head=Head.SYN6 if v6 else Head.SYN_BARE, flags=SYN, dport=ports, **columns)
    syns["sport"] = rng.integers(1024, 65536, len(t))
    syns["seq"] = rng.integers(0, 1 << 32, len(t))
    syns["win"] = 512
    open_ones = syns[rng.random(len(t)) < answered]
    isn = rng.integers(0, 1 << 32, len(open_ones))
    for wait in (40_000, 40_000 + SECOND):
        part = trace.add(
            open_ones["t"] + wait, head=Head.SYN_ACK6 if v6 else Head.SYN_ACK, flags=SYN | ACK, out=True
        )
        for ours, theirs in (("src_hi", "dst_hi"), ("src", "dst"), ("sport", "dport")):
            part[ours], part[theirs] = open_ones[theirs], open_ones[ours]
        part["seq"], part["ack"], part["win"] = isn, open_ones["seq"] + 1, 65160
    return syns


def syn_flood(trace: Trace, flood: Flood) -> Array:
    """A SYN flood from forged sources to one port."""
    syns = syn_packets(trace, flood, flood.port or 80)
    record(trace, flood, "syn_flood", syns, origin="forged")
    return syns


def udp_flood(trace: Trace, flood: Flood, sizes: tuple[int, int] = (512, 1400)) -> Array:
    """Random UDP payloads to random or one port, from forged sources."""
    rng = trace.rng
    t = arrivals(rng, flood.start, flood.seconds, flood.pps)
    rows = trace.pool.add_all([rng.bytes(sizes[1]) for _ in range(16)])
    packets = trace.add(t, head=Head.UDP, pay=rng.choice(rows, len(t)), **forge(trace, flood, len(t)))
    packets["sport"] = rng.integers(1024, 65536, len(t))
    packets["dport"] = rng.integers(1, 65536, len(t)) if flood.port is None else flood.port
    packets["plen"] = rng.integers(sizes[0], sizes[1] + 1, len(t))
    record(trace, flood, "udp_flood", packets, origin="forged")
    return packets


def icmp_flood(trace: Trace, flood: Flood) -> Array:
    """Echo requests from forged sources; the victim answers what its own limit of 1000/s allows."""
    rng = trace.rng
    t = arrivals(rng, flood.start, flood.seconds, flood.pps)
    packets = trace.add(t, head=Head.ICMP_REQUEST, plen=56, **forge(trace, flood, len(t)))
    packets["sport"], packets["dport"] = rng.integers(0, 1 << 16, len(t)), np.arange(len(t)) % 65536
    share = min(1.0, 1000 / flood.pps)
    part = packets[rng.random(len(t)) < share]
    trace.add(part["t"] + 30_000, head=Head.ICMP_REPLY, plen=56, out=True, src=part["dst"], dst=part["src"],
              sport=part["sport"], dport=part["dport"])  # fmt: skip
    record(trace, flood, "icmp_flood", packets, origin="forged", unit="packet/s")
    return packets


def _reflect(trace: Trace, flood: Flood, port: int, rows: Array, mark: bool = False) -> Array:
    """Replies of real servers that nobody asked: each picks one of ``rows`` for its payload."""
    rng = trace.rng
    t = arrivals(rng, flood.start, flood.seconds, flood.pps)
    servers = public4(rng, flood.sources or 1000, 1.2)
    # a few reflectors carry much of it: their number falls with the square of a uniform draw
    src = servers[(len(servers) * rng.random(len(t)) ** 2).astype(np.int64)]
    packets = trace.add(t, head=Head.UDP, src=src, dst=parse(flood.victim)[1], sport=port, marked=mark)
    packets["ttl"], packets["frag"] = hops(src), 0
    packets["dport"] = flood.port if flood.port is not None else rng.integers(1024, 65536, len(t))
    packets["mark"] = rng.integers(0, 1 << 16, len(t)) if mark else 0
    packets["pay"] = rng.choice(rows, len(t))
    packets["plen"] = trace.pool.lengths()[packets["pay"]]
    return packets


def ntp_amplification(trace: Trace, flood: Flood) -> Array:
    """Monlist replies of 440 bytes from port 123."""
    packets = _reflect(trace, flood, 123, trace.pool.add_all([ntp_monlist()]))
    record(trace, flood, "ntp_amplification", packets, origin="reflected")
    return packets


def ssdp_amplification(trace: Trace, flood: Flood) -> Array:
    """Search answers of home routers from port 1900."""
    names = ("upnp:rootdevice", "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
             "urn:schemas-upnp-org:service:WANIPConnection:1",
             "urn:schemas-upnp-org:service:Layer3Forwarding:1",
             "uuid:7d1f9a6e-2c1b-4f0e-9d5a-0c8e5f4b21aa")  # fmt: skip
    packets = _reflect(trace, flood, 1900, trace.pool.add_all([ssdp_reply(name) for name in names]))
    record(trace, flood, "ssdp_amplification", packets, origin="reflected")
    return packets


def memcached_amplification(trace: Trace, flood: Flood) -> Array:
    """Datagrams of 1400 bytes from port 11211, pieces of large values."""
    rows = trace.pool.add_all([memcached_reply(sequence, 750) for sequence in range(0, 750, 6)])
    packets = _reflect(trace, flood, 11211, rows, mark=True)
    packets["plen"] = 1400
    record(trace, flood, "memcached_amplification", packets, origin="reflected")
    return packets


def dns_amplification(trace: Trace, flood: Flood) -> Array:
    """ANY answers from port 53: large ones come in fragments, of which only the first shows a port."""
    rng = trace.rng
    small = trace.pool.add_all([dns_any_answer(f"{name}.example", 1300) for name in ("zone", "gov", "corp")])
    sent = [_reflect(trace, flood, 53, small, mark=True)]
    whole = dns_any_answer("big.example", 3400)
    pieces = (whole[:1472], whole[1472:2952], whole[2952:])
    rows, rest = trace.pool.add_all(list(pieces)), b"".join(pieces[1:])
    total = int(np.frombuffer(rest + b"\0" * (len(rest) % 2), ">u2").sum(dtype=np.uint64))
    large = rng.random(len(sent[0])) < 0.4
    first = sent[0]
    first["pay"][large], first["plen"][large], first["frag"][large] = rows[0], 1472, 0x2000
    first["more"][large], first["more_sum"][large] = len(rest), total
    for number, offset, flags in ((1, 1480, 0x2000), (2, 2960, 0)):
        part = trace.add(first["t"][large] + number * 12_000, head=Head.FRAGMENT, plen=len(pieces[number]))
        for name in ("src", "dst", "ttl", "ip_id"):
            part[name] = first[name][large]
        part["pay"], part["frag"] = rows[number], flags | offset // 8
        sent.append(part)
    record(trace, flood, "dns_amplification", np.concatenate(sent), origin="reflected")
    return np.concatenate(sent)
