"""The native engine: bytes of a capture in, one summary per epoch out. See floodwatch/_engine.pyi."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fw cimport *

import numpy as np

ERRORS = {
    FW_BAD_MAGIC: "bad_magic",
    FW_BAD_RECORD: "bad_record",
    FW_BAD_BLOCK: "bad_block",
    FW_BAD_INTERFACE: "bad_interface",
    FW_BAD_SECTION: "bad_section",
    FW_LIMIT: "limit",
}
NEED_MORE = FW_NEED_MORE
RANGES_MOST = FW_RANGES_MOST
VOUCHED_MOST = FW_VOUCHED_MOST
MERGED = FW_MERGED
TUNNELS = ("none", "ipip", "ipv6", "gre", "erspan", "vxlan", "geneve", "gtpu", "teredo", "tzsp",
           "erm")
REJECTS = ("unknown_linktype", "not_ip", "truncated", "bad_ip", "bad_transport", "nested")


cdef list _layout():
    """(record, name, format, what, offset, count, size of the record) of each field in fw_layout.h."""
    cdef size_t i
    cdef const fw_field *f
    rows = []
    for i in range(FW_LAYOUT_ROWS):
        f = &FW_LAYOUT[i]
        rows.append((_record_name(f.record.decode()), f.name.decode(), _record_name(f.format.decode()),
                     f.what.decode(), f.offset, f.count, f.itemsize))
    return rows


cdef str _record_name(str name):
    return name.removeprefix("struct fw_").removesuffix("_count")


cdef object _dtype(str record, list layout):
    """The NumPy dtype of a record; records inside an array field are made the same way."""
    rows = [row for row in layout if row[0] == record]
    inner = {row[0] for row in layout}
    formats = []
    for _, _, form, _, _, count, _ in rows:
        form = _dtype(form, layout) if form in inner else form
        formats.append((form, count) if count else form)
    return np.dtype({"names": [row[1] for row in rows], "formats": formats, "offsets": [row[4] for row in rows],
                     "itemsize": rows[0][6]})


cdef tuple _names(const fw_name *names, size_t count):
    cdef size_t i
    return tuple([(names[i].name.decode(), names[i].what.decode()) for i in range(count)])


cdef list LAYOUT = _layout()
FEATURES = tuple([(record, name, f"({count},){form}" if count else form, what)
                  for record, name, form, what, _, count, _ in LAYOUT])
VICTIM_DTYPE = _dtype("victim", LAYOUT)
HOST_DTYPE = _dtype("host", LAYOUT)
HEAVY_DTYPE = _dtype("heavy", LAYOUT)
HELD_DTYPE = _dtype("held", LAYOUT)
PACKET_DTYPE = _dtype("packet", LAYOUT)
HELLO_DTYPE = _dtype("hello_seen", LAYOUT)
SEGMENT_DTYPE = _dtype("segment", LAYOUT)

KINDS = _names(FW_KIND_NAMES, FW_KINDS)
CLASSES = _names(FW_CLASS_NAMES, FW_CLASSES)
globals().update({name: number for number, (name, _) in enumerate(KINDS)})
globals().update({f"CLASS_{name}": number for number, (name, _) in enumerate(CLASSES)})
EPOCH_NS = FW_EPOCH_NS
WINDOW_EPOCHS = FW_WINDOW_EPOCHS
SLOTS = FW_SLOTS
FRAMES_A_SECOND = FW_SOCKET_FRAMES
CONTROLS_A_SECOND = FW_SOCKET_CONTROLS
SLOT_MASK = FW_SLOT_MASK
HLL_P = FW_HLL_P
SMALL_HLL_P = FW_SMALL_HLL_P
NAMES_HLL_P = FW_NAMES_HLL_P
TOTAL_HLL_P = FW_TOTAL_HLL_P
TRANSLATORS_MOST = FW_TRANSLATORS_MAX


@cython.final
cdef class Batch:
    cdef fw_batch raw
    cdef object owner  # keeps alive what HTTP paths point into: the bytes, and texts of the decoder

    def __cinit__(self, uint32_t capacity):
        if capacity == 0:
            raise ValueError("a batch holds at least one packet")
        self.raw.capacity = capacity
        self.raw.packets = <fw_packet *>calloc(<size_t>capacity + 1, sizeof(fw_packet))
        self.raw.messages = <fw_message *>calloc(capacity, sizeof(fw_message))
        if self.raw.packets == NULL or self.raw.messages == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.raw.packets)
        free(self.raw.messages)

    def __len__(self):
        return self.raw.count

    @property
    def last_ns(self):
        return self.raw.packets[self.raw.count - 1].ts_ns if self.raw.count else 0

    cdef _all(self):
        if self.raw.count == 0:
            return np.frombuffer(bytes(sizeof(fw_packet)), dtype=PACKET_DTYPE)[:0]
        return np.frombuffer((<const char *>self.raw.packets)[:self.raw.count * sizeof(fw_packet)],
                             dtype=PACKET_DTYPE)

    def records(self):
        """The packets as a read-only copy (PACKET_DTYPE), in stream order; of tunnels what they carry."""
        everything = self._all()
        return everything if self.raw.carriers == 0 else everything[everything["kind"] != FW_CARRIER]

    def messages(self):
        """What applications said: the records of all messages, with offsets for pointers, and their texts."""
        cdef bytearray records = bytearray(self.raw.message_count * sizeof(fw_message))
        cdef bytearray texts = bytearray(fw_batch_texts(&self.raw))
        fw_batch_save(&self.raw, <fw_message *><char *>records, <uint8_t *><char *>texts)
        return bytes(records), bytes(texts)

    @staticmethod
    def load(records, bytes messages, bytes texts, bytes key):
        """A batch of packets that were decoded before, hashed anew under ``key``."""
        cdef const char *why = NULL
        cdef int code
        cdef uint32_t n = <uint32_t>len(records), said = <uint32_t>(len(messages) // sizeof(fw_message))
        if records.dtype != PACKET_DTYPE or len(messages) % sizeof(fw_message):
            raise ValueError("these are no packets of this version")
        cdef Batch out = Batch(max(n, said, 1))
        plain = np.ascontiguousarray(records)
        memcpy(out.raw.packets, <const void *><uintptr_t>plain.ctypes.data, n * sizeof(fw_packet))
        memcpy(out.raw.messages, <const char *>messages, len(messages))
        out.raw.count, out.raw.message_count = n, said
        out.owner = texts
        cdef fw_hasher *hasher = <fw_hasher *>calloc(1, sizeof(fw_hasher))
        if hasher == NULL:
            raise MemoryError
        try:
            hasher.key = secret_key(key)
            code = fw_batch_load(&out.raw, <const uint8_t *><const char *>texts, len(texts), hasher, &why)
        finally:
            free(hasher)
        if code != 0:
            raise ValueError(why.decode())
        return out

    def outermost(self):
        """For each of the records the packet that carried it, or itself."""
        everything = self._all()
        carries = everything["kind"] == FW_CARRIER
        at = np.flatnonzero(~carries)
        return everything[at - np.where(at > 0, carries[at - 1], False)]


@cython.final
cdef class Hellos:
    cdef fw_hellos *raw

    def __cinit__(self, uint32_t room, bytes key):
        if not 0 < room <= 1 << 20:
            raise ValueError("there is room for one hello at least, and for a million at most")
        self.raw = <fw_hellos *>calloc(1, sizeof(fw_hellos))
        if self.raw == NULL:
            raise MemoryError
        self.raw.key = secret_key(key)
        self.raw.room = room
        self.raw.weight = 1
        self.raw.text_room = room * FW_HELLO_TEXT + min(room, FW_SEALED_MOST) * FW_SEALED_BYTES + FW_HELLO_MOST
        self.raw.seen = <fw_hello_seen *>calloc(room, sizeof(fw_hello_seen))
        self.raw.texts = <uint8_t *>calloc(self.raw.text_room, 1)
        if self.raw.seen == NULL or self.raw.texts == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self.raw != NULL:
            free(self.raw.seen)
            free(self.raw.texts)
        free(self.raw)

    def __len__(self):
        return self.raw.count

    def drain(self):
        cdef uint32_t n = self.raw.count
        cdef bytes records = (<const char *>self.raw.seen)[:n * sizeof(fw_hello_seen)]
        cdef bytes texts = (<const char *>self.raw.texts)[:self.raw.text_size]
        fw_hellos_drained(self.raw)
        return np.frombuffer(records, HELLO_DTYPE) if n else np.empty(0, HELLO_DTYPE), texts

    def add(self, bytes body, str transport):
        cdef fw_packet nobody
        memset(&nobody, 0, sizeof(nobody))
        return fw_hellos_add(self.raw, &nobody, 0, ord(transport), <const uint8_t *><const char *>body,
                             <uint32_t>min(len(body), <uint32_t>-1)) == 0

    @property
    def whole(self):
        return self.raw.whole

    @property
    def sealed(self):
        return self.raw.sealed

    @property
    def broken(self):
        return self.raw.broken

    @property
    def cut(self):
        return self.raw.cut

    @property
    def unfinished(self):
        return self.raw.unfinished + self.raw.open

    @property
    def missed(self):
        return self.raw.missed


@cython.final
cdef class Segments:
    cdef fw_segments *raw

    def __cinit__(self, bytes key):
        cdef fw_key k = secret_key(key)
        self.raw = <fw_segments *>calloc(1, sizeof(fw_segments))
        if self.raw == NULL:
            raise MemoryError
        fw_segments_init(self.raw, &k)

    def __dealloc__(self):
        free(self.raw)

    def list(self, block, size_t start, uint32_t most):
        cdef Py_buffer view
        cdef size_t pos = start
        cdef uint32_t n = 0
        cdef int code
        out = np.zeros(most, SEGMENT_DTYPE)
        cdef fw_segment *to = <fw_segment *><uintptr_t>out.ctypes.data
        PyObject_GetBuffer(block, &view, PyBUF_SIMPLE)
        try:
            if start > <size_t>view.len or view.len > <uint32_t>-1:
                raise ValueError("start lies behind the block, or the block is longer than 4 GiB")
            with nogil:
                code = fw_segments_list(self.raw, <const uint8_t *>view.buf, view.len, &pos, to, most, &n)
        finally:
            PyBuffer_Release(&view)
        return out[:n], code, pos

    @property
    def secrets(self):
        return self.raw.secrets, self.raw.secrets_size

    @property
    def swapped(self):
        return bool(self.raw.walker.swapped)

    @property
    def need(self):
        return self.raw.need


@cython.final
cdef class Decoder:
    cdef fw_decoder *raw
    cdef Hellos hellos
    cdef object filter_owner, wanted
    cdef Decoder beside

    def __cinit__(self, bytes key):
        cdef fw_key k = secret_key(key)
        self.raw = <fw_decoder *>calloc(1, sizeof(fw_decoder))
        if self.raw == NULL:
            raise MemoryError
        fw_decoder_init(self.raw, &k)

    def __dealloc__(self):
        if self.raw != NULL:
            free(self.raw.twins)
            free(self.raw.named)
            if self.beside is None:
                free(self.raw.points)
        free(self.raw)

    def set_filter(self, uintptr_t function, programs, owner):
        self.raw.filter.count = 0
        for linktype, program in programs[:FW_FILTER_LINKTYPES]:
            self.raw.filter.linktypes[self.raw.filter.count] = linktype
            self.raw.filter.programs[self.raw.filter.count] = <const void *><uintptr_t>program
            self.raw.filter.count += 1
        self.raw.filter.run = <fw_filter_fn>function
        self.filter_owner = owner

    def set_span(self, uint64_t since_ns, uint64_t until_ns):
        self.raw.since_ns = since_ns
        self.raw.last_allowed_ns = until_ns - 1 if 0 < until_ns < <uint64_t>-1 else until_ns

    def trust(self, spans):
        if self.raw.named == NULL:
            self.raw.named = <fw_ranges *>calloc(1, sizeof(fw_ranges))
            if self.raw.named == NULL:
                raise MemoryError
        _fill_ranges(self.raw.named, spans)

    def set_translators(self, networks):
        cdef fw_hasher *h = &self.raw.hasher
        cdef fw_translator *t
        cdef unsigned bits
        if len(networks) > FW_TRANSLATORS_MAX:
            raise ValueError(f"at most {FW_TRANSLATORS_MAX} networks of translators")
        h.translator_count = 0
        for hi, lo, bits in networks:
            t = &h.translators[h.translator_count]
            mask = (1 << 128) - (1 << (128 - bits))
            t.mask_hi, t.mask_lo = mask >> 64, mask & <uint64_t>-1
            t.hi, t.lo = hi & t.mask_hi, lo & t.mask_lo
            h.translator_count += 1

    def drop_twins(self, uint8_t copies):
        if self.raw.twins == NULL:
            self.raw.twins = <fw_twins *>calloc(1, sizeof(fw_twins))
            if self.raw.twins == NULL:
                raise MemoryError
        self.raw.twins.copies = copies

    def count_once(self, Decoder beside=None):
        if self.raw.points != NULL:
            raise ValueError("the decoder counts packets once already")
        self.beside = beside
        if beside is not None:
            self.raw.points = beside.raw.points
            return
        self.raw.points = <fw_points *>calloc(1, sizeof(fw_points))
        if self.raw.points == NULL:
            raise MemoryError

    def only(self, addresses):
        plain = np.ascontiguousarray(addresses, np.uint64)
        if plain.ndim != 2 or plain.shape[1] != 2:
            raise ValueError("addresses are pairs of their upper and lower half")
        nobody = np.zeros((1, 2), np.uint64)
        self.wanted = plain if len(plain) else nobody  # the memory of an empty array may be NULL: all are wanted
        self.raw.only.count = len(plain)
        self.raw.only.held = <const fw_addr *><uintptr_t>self.wanted.ctypes.data

    def collect(self, Hellos hellos):
        self.hellos = hellos
        self.raw.hellos = hellos.raw

    def fill(self, block, size_t start, Batch batch):
        cdef Py_buffer view
        cdef size_t pos = start
        cdef int code
        PyObject_GetBuffer(block, &view, PyBUF_SIMPLE)
        try:
            if start > <size_t>view.len:
                raise ValueError("start lies behind the block")
            with nogil:
                code = fw_decoder_fill(self.raw, <const uint8_t *>view.buf, view.len, &pos, &batch.raw)
        finally:
            PyBuffer_Release(&view)
        batch.owner = block, self
        return code, pos

    def frame(self):
        """(bytes, link type, length on the wire) of the last frame that ``fill`` took into a full batch."""
        cdef fw_frame *f = &self.raw.frame
        if f.data == NULL:
            raise ValueError("no frame was taken")
        return <bytes>(<const char *>f.data)[:f.caplen], f.linktype, f.len

    @property
    def why(self):
        return self.raw.walker.why.decode()

    @property
    def format(self):
        return {FW_FORMAT_PCAP: "pcap", FW_FORMAT_PCAPNG: "pcapng",
                FW_FORMAT_SNOOP: "snoop"}.get(self.raw.walker.format)

    @property
    def linktypes(self):
        return tuple(self.raw.linktypes[i] for i in range(self.raw.linktype_count))

    @property
    def interfaces(self):
        """(name, link type, snap length) of each interface that the capture describes."""
        cdef fw_walker *w = &self.raw.walker
        return tuple((w.interfaces[i].name[:w.interfaces[i].name_length].decode("utf-8", "replace"),
                      w.interfaces[i].linktype, w.interfaces[i].snaplen) for i in range(w.interface_count))

    @property
    def lost(self):
        return fw_walker_lost(&self.raw.walker)

    @property
    def rejected(self):
        return {name: self.raw.rejected[i] for i, name in enumerate(REJECTS) if self.raw.rejected[i]}

    @property
    def unread_type(self):
        return self.raw.unread_type

    @property
    def tunnelled(self):
        return {name: self.raw.tunnelled[i] for i, name in enumerate(TUNNELS) if self.raw.tunnelled[i]}

    @property
    def offset(self):
        return self.raw.offset

    @property
    def need(self):
        return self.raw.need

    @property
    def packets(self):
        return self.raw.frames

    @property
    def bytes(self):
        return self.raw.bytes

    @property
    def filtered(self):
        return self.raw.filtered

    @property
    def unwanted(self):
        return (self.raw.unwanted_first_ns, self.raw.unwanted_last_ns) if self.raw.filtered else None

    @property
    def duplicates(self):
        return self.raw.duplicates

    @property
    def elsewhere(self):
        return self.raw.elsewhere

    @property
    def first_ns(self):
        return self.raw.first_ns if self.raw.frames else None

    @property
    def last_ns(self):
        return self.raw.last_ns if self.raw.frames else None


@cython.final
cdef class Ring:
    cdef fw_ring raw
    cdef fw_tail tail
    cdef Py_buffer view
    cdef bint held

    def __cinit__(self, memory, size_t block_size):
        PyObject_GetBuffer(memory, &self.view, PyBUF_WRITABLE)
        self.held = True
        if block_size < 4096 or <size_t>self.view.len < block_size or self.view.len % block_size:
            raise ValueError("a ring is a whole number of blocks of 4,096 bytes or more")
        self.raw.blocks = <uint8_t *>self.view.buf
        self.raw.block_size = block_size
        self.raw.block_count = <uint32_t>(self.view.len // block_size)

    def __dealloc__(self):
        self.close()
        free(self.tail.halves[0])
        free(self.tail.halves[1])

    def close(self):
        """Let go of the memory; nothing can be read afterwards."""
        if self.held:
            self.held = False
            PyBuffer_Release(&self.view)

    def fill(self, Decoder decoder, Batch batch, int64_t shift_ns):
        cdef int code
        if not self.held:
            raise ValueError("the ring is closed")
        with nogil:
            code = fw_ring_fill(&self.raw, decoder.raw, shift_ns, &batch.raw)
        batch.owner = self, decoder
        return bool(code)

    def record(self, uint32_t room, uint32_t budget, uint32_t interface, uint32_t most):
        if self.raw.tail != NULL:
            raise ValueError("the ring records already")
        self.tail.halves[0] = <uint8_t *>calloc(room, 1)
        self.tail.halves[1] = <uint8_t *>calloc(room, 1)
        if self.tail.halves[0] == NULL or self.tail.halves[1] == NULL:
            raise MemoryError
        self.tail.room, self.tail.budget, self.tail.most = room, budget, most
        self.raw.tail_interface = interface
        self.raw.tail = &self.tail

    def recorded(self):
        cdef unsigned new = self.tail.current, old = 1 - new
        cdef bytes out = (<char *>self.tail.halves[old])[:self.tail.used[old]] + \
            (<char *>self.tail.halves[new])[:self.tail.used[new]]
        fw_tail_clear(&self.tail)
        return out

    @property
    def frames(self):
        return self.raw.frames

    @property
    def damaged(self):
        return self.raw.damaged

    @property
    def full(self):
        if not self.held:
            raise ValueError("the ring is closed")
        return fw_ring_waiting(&self.raw) / <double>self.raw.block_count


@cython.final
cdef class Engine:
    cdef fw_engine *raw
    cdef Hellos hellos

    def __cinit__(self):
        self.raw = <fw_engine *>calloc(1, sizeof(fw_engine))
        if self.raw == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.raw)

    def trust(self, spans):
        _fill_ranges(&self.raw.carried.named, spans)

    def vouch(self, pairs):
        cdef const uint64_t[::1] view = np.ascontiguousarray(pairs, np.uint64)
        cdef uint32_t i, n = <uint32_t>min(view.shape[0], FW_VOUCHED_MOST)
        for i in range(n):
            self.raw.carried.vouched[i] = view[i]
        self.raw.carried.vouched_count = n

    def collect(self, Hellos hellos):
        self.hellos = hellos
        self.raw.hellos = hellos.raw

    def observe(self, Batch batch, uint32_t start):
        cdef uint32_t taken
        if start > batch.raw.count:
            raise ValueError("start lies behind the batch")
        with nogil:
            taken = fw_engine_observe(self.raw, &batch.raw, start)
        return taken

    def victims(self, uint32_t least):
        """Slots of this epoch with at least `least` packets towards them, by address; a request counts as 16, a SYN as 4."""
        cdef fw_slot *chosen[FW_SLOTS]
        cdef uint32_t n = fw_victim_select(&self.raw.victims, least, chosen)
        cdef bytearray out = bytearray(n * sizeof(fw_victim))
        fw_victim_copy(chosen, n, <fw_victim *><char *>out)
        return np.frombuffer(out, dtype=VICTIM_DTYPE, count=n)

    def hosts(self):
        """Every address that got packets in this epoch, in short (HOST_DTYPE), in no order."""
        cdef fw_victims *t = &self.raw.victims
        cdef bytearray out = bytearray(max(t.touched_count, 1) * sizeof(fw_host))
        cdef uint32_t n = fw_victim_hosts(t, <fw_host *><char *>out)
        return np.frombuffer(out, dtype=HOST_DTYPE, count=n)

    def sources_of(self, references, unsigned which):
        """The union of one source set (HyperLogLog registers, p = 10) over slots given by reference."""
        cdef const uint32_t[::1] view = np.ascontiguousarray(references, np.uint32)
        cdef bytearray out = bytearray(1 << FW_HLL_P)
        if which >= FW_CLASSES:
            raise ValueError("no such source set")
        fw_victim_sources(&self.raw.victims, &view[0] if view.shape[0] else NULL, <uint32_t>view.shape[0], which,
                          <uint8_t *><char *>out)
        return np.frombuffer(out, np.uint8)

    def heavy(self):
        """The heavy-hitter table of the open window, free entries left out, in table order."""
        cdef bytearray out = bytearray(fw_topk_used(&self.raw.heavy) * sizeof(fw_heavy_count))
        cdef uint32_t n = fw_topk_list(&self.raw.heavy, <fw_heavy_count *><char *>out)
        return np.frombuffer(out, dtype=HEAVY_DTYPE, count=n)

    def held(self):
        """Connections on which clients hold places, and those that are over since the last call (HELD_DTYPE)."""
        cdef bytearray out = bytearray(self.raw.held.count * sizeof(fw_held))
        cdef uint32_t n = fw_held_list(&self.raw.held, <fw_held *><char *>out)
        return np.frombuffer(out, dtype=HELD_DTYPE, count=n)

    def window_ends(self, Batch batch, uint32_t following):
        return bool(fw_engine_window_ends(self.raw, _next(batch, following)))

    def gap_before(self, Batch batch, uint32_t following):
        return fw_engine_gap(self.raw, _next(batch, following))

    def close_epoch(self, Batch batch, uint32_t following):
        fw_engine_close_epoch(self.raw, _next(batch, following))

    @property
    def places(self):
        return self.raw.held.count

    @property
    def epoch(self):
        return self.raw.epoch

    @property
    def epoch_packets(self):
        return self.raw.epoch_packets

    @property
    def epoch_bytes(self):
        return self.raw.epoch_bytes

    @property
    def epoch_kinds(self):
        return tuple([self.raw.epoch_kinds[kind] for kind in range(FW_KINDS)])

    @property
    def first_ns(self):
        return self.raw.first_ns

    @property
    def last_ns(self):
        return self.raw.last_ns

    @property
    def gap(self):
        return self.raw.gap

    @property
    def late(self):
        return self.raw.late

    @property
    def fractions(self):
        return bool(self.raw.fractions)

    @property
    def unslotted(self):
        return self.raw.victims.unslotted

    @property
    def nbytes(self):
        return sizeof(fw_engine)

    def total_sources(self):
        return bytes(self.raw.total_sources[:1 << FW_TOTAL_HLL_P])


cdef void _fill_ranges(fw_ranges *to, spans) except *:
    """Ranges in order from an array of shape (n, 4): upper and lower half of the first and of the last address."""
    plain = np.ascontiguousarray(spans, np.uint64)
    if plain.ndim != 2 or plain.shape[1] != 4 or len(plain) > FW_RANGES_MOST:
        raise ValueError(f"at most {FW_RANGES_MOST} ranges of four numbers each")
    memcpy(to.held, <const void *><uintptr_t>plain.ctypes.data, len(plain) * sizeof(fw_range))
    to.count = <uint32_t>len(plain)


def merge(Batch out, list batches, uint32_t[::1] at):
    """Packets of several batches by time into one; see fw_batch_merge."""
    cdef fw_batch *parts[FW_MERGED]
    cdef Batch part
    cdef uint32_t i, n = <uint32_t>len(batches), used
    if n > FW_MERGED or at.shape[0] != n:
        raise ValueError(f"at most {FW_MERGED} batches, each with its position")
    for i in range(n):
        part = batches[i]
        if part is out:
            raise ValueError("a batch cannot be merged into itself")
        parts[i] = &part.raw
    if n == 0:
        fw_batch_clear(&out.raw)
        return 0
    with nogil:
        used = fw_batch_merge(&out.raw, parts, &at[0], n)
    out.owner = [(<Batch>one).owner for one in batches]
    return used


def frame_hashes(block, size_t start, uint32_t most):
    """Hash (under a fixed key) and time of the first frames of a capture: two uint64 arrays."""
    cdef Py_buffer view
    cdef uint32_t n
    cdef fw_key key = secret_key(bytes(16))
    hashes, times = np.empty(most, np.uint64), np.empty(most, np.uint64)
    cdef uint64_t *to = <uint64_t *><uintptr_t>hashes.ctypes.data
    cdef uint64_t *at = <uint64_t *><uintptr_t>times.ctypes.data
    cdef fw_walker *walker = <fw_walker *>calloc(1, sizeof(fw_walker))
    if walker == NULL:
        raise MemoryError
    fw_walker_init(walker)
    try:
        PyObject_GetBuffer(block, &view, PyBUF_SIMPLE)
        try:
            if start > <size_t>view.len:
                raise ValueError("start lies behind the block")
            n = fw_frame_hashes(walker, &key, <const uint8_t *>view.buf, view.len, start, to, at, most)
        finally:
            PyBuffer_Release(&view)
    finally:
        free(walker)
    return hashes[:n], times[:n]


cdef const fw_packet *_next(Batch batch, uint32_t following):
    """The packet that opens the next epoch, or NULL at the end of the capture."""
    return &batch.raw.packets[following] if following < batch.raw.count else NULL
