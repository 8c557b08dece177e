/* test_delay_line: what goes in comes out whole, in the order of (release, sequence). */
#include "selftest/selftest.h"

#include <stdlib.h>
#include <string.h>

#include "apps/clumsy/delay_line.h"

#define HUGE_FRAME 200000

static uint8_t frame[HUGE_FRAME], out[HUGE_FRAME + 1];

static struct delay_line make(uint64_t budget)
{
    struct delay_line line;
    delay_line_init(&line, budget);
    ck_assert_uint_eq(delay_line_next(&line), DELAY_LINE_NEVER);
    ck_assert_ptr_null(delay_line_due(&line, DELAY_LINE_NEVER));
    return line;
}

/* A frame whose bytes tell its number. */
static const uint8_t *fill(uint64_t number, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        frame[i] = (uint8_t)(number * 31 + i * 7 + i / 256);
    return frame;
}

static struct delay_meta meta_of(uint64_t number, uint32_t length)
{
    struct delay_meta meta = { .length = length };
    memset(meta.rest, (int)(number & 255), sizeof(meta.rest));
    return meta;
}

static bool add(struct delay_line *line, enum delay_lane lane, uint64_t release,
                uint64_t sequence, uint32_t length)
{
    struct delay_meta meta = meta_of(sequence, length);
    return delay_line_add(line, lane, (struct delay_key){ release, sequence }, &meta,
                          fill(sequence, length));
}

static bool hold(struct delay_line *line, uint64_t release, uint64_t sequence,
                 uint32_t depth, uint64_t time)
{
    struct delay_meta meta = meta_of(sequence, 100);
    return delay_line_hold(line, (struct delay_key){ release, sequence }, &meta,
                           fill(sequence, 100), depth, time);
}

/* Takes the next frame, which must be this one. */
static void expect(struct delay_line *line, uint64_t release, uint64_t sequence)
{
    ck_assert_uint_eq(delay_line_next(line), release);
    ck_assert_ptr_null(delay_line_due(line, release - 1));
    const struct delay_record *record = delay_line_due(line, release);
    ck_assert_ptr_nonnull(record);
    uint32_t length = record->meta.length;
    struct delay_meta meta = meta_of(sequence, length);
    ck_assert_uint_eq(record->key.release, release);
    ck_assert_uint_eq(record->key.sequence, sequence);
    ck_assert_mem_eq(&record->meta, &meta, sizeof(meta));
    out[length] = 0xa5;
    delay_line_take(line, out);
    ck_assert_uint_eq(out[length], 0xa5);
    ck_assert_mem_eq(out, fill(sequence, length), length);
}

static void expect_empty(struct delay_line *line)
{
    ck_assert_uint_eq(line->count, 0);
    ck_assert_uint_eq(line->used, 0);
    ck_assert_uint_eq(delay_line_next(line), DELAY_LINE_NEVER);
}

START_TEST(test_in_order)
{
    struct delay_line line = make(1 << 30);
    uint64_t in = 0, gone = 0;
    for (int round = 0; round < 25; round++) {
        for (int i = 0; i < 40 + round; i++, in++)
            ck_assert(add(&line, DELAY_IN_ORDER, 1 + in / 2, in, in * 7919 % 1600));
        for (int i = 0; i < 50 && gone < in; i++, gone++)
            expect(&line, 1 + gone / 2, gone);
    }
    for (; gone < in; gone++)
        expect(&line, 1 + gone / 2, gone);
    expect_empty(&line);
    ck_assert_ptr_null(line.heap); /* nothing took the slow way */
    delay_line_free(&line);
}
END_TEST

static int by_key(const void *a, const void *b)
{
    const struct delay_key *x = a, *y = b;
    if (x->release != y->release)
        return x->release < y->release ? -1 : 1;
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* Against a sorted list: random times, lengths and lanes. */
START_TEST(test_sorted)
{
    enum { N = 2000 };
    static struct delay_key keys[N];
    struct delay_line line = make(1 << 30);
    uint64_t random = 1, last = 1;
    for (uint64_t i = 0; i < N; i++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        enum delay_lane lane = random >> 63 ? DELAY_IN_ORDER : DELAY_ANY_ORDER;
        uint64_t release = 1 + (random >> 33) % 700;
        if (lane == DELAY_IN_ORDER)
            release = last += release % 2;
        keys[i] = (struct delay_key){ release, i };
        ck_assert(add(&line, lane, release, i, (uint32_t)(random >> 20) % 2000));
    }
    ck_assert_uint_gt(line.heap_count, N / 3);
    qsort(keys, N, sizeof(keys[0]), by_key);
    for (uint64_t i = 0; i < N; i++)
        expect(&line, keys[i].release, keys[i].sequence);
    expect_empty(&line);
    delay_line_free(&line);
}
END_TEST

/* A frame given as in order that is not comes out in its place all the same. */
START_TEST(test_not_in_order)
{
    struct delay_line line = make(1 << 20);
    ck_assert(add(&line, DELAY_IN_ORDER, 100, 0, 60));
    ck_assert(add(&line, DELAY_IN_ORDER, 50, 1, 60));
    ck_assert(add(&line, DELAY_IN_ORDER, 100, 2, 60));
    expect(&line, 50, 1);
    expect(&line, 100, 0);
    expect(&line, 100, 2);
    expect_empty(&line);
    delay_line_free(&line);
}
END_TEST

/* Around the sizes of cells and blocks. */
START_TEST(test_lengths)
{
    struct delay_line line = make(1 << 30);
    uint64_t n = 0, gone = 0;
    for (uint32_t length = 0; length < 400; length++)
        for (enum delay_lane lane = DELAY_IN_ORDER; lane <= DELAY_ANY_ORDER; lane++, n++)
            ck_assert(add(&line, lane, 1 + n, n, length));
    const uint32_t lengths[] = { 65400, 65424, 65425, 65536, HUGE_FRAME, 1 };
    for (int i = 0; i < 6; i++)
        for (enum delay_lane lane = DELAY_IN_ORDER; lane <= DELAY_ANY_ORDER; lane++, n++)
            ck_assert(add(&line, lane, 1 + n, n, lengths[i]));
    for (; gone < n; gone++)
        expect(&line, 1 + gone, gone);
    expect_empty(&line);
    delay_line_free(&line);
}
END_TEST

/* The budget is met exactly, gives back what leaves, and may shrink under way. */
START_TEST(test_budget)
{
    for (enum delay_lane lane = DELAY_IN_ORDER; lane <= DELAY_ANY_ORDER; lane++) {
        uint64_t cost = delay_line_cost(lane, 300);
        ck_assert_uint_ge(cost, 300 + sizeof(struct delay_record));
        ck_assert_uint_lt(cost, 500);
        struct delay_line line = make(10 * cost);
        for (uint64_t i = 0; i < 10; i++)
            ck_assert(add(&line, lane, 1 + i, i, 300));
        ck_assert_uint_eq(line.used, line.budget);
        ck_assert(!add(&line, lane, 20, 20, 0));
        ck_assert(!hold(&line, 20, 20, 1, 1));
        expect(&line, 1, 0);
        ck_assert(add(&line, lane, 20, 20, 300));
        line.budget = 0;
        ck_assert(!add(&line, lane, 21, 21, 300));
        for (uint64_t i = 1; i < 10; i++)
            expect(&line, 1 + i, i);
        expect(&line, 20, 20);
        expect_empty(&line);
        delay_line_free(&line);
    }
}
END_TEST

/* Held until two more have left, right behind the second of them. */
START_TEST(test_hold_count)
{
    struct delay_line line = make(1 << 20);
    ck_assert(add(&line, DELAY_IN_ORDER, 10, 0, 100));
    ck_assert(hold(&line, 20, 1, 2, 1000));
    ck_assert(add(&line, DELAY_IN_ORDER, 30, 2, 100));
    ck_assert(add(&line, DELAY_IN_ORDER, 40, 3, 100));
    ck_assert(add(&line, DELAY_IN_ORDER, 40, 4, 100));
    expect(&line, 10, 0);
    expect(&line, 30, 2);
    expect(&line, 40, 3);
    expect(&line, 40, 1);
    expect(&line, 40, 4);
    expect_empty(&line);
    delay_line_free(&line);
}
END_TEST

/* Those that come later count also when they leave at once after being added. */
START_TEST(test_hold_time)
{
    struct delay_line line = make(1 << 20);
    ck_assert(hold(&line, 20, 0, 2, 1000));
    ck_assert(add(&line, DELAY_IN_ORDER, 25, 1, 100));
    expect(&line, 25, 1);
    expect(&line, 1020, 0); /* only one came */
    ck_assert(hold(&line, 2000, 2, 1, 1000));
    ck_assert(add(&line, DELAY_ANY_ORDER, 1500, 3, 100));
    expect(&line, 1500, 3);
    expect(&line, 2000, 2); /* enough have left, but it is not due before */
    expect_empty(&line);
    delay_line_free(&line);
}
END_TEST

/* Several held: they stay in order, and do not count for each other. */
START_TEST(test_hold_several)
{
    struct delay_line line = make(1 << 20);
    for (uint64_t i = 0; i < 100; i++)
        ck_assert(hold(&line, 10 + i, i, 2, 10000));
    ck_assert_uint_eq(delay_line_held(&line), 100);
    ck_assert(add(&line, DELAY_IN_ORDER, 200, 100, 100));
    ck_assert(hold(&line, 201, 101, 2, 10000));
    ck_assert(add(&line, DELAY_IN_ORDER, 300, 102, 100));
    ck_assert(add(&line, DELAY_IN_ORDER, 400, 103, 100));
    expect(&line, 200, 100);
    expect(&line, 300, 102);
    for (uint64_t i = 0; i < 100; i++)
        expect(&line, 300, i);
    expect(&line, 400, 103);
    expect(&line, 400, 101);
    expect_empty(&line);
    delay_line_free(&line);
}
END_TEST

/* A shorter hold does not overtake a longer one. */
START_TEST(test_hold_shorter)
{
    struct delay_line line = make(1 << 20);
    ck_assert(hold(&line, 10, 0, 5, 1000));
    ck_assert(hold(&line, 20, 1, 1, 10));
    ck_assert(add(&line, DELAY_IN_ORDER, 30, 2, 100));
    expect(&line, 30, 2);
    expect(&line, 1010, 0);
    expect(&line, 1010, 1);
    expect_empty(&line);
    delay_line_free(&line);
}
END_TEST

/* Memory is used again: a line with few frames does not grow however many pass. */
START_TEST(test_reuse)
{
    struct delay_line line = make(1 << 20);
    for (uint64_t i = 0; i < 10000; i++) {
        ck_assert(add(&line, i & 1 ? DELAY_IN_ORDER : DELAY_ANY_ORDER, 1 + i, i, 200));
        if (i >= 20)
            delay_line_take(&line, i & 2 ? out : NULL);
    }
    ck_assert_uint_eq(line.count, 20);
    ck_assert_uint_eq(line.cells, 1024);
    ck_assert_uint_eq(line.heap_size, 64);
    delay_line_free(&line);
    expect_empty(&line);
}
END_TEST

static Suite *suite_delay_line(void)
{
    Suite *suite = suite_create("delay_line");
    TCase *order = tcase_create("order");
    tcase_set_timeout(order, 60); /* sanitizers on a slow machine */
    tcase_add_test(order, test_in_order);
    tcase_add_test(order, test_sorted);
    tcase_add_test(order, test_not_in_order);
    tcase_add_test(order, test_lengths);
    suite_add_tcase(suite, order);
    TCase *memory = tcase_create("memory");
    tcase_add_test(memory, test_budget);
    tcase_add_test(memory, test_reuse);
    suite_add_tcase(suite, memory);
    TCase *held = tcase_create("held");
    tcase_add_test(held, test_hold_count);
    tcase_add_test(held, test_hold_time);
    tcase_add_test(held, test_hold_several);
    tcase_add_test(held, test_hold_shorter);
    suite_add_tcase(suite, held);
    return suite;
}

SUITE(delay_line)
