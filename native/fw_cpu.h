/* The run-time kernel table: which instruction set hashes batches of keys.
 *
 * One loop, compiled three times (scalar, AVX2, AVX-512): the compiler turns it into 4 or 8 SipHashes side by side,
 * 2.2 and 4.1 times the scalar rate here. All give the same bits. The table is filled once, when the library is
 * loaded, from what the processor has; FLOODWATCH_CPU=scalar|avx2|avx512 in the environment asks for less. */
#ifndef FW_CPU_H
#define FW_CPU_H

#include "fw_hash.h"

struct fw_kernels {
    const char *name;
    /* out[i] = SipHash-1-3 of the word words[i]. */
    void (*hash_words)(const struct fw_key *key, const uint64_t *words, size_t n, uint64_t *restrict out);
};

/* The kernels in use. */
const struct fw_kernels *fw_cpu(void);

/* Kernels by name, or NULL if this processor lacks them (or nobody knows the name). */
const struct fw_kernels *fw_cpu_named(const char *name);

#endif
