/* test_random: statistics of the draws, edges of the distributions.
 *
 * Everything is a function of constants: a test here passes always or never. Bounds are
 * at about five standard deviations of what true randomness would give, so that a
 * generator as good as chance meets them all.
 */
#include "selftest/selftest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/random.h"

#define DRAWS 100000

/* Chi-square of 256 buckets has 255 degrees of freedom: deviation sqrt(510) = 22.6. */
static double chi_square(const unsigned *buckets, double draws)
{
    double sum = 0, expected = draws / 256;
    for (int i = 0; i < 256; i++)
        sum += (buckets[i] - expected) * (buckets[i] - expected) / expected;
    return sum;
}

static void assert_uniform(const unsigned *buckets, double draws, const char *what)
{
    double chi = chi_square(buckets, draws);
    ck_assert_msg(fabs(chi - 255) < 6 * 22.6, "%s: chi-square %g", what, chi);
}

/* Correlation of pairs is normal with deviation 1/sqrt(n). */
static double correlation(const struct random_key *x, uint64_t x_from,
                          const struct random_key *y, uint64_t y_from)
{
    double sum = 0;
    for (uint64_t i = 0; i < DRAWS; i++)
        sum += (random_unit(x, x_from + i) - 0.5) * (random_unit(y, y_from + i) - 0.5);
    return sum / DRAWS * 12;
}

static void assert_independent(const struct random_key *x, uint64_t x_from,
                               const struct random_key *y, uint64_t y_from)
{
    double r = correlation(x, x_from, y, y_from) * sqrt(DRAWS);
    ck_assert_msg(fabs(r) < 5, "correlated by %g deviations", r);
    /* Half of the bits of a pair differ, each bit position for itself. */
    unsigned ones[64] = { 0 };
    for (uint64_t i = 0; i < DRAWS; i++) {
        uint64_t both = random_draw(x, x_from + i) ^ random_draw(y, y_from + i);
        for (int bit = 0; bit < 64; bit++)
            ones[bit] += both >> bit & 1;
    }
    for (int bit = 0; bit < 64; bit++)
        ck_assert_msg(fabs(ones[bit] - DRAWS / 2.0) < 5.5 * sqrt(DRAWS) / 2,
                      "bit %d: %u of %d differ", bit, ones[bit], DRAWS);
}

START_TEST(test_bits)
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct random_key key = random_key(seed, "wan", "loss");
        unsigned ones[64] = { 0 };
        for (uint64_t i = 0; i < DRAWS; i++)
            for (int bit = 0; bit < 64; bit++)
                ones[bit] += random_draw(&key, i) >> bit & 1;
        for (int bit = 0; bit < 64; bit++)
            ck_assert_msg(fabs(ones[bit] - DRAWS / 2.0) < 5 * sqrt(DRAWS) / 2,
                          "bit %d: %u of %d", bit, ones[bit], DRAWS);
    }
}
END_TEST

/* Each byte of the draws, for counters that step by 1, by powers of two and by an odd
 * stride. */
START_TEST(test_chi_square)
{
    const uint64_t steps[] = { 1, 1ull << 32, 1000003, 1ull << 47 };
    struct random_key key = random_key(1, "wan", "delay");
    for (int k = 0; k < 4; k++)
        for (int byte = 0; byte < 8; byte++) {
            unsigned buckets[256] = { 0 };
            for (uint64_t i = 0; i < DRAWS; i++)
                buckets[random_draw(&key, i * steps[k]) >> byte * 8 & 255]++;
            assert_uniform(buckets, DRAWS, "byte");
        }
}
END_TEST

START_TEST(test_serial_correlation)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct random_key key = random_key(seed, "", "");
        for (uint64_t lag = 1; lag <= 3; lag++)
            assert_independent(&key, 0, &key, lag);
    }
}
END_TEST

START_TEST(test_streams)
{
    struct random_key key = random_key(7, "wan", "loss");
    struct random_key others[] = {
        random_key(7, "wan", "delay"), random_key(7, "wan", "losr"),
        random_key(7, "lan", "loss"),  random_key(7, "", "wanloss"),
        random_key(7, "wanloss", ""),  random_key(7, "loss", "wan"),
        random_key(6, "wan", "loss"),  random_key(8, "wan", "loss"),
        random_key(~7, "wan", "loss"), random_key(7 | 1ull << 63, "wan", "loss"),
    };
    for (int i = 0; i < 10; i++)
        assert_independent(&key, 0, &others[i], 0);
}
END_TEST

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* 10000 keys that are as alike as can be: no word occurs twice. */
START_TEST(test_keys_differ)
{
    static uint64_t words[20000];
    char name[16];
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(name, sizeof(name), "%u", i % 100);
        struct random_key key = random_key(i / 1000, name, i / 100 % 10 ? "a" : "b");
        if (i / 100 % 10 > 1)
            key = random_key(i / 1000 + i / 100 * 1000, name, "a");
        words[2 * i] = key.a;
        words[2 * i + 1] = key.b;
    }
    qsort(words, 20000, sizeof(words[0]), compare);
    for (int i = 1; i < 20000; i++)
        ck_assert_uint_ne(words[i - 1], words[i]);
}
END_TEST

/* Small seeds have no weak beginnings: the first 1000 draws of each of 101 seeds, and
 * the n-th draw over all seeds. */
START_TEST(test_first_draws)
{
    for (uint64_t seed = 0; seed <= 100; seed++) {
        struct random_key key = random_key(seed, "clumsy", "loss");
        unsigned top[256] = { 0 }, bottom[256] = { 0 };
        for (uint64_t i = 0; i < 1000; i++) {
            top[random_draw(&key, i) >> 56]++;
            bottom[random_draw(&key, i) & 255]++;
        }
        assert_uniform(top, 1000, "top byte of a seed");
        assert_uniform(bottom, 1000, "bottom byte of a seed");
    }
    for (uint64_t i = 0; i < 100; i++) {
        unsigned top[256] = { 0 };
        for (uint64_t seed = 0; seed < 10000; seed++) {
            struct random_key key = random_key(seed, "clumsy", "loss");
            top[random_draw(&key, i) >> 56]++;
        }
        assert_uniform(top, 10000, "draw of all seeds");
    }
}
END_TEST

/* Raw keys of small numbers, without random_key, are the worst case of the draw itself.
 */
START_TEST(test_raw_keys)
{
    for (uint64_t a = 0; a < 10; a++)
        for (uint64_t b = 0; b < 3; b++) {
            struct random_key key = { a, b };
            unsigned buckets[256] = { 0 };
            for (uint64_t i = 0; i < DRAWS; i++)
                buckets[random_draw(&key, i) >> 56]++;
            assert_uniform(buckets, DRAWS, "raw key");
        }
}
END_TEST

/* The numbers are part of the contract: a seed in a bug report means the same everywhere.
 */
START_TEST(test_fixed)
{
    struct random_key key = random_key(42, "wan", "loss");
    ck_assert_uint_eq(random_draw(&key, 0), 0x4c92536e8785df5f);
    ck_assert_uint_eq(random_draw(&key, 1), 0xff89ecf6fde5f790);
}
END_TEST

START_TEST(test_unit)
{
    struct random_key key = random_key(3, "x", "unit");
    double sum = 0, least = 1, most = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        double u = random_unit(&key, i);
        ck_assert_double_eq(u, ldexp((double)(random_draw(&key, i) >> 11), -53));
        sum += u;
        least = fmin(least, u);
        most = fmax(most, u);
    }
    ck_assert_double_ge(least, 0);
    ck_assert_double_lt(most, 1);
    ck_assert_double_eq_tol(sum / DRAWS, 0.5, 5 * sqrt(1 / 12.0 / DRAWS));
}
END_TEST

START_TEST(test_threshold)
{
    ck_assert_uint_eq(random_threshold(0.5).below, 1ull << 63);
    ck_assert_uint_eq(random_threshold(0x1p-64).below, 1);
    ck_assert_uint_eq(random_threshold(0x1p-65).below, 0);
    ck_assert_uint_eq(random_threshold(nextafter(1, 0)).below, 0 - (1ull << 11));
    ck_assert(!random_threshold(nextafter(1, 0)).always);
    ck_assert(random_threshold(1).always);
    ck_assert(random_threshold(INFINITY).always);
    ck_assert(!random_threshold(-1).always && random_threshold(-1).below == 0);
    ck_assert(!random_threshold(NAN).always && random_threshold(NAN).below == 0);
}
END_TEST

static uint64_t unshift(uint64_t z, int by)
{
    uint64_t x = z;
    for (int done = by; done < 64; done += by)
        x = z ^ x >> by;
    return x;
}

static uint64_t inverse(uint64_t odd)
{
    uint64_t x = odd;
    for (int i = 0; i < 6; i++)
        x *= 2 - odd * x;
    return x;
}

/* The index at which a stream draws value: there is exactly one. */
static uint64_t index_of(const struct random_key *key, uint64_t value)
{
    uint64_t z = unshift(unshift(value, 31) * inverse(0x94d049bb133111eb), 27);
    z = unshift((z - key->b) * inverse(0xbf58476d1ce4e5b9), 30);
    return (z - key->a) * inverse(RANDOM_GAMMA);
}

/* The draws 0 and UINT64_MAX are where off-by-ones live. */
START_TEST(test_chance_exact)
{
    struct random_key key = random_key(5, "x", "chance");
    struct random_threshold never = random_threshold(0), always = random_threshold(1);
    uint64_t least = index_of(&key, 0), most = index_of(&key, UINT64_MAX);

    ck_assert_uint_eq(random_draw(&key, least), 0);
    ck_assert_uint_eq(random_draw(&key, most), UINT64_MAX);
    ck_assert(!random_chance(&key, least, never));
    ck_assert(random_chance(&key, most, always));
    ck_assert(random_chance(&key, least, random_threshold(0x1p-64)));
    ck_assert(!random_chance(&key, index_of(&key, 1), random_threshold(0x1p-64)));
    ck_assert_double_eq(random_unit(&key, least), 0);
    ck_assert_double_lt(random_unit(&key, most), 1);
    ck_assert(isfinite(random_normal(&key, least)));
    ck_assert_double_eq(random_normal(&key, least), -random_normal(&key, most));
    for (uint64_t i = 0; i < DRAWS; i++) {
        ck_assert(!random_chance(&key, i, never));
        ck_assert(random_chance(&key, i, always));
    }
}
END_TEST

START_TEST(test_chance_rate)
{
    const double rates[] = { 0.001, 0.015, 0.5, 0.9, 0.9999 };
    struct random_key key = random_key(5, "x", "rate");
    for (int k = 0; k < 5; k++) {
        struct random_threshold threshold = random_threshold(rates[k]);
        double p = rates[k], hits = 0;
        for (uint64_t i = 0; i < DRAWS; i++)
            hits += random_chance(&key, i, threshold);
        ck_assert_double_eq_tol(hits, p * DRAWS, 5 * sqrt(p * (1 - p) * DRAWS));
    }
}
END_TEST

START_TEST(test_normal)
{
    struct random_key key = random_key(9, "x", "normal");
    double sum = 0, squares = 0, cubes = 0;
    unsigned buckets[256] = { 0 };
    for (uint64_t i = 0; i < DRAWS; i++) {
        double x = random_normal(&key, i);
        sum += x;
        squares += x * x;
        cubes += x * x * x;
        buckets[(unsigned)(normal_cdf(x) * 256)]++;
    }
    ck_assert_double_eq_tol(sum / DRAWS, 0, 5 / sqrt(DRAWS));
    ck_assert_double_eq_tol(squares / DRAWS, 1, 5 * sqrt(2.0 / DRAWS));
    ck_assert_double_eq_tol(cubes / DRAWS, 0, 5 * sqrt(15.0 / DRAWS));
    assert_uniform(buckets, DRAWS, "normal");
}
END_TEST

/* Published values of the distribution. */
START_TEST(test_known_quantiles)
{
    ck_assert_double_eq(normal_cdf(0), 0.5);
    ck_assert_double_eq_tol(normal_cdf(1.959963984540054), 0.975, 1e-15);
    ck_assert_double_eq(normal_quantile(0.5), 0);
    ck_assert_double_eq_tol(normal_quantile(0.975), 1.959963984540054, 1e-10);
    ck_assert_double_eq_tol(normal_quantile(0.99), 2.326347874040841, 1e-10);
    ck_assert_double_eq_tol(normal_quantile(0.75), 0.6744897501960817, 1e-11);
    ck_assert_double_eq_tol(normal_quantile(1e-9), -5.997807015007686, 1e-10);
    ck_assert_double_eq_tol(normal_quantile(0.025), -normal_quantile(0.975), 1e-13);
    ck_assert(normal_quantile(0) == -INFINITY && normal_quantile(-1) == -INFINITY);
    ck_assert(normal_quantile(1) == INFINITY && normal_quantile(2) == INFINITY);
    ck_assert(isnan(normal_quantile(NAN)));
}
END_TEST

/* There and back. Above 5 a double next to 1 no longer says where it came from. */
START_TEST(test_round_trip)
{
    double before = -INFINITY;
    for (int i = -37000; i <= 5000; i++) {
        double x = i / 1000.0, back = normal_quantile(normal_cdf(x));
        ck_assert_double_eq_tol(back, x, 1e-11 * fabs(x) + (x > 3 ? 1e-10 : 1e-15));
        ck_assert_double_gt(back, before);
        before = back;
    }
    ck_assert_double_eq_tol(normal_quantile(0x1p-1074), -38.4674, 1e-3);
}
END_TEST

static Suite *suite_random(void)
{
    Suite *suite = suite_create("random");
    TCase *draws = tcase_create("draws");
    tcase_set_timeout(draws, 60); /* sanitizers on a slow machine */
    tcase_add_test(draws, test_bits);
    tcase_add_test(draws, test_chi_square);
    tcase_add_test(draws, test_serial_correlation);
    tcase_add_test(draws, test_streams);
    tcase_add_test(draws, test_keys_differ);
    tcase_add_test(draws, test_first_draws);
    tcase_add_test(draws, test_raw_keys);
    tcase_add_test(draws, test_fixed);
    suite_add_tcase(suite, draws);
    TCase *distributions = tcase_create("distributions");
    tcase_add_test(distributions, test_unit);
    tcase_add_test(distributions, test_threshold);
    tcase_add_test(distributions, test_chance_exact);
    tcase_add_test(distributions, test_chance_rate);
    tcase_add_test(distributions, test_normal);
    tcase_add_test(distributions, test_known_quantiles);
    tcase_add_test(distributions, test_round_trip);
    suite_add_tcase(suite, distributions);
    return suite;
}

SUITE(random)
