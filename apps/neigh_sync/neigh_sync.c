/* NeighSync: the kernel's neighbours (ARP, IPv6 ND) in Redis, as SONiC's neighsyncd puts them
 * there for orchagent.
 *
 *     kernel --netlink--> decide --> mirror --> writer --> APPL_DB (NEIGH_TABLE)
 *                           ^          ^
 *                CONFIG_DB settings    warm, STATE_DB
 *
 * It moves no packets: pull reads what the kernel and Redis have sent and writes what Redis is
 * to be told. Everything goes by descriptors that never block, so a breath is short, however
 * much waits. The parts, each in a file: kernel (netlink into the mirror, by the rules of
 * decide), mirror (what Redis should have and what it has), writer (tells it by the protocol of
 * producer), audit (what it should not have), settings, warm (what is done before), redis (a
 * connection), health.
 */
#include "apps/neigh_sync/neigh_sync.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/neigh_sync/counts.h"
#include "engine/counters.h"
#include "engine/engine.h"

#define WINDOW 4096          /* commands without an answer */
#define READS  256           /* datagrams of the kernel per breath */
#define LOOK   1000000000ull /* ns between two looks at how things are */
#define REOPEN 1000000000ull /* ns to the next try at the kernel's socket */

/* --- Redis ----------------------------------------------------------------------------------- */

static void redis_came(void *user)
{
    struct app *app = user;
    struct neigh_sync *sync = app->state;
    writer_ready(&sync->writer, sync->now);
    if (redis_counts(sync->redis)->connects == 1)
        return;
    app_log(app, "Redis is back");
    if (!sync->writer.hold)
        audit_ask(&sync->writer);
}

static void redis_went(void *user)
{
    struct app *app = user;
    struct neigh_sync *sync = app->state;
    writer_lost(&sync->writer);
    app_log(app, "Redis is gone: %s", redis_counts(sync->redis)->why);
}

static int open_writer(struct app *app, const struct neigh_sync_conf *conf)
{
    struct neigh_sync *sync = app->state;
    struct writer *writer = &sync->writer;
    const struct redis_place *place = &sync->databases.places[DATABASE_APPL];
    const struct redis_handlers handlers = { .ready = redis_came,
                                             .lost = redis_went,
                                             .user = app };
    sync->redis = redis_open(place, &handlers, WINDOW, conf->redis_timeout, app);
    *writer = (struct writer){ .mirror = sync->mirror,
                               .redis = sync->redis,
                               .counters = app->counters,
                               .histograms = app->histograms,
                               .vrf = kernel_vrf,
                               .user = &sync->kernel,
                               .batch = (uint32_t)conf->batch_size,
                               .separator = sync->databases.separators[DATABASE_APPL] };
    int error = writer_open(writer, place->database);
    return sync->redis ? error : -ENOMEM;
}

static int open_redis(struct app *app, const struct neigh_sync_conf *conf)
{
    struct neigh_sync *sync = app->state;
    const struct database_config *databases = &sync->databases;
    sync->settings = (struct settings){
        .mirror = sync->mirror,
        .app = app,
        .mode = &sync->kernel.mode,
        .force_dual_tor = conf->dual_tor == DUAL_TOR_ON,
        .deny_dual_tor = conf->dual_tor == DUAL_TOR_OFF,
        .separator = databases->separators[DATABASE_CONFIG],
    };
    int error = open_writer(app, conf);
    if (!error)
        error = settings_open(&sync->settings, &databases->places[DATABASE_CONFIG],
                              conf->redis_timeout);
    sync->warm = (struct warm){
        .app = app,
        .writer = &sync->writer,
        .config = sync->settings.reads,
        .mode = &sync->kernel.mode,
        .patience = conf->restore_timeout,
        .config_separator = databases->separators[DATABASE_CONFIG],
        .state_separator = databases->separators[DATABASE_STATE],
    };
    return error ? error
                 : warm_open(&sync->warm, &databases->places[DATABASE_STATE],
                             conf->redis_timeout);
}

/* --- life ------------------------------------------------------------------------------------ */

static int start(struct app *app, struct error *err)
{
    struct neigh_sync *sync = app->state;
    const struct neigh_sync_conf *conf = app->conf;
    bool alone = conf->redis && !strcmp(conf->redis, NEIGH_SYNC_ALONE);
    sync->now = engine_clock(app->engine);
    sync->mirror = mirror_new((uint32_t)conf->neighbors, (uint32_t)conf->interfaces);
    if (!sync->mirror)
        return error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    sync->kernel.mirror = sync->mirror;
    sync->kernel.counters = app->counters;
    sync->kernel.mode = (struct decide_mode){ .dual_tor = conf->dual_tor == DUAL_TOR_ON,
                                              .ipv4 = conf->ipv4_enabled,
                                              .ipv6 = conf->ipv6_enabled };
    if (alone)
        return 0;
    int error = neigh_sync_databases(conf, &sync->databases, err);
    if (error)
        return error;
    return open_redis(app, conf) ? error_set(err, ERROR_RUN, ENOMEM, "out of memory") : 0;
}

static void hang_up(struct app *app)
{
    struct neigh_sync *sync = app->state;
    if (sync->kernel.watch)
        app_unpoll(app, netlink_watch_fd(sync->kernel.watch));
    kernel_hang_up(&sync->kernel);
}

static void stop(struct app *app)
{
    struct neigh_sync *sync = app->state;
    hang_up(app);
    kernel_close(&sync->kernel);
    redis_close(sync->redis);
    writer_close(&sync->writer);
    settings_close(&sync->settings);
    warm_close(&sync->warm);
    mirror_free(sync->mirror);
}

/* --- how things are -------------------------------------------------------------------------- */

static uint64_t resident_bytes(void)
{
    unsigned long long size, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void count_redis(struct app *app)
{
    struct neigh_sync *sync = app->state;
    const struct redis *all[] = { sync->redis, sync->settings.reads, sync->settings.hears,
                                  sync->warm.state };
    uint64_t errors = 0, reconnects = 0;
    for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
        const struct redis_counts *counts = redis_counts(all[i]);
        errors += counts->errors + counts->failures;
        reconnects += counts->connects ? counts->connects - 1 : 0;
    }
    app->counters[COUNT_REDIS_ERRORS] = errors;
    app->counters[COUNT_REDIS_RECONNECTS] = reconnects;
    app->counters[COUNT_REDIS_CONNECTED] = redis_ready(sync->redis);
    app->counters[COUNT_QUEUE_DEPTH] = redis_pending(sync->redis);
}

static void look(struct app *app)
{
    struct neigh_sync *sync = app->state;
    uint64_t *counters = app->counters;
    if (sync->redis)
        count_redis(app);
    counters[COUNT_PENDING_NEIGHBORS] = sync->mirror->waiting;
    counters[COUNT_TABLE_ROWS] = mirror_count(sync->mirror);
    counters[COUNT_MEMORY_BYTES] = resident_bytes();
    counters[COUNT_NETLINK_CONNECTED] = sync->kernel.watch != NULL;
    const struct health_facts facts = {
        .connected = (!sync->redis || redis_ready(sync->redis)) &&
                     (sync->kernel.watch || !sync->warm.listen),
        .waiting = sync->redis && !sync->writer.hold && !writer_idle(&sync->writer),
        .done = sync->writer.done,
        .failed = counters[COUNT_EVENTS_FAILED],
    };
    if (sync->mirror->full && sync->kernel.complete && mirror_has_room(sync->mirror)) {
        sync->mirror->full = 0;
        kernel_again(&sync->kernel);
    }
    counters[COUNT_HEALTH_STATUS] = health_look(&sync->health, &facts, sync->now);
    sync->next_look = sync->now + LOOK;
}

/* Redis or the kernel came or went. */
static bool has_turned(const struct app *app)
{
    const struct neigh_sync *sync = app->state;
    bool redis = sync->redis && redis_ready(sync->redis);
    return redis != (app->counters[COUNT_REDIS_CONNECTED] != 0) ||
           (sync->kernel.watch != NULL) != (app->counters[COUNT_NETLINK_CONNECTED] != 0);
}

/* --- a breath -------------------------------------------------------------------------------- */

static void listen_to_kernel(struct app *app)
{
    struct neigh_sync *sync = app->state;
    const struct neigh_sync_conf *conf = app->conf;
    struct error err;
    if (sync->now < sync->reopen_at)
        return;
    sync->reopen_at = sync->now + REOPEN;
    if (kernel_open(&sync->kernel, (uint32_t)conf->interfaces, conf->socket_buffer_size,
                    &err)) {
        app_count(app, COUNT_NETLINK_ERRORS, 1);
        app_log(app, "%s", err.text);
        return;
    }
    app_poll(app, netlink_watch_fd(sync->kernel.watch), POLLIN);
    if (app->counters[COUNT_NETLINK_BUFFER] < conf->socket_buffer_size)
        app_log(app, "a receive buffer of %llu bytes, not %llu: raise net.core.rmem_max",
                (unsigned long long)app->counters[COUNT_NETLINK_BUFFER],
                (unsigned long long)conf->socket_buffer_size);
}

/* Returns whether there may be more. */
static bool read_kernel(struct app *app)
{
    struct neigh_sync *sync = app->state;
    uint64_t before = app->counters[COUNT_NEIGHBORS_PROCESSED];
    uint64_t lost = app->counters[COUNT_NETLINK_OVERRUNS];
    bool complete = sync->kernel.complete;
    int got = kernel_read(&sync->kernel, sync->now, READS);
    if (app->counters[COUNT_NEIGHBORS_PROCESSED] != before)
        app->counters[COUNT_LAST_EVENT_NS] = sync->now;
    if (complete && app->counters[COUNT_NETLINK_OVERRUNS] != lost)
        app_log(app, "the kernel had no room for events: asking for everything");
    if (got < 0) {
        app_count(app, COUNT_NETLINK_ERRORS, 1);
        app_log(app, "netlink: %s", strerror(-got));
        hang_up(app);
    }
    return got == READS;
}

static void serve_redis(struct neigh_sync *sync)
{
    sync->writer.now = sync->now;
    settings_serve(&sync->settings, sync->now);
    redis_serve(sync->redis, sync->now);
    if (sync->settings.known)
        warm_serve(&sync->warm, sync->now, sync->kernel.complete);
    if (sync->settings.changed && sync->kernel.watch)
        kernel_again(&sync->kernel);
    sync->settings.changed = false;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void sleep_until_due(struct app *app, bool more)
{
    struct neigh_sync *sync = app->state;
    uint64_t due = sync->next_look;
    if (sync->kernel.watch)
        due = earlier(due, netlink_watch_due(sync->kernel.watch));
    if (sync->redis) {
        due = earlier(due, settings_due(&sync->settings));
        due = earlier(due, redis_due(sync->redis));
        if (sync->settings.known) /* before, it is not served */
            due = earlier(due, warm_due(&sync->warm));
        due = earlier(due, writer_due(&sync->writer));
    }
    app_wake_at(app, more || due < sync->now ? sync->now : due);
}

static void pull(struct app *app)
{
    struct neigh_sync *sync = app->state;
    bool more = false;
    sync->now = engine_clock(app->engine);
    if (sync->redis)
        serve_redis(sync);
    if (!sync->kernel.watch && (!sync->redis || sync->warm.listen))
        listen_to_kernel(app);
    if (sync->kernel.watch)
        more = read_kernel(app);
    if (sync->redis && writer_flush(&sync->writer, sync->now)) {
        redis_serve(sync->redis, sync->now);
        more |= sync->mirror->waiting > 0;
    }
    if (sync->now >= sync->next_look || has_turned(app))
        look(app);
    sleep_until_due(app, more);
}

void neigh_sync_resync(struct neigh_sync *sync)
{
    if (sync->redis)
        mirror_distrust(sync->mirror, sync->now);
    if (sync->redis && !sync->writer.hold)
        audit_ask(&sync->writer);
    kernel_again(&sync->kernel);
}

static void report(struct app *app, FILE *out)
{
    const struct neigh_sync *sync = app->state;
    fprintf(out, "%u rows, %u waiting, %s", mirror_count(sync->mirror),
            sync->mirror->waiting, sync->redis ? warm_text(&sync->warm) : "alone");
}

const struct app_class neigh_sync_class = {
    .name = "NeighSync",
    .doc = "the kernel's neighbours in SONiC's database, for orchagent",
    .params = neigh_sync_params,
    .conf_size = sizeof(struct neigh_sync_conf),
    .counters = neigh_sync_counters,
    .histograms = neigh_sync_histograms,
    .state_size = sizeof(struct neigh_sync),
    .start = start,
    .stop = stop,
    .pull = pull,
    .report = report,
    .call = neigh_sync_call,
    .operations = neigh_sync_operations,
    .verify = neigh_sync_verify,
};
