#include "fw_cpu.h"

#include <stdlib.h>

static inline __attribute__((always_inline)) void hash_words(const struct fw_key *key, const uint64_t *words, size_t n,
                                                             uint64_t *restrict out)
{
    const struct fw_key k = *key; /* a copy, so that no store can change it */
    for (size_t i = 0; i < n; i++)
        out[i] = fw_siphash13(&k, &words[i], 1);
}

static void hash_words_scalar(const struct fw_key *key, const uint64_t *words, size_t n, uint64_t *restrict out)
{
    hash_words(key, words, n, out);
}

static const struct fw_kernels SCALAR = {"scalar", hash_words_scalar};

#ifdef __x86_64__
__attribute__((target("avx2"))) static void hash_words_avx2(const struct fw_key *key, const uint64_t *words, size_t n,
                                                            uint64_t *restrict out)
{
    hash_words(key, words, n, out);
}

#ifdef __clang__ /* has no such option for one function, and chooses the width itself */
#define WIDE "avx512f,avx512dq,avx512vl"
#else
#define WIDE "avx512f,avx512dq,avx512vl,prefer-vector-width=512"
#endif

__attribute__((target(WIDE))) static void hash_words_avx512(const struct fw_key *key, const uint64_t *words, size_t n,
                                                            uint64_t *restrict out)
{
    hash_words(key, words, n, out);
}

static const struct fw_kernels AVX2 = {"avx2", hash_words_avx2}, AVX512 = {"avx512", hash_words_avx512};
#endif

const struct fw_kernels *fw_cpu_named(const char *name)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    if (strcmp(name, "avx512") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                       __builtin_cpu_supports("avx512vl")
                   ? &AVX512
                   : NULL;
    if (strcmp(name, "avx2") == 0)
        return __builtin_cpu_supports("avx2") ? &AVX2 : NULL;
#endif
    return strcmp(name, "scalar") == 0 ? &SCALAR : NULL;
}

static const struct fw_kernels *chosen = &SCALAR;

__attribute__((constructor)) static void choose(void)
{
    const char *wish = getenv("FLOODWATCH_CPU"), *best[] = {"avx512", "avx2", "scalar"};
    const struct fw_kernels *found = wish ? fw_cpu_named(wish) : NULL;
    for (unsigned i = 0; !found && i < 3; i++)
        found = fw_cpu_named(best[i]);
    chosen = found;
}

const struct fw_kernels *fw_cpu(void) { return chosen; }
