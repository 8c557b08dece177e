/* FlowSentinel's list files: what changes in them holds soon, all of it or nothing. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/apps.h"
#include "selftest/selftest.h"
#include "selftest/sentinel_app.h"
#include "selftest/sentinel_rig.h"
#include "selftest/support.h"

#define MS  1000000ull
#define SEC 1000000000ull

static char directory[] = "/tmp/vanguard-reread-XXXXXX";
static char file[64];
static struct engine *engine;

static void write_list(const char *text)
{
    char draft[80];
    snprintf(draft, sizeof(draft), "%s.new", file);
    FILE *out = fopen(draft, "w");
    fputs(text, out);
    fclose(out);
    ck_assert_int_eq(rename(draft, file), 0);
}

static void setup(void)
{
    strcpy(directory + sizeof(directory) - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(file, sizeof(file), "%s/list", directory);
    write_list("198.51.100.0/24\n");
    engine = test_engine(1);
    struct graph *graph = graph_new();
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "guard", "FlowSentinel", "block_file", file, "max_static", "1024",
             "max_blocks", "1024", NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "in -> guard");
    test_link(graph, "guard -> out");
    test_configure(engine, graph);
}

static void teardown(void)
{
    char command[128];
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), 0);
    snprintf(command, sizeof(command), "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static void second(void)
{
    for (int i = 0; i < 10; i++)
        guard_wait(engine, 100 * MS);
}

static bool passes(const char *source)
{
    uint64_t passed = test_counter(engine, "guard", "passed");
    struct rig_frame udp = rig_udp(source, "192.0.2.1", 1024, 80, 20);
    test_inject_bytes(engine, "in", udp.data, udp.length);
    test_breathe(engine, 2);
    return test_counter(engine, "guard", "passed") > passed;
}

static const char *problem(char text[512])
{
    struct value status = guard_ask(engine, "status", NULL);
    const struct value *value = value_get(&status, "lists_problem");
    snprintf(text, 512, "%s", value ? value->string : "");
    value_free(&status);
    return text;
}

START_TEST(a_change_holds_within_a_second)
{
    second();
    ck_assert(!passes("198.51.100.7") && passes("203.0.113.7"));
    write_list("203.0.113.0/24\n");
    ck_assert(!passes("198.51.100.7") && passes("203.0.113.7")); /* nobody looked yet */
    second();
    ck_assert(passes("198.51.100.7") && !passes("203.0.113.7"));
}
END_TEST

/* What people said is no file's. */
START_TEST(what_people_said_stays)
{
    guard_tell(engine, "ban", "address", "192.0.2.0/25", NULL);
    write_list("203.0.113.0/24\n");
    second();
    ck_assert(!passes("192.0.2.77") && !passes("203.0.113.7"));
}
END_TEST

START_TEST(a_wrong_file_changes_nothing)
{
    static const char *const wrong[] = { "203.0.113.0/24\nnobody\n",
                                         "203.0.113.0/24\n0.0.0.0/0\n", NULL };
    static const char *const said[] = { ":2: \"nobody\" is not a prefix",
                                        ":2: ", "No such file" };
    char text[512];
    if (wrong[_i])
        write_list(wrong[_i]);
    else
        unlink(file);
    second();
    ck_assert(!passes("198.51.100.7") && passes("203.0.113.7"));
    ck_assert_msg(strstr(problem(text), said[_i]), "%s", text);
    write_list("203.0.113.0/24\n");
    second();
    ck_assert(passes("198.51.100.7") && !passes("203.0.113.7"));
    ck_assert_str_eq(problem(text), "");
}
END_TEST

/* Somebody writes it, bit by bit: it is read when it is at rest. */
START_TEST(half_a_file_is_none)
{
    for (int i = 0; i < 20; i++) {
        FILE *out = fopen(file, i ? "a" : "w");
        fprintf(out, "203.0.113.%d\n", i);
        fclose(out);
        guard_wait(engine, 100 * MS);
        ck_assert(!passes("198.51.100.7") && passes("203.0.113.0"));
    }
    second();
    ck_assert(passes("198.51.100.7") && !passes("203.0.113.0") &&
              !passes("203.0.113.19"));
}
END_TEST

/* It would be empty when it is read again. */
START_TEST(a_pipe_is_no_list)
{
    char pipe[80], text[512];
    snprintf(pipe, sizeof(pipe), "%s/pipe", directory);
    ck_assert_int_eq(mkfifo(pipe, 0600), 0);
    ck_assert_int_eq(rename(pipe, file), 0);
    guard_refuses(engine, "is no regular file", "reload", NULL);
    ck_assert(!passes("198.51.100.7") && passes("203.0.113.7"));
    ck_assert_ptr_nonnull(strstr(problem(text), "is no regular file"));
}
END_TEST

/* Whoever cannot wait. */
START_TEST(it_is_read_when_asked_to)
{
    write_list("203.0.113.0/24\n");
    guard_tell(engine, "reload", NULL);
    ck_assert(passes("198.51.100.7") && !passes("203.0.113.7"));
    write_list("203.0.113\n");
    guard_refuses(engine, ":1: ", "reload", NULL);
    ck_assert(passes("198.51.100.7") && !passes("203.0.113.7"));
}
END_TEST

static Suite *suite_sentinel_reread(void)
{
    Suite *suite = suite_create("sentinel_reread");
    TCase *tcase = tcase_create("sentinel_reread");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_change_holds_within_a_second);
    tcase_add_test(tcase, what_people_said_stays);
    tcase_add_loop_test(tcase, a_wrong_file_changes_nothing, 0, 3);
    tcase_add_test(tcase, half_a_file_is_none);
    tcase_add_test(tcase, a_pipe_is_no_list);
    tcase_add_test(tcase, it_is_read_when_asked_to);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(sentinel_reread)
