/* test_timer: the timer wheel against a plain list.
 *
 * The model is an array of times; what is due is found by looking at all of it. Times go
 * over all levels of the wheel, timers are set in the past, and fire sets and cancels
 * others.
 */
#include "selftest/selftest.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/timer.h"
#include "lib/random.h"

#define TIMERS 60
#define SECOND 1000000000ull
#define DAY    (86400 * SECOND)
#define START  (5 * SECOND + 12345)

struct entry {
    struct timer timer;
    bool pending;
    uint64_t time, order;
};

struct world {
    struct timers timers;
    struct entry entries[TIMERS];
    uint64_t order, now;
    struct random_key key;
    uint64_t draws;
    uint64_t fired;
    unsigned chains; /* in how many of 8 firings something else is set or cancelled */
};

static struct world world;

static uint64_t draw(void)
{
    return random_draw(&world.key, world.draws++);
}

static struct entry *model_next(uint64_t now)
{
    struct entry *best = NULL;
    for (int i = 0; i < TIMERS; i++) {
        struct entry *entry = &world.entries[i];
        if (!entry->pending || entry->time > now)
            continue;
        if (!best || entry->time < best->time ||
            (entry->time == best->time && entry->order < best->order))
            best = entry;
    }
    return best;
}

/* Mostly near, of every magnitude that does not reach the end of time; some in the past,
 * many at a round time, so that times coincide. */
static uint64_t draw_time(void)
{
    uint64_t distance = draw() >> (2 + draw() % 62), kind = draw() % 8;
    if (kind == 0)
        return distance < world.now ? world.now - distance : 0;
    if (kind == 1)
        return (world.now / SECOND + draw() % 4) * SECOND;
    return world.now + distance;
}

/* Here and below: ck_assert is too slow for what is done a million times. */
static void change(void)
{
    struct entry *entry = &world.entries[draw() % TIMERS];
    if (draw() % 4) {
        entry->time = draw_time();
        entry->order = world.order++;
        entry->pending = true;
        timer_set(&world.timers, &entry->timer, entry->time);
    } else {
        entry->pending = false;
        timer_cancel(&world.timers, &entry->timer);
    }
    if (timer_pending(&entry->timer) != entry->pending)
        ck_abort_msg("timer_pending is not %d", entry->pending);
}

static void fire(struct timer *timer, uint64_t now)
{
    struct entry *entry = timer->user, *expected = model_next(world.now);
    ck_assert_uint_eq(now, world.now);
    ck_assert_msg(expected != NULL, "fired, but nothing was due");
    ck_assert_msg(
        entry == expected, "timer %td of %" PRIu64 " fired, not %td of %" PRIu64,
        entry - world.entries, entry->time, expected - world.entries, expected->time);
    ck_assert(!timer_pending(timer));
    entry->pending = false;
    world.fired++;
    if (draw() % 8 < world.chains)
        change();
}

static void setup(void)
{
    world = (struct world){ .now = START, .key = random_key(7, "timer", "test") };
    timers_init(&world.timers, START);
    for (int i = 0; i < TIMERS; i++) {
        world.entries[i].timer.fire = fire;
        world.entries[i].timer.user = &world.entries[i];
    }
}

static void run_to(uint64_t now)
{
    world.now = now;
    timers_run(&world.timers, now);
    const struct entry *left = model_next(now);
    if (left)
        ck_abort_msg("timer of %" PRIu64 " did not fire at %" PRIu64, left->time, now);
}

static void set(int i, uint64_t time)
{
    struct entry *entry = &world.entries[i];
    entry->time = time;
    entry->order = world.order++;
    entry->pending = true;
    timer_set(&world.timers, &entry->timer, time);
}

/* Nothing that is pending is due before timers_next. */
static void check_next(void)
{
    for (int i = 0; i < TIMERS; i++)
        if (world.entries[i].pending &&
            timers_next(&world.timers) > world.entries[i].time)
            ck_abort_msg("a timer of %" PRIu64
                         " is pending, the next is said to be %" PRIu64,
                         world.entries[i].time, timers_next(&world.timers));
}

static void compare(unsigned chains, unsigned rounds, unsigned changes, unsigned least)
{
    world.chains = chains;
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < changes; i++)
            change();
        check_next();
        /* On to the next timer, to just before it, or by any distance. */
        uint64_t next = timers_next(&world.timers), now = world.now;
        uint64_t kind = draw() % 8;
        if (kind < 3 && next > now && next < now + (1ull << 60))
            now = next - kind % 2;
        else
            now += draw() >> (least + draw() % (64 - least));
        run_to(now);
        check_next();
    }
}

START_TEST(test_random_near)
{
    compare(0, 20000, 2, 34);
    ck_assert_uint_gt(world.fired, 8000);
}
END_TEST

START_TEST(test_random_chains)
{
    compare(6, 20000, 1, 34);
    ck_assert_uint_gt(world.fired, 8000);
}
END_TEST

/* In strides of up to years, over the highest levels too. */
START_TEST(test_random_far)
{
    compare(2, 700, 3, 10);
    ck_assert_uint_gt(world.fired, 300);
}
END_TEST

START_TEST(test_exact)
{
    set(0, START + 1);
    set(1, START + 2);
    run_to(START);
    ck_assert_uint_eq(world.fired, 0);
    run_to(START + 1);
    ck_assert_uint_eq(world.fired, 1);
    run_to(START + 2);
    ck_assert_uint_eq(world.fired, 2);
    ck_assert_uint_eq(timers_next(&world.timers), TIMER_NEVER);
}
END_TEST

START_TEST(test_past_fires_at_once)
{
    set(0, 0);
    set(1, START);
    run_to(START);
    ck_assert_uint_eq(world.fired, 2);
}
END_TEST

START_TEST(test_same_time_in_order_of_setting)
{
    for (int i = 0; i < TIMERS; i++)
        set(i, START + DAY);
    for (int i = 0; i < TIMERS; i += 3) /* setting again moves to the end */
        set(i, START + DAY);
    run_to(START + DAY);
    ck_assert_uint_eq(world.fired, TIMERS);
}
END_TEST

/* A timer years ahead must not hide one that is nearer but on the same level. */
START_TEST(test_years)
{
    set(0, START + 58 * DAY);
    set(1, START + 840 * DAY);
    set(2, START + 36500 * DAY);
    set(3, TIMER_NEVER);
    run_to(START + 58 * DAY - 1);
    ck_assert_uint_eq(world.fired, 0);
    run_to(START + 58 * DAY);
    ck_assert_uint_eq(world.fired, 1);
    run_to(START + 840 * DAY);
    ck_assert_uint_eq(world.fired, 2);
    run_to(START + 36500 * DAY - 1);
    ck_assert_uint_eq(world.fired, 2);
    run_to(START + 36500 * DAY);
    ck_assert_uint_eq(world.fired, 3);
    ck_assert(timer_pending(&world.entries[3].timer));
}
END_TEST

START_TEST(test_cancel)
{
    timer_cancel(&world.timers, &world.entries[0].timer); /* never set: harmless */
    for (int i = 0; i < TIMERS; i++)
        set(i, START + (uint64_t)i * 1000);
    for (int i = 0; i < TIMERS; i += 2) {
        timer_cancel(&world.timers, &world.entries[i].timer);
        timer_cancel(&world.timers, &world.entries[i].timer);
        world.entries[i].pending = false;
    }
    run_to(START + DAY);
    ck_assert_uint_eq(world.fired, TIMERS / 2);
}
END_TEST

static Suite *suite_timer(void)
{
    Suite *suite = suite_create("timer");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, NULL);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, test_random_near);
    tcase_add_test(all, test_random_chains);
    tcase_add_test(all, test_random_far);
    tcase_add_test(all, test_exact);
    tcase_add_test(all, test_past_fires_at_once);
    tcase_add_test(all, test_same_time_in_order_of_setting);
    tcase_add_test(all, test_years);
    tcase_add_test(all, test_cancel);
    suite_add_tcase(suite, all);
    return suite;
}

SUITE(timer)
