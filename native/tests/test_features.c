/* The list of what is counted: rows cover their structs, and an epoch's end clears every counter of a victim. */
#include "../fw_layout.h"
#include "check.h"
#include "make.h"

/* Bytes of one element of a field: of a record, its size. */
static size_t element(const char *format)
{
    for (size_t i = 0; i < FW_LAYOUT_ROWS; i++)
        if (strcmp(FW_LAYOUT[i].record, format) == 0)
            return FW_LAYOUT[i].itemsize;
    const char *digits = strpbrk(format, "1248");
    return digits && digits[1] == 0 ? (size_t)(digits[0] - '0') : 0;
}

/* The fields of a record lie behind each other, with nothing between them but what alignment takes. */
static void test_cover(void)
{
    for (size_t i = 0; i < FW_LAYOUT_ROWS; i++) {
        const struct fw_field *f = &FW_LAYOUT[i], *next = f + 1;
        CHECK(element(f->format) > 0 && f->what[0] != 0);
        size_t end = f->offset + element(f->format) * (f->count ? f->count : 1);
        int last = i + 1 == FW_LAYOUT_ROWS || strcmp(next->record, f->record) != 0;
        size_t following = last ? f->itemsize : next->offset;
        if (strcmp(f->record, "struct fw_packet") != 0) /* of a packet not everything is shown */
            CHECK(end <= following && following - end < 8);
    }
    CHECK_EQUAL(sizeof FW_KIND_NAMES / sizeof FW_KIND_NAMES[0], FW_KINDS);
    CHECK_EQUAL(sizeof FW_CLASS_NAMES / sizeof FW_CLASS_NAMES[0], FW_CLASSES);
}

/* Is a field of a victim all zero? */
static int empty(const struct fw_victim *v, const struct fw_field *f)
{
    const uint8_t *at = (const uint8_t *)v + f->offset;
    for (size_t i = 0; i < element(f->format) * (f->count ? f->count : 1); i++)
        if (at[i])
            return 0;
    return 1;
}

static void test_epoch_clears_all(struct fw_victims *t)
{
    struct fw_packet p = packet(FW_SYN, 1, 2, 3, 80);
    struct fw_slot *s = fw_victim_admit(t, p.dst_hash, &p.dst);
    fw_victim_in(t, s, &p, NULL, p.src_hash);
    memset((uint8_t *)&s->v + sizeof s->v.address, 0xff, sizeof s->v - sizeof s->v.address);
    s->wrote = 0xff;
    fw_victim_close_epoch(t, 0);
    for (size_t i = 2; i < FW_LAYOUT_ROWS && strcmp(FW_LAYOUT[i].record, "struct fw_victim") == 0; i++)
        CHECK(empty(&s->v, &FW_LAYOUT[i]));
    CHECK(s->v.address.lo == p.dst.lo);
}

int main(void)
{
    struct fw_victims *victims = calloc(1, sizeof *victims);
    if (!victims)
        return 2;
    test_cover();
    test_epoch_clears_all(victims);
    free(victims);
    return finish("features");
}
