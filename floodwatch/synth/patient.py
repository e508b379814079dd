"""Attacks below any floor: queries made up one by one, logins tried one by one."""

from __future__ import annotations

import base64

import numpy as np

from floodwatch.synth.addresses import parse, public4, texts
from floodwatch.synth.bots import ask_once
from floodwatch.synth.floods import Flood, record
from floodwatch.synth.packets import SECOND, Array, Trace, arrivals
from floodwatch.synth.people import AGENTS, http_reply, http_request
from floodwatch.synth.stage import Params, staged_flood
from floodwatch.synth.tcp import dial
from floodwatch.synth.truth import peak

LETTERS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", np.uint8)


def invented_queries(trace: Trace, params: Params) -> None:
    """One source makes up a query, and a name for itself, for each of 44 requests a second."""
    flood = staged_flood(trace, params, 44, 20, 1, 80)
    count = round(flood.seconds * flood.pps)
    texts_of = ["".join(map(chr, trace.rng.choice(LETTERS, 8))) for _ in range(2 * count)]
    requests = [
        http_request("GET", f"/?{name}={value}", "chat.example", f"{AGENTS[n % len(AGENTS)]} {n % 9}")
        for n, (name, value) in enumerate(zip(texts_of[::2], texts_of[1::2], strict=True))
    ]
    sent = _one_by_one(trace, flood, requests, "200 OK")
    record(trace, flood, "http_flood", sent[0], origin="real", unit="req/s", path="/", requests=count,
           peak_per_second=peak(sent[1]["t"]), sources=texts(sent[2]))  # fmt: skip


def login_basic(trace: Trace, params: Params) -> None:
    """One source tries another password in the header of each of ten requests a second for one page."""
    flood = staged_flood(trace, params, 10, 15, 1, 80)
    count = round(flood.seconds * flood.pps)
    requests = []
    for n in range(count):
        login = base64.b64encode(b"admin:%06d" % (n * 7919 % 10**6))
        head = http_request("GET", "/manager/html", "chat.example", "Mozilla/5.0")
        requests.append(head[:-2] + b"Authorization: Basic " + login + b"\r\n\r\n")
    sent = _one_by_one(trace, flood, requests, "401 Unauthorized")
    record(trace, flood, "login_bruteforce", sent[0], origin="real", unit="req/s", path="/manager/html",
           requests=count, peak_per_second=peak(sent[1]["t"]), sources=texts(sent[2]))  # fmt: skip


def _one_by_one(trace: Trace, flood: Flood, requests: list[bytes], reply: str) -> tuple[Array, Array, Array]:
    """Each request on a connection of its own, by sources in turn: packets sent, requests, sources."""
    sources = public4(trace.rng, flood.sources or 1)
    starts = np.resize(arrivals(trace.rng, flood.start, flood.seconds, flood.pps), len(requests))
    starts.sort()
    conns = dial(trace, starts, np.resize(sources, len(starts)), parse(flood.victim)[1], flood.port or 80)
    conns["rtt"] = 20_000_000
    pays, answer = trace.pool.add_all(requests), trace.pool.add(http_reply(reply, "text/html"))
    sent, asked = ask_once(trace, conns, pays, answer, reply_length=300, service=SECOND // 200)
    return sent, asked, sources
