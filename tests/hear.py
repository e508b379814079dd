"""Hear ClientHellos on an interface as a watch captures it, until a signal ends it; prints JSON.

    python tests/hear.py INTERFACE

``ja4``: fingerprints with their counts. ``kept`` and ``sent``: bytes of the frames in the ring, and on the
wire; ``longest``: the most that was kept of the payload of a packet of which something was left out.
"""

from __future__ import annotations

import json
import select
import signal
import sys
from collections import Counter

from floodwatch._engine import Batch, Decoder
from floodwatch.api.greeted import Greeted, collecting
from floodwatch.api.packets import PacketBatch
from floodwatch.capture import LiveRing
from floodwatch.config.options import WatchOptions

ROWS = 8192


def main(interface: str) -> None:
    """Listen; says when it does."""
    usual = WatchOptions()
    ring = LiveRing(interface, ring_mb=usual.ring_mb, snaplen=usual.snaplen, promiscuous=True)
    key = bytes(16)
    decoder, batch = Decoder(key), Batch(ROWS)
    collector = collecting(decoder, key, ROWS)
    ended = list[int]()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: ended.append(number))
    fingerprints, kept, sent, longest = Counter[str](), 0, 0, 0
    print("ready", flush=True)
    poll = select.poll()
    poll.register(ring.socket, select.POLLIN)
    while ring.fill(decoder, batch, 0) or not ended:
        if not len(batch):
            poll.poll(100)
            continue
        rows = batch.records()
        missing = rows["payload"].astype(int) - rows["captured"]
        sent += int(rows["bytes"].sum())
        kept += int(rows["bytes"].sum() - missing.sum())
        longest = max(longest, int(rows["captured"][missing > 0].max(initial=0)))
        packets = PacketBatch(rows, batch.messages(), greeted=Greeted(collector, [collector.found.drain()]))
        fingerprints.update(packets.ja4[packets.ja4 != None])  # noqa: E711
    ring.close()
    print(json.dumps({"ja4": fingerprints, "kept": kept, "sent": sent, "longest": longest}))


if __name__ == "__main__":
    main(sys.argv[1])
