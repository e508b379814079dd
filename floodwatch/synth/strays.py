"""Floods of packets that belong to nothing: TCP out of any connection, lone fragments, other protocols."""

from __future__ import annotations

from typing import Any

import numpy as np

from floodwatch.synth import floods
from floodwatch.synth.addresses import parse, public4, texts
from floodwatch.synth.floods import Flood, forge, record
from floodwatch.synth.packets import ACK, FIN, PSH, RST, SYN, Array, Trace, arrivals, hops
from floodwatch.synth.stage import LEAD, Params, background, staged_flood
from floodwatch.synth.templates import Head, gre_packet


def stray(trace: Trace, flood: Flood, flags: Array | int, head: Head = Head.TCP_PADDED) -> Array:
    """Forged TCP packets with random numbers; the victim answers a quarter with RST, as an open host does."""
    rng = trace.rng
    t = arrivals(rng, flood.start, flood.seconds, flood.pps)
    sent = trace.add(t, head=head, flags=flags, **forge(trace, flood, len(t)))
    sent["sport"], sent["dport"] = rng.integers(1024, 65536, len(t)), flood.port or 80
    sent["seq"], sent["ack"] = rng.integers(0, 1 << 32, (2, len(t)))
    asked = sent[(rng.random(len(t)) < 0.25) & (sent["flags"] & RST == 0)]
    reply = trace.add(asked["t"] + 40_000, flags=RST, out=True, src=asked["dst"], dst=asked["src"])
    reply["sport"], reply["dport"], reply["seq"] = asked["dport"], asked["sport"], asked["ack"]
    return sent


def _forged(trace: Trace, params: Params, vector: str, flags: Array | int) -> None:
    flood = staged_flood(trace, params, 4000, 5, None, 80)
    record(trace, flood, vector, stray(trace, flood, flags), origin="forged")


def ack_flood(trace: Trace, params: Params) -> None:
    """Bare ACKs of no connection, from forged sources."""
    _forged(trace, params, "ack_flood", ACK)


def psh_ack_flood(trace: Trace, params: Params) -> None:
    """Segments with 512 bytes of nothing that belong to no connection, from forged sources."""
    flood = staged_flood(trace, params, 4000, 5, None, 80)
    sent = stray(trace, flood, PSH | ACK, Head.TCP)
    sent["plen"] = 512
    record(trace, flood, "ack_flood", sent, origin="forged")


def rst_flood(trace: Trace, params: Params) -> None:
    """Resets of no connection, from forged sources."""
    _forged(trace, params, "rst_flood", RST)


def fin_flood(trace: Trace, params: Params) -> None:
    """FINs of no connection, from forged sources."""
    _forged(trace, params, "fin_flood", FIN | ACK)


def syn_ack_flood(trace: Trace, params: Params) -> None:
    """SYN-ACKs that nobody asked for, from forged sources and random ports."""
    _forged(trace, params, "syn_ack_flood", SYN | ACK)


def tcp_flag_flood(trace: Trace, params: Params) -> None:
    """Every flag set at once, from forged sources."""
    _forged(trace, params, "tcp_flag_flood", 0x3F)


def tcp_reflection(trace: Trace, params: Params) -> None:
    """SYN-ACKs, sent three times each, and resets of 2000 servers that were asked in the victim's name."""
    flood = staged_flood(trace, params, 4000, 5, 2000, None)
    rng, victim = trace.rng, parse(params.victim)[1]
    asked = arrivals(rng, flood.start, max(flood.seconds - 1.6, 0.1), flood.pps / 3)
    servers = rng.choice(public4(rng, flood.sources or 2000, 1.2), len(asked))
    ports: dict[str, Any] = {
        "sport": rng.choice([80, 443, 22], len(asked), p=[0.5, 0.45, 0.05]),
        "dport": rng.integers(1024, 65536, len(asked)),
    }
    closed, seq, sent = rng.random(len(asked)) < 0.1, rng.integers(0, 1 << 32, len(asked)), []
    for wait in (0, 500_000_000, 1_500_000_000):
        kept = slice(None) if wait == 0 else ~closed
        part = trace.add(asked[kept] + wait, src=servers[kept], dst=victim, ttl=hops(servers[kept]))
        part["head"] = np.where(closed[kept], Head.TCP_PADDED, Head.SYN_ACK)
        part["flags"] = np.where(closed[kept], RST | ACK, SYN | ACK)
        part["sport"], part["dport"], part["seq"] = ports["sport"][kept], ports["dport"][kept], seq[kept]
        sent.append(part)
    record(trace, flood, "tcp_reflection", np.concatenate(sent), origin="reflected")


def fragment_flood(trace: Trace, params: Params) -> None:
    """Later fragments of datagrams whose first part never comes, from forged sources."""
    flood = staged_flood(trace, params, 4000, 5, None, None)
    t = arrivals(trace.rng, flood.start, flood.seconds, flood.pps)
    sent = trace.add(t, head=Head.FRAGMENT, plen=1480, **forge(trace, flood, len(t)))
    sent["frag"] = trace.rng.integers(1, 8000, len(t)) | 0x2000
    record(trace, flood, "fragment_flood", sent, origin="forged")


def gre_flood(trace: Trace, params: Params) -> None:
    """GRE packets at a host that has no tunnel, from 900 sources, with random packets inside."""
    flood = staged_flood(trace, params, 4000, 5, 900, None)
    t = arrivals(trace.rng, flood.start, flood.seconds, flood.pps)
    within = trace.rng.integers(1 << 24, 1 << 31, (400, 2)), trace.rng.integers(1024, 1 << 16, (400, 2))
    rows = trace.pool.add_all([gre_packet(*map(int, (*a, *p))) for a, p in zip(*within, strict=True)])
    sources = trace.rng.choice(public4(trace.rng, flood.sources or 900), len(t))
    sent = trace.add(
        t, head=Head.GRE, pay=trace.rng.choice(rows, len(t)), plen=44, src=sources, dst=parse(flood.victim)[1]
    )
    sent["ttl"], sent["frag"] = hops(sources), 0
    record(trace, flood, "ip_protocol_flood", sent, origin="unknown")


def udp_loop(trace: Trace, params: Params) -> None:
    """Two servers' TFTP and DNS ports answer each other's errors, 400 times a second for 20 s."""
    seconds, pps = params.duration or 20.0, params.pps or 400.0
    background(trace, params.victim, LEAD + seconds + 1.0)
    victim, peer = parse(params.victim)[1], public4(trace.rng, 1)
    illegal, refused = b"\0\5\0\4Illegal TFTP operation\0", b"\0\5\x80\1" + bytes(8)
    pay = trace.pool.add_all([illegal, refused])
    t = arrivals(trace.rng, trace.at(LEAD), seconds, pps)
    plain = {"head": Head.UDP, "frag": 0}
    came = trace.add(t, src=peer[0], dst=victim, sport=53, dport=69, pay=pay[1], plen=len(refused), **plain)
    came["ttl"] = hops(came["src"])
    went = trace.add(t + 60_000, src=victim, dst=peer[0], sport=69, dport=53, out=True, pay=pay[0],
                     plen=len(illegal), **plain)  # fmt: skip
    for host, port, sent in ((params.victim, 69, came), (texts(peer)[0], 53, went)):
        loop = Flood(host, port, trace.at(LEAD), seconds, pps, 1)
        record(trace, loop, "udp_loop", sent, origin="reflected", late_s=10.0)


def udp_one_port(trace: Trace, params: Params) -> None:
    """UDP to one port of a game server from 400 real hosts, none of which it answers."""
    floods.udp_flood(trace, staged_flood(trace, params, 4000, 5, 400, 27015))
