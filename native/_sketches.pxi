# The public sketches. A lock a sketch: calls release the GIL while they count, and callers of one sketch take turns.

from cpython.pythread cimport (NOWAIT_LOCK, WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock,
                               PyThread_free_lock, PyThread_release_lock, PyThread_type_lock)
from libc.math cimport M_E, ceil, exp, log, sqrt

from zlib import crc32



cdef object ONE = 1  # small numbers are one object each: the default needs no look


def cpu():
    """The kernels that hash batches: scalar, avx2 or avx512."""
    return fw_cpu().name.decode()


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


def hll_blob(registers, bytes key):
    """The registers of an engine as a saved HyperLogLog."""
    cdef fw_blob head
    cdef _Secret secret = _secret(key)
    head.kind, head.flags, head.rank = FW_BLOB_HLL, 0, len(registers).bit_length() - 1
    head.width, head.key, head.total = len(registers), secret.name, 0
    return _bytes_of(&head, bytes(registers))


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
