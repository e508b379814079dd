"""Packets to bytes: headers are stamped and checksums computed for thousands of packets at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floodwatch.synth.packets import WIDTH, Payloads
from floodwatch.synth.templates import Template, templates

Array = NDArray[Any]

BLOCK = 8192
"""Packets rendered at a time: bounds the memory whatever the length of the capture."""
RECORD = 16
"""Bytes of a classic pcap record header."""
_PROTOCOL_NUMBER = {"tcp": 6, "udp": 17, "icmp": 1}


class Renderer:
    """Turns packet rows into pcap records; ``snaplen`` cuts the captured bytes, never the stated length."""

    def __init__(self, pool: Payloads, snaplen: int) -> None:
        self._snaplen = snaplen
        self._payloads = pool.matrix()
        words = np.ascontiguousarray(self._payloads).view(">u2")
        self._sums = np.zeros((len(words), WIDTH // 2 + 1), np.uint64)
        np.cumsum(words, axis=1, dtype=np.uint64, out=self._sums[:, 1:])

    def blocks(self, packets: Array) -> Iterator[bytes]:
        """Records of all packets, in their order, a block of packets at a time."""
        for start in range(0, len(packets), BLOCK):
            yield self._records(packets[start : start + BLOCK])

    def _records(self, packets: Array) -> bytes:
        wire = wire_lengths(packets)
        captured = np.minimum(wire, self._snaplen)
        rows = np.zeros((len(packets), RECORD + int(captured.max())), np.uint8)
        stamp = np.empty((len(packets), 4), "<u4")
        stamp[:, 0], rest = np.divmod(packets["t"], 1_000_000_000)
        stamp[:, 1], stamp[:, 2], stamp[:, 3] = rest // 1000, captured, wire
        rows[:, :RECORD] = stamp.view(np.uint8)
        for head in np.unique(packets["head"]):
            where = np.flatnonzero(packets["head"] == head)
            frames = self._frames(templates()[head], packets[where])[:, : rows.shape[1] - RECORD]
            rows[where, RECORD : RECORD + frames.shape[1]] = frames
        return rows[np.arange(rows.shape[1]) < (RECORD + captured)[:, None]].tobytes()

    def _frames(self, template: Template, packets: Array) -> Array:
        size = len(template.frame)
        shown = min(int(packets["plen"].max()), max(2, self._snaplen - size))
        frames = np.empty((len(packets), size + shown), np.uint8)
        frames[:, :size] = np.frombuffer(template.frame, np.uint8)
        frames[:, size:] = self._payloads[packets["pay"], :shown]
        if packets["marked"].any():
            marks = frames[:, size : size + 2]
            marks[:] = np.where(packets["marked"][:, None], be16(packets["mark"])[:, : marks.shape[1]], marks)
        out = packets["out"][:, None]
        frames[:, 0:12] = np.where(out, np.roll(frames[:, 0:12], 6, axis=1), frames[:, 0:12])
        _stamp_network(frames, template, packets)
        if template.protocol != "bare":
            self._stamp_transport(frames, template, packets)
        return frames

    def _payload_sum(self, packets: Array) -> Array:
        half, odd = np.divmod(packets["plen"].astype(np.int64), 2)
        total = self._sums[packets["pay"], half] + packets["more_sum"]
        column = np.minimum(packets["plen"] - odd, WIDTH - 1)
        last = self._payloads[packets["pay"], column].astype(np.uint64) << np.uint64(8)
        # the mark replaces the first word: in one's complement, adding the word's inverse takes it away
        exchanged = packets["mark"] + (np.uint64(0xFFFF) - self._sums[packets["pay"], 1])
        total = total + odd.astype(np.uint64) * last + np.where(packets["marked"], exchanged, np.uint64(0))
        return np.asarray(total, np.uint64)

    def _stamp_transport(self, frames: Array, template: Template, packets: Array) -> None:
        at = template.transport
        header = template.network - (at - 14)
        field = {"tcp": 16, "udp": 6, "icmp": 2}[template.protocol]
        offset = 4 if template.protocol == "icmp" else 0
        frames[:, at + offset : at + offset + 2] = be16(packets["sport"])
        frames[:, at + offset + 2 : at + offset + 4] = be16(packets["dport"])
        length = header + packets["plen"].astype(np.uint64) + packets["more"]
        if template.protocol == "tcp":
            frames[:, at + 4 : at + 8] = be32(packets["seq"])
            frames[:, at + 8 : at + 12] = be32(packets["ack"])
            frames[:, at + 13] = packets["flags"]
            frames[:, at + 14 : at + 16] = be16(packets["win"])
        elif template.protocol == "udp":
            frames[:, at + 4 : at + 6] = be16(length)
        frames[:, at + field : at + field + 2] = 0
        total = words(frames[:, at : at + header]) + self._payload_sum(packets)
        if template.protocol != "icmp":
            total += _address_sum(frames, template.version) + length + _PROTOCOL_NUMBER[template.protocol]
        checksum = fold(total)
        if template.protocol == "udp":
            checksum[checksum == 0] = 0xFFFF  # zero on the wire means "no checksum"
        frames[:, at + field : at + field + 2] = be16(checksum)


def wire_lengths(packets: Array) -> Array:
    """Bytes of each frame on the wire, without its check sequence."""
    sizes = np.array([len(template.frame) for template in templates()])
    lengths: Array = sizes[packets["head"]] + packets["plen"]
    return lengths


def _stamp_network(frames: Array, template: Template, packets: Array) -> None:
    length = template.network + packets["plen"].astype(np.uint64)
    if template.version == 6:
        frames[:, 18:20] = be16(length - np.uint64(40))
        frames[:, 21] = packets["ttl"]
        for offset, name in ((22, "src_hi"), (30, "src"), (38, "dst_hi"), (46, "dst")):
            frames[:, offset : offset + 8] = big_endian(packets[name], ">u8")
        return
    frames[:, 16:18] = be16(length)
    frames[:, 18:20] = be16(packets["ip_id"])
    frames[:, 20:22] = be16(packets["frag"])
    frames[:, 22] = packets["ttl"]
    frames[:, 24:26] = 0
    frames[:, 26:30] = be32(packets["src"])
    frames[:, 30:34] = be32(packets["dst"])
    frames[:, 24:26] = be16(fold(words(frames[:, 14:34])))


def _address_sum(frames: Array, version: int) -> Array:
    return words(frames[:, 26:34] if version == 4 else frames[:, 22:54])


def big_endian(values: Array, kind: str) -> Array:
    """``values`` as bytes in network order, shape (n, size of ``kind``)."""
    return np.ascontiguousarray(values.astype(kind)).view(np.uint8).reshape(len(values), -1)


def be16(values: Array) -> Array:
    """Two bytes a value, network order."""
    return big_endian(values, ">u2")


def be32(values: Array) -> Array:
    """Four bytes a value, network order."""
    return big_endian(values, ">u4")


def words(data: Array) -> Array:
    """Sum of the 16-bit words of every row (an even number of bytes each), not folded."""
    total: Array = np.ascontiguousarray(data).view(">u2").sum(axis=1, dtype=np.uint64)
    return total


def fold(total: Array) -> Array:
    """The Internet checksum (RFC 1071) of an unfolded sum of words."""
    for _ in range(3):
        total = (total & np.uint64(0xFFFF)) + (total >> np.uint64(16))
    return np.uint64(0xFFFF) - total
