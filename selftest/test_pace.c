/* pace: what wakes a sleeping engine, and when a run ends. No test measures how fast: a
 * wake-up that does not come is found by the time-out. */
#include "engine/engine.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "apps/apps.h"
#include "selftest/selftest.h"
#include "selftest/support.h"

#define MS 1000000ull

/* An app that does in its pull what the test says. */
static void (*in_pull)(struct app *app);

static void pull(struct app *app)
{
    if (in_pull)
        in_pull(app);
}

static const struct app_class actor_class = { .name = "Actor", .doc = "", .pull = pull };

static struct engine *engine;
static struct app *actor;
static int pipe_fds[2];

static void start(enum engine_pace pace)
{
    struct error err;
    struct engine_options options = { .pace = pace, .hz = 500 };
    in_pull = NULL;
    if (!apps_find("Actor"))
        apps_add(&actor_class, NULL);
    engine = engine_new(&options, &err);
    ck_assert_msg(engine != NULL, "%s", err.text);
    struct graph *graph = graph_new();
    test_app(graph, "actor", "Actor", NULL);
    test_configure(engine, graph);
    actor = engine_find_app(engine, "actor");
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

/* --- a thread that acts once the engine is asleep ----------------------------------- */

static pid_t engine_thread;

/* The scheduler's state of the engine's thread, proc(5). */
static char thread_state(void)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)engine_thread);
    FILE *file = fopen(path, "r");
    size_t got = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    if (file)
        fclose(file);
    text[got] = 0;
    const char *end = strrchr(text, ')');
    return end ? end[2] : '?';
}

/* The engine sleeps for good: found asleep so many times in a row. */
static void wait_until_asleep(void)
{
    for (unsigned in_a_row = 0; in_a_row < 50; usleep(200))
        in_a_row = thread_state() == 'S' ? in_a_row + 1 : 0;
}

static void *stop_it(void *user)
{
    wait_until_asleep();
    engine_stop(engine);
    return user;
}

static void *wake_it_late(void *user)
{
    wait_until_asleep();
    usleep(1000000);
    engine_wake(engine);
    return user;
}

static void *wake_it(void *user)
{
    wait_until_asleep();
    engine_wake(engine);
    return user;
}

static void *write_to_pipe(void *user)
{
    wait_until_asleep();
    ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
    return user;
}

/* Runs the engine until somebody stops it. */
static void run_with(void *(*act)(void *))
{
    pthread_t thread;
    engine_thread = (pid_t)syscall(SYS_gettid);
    ck_assert_int_eq(pthread_create(&thread, NULL, act, NULL), 0);
    engine_run(engine, TIMER_NEVER);
    pthread_join(thread, NULL);
}

START_TEST(stop_from_another_thread)
{
    run_with(stop_it);
    ck_assert_uint_gt(engine->counter[ENGINE_SLEEPS], 0);
    ck_assert_uint_gt(engine->counter[ENGINE_SLEPT_NS], 0);
    uint64_t breaths = engine->breaths;
    run_with(stop_it); /* it can run again */
    ck_assert_uint_gt(engine->breaths, breaths);
}
END_TEST

START_TEST(stop_before_the_run)
{
    engine_stop(engine);
    engine_run(engine, TIMER_NEVER);
    ck_assert_uint_eq(engine->breaths, 0);
}
END_TEST

static void stop_now(struct app *app)
{
    engine_stop(app->engine);
}

START_TEST(stop_from_within_a_breath)
{
    in_pull = stop_now;
    engine_run(engine, TIMER_NEVER);
    ck_assert_uint_eq(engine->breaths, 1);
}
END_TEST

static uint64_t sleeps_before;

static void stop_after_a_sleep(struct app *app)
{
    if (app->engine->counter[ENGINE_SLEEPS] > sleeps_before)
        engine_stop(app->engine);
}

START_TEST(wake_makes_a_breath)
{
    in_pull = stop_after_a_sleep;
    run_with(wake_it);
    ck_assert_uint_eq(engine->counter[ENGINE_SLEEPS], 1);
}
END_TEST

/* --- what apps wait for ------------------------------------------------------------- */

static void read_pipe(struct app *app)
{
    char byte;
    if (read(pipe_fds[0], &byte, 1) == 1)
        engine_stop(app->engine);
}

START_TEST(polled_descriptor_wakes)
{
    in_pull = read_pipe;
    app_poll(actor, pipe_fds[0], POLLIN);
    run_with(write_to_pipe);
    ck_assert_uint_gt(engine->counter[ENGINE_SLEEPS], 0);
}
END_TEST

/* Readable all the time, and yet the engine sleeps. */
/* What is there cannot be taken: no reason to look more often than every 200 us or so. */
START_TEST(descriptor_that_stays_ready)
{
    app_poll(actor, pipe_fds[0], POLLIN);
    ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
    uint64_t before = engine_clock(engine);
    engine_run(engine, before + 200 * MS);
    uint64_t passed = engine_clock(engine) - before;
    ck_assert_uint_gt(engine->counter[ENGINE_SLEEPS], 0);
    ck_assert_uint_lt(engine->counter[ENGINE_SLEEPS], 2 * passed / 200000 + 10);
}
END_TEST

START_TEST(descriptor_nobody_polls_any_more)
{
    ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
    app_poll(actor, pipe_fds[0], POLLIN);
    app_unpoll(actor, pipe_fds[0]);
    app_unpoll(actor, pipe_fds[0]);
    ck_assert_uint_eq(engine->npolls, 1);
    run_with(stop_it);
}
END_TEST

START_TEST(other_events_replace)
{
    ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
    app_poll(actor, pipe_fds[0], POLLIN);
    app_poll(actor, pipe_fds[0], 0);
    ck_assert_uint_eq(engine->npolls, 2);
    run_with(stop_it);
}
END_TEST

START_TEST(descriptors_go_with_their_app)
{
    ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
    app_poll(actor, pipe_fds[0], POLLIN);
    app_poll(actor, pipe_fds[1], POLLOUT);
    struct graph *graph = graph_new();
    test_app(graph, "other", "Actor", NULL);
    test_configure(engine, graph);
    ck_assert_uint_eq(engine->npolls, 1);
    run_with(stop_it);
}
END_TEST

static uint64_t due;

static void stop_when_due(struct app *app)
{
    if (engine_now(app->engine) >= due)
        engine_stop(app->engine);
}

START_TEST(app_is_woken_at_its_time)
{
    due = engine_clock(engine) + 30 * MS;
    app_wake_at(actor, due);
    in_pull = stop_when_due;
    engine_run(engine, TIMER_NEVER);
    ck_assert_uint_ge(engine_clock(engine), due);
    ck_assert_uint_gt(engine->counter[ENGINE_SLEEPS], 0);
}
END_TEST

/* --- how long and how often --------------------------------------------------------- */

START_TEST(run_ends_at_its_time)
{
    teardown();
    start((enum engine_pace)_i);
    uint64_t until = engine_clock(engine) + 30 * MS;
    engine_run(engine, until);
    ck_assert_uint_ge(engine_clock(engine), until);
    ck_assert_uint_gt(engine->breaths, 0);
    ck_assert_uint_eq(engine->counter[ENGINE_BREATHS], engine->breaths);
    ck_assert_uint_eq(engine->breath_latency->count, engine->breaths);
    ck_assert_uint_le(engine->breath_latency->min, engine->breath_latency->max);
    if (_i == PACE_BUSY)
        ck_assert_uint_eq(engine->counter[ENGINE_SLEEPS], 0);
    else
        ck_assert_uint_gt(engine->counter[ENGINE_SLEEPS], 0);
}
END_TEST

START_TEST(hz_is_not_exceeded)
{
    teardown();
    start(PACE_HZ);
    uint64_t began = engine_clock(engine);
    engine_run(engine, began + 60 * MS);
    uint64_t beats = (engine_clock(engine) - began) / (1000 * MS / 500);
    ck_assert_uint_le(engine->breaths, beats + 12); /* it may catch up with ten */
}
END_TEST

/* Time slept is no latency of a breath. */
START_TEST(latency_is_without_sleep)
{
    in_pull = stop_after_a_sleep;
    run_with(wake_it_late);
    uint64_t slept = engine->counter[ENGINE_SLEPT_NS];
    ck_assert_uint_gt(slept, 900 * MS);
    ck_assert_uint_eq(engine->breath_latency->count, engine->breaths);
    ck_assert_uint_lt(engine->breath_latency->max, slept);
}
END_TEST

static Suite *suite_pace(void)
{
    Suite *suite = suite_create("pace");
    TCase *tests = tcase_create("pace");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, stop_from_another_thread);
    tcase_add_test(tests, stop_before_the_run);
    tcase_add_test(tests, stop_from_within_a_breath);
    tcase_add_test(tests, wake_makes_a_breath);
    tcase_add_test(tests, polled_descriptor_wakes);
    tcase_add_test(tests, descriptor_that_stays_ready);
    tcase_add_test(tests, descriptor_nobody_polls_any_more);
    tcase_add_test(tests, other_events_replace);
    tcase_add_test(tests, descriptors_go_with_their_app);
    tcase_add_test(tests, app_is_woken_at_its_time);
    tcase_add_loop_test(tests, run_ends_at_its_time, PACE_ADAPTIVE, PACE_HZ + 1);
    tcase_add_test(tests, hz_is_not_exceeded);
    tcase_add_test(tests, latency_is_without_sleep);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(pace)
