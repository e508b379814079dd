# TopK: frequent keys, given back as they came. Locks and keys are those of the sketches.


cdef tuple _raw_key(key):
    """(bytes, form) of a single key; equal bytes are equal keys, as for the other sketches."""
    if isinstance(key, np.generic) and not isinstance(key, np.void):
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
    if isinstance(key, str):
        raw, form = key.encode(), FW_KEY_TEXT
    elif isinstance(key, bytes):
        raw, form = bytes(key), FW_KEY_BYTES
    else:
        raise _wrong_key(key)
    if len(raw) > FW_FREQUENT_KEY:
        raise ValueError(f"a key takes at most {FW_FREQUENT_KEY} bytes, not {len(raw)}")
    return raw, form


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
        self.key = _key(PROCESS_KEY)
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
        cdef const fw_entry **held = <const fw_entry **>calloc(<size_t>self.raw.used + 1, sizeof(fw_entry *))
        if held == NULL:
            raise MemoryError
        try:
            n = fw_frequent_list(&self.raw, held)
            return [(int(held[i].count), <bytes>(<const char *>held[i].key)[:held[i].size], held[i].form)
                    for i in range(n)]
        finally:
            free(held)

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
        entries = still._held()
        parts = [int(still.raw.offset).to_bytes(8, "little"), len(entries).to_bytes(4, "little")]
        parts += [count.to_bytes(8, "little") + bytes([form, len(raw)]) + raw for count, raw, form in entries]
        return _bytes_of(&head, b"".join(parts))

    @staticmethod
    def from_bytes(blob):
        """A sketch from ``to_bytes``.

        Raises:
            SketchMismatch: not such a sketch, or damaged; see ``field``.
        """
        cdef fw_blob head
        whole = _parsed(blob, FW_BLOB_TOPK, &head)
        cdef TopK out = TopK(k=head.width)
        offset, entries = _entries(whole[FW_BLOB_HEAD:len(whole) - FW_BLOB_TAIL], head.width)
        if sum(entry[0] for entry in entries) > head.total or offset * head.width > 2 * head.total:
            raise SketchMismatch("payload", "the counts contradict the total")
        for count, raw, form in entries:
            fw_frequent_add(&out.raw, &out.key, <const uint8_t *><const char *>raw, len(raw), form, count)
        out.raw.total, out.raw.offset = head.total, offset
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


cdef tuple _entries(bytes payload, uint32_t k):
    """(offset, [(count, key, form)]) of a saved TopK, in the one order that a sketch is saved in."""
    if len(payload) < 12:
        raise SketchMismatch("size", "the sketch ends before its items")
    offset, n, at = int.from_bytes(payload[:8], "little"), int.from_bytes(payload[8:12], "little"), 12
    entries = []
    for _ in range(min(n, k + 1)):
        head = payload[at:at + 10]
        if len(head) < 10 or len(payload) < at + 10 + head[9]:
            raise SketchMismatch("size", "the sketch ends inside an item")
        entries.append((int.from_bytes(head[:8], "little"), payload[at + 10:at + 10 + head[9]], head[8]))
        at += 10 + head[9]
    if at != len(payload):
        raise SketchMismatch("size", "the sketch goes on behind its items")
    if n > k or any(not _sound(entry) for entry in entries):
        raise SketchMismatch("payload", "an item is none that a sketch holds")
    order = [(-count, raw) for count, raw, _ in entries]
    if order != sorted(order) or len({raw for _, raw, _ in entries}) != n:
        raise SketchMismatch("payload", "the items are not in their order, or not distinct")
    return offset, entries


cdef bint _sound(entry):
    count, raw, form = entry
    sizes = {FW_KEY_INT: 8, FW_KEY_IPV4: 8, FW_KEY_IPV6: 16}
    if count == 0 or form >= FW_KEY_FORMS or len(raw) > FW_FREQUENT_KEY or len(raw) != sizes.get(form, len(raw)):
        return False
    return form != FW_KEY_IPV4 or raw[4:] == bytes(4)
