"""The native engine (C under a thin Cython layer): the only door from C to Python.

Bytes of a capture go in by blocks, one summary of NumPy arrays comes out per epoch. Calls release the GIL
while they work. The sketches serve several threads in turn. No other object is safe for use by two threads at
once, except that one thread may fill a batch while another observes a different batch.
"""

from ipaddress import IPv4Address, IPv6Address
from mmap import mmap
from typing import Any, Final, TypeAlias, final, overload

import numpy as np
from numpy.typing import NDArray

from .errors import SketchMismatch as SketchMismatch

_Key: TypeAlias = int | bytes | str | IPv4Address | IPv6Address | np.integer[Any]
_Keys: TypeAlias = NDArray[Any] | list[Any] | tuple[Any, ...]

ERRORS: Final[dict[int, str]]
NEED_MORE: Final[int]
MERGED: Final[int]
REJECTS: Final[tuple[str, ...]]
TUNNELS: Final[tuple[str, ...]]
VICTIM_DTYPE: Final[np.dtype[np.void]]
HOST_DTYPE: Final[np.dtype[np.void]]
HEAVY_DTYPE: Final[np.dtype[np.void]]
PACKET_DTYPE: Final[np.dtype[np.void]]

@final
class Batch:
    """Up to ``capacity`` decoded packets, 96 bytes each, and what applications said in them.

    Its length counts the carriers of tunnelled packets too; the last packet may come with one more.
    """

    def __new__(cls, capacity: int) -> Batch: ...
    def __len__(self) -> int: ...
    @property
    def last_ns(self) -> int:
        """Time of the last packet, 0 without one."""

    def records(self) -> NDArray[np.void]:
        """A read-only copy of the packets (PACKET_DTYPE), in stream order; of tunnels what they carry.

        ``src`` and ``dst`` are (hi, lo) of the 128-bit address; IPv4 is ``::ffff:a.b.c.d``. ``bytes`` is the
        frame and ``payload`` the transport payload, both as on the wire; ICMP has its type in ``dport``.
        """

    def messages(self) -> tuple[bytes, bytes]:
        """What applications said in the packets: records, to which ``message`` of a packet points (1 is the
        first, 0 none), and the texts that they point into."""

    @staticmethod
    def load(records: NDArray[np.void], messages: bytes, texts: bytes, key: bytes) -> Batch:
        """A batch of packets that were decoded before, hashed anew under a key of 16 bytes.

        Raises:
            ValueError: they are not from ``records`` and ``messages`` of this version.
        """

    def outermost(self) -> NDArray[np.void]:
        """For each of ``records()`` the packet that carried it through a tunnel, or itself."""

@final
class Decoder:
    """Reads one capture: record walking, header decoding, keyed hashing, and their counters.

    Args:
        key: 16 secret bytes; the same key gives the same sketches.
    """

    def __new__(cls, key: bytes) -> Decoder: ...
    def set_filter(self, function: int, programs: list[tuple[int, int]], owner: object) -> None:
        """Drop the frames that a cBPF program does not match.

        Args:
            function: address of a function with the signature of libpcap's ``bpf_filter``.
            programs: (link type, address of its instructions; 0 matches nothing), at most 8.
            owner: kept alive as long as the decoder uses the addresses.
        """

    def set_span(self, since_ns: int, until_ns: int) -> None:
        """Count only frames from ``since_ns`` on and before ``until_ns``, in ns since 1970."""

    def drop_twins(self) -> None:
        """From now on count the second copy of a frame, within 50 ms of the first, as ``duplicates`` only."""

    def fill(self, block: object, start: int, batch: Batch) -> tuple[int, int]:
        """Decode from ``block[start:]`` until the batch is full or the block used up.

        Returns:
            (code, position): 0, ``NEED_MORE``, or a key of ``ERRORS``; and where to go on.
        """

    def frame(self) -> tuple[bytes, int, int]:
        """(bytes, link type, length on the wire) of the last frame that ``fill`` took into a full batch.

        Good until the block that it was filled from is given back.
        """

    @property
    def why(self) -> str:
        """After an error: one sentence."""

    @property
    def format(self) -> str | None: ...
    @property
    def linktypes(self) -> tuple[int, ...]: ...
    @property
    def interfaces(self) -> tuple[tuple[str, int, int], ...]:
        """(name, link type, snap length) of each interface of the capture's newest section; 0 is no limit."""

    @property
    def lost(self) -> int:
        """Packets that the capture itself says were lost."""

    @property
    def rejected(self) -> dict[str, int]: ...
    @property
    def tunnelled(self) -> dict[str, int]:
        """Frames that carried another packet, by the kind of their outermost tunnel."""

    @property
    def offset(self) -> int:
        """Bytes of the capture that were consumed."""

    @property
    def need(self) -> int:
        """After ``NEED_MORE``: bytes that the record at the position takes."""

    @property
    def packets(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def filtered(self) -> int: ...
    @property
    def duplicates(self) -> int:
        """Second copies of frames that ``drop_twins`` left out."""

    @property
    def first_ns(self) -> int | None: ...
    @property
    def last_ns(self) -> int | None: ...

@final
class Ring:
    """The blocks of an AF_PACKET receive ring (TPACKET_V3, with PACKET_VNET_HDR), mapped and shared.

    Args:
        memory: the mapping, writable; held until ``close``.
        block_size: bytes of one block.

    Raises:
        ValueError: the mapping is no whole number of blocks of 4,096 bytes or more.
    """

    def __new__(cls, memory: mmap, block_size: int) -> Ring: ...
    def fill(self, decoder: Decoder, batch: Batch, shift_ns: int) -> bool:
        """Fill the batch from at most one block; False when the kernel has none ready.

        Frames that offloading merged count as the segments they carry. ``shift_ns`` is taken off the
        kernel's time stamps. The batch points into the block, which goes back in the next call.
        """

    def close(self) -> None:
        """Let go of the memory; ``fill`` raises ValueError afterwards."""

    def record(self, room: int, budget: int, interface: int) -> None:
        """From now on keep a sample of the frames that are counted.

        Args:
            room: bytes of each of the two halves that hold them.
            budget: frames of a quarter second that are kept, about.
            interface: their number in a pcapng file; the next one is for frames without a link layer.

        Raises:
            ValueError: it was asked for before.
        """

    def recorded(self) -> bytes:
        """Take what was kept, oldest first: whole pcapng Enhanced Packet Blocks, times in nanoseconds."""

    @property
    def frames(self) -> int: ...
    @property
    def damaged(self) -> int: ...

@final
class Engine:
    """The sketches of one analysis: count-min, HyperLogLog, heavy hitters, handshakes, victim slots.

    About 12 MiB, whatever the traffic. Packet time is the only clock.
    """

    def __new__(cls) -> Engine: ...
    def observe(self, batch: Batch, start: int) -> int:
        """Count ``batch[start:]`` up to the end of the epoch; returns how many packets were taken."""

    def victims(self, least: int) -> NDArray[np.void]:
        """The open epoch's slots with at least ``least`` packets towards them (VICTIM_DTYPE), by address."""

    def hosts(self) -> NDArray[np.void]:
        """Every address that got packets in the open epoch, in short (HOST_DTYPE), in no order."""

    def sources_of(self, references: NDArray[np.uint32], which: int) -> NDArray[np.uint8]:
        """The union of one source set (HyperLogLog registers, p = 10) over slots given by reference.

        Raises:
            ValueError: there is no source set of that number.
        """

    def heavy(self) -> NDArray[np.void]:
        """The heavy (source, victim) pairs of the open window (HEAVY_DTYPE).

        ``packets`` is a lower bound of the true count; the upper one is ``packets + missed``, or the gate of
        admission (8 + 3 N / 65,536 for N packets in the window) where that is larger.
        """

    def window_ends(self, batch: Batch, following: int) -> bool:
        """Will closing the epoch clear the heavy-hitter window?"""

    def close_epoch(self, batch: Batch, following: int) -> None:
        """Zero the epoch's counters and open the epoch of packet ``batch[following]``, if there is one."""

    def total_sources(self) -> bytes:
        """HyperLogLog registers (p = 12) of all sources seen: IPv4 addresses and IPv6 /64 networks."""

    @property
    def epoch(self) -> int: ...
    @property
    def epoch_packets(self) -> int: ...
    @property
    def epoch_bytes(self) -> int: ...
    @property
    def first_ns(self) -> int: ...
    @property
    def last_ns(self) -> int: ...
    @property
    def gap(self) -> int:
        """Epochs without a packet before the open one; 2^64 - 1 after the clock was set back."""

    @property
    def late(self) -> int: ...
    @property
    def unslotted(self) -> int: ...

def merge(out: Batch, batches: list[Batch], at: NDArray[np.uint32]) -> int:
    """Merge batches by packet time into ``out``, from the positions ``at``, which move on.

    Returns the number of a batch that is used up, or how many there are when ``out`` is full.

    Raises:
        ValueError: more than ``MERGED`` batches, as many positions as batches are not there, or ``out``
            is one of them.
    """

def frame_hashes(block: object, start: int, most: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Hash, under a fixed key, and time in ns of the first ``most`` frames of a capture.

    Equal hashes are copies of a frame: all but its Ethernet addresses counts, up to 128 bytes.
    """

def hll_blob(registers: bytes, key: bytes) -> bytes:
    """The registers of an engine (2^p of them) as a saved HyperLogLog, under its key of 16 bytes."""

def hll_estimate(registers: object) -> float:
    """Distinct count of 2^p one-byte HyperLogLog registers, p from 4 to 18 (Ertl 2017).

    Raises:
        ValueError: the number of registers is none of these.
    """

def cpu() -> str:
    """The kernels that hash batches: ``scalar``, ``avx2`` or ``avx512``."""

@final
class CountMin:
    """Counts of many keys in fixed memory; never too low, and too high by little. See ``help(CountMin)``."""

    def __new__(
        cls, *, depth: int = 4, width: int = 65536, seed: bytes | None = None, conservative: bool = False
    ) -> CountMin: ...
    @staticmethod
    def from_error(
        epsilon: float, delta: float, *, seed: bytes | None = None, conservative: bool = False
    ) -> CountMin:
        """The smallest sketch whose excess is over ``epsilon * total`` with probability ``delta`` at most."""

    def update(self, keys: _Key | _Keys, counts: int | _Keys = 1) -> CountMin:
        """Add ``counts`` (one for all, or one each) to the keys; returns the sketch."""

    @overload
    def query(self, keys: _Key) -> int: ...
    @overload
    def query(self, keys: _Keys) -> NDArray[np.uint64]: ...
    @overload
    def bounds(self, keys: _Key) -> tuple[int, int]: ...
    @overload
    def bounds(self, keys: _Keys) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]: ...
    def merge(self, other: CountMin) -> CountMin:
        """Add the counts of ``other``, of equal shape, kind and key; returns the sketch."""

    def __or__(self, value: CountMin, /) -> CountMin: ...
    def __ror__(self, value: CountMin, /) -> CountMin: ...
    def __ior__(self, value: CountMin, /) -> CountMin: ...
    def copy(self) -> CountMin: ...
    def clear(self) -> CountMin: ...
    def as_array(self) -> NDArray[np.uint64]:
        """The cells, of shape (depth, width): a read-only view that follows the sketch."""

    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(blob: bytes | bytearray | memoryview, *, key: bytes | None = None) -> CountMin: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]
    @property
    def depth(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def conservative(self) -> bool: ...
    @property
    def total(self) -> int:
        """The sum of all counts."""

    @property
    def error(self) -> float:
        """What an estimate exceeds the truth by at most, with ``confidence``: e * total / width."""

    @property
    def confidence(self) -> float:
        """1 - e ** -depth."""

    @property
    def nbytes(self) -> int:
        """Bytes of the cells."""

@final
class TopK:
    """The most frequent keys of a stream, with bounds that always hold. See ``help(TopK)``."""

    def __new__(cls, *, k: int = 1024) -> TopK: ...
    def update(self, keys: _Key | _Keys, counts: int | _Keys = 1) -> TopK:
        """Add ``counts`` (one for all, or one each) to the keys; returns the sketch."""

    def bounds(self, key: _Key) -> tuple[int, int]:
        """(lower, upper) of one key's count; they always hold."""

    def items(self, top: int | None = None) -> list[tuple[_Key, int, int]]:
        """(key, lower, upper) of the keys held, the most frequent first; ``top`` of them, or all."""

    def merge(self, other: TopK) -> TopK:
        """Add the counts of ``other``; returns the sketch."""

    def __or__(self, value: TopK, /) -> TopK: ...
    def __ror__(self, value: TopK, /) -> TopK: ...
    def __ior__(self, value: TopK, /) -> TopK: ...
    def copy(self) -> TopK: ...
    def clear(self) -> TopK: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(blob: bytes | bytearray | memoryview) -> TopK: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]
    def __len__(self) -> int: ...
    @property
    def k(self) -> int: ...
    @property
    def total(self) -> int:
        """The sum of all counts."""

    @property
    def offset(self) -> int:
        """What a count held falls short of the truth by at most; never over 2 * total / k."""

    @property
    def nbytes(self) -> int:
        """Bytes of the tables."""

@final
class HyperLogLog:
    """How many distinct keys there were, in 2^p bytes. See ``help(HyperLogLog)``."""

    def __new__(cls, *, p: int = 12, seed: bytes | None = None) -> HyperLogLog: ...
    def update(self, keys: _Key | _Keys) -> HyperLogLog: ...
    def estimate(self) -> float: ...
    def bounds(self, sigma: float = 2.0) -> tuple[float, float]:
        """(lower, upper) of the true number within ``sigma`` standard errors."""

    def merge(self, other: HyperLogLog) -> HyperLogLog:
        """Add the keys of ``other``, of equal p and key; returns the sketch."""

    def __or__(self, value: HyperLogLog, /) -> HyperLogLog: ...
    def __ror__(self, value: HyperLogLog, /) -> HyperLogLog: ...
    def __ior__(self, value: HyperLogLog, /) -> HyperLogLog: ...
    def copy(self) -> HyperLogLog: ...
    def clear(self) -> HyperLogLog: ...
    def as_array(self) -> NDArray[np.uint8]:
        """The registers, of shape (2^p,): a read-only view that follows the sketch."""

    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(blob: bytes | bytearray | memoryview, *, key: bytes | None = None) -> HyperLogLog: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]
    @property
    def p(self) -> int: ...
    @property
    def relative_error(self) -> float:
        """The relative standard error of the estimate: 1.04 / sqrt(2^p)."""

    @property
    def nbytes(self) -> int:
        """Bytes of the registers."""
