/* pace: what an engine does between breaths.
 *
 *   packets flow                 breathe again at once
 *   just went idle               spin for a while: waking up costs more than that
 *   idle                         one ppoll on the apps' descriptors, until the next timer
 *   a steady trickle             sleep up to 200 us at a time: one wake-up, many packets
 *
 * Spinning is paid from a credit that grows with time, one part in eight, so that traffic
 * whose gaps are just shorter than the spin does not cost a core. From two million packets
 * a second on it does cost one: a core that another one feeds, or that waits for room on a
 * link to it, would lose more by a sleep than the gap is long. Timer slack is 1 ns.
 * While the thread sleeps enough it is SCHED_FIFO where that is permitted: a wake-up is
 * then late by tens of microseconds at worst. A thread that is nearly always awake goes
 * back to SCHED_OTHER, because a real-time thread that never sleeps is stopped for 50 ms
 * in every second.
 */
#include "engine/internal.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define SPIN_SHARE    8        /* one part in so many of the time may be spun */
#define SPIN_CREDIT   2000000  /* ns saved at most */
#define COALESCE_RATE 40000    /* packets per second from which a trickle is steady */
#define BUSY_RATE     2000000  /* ... from which no gap between them is worth a sleep */
#define COALESCE      32       /* packets a wake-up in a trickle should serve */
#define COALESCE_MOST 200000   /* ns slept for that at most */
#define WINDOW        10000000 /* ns over which load and rate are measured */
#define AWAKE_MUCH    80       /* % of a window: no real-time thread any more */
#define AWAKE_LITTLE  60       /* %: one again */

struct pace {
    uint64_t idle_since; /* 0: working */
    uint64_t credit;     /* ns that may be spun */
    uint64_t credit_at;
    uint64_t next_beat; /* PACE_HZ */

    uint64_t window_start, window_moved, window_slept;
    uint64_t rate; /* packets per second */
    bool ready;    /* this thread has been set up */
    bool awakened; /* by a descriptor, and nothing was done since */
    bool fifo, fifo_permitted;
};

struct pace *pace_new(struct engine *engine)
{
    struct pace *pace = calloc(1, sizeof(*pace));
    pace->credit = SPIN_CREDIT;
    return pace;
}

void pace_free(struct pace *pace)
{
    free(pace);
}

static void set_fifo(struct pace *pace, bool fifo)
{
    if (!pace->fifo_permitted || pace->fifo == fifo)
        return;
    struct sched_param param = { .sched_priority = fifo ? 1 : 0 };
    if (sched_setscheduler(0, (fifo ? SCHED_FIFO : SCHED_OTHER) | SCHED_RESET_ON_FORK,
                           &param))
        pace->fifo_permitted = false;
    else
        pace->fifo = fifo;
}

static void set_up_thread(struct engine *engine)
{
    struct pace *pace = engine->pace;
    prctl(PR_SET_TIMERSLACK, 1);
    pace->fifo_permitted = true;
    pace->window_start = engine->now;
    pace->ready = true;
    set_fifo(pace, true);
}

/* Once per window: how many packets came, how much of it was slept? */
static void measure(struct engine *engine)
{
    struct pace *pace = engine->pace;
    uint64_t elapsed = engine->now - pace->window_start;
    if (elapsed < WINDOW)
        return;
    uint64_t slept = engine->counter[ENGINE_SLEPT_NS] - pace->window_slept;
    uint64_t moved = engine->frees + engine->crossed;
    pace->rate = (uint64_t)((double)(moved - pace->window_moved) * 1e9 / (double)elapsed);
    unsigned awake = slept < elapsed ? (unsigned)(100 - slept * 100 / elapsed) : 0;
    if (awake >= AWAKE_MUCH)
        set_fifo(pace, false);
    else if (awake <= AWAKE_LITTLE)
        set_fifo(pace, true);
    pace->window_start = engine->now;
    pace->window_moved = moved;
    pace->window_slept = engine->counter[ENGINE_SLEPT_NS];
}

/* Waits for at most npolls of the descriptors, not beyond the time `until`. Was one of the
 * apps' ready? */
static bool sleep_until(struct engine *engine, uint32_t npolls, uint64_t until)
{
    struct timespec timeout, *limit = NULL;
    uint64_t before = engine_clock(engine);
    if (until <= before)
        return false;
    if (until != TIMER_NEVER) {
        timeout.tv_sec = (time_t)((until - before) / 1000000000);
        timeout.tv_nsec = (long)((until - before) % 1000000000);
        limit = &timeout;
    }
    int ready = ppoll(engine->polls, npolls, limit, NULL);
    if (engine->polls[0].revents) {
        engine_take_wake(engine);
        engine->polls[0].revents = 0;
        ready--;
    }
    engine->counter[ENGINE_SLEEPS]++;
    engine->counter[ENGINE_SLEPT_NS] += engine_clock(engine) - before;
    return ready > 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Those that another core cannot take yet are among them. Nobody wakes a sender for which
 * there is room again, nor one for which there are packets again: it looks itself. */
static bool packets_on_links(const struct engine *engine)
{
    for (uint32_t i = 0; i < engine->nown; i++)
        if (!link_empty(engine->own[i]))
            return true;
    for (uint32_t i = 0; i < engine->noutgoing; i++)
        if (!link_empty(engine->outgoing[i]->from))
            return true;
    for (uint32_t i = 0; i < engine->nincoming; i++)
        if (!link_empty(engine->incoming[i]->to))
            return true;
    return false;
}

uint64_t pace_idle_until(const struct engine *engine, bool futile)
{
    uint64_t until = timers_next(&engine->timers);
    if (futile || packets_on_links(engine) || (engine->first->nothers && engine->starved))
        until = earlier(until, engine->now + COALESCE_MOST);
    return until;
}

static bool may_spin(struct engine *engine)
{
    struct pace *pace = engine->pace;
    if (!pace->idle_since) {
        pace->idle_since = engine->now;
        pace->credit += (engine->now - pace->credit_at) / SPIN_SHARE;
        pace->credit = earlier(pace->credit, SPIN_CREDIT);
        pace->credit_at = engine->now;
    }
    uint64_t spent = engine->now - pace->idle_since;
    if (pace->rate >= BUSY_RATE)
        return spent < engine->options.spin;
    return pace->rate < COALESCE_RATE && spent < engine->options.spin &&
           spent < pace->credit;
}

/* A breath that found little in a steady trickle: let some more come together. Timers are
 * kept. */
static void coalesce(struct engine *engine, uint64_t until)
{
    uint64_t ns = COALESCE * 1000000000ull / engine->pace->rate;
    until = earlier(until, timers_next(&engine->timers));
    sleep_until(engine, 1, earlier(until, engine->now + earlier(ns, COALESCE_MOST)));
    engine->pace->idle_since = 0;
}

/* A descriptor was ready, and the breath it caused did nothing: packets cannot be taken in
 * while those before them cannot go out. To ask again at once would be spinning. */
static bool was_futile(struct pace *pace)
{
    bool futile = pace->awakened;
    pace->awakened = false;
    return futile;
}

static void wait_adaptive(struct engine *engine, uint64_t until)
{
    struct pace *pace = engine->pace;
    if (pace->rate >= COALESCE_RATE && pace->rate < BUSY_RATE &&
        engine->moved < COALESCE) {
        coalesce(engine, until);
        return;
    }
    if (engine->worked) {
        if (pace->idle_since)
            pace->credit -= earlier(pace->credit, engine->now - pace->idle_since);
        pace->idle_since = 0;
        pace->awakened = false;
        return;
    }
    if (may_spin(engine))
        return;
    pace->credit -= earlier(pace->credit, engine->now - pace->idle_since);
    bool futile = was_futile(pace);
    until = earlier(until, pace_idle_until(engine, futile));
    if (engine_sleep_begin(engine)) {
        pace->awakened = sleep_until(engine, futile ? 1 : engine->npolls, until);
        engine_sleep_end(engine);
    }
    pace->idle_since = 0;
}

static void wait_hz(struct engine *engine, uint64_t until)
{
    struct pace *pace = engine->pace;
    uint64_t period = 1000000000 / engine->options.hz;
    pace->next_beat += period;
    if (pace->next_beat + 10 * period < engine->now) /* far behind: begin anew */
        pace->next_beat = engine->now + period;
    sleep_until(engine, 1, earlier(until, pace->next_beat));
}

void pace_wait(struct engine *engine, uint64_t until)
{
    if (engine->stopping)
        return;
    if (engine->options.pace == PACE_BUSY)
        return;
    if (!engine->pace->ready)
        set_up_thread(engine);
    measure(engine);
    if (engine->options.pace == PACE_HZ)
        wait_hz(engine, until);
    else
        wait_adaptive(engine, until);
}
