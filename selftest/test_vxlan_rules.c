/* VxlanNat's rules: the most specific one decides, whatever their order. */
#include <stdio.h>
#include <string.h>

#include "apps/vxlan_nat/rules.h"
#include "lib/prefix.h"
#include "selftest/selftest.h"
#include "selftest/support.h"

static struct rules rules;

static void read_rules(const char *const *texts, int count)
{
    struct value list = value_table();
    struct error err;
    for (int i = 0; i < count; i++)
        value_table_add(&list, NULL, test_table(texts[i]));
    ck_assert_msg(!rules_read(&rules, &list, &err), "%s", err.text);
    value_free(&list);
}

/* The rule of a packet, and the port that it gets; port 0: it has none. */
static int find(uint32_t vni, uint8_t protocol, const char *dst, uint16_t port,
                uint16_t *to_port)
{
    struct vxlan_frame f = {
        .vni = vni, .protocol = protocol, .dport = port, .ports = port != 0
    };
    struct rewrite_target to = { .port = 0 };
    struct prefix prefix;
    ck_assert_int_eq(prefix_parse(&prefix, dst), 0);
    f.family = strchr(dst, ':') ? 6 : 4;
    prefix_mapped(&prefix, (uint8_t *)f.dst);
    int found = rules_find(&rules, &f, &to);
    *to_port = to.has_port ? to.port : port;
    return found;
}

static const char *const texts[] = {
    "to=192.0.2.9",                                         /* 0: all the rest */
    "port=80 to=192.0.2.1:8080",                            /* 1 */
    "port=80 proto=tcp to=192.0.2.2",                       /* 2 */
    "port=80 proto=tcp dst=10.0.0.0/8 to=192.0.2.3",        /* 3 */
    "port=80 proto=tcp dst=10.1.0.0/16 to=192.0.2.4",       /* 4 */
    "port=80 vni=42 to=192.0.2.5:81",                       /* 5 */
    "port=80 vni=42 proto=tcp dst=10.0.0.0/8 to=192.0.2.6", /* 6 */
    "port=70-90 to=192.0.2.7:170-190",                      /* 7 */
    "port=75-85 to=192.0.2.8:99",                           /* 8 */
    "port=75-85 dst=10.0.0.0/8 to=192.0.2.8",               /* 9 */
    "vni=42 to=192.0.2.10",                                 /* 10 */
    "port=80 to=[2001:db8::1]:8000",                        /* 11 */
    "port=80 to=192.0.2.99", /* 12: never, for 1 is before */
};

#define COUNT (int)(sizeof(texts) / sizeof(*texts))

static const struct {
    uint32_t vni;
    uint8_t protocol;
    const char *dst;
    uint16_t port;
    int rule;
    uint16_t to_port;
} packets[] = {
    { 1, 17, "11.0.0.1", 80, 1, 8080 },  { 1, 6, "11.0.0.1", 80, 2, 80 },
    { 1, 6, "10.2.0.1", 80, 3, 80 },     { 1, 6, "10.1.0.1", 80, 4, 80 },
    { 42, 17, "11.0.0.1", 80, 5, 81 },   { 42, 6, "11.0.0.1", 80, 5, 81 },
    { 42, 6, "10.1.0.1", 80, 6, 80 },    { 1, 17, "11.0.0.1", 70, 7, 170 },
    { 1, 6, "11.0.0.1", 90, 7, 190 },    { 1, 6, "11.0.0.1", 79, 8, 99 },
    { 1, 6, "10.0.0.1", 79, 9, 79 },     { 1, 6, "11.0.0.1", 91, 0, 91 },
    { 42, 6, "11.0.0.1", 91, 10, 91 },   { 1, 1, "11.0.0.1", 0, 0, 0 },
    { 42, 1, "11.0.0.1", 0, 10, 0 },     { 1, 6, "2001:db8::2", 80, 11, 8000 },
    { 1, 6, "2001:db8::2", 81, -1, 81 }, { 1, 17, "10.1.0.1", 80, 1, 8080 },
};

/* _i turns the list: what does not depend on the order stays. */
START_TEST(the_most_specific_one_decides)
{
    const char *turned[COUNT];
    for (int i = 0; i < COUNT - 1; i++)
        turned[i] = texts[(i + _i) % (COUNT - 1)];
    turned[COUNT - 1] = texts[COUNT - 1];
    read_rules(turned, COUNT);
    for (size_t i = 0; i < sizeof(packets) / sizeof(*packets); i++) {
        uint16_t port;
        int found = find(packets[i].vni, packets[i].protocol, packets[i].dst,
                         packets[i].port, &port);
        int rule = found < 0 ? -1 : (found + _i) % (COUNT - 1);
        ck_assert_msg(rule == packets[i].rule && port == packets[i].to_port,
                      "packet %zu: rule %d, port %u", i, rule, port);
    }
    rules_clear(&rules);
}
END_TEST

START_TEST(no_rules)
{
    uint16_t port;
    read_rules(NULL, 0);
    ck_assert_int_eq(find(1, 6, "11.0.0.1", 80, &port), -1);
    rules_clear(&rules);
}
END_TEST

/* As many as there may be, each found; one more is refused. */
START_TEST(many)
{
    static char lines[RULES_MAX + 1][64];
    static const char *list[RULES_MAX + 1];
    struct value table = value_table(), one = value_table();
    struct error err;
    uint16_t port;
    for (int i = 0; i <= RULES_MAX; i++) {
        snprintf(lines[i], sizeof(lines[i]), "vni=%d port=%d to=192.0.2.1:%d", i % 7,
                 1 + i, 1 + i / 2);
        list[i] = lines[i];
    }
    read_rules(list, RULES_MAX);
    for (int i = 0; i < RULES_MAX; i++) {
        ck_assert_int_eq(find((uint32_t)i % 7, 6, "11.0.0.1", (uint16_t)(1 + i), &port),
                         i);
        ck_assert_uint_eq(port, 1 + i / 2);
        ck_assert_int_eq(
            find((uint32_t)i % 7 + 1, 6, "11.0.0.1", (uint16_t)(1 + i), &port), -1);
    }
    rules_clear(&rules);
    value_table_add(&one, "to", value_string("192.0.2.1"));
    for (int i = 0; i <= RULES_MAX; i++)
        value_table_add(&table, NULL, value_copy(&one));
    ck_assert_int_ne(rules_read(&rules, &table, &err), 0);
    value_free(&table);
    value_free(&one);
}
END_TEST

/* --- groups -------------------------------------------------------------------------- */

#define SOURCES 100000

struct member {
    const char *to;
    int weight; /* 0: not given, by its text alone */
};

static struct value group_rule(const char *port, const struct member *members,
                               size_t count)
{
    struct value rule = value_table(), list = value_table();
    for (size_t i = 0; i < count; i++) {
        struct value member = value_table();
        value_table_add(&member, "to", value_string(members[i].to));
        value_table_add(&member, "weight", value_integer(members[i].weight));
        if (members[i].weight)
            value_table_add(&list, NULL, member);
        else {
            value_free(&member);
            value_table_add(&list, NULL, value_string(members[i].to));
        }
    }
    if (port)
        value_table_add(&rule, "port", value_string(port));
    value_table_add(&rule, "to", list);
    return rule;
}

static int read_group(const char *port, const struct member *members, size_t count,
                      struct error *err)
{
    struct value list = value_table();
    value_table_add(&list, NULL, group_rule(port, members, count));
    int error = rules_read(&rules, &list, err);
    value_free(&list);
    return error;
}

/* Where each source goes: the last byte of the destination. One behind the other, as clients are. */
static void send_all(uint8_t *to, bool v6, const struct member *members, size_t count)
{
    struct error err;
    ck_assert_msg(!read_group(NULL, members, count, &err), "%s", err.text);
    for (uint32_t i = 0; i < SOURCES; i++) {
        struct vxlan_frame f = { .family = v6 ? 6 : 4 };
        struct rewrite_target target;
        uint8_t *src = (uint8_t *)f.src;
        memcpy(src,
               v6 ? "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0" : "\0\0\0\0\0\0\0\0\0\0\xff\xff",
               12);
        src[12] = v6 ? 0 : 10;
        src[13] = (uint8_t)(i >> 16);
        src[14] = (uint8_t)(i >> 8);
        src[15] = (uint8_t)i;
        ck_assert_int_eq(rules_find(&rules, &f, &target), 0);
        to[i] = target.address[15];
    }
    rules_clear(&rules);
}

static double share_of(const uint8_t *to, uint8_t member)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SOURCES; i++)
        count += to[i] == member;
    return (double)count / SOURCES;
}

static const struct member groups[2][4] = {
    { { "192.0.2.1" }, { "192.0.2.2", 2 }, { "192.0.2.3", 1 }, { "192.0.2.4", 60 } },
    { { "2001:db8::1" }, { "2001:db8::2", 2 }, { "2001:db8::3" }, { "2001:db8::4", 9 } },
};

/* V09: within 2 % of 1:2:1. */
START_TEST(a_group_shares_by_weight)
{
    static uint8_t to[SOURCES];
    send_all(to, _i, groups[_i], 3);
    ck_assert_double_eq_tol(share_of(to, 1), 0.25, 0.25 * 0.02);
    ck_assert_double_eq_tol(share_of(to, 2), 0.5, 0.5 * 0.02);
    ck_assert_double_eq_tol(share_of(to, 3), 0.25, 0.25 * 0.02);
}
END_TEST

/* Without one of them only its sources move, and to all others; with one more only to that one. Their
 * order is nothing, and neither is a restart. */
START_TEST(a_group_without_one)
{
    static uint8_t all[SOURCES], less[SOURCES];
    const struct member rest[2] = { groups[_i][2], groups[_i][0] };
    uint32_t moved = 0, first = 0;
    send_all(all, _i, groups[_i], 3);
    send_all(less, _i, rest, 2);
    for (uint32_t i = 0; i < SOURCES; i++) {
        moved += all[i] != less[i];
        first += all[i] == 2 && less[i] == 1;
        ck_assert(all[i] == less[i] || all[i] == 2);
    }
    ck_assert_double_le((double)moved / SOURCES, 0.5 + 0.01);
    ck_assert_double_eq_tol((double)first / moved, 0.5, 0.02);
    send_all(less, _i, groups[_i], 4);
    for (uint32_t i = 0; i < SOURCES; i++)
        ck_assert(all[i] == less[i] || less[i] == 4);
}
END_TEST

/* Ports are each member's own business; one source stays with one of them. */
START_TEST(a_group_with_ports)
{
    static const struct member members[] = {
        { "192.0.2.1:9000-9010" }, { "192.0.2.1:80" }, { "192.0.2.2" }, { "192.0.2.3:9" }
    };
    static const uint16_t ports[] = { 9003, 80, 8003, 9 };
    struct error err;
    uint32_t seen = 0;
    ck_assert_msg(!read_group("8000-8010", members, 4, &err), "%s", err.text);
    for (uint32_t i = 0; i < 100; i++) {
        struct vxlan_frame f = { .family = 4, .protocol = 6, .ports = 1, .dport = 8003 };
        struct rewrite_target to, again;
        uint32_t which = 0;
        f.src[3] = i;
        ck_assert_int_eq(rules_find(&rules, &f, &to), 0);
        while (which < 4 && (to.has_port ? to.port : 8003) != ports[which])
            which++;
        ck_assert_uint_lt(which, 4);
        seen |= 1u << which;
        f.sport = (uint16_t)(i + 1);
        f.dst[3] = i;
        ck_assert_int_eq(rules_find(&rules, &f, &again), 0);
        ck_assert_mem_eq(to.address, again.address, sizeof(to.address));
        ck_assert_uint_eq(to.port, again.port);
    }
    ck_assert_uint_eq(seen, 15);
    rules_clear(&rules);
}
END_TEST

START_TEST(groups_that_are_none)
{
    static const struct {
        const char *port;
        struct member members[2];
        const char *error;
    } rows[] = {
        { NULL,
          { { "192.0.2.1" }, { "2001:db8::1" } },
          "rules[1]: to[2]: not of the family of the first one" },
        { NULL,
          { { "192.0.2.1" }, { "192.0.2" } },
          "rules[1]: to[2]: to: \"192.0.2\" is none" },
        { NULL,
          { { "192.0.2.1" }, { "192.0.2.2", 70000 } },
          "rules[1]: to[2]: weight: 70000 is not within 1..65535" },
        { NULL,
          { { "192.0.2.1" }, { "192.0.2.1", 2 } },
          "rules[1]: to[2]: the same as number 1: give that one a weight" },
        { NULL,
          { { "192.0.2.1:80" }, { "192.0.2.2" } },
          "rules[1]: to[1]: to has a port, and the rule none: which one becomes it?" },
        { "80-81",
          { { "192.0.2.1" }, { "192.0.2.2:80-82" } },
          "rules[1]: to[2]: ranges that are not of one length: 2 ports, and 3" },
    };
    struct error err;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        ck_assert_int_ne(read_group(rows[i].port, rows[i].members, 2, &err), 0);
        ck_assert_str_eq(err.text, rows[i].error);
        ck_assert_ptr_null(rules.list);
    }
    ck_assert_int_ne(read_group(NULL, NULL, 0, &err), 0);
    ck_assert_str_eq(err.text, "rules[1]: to: a destination such as \"192.0.2.1:80\", or "
                               "a list of up to 256");
}
END_TEST

/* 64 groups of 256, and then one destination more, or one in a group. */
START_TEST(many_in_groups)
{
    static char texts_of[TARGETS_GROUP + 1][24];
    static struct member members[TARGETS_GROUP + 1];
    struct value list = value_table();
    struct error err;
    for (int i = 0; i <= TARGETS_GROUP; i++) {
        snprintf(texts_of[i], sizeof(texts_of[i]), "10.0.%d.%d", i / 256, i % 256);
        members[i].to = texts_of[i];
    }
    for (int i = 0; i < TARGETS_MAX / TARGETS_GROUP; i++)
        value_table_add(&list, NULL, group_rule(NULL, members, TARGETS_GROUP));
    ck_assert_msg(!rules_read(&rules, &list, &err), "%s", err.text);
    rules_clear(&rules);
    value_table_add(&list, NULL, group_rule(NULL, members, 1));
    ck_assert_int_ne(rules_read(&rules, &list, &err), 0);
    ck_assert_str_eq(err.text, "rules[65]: to[1]: more than 16384 destinations in all");
    value_free(&list);
    ck_assert_int_ne(read_group(NULL, members, TARGETS_GROUP + 1, &err), 0);
}
END_TEST

static Suite *suite_vxlan_rules(void)
{
    Suite *suite = suite_create("vxlan_rules");
    TCase *tests = tcase_create("vxlan_rules");
    tcase_add_loop_test(tests, the_most_specific_one_decides, 0, COUNT - 1);
    tcase_add_test(tests, no_rules);
    tcase_add_test(tests, many);
    tcase_add_loop_test(tests, a_group_shares_by_weight, 0, 2);
    tcase_add_loop_test(tests, a_group_without_one, 0, 2);
    tcase_add_test(tests, a_group_with_ports);
    tcase_add_test(tests, groups_that_are_none);
    tcase_add_test(tests, many_in_groups);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_rules)
