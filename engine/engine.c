/* engine: the breath, and what surrounds it. */
#include "engine/internal.h"

#include <errno.h>
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
    [ENGINE_CROSSED] = { "crossed", "packets handed to other cores" },
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

/* What every core's engine has for itself. */
static int set_up(struct engine *engine, const char *object, struct error *err)
{
    char name[64];
    engine->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (engine->wake_fd < 0)
        return error_system(err, ERROR_RUN, "eventfd");
    snprintf(name, sizeof(name), "%s/breath_latency_ns", object);
    engine->counter = counters_add(engine->counters, object, rows);
    engine->breath_latency = counters_add_histogram(engine->counters, name);
    if (!engine->counter || !engine->breath_latency)
        return error_set(err, ERROR_RUN, ENOSPC, "no room for the counters of core %u",
                         engine->core);
    polls_init(engine);
    engine->pace = pace_new(engine);
    engine->now = engine_clock(engine->first);
    engine->next_tick = engine->now;
    engine->counter[ENGINE_START_NS] = engine->counter[ENGINE_NOW_NS] = engine->now;
    engine->counter[ENGINE_SEED] = engine->options.seed;
    timers_init(&engine->timers, engine->now);
    return 0;
}

struct engine *engine_new(const struct engine_options *options, struct error *err)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    engine->options = *options;
    engine->first = engine;
    engine->wake_fd = -1;
    struct engine_options *o = &engine->options;
    o->name = o->name ? o->name : "vanguard";
    o->packets = o->packets ? o->packets : DEFAULT_PACKETS;
    o->chunk_size = o->chunk_size ? o->chunk_size : 2048;
    o->spin = o->spin ? o->spin : DEFAULT_SPIN;
    if (cores_find(&engine->cores, o->cores, err) ||
        arena_open(o->packets, o->chunk_size, err))
        goto fail;
    engine->counters = open_counters(o->directory, err);
    if (!engine->counters || set_up(engine, "engine", err))
        goto fail;
    engine->graph = graph_new();
    return engine;
fail:
    engine_free(engine);
    return NULL;
}

/* What one core's engine has for itself. */
static void tear_down(struct engine *engine)
{
    worker_free(engine->worker);
    if (engine->wake_fd >= 0)
        close(engine->wake_fd);
    counters_remove(engine->counters, engine->counter);
    counters_remove(engine->counters, engine->breath_latency);
    pace_free(engine->pace);
    host_free(engine->host);
    free(engine->polls);
    free(engine->pollers);
    free(engine->pulls);
    free(engine->pushes);
    free(engine->ticks);
    free(engine->own);
    free(engine->outgoing);
    free(engine->incoming);
}

struct engine *engine_new_core(struct engine *first, uint32_t core, struct error *err)
{
    char object[32];
    struct engine *engine = calloc(1, sizeof(*engine));
    engine->options = first->options;
    engine->counters = first->counters;
    engine->cores = first->cores;
    engine->core = core;
    engine->first = first;
    engine->wake_fd = -1;
    snprintf(object, sizeof(object), "cores/%u", core);
    if (!set_up(engine, object, err))
        engine->worker = worker_new(engine, err);
    if (engine->worker)
        return engine;
    tear_down(engine);
    free(engine);
    return NULL;
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    engine_pause(engine);
    if (engine->graph)
        engine_configure(engine, graph_new(), NULL);
    for (uint32_t i = 0; i < engine->nothers; i++) {
        tear_down(engine->others[i]);
        free(engine->others[i]);
    }
    if (engine->counters)
        tear_down(engine);
    counters_destroy(engine->counters);
    graph_free(engine->graph);
    free(engine->others);
    free(engine->apps);
    free(engine->links);
    free(engine);
}

struct engine *engine_of_core(struct engine *engine, uint32_t core)
{
    struct engine *first = engine->first;
    return !core ? first : core <= first->nothers ? first->others[core - 1] : NULL;
}

static void commit_sent(const struct link *link)
{
    link->counters[LINK_TXPACKETS] = link->write;
    link->counters[LINK_TXBYTES] = link->bytes;
    link->counters[LINK_TXDROP] = link->drops;
}

/* Every word has one writer: of a link between cores the sender counts what it sent, the
 * receiver what it received. */
void engine_commit_counters(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->nown; i++) {
        commit_sent(engine->own[i]);
        engine->own[i]->counters[LINK_RXPACKETS] = engine->own[i]->read;
    }
    for (uint32_t i = 0; i < engine->noutgoing; i++)
        commit_sent(engine->outgoing[i]->from);
    for (uint32_t i = 0; i < engine->nincoming; i++) {
        const struct link *to = engine->incoming[i]->to;
        to->counters[LINK_RXPACKETS] = to->read;
    }
    engine->counter[ENGINE_BREATHS] = engine->breaths;
    engine->counter[ENGINE_FREES] = engine->frees;
    engine->counter[ENGINE_FREEBYTES] = engine->freebytes;
    engine->counter[ENGINE_FREEBITS] =
        8 * (engine->freebytes + WIRE_OVERHEAD * engine->frees);
    engine->counter[ENGINE_CROSSED] = engine->crossed;
    engine->counter[ENGINE_NOW_NS] = engine->now;
    engine->counter[ENGINE_PACKETS_IN_USE] = arena_in_use();
}

static void tick(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->nticks; i++)
        engine->ticks[i]->class->tick(engine->ticks[i]);
    polls_serve(engine);
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

static void fetch(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->nincoming; i++)
        engine->fetched += interlink_fetch(engine->incoming[i]);
}

static void flush(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->noutgoing; i++) {
        struct interlink *interlink = engine->outgoing[i];
        uint32_t n = interlink_flush(interlink);
        engine->crossed += n;
        /* Who sleeps is woken once. */
        if (n && unlikely(atomic_load(&interlink->receiver->asleep)) &&
            atomic_exchange(&interlink->receiver->asleep, false))
            engine_wake(interlink->receiver);
    }
}

/* Either the sender's flush comes first, and its packets are seen here, or `asleep` does,
 * and the sender sees that: all four are sequentially consistent. */
bool engine_sleep_begin(struct engine *engine)
{
    engine_commit_counters(engine);
    if (engine->first->nothers) /* other cores may have use for them */
        packet_freelist_release();
    atomic_store(&engine->asleep, true);
    for (uint32_t i = 0; i < engine->nincoming; i++)
        if (!interlink_empty(engine->incoming[i])) {
            engine_sleep_end(engine);
            return false;
        }
    return true;
}

void engine_sleep_end(struct engine *engine)
{
    atomic_store_explicit(&engine->asleep, false, memory_order_relaxed);
}

/* Free packets are of no use on this core when another one has none. */
static void share_packets(void)
{
    struct freelist *asking =
        atomic_load_explicit(&packet_shortage, memory_order_relaxed);
    if (unlikely(asking && asking != &packet_freelist))
        packet_freelist_release();
}

/* A breath of one core. */
static void breathe_core(struct engine *engine)
{
    uint64_t frees = packet_freelist.frees, freebytes = packet_freelist.freebytes;
    uint64_t misses = packet_freelist.misses;
    uint64_t moved = engine->frees + engine->crossed, fetched = engine->fetched;
    uint32_t free_packets = packet_freelist.count;
    engine->now = engine_clock(engine);
    fetch(engine);
    timers_run(&engine->timers, engine->now);
    if (unlikely(engine->measure))
        breathe_measured(engine);
    else
        breathe(engine);
    flush(engine);
    engine->breaths++;
    engine->frees += packet_freelist.frees - frees;
    engine->freebytes += packet_freelist.freebytes - freebytes;
    engine->starved = packet_freelist.misses != misses;
    share_packets();
    if (unlikely(engine->now >= engine->next_tick))
        tick(engine);
    engine->moved = engine->frees + engine->crossed - moved;
    engine->worked = engine->moved || engine->fetched != fetched ||
                     packet_freelist.count != free_packets;
}

void engine_breathe(struct engine *engine)
{
    if (engine->host)
        host_breath_begin(engine);
    breathe_core(engine);
    for (uint32_t i = 0; i < engine->nothers && !engine->running; i++) {
        struct engine *other = engine->others[i];
        if (engine->options.virtual_time)
            other->now = engine->now;
        breathe_core(other);
    }
    if (engine->host)
        host_breath_end(engine);
}

void engine_set_time(struct engine *engine, uint64_t now)
{
    engine->now = now;
}

void engine_breathe_on(struct engine *engine, uint64_t until)
{
    uint64_t last = engine_clock(engine);
    while (!atomic_load_explicit(&engine->stopping, memory_order_relaxed) &&
           last < until) {
        breathe_core(engine);
        histogram_add(engine->breath_latency, engine->now - last);
        uint64_t slept = engine->counter[ENGINE_SLEEPS];
        pace_wait(engine, until);
        last =
            engine->counter[ENGINE_SLEEPS] != slept ? engine_clock(engine) : engine->now;
    }
    tick(engine); /* so that what apps say in the end is of now */
}

void engine_run(struct engine *engine, uint64_t until)
{
    if (engine->running) /* a host's: they are told how to breathe from now on */
        workers_halt(engine);
    workers_go(engine);
    engine_breathe_on(engine, until);
    if (!engine->host)
        workers_halt(engine);
    cores_unpin();
    engine->stopping = false;
    host_changed(engine);
}

bool engine_pause(struct engine *engine)
{
    bool running = engine->running;
    if (running)
        workers_halt(engine);
    return running;
}

void engine_resume(struct engine *engine, bool paused)
{
    if (paused)
        workers_go(engine);
}

void engine_stop(struct engine *engine)
{
    engine->first->stopping = true;
    engine_wake(engine->first);
}

bool engine_stopped(const struct engine *engine)
{
    return engine->first->stopping;
}

void engine_wake(struct engine *engine)
{
    uint64_t one = 1;
    ssize_t written = write(engine->wake_fd, &one, sizeof(one));
    (void)written; /* a full counter wakes as well */
}

bool engine_take_wake(struct engine *engine)
{
    uint64_t count;
    return read(engine->wake_fd, &count, sizeof(count)) == sizeof(count);
}

void engine_timer_set(struct engine *engine, struct timer *timer, uint64_t time)
{
    timer_set(&engine->timers, timer, time);
    host_changed(engine);
}

void engine_timer_cancel(struct engine *engine, struct timer *timer)
{
    timer_cancel(&engine->timers, timer);
}

uint64_t engine_next_timer(const struct engine *engine)
{
    uint64_t next = timers_next(&engine->timers);
    for (uint32_t i = 0; i < engine->nothers; i++) {
        uint64_t other = timers_next(&engine->others[i]->timers);
        next = other < next ? other : next;
    }
    return next;
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

void engine_forget_app(struct engine *engine, struct app *app)
{
    timer_cancel(&engine->timers, &app->wake);
    polls_forget(engine, app);
}

/* That the engine breathes is all the waking there is. */
static void wake_up(struct timer *timer, uint64_t now)
{
}

void app_wake_at(struct app *app, uint64_t time)
{
    app->wake.fire = wake_up;
    timer_set(&app->engine->timers, &app->wake, time);
    host_changed(app->engine);
}
