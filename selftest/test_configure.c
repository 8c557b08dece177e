/* configure: from one graph to the next: what is kept, changed, made, stopped, rolled
 * back. Packets on links are in test_configure_links.c; test_configure_random.c does all
 * of it at random. */
#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "selftest/probe.h"
#include "selftest/selftest.h"
#include "selftest/support.h"

static struct error err;

static void configure_fails(const char *text, int error, const char *message)
{
    uint64_t configs = probe_engine->counter[ENGINE_CONFIGS];
    ck_assert_int_eq(engine_configure(probe_engine, probe_graph(text), &err), error);
    ck_assert_str_eq(err.text, message);
    ck_assert_uint_eq(probe_engine->counter[ENGINE_CONFIGS], configs);
    ck_assert_uint_eq(counters_generation(probe_engine->counters) % 2, 0);
}

static int64_t level_of(const char *name)
{
    return ((const struct probe_conf *)probe_app(name)->conf)->level;
}

/* --- diff --------------------------------------------------------------------------- */

START_TEST(starts_and_stops_in_order)
{
    probe_configure("b:1 a:2 c:3 b>a");
    ck_assert_str_eq(probe_happened(), "+b1 +a2 +c3 ");
    probe_configure("a:2 d:4");
    ck_assert_str_eq(probe_happened(), "+d4 -c -b ");
    ck_assert_ptr_null(engine_find_app(probe_engine, "b"));
    ck_assert_uint_eq(probe_engine->nlinks, 0);
    probe_configure("");
    ck_assert_str_eq(probe_happened(), "-d -a ");
    ck_assert_uint_eq(probe_engine->counter[ENGINE_CONFIGS], 3);
}
END_TEST

START_TEST(same_graph_changes_nothing)
{
    probe_configure("a:1 b=2 a>b");
    probe_put("a.output -> b.input", 0, 10);
    engine_breathe(probe_engine);
    probe_happened();
    const struct app *a = probe_app("a"), *b = probe_app("b");
    const struct link *link = probe_link("a.output -> b.input");
    probe_configure("a:1 b=2 a>b");
    ck_assert_str_eq(probe_happened(), "");
    ck_assert(a == probe_app("a") && b == probe_app("b"));
    ck_assert_ptr_eq(link, probe_link("a.output -> b.input"));
    probe_holds("a.output -> b.input", 0, 10);
    engine_breathe(probe_engine);
    ck_assert_uint_eq(test_counter(probe_engine, "b", "pushes"), 2);
    probe_configure("b=2 a:1 a>b"); /* another order is no difference either */
    ck_assert_str_eq(probe_happened(), "");
    ck_assert(a == probe_app("a") && b == probe_app("b"));
    probe_holds("a.output -> b.input", 0, 10);
}
END_TEST

START_TEST(parameters_change_in_place)
{
    probe_configure("a:1 b:2 a>b");
    probe_put("a.output -> b.input", 0, 10);
    engine_breathe(probe_engine);
    probe_happened();
    const struct app *a = probe_app("a");
    probe_configure("a:5 b:2 a>b");
    ck_assert_str_eq(probe_happened(), "~a5 ");
    ck_assert_ptr_eq(a, probe_app("a"));
    ck_assert_int_eq(level_of("a"), 5);
    probe_holds("a.output -> b.input", 0, 10);
    engine_breathe(probe_engine);
    ck_assert_uint_eq(((struct probe *)probe_app("a")->state)->pushes, 2);
    probe_configure("a:6 b:2 c:0 a>b b>c"); /* and when the graph changes too */
    ck_assert_str_eq(probe_happened(), "+c0 ~a6 ");
    ck_assert_ptr_eq(a, probe_app("a"));
    ck_assert_int_eq(level_of("a"), 6);
    ck_assert_uint_eq(test_counter(probe_engine, "a", "pushes"), 2);
}
END_TEST

START_TEST(replaced_where_it_cannot_change)
{
    probe_configure("a=1 b:2 a>b b>a");
    probe_put("a.output -> b.input", 0, 10);
    probe_put("b.output -> a.input", 50, 10);
    ck_assert_uint_eq(test_counter(probe_engine, "a", "pushes"), 0);
    probe_happened();
    const struct app *b = probe_app("b");
    probe_configure("a=2 b:2 a>b b>a");
    ck_assert_str_eq(probe_happened(), "+a2 -a ");
    ck_assert_int_eq(level_of("a"), 2);
    ck_assert_ptr_eq(b, probe_app("b"));
    probe_holds("a.output -> b.input", 0, 10); /* both its links keep what they have */
    probe_holds("b.output -> a.input", 50, 10);
    engine_breathe(probe_engine);
    ck_assert_uint_eq(((struct probe *)probe_app("a")->state)->pushes, 1);
    ck_assert_uint_eq(test_counter(probe_engine, "a", "pushes"), 1);
}
END_TEST

START_TEST(unsupported_change_replaces)
{
    probe_configure("a:1 b:1 a>b");
    probe_put("a.output -> b.input", 0, 10);
    probe_happened();
    probe_configure("a:99 b:1 a>b");
    ck_assert_str_eq(probe_happened(), "~a99! +a99 -a ");
    ck_assert_int_eq(level_of("a"), UNSUPPORTED);
    ck_assert_ptr_eq(probe_app("a")->outputs[0], probe_link("a.output -> b.input"));
    probe_holds("a.output -> b.input", 0, 10);
}
END_TEST

START_TEST(another_class_of_the_same_name)
{
    probe_configure("a:1 b:1 a>b");
    probe_put("a.output -> b.input", 0, 10);
    probe_happened();
    probe_configure("a=1 b:1 a>b");
    ck_assert_str_eq(probe_happened(), "+a1 -a ");
    ck_assert_str_eq(probe_app("a")->class->name, "Plain");
    probe_holds("a.output -> b.input", 0, 10);
}
END_TEST

START_TEST(ports_follow_the_links)
{
    probe_configure("a:0 b:0 c:0 a.x>b a.m>c");
    ck_assert_uint_eq(probe_app("a")->noutputs, 2);
    ck_assert_str_eq(probe_app("a")->outputs[0]->from, "m"); /* sorted by name */
    ck_assert_str_eq(probe_app("a")->outputs[1]->from, "x");
    probe_configure("a:0 b:0 c:0 a.x>b");
    ck_assert_uint_eq(probe_app("a")->noutputs, 1);
    ck_assert_uint_eq(probe_app("c")->ninputs, 0);
    probe_configure("a:0 b:0 c:0 a.x>b b.y>c");
    ck_assert_str_eq(probe_app("c")->inputs[0]->to, "input");
    ck_assert_ptr_eq(probe_app("c")->inputs[0], probe_app("b")->outputs[0]);
}
END_TEST

/* --- failure ------------------------------------------------------------------------ */

/* A graph in full swing, to be found unharmed. */
static struct app *old_a, *old_b;
static struct link *old_link;

static void old_graph(void)
{
    probe_configure("a:1 b:2 c=3 a>b");
    probe_put("a.output -> b.input", 0, 10);
    engine_breathe(probe_engine);
    old_a = probe_app("a");
    old_b = probe_app("b");
    old_link = probe_link("a.output -> b.input");
    probe_happened();
}

static void check_old_graph(void)
{
    ck_assert(probe_engine->napps == 3 && probe_engine->nlinks == 1);
    ck_assert(probe_app("a") == old_a && probe_app("b") == old_b);
    ck_assert_ptr_eq(probe_link("a.output -> b.input"), old_link);
    ck_assert(old_a->noutputs == 1 && old_a->outputs[0] == old_link);
    ck_assert(level_of("a") == 1 && level_of("b") == 2 && level_of("c") == 3);
    probe_holds("a.output -> b.input", 0, 10);
    uint64_t pushes = test_counter(probe_engine, "a", "pushes");
    engine_breathe(probe_engine);
    ck_assert_uint_eq(test_counter(probe_engine, "a", "pushes"), pushes + 1);
    ck_assert_uint_eq(((struct probe *)old_a->state)->pushes, pushes + 1);
    ck_assert_uint_eq(test_counter(probe_engine, "c", "pushes"), pushes + 1);
    ck_assert_str_eq(probe_happened(), "");
}

START_TEST(start_fails)
{
    old_graph();
    configure_fails("a:5 b:2 c=3 d:4 e:13 f:6 a>d d>b e>f", -EIO,
                    "app \"e\" (Probe): level 13 is unlucky");
    ck_assert_str_eq(probe_happened(), "+d4 +e13! -e -d ");
    check_old_graph();
    probe_configure("a:1 b:2 c=3 d:4 a>b b>d"); /* and the next one goes well */
    ck_assert_str_eq(probe_happened(), "+d4 ");
}
END_TEST

START_TEST(start_of_a_replacement_fails)
{
    old_graph();
    configure_fails("a:1 b:2 c=13 d:4 a>b", -EIO,
                    "app \"c\" (Plain): level 13 is unlucky");
    ck_assert_str_eq(probe_happened(), "+c13! -c ");
    check_old_graph();
}
END_TEST

START_TEST(reconfigure_fails)
{
    old_graph();
    configure_fails("a:5 b:13 c=4 d:1 a>d", -EIO,
                    "app \"b\" (Probe): level 13 is unlucky");
    ck_assert_str_eq(probe_happened(), "+c4 +d1 ~a5 ~b13! ~a1 -c -d ");
    check_old_graph();
}
END_TEST

START_TEST(unsupported_change_and_then_a_failure)
{
    old_graph();
    configure_fails("a:99 b:13 c=3 a>b", -EIO, "app \"b\" (Probe): level 13 is unlucky");
    ck_assert_str_eq(probe_happened(), "~a99! +a99 ~b13! -a ");
    check_old_graph();
}
END_TEST

START_TEST(impossible_graph)
{
    old_graph();
    configure_fails("a:1 b:2 c=3 d:4 a>b a>d", -EEXIST,
                    "link \"a.output -> d.input\": a.output has a link already "
                    "(\"a.output -> b.input\")");
    ck_assert_str_eq(probe_happened(), "");
    check_old_graph();
}
END_TEST

START_TEST(error_names_the_place)
{
    struct value args = value_table();
    value_table_add(&args, "level", value_integer(UNLUCKY));
    struct graph *graph = graph_new();
    ck_assert_int_eq(graph_add_app(graph, "x", &probe_class, &args, "wan.lua:14", NULL),
                     0);
    value_free(&args);
    ck_assert_int_eq(engine_configure(probe_engine, graph, &err), -EIO);
    ck_assert_str_eq(err.text, "wan.lua:14: app \"x\" (Probe): level 13 is unlucky");
}
END_TEST

static void count_entry(const struct counter_entry *entry, const uint64_t *words,
                        void *user)
{
    ++*(unsigned *)user;
}

static unsigned counter_entries(void)
{
    unsigned n = 0;
    ck_assert(counters_read(probe_engine->counters, count_entry, &n));
    return n;
}

START_TEST(failure_leaves_no_counters_behind)
{
    old_graph();
    unsigned before = counter_entries();
    for (unsigned i = 0; i < 3; i++) {
        configure_fails("a:1 b:13 c=3 d:4 a>d d>b c>a", -EIO,
                        "app \"b\" (Probe): level 13 is unlucky");
        ck_assert_uint_eq(counter_entries(), before);
        ck_assert_uint_eq(counters_value(probe_engine->counters, "apps/d/pushes"), 0);
    }
    probe_configure("");
    ck_assert_uint_eq(counter_entries(), ENGINE_COUNTERS + 1);
}
END_TEST

/* An app for whose counters there is no room was never started, so it is not stopped. */
START_TEST(no_room_for_counters)
{
    static const struct counter_row row[] = { { "x", "" }, { NULL, "" } };
    old_graph();
    while (counters_add(probe_engine->counters, "filler", row))
        ;
    uint64_t *room = counters_add(probe_engine->counters, "filler", NULL);
    configure_fails("a:1 b:2 c=3 d:4 a>b", -ENOSPC,
                    "app \"d\" (Probe): no room for its counters");
    ck_assert_str_eq(probe_happened(), "");
    configure_fails("a:1 b:2 c=3 a>b b>c", -ENOSPC,
                    "no room for the counters of 2 links");
    ck_assert_str_eq(probe_happened(), "");
    ck_assert_ptr_null(room);
    check_old_graph();
}
END_TEST

START_TEST(room_for_half_of_the_counters)
{
    static const struct counter_row row[] = { { "x", "" }, { NULL, "" } };
    uint64_t *words, *last = NULL;
    old_graph();
    while ((words = counters_add(probe_engine->counters, "filler", row)))
        last = words;
    counters_remove(probe_engine->counters, last); /* of the shape of "pushes" */
    configure_fails("a:1 b:2 c=3 d:4 a>b", -ENOSPC,
                    "app \"d\" (Probe): no room for its counters");
    ck_assert_str_eq(probe_happened(), "");
    check_old_graph();
}
END_TEST

/* --- many --------------------------------------------------------------------------- */

static struct graph *chain(unsigned n, unsigned changed)
{
    struct graph *graph = graph_new();
    char name[NAME_SIZE], spec[200], level[16];
    test_app(graph, "in", "Inject", NULL);
    for (unsigned i = 0; i < n; i++) {
        /* neither in alphabetical order nor in that of adding */
        snprintf(name, sizeof(name), "x%u", i * 7919 % n);
        snprintf(level, sizeof(level), "%u", i * 7919 % n == changed);
        test_app(graph, name, "Probe", "level", level, NULL);
        if (i + 1 < n) {
            snprintf(spec, sizeof(spec), "x%u -> x%u", i, i + 1);
            test_link(graph, spec);
        }
    }
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "in -> x0");
    snprintf(spec, sizeof(spec), "x%u -> out", n - 1);
    test_link(graph, spec);
    return graph;
}

START_TEST(thousand_apps)
{
    size_t count;
    test_configure(probe_engine, chain(1000, 0));
    for (unsigned i = 0; i < 10; i++)
        test_inject_bytes(probe_engine, "in", &i, sizeof(i));
    engine_breathe(probe_engine); /* all the way in one breath */
    struct packet **p = test_collected(probe_engine, "out", &count);
    ck_assert_uint_eq(count, 10);
    for (unsigned i = 0; i < 10; i++)
        ck_assert_mem_eq(p[i]->data, &i, sizeof(i));

    const struct app *kept = probe_app("x500");
    probe_happened();
    test_configure(probe_engine, chain(1000, 0));
    ck_assert_str_eq(probe_happened(), "");
    test_configure(probe_engine, chain(1000, 77));
    ck_assert_str_eq(probe_happened(), "~x00 ~x771 ");
    ck_assert_ptr_eq(kept, probe_app("x500"));
    test_configure(probe_engine, chain(3, 0));
    ck_assert_uint_eq(probe_engine->napps, 5);
    test_configure(probe_engine, chain(1000, 0));
    test_inject_bytes(probe_engine, "in", "x", 1);
    engine_breathe(probe_engine);
    test_collected(probe_engine, "out", &count);
    ck_assert_uint_eq(count, 11);
}
END_TEST

static Suite *suite_configure(void)
{
    Suite *suite = suite_create("configure");
    TCase *tests = tcase_create("configure");
    tcase_add_checked_fixture(tests, probe_setup, probe_teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, starts_and_stops_in_order);
    tcase_add_test(tests, same_graph_changes_nothing);
    tcase_add_test(tests, parameters_change_in_place);
    tcase_add_test(tests, replaced_where_it_cannot_change);
    tcase_add_test(tests, unsupported_change_replaces);
    tcase_add_test(tests, another_class_of_the_same_name);
    tcase_add_test(tests, ports_follow_the_links);
    tcase_add_test(tests, start_fails);
    tcase_add_test(tests, start_of_a_replacement_fails);
    tcase_add_test(tests, reconfigure_fails);
    tcase_add_test(tests, unsupported_change_and_then_a_failure);
    tcase_add_test(tests, impossible_graph);
    tcase_add_test(tests, error_names_the_place);
    tcase_add_test(tests, failure_leaves_no_counters_behind);
    tcase_add_test(tests, no_room_for_counters);
    tcase_add_test(tests, room_for_half_of_the_counters);
    tcase_add_test(tests, thousand_apps);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(configure)
