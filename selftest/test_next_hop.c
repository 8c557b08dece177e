/* next_hop: a real kernel's neighbours and interface, and somebody who answers its questions. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "selftest/next_hop_rig.h"

START_TEST(resolves_by_arp_and_nd)
{
    static const char *const addresses[] = { "10.0.0.2", "fd00::2" };
    if (!start())
        return;
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(find(addresses[i]), NEXT_HOP_UNRESOLVED);
        uint64_t generation = next_hop_generation(hop);
        use(addresses[i]);
        WAIT_UNTIL(has_mac(addresses[i], IN_MAC));
        ck_assert(!answer.stale);
        ck_assert(goes_by(addresses[i], addresses[i]));
        ck_assert_uint_ne(next_hop_generation(hop), generation);
    }
    ck_assert_uint_eq(next_hop_counts(hop)->uses, 2);
    use("10.0.0.2"); /* there is nothing to find out */
    ck_assert_uint_eq(next_hop_counts(hop)->uses, 2);
    next_hop_close(hop);
    open_hop(1024); /* and what there is already is known from the first moment */
    ck_assert(has_mac("10.0.0.2", IN_MAC) && has_mac("fd00::2", IN_MAC));
    next_hop_close(hop);
    next_hop_close(NULL);
}
END_TEST

START_TEST(nobody_there)
{
    if (!start())
        return;
    shell("echo 10 >/proc/sys/net/ipv4/neigh/out0/retrans_time_ms");
    use("10.0.0.9");
    shell("until ip neigh show 10.0.0.9 | grep -q FAILED; do sleep 0.01; done");
    settle();
    ck_assert_int_eq(find("10.0.0.9"), NEXT_HOP_UNRESOLVED);
    there("ip addr add 10.0.0.9/24 dev in0");
    use("10.0.0.9");
    WAIT_UNTIL(has_mac("10.0.0.9", IN_MAC));
    next_hop_close(hop);
}
END_TEST

START_TEST(stale_is_verified)
{
    if (!start())
        return;
    use("10.0.0.2");
    WAIT_UNTIL(has_mac("10.0.0.2", IN_MAC));
    uint64_t generation = next_hop_generation(hop);
    shell("ip neigh change 10.0.0.2 dev out0 nud stale");
    WAIT_UNTIL(has_mac("10.0.0.2", IN_MAC) && answer.stale);
    ck_assert_uint_ne(next_hop_generation(hop), generation);
    generation = next_hop_generation(hop);
    shell("echo 0 >/proc/sys/net/ipv4/neigh/out0/delay_first_probe_time");
    use("10.0.0.2");
    ck_assert(has_mac("10.0.0.2", IN_MAC) && !answer.stale);
    ck_assert_uint_eq(next_hop_generation(hop), generation);
    shell("until ip neigh show 10.0.0.2 | grep -q REACHABLE; do sleep 0.01; done");
    ck_assert_uint_eq(next_hop_counts(hop)->uses, 2);
    next_hop_close(hop);
}
END_TEST

START_TEST(permanent_stays)
{
    if (!start())
        return;
    shell("ip neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 dev out0 nud permanent");
    WAIT_UNTIL(has_mac("10.0.0.7", "02:00:00:00:00:07"));
    use("10.0.0.7");
    shell("ip neigh show 10.0.0.7 | grep -q PERMANENT");
    ck_assert_uint_eq(next_hop_counts(hop)->uses, 0);
    shell("ip neigh change 10.0.0.7 lladdr 02:00:00:00:00:08 dev out0 nud permanent");
    WAIT_UNTIL(has_mac("10.0.0.7", "02:00:00:00:00:08"));
    shell("ip neigh del 10.0.0.7 dev out0");
    WAIT_UNTIL(find("10.0.0.7") == NEXT_HOP_UNRESOLVED);
    next_hop_close(hop);
}
END_TEST

START_TEST(gratuitous_arp)
{
    if (!start())
        return;
    shell("echo 0 >/proc/sys/net/ipv4/neigh/out0/locktime");
    there("echo 1 >/proc/sys/net/ipv4/conf/in0/arp_notify");
    use("10.0.0.2");
    WAIT_UNTIL(has_mac("10.0.0.2", IN_MAC));
    uint64_t generation = next_hop_generation(hop);
    there("ip link set in0 address 02:00:00:00:00:99");
    WAIT_UNTIL(has_mac("10.0.0.2", "02:00:00:00:00:99"));
    ck_assert_uint_ne(next_hop_generation(hop), generation);
    shell("ip neigh flush dev out0");
    WAIT_UNTIL(find("10.0.0.2") == NEXT_HOP_UNRESOLVED);
    next_hop_close(hop);
}
END_TEST

/* Routes that the kernel takes away in silence are gone here too. */
START_TEST(down_and_up)
{
    if (!start())
        return;
    shell("ip route add 192.0.2.0/24 via 10.0.0.2");
    WAIT_UNTIL(goes_by("192.0.2.1", "10.0.0.2"));
    use("10.0.0.2");
    WAIT_UNTIL(has_mac("192.0.2.1", IN_MAC));
    shell("ip link set out0 down");
    WAIT_UNTIL(find("10.0.0.2") == NEXT_HOP_DOWN);
    shell("ip link set out0 up");
    WAIT_UNTIL(find("10.0.0.2") == NEXT_HOP_UNRESOLVED);
    WAIT_UNTIL(find("192.0.2.1") == NEXT_HOP_NO_ROUTE);
    use("10.0.0.2");
    WAIT_UNTIL(has_mac("10.0.0.2", IN_MAC));
    there("ip link set in0 down"); /* no carrier */
    WAIT_UNTIL(find("10.0.0.2") == NEXT_HOP_DOWN);
    there("ip link set in0 up");
    WAIT_UNTIL(find("10.0.0.2") != NEXT_HOP_DOWN);
    next_hop_close(hop);
}
END_TEST

static bool has_own_mac(const char *mac)
{
    char text[MAC_TEXT_SIZE];
    return !strcmp(mac_format(next_hop_mac(hop), text), mac);
}

START_TEST(gone_and_back)
{
    if (!start())
        return;
    shell("ip neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 dev out0 nud permanent");
    WAIT_UNTIL(find("10.0.0.7") == NEXT_HOP_KNOWN);
    shell("ip link del out0");
    WAIT_UNTIL(find("10.0.0.2") == NEXT_HOP_DOWN);
    ck_assert_int_eq(next_hop_use(hop, here_address("10.0.0.2")), -ENODEV);
    make_pair();
    WAIT_UNTIL(find("10.0.0.7") == NEXT_HOP_UNRESOLVED);
    use("10.0.0.2");
    WAIT_UNTIL(has_mac("10.0.0.2", IN_MAC));

    shell("ip link set out0 down && ip link set out0 name away0 && ip link set away0 up");
    WAIT_UNTIL(find("10.0.0.2") == NEXT_HOP_DOWN && has_own_mac("00:00:00:00:00:00"));
    shell("ip link set away0 down && ip link set away0 name out0 && ip link set out0 up");
    WAIT_UNTIL(find("10.0.0.2") == NEXT_HOP_UNRESOLVED);
    next_hop_close(hop);
}
END_TEST

START_TEST(own_facts)
{
    struct error err = { 0 };
    if (!start())
        return;
    ck_assert(has_own_mac(OUT_MAC));
    ck_assert_uint_eq(next_hop_mtu(hop), 1500);
    uint64_t generation = next_hop_generation(hop);
    shell("ip link set out0 mtu 1400");
    WAIT_UNTIL(next_hop_mtu(hop) == 1400);
    ck_assert_uint_ne(next_hop_generation(hop), generation);
    shell("ip link set out0 address 02:00:00:00:00:11");
    WAIT_UNTIL(has_own_mac("02:00:00:00:00:11"));
    next_hop_close(hop);
    ck_assert_ptr_nonnull(hop = next_hop_open("lo", 1024, &err));
    ck_assert_int_eq(find("127.0.0.1"), NEXT_HOP_DOWN); /* a carrier is not enough */
    next_hop_close(hop);
    ck_assert_ptr_null(next_hop_open("out1", 1024, &err));
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    ck_assert_ptr_nonnull(
        strstr(err.text, "no interface \"out1\", did you mean \"out0\"?"));
}
END_TEST

START_TEST(without_permission)
{
    if (!start())
        return;
    ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
    ck_assert_int_eq(next_hop_use(hop, here_address("10.0.0.2")), -EPERM);
    ck_assert_uint_eq(next_hop_counts(hop)->refused, 1);
    next_hop_close(hop);
}
END_TEST

START_TEST(no_more_than_rows)
{
    if (!neighbour_rig_start())
        return;
    shell("for n in $(seq 20 29); do echo neigh add 10.0.0.$n lladdr 02:00:00:00:00:$n "
          "dev out0 nud permanent; echo route add 192.0.$n.0/24 via 10.0.0.$n; "
          "done | ip -batch -");
    open_hop(6);
    ck_assert_uint_ge(next_hop_counts(hop)->no_room, 8);
    unsigned neighbours = 0, routes = 0;
    for (unsigned n = 20; n < 30; n++) {
        char address[32];
        snprintf(address, sizeof(address), "10.0.0.%u", n);
        neighbours += find(address) == NEXT_HOP_KNOWN;
        snprintf(address, sizeof(address), "192.0.%u.1", n);
        routes += find(address) != NEXT_HOP_NO_ROUTE;
    }
    ck_assert_uint_eq(neighbours, 6);
    ck_assert_uint_le(routes, 6);
    next_hop_close(hop);
}
END_TEST

static void churn(void)
{
    shell(
        "for n in $(seq 10 90); do for i in 1 2 3; do "
        "echo neigh replace 10.0.0.$n lladdr 02:00:00:00:0$i:$n dev out0 nud permanent; "
        "echo route replace 192.0.$n.0/24 via 10.0.0.$n; "
        "test $((n %% 2)) = 0 || { echo neigh del 10.0.0.$n dev out0; "
        "echo route del 192.0.$n.0/24; }; done; done | ip -batch -");
}

/* More of it than there is room for. */
static void churn_unheard(void)
{
    int smallest = 1, fd = next_hop_fd(hop);
    ck_assert(!setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &smallest, sizeof(smallest)));
    churn();
}

/* Neighbours and routes come and go, first more events of them than there is room for, then while
 * rounds are under way. In the end it is as the kernel has it. */
START_TEST(overrun)
{
    if (!start())
        return;
    churn_unheard();
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (!child) {
        churn();
        _exit(0);
    }
    int status = -1;
    while (!waitpid(child, &status, WNOHANG))
        ck_assert_int_ge(next_hop_read(hop, real_now(), 1), 0);
    ck_assert_int_eq(status, 0);
    shell("ip route add 198.51.100.0/24 via 10.0.0.2");
    WAIT_UNTIL(goes_by("198.51.100.1", "10.0.0.2"));
    ck_assert_uint_ge(next_hop_counts(hop)->lost, 1);
    settle();
    for (unsigned n = 10; n <= 90; n++) {
        char address[32], mac[32];
        snprintf(address, sizeof(address), "10.0.0.%u", n);
        snprintf(mac, sizeof(mac), "02:00:00:00:03:%u", n);
        ck_assert_msg(n % 2 ? find(address) == NEXT_HOP_UNRESOLVED
                            : has_mac(address, mac),
                      "%s", address);
        snprintf(address, sizeof(address), "192.0.%u.1", n);
        ck_assert_msg((find(address) == NEXT_HOP_NO_ROUTE) == n % 2, "%s", address);
    }
    next_hop_close(hop);
}
END_TEST

/* Nobody is told that it goes. */
START_TEST(gone_in_silence)
{
    if (!start())
        return;
    churn_unheard();
    shell("ip link del out0");
    WAIT_UNTIL(find("10.0.0.2") == NEXT_HOP_DOWN);
    make_pair();
    WAIT_UNTIL(find("10.0.0.2") == NEXT_HOP_UNRESOLVED);
    next_hop_close(hop);
}
END_TEST

/* --- what a kernel does only now and then ---------------------------------------------- */

static char buffer[256] __attribute__((aligned(4)));

static const struct nlmsghdr *neighbour(uint16_t type, const char *address,
                                        uint16_t state)
{
    static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 7 };
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    struct ndmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
    message->nlmsg_type = type;
    *header = (struct ndmsg){ .ndm_family = AF_INET,
                              .ndm_ifindex = (int)if_nametoindex("out0"),
                              .ndm_state = state };
    mnl_attr_put(message, NDA_DST, 4, here_address(address) + 12);
    mnl_attr_put(message, NDA_LLADDR, 6, mac);
    return message;
}

static const struct nlmsghdr *link_of(uint16_t type, const char *name)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    struct ifinfomsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
    message->nlmsg_type = type;
    *header = (struct ifinfomsg){ .ifi_index = (int)if_nametoindex("out0"),
                                  .ifi_flags = IFF_UP };
    mnl_attr_put_strz(message, IFLA_IFNAME, name);
    mnl_attr_put_u8(message, IFLA_CARRIER, 1);
    return message;
}

/* In a round an event is newer than a row, also when the row comes behind it. */
START_TEST(rows_that_are_late)
{
    if (!start())
        return;
    next_hop_take(NETLINK_EVENT, neighbour(RTM_NEWNEIGH, "10.0.0.7", NUD_REACHABLE), hop);
    ck_assert_int_eq(find("10.0.0.7"), NEXT_HOP_KNOWN);
    next_hop_take(NETLINK_BEGIN, NULL, hop);
    next_hop_take(NETLINK_ROW, link_of(RTM_NEWLINK, "out0"), hop);
    next_hop_take(NETLINK_EVENT, neighbour(RTM_DELNEIGH, "10.0.0.7", NUD_REACHABLE), hop);
    next_hop_take(NETLINK_ROW, neighbour(RTM_NEWNEIGH, "10.0.0.7", NUD_REACHABLE), hop);
    next_hop_take(NETLINK_EVENT, neighbour(RTM_NEWNEIGH, "10.0.0.8", NUD_FAILED), hop);
    next_hop_take(NETLINK_ROW, neighbour(RTM_NEWNEIGH, "10.0.0.8", NUD_STALE), hop);
    next_hop_take(NETLINK_EVENT, neighbour(RTM_NEWNEIGH, "10.0.0.9", NUD_REACHABLE), hop);
    next_hop_take(NETLINK_ROW, neighbour(RTM_NEWNEIGH, "10.0.0.9", NUD_INCOMPLETE), hop);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_ne(find("10.0.0.7"), NEXT_HOP_KNOWN);
        ck_assert_int_ne(find("10.0.0.8"), NEXT_HOP_KNOWN);
        ck_assert(i || find("10.0.0.9") == NEXT_HOP_KNOWN);
        if (!i)
            next_hop_take(NETLINK_EVENT, link_of(RTM_NEWLINK, "away0"), hop);
        next_hop_take(NETLINK_ROW, link_of(RTM_NEWLINK, "out0"), hop);
        ck_assert_int_eq(find("10.0.0.9"), NEXT_HOP_DOWN);
        if (!i)
            next_hop_take(NETLINK_COMPLETE, NULL, hop);
    }
    next_hop_take(NETLINK_BEGIN, NULL, hop); /* of the next round it is believed */
    next_hop_take(NETLINK_ROW, link_of(RTM_NEWLINK, "out0"), hop);
    ck_assert_int_ne(find("10.0.0.9"), NEXT_HOP_DOWN);
    next_hop_close(hop);
}
END_TEST

static Suite *suite_next_hop(void)
{
    Suite *suite = suite_create("next_hop");
    TCase *tests = tcase_create("next_hop");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, resolves_by_arp_and_nd);
    tcase_add_test(tests, nobody_there);
    tcase_add_test(tests, stale_is_verified);
    tcase_add_test(tests, permanent_stays);
    tcase_add_test(tests, gratuitous_arp);
    tcase_add_test(tests, down_and_up);
    tcase_add_test(tests, gone_and_back);
    tcase_add_test(tests, own_facts);
    tcase_add_test(tests, without_permission);
    tcase_add_test(tests, no_more_than_rows);
    tcase_add_test(tests, overrun);
    tcase_add_test(tests, gone_in_silence);
    tcase_add_test(tests, rows_that_are_late);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(next_hop)
