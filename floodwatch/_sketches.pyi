"""The sketches (C under a thin Cython layer): counts of keys in fixed memory, for users and detectors.

A sketch serves several threads, in turn, and releases the GIL while it works on many keys.
"""

from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeAlias, final, overload

import numpy as np
from numpy.typing import NDArray

from .errors import SketchMismatch as SketchMismatch

_Key: TypeAlias = int | bytes | str | IPv4Address | IPv6Address | np.integer[Any]
_Keys: TypeAlias = NDArray[Any] | list[Any] | tuple[Any, ...]

def hll_blob(registers: bytes, key: bytes) -> bytes:
    """The registers of an engine (2^p of them) as a saved HyperLogLog, under its key of 16 bytes."""

def hll_estimate(registers: object) -> float:
    """Distinct count of 2^p one-byte HyperLogLog registers, p from 4 to 18 (Ertl 2017).

    Raises:
        ValueError: the number of registers is none of these.
    """

def _unpickle(
    cls: type[CountMin | HyperLogLog], blob: bytes, seed: bytes | None
) -> CountMin | HyperLogLog: ...
def _unpickle_topk(blob: bytes) -> TopK: ...
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
