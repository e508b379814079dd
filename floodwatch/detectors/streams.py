"""Streams: few senders whose flows last, as collectors, media, tunnels and copies have them.

Devices that log, routers that export flows, relays of media and ends of tunnels send from the same ports to
the same port for as long as they live, and many of them are never answered. Floods come from many senders, or
from addresses and ports that change with each packet: forged ones, tools that draw a port for every packet.
What is left is a few bots that send from one socket each, and those send as much as they can. So a stream is
named a flood only for its size: that of one sender, or of all of them together. Packets that come back whole,
with the identification that hosts give each of them (RFC 6864), are replayed and no stream.
"""

from __future__ import annotations

import numpy as np

from ..history.victims import View, distinct_sources, union
from ..model.epoch import CLASS_UDP, UDP
from ..model.finding import Floor

SENDERS = 512
"""More senders are no set of devices that an operator knows by name."""
LASTING = 3.0
"""Packets of a flow (of a sender, where there are no ports) in the last second from which flows last: one
that is drawn for each packet has one."""
FEW_SENDERS = 2
STREAM = Floor(1_250, f"from at most {FEW_SENDERS} senders: a media stream looks the same")
"""One or two senders are a stream or a copy below 5,000 a second ..."""
BULK = Floor(12_500, f"large packets from at most {FEW_SENDERS} senders: a file transfer looks the same")
"""... and with full packets below 50,000 a second (600 Mbit/s) ..."""
STREAMS = Floor(
    12_500, f"from at most {SENDERS} senders whose flows last: devices of a collector look the same"
)
"""... and more of them below 50,000 a second, if none of them exceeds what one may send."""
BULK_BYTES = 1_000
DRAWN = 1.5
OCCASION = 2.0
"""Fewer packets a flow, where senders sent so many each, are flows that are drawn anew."""
REPLAYED = 0.5
"""Share of the packets that came before, from which they are replayed."""
TOLD_APART = 3
"""Epochs in a row that few senders take until it shows whether their flows last."""


def packets_a_flow(view: View) -> float:
    """UDP packets a flow over the last second: 1 where each packet is drawn anew."""
    return view.lately("kinds", UDP) / max(_flows(view), 1.0)


def lately(view: View, sources: int) -> float:
    """Senders of the last second; of IPv6, where a source is a whole /64, each flow may be one's own."""
    senders = view.senders(sources)
    return max(senders, _flows(view)) if sources == CLASS_UDP and view.track.address[0] else senders


def replayed(view: View, kind: int) -> bool:
    """Half of the packets of a kind in the last second came before."""
    back = sum(int(row["kinds"]["replayed"][kind]) for row in view.recent())
    return 0 < view.lately("kinds", kind) <= back / REPLAYED


def lasts(view: View, kind: int, sources: int) -> bool:
    """Few senders of this kind, and their flows last."""
    senders = lately(view, sources)
    if not 0 < senders <= SENDERS or replayed(view, kind):
        return False
    packets = view.lately("kinds", kind)
    return packets >= LASTING * senders and (sources != CLASS_UDP or packets_a_flow(view) >= LASTING)


def stream_floor(view: View, row: np.void, kind: int, sources: int, floor: Floor) -> Floor:
    """The floor of a kind of packets: what may be streams is no flood until it is very much."""
    if not lasts(view, kind, sources):
        return floor
    counted = row["kinds"][kind]
    packets, size = int(counted["packets"]), int(counted["bytes"])
    single = BULK if size >= BULK_BYTES * packets else STREAM
    if round(lately(view, sources)) <= FEW_SENDERS:
        return single
    return single if _loudest(view, row) * packets >= single.count else STREAMS


def patience(view: View, row: np.void, kind: int, sources: int) -> int:
    """Epochs over the floor before a verdict: few senders get the time in which streams show.

    It shows at once where senders that had the occasion to send twice in a flow did not, or where flows last
    and are too much all the same.
    """
    senders = distinct_sources(row, sources)
    if view.final or senders > SENDERS or replayed(view, kind) or lasts(view, kind, sources):
        return 1
    drawn = sources == CLASS_UDP and packets_a_flow(view) < DRAWN
    return 1 if drawn and int(row["kinds"]["packets"][kind]) >= OCCASION * senders else TOLD_APART


def _loudest(view: View, row: np.void) -> float:
    """Share of the loudest sender among those that stand out, in this window; a /64 is no single one."""
    heavy = view.heavy()
    sent = heavy["packets"][(heavy["victim"] == int(row["reference"])) & (heavy["v6"] == 0)]
    return float(sent.max(initial=0) / max(int(sent.sum()), 1))


def _flows(view: View) -> float:
    return union([row["udp_flows"] for row in view.recent()])
