/* histogram: how often which values occurred, log-linear, in fixed memory.
 *
 *   histogram_add         record one value
 *   histogram_clear       forget everything
 *   histogram_merge       add another histogram's records
 *   histogram_mean        arithmetic mean
 *   histogram_quantile    the value that a share q of the records does not exceed
 *   histogram_bucket      the bucket of a value
 *   histogram_limit       the largest value of a bucket
 *
 * Values are any uint64_t: nanoseconds, lengths, counts. Below 32 each has a bucket of
 * its own; above, every power of two is cut into 16 buckets of equal width, so that no
 * bucket is wider than 1/16 of its smallest value.
 *
 *     value    0 1 2 ... 31 | 32-33 34-35 ... 62-63 | 64-67 ... 124-127 | ...
 *     bucket   0 1 2 ... 31 |  32    33   ...  47   |  48   ...   63    | ... 975
 *
 * The struct consists of uint64_t words only and all zeros is the empty histogram: it can
 * live in a freshly mapped shared file. One writer; a reader elsewhere may see a record
 * half done, which shifts an answer by that record and does no other harm.
 */
#pragma once

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 4 /* 16 buckets per power of two */
#define HISTOGRAM_BUCKETS  ((65 - HISTOGRAM_SUB_BITS) << HISTOGRAM_SUB_BITS)

struct histogram {
    uint64_t count;
    uint64_t sum; /* stays at UINT64_MAX once it would pass it */
    uint64_t min; /* means something only when count is not 0 */
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

_Static_assert(sizeof(struct histogram) <= 8192, "a histogram fits two pages");

void histogram_clear(struct histogram *histogram);

/* Adds the records of from, which does not change. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/* 0 when empty; too low once the sum has stopped at UINT64_MAX. */
double histogram_mean(const struct histogram *histogram);

/* The limit of the bucket in which the share q (0 to 1, clamped) of all records is
 * reached, or the largest recorded value if that is less: at most 1/16 too high, never
 * too low, never falling as q grows. 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double q);

static inline unsigned histogram_bucket(uint64_t value)
{
    unsigned shift = 63 - HISTOGRAM_SUB_BITS -
                     (unsigned)__builtin_clzll(value | 1u << HISTOGRAM_SUB_BITS);
    return (shift << HISTOGRAM_SUB_BITS) + (unsigned)(value >> shift);
}

/* bucket < HISTOGRAM_BUCKETS. */
static inline uint64_t histogram_limit(unsigned bucket)
{
    unsigned power = bucket >> HISTOGRAM_SUB_BITS;
    unsigned shift = power ? power - 1 : 0;
    uint64_t first = bucket - (shift << HISTOGRAM_SUB_BITS);
    return ((first + 1) << shift) - 1; /* wraps to UINT64_MAX in the last bucket */
}

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
    if (histogram->count++ == 0 || value < histogram->min)
        histogram->min = value;
    if (value > histogram->max)
        histogram->max = value;
    if (__builtin_add_overflow(histogram->sum, value, &histogram->sum))
        histogram->sum = UINT64_MAX;
    histogram->buckets[histogram_bucket(value)]++;
}
