/* test_clumsy_gate: the queue and the bottleneck of Clumsy through the whole app, its own and one
 * that several have in common.
 */
#include "selftest/selftest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "apps/apps.h"
#include "lib/random.h"
#include "selftest/clumsy_rig.h"
#include "lib/statistics.h"

#define US 1000ull
#define MS 1000000ull
#define S  1000000000ull

/* A flow of frames of 1000 bytes, `load` times what 10 Mbit/s carry, for so long. */
static void flood(struct rig *rig, struct made made, double load, uint64_t duration)
{
    uint64_t start = rig->engine->now, n = (uint64_t)((double)duration * load / 800e3);
    made.payload = 958;
    for (uint64_t i = 0; i < n; i++) {
        rig_run(rig, start + i * duration / n);
        rig_send_made(rig, &made, 0);
        rig_breathe(rig, rig->engine->now);
    }
}

static double delay_of(const struct rig *rig, size_t i, const uint64_t *sent)
{
    return (double)(rig->got[i].timestamp - sent[rig->got[i].number]);
}

/* Twice the load of unresponsive UDP: CoDel drops from 100 ms on, more and more often
 * (interval / sqrt(n)); droptail stands at its limit. */
START_TEST(test_codel)
{
    struct rig *rig = rig_new(1, "rate=10mbit queue.aqm=codel");
    flood(rig, (struct made){ 0 }, 1.02, 4 * S);
    uint64_t dropped = rig_counter(rig, "drop_aqm");
    ck_assert_uint_eq(rig_counter(rig, "drop_queue"), 0);
    ck_assert_uint_gt(dropped, 10);
    /* What is too much: 2 % of it. No more than a few are dropped beyond that. */
    ck_assert_uint_lt(dropped, 150);
    rig_run(rig, rig->engine->now + S);
    ck_assert_uint_eq(rig->count + rig_counter(rig, "drop_aqm"), rig->sent);
    rig_free(rig);
}
END_TEST

/* ECN: marked instead of dropped, and the header's checksum follows; others are dropped. */
START_TEST(test_marks)
{
    static const struct made kinds[] = {
        { .ecn = 2 }, { .ecn = 1, .v6 = true }, { .ecn = 0 }, { .ecn = 1, .tags = 1 }
    };
    struct rig *rig = rig_new(1, "rate=10mbit queue.aqm=codel queue.ecn=true");
    rig->keep = true;
    flood(rig, kinds[_i], 1.05, 3 * S);
    rig_run(rig, rig->engine->now + S);
    uint64_t marked = 0, wrong = 0;
    for (size_t i = 0; i < rig->count; i++) {
        struct look look = frame_look(rig->got[i].data, rig->got[i].length);
        const uint8_t *ip = rig->got[i].data + look.l3;
        uint8_t ecn = look.v6 ? ip[1] >> 4 & 3 : ip[1] & 3;
        marked += ecn == 3;
        wrong += frame_problem(rig->got[i].data, rig->got[i].length) != NULL ||
                 (ecn != 3 && ecn != kinds[_i].ecn);
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(marked, rig_counter(rig, "marked"));
    if (kinds[_i].ecn) {
        ck_assert_uint_gt(marked, 10);
        ck_assert_uint_eq(rig_counter(rig, "drop_aqm"), 0);
        ck_assert_uint_eq(rig->count, rig->sent);
    } else {
        ck_assert_uint_eq(marked, 0);
        ck_assert_uint_gt(rig_counter(rig, "drop_aqm"), 10);
    }
    rig_free(rig);
}
END_TEST

/* Two flows, one of which is far too much: with fq_codel the other does not wait for it, with one
 * queue it does. */
START_TEST(test_fair)
{
    static const char *const aqm[] = { "rate=10mbit queue.aqm=fq_codel",
                                       "rate=10mbit queue=100ms" };
    static uint64_t sent[10000];
    struct rig *rig = rig_new(1, aqm[_i]);
    struct made much = { .payload = 958 }, little = { .host = 9, .payload = 58 };
    rig->keep = true;
    for (uint64_t i = 0; i < 4000; i++) {
        rig_run(rig, RIG_START + i * 500 * US);
        sent[rig->sent] = rig->engine->now;
        rig_send_made(rig, i % 20 ? &much : &little, 0);
        rig_breathe(rig, rig->engine->now);
    }
    rig_run(rig, rig->engine->now + S);
    double worst = 0;
    uint64_t little_ones = 0;
    for (size_t i = 0; i < rig->count; i++)
        if (rig->got[i].length == 100) {
            little_ones++;
            worst = fmax(worst, delay_of(rig, i, sent));
        }
    if (_i) {
        ck_assert_double_gt(worst, 90e6);
    } else {
        ck_assert_double_lt(worst, 2e6);
        ck_assert_uint_eq(little_ones, 200);
    }
    rig_free(rig);
}
END_TEST

/* Which one goes when the queue is full. */
START_TEST(test_victims)
{
    static const char *const settings[] = {
        "rate=1mbit queue.limit=10p queue.drop=head",
        "rate=1mbit queue.limit=10p queue.drop=random"
    };
    struct rig *rig = rig_new(1, settings[_i]);
    rig_send_many(rig, 100);
    rig_breathe(rig, RIG_START);
    ck_assert_uint_eq(rig_counter(rig, "drop_queue"), 89);
    ck_assert_uint_eq(rig_counter(rig, "held"), 11);
    rig_run(rig, RIG_START + S);
    ck_assert_uint_eq(rig->count, 11);
    ck_assert_uint_eq(rig->got[0].number, 0); /* on the link already */
    uint64_t in_order = 0;
    for (size_t i = 1; i < 11; i++) {
        in_order += rig->got[i].number == 89 + i;
        ck_assert_uint_gt(rig->got[i].number, rig->got[i - 1].number);
        ck_assert_uint_eq(rig->got[i].timestamp, RIG_START + (i + 1) * 800 * US);
    }
    ck_assert_int_eq(in_order == 10, _i == 0);
    rig_free(rig);
}
END_TEST

/* Behind the queue the same things happen: delays, spikes, order; the discipline changes and goes
 * under way, and nothing is lost that is not counted. */
START_TEST(test_changes)
{
    static const char *const all[] = {
        "rate=20mbit owd=3ms queue.aqm=codel",
        "rate=20mbit owd=3ms queue.aqm=pie",
        "rate=5mbit owd=1ms queue.aqm=fq_codel jitter.half=1ms queue.flows=16",
        "rate=20mbit owd=3ms queue.aqm=red loss.p=10% loss.at=exit duplicate=10%",
        "rate=50mbit queue.limit=5p queue.drop=random",
        "rate=20mbit owd=3ms queue=10ms",
        "owd=1ms",
        "rate=20mbit queue.aqm=codel reorder.p=10% reorder.mode=swap",
        "rate=9mbit queue.aqm=codel down.period=20ms down.off=5ms down.queue=hold",
    };
    struct random_key key = random_key(statistics_seed(3), "changes", "");
    struct rig *rig = rig_new(1, all[0]);
    uint64_t backwards = 0;
    for (uint64_t round = 0; round < 150; round++) {
        char one[200];
        snprintf(one, sizeof(one), "%s", all[random_draw(&key, round) % 9]);
        rig_set(rig, one);
        for (int i = 0; i < 4; i++) {
            for (int k = 0; k < 15; k++) {
                struct made made = { .host = (uint8_t)(1 + k % 3),
                                     .payload = 20 + 60u * (uint32_t)k };
                rig_send_made(rig, &made, 0);
            }
            rig_breathe(rig, rig->engine->now + MS);
            rig_check(rig);
        }
    }
    rig_set(rig, "");
    rig_run(rig, rig->engine->now + S);
    ck_assert_uint_eq(rig_counter(rig, "held"), 0);
    for (size_t i = 1; i < rig->count; i++)
        backwards += rig->got[i].timestamp > rig->got[i].seen;
    ck_assert_uint_eq(backwards, 0);
    ck_assert_uint_gt(rig->count, 3000);
    rig_free(rig);
}
END_TEST

/* The limit in time follows the rate of a trace: 10 ms are 12 frames of 1000 bytes and some at 10
 * Mbit/s, ten times as many at ten times that. */
START_TEST(test_queue_of_a_trace)
{
    char path[] = "/tmp/vanguard-gate-XXXXXX", settings[200];
    FILE *file = fdopen(mkstemp(path), "w");
    fputs("time,rate\n0,10mbit\n1s,100mbit\n2s,0\n", file);
    fclose(file);
    snprintf(settings, sizeof(settings), "trace=%s queue.limit=10ms queue.drop=head",
             path);
    struct rig *rig = rig_new(1, settings);
    for (int round = 0; round < 2; round++) {
        uint64_t before = rig_counter(rig, "drop_queue");
        rig_run(rig, RIG_START + (uint64_t)round * S);
        for (int i = 0; i < 300; i++)
            rig_send(rig, 1000, 0);
        rig_breathe(rig, rig->engine->now);
        uint64_t limit = round ? 125 : 12;
        ck_assert_uint_eq(rig_counter(rig, "held"), limit + 1);
        ck_assert_uint_eq(rig_counter(rig, "drop_queue") - before, 299 - limit);
    }
    rig_run(rig, RIG_START + 2 * S);
    rig_free(rig);
    unlink(path);
}
END_TEST

/* --- in common ---------------------------------------------------------------------------- */

static void add_clumsy(struct graph *graph, const char *name, const char *settings)
{
    struct value args = rig_settings(settings);
    struct error err;
    ck_assert_msg(!graph_add_app(graph, name, apps_find("Clumsy"), &args, NULL, &err),
                  "%s", err.text);
    value_free(&args);
}

/* a1 -> x -> b1, a2 -> y -> b2; either may be missing. */
static void configure_two(struct engine *engine, const char *x, const char *y)
{
    struct graph *graph = graph_new();
    test_app(graph, "a1", "Inject", NULL);
    test_app(graph, "a2", "Inject", NULL);
    test_app(graph, "b1", "Collect", NULL);
    test_app(graph, "b2", "Collect", NULL);
    if (x) {
        add_clumsy(graph, "x", x);
        test_link(graph, "a1 -> x");
        test_link(graph, "x.output -> b1.input");
    }
    if (y) {
        add_clumsy(graph, "y", y);
        test_link(graph, "a2 -> y");
        test_link(graph, "y.output -> b2.input");
    }
    test_configure(engine, graph);
}

static void send_to(struct engine *engine, const char *app, int n, uint32_t length)
{
    uint8_t frame[1514] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5 };
    while (n--)
        test_inject_bytes(engine, app, frame, length);
}

static size_t arrived(struct engine *engine, const char *app, uint64_t *last)
{
    size_t count;
    struct packet **p = test_collected(engine, app, &count);
    if (count)
        *last = p[count - 1]->timestamp;
    return count;
}

/* Both are what it carries: 10 Mbit/s for the two of them, whatever the discipline is. */
START_TEST(test_shared)
{
    static const char *const queues[] = { " queue=1s",
                                          " queue.aqm=fq_codel queue.target=10s",
                                          " queue.limit=1s queue.drop=random" };
    char x[100], y[100];
    snprintf(x, sizeof(x), "rate.rate=10mbit rate.shared=dsl%s", queues[_i]);
    snprintf(y, sizeof(y), "%s owd=5ms", x);
    struct engine *engine = test_engine(1);
    configure_two(engine, x, y);
    uint64_t last[2] = { 0 };
    for (int i = 0; i < 50; i++) {
        send_to(engine, "a1", 1, 1250);
        send_to(engine, "a2", 1, 1250);
    }
    engine_breathe(engine);
    for (uint64_t now = RIG_START; now <= RIG_START + 200 * MS; now += MS / 2) {
        engine_set_time(engine, now);
        engine_breathe(engine);
    }
    ck_assert_uint_eq(arrived(engine, "b1", &last[0]), 50);
    ck_assert_uint_eq(arrived(engine, "b2", &last[1]), 50);
    /* One hundred packets of 1 ms. */
    last[1] -= 5 * MS;
    ck_assert_uint_eq((last[0] > last[1] ? last[0] : last[1]) - RIG_START, 100 * MS);
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), 0);
}
END_TEST

static void check_accounts(struct engine *engine, const char *name)
{
    struct app *app = engine_find_app(engine, name);
    uint64_t gone = 0;
    if (!app)
        return;
    for (const struct counter_row *row = app->class->counters; row->name; row++)
        if (!strncmp(row->name, "drop_", 5))
            gone += app->counters[row - app->class->counters];
    if (test_counter(engine, name, "packets") +
            test_counter(engine, name, "duplicated") !=
        test_counter(engine, name, "delivered") + gone +
            test_counter(engine, name, "held"))
        ck_abort_msg("%s does not balance", name);
}

/* Members come, go and change, with queues, traces and outages of their own: those who stay have
 * what the last one configured says, and nothing of one who has left. */
START_TEST(test_members)
{
    char path[] = "/tmp/vanguard-gate-XXXXXX";
    FILE *file = fdopen(mkstemp(path), "w");
    fputs("1\n2\n3\n", file);
    fclose(file);
    char traced[100];
    snprintf(traced, sizeof(traced), "rate.shared=dsl rate.rate=1mbit trace=%s", path);
    const char *const all[] = {
        "rate.rate=10mbit rate.shared=dsl queue=20ms",
        "rate.rate=10mbit rate.shared=dsl queue.aqm=codel",
        "rate.rate=10mbit rate.shared=dsl queue.aqm=fq_codel match=udp",
        "rate.rate=5mbit rate.shared=dsl down.period=20ms down.off=5ms down.queue=hold",
        "rate.rate=5mbit rate.shared=other queue.aqm=pie",
        traced,
        "owd=1ms",
        NULL,
    };
    struct random_key key = random_key(statistics_seed(8), "members", "");
    struct engine *engine = test_engine(1);
    uint64_t seen = 0, unused;
    for (uint64_t i = 0; i < 300; i++) {
        const char *x = all[random_draw(&key, 2 * i) % 8],
                   *y = all[random_draw(&key, 2 * i + 1) % 8];
        configure_two(engine, x, y);
        for (int k = 0; k < 3; k++) {
            if (x)
                send_to(engine, "a1", 10, 1000);
            if (y)
                send_to(engine, "a2", 10, 600);
            engine_set_time(engine, engine->now + 3 * MS);
            engine_breathe(engine);
            check_accounts(engine, "x");
            check_accounts(engine, "y");
        }
        seen += arrived(engine, "b1", &unused) + arrived(engine, "b2", &unused);
        test_collect_clear(engine, "b1");
        test_collect_clear(engine, "b2");
    }
    ck_assert_uint_gt(seen, 2000);
    /* Who leaves a queue takes nothing along, and leaves nothing behind. */
    configure_two(engine, "rate.rate=1mbit rate.shared=dsl queue.aqm=codel",
                  "rate.rate=1mbit rate.shared=dsl queue.aqm=codel");
    send_to(engine, "a1", 20, 1000);
    send_to(engine, "a2", 20, 1000);
    engine_breathe(engine);
    configure_two(engine, "", "rate.rate=1mbit rate.shared=dsl queue.aqm=codel");
    for (int i = 0; i < 1000; i++) {
        engine_set_time(engine, engine->now + MS);
        engine_breathe(engine);
    }
    ck_assert_uint_eq(test_counter(engine, "x", "held"), 0);
    ck_assert_uint_eq(test_counter(engine, "y", "held"), 0);
    check_accounts(engine, "x");
    check_accounts(engine, "y");
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), 0);
    unlink(path);
}
END_TEST

static Suite *suite_clumsy_gate(void)
{
    Suite *suite = suite_create("clumsy_gate");
    TCase *queue = tcase_create("queue");
    tcase_set_timeout(queue, 60); /* sanitizers on a slow machine */
    tcase_add_test(queue, test_codel);
    tcase_add_loop_test(queue, test_marks, 0, 4);
    tcase_add_loop_test(queue, test_fair, 0, 2);
    tcase_add_loop_test(queue, test_victims, 0, 2);
    tcase_add_test(queue, test_changes);
    tcase_add_test(queue, test_queue_of_a_trace);
    suite_add_tcase(suite, queue);
    TCase *shared = tcase_create("shared");
    tcase_set_timeout(shared, 60);
    tcase_add_loop_test(shared, test_shared, 0, 3);
    tcase_add_test(shared, test_members);
    suite_add_tcase(suite, shared);
    return suite;
}

SUITE(clumsy_gate)
