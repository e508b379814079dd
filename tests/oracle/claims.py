"""What each sentence of the evidence says, held against what was counted from the packets.

A sentence claims what its words say of the stretches of its event (``counted``): exact numbers must be equal,
``at least`` and ``at most`` are bounds, ``about`` are estimates (of a sample of the flows: four standard
errors of the smallest sample; else 15 %, two standard errors of the smallest sketch).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from oracle.counts import Victim
from oracle.packets import ACK, DATA, FIN, FRAGMENT, ICMP, ODD, OTHER, QUARTER, RST, SECOND, SYN, SYNACK, UDP

SAMPLE = 4096
"""The handshake table looks at so many new flows of a quarter of a second at least."""
SKETCH = 0.15
NUMBER = r"([\d,]+(?:\.\d+)?)"
KINDS = {"ack_flood": (ACK, DATA), "rst_flood": (RST,), "fin_flood": (FIN,), "tcp_flag_flood": (ODD,),
         "syn_ack_flood": (SYNACK,), "icmp_flood": (ICMP,), "udp_flood": (UDP,)}  # fmt: skip


class Verdict(NamedTuple):
    """``agrees`` is None where the oracle cannot know."""

    agrees: bool | None
    counted: str


class Claim(NamedTuple):
    """One sentence in its event, and everything that was counted."""

    event: dict[str, Any]
    evidence: dict[str, Any]
    exact: Victim

    @property
    def says(self) -> str:
        return str(self.evidence["says"])

    @property
    def carpet(self) -> bool:
        return "carpet" in self.event["pattern"]

    def numbers(self, pattern: str) -> list[float]:
        found = re.search(pattern.replace("#", NUMBER), self.says)
        assert found, f"no {pattern!r} in {self.says!r}"
        return [float(text.replace(",", "")) for text in found.groups()]

    def sum(self, *names: Any) -> int:
        return sum(self.exact.n(name) for name in names)

    def spread(self, attempts: int, part: int) -> float:
        """Four standard errors of a sum over a sample, where there was one."""
        most = max(self.exact.quarters("attempts").values(), default=0)
        for kind in (SYNACK, RST, FIN, DATA, ACK, ODD):
            most = max(most, *self.exact.quarters(("begun", kind)).values(), 0)
        if most < 2 * SAMPLE:
            return 0.0
        weight = 2 ** math.ceil(math.log2(most / SAMPLE))
        return 4 * math.sqrt(weight * max(part, attempts, weight))


def pair(claim: Claim, part: int, whole: int) -> Verdict:
    """``12.3 % ... (A of B)``: both numbers, and their share."""
    (percent,), (a, b) = claim.numbers("# %"), claim.numbers(r"\(# of #\)$")
    share = 100 * min(1.0, a / max(b, 1))
    counted = f"{part:,} of {whole:,}"
    if abs(percent - share) > 0.051 or abs(claim.evidence["value"] - share / 100) > 0.0006:
        return Verdict(False, f"{a:.0f} of {b:.0f} are not {percent} %")
    lead = claim.says.split(" ", 1)[0]
    if claim.carpet:
        return Verdict(a <= part and b <= whole, counted)
    if lead == "about":
        slack = claim.spread(whole, part)
        exact = abs(a - part) <= max(slack, 0.02 * part, 1) and abs(b - whole) <= max(slack, 0.02 * whole, 1)
        return Verdict(exact, counted)
    if claim.says.startswith("at least"):
        return Verdict(a <= part and b == whole, counted)
    return Verdict(a == part and b == whole, counted)


def of_handshakes(claim: Claim) -> Verdict:
    attempts = claim.sum(("to", SYN)) if claim.carpet else claim.sum("attempts")
    part = (
        claim.sum("followed")
        if "whether they were answered was not seen" in claim.says
        else claim.sum("finished")
    )
    (_, b) = claim.numbers(r"\(# of #\)$")
    if claim.sum("attempts") < claim.sum(("to", SYN)) == b:
        attempts = claim.sum(("to", SYN))  # one SYN over and over: each of them is an attempt
    return pair(claim, part, attempts)


def attempts_and(name: str) -> Callable[[Claim], Verdict]:
    def check(claim: Claim) -> Verdict:
        attempts = claim.sum("attempts")
        (_, b) = claim.numbers(r"\(# of #\)$")
        if claim.carpet or b == claim.sum(("to", SYN)):
            attempts = claim.sum(("to", SYN))
        part = claim.sum(("sent", SYNACK)) if claim.carpet and name == "answered" else claim.sum(name)
        return pair(claim, part, attempts)

    return check


def of_answers(claim: Claim) -> Verdict:
    if claim.event["vector"] == "dns_query_flood":
        return pair(claim, claim.sum("answers"), claim.sum("queries"))
    if "as requests came" in claim.says:
        return pair(claim, claim.sum("responses"), claim.sum("requests"))
    return attempts_and("answered")(claim)


def of_refusals(claim: Claim) -> Verdict:
    if claim.event["vector"] in ("api_probing", "login_bruteforce"):
        a, b = claim.numbers(r"\(# of #\)$")
        first, last = bounds(claim.event)
        denied = sum(n for q, n in claim.exact.quarters("refusals").items() if first <= q * QUARTER <= last)
        mine = listed(claim.event)
        tries = sum(first <= r.time <= last for r in claim.exact.requests if not mine or r.source in mine)
        return Verdict(a <= denied and b <= tries, f"{denied:,} refusals, {tries:,} requests")
    return attempts_and("refused")(claim)


GROUPS = {"syn_flood": "syn", "udp_flood": "udp", "dns_query_flood": "udp", "quic_flood": "udp",
          "icmp_flood": "other", "ip_protocol_flood": "other", "fragment_flood": "other"}  # fmt: skip


def nowhere(name: str) -> Callable[[Claim], Verdict]:
    """Packets from addresses of one sort; dark ones are told only of epochs in which several blocks were
    hit.
    """

    def check(claim: Claim) -> Verdict:
        group = GROUPS.get(claim.event["vector"], "tcp")
        part, whole = claim.sum((name, group)), claim.sum(("class", group))
        if name == "dark":
            a, b = claim.numbers(r"\(# of #\)$")
            return Verdict(a <= part and b == whole, f"{part:,} of {whole:,}")
        return pair(claim, part, whole)

    return check


def of_silence(claim: Claim) -> Verdict:
    begun = claim.sum("attempts")
    if claim.sum(("to", SYN)) > 2 * begun:
        return Verdict(None, "one SYN over and over: each is told as an attempt")
    silent = begun - claim.sum("finished", "followed", "refused", "again")
    return pair(claim, max(0, silent), begun)


def of_strangers(claim: Claim) -> Verdict:
    kinds = KINDS[claim.event["vector"]]
    packets = claim.sum(*(("to", kind) for kind in kinds))
    if kinds == (ODD,):
        (told,) = claim.numbers("^# packets")
        return Verdict(told == packets, f"{packets:,}")
    name = "begun" if "flows began" in claim.says else "strange"
    return pair(claim, claim.sum(*((name, kind) for kind in kinds)), packets)


def of_resets(claim: Claim) -> Verdict:
    (told,) = claim.numbers("about # out-of-state")
    found = max(claim.sum(("strange", RST)), claim.sum(("begun", RST)))
    return Verdict(abs(told - found) <= max(0.05 * found, claim.spread(found, found), 1), f"{found:,}")


def of_data(claim: Claim) -> Verdict:
    data, made, each = claim.numbers("# data packets came to about # new connections, # for each")
    exact = claim.sum(("to", DATA)), max(claim.sum("finished"), claim.sum("followed"))
    slack = max(claim.spread(exact[1], exact[1]), 0.02 * exact[1], 1)
    good = data == exact[0] and abs(made - exact[1]) <= slack and abs(each - data / max(made, 1)) <= 0.0051
    return Verdict(good, f"{exact[0]:,} data packets, {exact[1]:,} connections")


ONCE = 0.99
"""Share of TLS packets that are no second sendings, which count once."""


def of_records(claim: Claim) -> Verdict:
    records, hellos, each = claim.numbers(
        "# further TLS packets came for # handshakes that were begun, # for each"
    )
    exact = claim.sum("records"), claim.sum("hellos")
    once = ONCE * exact[0] <= records <= exact[0]
    good = once and hellos == exact[1] and abs(each - records / max(hellos, 1)) <= 0.0051
    return Verdict(good, f"{exact[0]:,} records, {exact[1]:,} hellos")


def of_machines(claim: Claim) -> Verdict:
    """Requests of sources that asked at least three times: who asked once cannot ask again and again."""
    (a, b) = claim.numbers(r"\(# of #\)$")
    often = sum(n for n in claim.exact.sources("http").values() if n >= 3)
    good = a <= often and b == claim.sum("requests")
    return Verdict(good, f"{often:,} of {claim.sum('requests'):,} by sources with three or more")


def of_hammering(claim: Claim) -> Verdict:
    """In so many requests' quarters of a second the path, the parts and the pace were what the sentence
    says.
    """
    (a, b), (least,) = claim.numbers(r"\(# of #\)$"), claim.numbers("sent about # a second")
    total = 0
    by: dict[int, list[Any]] = {}
    for request in claim.exact.requests:
        by.setdefault(request.time // QUARTER, []).append(request)
    for quarter, found in by.items():
        if not any(first <= quarter * QUARTER < until for first, until in claim.exact.stretches):
            continue
        paths: dict[bytes, int] = {}
        for request in found:
            paths[request.path] = paths.get(request.path, 0) + 1
        second = sum(len(by.get(quarter - back, ())) for back in range(4))
        pace = second / len({request.source for back in range(4) for request in by.get(quarter - back, ())})
        parts = sum(request.asset for request in found)
        if (
            max(paths.values()) >= 0.8 * len(found)
            and parts <= 0.05 * len(found)
            and pace >= least * (1 - SKETCH)
        ):
            total += len(found)
    return Verdict(a <= total and b == claim.sum("requests"), f"{total:,} of {claim.sum('requests'):,}")


def of_proof(claim: Claim) -> Verdict:
    (a, b) = claim.numbers(r"\(# of #\)$")
    if claim.event["vector"].startswith("http2"):
        strainers = {source for source, n in claim.exact.sources("strains").items() if n >= 8}
        real = sum(source in claim.exact.proven for source in strainers)
        return Verdict(a <= real and b <= len(strainers), f"{real:,} of {len(strainers):,} sources")
    proven = sum(n for source, n in claim.exact.sources("http").items() if source in claim.exact.proven)
    return Verdict(a <= proven and b <= claim.sum("requests"), f"{proven:,} of {claim.sum('requests'):,}")


def of_networks(claim: Claim) -> Verdict:
    """Hosts that are machines only together: their requests are some of those that came."""
    (a, b) = claim.numbers(r"\(# of #\)$")
    return Verdict(a <= b == claim.sum("requests"), f"{claim.sum('requests'):,} requests")


def of_errors(claim: Claim) -> Verdict:
    return pair(claim, claim.sum("refusals") - claim.sum("denials"), claim.sum("responses"))


def of_sources(claim: Claim) -> Verdict:
    """The mean is no more than all of them."""
    told = 1.0 if claim.says.startswith("one ") else claim.numbers("about # sources")[0]
    found = len(claim.exact.sources("http"))
    return Verdict(told <= found, f"{found} sources in all")


def of_streams(claim: Claim) -> Verdict:
    """As many packets as senders with flows of so many a second can have sent, at least in its fullest
    second.
    """
    senders, each = claim.numbers("about # senders, each of whose flows has about # packets")
    found = len(claim.exact.sources("udp"))
    most = 4 * max(claim.exact.quarters(("to", UDP)).values(), default=0)
    return Verdict(
        senders <= found * (1 + SKETCH) + 1 and each <= most, f"{found} senders, {most:,} a second"
    )


def of_stamps(claim: Claim) -> Verdict:
    """All packets of the event bear one time."""
    times = {time for what, times in claim.exact.times.items() if what == ("to", UDP) for time in times}
    if claim.event["vector"] != "udp_flood":
        return Verdict(None, "stamps of other packets are not looked at")
    return Verdict(len(times) == 1, f"{len(times)} different times")


def of_parts(claim: Claim) -> Verdict:
    return pair(claim, claim.sum("assets"), claim.sum("requests"))


def of_pace(claim: Claim) -> Verdict:
    """The mean over the quarters of requests of the last second by who sent them."""
    (told,) = claim.numbers("about # times")
    by: dict[int, list[bytes]] = {}
    for request in claim.exact.requests:
        by.setdefault(request.time // QUARTER, []).append(request.source)
    paces = []
    for first, until in claim.exact.stretches:
        for quarter in range(first // QUARTER, until // QUARTER):
            second = [source for back in range(4) for source in by.get(quarter - back, ())]
            paces.append(len(second) / max(len(set(second)), 1))
    mean = sum(paces) / len(paces)
    return Verdict(abs(told - mean) <= SKETCH * mean + 0.05, f"{mean:.2f}")


def of_known(claim: Claim) -> Verdict:
    """Networks that were served before: with a handshake and a request, and before the first stretch ends."""
    (a, b) = claim.numbers(r"\(# of #\)$")
    exact = claim.exact

    def net(source: bytes) -> bytes:
        return source[:3] if len(source) == 4 else source[:6]

    first: dict[bytes, int] = {}
    for request in exact.requests:
        if request.proven:
            first.setdefault(net(request.source), request.time)
    inside = [r for r in exact.requests if any(f <= r.time < u for f, u in exact.stretches)]
    known = sum(first.get(net(r.source), r.time) < r.time - SECOND for r in inside)
    return Verdict(a <= known and b <= len(inside), f"{known:,} of {len(inside):,}")


def of_frames(claim: Claim) -> Verdict:
    broken, streams, each = claim.numbers("^# .* frames came for # streams that were opened, # for each")
    name = "resets" if "RST_STREAM" in claim.says else "continuations"
    exact = claim.sum(name), claim.sum("streams")
    good = (broken, streams) == exact and abs(each - broken / max(streams, 1)) <= 0.0051
    return Verdict(good, f"{exact[0]:,} frames, {exact[1]:,} streams")


def of_unasked(claim: Claim) -> Verdict:
    served, whole, port = claim.numbers("at least # of # .* come from port #")
    kind = SYNACK if "SYN-ACKs" in claim.says else UDP
    exact = claim.sum((kind, "from port", int(port))), claim.sum(("to", kind))
    good = served <= exact[0] and (whole <= exact[1] if claim.carpet else whole == exact[1])
    counted = f"{exact[0]:,} of {exact[1]:,}"
    if "the victim sent" in claim.says:
        sent = claim.sum(("sent", SYN if kind == SYNACK else UDP, "to port", int(port)))
        most = 0.0 if "sent no " in claim.says else claim.numbers("sent at most #")[0]
        good, counted = good and sent <= most, f"{counted}, {sent:,} sent"
    return Verdict(good, counted)


def of_size(claim: Claim) -> Verdict:
    (told,) = claim.numbers("about # bytes")
    ports = [evidence for evidence in claim.event["evidence"] if evidence["name"] == "unasked_answers"]
    port = int(re.search(r"port (\d+)", ports[0]["says"])[1])  # type: ignore[index]
    size = claim.exact.size((UDP, "bytes from port", port)) / max(claim.sum((UDP, "from port", port)), 1)
    return Verdict(abs(told - size) <= 0.05 * size + 1, f"{size:.1f}")


def of_received(claim: Claim) -> Verdict:
    (told,) = claim.numbers("received # such")
    kinds = KINDS.get(claim.event["vector"], (OTHER,))
    if claim.event["vector"] == "udp_flood" and claim.event["victim"]["protocol"] != "udp":
        return Verdict(None, "packets that carry others")
    packets, sent = (claim.sum(*((which, kind) for kind in kinds)) for which in ("to", "sent"))
    good = told <= packets if claim.carpet else told == packets
    if " itself" in claim.says:
        (out,) = claim.numbers("sent # itself")
        good = good and (out <= sent if claim.carpet else out == sent)
    return Verdict(good, f"{packets:,} received, {sent:,} sent")


def of_fragments(claim: Claim) -> Verdict:
    tails, heads = claim.numbers("^# later fragments came with only # first")
    exact = claim.sum(("to", FRAGMENT)), claim.sum("first fragments")
    return Verdict((tails, heads) == exact, f"{exact[0]:,}, {exact[1]:,}")


def of_echoes(claim: Claim) -> Verdict:
    came, theirs, ours, back, _ = claim.numbers(
        "at least # packets came from UDP port #, and as many to port #; about # went to port #"
    )
    exact = [
        claim.sum((UDP, "from port", int(theirs))),
        claim.sum((UDP, "to port", int(ours))),
        claim.sum(("sent", UDP, "to port", int(theirs))),
    ]
    good = came <= exact[0] and came <= exact[1] and abs(exact[2] - back) <= 0.02 * exact[2] + 1
    return Verdict(good, str(exact))


def of_peers(claim: Claim) -> Verdict:
    senders = claim.exact.sources("udp")
    told = 1 if claim.says.startswith("one host") else round(claim.numbers("about # hosts")[0])
    most = sum(n for _, n in senders.most_common(told))
    return Verdict(
        2 * most >= senders.total(), f"{told} of {len(senders)} send {most:,} of {senders.total():,}"
    )


def of_initials(claim: Claim) -> Verdict:
    return pair(claim, claim.sum("initials"), claim.sum(("to", UDP)))


def of_names(claim: Claim) -> Verdict:
    (a, b) = claim.numbers(r"\(# of #\)$")
    names = claim.exact.names()
    good = abs(a - names) <= SKETCH * names and b == claim.sum("queries")
    return Verdict(good, f"{names:,} of {claim.sum('queries'):,}")


def of_zone(claim: Claim) -> Verdict:
    return pair(claim, max(claim.exact.sources("zones").values(), default=0), claim.sum("queries"))


def of_failures(claim: Claim) -> Verdict:
    return pair(claim, claim.sum("failures"), claim.sum("answers"))


def of_walks(claim: Claim) -> Verdict:
    """Different paths of the listed sources, added up source by source, in any 16 s."""
    (told,) = claim.numbers("about # different paths")
    mine, most = listed(claim.event), 0
    requests = [r for r in claim.exact.requests if not mine or r.source in mine]
    for start in {r.time // SECOND for r in requests}:
        window = [r for r in requests if start * SECOND <= r.time < (start + 16) * SECOND]
        most = max(most, len({(r.source, r.path) for r in window}))
    return Verdict(told <= most * 1.25 + 1, f"{most:,} at most")


def of_posts(claim: Claim) -> Verdict:
    (told,) = claim.numbers("at least # tries")
    first, last = bounds(claim.event)
    posts = sum(n for q, n in claim.exact.quarters("posts").items() if first <= q * QUARTER <= last)
    return Verdict(told <= posts, f"{posts:,}")


def of_unfinished(claim: Claim) -> Verdict:
    return pair(claim, claim.sum("unfinished"), claim.sum("requests"))


def of_owed(claim: Claim) -> Verdict:
    return pair(claim, claim.sum("owing"), claim.sum("requests"))


def of_stalls(claim: Claim) -> Verdict:
    (told,) = claim.numbers("^# packets announced")
    return Verdict(told == claim.sum("stalled"), f"{claim.sum('stalled'):,}")


USUAL = {"syn_flood": ("to", SYN), "icmp_flood": ("to", ICMP), "http_flood": "requests",
         "connection_flood": "finished", "tls_flood": "finished"}  # fmt: skip


def of_surge(claim: Claim) -> Verdict:
    """The peak by the usual rate; and the usual is no more than the most of any second before."""
    times, usual = claim.numbers("peak is # times the usual # per second")
    peak = claim.event["rate"]["peak"]
    least, most = (peak / max(usual + off, 0.01) for off in (0.05, -0.05))  # it is rounded to a tenth
    if not 0.95 * least - 0.06 <= times <= 1.05 * most + 0.06:
        return Verdict(False, f"{peak} is not {times} times {usual}")
    what = USUAL.get(claim.event["vector"], ("to", UDP))
    first, _ = bounds(claim.event)
    before = {q: n for q, n in claim.exact.quarters(what).items() if q * QUARTER < first}
    most = 4 * max(before.values(), default=0)
    return Verdict(usual <= most + 0.05, f"at most {most:,} per second before")


def of_one_way(claim: Claim) -> Verdict:
    return Verdict(claim.sum("sent") == 0, f"{claim.sum('sent'):,} packets from the victim")


def of_rule(claim: Claim) -> Verdict:
    """What it met is over the floor, and no more than was there."""
    if "log-likelihood" in claim.says:
        return Verdict(None, "sums of evidence are not made again")
    (floor,), (met,) = claim.numbers("rule that fired: (?:a surge of )?#"), claim.numbers("it met #")
    return Verdict(met >= floor or " MB in " in claim.says, f"{met:,.0f} of {floor:,.0f}")


def bounds(event: dict[str, Any]) -> tuple[int, int]:
    """The first nanosecond that an event counted, and the last."""
    stretches = event["counted"]["stretches"]
    return nanoseconds(stretches[0]["first"]), nanoseconds(stretches[-1]["until"])


def listed(event: dict[str, Any]) -> set[bytes]:
    """Who the event names, IPv6 by the upper half."""
    import ipaddress

    nets = [ipaddress.ip_network(top["cidr"]).network_address.packed for top in event["sources"]["top"]]
    return {net if len(net) == 4 else net[:8] for net in nets}


def nanoseconds(text: str) -> int:
    """RFC 3339 as nanoseconds since 1970."""
    from datetime import datetime

    whole, _, part = text.rstrip("Z").partition(".")
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()) * SECOND + int(part.ljust(9, "0") or 0)


def of_forwarded(claim: Claim) -> Verdict:
    (a, b) = claim.numbers(r"\(# of #\)$")
    found, whole = claim.exact.n("forwarded"), claim.sum("requests")
    return Verdict(a <= found and b <= whole, f"{found:,} of {whole:,}")


CLAIMS: dict[str, Callable[[Claim], Verdict]] = {
    "handshake_completion": of_handshakes, "answered": of_answers, "refused": of_refusals,
    "bogon_share": nowhere("reserved"), "dark_share": nowhere("dark"), "silent": of_silence,
    "out_of_state": of_strangers, "resets": of_resets,
    "data_per_connection": of_data, "records_per_hello": of_records, "machine_share": of_machines,
    "hammered": of_hammering, "proven_share": of_proof, "forwarded_share": of_forwarded,
    "asset_share": of_parts, "pace": of_pace, "known_networks": of_known,
    "frames_per_stream": of_frames, "unasked_answers": of_unasked,
    "answer_bytes": of_size, "answers": of_received, "packets": of_received, "first_fragments": of_fragments,
    "echoes": of_echoes, "peers": of_peers, "initial_share": of_initials, "distinct_names": of_names,
    "one_zone": of_zone, "failed_answers": of_failures, "distinct_paths": of_walks, "posts": of_posts,
    "unfinished": of_unfinished, "bodies_owed": of_owed, "stalls": of_stalls, "surge": of_surge,
    "network_share": of_networks, "failures": of_errors, "sources": of_sources, "packets_a_flow": of_streams,
    "stamps": of_stamps, "one_way": of_one_way, "rule": of_rule,
}  # fmt: skip


def judge(event: dict[str, Any], evidence: dict[str, Any], exact: Victim) -> Verdict:
    """Whether a sentence is true."""
    check = CLAIMS.get(evidence["name"])
    if check is None:
        return Verdict(None, "the oracle does not know this sentence")
    merged = sum(u - f for f, u in exact.stretches) / SECOND
    if abs(merged - event["counted"]["seconds"]) > 0.001:
        return Verdict(None, "pauses in between were counted as well")
    return check(Claim(event, evidence, exact))
