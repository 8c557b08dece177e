/* pinning: which CPUs the cores of a graph are. */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/apps.h"
#include "engine/engine.h"
#include "selftest/selftest.h"
#include "selftest/support.h"

/* Where the apps run, each with its engine's thread. */
static cpu_set_t seen_on[2];
static atomic_uint seen, expected; /* one bit per core */

/* Ends the run once every core has looked. */
static void look_around(struct app *app)
{
    uint32_t core = app->engine->core;
    if (seen >> core & 1)
        return;
    sched_getaffinity(0, sizeof(seen_on[0]), &seen_on[core]);
    atomic_fetch_or(&seen, 1u << core);
    if (seen == expected)
        engine_stop(app->engine);
}

static const struct app_class look_class = {
    .name = "Look",
    .doc = "",
    .pull = look_around,
};

static struct engine *engine;
static struct graph *graph;

static void setup(void)
{
    struct engine_options options = { .seed = 1 };
    struct error err;
    if (!apps_find("Look"))
        apps_add(&look_class, NULL);
    engine = engine_new(&options, &err);
    ck_assert_msg(engine != NULL, "%s", err.text);
    graph = graph_new();
    if (engine->cores.count < 2) {
        fprintf(stderr, "SKIPPED: this machine has one core\n");
        exit(0);
    }
}

static void teardown(void)
{
    engine_free(engine);
    graph_free(graph);
}

static void on_core(uint32_t core, const char *name)
{
    struct error err;
    ck_assert_msg(!graph_set_core(graph, name, core, &err), "%s", err.text);
}

/* --- which there are ---------------------------------------------------------------- */

START_TEST(a_core_the_machine_lacks)
{
    struct error err;
    char wanted[200];
    test_app(graph, "check", "Look", NULL);
    on_core(engine->cores.count, "check");
    snprintf(wanted, sizeof(wanted),
             "app \"check\" is to run on core %u, but the number of cores here is %u "
             "(counted from 0)",
             engine->cores.count, engine->cores.count);
    ck_assert_int_eq(engine_configure(engine, graph, &err), -ENODEV);
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    ck_assert_str_eq(err.text, wanted);
    graph = graph_new();
    ck_assert_uint_eq(engine->nothers, 0);
    ck_assert_int_eq(graph_set_core(graph, "nobody", 1, &err), -ENOENT);
    ck_assert_str_eq(err.text, "core 1: no app \"nobody\"");
}
END_TEST

struct list {
    const char *text, *error; /* NULL: it is right */
};

static const struct list lists[] = {
    { "0", NULL },
    { "1,0", NULL },
    { "0-1", NULL },
    { "", "cores \"\": not a list of CPUs (such as \"2,3\" or \"2-5\")" },
    { "0,", "cores \"0,\": not a list of CPUs (such as \"2,3\" or \"2-5\")" },
    { "1-0", "cores \"1-0\": not a list of CPUs (such as \"2,3\" or \"2-5\")" },
    { "0 1", "cores \"0 1\": not a list of CPUs (such as \"2,3\" or \"2-5\")" },
    { "-1", "cores \"-1\": not a list of CPUs (such as \"2,3\" or \"2-5\")" },
    { "99999", "cores \"99999\": not a list of CPUs (such as \"2,3\" or \"2-5\")" },
    { "0,0", "cores \"0,0\": CPU 0 twice" },
    { "0-1,1", "cores \"0-1,1\": CPU 1 twice" },
};

/* Written for a process that may run on CPUs 0 and 1, among others. */
START_TEST(lists_of_cpus)
{
    const struct list *list = &lists[_i];
    struct cores cores;
    struct error err;
    int error = cores_find(&cores, list->text, &err);
    if (engine->cores.cpu[0] != 0 || engine->cores.cpu[1] != 1)
        return;
    ck_assert_msg(!error == !list->error, "\"%s\"", list->text);
    if (error)
        ck_assert_str_eq(err.text, list->error);
    else
        ck_assert_int_eq(cores.cpu[0], list->text[0] - '0');
    ck_assert_int_lt(cores_find(&cores, "4095", &err), 0);
    ck_assert_msg(strstr(err.text, "no CPU 4095 here, there are 0-"), "%s", err.text);
}
END_TEST

/* --- on which the threads run ------------------------------------------------------- */

static void check_pinned(uint32_t core, int cpu)
{
    ck_assert_int_eq(CPU_COUNT(&seen_on[core]), 1);
    ck_assert(CPU_ISSET(cpu, &seen_on[core]));
}

/* Those that engine_run was called with are there again afterwards. */
static void run_until_seen(unsigned cores)
{
    cpu_set_t before, after;
    seen = 0;
    expected = cores;
    sched_getaffinity(0, sizeof(before), &before);
    engine_run(engine, TIMER_NEVER);
    sched_getaffinity(0, sizeof(after), &after);
    ck_assert(CPU_EQUAL(&before, &after));
}

static void look_on(uint32_t cores)
{
    test_app(graph, "zero", "Look", NULL);
    test_app(graph, "one", "Look", NULL);
    on_core(cores - 1, "one");
    test_configure(engine, graph);
    graph = graph_new();
}

START_TEST(each_core_is_pinned)
{
    look_on(1);
    run_until_seen(1);
    ck_assert_int_gt(CPU_COUNT(&seen_on[0]), 1);
    look_on(2);
    run_until_seen(3);
    check_pinned(0, engine->cores.cpu[0]);
    check_pinned(1, engine->cores.cpu[1]);
}
END_TEST

START_TEST(each_core_is_the_cpu_that_was_chosen)
{
    struct error err;
    char list[32];
    snprintf(list, sizeof(list), "%d,%d", engine->cores.cpu[1], engine->cores.cpu[0]);
    int first = engine->cores.cpu[0], second = engine->cores.cpu[1];
    ck_assert_int_eq(cores_find(&engine->cores, list, &err), 0);
    look_on(1);
    run_until_seen(1);
    check_pinned(0, second);
    look_on(2);
    run_until_seen(3);
    check_pinned(0, second);
    check_pinned(1, first);
}
END_TEST

static Suite *suite_pinning(void)
{
    Suite *suite = suite_create("pinning");
    TCase *tests = tcase_create("pinning");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_core_the_machine_lacks);
    tcase_add_loop_test(tests, lists_of_cpus, 0, sizeof(lists) / sizeof(lists[0]));
    tcase_add_test(tests, each_core_is_pinned);
    tcase_add_test(tests, each_core_is_the_cpu_that_was_chosen);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(pinning)
