/* neigh_decide: the table of events, without a kernel: messages made by hand, hostile ones too. */
#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "apps/neigh_sync/counts.h"
#include "apps/neigh_sync/decide.h"
#include "apps/neigh_sync/health.h"
#include "apps/neigh_sync/kernel.h"
#include "lib/error.h"
#include "selftest/selftest.h"

#define ROOM 256

/* A message whose attributes are as long as they say. */
static struct nlmsghdr *message(uint16_t type, uint8_t family, uint16_t state,
                                const void *dst, uint16_t dst_size, const void *mac,
                                uint16_t mac_size)
{
    static union {
        struct nlmsghdr header;
        uint8_t bytes[ROOM];
    } room;
    struct ndmsg header = { .ndm_family = family, .ndm_ifindex = 7, .ndm_state = state };
    struct nlattr attribute = { (uint16_t)(NLA_HDRLEN + dst_size), NDA_DST };
    size_t at = NLMSG_LENGTH(sizeof(header));
    memset(&room, 0, sizeof(room));
    memcpy(room.bytes + NLMSG_HDRLEN, &header, sizeof(header));
    if (dst) {
        memcpy(room.bytes + at, &attribute, sizeof(attribute));
        memcpy(room.bytes + at + NLA_HDRLEN, dst, dst_size);
        at += NLA_ALIGN(attribute.nla_len);
    }
    attribute = (struct nlattr){ (uint16_t)(NLA_HDRLEN + mac_size), NDA_LLADDR };
    if (mac) {
        memcpy(room.bytes + at, &attribute, sizeof(attribute));
        memcpy(room.bytes + at + NLA_HDRLEN, mac, mac_size);
        at += NLA_ALIGN(attribute.nla_len);
    }
    room.header.nlmsg_type = type;
    room.header.nlmsg_len = (uint32_t)at;
    return &room.header;
}

/* N: no MAC, B: broadcast, S: 4 bytes, Z: zeros, M: an ordinary one. */
struct row {
    bool deleted;
    const char *address;
    uint16_t state;
    uint8_t flags;
    char mac;
    const char
        *mode; /* d: dual ToR, e: EVPN, l: link-local wanted, 4, 6: not that family */
    enum verdict verdict;
    enum reason reason;
    enum failed_row failed;
};

#define NEW false
#define DEL true

static const struct row rows[] = {
    { NEW, "10.0.0.2", NUD_PERMANENT, 0, 'M', "", VERDICT_SET },
    { NEW, "10.0.0.2", NUD_REACHABLE, 0, 'M', "", VERDICT_SET },
    { NEW, "10.0.0.2", NUD_STALE, 0, 'M', "", VERDICT_SET },
    { NEW, "10.0.0.2", NUD_DELAY, 0, 'M', "", VERDICT_SET },
    { NEW, "10.0.0.2", NUD_PROBE, 0, 'M', "", VERDICT_SET },
    { NEW, "10.0.0.2", NUD_NONE, 0, 'M', "", VERDICT_SET },
    { NEW, "2001:db8::5", NUD_STALE, 0, 'M', "", VERDICT_SET },
    { NEW, "10.0.0.2", NUD_INCOMPLETE | NUD_FAILED, 0, 'M', "", VERDICT_SET },
    { NEW, "10.0.0.2", NUD_INCOMPLETE, 0, 'N', "", VERDICT_DELETE },
    { NEW, "10.0.0.2", NUD_FAILED, 0, 'N', "", VERDICT_DELETE },
    { DEL, "10.0.0.2", NUD_STALE, 0, 'N', "", VERDICT_DELETE },
    { DEL, "10.0.0.2", NUD_STALE, 0, 'S', "", VERDICT_DELETE },
    { NEW, "10.0.0.2", NUD_NOARP, 0, 'M', "", VERDICT_INELIGIBLE, REASON_NOARP },
    { DEL, "10.0.0.2", NUD_NOARP, 0, 'M', "", VERDICT_INELIGIBLE, REASON_NOARP },
    { NEW, "10.0.0.2", NUD_NOARP, NTF_EXT_LEARNED, 'M', "", VERDICT_SET },
    { DEL, "10.0.0.2", NUD_NOARP, NTF_EXT_LEARNED, 'M', "", VERDICT_DELETE },
    { NEW, "10.0.0.2", NUD_REACHABLE, 0, 'N', "", VERDICT_INELIGIBLE, REASON_NO_MAC },
    { NEW, "10.0.0.2", NUD_REACHABLE, 0, 'B', "", VERDICT_INELIGIBLE, REASON_BROADCAST },
    { DEL, "10.0.0.2", NUD_REACHABLE, 0, 'B', "", VERDICT_DELETE },
    { NEW, "10.0.0.2", NUD_REACHABLE, 0, 'S', "", VERDICT_IGNORE, REASON_MAC_SIZE },
    { NEW, "10.0.0.2", NUD_PERMANENT, 0, 'Z', "", VERDICT_SET },
    { NEW, "fe80::99", NUD_STALE, 0, 'M', "", VERDICT_INELIGIBLE, REASON_LINK_LOCAL6 },
    { NEW, "febf::99", NUD_STALE, 0, 'M', "", VERDICT_INELIGIBLE, REASON_LINK_LOCAL6 },
    { NEW, "fec0::99", NUD_STALE, 0, 'M', "", VERDICT_SET },
    { NEW, "fe80::99", NUD_FAILED, 0, 'N', "", VERDICT_INELIGIBLE, REASON_LINK_LOCAL6 },
    { DEL, "fe80::99", NUD_STALE, 0, 'M', "", VERDICT_DELETE },
    { NEW, "fe80::99", NUD_STALE, 0, 'M', "l", VERDICT_SET },
    { NEW, "ff02::99", NUD_PERMANENT, 0, 'M', "", VERDICT_INELIGIBLE, REASON_MULTICAST },
    { DEL, "ff02::99", NUD_PERMANENT, 0, 'M', "", VERDICT_INELIGIBLE, REASON_MULTICAST },
    { NEW, "ff0e::99", NUD_PERMANENT, 0, 'M', "", VERDICT_SET },
    { NEW, "169.254.7.7", NUD_STALE, 0, 'M', "", VERDICT_SET },
    { NEW, "10.0.0.2", NUD_STALE, 0, 'M', "4", VERDICT_INELIGIBLE, REASON_FAMILY },
    { NEW, "2001:db8::5", NUD_STALE, 0, 'M', "4", VERDICT_SET },
    { NEW, "2001:db8::5", NUD_STALE, 0, 'M', "6", VERDICT_INELIGIBLE, REASON_FAMILY },

    { NEW, "169.254.7.7", NUD_STALE, 0, 'M', "d", VERDICT_INELIGIBLE,
      REASON_LINK_LOCAL4 },
    { DEL, "169.254.7.7", NUD_STALE, 0, 'M', "d", VERDICT_INELIGIBLE,
      REASON_LINK_LOCAL4 },
    { NEW, "10.0.0.2", NUD_FAILED, 0, 'N', "d", VERDICT_SET },
    { NEW, "10.0.0.2", NUD_INCOMPLETE, 0, 'N', "d", VERDICT_SET },
    { DEL, "10.0.0.2", NUD_FAILED, 0, 'N', "d", VERDICT_DELETE },
    { NEW, "2001:db8::5", NUD_FAILED, 0, 'N', "d", VERDICT_SET, 0, FAILED_SET },
    { NEW, "2001:db8::5", NUD_INCOMPLETE, 0, 'N', "d", VERDICT_SET, 0, FAILED_KEEP },
    { NEW, "2001:db8::5", NUD_REACHABLE, 0, 'M', "d", VERDICT_SET, 0, FAILED_DELETE },
    { NEW, "2001:db8::5", NUD_NOARP, 0, 'M', "d", VERDICT_INELIGIBLE, REASON_NOARP,
      FAILED_DELETE },
    { DEL, "2001:db8::5", NUD_FAILED, 0, 'N', "d", VERDICT_DELETE, 0, FAILED_DELETE },
    { NEW, "fe80::99", NUD_FAILED, 0, 'N', "d", VERDICT_INELIGIBLE, REASON_LINK_LOCAL6 },

    { NEW, "10.0.0.2", NUD_PROBE, 0, 'M', "e", VERDICT_IGNORE, REASON_PROBE },
    { DEL, "10.0.0.2", NUD_PROBE, 0, 'M', "e", VERDICT_DELETE },
    { NEW, "10.0.0.2", NUD_NOARP, 0, 'M', "e", VERDICT_DELETE },
    { NEW, "10.0.0.2", NUD_NOARP, NTF_EXT_LEARNED, 'M', "e", VERDICT_SET },
    { NEW, "10.0.0.2", NUD_REACHABLE, 0, 'M', "e", VERDICT_SET },
};

static struct neighbour neighbour_of(const struct row *row)
{
    struct neighbour n = { .deleted = row->deleted,
                           .state = row->state,
                           .flags = row->flags,
                           .mac_length = row->mac == 'N'   ? 0
                                         : row->mac == 'S' ? 4
                                                           : 6 };
    n.family = inet_pton(AF_INET, row->address, n.address) == 1 ? AF_INET : AF_INET6;
    if (n.family == AF_INET6)
        ck_assert_int_eq(inet_pton(AF_INET6, row->address, n.address), 1);
    if (row->mac == 'B')
        memset(n.mac, 0xff, 6);
    if (row->mac == 'M')
        memcpy(n.mac, "\x00\x01\x02\xaa\xbb\xcc", 6);
    return n;
}

START_TEST(event_table)
{
    const struct row *row = &rows[_i];
    struct neighbour n = neighbour_of(row);
    const struct decide_mode mode = { .dual_tor = strchr(row->mode, 'd'),
                                      .evpn = strchr(row->mode, 'e'),
                                      .ipv4 = !strchr(row->mode, '4'),
                                      .ipv6 = !strchr(row->mode, '6') };
    struct decision d = decide(&n, &mode, strchr(row->mode, 'l'));
    ck_assert_int_eq(d.verdict, row->verdict);
    ck_assert_int_eq(d.reason, row->reason);
    ck_assert_int_eq(d.failed, row->failed);
    if (d.verdict == VERDICT_SET)
        ck_assert(!memcmp(d.mac, n.mac, 6));
}
END_TEST

START_TEST(parse_good)
{
    struct neighbour n;
    struct nlmsghdr *m = message(RTM_NEWNEIGH, AF_INET, NUD_STALE, "\x0a\0\0\x02", 4,
                                 "\x00\x01\x02\xaa\xbb\xcc", 6);
    ck_assert_int_eq(neighbour_parse(m, &n), NEIGHBOUR_GOOD);
    ck_assert(!n.deleted && n.family == AF_INET && n.state == NUD_STALE && n.index == 7);
    ck_assert(n.mac_length == 6 && n.mac[5] == 0xcc && n.address[3] == 2);
    m->nlmsg_type = RTM_DELNEIGH;
    ck_assert_int_eq(neighbour_parse(m, &n), NEIGHBOUR_GOOD);
    ck_assert(n.deleted);
}
END_TEST

START_TEST(parse_lengths)
{
    static const uint8_t bytes[32] = { 10 };
    struct neighbour n;
    for (uint16_t size = 0; size < 32; size++) {
        struct nlmsghdr *m =
            message(RTM_NEWNEIGH, AF_INET, NUD_STALE, bytes, size, NULL, 0);
        ck_assert_int_eq(neighbour_parse(m, &n),
                         size == 4 ? NEIGHBOUR_GOOD : NEIGHBOUR_MALFORMED);
        m = message(RTM_NEWNEIGH, AF_INET6, NUD_STALE, bytes, size, NULL, 0);
        ck_assert_int_eq(neighbour_parse(m, &n),
                         size == 16 ? NEIGHBOUR_GOOD : NEIGHBOUR_MALFORMED);
        m = message(RTM_NEWNEIGH, AF_INET, NUD_STALE, bytes, 4, bytes, size);
        ck_assert_int_eq(neighbour_parse(m, &n), NEIGHBOUR_GOOD);
        ck_assert_uint_eq(n.mac_length, size ? size : UINT16_MAX);
        ck_assert_uint_eq(n.mac[0], size == 6 ? 10 : 0);
    }
    struct nlmsghdr *m = message(RTM_NEWNEIGH, AF_BRIDGE, NUD_STALE, NULL, 0, bytes, 6);
    ck_assert_int_eq(neighbour_parse(m, &n), NEIGHBOUR_OTHER);
    m = message(RTM_NEWNEIGH, AF_INET, NUD_STALE, NULL, 0, bytes, 6);
    ck_assert_int_eq(neighbour_parse(m, &n), NEIGHBOUR_MALFORMED);
    m = message(RTM_NEWROUTE, AF_INET, NUD_STALE, bytes, 4, NULL, 0);
    ck_assert_int_eq(neighbour_parse(m, &n), NEIGHBOUR_OTHER);
}
END_TEST

/* Cut anywhere, and with attributes that claim too much or nothing. */
START_TEST(parse_truncated)
{
    struct neighbour n;
    struct nlmsghdr *m;
    uint32_t whole = message(RTM_NEWNEIGH, AF_INET, NUD_STALE, "\x0a\0\0\x02", 4,
                             "\x00\x01\x02\xaa\xbb\xcc", 6)
                         ->nlmsg_len;
    for (uint32_t length = 0; length < whole; length++) {
        m = message(RTM_NEWNEIGH, AF_INET, NUD_STALE, "\x0a\0\0\x02", 4,
                    "\x00\x01\x02\xaa\xbb\xcc", 6);
        m->nlmsg_len = length;
        enum neighbour_fault fault = neighbour_parse(m, &n);
        bool has_address = length >= NLMSG_LENGTH(sizeof(struct ndmsg)) + 8;
        ck_assert_int_eq(fault, has_address ? NEIGHBOUR_GOOD : NEIGHBOUR_MALFORMED);
    }
    for (uint16_t claim = 0; claim < 4; claim++) {
        m = message(RTM_NEWNEIGH, AF_INET, NUD_STALE, "\x0a\0\0\x02", 4, NULL, 0);
        memcpy((char *)m + NLMSG_LENGTH(sizeof(struct ndmsg)), &claim, sizeof(claim));
        ck_assert_int_eq(neighbour_parse(m, &n), NEIGHBOUR_MALFORMED);
    }
}
END_TEST

/* Neighbours of an interface that nobody has announced, or that went. */
START_TEST(unknown_interface)
{
    static uint64_t counters[COUNTS];
    struct kernel kernel = { .mirror = mirror_new(16, 4),
                             .mode = { .ipv4 = true, .ipv6 = true },
                             .counters = counters };
    struct neighbour_link link = { .index = 7, .name = "Ethernet0" };
    struct error err;
    ck_assert_int_eq(kernel_open(&kernel, 4, 0, &err), 0);
    const struct nlmsghdr *m = message(RTM_NEWNEIGH, AF_INET, NUD_STALE, "\x0a\0\0\x02",
                                       4, "\x00\x01\x02\xaa\xbb\xcc", 6);
    kernel_take_neighbour(&kernel, m, false);
    ck_assert_uint_eq(counters[COUNT_DROP_UNKNOWN_INTERFACE], 1);
    ck_assert_uint_eq(mirror_count(kernel.mirror), 0);
    kernel_take_link(&kernel, &link, false);
    kernel_take_neighbour(&kernel, m, false);
    ck_assert_uint_eq(mirror_count(kernel.mirror), 1);
    link.deleted = true;
    kernel_take_link(&kernel, &link, false);
    kernel_take_neighbour(&kernel, m, false);
    ck_assert_uint_eq(counters[COUNT_DROP_UNKNOWN_INTERFACE], 2);
    ck_assert_uint_eq(counters[COUNT_NEIGHBORS_PROCESSED], 1);
    kernel_close(&kernel);
    mirror_free(kernel.mirror);
}
END_TEST

/* The rename of the first was lost: the name is the second's, and goes with it. */
START_TEST(name_of_two_interfaces)
{
    static uint64_t counters[COUNTS];
    struct kernel kernel = { .mirror = mirror_new(16, 4),
                             .mode = { .ipv4 = true, .ipv6 = true },
                             .counters = counters };
    struct neighbour_link first = { .index = 7, .name = "Ethernet0" };
    struct neighbour_link second = { .index = 8, .name = "Ethernet0" };
    struct neighbour_link other = { .index = 9, .name = "Ethernet4" };
    struct error err;
    ck_assert_int_eq(kernel_open(&kernel, 4, 0, &err), 0);
    kernel_take_link(&kernel, &first, false);
    kernel_take_link(&kernel, &second, false);
    second.deleted = true;
    kernel_take_link(&kernel, &second, false);
    kernel_take_link(&kernel, &other, false);
    kernel_take_neighbour(&kernel,
                          message(RTM_NEWNEIGH, AF_INET, NUD_STALE, "\x0a\0\0\x02", 4,
                                  "\x00\x01\x02\xaa\xbb\xcc", 6),
                          false);
    ck_assert_uint_eq(counters[COUNT_DROP_UNKNOWN_INTERFACE], 1);
    ck_assert_uint_eq(mirror_count(kernel.mirror), 0);
    kernel_close(&kernel);
    mirror_free(kernel.mirror);
}
END_TEST

/* A row of a round says what was before an event that came first. */
START_TEST(row_after_event)
{
    static uint64_t counters[COUNTS];
    struct kernel kernel = { .mirror = mirror_new(16, 4),
                             .mode = { .evpn = true },
                             .counters = counters };
    struct neighbour_link vrf = { .index = 8, .name = "Vrf1" };
    struct neighbour_link link = { .index = 7, .name = "Ethernet0" };
    struct neighbour_link changed = { .index = 7, .master = 8, .name = "Ethernet4" };
    struct error err;
    ck_assert_int_eq(kernel_open(&kernel, 4, 0, &err), 0);
    kernel_take_link(&kernel, &link, false);
    mirror_begin(kernel.mirror);
    kernel_take_link(&kernel, &vrf, true);
    kernel_take_link(&kernel, &changed, false);
    kernel_take_link(&kernel, &link, true);
    struct mirror_port *port = mirror_port(kernel.mirror, "Ethernet4");
    ck_assert_uint_eq(port->index, 7);
    const char *name = kernel_vrf(&kernel, port);
    ck_assert_ptr_nonnull(name);
    ck_assert_str_eq(name, "Vrf1");
    mirror_begin(kernel.mirror); /* those of the next round are newer */
    kernel_take_link(&kernel, &link, true);
    ck_assert_uint_eq(mirror_port(kernel.mirror, "Ethernet0")->index, 7);
    kernel_close(&kernel);
    mirror_free(kernel.mirror);
}
END_TEST

/* What was counted stays when the socket is another. */
START_TEST(counters_stay)
{
    static uint64_t counters[COUNTS] = {
        [COUNT_NETLINK_ERRORS] = 1, [COUNT_NETLINK_FOREIGN] = 2
    };
    struct kernel kernel = { .mirror = mirror_new(16, 4), .counters = counters };
    struct error err;
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(kernel_open(&kernel, 4, 0, &err), 0);
        ck_assert_int_ge(kernel_read(&kernel, 1, 1), 0);
        kernel_hang_up(&kernel);
    }
    ck_assert_uint_eq(counters[COUNT_NETLINK_ERRORS], 1);
    ck_assert_uint_eq(counters[COUNT_NETLINK_FOREIGN], 2);
    kernel_close(&kernel);
    mirror_free(kernel.mirror);
}
END_TEST

#define SECOND 1000000000ull

START_TEST(health_levels)
{
    struct health health = { 0 };
    struct health_facts facts = { .connected = true };
    uint64_t now = 5 * SECOND;
    ck_assert_int_eq(health_look(&health, &facts, now), HEALTH_HEALTHY);
    ck_assert_int_eq(health_look(&health, &facts, now += 600 * SECOND), HEALTH_HEALTHY);
    facts.waiting = true; /* work, and nothing done for ten seconds */
    ck_assert_int_eq(health_look(&health, &facts, now += 11 * SECOND), HEALTH_UNHEALTHY);
    facts.done = 1;
    ck_assert_int_eq(health_look(&health, &facts, now += SECOND), HEALTH_HEALTHY);
    ck_assert_int_eq(health_look(&health, &facts, now += 9 * SECOND), HEALTH_HEALTHY);
    ck_assert_int_eq(health_look(&health, &facts, now += 2 * SECOND), HEALTH_UNHEALTHY);
    facts.waiting = false;
    facts.connected = false;
    ck_assert_int_eq(health_look(&health, &facts, now), HEALTH_UNHEALTHY);
    facts.connected = true;
    facts.failed = 5; /* of fewer than a hundred */
    ck_assert_int_eq(health_look(&health, &facts, now), HEALTH_HEALTHY);
    facts.done = 95;
    ck_assert_int_eq(health_look(&health, &facts, now), HEALTH_HEALTHY);
    facts.failed = 6;
    ck_assert_int_eq(health_look(&health, &facts, now), HEALTH_DEGRADED);
    for (unsigned i = 0; i < 13; i++)
        health_look(&health, &facts, now += 5 * SECOND);
    ck_assert_int_eq(health_look(&health, &facts, now), HEALTH_HEALTHY);
}
END_TEST

static Suite *suite_neigh_decide(void)
{
    Suite *suite = suite_create("neigh_decide");
    TCase *tcase = tcase_create("neigh_decide");
    tcase_add_loop_test(tcase, event_table, 0, sizeof(rows) / sizeof(*rows));
    tcase_add_test(tcase, parse_good);
    tcase_add_test(tcase, parse_lengths);
    tcase_add_test(tcase, parse_truncated);
    tcase_add_test(tcase, unknown_interface);
    tcase_add_test(tcase, name_of_two_interfaces);
    tcase_add_test(tcase, row_after_event);
    tcase_add_test(tcase, counters_stay);
    tcase_add_test(tcase, health_levels);
    suite_add_tcase(suite, tcase);
    return suite;
}
SUITE(neigh_decide)
