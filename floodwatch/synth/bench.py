"""Large captures for measuring speed, written in blocks: memory stays flat whatever the number of packets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floodwatch.synth.addresses import forged4, parse, public4
from floodwatch.synth.packets import MSS, SECOND, START_NS, Trace
from floodwatch.synth.pcapfile import open_pcap
from floodwatch.synth.people import AGENTS, http_reply, http_request
from floodwatch.synth.render import RECORD, Renderer, be16, be32, fold, wire_lengths, words
from floodwatch.synth.tcp import REQUEST, converse, dial, schedule
from floodwatch.synth.templates import GATEWAY_MAC, SERVER_MAC

Array = NDArray[Any]

_BLOCK = 16_384
_SERVERS = ("198.51.100.7", "198.51.100.8", "198.51.100.20", "203.0.113.40")


def bench_syn(
    path: str | Path, packets: int, sources: int | None = None, seed: int = 1, dport: int = 80
) -> None:
    """Write ``packets`` TCP SYNs in 64-byte frames (80 bytes a record), 1 us apart, all to one victim.

    The forged source of each is new, or drawn from a set of ``sources`` addresses.
    """
    rng = np.random.default_rng(seed)
    pool = None if sources is None else forged4(rng, sources).astype(np.uint32)
    rows = np.tile(_syn_record(dport), (_BLOCK, 1))
    ip_sum, tcp_sum = int(words(rows[:1, 30:50])[0]), int(words(rows[:1, 42:70])[0]) + 20 + 6
    with open_pcap(Path(path)) as file:
        for first in range(0, packets, _BLOCK):
            count = min(_BLOCK, packets - first)
            source = rng.integers(1 << 24, 223 << 24, count, dtype=np.uint32)
            source = source if pool is None else pool[source % len(pool)]
            _stamp_syns(
                rows[:count],
                first,
                source,
                rng.integers(1 << 32, size=count, dtype=np.uint32),
                ip_sum,
                tcp_sum,
            )
            file.write(rows[:count].data)


def bench_hellos(path: str | Path, packets: int, seed: int = 1) -> None:
    """Write ``packets`` ClientHellos in frames of 317 bytes, 1 us apart, all to one victim.

    The source, the random number, the cipher suites and the name of each are drawn anew, so that none has the
    fingerprint of another; the rest is as a browser writes it.
    """
    rng = np.random.default_rng(seed)
    record, random, name = _hello_record()
    rows = np.tile(record, (_BLOCK, 1))
    letters = np.frombuffer(b"abcdefghijklmnop", np.uint8)
    with open_pcap(Path(path)) as file:
        for first in range(0, packets, _BLOCK):
            count = min(_BLOCK, packets - first)
            source = rng.integers(1 << 24, 223 << 24, count, dtype=np.uint32)
            _stamp_syns(rows[:count], first, source, rng.integers(1 << 32, size=count, dtype=np.uint32), 0, 0)
            rows[:count, random] = rng.integers(256, size=(count, len(random)), dtype=np.uint8)
            rows[:count, name] = letters[rng.integers(16, size=(count, len(name)))]
            file.write(rows[:count].data)


def _hello_record() -> tuple[Array, Array, Array]:
    """One record, the places of what is random in it (the random number, the cipher suites) and of the name
    that it asks for. Checksums stay wrong: nobody looks at them.
    """
    ciphers, name = 32, b"x" * 12 + b".shop.example"
    extensions = b"".join(
        kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body
        for kind, body in (
            (0, (len(name) + 3).to_bytes(2, "big") + b"\0" + len(name).to_bytes(2, "big") + name),
            (10, bytes.fromhex("0008001d001700180019")),
            (13, bytes.fromhex("001004030804040105030805050108060601")),
            (16, bytes.fromhex("000c02683208687474702f312e31")),
            (43, bytes.fromhex("0403040303")),
            (51, bytes.fromhex("0024001d0020") + bytes(32)),
        )
    )
    body = b"\3\3" + bytes(32) + b"\x20" + bytes(32) + (2 * ciphers).to_bytes(2, "big") + bytes(2 * ciphers)
    body += b"\1\0" + len(extensions).to_bytes(2, "big") + extensions
    hello = b"\x16\3\1" + (len(body) + 4).to_bytes(2, "big") + b"\1" + len(body).to_bytes(3, "big") + body
    frame = _syn_record(443)[RECORD : RECORD + 54].tobytes()
    frame = frame[:16] + (40 + len(hello)).to_bytes(2, "big") + frame[18:47] + b"\x18" + frame[48:] + hello
    record = bytes(8) + len(frame).to_bytes(4, "little") * 2 + frame
    start = RECORD + 54 + 9 + 2
    suites = start + 32 + 33 + 2
    random = np.r_[start : start + 32, suites : suites + 2 * ciphers]
    return np.frombuffer(record, np.uint8), random, record.index(name) + np.arange(12)


def _syn_record(dport: int) -> Array:
    """One record without time, source, source port, sequence number and checksums."""
    macs = bytes.fromhex(SERVER_MAC.replace(":", "") + GATEWAY_MAC.replace(":", ""))
    network = bytes.fromhex("0800 4500 0028 0000 4000 3706 0000 0000 0000") + parse(_SERVERS[0])[1].to_bytes(
        4, "big"
    )
    transport = bytes(2) + dport.to_bytes(2, "big") + bytes(8) + bytes.fromhex("5002 0400 0000 0000")
    record = bytes(8) + (64).to_bytes(4, "little") * 2 + macs + network + transport
    return np.frombuffer(record.ljust(RECORD + 64, b"\0"), np.uint8)


def _stamp_syns(rows: Array, first: int, source: Array, random: Array, ip_sum: int, tcp_sum: int) -> None:
    """Fill the varying fields; the sequence number's halves serve as source port and IP id as well."""
    micros = START_NS // 1000 + first + np.arange(len(rows), dtype=np.int64)
    clock = np.empty((len(rows), 2), "<u4")
    clock[:, 0], clock[:, 1] = np.divmod(micros, 1_000_000)
    rows[:, :8] = clock.view(np.uint8)
    high, low = source >> np.uint32(16), source & np.uint32(0xFFFF)
    seq_high, seq_low = random >> np.uint32(16), random & np.uint32(0xFFFF)
    port = seq_low | np.uint32(0x0400)
    rows[:, 34:36], rows[:, 42:46] = be16(seq_high), be32(source)
    rows[:, 50:52], rows[:, 54:58] = be16(port), be32(random)
    rows[:, 40:42] = be16(fold((high + low + seq_high).astype(np.uint64) + np.uint64(ip_sum)))
    total = (high + low + port + seq_high + seq_low).astype(np.uint64) + np.uint64(tcp_sum)
    rows[:, 66:68] = be16(fold(total))


def bench_web(path: str | Path, packets: int, seed: int = 1) -> None:
    """Write ``packets`` full-length packets of web traffic, about 700 bytes each on average.

    2000 clients talk to four servers in clear HTTP and in TLS-like records. One cycle of conversations is
    rendered once; every further cycle shows the same clients on their next port.
    """
    trace = Trace("bench_web", seed, np.random.default_rng(seed))
    _conversations(trace)
    table, period = _fold_cycle(trace.packets())
    record = b"".join(Renderer(trace.pool, 65_535).blocks(table))
    buffer = np.frombuffer(bytearray(record), np.uint8)
    sizes = RECORD + wire_lengths(table)
    ends = np.cumsum(sizes)
    ports = ends - sizes + RECORD + np.where(table["out"], 36, 34)
    sums = ends - sizes + RECORD + 50
    with open_pcap(Path(path)) as file:
        for cycle in range(-(-packets // len(table))):
            count = min(len(table), packets - cycle * len(table))
            _stamp_clock(buffer, ends - sizes, table["t"] + cycle * period)
            file.write(buffer[: ends[count - 1]].data)
            _next_port(buffer, ports, sums)


def _conversations(trace: Trace) -> None:
    """2000 connections within 2 s, one for each client, half of them TLS."""
    rng, clients = trace.rng, public4(trace.rng, 2000)
    servers = np.array([parse(address)[1] for address in _SERVERS], np.uint64)
    start = trace.start + np.sort(rng.integers(0, 2 * SECOND, 2000))
    conns = dial(trace, start, clients, 0, 80, rtt_ms=30.0)
    conns["server"] = rng.choice(servers, len(conns), p=[0.5, 0.2, 0.2, 0.1])
    tls = rng.random(len(conns)) < 0.5
    conns["sport"][tls] = 443
    asks = 1 + rng.poisson(3, len(conns))
    reqs = np.zeros(int(asks.sum()), REQUEST)
    reqs["conn"] = np.repeat(np.arange(len(conns)), asks)
    opening = np.arange(len(reqs)) == np.repeat(np.cumsum(asks) - asks, asks)
    _fill(trace, reqs, tls[reqs["conn"]], opening)
    converse(trace, conns, schedule(conns, reqs))


def _fill(trace: Trace, reqs: Array, tls: Array, opening: Array) -> None:
    rng, add = trace.rng, trace.pool.add_all
    gets = add(
        [http_request("GET", f"/item/{n}", "shop.example", AGENTS[n % len(AGENTS)]) for n in range(200)]
    )
    hello = add([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.bytes(506) for _ in range(16)])
    data = add([b"\x17\x03\x03\x02\x00" + rng.bytes(700) for _ in range(16)])
    server_hello = add([b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + rng.bytes(1200) for _ in range(16)])
    plain, size = trace.pool.add(http_reply("200 OK", "text/html")), len(reqs)
    secret_ask = np.where(opening, rng.choice(hello, size), rng.choice(data, size))
    secret_reply = np.where(opening, rng.choice(server_hello, size), rng.choice(data, size))
    reqs["pay"] = np.where(tls, secret_ask, rng.choice(gets, size))
    reqs["reply"] = np.where(tls, secret_reply, plain)
    reqs["length"] = trace.pool.lengths()[reqs["pay"]]
    reqs["reply_length"] = np.where(tls & opening, 3200, np.clip(rng.gamma(0.9, 9000, size), 120, 40 * MSS))
    reqs["gap"] = rng.gamma(1.2, 0.2, size) * SECOND
    reqs["service"] = rng.gamma(2.0, 2.0, size) * 1_000_000


def _fold_cycle(table: Array) -> tuple[Array, int]:
    """Fold all packets into one period, so that the end of one cycle overlaps the start of the next.

    A packet folded back by k periods belongs to a connection of k cycles ago: its client port is k lower.
    """
    period = 2 * SECOND
    back = (table["t"] - START_NS) // period
    table = table.copy()
    table["t"] -= back * period
    for name, mine in (("dport", table["out"]), ("sport", ~table["out"])):
        table[name] = np.where(mine, table[name] - back, table[name])
    return table[np.argsort(table["t"], kind="stable")], period


def _stamp_clock(buffer: Array, starts: Array, t: Array) -> None:
    clock = np.empty((len(t), 2), "<u4")
    seconds, rest = np.divmod(t, SECOND)
    clock[:, 0], clock[:, 1] = seconds, rest // 1000
    buffer[starts[:, None] + np.arange(8)] = clock.view(np.uint8)


def _next_port(buffer: Array, ports: Array, sums: Array) -> None:
    """Add one to every client port, take one from every TCP checksum (RFC 1624, one's complement)."""
    pair = np.arange(2)
    for at, change in ((ports, 1), (sums, -1)):
        value = buffer[at[:, None] + pair].astype(np.int64) @ np.array([256, 1]) + change
        value = np.where(value < 0, 0xFFFE, value)
        buffer[at[:, None] + pair] = be16(value)
