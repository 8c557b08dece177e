/* FlowSentinel as an app: in a graph, on a clock that the test sets. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/apps.h"
#include "apps/flow_sentinel/flow_sentinel.h"
#include "selftest/selftest.h"
#include "selftest/sentinel_app.h"
#include "selftest/sentinel_rig.h"
#include "selftest/support.h"

#define MS  1000000ull
#define SEC 1000000000ull

static struct engine *engine;

static void setup(void)
{
    engine = test_engine(1);
}

static void teardown(void)
{
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), 0);
}

static struct graph *graph_of(const char *name, const char *value, const char *name2,
                              const char *value2)
{
    struct graph *graph = graph_new();
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "guard", "FlowSentinel", "src_syn", "500", "max_static", "1024",
             "max_blocks", "1024", name, value, name2, value2, NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "in -> guard");
    test_link(graph, "guard -> out");
    return graph;
}

static void guard_graph(const char *name, const char *value)
{
    test_configure(engine, graph_of(name, value, NULL, NULL));
}

static void advance(uint64_t ns)
{
    test_breathe(engine, 1);
    engine_set_time(engine, engine_now(engine) + ns);
}

static void inject(const struct rig_frame *frame)
{
    test_inject_bytes(engine, "in", frame->data, frame->length);
}

/* So many frames a second for so long. */
static void flood(const struct rig_frame *frame, uint64_t rate, uint64_t duration)
{
    for (uint64_t i = 0; i < rate * duration / SEC; i++) {
        inject(frame);
        advance(SEC / rate);
    }
}

static void check_conservation(void)
{
    uint64_t packets = test_counter(engine, "guard", "packets");
    ck_assert_uint_eq(packets,
                      test_counter(engine, "guard", "passed") + guard_drops(engine));
    ck_assert_uint_gt(packets, 0);
}

START_TEST(a_flood_is_blocked)
{
    guard_graph(NULL, NULL);
    struct rig_frame syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    flood(&syn, 2000, 2 * SEC);
    ck_assert_uint_gt(test_counter(engine, "guard", "drop_blocked"), 2000);
    struct rig_frame udp = rig_udp("198.51.100.8", "192.0.2.1", 1024, 80, 20);
    uint64_t passed = test_counter(engine, "guard", "passed");
    flood(&udp, 100, SEC);
    ck_assert_uint_eq(test_counter(engine, "guard", "passed"), passed + 100);
    check_conservation();
}
END_TEST

START_TEST(people_can_ask_and_tell)
{
    guard_graph(NULL, NULL);
    struct rig_frame udp = rig_udp("198.51.100.8", "192.0.2.1", 1024, 80, 20);
    guard_tell(engine, "ban", "address", "198.51.100.8", NULL);
    flood(&udp, 100, 100 * MS);
    ck_assert_uint_eq(test_counter(engine, "guard", "drop_banned"), 10);
    struct value list = guard_ask(engine, "list", NULL);
    ck_assert_uint_eq(list.table->count, 1);
    ck_assert_str_eq(value_get(&list.table->fields[0].value, "address")->string,
                     "198.51.100.8");
    ck_assert_str_eq(value_get(&list.table->fields[0].value, "kind")->string, "banned");
    ck_assert_int_eq(value_get(&list.table->fields[0].value, "packets")->integer, 10);
    value_free(&list);
    guard_tell(engine, "unban", "address", "198.51.100.8", NULL);
    flood(&udp, 100, 100 * MS);
    ck_assert_uint_eq(test_counter(engine, "guard", "drop_banned"), 10);
    guard_tell(engine, "ban", "address", "198.51.100.0/24", NULL);
    flood(&udp, 100, 100 * MS);
    ck_assert_uint_eq(test_counter(engine, "guard", "drop_listed"), 10);
    guard_tell(engine, "allow", "address", "198.51.100.8", NULL);
    flood(&udp, 100, 100 * MS);
    ck_assert_uint_eq(test_counter(engine, "guard", "drop_listed"), 10);
    check_conservation();
}
END_TEST

/* What is pinned goes with us, later: nobody is let off before. */
START_TEST(to_detach_is_not_to_flush)
{
    guard_graph(NULL, NULL);
    struct rig_frame syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    flood(&syn, 2000, SEC);
    guard_tell(engine, "detach", NULL);
    struct value list = guard_ask(engine, "list", NULL);
    ck_assert_uint_eq(list.table->count, 1);
    value_free(&list);
    guard_tell(engine, "flush", NULL);
    list = guard_ask(engine, "list", NULL);
    ck_assert_uint_eq(list.table->count, 0);
    value_free(&list);
}
END_TEST

/* Who is allowed is not banned by a slip of the hand. */
START_TEST(an_allowed_one_is_not_banned)
{
    guard_graph("allow", "198.51.100.0/24");
    guard_refuses(engine, "allowed", "ban", "address", "198.51.100.8", NULL);
}
END_TEST

static const struct value *find_event(const struct value *news, const char *event,
                                      const char *detection, const char *state)
{
    for (size_t i = 0; i < news->table->count; i++) {
        const struct value *row = &news->table->fields[i].value;
        const struct value *in = value_get(row, "state");
        if (!strcmp(value_get(row, "event")->string, event) &&
            !strcmp(value_get(row, "detection")->string, detection) &&
            (!state || (in && !strcmp(in->string, state))))
            return row;
    }
    return NULL;
}

/* Many sources, none of which does much: the address they flood is what is looked at. */
START_TEST(a_spoofed_flood_is_limited)
{
    test_configure(engine, graph_of("protect", "192.0.2.1", "dst_syn_pps", "200"));
    uint64_t random = 88172645463325252ull, passed = 0;
    for (int i = 0; i < 8000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        struct rig_frame syn = rig_tcp("11.0.0.1", "192.0.2.1", 1024, 80, 2, 0);
        memcpy(syn.data + 27, &random, 3);
        inject(&syn);
        advance(SEC / 2000);
        if (i == 3999)
            passed = test_counter(engine, "guard", "passed");
    }
    passed = test_counter(engine, "guard", "passed") - passed;
    /* 200 a second for two seconds */
    ck_assert_uint_ge(passed, 390);
    ck_assert_uint_le(passed, 450);
    ck_assert_uint_gt(test_counter(engine, "guard", "drop_syn_limit"), 5000);
    struct value news = guard_ask(engine, "news", NULL),
                 list = guard_ask(engine, "list", NULL);
    const struct value *row = find_event(&news, "state", "dst_syn", "mitigate");
    ck_assert_ptr_nonnull(row);
    ck_assert_str_eq(value_get(row, "destination")->string, "192.0.2.1");
    ck_assert_uint_eq(list.table->count, 0); /* nobody is blocked */
    value_free(&news);
    value_free(&list);
    check_conservation();
}
END_TEST

/* Answers of many reflectors: dropped by their port, and nobody is blocked. */
START_TEST(reflectors_are_dropped_by_port)
{
    test_configure(engine, graph_of("protect", "192.0.2.1", "ampl_dst_pps", "100"));
    for (int i = 0; i < 4000; i++) {
        struct rig_frame dns = rig_udp("198.18.0.1", "192.0.2.1", 53, 40000, 800);
        dns.data[29] = (uint8_t)i;
        dns.data[44] = 0x80; /* an answer */
        inject(&dns);
        struct rig_frame web = rig_udp("198.18.0.1", "192.0.2.1", 443, 40000, 800);
        inject(&web);
        struct rig_frame question = rig_udp("198.18.0.2", "192.0.2.1", 53, 53, 800);
        inject(&question);
        advance(SEC / 2000);
    }
    ck_assert_uint_gt(test_counter(engine, "guard", "drop_amplification"), 2500);
    ck_assert_uint_ge(test_counter(engine, "guard", "passed"),
                      4000); /* all of the web's */
    struct value list = guard_ask(engine, "list", NULL);
    ck_assert_uint_eq(list.table->count, 0);
    value_free(&list);
    check_conservation();
}
END_TEST

/* Carpet bombing is told of by its prefix, what is too much in bits in bits. */
START_TEST(a_prefix_is_limited)
{
    struct graph *graph = graph_of("protect", "192.0.2.0/30", "src_pps", "0");
    struct sentinel_conf *conf = graph_find_app(graph, "guard")->conf;
    struct value group = value_table();
    conf->prefix_pps = 1000;
    conf->groups = value_table();
    value_table_add(&group, "prefix", value_string("192.0.2.2"));
    value_table_add(&group, "dst_bps", value_string("100kbit"));
    value_table_add(&conf->groups, NULL, group);
    test_configure(engine, graph);
    for (int i = 0; i < 6000; i++) {
        struct rig_frame udp = rig_udp("198.51.100.8", "192.0.2.1", 1024, 80, 458);
        udp.data[33] = (uint8_t)(i & 3);
        inject(&udp);
        advance(SEC / 2000);
    }
    ck_assert_uint_gt(test_counter(engine, "guard", "drop_dst_limit"), 2000);
    struct value news = guard_ask(engine, "news", NULL);
    const struct value *row = find_event(&news, "state", "prefix_pps", "mitigate");
    ck_assert_ptr_nonnull(row);
    ck_assert_str_eq(value_get(row, "destination")->string, "192.0.2.0/24");
    ck_assert_int_eq(value_get(row, "threshold")->integer, 1000);
    row = find_event(&news, "state", "dst_bps", "mitigate");
    ck_assert_ptr_nonnull(row);
    ck_assert_str_eq(value_get(row, "destination")->string, "192.0.2.2");
    ck_assert_int_eq(value_get(row, "threshold")->integer, 100000);
    value_free(&news);
    check_conservation();
}
END_TEST

/* Another policy and other lists in place: who is blocked stays blocked. */
START_TEST(a_new_policy_forgets_nobody)
{
    guard_graph(NULL, NULL);
    struct rig_frame syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    flood(&syn, 2000, SEC);
    uint64_t blocked = test_counter(engine, "guard", "drop_blocked");
    ck_assert_uint_gt(blocked, 0);
    guard_graph("block", "203.0.113.0/24");
    flood(&syn, 1000, 100 * MS);
    ck_assert_uint_eq(test_counter(engine, "guard", "drop_blocked"), blocked + 100);
    struct rig_frame udp = rig_udp("203.0.113.8", "192.0.2.1", 1024, 80, 20);
    flood(&udp, 100, 100 * MS);
    ck_assert_uint_eq(test_counter(engine, "guard", "drop_listed"), 10);
}
END_TEST

/* What people banned or allowed at run time no parameter knows: it outlives a change of the
 * lists, and is as theirs to take back as before. */
START_TEST(what_people_said_outlives_new_lists)
{
    guard_graph("block", "203.0.113.0/24");
    guard_tell(engine, "ban", "address", "198.51.100.0/24", NULL);
    guard_tell(engine, "allow", "address", "203.0.113.128/25", NULL);
    guard_graph("block", "192.0.0.0/16");
    struct rig_frame udp = rig_udp("198.51.100.8", "192.0.2.1", 1024, 80, 20);
    flood(&udp, 100, 100 * MS);
    ck_assert_uint_eq(test_counter(engine, "guard", "drop_listed"), 10);
    udp = rig_udp("203.0.113.8", "192.0.2.1", 1024, 80, 20);
    flood(&udp, 100, 100 * MS); /* of the old list */
    ck_assert_uint_eq(test_counter(engine, "guard", "drop_listed"), 10);
    struct value list = guard_ask(engine, "list", NULL);
    ck_assert_uint_eq(list.table->count, 3);
    value_free(&list);
    guard_tell(engine, "unban", "address", "198.51.100.0/24", NULL);
    guard_graph(NULL, NULL);
    list = guard_ask(engine, "list", NULL);
    ck_assert_uint_eq(list.table->count, 1);
    value_free(&list);
}
END_TEST

/* Blocks are asked before lists are: who is allowed from now on is let off. */
START_TEST(who_is_allowed_is_let_off)
{
    guard_graph(NULL, NULL);
    struct rig_frame syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    flood(&syn, 2000, SEC);
    ck_assert_uint_gt(test_counter(engine, "guard", "drop_blocked"), 0);
    if (_i)
        guard_graph("allow", "198.51.100.0/24");
    else
        guard_tell(engine, "allow", "address", "198.51.100.0/24", NULL);
    uint64_t passed = test_counter(engine, "guard", "passed");
    flood(&syn, 2000, SEC);
    ck_assert_uint_eq(test_counter(engine, "guard", "passed"), passed + 2000);
}
END_TEST

/* A source of IPv6 is a network: any address of it may be named. */
START_TEST(a_network_is_unblocked_by_its_address)
{
    guard_graph(NULL, NULL);
    struct rig_frame syn = rig_tcp("2001:db8:1:2::7", "2001:db8::1", 1024, 80, 2, 0);
    flood(&syn, 2000, SEC);
    struct value answer = guard_ask(engine, "unban", "address", "2001:db8:1:2::7", NULL);
    ck_assert(answer.kind == VALUE_BOOL && answer.boolean);
    answer = guard_ask(engine, "unban", "address", "2001:db8:1:2::7", NULL);
    ck_assert(answer.kind == VALUE_BOOL && !answer.boolean);
}
END_TEST

/* Events that nobody asks for are not kept for ever, and not lost without a word. */
START_TEST(missed_events_are_counted)
{
    struct graph *graph = graph_new();
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "guard", "FlowSentinel", "src_udp", "10", NULL);
    test_link(graph, "in -> guard");
    test_configure(engine, graph);
    struct rig_frame udp = rig_udp("10.0.0.1", "192.0.2.1", 1024, 80, 20);
    for (int i = 0; i < 5000; i++) {
        udp.data[28] = (uint8_t)(i >> 8);
        udp.data[29] = (uint8_t)i;
        for (int n = 0; n < 10; n++)
            inject(&udp);
        advance(MS);
    }
    struct value news = guard_ask(engine, "news", NULL),
                 status = guard_ask(engine, "status", NULL);
    int64_t missed = value_get(&status, "events_missed")->integer;
    ck_assert_uint_eq(news.table->count, 4096);
    ck_assert_int_ge(missed, 4990 - 4096);
    ck_assert_int_le(missed, 5010 - 4096);
    value_free(&news);
    value_free(&status);
}
END_TEST

/* A banned prefix within an allowed one is none, though another one lies within it; unless it is
 * meant. */
START_TEST(who_is_allowed_twice_is_not_banned)
{
    struct value block = value_table(), answer;
    value_table_add(&block, NULL, value_string("198.51.100.0/24"));
    value_table_add(&block, NULL, value_string("203.0.113.0/24"));
    struct graph *graph = graph_of("allow", "198.51.0.0/16", NULL, NULL);
    ((struct sentinel_conf *)graph_find_app(graph, "guard")->conf)->block = block;
    test_configure(engine, graph);
    guard_tell(engine, "allow", "address", "198.51.100.0/26", NULL);
    guard_tell(engine, "allow", "address", "203.0.113.0/26", NULL);
    struct rig_frame udp = rig_udp("198.51.100.200", "192.0.2.1", 1024, 80, 20);
    struct rig_frame other = rig_udp("203.0.113.200", "192.0.2.1", 1024, 80, 20);
    flood(&udp, 100, 100 * MS);
    ck_assert_uint_eq(test_counter(engine, "guard", "drop_listed"), 0);
    flood(&other, 100, 100 * MS);
    ck_assert_uint_eq(test_counter(engine, "guard", "drop_listed"), 10);
    guard_refuses(engine, "allowed", "ban", "address", "198.51.100.192/26", NULL);
    guard_tell(engine, "ban", "address", "198.51.100.192/26", "force", "true", NULL);
    flood(&udp, 100, 100 * MS);
    ck_assert_uint_eq(test_counter(engine, "guard", "drop_listed"), 20);
    answer = guard_ask(engine, "why", "address", "198.51.100.200", NULL);
    ck_assert_str_eq(value_get(&answer, "prefix")->string, "198.51.100.192/26");
    ck_assert_str_eq(value_get(&answer, "listed")->string, "banned");
    value_free(&answer);
}
END_TEST

/* A slip of the hand is not nobody. */
START_TEST(kinds_have_names)
{
    guard_graph(NULL, NULL);
    guard_tell(engine, "ban", "address", "198.51.100.8", NULL);
    struct value list = guard_ask(engine, "list", "kind", "banned", NULL);
    ck_assert_uint_eq(list.table->count, 1);
    value_free(&list);
    list = guard_ask(engine, "list", "kind", "allowed", NULL);
    ck_assert_uint_eq(list.table->count, 0);
    value_free(&list);
    guard_refuses(engine, "kind: \"baned\" is not own", "list", "kind", "baned", NULL);
}
END_TEST

/* The number of blocks is what there is, whatever it was thought to be. */
START_TEST(blocks_are_counted_again)
{
    guard_graph(NULL, NULL);
    struct rig_frame syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    struct flow_sentinel *s = engine_find_app(engine, "guard")->state;
    flood(&syn, 2000, SEC);
    ck_assert_uint_eq(s->path->state->blocks, 1);
    s->path->state->blocks += _i ? 5 : (uint64_t)-5;
    flood(&syn, 100, 2 * SEC);
    ck_assert_uint_eq(s->path->state->blocks, 1);
}
END_TEST

/* SYNs for one port after the other; as many for one port are none. */
START_TEST(a_scan_is_told_of)
{
    guard_graph(NULL, NULL);
    for (int i = 0; i < 2000; i++) {
        struct rig_frame syn =
            rig_tcp("198.51.100.7", "192.0.2.1", 1024, (uint16_t)(1 + i), 2, 0);
        inject(&syn);
        syn = rig_tcp("198.51.100.8", "192.0.2.1", (uint16_t)(1 + i), 80, 2, 0);
        inject(&syn);
        advance(SEC / 400);
    }
    struct value news = guard_ask(engine, "news", NULL);
    const struct value *row = find_event(&news, "limit", "scan", NULL);
    ck_assert_ptr_nonnull(row);
    ck_assert_uint_eq(news.table->count, 1);
    ck_assert_str_eq(value_get(row, "source")->string, "198.51.100.7");
    value_free(&news);
}
END_TEST

/* A program of the operator's is told of a block. */
START_TEST(a_hook_is_run)
{
    char directory[] = "/tmp/vanguard-hook-XXXXXX", hook[64], text[512] = "",
         command[256];
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(hook, sizeof(hook), "%s/hook", directory);
    FILE *file = fopen(hook, "w");
    fprintf(
        file,
        "#!/bin/sh\nread -r json\necho \"$SENTINEL_EVENT $SENTINEL_SOURCE $json\" >>%s/out\n",
        directory);
    fclose(file);
    chmod(hook, 0700);
    guard_graph("hook", hook);
    struct rig_frame syn = rig_tcp("198.51.100.7", "192.0.2.1", 1024, 80, 2, 0);
    flood(&syn, 2000, SEC);
    snprintf(command, sizeof(command), "%s/out", directory);
    for (int i = 0; i < 500 && !*text; i++) {
        usleep(10000);
        advance(100 * MS);
        if ((file = fopen(command, "r"))) {
            if (!fgets(text, sizeof(text), file))
                *text = 0;
            fclose(file);
        }
    }
    ck_assert_msg(strstr(text, "block 198.51.100.7 {\"event\":\"block\"") == text, "%s",
                  text);
    ck_assert_ptr_nonnull(strstr(text, "\"detection\":\"src_syn\""));
    snprintf(command, sizeof(command), "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

/* What is sampled is written down, with what became of it. */
START_TEST(samples_are_captured)
{
    char file[] = "/tmp/vanguard-capture-XXXXXX", bytes[16384] = "";
    close(mkstemp(file));
    test_configure(engine, graph_of("capture", file, "sample", "1"));
    struct rig_frame udp = rig_udp("198.51.100.8", "192.0.2.1", 1024, 80, 20);
    guard_tell(engine, "ban", "address", "198.51.100.9", NULL);
    flood(&udp, 100, 30 * MS);
    udp = rig_udp("198.51.100.9", "192.0.2.1", 1024, 80, 20);
    flood(&udp, 100, 20 * MS);
    engine_free(engine);
    engine = test_engine(1);
    FILE *in = fopen(file, "rb");
    size_t length = fread(bytes, 1, sizeof(bytes), in), passed = 0, dropped = 0;
    fclose(in);
    for (size_t i = 0; i + 12 < length; i++) {
        passed += !memcmp(bytes + i, "pass: none", 10);
        dropped += !memcmp(bytes + i, "drop: banned", 12);
    }
    ck_assert_uint_eq(passed, 3);
    ck_assert_uint_eq(dropped, 2);
    unlink(file);
}
END_TEST

START_TEST(wrong_parameters_are_named)
{
    static const char *const rows[][3] = {
        { "allow", "10.0.0.0/33", "allow: \"10.0.0.0/33\" is not a prefix" },
        { "block", "0.0.0.0/0", "very short" },
        { "tolerate", "port1", "\"port1\" is no kind" },
        { "ttl", "2h", "ttl is longer than ttl_max" },
        { "syn_action", "cookie", "needs an ifname" },
        { "block_file", "/nowhere/at-all", "cannot open /nowhere/at-all" },
        { "protect", "10.0.0.0/8", "more than 1024 addresses" },
        { "groups", "10.0.0.0/8", "groups: a list" },
    };
    struct value args = value_table();
    struct error err = { 0 };
    struct graph *graph = graph_new();
    value_table_add(&args, rows[_i][0], value_string(rows[_i][1]));
    ck_assert_int_ne(
        graph_add_app(graph, "guard", apps_find("FlowSentinel"), &args, NULL, &err), 0);
    ck_assert_msg(strstr(err.text, rows[_i][2]) != NULL, "%s", err.text);
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    value_free(&args);
    graph_free(graph);
}
END_TEST

static Suite *suite_flow_sentinel(void)
{
    Suite *suite = suite_create("flow_sentinel");
    TCase *tcase = tcase_create("flow_sentinel");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_flood_is_blocked);
    tcase_add_test(tcase, people_can_ask_and_tell);
    tcase_add_test(tcase, to_detach_is_not_to_flush);
    tcase_add_test(tcase, an_allowed_one_is_not_banned);
    tcase_add_test(tcase, a_spoofed_flood_is_limited);
    tcase_add_test(tcase, reflectors_are_dropped_by_port);
    tcase_add_test(tcase, a_prefix_is_limited);
    tcase_add_test(tcase, a_new_policy_forgets_nobody);
    tcase_add_test(tcase, what_people_said_outlives_new_lists);
    tcase_add_loop_test(tcase, who_is_allowed_is_let_off, 0, 2);
    tcase_add_test(tcase, a_network_is_unblocked_by_its_address);
    tcase_add_test(tcase, missed_events_are_counted);
    tcase_add_test(tcase, who_is_allowed_twice_is_not_banned);
    tcase_add_test(tcase, kinds_have_names);
    tcase_add_loop_test(tcase, blocks_are_counted_again, 0, 2);
    tcase_add_test(tcase, a_scan_is_told_of);
    tcase_add_test(tcase, a_hook_is_run);
    tcase_add_test(tcase, samples_are_captured);
    tcase_add_loop_test(tcase, wrong_parameters_are_named, 0, 8);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(flow_sentinel)
