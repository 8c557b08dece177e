/* route, route_set: messages as a kernel sends them, and as it does not; the set beside a list. */
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/random.h"
#include "lib/route.h"
#include "lib/route_set.h"
#include "selftest/selftest.h"

static char buffer[512] __attribute__((aligned(4)));
static struct nlmsghdr *message;
static struct rtmsg *header;
static struct route route;

static const uint8_t gateway4[4] = { 192, 0, 2, 1 };
static const uint8_t gateway6[16] = { 0xfd, [15] = 1 };
static const uint8_t mapped4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 };

static void start(uint8_t family, uint8_t bits, const void *destination)
{
    memset(buffer, 0, sizeof(buffer));
    message = mnl_nlmsg_put_header(buffer);
    message->nlmsg_type = RTM_NEWROUTE;
    header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
    *header = (struct rtmsg){ .rtm_family = family,
                              .rtm_dst_len = bits,
                              .rtm_table = RT_TABLE_MAIN,
                              .rtm_type = RTN_UNICAST };
    if (destination)
        mnl_attr_put(message, RTA_DST, family == AF_INET ? 4 : 16, destination);
}

static void put_hop(uint32_t index, uint16_t type, size_t size, const void *gateway)
{
    struct rtnexthop *hop = mnl_nlmsg_get_payload_tail(message);
    *hop = (struct rtnexthop){ .rtnh_ifindex = (int)index };
    message->nlmsg_len += sizeof(*hop);
    if (size)
        mnl_attr_put(message, type, size, gateway);
    hop->rtnh_len = (uint16_t)((char *)mnl_nlmsg_get_payload_tail(message) - (char *)hop);
}

static void put_via(uint8_t family, size_t size, const uint8_t *gateway)
{
    uint8_t via[18] = { family };
    memcpy(via + 2, gateway, size);
    mnl_attr_put(message, RTA_VIA, 2 + size, via);
}

START_TEST(one_gateway)
{
    const uint8_t network[4] = { 10, 1, 0, 0 };
    struct route_hop hop;
    size_t cursor = 0;
    start(AF_INET, 16, network);
    message->nlmsg_flags = NLM_F_REPLACE;
    mnl_attr_put_u32(message, RTA_TABLE, 1000);
    mnl_attr_put_u32(message, RTA_PRIORITY, 7);
    mnl_attr_put_u32(message, RTA_OIF, 3);
    mnl_attr_put(message, RTA_GATEWAY, 4, gateway4);
    ck_assert_int_eq(route_parse(message, &route), ROUTE_GOOD);
    ck_assert(!route.deleted && route.replaces && !route.appended);
    ck_assert_uint_eq(route.table, 1000);
    ck_assert_uint_eq(route.metric, 7);
    ck_assert_int_eq(route.type, RTN_UNICAST);
    ck_assert(route.prefix.family == AF_INET && route.prefix.bits == 16);
    ck_assert_mem_eq(route.prefix.address, network, 4);
    ck_assert(route_hop(message, &cursor, &hop));
    ck_assert(hop.index == 3 && !hop.direct);
    ck_assert_mem_eq(hop.gateway, mapped4, 16);
    ck_assert(!route_hop(message, &cursor, &hop));
}
END_TEST

START_TEST(default_and_direct)
{
    struct route_hop hop;
    size_t cursor = 0;
    start(AF_INET6, 0, NULL);
    message->nlmsg_type = RTM_DELROUTE;
    mnl_attr_put_u32(message, RTA_OIF, 9);
    ck_assert_int_eq(route_parse(message, &route), ROUTE_GOOD);
    ck_assert(route.deleted && route.table == RT_TABLE_MAIN && !route.metric);
    ck_assert(route.prefix.family == AF_INET6 && !route.prefix.bits);
    ck_assert(route_hop(message, &cursor, &hop) && hop.direct && hop.index == 9);
    start(AF_INET, 0, NULL);
    mnl_attr_put_u32(message, RTA_OIF, 9);
    put_via(AF_INET6, 16, gateway6);
    cursor = 0;
    ck_assert(route_hop(message, &cursor, &hop) && !hop.direct);
    ck_assert_mem_eq(hop.gateway, gateway6, 16);
}
END_TEST

START_TEST(several_gateways)
{
    struct route_hop hop;
    size_t cursor = 0;
    start(AF_INET, 0, NULL);
    struct nlattr *nest = mnl_attr_nest_start(message, RTA_MULTIPATH);
    put_hop(3, RTA_GATEWAY, 4, gateway4);
    put_hop(4, RTA_GATEWAY, 3, gateway4); /* malformed */
    put_hop(0, RTA_GATEWAY, 4, gateway4); /* of no interface */
    put_hop(5, RTA_GATEWAY, 16, gateway6);
    put_hop(6, 0, 0, NULL);
    mnl_attr_nest_end(message, nest);
    ck_assert_int_eq(route_parse(message, &route), ROUTE_GOOD);
    ck_assert(route_hop(message, &cursor, &hop) && hop.index == 3 && !hop.direct);
    ck_assert_mem_eq(hop.gateway, mapped4, 16);
    ck_assert(route_hop(message, &cursor, &hop) && hop.index == 5 && !hop.direct);
    ck_assert_mem_eq(hop.gateway, gateway6, 16);
    ck_assert(route_hop(message, &cursor, &hop) && hop.index == 6 && hop.direct);
    ck_assert(!route_hop(message, &cursor, &hop));
}
END_TEST

static enum route_fault parse(void)
{
    return route_parse(message, &route);
}

START_TEST(others_and_malformed)
{
    const uint8_t network[16] = { 10 };
    start(AF_INET, 8, network);
    ck_assert_int_eq(parse(), ROUTE_GOOD);
    header->rtm_tos = 4;
    ck_assert_int_eq(parse(), ROUTE_OTHER);
    start(AF_INET6, 8, network);
    header->rtm_src_len = 64;
    ck_assert_int_eq(parse(), ROUTE_OTHER);
    start(AF_INET6, 128, network);
    header->rtm_flags = RTM_F_CLONED;
    ck_assert_int_eq(parse(), ROUTE_OTHER);
    start(AF_BRIDGE, 8, network);
    ck_assert_int_eq(parse(), ROUTE_OTHER);
    start(AF_INET, 8, network);
    message->nlmsg_type = RTM_NEWLINK;
    ck_assert_int_eq(parse(), ROUTE_OTHER);
    start(AF_INET, 33, network);
    ck_assert_int_eq(parse(), ROUTE_MALFORMED);
    start(AF_INET, 8, NULL);
    ck_assert_int_eq(parse(), ROUTE_MALFORMED);
    start(AF_INET6, 8, NULL);
    mnl_attr_put(message, RTA_DST, 4, network);
    ck_assert_int_eq(parse(), ROUTE_MALFORMED);
    message->nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)) - 1;
    ck_assert_int_eq(parse(), ROUTE_MALFORMED);
}
END_TEST

/* A message cut anywhere, in memory of just that size: nothing past its end is read. */
START_TEST(cut_off)
{
    start(AF_INET, 0, NULL);
    struct nlattr *nest = mnl_attr_nest_start(message, RTA_MULTIPATH);
    put_hop(3, RTA_GATEWAY, 4, gateway4);
    put_hop(4, RTA_GATEWAY, 4, gateway4);
    mnl_attr_nest_end(message, nest);
    uint32_t whole = message->nlmsg_len;
    for (uint32_t length = sizeof(*message); length <= whole; length++) {
        struct nlmsghdr *cut = malloc(length);
        struct route_hop hop;
        size_t cursor = 0, hops = 0;
        ck_assert_ptr_nonnull(cut);
        memcpy(cut, message, length);
        cut->nlmsg_len = length;
        if (route_parse(cut, &route) == ROUTE_GOOD)
            while (route_hop(cut, &cursor, &hop))
                hops++;
        ck_assert_uint_eq(hops, length == whole ? 2 : 0);
        free(cut);
    }
}
END_TEST

/* --- the set beside a list in the order in which routes count --------------------------------- */

#define ROUTES 64

struct listed {
    struct prefix prefix;
    uint32_t metric, round;
    uint8_t gateway[16];
};

static struct listed list[ROUTES];
static uint32_t listed, round_now;
static struct route_set *set;

/* Few different ones, so that they meet. */
static struct listed draw_route(uint64_t draw)
{
    struct listed one = { .prefix = { .family = draw & 1 ? AF_INET6 : AF_INET,
                                      .bits = (uint8_t)(draw >> 1 & 3),
                                      .address = { (uint8_t)(draw >> 3 << 6) } },
                          .metric = draw >> 5 & 3,
                          .round = round_now,
                          .gateway = { [15] = draw >> 7 & 3 } };
    one.prefix.address[0] &= (uint8_t)(0xff00 >> one.prefix.bits);
    return one;
}

static bool same_place(const struct listed *a, const struct listed *b)
{
    return !memcmp(&a->prefix, &b->prefix, sizeof(a->prefix)) && a->metric == b->metric;
}

static void drop(uint32_t i)
{
    memmove(&list[i], &list[i + 1], (--listed - i) * sizeof(list[0]));
}

static bool list_add(const struct listed *one, bool last)
{
    uint32_t at = last ? listed : 0;
    for (uint32_t i = 0; i < listed; i++)
        if (same_place(&list[i], one) && !memcmp(list[i].gateway, one->gateway, 16)) {
            list[i].round = round_now;
            return false;
        }
    if (listed == ROUTES)
        return false;
    memmove(&list[at + 1], &list[at], (listed++ - at) * sizeof(list[0]));
    list[at] = *one;
    return true;
}

static bool list_remove(const struct listed *one, bool any)
{
    uint32_t before = listed;
    for (uint32_t i = listed; i-- > 0;)
        if (same_place(&list[i], one) &&
            (any || !memcmp(list[i].gateway, one->gateway, 16)))
            drop(i);
    return listed != before;
}

static bool list_end(void)
{
    uint32_t before = listed;
    for (uint32_t i = listed; i-- > 0;)
        if (list[i].round != round_now)
            drop(i);
    return listed != before;
}

static const uint8_t *list_match(int family, const uint8_t address[16])
{
    const struct listed *best = NULL;
    for (uint32_t i = 0; i < listed; i++) {
        const struct listed *one = &list[i];
        if (prefix_contains(&one->prefix, family, address) &&
            (!best || one->prefix.bits > best->prefix.bits ||
             (one->prefix.bits == best->prefix.bits && one->metric < best->metric)))
            best = one;
    }
    return best ? best->gateway : NULL;
}

static void check_matches(void)
{
    for (unsigned i = 0; i < 16; i++) {
        struct prefix host = { .family = i & 1 ? AF_INET6 : AF_INET,
                               .bits = i & 1 ? 128 : 32,
                               .address = { (uint8_t)(i >> 1 << 5), [3] = 1 } };
        uint8_t address[16];
        prefix_mapped(&host, address);
        const uint8_t *found = route_set_match(set, address);
        const uint8_t *right = list_match(host.family, host.address);
        ck_assert(found && right ? !memcmp(found, right, 16) : found == right);
    }
}

static bool step(uint64_t draw, bool *right)
{
    struct listed one = draw_route(draw >> 8);
    bool flag = draw >> 4 & 1;
    switch (draw & 15) {
    case 0:
        *right = list_remove(&one, true);
        return route_set_remove(set, &one.prefix, one.metric, NULL);
    case 1:
        round_now++;
        route_set_begin(set);
        return *right = false;
    case 2:
        *right = list_end();
        return route_set_end(set);
    case 3:
    case 4:
    case 5:
        *right = list_remove(&one, false);
        return route_set_remove(set, &one.prefix, one.metric, one.gateway);
    }
    *right = list_add(&one, flag);
    return route_set_add(set, &one.prefix, one.metric, one.gateway, flag);
}

START_TEST(set_beside_list)
{
    struct random_key random = random_key(1, "route_set", "steps");
    uint32_t most = 0;
    set = route_set_new(ROUTES);
    ck_assert_ptr_nonnull(set);
    for (uint64_t i = 0; i < 100000; i++) {
        bool right;
        /* Hundreds of steps without an end of round fill it. */
        uint64_t draw = random_draw(&random, i);
        if (i / 300 % 2 && (draw & 15) < 6)
            draw |= 8;
        bool changed = step(draw, &right);
        ck_assert_int_eq(changed, right);
        check_matches();
        most = listed > most ? listed : most;
    }
    ck_assert_uint_eq(most, ROUTES);
    ck_assert_uint_gt(route_set_refused(set), 0);
    ck_assert(route_set_clear(set) && !route_set_clear(set));
    listed = 0;
    check_matches();
    route_set_free(set);
    route_set_free(NULL);
}
END_TEST

static Suite *suite_route(void)
{
    Suite *suite = suite_create("route");
    TCase *tests = tcase_create("route");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, one_gateway);
    tcase_add_test(tests, default_and_direct);
    tcase_add_test(tests, several_gateways);
    tcase_add_test(tests, others_and_malformed);
    tcase_add_test(tests, cut_off);
    tcase_add_test(tests, set_beside_list);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(route)
