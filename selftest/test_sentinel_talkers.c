/* talkers: every dimension, by bytes and packets, passed and dropped. */
#include <string.h>

#include "apps/flow_sentinel/talkers.h"
#include "selftest/selftest.h"

static const struct siphash_key seed = { 1, 2 };
static struct talkers *talkers;
static struct talker rows[TALKERS];

static void begin(void)
{
    talkers = talkers_new(&seed);
    ck_assert_ptr_nonnull(talkers);
}

static void end(void)
{
    talkers_free(talkers);
    talkers_free(NULL);
}

/* From host a to port b of host c. */
static struct sentinel_frame frame(uint32_t a, uint16_t b, uint32_t c, uint32_t bytes)
{
    struct sentinel_frame f = { .family = 4,
                                .src = { [3] = a },
                                .dst = { [3] = c },
                                .sport = 1000,
                                .dport = b,
                                .protocol = PROTOCOL_TCP,
                                .bytes = bytes,
                                .packets = 1 };
    return f;
}

static void add(uint32_t a, uint16_t b, uint32_t c, uint32_t bytes, uint8_t verdict)
{
    struct sentinel_frame f = frame(a, b, c, bytes);
    f.verdict = verdict;
    talkers_add(talkers, &f, 10);
}

static uint32_t top(enum talker_dimension by, enum talker_measure measure,
                    enum talker_part part, uint32_t n)
{
    memset(rows, 0xee, sizeof(rows));
    uint32_t count = talkers_top(talkers, by, measure, part, rows, n);
    for (uint32_t i = 0; i < count; i++)
        ck_assert_uint_eq(rows[i].key.dropped, 0);
    return count;
}

static void mixture(void)
{
    add(1, 80, 8, 1000, VERDICT_PASS);
    add(1, 443, 9, 1000, VERDICT_DROP);
    add(2, 80, 9, 1500, VERDICT_WOULD_DROP);
    for (int i = 0; i < 5; i++)
        add(3, 53, 9, 100, VERDICT_DROP);
}

START_TEST(sources_by_bytes)
{
    mixture();
    ck_assert_uint_eq(top(TALKER_SOURCE, TALKER_BYTES, TALKER_ALL, 10), 3);
    ck_assert_uint_eq(rows[0].key.src[3], 1);
    ck_assert_uint_eq(rows[0].count, 20000);
    ck_assert_uint_eq(rows[0].error, 0);
    ck_assert_uint_eq(rows[1].key.src[3], 2);
    ck_assert_uint_eq(rows[1].count, 15000);
    ck_assert_uint_eq(rows[2].key.src[3], 3);
    ck_assert_uint_eq(rows[2].count, 5000);
    ck_assert_uint_eq(rows[0].key.dst[3] | rows[0].key.dport | rows[0].key.protocol, 0);
}
END_TEST

START_TEST(by_packets)
{
    mixture();
    ck_assert_uint_eq(top(TALKER_SOURCE, TALKER_PACKETS, TALKER_ALL, 1), 1);
    ck_assert_uint_eq(rows[0].key.src[3], 3);
    ck_assert_uint_eq(rows[0].count, 50);
    ck_assert_uint_eq(rows[1].key.src[3], 0xeeeeeeee); /* not more than asked for */
}
END_TEST

START_TEST(passed_and_dropped)
{
    mixture();
    ck_assert_uint_eq(top(TALKER_SOURCE, TALKER_BYTES, TALKER_PASSED, 10), 2);
    ck_assert_uint_eq(rows[0].key.src[3], 2); /* what a dry run would drop passes */
    ck_assert_uint_eq(rows[1].key.src[3], 1);
    ck_assert_uint_eq(rows[1].count, 10000);
    ck_assert_uint_eq(top(TALKER_SOURCE, TALKER_BYTES, TALKER_DROPPED, 10), 2);
    ck_assert_uint_eq(rows[0].key.src[3], 1);
    ck_assert_uint_eq(rows[0].count, 10000);
    ck_assert_uint_eq(rows[1].key.src[3], 3);
}
END_TEST

START_TEST(other_dimensions)
{
    mixture();
    ck_assert_uint_eq(top(TALKER_DESTINATION, TALKER_BYTES, TALKER_ALL, 10), 2);
    ck_assert_uint_eq(rows[0].key.dst[3], 9);
    ck_assert_uint_eq(rows[0].count, 30000);
    ck_assert_uint_eq(rows[0].key.src[3], 0);
    ck_assert_uint_eq(top(TALKER_PORT, TALKER_BYTES, TALKER_ALL, 10), 3);
    ck_assert_uint_eq(rows[0].key.dport, 80);
    ck_assert_uint_eq(rows[0].key.protocol, PROTOCOL_TCP);
    ck_assert_uint_eq(rows[0].count, 25000);
    ck_assert_uint_eq(rows[0].key.sport, 0);
    ck_assert_uint_eq(top(TALKER_FLOW, TALKER_BYTES, TALKER_ALL, 10), 4);
    ck_assert_uint_eq(rows[0].key.src[3], 2);
    ck_assert_uint_eq(rows[0].key.dst[3], 9);
    ck_assert_uint_eq(rows[0].key.sport, 1000);
    ck_assert_uint_eq(rows[0].count, 15000);
}
END_TEST

START_TEST(nobody_without_an_address)
{
    struct sentinel_frame f = frame(1, 2, 3, 100);
    f.family = 0;
    talkers_add(talkers, &f, 1);
    for (int by = 0; by < TALKER_DIMENSIONS; by++)
        ck_assert_uint_eq(
            top((enum talker_dimension)by, TALKER_BYTES, TALKER_ALL, TALKERS), 0);
}
END_TEST

/* Many more keys than counters: those above a 1,024th of all are there, and within the bounds. */
START_TEST(bounds)
{
    uint64_t total = 0, heavy = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        add(1000 + i, 80, 9, 100, i & 1 ? VERDICT_DROP : VERDICT_PASS);
        total += 1000;
        if (i % 50 == 0) {
            add(7, 80, 9, 100, VERDICT_PASS);
            total += 1000;
            heavy += 1000;
        }
    }
    ck_assert_uint_eq(top(TALKER_SOURCE, TALKER_BYTES, TALKER_ALL, TALKERS), TALKERS);
    ck_assert_uint_eq(rows[0].key.src[3], 7);
    ck_assert_uint_ge(rows[0].count, heavy);
    ck_assert_uint_le(rows[0].count - rows[0].error, heavy);
    ck_assert_uint_le(rows[0].error, total / TALKERS);
}
END_TEST

static Suite *suite_sentinel_talkers(void)
{
    Suite *suite = suite_create("sentinel_talkers");
    TCase *tests = tcase_create("sentinel_talkers");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, sources_by_bytes);
    tcase_add_test(tests, by_packets);
    tcase_add_test(tests, passed_and_dropped);
    tcase_add_test(tests, other_dimensions);
    tcase_add_test(tests, nobody_without_an_address);
    tcase_add_test(tests, bounds);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(sentinel_talkers)
