"""Packets as columns: ``read`` yields batches of NumPy arrays, never an object a packet."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from .._engine import Batch, Decoder
from .greeted import Greeted, collecting
from .interop import from_frames, to_capture

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped, import-not-found, unused-ignore]
    from scapy.packet import Packet  # type: ignore[import-not-found, unused-ignore]

MAPPED = 0xFFFF
"""Upper half of the low word of an IPv4 address as ``::ffff:a.b.c.d``."""
Scalar = TypeVar("Scalar", bound=np.generic)


class PacketBatch:
    """Decoded packets of one capture, in its order, as read-only columns of equal length.

    Most columns are views of the records; addresses are made on first use and kept.
    An index gives one packet as a dict; a slice, mask or array of indexes gives a batch.

    >>> import floodwatch as fw
    >>> packets = syns = 0
    >>> for batch in fw.read("pcaps/real_nginx_synflood.pcap.gz"):
    ...     packets += len(batch)
    ...     syns += len(batch[batch.flags == 2])
    >>> packets >= syns > 1000
    True
    """

    def __init__(
        self,
        records: NDArray[np.void],
        messages: tuple[bytes, bytes] = (b"", b""),
        frames: NDArray[np.object_] | None = None,
        greeted: Greeted | None = None,
    ) -> None:
        """Wrap what ``floodwatch._engine.Batch`` holds; ``read`` and ``from_scapy`` do it for you."""
        self._records = records
        self._messages = messages
        self._frames = frames
        self._greeted = greeted or Greeted()

    @classmethod
    def from_scapy(cls, packets: Iterable[Packet]) -> PacketBatch:
        """Packets of scapy (one, a list, a PacketList, any iterable) as a batch, decoded as ``read`` does it.

        Frames that hold no whole IP packet are left out.

        Raises:
            ValueError: a packet that begins with neither Ethernet nor IP.
        """
        several: list[Any] = [packets] if hasattr(packets, "payload") else list(packets)
        rows, key = max(len(several), 1), os.urandom(16)
        batch, decoder = Batch(rows), Decoder(key)
        collector = collecting(decoder, key, rows)
        decoder.fill(to_capture(several), 0, batch)
        greeted = Greeted(collector, [collector.found.drain()])
        return cls(batch.records(), batch.messages(), greeted=greeted)

    def to_scapy(self, index: int | slice | None = None) -> list[Packet]:
        """The frames as packets of scapy: all of them, a slice or one.

        Raises:
            ValueError: the batch was read without ``keep_raw=True``.
        """
        if self._frames is None:
            raise ValueError("the frames themselves were not kept: read(..., keep_raw=True)")
        chosen = self._frames[
            slice(index, index + 1 or None) if isinstance(index, int) else index or slice(None)
        ]
        return from_frames(list(chosen))

    def parts(self) -> tuple[NDArray[np.void], bytes, bytes]:
        """What ``floodwatch._engine.Batch.load`` takes: records, messages and their texts."""
        return self._records, *self._messages

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice | list[int] | NDArray[Any]) -> PacketBatch: ...
    def __getitem__(self, index: int | slice | list[int] | NDArray[Any]) -> dict[str, Any] | PacketBatch:
        if isinstance(index, int | np.integer):
            one = PacketBatch(self._records[[index]])
            plain = {name: getattr(one, name)[0].item() for name in COLUMNS if name not in ADDRESSES}
            return {"src": _address(one.src[0]), "dst": _address(one.dst[0])} | plain
        frames = None if self._frames is None else self._frames[index]
        greeted = self._greeted.only(index, len(self))
        return PacketBatch(_frozen(self._records[index]), self._messages, frames, greeted)

    def __repr__(self) -> str:
        return f"PacketBatch({len(self):,} packets)"

    @property
    def ts_ns(self) -> NDArray[np.uint64]:
        """Nanoseconds since 1970, UTC."""
        return self._records["ts_ns"]

    @cached_property
    def src(self) -> NDArray[np.uint8]:
        """Source addresses, shape (n, 16), IPv4 as ``::ffff:a.b.c.d``: keys for the sketches."""
        return _octets(self._records["src"])

    @cached_property
    def dst(self) -> NDArray[np.uint8]:
        """Destination addresses, like ``src``."""
        return _octets(self._records["dst"])

    @cached_property
    def src4(self) -> NDArray[np.uint32]:
        """Source addresses as numbers where they are IPv4, else 0: keys equal to an ``IPv4Address``."""
        return _numbers(self._records["src"])

    @cached_property
    def dst4(self) -> NDArray[np.uint32]:
        """Destination addresses, like ``src4``."""
        return _numbers(self._records["dst"])

    @cached_property
    def version(self) -> NDArray[np.uint8]:
        """IP version, 4 or 6."""
        return _frozen(np.where(_is_ipv4(self._records["src"]), np.uint8(4), np.uint8(6)))

    @property
    def sport(self) -> NDArray[np.uint16]:
        """Source ports; 0 where there are none."""
        return self._records["sport"]

    @property
    def dport(self) -> NDArray[np.uint16]:
        """Destination ports; 0 where there are none, the type for ICMP."""
        return self._records["dport"]

    @property
    def proto(self) -> NDArray[np.uint8]:
        """IP protocol numbers."""
        return self._records["proto"]

    @property
    def flags(self) -> NDArray[np.uint8]:
        """TCP flags, FIN = 1 to CWR = 128; 0 for other protocols."""
        return self._records["tcp_flags"]

    @property
    def seq(self) -> NDArray[np.uint32]:
        """TCP sequence numbers."""
        return self._records["seq"]

    @property
    def ack(self) -> NDArray[np.uint32]:
        """TCP acknowledgement numbers."""
        return self._records["ack"]

    @property
    def length(self) -> NDArray[np.uint32]:
        """Bytes of the frames on the wire."""
        return self._records["bytes"]

    @property
    def payload(self) -> NDArray[np.uint32]:
        """Bytes of transport payload on the wire; for ICMP all after type, code and checksum."""
        return self._records["payload"]

    @cached_property
    def ja4(self) -> NDArray[np.object_]:
        """JA4 fingerprints: text where a packet makes a ClientHello whole (TLS, DTLS, QUIC), else None.

        Made on first use, and no column of ``to_numpy``. QUIC needs the extra ``decrypt``; a hello of QUIC
        that lies in several batches is found where the column was asked for in each of them.
        """
        return self._greeted.column(0, len(self))

    @cached_property
    def sni(self) -> NDArray[np.object_]:
        """Server names: text where ``ja4`` has one, "" where the hello names none, else None."""
        return self._greeted.column(1, len(self))

    def to_numpy(self) -> NDArray[np.void]:
        """One structured array with a field a column (a copy)."""
        columns = [(name, getattr(self, name)) for name in COLUMNS]
        out = np.empty(len(self), dtype=[(name, column.dtype, column.shape[1:]) for name, column in columns])
        for name, column in columns:
            out[name] = column
        return out

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame with ``time`` (UTC) in place of ``ts_ns`` and addresses as text; pandas is needed."""
        import pandas

        frame = {
            "time": pandas.to_datetime(self.ts_ns.astype(np.int64), utc=True),
            "src": _texts(self.src),
            "dst": _texts(self.dst),
        }
        return pandas.DataFrame(
            frame | {c: np.array(getattr(self, c)) for c in COLUMNS if c not in (*ADDRESSES, "ts_ns")}
        )


COLUMNS = ("ts_ns", "src", "dst", "src4", "dst4", "version", "sport", "dport", "proto", "flags", "seq", "ack",
           "length", "payload")  # fmt: skip
ADDRESSES = ("src", "dst", "src4", "dst4")


def _frozen(array: NDArray[Scalar]) -> NDArray[Scalar]:
    array.flags.writeable = False
    return array


def _is_ipv4(pairs: NDArray[np.uint64]) -> NDArray[np.bool_]:
    answer: NDArray[np.bool_] = (pairs[:, 0] == 0) & (pairs[:, 1] >> np.uint64(32) == MAPPED)
    return answer


def _octets(pairs: NDArray[np.uint64]) -> NDArray[np.uint8]:
    return _frozen(pairs.byteswap().view(np.uint8).reshape(-1, 16))


def _numbers(pairs: NDArray[np.uint64]) -> NDArray[np.uint32]:
    return _frozen(np.where(_is_ipv4(pairs), pairs[:, 1], np.uint64(0)).astype(np.uint32))


def _address(octets: NDArray[np.uint8]) -> IPv4Address | IPv6Address:
    address = IPv6Address(octets.tobytes())
    return address.ipv4_mapped or address


def _texts(octets: NDArray[np.uint8]) -> NDArray[np.object_]:
    """Addresses as text; each distinct one is spelled once."""
    distinct, at = np.unique(octets, axis=0, return_inverse=True)
    return np.array([str(_address(row)) for row in distinct], dtype=object)[at]
