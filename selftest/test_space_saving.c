/* space_saving: its promises beside exact counts, on streams fair and foul. */
#include "lib/space_saving.h"

#include <malloc.h>
#include <math.h>
#include <stdlib.h>

#include "lib/random.h"
#include "lib/table.h"
#include "selftest/selftest.h"

#define COUNTERS 64
#define KEYS     5000
#define UPDATES  100000

static const struct siphash_key seed = { 1, 2 };
static double exact[KEYS]; /* halves are exact */
static double total, zipf[KEYS];

static struct space_saving *set_up_summary(void)
{
    total = 0;
    memset(exact, 0, sizeof(exact));
    return space_saving_new(sizeof(uint64_t), COUNTERS, &seed);
}

static void update(struct space_saving *summary, uint64_t key, uint64_t weight)
{
    space_saving_update(summary, &key, weight);
    exact[key] += (double)weight;
    total += (double)weight;
}

static void age(struct space_saving *summary)
{
    space_saving_age(summary);
    total /= 2;
    for (size_t i = 0; i < KEYS; i++)
        exact[i] /= 2;
}

/* slack: what the rounding of halves may have cost. */
static void check(struct space_saving *summary, double slack)
{
    struct space_saving_entry entries[COUNTERS + 1];
    static bool held[KEYS];
    uint32_t n = space_saving_top(summary, entries, COUNTERS + 1);
    ck_assert_uint_le(n, COUNTERS);
    ck_assert(fabs((double)space_saving_total(summary) - total) <= slack);
    memset(held, 0, sizeof(held));
    for (uint32_t i = 0; i < n; i++) {
        uint64_t key;
        memcpy(&key, entries[i].key, sizeof(key));
        ck_assert(!held[key]);
        held[key] = true;
        ck_assert(!i || entries[i].count <= entries[i - 1].count);
        ck_assert_double_ge((double)entries[i].count + slack, exact[key]);
        ck_assert_double_le((double)(entries[i].count - entries[i].error),
                            exact[key] + slack);
        ck_assert_double_le((double)entries[i].error, total / COUNTERS + slack);
    }
    for (size_t i = 0; i < KEYS; i++)
        ck_assert_msg(held[i] || exact[i] <= total / COUNTERS + slack, "%zu of %f", i,
                      exact[i]);
}

static void make_zipf(double exponent)
{
    double sum = 0;
    for (size_t i = 0; i < KEYS; i++)
        zipf[i] = sum += pow((double)(i + 1), -exponent);
    for (size_t i = 0; i < KEYS; i++)
        zipf[i] /= sum;
}

static uint64_t zipf_draw(double unit)
{
    size_t low = 0, high = KEYS - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (zipf[middle] < unit)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Loop 0: packets; 1: bytes; 2: packets, and the past fades. */
START_TEST(zipf_streams)
{
    struct space_saving *summary = set_up_summary();
    struct random_key key = random_key(1, "space_saving", "zipf");
    make_zipf(1.1);
    size_t memory = mallinfo2().uordblks;
    for (uint64_t i = 0; i < UPDATES; i++) {
        uint64_t weight = _i == 1 ? 60 + random_draw(&key, 2 * i + 1) % 1455 : 1;
        update(summary, zipf_draw(random_unit(&key, 2 * i)), weight);
        if (i % 5000 == 4999)
            check(summary, _i == 2);
        if (_i == 2 && i % 7000 == 6999)
            age(summary);
    }
    struct space_saving_entry top[5];
    ck_assert_uint_eq(space_saving_top(summary, top, 5), 5);
    for (uint64_t i = 0; i < 5; i++)
        ck_assert_mem_eq(top[i].key, &i, sizeof(i));
    /* what was freed may wait in a thread's cache, and counts */
    ck_assert_uint_le(mallinfo2().uordblks, memory + 1024);
    space_saving_free(summary);
}
END_TEST

/* Every key once, round and round: nothing is heavy, every counter is always new. */
START_TEST(nothing_heavy)
{
    struct space_saving *summary = set_up_summary();
    for (uint64_t i = 0; i < 4 * KEYS; i++) {
        update(summary, i % KEYS, 1);
        if (i % 1000 == 999)
            check(summary, 0);
    }
    space_saving_free(summary);
}
END_TEST

/* A key just above 1/K hides in a flood of others, each of which comes in between. */
START_TEST(just_heavy_enough)
{
    struct space_saving *summary = set_up_summary();
    uint64_t flood = 1;
    for (uint64_t i = 0; i < UPDATES; i++) {
        bool heavy = i % (COUNTERS - 1) == 0;
        flood = flood % (KEYS - 1) + 1;
        update(summary, heavy ? 0 : flood, 10);
        if (i % 5000 == 4999)
            check(summary, 0);
    }
    space_saving_free(summary);
}
END_TEST

/* Weights that grow push one another out. */
START_TEST(growing_weights)
{
    struct space_saving *summary = set_up_summary();
    struct random_key key = random_key(1, "space_saving", "growing");
    for (uint64_t i = 0; i < 20000; i++) {
        update(summary, random_draw(&key, i) % 300, i * i % 100003);
        if (i % 500 == 0)
            check(summary, 0);
    }
    space_saving_free(summary);
}
END_TEST

/* What was heavy goes when it is no longer: without ageing it would stay for ever. */
START_TEST(the_present)
{
    struct space_saving *summary = set_up_summary();
    struct space_saving_entry top;
    uint64_t present = 2;
    update(summary, 1, 1000000);
    for (unsigned i = 0; i < 30; i++) {
        update(summary, present, 100);
        age(summary);
        check(summary, 1);
    }
    ck_assert_uint_eq(space_saving_top(summary, &top, 1), 1);
    ck_assert_mem_eq(top.key, &present, sizeof(present));
    for (unsigned i = 0; i < 8; i++)
        age(summary);
    ck_assert_uint_eq(space_saving_top(summary, &top, 1), 0);
    space_saving_free(summary);
}
END_TEST

/* Who comes first is not the one to go. */
START_TEST(shrinking_weights)
{
    struct space_saving *summary = set_up_summary();
    for (uint64_t i = 0; i < 2 * COUNTERS; i++) {
        update(summary, i, 10 * (2 * COUNTERS - i));
        check(summary, 0);
    }
    space_saving_free(summary);
}
END_TEST

START_TEST(few)
{
    struct space_saving *summary = set_up_summary();
    struct space_saving_entry top[4];
    uint64_t keys[] = { 5, 3, 4 };
    ck_assert_uint_eq(space_saving_top(summary, top, 3), 0);
    update(summary, keys[0], 7);
    update(summary, keys[2], 7);
    update(summary, keys[1], 9);
    update(summary, 6, 0);
    ck_assert_uint_eq(space_saving_top(summary, top, 2), 2);
    ck_assert_uint_eq(space_saving_top(summary, top, 4), 3);
    static const size_t order[] = { 1, 2, 0 };
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_mem_eq(top[i].key, &keys[order[i]], sizeof(keys[0]));
        ck_assert_uint_eq(top[i].error, 0);
    }
    space_saving_clear(summary);
    ck_assert_uint_eq(space_saving_total(summary), 0);
    ck_assert_uint_eq(space_saving_top(summary, top, 3), 0);
    space_saving_free(summary);
    summary = space_saving_new(8, 1, &seed);
    update(summary, 1, 5);
    update(summary, 2, 3);
    ck_assert_uint_eq(space_saving_top(summary, top, 3), 1);
    ck_assert(top[0].count == 8 && top[0].error == 5);
    space_saving_free(summary);
    ck_assert_ptr_null(space_saving_new(8, 0, &seed));
    ck_assert_ptr_null(space_saving_new(8, TABLE_CAPACITY_MAX, &seed));
    space_saving_free(NULL);
}
END_TEST

static Suite *suite_space_saving(void)
{
    Suite *suite = suite_create("space_saving");
    TCase *tests = tcase_create("space_saving");
    tcase_add_loop_test(tests, zipf_streams, 0, 3);
    tcase_add_test(tests, nothing_heavy);
    tcase_add_test(tests, just_heavy_enough);
    tcase_add_test(tests, growing_weights);
    tcase_add_test(tests, shrinking_weights);
    tcase_add_test(tests, the_present);
    tcase_add_test(tests, few);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(space_saving)
