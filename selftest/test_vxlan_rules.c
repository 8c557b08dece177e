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

static Suite *suite_vxlan_rules(void)
{
    Suite *suite = suite_create("vxlan_rules");
    TCase *tests = tcase_create("vxlan_rules");
    tcase_add_loop_test(tests, the_most_specific_one_decides, 0, COUNT - 1);
    tcase_add_test(tests, no_rules);
    tcase_add_test(tests, many);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_rules)
