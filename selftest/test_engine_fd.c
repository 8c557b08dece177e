/* engine_fd: when the descriptor for a host's event loop is readable, with real clocks and
 * descriptors. No test measures how fast: what does not come is found by the time-out. */
#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "apps/apps.h"
#include "selftest/selftest.h"
#include "selftest/support.h"

#define MS     1000000ull
#define HOUR   (3600000 * MS)
#define ROUNDS 300

/* An app that does in its pull what the test says. */
static void (*in_pull)(struct app *app);

static void pull(struct app *app)
{
    if (in_pull)
        in_pull(app);
}

/* Sends back what comes in, and one packet of its own at first. */
static uint64_t bounced;

static void bounce(struct app *app)
{
    struct link *input = app_input(app, 0), *output = app_output(app, 0);
    bool *served = app->state;
    if (!*served && !app->engine->core)
        link_transmit(output, packet_from_bytes("ping", 4));
    *served = true;
    while (!link_empty(input)) {
        link_transmit(output, link_receive(input));
        if (!app->engine->core && ++bounced == ROUNDS)
            engine_stop(app->engine);
    }
}

static const struct port ports[] = { { "input", PORT_INPUT, "" },
                                     { "output", PORT_OUTPUT, "" },
                                     { NULL } };

static const struct app_class agent_class = {
    .name = "Agent", .doc = "", .ports = ports, .pull = pull
};

static const struct app_class bounce_class = {
    .name = "Bounce",
    .doc = "",
    .ports = ports,
    .state_size = sizeof(bool),
    .push = bounce,
};

static struct engine *engine;
static struct app *agent;
static int fd, pipe_fds[2];

static bool readable(void)
{
    struct pollfd poll_fd = { fd, POLLIN, 0 };
    return poll(&poll_fd, 1, 0) == 1;
}

/* Like a host, until there is nothing to do; returns the breaths that took. */
static unsigned settle(void)
{
    unsigned breaths = 0;
    for (; readable(); breaths++)
        engine_breathe(engine);
    return breaths;
}

static void wait_for_it(void)
{
    struct pollfd poll_fd = { fd, POLLIN, 0 };
    ck_assert_int_eq(poll(&poll_fd, 1, -1), 1);
}

static struct graph *agent_graph(void)
{
    struct graph *graph = graph_new();
    test_app(graph, "agent", "Agent", NULL);
    return graph;
}

static void start(enum engine_pace pace)
{
    struct error err;
    struct engine_options options = { .pace = pace };
    in_pull = NULL;
    if (!apps_find("Agent")) {
        apps_add(&agent_class, NULL);
        apps_add(&bounce_class, NULL);
    }
    engine = engine_new(&options, &err);
    ck_assert_msg(engine != NULL, "%s", err.text);
    test_configure(engine, agent_graph());
    agent = engine_find_app(engine, "agent");
    fd = engine_fd(engine, &err);
    ck_assert_msg(fd >= 0, "%s", err.text);
    ck_assert_int_eq(pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC), 0);
}

static void setup(void)
{
    start(PACE_ADAPTIVE);
}

static void teardown(void)
{
    engine_free(engine);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

/* --- at once, and not at all --------------------------------------------------------- */

START_TEST(first_breath_is_due_then_none)
{
    ck_assert_uint_eq(settle(), 1);
    ck_assert_uint_eq(engine->breaths, 1);
    ck_assert_int_eq(engine_fd(engine, NULL), fd);
    ck_assert_uint_eq(settle(), 0);
}
END_TEST

START_TEST(ready_while_packets_flow)
{
    struct graph *graph = graph_new();
    test_app(graph, "source", "Source", "count", "10000", NULL);
    test_app(graph, "sink", "Sink", NULL);
    test_link(graph, "source -> sink");
    settle();
    ck_assert(engine->asleep); /* for other cores */
    test_configure(engine, graph);
    engine_breathe(engine);
    ck_assert(!engine->asleep);
    unsigned breaths = settle();
    uint64_t sent = engine_find_link(engine, "source.output -> sink.input")->read;
    ck_assert_uint_eq(sent, 10000);
    ck_assert_uint_ge(breaths, 10000 / LINK_SIZE);
    ck_assert_uint_eq(engine->counter[ENGINE_FREES], 10000); /* brought up to date */
}
END_TEST

START_TEST(busy_is_always_ready)
{
    teardown();
    start(PACE_BUSY);
    for (unsigned i = 0; i < 100; i++, engine_breathe(engine))
        ck_assert(readable());
    ck_assert_uint_eq(engine->counter[ENGINE_SLEEPS], 0);
}
END_TEST

START_TEST(sleeps_are_counted)
{
    settle();
    ck_assert_uint_eq(engine->counter[ENGINE_SLEEPS], 0);
    for (unsigned i = 1; i <= 5; i++) {
        engine_wake(engine);
        settle();
        ck_assert_uint_eq(engine->counter[ENGINE_SLEEPS], i);
    }
    ck_assert_uint_gt(engine->counter[ENGINE_SLEPT_NS], 0);
}
END_TEST

/* Nobody takes what is on the link; yet the engine looks now and then. */
START_TEST(packets_on_links_are_looked_at)
{
    struct graph *graph = agent_graph();
    test_app(graph, "idle", "Agent", NULL);
    test_link(graph, "agent -> idle");
    test_configure(engine, graph);
    settle();
    link_transmit(engine->links[0], packet_from_bytes("p", 1));
    engine_breathe(engine);
    wait_for_it();
    engine_breathe(engine);
    wait_for_it();
}
END_TEST

/* --- wake and stop -------------------------------------------------------------------- */

START_TEST(wake_is_one_breath_and_a_look)
{
    settle();
    engine_wake(engine);
    engine_wake(engine);
    ck_assert(readable());
    ck_assert_uint_eq(settle(), 2);
}
END_TEST

static void wake_myself(struct app *app)
{
    engine_wake(app->engine);
    in_pull = NULL;
}

/* Too late for this breath to see what it was for: there is another. */
START_TEST(wake_within_a_breath_is_not_lost)
{
    settle();
    in_pull = wake_myself;
    engine_breathe(engine);
    ck_assert(readable());
    ck_assert_uint_eq(settle(), 1);
}
END_TEST

static void *wake(void *user)
{
    engine_wake(engine);
    return user;
}

static void *stop(void *user)
{
    engine_stop(engine);
    return user;
}

START_TEST(other_threads_end_the_wait)
{
    static void *(*const acts[])(void *) = { wake, stop };
    for (unsigned i = 0; i < 2; i++) {
        pthread_t thread;
        settle();
        ck_assert(!engine_stopped(engine));
        ck_assert_int_eq(pthread_create(&thread, NULL, acts[i], NULL), 0);
        wait_for_it();
        pthread_join(thread, NULL);
    }
    ck_assert(engine_stopped(engine));
}
END_TEST

START_TEST(run_of_its_own_in_between)
{
    settle();
    engine_stop(engine);
    engine_run(engine, TIMER_NEVER);
    ck_assert(!engine_stopped(engine));
    engine_run(engine, engine_clock(engine) + MS);
    ck_assert(readable());
    settle();
    ck_assert(!readable());
}
END_TEST

/* --- descriptors ---------------------------------------------------------------------- */

static void read_pipe(struct app *app)
{
    char byte;
    ssize_t got = read(pipe_fds[0], &byte, 1);
    (void)got;
}

START_TEST(descriptor_of_an_app)
{
    in_pull = read_pipe;
    app_poll(agent, pipe_fds[0], POLLIN);
    settle();
    ck_assert_int_eq(write(pipe_fds[1], "ab", 2), 2);
    ck_assert_uint_eq(settle(), 2);
    app_poll(agent, pipe_fds[0], 0);
    ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
    ck_assert(!readable());
    app_poll(agent, pipe_fds[0], POLLIN);
    ck_assert(readable());
    app_unpoll(agent, pipe_fds[0]);
    ck_assert(!readable());
}
END_TEST

/* What is there cannot be taken: no reason to look more often than every 200 us or so, and
 * yet it is not forgotten. */
START_TEST(descriptor_that_stays_ready)
{
    app_poll(agent, pipe_fds[0], POLLIN);
    settle();
    ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
    uint64_t before = engine_clock(engine);
    while (engine_clock(engine) < before + 100 * MS) {
        wait_for_it();
        engine_breathe(engine);
    }
    uint64_t passed = engine_clock(engine) - before;
    ck_assert_uint_lt(engine->breaths, 2 * passed / 200000 + 10);
    in_pull = read_pipe;
    wait_for_it();
    engine_breathe(engine);
    while (settle())
        ;
    ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
    wait_for_it();
}
END_TEST

START_TEST(descriptors_from_before)
{
    engine_free(engine);
    struct error err;
    struct engine_options options = { 0 };
    engine = engine_new(&options, &err);
    test_configure(engine, agent_graph());
    app_poll(engine_find_app(engine, "agent"), pipe_fds[0], POLLIN);
    fd = engine_fd(engine, &err);
    settle();
    in_pull = read_pipe;
    ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
    ck_assert_uint_eq(settle(), 1);
}
END_TEST

/* A number that was closed and is another descriptor now. */
START_TEST(descriptor_number_used_again)
{
    int old[2];
    app_poll(agent, pipe_fds[0], POLLIN);
    settle();
    ck_assert_int_eq(pipe2(old, O_NONBLOCK | O_CLOEXEC), 0);
    ck_assert_int_eq(dup3(old[0], pipe_fds[0], O_CLOEXEC), pipe_fds[0]);
    app_poll(agent, pipe_fds[0], POLLIN);
    ck_assert(!readable());
    ck_assert_int_eq(write(old[1], "x", 1), 1);
    ck_assert(readable());
    close(old[0]);
    close(old[1]);
}
END_TEST

START_TEST(descriptors_go_with_their_app)
{
    app_poll(agent, pipe_fds[1], POLLOUT);
    ck_assert(readable());
    struct graph *graph = graph_new();
    test_app(graph, "other", "Agent", NULL);
    test_configure(engine, graph);
    settle();
    ck_assert(!readable());
}
END_TEST

static char logged[200];

static void keep_line(const char *line, void *user)
{
    snprintf(logged, sizeof(logged), "%s", line);
}

START_TEST(what_cannot_be_waited_for_is_told)
{
    engine->options.log = keep_line;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    app_poll(agent, file, POLLIN);
    ck_assert_msg(strstr(logged, "app agent (Agent): cannot be woken by descriptor"),
                  "%s", logged);
    close(file);
}
END_TEST

/* --- timers --------------------------------------------------------------------------- */

static unsigned fired;

static void fire(struct timer *timer, uint64_t now)
{
    ck_assert_uint_ge(now, timer->time);
    fired++;
}

START_TEST(timer_ends_the_wait)
{
    struct timer timer = { .fire = fire };
    fired = 0;
    settle();
    engine_timer_set(engine, &timer, engine_clock(engine) + HOUR);
    settle();
    ck_assert(!readable());
    engine_timer_set(engine, &timer, engine_clock(engine) + 20 * MS);
    while (!fired) {
        wait_for_it();
        engine_breathe(engine);
    }
    settle();
    ck_assert(!readable());
    ck_assert_uint_lt(engine->breaths, 20);
}
END_TEST

START_TEST(app_is_woken_at_its_time)
{
    settle();
    uint64_t due = engine_clock(engine) + 20 * MS;
    app_wake_at(agent, due);
    while (engine_now(engine) < due) {
        wait_for_it();
        engine_breathe(engine);
    }
    settle();
    ck_assert(!readable());
    ck_assert_uint_lt(engine->breaths, 20);
}
END_TEST

START_TEST(virtual_time_is_refused)
{
    struct error err;
    struct engine *other = test_engine(1);
    ck_assert_int_eq(engine_fd(other, &err), -ENOTSUP);
    ck_assert_str_eq(err.text, "on virtual time there is nothing to wait for");
    engine_free(other);
}
END_TEST

/* --- several cores --------------------------------------------------------------------- */

/* One packet there and back, time and again: whoever waits for it sleeps. */
START_TEST(packets_from_other_cores)
{
    struct error err;
    struct graph *graph = graph_new();
    if (engine->cores.count < 2) {
        fprintf(stderr, "SKIPPED: this machine has one core\n");
        graph_free(graph);
        return;
    }
    bounced = 0;
    test_app(graph, "here", "Bounce", NULL);
    test_app(graph, "there", "Bounce", NULL);
    test_link(graph, "here -> there");
    test_link(graph, "there -> here");
    ck_assert_int_eq(graph_set_core(graph, "there", 1, &err), 0);
    test_configure(engine, graph);
    while (!engine_stopped(engine)) {
        wait_for_it();
        engine_breathe(engine);
    }
    ck_assert_uint_eq(bounced, ROUNDS);
    ck_assert_uint_ge(engine->crossed, ROUNDS);
    ck_assert(engine->running);
    test_configure(engine, agent_graph()); /* and the other thread is parked for that */
    settle();
    ck_assert(!readable());
    engine_run(engine, engine_clock(engine) + MS);
    ck_assert(engine->running);
}
END_TEST

static Suite *suite_engine_fd(void)
{
    Suite *suite = suite_create("engine_fd");
    TCase *tests = tcase_create("engine_fd");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, first_breath_is_due_then_none);
    tcase_add_test(tests, ready_while_packets_flow);
    tcase_add_test(tests, busy_is_always_ready);
    tcase_add_test(tests, sleeps_are_counted);
    tcase_add_test(tests, packets_on_links_are_looked_at);
    tcase_add_test(tests, wake_is_one_breath_and_a_look);
    tcase_add_test(tests, wake_within_a_breath_is_not_lost);
    tcase_add_test(tests, other_threads_end_the_wait);
    tcase_add_test(tests, run_of_its_own_in_between);
    tcase_add_test(tests, descriptor_of_an_app);
    tcase_add_test(tests, descriptor_that_stays_ready);
    tcase_add_test(tests, descriptors_from_before);
    tcase_add_test(tests, descriptor_number_used_again);
    tcase_add_test(tests, descriptors_go_with_their_app);
    tcase_add_test(tests, what_cannot_be_waited_for_is_told);
    tcase_add_test(tests, timer_ends_the_wait);
    tcase_add_test(tests, app_is_woken_at_its_time);
    tcase_add_test(tests, virtual_time_is_refused);
    tcase_add_test(tests, packets_from_other_cores);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(engine_fd)
