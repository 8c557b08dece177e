/* histogram: what is not done for every record.
 *
 * A reader of shared memory may find count and buckets one record apart, so quantiles
 * count the buckets themselves and always end inside the array.
 */
#include "lib/histogram.h"

#include <math.h>
#include <string.h>

void histogram_clear(struct histogram *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    if (from->count == 0)
        return;
    if (into->count == 0 || from->min < into->min)
        into->min = from->min;
    if (from->max > into->max)
        into->max = from->max;
    into->count += from->count;
    if (__builtin_add_overflow(into->sum, from->sum, &into->sum))
        into->sum = UINT64_MAX;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->count ? (double)histogram->sum / (double)histogram->count : 0;
}

/* The how-manieth record the share q means: at least the first, at most the last. */
static uint64_t rank_of(double q, uint64_t count)
{
    if (!(q > 0))
        return 1;
    double rank = ceil(q * (double)count);
    if (rank < 1)
        return 1;
    return rank < (double)count ? (uint64_t)rank : count;
}

uint64_t histogram_quantile(const struct histogram *histogram, double q)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        count += histogram->buckets[i];
    if (count == 0)
        return 0;

    uint64_t rank = rank_of(q, count), seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= rank)
            return histogram_limit(i) < histogram->max ? histogram_limit(i)
                                                       : histogram->max;
    }
    return histogram->max;
}
