/* statistics: what tests of random behaviour share. */
#include "lib/statistics.h"

#include <math.h>
#include <stdlib.h>

#define ALPHA 1e-6
#define Z     4.753424 /* the standard normal exceeds it with probability 1e-6 */

static double binomial(uint64_t n, double p, uint64_t k)
{
    return exp(lgamma((double)n + 1) - lgamma((double)k + 1) -
               lgamma((double)(n - k) + 1) + (double)k * log(p) +
               (double)(n - k) * log1p(-p));
}

/* Adds up the tails from outside, starting where there is nothing yet. */
struct region region_of(uint64_t n, double p, double alpha)
{
    if (p <= 0 || p >= 1)
        return (struct region){ p >= 1 ? n : 0, p >= 1 ? n : 0 };
    double centre = (double)n * p, reach = 12 * sqrt(centre * (1 - p)) + 60;
    uint64_t low = centre > reach ? (uint64_t)(centre - reach) : 0;
    uint64_t high = centre + reach < (double)n ? (uint64_t)(centre + reach) : n;
    double tail = 0;
    while (tail + binomial(n, p, low) <= alpha / 2)
        tail += binomial(n, p, low++);
    tail = 0;
    while (tail + binomial(n, p, high) <= alpha / 2)
        tail += binomial(n, p, high--);
    return (struct region){ low, high };
}

struct region region_binomial(uint64_t n, double p)
{
    return region_of(n, p, ALPHA);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double ks_distance(double *samples, size_t n, double (*cdf)(double x, const void *user),
                   const void *user)
{
    double distance = 0;
    qsort(samples, n, sizeof(*samples), by_value);
    for (size_t i = 0; i < n; i++) {
        double f = cdf(samples[i], user);
        distance = fmax(distance,
                        fmax(f - (double)i / (double)n, (double)(i + 1) / (double)n - f));
    }
    return distance;
}

/* From the first term of Kolmogorov's series, 2 exp(-2 n D^2): 2.69 / sqrt(n). */
double ks_limit(size_t n)
{
    return sqrt(log(2 / ALPHA) / 2 / (double)n);
}

double chi_square(const double *observed, const double *expected, size_t bins,
                  double *freedom)
{
    double sum = 0, o = 0, e = 0, left = 0;
    *freedom = -1;
    for (size_t i = 0; i < bins; i++)
        left += expected[i];
    for (size_t i = 0; i < bins; i++) {
        o += observed[i];
        e += expected[i];
        left -= expected[i];
        if (e < 5 || (left < 5 && i + 1 < bins))
            continue;
        sum += (o - e) * (o - e) / e;
        *freedom += 1;
        o = e = 0;
    }
    return sum;
}

/* Wilson and Hilferty: the cube root is nearly normal. */
double chi_square_limit(double freedom)
{
    double spread = 2 / (9 * freedom);
    return freedom * pow(1 - spread + Z * sqrt(spread), 3);
}

uint64_t statistics_seed(uint64_t fixed)
{
    const char *text = getenv("SELFTEST_SEED");
    return text ? fixed + 1000003 * strtoull(text, NULL, 10) : fixed;
}

double mean_of(const double *samples, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += samples[i];
    return sum / (double)n;
}

double deviation_of(const double *samples, size_t n)
{
    double mean = mean_of(samples, n), sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (samples[i] - mean) * (samples[i] - mean);
    return sqrt(sum / (double)n);
}

double correlation_of(const double *samples, size_t n, size_t lag)
{
    double mean = mean_of(samples, n), deviation = deviation_of(samples, n), sum = 0;
    for (size_t i = 0; i + lag < n; i++)
        sum += (samples[i] - mean) * (samples[i + lag] - mean);
    return sum / (double)(n - lag) / (deviation * deviation);
}
