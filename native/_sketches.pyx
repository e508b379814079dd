"""The public sketches, and what else counts keys without an engine. See floodwatch/_sketches.pyi."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.pythread cimport (NOWAIT_LOCK, WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock,
                               PyThread_free_lock, PyThread_release_lock, PyThread_type_lock)
from libc.math cimport M_E, ceil, exp, log, sqrt
from libc.stdint cimport uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fw cimport *

from ipaddress import IPv4Address, IPv6Address
from os import urandom
from zlib import crc32

import numpy as np

from floodwatch.errors import SketchMismatch

cdef object ONE = 1  # small numbers are one object each: the default needs no look


def cpu():
    """The kernels that hash batches: scalar, avx2 or avx512."""
    return fw_cpu().name.decode()


def hll_estimate(registers):
    """Distinct count of 2^p one-byte HyperLogLog registers (any p from 4 to 18)."""
    cdef Py_buffer view
    cdef double estimate
    PyObject_GetBuffer(registers, &view, PyBUF_SIMPLE)
    try:
        p = view.len.bit_length() - 1
        if view.len != 1 << p or not 4 <= p <= 18:
            raise ValueError("the number of registers is no power of two from 16 to 262144")
        estimate = fw_hll_estimate(<const uint8_t *>view.buf, p)
    finally:
        PyBuffer_Release(&view)
    return estimate


def hll_blob(registers, bytes key):
    """The registers of an engine as a saved HyperLogLog."""
    cdef fw_blob head
    cdef _Secret secret = _secret(key)
    head.kind, head.flags, head.rank = FW_BLOB_HLL, 0, len(registers).bit_length() - 1
    head.width, head.key, head.total = len(registers), secret.name, 0
    return _bytes_of(&head, bytes(registers))


# Keys and counts as users hold them -> what the C library takes. Everything is checked here, before any cell changes.

cdef bytes PROCESS_KEY = urandom(16)  # the key of sketches without a seed; it leaves the process nowhere


@cython.final
cdef class _Secret:
    """The hash key of a sketch: the process's, one that the user gave, or unknown (then the sketch is sealed)."""
    cdef fw_key key
    cdef uint64_t name  # tells whether two keys are equal, without telling them
    cdef bytes given
    cdef bint sealed


cdef _Secret _secret(seed):
    cdef _Secret s = _Secret.__new__(_Secret)
    if seed is not None and not isinstance(seed, bytes):
        raise TypeError(f"a seed is 16 bytes, not {type(seed).__name__}")
    s.key = secret_key(PROCESS_KEY if seed is None else seed)
    s.given = seed
    s.name = fw_hash_bytes(&s.key, b"floodwatch sketch", 17)
    return s


cdef _Secret _secret_of_blob(uint64_t name, seed):
    """The secret whose key has this name, or a sealed one if no key at hand has it."""
    cdef _Secret s = _secret(seed)
    if s.name == name:
        return s
    if seed is not None:
        raise SketchMismatch("key", "the sketch was filled under another key than the one given")
    s.name = name
    s.sealed = True
    return s


cdef int _unsealed(_Secret secret) except -1:
    if secret.sealed:
        raise SketchMismatch("key", "the sketch was filled under another key: pass that to from_bytes(..., key=...)")
    return 0


cdef bint _one(key, const fw_key *secret, uint64_t *hash) except -1:
    """Hash a single key; False if this is no single key."""
    cdef uint64_t word
    cdef bytes raw
    kind = type(key)
    if kind is int:
        try:
            word = key
        except OverflowError:
            raise OverflowError(f"an integer key is 0 to 2^64 - 1, not {key}") from None
        hash[0] = fw_siphash13(secret, &word, 1)
        return True
    if kind is bytes:
        raw = key
    elif kind is str:
        raw = key.encode()
    elif kind is IPv4Address:
        return _one(int(key), secret, hash)
    elif kind is IPv6Address:
        raw = key.packed
    elif isinstance(key, np.generic) and not isinstance(key, np.void):
        return _one_numpy(key, secret, hash)
    elif isinstance(key, (bool, float)) or key is None:
        raise _wrong_key(key)
    elif isinstance(key, (int, str, bytes)):  # subclasses
        return _one(int(key) if isinstance(key, int) else str(key) if isinstance(key, str) else bytes(key),
                    secret, hash)
    else:
        return False
    hash[0] = fw_hash_bytes(secret, <const uint8_t *><const char *>raw, len(raw))
    return True


cdef bint _one_numpy(key, const fw_key *secret, uint64_t *hash) except -1:
    plain = key.item()
    if isinstance(plain, (bool, float)) or not isinstance(plain, (int, str, bytes)):
        raise _wrong_key(key)
    return _one(plain, secret, hash)


cdef object _wrong_key(key):
    return TypeError(f"a key is an integer, bytes, str, an IP address, or an array of these, not {type(key).__name__}")


cdef object _many(keys, const fw_key *secret, fw_keys *out):
    """Describe an array or sequence of keys; the returned owner keeps its memory alive."""
    if isinstance(keys, (list, tuple)):
        return _hashed(keys, secret, out)
    if not hasattr(keys, "__array__"):
        raise _wrong_key(keys)
    array = np.asarray(keys)
    kind = array.dtype.kind
    if array.ndim == 2 and array.dtype == np.uint8:
        return _contiguous(array, FW_KEYS_ROWS, array.shape[1], out)
    if array.ndim != 1:
        raise ValueError(f"keys are one row of items, or n rows of uint8; this array is {array.dtype} {array.shape}")
    if kind == "O":
        return _hashed(array.tolist(), secret, out)
    if kind == "i" and array.size and array.min() < 0:
        raise OverflowError("an integer key is 0 to 2^64 - 1, and this array holds negative ones")
    if kind == "i" or kind == "u":
        return _contiguous(array.astype(np.uint64, copy=False), FW_KEYS_WORDS, 8, out)
    if kind == "U":
        array, kind = np.char.encode(array, "utf-8"), "S"
    if kind == "S":
        return _contiguous(array, FW_KEYS_PADDED, array.itemsize, out)
    raise TypeError(f"keys are integers, bytes or str, not {array.dtype}")


cdef object _contiguous(array, fw_keys_form form, size_t width, fw_keys *out):
    array = np.ascontiguousarray(array)
    out.base = <const void *><uintptr_t>array.ctypes.data
    out.count = len(array)
    out.width = width
    out.form = form
    return array


cdef object _hashed(keys, const fw_key *secret, fw_keys *out):
    """Hash a Python sequence item by item: any mix of single keys."""
    cdef uint64_t hash
    cdef uint64_t *to
    owner = np.empty(len(keys), dtype=np.uint64)
    to = <uint64_t *><uintptr_t>owner.ctypes.data
    for i, key in enumerate(keys):
        if not _one(key, secret, &hash):
            raise _wrong_key(key)
        to[i] = hash
    out.base = to
    out.count = len(owner)
    out.width = 8
    out.form = FW_KEYS_HASHED
    return owner


cdef object _counts(counts, size_t n, uint64_t *same):
    """One count for all keys in *same (then None), or a contiguous array of n."""
    if type(counts) is int:
        try:
            same[0] = counts
        except OverflowError:
            raise OverflowError(f"a count is 0 to 2^64 - 1, not {counts}") from None
        return None
    if isinstance(counts, (list, tuple)):
        array = _listed_counts(counts)
    elif hasattr(counts, "__array__"):
        array = np.asarray(counts)
        if array.dtype.kind not in "iu":
            raise TypeError(f"counts are integers of up to 64 bits, not {array.dtype}")
        if array.ndim == 0:
            return _counts(array.item(), n, same)
    else:
        raise TypeError(f"a count is an integer, not {type(counts).__name__}")
    if array.shape != (n,):
        raise ValueError(f"{n} keys take one count or {n} counts, not an array of shape {array.shape}")
    if array.dtype.kind == "i" and array.size and array.min() < 0:
        raise OverflowError("a count is 0 to 2^64 - 1, and this array holds negative ones")
    return np.ascontiguousarray(array, dtype=np.uint64)


cdef object _listed_counts(counts):
    """Item by item: NumPy would make floats of numbers on both sides of 2^63."""
    cdef uint64_t one = 0
    out = np.empty(len(counts), dtype=np.uint64)
    for i, count in enumerate(counts):
        if isinstance(count, (list, tuple)) or _counts(count, 1, &one) is not None:
            raise ValueError("counts are one number, or one number for each key")
        out[i] = one
    return out


# A lock a sketch: calls release the GIL while they count, and callers of one sketch take turns.

cdef PyThread_type_lock _new_lock() except NULL:
    cdef PyThread_type_lock lock = PyThread_allocate_lock()
    if lock == NULL:
        raise MemoryError
    return lock


cdef void _lock(PyThread_type_lock lock) noexcept:
    if not PyThread_acquire_lock(lock, NOWAIT_LOCK):
        with nogil:
            PyThread_acquire_lock(lock, WAIT_LOCK)


cdef void _lock_two(PyThread_type_lock a, PyThread_type_lock b) noexcept:
    """In the order of their addresses, so that two threads cannot wait for each other."""
    _lock(a if <uintptr_t>a < <uintptr_t>b else b)
    if a != b:
        _lock(b if <uintptr_t>a < <uintptr_t>b else a)


cdef void _unlock_two(PyThread_type_lock a, PyThread_type_lock b) noexcept:
    PyThread_release_lock(a)
    if a != b:
        PyThread_release_lock(b)


# Saved sketches.

cdef object _bytes_of(fw_blob *head, cells):
    cdef uint8_t start[FW_BLOB_HEAD]
    fw_blob_head(head, start)
    body = <bytes>(<const char *>start)[:FW_BLOB_HEAD] + cells
    return body + crc32(body).to_bytes(4, "little")


cdef bytes _parsed(blob, uint8_t kind, fw_blob *out):
    """Check all of a blob but the sense of its payload; the bytes returned own out.payload."""
    cdef const char *field = NULL
    whole = bytes(memoryview(blob))
    if fw_blob_parse(<const uint8_t *><const char *>whole, len(whole), out, &field) != 0:
        name = field.decode()
        raise SketchMismatch(name, f"no sketch that this version reads: wrong {name}")
    if out.kind != kind:
        raise SketchMismatch("kind", f"a sketch of kind {out.kind}, not {kind}")
    if crc32(memoryview(whole)[:-4]) != int.from_bytes(whole[-4:], "little"):
        raise SketchMismatch("checksum", "the sketch is damaged: its check sum does not fit")
    return whole


cdef object _differ(field, ours, theirs):
    return SketchMismatch(field, f"sketches of different {field} do not merge: {ours} and {theirs}")


cdef int _same_key(_Secret a, _Secret b) except -1:
    if a.name != b.name:
        raise SketchMismatch("key", "sketches under different hash keys do not merge: give both the same seed")
    return 0


def _unpickle(cls, blob, seed):
    return cls.from_bytes(blob, key=seed)


@cython.final
cdef class CountMin:
    """Counts of many keys in fixed memory; never too low, and too high by little.

    With N = ``total``, the sum of all counts, and for every key:

    - ``query(key) >= true`` always;
    - ``query(key) > true + e * N / width`` with probability at most ``e ** -depth`` over the secret hash key, for a
      stream that does not depend on it. Depth 4, width 65,536: over 0.0042 % of N too much for 1.9 % of the keys.

    Cormode, Muthukrishnan: "An improved data stream summary: the count-min sketch", 2005. ``conservative=True``
    (Estan, Varghese 2002) keeps both bounds with less excess, but the order of updates then matters.

    Keys: an int from 0 to 2^64 - 1, bytes, str (its UTF-8), an IPv4Address (its number), an IPv6Address (its 16
    bytes), a list of these, or an array: integers; bytes (S; NumPy drops zero bytes at the end) or str (U); uint8 of
    shape (n, k) for n keys of k bytes, such as (n, 16) for IPv6. Other array layouts than C order are copied.

    Memory: 8 * depth * width + 400 bytes. Saved: 36 + 8 * depth * width bytes (native/fw_blob.h).
    Threads: one sketch may be used from several; they take turns, and batches run without the GIL.

    Args:
        depth: rows, 1 to 16.
        width: cells a row, 1 to 2^28.
        seed: 16 bytes, the secret of the hash (SipHash-1-3); None takes one that is random per process.
        conservative: raise cells only as far as the estimate needs.

    Raises:
        OverflowError: a key or count out of its range, or N beyond 2^64 - 1. The sketch has not changed.
        TypeError, ValueError: keys or counts of a wrong type or shape. The sketch has not changed.

    >>> from floodwatch import CountMin
    >>> packets = CountMin()
    >>> packets.update(["203.0.113.9", "203.0.113.9", "198.51.100.7"]).query("203.0.113.9")
    2
    """
    cdef fw_grid grid
    cdef object cells
    cdef _Secret secret
    cdef PyThread_type_lock lock

    def __cinit__(self, *, depth=4, width=65536, seed=None, conservative=False):
        if not 1 <= depth <= FW_GRID_MAX_DEPTH:
            raise ValueError(f"depth is 1 to {FW_GRID_MAX_DEPTH}, not {depth}")
        if not 1 <= width <= FW_GRID_MAX_WIDTH:
            raise ValueError(f"width is 1 to {FW_GRID_MAX_WIDTH}, not {width}")
        self.lock = _new_lock()
        self.secret = _secret(seed)
        self.cells = np.zeros((depth, width), dtype=np.uint64)
        self.cells.flags.writeable = False
        fw_grid_init(&self.grid, <uint64_t *><uintptr_t>self.cells.ctypes.data, depth, width, bool(conservative))

    def __dealloc__(self):
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    @staticmethod
    def from_error(epsilon, delta, *, seed=None, conservative=False):
        """The smallest sketch whose excess is over ``epsilon * total`` with probability ``delta`` at most."""
        if not 0 < epsilon < 1 or not 0 < delta < 1:
            raise ValueError("epsilon and delta lie between 0 and 1")
        return CountMin(depth=max(1, int(ceil(log(1 / delta)))), width=int(ceil(M_E / epsilon)), seed=seed,
                        conservative=conservative)

    def update(self, keys, counts=1):
        """Add ``counts`` (one for all, or one each) to the keys; returns the sketch."""
        cdef fw_keys k
        cdef uint64_t hash, same = 1
        cdef const uint64_t *each = NULL
        _unsealed(self.secret)
        if _one(keys, &self.secret.key, &hash):
            k.base, k.count, k.width, k.form = &hash, 1, 8, FW_KEYS_HASHED
            owner = None
        else:
            owner = _many(keys, &self.secret.key, &k)
        array = None if counts is ONE else _counts(counts, k.count, &same)
        if array is not None:
            each = <const uint64_t *><uintptr_t>array.ctypes.data
        if self._add(&k, each, same) != 0:
            raise OverflowError("the sum of all counts would exceed 2^64 - 1")
        return self

    cdef int _add(self, const fw_keys *k, const uint64_t *each, uint64_t same) noexcept:
        cdef int code
        _lock(self.lock)
        if k.count == 1:
            code = fw_grid_update(&self.grid, &self.secret.key, k, each, same)
        else:
            with nogil:
                code = fw_grid_update(&self.grid, &self.secret.key, k, each, same)
        PyThread_release_lock(self.lock)
        return code

    def query(self, keys):
        """Upper bounds of the keys' counts: an int for a single key, else an array of uint64."""
        cdef fw_keys k
        cdef uint64_t hash, single
        cdef uint64_t *to
        _unsealed(self.secret)
        if _one(keys, &self.secret.key, &hash):
            k.base, k.count, k.width, k.form = &hash, 1, 8, FW_KEYS_HASHED
            _lock(self.lock)
            fw_grid_query(&self.grid, &self.secret.key, &k, &single)
            PyThread_release_lock(self.lock)
            return single
        owner = _many(keys, &self.secret.key, &k)
        out = np.empty(k.count, dtype=np.uint64)
        to = <uint64_t *><uintptr_t>out.ctypes.data
        _lock(self.lock)
        with nogil:
            fw_grid_query(&self.grid, &self.secret.key, &k, to)
        PyThread_release_lock(self.lock)
        return out

    def bounds(self, keys):
        """(lower, upper) of the keys' counts, shaped as by ``query``.

        Upper always holds; lower, ``upper - error`` and at least 0, for a key with probability 1 - e ** -depth.
        """
        upper = self.query(keys)
        error = int(self.error)
        if isinstance(upper, int):
            return max(upper - error, 0), upper
        return upper - np.minimum(upper, np.uint64(error)), upper

    def merge(self, CountMin other not None):
        """Add the counts of ``other``, of equal shape, kind and key; returns the sketch.

        The result is, bit for bit, the sketch of both streams. Conservative ones keep only the upper bound.

        Raises:
            SketchMismatch: they differ in depth, width, kind of update or hash key.
        """
        cdef int code
        if self.grid.depth != other.grid.depth:
            raise _differ("depth", self.grid.depth, other.grid.depth)
        if self.grid.width != other.grid.width:
            raise _differ("width", self.grid.width, other.grid.width)
        if self.grid.conservative != other.grid.conservative:
            raise _differ("conservative", self.conservative, other.conservative)
        _same_key(self.secret, other.secret)
        _lock_two(self.lock, other.lock)
        with nogil:
            code = fw_grid_merge(&self.grid, &other.grid)
        _unlock_two(self.lock, other.lock)
        if code != 0:
            raise OverflowError("the sum of all counts would exceed 2^64 - 1")
        return self

    def __ior__(self, other):
        return self.merge(other) if isinstance(other, CountMin) else NotImplemented

    def __or__(self, other):
        return self.copy().merge(other) if isinstance(other, CountMin) else NotImplemented

    def copy(self):
        """An independent sketch of the same counts."""
        cdef CountMin out = CountMin(depth=self.grid.depth, width=self.grid.width,
                                     conservative=self.grid.conservative)
        out.secret = self.secret
        _lock(self.lock)
        out.grid.total = self.grid.total
        memcpy(out.grid.cells, self.grid.cells, <size_t>8 * self.grid.depth * self.grid.width)
        PyThread_release_lock(self.lock)
        return out

    def clear(self):
        """Forget all counts; returns the sketch."""
        _lock(self.lock)
        self.grid.total = 0
        memset(self.grid.cells, 0, <size_t>8 * self.grid.depth * self.grid.width)
        PyThread_release_lock(self.lock)
        return self

    def as_array(self):
        """The cells, uint64 of shape (depth, width): a read-only view that follows the sketch."""
        return self.cells.view()

    def to_bytes(self):
        """The sketch as bytes, without its key: the format is in native/fw_blob.h."""
        cdef fw_blob head
        cdef CountMin still = self.copy()
        head.kind, head.flags, head.rank = FW_BLOB_COUNTMIN, still.grid.conservative, still.grid.depth
        head.width, head.key, head.total = still.grid.width, still.secret.name, still.grid.total
        return _bytes_of(&head, still.cells.tobytes())

    @staticmethod
    def from_bytes(blob, *, key=None):
        """A sketch from ``to_bytes``.

        Args:
            blob: bytes or another contiguous buffer.
            key: the seed it was made with; None tries the process's own. Under a key that is not at hand it is
                sealed: it merges, copies and saves, but neither counts nor answers.

        Raises:
            SketchMismatch: not such a sketch, damaged, or of another key than the one given; see ``field``.
        """
        cdef fw_blob head
        whole = _parsed(blob, FW_BLOB_COUNTMIN, &head)
        cdef CountMin out = CountMin(depth=head.rank, width=head.width, conservative=head.flags)
        out.secret = _secret_of_blob(head.key, key)
        out.grid.total = head.total
        memcpy(out.grid.cells, head.payload, head.payload_size)
        if not fw_grid_plausible(&out.grid):
            raise SketchMismatch("payload", "the cells contradict the total")
        return out

    def __reduce__(self):
        return _unpickle, (CountMin, self.to_bytes(), None if self.secret.sealed else self.secret.given)

    def __eq__(self, other):
        cdef CountMin o
        if not isinstance(other, CountMin):
            return NotImplemented
        o = other
        return (self.secret.name == o.secret.name and self.grid.conservative == o.grid.conservative
                and self.grid.total == o.grid.total and np.array_equal(self.cells, o.cells))

    def __repr__(self):
        return (f"CountMin(depth={self.grid.depth}, width={self.grid.width}, "
                f"conservative={bool(self.grid.conservative)}, total={self.grid.total})")

    @property
    def depth(self):
        return self.grid.depth

    @property
    def width(self):
        return self.grid.width

    @property
    def conservative(self):
        return bool(self.grid.conservative)

    @property
    def total(self):
        """The sum of all counts."""
        return self.grid.total

    @property
    def error(self):
        """What an estimate exceeds the truth by at most, with ``confidence``: e * total / width."""
        return M_E * self.grid.total / self.grid.width

    @property
    def confidence(self):
        """1 - e ** -depth."""
        return 1 - exp(-<double>self.grid.depth)

    @property
    def nbytes(self):
        """Bytes of the cells."""
        return self.cells.nbytes


@cython.final
cdef class HyperLogLog:
    """How many distinct keys there were, in 2^p bytes.

    The relative standard error is ``1.04 / sqrt(2 ** p)`` from 0 keys to 2^60: 1.6 % for p = 12. Flajolet and others:
    "HyperLogLog", 2007; estimator of Ertl, "New cardinality estimation algorithms", 2017. It holds over the secret
    hash key, for a stream that does not depend on it. Keys, threads and saving are as for ``CountMin``.

    Memory: 2^p + 400 bytes. Saved: 36 + 2^p bytes (native/fw_blob.h).

    Args:
        p: precision, 4 to 18.
        seed: 16 bytes, the secret of the hash; None takes one that is random per process.

    >>> from floodwatch import HyperLogLog
    >>> HyperLogLog().update([]).estimate()
    0.0
    """
    cdef uint8_t *at
    cdef unsigned bits
    cdef object cells
    cdef _Secret secret
    cdef PyThread_type_lock lock

    def __cinit__(self, *, p=12, seed=None):
        if not 4 <= p <= 18:
            raise ValueError(f"p is 4 to 18, not {p}")
        self.lock = _new_lock()
        self.secret = _secret(seed)
        self.bits = p
        self.cells = np.zeros(1 << p, dtype=np.uint8)
        self.cells.flags.writeable = False
        self.at = <uint8_t *><uintptr_t>self.cells.ctypes.data

    def __dealloc__(self):
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    def update(self, keys):
        """Add keys; returns the sketch."""
        cdef fw_keys k
        cdef uint64_t hash
        _unsealed(self.secret)
        if _one(keys, &self.secret.key, &hash):
            k.base, k.count, k.width, k.form = &hash, 1, 8, FW_KEYS_HASHED
            _lock(self.lock)
            fw_hll_update(self.at, self.bits, &self.secret.key, &k)
        else:
            owner = _many(keys, &self.secret.key, &k)
            _lock(self.lock)
            with nogil:
                fw_hll_update(self.at, self.bits, &self.secret.key, &k)
        PyThread_release_lock(self.lock)
        return self

    def estimate(self):
        """The number of distinct keys."""
        cdef double out
        _lock(self.lock)
        out = fw_hll_estimate(self.at, self.bits)
        PyThread_release_lock(self.lock)
        return out

    def bounds(self, sigma=2.0):
        """(lower, upper) of the true number within ``sigma`` standard errors: 2 hold for about 95 % of hash keys."""
        if not sigma >= 0:
            raise ValueError(f"sigma is at least 0, not {sigma}")
        estimate = self.estimate()
        spread = sigma * self.relative_error
        return estimate / (1 + spread), estimate / (1 - spread) if spread < 1 else float("inf")

    def merge(self, HyperLogLog other not None):
        """Add the keys of ``other``, of equal p and key; returns the sketch.

        The result is, bit for bit, the sketch of both streams.

        Raises:
            SketchMismatch: they differ in p or hash key.
        """
        if self.bits != other.bits:
            raise _differ("p", self.bits, other.bits)
        _same_key(self.secret, other.secret)
        _lock_two(self.lock, other.lock)
        with nogil:
            fw_hll_merge(self.at, other.at, self.bits)
        _unlock_two(self.lock, other.lock)
        return self

    def __ior__(self, other):
        return self.merge(other) if isinstance(other, HyperLogLog) else NotImplemented

    def __or__(self, other):
        return self.copy().merge(other) if isinstance(other, HyperLogLog) else NotImplemented

    def copy(self):
        """An independent sketch of the same keys."""
        cdef HyperLogLog out = HyperLogLog(p=self.bits)
        out.secret = self.secret
        _lock(self.lock)
        memcpy(out.at, self.at, <size_t>1 << self.bits)
        PyThread_release_lock(self.lock)
        return out

    def clear(self):
        """Forget all keys; returns the sketch."""
        _lock(self.lock)
        memset(self.at, 0, <size_t>1 << self.bits)
        PyThread_release_lock(self.lock)
        return self

    def as_array(self):
        """The registers, uint8 of shape (2^p,): a read-only view that follows the sketch."""
        return self.cells.view()

    def to_bytes(self):
        """The sketch as bytes, without its key: the format is in native/fw_blob.h."""
        cdef fw_blob head
        cdef HyperLogLog still = self.copy()
        head.kind, head.flags, head.rank = FW_BLOB_HLL, 0, still.bits
        head.width, head.key, head.total = 1 << still.bits, still.secret.name, 0
        return _bytes_of(&head, still.cells.tobytes())

    @staticmethod
    def from_bytes(blob, *, key=None):
        """A sketch from ``to_bytes``; see ``CountMin.from_bytes``. A sealed one still estimates."""
        cdef fw_blob head
        whole = _parsed(blob, FW_BLOB_HLL, &head)
        if not fw_blob_registers_plausible(head.payload, head.rank):
            raise SketchMismatch("payload", "a register is larger than any rank")
        cdef HyperLogLog out = HyperLogLog(p=head.rank)
        out.secret = _secret_of_blob(head.key, key)
        memcpy(out.at, head.payload, head.payload_size)
        return out

    def __reduce__(self):
        return _unpickle, (HyperLogLog, self.to_bytes(), None if self.secret.sealed else self.secret.given)

    def __eq__(self, other):
        cdef HyperLogLog o
        if not isinstance(other, HyperLogLog):
            return NotImplemented
        o = other
        return self.secret.name == o.secret.name and np.array_equal(self.cells, o.cells)

    def __repr__(self):
        return f"HyperLogLog(p={self.bits}, estimate={self.estimate():.0f})"

    @property
    def p(self):
        return self.bits

    @property
    def relative_error(self):
        """The relative standard error of the estimate: 1.04 / sqrt(2^p)."""
        return 1.04 / sqrt(<double>(1 << self.bits))

    @property
    def nbytes(self):
        """Bytes of the registers."""
        return self.cells.nbytes


# TopK: frequent keys, given back as they came. Locks and keys are those of the sketches.


cdef tuple _raw_key(key):
    """(bytes, form) of a single key; equal bytes are equal keys, as for the other sketches."""
    if isinstance(key, str):
        raw, form = key.encode(), FW_KEY_TEXT
    elif isinstance(key, bytes):
        raw, form = bytes(key), FW_KEY_BYTES
    else:
        return _raw_number(key)
    if len(raw) > FW_FREQUENT_KEY:
        raise ValueError(f"a key takes at most {FW_FREQUENT_KEY} bytes, not {len(raw)}")
    return raw, form


cdef tuple _raw_number(key):
    if type(key) is not int and isinstance(key, np.generic) and not isinstance(key, np.void):
        key = key.item()
    if isinstance(key, (bool, float)) or key is None:
        raise _wrong_key(key)
    if isinstance(key, int):
        if not 0 <= key < 1 << 64:
            raise OverflowError(f"an integer key is 0 to 2^64 - 1, not {key}")
        return int(key).to_bytes(8, "little"), FW_KEY_INT
    if isinstance(key, IPv4Address):
        return int(key).to_bytes(8, "little"), FW_KEY_IPV4
    if isinstance(key, IPv6Address):
        return key.packed, FW_KEY_IPV6
    raise _wrong_key(key)


cdef object _shown(bytes raw, uint8_t form):
    """The key as it went in."""
    if form == FW_KEY_INT:
        return int.from_bytes(raw, "little")
    if form == FW_KEY_IPV4:
        return IPv4Address(int.from_bytes(raw, "little"))
    if form == FW_KEY_IPV6:
        return IPv6Address(raw)
    return raw.decode("utf-8", "surrogateescape") if form == FW_KEY_TEXT else raw


def _unpickle_topk(blob):
    return TopK.from_bytes(blob)


@cython.final
cdef class TopK:
    """The most frequent keys of a stream, with bounds of their counts, in fixed memory.

    With N = ``total``, the sum of all counts, and for every key, whatever the order of the stream:

    - ``bounds(key)`` = (held, held + ``offset``) encloses the true count, and ``offset <= 2 * N / k``;
    - a key with more than ``2 * N / k`` is always among ``items()``.

    Misra, Gries: "Finding repeated elements", 1982, with counts in batches (Anderson and others, 2017). No chance
    is involved, so no crafted stream breaks the bounds.

    Keys are those of ``CountMin``, of at most 110 bytes, and come back as they first went in; rows of a uint8
    array come back as bytes, elements of other arrays as int, bytes or str.

    Memory: 256 * T + 8 * (k + 1) bytes and 500, T being the power of two from 4/3 k up. Saved: 48 bytes, and 10 and
    the key for each item (native/fw_blob.h). Threads take turns, as in ``CountMin``.

    Args:
        k: keys held at most, 3 to 2^20.

    Raises:
        OverflowError: a key or count out of its range, or N beyond 2^64 - 1. Nothing has changed.
        TypeError, ValueError: keys or counts of a wrong type, shape or length. Nothing has changed.

    >>> from floodwatch import TopK
    >>> talkers = TopK(k=100).update(["203.0.113.9"] * 3 + ["198.51.100.7"])
    >>> talkers.items(1)
    [('203.0.113.9', 3, 3)]
    """
    cdef fw_frequent raw
    cdef fw_key key
    cdef PyThread_type_lock lock

    def __cinit__(self, *, k=1024):
        if not 3 <= k <= FW_FREQUENT_MAX_K:
            raise ValueError(f"k is 3 to {FW_FREQUENT_MAX_K}, not {k}")
        cdef uint32_t size = fw_frequent_size(k)
        self.lock = _new_lock()
        self.key = secret_key(PROCESS_KEY)
        self.raw.k, self.raw.mask = k, size - 1
        self.raw.entries = <fw_entry *>calloc(size, sizeof(fw_entry))
        self.raw.spare = <fw_entry *>calloc(size, sizeof(fw_entry))
        self.raw.scratch = <uint64_t *>calloc(<size_t>self.raw.k + 1, sizeof(uint64_t))
        if self.raw.entries == NULL or self.raw.spare == NULL or self.raw.scratch == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.raw.entries)
        free(self.raw.spare)
        free(self.raw.scratch)
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    def update(self, keys, counts=1):
        """Add ``counts`` (one for all, or one each) to the keys; returns the sketch."""
        cdef fw_keys k
        cdef uint64_t same = 1
        cdef const uint64_t *each = NULL
        cdef int code
        cdef uint8_t form
        if counts is ONE and isinstance(keys, (int, str, bytes)):
            return self._done(self._add_once(_raw_key(keys)))
        if not isinstance(keys, (list, tuple)) and not (hasattr(keys, "__array__") and np.ndim(keys)):
            raws, counted = [_raw_key(keys)], counts
        elif isinstance(keys, (list, tuple)) or np.asarray(keys).dtype.kind == "O":
            raws, counted = [_raw_key(key) for key in keys], counts
        else:
            owner = _many(keys, &self.key, &k)
            if k.width > FW_FREQUENT_KEY:
                raise ValueError(f"a key takes at most {FW_FREQUENT_KEY} bytes, not {k.width}")
            kind = np.asarray(keys).dtype.kind
            form = FW_KEY_INT if k.form == FW_KEYS_WORDS else FW_KEY_TEXT if kind == "U" else FW_KEY_BYTES
            array = _counts(counts, k.count, &same)
            if array is not None:
                each = <const uint64_t *><uintptr_t>array.ctypes.data
            _lock(self.lock)
            with nogil:
                code = fw_frequent_update(&self.raw, &self.key, &k, form, each, same)
            PyThread_release_lock(self.lock)
            return self._done(code)
        return self._add_all(raws, counted)

    cdef int _add_once(self, tuple key):
        cdef bytes raw = key[0]
        cdef uint8_t form = key[1]
        cdef int code
        _lock(self.lock)
        code = fw_frequent_add(&self.raw, &self.key, <const uint8_t *><const char *>raw, len(raw), form, 1)
        PyThread_release_lock(self.lock)
        return code

    cdef object _add_all(self, list raws, counts):
        cdef uint64_t same = 1, most = 0
        cdef int code = 0
        array = _counts(counts, len(raws), &same)
        each = [same] * len(raws) if array is None else array.tolist()
        _lock(self.lock)
        if self.raw.total + sum(each) >= 1 << 64:
            code = FW_LIMIT
        else:
            for (raw, form), count in zip(raws, each):
                fw_frequent_add(&self.raw, &self.key, <const uint8_t *><const char *>raw, len(raw), form, count)
        PyThread_release_lock(self.lock)
        return self._done(code)

    cdef object _done(self, int code):
        if code != 0:
            raise OverflowError("the sum of all counts would exceed 2^64 - 1")
        return self

    def bounds(self, key):
        """(lower, upper) of one key's count; they always hold."""
        cdef uint64_t held
        raw, _ = _raw_key(key)
        _lock(self.lock)
        held = fw_frequent_count(&self.raw, &self.key, <const uint8_t *><const char *>raw, len(raw))
        upper = held + self.raw.offset
        PyThread_release_lock(self.lock)
        return held, upper

    def items(self, top=None):
        """(key, lower, upper) of the keys held, the most frequent first; ``top`` of them, or all."""
        cdef TopK still = self.copy()
        upper = still.raw.offset
        return [(_shown(raw, form), held, held + upper) for held, raw, form in still._held()[:top]]

    cdef list _held(self):
        """(count, key, form) of the keys held, the most frequent first, equal ones by key; for a copy."""
        cdef uint32_t i, n
        cdef const fw_entry **held = self._listed(&n)
        try:
            return [(int(held[i].count), <bytes>(<const char *>held[i].key)[:held[i].size], held[i].form)
                    for i in range(n)]
        finally:
            free(held)

    cdef const fw_entry **_listed(self, uint32_t *n) except NULL:
        """The entries in their order, and how many; the caller frees the list."""
        cdef const fw_entry **held = <const fw_entry **>calloc(<size_t>self.raw.used + 1, sizeof(fw_entry *))
        if held == NULL:
            raise MemoryError
        n[0] = fw_frequent_list(&self.raw, held)
        return held

    def merge(self, TopK other not None):
        """Add the counts of ``other``; returns the sketch. Both bounds hold for the two streams together."""
        cdef int code
        cdef TopK still = other.copy() if other is self else other
        _lock_two(self.lock, still.lock)
        with nogil:
            code = fw_frequent_merge(&self.raw, &self.key, &still.raw)
        _unlock_two(self.lock, still.lock)
        return self._done(code)

    def __ior__(self, other):
        return self.merge(other) if isinstance(other, TopK) else NotImplemented

    def __or__(self, other):
        return self.copy().merge(other) if isinstance(other, TopK) else NotImplemented

    def copy(self):
        """An independent sketch of the same keys."""
        cdef TopK out = TopK(k=self.raw.k)
        _lock(self.lock)
        out.raw.total, out.raw.offset, out.raw.used = self.raw.total, self.raw.offset, self.raw.used
        memcpy(out.raw.entries, self.raw.entries, sizeof(fw_entry) * (<size_t>self.raw.mask + 1))
        PyThread_release_lock(self.lock)
        return out

    def clear(self):
        """Forget all keys; returns the sketch."""
        _lock(self.lock)
        fw_frequent_clear(&self.raw)
        PyThread_release_lock(self.lock)
        return self

    def to_bytes(self):
        """The sketch as bytes: the format is in native/fw_blob.h. It holds the keys themselves."""
        cdef fw_blob head
        cdef TopK still = self.copy()
        head.kind, head.flags, head.rank = FW_BLOB_TOPK, 0, 0
        head.width, head.key, head.total = still.raw.k, 0, still.raw.total
        cdef uint32_t n
        cdef const fw_entry **held = still._listed(&n)
        try:
            payload = bytearray(fw_frequent_saved_size(held, n))
            fw_frequent_save(&still.raw, held, n, <uint8_t *><char *>payload)
        finally:
            free(held)
        return _bytes_of(&head, payload)

    @staticmethod
    def from_bytes(blob):
        """A sketch from ``to_bytes``.

        Raises:
            SketchMismatch: not such a sketch, or damaged; see ``field``.
        """
        cdef fw_blob head
        cdef const char *field = NULL
        cdef const char *wrong
        whole = _parsed(blob, FW_BLOB_TOPK, &head)
        cdef TopK out = TopK(k=head.width)
        wrong = fw_frequent_load(&out.raw, &out.key, head.payload, head.payload_size, head.total, &field)
        if wrong != NULL:
            raise SketchMismatch(field.decode(), wrong.decode())
        return out

    def __reduce__(self):
        return _unpickle_topk, (self.to_bytes(),)

    def __eq__(self, other):
        return self.to_bytes() == other.to_bytes() if isinstance(other, TopK) else NotImplemented

    def __len__(self):
        return self.raw.used

    def __repr__(self):
        return f"TopK(k={self.raw.k}, held={self.raw.used}, total={self.raw.total}, offset={self.raw.offset})"

    @property
    def k(self):
        return self.raw.k

    @property
    def total(self):
        """The sum of all counts."""
        return self.raw.total

    @property
    def offset(self):
        """What a count held falls short of the truth by at most; never over 2 * total / k."""
        return self.raw.offset

    @property
    def nbytes(self):
        """Bytes of the tables."""
        return 2 * sizeof(fw_entry) * (<size_t>self.raw.mask + 1) + 8 * (<size_t>self.raw.k + 1)
