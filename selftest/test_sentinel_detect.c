/* FlowSentinel's detectors: numbers in, decisions out. */
#include <string.h>

#include "apps/flow_sentinel/detect.h"
#include "selftest/selftest.h"

#define MS  1000000ull
#define SEC 1000000000ull

static const struct detect_policy policy = {
    .window = SEC,
    .sustain = 300 * MS,
    .exit_hold = 2 * SEC,
    .ttl = 60 * SEC,
    .exit_ratio = 0.5,
    .completion_min = 0.3,
    .syn = 1000,
    .syn_hard = 5000,
    .udp = 20000,
    .icmp = 500,
    .fragments = 500,
    .signature_packets = 500,
    .signature_bytes = 1e6,
    .anomaly_factor = 8,
    .anomaly_floor = 2000,
    .anomaly_sustain = 3 * SEC,
    .baseline = 300 * SEC,
    .mitigation = MITIGATION_LIMIT,
};

struct run {
    struct detect_policy policy;
    struct detector detector;
    struct sentinel_destination_counts counts;
    struct detect_share share;
    struct sentinel_destination to;
    uint64_t now;
    struct detect_news last[DETECTIONS];
    unsigned changes[DETECTIONS];
};

/* What comes in a second. */
struct load {
    uint64_t syn, first_ack, packets, bytes, udp, icmp, fragments, dns, dns_bytes;
};

static void keep(const struct detect_news *news, void *user)
{
    struct run *run = user;
    run->last[news->detection] = *news;
    run->changes[news->detection]++;
}

static void start(struct run *run)
{
    *run = (struct run){ .policy = policy, .now = 5000 * SEC };
    /* what was counted before anybody looked is nothing that happens now */
    run->counts.syn = run->counts.all.packets = run->counts.udp.packets =
        run->counts.all.bytes = 1000000000;
}

static void go(struct run *run, struct load load, uint64_t duration)
{
    for (uint64_t t = 0; t < duration; t += 100 * MS, run->now += 100 * MS) {
        detector_tick(&run->detector, &run->policy, &run->counts, run->now, &run->share,
                      &run->to, keep, run);
        run->counts.syn += load.syn / 10;
        run->counts.first_ack += load.first_ack / 10;
        run->counts.all.packets += load.packets / 10;
        run->counts.all.bytes += load.bytes / 10;
        run->counts.udp.packets += load.udp / 10;
        run->counts.icmp.packets += load.icmp / 10;
        run->counts.fragments.packets += load.fragments / 10;
        run->counts.signatures[2].packets += load.dns / 10;
        run->counts.signatures[2].bytes += load.dns_bytes / 10;
    }
}

static enum detect_state state(const struct run *run, enum detection detection)
{
    return run->last[detection].state;
}

/* A rate is that of the window, and does not jump where windows meet. */
START_TEST(rates_slide)
{
    struct rate rate = { 0 };
    uint64_t total = 0, now = 100 * SEC;
    rate_add(&rate, 0, now, SEC);
    for (int i = 0; i < 100; i++) {
        now += 50 * MS;
        total += 50;
        rate_add(&rate, total, now, SEC);
        if (i > 20) {
            ck_assert_double_ge(rate_value(&rate, now, SEC), 950);
            ck_assert_double_le(rate_value(&rate, now, SEC), 1100);
        }
    }
    rate_add(&rate, total, now + 5 * SEC, SEC);
    ck_assert_double_eq(rate_value(&rate, now + 5 * SEC, SEC), 0);
}
END_TEST

START_TEST(a_syn_flood_is_one)
{
    struct run run;
    start(&run);
    go(&run, (struct load){ .syn = 500, .first_ack = 490 }, 5 * SEC);
    ck_assert_uint_eq(run.changes[DETECT_DST_SYN], 0);
    go(&run, (struct load){ .syn = 4000, .first_ack = 490 }, SEC);
    ck_assert_int_eq(state(&run, DETECT_DST_SYN), STATE_MITIGATE);
    ck_assert_uint_eq(run.to.mitigation, MITIGATION_LIMIT);
    ck_assert_uint_eq(run.to.watch_until, run.now - 100 * MS + policy.ttl);
    ck_assert_uint_eq(run.to.syn.until, run.now - 100 * MS + policy.ttl);
    ck_assert_uint_eq(run.to.syn.period, (SEC << 10) / 1000);
    ck_assert_double_gt(run.last[DETECT_DST_SYN].rate, 1000);
    go(&run, (struct load){ .syn = 4000, .first_ack = 490 }, 10 * SEC);
    ck_assert_uint_eq(run.changes[DETECT_DST_SYN], 2);
    go(&run, (struct load){ .syn = 100, .first_ack = 90 }, 2 * SEC);
    ck_assert_int_eq(state(&run, DETECT_DST_SYN), STATE_COOLDOWN);
    ck_assert_uint_eq(run.to.mitigation, MITIGATION_LIMIT);
    go(&run, (struct load){ .syn = 100, .first_ack = 90 }, 4 * SEC);
    ck_assert_int_eq(state(&run, DETECT_DST_SYN), STATE_NORMAL);
    ck_assert_uint_eq(run.to.mitigation, MITIGATION_NONE);
    ck_assert_uint_eq(run.to.watch_until | run.to.syn.until, 0);
}
END_TEST

/* A popular server: many SYNs, which become connections. */
START_TEST(a_crowd_is_no_flood)
{
    struct run run;
    start(&run);
    go(&run, (struct load){ .syn = 4000, .first_ack = 3600 }, 10 * SEC);
    ck_assert_uint_eq(run.changes[DETECT_DST_SYN], 0);
    /* but nobody is that popular */
    go(&run, (struct load){ .syn = 8000, .first_ack = 7000 }, 3 * SEC);
    ck_assert_int_eq(state(&run, DETECT_DST_SYN), STATE_MITIGATE);
}
END_TEST

START_TEST(a_short_peak_is_no_flood)
{
    struct run run;
    start(&run);
    go(&run, (struct load){ 0 }, 2 * SEC);
    go(&run, (struct load){ .syn = 7000 }, 200 * MS);
    go(&run, (struct load){ 0 }, 5 * SEC);
    run.policy.sustain = 2 * SEC;
    ck_assert_int_ne(state(&run, DETECT_DST_SYN), STATE_MITIGATE);
}
END_TEST

/* It comes again while it cools down: no new suspicion is needed. */
START_TEST(a_flood_that_comes_back)
{
    struct run run;
    start(&run);
    go(&run, (struct load){ .syn = 4000 }, 2 * SEC);
    go(&run, (struct load){ 0 }, 2500 * MS);
    ck_assert_int_eq(state(&run, DETECT_DST_SYN), STATE_COOLDOWN);
    go(&run, (struct load){ .syn = 4000 }, SEC);
    ck_assert_int_eq(state(&run, DETECT_DST_SYN), STATE_MITIGATE);
}
END_TEST

START_TEST(others_have_their_limits)
{
    static const struct {
        struct load below, above;
        enum detection detection;
    } cases[] = {
        { { .udp = 19000 }, { .udp = 40000 }, DETECT_DST_UDP },
        { { .icmp = 400 }, { .icmp = 1000 }, DETECT_DST_ICMP },
        { { .fragments = 400 }, { .fragments = 1000 }, DETECT_FRAGMENTS },
        { { .dns = 400, .dns_bytes = 240000 },
          { .dns = 1000 },
          DETECT_AMPLIFICATION + 2 },
        { { .dns = 400 },
          { .dns = 400, .dns_bytes = 2000000 },
          DETECT_AMPLIFICATION + 2 },
        { { .packets = 39000 }, { .packets = 60000 }, DETECT_DST_PPS },
        { { .bytes = 900000 }, { .bytes = 2000000 }, DETECT_DST_BPS },
    };
    enum detection detection = cases[_i].detection;
    struct run run;
    start(&run);
    run.policy.packets = 40000;
    run.policy.bytes = 1e6;
    go(&run, cases[_i].below, 5 * SEC);
    ck_assert_uint_eq(run.changes[detection], 0);
    go(&run, cases[_i].above, 2 * SEC);
    ck_assert_int_eq(state(&run, detection), STATE_MITIGATE);
    uint64_t until = detection == DETECT_DST_UDP     ? run.to.udp.until
                     : detection == DETECT_DST_ICMP  ? run.to.icmp.until
                     : detection == DETECT_DST_PPS   ? run.to.packets.until
                     : detection == DETECT_DST_BPS   ? run.to.bytes.until
                     : detection == DETECT_FRAGMENTS ? run.to.fragments_until
                                                     : run.to.signature_until[2];
    /* a bit less is not the end of it */
    go(&run, cases[_i].below, 5 * SEC);
    ck_assert_int_eq(state(&run, detection), STATE_MITIGATE);
    until += 5 * SEC;
    /* for as long as nobody looks after it */
    ck_assert_uint_ge(until, run.now + 59 * SEC);
    ck_assert_uint_le(until, run.now + 60 * SEC);
    go(&run, (struct load){ 0 }, 5 * SEC);
    ck_assert_int_eq(state(&run, detection), STATE_NORMAL);
    ck_assert_uint_eq(run.to.udp.until | run.to.icmp.until | run.to.packets.until |
                          run.to.bytes.until | run.to.watch_until |
                          run.to.fragments_until | run.to.signature_until[2],
                      0);
}
END_TEST

/* Eight times what is usual. The attack itself is nothing to get used to. */
START_TEST(the_unusual_is_told_of)
{
    struct run run;
    start(&run);
    go(&run, (struct load){ .packets = 1000 }, 900 * SEC);
    ck_assert_double_ge(run.detector.baseline, 900);
    ck_assert_double_le(run.detector.baseline, 1000);
    go(&run, (struct load){ .packets = 6000 }, 60 * SEC);
    ck_assert_uint_eq(run.changes[DETECT_ANOMALY], 0);
    go(&run, (struct load){ .packets = 30000 }, 2 * SEC);
    ck_assert_int_eq(state(&run, DETECT_ANOMALY), STATE_SUSPECT);
    go(&run, (struct load){ .packets = 30000 }, 60 * SEC);
    ck_assert_int_eq(state(&run, DETECT_ANOMALY), STATE_MITIGATE);
    ck_assert_double_lt(run.detector.baseline, 3000);
}
END_TEST

/* Who was busy before we came is not unusual for it. */
START_TEST(the_usual_is_learned_first)
{
    struct run run;
    start(&run);
    go(&run, (struct load){ .packets = 50000 }, 60 * SEC);
    ck_assert_uint_eq(run.changes[DETECT_ANOMALY], 0);
    ck_assert_double_ge(run.detector.baseline, 45000);
    go(&run, (struct load){ .packets = 500000 }, 10 * SEC);
    ck_assert_int_eq(state(&run, DETECT_ANOMALY), STATE_MITIGATE);
}
END_TEST

START_TEST(a_dry_run_tells_only)
{
    struct run run;
    start(&run);
    run.policy.dry_run = true;
    run.policy.packets = 20000;
    go(&run, (struct load){ .syn = 4000, .udp = 40000, .packets = 44000 }, 3 * SEC);
    ck_assert_int_eq(state(&run, DETECT_DST_SYN), STATE_MITIGATE);
    ck_assert_int_eq(state(&run, DETECT_DST_UDP), STATE_MITIGATE);
    ck_assert_int_eq(state(&run, DETECT_DST_PPS), STATE_MITIGATE);
    /* what is always in force the data path itself lets pass, and counts */
    struct detector idle = { 0 };
    struct sentinel_destination_counts counts = { 0 };
    struct sentinel_destination nothing = { 0 };
    detector_tick(&idle, &run.policy, &counts, run.now, &run.share, &nothing, keep, &run);
    ck_assert_mem_eq(&run.to, &nothing, sizeof(nothing));
}
END_TEST

/* What is being done ends when people say so. */
START_TEST(a_change_ends_what_is_done)
{
    struct run run;
    struct load load = { .syn = 4000, .packets = 90000, .fragments = 2000 };
    start(&run);
    go(&run, (struct load){ .packets = 1000 }, 60 * SEC);
    go(&run, load, 10 * SEC);
    ck_assert_int_eq(run.to.mitigation, MITIGATION_LIMIT);
    ck_assert_uint_gt(run.to.fragments_until, run.now);
    ck_assert_int_eq(state(&run, DETECT_ANOMALY), STATE_MITIGATE);
    run.policy.fragments = run.policy.anomaly_factor = 0;
    go(&run, load, SEC);
    ck_assert_int_eq(state(&run, DETECT_FRAGMENTS), STATE_NORMAL);
    ck_assert_int_eq(state(&run, DETECT_ANOMALY), STATE_NORMAL);
    ck_assert_uint_eq(run.to.fragments_until, 0);
    run.policy.dry_run = true;
    go(&run, load, SEC);
    ck_assert_int_eq(run.to.mitigation, MITIGATION_NONE);
    ck_assert_uint_eq(run.to.watch_until, 0);
}
END_TEST

/* The same arithmetic as the data path's, on numbers instead of addresses. */
START_TEST(distinct_things_are_counted)
{
    static const unsigned numbers[] = { 10, 100, 1000, 10000 };
    uint8_t registers[SENTINEL_REGISTERS] = { 0 };
    ck_assert_double_eq(scan_estimate(registers), 0);
    for (unsigned i = 0, n = 0; n < 4; n++) {
        for (; i < numbers[n]; i++) {
            uint64_t hash = (i + 1) * 0x9e3779b97f4a7c15ull;
            hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9ull;
            hash ^= hash >> 31;
            uint8_t rank = (uint8_t)(1 + __builtin_ctzll(hash >> 6 | 1ull << 31));
            if (registers[hash & 63] < rank)
                registers[hash & 63] = rank;
        }
        ck_assert_double_ge(scan_estimate(registers), 0.6 * numbers[n]);
        ck_assert_double_le(scan_estimate(registers), 1.4 * numbers[n]);
    }
}
END_TEST

START_TEST(all_have_names)
{
    ck_assert_str_eq(detection_name(LIMIT_SYN), "src_syn");
    ck_assert_str_eq(detection_name(DETECT_DST_SYN), "dst_syn");
    ck_assert_str_eq(detection_name(DETECT_ANOMALY), "anomaly");
    ck_assert_str_eq(detection_name(DETECT_DST_PPS), "dst_pps");
    ck_assert_str_eq(detection_name(DETECT_PREFIX_BPS), "prefix_bps");
    ck_assert_str_eq(detection_name(DETECT_ROTATION), "rotation");
    ck_assert_str_eq(detection_name(DETECT_AMPLIFICATION + 2), "amplification_53");
    ck_assert_str_eq(detection_name(DETECTIONS - 1), "amplification_27015");
    ck_assert_str_eq(detection_name(DETECTIONS), "unknown");
}
END_TEST

static Suite *suite_sentinel_detect(void)
{
    Suite *suite = suite_create("sentinel_detect");
    TCase *tcase = tcase_create("sentinel_detect");
    tcase_add_test(tcase, rates_slide);
    tcase_add_test(tcase, a_syn_flood_is_one);
    tcase_add_test(tcase, a_crowd_is_no_flood);
    tcase_add_test(tcase, a_short_peak_is_no_flood);
    tcase_add_test(tcase, a_flood_that_comes_back);
    tcase_add_loop_test(tcase, others_have_their_limits, 0, 7);
    tcase_add_test(tcase, the_unusual_is_told_of);
    tcase_add_test(tcase, the_usual_is_learned_first);
    tcase_add_test(tcase, a_dry_run_tells_only);
    tcase_add_test(tcase, a_change_ends_what_is_done);
    tcase_add_test(tcase, distinct_things_are_counted);
    tcase_add_test(tcase, all_have_names);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(sentinel_detect)
