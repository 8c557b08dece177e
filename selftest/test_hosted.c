/* hosted: what a host program has besides the engine: graphs from text, in C and in Lua. */
#include <errno.h>
#include <string.h>

#include "packaging/vanguard.h"

#include "selftest/selftest.h"

static struct vm *vm;
static struct error err;

static void setup(void)
{
    vm = vm_new(&(struct vm_options){ .hosted = true }, &err);
    ck_assert_msg(vm != NULL, "%s", err.text);
}

static void teardown(void)
{
    vm_free(vm);
}

static void run(const char *text)
{
    ck_assert_msg(!vm_run_text(vm, "test.lua", text, strlen(text), &err), "%s", err.text);
}

/* The loop of a host. */
static void host(void)
{
    struct engine *engine = vm_engine(vm);
    struct pollfd wait = { engine_fd(engine, &err), POLLIN, 0 };
    ck_assert_msg(wait.fd >= 0, "%s", err.text);
    while (!engine_stopped(engine))
        if (poll(&wait, 1, -1) == 1)
            engine_breathe(engine);
}

/* --- in Lua --------------------------------------------------------------------------- */

START_TEST(no_engine_before_it_is_needed)
{
    run("local c = config.new()");
    ck_assert_ptr_null(vm_engine(vm));
}
END_TEST

START_TEST(main_leaves_it_to_the_host)
{
    run("local c = config.new() engine.configure(c) engine.main{ duration = 3600 }\n"
        "after_main = true");
    ck_assert_uint_eq(vm_engine(vm)->breaths, 0);
    ck_assert(!engine_stopped(vm_engine(vm)));
    run("assert(after_main and engine.hosted())");
}
END_TEST

START_TEST(file_stops_the_host)
{
    run("local c = config.new() engine.configure(c) engine.main()\n"
        "local began = engine.now() late = 0\n"
        "timer.after('10ms', function () late = engine.now() - began engine.stop() end)");
    host();
    run("assert(late >= 0.010)");
    ck_assert_int_eq(vm_stop(vm, &err), 0);
}
END_TEST

START_TEST(file_without_end_is_stopped_by_the_host)
{
    run("local c = config.new() engine.configure(c) engine.main() engine.stop()");
    host();
}
END_TEST

START_TEST(error_in_an_app_ends_the_loop)
{
    run("local c = config.new()\n"
        "config.app(c, 'x', { push = function () error('no luck') end })\n"
        "engine.configure(c)");
    host();
    ck_assert_int_lt(vm_stop(vm, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "test.lua:2: no luck"));
}
END_TEST

/* The other core's thread is at work when the vm goes away. */
START_TEST(further_cores_stop_with_the_vm)
{
    run("local c = config.new()\n"
        "config.app(c, 'source', Source) config.app(c, 'sink', Sink)\n"
        "config.link(c, 'source -> sink') config.core(c, 1, 'source')\n"
        "cores = pcall(engine.configure, c)\n"
        "timer.every('1ms', function ()\n"
        "   if not cores or link.stats(engine.links()[1]).rxpackets > 10000 then engine.stop() end\n"
        "end)");
    host();
    ck_assert_int_eq(vm_stop(vm, &err), 0);
}
END_TEST

/* --- in C ----------------------------------------------------------------------------- */

START_TEST(app_from_text)
{
    struct graph *graph = graph_new();
    ck_assert_int_eq(apps_put(graph, &err, "limit", "RateLimiter", "rate", "1mbit",
                              "burst", "2KB", NULL),
                     0);
    const struct graph_app *app = graph_find_app(graph, "limit");
    char text[64];
    ck_assert_str_eq(app->class->name, "RateLimiter");
    ck_assert_str_eq(param_format(&app->class->params[0], app->conf, text, sizeof(text)),
                     "1mbit");
    ck_assert_int_eq(apps_put(graph, &err, "limit", "Sink", NULL), -EEXIST);
    graph_free(graph);
}
END_TEST

static void check_refused(const char *class, const char *key, const char *text,
                          const char *says)
{
    struct graph *graph = graph_new();
    ck_assert_int_lt(apps_put(graph, &err, "a", class, key, text, NULL), 0);
    ck_assert_str_eq(err.text, says);
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    ck_assert_uint_eq(graph->napps, 0);
    graph_free(graph);
}

START_TEST(mistakes_are_named)
{
    check_refused("Clumsi", NULL, NULL,
                  "app \"a\": no app class \"Clumsi\" (did you mean \"Clumsy\"?)");
    check_refused("Qqqqqqqqqq", NULL, NULL, "app \"a\": no app class \"Qqqqqqqqqq\"");
    check_refused("Clumsy", "los", "1%",
                  "app \"a\" (Clumsy): no parameter \"los\" (did you mean \"loss\"?)");
    check_refused("Source", "count", "few",
                  "app \"a\" (Source): count: \"few\" is not an integer");
}
END_TEST

static Suite *suite_hosted(void)
{
    Suite *suite = suite_create("hosted");
    TCase *tests = tcase_create("hosted");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, no_engine_before_it_is_needed);
    tcase_add_test(tests, main_leaves_it_to_the_host);
    tcase_add_test(tests, file_stops_the_host);
    tcase_add_test(tests, file_without_end_is_stopped_by_the_host);
    tcase_add_test(tests, error_in_an_app_ends_the_loop);
    tcase_add_test(tests, further_cores_stop_with_the_vm);
    tcase_add_test(tests, app_from_text);
    tcase_add_test(tests, mistakes_are_named);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(hosted)
