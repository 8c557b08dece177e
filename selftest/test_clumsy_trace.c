/* test_clumsy_trace: links as somebody recorded or described them. Exact, in virtual time. */
#include "selftest/selftest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "apps/apps.h"
#include "apps/clumsy/trace.h"
#include "selftest/clumsy_rig.h"

#define US 1000ull
#define MS 1000000ull
#define S  1000000000ull

static char path[64];
static char settings[256];

/* settings with the trace in place of %s. */
static struct rig *traced(const char *text, const char *format)
{
    strcpy(path, "/tmp/vanguard-trace-XXXXXX");
    FILE *file = fdopen(mkstemp(path), "w");
    fputs(text, file);
    fclose(file);
    snprintf(settings, sizeof(settings), format, path);
    struct rig *rig = rig_new(1, settings);
    return rig;
}

static void finish(struct rig *rig)
{
    rig_free(rig);
    unlink(path);
}

/* --- traces of opportunities -------------------------------------------------------------- */

/* One opportunity each millisecond is 12.032 Mbit/s: of frames of 1504 bytes one leaves at each
 * while there are any. */
START_TEST(test_one_line)
{
    struct rig *rig = traced("1\n", "trace=%s queue=100000p");
    for (int i = 0; i < 3000; i++)
        rig_send(rig, 1504, 0);
    rig_breathe(rig, RIG_START);
    rig_run(rig, RIG_START + 4 * S);
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < rig->count; i++)
        wrong += rig->got[i].timestamp != RIG_START + (i + 1) * MS;
    ck_assert_uint_eq(rig->count, 3000);
    ck_assert_uint_eq(wrong, 0);
    finish(rig);
}
END_TEST

/* Which millisecond each packet leaves in; the file goes round without a gap or a step back. */
START_TEST(test_schedule)
{
    static const char trace[] = "# two at once\n2\n2\n5\n7\n10\n";
    /* 600 bytes: two share an opportunity of 1504; a third does not fit whole, so that its rest
     * takes the next one. */
    static const uint64_t ms[] = { 2, 2, 2, 2, 2, 5, 5, 7, 7, 7, 10, 10, 12, 12, 12, 12 };
    struct rig *rig = traced(trace, "trace=%s queue=100000p");
    for (size_t i = 0; i < 16; i++)
        rig_send(rig, 600, 0);
    rig_breathe(rig, RIG_START);
    rig_run(rig, RIG_START + S);
    ck_assert_uint_eq(rig->count, 16);
    for (size_t i = 0; i < 16; i++)
        ck_assert_msg(rig->got[i].timestamp == RIG_START + ms[i] * MS,
                      "packet %zu at %lu", i,
                      (unsigned long)(rig->got[i].timestamp - RIG_START));
    finish(rig);
}
END_TEST

/* Opportunities that nobody uses are lost, be it for rounds and rounds; one at the very moment
 * is used. */
START_TEST(test_unused)
{
    static const uint64_t sent[] = { 1, 4, 5, 6, 100000, 100011 },
                          left[] = { 2, 5, 5, 10, 100000, 100012 };
    struct rig *rig = traced("2\n5\n10\n", "trace=%s");
    for (int i = 0; i < 6; i++) {
        rig_run(rig, RIG_START + sent[i] * MS);
        rig_send(rig, i == 3 ? 1504 : 700, 0);
        rig_breathe(rig, RIG_START + sent[i] * MS);
    }
    rig_run(rig, RIG_START + 200 * S);
    ck_assert_uint_eq(rig->count, 6);
    for (int i = 0; i < 6; i++) {
        ck_assert_msg(rig->got[i].timestamp == RIG_START + left[i] * MS,
                      "packet %d at %lu", i,
                      (unsigned long)(rig->got[i].timestamp - RIG_START));
    }
    finish(rig);
}
END_TEST

/* Held behind its end, a trace has no opportunities more: what comes is refused. */
START_TEST(test_end)
{
    struct rig *rig = traced("1\n2\n", "trace.file=%s trace.after=hold queue=10p");
    for (int i = 0; i < 3; i++)
        rig_send(rig, 1504, 0);
    rig_breathe(rig, RIG_START);
    rig_run(rig, RIG_START + S);
    ck_assert_uint_eq(rig->count, 2);
    ck_assert_uint_eq(rig_counter(rig, "drop_queue"), 1);
    finish(rig);
}
END_TEST

/* Bytes delivered by any time are no more than opportunities have come, and just as many of a
 * flood, whatever sizes its packets have. */
START_TEST(test_bytes)
{
    struct rig *rig = traced("3\n3\n4\n8\n9\n20\n", "trace.file=%s trace.bytes=1000 "
                                                    "queue=100000p");
    for (uint32_t i = 0; i < 4000; i++)
        rig_send(rig, 60 + i * 37 % 1400, 0);
    rig_breathe(rig, RIG_START);
    rig_run(rig, RIG_START + S);
    uint64_t bytes = 0, wrong = 0;
    for (size_t i = 0; i < rig->count; i++) {
        uint64_t ms = (rig->got[i].timestamp - RIG_START) / MS, in = ms % 20;
        uint64_t chances =
            ms / 20 * 6 + (in >= 3) * 2 + (in >= 4) + (in >= 8) + (in >= 9);
        bytes += rig->got[i].length;
        wrong += bytes > 1000 * chances;
        /* The last byte needed the opportunity that it left with. */
        uint64_t at_once = in == 3 ? 2 : 1;
        wrong += bytes <= 1000 * (chances - at_once);
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_gt(rig->count, 300);
    finish(rig);
}
END_TEST

/* --- traces of rows ----------------------------------------------------------------------- */

/* 1250 bytes take 1 ms at 10 Mbit/s, 10 ms at 1 Mbit/s, and as long as it is 0 nothing leaves. */
START_TEST(test_rates)
{
    struct rig *rig =
        traced("time,rate\n0,10mbit\n3ms,1mbit\n15ms,0\n20ms,20mbit\n24ms,0\n",
               "trace=%s queue=1000p");
    for (int i = 0; i < 14; i++)
        rig_send(rig, 1250, 0);
    rig_breathe(rig, RIG_START);
    rig_run(rig, RIG_START + S);
    static const uint64_t us[] = { 1000,  2000,  3000,  13000, 20400, 20900, 21400,
                                   21900, 22400, 22900, 23400, 23900, 24800, 25800 };
    ck_assert_uint_eq(rig->count, 14);
    for (int i = 0; i < 14; i++)
        ck_assert_msg(rig->got[i].timestamp == RIG_START + us[i] * US, "packet %d at %lu",
                      i, (unsigned long)(rig->got[i].timestamp - RIG_START));
    finish(rig);
}
END_TEST

/* At a rate that does not divide: packet n of a link that is never idle is exact to 1 ns. */
START_TEST(test_rate_exact)
{
    enum { N = 3000, LENGTH = 1000 };
    const uint64_t rate = 7000001;
    struct rig *rig = traced("time,rate\n0,7000001\n", "trace=%s queue=10000p");
    uint64_t wrong = 0;
    for (int i = 0; i < N; i++)
        rig_send(rig, LENGTH, 0);
    rig_breathe(rig, RIG_START);
    rig_run(rig, RIG_START + 5 * S);
    for (uint64_t i = 0; i < rig->count; i++) {
        uint64_t law = ((i + 1) * 8 * LENGTH * S + rate - 1) / rate;
        wrong += llabs((int64_t)(rig->got[i].timestamp - RIG_START - law)) > 1;
    }
    ck_assert_uint_eq(rig->count, N);
    ck_assert_uint_eq(wrong, 0);
    finish(rig);
}
END_TEST

/* A rate that rises from 0 to 16 Mbit/s in 1 s has sent 8 Mbit by then: x^2 of it by x. */
START_TEST(test_ramp)
{
    struct rig *rig = traced("time,rate\n0,0\n1,16mbit\n",
                             "trace.file=%s trace.interp=linear trace.after=hold "
                             "queue=10000p");
    for (int i = 0; i < 1100; i++)
        rig_send(rig, 1000, 0);
    rig_breathe(rig, RIG_START);
    rig_run(rig, RIG_START + 2 * S);
    double worst = 0;
    for (int i = 0; i < 1000; i++) {
        double law = sqrt((i + 1) / 1000.0) * 1e9;
        worst = fmax(worst, fabs((double)(rig->got[i].timestamp - RIG_START) - law));
    }
    ck_assert_double_lt(worst, 1100); /* 1 ns of rounding for each */
    ck_assert_double_lt(fabs((double)(rig->got[1099].timestamp - RIG_START) - 1.05e9),
                        2e3);
    finish(rig);
}
END_TEST

/* Delays, losses, jitter and limits as the rows say, in place of what is configured. */
START_TEST(test_columns)
{
    struct rig *rig = traced("time,owd,loss\n0,10ms,0\n100ms,,100%\n200ms,30ms,0%\n"
                             "300ms,,\n",
                             "trace=%s owd=1ms loss=50%%");
    rig_send_paced(rig, 600, 100, MS);
    rig_run(rig, RIG_START + S);
    uint64_t wrong = 0, at = 0;
    for (uint64_t i = 0; i < 600; i++) {
        uint64_t in = i % 300;
        if (in >= 100 && in < 200)
            continue;
        uint64_t owd = in < 100 ? 10 : 30, floor = i >= 300 && i < 320 ? 329 : 0;
        uint64_t leaves = i + owd > floor ? i + owd : floor;
        wrong += at >= rig->count || rig->got[at].number != i ||
                 rig->got[at].timestamp != RIG_START + leaves * MS;
        at++;
    }
    ck_assert_uint_eq(rig->count, at);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(rig_counter(rig, "drop_loss"), 200);
    finish(rig);
}
END_TEST

/* Jitter of the trace alone: none at first, then +- 5 ms, in order all the time. */
START_TEST(test_jitter_column)
{
    static const char *const modes[] = { "process", "block", "reorder" };
    char format[100];
    snprintf(format, sizeof(format),
             "trace=%%s owd=20ms jitter.mode=%s jitter.coherence=5ms "
             "jitter.period=5ms",
             modes[_i]);
    struct rig *rig = traced("time,jitter\n0,0\n500ms,5ms\n1000ms,0\n", format);
    rig_send_paced(rig, 1000, 100, MS);
    rig_run(rig, RIG_START + 2 * S);
    ck_assert_uint_eq(rig->count, 1000);
    uint64_t wrong = 0, moved = 0, backwards = 0;
    for (size_t i = 0; i < 1000; i++) {
        uint64_t sent = RIG_START + rig->got[i].number * MS;
        int64_t off = (int64_t)(rig->got[i].timestamp - sent) - 20 * (int64_t)MS;
        moved += llabs(off) > (int64_t)MS;
        wrong += llabs(off) > 5 * (int64_t)MS || (rig->got[i].number < 500 && off);
        backwards += i && rig->got[i].number < rig->got[i - 1].number;
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_gt(moved, 250);
    ck_assert_int_eq(backwards > 0, _i == 2);
    finish(rig);
}
END_TEST

/* A timestamp of before the start is one of the start. */
START_TEST(test_before_the_start)
{
    struct rig *rig = traced("time,owd\n0,10ms\n1s,30ms\n2s,10ms\n", "trace=%s");
    rig_send(rig, 100, RIG_START - 700);
    rig_breathe(rig, RIG_START);
    rig_run(rig, RIG_START + S);
    ck_assert_uint_eq(rig->got[0].timestamp, RIG_START - 700 + 10 * MS);
    finish(rig);
}
END_TEST

/* A packet that takes many rounds of a short trace leaves exactly when it should, and it costs
 * no more to know that. The second trace sends 1500 bit/s on average. */
START_TEST(test_many_rounds)
{
    static const char *const traces[] = { "time,rate\n0,1kbit\n1us,1kbit\n",
                                          "time,rate\n0,1kbit\n1us,2kbit\n2us,0bit\n" };
    static const uint64_t takes[] = { 8 * S, 8 * S * 1000 / 1500 };
    struct rig *rig = traced(traces[_i], "trace=%s queue=10p memory=1MB");
    for (int i = 0; i < 5; i++)
        rig_send(rig, 1000, 0);
    rig_breathe(rig, RIG_START);
    rig_run(rig, RIG_START + 100 * S);
    ck_assert_uint_eq(rig->count, 5);
    for (uint64_t i = 0; i < 5; i++) {
        uint64_t error = rig->got[i].timestamp - RIG_START - (i + 1) * takes[_i] + 3 * US;
        ck_assert_uint_le(error, 6 * US);
    }
    finish(rig);
    /* What would take for ever does not leave at all. */
    rig = traced("time,rate\n0,1bit\n1ns,0bit\n9000h,0bit\n", "trace=%s queue=10p");
    rig_send(rig, 1000, 0);
    rig_breathe(rig, RIG_START);
    ck_assert_uint_eq(rig_counter(rig, "drop_queue"), 1);
    finish(rig);
}
END_TEST

START_TEST(test_wrong_traces)
{
    static const char *const cases[][2] = {
        { "", "nothing is in it" },
        { "0\n0\n", "last time is 0" },
        { "5\n4\n", ":2: times do not go" },
        { "5\n5x\n", ":2: not a whole number" },
        { "5\n-1\n", ":2: not a whole" },
        { "5\n99999999999\n", ":2: not a whole" },
        { "time,speed\n", "\"speed\"" },
        { "time,rate\n1,5mbit\n", ":2: time: begins" },
        { "time,rate\n0,5mbit\n0,6mbit\n", ":3: time: begins" },
        { "time,rate\n0,5mbit,3\n", ":2: 3 columns" },
        { "time,rate\n0,fast\n", ":2: " },
        { "rate\n5mbit\n", ":2: " },
        { "time,loss\n0,150%\n", ":2: " },
        { "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\n", ":1: " },
    };
    struct trace trace;
    struct error err;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        strcpy(path, "/tmp/vanguard-trace-XXXXXX");
        FILE *file = fdopen(mkstemp(path), "w");
        fputs(cases[i][0], file);
        fclose(file);
        struct trace_conf conf = { .file = path, .bytes = 1504 };
        ck_assert_int_ne(trace_load(&trace, &conf, &err), 0);
        ck_assert_msg(strstr(err.text, cases[i][1]), "%s: %s", cases[i][0], err.text);
        unlink(path);
    }
}
END_TEST

/* A trace that says nothing of the rate makes no bottleneck that could be shared or have a
 * queue. */
START_TEST(test_no_link)
{
    static const char *const cases[] = { "trace=%s queue=10ms",
                                         "trace=%s queue.aqm=codel",
                                         "trace=%s rate.shared=x match=udp" };
    struct graph *graph = graph_new();
    struct error err = { 0 };
    struct rig *rig = traced("time,loss\n0,1%\n1s,2%\n", "trace=%s");
    snprintf(settings, sizeof(settings), cases[_i], path);
    struct value args = rig_settings(settings);
    int error = graph_add_app(graph, "wan", apps_find("Clumsy"), &args, NULL, &err);
    error = error ? error : graph_check(graph, &err);
    ck_assert_msg(error && strstr(err.text, "set rate"), "%s", err.text);
    value_free(&args);
    graph_free(graph);
    finish(rig);
}
END_TEST

static Suite *suite_clumsy_trace(void)
{
    Suite *suite = suite_create("clumsy_trace");
    TCase *trace = tcase_create("trace");
    tcase_set_timeout(trace, 60); /* sanitizers on a slow machine */
    tcase_add_test(trace, test_one_line);
    tcase_add_test(trace, test_schedule);
    tcase_add_test(trace, test_unused);
    tcase_add_test(trace, test_end);
    tcase_add_test(trace, test_bytes);
    tcase_add_test(trace, test_rates);
    tcase_add_test(trace, test_rate_exact);
    tcase_add_test(trace, test_ramp);
    tcase_add_test(trace, test_columns);
    tcase_add_loop_test(trace, test_jitter_column, 0, 3);
    tcase_add_test(trace, test_before_the_start);
    tcase_add_loop_test(trace, test_many_rounds, 0, 2);
    tcase_add_test(trace, test_wrong_traces);
    tcase_add_loop_test(trace, test_no_link, 0, 3);
    suite_add_tcase(suite, trace);
    return suite;
}

SUITE(clumsy_trace)
