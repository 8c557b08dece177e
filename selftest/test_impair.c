/* test_impair: the decisions of Clumsy, on numbers.
 *
 * Losses, delay processes and the bottleneck have suites of their own (loss, jitter,
 * bottleneck). Where many packets are looked at, wrong ones are counted and the count is
 * asserted: libcheck writes to a file at each assertion.
 */
#include "selftest/selftest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/clumsy/damage.h"
#include "apps/clumsy/impair.h"
#include "lib/statistics.h"

#define SEED statistics_seed(20)

/* The defaults of the rows, as far as decisions need them. */
static struct clumsy_conf defaults(void)
{
    return (struct clumsy_conf){
        .duplicate.copies = 1,
        .corrupt.bits = 1,
        .jitter.coherence = 50000000,
        .reorder = { .depth = 3, .hold = 100000000, .gap = 1 },
    };
}

static struct bottleneck bottleneck;

static struct impair make_as(const struct clumsy_conf *conf, uint64_t seed,
                             const char *name)
{
    struct impair impair = { .bottleneck = &bottleneck };
    struct error err;
    bottleneck_free(&bottleneck);
    bottleneck = (struct bottleneck){ 0 };
    ck_assert_int_eq(impair_configure(&impair, conf, seed, name, &err), 0);
    return impair;
}

static struct impair make(const struct clumsy_conf *conf)
{
    return make_as(conf, SEED, "wan");
}

/* A frame of so many bytes, which nobody looks at. */
static void decide(struct impair *impair, uint64_t arrival, uint32_t length,
                   struct verdict *verdict)
{
    struct subject subject = { arrival, length, NULL };
    impair_decide(impair, &subject, verdict);
}

/* P(0) = l, P(1) = (1-l)(1-d), P(k) = (1-l)d. */
START_TEST(test_duplicate_law)
{
    enum { N = 100000 };
    const double l = 0.2, d = 0.3;
    for (int copies = 1; copies <= CLUMSY_COPIES_MAX; copies += 7) {
        uint64_t seen[2 + CLUMSY_COPIES_MAX] = { 0 };
        struct clumsy_conf conf = defaults();
        conf.loss.p = l;
        conf.duplicate = (struct duplicate_conf){ .p = d, .copies = copies };
        struct impair impair = make(&conf);
        for (uint64_t i = 0; i < N; i++) {
            struct verdict verdict;
            decide(&impair, i, 100, &verdict);
            seen[verdict.copies]++;
        }
        ck_assert(region_contains(region_binomial(N, l), seen[0]));
        ck_assert(region_contains(region_binomial(N, (1 - l) * (1 - d)), seen[1]));
        struct region many = region_binomial(N, (1 - l) * d);
        ck_assert(region_contains(many, seen[1 + copies]));
        ck_assert(!region_contains(many, (uint64_t)(N * (1 - l) * d * 2)));
        ck_assert(!region_contains(many, (uint64_t)(N * (1 - l) * d / 2)));
        ck_assert_uint_eq(seen[0] + seen[1] + seen[1 + copies], N);
    }
}
END_TEST

START_TEST(test_corrupt_share)
{
    enum { N = 20000 };
    struct region region = region_binomial(N, 0.1);
    const double p[] = { 0.1, 0.05, 0.2, 0 };
    for (int k = 0; k < 4; k++) {
        uint64_t hit = 0;
        struct clumsy_conf conf = defaults();
        conf.corrupt = (struct corrupt_conf){ .p = p[k], .bits = 2 };
        struct impair impair = make(&conf);
        for (uint64_t i = 0; i < N; i++) {
            struct verdict verdict;
            decide(&impair, i, 100, &verdict);
            hit += verdict.copy[0].bits == 2;
        }
        ck_assert_int_eq(region_contains(region, hit), k == 0);
    }
}
END_TEST

/* Every bit behind the Ethernet header equally often, all bits of a packet different. */
START_TEST(test_corrupt_positions)
{
    enum { N = 40000, LENGTH = 64, FIRST = 8 * 14, BITS = 8 * LENGTH - FIRST };
    for (uint32_t n = 1; n <= 3; n += 2) {
        double observed[BITS] = { 0 }, law[BITS], freedom;
        uint64_t wrong = 0;
        struct clumsy_conf conf = defaults();
        struct impair impair = make(&conf);
        for (uint64_t i = 0; i < N; i++) {
            uint32_t bits[CLUMSY_BITS_MAX];
            struct random_key key = impair_damage_key(&impair, i, 0);
            wrong += damage_pick(&key, (struct damage_range){ 14, LENGTH }, n, bits) != n;
            for (uint32_t k = 0; k < n; k++) {
                for (uint32_t j = 0; j < k; j++)
                    wrong += bits[j] == bits[k];
                if (bits[k] >= FIRST && bits[k] < 8 * LENGTH)
                    observed[bits[k] - FIRST]++;
                else
                    wrong++;
            }
        }
        ck_assert_uint_eq(wrong, 0);
        for (int bit = 0; bit < BITS; bit++)
            law[bit] = N * (double)n / BITS;
        double chi = chi_square(observed, law, BITS, &freedom);
        ck_assert_double_lt(chi, chi_square_limit(freedom));
    }
}
END_TEST

START_TEST(test_corrupt_short)
{
    uint32_t bits[CLUMSY_BITS_MAX], set = 0;
    struct verdict verdict;
    struct clumsy_conf conf = defaults();
    conf.corrupt = (struct corrupt_conf){ .p = 1, .bits = CLUMSY_BITS_MAX };
    struct impair impair = make(&conf);
    struct random_key key = impair_damage_key(&impair, 0, 0);
    struct damage_range one = { 14, 15 }, none = { 14, 14 };
    ck_assert_uint_eq(damage_pick(&key, one, CLUMSY_BITS_MAX, bits), 8);
    for (int i = 0; i < 8; i++)
        set |= 1u << (bits[i] - 8 * 14);
    ck_assert_uint_eq(set, 0xff);
    ck_assert_uint_eq(damage_pick(&key, none, 1, bits), 0);
    decide(&impair, 0, 14, &verdict);
    ck_assert_uint_eq(verdict.copy[0].bits, 0);
    decide(&impair, 0, 15, &verdict);
    ck_assert_uint_eq(verdict.copy[0].bits, CLUMSY_BITS_MAX);
}
END_TEST

/* Copies are damaged independently of each other. */
START_TEST(test_corrupt_copies)
{
    enum { N = 40000 };
    uint64_t first = 0, second = 0, both = 0;
    struct clumsy_conf conf = defaults();
    conf.duplicate.p = 1;
    conf.corrupt.p = 0.25;
    struct impair impair = make(&conf);
    for (uint64_t i = 0; i < N; i++) {
        struct verdict verdict;
        decide(&impair, i, 100, &verdict);
        bool a = verdict.copy[0].bits, b = verdict.copy[1].bits;
        first += a;
        second += b;
        both += a && b;
    }
    ck_assert(region_contains(region_binomial(N, 0.25), first));
    ck_assert(region_contains(region_binomial(N, 0.25), second));
    ck_assert(region_contains(region_binomial(N, 0.0625), both));
}
END_TEST

/* Early: with owd = 10 packets' spacing and p = 25 %, 69 % of the packets are reordered
 * in the sense of RFC 4737, as computed from (1-p)(1-(1-p)^9). */
START_TEST(test_reorder_early)
{
    enum { N = 200000, SPACING = 1000 };
    const double p = 0.25, law = (1 - p) * (1 - pow(1 - p, 9));
    struct clumsy_conf conf = defaults();
    conf.owd = 10 * SPACING;
    conf.reorder.p = p;
    conf.reorder.mode = REORDER_EARLY;
    struct impair impair = make(&conf);
    uint64_t *release = calloc(N, sizeof(*release)), early = 0, late = 0, wrong = 0;
    for (uint64_t i = 0; i < N; i++) {
        struct verdict verdict;
        decide(&impair, i * SPACING, 100, &verdict);
        release[i] = verdict.copy[0].release;
        early += release[i] == i * SPACING;
        wrong += verdict.copy[0].order !=
                 (release[i] == i * SPACING ? IMPAIR_ANY_ORDER : IMPAIR_IN_ORDER);
    }
    for (uint64_t i = 0; i + 10 < N; i++)
        for (uint64_t j = i + 1; j < i + 10; j++)
            if (release[j] < release[i]) {
                late++;
                break;
            }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_double_eq_tol(law, 0.6936, 1e-4);
    ck_assert(region_contains(region_binomial(N, p), early));
    /* Neighbours share early packets: allow for ten times the variance. */
    ck_assert_double_lt(fabs((double)late / N - law), 5 * sqrt(10 * law * (1 - law) / N));
    free(release);
}
END_TEST

START_TEST(test_reorder_gap)
{
    struct clumsy_conf conf = defaults();
    conf.owd = 1000;
    conf.reorder = (struct reorder_conf){ .p = 1, .mode = REORDER_EARLY, .gap = 5 };
    struct impair impair = make(&conf);
    for (uint64_t i = 0; i < 100; i++) {
        struct verdict verdict;
        decide(&impair, i * 10, 100, &verdict);
        ck_assert_uint_eq(verdict.copy[0].release, i * 10 + (i % 5 == 4 ? 0 : 1000));
    }
}
END_TEST

START_TEST(test_reorder_late_share)
{
    enum { N = 100000 };
    struct region region = region_binomial(N, 0.01);
    const double p[] = { 0.01, 0.005, 0.02, 0 };
    for (int k = 0; k < 4; k++) {
        uint64_t held = 0, wrong = 0;
        struct clumsy_conf conf = defaults();
        conf.owd = 1000;
        conf.reorder.p = p[k];
        struct impair impair = make(&conf);
        for (uint64_t i = 0; i < N; i++) {
            struct verdict verdict;
            decide(&impair, i, 100, &verdict);
            held += verdict.copy[0].order == IMPAIR_HELD;
            wrong += verdict.copy[0].release != i + 1000;
        }
        ck_assert_uint_eq(wrong, 0);
        ck_assert_int_eq(region_contains(region, held), k == 0);
    }
}
END_TEST

/* Everything at once, to compare runs by. */
static struct clumsy_conf everything(void)
{
    struct clumsy_conf conf = defaults();
    conf.owd = 10000000;
    conf.jitter.sd = 2000000;
    conf.jitter.mode = JITTER_REORDER;
    conf.loss = (struct loss_conf){ .p = 0.1, .burst = 3 };
    conf.duplicate.p = 0.1;
    conf.corrupt.p = 0.1;
    conf.reorder.p = 0.1;
    conf.rate.rate = 700000000;
    return conf;
}

/* A number that depends on all of the verdicts. */
static uint64_t digest(const struct clumsy_conf *conf, uint64_t seed, const char *name)
{
    struct impair impair = make_as(conf, seed, name);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 5000; i++) {
        struct verdict verdict;
        decide(&impair, 1000 * i, 100, &verdict);
        sum = sum * 31 + verdict.copies;
        for (uint32_t k = 0; k < verdict.copies; k++) {
            const struct fate *fate = &verdict.copy[k];
            uint32_t bits[CLUMSY_BITS_MAX] = { 0 };
            struct random_key key = impair_damage_key(&impair, verdict.draw, k);
            damage_pick(&key, (struct damage_range){ 14, 100 }, fate->bits, bits);
            sum = sum * 31 + fate->outcome;
            if (fate->outcome == OUTCOME_PASS)
                sum = (sum * 31 + fate->release) * 31 + fate->order + 64 * bits[0];
        }
    }
    impair_free(&impair);
    return sum;
}

START_TEST(test_repeatable)
{
    struct clumsy_conf conf = everything();
    uint64_t once = digest(&conf, 7, "wan");
    ck_assert_uint_eq(digest(&conf, 7, "wan"), once);
    ck_assert_uint_ne(digest(&conf, 8, "wan"), once);
    ck_assert_uint_ne(digest(&conf, 7, "lan"), once);
}
END_TEST

/* lost[i] tells of packet i. */
static void losses(const struct clumsy_conf *conf, uint64_t n, bool *lost)
{
    struct impair impair = make(conf);
    for (uint64_t i = 0; i < n; i++) {
        struct verdict verdict;
        decide(&impair, 1000 * i, 100, &verdict);
        lost[i] = !verdict.copies;
    }
    impair_free(&impair);
}

/* Which packets are lost does not depend on any other stage. */
START_TEST(test_stages_independent)
{
    enum { N = 20000 };
    static bool alone[N], together[N];
    struct clumsy_conf conf = defaults(), all = everything();
    conf.loss = all.loss;
    losses(&conf, N, alone);
    losses(&all, N, together);
    ck_assert_mem_eq(alone, together, sizeof(alone));
    all.jitter.sd = 0;
    all.jitter.half = 5000000;
    all.jitter.mode = JITTER_PROCESS;
    losses(&all, N, together);
    ck_assert_mem_eq(alone, together, sizeof(alone));
}
END_TEST

/* A change of parameters and back leaves the later decisions as they would have been. */
START_TEST(test_change_keeps_state)
{
    enum { N = 20000 };
    static bool straight[N];
    struct clumsy_conf conf = defaults(), other = everything();
    conf.loss = other.loss;
    losses(&conf, N, straight);
    struct impair impair = make(&conf);
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < N; i++) {
        struct verdict verdict;
        if (i % 1000 == 500)
            ck_assert(!impair_configure(&impair, &other, SEED, "wan", NULL));
        if (i % 1000 == 600)
            ck_assert(!impair_configure(&impair, &conf, SEED, "wan", NULL));
        decide(&impair, 1000 * i, 100, &verdict);
        wrong += !verdict.copies != straight[i];
    }
    ck_assert_uint_eq(wrong, 0);
    impair_free(&impair);
}
END_TEST

/* In order whatever happens, and never earlier than asked. */
START_TEST(test_order_kept)
{
    struct clumsy_conf conf = defaults();
    struct impair impair = make(&conf);
    uint64_t last = 0, clamped = 0, wrong = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        struct verdict verdict;
        if (i % 500 == 0) {
            conf.owd = 1000000 * (i / 500 * 7 % 40);
            conf.jitter.half = i / 500 % 3 * 300000;
            conf.jitter.mode = i / 500 % 2 ? JITTER_CLAMP : JITTER_PROCESS;
            conf.rate.rate = i / 500 % 5 * 10000000;
            ck_assert(!impair_configure(&impair, &conf, SEED, "wan", NULL));
        }
        uint64_t arrival = 20000 * i - (i % 3) * 15000;
        uint64_t least = conf.owd > conf.jitter.half ? conf.owd - conf.jitter.half : 0;
        decide(&impair, arrival, 100, &verdict);
        if (verdict.copy[0].outcome == OUTCOME_QUEUE)
            continue;
        wrong += verdict.copy[0].order != IMPAIR_IN_ORDER ||
                 verdict.copy[0].release < last ||
                 verdict.copy[0].release < arrival + least;
        clamped += verdict.copy[0].release == last;
        last = verdict.copy[0].release;
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_gt(clamped, 0); /* or there was nothing to keep in order */
    impair_free(&impair);
}
END_TEST

/* Half of a symmetric jitter around 0 is below it. */
START_TEST(test_floor)
{
    enum { N = 20000 };
    const uint64_t floors[] = { 0, 3000 };
    for (int k = 0; k < 2; k++) {
        uint64_t at_floor = 0, wrong = 0;
        struct clumsy_conf conf = defaults();
        conf.owd = floors[k];
        conf.jitter.sd = 1000000;
        conf.jitter.mode = JITTER_REORDER;
        conf.jitter.floor = floors[k];
        struct impair impair = make(&conf);
        for (uint64_t i = 0; i < N; i++) {
            struct verdict verdict;
            decide(&impair, i, 100, &verdict);
            wrong += verdict.copy[0].release < i + floors[k];
            at_floor += verdict.copy[0].release == i + floors[k];
        }
        ck_assert_uint_eq(wrong, 0);
        ck_assert(region_contains(region_binomial(N, 0.5), impair.floor_hits));
        ck_assert_uint_ge(at_floor, impair.floor_hits);
    }
}
END_TEST

static Suite *suite_impair(void)
{
    Suite *suite = suite_create("impair");
    TCase *others = tcase_create("others");
    tcase_set_timeout(others, 60);
    tcase_add_test(others, test_duplicate_law);
    tcase_add_test(others, test_corrupt_share);
    tcase_add_test(others, test_corrupt_positions);
    tcase_add_test(others, test_corrupt_short);
    tcase_add_test(others, test_corrupt_copies);
    tcase_add_test(others, test_reorder_early);
    tcase_add_test(others, test_reorder_gap);
    tcase_add_test(others, test_reorder_late_share);
    suite_add_tcase(suite, others);
    TCase *together = tcase_create("together");
    tcase_add_test(together, test_repeatable);
    tcase_add_test(together, test_stages_independent);
    tcase_add_test(together, test_change_keeps_state);
    tcase_add_test(together, test_order_kept);
    tcase_add_test(together, test_floor);
    suite_add_tcase(suite, together);
    return suite;
}

SUITE(impair)
