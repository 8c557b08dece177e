/* cores: one graph on two cores, in turn on one thread and on two threads. No test measures
 * how fast: a wake-up that gets lost is found by the time-out. */
#include "engine/internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/apps.h"
#include "selftest/selftest.h"
#include "selftest/sequence.h"
#include "selftest/support.h"

#define MS      1000000ull
#define SECOND  (1000 * MS)
#define PACKETS 2000000
#define PINGS   3000
#define CHANGES 300
#define MANY    "2000000"

/* --- an app that sends back what comes in ------------------------------------------- */

struct echo_conf {
    int64_t serves; /* packets that it puts into play when it starts */
    int64_t count;  /* stop the engine after so many returns; 0: never */
};

struct echo {
    uint64_t returned;
    bool served;
};

static const struct param echo_params[] = {
    PARAM_INTEGER(struct echo_conf, serves, "0", "0", "100", ""),
    PARAM_INTEGER(struct echo_conf, count, "0", "0", "1000000", ""),
    PARAM_END,
};

static void echo_push(struct app *app)
{
    struct echo *echo = app->state;
    const struct echo_conf *conf = app->conf;
    struct link *input = app_input(app, 0), *output = app_output(app, 0);
    for (int64_t i = 0; i < conf->serves && !echo->served; i++)
        link_transmit(output, packet_from_bytes("ping", 4));
    echo->served = true;
    for (uint32_t n = link_readable(input); n; n--, echo->returned++)
        link_transmit(output, link_receive(input));
    if (conf->count && echo->returned >= (uint64_t)conf->count)
        engine_stop(app->engine);
}

static int unlucky_start(struct app *app, struct error *err)
{
    return error_set(err, ERROR_RUN, EIO, "no luck");
}

static const struct app_class echo_class = {
    .name = "Echo",
    .doc = "",
    .ports = sequence_ports,
    .params = echo_params,
    .conf_size = sizeof(struct echo_conf),
    .state_size = sizeof(struct echo),
    .push = echo_push,
};

static const struct app_class unlucky_class = {
    .name = "Unlucky",
    .doc = "",
    .ports = sequence_ports,
    .start = unlucky_start,
};

/* --- fixture ------------------------------------------------------------------------ */

static struct engine *engine;
static struct graph *graph;
static uint32_t in_use;

static void add_classes(void)
{
    if (apps_find("Count"))
        return;
    apps_add(&count_class, NULL);
    apps_add(&check_class, NULL);
    apps_add(&echo_class, NULL);
    apps_add(&unlucky_class, NULL);
}

static void start(const struct engine_options *options)
{
    struct error err;
    add_classes();
    engine = engine_new(options, &err);
    ck_assert_msg(engine != NULL, "%s", err.text);
    graph = graph_new();
    in_use = arena_in_use();
    if (engine->cores.count < 2) {
        fprintf(stderr, "SKIPPED: this machine has one core\n");
        exit(0);
    }
}

static void setup_threads(void)
{
    start(&(struct engine_options){ .seed = 1 });
}

static void setup_turns(void)
{
    start(&(struct engine_options){ .virtual_time = true, .packets = 16384 });
}

static void teardown(void)
{
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), in_use);
    graph_free(graph);
}

static void on_core(uint32_t core, const char *name)
{
    struct error err;
    ck_assert_msg(!graph_set_core(graph, name, core, &err), "%s", err.text);
}

/* The graph goes to the engine; a new one begins. */
static void configure(void)
{
    test_configure(engine, graph);
    graph = graph_new();
}

static struct link *link_of(const char *name)
{
    struct link *link = engine_find_link(engine, name);
    ck_assert_msg(link != NULL, "no link %s", name);
    return link;
}

/* Count on core 0 -> Check on core 1. */
static void add_crossing(const char *count, const char *flood, const char *most)
{
    test_app(graph, "count", "Count", "flood", flood, NULL);
    test_app(graph, "check", "Check", "count", count, "most", most, NULL);
    test_link(graph, "count -> check");
    on_core(1, "check");
}

/* made = seen + dropped + held, the words of shared memory say the same, and the order was
 * kept. */
static void check_accounts(bool drops)
{
    struct link *link = link_of("count.output -> check.input");
    uint64_t made = test_counter(engine, "count", "packets");
    uint64_t seen = test_counter(engine, "check", "packets");
    ck_assert_uint_eq(made, link->write + link->drops);
    ck_assert_uint_eq(made, seen + link->drops + link_held(link));
    ck_assert_uint_eq(link->counters[LINK_TXPACKETS], link->write);
    ck_assert_uint_eq(link->counters[LINK_TXDROP], link->drops);
    ck_assert_uint_eq(link->counters[LINK_RXPACKETS], seen);
    ck_assert_uint_eq(link_receiver(link)->drops, 0);
    ck_assert_uint_eq(arena_in_use() - in_use, link_held(link));
    if (drops) {
        ck_assert_uint_gt(link->drops, 0);
    } else {
        ck_assert_uint_eq(link->drops, 0);
        ck_assert_uint_eq(test_counter(engine, "check", "wrong"), 0);
    }
}

/* --- in turn ------------------------------------------------------------------------ */

START_TEST(a_link_crosses_both_ways)
{
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "far", "Check", NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "in -> far");
    test_link(graph, "far -> out");
    on_core(1, "far");
    configure();
    for (uint32_t i = 1; i <= 3000; i++) {
        struct packet *p = packet_from_bytes("frame", 5);
        p->timestamp = i;
        test_inject(engine, "in", p);
        test_breathe(engine, 1);
    }
    test_breathe(engine, 2);
    size_t count;
    struct packet **p = test_collected(engine, "out", &count);
    ck_assert_uint_eq(count, 3000);
    for (uint32_t i = 0; i < 3000; i++)
        if (p[i]->timestamp != i + 1)
            ck_abort_msg("packet %u is out of order", i);
    ck_assert_ptr_eq(engine_find_app(engine, "far")->engine, engine_of_core(engine, 1));
    ck_assert_uint_eq(engine->crossed, 3000);
    ck_assert_uint_eq(engine_of_core(engine, 1)->crossed, 3000);
    test_collect_clear(engine, "out");
}
END_TEST

/* The graph before is the one that goes on, on both cores. */
START_TEST(a_failure_on_the_other_core_changes_nothing)
{
    add_crossing("0", "0", "0");
    configure();
    test_breathe(engine, 10);
    struct app *check = engine_find_app(engine, "check");
    add_crossing("0", "0", "5");
    test_app(graph, "bad", "Unlucky", NULL);
    test_app(graph, "good", "Echo", NULL);
    test_link(graph, "check -> good");
    on_core(1, "bad");
    struct error err;
    ck_assert_int_eq(engine_configure(engine, graph, &err), -EIO);
    ck_assert_str_eq(err.text, "app \"bad\" (Unlucky): no luck");
    graph = graph_new();
    ck_assert_uint_eq(engine->napps, 2);
    ck_assert_ptr_eq(engine_find_app(engine, "check"), check);
    ck_assert_int_eq(((const struct check_conf *)check->conf)->most, 0);
    test_breathe(engine, 10);
    ck_assert_uint_eq(test_counter(engine, "check", "packets"), 20 * LINK_BURST);
    engine_commit_counters(engine);
    engine_commit_counters(engine_of_core(engine, 1));
    check_accounts(false);
}
END_TEST

/* Packets on all parts of a link keep their order when the link stops crossing, and when it
 * begins to; more than there is room for are counted. */
START_TEST(packets_move_with_the_link)
{
    add_crossing("0", "0", "1");
    configure();
    test_breathe(engine, 100);
    struct link *link = link_of("count.output -> check.input");
    ck_assert_uint_gt(link_held(link), 2 * LINK_SIZE);
    ck_assert_uint_lt(link_held(link), 3 * LINK_SIZE);
    uint64_t held = link_held(link), last;
    add_crossing("0", "0", "1");
    on_core(0, "check");
    configure();
    link = link_of("count.output -> check.input");
    ck_assert_ptr_null(link->across);
    ck_assert_uint_eq(link_held(link), LINK_SIZE);
    ck_assert_uint_eq(link->drops, held - LINK_SIZE);
    ck_assert_uint_eq(arena_in_use() - in_use, LINK_SIZE);
    last = (*link_slot(link, link->read + LINK_SIZE - 1))->timestamp;
    ck_assert_uint_eq(last - (*link_slot(link, link->read))->timestamp, LINK_SIZE - 1);
    add_crossing("0", "0", "1");
    configure();
    link = link_of("count.output -> check.input");
    ck_assert_uint_eq(link_held(link), LINK_SIZE);
    ck_assert_uint_eq(link->drops, 0);
    test_breathe(engine, 1);
    ck_assert_uint_eq(engine_find_app(engine, "check")->counters[SEQUENCE_PACKETS], 1);
    ck_assert_uint_eq(arena_in_use() - in_use, link_held(link));
}
END_TEST

static bool was_woken(const struct engine *of)
{
    uint64_t count;
    return read(of->wake_fd, &count, sizeof(count)) == sizeof(count);
}

/* Whichever comes first, the packet or the sleep. */
START_TEST(no_wake_up_is_lost)
{
    add_crossing("0", "0", "0");
    configure();
    struct engine *other = engine_of_core(engine, 1);
    struct link *link = link_of("count.output -> check.input");
    ck_assert(engine_sleep_begin(other));
    ck_assert(other->asleep && !was_woken(other));
    test_breathe(engine, 1);
    ck_assert(!other->asleep && was_woken(other));
    test_breathe(engine, 1); /* once is enough */
    ck_assert(!was_woken(other));
    link_transmit(link, packet_from_bytes("late", 4));
    interlink_flush(link->across);
    ck_assert(!engine_sleep_begin(other));
    ck_assert(!other->asleep);
    test_breathe(engine, 1);
    ck_assert(engine_sleep_begin(other));
    engine_sleep_end(other);
    test_breathe(engine, 1);
    ck_assert(!was_woken(other));
}
END_TEST

START_TEST(virtual_time_is_that_of_all_cores)
{
    test_app(graph, "here", "Echo", NULL);
    test_app(graph, "there", "Echo", NULL);
    test_link(graph, "here -> there");
    test_link(graph, "there -> here");
    on_core(1, "there");
    configure();
    engine_set_time(engine, 5 * SECOND);
    test_breathe(engine, 1);
    struct app *there = engine_find_app(engine, "there");
    ck_assert_uint_eq(engine_now(there->engine), 5 * SECOND);
    app_wake_at(there, 6 * SECOND);
    ck_assert_uint_eq(engine_next_timer(engine), 6 * SECOND);
}
END_TEST

/* --- on threads --------------------------------------------------------------------- */

START_TEST(nothing_is_lost_or_doubled)
{
    add_crossing(MANY, "0", "0");
    configure();
    engine_run(engine, engine_clock(engine) + 20 * SECOND);
    ck_assert_uint_ge(test_counter(engine, "check", "packets"), PACKETS);
    check_accounts(false);
    engine_run(engine, engine_clock(engine) + SECOND); /* it is there again at once */
    check_accounts(false);
}
END_TEST

START_TEST(who_is_too_slow_drops_with_the_sender)
{
    add_crossing("100000", "1", "3");
    configure();
    uint64_t end = engine_clock(engine) + 20 * SECOND;
    do
        engine_run(engine, end);
    while (!link_of("count.output -> check.input")->drops && engine_clock(engine) < end);
    ck_assert_uint_ge(test_counter(engine, "check", "packets"), 100000);
    check_accounts(true);
}
END_TEST

/* One packet, to and fro; both cores sleep in between, one as soon as it can. */
static void ping_pong(uint64_t spin)
{
    engine->options.spin = spin;
    test_app(graph, "here", "Echo", "serves", "1", "count", "3000", NULL);
    test_app(graph, "there", "Echo", NULL);
    test_link(graph, "here -> there");
    test_link(graph, "there -> here");
    on_core(1, "there");
    configure();
    engine_run(engine, engine_clock(engine) + 20 * SECOND);
    const struct echo *here = engine_find_app(engine, "here")->state;
    ck_assert_uint_ge(here->returned, PINGS);
    ck_assert_uint_eq(link_held(engine->links[0]) + link_held(engine->links[1]), 1);
}

START_TEST(a_sleeper_is_woken)
{
    ping_pong(1);
    ck_assert_uint_gt(engine->counter[ENGINE_SLEEPS], PINGS / 10);
    ck_assert_uint_gt(engine_of_core(engine, 1)->counter[ENGINE_SLEEPS], PINGS / 10);
}
END_TEST

START_TEST(a_sleeper_is_woken_while_others_spin)
{
    ping_pong(50000);
}
END_TEST

/* Fewer packets than one core keeps for itself: they must get back, to a core that has gone
 * to sleep for want of them, and from one that never sleeps. */
START_TEST(free_packets_come_back_in_a_shortage)
{
    struct packet *hoard[16384];
    uint32_t hoarded = 0;
    engine->options.spin = 1;
    engine->options.pace = _i ? PACE_BUSY : PACE_ADAPTIVE;
    add_crossing("300000", "0", "1");
    configure();
    while (hoarded < 16384 && arena.count - arena_in_use() > 600)
        hoard[hoarded++] = packet_allocate();
    engine_run(engine, engine_clock(engine) + 20 * SECOND);
    ck_assert_uint_ge(test_counter(engine, "check", "packets"), 300000);
    while (hoarded)
        packet_free(hoard[--hoarded]);
    check_accounts(false);
}
END_TEST

/* What changes the graph again and again while it runs. */
struct changer {
    struct timer timer;
    unsigned changes;
};

static const char *const places[] = { "direct", "through core 1", "through core 0" };

/* Now count -> check, now count -> mid -> check with mid on either core; check's own
 * parameter changes, and it stays where it is. */
static void change(struct timer *timer, uint64_t now)
{
    struct changer *changer = timer->user;
    unsigned place = changer->changes++ % 3;
    graph = graph_new();
    test_app(graph, "count", "Count", NULL);
    test_app(graph, "check", "Check", "most", changer->changes % 2 ? "100" : "0", NULL);
    on_core(1, "check");
    if (place) {
        test_app(graph, "mid", "Check", NULL);
        on_core(places[place][13] == '1', "mid");
        test_link(graph, "count -> mid");
        test_link(graph, "mid -> check");
    } else {
        test_link(graph, "count -> check");
    }
    struct error err;
    if (engine_configure(engine, graph, &err))
        ck_abort_msg("%s: %s", places[place], err.text);
    if (changer->changes == CHANGES)
        engine_stop(engine);
    engine_timer_set(engine, timer, now + MS / 2);
}

/* Three parts of a link may become one: what has no room there is dropped. All the rest
 * arrives, once and in order. */
START_TEST(reconfigured_while_it_runs)
{
    struct changer changer = { .timer = { .fire = change } };
    changer.timer.user = &changer;
    graph_free(graph);
    engine_timer_set(engine, &changer.timer, engine_now(engine));
    engine_run(engine, engine_clock(engine) + 20 * SECOND);
    engine_timer_cancel(engine, &changer.timer);
    ck_assert_uint_ge(changer.changes, CHANGES);
    uint64_t held = 0;
    for (uint32_t i = 0; i < engine->nlinks; i++)
        held += link_held(engine->links[i]);
    ck_assert_uint_eq(arena_in_use() - in_use, held);
    ck_assert_uint_gt(test_counter(engine, "check", "packets"), 10 * CHANGES);
    ck_assert_uint_eq(test_counter(engine, "check", "backwards"), 0);
    graph = graph_new();
}
END_TEST

static void *stop_late(void *user)
{
    usleep(20000);
    engine_stop(user);
    return NULL;
}

/* Through the engine of either core. */
START_TEST(stopped_from_another_thread)
{
    pthread_t thread;
    add_crossing("0", "0", "0");
    configure();
    for (uint32_t core = 0; core < 2; core++) {
        pthread_create(&thread, NULL, stop_late, engine_of_core(engine, core));
        engine_run(engine, TIMER_NEVER);
        pthread_join(thread, NULL);
    }
    check_accounts(false);
}
END_TEST

static void on_alarm(int signal)
{
    engine_stop(engine);
}

START_TEST(stopped_by_a_signal)
{
    struct sigaction action = { .sa_handler = on_alarm };
    sigaction(SIGALRM, &action, NULL);
    add_crossing("0", "0", "0");
    configure();
    ualarm(20000, 0);
    engine_run(engine, TIMER_NEVER);
    check_accounts(false);
}
END_TEST

static Suite *suite_cores(void)
{
    Suite *suite = suite_create("cores");
    TCase *turns = tcase_create("in turn");
    tcase_add_checked_fixture(turns, setup_turns, teardown);
    tcase_add_test(turns, a_link_crosses_both_ways);
    tcase_add_test(turns, a_failure_on_the_other_core_changes_nothing);
    tcase_add_test(turns, packets_move_with_the_link);
    tcase_add_test(turns, no_wake_up_is_lost);
    tcase_add_test(turns, virtual_time_is_that_of_all_cores);
    suite_add_tcase(suite, turns);
    TCase *threads = tcase_create("on threads");
    tcase_add_checked_fixture(threads, setup_threads, teardown);
    tcase_set_timeout(threads, 120);
    tcase_add_test(threads, nothing_is_lost_or_doubled);
    tcase_add_test(threads, who_is_too_slow_drops_with_the_sender);
    tcase_add_test(threads, a_sleeper_is_woken);
    tcase_add_test(threads, a_sleeper_is_woken_while_others_spin);
    tcase_add_loop_test(threads, free_packets_come_back_in_a_shortage, 0, 2);
    tcase_add_test(threads, reconfigured_while_it_runs);
    tcase_add_test(threads, stopped_from_another_thread);
    tcase_add_test(threads, stopped_by_a_signal);
    suite_add_tcase(suite, threads);
    return suite;
}
SUITE(cores)
