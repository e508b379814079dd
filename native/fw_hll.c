#include "fw_hll.h"

#include <math.h>

void fw_hll_update(uint8_t *registers, unsigned p, const struct fw_key *key, const struct fw_keys *keys)
{
    uint64_t room[FW_KEYS_STEP];
    for (size_t from = 0; from < keys->count; from += FW_KEYS_STEP) {
        size_t n = keys->count - from < FW_KEYS_STEP ? keys->count - from : FW_KEYS_STEP;
        const uint64_t *hashes = fw_keys_hash(key, keys, from, n, room);
        for (size_t i = 0; i < n; i++)
            fw_hll_add(registers, p, hashes[i]);
    }
}

void fw_hll_merge(uint8_t *into, const uint8_t *other, unsigned p)
{
    size_t m = (size_t)1 << p;
    for (size_t i = 0; i < m; i++)
        into[i] = into[i] > other[i] ? into[i] : other[i];
}

/* sigma and tau of Ertl 2017, section 3.3: the corrections for small and for saturated registers. */
static double sigma(double x)
{
    if (x == 1.0)
        return INFINITY;
    double y = 1.0, z = x, previous;
    do {
        x *= x;
        previous = z;
        z += x * y;
        y += y;
    } while (z != previous);
    return z;
}

static double tau(double x)
{
    if (x == 0.0 || x == 1.0)
        return 0.0;
    double y = 1.0, z = 1.0 - x, previous;
    do {
        x = sqrt(x);
        previous = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
    } while (z != previous);
    return z / 3.0;
}

double fw_hll_estimate(const uint8_t *registers, unsigned p)
{
    double m = (double)((size_t)1 << p);
    unsigned q = 64 - p;
    uint32_t histogram[66] = {0};
    for (size_t i = 0; i < (size_t)1 << p; i++)
        histogram[registers[i] <= q + 1 ? registers[i] : q + 1]++;
    double z = m * tau(1.0 - histogram[q + 1] / m);
    for (unsigned k = q; k >= 1; k--)
        z = 0.5 * (z + histogram[k]);
    z += m * sigma(histogram[0] / m);
    return m * m / (2.0 * 0.693147180559945309417) / z;
}
