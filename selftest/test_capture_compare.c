/* test_capture_compare: packets found again, lost, doubled, damaged, out of order. */
#include "selftest/selftest.h"

#include <string.h>

#include "lib/capture_compare.h"
#include "lib/checksum.h"
#include "lib/frame.h"

#define FRAME 120
#define STEP  1000000ull

static struct compare compare;
static struct compare_figures figures;

static void setup(void)
{
    compare = (struct compare){ .slots = 0 };
}

static void teardown(void)
{
    compare_free(&compare);
}

/* A UDP datagram in IPv4 that nobody else is like. */
static void fill(uint8_t frame[FRAME], uint32_t number)
{
    static const uint8_t headers[] = { 2,  0,  0, 0,    0,  2, 2,          0, 0,  0, 0,
                                       1,  8,  0, 0x45, 0,  0, FRAME - 14, 0, 0,  0, 0,
                                       64, 17, 0, 0,    10, 0, 0,          1, 10, 0, 0,
                                       2,  4,  0, 8,    0,  0, FRAME - 34, 0, 0 };
    memset(frame, 0, FRAME);
    memcpy(frame, headers, sizeof(headers));
    frame_put32(frame + 60, number * 2654435761u);
    frame_put32(frame + 64, number);
}

static void before(uint32_t number)
{
    uint8_t frame[FRAME];
    fill(frame, number);
    ck_assert_int_eq(compare_add(&compare, COMPARE_BEFORE, number * STEP, frame, FRAME),
                     0);
}

static void behind(uint32_t number, uint64_t delay, uint32_t flip, uint32_t length)
{
    uint8_t frame[FRAME];
    fill(frame, number);
    if (flip)
        frame[flip / 8] ^= (uint8_t)(1 << flip % 8);
    ck_assert_int_eq(
        compare_add(&compare, COMPARE_AFTER, number * STEP + delay, frame, length), 0);
}

static void match(void)
{
    ck_assert_int_eq(compare_match(&compare), 0);
    compare_figures(&compare, &figures);
}

/* Packet 3 is lost, 5 and 6 are, 7 comes twice. */
START_TEST(lost_and_doubled)
{
    uint64_t ns;
    for (uint32_t i = 0; i < 20; i++)
        before(i);
    for (uint32_t i = 0; i < 20; i++) {
        if (i != 3 && i != 5 && i != 6)
            behind(i, 500 + i, 0, FRAME);
        if (i == 7)
            behind(i, 600, 0, FRAME);
    }
    match();
    ck_assert_uint_eq(figures.sent,
                      19); /* the last might be on its way, for all we know */
    ck_assert_uint_eq(figures.received, 18);
    ck_assert_uint_eq(figures.lost, 3);
    ck_assert_uint_eq(figures.runs, 2);
    ck_assert_uint_eq(figures.pairs[1][1], 1);
    ck_assert_uint_eq(figures.pairs[1][0], 2);
    ck_assert_uint_eq(figures.pairs[0][1], 2);
    ck_assert_uint_eq(figures.duplicated, 1);
    ck_assert_uint_eq(figures.copies, 1);
    ck_assert_uint_eq(figures.foreign + figures.corrupted + figures.reordered, 0);
    ck_assert(compare_delay(&compare, 4, &ns));
    ck_assert_uint_eq(ns, 504);
    ck_assert(!compare_delay(&compare, 3, &ns));
}
END_TEST

/* Whichever bit is damaged, the packet is found; those lost beside it are not taken for it. */
START_TEST(damaged)
{
    uint32_t bit = (uint32_t)_i * 7 + 14 * 8;
    for (uint32_t i = 0; i < 100; i++)
        before(i);
    for (uint32_t i = 0; i < 100; i++)
        if (i == 50)
            behind(i, 100, bit, FRAME);
        else if (i < 45 || i > 55)
            behind(i, 100, 0, FRAME);
    match();
    ck_assert_uint_eq(figures.lost, 10);
    ck_assert_uint_eq(figures.corrupted, 1);
    ck_assert_uint_eq(figures.bits, 1);
    ck_assert_uint_eq(figures.foreign, 0);
    ck_assert_uint_eq(compare.list[COMPARE_BEFORE].packets[50].copies, 1);
}
END_TEST

START_TEST(cut_off)
{
    for (uint32_t i = 0; i < 10; i++)
        before(i);
    for (uint32_t i = 0; i < 10; i++)
        behind(i, 100, 0, i == 4 ? 80 : FRAME);
    match();
    ck_assert_uint_eq(figures.truncated, 1);
    ck_assert_uint_eq(figures.lost + figures.foreign + figures.corrupted, 0);
}
END_TEST

/* A hop further: hop limit and header checksum differ, and nothing is damaged by that. */
START_TEST(behind_a_router)
{
    for (uint32_t i = 0; i < 10; i++)
        before(i);
    for (uint32_t i = 0; i < 10; i++) {
        uint8_t bytes[FRAME];
        struct frame frame;
        fill(bytes, i);
        bytes[5] = 9;
        bytes[22]--;
        frame_parse(&frame, bytes, FRAME);
        frame_fix(&frame, bytes, false, false);
        ck_assert_int_eq(compare_add(&compare, COMPARE_AFTER, i * STEP + 5, bytes, FRAME),
                         0);
    }
    match();
    ck_assert(compare.routed);
    ck_assert_uint_eq(figures.sent, 10);
    ck_assert_uint_eq(figures.lost + figures.corrupted + figures.foreign, 0);
}
END_TEST

/* RFC 4737: the one that a later one has passed is reordered. Packet 5 comes behind 8. */
START_TEST(out_of_order)
{
    static const uint32_t order[] = { 0, 1, 2, 3, 4, 6, 7, 8, 5, 9, 11, 10, 12 };
    for (uint32_t i = 0; i < 13; i++)
        before(i);
    for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++)
        behind(order[k], (20 + k - order[k]) * STEP, 0, FRAME);
    match();
    ck_assert_uint_eq(figures.reordered, 2);
    ck_assert_uint_eq(figures.extent, 3);
    ck_assert_uint_eq(figures.foreign, 0);
}
END_TEST

/* What came before it was sent is something else: foreign, or so it seems damaged. */
START_TEST(swapped)
{
    for (uint32_t i = 0; i < 100; i++) {
        uint8_t frame[FRAME];
        before(i);
        fill(frame, i);
        if (i)
            compare_add(&compare, COMPARE_AFTER, i * STEP - STEP / 2, frame, FRAME);
    }
    match();
    ck_assert_uint_gt(figures.foreign + figures.corrupted, 50);
    ck_assert_uint_gt(figures.lost + figures.corrupted, 50);
}
END_TEST

/* Packets of equal bytes are counted, but have no delay. */
START_TEST(equal_bytes)
{
    uint8_t frame[FRAME];
    uint64_t ns;
    fill(frame, 1);
    for (uint32_t i = 0; i < 10; i++) {
        compare_add(&compare, COMPARE_BEFORE, i * STEP, frame, FRAME);
        if (i % 3)
            compare_add(&compare, COMPARE_AFTER, i * STEP + 7, frame, FRAME);
    }
    match();
    ck_assert_uint_eq(figures.received, 6);
    ck_assert_uint_eq(figures.ambiguous, figures.sent);
    ck_assert_uint_eq(figures.duplicated + figures.foreign, 0);
    ck_assert(!compare_delay(&compare, 1, &ns));
}
END_TEST

START_TEST(nothing)
{
    match();
    ck_assert_uint_eq(figures.sent + figures.received + figures.last_sent, 0);
    struct error err;
    ck_assert_int_lt(compare_read(&compare, COMPARE_BEFORE, "/nowhere", &err), 0);
    ck_assert_str_eq(err.text, "/nowhere: No such file or directory");
}
END_TEST

static Suite *suite_capture_compare(void)
{
    Suite *suite = suite_create("capture_compare");
    TCase *tests = tcase_create("capture_compare");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, lost_and_doubled);
    tcase_add_loop_test(tests, damaged, 0, (FRAME - 14) * 8 / 7);
    tcase_add_test(tests, cut_off);
    tcase_add_test(tests, behind_a_router);
    tcase_add_test(tests, out_of_order);
    tcase_add_test(tests, swapped);
    tcase_add_test(tests, equal_bytes);
    tcase_add_test(tests, nothing);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(capture_compare)
