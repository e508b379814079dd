# Keys and counts as users hold them -> what the C library takes. Everything is checked here, before any cell changes.

from ipaddress import IPv4Address, IPv6Address
from os import urandom

from floodwatch.errors import SketchMismatch

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
    s.key = _key(PROCESS_KEY if seed is None else seed)
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
