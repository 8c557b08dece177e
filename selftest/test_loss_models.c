/* test_loss_models: losses that are correlated, of four states, in time, or recorded. */
#include "selftest/selftest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "apps/clumsy/loss.h"
#include "lib/statistics.h"

#define SEED statistics_seed(31)
#define US   1000ull
#define MS   1000000ull
#define S    1000000000ull

static void configure(struct loss *loss, const struct loss_conf *conf)
{
    loss_configure(loss, conf, SEED, "wan", false, S);
}

/* What becomes of n packets, one per spacing. */
static bool *losses(const struct loss_conf *conf, uint64_t n, uint64_t spacing)
{
    struct loss loss = { 0 };
    bool *lost = calloc(n, sizeof(*lost));
    configure(&loss, conf);
    for (uint64_t i = 0; i < n; i++)
        lost[i] = loss_happens(&loss, i, S + i * spacing);
    loss_free(&loss);
    return lost;
}

static double share(const bool *lost, uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += lost[i];
    return (double)sum / (double)n;
}

/* Standard error of the share, from how much blocks of packets differ: so long that they know
 * nothing of each other. */
static double share_error(const bool *lost, uint64_t n)
{
    enum { BLOCKS = 100 };
    double block[BLOCKS];
    for (uint64_t i = 0; i < BLOCKS; i++)
        block[i] = share(lost + i * (n / BLOCKS), n / BLOCKS);
    return deviation_of(block, BLOCKS) / sqrt(BLOCKS);
}

enum { BINS = 60 };

/* How often a run of `what` is so long; the last bin has the longer ones, too. */
static double count_runs(const bool *lost, uint64_t n, bool what, double runs[BINS])
{
    double count = 0;
    for (int i = 0; i < BINS; i++)
        runs[i] = 0;
    for (uint64_t i = 0, length = 0; i < n; i++) {
        length = lost[i] == what ? length + 1 : 0;
        if (length && (i + 1 == n || lost[i + 1] != what)) {
            runs[length < BINS ? length - 1 : BINS - 1]++;
            count++;
        }
    }
    return count;
}

/* Of `alone` runs of one and `burst` runs of a geometric law. */
static bool runs_follow(const double *runs, double alone, double burst, double leave)
{
    double law[BINS], freedom;
    for (int i = 0; i < BINS; i++)
        law[i] = burst * pow(1 - leave, i) * (i < BINS - 1 ? leave : 1) + alone * !i;
    double chi = chi_square(runs, law, BINS, &freedom);
    return chi < chi_square_limit(freedom);
}

struct stationary {
    double gap, burst, within, loss; /* states 1, 3, 2; share lost */
};

static struct stationary solve(const struct state_conf *to)
{
    double bad = to->p13 / to->p31, within = bad * to->p32 / to->p23;
    double gap = 1 / (1 + to->p14 + bad + within);
    return (struct stationary){ gap, gap * bad, gap * within, gap * (bad + to->p14) };
}

/* The share, and lengths of runs: those of state 4 are alone, those of state 3 end by going to 1
 * or 2. Another chain with the same share has other runs. */
START_TEST(test_four_states)
{
    enum { N = 1000000 };
    struct loss_conf conf = { .state = { 0.004, 0.1, 0.3, 0.3, 0.003 } };
    double runs[BINS];
    for (int control = 0; control < 3; control++) {
        struct stationary law = solve(&conf.state);
        double alone = N * law.gap * conf.state.p14;
        double leave = conf.state.p31 + conf.state.p32;
        struct loss_conf other = conf;
        if (control == 1)
            other = (struct loss_conf){ .p = law.loss };
        if (control == 2) /* as much, in longer runs */
            other.state = (struct state_conf){ 0.002, 0.05, 0.15, 0.15, 0.003 };
        bool *lost = losses(&other, N, US);
        ck_assert_double_lt(fabs(share(lost, N) - law.loss), 5 * share_error(lost, N));
        count_runs(lost, N, true, runs);
        ck_assert_int_eq(runs_follow(runs, alone, N * law.burst * leave, leave),
                         control == 0);
        free(lost);
    }
    double half = solve(&(struct state_conf){ 0.002, 0.1, 0.3, 0.3, 0.0015 }).loss;
    bool *lost = losses(&conf, N, US);
    ck_assert_double_gt(fabs(share(lost, N) - half), 5 * share_error(lost, N));
    free(lost);
}
END_TEST

/* Good runs in a burst end with p23: seen as gaps between losses that are shorter than those
 * between bursts. */
START_TEST(test_intuitive)
{
    enum { N = 2000000 };
    struct loss_conf conf = {
        .p = 0.02, .burst = 20, .density = 0.5, .isolated = 0.002, .good_run = 3
    };
    struct state_conf state;
    ck_assert_int_eq(loss_state_of(&conf, &state, NULL), 0);
    ck_assert_double_eq_tol(state.p31, 0.1, 1e-12);
    ck_assert_double_eq_tol(state.p23, 1.0 / 3, 1e-12);
    ck_assert_double_eq_tol(state.p32, 1.0 / 3, 1e-12);
    ck_assert_double_eq_tol(state.p14, 0.002 / 0.998, 1e-12);
    struct stationary law = solve(&state);
    bool *lost = losses(&conf, N, US);
    double error = share_error(lost, N);
    ck_assert_double_lt(fabs(share(lost, N) - law.loss), 5 * error);
    ck_assert_double_eq_tol(law.loss, 0.02, 0.0005);
    ck_assert_double_gt(fabs(share(lost, N) - law.loss / 2), 5 * error);
    ck_assert_double_gt(fabs(share(lost, N) - law.loss * 2), 5 * error);
    double runs[BINS];
    count_runs(lost, N, true, runs);
    ck_assert(runs_follow(runs, N * law.gap * state.p14,
                          N * law.burst * (state.p31 + state.p32),
                          state.p31 + state.p32));
    ck_assert(!runs_follow(runs, 0, N * law.loss * state.p31, state.p31));
    free(lost);
}
END_TEST

START_TEST(test_impossible_figures)
{
    const struct loss_conf cases[] = {
        { .p = 0.6, .burst = 20, .density = 0.5, .good_run = 3 },
        { .p = 0.02, .burst = 1.5, .density = 0.5, .good_run = 3 },
        { .p = 0.02, .burst = 20, .density = 0.5, .isolated = 0.03, .good_run = 3 },
        { .p = 0.02, .burst = 20, .density = 0.1, .good_run = 1 },
    };
    struct state_conf state;
    for (int i = 0; i < 3; i++)
        ck_assert_int_ne(loss_state_of(&cases[i], &state, NULL), 0);
}
END_TEST

/* Time decides, not packets: at ten times the rate the same moments are bad. */
START_TEST(test_onoff_time)
{
    enum { N = 40000 };
    struct loss_conf conf = { .onoff = { "exp 20ms", "exp 100ms", 1, 0 } };
    bool *slow = losses(&conf, N, MS), *fast = losses(&conf, 10 * N, MS / 10);
    uint64_t wrong = 0, bad = 0;
    for (uint64_t i = 0; i < N; i++) {
        wrong += slow[i] != fast[10 * i];
        bad += slow[i];
    }
    ck_assert_uint_eq(wrong, 0);
    /* 333 cycles: the share's relative error is about sqrt(2 (1-p)^2 / k). */
    double p = 1.0 / 6, error = p * (1 - p) * sqrt(2 / (N / 120.0));
    ck_assert_double_lt(fabs((double)bad / N - p), 5 * error);
    ck_assert_double_gt(fabs((double)bad / N - 2 * p), 5 * error);
    ck_assert(!slow[0]); /* good at first */
    free(slow);
    free(fast);
}
END_TEST

/* Of fixed times every packet is known; of shares within them the region is. */
START_TEST(test_onoff_fixed)
{
    enum { N = 60000 };
    struct loss_conf conf = { .onoff = { "2ms", "4ms", 1, 0 } };
    bool *lost = losses(&conf, N, 500 * US);
    uint64_t wrong = 0, on = 0, off = 0;
    for (uint64_t i = 0; i < N; i++)
        wrong += lost[i] != (i % 12 >= 8);
    ck_assert_uint_eq(wrong, 0);
    free(lost);
    conf.onoff.loss_on = 0.5;
    conf.onoff.loss_off = 0.1;
    lost = losses(&conf, N, 500 * US);
    for (uint64_t i = 0; i < N; i++)
        *(i % 12 >= 8 ? &on : &off) += lost[i];
    ck_assert(region_contains(region_binomial(N / 3, 0.5), on));
    ck_assert(region_contains(region_binomial(2 * N / 3, 0.1), off));
    ck_assert(!region_contains(region_binomial(2 * N / 3, 0.2), off));
    ck_assert(!region_contains(region_binomial(2 * N / 3, 0.05), off));
    free(lost);
}
END_TEST

/* --- recorded ----------------------------------------------------------------------------- */

static char path[] = "/tmp/vanguard-loss-XXXXXX";

static void write_trace(const char *text)
{
    strcpy(path + sizeof(path) - 7, "XXXXXX");
    FILE *file = fdopen(mkstemp(path), "w");
    fputs(text, file);
    fclose(file);
}

static void check_recorded(const char *text, int after, const char *expected,
                           uint64_t spacing)
{
    write_trace(text);
    struct loss_conf conf = { .trace = path, .after = after };
    uint64_t n = strlen(expected);
    bool *lost = losses(&conf, n, spacing);
    for (uint64_t i = 0; i < n; i++)
        ck_assert_msg(lost[i] == (expected[i] == '1'), "packet %lu of %s",
                      (unsigned long)i, text);
    free(lost);
    unlink(path);
}

START_TEST(test_recorded)
{
    check_recorded("# by packet\n0 1,1\n\n01\n", WRAP_REPEAT, "011010110101101", US);
    check_recorded("01101", WRAP_HOLD, "011010000", US);
    /* Half-open spans, at one packet a second. */
    check_recorded("1s 3s\n5s 5.5s # short\n", WRAP_HOLD, "011001000", S);
    check_recorded("1s 3s\n3s 4s\n", WRAP_REPEAT, "01110111", S);
    check_recorded("1min 2min\n", WRAP_HOLD, "01000", 60 * S);
}
END_TEST

START_TEST(test_recorded_wrong)
{
    static const char *const texts[][2] = {
        { "0 1\n2\n", ":2: neither 0 nor 1" },
        { "", ": nothing is in it" },
        { "# nothing\n", ": nothing is in it" },
        { "2s 1s\n", ":1: times do not go up" },
        { "1s 2s\n1.5s 3s\n", ":2: times do not go up" },
        { "1s 2s\n0 1\n", ":2: " },
        { "0 1\n1s 2s\n", ":2: " },
        { "1s\n", ":1: not two times" },
        { "1s 2s 3s\n", ":1: not two times" },
    };
    struct loss_trace trace;
    struct error err;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        write_trace(texts[i][0]);
        ck_assert_int_ne(loss_read(&trace, path, &err), 0);
        ck_assert_msg(strstr(err.text, texts[i][1]), "%s: %s", texts[i][0], err.text);
        unlink(path);
    }
    ck_assert_int_ne(loss_read(&trace, "/nonexistent", &err), 0);
}
END_TEST

/* A change under way: counts and times go on, and what goes away leaves nothing behind. */
START_TEST(test_change)
{
    struct loss loss = { 0 };
    struct loss_conf conf = { .trace = path };
    write_trace("00000000011");
    uint64_t lost = 0;
    for (uint64_t i = 0; i < 22; i++) {
        if (i == 5 || i == 15)
            configure(&loss, &(struct loss_conf){ .p = 0 });
        if (i == 0 || i == 8 || i == 18)
            configure(&loss, &conf);
        lost |= (uint64_t)loss_happens(&loss, i, S + i) << i;
    }
    ck_assert_uint_eq(lost, 3 << 9 | 3 << 20);
    loss_free(&loss);
    unlink(path);
}
END_TEST

static Suite *suite_loss_models(void)
{
    Suite *suite = suite_create("loss_models");
    TCase *models = tcase_create("models");
    tcase_set_timeout(models, 60); /* sanitizers on a slow machine */
    tcase_add_test(models, test_four_states);
    tcase_add_test(models, test_intuitive);
    tcase_add_test(models, test_impossible_figures);
    tcase_add_test(models, test_onoff_time);
    tcase_add_test(models, test_onoff_fixed);
    tcase_add_test(models, test_recorded);
    tcase_add_test(models, test_recorded_wrong);
    tcase_add_test(models, test_change);
    suite_add_tcase(suite, models);
    return suite;
}

SUITE(loss_models)
