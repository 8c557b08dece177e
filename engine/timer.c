/* timer: a hierarchical wheel with exact times. */
#include "engine/timer.h"

#include <stddef.h>
#include <string.h>

#define LEVEL_BITS 6

_Static_assert(TIMER_SLOT_SHIFT + TIMER_LEVELS * LEVEL_BITS >= 64,
               "a timer further away than the wheel reaches would hide nearer ones");

static unsigned level_shift(unsigned level)
{
    return TIMER_SLOT_SHIFT + level * LEVEL_BITS;
}

void timers_init(struct timers *timers, uint64_t now)
{
    memset(timers, 0, sizeof(*timers));
    timers->now = now;
    timers->next = TIMER_NEVER;
    for (unsigned level = 0; level < TIMER_LEVELS; level++)
        for (unsigned slot = 0; slot < TIMER_SLOTS; slot++) {
            struct timer *head = &timers->slots[level][slot];
            head->next = head->previous = head;
        }
}

/* The level is the highest group of bits in which time differs from now: below it, the
 * timer's slot lies ahead of the wheel's present position. */
static unsigned level_of(uint64_t now, uint64_t time)
{
    uint64_t difference = (now ^ time) >> TIMER_SLOT_SHIFT;
    if (!difference)
        return 0;
    return (unsigned)(63 - __builtin_clzll(difference)) / LEVEL_BITS;
}

static void insert(struct timers *timers, struct timer *timer)
{
    uint64_t time = timer->time > timers->now ? timer->time : timers->now;
    unsigned level = level_of(timers->now, time);
    unsigned slot = (time >> level_shift(level)) & (TIMER_SLOTS - 1);
    struct timer *head = &timers->slots[level][slot];
    timer->level = (uint16_t)level;
    timer->slot = (uint16_t)slot;
    timer->next = head;
    timer->previous = head->previous;
    head->previous->next = timer;
    head->previous = timer;
    timers->occupied[level] |= 1ull << slot;
}

void timer_set(struct timers *timers, struct timer *timer, uint64_t time)
{
    timer_cancel(timers, timer);
    timer->time = time;
    timer->order = timers->order++;
    if (time < timers->next)
        timers->next = time;
    insert(timers, timer);
}

void timer_cancel(struct timers *timers, struct timer *timer)
{
    if (!timer->next)
        return;
    timer->previous->next = timer->next;
    timer->next->previous = timer->previous;
    struct timer *head = &timers->slots[timer->level][timer->slot];
    if (head->next == head)
        timers->occupied[timer->level] &= ~(1ull << timer->slot);
    timer->next = timer->previous = NULL;
}

/* The earliest timer of a slot; the slot is not empty. */
static struct timer *earliest(const struct timer *head)
{
    struct timer *best = head->next;
    for (struct timer *timer = best->next; timer != head; timer = timer->next)
        if (timer->time < best->time ||
            (timer->time == best->time && timer->order < best->order))
            best = timer;
    return best;
}

/* The first occupied slot of a level, which is not empty. No slot before the wheel's
 * position is occupied: the levels reach the end of time, so that none turns twice. */
static unsigned first_slot(const struct timers *timers, unsigned level)
{
    return (unsigned)__builtin_ctzll(timers->occupied[level]);
}

static uint64_t next_time(const struct timers *timers)
{
    for (unsigned level = 0; level < TIMER_LEVELS; level++)
        if (timers->occupied[level]) {
            const struct timer *head = &timers->slots[level][first_slot(timers, level)];
            return earliest(head)->time;
        }
    return TIMER_NEVER;
}

/* Moves the wheel to a time at which a slot of a higher level begins, and the timers of
 * that slot to the levels below. */
static void cascade(struct timers *timers, unsigned level, unsigned slot, uint64_t time)
{
    struct timer *head = &timers->slots[level][slot];
    timers->now = time;
    timers->occupied[level] &= ~(1ull << slot);
    struct timer *timer = head->next;
    head->next = head->previous = head;
    while (timer != head) {
        struct timer *next = timer->next;
        insert(timers, timer);
        timer = next;
    }
}

void timers_fire(struct timers *timers, uint64_t now)
{
    for (;;) {
        unsigned level = 0;
        while (level < TIMER_LEVELS && !timers->occupied[level])
            level++;
        if (level == TIMER_LEVELS)
            break;
        unsigned slot = first_slot(timers, level);
        struct timer *timer = earliest(&timers->slots[level][slot]);
        if (timer->time > now)
            break;
        if (level) {
            uint64_t start = timer->time >> level_shift(level) << level_shift(level);
            cascade(timers, level, slot, start > timers->now ? start : timers->now);
            continue;
        }
        if (timer->time > timers->now)
            timers->now = timer->time;
        timer_cancel(timers, timer);
        timer->fire(timer, now);
    }
    if (now > timers->now) {
        /* Nothing is left before now, but now may have entered a slot of a higher level.
         */
        timers->now = now;
        for (unsigned level = TIMER_LEVELS - 1; level; level--) {
            unsigned slot = (now >> level_shift(level)) & (TIMER_SLOTS - 1);
            if (timers->occupied[level] >> slot & 1)
                cascade(timers, level, slot, now);
        }
    }
    timers->next = next_time(timers);
}
