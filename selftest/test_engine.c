/* engine: the order within a breath, timers, ticks, counters. What happens between
 * breaths is in test_pace.c. */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/apps.h"
#include "selftest/selftest.h"
#include "selftest/support.h"

#define MS 1000000ull

/* --- apps that tell their names ----------------------------------------------------- */

static char story[4096]; /* "<a" a pulled, "a" it pushed, "*a" it ticked */

static void tell(const char *what, const struct app *app)
{
    size_t used = strlen(story);
    snprintf(story + used, sizeof(story) - used, "%s%s ", what, app->name);
}

/* An interface: leaves what lies in `in` with the next pull, keeps what is pushed to it.
 */
struct end {
    struct packet *in[16], *out[16];
    unsigned ins, outs;
};

static void end_pull(struct app *app)
{
    struct end *end = app->state;
    tell("<", app);
    for (unsigned i = 0; i < end->ins; i++)
        app_transmit(app_output(app, 0), end->in[i]);
    end->ins = 0;
}

static void end_push(struct app *app)
{
    struct end *end = app->state;
    struct link *input = app_input(app, 0);
    tell("", app);
    while (input && !link_empty(input) && end->outs < 16)
        end->out[end->outs++] = link_receive(input);
}

static void end_stop(struct app *app)
{
    struct end *end = app->state;
    packet_free_burst(end->in, end->ins);
    packet_free_burst(end->out, end->outs);
}

static void pass_push(struct app *app)
{
    tell("", app);
    for (uint32_t i = 0; app->noutputs && i < app->ninputs; i++)
        link_forward(app->inputs[i], app->outputs[i % app->noutputs]);
}

static void tick(struct app *app)
{
    tell("*", app);
}

static const struct port end_ports[] = { { "input", PORT_INPUT, "" },
                                         { "output", PORT_OUTPUT, "" },
                                         { NULL } };
static const struct port any_ports[] = { { "*", PORT_INPUT, "" },
                                         { "*", PORT_OUTPUT, "" },
                                         { NULL } };

static const struct app_class end_class = {
    .name = "End",
    .doc = "",
    .ports = end_ports,
    .state_size = sizeof(struct end),
    .stop = end_stop,
    .pull = end_pull,
    .push = end_push,
};

static const struct app_class pass_class = {
    .name = "Pass",
    .doc = "",
    .ports = any_ports,
    .push = pass_push,
};

static const struct app_class ticker_class = {
    .name = "Ticker",
    .doc = "",
    .ports = any_ports,
    .tick = tick,
};

/* --- fixture ------------------------------------------------------------------------ */

static struct engine *engine;
static struct graph *graph;
static uint32_t in_use;

static void setup(void)
{
    if (!apps_find("End")) {
        apps_add(&end_class, NULL);
        apps_add(&pass_class, NULL);
        apps_add(&ticker_class, NULL);
    }
    engine = test_engine(1);
    graph = graph_new();
    in_use = arena_in_use();
    story[0] = 0;
}

static void teardown(void)
{
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), in_use);
}

static void configure(void)
{
    test_configure(engine, graph);
    graph = graph_new();
}

static void link_ends(const char *from, const char *to)
{
    char spec[200];
    snprintf(spec, sizeof(spec), "%s -> %s", from, to);
    test_link(graph, spec);
}

static void breathe_tells(const char *wanted)
{
    story[0] = 0;
    engine_breathe(engine);
    ck_assert_str_eq(story, wanted);
}

static struct end *end_of(const char *name)
{
    return engine_find_app(engine, name)->state;
}

static void arrive_at(const char *name)
{
    struct end *end = end_of(name);
    end->in[end->ins] = packet_from_bytes(name, (uint32_t)strlen(name));
    ck_assert_ptr_nonnull(end->in[end->ins++]);
}

/* Permutation number i (below 24) of four words. */
static void permute(unsigned i, const char *words[4])
{
    for (unsigned n = 4; n > 1; n--, i /= n + 1) {
        const char *word = words[n - 1];
        words[n - 1] = words[i % n];
        words[i % n] = word;
    }
}

/* --- order -------------------------------------------------------------------------- */

/* Two interfaces with an app for each direction between them; whatever the names, a
 * packet goes all the way in one breath, in both directions. */
START_TEST(bridge_crosses_in_one_breath)
{
    const char *names[4] = { "a", "b", "c", "d" };
    permute((unsigned)_i, names);
    const char *left = names[0], *right = names[1], *there = names[2], *back = names[3];
    test_app(graph, left, "End", NULL);
    test_app(graph, there, "Pass", NULL);
    test_app(graph, back, "Pass", NULL);
    test_app(graph, right, "End", NULL);
    link_ends(left, there);
    link_ends(there, right);
    link_ends(right, back);
    link_ends(back, left);
    configure();
    for (unsigned n = 1; n <= 3; n++) {
        arrive_at(left);
        arrive_at(right);
        engine_breathe(engine);
        ck_assert_uint_eq(end_of(left)->outs, n);
        ck_assert_uint_eq(end_of(right)->outs, n);
        ck_assert_mem_eq(end_of(left)->out[n - 1]->data, right, 1);
        ck_assert_mem_eq(end_of(right)->out[n - 1]->data, left, 1);
    }
}
END_TEST

START_TEST(chain_crosses_in_one_breath)
{
    const char *names[4] = { "a", "b", "c", "d" };
    permute((unsigned)_i, names);
    test_app(graph, "out", "Collect", NULL);
    test_app(graph, "in", "Inject", NULL);
    for (unsigned i = 0; i < 4; i++)
        test_app(graph, i % 2 ? names[i / 2] : names[3 - i / 2], "Pass", NULL);
    link_ends(names[3], "out");
    for (unsigned i = 3; i > 0; i--)
        link_ends(names[i - 1], names[i]);
    link_ends("in", names[0]);
    configure();
    test_inject_bytes(engine, "in", "x", 1);
    engine_breathe(engine);
    size_t count;
    test_collected(engine, "out", &count);
    ck_assert_uint_eq(count, 1);
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "%s %s %s %s ", names[0], names[1], names[2],
             names[3]);
    ck_assert_str_eq(story, wanted);
}
END_TEST

/* Where several could be next the first by name is, whatever the order of adding. */
START_TEST(order_is_that_of_the_names)
{
    const char *names[4] = { "a", "b", "c", "d" };
    permute((unsigned)_i, names);
    for (unsigned i = 0; i < 4; i++)
        test_app(graph, names[i], "Pass", NULL);
    test_app(graph, "z", "End", NULL);
    test_app(graph, "y", "End", NULL);
    link_ends("z", "b.1");
    link_ends("y", "b.2");
    link_ends("d", "a");
    configure();
    breathe_tells("<y <z c d a y z b ");
}
END_TEST

START_TEST(diamond)
{
    test_app(graph, "in", "End", NULL);
    test_app(graph, "z", "Pass", NULL);
    test_app(graph, "b", "Pass", NULL);
    test_app(graph, "a", "Pass", NULL);
    test_app(graph, "join", "Pass", NULL);
    link_ends("in", "z.in");
    link_ends("z.1", "a");
    link_ends("z.2", "b");
    link_ends("a", "join.1");
    link_ends("b", "join.2");
    configure();
    breathe_tells("<in in z a b join ");
}
END_TEST

/* A cycle lives: everything is pushed once a breath, and nothing is lost. */
START_TEST(cycle)
{
    test_app(graph, "in", "End", NULL);
    test_app(graph, "a", "Pass", NULL);
    test_app(graph, "b", "Pass", NULL);
    test_app(graph, "c", "Pass", NULL);
    link_ends("in", "a.in");
    link_ends("a.o1", "b");
    link_ends("b", "c");
    link_ends("c", "a.loop");
    configure();
    for (unsigned i = 0; i < 16; i++)
        arrive_at("in");
    breathe_tells("<in in a b c ");
    uint64_t before = engine_find_link(engine, "c.output -> a.loop")->write;
    for (unsigned i = 0; i < 50; i++)
        breathe_tells("<in in a b c ");
    struct link *link = engine_find_link(engine, "c.output -> a.loop");
    ck_assert_uint_eq(link->write - before, 50 * 16);
    ck_assert_uint_eq(link_readable(link), 16);
    ck_assert_uint_eq(arena_in_use() - in_use, 16);
    ck_assert_uint_eq(link->drops, 0);
}
END_TEST

START_TEST(link_to_itself)
{
    test_app(graph, "a", "Pass", NULL);
    link_ends("a.output", "a.input");
    configure();
    struct link *link = engine_find_link(engine, "a.output -> a.input");
    link_transmit(link, packet_from_bytes("x", 1));
    breathe_tells("a ");
    ck_assert_uint_eq(link_readable(link), 1);
    ck_assert_uint_eq(link->read, 1);
}
END_TEST

/* --- time --------------------------------------------------------------------------- */

struct alarm {
    struct timer timer;
    unsigned fired;
    uint64_t at, again; /* when it fired; set again that much later */
};

static void ring(struct timer *timer, uint64_t now)
{
    struct alarm *alarm = timer->user;
    alarm->fired++;
    alarm->at = now;
    if (alarm->again)
        engine_timer_set(engine, timer, timer->time + alarm->again);
}

static void set_alarm(struct alarm *alarm, uint64_t time)
{
    alarm->timer.fire = ring;
    alarm->timer.user = alarm;
    engine_timer_set(engine, &alarm->timer, time);
}

START_TEST(timers_fire_at_their_time)
{
    struct alarm once = { 0 }, often = { .again = 300 }, never = { 0 }, past = { 0 };
    uint64_t start = engine_now(engine);
    set_alarm(&once, start + 1000);
    set_alarm(&often, start + 100);
    set_alarm(&never, start + 500);
    set_alarm(&past, start - 1);
    engine_timer_cancel(engine, &never.timer);
    for (uint64_t now = start; now <= start + 2000; now++) {
        engine_set_time(engine, now);
        engine_breathe(engine);
        ck_assert_uint_eq(past.fired, 1);
        ck_assert_uint_eq(once.fired, now >= start + 1000);
        ck_assert_uint_eq(often.fired,
                          now >= start + 100 ? (now - start - 100) / 300 + 1 : 0);
    }
    ck_assert_uint_eq(once.at, start + 1000);
    ck_assert_uint_eq(never.fired, 0);
    engine_set_time(engine, start + 10000); /* several at once, after a pause */
    engine_breathe(engine);
    ck_assert_uint_eq(often.fired, 34);
    engine_timer_cancel(engine, &often.timer);
}
END_TEST

START_TEST(ticks_every_millisecond)
{
    uint64_t start = engine_now(engine);
    test_app(graph, "b", "Ticker", NULL);
    test_app(graph, "a", "Ticker", NULL);
    configure();
    breathe_tells("*a *b ");
    for (unsigned n = 1; n < 5; n++) {
        engine_set_time(engine, start + n * MS - 1);
        breathe_tells("");
        engine_set_time(engine, start + n * MS);
        breathe_tells("*a *b ");
    }
    engine_set_time(engine, start + 1000 * MS); /* one tick, however long it was */
    breathe_tells("*a *b ");
    breathe_tells("");
}
END_TEST

START_TEST(wake_up_of_an_app)
{
    uint64_t start = engine_now(engine);
    test_app(graph, "a", "Pass", NULL);
    configure();
    ck_assert_uint_eq(timers_next(&engine->timers), TIMER_NEVER);
    app_wake_at(engine_find_app(engine, "a"), start + 700);
    ck_assert_uint_eq(timers_next(&engine->timers), start + 700);
    app_wake_at(engine_find_app(engine, "a"), start + 900);
    engine_set_time(engine, start + 800);
    engine_breathe(engine);
    ck_assert_uint_eq(timers_next(&engine->timers), start + 900);
    engine_set_time(engine, start + 900);
    engine_breathe(engine);
    ck_assert_uint_eq(timers_next(&engine->timers), TIMER_NEVER);
    app_wake_at(engine_find_app(engine, "a"), start + 2000);
    configure(); /* the app goes, its wake-up with it */
    ck_assert_uint_eq(engine->napps, 0);
    engine_set_time(engine, start + 3000);
    engine_breathe(engine);
    ck_assert_uint_eq(timers_next(&engine->timers), TIMER_NEVER);
}
END_TEST

/* --- counters ----------------------------------------------------------------------- */

START_TEST(what_left_the_graph_is_counted)
{
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "sink", "Sink", NULL);
    link_ends("in", "sink");
    configure();
    packet_free(packet_from_bytes("outside of a breath", 19));
    for (unsigned i = 0; i < 10; i++)
        test_inject_bytes(engine, "in", "0123456789", 10);
    engine_breathe(engine);
    engine_commit_counters(engine);
    ck_assert_uint_eq(engine->counter[ENGINE_FREES], 10);
    ck_assert_uint_eq(engine->counter[ENGINE_FREEBYTES], 100);
    ck_assert_uint_eq(engine->counter[ENGINE_FREEBITS], 8 * (100 + 10 * 24));
    ck_assert_uint_eq(engine->counter[ENGINE_BREATHS], 1);
    ck_assert_uint_eq(engine->counter[ENGINE_PACKETS_IN_USE], in_use);
    ck_assert_uint_eq(engine->counter[ENGINE_NOW_NS], engine_now(engine));
    ck_assert_uint_eq(engine->counter[ENGINE_SEED], 1);
}
END_TEST

START_TEST(apps_are_timed_once_per_tick)
{
    test_app(graph, "a", "End", NULL);
    configure();
    const uint64_t *time = engine_find_app(engine, "a")->time;
    engine_breathe(engine); /* ticks: the next breath is measured */
    ck_assert_uint_eq(time[APP_TIME_BREATHS], 0);
    engine_breathe(engine);
    ck_assert_uint_eq(time[APP_TIME_BREATHS], 2); /* pull and push */
    engine_breathe(engine);
    ck_assert_uint_eq(time[APP_TIME_BREATHS], 2);
    ck_assert_str_eq(story, "<a a <a a <a a ");
}
END_TEST

static char directory[64], path[128];

static struct engine *engine_with_file(void)
{
    struct error err;
    strcpy(directory, "/tmp/test_engine.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/counters", directory);
    struct engine_options options = { .virtual_time = true,
                                      .seed = 42,
                                      .directory = directory };
    struct engine *made = engine_new(&options, &err);
    ck_assert_msg(made != NULL, "%s", err.text);
    return made;
}

static void source_to_sink(struct engine *in, const char *sink)
{
    struct graph *other = graph_new();
    char spec[200];
    test_app(other, "source", "Source", "size", "60", "count", "100", NULL);
    test_app(other, sink, "Sink", NULL);
    snprintf(spec, sizeof(spec), "source -> %s", sink);
    test_link(other, spec);
    test_configure(in, other);
}

static void note_words(const struct counter_entry *entry, const uint64_t *words,
                       void *user)
{
    if (!strcmp(entry->name, "apps/one/packets") ||
        !strcmp(entry->name, "apps/two/packets"))
        *(const uint64_t **)user = words;
}

START_TEST(counters_are_in_the_file)
{
    struct error err;
    struct engine *other = engine_with_file();
    struct counters *reader = counters_open(path, &err);
    ck_assert_msg(reader != NULL, "%s", err.text);
    ck_assert_int_eq(counters_pid(reader), getpid());
    uint64_t generation = counters_generation(reader);
    source_to_sink(other, "one");
    ck_assert_uint_ne(counters_generation(reader), generation);
    generation = counters_generation(reader);
    test_breathe(other, 2);
    engine_commit_counters(other);
    ck_assert_uint_eq(counters_value(reader, "engine/seed"), 42);
    ck_assert_uint_eq(counters_value(reader, "engine/breaths"), 2);
    ck_assert_uint_eq(counters_value(reader, "engine/configs"), 1);
    ck_assert_uint_eq(counters_value(reader, "apps/source/packets"), 100);
    ck_assert_uint_eq(counters_value(reader, "apps/one/packets"), 100);
    ck_assert_uint_eq(counters_value(reader, "apps/one/bytes"), 6000);
    static const char link[] = "links/source.output -> one.input";
    char name[COUNTER_NAME_SIZE];
    static const char *const rows[] = { "rxpackets", "txpackets", "txbytes", "txdrop" };
    static const uint64_t values[] = { 100, 100, 6000, 0 };
    for (unsigned i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "%s/%s", link, rows[i]);
        ck_assert_uint_eq(counters_value(reader, name), values[i]);
    }
    ck_assert_uint_eq(counters_generation(reader), generation);

    const uint64_t *one = NULL, *two = NULL;
    ck_assert(counters_read(reader, note_words, &one));
    source_to_sink(other, "two"); /* made while "one" is still there */
    source_to_sink(other, "one");
    source_to_sink(other, "two");
    ck_assert_uint_eq(counters_value(reader, "apps/one/packets"), 0);
    ck_assert(counters_read(reader, note_words, &two));
    ck_assert(one && two && one != two);
    source_to_sink(other, "one"); /* what "one" had in the beginning is used again */
    ck_assert(counters_read(reader, note_words, &two));
    ck_assert_ptr_eq(one, two);
    ck_assert_uint_eq(*one, 0);
    engine_free(other);
    ck_assert_int_eq(access(path, F_OK), -1);
    ck_assert_int_eq(rmdir(directory), 0);
    counters_close(reader);
}
END_TEST

/* --- the rest ----------------------------------------------------------------------- */

static char line[256];

static void keep_line(const char *text, void *user)
{
    ck_assert_ptr_eq(user, line);
    snprintf(line, sizeof(line), "%s", text);
}

START_TEST(log_line_names_the_app)
{
    char longest[600];
    test_app(graph, "wan", "Pass", NULL);
    configure();
    struct app *app = engine_find_app(engine, "wan");
    app_log(app, "nobody listens to %d", 1);
    engine->options.log = keep_line;
    engine->options.log_user = line;
    app_log(app, "interface %s is down", "veth0");
    ck_assert_str_eq(line, "app wan (Pass): interface veth0 is down");
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    app_log(app, "%s", longest); /* is cut */
    ck_assert_mem_eq(line, "app wan (Pass): xxx", 19);
}
END_TEST

START_TEST(two_engines)
{
    struct engine *other = test_engine(2);
    test_app(graph, "a", "End", NULL);
    test_app(graph, "b", "End", NULL);
    link_ends("a", "b");
    test_configure(other, graph_copy(graph));
    configure();
    arrive_at("a");
    engine_set_time(other, 5);
    engine_breathe(other);
    ck_assert_uint_eq(end_of("b")->outs, 0);
    ck_assert_uint_ne(engine_now(engine), 5);
    engine_free(other);
    engine_breathe(engine);
    ck_assert_uint_eq(end_of("b")->outs, 1);
}
END_TEST

START_TEST(engines_that_cannot_be)
{
    struct error err;
    struct engine_options options = { .directory = "/nonexistent" };
    ck_assert_ptr_null(engine_new(&options, &err));
    ck_assert_str_eq(err.text,
                     "cannot create /nonexistent/counters: No such file or directory");
    options = (struct engine_options){ .chunk_size = 4096 };
    ck_assert_ptr_null(engine_new(&options, &err));
    ck_assert_str_eq(err.text, "packets are already set up as 16384 of 2048 bytes");
    options = (struct engine_options){ .chunk_size = 3000 };
    ck_assert_ptr_null(engine_new(&options, &err));
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    engine_free(NULL);
}
END_TEST

static Suite *suite_engine(void)
{
    Suite *suite = suite_create("engine");
    TCase *tests = tcase_create("engine");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, bridge_crosses_in_one_breath, 0, 24);
    tcase_add_loop_test(tests, chain_crosses_in_one_breath, 0, 24);
    tcase_add_loop_test(tests, order_is_that_of_the_names, 0, 24);
    tcase_add_test(tests, diamond);
    tcase_add_test(tests, cycle);
    tcase_add_test(tests, link_to_itself);
    tcase_add_test(tests, timers_fire_at_their_time);
    tcase_add_test(tests, ticks_every_millisecond);
    tcase_add_test(tests, wake_up_of_an_app);
    tcase_add_test(tests, what_left_the_graph_is_counted);
    tcase_add_test(tests, apps_are_timed_once_per_tick);
    tcase_add_test(tests, counters_are_in_the_file);
    tcase_add_test(tests, log_line_names_the_app);
    tcase_add_test(tests, two_engines);
    tcase_add_test(tests, engines_that_cannot_be);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(engine)
