/* test_event: things that happen to a share of the packets, correlated or not. */
#include "selftest/selftest.h"

#include <math.h>
#include <stdlib.h>

#include "apps/clumsy/event.h"
#include "lib/statistics.h"

#define SEED statistics_seed(51)

struct seen {
    double share, lag1, run;
};

static struct seen measure(double p, double c, bool netem, uint64_t n)
{
    struct event event = { 0 };
    uint64_t sum = 0, both = 0, runs = 0;
    bool last = false;
    event_configure(&event, random_key(SEED, "wan", "loss"), p, c, netem);
    for (uint64_t i = 0; i < n; i++) {
        bool now = event_happens(&event, i);
        sum += now;
        both += now && last;
        runs += now && !last;
        last = now;
    }
    double share = (double)sum / (double)n;
    double lag1 = ((double)both / (double)n - share * share) / (share * (1 - share));
    return (struct seen){ share, lag1, (double)sum / (double)runs };
}

/* Share exactly p, correlation of neighbours exactly c, runs of 1 / ((1-p)(1-c)); the variance of
 * the share is that of independent packets times (1+c)/(1-c). */
START_TEST(test_correlated)
{
    enum { N = 1000000 };
    const double shares[] = { 0.003, 0.01, 0.1, 0.5 }, correlations[] = { 0, 0.25, 0.9 };
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 3; k++) {
            double p = shares[i], c = correlations[k];
            double error = sqrt(p * (1 - p) * (1 + c) / (1 - c) / N);
            if (10 * error > p / 2)
                continue; /* N is too small to tell p from its half */
            struct seen seen = measure(p, c, false, N);
            double run = 1 / ((1 - p) * (1 - c)), runs = N * p / run;
            ck_assert_double_lt(fabs(seen.share - p), 5 * error);
            ck_assert_double_gt(fabs(seen.share - p / 2), 5 * error);
            ck_assert_double_gt(fabs(seen.share - 2 * p), 5 * error);
            ck_assert_double_lt(fabs(seen.run - run),
                                5 * run * sqrt((1 - 1 / run + 1e-9) / runs) + 1e-3);
            ck_assert_double_lt(fabs(seen.lag1 - c), 5 * sqrt(4 / (N * p)));
        }
    ck_assert_double_gt(fabs(measure(0.1, 0, false, N).lag1 - 0.25), 0.2); /* control */
}
END_TEST

START_TEST(test_never_and_always)
{
    enum { N = 1000000 };
    for (int netem = 0; netem < 2; netem++) {
        ck_assert_double_eq(measure(0, 0.5, netem, N).share, 0);
        ck_assert_double_eq(measure(1, 0.5, netem, N).share, 1);
    }
    ck_assert_double_eq(measure(1, 0, false, N).share, 1);
}
END_TEST

/* The first packet of many runs has the share, too. */
START_TEST(test_first)
{
    enum { N = 4000 };
    uint64_t seen = 0;
    for (uint64_t i = 0; i < N; i++) {
        struct event event = { 0 };
        event_configure(&event, random_key(SEED + i, "wan", "loss"), 0.3, 0.9, false);
        seen += event_happens(&event, 0);
    }
    ck_assert(region_contains(region_binomial(N, 0.3), seen));
    ck_assert(!region_contains(region_binomial(N, 0.15), seen));
    ck_assert(!region_contains(region_binomial(N, 0.6), seen));
}
END_TEST

/* The table of effective shares, computed elsewhere with 2e8 draws each; and what comes out of the
 * filter itself. */
START_TEST(test_netem)
{
    enum { N = 2000000 };
    static const struct {
        double p, c, effective, within;
    } table[] = {
        { 0.02, 0.25, 0.000057, 0.03 }, { 0.05, 0.25, 0.0019, 0.03 },
        { 0.10, 0.25, 0.0175, 0.01 },   { 0.15, 0.25, 0.0508, 0.01 },
        { 0.30, 0.25, 0.233, 0.01 },    { 0.25, 0.50, 0.0694, 0.01 },
        { 0.20, 0.75, 0.00116, 0.02 },  { 0.50, 0.50, 0.5, 0.001 },
    };
    for (int i = 0; i < 8; i++) {
        double p = table[i].p, c = table[i].c, law = event_netem_share(p, c);
        ck_assert_double_lt(fabs(law / table[i].effective - 1), table[i].within);
        struct seen seen = measure(p, c, true, N);
        /* Runs inflate the variance: by at most (1+c)/(1-c), as far as that is known. */
        double error = sqrt(law * (1 - law) * (1 + c) / (1 - c) / N);
        ck_assert_double_lt(fabs(seen.share - law), 5 * error + 2.0 / N);
        if (law > 0.001 && p != 0.5) /* the plain p is not what comes out */
            ck_assert_double_gt(fabs(seen.share - p), 5 * error);
    }
    ck_assert_double_lt(event_netem_share(0.01, 0.3), 1e-5);
}
END_TEST

/* Another share or correlation under way: which packets it happens to follows from the draw, and
 * the memory stays. */
START_TEST(test_change)
{
    enum { N = 20000 };
    struct event event = { 0 }, plain = { 0 };
    struct random_key key = random_key(SEED, "wan", "loss");
    uint64_t wrong = 0;
    event_configure(&plain, key, 0.2, 0, false);
    for (uint64_t i = 0; i < N; i++) {
        event_configure(&event, key, i % 3 ? 0.2 : 0.1, 0, false);
        bool a = event_happens(&event, i), b = event_happens(&plain, i);
        wrong += i % 3 ? a != b : a && !b; /* what 10 % have, 20 % have too */
    }
    ck_assert_uint_eq(wrong, 0);
    event_configure(&event, key, 1, 0.5, false);
    event_happens(&event, 0);
    event_configure(&event, key, 0.5, 0.5, false);
    ck_assert(event.last);
}
END_TEST

static Suite *suite_event(void)
{
    Suite *suite = suite_create("event");
    TCase *event = tcase_create("event");
    tcase_set_timeout(event, 60); /* sanitizers on a slow machine */
    tcase_add_test(event, test_correlated);
    tcase_add_test(event, test_never_and_always);
    tcase_add_test(event, test_first);
    tcase_add_test(event, test_netem);
    tcase_add_test(event, test_change);
    suite_add_tcase(suite, event);
    return suite;
}

SUITE(event)
