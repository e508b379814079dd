"""Scenarios without a flood, among them those that look like one: a crowd, a scan, a busy server."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from floodwatch.synth import bots
from floodwatch.synth.addresses import parse, public4
from floodwatch.synth.floods import Flood
from floodwatch.synth.packets import ACK, RST, SECOND, SYN, Array, Trace, arrivals, hops
from floodwatch.synth.people import Habits, Site, browse, build_site, download, http_reply, lookups, shells
from floodwatch.synth.stage import DNS_SERVER, LEAD, Params, background, side_note
from floodwatch.synth.tcp import REQUEST, converse, dial, schedule
from floodwatch.synth.templates import Head, dns_answer, dns_query, gre_packet
from floodwatch.synth.truth import CrowdTruth, span

SHELL_HOST = "198.51.100.22"
OFFICE = "203.0.113.9"


SEGMENTS = 512
"""Segments of a tunnelled connection that differ."""


def clean(trace: Trace, params: Params) -> None:
    """Ordinary web, DNS, SSH, a download and an office behind one address; no flood."""
    seconds, rng = params.duration or 10.0, trace.rng
    trace.stop = trace.at(seconds)
    site = build_site(trace, parse(params.victim)[1], 80, "chat.example")
    starts = arrivals(rng, trace.start, seconds, params.pps or 12)
    clients = public4(rng, len(starts))
    browse(trace, site, starts, clients)
    office = arrivals(rng, trace.start, seconds, 40 / seconds)
    browse(trace, site, office, np.full(len(office), parse(OFFICE)[1], np.uint64), Habits(pages=4))
    resolvers = public4(rng, 60)
    asked = arrivals(rng, trace.start, seconds, 40)
    queries = lookups(trace, parse(DNS_SERVER)[1], asked, rng.choice(resolvers, len(asked)))
    admins = public4(rng, 5)
    shells(trace, parse(SHELL_HOST)[1], arrivals(rng, trace.start, seconds / 2, 10 / seconds)[:5], admins, 40)
    loader = public4(rng, 1)
    download(trace, site, trace.at(1.0), loader, 3_000_000)
    others = np.array([parse(OFFICE)[1], *loader], np.uint64)
    everyone = np.concatenate([clients, admins, queries["src"], others])
    trace.truth.add_clients(everyone, known=True)


def grow_crowd(
    trace: Trace, site: Site, victim: str, usual: float, timeline: tuple[float, float, float], habits: Habits
) -> Array:
    """New visitors at ``usual`` a second until the lead ends, then more, tenfold after the rise.

    ``timeline`` holds seconds: the lead, the rise that follows it, the end of the capture. Returns the
    clients who came early enough to be known before anything happens.
    """
    lead, rise, end = timeline
    rng, trace.stop = trace.rng, trace.at(end)
    at, rate = _growing_arrivals(rng, usual, lead, rise, end)
    starts = trace.start + (at * SECOND).astype(np.int64)
    clients = public4(rng, len(starts))
    sent = browse(trace, site, starts, clients, replace(habits, load=1 + 9 * np.clip(rate - 0.3, 0, 1)))
    sent = sent[(sent["t"] >= trace.at(lead)) & (sent["t"] <= trace.stop)]
    trace.truth.crowds.append(
        CrowdTruth(
            victim_ip=victim,
            victim_port=site.port,
            requests=int((sent["plen"] > 0).sum()),
            client_count=int((at >= lead).sum()),
            **span(sent["t"]),
        )
    )
    trace.truth.add_clients(clients)
    early = clients[at < lead - 1]
    trace.truth.add_clients(early, known=True)
    return early


def _growing_arrivals(
    rng: np.random.Generator, usual: float, lead: float, rise: float, end: float
) -> tuple[Array, Array]:
    """Arrival times in seconds, and the rate at each as a share of the highest: ten times ``usual``."""
    # thinning: draw at the highest rate, keep each arrival with its share of it
    at = np.sort(rng.random(round(10 * usual * end))) * end
    rate = 0.1 + 0.9 * np.clip((at - lead) / rise, 0, 1)
    kept = rng.random(len(at)) < rate
    return at[kept], rate[kept]


def crowd(trace: Trace, params: Params) -> None:
    """Ten times the usual visitors within 12 s: all of them people, the server grows slow."""
    site = build_site(trace, parse(params.victim)[1], 80, "chat.example")
    peak, seconds = params.pps or 80.0, params.duration or 25.0
    grow_crowd(trace, site, params.victim, peak / 10, (5.0, 12.0, seconds), Habits(size_scale=0.5))


def port_scan(trace: Trace, params: Params) -> None:
    """One scanner tries 1000 ports twice; the closed ones answer with RST. Not a flood."""
    background(trace, params.victim, 6.0)
    rng, victim = trace.rng, parse(params.victim)[1]
    scanner = public4(rng, 1)
    ports = np.concatenate([rng.permutation(np.arange(1, 1001)), rng.permutation(np.arange(1, 1001))])
    t = trace.at(LEAD) + np.arange(len(ports)) * 500_000
    common = {"src": scanner[0], "dst": victim, "dport": ports, "sport": 44321}
    syns = trace.add(t, head=Head.SYN_BARE, flags=SYN, win=1024, **common)
    syns["seq"] = rng.integers(0, 1 << 32, len(t))
    closed = ~np.isin(ports, (22, 80, 443))
    reply = trace.add(t + 40_000, out=True, src=victim, dst=scanner[0], sport=ports, dport=44321)
    reply["ack"] = syns["seq"] + 1
    reply["head"] = np.where(closed, Head.TCP, Head.SYN_ACK)
    reply["flags"] = np.where(closed, RST | ACK, SYN | ACK)
    trace.add(t[~closed] + 30_000_000, head=Head.TCP_PADDED, flags=RST, seq=syns["seq"][~closed] + 1,
              **common | {"dport": ports[~closed]})  # fmt: skip
    side_note(trace.truth.scans, "port_scan", params.victim, syns)


def busy_dns(trace: Trace, params: Params) -> None:
    """10000 queries a second at an authoritative server, every one of them answered. Not a flood."""
    resolvers = public4(trace.rng, params.sources or 2000)
    t = arrivals(trace.rng, trace.start, params.duration or 3.0, params.pps or 10_000)
    queries = lookups(trace, parse(params.victim)[1], t, trace.rng.choice(resolvers, len(t)), names=400)
    trace.truth.add_clients(queries["src"], known=True)


def bulk_download(trace: Trace, params: Params) -> None:
    """Three clients fetch files of some 12 MB each as fast as they can. Not a flood."""
    site = build_site(trace, parse(params.victim)[1], 80, "files.example")
    clients = public4(trace.rng, params.sources or 3)
    download(trace, site, trace.at(0.5), clients, 12_000_000)
    background(trace, params.victim, params.duration or 4.0)
    trace.truth.add_clients(clients, known=True)


def uploads(trace: Trace, params: Params) -> None:
    """Forty clients a second upload 10 kB each: a header, then the body, then an answer. Not a flood."""
    seconds, pieces = params.duration or 8.0, 7
    background(trace, params.victim, seconds)
    start = arrivals(trace.rng, trace.start, seconds, params.pps or 40.0)
    clients = public4(trace.rng, len(start))
    conns = dial(trace, start, clients, parse(params.victim)[1], 80)
    head = f"POST /upload HTTP/1.1\r\nHost: chat.example\r\nContent-Length: {pieces * 1400}\r\n\r\n".encode()
    rows = trace.pool.add_all([head, *[b"\x89PNG" * 350] * pieces])
    reqs = np.zeros(len(conns) * (pieces + 1), REQUEST)
    reqs["conn"] = np.repeat(np.arange(len(conns)), pieces + 1)
    reqs["pay"] = np.tile(rows, len(conns))
    reqs["length"] = trace.pool.lengths()[reqs["pay"]]
    reqs["reply"] = trace.pool.add(http_reply("201 Created", "application/json"))
    reqs["reply_length"] = np.tile([0] * pieces + [200], len(conns))
    reqs["service"] = 50_000
    converse(trace, conns, schedule(conns, reqs))
    trace.truth.add_clients(clients)


def sign_ups(trace: Trace, params: Params) -> None:
    """30 logins a second, two of ten mistyped, and as many sign-ups, nine of ten refused. Not a flood."""
    seconds = params.duration or 15.0
    background(trace, params.victim, seconds)
    for path, replies in (
        ("/login", ["200 OK"] * 8 + ["401 Unauthorized"] * 2),
        ("/signup", ["429 Too Many Requests"] * 9 + ["201 Created"]),
    ):
        starts = arrivals(trace.rng, trace.start, seconds, params.pps or 30.0)
        clients = public4(trace.rng, len(starts))
        bots.tries(trace, starts, clients, params.victim, path, replies)
        trace.truth.add_clients(clients)


def paused_players(trace: Trace, params: Params) -> None:
    """300 people pause a video: each has one connection that takes nothing for a while. Not a flood."""
    seconds = params.duration or 15.0
    background(trace, params.victim, seconds)
    clients = public4(trace.rng, params.sources or 300)
    start = trace.start + trace.rng.integers(0, int(seconds / 3 * SECOND), len(clients))
    bots.stall(trace, dial(trace, start, clients, parse(params.victim)[1], 80), trace.at(seconds))
    trace.truth.add_clients(clients)


def slow_disk(trace: Trace, params: Params) -> None:
    """One client uploads 2000 segments a second; the server's window keeps closing. Not a flood."""
    seconds = params.duration or 8.0
    background(trace, params.victim, seconds)
    server, client = parse(params.victim)[1], public4(trace.rng, 1)
    conns = dial(trace, np.full(1, trace.start), client, server, 5201, rtt_ms=20.0)
    converse(trace, conns, np.zeros(0, REQUEST), close=False)
    t = arrivals(trace.rng, trace.at(0.5), seconds - 0.5, params.pps or 2000.0)
    ports = {"sport": conns["cport"][0], "dport": 5201}
    trace.add(t, src=client[0], dst=server, flags=ACK, plen=1400, win=1026, ttl=57, **ports)
    told = t[::2]
    answer = trace.add(told + 50_000, src=server, dst=client[0], flags=ACK, head=Head.TCP_PADDED, out=True,
                       sport=5201, dport=conns["cport"][0])  # fmt: skip
    answer["win"] = np.where(np.arange(len(told)) % 8, 502, 0)
    trace.truth.add_clients(client, known=True)


def same_ports(trace: Trace, params: Params) -> None:
    """Clients of a time server, and a forwarder of DNS, that ask from the service's port. Not a flood."""
    rng, server, seconds = trace.rng, parse(params.victim)[1], params.duration or 20.0
    background(trace, params.victim, seconds)
    clients = public4(rng, params.sources or 600)
    plain = {"head": Head.UDP, "sport": 123, "dport": 123, "plen": 48, "frag": 0}
    t = arrivals(rng, trace.start, seconds, params.pps or 600.0)
    asks = trace.add(t, src=rng.choice(clients, len(t)), dst=server, **plain)
    asks["ttl"] = hops(asks["src"])
    trace.add(t + 40_000, src=server, dst=asks["src"], out=True, **plain)
    trace.truth.add_clients(np.unique(asks["src"]), known=True)
    forwarder = public4(rng, 1)
    t = arrivals(rng, trace.start, seconds, 300.0)
    pay = trace.pool.add_all([dns_query("www.example"), dns_answer("www.example", "198.51.100.10")])
    sizes, common = trace.pool.lengths(), {"head": Head.UDP, "sport": 53, "dport": 53, "frag": 0}
    trace.add(t, src=forwarder[0], dst=server, pay=pay[0], plen=sizes[pay[0]], ttl=57, **common)
    trace.add(t + 300_000, src=server, dst=forwarder[0], pay=pay[1], plen=sizes[pay[1]], out=True, **common)
    trace.truth.add_clients(forwarder, known=True)


def tunnel_hub(trace: Trace, params: Params) -> None:
    """40 branch offices reach one server through GRE tunnels to one hub, both ways. Not a flood."""
    rng, hub, seconds = trace.rng, parse(params.victim)[1], params.duration or 6.0
    offices = public4(rng, params.sources or 40)
    inside = [(0x0A000100 + i, 40_000 + i) for i in range(len(offices))]
    asks = trace.pool.add_all(_moving_on([gre_packet(ip, 0x0A630001, p, 8443, tcp=True) for ip, p in inside]))
    answers = trace.pool.add_all(
        _moving_on([gre_packet(0x0A630001, ip, 8443, p, tcp=True) for ip, p in inside])
    )
    t = arrivals(rng, trace.start, seconds, params.pps or 3000.0)
    step = ((t - trace.start) * SEGMENTS // max(int(seconds * SECOND), 1)).clip(0, SEGMENTS - 1)
    who = rng.integers(0, len(offices), len(t))
    at = who * SEGMENTS + step
    common = {"head": Head.GRE, "plen": 44, "frag": 0}
    trace.add(t, src=offices[who], dst=hub, pay=asks[at], ttl=hops(offices[who]), **common)
    trace.add(t + 400_000, src=hub, dst=offices[who], pay=answers[at], out=True, **common)
    trace.truth.add_clients(offices, known=True)


def _moving_on(packets: list[bytes]) -> list[bytes]:
    """Each tunnelled segment many times, its sequence number behind GRE and IP moved on as TCP does."""
    return [
        packet[:28] + (1 + 12 * number).to_bytes(4, "big") + packet[32:]
        for packet in packets
        for number in range(SEGMENTS)
    ]


def office_nat(trace: Trace, params: Params) -> None:
    """300 people behind one address browse the site. Not a flood."""
    rng, seconds = trace.rng, params.duration or 12.0
    site = build_site(trace, parse(params.victim)[1], 80, "chat.example")
    starts = arrivals(rng, trace.start, seconds, (params.sources or 300) / seconds)
    office = np.full(len(starts), parse(OFFICE)[1], np.uint64)
    browse(trace, site, starts, office, Habits(size_scale=0.5))
    trace.truth.add_clients(office[:1], known=True)


def one_client_loop(trace: Trace, params: Params) -> None:
    """One client calls one end point 133 times a second, each time on a new connection. Not a flood."""
    seconds = params.duration or 8.0
    background(trace, params.victim, seconds + 1.0)
    client = public4(trace.rng, 1)
    flood = Flood(params.victim, 80, trace.at(1.0), seconds, params.pps or 133.0, 1)
    script = bots.Script(path="/api/v1/poll", single_share=1.0, keep_alive=2)
    sent = bots.http_flood(trace, flood, script, client)
    trace.truth.floods.clear()  # the same packets as a flood of bots, but nobody floods
    side_note(trace.truth.loops, "poll", params.victim, sent)
    trace.truth.add_clients(client, known=True)
