/* FlowSentinel's limits, blocks and lists: both data paths, on a clock that the test sets. */
#include <arpa/inet.h>
#include <string.h>

#include "lib/prefix.h"

#include "selftest/selftest.h"
#include "selftest/sentinel_rig.h"

#define MS  1000000ull
#define SEC 1000000000ull

/* Sends `rate` frames a second for so many ns; returns how many passed. */
static uint64_t flood(struct sentinel_rig *rig, const struct rig_frame *frame,
                      uint64_t rate, uint64_t duration)
{
    uint64_t passed = 0, start = rig->now, n = rate * duration / SEC;
    for (uint64_t i = 0; i < n; i++) {
        rig->now = start + i * SEC / rate;
        passed += rig_judge(rig, frame->data, frame->length).verdict == VERDICT_PASS;
    }
    rig->now = start + duration;
    return passed;
}

static struct sentinel_entry entry_of(struct sentinel_rig *rig, const char *address)
{
    struct prefix prefix;
    struct path_address key;
    struct sentinel_entry user = { 0 }, kernel = { 0 };
    ck_assert_int_eq(prefix_parse(&prefix, address), 0);
    prefix_mapped(&prefix, (uint8_t *)key.word);
    bool found = path_get(rig->user, &key, &user);
    if (rig->kernel) {
        ck_assert_int_eq(path_get(rig->kernel, &key, &kernel), found);
        ck_assert_mem_eq(&user, &kernel, sizeof(user));
    }
    return user;
}

static void keep_event(const struct sentinel_event *event, void *user)
{
    *(struct sentinel_event *)user = *event;
}

START_TEST(below_the_limit_nothing_happens)
{
    struct sentinel_rig rig;
    rig_open(&rig, "src_syn.pps=500 src_syn.burst=100");
    struct rig_frame syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    ck_assert_uint_eq(flood(&rig, &syn, 450, 10 * SEC), 4500);
    ck_assert_uint_eq(rig.user->state->blocks, 0);
    rig_close(&rig);
}
END_TEST

START_TEST(above_the_limit_the_source_is_blocked)
{
    struct sentinel_rig rig;
    rig_open(&rig, "src_syn.pps=500 src_syn.burst=100");
    struct rig_frame syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    /* 100 of burst at 50 too many a second, of which half is left when it is looked at */
    uint64_t passed = flood(&rig, &syn, 550, 10 * SEC);
    ck_assert_uint_ge(passed, 550);
    ck_assert_uint_le(passed, 550 * 3 / 2);
    struct sentinel_entry entry = entry_of(&rig, "198.51.100.7");
    ck_assert_uint_eq(entry.kind, KIND_BLOCKED);
    ck_assert_uint_eq(entry.limit, LIMIT_SYN);
    ck_assert_uint_eq(entry.packets, 5500 - passed);
    /* another of its frames is dropped as well, other sources are not */
    struct rig_frame udp = rig_udp("198.51.100.7", "192.0.2.1", 1024, 80, 10);
    struct sentinel_frame frame = rig_judge(&rig, udp.data, udp.length);
    ck_assert_uint_eq(frame.reason, REASON_BLOCKED);
    udp = rig_udp("198.51.100.8", "192.0.2.1", 1024, 80, 10);
    ck_assert_uint_eq(rig_judge(&rig, udp.data, udp.length).verdict, VERDICT_PASS);
    rig_close(&rig);
}
END_TEST

/* Of 100,000 SYNs a second from one source: 625 go by before it is looked at, then half the
 * burst of 1,000 and what the limit allows meanwhile. Not one behind the first that is dropped, and it is
 * that one which the event is of. */
START_TEST(a_flood_is_blocked_in_time)
{
    struct sentinel_rig rig;
    rig_open(&rig, NULL);
    struct rig_frame syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    struct sentinel_event told = { 0 };
    uint32_t passed = 0, last = 0;
    for (uint32_t i = 0; i < 10000; i++, rig.now += SEC / 100000) {
        memcpy(syn.data + 38, &i, 4); /* the sequence number */
        if (rig_judge(&rig, syn.data, syn.length).verdict == VERDICT_PASS) {
            passed++;
            last = i;
        }
    }
    ck_assert_uint_ge(passed, 1000);
    ck_assert_uint_le(passed, 2000);
    ck_assert_uint_eq(passed, last + 1);
    for (int kernel = 0; kernel <= (rig.kernel != NULL); kernel++) {
        ck_assert_int_eq(path_events(kernel ? rig.kernel : rig.user, keep_event, &told),
                         2);
        ck_assert_uint_eq(told.kind, EVENT_BLOCK);
        ck_assert_uint_eq(told.time, RIG_START + passed * (SEC / 100000));
        ck_assert_uint_le(told.time, RIG_START + 15 * MS);
    }
    rig_close(&rig);
}
END_TEST

/* The kernel's clock moves every 4 ms, or 10: what comes within the limit is never dropped because
 * it seems to come at once. */
START_TEST(a_tick_is_no_burst)
{
    struct sentinel_rig rig;
    rig_open(&rig, "src_syn.pps=200000 src_syn.burst=100 src_pps.pps=0 src_bps.rate=0 "
                   "dst_syn_hard_pps=0");
    struct rig_frame syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    uint64_t passed = 0;
    for (int i = 0; i < 60000; i++) {
        passed += rig_judge(&rig, syn.data, syn.length).verdict == VERDICT_PASS;
        if (i % 600 == 599)
            rig.now += 4 * MS;
    }
    ck_assert_uint_eq(passed, 60000); /* 150,000 a second */
    ck_assert_uint_lt(flood(&rig, &syn, 400000, 500 * MS), 150000);
    rig_close(&rig);
}
END_TEST

/* The seed's mistake: every TCP segment was a SYN to it. */
START_TEST(data_is_no_syn)
{
    struct sentinel_rig rig;
    rig_open(&rig, "src_syn.pps=500 src_syn.burst=100");
    struct rig_frame data = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 0x18, 100);
    ck_assert_uint_eq(flood(&rig, &data, 5000, 2 * SEC), 10000);
    rig_close(&rig);
}
END_TEST

START_TEST(a_block_ends)
{
    struct sentinel_rig rig;
    rig_open(&rig, "src_syn.pps=500 src_syn.burst=100 ttl=5s hold_rate=0");
    struct rig_frame syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    flood(&rig, &syn, 5000, SEC);
    struct sentinel_entry entry = entry_of(&rig, "198.51.100.7");
    ck_assert_uint_eq(entry.ttl, 5 * SEC);
    rig.now = entry.expires - 1;
    ck_assert_uint_eq(rig_judge(&rig, syn.data, syn.length).verdict, VERDICT_DROP);
    rig.now = entry.expires;
    ck_assert_uint_eq(rig_judge(&rig, syn.data, syn.length).verdict, VERDICT_PASS);
    rig_close(&rig);
}
END_TEST

/* Who does not stop stays blocked, each time for longer. */
START_TEST(a_block_goes_on)
{
    struct sentinel_rig rig;
    rig_open(&rig, "src_syn.pps=500 src_syn.burst=100 ttl=5s ttl_max=18s hold_down=2s");
    struct rig_frame syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    uint64_t passed = flood(&rig, &syn, 2000, SEC);
    ck_assert_uint_lt(passed, 500);
    uint64_t ttls[] = { 5, 10, 18, 18 };
    for (int i = 0; i < 4; i++) {
        struct sentinel_entry entry = entry_of(&rig, "198.51.100.7");
        ck_assert_uint_eq(entry.ttl, ttls[i] * SEC);
        ck_assert_uint_eq(flood(&rig, &syn, 2000, entry.expires - rig.now + SEC), 0);
    }
    rig_close(&rig);
}
END_TEST

START_TEST(another_block_is_longer)
{
    struct sentinel_rig rig;
    rig_open(&rig, "src_syn.pps=500 src_syn.burst=100 ttl=5s repeat_window=60s");
    struct rig_frame syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    flood(&rig, &syn, 2000, SEC);
    rig.now += 30 * SEC;
    flood(&rig, &syn, 2000, SEC);
    ck_assert_uint_eq(entry_of(&rig, "198.51.100.7").ttl, 10 * SEC);
    rig.now += 100 * SEC;
    flood(&rig, &syn, 2000, SEC);
    ck_assert_uint_eq(entry_of(&rig, "198.51.100.7").ttl, 5 * SEC);
    rig_close(&rig);
}
END_TEST

/* A limiter lets its rate pass, and nothing is blocked. */
START_TEST(limits_are_kept)
{
    static const struct {
        const char *settings;
        int type;
        uint64_t rate;
    } cases[] = {
        { "src_udp.pps=1000 src_udp.burst=20", 17, 1000 },
        { "src_icmp.pps=1000 src_icmp.burst=20", 1, 1000 },
        { "src_flags.pps=1000 src_flags.burst=20", 6, 1000 },
    };
    struct sentinel_rig rig;
    rig_open(&rig, cases[_i].settings);
    struct rig_frame frame =
        cases[_i].type == 17  ? rig_udp("198.51.100.7", "192.0.2.1", 1024, 80, 10)
        : cases[_i].type == 1 ? rig_icmp("198.51.100.7", "192.0.2.1", 8, 0, 10)
                              : rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 4, 0);
    flood(&rig, &frame, 3000, SEC);
    uint64_t passed = flood(&rig, &frame, 3000, 5 * SEC);
    ck_assert_uint_ge(passed, 4900);
    ck_assert_uint_le(passed, 5100);
    ck_assert_uint_eq(rig.user->state->blocks, 0);
    rig_close(&rig);
}
END_TEST

START_TEST(bits_are_limited)
{
    struct sentinel_rig rig;
    rig_open(&rig, "src_bps.rate=8mbit src_bps.burst=20kb src_bps.spoofable=limit");
    struct rig_frame udp = rig_udp("198.51.100.7", "192.0.2.1", 1024, 80, 958);
    ck_assert_uint_eq(udp.length, 1000);
    ck_assert_uint_eq(flood(&rig, &udp, 950, 5 * SEC), 4750);
    flood(&rig, &udp, 2000, SEC);
    uint64_t passed = flood(&rig, &udp, 2000, 5 * SEC);
    ck_assert_uint_ge(passed, 4950);
    ck_assert_uint_le(passed, 5050);
    rig_close(&rig);
}
END_TEST

/* What the network needs in order to work is not counted. */
START_TEST(essential_icmp_passes)
{
    struct sentinel_rig rig;
    rig_open(&rig, "src_icmp.pps=100 src_icmp.burst=10");
    struct rig_frame too_big = rig_icmp("198.51.100.7", "192.0.2.1", 3, 4, 28);
    ck_assert_uint_eq(flood(&rig, &too_big, 3000, SEC), 3000);
    struct rig_frame solicit = rig_icmp("fe80::1", "ff02::1:ff00:1", 135, 0, 24);
    solicit.data[21] = 255;
    ck_assert_uint_eq(flood(&rig, &solicit, 3000, SEC), 3000);
    /* from further away it is none */
    solicit.data[21] = 254;
    ck_assert_uint_lt(flood(&rig, &solicit, 3000, SEC), 300);
    rig_close(&rig);
}
END_TEST

START_TEST(a_dry_run_drops_nothing)
{
    struct sentinel_rig rig;
    rig_open(&rig, "src_syn.pps=500 src_syn.burst=100 dry_run=true");
    struct rig_frame syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    uint64_t would = 0;
    for (int i = 0; i < 3000; i++, rig.now += MS / 2) {
        struct sentinel_frame frame = rig_judge(&rig, syn.data, syn.length);
        ck_assert_uint_ne(frame.verdict, VERDICT_DROP);
        would += frame.verdict == VERDICT_WOULD_DROP;
    }
    ck_assert_uint_gt(would, 1000);
    ck_assert_uint_eq(rig.user->state->blocks, 0);
    rig_close(&rig);
}
END_TEST

/* A source of IPv6 is its /64: an attacker has all of it. */
START_TEST(an_ipv6_source_is_a_network)
{
    struct sentinel_rig rig;
    rig_open(&rig, "src_syn.pps=500 src_syn.burst=100");
    uint64_t passed = 0;
    for (int i = 0; i < 5000; i++, rig.now += MS / 5) {
        struct rig_frame syn = rig_tcp("2001:db8:1:2::1", "2001:db8::1", 1024, 80, 2, 0);
        syn.data[36] = (uint8_t)i;
        passed += rig_judge(&rig, syn.data, syn.length).verdict == VERDICT_PASS;
    }
    ck_assert_uint_lt(passed, 300);
    struct rig_frame other = rig_tcp("2001:db8:1:3::1", "2001:db8::1", 1024, 80, 2, 0);
    ck_assert_uint_eq(rig_judge(&rig, other.data, other.length).verdict, VERDICT_PASS);
    rig_close(&rig);
}
END_TEST

/* What is said of the address that a network's key looks like is not said of the network. */
START_TEST(an_address_is_not_its_network)
{
    static const enum sentinel_kind kinds[] = { KIND_OWN, KIND_ALLOWED, KIND_BANNED };
    static const uint8_t reasons[] = { REASON_MARTIAN, REASON_ALLOWED, REASON_BANNED };
    struct sentinel_rig rig;
    rig_open(&rig, "src_syn.pps=500 src_syn.burst=100");
    rig_put(&rig, "2001:db8:1:2::", kinds[_i], 0);
    struct rig_frame own = rig_tcp("2001:db8:1:2::", "2001:db8::1", 1024, 80, 2, 0);
    ck_assert_uint_eq(rig_judge(&rig, own.data, own.length).reason, reasons[_i]);
    struct rig_frame other = rig_tcp("2001:db8:1:2::1", "2001:db8::1", 1024, 80, 2, 0);
    ck_assert_uint_eq(rig_judge(&rig, other.data, other.length).reason, REASON_NONE);
    ck_assert_uint_lt(flood(&rig, &other, 5000, SEC), 1000);
    rig_close(&rig);
}
END_TEST

/* However high: who never weighs anything is never looked at. */
START_TEST(a_high_limit_is_one)
{
    struct sentinel_rig rig;
    rig_open(&rig, "src_pps.pps=2000000 src_bps.rate=0 src_udp.pps=0");
    for (int i = 0; i < LIMITS; i++)
        ck_assert_int_eq(rig.policy.weight[i] > 0, i != LIMIT_BPS && i != LIMIT_UDP);
    rig_close(&rig);
}
END_TEST

START_TEST(what_people_say_comes_first)
{
    struct sentinel_rig rig;
    rig_open(&rig, "src_syn.pps=500 src_syn.burst=100");
    rig_put(&rig, "198.51.100.7", KIND_ALLOWED, 0);
    rig_put(&rig, "198.51.100.8", KIND_BANNED, rig.now + SEC);
    rig_put(&rig, "198.51.100.9", KIND_OWN, 0);
    struct rig_frame syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    ck_assert_uint_eq(rig_judge(&rig, syn.data, syn.length).reason, REASON_ALLOWED);
    syn = rig_tcp("198.51.100.8", "192.0.2.1", 1024, 80, 2, 0);
    ck_assert_uint_eq(rig_judge(&rig, syn.data, syn.length).reason, REASON_BANNED);
    syn = rig_tcp("198.51.100.9", "192.0.2.1", 1024, 80, 2, 0);
    struct sentinel_frame frame = rig_judge(&rig, syn.data, syn.length);
    ck_assert_uint_eq(frame.reason, REASON_MARTIAN);
    ck_assert_uint_eq(frame.verdict, VERDICT_DROP);
    syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    ck_assert_uint_eq(flood(&rig, &syn, 5000, SEC), 5000);
    rig.now += SEC;
    syn = rig_tcp("198.51.100.8", "192.0.2.1", 1024, 80, 2, 0);
    ck_assert_uint_eq(rig_judge(&rig, syn.data, syn.length).verdict, VERDICT_PASS);
    rig_close(&rig);
}
END_TEST

/* Gateways and name servers, which were found and not named: whoever forges their addresses
 * gets no more through than anybody, and has nobody blocked. */
START_TEST(a_neighbour_is_limited_only)
{
    struct sentinel_rig rig;
    struct sentinel_entry entry = { .kind = KIND_ALLOWED, .automatic = true };
    struct path_address key = { { 0, 0, htonl(0xffff), htonl(0xc6336407) } };
    rig_open(&rig, "src_syn.pps=500 src_syn.burst=100 src_syn.verified=block");
    ck_assert_int_eq(path_put(rig.user, &key, &entry), 0);
    if (rig.kernel)
        ck_assert_int_eq(path_put(rig.kernel, &key, &entry), 0);
    struct path_listed listed = rig_listed("198.51.100.0/24", KIND_BANNED);
    rig_list(&rig, &listed, 1);
    struct rig_frame syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    uint64_t passed = flood(&rig, &syn, 5000, 4 * SEC);
    ck_assert_uint_ge(passed, 2000);
    ck_assert_uint_le(passed, 2200);
    struct rig_frame ping = rig_icmp("198.51.100.7", "192.0.2.1", 0, 0, 56);
    ck_assert_uint_eq(flood(&rig, &ping, 900, SEC), 900);
    ck_assert_uint_eq(rig.user->state->blocks, 0);
    ck_assert_uint_eq(entry_of(&rig, "198.51.100.7").kind, KIND_ALLOWED);
    rig_close(&rig);
}
END_TEST

/* Blocks cannot crowd out anything else, nor come faster than they may. */
START_TEST(blocks_have_a_rate_and_a_number)
{
    struct sentinel_rig rig;
    rig_open(&rig,
             "src_syn.pps=10 src_syn.burst=2 max_blocks=1024 max_block_rate=100 ttl=60s");
    for (int second = 0; second < 20; second++)
        for (int source = 0; source < 250; source++)
            for (int i = 0; i < 12; i++, rig.now += SEC / 3000) {
                struct rig_frame syn = rig_tcp("198.18.0.1", "192.0.2.1", 1024, 80, 2, 0);
                syn.data[28] = (uint8_t)second;
                syn.data[29] = (uint8_t)(source + 1);
                rig_judge(&rig, syn.data, syn.length);
            }
    const struct sentinel_state *state = rig.user->state;
    ck_assert_uint_eq(state->blocks, 1024);
    ck_assert_uint_eq(state->inserted, 1024);
    ck_assert_uint_gt(state->insert_braked, 1000);
    ck_assert_uint_gt(state->insert_failed, 100);
    if (rig.kernel) {
        ck_assert_uint_eq(rig.kernel->state->inserted, state->inserted);
        ck_assert_uint_eq(rig.kernel->state->insert_braked, state->insert_braked);
        ck_assert_uint_eq(rig.kernel->state->insert_failed, state->insert_failed);
    }
    rig_close(&rig);
}
END_TEST

/* Spoofed sources, one packet each: nobody is looked at, nobody is blocked. */
START_TEST(spoofed_sources_leave_no_trace)
{
    struct sentinel_rig rig;
    rig_open(&rig, NULL);
    uint64_t random = 88172645463325252ull;
    for (int i = 0; i < 100000; i++, rig.now += 10000) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        struct rig_frame syn = rig_tcp("11.0.0.1", "192.0.2.1", 1024, 80, 2, 0);
        memcpy(syn.data + 27, &random, 3);
        ck_assert_uint_eq(rig_judge(&rig, syn.data, syn.length).verdict, VERDICT_PASS);
    }
    ck_assert_uint_eq(rig.user->state->blocks, 0);
    rig_close(&rig);
}
END_TEST

/* When nobody looks after the program. */
START_TEST(without_a_daemon)
{
    static const char *const settings[] = { "fail_mode=autonomous", "fail_mode=open",
                                            "fail_mode=closed" };
    static const uint8_t banned[] = { VERDICT_DROP, VERDICT_PASS, VERDICT_DROP };
    static const uint8_t stranger[] = { VERDICT_PASS, VERDICT_PASS, VERDICT_DROP };
    struct sentinel_rig rig;
    rig_open(&rig, settings[_i]);
    rig_put(&rig, "198.51.100.7", KIND_ALLOWED, 0);
    rig_put(&rig, "198.51.100.8", KIND_BANNED, 0);
    rig.user->state->heartbeat = rig.now;
    if (rig.kernel)
        rig.kernel->state->heartbeat = rig.now;
    for (int late = 0; late < 2; late++, rig.now += 5 * SEC) {
        struct rig_frame frame = rig_udp("198.51.100.8", "192.0.2.1", 1, 1, 10);
        ck_assert_uint_eq(rig_judge(&rig, frame.data, frame.length).verdict,
                          late ? banned[_i] : VERDICT_DROP);
        frame = rig_udp("198.51.100.9", "192.0.2.1", 1, 1, 10);
        ck_assert_uint_eq(rig_judge(&rig, frame.data, frame.length).verdict,
                          late ? stranger[_i] : VERDICT_PASS);
        frame = rig_udp("198.51.100.7", "192.0.2.1", 1, 1, 10);
        ck_assert_uint_eq(rig_judge(&rig, frame.data, frame.length).verdict,
                          VERDICT_PASS);
    }
    rig_close(&rig);
}
END_TEST

/* What is done for an address has an end: nobody may be there to say so. */
START_TEST(a_mitigation_ends)
{
    struct sentinel_rig rig;
    struct prefix prefix;
    struct path_address key;
    rig_open(&rig, "src_syn.pps=0");
    ck_assert_int_eq(prefix_parse(&prefix, "192.0.2.1"), 0);
    prefix_mapped(&prefix, (uint8_t *)key.word);
    struct sentinel_destination to = { .index = 1,
                                       .mitigation = MITIGATION_LIMIT,
                                       .watch_until = rig.now + 2 * SEC,
                                       .syn = { .until = rig.now + 2 * SEC,
                                                .period = (SEC << 10) / 10,
                                                .burst = SEC / 5 } };
    ck_assert_int_eq(path_put_destination(rig.user, &key, &to), 0);
    if (rig.kernel)
        ck_assert_int_eq(path_put_destination(rig.kernel, &key, &to), 0);
    struct rig_frame syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    uint64_t passed = flood(&rig, &syn, 1000, 2 * SEC);
    ck_assert_uint_ge(passed, 20);
    ck_assert_uint_le(passed, 25);
    ck_assert_uint_eq(flood(&rig, &syn, 1000, SEC), 1000);
    rig_close(&rig);
}
END_TEST

static Suite *suite_sentinel_limits(void)
{
    Suite *suite = suite_create("sentinel_limits");
    TCase *tcase = tcase_create("sentinel_limits");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, below_the_limit_nothing_happens);
    tcase_add_test(tcase, above_the_limit_the_source_is_blocked);
    tcase_add_test(tcase, a_flood_is_blocked_in_time);
    tcase_add_test(tcase, a_tick_is_no_burst);
    tcase_add_test(tcase, data_is_no_syn);
    tcase_add_test(tcase, a_block_ends);
    tcase_add_test(tcase, a_block_goes_on);
    tcase_add_test(tcase, another_block_is_longer);
    tcase_add_loop_test(tcase, limits_are_kept, 0, 3);
    tcase_add_test(tcase, bits_are_limited);
    tcase_add_test(tcase, essential_icmp_passes);
    tcase_add_test(tcase, a_dry_run_drops_nothing);
    tcase_add_test(tcase, an_ipv6_source_is_a_network);
    tcase_add_loop_test(tcase, an_address_is_not_its_network, 0, 3);
    tcase_add_test(tcase, a_high_limit_is_one);
    tcase_add_test(tcase, what_people_say_comes_first);
    tcase_add_test(tcase, a_neighbour_is_limited_only);
    tcase_add_test(tcase, blocks_have_a_rate_and_a_number);
    tcase_add_test(tcase, spoofed_sources_leave_no_trace);
    tcase_add_loop_test(tcase, without_a_daemon, 0, 3);
    tcase_add_test(tcase, a_mitigation_ends);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(sentinel_limits)
