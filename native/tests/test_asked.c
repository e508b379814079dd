/* Bounds of requests that are told from lengths. */
#include "check.h"

#include "../fw_asked.h"

static struct fw_asked a;
static struct fw_bounds b;

/* A turn with one record, or so many, and its answer in so many records of a hundred bytes. */
static void turn(uint32_t bytes, uint32_t records, uint32_t answers)
{
    fw_asked_open(&a, bytes, &b);
    fw_asked_more(&a, records - 1, bytes * (records - 1), &b);
    fw_asked_answer(&a, answers, 0);
    fw_asked_end(&a, 100 * answers);
}

static void fresh(int framed)
{
    a = (struct fw_asked){.turns = framed ? 0 : FW_ASKED_SETTLED, .framed = (uint8_t)framed};
    b = (struct fw_bounds){0, 0};
}

/* So many requests lie within bounds that are no wider than a factor of 4. */
static void holds(uint32_t requests)
{
    CHECK(b.least <= requests * FW_ASKED_PART && requests * FW_ASKED_PART <= b.most);
    CHECK(b.most <= 4 * b.least);
}

int main(void)
{
    fresh(0); /* HTTP/1.1: a turn, whatever its length and its body */
    for (uint32_t i = 0; i < 100; i++)
        turn(50 + 20 * i, 1 + i % 3, 1 + i % 4);
    holds(100);
    CHECK(b.most < 2 * b.least);

    fresh(1); /* HTTP/2: one a turn, of various lengths */
    for (uint32_t i = 0; i < 100; i++)
        turn(40 + i % 15, 1, 1 + i % 2);
    holds(100);

    fresh(1); /* packed: the shortest is one request */
    for (uint32_t i = 0; i < 100; i++)
        turn(20 * (1 + i % 9), 1, 1);
    holds(496);

    fresh(1); /* packed, always as many: the answers tell */
    for (uint32_t i = 0; i < 100; i++)
        turn(160, 1, 10);
    holds(1000);

    fresh(1); /* record by record */
    for (uint32_t i = 0; i < 100; i++)
        turn(40, 10, 10);
    holds(1000);

    fresh(1); /* a body behind each, by chance as long */
    for (uint32_t i = 0; i < 100; i++)
        turn(40, 2, 1);
    holds(100);

    fresh(1); /* long answers in many records are one each */
    for (uint32_t i = 0; i < 100; i++) {
        fw_asked_open(&a, 50, &b);
        fw_asked_answer(&a, 40, 0);
        fw_asked_end(&a, 40 * 1400);
    }
    holds(100);

    static const uint32_t packs[] = {7, 3, 12, 1, 5, 9, 2, 11, 4, 6, 10, 8};
    fresh(1); /* ever other numbers of the same: the preface is soon outvoted */
    turn(33, 1, 1);
    for (uint32_t i = 0; i < 36; i++) {
        turn(39 * packs[i % 12] + i % 2, 1, 1);
        CHECK(i < 18 || fw_asked_times(&a) == packs[i % 12]);
    }
    fresh(1); /* requests of many lengths are each one */
    for (uint32_t i = 0, x = 1; i < 4000; i++) {
        x = x * 1103515245u + 12345u;
        turn(40 + (x >> 16) % 400, 1, 1);
        CHECK(fw_asked_times(&a) == 1);
    }

    fresh(0);
    for (uint32_t i = 0; i < 100; i++) { /* a connection for each: the preface of HTTP/2 may be a turn of its own */
        a = (struct fw_asked){0};
        turn(64, 1, 1);
        if (i & 1)
            turn(50, 1, 1);
    }
    holds(100);

    fresh(0);
    fw_asked_answer(&a, 1, 1);
    CHECK(a.framed); /* who acknowledges SETTINGS speaks HTTP/2 */
    for (uint32_t i = 0; i < 1000; i++) { /* lengths that lie */
        fw_asked_open(&a, i % 3 ? UINT32_MAX : 0, &b);
        fw_asked_more(&a, 255, UINT32_MAX, &b);
        fw_asked_end(&a, UINT32_MAX);
        CHECK(b.least <= b.most);
        b = (struct fw_bounds){0, 0};
    }
    return finish("asked");
}
