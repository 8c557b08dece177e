/* FlowSentinel's table of blocks, when somebody tries to fill it: both data paths. */
#include <string.h>

#include "selftest/selftest.h"
#include "selftest/sentinel_rig.h"

#define MS      1000000ull
#define SEC     1000000000ull
#define SOURCES 20000
#define BLOCKS  4096
#define RATE    2000 /* of new blocks; the burst is twice that */

/* Of one of them. */
struct side {
    struct path *path;
    uint64_t events[EVENT_STATE + 1], dropped;
};

static void count_event(const struct sentinel_event *event, void *user)
{
    struct side *side = user;
    side->events[event->kind]++;
}

static void take_events(struct side *side)
{
    if (side->path)
        path_events(side->path, count_event, side);
}

/* 20,000 sources at `rate` SYNs a second each, for a second and a half. */
static void attack(struct sentinel_rig *rig, struct side sides[2], int rate)
{
    uint64_t start = rig->now, frames = (uint64_t)SOURCES * (uint64_t)rate * 3 / 2;
    struct rig_frame syn = rig_tcp("198.18.0.1", "192.0.2.1", 1024, 80, 2, 0);
    for (uint64_t i = 0; i < frames; i++) {
        uint32_t source = (uint32_t)(i % SOURCES) + 1;
        rig->now = start + i * SEC / SOURCES / (uint64_t)rate;
        syn.data[28] = (uint8_t)(source >> 8);
        syn.data[29] = (uint8_t)source;
        bool dropped = rig_judge(rig, syn.data, syn.length).verdict == VERDICT_DROP;
        for (int side = 0; side < 2; side++)
            sides[side].dropped += dropped;
        if (i % 128)
            continue;
        for (int side = 0; side < 2; side++)
            take_events(&sides[side]);
        if (rig->policy.insertions.period) /* a step of the clock is another insertion */
            ck_assert_uint_le(rig->user->state->inserted,
                              2 * RATE + 2 + (rig->now - start) * RATE / SEC);
    }
    take_events(&sides[0]);
    take_events(&sides[1]);
}

static void open_sides(struct sentinel_rig *rig, struct side sides[2],
                       const char *settings)
{
    rig_open(rig, settings);
    memset(sides, 0, 2 * sizeof(*sides));
    sides[0].path = rig->user;
    sides[1].path = rig->kernel;
    struct path_listed list[] = { rig_listed("203.0.113.0/24", KIND_BANNED),
                                  rig_listed("192.0.2.128/25", KIND_ALLOWED) };
    rig_list(rig, list, 2);
    rig_put(rig, "198.51.100.7", KIND_ALLOWED, 0);
    rig_put(rig, "198.51.100.8", KIND_BANNED, 0);
}

static uint8_t reason_of(struct sentinel_rig *rig, const char *source)
{
    struct rig_frame syn = rig_tcp(source, "192.0.2.1", 1024, 80, 2, 0);
    return rig_judge(rig, syn.data, syn.length).reason;
}

/* What people said is as before. */
static void check_lists(struct sentinel_rig *rig)
{
    for (int i = 0; i < 20; i++) {
        ck_assert_uint_eq(reason_of(rig, "198.51.100.7"), REASON_ALLOWED);
        ck_assert_uint_eq(reason_of(rig, "192.0.2.200"), REASON_ALLOWED);
    }
    ck_assert_uint_eq(reason_of(rig, "198.51.100.8"), REASON_BANNED);
    ck_assert_uint_eq(reason_of(rig, "203.0.113.9"), REASON_LISTED);
}

#define LIMITS_SET                                                                       \
    "src_syn.pps=1 src_syn.burst=1 max_blocks=4096 max_block_rate=2000 ttl=60s "         \
    "event_rate=1000000 "

/* T13: no faster than they may, no more than there is room for, and each that found none is
 * told of. */
START_TEST(blocks_run_out_aloud)
{
    struct sentinel_rig rig;
    struct side sides[2];
    open_sides(&rig, sides, LIMITS_SET);
    attack(&rig, sides, 4);
    for (int i = 0; i < 2 && sides[i].path; i++) {
        const struct sentinel_state *state = sides[i].path->state;
        ck_assert_uint_eq(state->blocks, BLOCKS);
        ck_assert_uint_eq(state->inserted, BLOCKS);
        ck_assert_uint_gt(state->insert_failed, 1000);
        ck_assert_uint_gt(state->insert_braked, 1000);
        ck_assert_uint_eq(state->events_lost + state->events_limited, 0);
        ck_assert_uint_eq(sides[i].events[EVENT_FULL], state->insert_failed);
        ck_assert_uint_eq(sides[i].events[EVENT_BLOCK], state->inserted);
        ck_assert_uint_eq(sides[i].events[EVENT_PRESSURE],
                          (state->insert_braked + 1023) / 1024);
    }
    ck_assert_uint_gt(sides[0].dropped, 10000);
    check_lists(&rig);
    rig_close(&rig);
}
END_TEST

/* The controls: a dry run tells and drops nothing; without the limit nothing is told. */
START_TEST(nobody_is_blocked)
{
    struct sentinel_rig rig;
    struct side sides[2];
    open_sides(&rig, sides, _i ? LIMITS_SET "src_syn.pps=0" : LIMITS_SET "dry_run=true");
    attack(&rig, sides, 4);
    for (int i = 0; i < 2 && sides[i].path; i++) {
        ck_assert_uint_eq(sides[i].path->state->blocks, 0);
        ck_assert_int_eq(sides[i].events[EVENT_LIMIT] > 10000, !_i);
        ck_assert_uint_eq(sides[i].events[EVENT_BLOCK], 0);
        ck_assert_uint_eq(sides[i].dropped, 0);
    }
    rig_close(&rig);
}
END_TEST

static Suite *suite_sentinel_exhaust(void)
{
    Suite *suite = suite_create("sentinel_exhaust");
    TCase *tcase = tcase_create("sentinel_exhaust");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, blocks_run_out_aloud);
    tcase_add_loop_test(tcase, nobody_is_blocked, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(sentinel_exhaust)
