"""Ordinary traffic: visitors of a web site, name lookups, remote shells, downloads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floodwatch.synth.packets import SECOND, Trace
from floodwatch.synth.tcp import REQUEST, converse, dial, schedule
from floodwatch.synth.templates import Head, dns_answer, dns_query

Array = NDArray[Any]

_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
AGENTS = (
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.6 Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {_WEBKIT} Chrome/131.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
    f"Mozilla/5.0 (X11; Linux x86_64) {_WEBKIT} Chrome/130.0.0.0 Safari/537.36",
)
PAGES = ("/", "/chat", "/models", "/pricing", "/about", "/docs/start", "/docs/api", "/docs/limits",
         "/blog/launch", "/blog/how-it-works", "/help", "/help/account", "/news", "/news/2025/01/launch",
         "/status", "/terms", "/privacy", "/careers", "/team", "/contact")  # fmt: skip
ASSETS = ("/static/app.3f9c1b.js", "/static/app.88d0aa.css", "/static/vendor.51c7.js", "/img/logo.svg",
          "/img/hero.webp", "/fonts/inter.woff2", "/api/v1/session", "/img/team.webp", "/static/chat.0a1f.js",
          "/favicon.ico")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Site:
    """A web server as its payloads: pool rows of each request by agent, and of the replies."""

    server: int
    port: int
    signup: str
    pages: Array
    assets: Array
    posts: Array
    replies: Array


def http_request(method: str, path: str, host: str, agent: str, body: bytes = b"") -> bytes:
    """One HTTP/1.1 request on a keep-alive connection."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"User-Agent: {agent}", "Accept: */*"]
    lines += ["Accept-Encoding: gzip, br", "Connection: keep-alive"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join((*lines, "", "")).encode() + body


def http_reply(status: str, kind: str) -> bytes:
    """The head of a reply; the body is filler."""
    lines = (f"HTTP/1.1 {status}", "Server: nginx", f"Content-Type: {kind}", "Connection: keep-alive")
    return "\r\n".join((*lines, "", "")).encode()


def build_site(trace: Trace, server: int, port: int, host: str, signup: str = "/signup") -> Site:
    """Put the requests and replies of one site into the trace's pool."""
    add = trace.pool.add_all
    body = b'{"name": "new visitor", "mail": "visitor@mail.example", "plan": "free"}'
    pages = [add([http_request("GET", path, host, agent) for agent in AGENTS]) for path in PAGES]
    assets = [add([http_request("GET", path, host, agent) for agent in AGENTS]) for path in ASSETS]
    posts = add([http_request("POST", signup, host, agent, body) for agent in AGENTS])
    kinds = ("text/html", "application/javascript", "application/json")
    replies = add([http_reply("201 Created" if "json" in kind else "200 OK", kind) for kind in kinds])
    return Site(server, port, signup, np.array(pages), np.array(assets), posts, replies)


@dataclass(frozen=True, slots=True)
class Habits:
    """How visitors behave; ``load`` is the server's slowness at each visitor's arrival, 1 when idle."""

    pages: float = 2.2
    assets: tuple[int, int] = (3, 8)
    think_s: float = 3.0
    signup: float = 0.06
    size_scale: float = 1.0
    load: Array | float = 1.0


def browse(trace: Trace, site: Site, starts: Array, clients: Array, habits: Habits | None = None) -> Array:
    """Let one visitor a start time visit the site from ``clients``. Returns the packets of the visitors."""
    habits = habits or Habits()
    rng, count = trace.rng, len(starts)
    load = np.broadcast_to(np.asarray(habits.load, float), (count,))
    conns = dial(trace, starts, clients, site.server, site.port)
    # the busier the server, the more SYNs fall off its backlog and come again
    conns["lost"] = np.minimum(2, rng.poisson(np.clip(0.04 * (load - 1), 0, 0.5)))
    conns["start"] += np.array([0, SECOND, 3 * SECOND])[conns["lost"]]
    views = 1 + rng.poisson(habits.pages - 1, count)
    visitor = np.repeat(np.arange(count), views)
    opening = np.arange(len(visitor)) == np.repeat(np.cumsum(views) - views, views)
    low, high = habits.assets
    per_view = 1 + np.where(opening, rng.integers(low, high, len(visitor)), rng.integers(0, 3, len(visitor)))
    reqs = _requests(trace, site, habits, visitor, opening, per_view)
    reqs["service"] = (reqs["service"] * load[reqs["conn"]]).astype(np.int64)
    return converse(trace, conns, schedule(conns, reqs))


def _requests(
    trace: Trace, site: Site, habits: Habits, visitor: Array, opening: Array, per_view: Array
) -> Array:
    rng, view = trace.rng, np.repeat(np.arange(len(visitor)), per_view)
    k = np.arange(len(view)) - np.repeat(np.cumsum(per_view) - per_view, per_view)
    reqs, total = np.zeros(len(view), REQUEST), len(view)
    reqs["conn"] = visitor[view]
    agent = rng.integers(0, len(AGENTS), int(visitor.max()) + 1)[reqs["conn"]]
    landing = opening[view] & (rng.random(total) < 0.6)
    page = np.where(landing, 0, np.minimum(rng.geometric(0.12, total), len(PAGES)) - 1)
    asset = (k - 1) % len(ASSETS)
    post = (k == 0) & ~opening[view] & (rng.random(total) < habits.signup * 2)
    reqs["pay"] = np.where(k == 0, site.pages[page, agent], site.assets[asset, agent])
    reqs["pay"] = np.where(post, site.posts[agent], reqs["pay"])
    reqs["length"] = trace.pool.lengths()[reqs["pay"]]
    think = np.clip(rng.gamma(1.5, habits.think_s / 1.5, total), 0.3, 30.0)
    reqs["gap"] = np.where((k == 0) & ~opening[view], think, rng.uniform(0.001, 0.02, total)) * SECOND
    reqs["reply"] = np.where(post, site.replies[2], np.where(k == 0, site.replies[0], site.replies[1]))
    size = np.where(k == 0, rng.gamma(4, 2000, total), rng.gamma(1.2, 5000, total)) * habits.size_scale
    reqs["reply_length"] = np.where(post, 180, np.clip(size, 150, 60_000)).astype(np.int64)
    reqs["service"] = rng.gamma(2.0, 2.0, total) * 1_000_000 + 300_000
    return reqs


def lookups(trace: Trace, server: int, t: Array, resolvers: Array, names: int = 60) -> Array:
    """DNS queries at an authoritative server, each answered. Returns the queries."""
    rng, count = trace.rng, len(t)
    labels = [
        f"{kind}{number}.example"
        for number in range(-(-names // 4))
        for kind in ("www", "mail", "api", "cdn")
    ]
    asked = trace.pool.add_all([dns_query(name) for name in labels[:names]])
    told = trace.pool.add_all(
        [dns_answer(name, f"198.51.100.{i % 200 + 10}") for i, name in enumerate(labels[:names])]
    )
    which = np.minimum(rng.geometric(4 / names, count), names) - 1
    common = {"head": Head.UDP, "mark": rng.integers(0, 1 << 16, count), "marked": True}
    port, sizes = rng.integers(1024, 65536, count), trace.pool.lengths()
    query = trace.add(t, src=resolvers, dst=server, sport=port, dport=53, pay=asked[which], **common)
    query["plen"], query["ttl"] = sizes[asked[which]], 57
    later = t + rng.integers(150_000, 600_000, count)
    answer = trace.add(later, src=server, dst=resolvers, sport=53, dport=port, pay=told[which], **common)
    answer["plen"], answer["out"] = sizes[told[which]], True
    return query


def shells(trace: Trace, server: int, starts: Array, clients: Array, keys: int) -> Array:
    """Interactive SSH sessions of ``keys`` key presses each. Returns the packets of the clients."""
    rng = trace.rng
    conns = dial(trace, starts, clients, server, 22)
    banners = trace.pool.add_all([b"SSH-2.0-OpenSSH_9.6\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"])
    secret = trace.pool.add_all([rng.bytes(1200) for _ in range(8)])
    reqs = np.zeros(len(starts) * keys, REQUEST)
    reqs["conn"] = np.repeat(np.arange(len(starts)), keys)
    opening = np.arange(len(reqs)) % keys == 0
    reqs["pay"] = np.where(opening, banners[0], rng.choice(secret, len(reqs)))
    reqs["length"] = np.where(opening, 21, 36)
    reqs["reply"] = np.where(opening, banners[1], rng.choice(secret, len(reqs)))
    reqs["reply_length"] = np.where(opening, 1100, rng.choice([36, 36, 52, 180, 900], len(reqs)))
    reqs["gap"] = np.where(opening, 1_000_000, rng.gamma(1.5, 90, len(reqs)) * 1_000_000)
    reqs["service"] = rng.integers(200_000, 3_000_000, len(reqs))
    return converse(trace, conns, schedule(conns, reqs))


def download(trace: Trace, site: Site, start: int, client: Array, size: int) -> Array:
    """One large file of ``size`` bytes for each client. Returns the packets of the clients."""
    conns = dial(trace, np.full(len(client), start), client, site.server, site.port, rtt_ms=15.0)
    conns["window"] = 120
    reqs = np.zeros(len(client), REQUEST)
    reqs["conn"] = np.arange(len(client))
    reqs["pay"] = trace.pool.add(http_request("GET", "/files/weights-7b.tar", "files.example", "curl/8.5.0"))
    reqs["length"] = trace.pool.lengths()[reqs["pay"]]
    reqs["reply"] = trace.pool.add(http_reply("200 OK", "application/octet-stream"))
    reqs["reply_length"], reqs["service"] = size, 2_000_000
    return converse(trace, conns, schedule(conns, reqs))
