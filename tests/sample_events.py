"""Events and a report, for tests of whatever tells them: a forged flood, a real one, and a crowd."""

from __future__ import annotations

from msgspec.structs import replace

from floodwatch.model.event import (
    Advice,
    CaptureInfo,
    CountBounds,
    Estimate,
    Event,
    Evidence,
    Rate,
    ShareEstimate,
    Sources,
    TopSource,
    Vector,
    Victim,
)
from floodwatch.model.report import Input, Report, Settings, Tool, Totals

SYN = Event(
    id="20250127T021740Z-syn_flood-198.51.100.7-443", input="edge-0217.pcap.gz", seq=2,
    vector=Vector.SYN_FLOOD, verdict="attack", severity="high", confidence=0.97, state="ended",
    pattern=("steady",), linked=(),
    capture=CaptureInfo(interface=None, unseen_share=0.0),
    victim=Victim(ip="198.51.100.7", port=443, protocol="tcp", path=None),
    first="2025-01-27T02:17:40Z", detected="2025-01-27T02:17:41Z", last="2025-01-27T02:24:10Z",
    rate=Rate(peak=412_300.0, unit="packet/s", baseline=1103.0), packets=98_000_000, bytes=6_272_000_000,
    sources=Sources(
        origin="forged", distinct=Estimate(est=3_900_000, lo=3_838_000, hi=3_962_000),
        forged_share=ShareEstimate(est=0.99, lo=0.97, hi=1.0), top=(),
    ),
    evidence=(
        Evidence(name="handshake_completion", value=0.001, usual=0.97,
                 says="0.1 % of the SYNs were ever followed by an ACK"),
        Evidence(name="ttl_spread", value=0.9, usual=0.2, says="the TTLs are spread evenly over all values"),
        Evidence(name="third", value=1.0, usual=None, says="a third fact that only the JSON shows"),
    ),
    action=Advice(recommended="syn_cookies", taken="none",
                  why="the addresses are forged: blocking them would hit bystanders"),
    timeline=(1.0, 1.0, 2.0, 8.0, 8.0, 8.0, 4.0, 0.0),
)  # fmt: skip
HTTP = replace(
    SYN, id="20250127T021900Z-http_flood-2001:db8::9-80", vector=Vector.HTTP_FLOOD, severity="medium",
    confidence=0.88, state="cut", pattern=("pulse",),
    victim=Victim(ip="2001:db8::9", port=80, protocol="tcp", path="/search"),
    rate=Rate(peak=8200.0, unit="req/s", baseline=140.0),
    sources=Sources(
        origin="real", distinct=Estimate(est=41, lo=41, hi=41), forged_share=None,
        top=tuple(TopSource(cidr=f"203.0.113.{n}/32", share=0.2 / n, count=CountBounds(lo=90, hi=99))
                  for n in range(1, 8)),
    ),
    action=Advice(recommended="drop_sources", taken="none", why="all of them finished handshakes."),
)  # fmt: skip
CROWD = replace(HTTP, verdict="crowd", severity="low", state="ended", pattern=(),
                action=Advice(recommended="scale_out", taken="none", why="people came"))  # fmt: skip
INPUT = Input(
    path="edge-0217.pcap.gz", format="pcap", linktypes=("EN10MB",), packets=31_402_118, bytes=2_100_000_000,
    first="2025-01-27T02:13:07.000001Z", last="2025-01-27T02:28:41.5Z",
    rejected={"not_ip": 40, "truncated": 6211}, one_way=False, duration_s=1.0, error=None,
)  # fmt: skip
REPORT = Report(
    tool=Tool(name="floodwatch", version="0.1.0"), complete=True, inputs=(INPUT,),
    settings=Settings(profile="default", epoch_s=0.25, seeded=False, filter=None),
    totals=Totals(packets=31_402_118, bytes=2_100_000_000, duration_s=934.5, skipped=0,
                  sources=Estimate(est=3_901_000, lo=3_838_000, hi=3_962_000)),
    floods=(SYN, HTTP), crowds=(),
)  # fmt: skip
