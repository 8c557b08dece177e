/* test_pacer: every packet at its time, to the nanosecond. */
#include "selftest/selftest.h"
#include "selftest/support.h"

#define START 1000000000ull /* where test_engine's clock stands at first */

static struct engine *engine;
static struct link *input;

static void setup(void)
{
    engine = test_engine(1);
}

static void teardown(void)
{
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), 0);
}

static void graph(const char *name, const char *value, const char *name2,
                  const char *value2)
{
    struct graph *g = graph_new();
    test_app(g, "in", "Inject", NULL);
    test_app(g, "pacer", "Pacer", name, value, name2, value2, NULL);
    test_app(g, "out", "Collect", NULL);
    test_link(g, "in -> pacer");
    test_link(g, "pacer -> out");
    test_configure(engine, g);
    input = engine_find_link(engine, "in.output -> pacer.input");
}

static void offer(unsigned n, uint32_t length)
{
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = packet_allocate();
        packet_resize(p, length);
        p->timestamp = i;
        test_inject(engine, "in", p);
    }
}

/* How many came out when the engine breathes at a time. */
static size_t at(uint64_t time)
{
    size_t count;
    engine_set_time(engine, time);
    test_breathe(engine, 1);
    test_collected(engine, "out", &count);
    return count;
}

START_TEST(packets_per_second)
{
    graph("pps", "4", NULL, NULL);
    offer(10, 60);
    ck_assert_uint_eq(at(START), 1);
    ck_assert_uint_eq(at(START + 249999999), 1);
    ck_assert_uint_eq(at(START + 250000000), 2);
    ck_assert_uint_eq(at(START + 500000000), 3);
    ck_assert_uint_eq(link_readable(input), 7);
    ck_assert_uint_eq(timers_next(&engine->timers), START + 750000000);
}
END_TEST

/* A third of a second is no number of nanoseconds: that must not add up. */
START_TEST(no_rounding)
{
    graph("pps", "3", NULL, NULL);
    offer(901, 60);
    for (uint64_t i = 0; i <= 900; i++) {
        uint64_t due = START + i * 1000000000 / 3;
        if (i)
            ck_assert_uint_eq(at(due - 2), i);
        ck_assert_uint_eq(at(due + 1), i + 1);
    }
}
END_TEST

START_TEST(bits_per_second)
{
    graph("rate", "8kbit", NULL, NULL); /* a byte in a millisecond */
    offer(3, 100);
    offer(1, 50);
    ck_assert_uint_eq(at(START), 1);
    ck_assert_uint_eq(at(START + 99999999), 1);
    ck_assert_uint_eq(at(START + 100000000), 2);
    ck_assert_uint_eq(at(START + 200000000), 3);
    ck_assert_uint_eq(at(START + 300000000), 4);
    offer(1, 50);
    ck_assert_uint_eq(at(START + 349999999), 4);
    ck_assert_uint_eq(at(START + 350000000), 5);
}
END_TEST

/* The slower of the two counts. */
START_TEST(both)
{
    graph("rate", "8kbit", "pps", "100");
    offer(2, 100);
    ck_assert_uint_eq(at(START), 1);
    ck_assert_uint_eq(at(START + 99999999), 1);
    ck_assert_uint_eq(at(START + 100000000), 2);
}
END_TEST

START_TEST(lateness_is_made_up_for)
{
    graph("pps", "1000", "catch_up", "10ms");
    offer(100, 60);
    ck_assert_uint_eq(at(START), 1);
    ck_assert_uint_eq(at(START + 5000000), 6);
    ck_assert_uint_eq(at(START + 50000000), 6 + 11); /* of 45 ms only ten count */
    ck_assert_uint_eq(at(START + 51000000), 6 + 12);
}
END_TEST

START_TEST(idleness_is_not)
{
    graph("pps", "1000", NULL, NULL);
    ck_assert_uint_eq(at(START + 9000000), 0);
    offer(10, 60);
    ck_assert_uint_eq(at(START + 9500000), 1);
    ck_assert_uint_eq(at(START + 9999999), 1);
    ck_assert_uint_eq(at(START + 10500000), 2);
}
END_TEST

START_TEST(full_output)
{
    graph("count", "0", NULL, NULL);
    offer(3000, 60);
    size_t last = 0, now;
    for (uint64_t t = START; (now = at(t)) < 3000 || t < START + 100; t++) {
        ck_assert_uint_ge(now, last);
        last = now;
    }
    size_t count;
    struct packet **p = test_collected(engine, "out", &count);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(p[i]->timestamp, i);
}
END_TEST

/* Packets that are due and find no room ask for no time: it would be in the past, and the
 * engine would not sleep. */
START_TEST(waiting_for_room)
{
    struct graph *g = graph_new();
    test_app(g, "in", "Inject", NULL);
    test_app(g, "pacer", "Pacer", NULL);
    test_app(g, "slow", "Pacer", "pps", "1", NULL);
    test_app(g, "out", "Collect", NULL);
    test_link(g, "in -> pacer");
    test_link(g, "pacer -> slow");
    test_link(g, "slow -> out");
    test_configure(engine, g);
    offer(3000, 60);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(at(START + 10), 1);
    ck_assert_uint_gt(link_readable(engine_find_link(engine, "in.output -> pacer.input")),
                      0);
    ck_assert_uint_eq(timers_next(&engine->timers), START + 1000000000);
}
END_TEST

/* Slower than any clock can tell. */
START_TEST(hardly_ever)
{
    graph("pps", "1e-300", NULL, NULL);
    offer(3, 60);
    ck_assert_uint_eq(at(START), 1);
    ck_assert_uint_eq(timers_next(&engine->timers), START + 1000000000000000000);
    ck_assert_uint_eq(at(START + 1000000000000000000), 2);
    ck_assert_uint_eq(at(START + 1999999999999999999), 2);
}
END_TEST

START_TEST(counted)
{
    graph("count", "7", NULL, NULL);
    offer(5, 60);
    ck_assert_uint_eq(at(START), 5);
    ck_assert_uint_eq(test_counter(engine, "pacer", "finished"), 0);
    offer(5, 60);
    ck_assert_uint_eq(at(START + 1), 7);
    ck_assert_uint_eq(test_counter(engine, "pacer", "finished"), 1);
    ck_assert_uint_eq(test_counter(engine, "pacer", "bytes"), 420);
    ck_assert_uint_eq(link_readable(input), 3);
    graph("count", "8", NULL, NULL);
    ck_assert_uint_eq(at(START + 2), 8);
    graph("count", "3", NULL, NULL);
    ck_assert_uint_eq(at(START + 3), 8);
    ck_assert_uint_eq(test_counter(engine, "pacer", "finished"), 1);
}
END_TEST

static Suite *suite_pacer(void)
{
    Suite *suite = suite_create("pacer");
    TCase *tests = tcase_create("pacer");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, packets_per_second);
    tcase_add_test(tests, no_rounding);
    tcase_add_test(tests, bits_per_second);
    tcase_add_test(tests, both);
    tcase_add_test(tests, lateness_is_made_up_for);
    tcase_add_test(tests, idleness_is_not);
    tcase_add_test(tests, full_output);
    tcase_add_test(tests, waiting_for_room);
    tcase_add_test(tests, hardly_ever);
    tcase_add_test(tests, counted);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(pacer)
