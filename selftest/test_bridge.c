/* test_bridge: who hears whom through a Bridge, and that no packet goes uncounted. */
#include "apps/apps.h"
#include "selftest/selftest.h"
#include "selftest/support.h"

static struct engine *engine;
static uint64_t injected;
static const char *const names[] = { "a", "b", "c", NULL };

static void graph_with(const char *parameter, const char *value)
{
    struct graph *graph = graph_new();
    char spec[64], app[16];
    test_app(graph, "bridge", "Bridge", parameter, value, NULL);
    for (const char *const *name = names; *name; name++) {
        snprintf(app, sizeof(app), "from_%s", *name);
        test_app(graph, app, "Inject", NULL);
        snprintf(spec, sizeof(spec), "%s.output -> bridge.%s", app, *name);
        test_link(graph, spec);
        snprintf(app, sizeof(app), "to_%s", *name);
        test_app(graph, app, "Collect", NULL);
        snprintf(spec, sizeof(spec), "bridge.%s -> %s.input", *name, app);
        test_link(graph, spec);
    }
    test_configure(engine, graph);
}

static void setup(void)
{
    engine = test_engine(1);
    injected = 0;
    graph_with("ageing", "10s");
}

static size_t collected(const char *port)
{
    char app[16];
    size_t count;
    snprintf(app, sizeof(app), "to_%s", port);
    test_collected(engine, app, &count);
    return count;
}

static uint64_t counter(const char *name)
{
    return test_counter(engine, "bridge", name);
}

static void teardown(void)
{
    size_t sent = 0;
    for (const char *const *name = names; *name; name++)
        sent += collected(*name);
    ck_assert_uint_eq(injected + counter("copies"),
                      sent + counter("drop_short") + counter("drop_same_port") +
                          counter("drop_partition") + counter("drop_no_packet") +
                          counter("drop_no_output"));
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), 0);
}

/* A frame from station `from` to station `to` (0: broadcast) comes in at a port. */
static void frame(const char *port, uint8_t from, uint8_t to)
{
    uint8_t bytes[60] = { 2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 0x88, 0xb5 };
    char app[16];
    if (!to)
        memset(bytes, 0xff, 6);
    snprintf(app, sizeof(app), "from_%s", port);
    test_inject_bytes(engine, app, bytes, sizeof(bytes));
    injected++;
    test_breathe(engine, 3);
}

static void check(size_t a, size_t b, size_t c)
{
    ck_assert_msg(collected("a") == a && collected("b") == b && collected("c") == c,
                  "a, b, c have %zu, %zu, %zu, not %zu, %zu, %zu", collected("a"),
                  collected("b"), collected("c"), a, b, c);
}

START_TEST(learns)
{
    frame("a", 1, 2); /* unknown: to all others */
    check(0, 1, 1);
    frame("b", 2, 1);
    check(1, 1, 1);
    frame("a", 1, 2);
    check(1, 2, 1);
    frame("a", 1, 0); /* for everybody */
    check(1, 3, 2);
    frame("c", 2, 1); /* 2 has moved */
    frame("a", 1, 2);
    check(2, 3, 3);
    frame("a", 3, 1); /* 1 is where this comes from */
    check(2, 3, 3);
    ck_assert_uint_eq(counter("learnt"), 3);
    ck_assert_uint_eq(counter("moved"), 1);
    ck_assert_uint_eq(counter("flooded"), 2);
    ck_assert_uint_eq(counter("drop_same_port"), 1);
}
END_TEST

START_TEST(forgets)
{
    frame("b", 2, 1);
    frame("a", 1, 2);
    check(1, 1, 1);
    engine_set_time(engine, engine_now(engine) + 9000000000);
    frame("a", 1, 2);
    check(1, 2, 1);
    engine_set_time(engine, engine_now(engine) + 2000000000);
    frame("a", 1, 2);
    check(1, 3, 2);
}
END_TEST

START_TEST(remembers_no_group)
{
    uint8_t bytes[60] = { 2, 0, 0, 0, 0, 9, 3, 0, 0, 0, 0, 1 };
    test_inject_bytes(engine, "from_a", bytes, sizeof(bytes));
    test_inject_bytes(engine, "from_a", bytes, 13);
    injected += 2;
    test_breathe(engine, 3);
    ck_assert_uint_eq(counter("learnt"), 0);
    ck_assert_uint_eq(counter("drop_short"), 1);
    check(0, 1, 1);
}
END_TEST

/* More stations than there is room for: the table keeps the latest, and never grows. */
START_TEST(is_bounded)
{
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t bytes[60] = {
            2, 0, 0, 0, 0, 1, 2, 1, 0, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i
        };
        test_inject_bytes(engine, "from_a", bytes, sizeof(bytes));
        injected++;
        test_breathe(engine, 1);
        if (i % 100 == 0)
            for (const char *const *name = names; *name; name++) {
                char app[16];
                snprintf(app, sizeof(app), "to_%s", *name);
                injected -= collected(*name);
                test_collect_clear(engine, app);
            }
    }
    test_breathe(engine, 3);
    ck_assert_uint_eq(counter("learnt"), 20000);
}
END_TEST

/* One direction is cut, live, and heals. */
START_TEST(partition)
{
    frame("b", 2, 1);
    frame("a", 1, 2);
    check(1, 1, 1);
    graph_with("partition", "a>b,c>*");
    frame("a", 1, 2);
    check(1, 1, 1);
    frame("b", 2, 1);
    check(2, 1, 1);
    frame("a", 1, 0);
    check(2, 1, 2);
    frame("c", 3, 0);
    check(2, 1, 2);
    ck_assert_uint_eq(counter("drop_partition"), 4);
    graph_with("partition", "");
    frame("a", 1, 2); /* and it has not forgotten */
    check(2, 2, 2);
}
END_TEST

START_TEST(partition_is_checked)
{
    static const char *const wrong[] = { "a", "a>", ">b", "a>b>c", "a>b,c", NULL };
    for (const char *const *text = wrong; *text; text++) {
        struct graph *graph = graph_new();
        struct value args = value_table();
        struct error err;
        value_table_add(&args, "partition", value_string(*text));
        ck_assert_int_lt(
            graph_add_app(graph, "bridge", apps_find("Bridge"), &args, NULL, &err), 0);
        ck_assert_ptr_nonnull(strstr(err.text, "is not a list of directions"));
        value_free(&args);
        graph_free(graph);
    }
}
END_TEST

static Suite *suite_bridge(void)
{
    Suite *suite = suite_create("bridge");
    TCase *tests = tcase_create("bridge");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, learns);
    tcase_add_test(tests, forgets);
    tcase_add_test(tests, remembers_no_group);
    tcase_add_test(tests, is_bounded);
    tcase_add_test(tests, partition);
    tcase_add_test(tests, partition_is_checked);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(bridge)
