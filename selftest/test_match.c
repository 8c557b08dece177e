/* test_match: the app that tests of graphs rely on. */
#include "selftest/selftest.h"

#include <stdio.h>

#include "selftest/support.h"

static struct engine *engine;

static void setup(void)
{
    engine = test_engine(1);
}

static void teardown(void)
{
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), 0);
}

static void match_graph(const char *fuzzy, const char *window)
{
    struct graph *graph = graph_new();
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "want", "Inject", NULL);
    test_app(graph, "match", "Match", "fuzzy", fuzzy, "window", window, NULL);
    test_link(graph, "in -> match.input");
    test_link(graph, "want -> match.expected");
    test_configure(engine, graph);
}

/* One packet for each letter: a frame of 60 of them. */
static void inject(const char *app, const char *letters)
{
    for (; *letters; letters++) {
        uint8_t bytes[60];
        memset(bytes, *letters, sizeof(bytes));
        test_inject_bytes(engine, app, bytes, sizeof(bytes));
    }
}

static void check(uint64_t matched, uint64_t mismatched, uint64_t missing, uint64_t extra)
{
    ck_assert_uint_eq(test_counter(engine, "match", "matched"), matched);
    ck_assert_uint_eq(test_counter(engine, "match", "mismatched"), mismatched);
    ck_assert_uint_eq(test_counter(engine, "match", "missing"), missing);
    ck_assert_uint_eq(test_counter(engine, "match", "extra"), extra);
}

static void check_report(const char *expected)
{
    char text[256] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");
    struct app *app = engine_find_app(engine, "match");
    app->class->report(app, out);
    fclose(out);
    ck_assert_str_eq(text, expected);
}

/* Streams as letters, and what comes of them. */
static const struct {
    const char *input, *expected, *fuzzy, *window;
    uint64_t matched, mismatched, missing, extra;
} rows[] = {
    { "", "", "false", "10", 0, 0, 0, 0 },
    { "abcabc", "abcabc", "false", "10", 6, 0, 0, 0 },
    { "abc", "axc", "false", "10", 2, 1, 0, 0 },
    { "abc", "abcde", "false", "10", 3, 0, 2, 0 },
    { "abcde", "abc", "false", "10", 3, 0, 0, 2 },
    { "ba", "ab", "false", "10", 0, 2, 0, 0 },
    { "abcdefgh", "", "false", "3", 0, 0, 0, 8 }, /* most of them stay on the link */
    { "abcdefgh", "abcdefgh", "false", "1", 8, 0, 0, 0 },
    { "ba", "ab", "true", "10", 2, 0, 0, 0 },
    { "cabd", "abcd", "true", "10", 4, 0, 0, 0 },
    { "abcd", "dcba", "true", "10", 4, 0, 0, 0 },
    { "aab", "aba", "true", "10", 3, 0, 0, 0 },
    { "aa", "a", "true", "10", 1, 0, 0, 1 },
    { "axc", "abc", "true", "10", 2, 0, 1, 1 },
    { "", "abcdefgh", "true", "3", 0, 0, 8, 0 },
    { "bcdea", "abcde", "true", "1", 0, 0, 5, 5 }, /* one behind is too far */
    { "bcdea", "abcde", "true", "2", 5, 0, 0, 0 },
};

START_TEST(test_streams)
{
    match_graph(rows[_i].fuzzy, rows[_i].window);
    inject("in", rows[_i].input);
    inject("want", rows[_i].expected);
    test_breathe(engine, 2);
    check(rows[_i].matched, rows[_i].mismatched, rows[_i].missing, rows[_i].extra);
}
END_TEST

/* What comes breaths later is compared as well; "so far" is true at any time. */
START_TEST(test_late)
{
    match_graph(_i ? "true" : "false", "10");
    inject("in", "abc");
    test_breathe(engine, 1);
    check(0, 0, 0, 3);
    inject("want", "ab");
    test_breathe(engine, 1);
    check(2, 0, 0, 1);
    inject("want", "cde");
    test_breathe(engine, 1);
    check(3, 0, 2, 0);
    inject("in", "de");
    test_breathe(engine, 1);
    check(5, 0, 0, 0);
    check_report("");
}
END_TEST

/* Many times the window: places in the queues are used again. */
START_TEST(test_many)
{
    match_graph(_i ? "true" : "false", "5");
    for (int round = 0; round < 500; round++) {
        char letters[4] = { (char)('a' + round % 26), (char)('A' + round % 25),
                            (char)('0' + round % 10), 0 };
        inject(round % 2 ? "in" : "want", letters);
        test_breathe(engine, 1);
        inject(round % 2 ? "want" : "in", letters);
        test_breathe(engine, round % 3 == 0);
    }
    test_breathe(engine, 2);
    check(1500, 0, 0, 0);
}
END_TEST

static void compare(const char *got, const char *expected)
{
    test_inject_bytes(engine, "in", got, (uint32_t)strlen(got));
    test_inject_bytes(engine, "want", expected, (uint32_t)strlen(expected));
    test_breathe(engine, 1);
}

START_TEST(test_first_difference)
{
    match_graph("false", "10");
    compare("abc", "abc");
    check_report("");
    compare("abcdefgh", "abcdEfgH");
    check_report("first difference: packet 2, byte 4: 0x65, expected 0x45");
    compare("x", "y"); /* the first stays */
    check_report("first difference: packet 2, byte 4: 0x65, expected 0x45");
}
END_TEST

START_TEST(test_shorter)
{
    match_graph("false", "10");
    compare("abc", "abcd");
    check_report("first difference: packet 1, byte 3: ends there, expected 4 bytes");
}
END_TEST

START_TEST(test_longer)
{
    match_graph("false", "10");
    compare("abcd", "abc");
    check_report("first difference: packet 1, byte 3: 4 bytes, expected to end there");
}
END_TEST

START_TEST(test_unlinked)
{
    struct graph *graph = graph_new();
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "match", "Match", NULL);
    test_link(graph, _i ? "in -> match.input" : "in -> match.expected");
    test_configure(engine, graph);
    inject("in", "abc");
    test_breathe(engine, 1);
    check(0, 0, _i ? 0 : 3, _i ? 3 : 0);
}
END_TEST

static Suite *suite_match(void)
{
    Suite *suite = suite_create("match");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_loop_test(all, test_streams, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_loop_test(all, test_late, 0, 2);
    tcase_add_loop_test(all, test_many, 0, 2);
    tcase_add_test(all, test_first_difference);
    tcase_add_test(all, test_shorter);
    tcase_add_test(all, test_longer);
    tcase_add_loop_test(all, test_unlinked, 0, 2);
    suite_add_tcase(suite, all);
    return suite;
}

SUITE(match)
