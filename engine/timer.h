/* timer: things to be done at a time, on a hierarchical wheel.
 *
 *   timer_set, timer_cancel     one timer; setting it again moves it
 *   timers_run                  fire what is due, in the order of time
 *   timers_next                 when to look again at the latest
 *
 *   level 0   64 slots of 16 us       the next millisecond
 *   level 1   64 slots of 1 ms        67 ms
 *   ...       each level 64 times the one below; nine levels reach any 64-bit time
 *
 * Setting and cancelling are a few instructions whatever the number of timers. Times are
 * exact: within a slot, timers fire by their own time, those of the same time in the
 * order they were set. A struct timer is part of its owner's data; it is not allocated
 * here.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define TIMER_LEVELS     9
#define TIMER_SLOTS      64
#define TIMER_SLOT_SHIFT 14 /* 16,384 ns */
#define TIMER_NEVER      UINT64_MAX

struct timer {
    struct timer *next, *previous; /* NULL when not set */
    uint64_t time;                 /* ns, on the engine's clock */
    uint64_t order;
    uint16_t level, slot;
    void (*fire)(struct timer *timer, uint64_t now);
    void *user;
};

struct timers {
    uint64_t now;   /* everything before this has fired */
    uint64_t order; /* of the next timer to be set */
    uint64_t next;  /* no timer is due before this */
    uint64_t occupied[TIMER_LEVELS];
    struct timer slots[TIMER_LEVELS][TIMER_SLOTS]; /* heads of circular lists */
};

void timers_init(struct timers *timers, uint64_t now);

/* fire is called from timers_run at the first call whose now is not before time; it may
 * set and cancel any timer, this one too. */
void timer_set(struct timers *timers, struct timer *timer, uint64_t time);
void timer_cancel(struct timers *timers, struct timer *timer);

static inline bool timer_pending(const struct timer *timer)
{
    return timer->next;
}

void timers_fire(struct timers *timers, uint64_t now);

static inline void timers_run(struct timers *timers, uint64_t now)
{
    if (now >= timers->next)
        timers_fire(timers, now);
}

/* A time before which timers_run has nothing to do; TIMER_NEVER when no timer is set. */
static inline uint64_t timers_next(const struct timers *timers)
{
    return timers->next;
}
