from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "fw_decode.h" nogil:
    enum: FW_NEED_MORE, FW_BAD_MAGIC, FW_BAD_RECORD, FW_BAD_BLOCK, FW_BAD_INTERFACE, FW_BAD_SECTION, FW_LIMIT
    enum: FW_REJECTS, FW_LINKTYPES_SEEN, FW_FILTER_LINKTYPES, FW_SLOTS, FW_CLASSES, FW_HLL_P, FW_TOTAL_HLL_P
    enum: FW_EPOCH_NS, FW_WINDOW_EPOCHS, FW_SLOT_MASK, FW_SMALL_HLL_P, FW_NAMES_HLL_P, FW_SOCKET_FRAMES, FW_SOCKET_CONTROLS
    enum: FW_FORMAT_PCAP, FW_FORMAT_PCAPNG, FW_FORMAT_SNOOP, FW_CARRIER, FW_TUNNELS, FW_MERGED, FW_KINDS

    struct fw_key:
        uint64_t k0, k1
    struct fw_packet:
        uint64_t ts_ns
        uint32_t message
        uint8_t kind
    struct fw_message:
        const uint8_t *path
    enum: FW_TRANSLATORS_MAX
    struct fw_translator:
        uint64_t hi, lo, mask_hi, mask_lo
    struct fw_hasher:
        fw_key key
        fw_translator translators[16]
        uint32_t translator_count
    struct fw_batch:
        uint32_t count, capacity, message_count, carriers
        fw_packet *packets
        fw_message *messages
    struct fw_interface:
        uint32_t snaplen
        uint16_t linktype
        uint8_t name_length
        char name[24]
    struct fw_walker:
        uint8_t swapped
        int format
        uint32_t interface_count
        const char *why
        fw_interface interfaces[1024]
    uint64_t fw_walker_lost(const fw_walker *)
    ctypedef unsigned (*fw_filter_fn)(const void *, const unsigned char *, unsigned, unsigned)
    struct fw_filter:
        fw_filter_fn run
        const void *programs[32]
        uint16_t linktypes[32]
        uint32_t count
    struct fw_twins:
        uint32_t copies
    enum: FW_RANGES_MOST, FW_VOUCHED_MOST
    struct fw_range:
        uint64_t first_hi
    struct fw_ranges:
        uint32_t count
        fw_range *held
    struct fw_carried:
        fw_ranges named
        uint32_t vouched_count
        uint64_t *vouched
    struct fw_points:
        pass
    struct fw_frame:
        const uint8_t *data
        uint64_t ts_ns
        uint32_t caplen, len
        uint16_t linktype
    void fw_walker_init(fw_walker *)
    uint32_t fw_frame_hashes(fw_walker *, const fw_key *, const uint8_t *, size_t, size_t, uint64_t *, uint64_t *, uint32_t)
    void fw_batch_clear(fw_batch *)
    uint32_t fw_batch_merge(fw_batch *, fw_batch **, uint32_t *, uint32_t)
    size_t fw_batch_texts(const fw_batch *)
    void fw_batch_save(const fw_batch *, fw_message *, uint8_t *)
    int fw_batch_load(fw_batch *, const uint8_t *, size_t, fw_hasher *, const char **)
    enum: FW_HELLO_TEXT, FW_HELLO_MOST, FW_SEALED_MOST, FW_SEALED_BYTES
    struct fw_hello_seen:
        uint8_t transport
    struct fw_hellos:
        fw_key key
        uint64_t whole, sealed, broken, cut, unfinished, missed
        uint32_t weight, open, count, room, text_size, text_room
        fw_hello_seen *seen
        uint8_t *texts
    int fw_hellos_add(fw_hellos *, const fw_packet *, uint32_t, int, const uint8_t *, uint32_t)
    void fw_hellos_drained(fw_hellos *)
    struct fw_segment:
        uint64_t flow
    struct fw_segments:
        fw_walker walker
        uint64_t secrets, secrets_size
        size_t need
    void fw_segments_init(fw_segments *, const fw_key *)
    int fw_segments_list(fw_segments *, const uint8_t *, size_t, size_t *, fw_segment *, uint32_t, uint32_t *)
    struct fw_addr:
        uint64_t hi, lo
    struct fw_hosts:
        uint64_t count
        const fw_addr *held
    struct fw_decoder:
        fw_hasher hasher
        fw_walker walker
        fw_filter filter
        fw_frame frame
        uint64_t offset, frames, bytes, filtered, first_ns, last_ns, need, since_ns, last_allowed_ns, duplicates
        uint64_t unwanted_first_ns, unwanted_last_ns
        fw_twins *twins
        fw_ranges *named
        fw_points *points
        uint64_t elsewhere
        fw_hellos *hellos
        fw_hosts only
        uint64_t rejected[6]
        uint16_t unread_type
        uint64_t tunnelled[11]
        uint32_t linktype_count
        uint16_t linktypes[8]
    void fw_decoder_init(fw_decoder *, const fw_key *)
    int fw_decoder_fill(fw_decoder *, const uint8_t *, size_t, size_t *, fw_batch *)

    struct fw_heavy_count:
        uint64_t pair_hash
    struct fw_topk:
        uint64_t evicted
    uint32_t fw_topk_used(const fw_topk *t)
    uint32_t fw_topk_list(const fw_topk *, fw_heavy_count *)
    struct fw_victim:
        uint32_t reference
    struct fw_slot:
        fw_victim v
    struct fw_victims:
        uint32_t touched_count
        uint64_t unslotted, evicted
    struct fw_held:
        pass
    struct fw_helds:
        uint32_t count
    uint32_t fw_held_list(fw_helds *, fw_held *)
    struct fw_engine:
        fw_hellos *hellos
        uint64_t epoch, epoch_packets, epoch_bytes, first_ns, last_ns, gap, late
        uint64_t *epoch_kinds
        int fractions
        uint8_t *total_sources
        fw_topk heavy
        fw_carried carried
        fw_helds held
        fw_victims victims
    void fw_engine_init(fw_engine *)
    uint32_t fw_engine_observe(fw_engine *, const fw_batch *, uint32_t)
    void fw_engine_close_epoch(fw_engine *, const fw_packet *)
    int fw_engine_window_ends(const fw_engine *, const fw_packet *)
    uint64_t fw_engine_gap(const fw_engine *, const fw_packet *)
    struct fw_host:
        uint32_t reference
    uint32_t fw_victim_hosts(const fw_victims *, fw_host *)
    void fw_victim_sources(const fw_victims *, const uint32_t *, uint32_t, unsigned, uint8_t *)
    uint32_t fw_victim_select(fw_victims *, uint32_t, fw_slot **)
    void fw_victim_copy(fw_slot **, uint32_t, fw_victim *)

cdef extern from "fw_keys.h" nogil:
    enum fw_keys_form: FW_KEYS_WORDS, FW_KEYS_ROWS, FW_KEYS_PADDED, FW_KEYS_HASHED
    struct fw_keys:
        const void *base
        size_t count, width
        fw_keys_form form
    struct fw_kernels:
        const char *name
    const fw_kernels *fw_cpu()
    uint64_t fw_siphash13(const fw_key *, const uint64_t *, unsigned)
    uint64_t fw_hash_bytes(const fw_key *, const uint8_t *, size_t)

cdef extern from "fw_grid.h" nogil:
    enum: FW_GRID_MAX_DEPTH, FW_GRID_MAX_WIDTH
    struct fw_grid:
        uint64_t *cells
        uint64_t total
        uint32_t depth, width
        uint8_t conservative
    void fw_grid_init(fw_grid *, uint64_t *, uint32_t, uint32_t, int)
    int fw_grid_update(fw_grid *, const fw_key *, const fw_keys *, const uint64_t *, uint64_t)
    void fw_grid_query(const fw_grid *, const fw_key *, const fw_keys *, uint64_t *)
    int fw_grid_merge(fw_grid *, const fw_grid *)
    int fw_grid_plausible(const fw_grid *)

cdef extern from "fw_blob.h" nogil:
    enum: FW_BLOB_HEAD, FW_BLOB_TAIL, FW_BLOB_COUNTMIN, FW_BLOB_HLL, FW_BLOB_TOPK
    struct fw_blob:
        uint8_t kind, flags, rank
        uint32_t width
        uint64_t key, total
        const uint8_t *payload
        size_t payload_size
    void fw_blob_head(const fw_blob *, uint8_t *)
    int fw_blob_parse(const uint8_t *, size_t, fw_blob *, const char **)
    int fw_blob_registers_plausible(const uint8_t *, unsigned)

cdef extern from "fw_frequent.h" nogil:
    enum: FW_FREQUENT_KEY, FW_FREQUENT_MAX_K
    enum: FW_KEY_INT, FW_KEY_BYTES, FW_KEY_TEXT, FW_KEY_IPV4, FW_KEY_IPV6
    struct fw_entry:
        uint64_t hash, count
        uint8_t form, size
        uint8_t key[110]
    struct fw_frequent:
        fw_entry *entries
        fw_entry *spare
        uint64_t *scratch
        uint64_t total, offset
        uint32_t k, used, mask
    uint32_t fw_frequent_size(uint32_t)
    int fw_frequent_add(fw_frequent *, const fw_key *, const uint8_t *, uint32_t, uint8_t, uint64_t)
    int fw_frequent_update(fw_frequent *, const fw_key *, const fw_keys *, uint8_t, const uint64_t *, uint64_t)
    uint64_t fw_frequent_count(const fw_frequent *, const fw_key *, const uint8_t *, uint32_t)
    int fw_frequent_merge(fw_frequent *, const fw_key *, const fw_frequent *)
    uint32_t fw_frequent_list(const fw_frequent *, const fw_entry **)
    size_t fw_frequent_saved_size(const fw_entry **, uint32_t)
    void fw_frequent_save(const fw_frequent *, const fw_entry **, uint32_t, uint8_t *)
    const char *fw_frequent_load(fw_frequent *, const fw_key *, const uint8_t *, size_t, uint64_t, const char **)
    void fw_frequent_clear(fw_frequent *)

cdef extern from "fw_hll.h" nogil:
    void fw_hll_update(uint8_t *, unsigned, const fw_key *, const fw_keys *)
    void fw_hll_merge(uint8_t *, const uint8_t *, unsigned)
    double fw_hll_estimate(const uint8_t *, unsigned)

cdef extern from "fw_layout.h" nogil:
    struct fw_field:
        const char *record
        const char *name
        const char *format
        size_t offset, count, itemsize
        const char *what
    struct fw_name:
        const char *name
        const char *what
    const fw_field FW_LAYOUT[]
    const size_t FW_LAYOUT_ROWS
    const fw_name FW_KIND_NAMES[]
    const fw_name FW_CLASS_NAMES[]

cdef extern from "fw_tail.h" nogil:
    struct fw_tail:
        uint8_t *halves[2]
        uint32_t room, budget, most
        uint32_t used[2]
        uint8_t current
    void fw_tail_clear(fw_tail *)

cdef extern from "fw_ring.h" nogil:
    struct fw_ring:
        uint8_t *blocks
        size_t block_size
        uint32_t block_count
        uint64_t frames, damaged
        fw_tail *tail
        uint32_t tail_interface
    int fw_ring_fill(fw_ring *, fw_decoder *, int64_t, fw_batch *)
    uint32_t fw_ring_waiting(const fw_ring *)


cdef inline fw_key secret_key(bytes key) except *:
    cdef fw_key out
    if len(key) != 16:
        raise ValueError("the hash key takes 16 bytes")
    memcpy(&out.k0, <const char *>key, 8)
    memcpy(&out.k1, <const char *>key + 8, 8)
    return out
