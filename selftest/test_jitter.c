/* test_jitter: the distribution of delays, packet by packet and as a process of time. */
#include "selftest/selftest.h"

#include <math.h>
#include <stdlib.h>

#include "apps/clumsy/impair.h"
#include "lib/statistics.h"

#define MS    1000000.0
#define SEED  statistics_seed(3)
#define FRAME 100

static struct jitter make(struct jitter_conf conf)
{
    struct jitter jitter = { 0 };
    jitter_configure(&jitter, &conf, SEED, "wan");
    return jitter;
}

static struct jitter_conf uniform(double half)
{
    return (struct jitter_conf){ .half = (uint64_t)half, .coherence = 50000000 };
}

static struct jitter_conf normal(double sd)
{
    return (struct jitter_conf){ .sd = (uint64_t)sd, .coherence = 50000000 };
}

static double uniform_cdf(double x, const void *half)
{
    double u = (x / *(const double *)half + 1) / 2;
    return u < 0 ? 0 : u > 1 ? 1 : u;
}

static double normal_law(double x, const void *sd)
{
    return normal_cdf(x / *(const double *)sd);
}

/* The samples follow the one law and not the other of the same deviation. */
static void check_law(double *samples, size_t n, double deviation, bool is_normal)
{
    double half = deviation * sqrt(3), kurtosis = is_normal ? 3 : 1.8;
    double as_uniform = ks_distance(samples, n, uniform_cdf, &half);
    double as_normal = ks_distance(samples, n, normal_law, &deviation);
    ck_assert_double_lt(is_normal ? as_normal : as_uniform, ks_limit(n));
    ck_assert_double_gt(is_normal ? as_uniform : as_normal, ks_limit(n));
    ck_assert_double_lt(fabs(mean_of(samples, n)), 5 * deviation / sqrt((double)n));
    ck_assert_double_lt(fabs(deviation_of(samples, n) / deviation - 1),
                        5 * sqrt((kurtosis - 1) / 4 / (double)n));
}

START_TEST(test_draws)
{
    enum { N = 100000 };
    double *samples = calloc(N, sizeof(*samples));
    uint64_t outside = 0;
    struct jitter flat = make(uniform(5 * MS)), bell = make(normal(5 * MS));
    for (size_t i = 0; i < N; i++) {
        samples[i] = jitter_draw(&flat, i);
        outside += fabs(samples[i]) > 5 * MS;
    }
    ck_assert_uint_eq(outside, 0);
    check_law(samples, N, 5 * MS / sqrt(3), false);
    for (size_t i = 0; i < N; i++)
        samples[i] = jitter_draw(&bell, i);
    ck_assert_double_lt(fabs(correlation_of(samples, N, 1)), 5 / sqrt(N));
    check_law(samples, N, 5 * MS, true);
    free(samples);
}
END_TEST

/* Looked at far apart the process has the law too, between knots as well as at them. The
 * wider of the two cases has steps longer than the coherence. */
START_TEST(test_process_law)
{
    enum { N = 20000 };
    double *samples = calloc(N, sizeof(*samples));
    const double sds[] = { 5 * MS, 30 * MS };
    for (int k = 0; k < 4; k++) {
        double sd = sds[k / 2];
        struct jitter jitter = make(k % 2 ? normal(sd) : uniform(sd * sqrt(3)));
        if (k / 2)
            ck_assert_uint_gt(jitter.step, 50000000);
        uint64_t time = 1000000000;
        for (size_t i = 0; i < N; i++) {
            samples[i] = jitter_at(&jitter, time);
            time += 10 * 50000000 + i * 7919 % 400000000;
        }
        ck_assert_double_lt(fabs(correlation_of(samples, N, 1)), 5 / sqrt(N));
        check_law(samples, N, sd, k % 2);
    }
    free(samples);
}
END_TEST

/* Its correlation falls to 1/e within the coherence time and to 1/e^2 within two. */
START_TEST(test_process_coherence)
{
    enum { N = 40000 };
    double *samples = calloc(N, sizeof(*samples));
    struct jitter jitter = make(normal(MS));
    for (size_t i = 0; i < N; i++)
        samples[i] = jitter_at(&jitter, 1000000000 + i * 25000000);
    for (size_t lag = 1; lag <= 4; lag++)
        ck_assert_double_eq_tol(correlation_of(samples, N, lag), exp(-0.5 * (double)lag),
                                5 * sqrt(2.2 / N));
    free(samples);
}
END_TEST

/* In order without help: the delay hardly ever falls faster than time passes. */
START_TEST(test_process_slope)
{
    enum { N = 200000, OF_A_STEP = 10 };
    const double sds[] = { MS, 5 * MS, 20 * MS };
    for (int k = 0; k < 6; k++) {
        struct jitter jitter =
            make(k % 2 ? normal(sds[k / 2]) : uniform(sds[k / 2] * sqrt(3)));
        double before = jitter_at(&jitter, 0);
        uint64_t inversions = 0, spacing = jitter.step / OF_A_STEP;
        for (uint64_t i = 1; i < N; i++) {
            double now = jitter_at(&jitter, i * spacing);
            inversions += before - now > (double)spacing;
            before = now;
        }
        ck_assert_uint_lt(inversions, N / 100);
    }
}
END_TEST

/* The same moment is the same delay, also for one who asks of the past. */
START_TEST(test_process_same_time)
{
    struct jitter jitter = make(normal(5 * MS));
    double value = jitter_at(&jitter, 5000000);
    ck_assert_double_eq(jitter_at(&jitter, 5000000), value);
    ck_assert_double_eq(jitter_at(&jitter, 4000000), value);
    value = jitter_at(&jitter, 900000000000);
    ck_assert_double_eq(jitter_at(&jitter, 900000000000), value);
}
END_TEST

/* Another coherence changes how it goes on, not where it is. */
START_TEST(test_process_change)
{
    struct jitter jitter = make(normal(5 * MS));
    for (uint64_t time = 0; time < 3000000000; time += 17000000) {
        double before = jitter_at(&jitter, time);
        struct jitter_conf conf = normal(5 * MS);
        conf.coherence = time % 3 ? 20000000 : 200000000;
        jitter_configure(&jitter, &conf, SEED, "wan");
        ck_assert_double_eq_tol(jitter_at(&jitter, time), before, 1e-3);
    }
}
END_TEST

/* Mean delay in ms of packets at a rate, with order kept. */
static double mean_delay(int mode, double pps, uint64_t n, uint64_t *inversions)
{
    struct clumsy_conf conf = { .owd = 40000000, .jitter = normal(2.5 * MS) };
    conf.jitter.mode = mode;
    struct bottleneck bottleneck = { 0 };
    struct impair impair = { .bottleneck = &bottleneck };
    ck_assert(!impair_configure(&impair, &conf, SEED, "wan", NULL));
    uint64_t last = 0;
    double sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        struct verdict verdict;
        uint64_t arrival = 1000000000 + (uint64_t)((double)i * 1e9 / pps);
        impair_decide(&impair, &(struct subject){ arrival, FRAME, NULL }, &verdict);
        *inversions += verdict.copy[0].release < last;
        last = verdict.copy[0].release;
        sum += (double)(last - arrival);
    }
    return sum / (double)n / MS;
}

/* The mean stays what was asked for at any packet rate. Drawing for each packet and
 * clamping does not manage that, which shows that this test can fail. */
START_TEST(test_mean_at_any_rate)
{
    const double pps[] = { 10, 1000, 100000 };
    const uint64_t n[] = { 10000, 40000, 2500000 };
    for (int i = 0; i < 3; i++) {
        uint64_t inversions = 0;
        double process = mean_delay(JITTER_PROCESS, pps[i], n[i], &inversions);
        ck_assert_double_lt(fabs(process / 40 - 1), 0.02);
        ck_assert_uint_eq(inversions, 0);
    }
    uint64_t inversions = 0;
    ck_assert_double_gt(mean_delay(JITTER_CLAMP, 1000, 40000, &inversions), 40 * 1.02);
    ck_assert_double_gt(mean_delay(JITTER_CLAMP, 100000, 100000, &inversions), 40 * 1.1);
    ck_assert_uint_eq(inversions, 0);
}
END_TEST

/* The same with any law: in order without exception, and with the mean that was asked for within 2 %
 * (and what a sample of that many coherence times allows). */
START_TEST(test_mean_of_laws)
{
    enum { N = 200000, SPACING = 5000000, OWD = 100000000, SD = 10000000 };
    struct clumsy_conf conf = { .owd = OWD, .jitter = normal(SD) };
    struct bottleneck bottleneck = { 0 };
    struct impair impair = { .bottleneck = &bottleneck };
    conf.jitter.dist = _i;
    uint64_t last = 0, inversions = 0;
    double sum = 0;
    ck_assert(!impair_configure(&impair, &conf, SEED, "wan", NULL));
    for (uint64_t i = 0; i < N; i++) {
        struct verdict verdict;
        uint64_t arrival = 1000000000 + i * SPACING;
        impair_decide(&impair, &(struct subject){ arrival, FRAME, NULL }, &verdict);
        inversions += verdict.copy[0].release < last;
        last = verdict.copy[0].release;
        sum += (double)(last - arrival);
    }
    double coherence = (double)impair.jitter.step,
           times = N * (double)SPACING / coherence;
    ck_assert_uint_eq(inversions, 0);
    ck_assert_double_lt(fabs(sum / N / OWD - 1), 0.02 + 5 * 0.1 / sqrt(times));
    impair_free(&impair);
}
END_TEST

/* Independent delays within +- half at a spacing g: neighbours change places with
 * probability (1 - g / 2 half)^2 / 2. */
START_TEST(test_reorder_inversions)
{
    enum { N = 100000, HALF = 1000000 };
    const double spacing[] = { 0.1, 0.5, 1.5, 2.5 };
    const double law[] = { 0.4515, 0.2813, 0.0313, 0 };
    for (int k = 0; k < 4; k++) {
        struct clumsy_conf conf = { .owd = 2 * HALF, .jitter = uniform(HALF) };
        conf.jitter.mode = JITTER_REORDER;
        struct bottleneck bottleneck = { 0 };
        struct impair impair = { .bottleneck = &bottleneck };
        ck_assert(!impair_configure(&impair, &conf, SEED, "wan", NULL));
        uint64_t last = 0, inversions = 0, in_order = 0;
        for (uint64_t i = 0; i < N; i++) {
            struct verdict verdict;
            uint64_t arrival = (uint64_t)((double)i * spacing[k] * HALF);
            impair_decide(&impair, &(struct subject){ arrival, FRAME, NULL }, &verdict);
            in_order += verdict.copy[0].order != IMPAIR_ANY_ORDER;
            inversions += verdict.copy[0].release < last;
            last = verdict.copy[0].release;
        }
        ck_assert_uint_eq(in_order, 0);
        ck_assert_double_lt(fabs((double)inversions / N - law[k]),
                            law[k] > 0 ? 6 * sqrt(law[k] * (1 - law[k]) / N) : 1e-9);
    }
}
END_TEST

static Suite *suite_jitter(void)
{
    Suite *suite = suite_create("jitter");
    TCase *jitter = tcase_create("jitter");
    tcase_set_timeout(jitter, 60); /* sanitizers on a slow machine */
    tcase_add_test(jitter, test_draws);
    tcase_add_test(jitter, test_process_law);
    tcase_add_test(jitter, test_process_coherence);
    tcase_add_test(jitter, test_process_slope);
    tcase_add_test(jitter, test_process_same_time);
    tcase_add_test(jitter, test_process_change);
    tcase_add_test(jitter, test_mean_at_any_rate);
    tcase_add_loop_test(jitter, test_mean_of_laws, DIST_NORMAL, DIST_TABLE);
    tcase_add_test(jitter, test_reorder_inversions);
    suite_add_tcase(suite, jitter);
    return suite;
}

SUITE(jitter)
