/* test_red: RED drops by its average, at distances that are uniform. */
#include "selftest/selftest.h"

#include <math.h>

#include "apps/clumsy/red.h"
#include "selftest/queue_rig.h"
#include "lib/statistics.h"

#define LENGTH 1250 /* bytes take 1 ms */

static const struct red_conf red_conf = {
    .min = 10000, .max = 30000, .probability = 0.1, .rate = LINK
};

/* Halfway the probability is 5 %: distances between drops are uniform on 1 to 19. */
#define MOST_GAP 19

static uint64_t red_gaps(const struct red_conf *conf, double *bins, uint64_t packets)
{
    struct random_key key = random_key(1, "", "red");
    struct red red = { .average = 20000, .count = -1 };
    uint64_t gap = 0, drops = 0;
    for (uint64_t i = 0; i < packets; i++) {
        gap++;
        if (!red_arrives(&red, conf, 0, 20000, random_unit(&key, i)))
            continue;
        bins[gap > MOST_GAP ? MOST_GAP : gap - 1] += drops > 0;
        drops++;
        gap = 0;
    }
    return drops;
}

static bool is_uniform(const double *bins, uint64_t drops)
{
    double expected[MOST_GAP], freedom;
    for (int i = 0; i < MOST_GAP; i++)
        expected[i] = (double)(drops - 1) / MOST_GAP;
    return chi_square(bins, expected, MOST_GAP, &freedom) <= chi_square_limit(freedom) &&
           bins[MOST_GAP] == 0;
}

START_TEST(test_red_law)
{
    double bins[MOST_GAP + 1] = { 0 }, half[MOST_GAP + 1] = { 0 },
                           twice[MOST_GAP + 1] = { 0 }, alone[MOST_GAP + 1] = { 0 };
    uint64_t drops = red_gaps(&red_conf, bins, 50000);
    ck_assert(is_uniform(bins, drops));
    ck_assert(
        region_contains(region_binomial(drops - 1, 1.0 / MOST_GAP), (uint64_t)bins[0]));
    struct red_conf other = red_conf;
    other.probability = 0.05;
    ck_assert(!is_uniform(half, red_gaps(&other, half, 50000)));
    other.probability = 0.2;
    ck_assert(!is_uniform(twice, red_gaps(&other, twice, 50000)));

    /* Each packet for itself. */
    struct random_key key = random_key(2, "", "red");
    uint64_t gap = 0, count = 0;
    for (uint64_t i = 0; i < 50000; i++, gap++)
        if (random_unit(&key, i) < 0.1) {
            alone[gap > MOST_GAP ? MOST_GAP : gap] += count > 0;
            count++;
            gap = UINT64_MAX;
        }
    ck_assert(!is_uniform(alone, count));
}
END_TEST

START_TEST(test_red_limits)
{
    struct red red = { .average = 9990 };
    for (int i = 0; i < 10000; i++)
        ck_assert(!red_arrives(&red, &red_conf, 0, 9999, 0));
    red.average = 30001;
    for (int i = 0; i < 1000; i++)
        ck_assert(red_arrives(&red, &red_conf, 0, 30001, 0.999999));
    red.average = 29900;
    uint64_t drops = 0;
    for (int i = 0; i < 9; i++)
        drops += red_arrives(&red, &red_conf, 0, 29900, 0.999999);
    ck_assert_uint_eq(drops, 0);
}
END_TEST

/* The average follows slowly, and an idle second at 10 Mbit/s is 1250 small packets. */
START_TEST(test_red_average)
{
    struct red red = { 0 };
    for (int i = 0; i < 500; i++)
        red_arrives(&red, &red_conf, 0, 9000, 0);
    ck_assert_double_lt(fabs(red.average - 9000 * (1 - pow(0.998, 500))), 1e-6);
    double before = red.average;
    red_empty(&red, S);
    red_arrives(&red, &red_conf, 2 * S, 0, 0);
    ck_assert_double_lt(fabs(red.average - before * pow(0.998, 1250)), 1e-6);
    ck_assert_double_lt(red.average, before / 10);
}
END_TEST

/* Packets that find the queue full count as well, and in the end are RED's. */
START_TEST(test_red_full)
{
    struct rig rig;
    struct queue_conf conf = rig_aqm(AQM_RED);
    conf.min = 8000;
    conf.max = 20000;
    rig_open(&rig, conf, (struct limit){ .packets = 20 });
    for (int i = 0; i < 3000; i++)
        rig_push(&rig, (struct queue_packet){ .length = LENGTH });
    ck_assert_uint_eq(queue_packets(rig.queue), 20);
    ck_assert_uint_gt(rig.aqm, 2000);
    ck_assert_uint_gt(rig.full, 100);
    rig_close(&rig);
}
END_TEST

static Suite *suite_red(void)
{
    Suite *suite = suite_create("red");
    TCase *tcase = tcase_create("red");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_red_law);
    tcase_add_test(tcase, test_red_limits);
    tcase_add_test(tcase, test_red_average);
    tcase_add_test(tcase, test_red_full);
    suite_add_tcase(suite, tcase);
    return suite;
}
SUITE(red)
