/* engine: runs a graph, one breath after the other: on one thread, or on several cores.
 *
 *   engine_new, engine_free
 *   engine_configure     move the running app network to a new graph
 *   engine_breathe       one breath
 *   engine_run           breathe and pace until told to stop
 *   engine_stop          ... from any thread or signal handler
 *   engine_fd            for a program with an event loop of its own, instead of engine_run
 *   engine_stopped       ... which ends when somebody said so
 *   engine_pause, engine_resume      the other cores, for a look at their apps
 *   engine_now           the time of this breath
 *   engine_timer_set, engine_timer_cancel
 *   engine_watch, engine_unwatch     a descriptor that is no app's
 *   engine_find_app, engine_find_link, engine_each_app, engine_each_link
 *
 *      pull          every app with pull takes packets in from outside
 *        |
 *      push, push, push ...     in topological order: a packet crosses an acyclic
 *        |                      graph within one breath
 *      tick          about every millisecond
 *
 * An engine is a value: there is no global one, and a process may have many. All calls
 * but engine_stop and engine_wake belong to the thread that breathes.
 *
 * A graph that names cores has one engine per core. The first one, which engine_new made,
 * is the one that users know: it holds the graph, all apps and all links, and configures
 * them all. The others only breathe: within engine_run each on a thread of its own that is
 * pinned to its core, otherwise in turn after the first one, on the thread that calls
 * engine_breathe. An app belongs to the engine of its core (app->engine) and cannot tell
 * the difference. Links from core to core are in engine/interlink.h.
 */
#pragma once
#include <poll.h>
#include <stdatomic.h>

#include "engine/app.h"
#include "engine/cores.h"
#include "engine/counters.h"
#include "engine/graph.h"
#include "engine/interlink.h"
#include "engine/timer.h"
#include "lib/histogram.h"

struct host;
struct journal;
struct pace;
struct worker;

#define ENGINE_TICK 1000000 /* ns between ticks */

enum engine_pace {
    PACE_ADAPTIVE, /* spin a little while packets flow, then sleep until something happens
                    */
    PACE_BUSY,     /* never sleep: for a core that is really ours */
    PACE_HZ,       /* a fixed number of breaths a second */
};

struct engine_options {
    const char *name;        /* for reports; NULL: "vanguard" */
    const char *directory;   /* run directory, holds the file "counters"; NULL: none */
    struct journal *journal; /* where apps note changes to the host; NULL: none */
    uint64_t seed;           /* of every random decision */
    enum engine_pace pace;
    uint64_t hz;
    uint64_t spin; /* ns of idleness before sleeping; default 50 us */
    /* What a person should know of while the engine runs ("app if1 (RawSocket): veth0 is
     * down"); no newline. Called on the thread of any core. NULL: nobody listens. */
    void (*log)(const char *line, void *user);
    void *log_user;
    bool virtual_time;   /* the clock stands still but for engine_set_time */
    uint32_t packets;    /* size of the arena; 0: 16,384 */
    uint32_t chunk_size; /* 0: 2 KiB */
    const char *cores;   /* CPUs of the graph's cores 0, 1 ...: "2,3"; NULL: any */
};

/* Words in shared memory under "engine/", for further cores under "cores/1/" and so on,
 * in this order. */
enum engine_counter {
    ENGINE_BREATHS,
    ENGINE_SLEEPS,
    ENGINE_SLEPT_NS,
    ENGINE_FREES,
    ENGINE_FREEBYTES,
    ENGINE_FREEBITS, /* on the wire, with preamble, CRC and gap */
    ENGINE_CONFIGS,
    ENGINE_DROP_UNLINKED, /* packets on a link that a new graph does not have */
    ENGINE_NOW_NS,
    ENGINE_START_NS,
    ENGINE_PACKETS_IN_USE,
    ENGINE_SEED,
    ENGINE_CROSSED, /* packets handed to other cores */
    ENGINE_COUNTERS,
};

/* Who waits for a descriptor. */
struct poller {
    struct app *app; /* or, of engine_watch: */
    void (*ready)(void *user);
    void *user;
};

struct engine {
    uint64_t now;
    struct engine_options options;
    struct counters *counters;
    uint64_t *counter; /* enum engine_counter */
    struct timers timers;

    /* the running network, of all cores; in the first engine only */
    struct graph *graph; /* what was configured */
    struct app **apps;   /* in the order of the graph */
    struct link **links; /* the same; of one between cores the sender's end */
    uint32_t napps, nlinks;

    /* cores */
    struct cores cores;
    uint32_t core;          /* which one this is */
    struct engine *first;   /* of core 0: itself, as long as nobody names cores */
    struct engine **others; /* of cores 1, 2 ...; in the first engine only */
    uint32_t nothers;
    struct worker *worker; /* the thread of one of them */
    bool running;          /* first engine: the others' threads breathe */
    atomic_bool asleep;    /* who puts a packet into an interlink wakes this engine */

    /* the breath: what is called, in order */
    struct app **pulls, **pushes, **ticks;
    uint32_t npulls, npushes, nticks;
    struct link **own; /* links that do not leave this core */
    struct interlink **outgoing, **incoming;
    uint32_t nown, noutgoing, nincoming;
    uint64_t next_tick;
    uint64_t breaths;
    uint64_t frees, freebytes; /* of packets, in breaths of this engine */
    uint64_t crossed, fetched; /* to and from other cores */
    uint64_t moved;            /* packets freed and handed over in the last breath */
    bool worked;               /* it did anything with packets */
    bool starved;              /* it found no packet to allocate */
    bool measure;              /* time each app in the next breath */
    struct histogram *breath_latency; /* ns from breath to breath while awake */

    /* sleeping */
    struct pollfd *polls;
    struct poller *pollers; /* whose each of them is; polls[0] is the wake-up */
    uint32_t npolls;
    int wake_fd;
    atomic_bool stopping;
    struct pace *pace;
    struct host *host; /* first engine: of engine_fd; NULL without */
};

/* NULL on error. Strings in options must outlive the engine. Opens the arena when it is
 * not open; a directory must exist. */
struct engine *engine_new(const struct engine_options *options, struct error *err);

/* Stops every app and frees everything the engine holds. */
void engine_free(struct engine *engine);

/* Moves the network to graph (which is taken over, also on error) by the smallest change:
 *   - an app of the same name, class and parameters goes on as it is;
 *   - one with other parameters is reconfigured in place where its class can, otherwise
 *     replaced;
 *   - a link that both graphs have keeps its packets; the packets of one that is gone move
 *     to the link that now feeds the same input, else to the one that leaves the same output.
 * On error nothing has changed. What cannot be rolled back is in engine/README.md. */
int engine_configure(struct engine *engine, struct graph *graph, struct error *err);

/* One breath of every core, one after the other, on this thread. With virtual time the
 * clock of all is where engine_set_time left it. */
void engine_breathe(struct engine *engine);
void engine_set_time(struct engine *engine, uint64_t now);

/* Breathes until engine_stop, or until the clock reaches `until` (TIMER_NEVER: no limit);
 * every core on a thread of its own, the first on this one. */
void engine_run(struct engine *engine, uint64_t until);

/* Makes engine_run return after the present breath, whichever core's engine is given.
 * Async-signal-safe, any thread. */
void engine_stop(struct engine *engine);

/* For a host program that waits in an event loop of its own: a descriptor that is readable
 * (level-triggered) when engine_breathe is due: packets flow, a timer is due, a descriptor
 * of an app has something, engine_wake or engine_stop was called. It is made by the first
 * call, belongs to the engine and is never read or written by the host. From then on the
 * further cores of a graph breathe on threads of their own, as within engine_run, and
 * engine_breathe is for the first core; the host's thread is not pinned. -ENOTSUP on
 * virtual time. What a host changes between breaths (timers, app_wake_at, the graph) is
 * seen; of packets that it puts on links itself it tells by engine_wake. */
int engine_fd(struct engine *engine, struct error *err);

/* Was engine_stop called, for a host, since engine_run returned last? */
bool engine_stopped(const struct engine *engine);

/* Apps and links of other cores may be looked at while those do not breathe: between these
 * two when that is within engine_run. engine_pause returns what engine_resume needs. */
bool engine_pause(struct engine *engine);
void engine_resume(struct engine *engine, bool paused);

/* Calls ready at the end of a breath when the descriptor may be readable, and now and then
 * when it is not (so it must not block): at most once a tick. It may configure the engine,
 * watch and unwatch. First engine only. A descriptor that is closed must be unwatched before. */
void engine_watch(struct engine *engine, int fd, short events, void (*ready)(void *user),
                  void *user);
void engine_unwatch(struct engine *engine, int fd);

/* Makes a sleeping engine breathe. Async-signal-safe, any thread. */
void engine_wake(struct engine *engine);

/* Nanoseconds of CLOCK_MONOTONIC at the start of this breath. */
static inline uint64_t engine_now(const struct engine *engine)
{
    return engine->now;
}

/* The clock itself, for what must be later than the start of the breath. */
uint64_t engine_clock(const struct engine *engine);

void engine_timer_set(struct engine *engine, struct timer *timer, uint64_t time);
void engine_timer_cancel(struct engine *engine, struct timer *timer);

/* When the next timer of any core is due. */
uint64_t engine_next_timer(const struct engine *engine);

/* The engine of a core, 0 being the first; NULL when no graph ever named it. */
struct engine *engine_of_core(struct engine *engine, uint32_t core);

/* By name, on any core; engine is the first. */
struct app *engine_find_app(const struct engine *engine, const char *name);
struct link *engine_find_link(const struct engine *engine, const char *name);

/* Brings what is in private memory of this core (links, frees) to the shared counters. */
void engine_commit_counters(struct engine *engine);

/* An app's share of the engine's time, from breaths that were measured: ns, and breaths.
 */
enum { APP_TIME_NS, APP_TIME_BREATHS, APP_TIME_WORDS };
