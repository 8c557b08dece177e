/* test_loss: independent losses and loss chains of Clumsy, on numbers. */
#include "selftest/selftest.h"

#include <math.h>
#include <stdlib.h>

#include "apps/clumsy/impair.h"
#include "lib/statistics.h"

#define SEED statistics_seed(20)

static struct clumsy_conf defaults(void)
{
    return (struct clumsy_conf){ .duplicate.copies = 1 };
}

/* One 100-byte packet per microsecond; lost[i] tells of packet i. Returns how many
 * are lost. */
static uint64_t losses(const struct clumsy_conf *conf, uint64_t n, bool *lost)
{
    struct bottleneck bottleneck = { 0 };
    struct impair impair = { .bottleneck = &bottleneck };
    uint64_t sum = 0;
    ck_assert(!impair_configure(&impair, conf, SEED, "wan", NULL));
    for (uint64_t i = 0; i < n; i++) {
        struct verdict verdict;
        impair_decide(&impair, &(struct subject){ 1000 * i, 100, NULL }, &verdict);
        sum += !verdict.copies;
        if (lost)
            lost[i] = !verdict.copies;
    }
    ck_assert_uint_eq(impair.index, n);
    impair_free(&impair);
    return sum;
}

static uint64_t losses_at(double p, uint64_t n)
{
    struct clumsy_conf conf = defaults();
    conf.loss.p = p;
    return losses(&conf, n, NULL);
}

/* The regions that were computed elsewhere when the tests were designed. */
START_TEST(test_regions)
{
    static const struct {
        double p;
        uint64_t n, low, high;
    } known[] = {
        { 0.001, 100000, 55, 153 }, { 0.001, 1000000, 849, 1158 },
        { 0.01, 20000, 135, 272 },  { 0.01, 100000, 850, 1158 },
        { 0.02, 50000, 851, 1157 }, { 0.1, 20000, 1796, 2211 },
        { 0.25, 5000, 1102, 1402 }, { 0.5, 2000, 891, 1109 },
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct region region = region_binomial(known[i].n, known[i].p);
        ck_assert_uint_eq(region.low, known[i].low);
        ck_assert_uint_eq(region.high, known[i].high);
    }
}
END_TEST

START_TEST(test_loss_share)
{
    static const struct {
        double p;
        uint64_t n;
    } cases[] = { { 0.001, 1000000 }, { 0.01, 100000 }, { 0.1, 20000 }, { 0.5, 5000 } };
    for (int i = 0; i < 4; i++) {
        struct region region = region_binomial(cases[i].n, cases[i].p);
        uint64_t n = cases[i].n;
        ck_assert(region_contains(region, losses_at(cases[i].p, n)));
        ck_assert(!region_contains(region, losses_at(cases[i].p / 2, n)));
        ck_assert(!region_contains(region, losses_at(cases[i].p * 2, n)));
        ck_assert(!region_contains(region, losses_at(0, n)));
    }
}
END_TEST

START_TEST(test_loss_exact)
{
    ck_assert_uint_eq(losses_at(0, 1000000), 0);
    ck_assert_uint_eq(losses_at(1, 1000000), 1000000);
}
END_TEST

static uint64_t runs_of(const bool *lost, uint64_t n)
{
    uint64_t runs = 0;
    for (uint64_t i = 0; i < n; i++)
        runs += lost[i] && (!i || !lost[i - 1]);
    return runs;
}

/* Independence: the number of runs, and gaps that are geometric. */
START_TEST(test_loss_independent)
{
    enum { N = 200000, BINS = 20, WIDTH = 10 };
    const double p = 0.05;
    bool *lost = calloc(N, sizeof(*lost));
    struct clumsy_conf conf = defaults();
    conf.loss.p = p;
    losses(&conf, N, lost);
    double runs = (double)runs_of(lost, N), expected = N * p * (1 - p);
    ck_assert_double_lt(fabs(runs - expected),
                        5 * sqrt(N * p * (1 - p) * (1 - 3 * p * (1 - p))));

    double observed[BINS] = { 0 }, law[BINS] = { 0 }, gaps = 0, freedom;
    int64_t before = -1;
    for (int64_t i = 0; i < N; i++)
        if (lost[i]) {
            int64_t bin = (i - before - 1) / WIDTH;
            observed[bin < BINS ? bin : BINS - 1]++;
            gaps++;
            before = i;
        }
    for (int bin = 0; bin < BINS; bin++)
        law[bin] = gaps * (pow(1 - p, bin * WIDTH) -
                           (bin < BINS - 1 ? pow(1 - p, (bin + 1) * WIDTH) : 0));
    double chi = chi_square(observed, law, BINS, &freedom);
    ck_assert_double_lt(chi, chi_square_limit(freedom));
    free(lost);
}
END_TEST

/* Share and mean run of a chain, and what theory says of them. */
struct chain {
    double share, run, follow; /* follow: P(lost | the one before was) */
};

static struct chain measure(const struct clumsy_conf *conf, uint64_t n, bool *lost)
{
    double sum = (double)losses(conf, n, lost), pairs = 0;
    for (uint64_t i = 1; i < n; i++)
        pairs += lost[i] && lost[i - 1];
    return (struct chain){ sum / (double)n, sum / (double)runs_of(lost, n), pairs / sum };
}

/* Losses come in bursts, so the mean of n varies more than that of n independent ones. */
static double inflated_deviation(const struct gemodel_conf *ge, uint64_t n)
{
    double bad = ge->p / (ge->p + ge->r), good = 1 - bad, lambda = 1 - ge->p - ge->r;
    double share = good * ge->good + bad * ge->bad;
    double variance = share * (1 - share) + 2 * (ge->bad - ge->good) *
                                                (ge->bad - ge->good) * bad * good *
                                                lambda / (1 - lambda);
    return sqrt(variance / (double)n);
}

START_TEST(test_gemodel)
{
    enum { N = 400000 };
    bool *lost = calloc(N, sizeof(*lost));
    struct clumsy_conf conf = defaults(), even = defaults();
    struct gemodel_conf ge = { 0.01, 0.25, 1, 0 };
    conf.loss.gemodel = ge;
    even.loss.p = ge.p / (ge.p + ge.r);
    struct chain chain = measure(&conf, N, lost);
    double bursts = N * ge.p * ge.r / (ge.p + ge.r);
    double run_limit = 5 * sqrt((1 - ge.r) / ge.r / ge.r / bursts);
    ck_assert_double_lt(fabs(chain.share - even.loss.p), 5 * inflated_deviation(&ge, N));
    ck_assert_double_lt(fabs(chain.run - 1 / ge.r), run_limit);
    double losses_seen = chain.share * N;
    ck_assert_double_lt(fabs(chain.follow - (1 - ge.r)),
                        5 * sqrt(ge.r * (1 - ge.r) / losses_seen));

    /* Controls: independent losses at the same share, and another r. */
    struct chain bernoulli = measure(&even, N, lost);
    ck_assert_double_lt(fabs(bernoulli.share - chain.share), 0.01);
    ck_assert_double_gt(fabs(bernoulli.run - 1 / ge.r), run_limit);
    conf.loss.gemodel.r = 0.5;
    ck_assert_double_gt(fabs(measure(&conf, N, lost).run - 1 / ge.r), run_limit);
    free(lost);
}
END_TEST

/* Lengths of the runs, not just their mean. */
START_TEST(test_gemodel_runs)
{
    enum { N = 400000, BINS = 24 };
    const double r = 0.25;
    bool *lost = calloc(N, sizeof(*lost));
    struct clumsy_conf conf = defaults();
    conf.loss.gemodel = (struct gemodel_conf){ 0.01, r, 1, 0 };
    losses(&conf, N, lost);
    double observed[BINS] = { 0 }, law[BINS], runs = 0, freedom;
    for (uint64_t i = 1, length = 0; i < N; i++) {
        length = lost[i] ? length + 1 : 0;
        if (lost[i] && (i + 1 == N || !lost[i + 1])) {
            observed[length < BINS ? length - 1 : BINS - 1]++;
            runs++;
        }
    }
    for (int bin = 0; bin < BINS; bin++)
        law[bin] = runs * pow(1 - r, bin) * (bin < BINS - 1 ? r : 1);
    double chi = chi_square(observed, law, BINS, &freedom);
    ck_assert_double_lt(chi, chi_square_limit(freedom));
    free(lost);
}
END_TEST

/* n times the variance of the mean of n packets: 0.2475, not the 0.037 of independent
 * losses. */
START_TEST(test_gemodel_variance)
{
    enum { BLOCK = 1000, BLOCKS = 1000 };
    struct gemodel_conf ge = { 0.01, 0.25, 1, 0 };
    bool *lost = calloc(BLOCK * BLOCKS, sizeof(*lost));
    double share[BLOCKS] = { 0 };
    struct clumsy_conf conf = defaults();
    conf.loss.gemodel = ge;
    losses(&conf, BLOCK * BLOCKS, lost);
    for (uint64_t i = 0; i < BLOCK * BLOCKS; i++)
        share[i / BLOCK] += lost[i] / (double)BLOCK;
    double variance = BLOCK * pow(deviation_of(share, BLOCKS), 2);
    double law = BLOCK * pow(inflated_deviation(&ge, BLOCK), 2);
    ck_assert_double_eq_tol(law, 0.2475, 1e-3);
    ck_assert_double_lt(fabs(variance / law - 1), 5 * sqrt(2.0 / BLOCKS));
    free(lost);
}
END_TEST

/* With a lossy good and a not quite lossy bad state a run of losses is not a stay in the
 * bad state any more. */
START_TEST(test_gemodel_general)
{
    enum { N = 1000000 };
    bool *lost = calloc(N, sizeof(*lost));
    struct clumsy_conf conf = defaults();
    conf.loss.gemodel = (struct gemodel_conf){ 0.005, 0.1, 0.7, 0 };
    struct chain chain = measure(&conf, N, lost);
    /* A run goes on with the chain still bad and the next one lost, too: 2.7 packets, not 10. */
    double more = (1 - conf.loss.gemodel.r) * conf.loss.gemodel.bad;
    double runs = chain.share * N * (1 - more);
    ck_assert_double_lt(fabs(chain.run - 1 / (1 - more)),
                        5 * sqrt(more / runs) / (1 - more));
    conf.loss.gemodel.good = 0.02;
    struct gemodel_conf ge = conf.loss.gemodel;
    double bad = ge.p / (ge.p + ge.r);
    chain = measure(&conf, N, lost);
    ck_assert_double_lt(fabs(chain.share - (1 - bad) * ge.good - bad * ge.bad),
                        5 * inflated_deviation(&ge, N));
    free(lost);
}
END_TEST

/* The state before the move decides: a chain that changes every time starts with a packet
 * that is not lost. */
START_TEST(test_gemodel_alternates)
{
    bool lost[100];
    struct clumsy_conf conf = defaults();
    conf.loss.gemodel = (struct gemodel_conf){ 1, 1, 1, 0 };
    losses(&conf, 100, lost);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(lost[i], i % 2);
}
END_TEST

START_TEST(test_burst)
{
    enum { N = 500000 };
    static const struct loss_conf cases[] = { { .p = 0.02, .burst = 4.7 },
                                              { .p = 0.5, .burst = 1.5 } };
    bool *lost = calloc(N, sizeof(*lost));
    struct clumsy_conf conf = defaults();
    for (int i = 0; i < 2; i++) {
        conf.loss = cases[i];
        struct chain chain = measure(&conf, N, lost);
        double p = cases[i].p, run = cases[i].burst, r = 1 / run;
        struct gemodel_conf ge = { r * p / (1 - p), r, 1, 0 };
        ck_assert_double_lt(fabs(chain.share - p), 5 * inflated_deviation(&ge, N));
        ck_assert_double_lt(fabs(chain.run - run),
                            5 * sqrt((1 - r) / r / r / (N * p * r)));
    }
    conf.loss.p = 1;
    ck_assert_uint_eq(losses(&conf, 1000, NULL), 1000);
    conf.loss.p = 0;
    ck_assert_uint_eq(losses(&conf, 1000, NULL), 0);
    free(lost);
}
END_TEST

static Suite *suite_loss(void)
{
    Suite *suite = suite_create("loss");
    TCase *loss = tcase_create("loss");
    tcase_set_timeout(loss, 60); /* sanitizers on a slow machine */
    tcase_add_test(loss, test_regions);
    tcase_add_test(loss, test_loss_share);
    tcase_add_test(loss, test_loss_exact);
    tcase_add_test(loss, test_loss_independent);
    tcase_add_test(loss, test_gemodel);
    tcase_add_test(loss, test_gemodel_runs);
    tcase_add_test(loss, test_gemodel_variance);
    tcase_add_test(loss, test_gemodel_general);
    tcase_add_test(loss, test_gemodel_alternates);
    tcase_add_test(loss, test_burst);
    suite_add_tcase(suite, loss);
    return suite;
}

SUITE(loss)
