/* engine: the breath, and what surrounds it. */
#include "engine/engine.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_PACKETS 16384
#define DEFAULT_SPIN    50000
#define WIRE_OVERHEAD   24 /* preamble 8, CRC 4, gap 12 */

static const struct counter_row rows[] = {
    [ENGINE_BREATHS] = { "breaths", "breaths taken" },
    [ENGINE_SLEEPS] = { "sleeps", "times the engine slept" },
    [ENGINE_SLEPT_NS] = { "slept_ns", "time slept" },
    [ENGINE_FREES] = { "frees", "packets freed: they have left the graph" },
    [ENGINE_FREEBYTES] = { "freebytes", "bytes of them" },
    [ENGINE_FREEBITS] = { "freebits", "bits of them on the wire" },
    [ENGINE_CONFIGS] = { "configs", "graphs applied" },
    [ENGINE_DROP_UNLINKED] = { "drop_unlinked",
                               "packets on a link that a new graph lacks" },
    [ENGINE_NOW_NS] = { "now_ns", "clock at the last commit of counters" },
    [ENGINE_START_NS] = { "start_ns", "clock at the start" },
    [ENGINE_PACKETS_IN_USE] = { "packets_in_use", "packets on links and in apps" },
    [ENGINE_SEED] = { "seed", "of every random decision" },
    { NULL, NULL },
};

uint64_t engine_clock(const struct engine *engine)
{
    if (engine->options.virtual_time)
        return engine->now;
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static struct counters *open_counters(const char *directory, struct error *err)
{
    if (!directory)
        return counters_create(NULL, err);
    char path[4096];
    snprintf(path, sizeof(path), "%s/counters", directory);
    return counters_create(path, err);
}

struct engine *engine_new(const struct engine_options *options, struct error *err)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    engine->options = *options;
    engine->wake_fd = -1;
    struct engine_options *o = &engine->options;
    o->name = o->name ? o->name : "vanguard";
    o->packets = o->packets ? o->packets : DEFAULT_PACKETS;
    o->chunk_size = o->chunk_size ? o->chunk_size : 2048;
    o->spin = o->spin ? o->spin : DEFAULT_SPIN;
    if (arena_open(o->packets, o->chunk_size, err))
        goto fail;
    engine->counters = open_counters(o->directory, err);
    if (!engine->counters)
        goto fail;
    engine->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (engine->wake_fd < 0) {
        error_system(err, ERROR_RUN, "eventfd");
        goto fail;
    }
    engine->counter = counters_add(engine->counters, "engine", rows);
    engine->breath_latency =
        counters_add_histogram(engine->counters, "engine/breath_latency_ns");
    engine->graph = graph_new();
    engine->polls = calloc(1, sizeof(*engine->polls));
    engine->poll_apps = calloc(1, sizeof(*engine->poll_apps));
    engine->polls[0] = (struct pollfd){ engine->wake_fd, POLLIN, 0 };
    engine->npolls = 1;
    engine->pace = pace_new(engine);
    engine->now = engine_clock(engine);
    engine->next_tick = engine->now;
    engine->counter[ENGINE_START_NS] = engine->now;
    engine->counter[ENGINE_SEED] = o->seed;
    timers_init(&engine->timers, engine->now);
    return engine;
fail:
    engine_free(engine);
    return NULL;
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    if (engine->graph)
        engine_configure(engine, graph_new(), NULL);
    graph_free(engine->graph);
    if (engine->wake_fd >= 0)
        close(engine->wake_fd);
    counters_destroy(engine->counters);
    pace_free(engine->pace);
    free(engine->polls);
    free(engine->poll_apps);
    free(engine->apps);
    free(engine->links);
    free(engine->pulls);
    free(engine->pushes);
    free(engine->ticks);
    free(engine);
}

void engine_commit_counters(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->nlinks; i++) {
        const struct link *link = engine->links[i];
        link->counters[LINK_RXPACKETS] = link->read;
        link->counters[LINK_TXPACKETS] = link->write;
        link->counters[LINK_TXBYTES] = link->bytes;
        link->counters[LINK_TXDROP] = link->drops;
    }
    engine->counter[ENGINE_BREATHS] = engine->breaths;
    engine->counter[ENGINE_FREES] = engine->frees;
    engine->counter[ENGINE_FREEBYTES] = engine->freebytes;
    engine->counter[ENGINE_FREEBITS] =
        8 * (engine->freebytes + WIRE_OVERHEAD * engine->frees);
    engine->counter[ENGINE_NOW_NS] = engine->now;
    engine->counter[ENGINE_PACKETS_IN_USE] = arena_in_use();
}

static void tick(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->nticks; i++)
        engine->ticks[i]->class->tick(engine->ticks[i]);
    engine_commit_counters(engine);
    engine->next_tick = engine->now + ENGINE_TICK;
    engine->measure = true;
}

static void breathe(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->npulls; i++)
        engine->pulls[i]->class->pull(engine->pulls[i]);
    for (uint32_t i = 0; i < engine->npushes; i++)
        engine->pushes[i]->class->push(engine->pushes[i]);
}

/* One breath in a thousand or so is taken with a clock at hand, so that it can be said
 * which app the time goes to without slowing the others down. */
static void breathe_measured(struct engine *engine)
{
    uint64_t before = engine_clock(engine);
    for (uint32_t i = 0; i < engine->npulls + engine->npushes; i++) {
        struct app *app =
            i < engine->npulls ? engine->pulls[i] : engine->pushes[i - engine->npulls];
        if (i < engine->npulls)
            app->class->pull(app);
        else
            app->class->push(app);
        uint64_t after = engine_clock(engine);
        app->time[APP_TIME_NS] += after - before;
        app->time[APP_TIME_BREATHS]++;
        before = after;
    }
    engine->measure = false;
}

void engine_breathe(struct engine *engine)
{
    uint64_t frees = packet_freelist.frees, freebytes = packet_freelist.freebytes;
    engine->now = engine_clock(engine);
    timers_run(&engine->timers, engine->now);
    if (unlikely(engine->measure))
        breathe_measured(engine);
    else
        breathe(engine);
    engine->breaths++;
    engine->frees += packet_freelist.frees - frees;
    engine->freebytes += packet_freelist.freebytes - freebytes;
    if (unlikely(engine->now >= engine->next_tick))
        tick(engine);
}

void engine_set_time(struct engine *engine, uint64_t now)
{
    engine->now = now;
}

void engine_run(struct engine *engine, uint64_t until)
{
    uint64_t last = engine_clock(engine);
    while (!engine->stopping && last < until) {
        uint64_t frees = engine->frees;
        uint32_t free_packets = packet_freelist.count;
        engine_breathe(engine);
        histogram_add(engine->breath_latency, engine->now - last);
        bool worked = engine->frees != frees || packet_freelist.count != free_packets;
        uint64_t slept = engine->counter[ENGINE_SLEEPS];
        pace_wait(engine, until, worked, engine->frees - frees);
        last =
            engine->counter[ENGINE_SLEEPS] != slept ? engine_clock(engine) : engine->now;
    }
    engine->stopping = false;
    engine_commit_counters(engine);
}

void engine_stop(struct engine *engine)
{
    engine->stopping = true;
    engine_wake(engine);
}

void engine_wake(struct engine *engine)
{
    uint64_t one = 1;
    ssize_t written = write(engine->wake_fd, &one, sizeof(one));
    (void)written; /* a full counter wakes as well */
}

void engine_timer_set(struct engine *engine, struct timer *timer, uint64_t time)
{
    timer_set(&engine->timers, timer, time);
}

void engine_timer_cancel(struct engine *engine, struct timer *timer)
{
    timer_cancel(&engine->timers, timer);
}

struct app *engine_find_app(const struct engine *engine, const char *name)
{
    uint32_t at = strmap_get(&engine->graph->app_index, name);
    return at == STRMAP_NONE ? NULL : engine->apps[at];
}

struct link *engine_find_link(const struct engine *engine, const char *name)
{
    uint32_t at = strmap_get(&engine->graph->link_index, name);
    return at == STRMAP_NONE ? NULL : engine->links[at];
}

void app_poll(struct app *app, int fd, short events)
{
    struct engine *engine = app->engine;
    uint32_t i = 1;
    while (i < engine->npolls && engine->polls[i].fd != fd)
        i++;
    if (i == engine->npolls) {
        engine->npolls++;
        engine->polls = realloc(engine->polls, engine->npolls * sizeof(*engine->polls));
        engine->poll_apps =
            realloc(engine->poll_apps, engine->npolls * sizeof(*engine->poll_apps));
    }
    engine->polls[i] = (struct pollfd){ fd, events, 0 };
    engine->poll_apps[i] = app;
}

void app_log(struct app *app, const char *format, ...)
{
    const struct engine_options *options = &app->engine->options;
    if (!options->log)
        return;
    char line[512];
    int used = snprintf(line, sizeof(line), "app %s (%s): ", app->name, app->class->name);
    va_list args;
    va_start(args, format);
    vsnprintf(line + used, sizeof(line) - (size_t)used, format, args);
    va_end(args);
    options->log(line, options->log_user);
}

static void remove_poll(struct engine *engine, uint32_t i)
{
    engine->npolls--;
    engine->polls[i] = engine->polls[engine->npolls];
    engine->poll_apps[i] = engine->poll_apps[engine->npolls];
}

void app_unpoll(struct app *app, int fd)
{
    struct engine *engine = app->engine;
    for (uint32_t i = 1; i < engine->npolls; i++)
        if (engine->polls[i].fd == fd) {
            remove_poll(engine, i);
            return;
        }
}

void engine_forget_app(struct engine *engine, struct app *app)
{
    timer_cancel(&engine->timers, &app->wake);
    for (uint32_t i = engine->npolls; --i > 0;)
        if (engine->poll_apps[i] == app)
            remove_poll(engine, i);
}

/* That the engine breathes is all the waking there is. */
static void wake_up(struct timer *timer, uint64_t now)
{
}

void app_wake_at(struct app *app, uint64_t time)
{
    app->wake.fire = wake_up;
    timer_set(&app->engine->timers, &app->wake, time);
}
