/* ClientHellos: [ transport u8 | body ], and segments: [ u8 flow and way | u8 length | u16 place | bytes ] ... */
#include "../fw_hellos.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM 64u

static struct fw_hellos hellos;
static struct fw_hello_seen seen[ROOM];
static uint8_t texts[ROOM * FW_HELLO_TEXT];

static void parse(const uint8_t *data, uint32_t size, int transport)
{
    static struct fw_hello h;
    if (fw_hello_parse(data, size, transport, &h) != 0)
        return;
    if (2u * ((uint32_t)h.ciphers + h.extensions + h.algorithms) > size || h.name_length > FW_HELLO_NAME)
        __builtin_trap();
    if (h.name_length && (h.name < data || h.name + h.name_length > data + size || !h.named))
        __builtin_trap();
}

static void check(void)
{
    uint32_t at = 0, open = 0;
    if (hellos.count > ROOM || hellos.text_size > sizeof texts || hellos.open > FW_HELLO_SLOTS)
        __builtin_trap();
    for (uint32_t i = 0; i < hellos.count; i++) {
        const struct fw_hello_seen *s = &seen[i];
        if (s->at != at || (!s->sealed && s->size != 2u * ((uint32_t)s->ciphers + s->extensions + s->algorithms) + s->name_length))
            __builtin_trap();
        at += s->size;
    }
    for (uint32_t i = 0; i < FW_HELLO_SLOTS; i++)
        open += hellos.slots[i].opened != 0;
    if (at != hellos.text_size || open != hellos.open)
        __builtin_trap();
    fw_hellos_drained(&hellos);
}

static void segments(const uint8_t *data, size_t size)
{
    for (size_t at = 0; size - at > 4;) {
        uint8_t flow = data[at];
        uint32_t n = fw_min32((uint32_t)data[at + 1] << (flow & 3u), (uint32_t)(size - at - 4));
        struct fw_packet p = {.sender_hash = flow >> 3, .seq = fw_load16(data + at + 2), .sport = 7};
        p.captured = (uint16_t)n;
        p.payload = n + (flow == 255);
        p.kind = flow & 4 ? FW_UDP : FW_DATA;
        fw_hellos_take(&hellos, &p, data + at + 4, (uint32_t)at);
        at += 4 + n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int transports[3] = {FW_HELLO_TLS, FW_HELLO_DTLS, FW_HELLO_QUIC};
    if (size < 1 || size > 65536)
        return 0;
    parse(data + 1, (uint32_t)size - 1, transports[data[0] % 3]);
    memset(&hellos, 0, sizeof hellos);
    hellos.room = ROOM;
    hellos.text_room = sizeof texts;
    hellos.seen = seen;
    hellos.texts = texts;
    segments(data, size);
    check();
    return 0;
}
