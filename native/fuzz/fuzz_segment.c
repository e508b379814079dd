/* A capture: where its segments lie, in lists of any length. */
#include "../fw_segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST 7u

static struct fw_segments segments;
static struct fw_segment list[MOST];
static const struct fw_key KEY = {1, 2};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t pos = 0, end = 0;
    uint32_t n = 0;
    int rc;
    fw_segments_init(&segments, &KEY);
    do {
        rc = fw_segments_list(&segments, data, size, &pos, list, MOST, &n);
        if (pos > size || n > MOST || (segments.secrets_size && segments.secrets + segments.secrets_size > pos))
            __builtin_trap();
        for (uint32_t i = 0; i < n; i++) {
            const struct fw_segment *s = &list[i];
            if (s->record < end || s->frame > s->ip || s->ip >= s->payload || s->record + s->size > pos ||
                s->payload + s->captured > s->size || s->captured > s->wire)
                __builtin_trap();
            end = s->record + s->size;
        }
    } while (rc == 0);
    return 0;
}
