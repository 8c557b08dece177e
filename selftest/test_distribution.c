/* test_distribution: the laws of a varying delay, against distribution functions of this file's
 * own, and the tables they may come from.
 */
#include "selftest/selftest.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/clumsy/distribution.h"
#include "apps/clumsy/jitter.h"
#include "apps/clumsy/netem.h"
#include "lib/statistics.h"

#define SEED statistics_seed(71)

static char path[64];

static void write_table(const char *suffix, const char *text)
{
    snprintf(path, sizeof(path), "/tmp/vanguard-table-XXXXXX%s", suffix);
    FILE *file = fdopen(mkstemps(path, (int)strlen(suffix)), "w");
    fputs(text, file);
    fclose(file);
}

/* --- laws --------------------------------------------------------------------------------- */

struct law {
    const char *name;
    int dist;
    double shape;
    double (*cdf)(double x, const void *user); /* of the standardized variable */
    double kurtosis;                           /* 0: endless */
};

static double uniform_cdf(double x, const void *user)
{
    return fmin(fmax((x + 1) / 2, 0), 1);
}

static double gauss_cdf(double x, const void *user)
{
    return erfc(-x / sqrt(2)) / 2;
}

/* netem's: (u^(-1/3) - 1.5) * 4/3 has mean 0; its deviation is 1.1547. */
static double pareto_cdf(double x, const void *user)
{
    double y = 1.5 + x * sqrt(0.75);
    return y <= 1 ? 0 : 1 - pow(y, -3);
}

static double exponential_cdf(double x, const void *user)
{
    return x <= -1 ? 0 : 1 - exp(-(x + 1));
}

static double gamma_cdf(double x, const void *user)
{
    double y = 2 + x * sqrt(2);
    return y <= 0 ? 0 : 1 - (1 + y) * exp(-y);
}

static double lognormal_cdf(double x, const void *user)
{
    double mean = exp(0.5), y = mean + x * sqrt((exp(1) - 1) * exp(1));
    return y <= 0 ? 0 : gauss_cdf(log(y), NULL);
}

static double weibull_cdf(double x, const void *user)
{
    double mean = tgamma(1 + 1 / 1.5), var = tgamma(1 + 2 / 1.5) - mean * mean;
    double y = mean + x * sqrt(var);
    return y <= 0 ? 0 : 1 - exp(-pow(y, 1.5));
}

/* Of (n/4 + 3p/4) / sqrt(1/16 + 9/16), by integration over n. */
static double paretonormal_cdf(double x, const void *user)
{
    double sum = 0, weight = 0, target = x * sqrt(10.0 / 16);
    for (double n = -7; n <= 7; n += 0.02) {
        double w = exp(-n * n / 2);
        sum += w * pareto_cdf((target - n / 4) / 0.75, NULL);
        weight += w;
    }
    return sum / weight;
}

/* The same, from a table: for very many samples. */
static double paretonormal_near(double x, const void *user)
{
    enum { FROM = -8, STEPS = 100, SIZE = 40 * STEPS };
    static double table[SIZE + 1];
    for (int i = 0; i <= SIZE && table[SIZE] == 0; i++)
        table[i] = paretonormal_cdf(FROM + (double)i / STEPS, NULL);
    double place = fmax((x - FROM) * STEPS, 0);
    if (place >= SIZE)
        return paretonormal_cdf(x, NULL);
    int i = (int)place;
    return table[i] + (place - i) * (table[i + 1] - table[i]);
}

static const struct law laws[] = {
    { "uniform", DIST_UNIFORM, 0, uniform_cdf, 1.8 },
    { "normal", DIST_NORMAL, 0, gauss_cdf, 3 },
    { "pareto", DIST_PARETO, 0, pareto_cdf, 0 },
    { "exponential", DIST_EXPONENTIAL, 0, exponential_cdf, 9 },
    { "gamma", DIST_GAMMA, 0, gamma_cdf, 6 },
    { "lognormal", DIST_LOGNORMAL, 0, lognormal_cdf, 113.9 },
    { "weibull", DIST_WEIBULL, 0, weibull_cdf, 4.39 },
    { "paretonormal", DIST_PARETONORMAL, 0, paretonormal_near, 0 },
};
enum { LAWS = sizeof(laws) / sizeof(laws[0]) };

static void draw(const struct law *law, double *samples, size_t n)
{
    struct distribution d = { 0 };
    struct random_key key = random_key(SEED, law->name, "draws");
    ck_assert_int_eq(distribution_configure(&d, law->dist, law->shape, NULL, false, NULL),
                     0);
    for (size_t i = 0; i < n; i++)
        samples[i] = distribution_at(&d, random_normal(&key, i));
    distribution_free(&d);
}

/* Each follows its own law and none of the others; mean and deviation are 0 and 1. */
START_TEST(test_law)
{
    enum { N = 100000 };
    const struct law *law = &laws[_i];
    double *samples = calloc(N, sizeof(*samples));
    double sd = law->dist == DIST_UNIFORM ? 1 / sqrt(3) : 1;
    draw(law, samples, N);
    ck_assert_double_lt(fabs(mean_of(samples, N)), 5 * sd / sqrt(N));
    if (law->kurtosis > 0)
        ck_assert_double_lt(fabs(deviation_of(samples, N) / sd - 1),
                            5 * sqrt((law->kurtosis - 1) / 4 / N));
    for (int other = 0; other < LAWS; other++) {
        double distance = ks_distance(samples, N, laws[other].cdf, NULL);
        ck_assert_msg((distance < ks_limit(N)) == (other == _i), "%s as %s: %g",
                      law->name, laws[other].name, distance);
    }
    free(samples);
}
END_TEST

/* The whole way up, in the tails as well: Phi(z) of the share is below x(z). */
START_TEST(test_quantiles)
{
    const struct law *law = &laws[_i];
    struct distribution d = { 0 };
    ck_assert_int_eq(distribution_configure(&d, law->dist, law->shape, NULL, false, NULL),
                     0);
    double before = -INFINITY;
    for (double z = -4; z <= 5; z += 0.0625) {
        bool slow = law->dist == DIST_PARETONORMAL;
        double x = distribution_at(&d, z);
        double below = slow ? paretonormal_cdf(x, NULL) : law->cdf(x, NULL);
        double share = gauss_cdf(z, NULL), above = gauss_cdf(-z, NULL);
        ck_assert_msg(fabs(below - share) < 2e-3 * fmin(share, above) + 2e-7,
                      "%s at %g: %g, not %g", law->name, z, below, share);
        ck_assert_double_ge(x, before);
        before = x;
    }
    ck_assert(isfinite(distribution_at(&d, -8.2)) && isfinite(distribution_at(&d, 8.2)));
    distribution_free(&d);
}
END_TEST

/* --- tables ------------------------------------------------------------------------------- */

START_TEST(test_samples)
{
    struct distribution d = { 0 };
    write_table("", "# delays\n0.3\n0.1\n0.2 # s\n\n0.5\n");
    ck_assert_int_eq(distribution_configure(&d, DIST_TABLE, 0, path, true, NULL), 0);
    /* G(u) is linear between the sorted samples, from the least to the most. */
    ck_assert_double_eq_tol(distribution_at(&d, -9), 0.1, 1e-9);
    ck_assert_double_eq_tol(distribution_at(&d, 9), 0.5, 1e-9);
    ck_assert_double_eq_tol(distribution_at(&d, 0), 0.25, 1e-9);
    ck_assert_double_eq_tol(distribution_at(&d, normal_quantile(5.0 / 6)), 0.4, 1e-9);
    ck_assert_int_eq(distribution_configure(&d, DIST_TABLE, 0, path, false, NULL), 0);
    struct random_key key = random_key(SEED, "table", "draws");
    enum { N = 50000 };
    double *samples = calloc(N, sizeof(*samples));
    for (size_t i = 0; i < N; i++)
        samples[i] = distribution_at(&d, random_normal(&key, i));
    ck_assert_double_lt(fabs(mean_of(samples, N)), 5 / sqrt(N));
    ck_assert_double_lt(fabs(deviation_of(samples, N) - 1), 5 * sqrt(2.0 / 4 / N));
    free(samples);
    distribution_free(&d);
    unlink(path);
}
END_TEST

START_TEST(test_pairs)
{
    struct distribution d = { 0 };
    write_table("", "0.1 1\n0.5, 2\n1 4\n");
    ck_assert_int_eq(distribution_configure(&d, DIST_TABLE, 0, path, true, NULL), 0);
    const double at[][2] = { { 0.01, 1 }, { 0.1, 1 },  { 0.3, 1.5 },
                             { 0.5, 2 },  { 0.75, 3 }, { 0.999999, 4 } };
    for (int i = 0; i < 6; i++)
        ck_assert_double_eq_tol(distribution_at(&d, normal_quantile(at[i][0])), at[i][1],
                                1e-4);
    distribution_free(&d);
    unlink(path);
}
END_TEST

START_TEST(test_wrong_tables)
{
    static const char *const cases[][3] = {
        { "", "1\n2 3\n", ":2: one number a line" },
        { "", "1\n", ": fewer than two values" },
        { "", "one\ntwo\n", ":1: neither one number nor two" },
        { "", "1 2 3\n", ":1: neither one number nor two" },
        { "", "0.5 1\n0.4 2\n", ":2: quantiles" },
        { "", "0.5 1\n0.6 0\n", ":2: quantiles" },
        { "", "0.5 1\n1.5 2\n", ":2: quantiles" },
        { "", "1\nnan\n", ":2: not a number within" },
        { "", "1\n1e7\n", ":2: not a number within" },
        { "", "1\ninf\n", ":2: not a number within" },
        { ".dist", "1 2 three\n", ":1: not a number" },
    };
    double *values, *at;
    size_t count;
    struct error err;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_table(cases[i][0], cases[i][1]);
        ck_assert_int_ne(distribution_read(path, &values, &at, &count, &err), 0);
        ck_assert_msg(strstr(err.text, cases[i][2]), "%s: %s", cases[i][1], err.text);
        unlink(path);
    }
    struct distribution d = { 0 };
    write_table("", "2\n2\n2\n");
    ck_assert_int_ne(distribution_configure(&d, DIST_TABLE, 0, path, false, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "all values are the same"));
    distribution_free(&d);
    unlink(path);
}
END_TEST

/* --- netem -------------------------------------------------------------------------------- */

static struct jitter_conf netem_conf(int dist, double corr)
{
    return (struct jitter_conf){
        .sd = dist == DIST_UNIFORM ? 0 : 10000000,
        .half = dist == DIST_UNIFORM ? 10000000 : 0,
        .dist = dist,
        .corr = corr,
        .mode = JITTER_REORDER,
    };
}

/* What the shipped tables really have, and no more than four deviations. */
START_TEST(test_netem_tables)
{
    static const struct {
        int dist;
        double mean, sd, least, most;
    } tables[] = {
        { DIST_UNIFORM, 0, 0.577, -1, 1 },
        { DIST_NORMAL, -0.0008, 1.0, -4, 3.52 },
        { DIST_PARETO, -0.033, 0.820, -0.667, 4 },
        { DIST_PARETONORMAL, -0.025, 0.834, -2, 3.88 },
    };
    enum { N = 200000 };
    double *samples = calloc(N, sizeof(*samples));
    for (int i = 0; i < 4; i++) {
        struct netem netem = { 0 };
        struct jitter_conf conf = netem_conf(tables[i].dist, 0);
        struct error err;
        double least = 0, most = 0;
        ck_assert_msg(!netem_configure(&netem, &conf, SEED, "wan", &err), "%s", err.text);
        for (size_t k = 0; k < N; k++) {
            samples[k] = (double)netem_delay(&netem, k) / 1e7;
            least = fmin(least, samples[k]);
            most = fmax(most, samples[k]);
        }
        ck_assert_double_lt(fabs(mean_of(samples, N) - tables[i].mean),
                            5 / sqrt(N) + 1e-3);
        ck_assert_double_lt(fabs(deviation_of(samples, N) - tables[i].sd), 0.01);
        ck_assert_double_ge(least, tables[i].least - 0.01);
        ck_assert_double_lt(fabs(most - tables[i].most), 0.01);
        netem_free(&netem);
    }
    free(samples);
}
END_TEST

/* --- correlation -------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = **(double *const *)a, y = **(double *const *)b;
    return x < y ? -1 : x > y;
}

/* Correlation of neighbours, of what a normal variable would have been: Phi^-1(rank). */
static double rank_correlation(const double *samples, size_t n)
{
    const double **order = calloc(n, sizeof(*order));
    double *z = calloc(n, sizeof(*z));
    for (size_t i = 0; i < n; i++)
        order[i] = &samples[i];
    qsort(order, n, sizeof(*order), by_value);
    for (size_t i = 0; i < n; i++)
        z[order[i] - samples] = normal_quantile(((double)i + 0.5) / (double)n);
    double result = correlation_of(z, n, 1);
    free(order);
    free(z);
    return result;
}

/* The correlation asked for, and the law untouched by it (looked at so far apart that a
 * Kolmogorov-Smirnov test may be made). netem's way has no correlation left in its delays. */
START_TEST(test_correlation)
{
    enum { N = 40000, APART = 40, THIN = N / APART };
    const double correlations[] = { 0, 0.25, 0.5, 0.9 };
    double *samples = calloc(N, sizeof(*samples)), thin[THIN];
    const struct law *law = &laws[_i % LAWS];
    for (int k = 0; k < 4; k++) {
        double c = correlations[k], tolerance = 5 * (1 - c * c) / sqrt(N);
        struct jitter_conf conf = netem_conf(law->dist, c);
        struct jitter jitter = { 0 };
        jitter_configure(&jitter, &conf, SEED, "wan");
        for (size_t i = 0; i < N; i++)
            samples[i] = jitter_draw(&jitter, i) / 1e7;
        ck_assert_double_lt(fabs(rank_correlation(samples, N) - c), tolerance);
        for (size_t i = 0; i < THIN; i++)
            thin[i] = samples[i * APART];
        ck_assert_double_lt(ks_distance(thin, THIN, law->cdf, NULL), ks_limit(THIN));
        jitter_free(&jitter);
        if (c > 0 && law->dist <= DIST_PARETONORMAL) {
            struct netem netem = { 0 };
            netem_configure(&netem, &conf, SEED, "wan", NULL);
            for (size_t i = 0; i < N; i++)
                samples[i] = (double)netem_delay(&netem, i);
            ck_assert_double_gt(fabs(rank_correlation(samples, N) - c), tolerance);
            netem_free(&netem);
        }
    }
    free(samples);
}
END_TEST

/* --- blocks ------------------------------------------------------------------------------- */

/* A new draw every period, straight lines between; the draws are independent and of the law. */
START_TEST(test_blocks)
{
    enum { N = 20000 };
    const uint64_t period = 1000000;
    struct jitter_conf conf = { .half = 10000000,
                                .mode = JITTER_BLOCK,
                                .period = period };
    struct jitter jitter = { 0 };
    double *knots = calloc(N, sizeof(*knots));
    uint64_t wrong = 0;
    jitter_configure(&jitter, &conf, SEED, "wan");
    for (uint64_t i = 0; i < N; i++) {
        double from = jitter_at(&jitter, 5000 + i * period);
        double quarter = jitter_at(&jitter, 5000 + i * period + period / 4);
        double half = jitter_at(&jitter, 5000 + i * period + period / 2);
        wrong += fabs(half - from - 2 * (quarter - from)) > 1e-3;
        knots[i] = from / 1e7;
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_double_lt(fabs(correlation_of(knots, N, 1)), 5 / sqrt(N));
    ck_assert_double_lt(ks_distance(knots, N, uniform_cdf, NULL), ks_limit(N));
    ck_assert_double_gt(ks_distance(knots, N, gauss_cdf, NULL), ks_limit(N));
    jitter_free(&jitter);
    free(knots);
}
END_TEST

static Suite *suite_distribution(void)
{
    Suite *suite = suite_create("distribution");
    TCase *tests = tcase_create("distribution");
    tcase_set_timeout(tests, 60); /* sanitizers on a slow machine */
    tcase_add_loop_test(tests, test_law, 0, LAWS);
    tcase_add_loop_test(tests, test_quantiles, 0, LAWS);
    tcase_add_test(tests, test_samples);
    tcase_add_test(tests, test_pairs);
    tcase_add_test(tests, test_wrong_tables);
    tcase_add_test(tests, test_netem_tables);
    tcase_add_loop_test(tests, test_correlation, 0, LAWS);
    tcase_add_test(tests, test_blocks);
    suite_add_tcase(suite, tests);
    return suite;
}

SUITE(distribution)
