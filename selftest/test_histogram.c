/* test_histogram: buckets, quantiles, extremes. */
#include "selftest/selftest.h"

#include <string.h>

#include "lib/histogram.h"

static struct histogram histogram;

static void setup(void)
{
    histogram_clear(&histogram);
}

/* Every bucket starts where the one before ends, and none is wider than 1/16. */
START_TEST(test_buckets)
{
    uint64_t first = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t last = histogram_limit(i);
        ck_assert_uint_ge(last, first);
        ck_assert_uint_eq(histogram_bucket(first), i);
        ck_assert_uint_eq(histogram_bucket(last), i);
        ck_assert_uint_le(last - first, first / 16);
        first = last + 1;
    }
    ck_assert_uint_eq(first, 0); /* the last limit was UINT64_MAX */
    ck_assert_uint_eq(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}
END_TEST

START_TEST(test_empty)
{
    static const struct histogram zero;
    ck_assert_mem_eq(&histogram, &zero, sizeof(zero));
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), 0);
    ck_assert_double_eq(histogram_mean(&histogram), 0);
}
END_TEST

START_TEST(test_one_value)
{
    const uint64_t values[] = { 0, 1, 31, 32, 33, 1000000007, 1ull << 63, UINT64_MAX };
    for (int i = 0; i < 8; i++) {
        histogram_clear(&histogram);
        histogram_add(&histogram, values[i]);
        ck_assert_uint_eq(histogram.count, 1);
        ck_assert_uint_eq(histogram.min, values[i]);
        ck_assert_uint_eq(histogram.max, values[i]);
        ck_assert_uint_eq(histogram.sum, values[i]);
        ck_assert_double_eq(histogram_mean(&histogram), (double)values[i]);
        for (double q = -0.5; q <= 1.5; q += 0.25)
            ck_assert_uint_eq(histogram_quantile(&histogram, q), values[i]);
    }
}
END_TEST

/* 1 to 100000: the quantile is known. */
START_TEST(test_quantiles)
{
    uint64_t before = 0;
    for (uint64_t value = 1; value <= 100000; value++)
        histogram_add(&histogram, 100001 - value);
    ck_assert_double_eq(histogram_mean(&histogram), 50000.5);
    ck_assert_uint_eq(histogram.min, 1);
    ck_assert_uint_eq(histogram.max, 100000);
    for (int permille = 0; permille <= 1000; permille++) {
        uint64_t exact = permille ? (uint64_t)permille * 100 : 1;
        uint64_t found = histogram_quantile(&histogram, permille / 1000.0);
        ck_assert_uint_ge(found, exact);
        ck_assert_uint_le(found, exact + exact / 16 + 1);
        ck_assert_uint_ge(found, before);
        before = found;
    }
    ck_assert_uint_eq(before, 100000);
}
END_TEST

/* Small values are exact, and a rank is not off by one. */
START_TEST(test_exact)
{
    for (uint64_t value = 1; value <= 4; value++)
        histogram_add(&histogram, value);
    ck_assert_uint_eq(histogram_quantile(&histogram, 0), 1);
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.25), 1);
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.26), 2);
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), 2);
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.75), 3);
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.76), 4);
    ck_assert_uint_eq(histogram_quantile(&histogram, 1), 4);
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.0 / 0.0), 1);
}
END_TEST

START_TEST(test_extremes)
{
    histogram_add(&histogram, UINT64_MAX);
    histogram_add(&histogram, 0);
    histogram_add(&histogram, UINT64_MAX - 1);
    ck_assert_uint_eq(histogram.count, 3);
    ck_assert_uint_eq(histogram.min, 0);
    ck_assert_uint_eq(histogram.max, UINT64_MAX);
    ck_assert_uint_eq(histogram.sum, UINT64_MAX); /* and not around the corner */
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.1), 0);
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), UINT64_MAX);
}
END_TEST

/* Merging is the same as recording everything in one. */
START_TEST(test_merge)
{
    static struct histogram part[2], empty, whole;
    uint64_t value = 88172645463325252;
    for (int i = 0; i < 20000; i++) {
        value ^= value << 13;
        value ^= value >> 7;
        value ^= value << 17;
        histogram_add(&part[i % 2], 3 + (value >> i % 60 >> 3));
        histogram_add(&whole, 3 + (value >> i % 60 >> 3));
    }
    histogram_merge(&histogram, &empty);
    ck_assert_mem_eq(&histogram, &empty, sizeof(empty));
    histogram_merge(&histogram, &part[0]);
    ck_assert_mem_eq(&histogram, &part[0], sizeof(empty));
    histogram_merge(&histogram, &part[1]);
    histogram_merge(&histogram, &empty);
    ck_assert_mem_eq(&histogram, &whole, sizeof(whole));
}
END_TEST

START_TEST(test_merge_saturates)
{
    static struct histogram other;
    histogram_add(&histogram, UINT64_MAX);
    histogram_add(&other, 5);
    histogram_merge(&histogram, &other);
    ck_assert_uint_eq(histogram.sum, UINT64_MAX);
    ck_assert_uint_eq(histogram.min, 5);
    ck_assert_uint_eq(histogram.count, 2);
}
END_TEST

/* More records than a double can count. */
START_TEST(test_many)
{
    histogram.buckets[3] = UINT64_MAX;
    histogram.max = 3;
    ck_assert_uint_eq(histogram_quantile(&histogram, 1), 3);
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), 3);
}
END_TEST

/* A reader of shared memory: count ahead of the buckets, or buckets of count. */
START_TEST(test_torn)
{
    histogram_add(&histogram, 7);
    histogram.count = 10;
    ck_assert_uint_eq(histogram_quantile(&histogram, 1), 7);
    histogram.count = 0;
    ck_assert_uint_eq(histogram_quantile(&histogram, 1), 7);
    histogram.buckets[7] = 0;
    histogram.count = 1;
    ck_assert_uint_eq(histogram_quantile(&histogram, 1), 0);
}
END_TEST

static Suite *suite_histogram(void)
{
    Suite *suite = suite_create("histogram");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, NULL);
    tcase_add_test(all, test_buckets);
    tcase_add_test(all, test_empty);
    tcase_add_test(all, test_one_value);
    tcase_add_test(all, test_quantiles);
    tcase_add_test(all, test_exact);
    tcase_add_test(all, test_extremes);
    tcase_add_test(all, test_merge);
    tcase_add_test(all, test_merge_saturates);
    tcase_add_test(all, test_many);
    tcase_add_test(all, test_torn);
    suite_add_tcase(suite, all);
    return suite;
}

SUITE(histogram)
