/* test_classify: rules mean what the same words mean to libpcap, and the first one decides. */
#include <stdlib.h>

#include "apps/apps.h"
#include "lib/capture_filter.h"
#include "selftest/selftest.h"
#include "selftest/support.h"
#include "selftest/traffic_frames.h"

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

/* name, text, name, text, ..., NULL */
static struct value rule(const char *to, const char *const *fields)
{
    struct value table = value_table();
    value_table_add(&table, "to", value_string(to));
    for (; fields[0]; fields += 2)
        value_table_add(&table, fields[0], value_string(fields[1]));
    return table;
}

/* One list of rules, outputs a, b and rest. */
static int build(struct value *rules, const char *rest, struct error *err)
{
    struct graph *graph = graph_new();
    struct value args = value_table();
    value_table_add(&args, "rules", value_copy(rules));
    if (rest)
        value_table_add(&args, "default", value_string(rest));
    test_app(graph, "in", "Inject", NULL);
    int error = graph_add_app(graph, "classify", apps_find("Classify"), &args, NULL, err);
    value_free(&args);
    if (error) {
        graph_free(graph);
        return error;
    }
    static const char *const outputs[] = { "a", "b", "rest" };
    test_link(graph, "in -> classify");
    for (int i = 0; i < 3; i++) {
        char spec[64];
        snprintf(spec, sizeof(spec), "classify.%s -> %s", outputs[i], outputs[i]);
        test_app(graph, outputs[i], "Collect", NULL);
        test_link(graph, spec);
    }
    test_configure(engine, graph);
    return 0;
}

static size_t came(const char *output)
{
    size_t n;
    test_collected(engine, output, &n);
    test_collect_clear(engine, output);
    return n;
}

static const struct {
    const char *fields[8];
    const char *same; /* pcap-filter(7) */
} meanings[] = {
    { { "proto", "udp" }, "ip proto 17 or ip6 proto 17" },
    { { "proto", "47" }, "ip proto 47 or ip6 proto 47" },
    { { "proto", "icmp6", "family", "6" }, "ip6 proto 58" },
    { { "family", "4" }, "ip" },
    { { "proto", "udp", "dport", "53" }, "udp dst port 53" },
    { { "proto", "tcp", "sport", "5-2000" }, "tcp src portrange 5-2000" },
    { { "dport", "53-80" }, "(tcp or udp or sctp) and dst portrange 53-80" },
    { { "src", "10.0.0.1" }, "ip src host 10.0.0.1" },
    { { "dst", "10.0.0.0/31" }, "ip dst net 10.0.0.0/31" },
    { { "src", "fe80::/127" }, "ip6 src net fe80::/127" },
    { { "src", "fe80::1", "dst", "fe80::/10", "proto", "tcp" },
      "ip6 src host fe80::1 and dst net fe80::/10 and ip6 proto 6" },
    { { "dscp", "46" },
      "(ip and ip[1] & 0xfc = 184) or (ip6 and ip6[0:2] & 0xfc0 = 0xb80)" },
    { { "filter", "arp" }, "arp" },
    { { "smac", "02:00:00:00:00:01" }, "ether src 02:00:00:00:00:01" },
    { { "dmac", "02:00:00:00:00:02", "family", "4" },
      "ether dst 02:00:00:00:00:02 and ip" },
    { { NULL }, "" },
};

/* some_frame with everything that makes it one: lengths, headers of TCP, MACs, DSCP. */
static void whole_frame(uint8_t *frame)
{
    some_frame(frame);
    uint8_t *ip = frame + 14;
    frame[5] = (uint8_t)below(3);
    frame[11] = (uint8_t)below(3);
    frame[0] = frame[6] = 2;
    bool marked = below(2);
    if (ip[0] >> 4 == 4) {
        ip[3] = FRAME - 14;
        ip[1] = marked ? 46 << 2 : 0;
        ip[(ip[0] & 15) * 4 + 12] = 5 << 4;
    } else {
        ip[5] = FRAME - 54;
        ip[0] = marked ? 0x6b : 0x60;
        ip[1] = marked ? 0x80 : 0;
        ip[40 + 12] = 5 << 4;
    }
}

START_TEST(test_meanings)
{
    enum { N = 4000 };
    struct value rules = value_table();
    struct capture_filter same;
    struct error err;
    value_table_add(&rules, NULL, rule("a", meanings[_i].fields));
    ck_assert_msg(!build(&rules, "rest", &err), "%s", err.text);
    ck_assert_msg(!capture_filter_compile(&same, meanings[_i].same, &err), "%s",
                  err.text);
    uint64_t wrong = 0, matching = 0;
    for (int i = 0; i < N; i++) {
        uint8_t frame[FRAME];
        whole_frame(frame);
        test_inject_bytes(engine, "in", frame, sizeof(frame));
        test_breathe(engine, 1);
        bool fits = came("a") == 1, rest = came("rest") == 1;
        wrong += fits == rest || fits != capture_filter_matches(&same, frame, FRAME);
        matching += fits;
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_gt(matching, 20);
    ck_assert(!*meanings[_i].same || matching < N - 20);
    ck_assert_uint_eq(test_counter(engine, "classify", "matched"), matching);
    ck_assert_uint_eq(test_counter(engine, "classify", "packets"), N);
    capture_filter_free(&same);
    value_free(&rules);
}
END_TEST

/* A tag within the frame or beside it; 0 is none. */
START_TEST(test_vlan)
{
    static const char *const five[] = { "vlan", "5", NULL }, *const none[] = { "vlan",
                                                                               "0",
                                                                               NULL };
    struct value rules = value_table();
    struct error err;
    value_table_add(&rules, NULL, rule("a", five));
    value_table_add(&rules, NULL, rule("b", none));
    ck_assert(!build(&rules, "rest", &err));
    uint8_t frame[FRAME];
    whole_frame(frame);
    test_inject_bytes(engine, "in", frame, sizeof(frame));
    struct packet *p = packet_from_bytes(frame, sizeof(frame));
    p->flags |= PACKET_VLAN;
    p->vlan_tci = 0x2005;
    test_inject(engine, "in", p);
    insert(frame, 12, "\x81\x00\x20\x05", 4);
    test_inject_bytes(engine, "in", frame, sizeof(frame));
    frame[15] = 6;
    test_inject_bytes(engine, "in", frame, sizeof(frame));
    test_inject_bytes(engine, "in", frame, 13);
    test_breathe(engine, 1);
    ck_assert_uint_eq(came("a"), 2);
    ck_assert_uint_eq(came("b"), 2);
    ck_assert_uint_eq(came("rest"), 1);
    value_free(&rules);
}
END_TEST

/* The first that fits; without default the rest is dropped, and counted. */
START_TEST(test_first_decides)
{
    static const char *const udp[] = { "proto", "udp", NULL }, *const any[] = { NULL };
    struct value rules = value_table();
    struct error err;
    value_table_add(&rules, NULL, rule("a", udp));
    value_table_add(&rules, NULL, rule("nowhere", any));
    ck_assert(!build(&rules, NULL, &err));
    uint64_t n = 0;
    for (int i = 0; i < 500; i++) {
        uint8_t frame[FRAME];
        whole_frame(frame);
        test_inject_bytes(engine, "in", frame, sizeof(frame));
        test_breathe(engine, 1);
        n += came("a");
    }
    ck_assert_uint_gt(n, 20);
    ck_assert_uint_eq(test_counter(engine, "classify", "matched"), 500);
    ck_assert_uint_eq(test_counter(engine, "classify", "drop_no_output"), 500 - n);
    value_free(&rules);
    rules = value_table();
    value_table_add(&rules, NULL, rule("a", udp));
    ck_assert(!build(&rules, NULL, &err));
    for (int i = 0; i < 100; i++) {
        uint8_t frame[FRAME];
        whole_frame(frame);
        test_inject_bytes(engine, "in", frame, sizeof(frame));
    }
    test_breathe(engine, 1);
    ck_assert_uint_eq(came("a") + test_counter(engine, "classify", "drop_unmatched"),
                      100);
    value_free(&rules);
}
END_TEST

static const struct {
    const char *fields[4];
    const char *says;
} mistakes[] = {
    { { "proto", "tpc" }, "rules[1].proto: \"tpc\" is none" },
    { { "src", "10.0.0.0/33" }, "rules[1].src: \"10.0.0.0/33\" is none" },
    { { "dst", "example" }, "rules[1].dst: \"example\" is none" },
    { { "sport", "70000" }, "rules[1].sport: \"70000\" is none" },
    { { "dport", "80-53" }, "rules[1].dport: \"80-53\" is none" },
    { { "dport", "80-" }, "rules[1].dport: \"80-\" is none" },
    { { "smac", "2:0:0:0:0" }, "rules[1].smac: \"2:0:0:0:0\" is none" },
    { { "dscp", "64" }, "rules[1].dscp: 64 is not within -1..63" },
    { { "filter", "port x" }, "rules[1].filter: \"port x\"" },
    { { "prot", "tcp" }, "rules[1]: no parameter \"prot\" (did you mean \"proto\"?)" },
};

START_TEST(test_mistakes)
{
    struct value rules = value_table();
    struct error err;
    value_table_add(&rules, NULL, rule("a", mistakes[_i].fields));
    ck_assert(build(&rules, NULL, &err) < 0);
    ck_assert_msg(strstr(err.text, mistakes[_i].says), "%s", err.text);
    value_free(&rules);
}
END_TEST

static Suite *suite_classify(void)
{
    Suite *suite = suite_create("classify");
    TCase *tcase = tcase_create("classify");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_meanings, 0, sizeof(meanings) / sizeof(meanings[0]));
    tcase_add_test(tcase, test_vlan);
    tcase_add_test(tcase, test_first_decides);
    tcase_add_loop_test(tcase, test_mistakes, 0, sizeof(mistakes) / sizeof(mistakes[0]));
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(classify)
