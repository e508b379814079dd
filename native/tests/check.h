/* The whole test harness: CHECK counts, guarded() puts the input flush against a page that faults. */
#ifndef FW_TESTS_CHECK_H
#define FW_TESTS_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define GUARD_PAGE 4096u

static unsigned long checks, failures;

#define CHECK(condition)                                                                  \
    do {                                                                                  \
        checks++;                                                                         \
        if (!(condition) && ++failures <= 20)                                             \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);       \
    } while (0)

/* Like CHECK(a == b) for integers, and says what they were. */
#define CHECK_EQUAL(a, b)                                                                 \
    do {                                                                                  \
        long long left_ = (long long)(a), right_ = (long long)(b);                        \
        checks++;                                                                         \
        if (left_ != right_ && ++failures <= 20)                                          \
            fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #a, left_, right_); \
    } while (0)

/* Two pages, the second without access; the n (at most 4,096) bytes end where the second begins. One buffer
 * a program: the next call overwrites it. */
static inline uint8_t *guarded(const void *bytes, size_t n)
{
    static uint8_t *pages;
    if (!pages) {
        pages = mmap(NULL, 2 * GUARD_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED || mprotect(pages + GUARD_PAGE, GUARD_PAGE, PROT_NONE) != 0)
            exit(2);
    }
    if (n > GUARD_PAGE)
        exit(2);
    if (n)
        memcpy(pages + GUARD_PAGE - n, bytes, n);
    return pages + GUARD_PAGE - n;
}

static inline int finish(const char *name)
{
    printf("%-8s %9lu checks, %lu failed\n", name, checks, failures);
    return failures != 0;
}

#endif
