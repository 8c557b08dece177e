/* FlowSentinel's blocks of whole IPv6 networks: both data paths, and the app. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/apps.h"
#include "apps/flow_sentinel/flow_sentinel.h"
#include "lib/prefix.h"
#include "selftest/selftest.h"
#include "selftest/sentinel_app.h"
#include "selftest/sentinel_rig.h"
#include "selftest/support.h"

#define MS  1000000ull
#define SEC 1000000000ull

/* --- both data paths ---------------------------------------------------------------------- */

struct told {
    unsigned count;
    struct prefix last;
    struct sentinel_entry entry;
};

static void tell(const struct path_address *key, const struct sentinel_entry *entry,
                 void *user)
{
    struct told *told = user;
    told->count++;
    told->last = networks_prefix(key->word, 64);
    told->entry = *entry;
}

static void count_one(const struct path_address *key, const void *value, void *user)
{
    networks_count(user, key, value);
}

static void look_at(struct path *path, const struct sentinel_rig *rig, uint32_t most,
                    struct told *told)
{
    struct networks networks = { 0 };
    networks_begin(&networks, most, (unsigned)rig->conf.source_prefix6, rig->now);
    path_entries(path, count_one, &networks);
    networks_end(&networks, path, &rig->policy, tell, told);
    networks_free(&networks);
}

/* What the app does every second. */
static struct told look(struct sentinel_rig *rig, uint32_t most)
{
    struct told user = { 0 }, kernel = { 0 };
    look_at(rig->user, rig, most, &user);
    if (rig->kernel) {
        look_at(rig->kernel, rig, most, &kernel);
        ck_assert_uint_eq(user.count, kernel.count);
        ck_assert_uint_eq(rig->user->state->networks, rig->kernel->state->networks);
        ck_assert_uint_eq(rig->user->state->blocks, rig->kernel->state->blocks);
    }
    return user;
}

/* Sources 2001:db8:1:xxyy::/64, of which the /56 is xx00. */
static void block(struct sentinel_rig *rig, unsigned network, unsigned first,
                  unsigned count)
{
    char text[64];
    for (unsigned i = first; i < first + count; i++) {
        snprintf(text, sizeof(text), "2001:db8:1:%x::", network << 8 | i);
        rig_put(rig, text, KIND_BLOCKED, rig->now + 60 * SEC);
    }
}

static struct sentinel_frame judge(struct sentinel_rig *rig, const char *source)
{
    struct rig_frame frame = rig_udp(
        source, strchr(source, ':') ? "2001:db8:ffff::1" : "192.0.2.1", 1024, 80, 20);
    return rig_judge(rig, frame.data, frame.length);
}

static bool passes(struct sentinel_rig *rig, const char *source)
{
    struct sentinel_frame frame = judge(rig, source);
    ck_assert(frame.verdict == VERDICT_PASS ||
              (frame.verdict == VERDICT_DROP && frame.reason == REASON_BLOCKED));
    return frame.verdict == VERDICT_PASS;
}

static void is(const struct prefix *prefix, const char *wanted)
{
    char text[PREFIX_TEXT_SIZE];
    ck_assert_str_eq(prefix_format(prefix, text), wanted);
}

START_TEST(many_sources_are_a_network)
{
    struct sentinel_rig rig;
    rig_open(&rig, "hold_rate=0");
    block(&rig, 0x22, 3, 16);
    rig_put(&rig, "198.51.100.7", KIND_BLOCKED, rig.now + 60 * SEC);
    ck_assert_uint_eq(look(&rig, 16).count, 0);
    ck_assert(passes(&rig, "2001:db8:1:22ff::1"));
    block(&rig, 0x22, 30, 1);
    struct told told = look(&rig, 16);
    ck_assert_uint_eq(told.count, 1);
    is(&told.last, "2001:db8:1:2200::/56");
    ck_assert_uint_eq(told.entry.ttl, 60 * SEC);
    ck_assert(!passes(&rig, "2001:db8:1:22ff::1"));
    ck_assert(!passes(&rig, "2001:db8:1:2200::1"));
    ck_assert(!passes(&rig, "2001:db8:1:2203::1"));
    ck_assert(passes(&rig, "2001:db8:1:2300::1"));
    ck_assert(passes(&rig, "2001:db8:1:21ff::1"));
    ck_assert(passes(&rig, "198.51.100.8"));
    ck_assert_uint_eq(look(&rig, 16).count, 0); /* once is enough */
    rig.now += 60 * SEC - 1;
    ck_assert(!passes(&rig, "2001:db8:1:22ff::1"));
    rig.now++;
    ck_assert(passes(&rig, "2001:db8:1:22ff::1"));
    ck_assert_uint_eq(look(&rig, 16).count, 0); /* what has ended does not count */
    block(&rig, 0x22, 3, 17);
    told = look(&rig, 16);
    ck_assert_uint_eq(told.count, 1);
    ck_assert_uint_eq(told.entry.ttl, 120 * SEC); /* again */
    rig_close(&rig);
}
END_TEST

START_TEST(many_networks_are_a_larger_one)
{
    struct sentinel_rig rig;
    rig_open(&rig, NULL);
    for (unsigned network = 0; network < 5; network++)
        block(&rig, network, 0, 4);
    ck_assert_uint_eq(look(&rig, 3).count, 5);
    ck_assert(passes(&rig, "2001:db8:1:5500::1"));
    struct told told = look(&rig, 3);
    ck_assert_uint_eq(told.count, 1);
    is(&told.last, "2001:db8:1::/48");
    ck_assert(!passes(&rig, "2001:db8:1:5500::1"));
    ck_assert(passes(&rig, "2001:db8:2::1"));
    ck_assert_uint_eq(look(&rig, 3).count, 0);
    rig_close(&rig);
}
END_TEST

/* Sources of another length: the next size is that of more than one. */
START_TEST(sources_may_be_larger)
{
    struct sentinel_rig rig;
    rig_open(&rig, "source_prefix6=56");
    for (unsigned network = 0; network < 17; network++)
        block(&rig, network, 0, 1);
    struct told told = look(&rig, 16);
    ck_assert_uint_eq(told.count, 1);
    is(&told.last, "2001:db8:1::/48");
    ck_assert(!passes(&rig, "2001:db8:1:5500::1"));
    rig_policy(&rig, "source_prefix6=48");
    rig.now += 3600 * SEC;
    for (unsigned i = 0; i < 20; i++) {
        char text[64];
        snprintf(text, sizeof(text), "2001:db8:%x::", i);
        rig_put(&rig, text, KIND_BLOCKED, rig.now + 60 * SEC);
    }
    ck_assert_uint_eq(look(&rig, 16).count, 0);
    rig_close(&rig);
}
END_TEST

/* By hand, by a list, or as one who must not be blocked: within a network they stay it. */
START_TEST(who_is_allowed_in_it_stays_so)
{
    struct sentinel_rig rig;
    struct sentinel_entry router = { .kind = KIND_ALLOWED, .automatic = true };
    struct path_listed listed = rig_listed("2001:db8:1:22f0::/60", KIND_ALLOWED);
    struct path_address key;
    struct prefix prefix;
    rig_open(&rig, NULL);
    rig_list(&rig, &listed, 1);
    rig_put(&rig, "2001:db8:1:2277::7", KIND_ALLOWED, 0);
    ck_assert_int_eq(prefix_parse(&prefix, "2001:db8:1:2288::8"), 0);
    prefix_mapped(&prefix, (uint8_t *)key.word);
    ck_assert_int_eq(path_put(rig.user, &key, &router), 0);
    if (rig.kernel)
        ck_assert_int_eq(path_put(rig.kernel, &key, &router), 0);
    block(&rig, 0x22, 0, 17);
    ck_assert_uint_eq(look(&rig, 16).count, 1);
    ck_assert(passes(&rig, "2001:db8:1:22f5::1"));
    ck_assert(passes(&rig, "2001:db8:1:2277::7"));
    ck_assert(passes(&rig, "2001:db8:1:2288::8"));
    ck_assert(!passes(&rig, "2001:db8:1:2277::8"));
    ck_assert(!passes(&rig, "2001:db8:1:2288::9"));
    rig_close(&rig);
}
END_TEST

/* While something comes, by its own name. */
START_TEST(a_network_goes_on)
{
    struct sentinel_rig rig;
    rig_open(&rig, "src_syn.pps=10 hold_down=2s ttl=60s");
    block(&rig, 0x22, 0, 17);
    ck_assert_uint_eq(look(&rig, 16).count, 1);
    struct prefix prefix;
    struct path_address key;
    struct sentinel_entry entry;
    ck_assert_int_eq(prefix_parse(&prefix, "2001:db8:1:22ff::1"), 0);
    rig.now += 59 * SEC;
    for (int i = 0; i < 400; i++, rig.now += 10 * MS)
        ck_assert(!passes(&rig, "2001:db8:1:22ff::1"));
    ck_assert(networks_get(rig.user, &prefix, &key, &entry));
    ck_assert_uint_eq(entry.ttl, 120 * SEC);
    ck_assert_uint_eq(entry.packets, 400);
    if (rig.kernel) {
        ck_assert(networks_get(rig.kernel, &prefix, &key, &entry));
        ck_assert_uint_eq(entry.ttl, 120 * SEC);
    }
    rig_close(&rig);
}
END_TEST

/* Off, in a dry run, or without room. */
START_TEST(networks_need_not_be_blocked)
{
    static const char *const settings[] = { NULL, "dry_run=true", "max_blocks=1024" };
    struct sentinel_rig rig;
    rig_open(&rig, settings[_i]);
    for (unsigned network = 0; network < 4; network++)
        block(&rig, network, 0, 256);
    ck_assert_uint_eq(rig.user->state->blocks, 1024);
    ck_assert_uint_eq(look(&rig, _i ? 16 : 0).count, 0);
    ck_assert_uint_eq(rig.user->state->networks, 0);
    ck_assert_uint_eq(rig.user->state->insert_failed, _i == 2 ? 4 : 0);
    ck_assert(passes(&rig, "2001:db8:1:5500::1"));
    rig_close(&rig);
}
END_TEST

/* No address that frames may come from has the key of a network, nor a key as if it had one. */
START_TEST(keys_are_nobody_elses)
{
    static const char *const sources[] = { "2001:db8:1:2200::", "::ffff:198.51.100.7",
                                           "fe80::1", "2001:db8::" };
    for (size_t i = 0; i < 4; i++) {
        struct prefix prefix;
        uint32_t address[4];
        ck_assert_int_eq(prefix_parse(&prefix, sources[i]), 0);
        prefix_mapped(&prefix, (uint8_t *)address);
        prefix = networks_prefix(address, 64);
        ck_assert_uint_eq(prefix.bits, prefix.family == AF_INET ? 32 : 64);
        struct path_address large = networks_key(address, 48),
                            small = networks_key(address, 56);
        ck_assert_uint_eq(*(uint8_t *)large.word, 0xff);
        ck_assert_mem_ne(&large, &small, sizeof(large));
    }
}
END_TEST

/* --- the app ------------------------------------------------------------------------------- */

static struct engine *engine;
static char file[] = "/tmp/vanguard-networks-XXXXXX";

static void setup(void)
{
    strcpy(file + sizeof(file) - 7, "XXXXXX");
    close(mkstemp(file));
    unlink(file);
    engine = test_engine(1);
}

static void teardown(void)
{
    engine_free(engine);
    unlink(file);
}

static void guard(const char *name, const char *value)
{
    struct graph *graph = graph_new();
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "guard", "FlowSentinel", "src_syn", "100", "snapshot", file, name,
             value, NULL);
    test_app(graph, "out", "Collect", NULL);
    ((struct sentinel_conf *)graph_find_app(graph, "guard")->conf)->src_syn.burst = 20;
    test_link(graph, "in -> guard");
    test_link(graph, "guard -> out");
    test_configure(engine, graph);
}

/* A bit more than a second. */
static void wait_ticks(void)
{
    for (int i = 0; i < 11; i++)
        guard_wait(engine, 100 * MS);
}

/* From one /64 to the next; a second later. */
static void rotate(unsigned sources)
{
    for (unsigned i = 0; i < sources; i++) {
        struct rig_frame syn =
            rig_tcp("2001:db8:1:2200::1", "2001:db8:ffff::1", 1024, 80, 2, 0);
        syn.data[29] = (uint8_t)i;
        for (int n = 0; n < 100; n++)
            test_inject_bytes(engine, "in", syn.data, syn.length);
        guard_wait(engine, MS);
    }
    wait_ticks();
}

static uint64_t dropped_of_another(void)
{
    struct rig_frame udp =
        rig_udp("2001:db8:1:22ff::1", "2001:db8:ffff::1", 1024, 80, 20);
    uint64_t before = test_counter(engine, "guard", "drop_blocked");
    test_inject_bytes(engine, "in", udp.data, udp.length);
    guard_wait(engine, MS);
    return test_counter(engine, "guard", "drop_blocked") - before;
}

static unsigned rotations(void)
{
    struct value news = guard_ask(engine, "news", NULL);
    unsigned count = 0;
    for (size_t i = 0; i < news.table->count; i++) {
        const struct value *row = &news.table->fields[i].value;
        if (strcmp(value_get(row, "detection")->string, "rotation"))
            continue;
        count++;
        ck_assert_str_eq(value_get(row, "event")->string, "block");
        ck_assert_str_eq(value_get(row, "source")->string, "2001:db8:1:2200::/56");
        ck_assert_double_eq(guard_number(row, "ttl"), 60);
    }
    value_free(&news);
    return count;
}

START_TEST(rotation_is_met)
{
    guard("block_networks", "20");
    rotate(20);
    ck_assert_uint_eq(rotations(), 0);
    ck_assert_uint_eq(dropped_of_another(), 0);
    rotate(21);
    ck_assert_uint_eq(rotations(), 1);
    ck_assert_uint_eq(dropped_of_another(), 1);
    struct value list = guard_ask(engine, "list", "kind", "blocked", NULL);
    ck_assert_uint_eq(list.table->count, 22);
    ck_assert_ptr_nonnull(guard_row(&list, "address", "2001:db8:1:2200::/56"));
    ck_assert_ptr_nonnull(guard_row(&list, "address", "2001:db8:1:2200::/64"));
    value_free(&list);
    struct value why = guard_ask(engine, "why", "address", "2001:db8:1:22ff::1", NULL);
    ck_assert_str_eq(value_get(&why, "kind")->string, "blocked");
    value_free(&why);
}
END_TEST

/* The negative control: off, and in a dry run, in which nobody is blocked. */
START_TEST(rotation_may_be_ignored)
{
    guard(_i ? "dry_run" : "block_networks", _i ? "true" : "0");
    rotate(60);
    ck_assert_uint_eq(rotations(), 0);
    ck_assert_uint_eq(dropped_of_another(), 0);
    if (_i)
        ck_assert_uint_eq(guard_drops(engine), 0);
}
END_TEST

/* By hand: of an address in it, and it is not there again a second later. */
START_TEST(a_network_is_let_off)
{
    guard("ttl", "60s");
    rotate(40);
    ck_assert_uint_eq(dropped_of_another(), 1);
    guard_tell(engine, "unban", "address", "2001:db8:1:22ff::1", NULL);
    wait_ticks();
    wait_ticks();
    ck_assert_uint_eq(dropped_of_another(), 0);
    struct value list = guard_ask(engine, "list", NULL);
    ck_assert_uint_eq(list.table->count, 0);
    value_free(&list);
    rotate(17);
    ck_assert_uint_eq(dropped_of_another(), 1);
    guard_tell(engine, "allow", "address", "2001:db8:1:2200::/60", NULL);
    ck_assert_uint_eq(dropped_of_another(), 1);
    guard_tell(engine, "disallow", "address", "2001:db8:1:2200::/60", NULL);
    guard_tell(engine, "allow", "address", "2001:db8::/32", NULL);
    list = guard_ask(engine, "list", "kind", "blocked", NULL);
    ck_assert_uint_eq(list.table->count, 0);
    value_free(&list);
    guard_tell(engine, "disallow", "address", "2001:db8::/32", NULL);
    rotate(17);
    ck_assert_uint_eq(dropped_of_another(), 1);
    guard_tell(engine, "flush", NULL);
    ck_assert_uint_eq(dropped_of_another(), 0);
}
END_TEST

START_TEST(a_network_outlives_us)
{
    guard("ttl", "60s");
    rotate(17);
    engine_free(engine);
    engine = test_engine(1);
    guard("ttl", "60s");
    ck_assert_uint_eq(dropped_of_another(), 1);
    struct value list = guard_ask(engine, "list", NULL);
    ck_assert_uint_eq(list.table->count, 18);
    value_free(&list);
}
END_TEST

/* --- ticks ----------------------------------------------------------------------------------- */

START_TEST(slow_ticks_are_counted)
{
    static const uint64_t ms[] = { 1, 100, 101, 5, 200, 200, 1, 150, 150, 150, 150, 2 };
    static const uint64_t overruns[] = { 0, 0, 1, 1, 2, 3, 3, 4, 5, 6, 7, 7 };
    static const uint64_t stalls[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1 };
    struct gauges gauges = { 0 };
    for (size_t i = 0; i < sizeof(ms) / sizeof(*ms); i++) {
        sentinel_note_tick(&gauges, ms[i] * MS);
        ck_assert_uint_eq(gauges.overruns, overruns[i]);
        ck_assert_uint_eq(gauges.stalls, stalls[i]);
    }
}
END_TEST

static Suite *suite_sentinel_networks(void)
{
    Suite *suite = suite_create("sentinel_networks");
    TCase *tcase = tcase_create("sentinel_networks");
    TCase *app = tcase_create("app");
    tcase_add_test(tcase, many_sources_are_a_network);
    tcase_add_test(tcase, many_networks_are_a_larger_one);
    tcase_add_test(tcase, sources_may_be_larger);
    tcase_add_test(tcase, who_is_allowed_in_it_stays_so);
    tcase_add_test(tcase, a_network_goes_on);
    tcase_add_loop_test(tcase, networks_need_not_be_blocked, 0, 3);
    tcase_add_test(tcase, keys_are_nobody_elses);
    tcase_add_test(tcase, slow_ticks_are_counted);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_checked_fixture(app, setup, teardown);
    tcase_add_test(app, rotation_is_met);
    tcase_add_loop_test(app, rotation_may_be_ignored, 0, 2);
    tcase_add_test(app, a_network_is_let_off);
    tcase_add_test(app, a_network_outlives_us);
    tcase_set_timeout(app, 60);
    suite_add_tcase(suite, app);
    return suite;
}

SUITE(sentinel_networks)
