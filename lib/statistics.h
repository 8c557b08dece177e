/* statistics: what tests of random behaviour share.
 *
 *   region_binomial       counts that a right implementation gives but once in a million
 *   ks_distance           Kolmogorov-Smirnov distance of samples from a law
 *   ks_limit              the distance that is exceeded once in a million
 *   chi_square            of counts against expectations, rare bins merged
 *   chi_square_limit      the value that is exceeded once in a million
 *   mean_of, deviation_of, correlation_of
 *   statistics_seed       of a test: fixed, unless SELFTEST_SEED=n asks for others
 *
 * Tests have fixed seeds, so they pass always or never; `make check-nightly` gives them others.
 * The regions say what may pass: a
 * test also shows that they reject half and twice the parameter, or the law next door.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct region {
    uint64_t low, high; /* both within */
};

/* Exact and two-sided: each tail has at most half of 1e-6. */
struct region region_binomial(uint64_t n, double p);

/* The same for a false alarm in 1/alpha. */
struct region region_of(uint64_t n, double p, double alpha);

static inline bool region_contains(struct region region, uint64_t count)
{
    return count >= region.low && count <= region.high;
}

/* Sorts samples. cdf gives the law. */
double ks_distance(double *samples, size_t n, double (*cdf)(double x, const void *user),
                   const void *user);
double ks_limit(size_t n);

/* Bins with less than 5 expected are merged into their successors; *freedom is the number
 * of those left, less one. */
double chi_square(const double *observed, const double *expected, size_t bins,
                  double *freedom);
double chi_square_limit(double freedom);

double mean_of(const double *samples, size_t n);
double deviation_of(const double *samples, size_t n);

/* fixed, or a function of it and of the environment variable SELFTEST_SEED. */
uint64_t statistics_seed(uint64_t fixed);

/* Of samples that are lag apart. */
double correlation_of(const double *samples, size_t n, size_t lag);
