/* FlowSentinel's protected addresses: limits by group, of all that comes, and of prefixes; both
 * data paths, on a clock that the test sets. */
#include <stdio.h>
#include <string.h>

#include "apps/flow_sentinel/guarded.h"
#include "lib/prefix.h"
#include "selftest/selftest.h"
#include "selftest/sentinel_rig.h"

#define MS  1000000ull
#define SEC 1000000000ull

/* What limits sources must not be in the way. */
#define NO_SOURCES                                                                       \
    "src_syn.pps=0 src_udp.pps=0 src_icmp.pps=0 src_pps.pps=0 src_bps.rate=0 "           \
    "src_flags.pps=0 dst_exit_hold=1s "

struct both {
    struct sentinel_rig rig;
    struct groups groups;
    struct guarded user, kernel;
    struct detect_news last[DETECTIONS];
    struct path_address key[DETECTIONS];
    unsigned bits[DETECTIONS], changes[DETECTIONS];
    uint64_t tick;
};

static struct path_address address_of(const char *text)
{
    struct path_address address;
    struct prefix prefix;
    ck_assert_int_eq(prefix_parse(&prefix, text), 0);
    prefix_mapped(&prefix, (uint8_t *)address.word);
    return address;
}

static void keep(const struct path_address *address, unsigned bits,
                 const struct detect_news *news, void *user)
{
    struct both *b = user;
    b->last[news->detection] = *news;
    b->key[news->detection] = *address;
    b->bits[news->detection] = bits;
    b->changes[news->detection]++;
}

static void ignore(const struct path_address *address, unsigned bits,
                   const struct detect_news *news, void *user)
{
}

/* A group as people write it: "192.0.2.0/28", "dst_pps=100". */
static void add_group(struct value *groups, const char *prefix, const char *name,
                      const char *text)
{
    struct value group = value_table();
    value_table_add(&group, "prefix", value_string(prefix));
    value_table_add(&group, name, value_string(text));
    value_table_add(groups, NULL, group);
}

static void protect(struct both *b, const char *const *addresses)
{
    struct path_address all[16];
    size_t count = 0;
    for (; addresses[count]; count++)
        all[count] = address_of(addresses[count]);
    ck_assert_uint_eq(guarded_set(&b->user, b->rig.user, all, count, &b->groups), 0);
    if (b->rig.kernel)
        ck_assert_uint_eq(guarded_set(&b->kernel, b->rig.kernel, all, count, &b->groups),
                          0);
}

/* groups: taken over. addresses: ended by NULL. */
static void both_open(struct both *b, const char *settings, struct value groups,
                      const char *const *addresses)
{
    struct error err;
    *b = (struct both){ 0 };
    rig_open(&b->rig, settings);
    b->rig.conf.groups = groups;
    ck_assert_msg(!groups_load(&b->groups, &b->rig.conf, &err), "%s", err.text);
    ck_assert_int_eq(guarded_new(&b->user, 64), 0);
    ck_assert_int_eq(guarded_new(&b->kernel, 64), 0);
    protect(b, addresses);
}

static void both_close(struct both *b)
{
    guarded_free(&b->user);
    guarded_free(&b->kernel);
    groups_clear(&b->groups);
    rig_close(&b->rig);
}

static void tick(struct both *b)
{
    if (b->rig.now < b->tick)
        return;
    guarded_tick(&b->user, b->rig.user, b->rig.now, keep, b);
    if (b->rig.kernel)
        guarded_tick(&b->kernel, b->rig.kernel, b->rig.now, ignore, NULL);
    b->tick = b->rig.now + 100 * MS;
}

struct stream {
    struct rig_frame frame;
    uint64_t rate; /* a second */
    uint64_t passed, limited, due;
};

/* All of them at once, in the order of their times; counts what passes and what is dropped for
 * its destination's sake. */
static void run(struct both *b, struct stream *streams, size_t count, uint64_t duration)
{
    uint64_t end = b->rig.now + duration;
    for (size_t i = 0; i < count; i++) {
        streams[i].due = b->rig.now + SEC / streams[i].rate;
        streams[i].passed = streams[i].limited = 0;
    }
    for (;;) {
        struct stream *next = streams;
        for (size_t i = 1; i < count; i++)
            if (streams[i].due < next->due)
                next = &streams[i];
        if (next->due > end)
            break;
        b->rig.now = next->due;
        next->due += SEC / next->rate;
        tick(b);
        struct sentinel_frame frame =
            rig_judge(&b->rig, next->frame.data, next->frame.length);
        next->passed += frame.verdict == VERDICT_PASS;
        next->limited +=
            frame.verdict == VERDICT_DROP && frame.reason == REASON_DST_LIMIT;
    }
    b->rig.now = end;
}

static void about(uint64_t number, uint64_t wanted)
{
    ck_assert_uint_ge(number, wanted * 95 / 100);
    ck_assert_uint_le(number, wanted * 105 / 100);
}

#define COUNT(ARRAY) (sizeof(ARRAY) / sizeof(*(ARRAY)))

/* The longest prefix decides, and who is in none has what all have. */
START_TEST(groups_have_limits_of_their_own)
{
    static const char *const addresses[] = { "192.0.2.1",       "192.0.2.9",
                                             "192.0.2.99",      "2001:db8::1",
                                             "2001:db8:0:1::1", NULL };
    struct stream streams[COUNT(addresses) - 1];
    static const uint64_t rates[] = { 100, 200, 400, 150, 400 };
    struct value groups = value_table();
    struct both b;
    add_group(&groups, "192.0.2.0/28", "dst_udp_pps", "100");
    add_group(&groups, "192.0.2.8/29", "dst_udp_pps", "200");
    add_group(&groups, "2001:db8::/64", "dst_udp_pps", "150");
    both_open(&b, NO_SOURCES "dst_udp_pps=400", groups, addresses);
    for (size_t i = 0; i < COUNT(streams); i++)
        streams[i] = (struct stream){
            .rate = 1000,
            .frame = rig_udp(strchr(addresses[i], ':') ? "2001:db8:9::7" : "198.51.100.7",
                             addresses[i], 1024, 80, 20)
        };
    run(&b, streams, COUNT(streams), 2 * SEC);
    run(&b, streams, COUNT(streams), 3 * SEC);
    for (size_t i = 0; i < COUNT(streams); i++)
        about(streams[i].passed, 3 * rates[i]);
    both_close(&b);
}
END_TEST

/* What is always in force is so before anything happened, and changes with the groups. */
START_TEST(groups_change)
{
    static const char *const addresses[] = { "192.0.2.1", "192.0.2.2", NULL };
    struct stream syns[] = {
        { rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0), .rate = 1000 },
        { rig_tcp("198.51.100.7", "192.0.2.2", 1024, 80, 2, 0), .rate = 1000 },
    };
    struct value groups = value_table();
    struct both b;
    struct groups others;
    struct error err;
    add_group(&groups, "192.0.2.1", "dst_syn_hard_pps", "100");
    both_open(&b, NO_SOURCES, groups, addresses);
    run(&b, syns, 2, SEC);
    about(syns[0].passed, 100 + 20);
    ck_assert_uint_eq(syns[1].passed, 1000);
    value_free(&b.rig.conf.groups);
    b.rig.conf.groups = value_table();
    add_group(&b.rig.conf.groups, "192.0.2.2/31", "dst_syn_hard_pps", "300");
    ck_assert_int_eq(groups_load(&others, &b.rig.conf, &err), 0);
    guarded_regroup(&b.user, &others);
    guarded_regroup(&b.kernel, &others);
    groups_clear(&b.groups);
    b.groups = others;
    run(&b, syns, 2, 2 * SEC);
    ck_assert_uint_ge(syns[0].passed, 1900);
    about(syns[1].passed, 2 * 300 + 60);
    both_close(&b);
}
END_TEST

/* Nothing is too much of anything, but all of it is: of packets, and of bytes. */
START_TEST(an_address_takes_so_much)
{
    static const char *const settings[] = { NO_SOURCES "dst_pps=500",
                                            NO_SOURCES "dst_bps=4mbit" };
    static const enum detection detections[] = { DETECT_DST_PPS, DETECT_DST_BPS };
    static const char *const addresses[] = { "192.0.2.1", "192.0.2.2", NULL };
    enum { TCP, UDP, OTHER, TOO_BIG, NEIGHBOUR };
    struct stream streams[] = {
        { rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 0x18, 946), .rate = 1000 },
        { rig_udp("198.51.100.7", "192.0.2.1", 1024, 80, 958), .rate = 1000 },
        { rig_udp("198.51.100.7", "192.0.2.2", 1024, 80, 958), .rate = 400 },
        { rig_icmp("198.51.100.7", "192.0.2.1", 3, 4, 28), .rate = 100 },
        { rig_udp("198.51.100.9", "192.0.2.1", 53, 1024, 100), .rate = 50 },
    };
    enum detection detection = detections[_i];
    struct sentinel_entry entry = { .kind = KIND_ALLOWED, .automatic = true };
    struct path_address key = address_of("198.51.100.9");
    struct both b;
    both_open(&b, settings[_i], value_table(), addresses);
    ck_assert_int_eq(path_put(b.rig.user, &key, &entry), 0);
    if (b.rig.kernel)
        ck_assert_int_eq(path_put(b.rig.kernel, &key, &entry), 0);
    run(&b, streams, COUNT(streams), 2 * SEC);
    ck_assert_int_eq(b.last[detection].state, STATE_MITIGATE);
    ck_assert_double_eq(b.last[detection].threshold, _i ? 4e6 : 500);
    ck_assert_uint_eq(b.bits[detection], 128);
    run(&b, streams, COUNT(streams), 4 * SEC);
    about(streams[TCP].passed + streams[UDP].passed, 4 * 500);
    ck_assert_uint_eq(streams[TCP].passed + streams[TCP].limited, 4000);
    ck_assert_uint_eq(streams[UDP].passed + streams[UDP].limited, 4000);
    ck_assert_uint_eq(streams[OTHER].passed, 1600);
    ck_assert_uint_eq(streams[TOO_BIG].passed, 400);
    ck_assert_uint_eq(streams[NEIGHBOUR].passed, 200);
    /* half of it is not the end, less is */
    streams[TCP].rate = streams[UDP].rate = 200;
    run(&b, streams, COUNT(streams), 3 * SEC);
    ck_assert_int_eq(b.last[detection].state, STATE_MITIGATE);
    streams[TCP].rate = streams[UDP].rate = 10;
    run(&b, streams, COUNT(streams), 4 * SEC);
    ck_assert_int_eq(b.last[detection].state, STATE_NORMAL);
    ck_assert_uint_eq(b.changes[detection], 4);
    streams[TCP].rate = 400;
    run(&b, streams, COUNT(streams), SEC);
    ck_assert_uint_eq(streams[TCP].limited, 0);
    both_close(&b);
}
END_TEST

/* The negative control of all of them: what is off says nothing, what is dry drops nothing. */
START_TEST(what_is_off_or_dry_drops_nothing)
{
    static const char *const settings[] = {
        NO_SOURCES, NO_SOURCES "dry_run=true dst_pps=500 dst_bps=4mbit prefix_pps=500 "
                               "prefix_bps=4mbit"
    };
    static const enum detection detections[] = { DETECT_DST_PPS, DETECT_DST_BPS,
                                                 DETECT_PREFIX_PPS, DETECT_PREFIX_BPS };
    static const char *const addresses[] = { "192.0.2.1", NULL };
    struct stream udp = { rig_udp("198.51.100.7", "192.0.2.1", 1024, 80, 958),
                          .rate = 2000 };
    struct both b;
    both_open(&b, settings[_i], value_table(), addresses);
    run(&b, &udp, 1, 3 * SEC);
    ck_assert_uint_eq(udp.passed, 6000);
    for (size_t i = 0; i < COUNT(detections); i++) {
        ck_assert_int_eq(b.last[detections[i]].state, _i ? STATE_MITIGATE : STATE_NORMAL);
        ck_assert_uint_eq(b.changes[detections[i]], _i ? 2 : 0);
    }
    both_close(&b);
}
END_TEST

/* Many addresses, none of which gets much: who gets most gets less, others all they got. */
START_TEST(a_prefix_takes_so_much)
{
    static const char *const settings[] = { "prefix_pps=1000", "prefix_bps=8mbit" };
    static const enum detection detections[] = { DETECT_PREFIX_PPS, DETECT_PREFIX_BPS };
    static const char *const v4[] = { "192.0.2.1",   "192.0.2.77", "192.0.2.200",
                                      "192.0.2.255", "192.0.3.1",  NULL };
    static const char *const v6[] = { "2001:db8::1",  "2001:db8::77",  "2001:db8::c8",
                                      "2001:db8::ff", "2001:db8::100", NULL };
    static const uint64_t rates[] = { 50, 150, 900, 1800, 700 };
    const char *const *addresses = _i < 2 ? v4 : v6;
    enum detection detection = detections[_i % 2];
    struct stream streams[COUNT(rates)];
    char all[256];
    struct both b;
    snprintf(all, sizeof(all), NO_SOURCES "%s", settings[_i % 2]);
    both_open(&b, all, value_table(), addresses);
    for (size_t i = 0; i < COUNT(streams); i++)
        streams[i] = (struct stream){ .rate = rates[i],
                                      .frame = rig_udp(
                                          _i < 2 ? "198.51.100.7" : "2001:db8:9::7",
                                          addresses[i], 1024, 80, _i < 2 ? 958 : 938) };
    run(&b, streams, COUNT(streams), 2 * SEC);
    ck_assert_int_eq(b.last[detection].state, STATE_MITIGATE);
    ck_assert_uint_eq(b.bits[detection], 120);
    struct path_address key = address_of(_i < 2 ? "192.0.2.0" : "2001:db8::");
    ck_assert_mem_eq(&b.key[detection], &key, sizeof(key));
    run(&b, streams, COUNT(streams), 4 * SEC);
    ck_assert_uint_eq(streams[0].passed, 4 * 50);
    ck_assert_uint_eq(streams[1].passed, 4 * 150);
    about(streams[2].passed, 4 * 400);
    about(streams[3].passed, 4 * 400);
    ck_assert_uint_eq(streams[4].passed, 4 * 700); /* another prefix */
    for (size_t i = 0; i < COUNT(streams); i++)
        streams[i].rate = 10;
    run(&b, streams, COUNT(streams), 4 * SEC);
    ck_assert_int_eq(b.last[detection].state, STATE_NORMAL);
    streams[3].rate = 700;
    run(&b, streams, COUNT(streams), SEC);
    ck_assert_uint_eq(streams[3].limited, 0);
    both_close(&b);
}
END_TEST

START_TEST(a_prefix_may_be_told_of_only)
{
    static const char *const addresses[] = { "192.0.2.1", "192.0.2.2", NULL };
    struct stream streams[] = {
        { rig_udp("198.51.100.7", "192.0.2.1", 1024, 80, 20), .rate = 900 },
        { rig_udp("198.51.100.7", "192.0.2.2", 1024, 80, 20), .rate = 900 },
    };
    struct both b;
    both_open(&b, NO_SOURCES "prefix_pps=1000 prefix_action=alert", value_table(),
              addresses);
    run(&b, streams, COUNT(streams), 3 * SEC);
    ck_assert_int_eq(b.last[DETECT_PREFIX_PPS].state, STATE_MITIGATE);
    ck_assert_uint_eq(streams[0].passed + streams[1].passed, 2 * 2700);
    both_close(&b);
}
END_TEST

/* An address that is protected no more, or from now on, leaves the others what they were. */
START_TEST(a_prefix_outlives_its_addresses)
{
    static const char *const first[] = { "192.0.2.1", "192.0.2.2", "198.18.0.1", NULL };
    static const char *const second[] = { "192.0.2.2", "192.0.2.3", "203.0.113.1", NULL };
    struct stream streams[] = {
        { rig_udp("198.51.100.7", "192.0.2.1", 1024, 80, 20), .rate = 900 },
        { rig_udp("198.51.100.7", "192.0.2.2", 1024, 80, 20), .rate = 900 },
        { rig_udp("198.51.100.7", "192.0.2.3", 1024, 80, 20), .rate = 900 },
    };
    struct both b;
    both_open(&b, NO_SOURCES "prefix_pps=1000", value_table(), first);
    run(&b, streams, COUNT(streams), 2 * SEC);
    protect(&b, second);
    run(&b, streams, COUNT(streams), SEC);
    run(&b, streams, COUNT(streams), 2 * SEC);
    ck_assert_uint_eq(b.changes[DETECT_PREFIX_PPS], 2);
    ck_assert_uint_eq(streams[0].passed, 1800);
    about(streams[1].passed, 1000);
    about(streams[2].passed, 1000);
    both_close(&b);
}
END_TEST

START_TEST(levels_add_up)
{
    static const struct {
        double rates[4], total, level;
    } cases[] = {
        { { 100, 100, 100, 100 }, 200, 50 },   { { 50, 150, 900, 1800 }, 1000, 400 },
        { { 0, 0, 0, 1000 }, 400, 400 },       { { 900, 50, 1800, 150 }, 1000, 400 },
        { { 100, 0, 100, 0 }, 400, 300 },      { { 240, 260, 250, 250 }, 1000, 250 + 10 },
        { { 1000, 1000, 1000, 1 }, 301, 100 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        double rates[4];
        memcpy(rates, cases[i].rates, sizeof(rates));
        double level = share_level(rates, 4, cases[i].total), sum = 0;
        ck_assert_double_eq_tol(level, cases[i].level, 1e-9);
        for (int k = 0; k < 4; k++)
            sum += rates[k] < level ? rates[k] : level;
        ck_assert_double_le(sum, cases[i].total + 1e-9);
    }
}
END_TEST

/* Where it is, and what is wrong. */
START_TEST(wrong_groups_are_named)
{
    static const struct {
        const char *prefix, *name, *value, *message;
    } cases[] = {
        { "192.0.2.0/33", "dst_pps", "1",
          "groups[2]: prefix: \"192.0.2.0/33\" is not a" },
        { NULL, "dst_pps", "1", "groups[2]: prefix: nothing is not a prefix" },
        { "192.0.2.0/24", "dst_pp", "1",
          "groups[2]: \"dst_pp\" is nothing of a group, did you mean \"dst_pps\"?" },
        { "192.0.2.0/24", "src_syn", "1",
          "groups[2]: \"src_syn\" is nothing of a group" },
        { "192.0.2.0/24", "dst_pps", "-1", "groups[2]: dst_pps" },
        { "192.0.2.0/24", "dst_bps", "1e99", "groups[2]: dst_bps" },
        { "192.0.2.0/24", "syn_action", "cookie", "groups[2]: syn_action" },
        { "198.51.100.0/24", "dst_pps", "1",
          "groups[2]: prefix: 198.51.100.0/24 is that" },
    };
    struct sentinel_conf conf;
    struct value nothing = { VALUE_NIL }, group = value_table();
    struct groups groups;
    struct error err;
    param_parse(sentinel_params, &nothing, &conf, sizeof(conf), &err);
    conf.groups = value_table();
    add_group(&conf.groups, "198.51.100.7/24", "dst_pps", "1");
    if (cases[_i].prefix)
        value_table_add(&group, "prefix", value_string(cases[_i].prefix));
    value_table_add(&group, cases[_i].name, value_string(cases[_i].value));
    value_table_add(&conf.groups, NULL, group);
    ck_assert_int_ne(groups_load(&groups, &conf, &err), 0);
    ck_assert_msg(strstr(err.text, cases[_i].message) == err.text, "%s", err.text);
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    param_free(sentinel_params, &conf);
}
END_TEST

START_TEST(groups_are_a_list)
{
    struct sentinel_conf conf;
    struct value nothing = { VALUE_NIL };
    struct groups groups;
    struct error err;
    param_parse(sentinel_params, &nothing, &conf, sizeof(conf), &err);
    ck_assert_int_eq(groups_load(&groups, &conf, &err), 0);
    groups_clear(&groups);
    conf.groups = value_string("192.0.2.0/24");
    ck_assert_int_ne(groups_load(&groups, &conf, &err), 0);
    ck_assert_msg(strstr(err.text, "groups: a list") == err.text, "%s", err.text);
    value_free(&conf.groups);
    conf.groups = value_table();
    for (int i = 0; i <= GROUPS_MAX; i++)
        add_group(&conf.groups, "192.0.2.0/24", "dst_pps", "1");
    ck_assert_int_ne(groups_load(&groups, &conf, &err), 0);
    ck_assert_msg(strstr(err.text, "groups: a list of up to 256") == err.text, "%s",
                  err.text);
    param_free(sentinel_params, &conf);
}
END_TEST

static Suite *suite_sentinel_groups(void)
{
    Suite *suite = suite_create("sentinel_groups");
    TCase *tcase = tcase_create("sentinel_groups");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, groups_have_limits_of_their_own);
    tcase_add_test(tcase, groups_change);
    tcase_add_loop_test(tcase, an_address_takes_so_much, 0, 2);
    tcase_add_loop_test(tcase, what_is_off_or_dry_drops_nothing, 0, 2);
    tcase_add_loop_test(tcase, a_prefix_takes_so_much, 0, 4);
    tcase_add_test(tcase, a_prefix_may_be_told_of_only);
    tcase_add_test(tcase, a_prefix_outlives_its_addresses);
    tcase_add_test(tcase, levels_add_up);
    tcase_add_loop_test(tcase, wrong_groups_are_named, 0, 8);
    tcase_add_test(tcase, groups_are_a_list);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(sentinel_groups)
