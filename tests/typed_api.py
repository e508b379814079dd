"""What a typed program sees: mypy --strict reads this file, nobody runs it (tests/test_docs.py)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import floodwatch as fw

counts = fw.CountMin(depth=4, width=1024, seed=bytes(16), conservative=True)
assert_type(counts.update(1), fw.CountMin)
assert_type(counts.update(["a", b"b", 3], [1, 2, 3]).update(np.arange(9), 7), fw.CountMin)
assert_type(counts.query("203.0.113.9"), int)
assert_type(counts.query(ip_address("2001:db8::1")), int)
assert_type(counts.query(np.uint32(1)), int)
assert_type(counts.query(np.arange(9)), NDArray[np.uint64])
assert_type(counts.bounds(b"k"), tuple[int, int])
assert_type(counts.bounds(["a", "b"]), tuple[NDArray[np.uint64], NDArray[np.uint64]])
assert_type(counts | counts, fw.CountMin)
assert_type(counts.as_array(), NDArray[np.uint64])
assert_type(fw.CountMin.from_bytes(counts.to_bytes(), key=None), fw.CountMin)

distinct = fw.HyperLogLog(p=10)
distinct |= fw.HyperLogLog(p=10)
assert_type(distinct.estimate(), float)
assert_type(distinct.bounds(3), tuple[float, float])
assert_type(distinct.as_array(), NDArray[np.uint8])

top = fw.TopK(k=100).update("a").update(np.arange(9), 2)
assert_type(top.bounds("a"), tuple[int, int])
assert_type(top | top, fw.TopK)
window = fw.Window(interval_s=1.0, keep=3).update("a", now_ns=5)
assert_type(window.merged().counts, fw.CountMin)
detector = fw.Detector(top=5, on_event=print)

for batch in fw.read("a.pcap", filter="tcp", batch=100, strict=True):
    assert_type(batch, fw.PacketBatch)
    assert_type(batch.ts_ns, NDArray[np.uint64])
    assert_type(batch[1:], fw.PacketBatch)
    assert_type(batch[np.isin(batch.proto, (6, 17))], fw.PacketBatch)
    assert_type(batch[0], dict[str, Any])
    assert_type(detector.feed(batch), list[fw.Event])
    fw.Blocker(backend="nft").enforce(detector.decisions())
    counts.update(batch.src4).update(batch.src)

for event in fw.detect("a.pcap"):
    assert_type(event, fw.Event)
assert_type(fw.PacketBatch.from_scapy([]), fw.PacketBatch)

report = fw.scan(["a.pcap"], jobs=2)
assert_type(report, fw.Report)
assert_type(report.floods, tuple[fw.Event, ...])
assert_type(report.floods[0].vector, fw.Vector)
assert_type(report.floods[0].victim, fw.Victim)
assert_type(report.to_json(), str)
assert_type(fw.Report.from_json(report.to_json()), fw.Report)
fw.read(1)  # type: ignore[arg-type]

counts.update(1.5)  # type: ignore[arg-type]
fw.TopK(k=3, seed=bytes(16))  # type: ignore[call-arg]
counts.merge(distinct)  # type: ignore[arg-type]
fw.CountMin(4)  # type: ignore[call-arg]
fw.HyperLogLog(seed="text")  # type: ignore[arg-type]
fw.Sketchy  # type: ignore[attr-defined]  # noqa: B018


def handle(error: fw.SketchMismatch) -> Any:
    assert_type(error.field, str)
    return error
