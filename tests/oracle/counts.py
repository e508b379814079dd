"""What the packets of one victim amount to, counted one by one: nothing is estimated and nothing is
forgotten.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from oracle.packets import (
    ACK,
    DATA,
    FIN,
    FRAGMENT,
    ICMP,
    ODD,
    OTHER,
    QUARTER,
    RST,
    SECOND,
    SYN,
    SYNACK,
    UDP,
    Packet,
)

TCP = (SYN, SYNACK, RST, FIN, DATA, ACK, ODD)
METHODS = {
    b"GET ": 0, b"POST ": 1, b"HEAD ": 0, b"PUT ": 1, b"DELETE ": 0, b"OPTIONS ": 0, b"PATCH ": 1,
    b"CONNECT ": 0, b"TRACE ": 0,
}  # fmt: skip
ASSETS = frozenset(b"css js png jpg jpeg gif svg ico woff woff2 ttf webp map mp4".split())
ANY_REQUEST = re.compile(rb"[!#$%&'*+.^_`|~\w-]{1,32} (?:https?:/)?[/*][^ \r\n]* HTTP/1")
PROXY_LINE = re.compile(rb"PROXY TCP[46] ([0-9a-f.:]+) [^\r]*\r\n")
RESERVED = [
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
        "203.0.113.0/24", "224.0.0.0/3",
    )
]  # fmt: skip
DARK = {6, 7, 11, 21, 22, 26, 28, 29, 30, 33, 55}
COPY_NS = 100 << 20
LATE_NS = SECOND
"""Further behind than this, the clock was set back."""
REACH = 1 << 20


@dataclass(slots=True)
class Flow:
    """One connection, by who was heard and what fitted."""

    asked: int | None = None
    """The client's first number, where its SYN was seen ..."""
    opened_ns: int = 0
    by_victim: bool = False
    answered: int | None = None
    """The server's, where its SYN-ACK was."""
    done: bool = False
    followed: bool = False
    refused: bool = False
    heard: bool = False
    """The victim sent something in it, other than a reset."""
    begun: bool = False
    """The other side did."""
    data_end: int = 0
    acked: int = 0


@dataclass
class Request:
    time: int
    source: bytes
    path: bytes
    asset: bool
    proven: bool


@dataclass
class Log:
    """When what happened at one victim, over the whole capture."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    times: dict[Hashable, list[int]] = field(default_factory=lambda: defaultdict(list))
    sizes: dict[Hashable, tuple[list[int], list[int]]] = field(
        default_factory=lambda: defaultdict(lambda: ([], []))
    )
    by: dict[str, tuple[list[int], list[bytes]]] = field(
        default_factory=lambda: defaultdict(lambda: ([], []))
    )
    """Times, and sources (or names, or zones) beside them."""
    requests: list[Request] = field(default_factory=list)
    proven: dict[bytes, int] = field(default_factory=dict)
    """When a source first finished a handshake with the victim."""
    flows: dict[tuple[bytes, bytes, int, int], Flow] = field(default_factory=dict)
    proxies: frozenset[bytes] = frozenset()
    """Senders whose word is taken for whom they ask."""
    lines: dict[tuple[bytes, int], bytes] = field(default_factory=dict)
    """Who stands in the PROXY line of a connection, by its other end."""
    now: int = 0

    def count(self, what: Hashable, n: int = 1) -> None:
        if n == 1:
            self.times[what].append(self.now)
        elif n:
            self.times[what].extend([self.now] * n)

    def weigh(self, what: Hashable, size: int) -> None:
        times, sizes = self.sizes[what]
        times.append(self.now)
        sizes.append(size)

    def who(self, what: str, source: bytes) -> None:
        times, sources = self.by[what]
        times.append(self.now)
        sources.append(source)

    def take(self, capture: Iterable[Packet]) -> Log:
        """Note a whole capture."""
        lead = self.network.network_address.packed[: self.network.prefixlen // 8]
        size = len(self.network.network_address.packed)
        for p in capture:
            to = len(p.target) == size and p.target.startswith(lead)
            sent = len(p.source) == size and p.source.startswith(lead)
            # a packet that is late counts when it came
            self.now = p.time if p.time >= self.now or self.now - p.time > LATE_NS else self.now
            if not to and not sent:
                continue
            fresh = self._flow(p, to) if p.kind in TCP else True
            if to:
                self._to(p, fresh)
            if sent:
                self._sent(p, fresh)
        return self

    def _to(self, p: Packet, fresh: bool) -> None:
        source = p.source if len(p.source) == 4 else p.source[:8]
        self.count(("to", p.kind))
        self.weigh(("bytes", p.kind), p.wire)
        group = {SYN: "syn", UDP: "udp", ICMP: "other", FRAGMENT: "other", OTHER: "other"}.get(p.kind, "tcp")
        for name in (group, "all"):
            self.who(name, source)
            if name == "udp":
                self.who(f"udp {p.sport}", source)
        if p.kind in (SYN, UDP):
            self.count((p.kind, "to port", p.dport))
        self.count(("class", group))
        if len(p.source) == 4:
            self.count(("reserved", group), int(nowhere(p.source, p.target)))
            self.count(("dark", group), int(p.source[0] in DARK))
        if p.kind in (UDP, SYNACK):
            self.count((p.kind, "from port", p.sport))
            self.weigh((p.kind, "bytes from port", p.sport), p.wire)
        if p.kind == OTHER or p.kind == FRAGMENT:
            self.count((p.kind, "protocol", p.protocol))
        if p.more:
            self.count("first fragments")
        if p.kind in (DATA, ACK) and p.window == 0:
            self.count("stalled")
            self._strain(source)
        if fresh and len(p.said) >= 8:
            self._hear(p, source)

    def _sent(self, p: Packet, fresh: bool) -> None:
        self.count("sent")
        self.count(("sent", p.kind))
        if p.kind in (UDP, SYN):
            self.count(("sent", p.kind, "to port", p.dport))
        if not fresh or len(p.said) < 8:
            return
        said = p.said
        if p.kind in TCP and said.startswith(b"HTTP/1.") and said[8:9] == b" " and said[9:12].isdigit():
            status = int(said[9:12])
            self.count("responses")
            self.count("refusals", int(status >= 400))
            self.count("denials", int(status in (401, 403)))
        elif p.kind == UDP and 53 in (p.sport, p.dport) and (asked := _dns(said)) and asked[0]:
            self.count("answers")
            self.count("failures", int(asked[1] != 0))

    def _hear(self, p: Packet, source: bytes) -> None:
        """What a packet towards the victim says."""
        said = p.said
        if p.kind == UDP:
            if 53 in (p.sport, p.dport):
                asked = _dns(said)
                if asked and not asked[0]:
                    self.count("queries")
                    self.who("names", asked[2])
                    self.who("zones", asked[3])
            elif p.dport == 443 and _initial(said):
                self.count("initials")
            return
        if p.kind not in TCP:
            return
        line = PROXY_LINE.match(said)
        if line is not None:
            self.lines[p.source, p.sport] = ipaddress.ip_address(line[1].decode()).packed
            said = said[line.end() :]
        cut = p.length - len(p.said)
        said = said.lstrip(b"\r\n")
        request = _request(said, len(said) + cut)
        if request is not None:
            client = self.lines.get((p.source, p.sport)) or _client(said)
            self.count("named", int(client is not None))
            if client is not None and p.source in self.proxies:
                source = client if len(client) == 4 else client[:8]
                self.count("forwarded")
            path, posts, unfinished, owing = request
            asset = path.rpartition(b".")[2] in ASSETS and b"." in path[-6:]
            self.count("requests")
            for name, counted in (
                ("posts", posts), ("assets", asset), ("unfinished", unfinished), ("owing", owing)
            ):  # fmt: skip
                self.count(name, int(counted))
            self.requests.append(Request(self.now, source, path, asset, source in self.proven))
            self.who("http", source)
            if unfinished or owing:
                self._strain(source)
            self._behind(said, source)
        elif (
            said[0] in (20, 22, 23)
            and said[1] == 3
            and said[2] <= 4
            and 0 < int.from_bytes(said[3:5], "big") <= 16640
        ):
            self.count("hellos" if said[0] == 22 and said[5] == 1 else "records")
        elif (found := _http2(said)) is not None:
            for name, counted in zip(("streams", "resets", "continuations"), found, strict=True):
                self.count(name, counted)
            if found[1] or found[2]:
                self._strain(source)

    def _behind(self, said: bytes, source: bytes) -> None:
        """Requests without a body that stand behind another one in the same packet."""
        while (end := said.find(b"\r\n\r\n") + 4) > 3 and not _request(said, len(said))[1]:  # type: ignore[index]
            said = said[end:].lstrip(b"\r\n")
            found = _request(said, len(said)) if said else None
            if found is None:
                return
            asset = found[0].rpartition(b".")[2] in ASSETS and b"." in found[0][-6:]
            for name, counted in (("requests", 1), ("posts", found[1]), ("assets", asset)):
                self.count(name, int(counted))
            self.requests.append(Request(self.now, source, found[0], asset, source in self.proven))
            self.who("http", source)

    def _strain(self, source: bytes) -> None:
        self.who("strains", source)

    def _flow(self, p: Packet, to: bool) -> bool:
        """Follow a connection; returns whether the packet brings anything that was not said before."""
        key = (p.source, p.target, p.sport, p.dport) if to else (p.target, p.source, p.dport, p.sport)
        known = self.flows.get(key)
        flow = self.flows.setdefault(key, Flow())
        if p.kind == SYN:
            again = known is not None and flow.asked == p.seq and flow.by_victim is not to
            if not again:
                self.flows[key] = Flow(asked=p.seq, opened_ns=p.time, by_victim=not to)
            if to:
                copied = again and p.time - flow.opened_ns < COPY_NS
                self.count("copies" if copied else "again" if again else "attempts")
            return True
        client = to is not flow.by_victim
        if p.kind == SYNACK:
            self._answer(p, flow, to, known is not None)
        elif not flow.done and flow.asked is not None:
            self._other(p, flow, client, to)
        if flow.asked is None and to:
            if not flow.heard:
                self.count(("strange", p.kind))
                if not flow.begun:
                    self.count(("begun", p.kind))
            flow.begun = True
        if not to and p.kind != RST:
            flow.heard = True
        return self._fresh(p, flow, client)

    def _answer(self, p: Packet, flow: Flow, to: bool, known: bool) -> None:
        if flow.asked is not None and p.ack == (flow.asked + 1) % 2**32 and flow.answered is None:
            flow.answered = p.seq
            if not to:
                self.count("answered")

    def _other(self, p: Packet, flow: Flow, client: bool, to: bool) -> None:
        assert flow.asked is not None
        following = (flow.asked + 1) % 2**32
        if p.kind == RST:
            if not client and not flow.refused and p.ack == following and flow.answered is None:
                flow.refused = True
                self.count("refused" if not to else "was refused")
            return
        if not client or p.seq != following:
            return
        if flow.answered is not None and p.ack == (flow.answered + 1) % 2**32:
            flow.done, flow.data_end, flow.acked = True, p.seq, p.ack
            if to:
                self.count("finished")
                source = p.source if len(p.source) == 4 else p.source[:8]
                self.proven.setdefault(source, self.now)
                self.who("finished", source)
        elif flow.answered is None and not flow.followed:
            flow.followed = True
            if to:
                self.count("followed")

    def _fresh(self, p: Packet, flow: Flow, client: bool) -> bool:
        if not flow.done or not client or not p.length:
            return True
        ahead = (p.seq + p.length - flow.data_end + 2**31) % 2**32 - 2**31
        if abs(ahead) > REACH:
            return True
        if ahead <= 0:
            return False
        flow.data_end = (p.seq + p.length) % 2**32
        return True


class Victim:
    """What of a log lies in the stretches of an event.

    Args:
        log: of the victim.
        stretches: times from which, and until when, it was counted.
    """

    def __init__(self, log: Log, stretches: list[tuple[int, int]]) -> None:
        self.stretches, self.times = stretches, log.times
        self.requests, self.proven = log.requests, log.proven
        self._log = log

    def n(self, what: Hashable) -> int:
        """How often something happened in the stretches."""
        times = self.times.get(what, [])
        return sum(bisect_left(times, until) - bisect_left(times, first) for first, until in self.stretches)

    def size(self, what: Hashable) -> int:
        """Bytes of it in the stretches."""
        times, sizes = self._log.sizes.get(what, ([], []))
        return sum(
            sum(sizes[bisect_left(times, first) : bisect_left(times, until)])
            for first, until in self.stretches
        )

    def bytes_in(self) -> int:
        """All bytes to the victim in the stretches."""
        return sum(
            self.size(what)
            for what in list(self._log.sizes)
            if isinstance(what, tuple) and what[0] == "bytes"
        )

    def sources(self, what: str, *, pauses: bool = False, ahead: int = 0) -> Counter[bytes]:
        """How often each source did it in the stretches, or in pauses between and ahead of them."""
        times, sources = self._log.by.get(what, ([], []))
        spans = [(self.stretches[0][0] - ahead, self.stretches[-1][1])] if pauses else self.stretches
        out: Counter[bytes] = Counter()
        for first, until in spans:
            out.update(sources[bisect_left(times, first) : bisect_left(times, until)])
        return out

    def quarters(self, what: Hashable) -> Counter[int]:
        """How often it happened in each quarter of a second of the capture."""
        return Counter(time // QUARTER for time in self.times.get(what, ()))

    def inside(self, time: int) -> bool:
        """A time lies in the stretches."""
        return any(first <= time < until for first, until in self.stretches)

    def names(self) -> int:
        """Different names that were asked for, quarter by quarter of the stretches."""
        times, names = self._log.by.get("names", ([], []))
        return len(
            {(time // QUARTER, name) for time, name in zip(times, names, strict=True) if self.inside(time)}
        )


@lru_cache(maxsize=1 << 18)
def reserved(address: bytes) -> bool:
    """An IPv4 address that cannot be a client on the Internet."""
    return any(ipaddress.IPv4Address(address) in net for net in RESERVED)


def nowhere(source: bytes, target: bytes) -> bool:
    """An IPv4 address that cannot send to another: private networks have private clients."""
    return reserved(source) and (source[0] == 127 or source[0] >= 224 or not reserved(target))


def _request(said: bytes, length: int) -> tuple[bytes, bool, bool, bool] | None:
    method = said[: said.find(b" ") + 1]
    if method not in METHODS and not ANY_REQUEST.match(said):
        return None
    rest = said[len(method) :]
    for scheme in (b"http://", b"https://"):
        if rest.startswith(scheme):
            ends = [i for i in (rest.find(c, len(scheme)) for c in (b"/", b" ", b"?")) if i >= 0]
            rest = rest[min(ends) :] if ends else b""
    if rest and rest[:1] not in b"/* ?" and method != b"CONNECT ":
        return None
    end = 0
    while end < min(len(rest), 255) and rest[end] not in b" ?#\r\n":
        end += 1
    posts, whole = bool(METHODS.get(method)), len(said) == length
    close = said.find(b"\r\n\r\n")
    unfinished = whole and close < 0
    owing = False
    if whole and close >= 0 and posts:
        for line in said[:close].split(b"\n")[1:]:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length" and value.strip().isdigit():
                owing = int(value) > len(said) - close - 4
                break
    return rest[:end], posts, unfinished, owing


def _client(said: bytes) -> bytes | None:
    """The last address of X-Forwarded-For, in a header that ends."""
    header, end, _ = said.partition(b"\r\n\r\n")
    named = re.findall(rb"(?im)^x-forwarded-for:(?:.*,)?[ \t]*([0-9a-f.:]+)[ \t]*\r?$", header)
    return ipaddress.ip_address(named[-1].decode()).packed if named and end else None


def _dns(said: bytes) -> tuple[bool, int, bytes, bytes] | None:
    """Answer or not, response code, name, zone (the name without its first label)."""
    if len(said) < 17:
        return None
    answer, questions = said[2] >> 7, int.from_bytes(said[4:6], "big")
    if said[2] >> 3 & 15 or questions != 1 or (not answer and said[6:8] != b"\0\0"):
        return None
    at = 12
    while at < len(said) and at < 267 and said[at]:
        if said[at] > 63:
            return None
        at += said[at] + 1
    if at >= len(said) or said[at] or len(said) - at - 1 < 4 or said[at + 1 : at + 3] == b"\0\0":
        return None
    name = said[12 : at + 1].lower()
    return bool(answer), said[3] & 15, name, name[name[0] + 1 :] if name[0] else name


def _initial(said: bytes) -> bool:
    version, kind = said[1:5], said[0] >> 4 & 3
    known = (version == b"\0\0\0\1" and kind == 0) or (version == b"\x6b\x33\x43\xcf" and kind == 1)
    return said[0] & 0xC0 == 0xC0 and known and said[5] <= 20


FRAMES = {
    0: (0x09, 1, 0), 1: (0x2D, 1, 0), 2: (0, 1, 5), 3: (0, 1, 4), 4: (1, 0, 0), 5: (0x0C, 1, 0),
    6: (1, 0, 8), 7: (0, 0, 0), 8: (0, None, 4), 9: (0x04, 1, 0),
}  # fmt: skip
"""HTTP/2 frames: their flags, whether they belong to a stream, their size (RFC 9113)."""


def _http2(said: bytes) -> tuple[int, int, int] | None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    at = len(preface) if said.startswith(preface) else 0
    if not at and not (said[0] == 0 and said[1] <= 0x40 and said[3] <= 9):
        return None
    found: Counter[int] = Counter()
    while len(said) - at >= 9:
        size, kind, flags = int.from_bytes(said[at : at + 3], "big"), said[at + 3], said[at + 4]
        stream = struct.unpack_from(">I", said, at + 5)[0]
        rule = FRAMES.get(kind)
        if size > 16384 or rule is None or stream >> 31 or flags & ~rule[0]:
            return None
        if rule[1] is not None and bool(rule[1]) != bool(stream):
            return None
        if (rule[2] and size != rule[2]) or (kind == 4 and size % 6) or (kind == 7 and size < 8):
            return None
        found[kind] += 1
        at += 9 + size
    return (found[1], found[3], found[9]) if found else None
