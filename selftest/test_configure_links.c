/* configure: what becomes of packets on links that a new graph does not have. */
#include "engine/engine.h"

#include <string.h>

#include "selftest/probe.h"
#include "selftest/selftest.h"
#include "selftest/support.h"

START_TEST(app_inserted_into_a_link)
{
    probe_configure("(in )out in>out");
    probe_put("in.output -> out.input", 0, 500);
    probe_configure("(in x:0 y:0 )out in>x x>y y>out");
    probe_holds("y.output -> out.input", 0,
                500); /* in front of whatever comes by the detour */
    probe_put("in.output -> x.input", 500, 200);
    engine_breathe(probe_engine);
    size_t count;
    struct packet **p = test_collected(probe_engine, "out", &count);
    ck_assert_uint_eq(count, 700);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(p[i]->timestamp, i);
    ck_assert_uint_eq(probe_engine->counter[ENGINE_DROP_UNLINKED], 0);
}
END_TEST

/* What had passed the app is older than what had not. */
START_TEST(app_taken_out_of_a_link)
{
    probe_configure("(in x:0 )out in>x x>out");
    probe_put("x.output -> out.input", 0, 300);
    probe_put("in.output -> x.input", 300, 300);
    probe_configure("(in )out in>out");
    probe_holds("in.output -> out.input", 0, 600);
    ck_assert_uint_eq(probe_engine->counter[ENGINE_DROP_UNLINKED], 0);
}
END_TEST

START_TEST(other_receiver)
{
    probe_configure("a:0 b:0 c:0 a>b");
    probe_put("a.output -> b.input", 0, 20);
    probe_configure("a:0 b:0 c:0 a>c");
    probe_holds("a.output -> c.input", 0, 20);
    ck_assert_uint_eq(probe_engine->counter[ENGINE_DROP_UNLINKED], 0);
}
END_TEST

START_TEST(heir_that_was_there_before)
{
    probe_configure("a:0 b:0 c:0 a>c.one b>c.two");
    probe_put("a.output -> c.one", 50, 20);
    probe_put("b.output -> c.two", 0, 50);
    probe_configure("a:0 b:0 c:0 b>c.two a>c.three");
    probe_holds("b.output -> c.two", 0, 50);
    probe_holds("a.output -> c.three", 50, 20);
}
END_TEST

START_TEST(no_heir)
{
    probe_configure("a:0 b:0 c:0 a>b b>c");
    probe_put("a.output -> b.input", 0, 30);
    probe_put("b.output -> c.input", 0, 12);
    probe_configure("a:0 b:0 c:0 b>c");
    ck_assert_uint_eq(probe_engine->counter[ENGINE_DROP_UNLINKED], 30);
    ck_assert_uint_eq(counters_value(probe_engine->counters, "engine/drop_unlinked"), 30);
    probe_configure("");
    ck_assert_uint_eq(probe_engine->counter[ENGINE_DROP_UNLINKED], 42);
    ck_assert_uint_eq(arena_in_use(), probe_in_use);
}
END_TEST

START_TEST(heir_that_is_full)
{
    probe_configure("a:0 b:0 c:0 a.x>b a.y>c");
    probe_put("a.x -> b.input", 0, 700);
    probe_put("a.y -> c.input", 700, 700);
    probe_configure("a:0 b:0 d:0 a.x>d.p a.y>d.q"); /* b and c are gone: two heirs */
    probe_holds("a.x -> d.p", 0, 700);
    probe_holds("a.y -> d.q", 700, 700);
    probe_configure("a:0 d:0 e:0 a.x>d.p d.q>e");
    ck_assert_uint_eq(probe_engine->counter[ENGINE_DROP_UNLINKED], 700);
    probe_configure("a:0 f=0 g=0 a.x>f f>g");
    probe_holds("a.x -> f.input", 0, 700);
    probe_put("f.output -> g.input", 700, 700);
    probe_configure("a:0 g=0 a.x>g");
    ck_assert_uint_eq(link_readable(probe_link("a.x -> g.input")), LINK_SIZE);
    ck_assert_uint_eq(probe_link("a.x -> g.input")->drops, 1400 - LINK_SIZE);
}
END_TEST

/* Bytes of the heir are those of the packets, though the ring was not read from its
 * beginning. */
START_TEST(heir_counts_packets_and_bytes)
{
    probe_configure("a:0 b:0 c:0 a>b");
    probe_put("a.output -> b.input", 0, 40);
    for (unsigned i = 0; i < 10; i++)
        packet_free(link_receive(probe_link("a.output -> b.input")));
    probe_configure("a:0 b:0 c:0 a>c");
    probe_holds("a.output -> c.input", 10, 30);
    engine_commit_counters(probe_engine);
    ck_assert_uint_eq(
        counters_value(probe_engine->counters, "links/a.output -> c.input/txpackets"),
        30);
    ck_assert_uint_eq(
        counters_value(probe_engine->counters, "links/a.output -> c.input/txbytes"), 150);
}
END_TEST

static Suite *suite_configure_links(void)
{
    Suite *suite = suite_create("configure_links");
    TCase *tests = tcase_create("configure_links");
    tcase_add_checked_fixture(tests, probe_setup, probe_teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, app_inserted_into_a_link);
    tcase_add_test(tests, app_taken_out_of_a_link);
    tcase_add_test(tests, other_receiver);
    tcase_add_test(tests, heir_that_was_there_before);
    tcase_add_test(tests, no_heir);
    tcase_add_test(tests, heir_that_is_full);
    tcase_add_test(tests, heir_counts_packets_and_bytes);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(configure_links)
