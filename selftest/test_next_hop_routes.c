/* next_hop: which of a real kernel's routes counts. */
#include "selftest/next_hop_rig.h"

START_TEST(longest_prefix_then_metric)
{
    if (!start())
        return;
    ck_assert_int_eq(find("192.0.2.1"), NEXT_HOP_NO_ROUTE);
    ck_assert_int_eq(find("2001:db8::1"), NEXT_HOP_NO_ROUTE);
    shell("ip route add default via 10.0.0.2 && ip -6 route add default via fd00::2");
    WAIT_UNTIL(goes_by("192.0.2.1", "10.0.0.2") && goes_by("2001:db8::1", "fd00::2"));
    ck_assert(goes_by("10.0.0.200", "10.0.0.200") && goes_by("fd00::200", "fd00::200"));
    shell("ip route add 192.0.2.0/24 via 10.0.0.3 metric 20 && "
          "ip route add 192.0.2.0/24 via 10.0.0.4 metric 10 && "
          "ip -6 route add 2001:db8::/32 via fd00::3 metric 20 && "
          "ip -6 route add 2001:db8::/32 via fd00::4 metric 10");
    WAIT_UNTIL(goes_by("192.0.2.1", "10.0.0.4") && goes_by("2001:db8::1", "fd00::4"));
    ck_assert(goes_by("192.0.3.1", "10.0.0.2") && goes_by("2001:db9::1", "fd00::2"));
    shell(
        "ip route del 192.0.2.0/24 metric 10 && ip -6 route del 2001:db8::/32 metric 10");
    WAIT_UNTIL(goes_by("192.0.2.1", "10.0.0.3") && goes_by("2001:db8::1", "fd00::3"));
    shell("ip route del 192.0.2.0/24 && ip -6 route del 2001:db8::/32");
    WAIT_UNTIL(goes_by("192.0.2.1", "10.0.0.2") && goes_by("2001:db8::1", "fd00::2"));
    shell("ip route replace default dev out0");
    WAIT_UNTIL(goes_by("192.0.2.1", "192.0.2.1"));
    shell("ip route add 192.0.2.1 via inet6 fd00::3 dev out0");
    WAIT_UNTIL(goes_by("192.0.2.1", "fd00::3"));
    static const char *const many[] = { "224.0.0.1", "255.255.255.255", "ff02::1" };
    for (size_t i = 0; i < 3; i++) /* in spite of the default */
        ck_assert_int_eq(find(many[i]), NEXT_HOP_NO_ROUTE);
    next_hop_close(hop);
}
END_TEST

/* Those that do not count: out of another interface, of another table, for some packets only,
 * and those that lead nowhere. */
START_TEST(routes_of_no_interest)
{
    if (!start())
        return;
    shell("ip link add other0 type veth peer name other1 && "
          "ip link set other0 up && ip link set other1 up && "
          "ip addr add 10.7.0.1/24 dev other0");
    shell("ip route add 192.0.2.0/24 via 10.7.0.2 && "
          "ip route add 192.0.2.0/25 via 10.0.0.3 table 7 && "
          "ip route add 192.0.2.0/25 via 10.0.0.3 tos 8 && "
          "ip route add blackhole 192.0.2.0/26 && "
          "ip route add local 192.0.2.0/27 dev out0 table main && "
          "ip -6 route add 2001:db8::/64 from fd00::/64 via fd00::3 dev out0");
    shell("ip neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 dev other0 nud permanent");
    shell("ip route add 192.0.0.0/16 via 10.0.0.2");
    WAIT_UNTIL(goes_by("192.0.2.1", "10.0.0.2"));
    ck_assert_int_eq(find("10.0.0.7"), NEXT_HOP_UNRESOLVED);
    ck_assert_int_eq(find("10.7.0.2"), NEXT_HOP_NO_ROUTE);
    ck_assert_int_eq(find("2001:db8::1"), NEXT_HOP_NO_ROUTE);
    next_hop_close(hop);
    open_hop(1024);
    ck_assert(goes_by("192.0.2.1", "10.0.0.2"));
    ck_assert_int_eq(find("2001:db8::1"), NEXT_HOP_NO_ROUTE);
    next_hop_close(hop);
}
END_TEST

START_TEST(replaced_routes)
{
    if (!start())
        return;
    shell("ip link add other0 type veth peer name other1 && "
          "ip link set other0 up && ip link set other1 up && "
          "ip addr add 10.7.0.1/24 dev other0");
    shell("ip route add 192.0.2.0/24 via 10.0.0.2 && "
          "ip -6 route add 2001:db8::/32 via fd00::2");
    WAIT_UNTIL(goes_by("192.0.2.1", "10.0.0.2") && goes_by("2001:db8::1", "fd00::2"));
    settle();
    uint64_t rounds = next_hop_counts(hop)->rounds;
    shell("ip route replace 192.0.2.0/24 via 10.0.0.3 && "
          "ip -6 route replace 2001:db8::/32 via fd00::3");
    WAIT_UNTIL(goes_by("192.0.2.1", "10.0.0.3") && goes_by("2001:db8::1", "fd00::3"));
    ck_assert_uint_eq(next_hop_counts(hop)->rounds, rounds);
    shell("ip route replace 192.0.2.0/24 via 10.7.0.2"); /* out of another interface */
    WAIT_UNTIL(find("192.0.2.1") == NEXT_HOP_NO_ROUTE);
    shell("ip route replace 192.0.2.0/24 via 10.0.0.4");
    WAIT_UNTIL(goes_by("192.0.2.1", "10.0.0.4"));
    shell("ip route replace blackhole 192.0.2.0/24");
    WAIT_UNTIL(find("192.0.2.1") == NEXT_HOP_NO_ROUTE);

    /* The one that it replaces is the other interface's, and ours stays. */
    shell("ip route add 198.51.100.0/24 via 10.7.0.3 && "
          "ip route append 198.51.100.0/24 via 10.0.0.3");
    WAIT_UNTIL(goes_by("198.51.100.1", "10.0.0.3"));
    shell("ip route replace 198.51.100.0/24 via 10.7.0.4");
    WAIT_UNTIL(find("198.51.100.1") == NEXT_HOP_NO_ROUTE);
    WAIT_UNTIL(goes_by("198.51.100.1", "10.0.0.3"));
    next_hop_close(hop);
}
END_TEST

START_TEST(several_next_hops)
{
    if (!start())
        return;
    shell("ip link add other0 type veth peer name other1 && "
          "ip link set other0 up && ip link set other1 up && "
          "ip addr add 10.7.0.1/24 dev other0");
    shell("ip route add 192.0.2.0/24 nexthop via 10.7.0.2 nexthop via 10.0.0.3 "
          "nexthop via 10.0.0.4 && "
          "ip -6 route add 2001:db8::/32 nexthop via fd00::2 nexthop via fd00::3");
    WAIT_UNTIL(goes_by("192.0.2.1", "10.0.0.3") && goes_by("2001:db8::1", "fd00::2"));
    shell("ip -6 route del 2001:db8::/32 via fd00::2");
    WAIT_UNTIL(goes_by("2001:db8::1", "fd00::3"));
    next_hop_close(hop);
    open_hop(1024);
    ck_assert(goes_by("192.0.2.1", "10.0.0.3") && goes_by("2001:db8::1", "fd00::3"));
    shell("ip route del 192.0.2.0/24 && ip -6 route del 2001:db8::/32");
    WAIT_UNTIL(find("192.0.2.1") == NEXT_HOP_NO_ROUTE &&
               find("2001:db8::1") == NEXT_HOP_NO_ROUTE);
    next_hop_close(hop);
}
END_TEST

/* Of equal ones the first, in the order in which the kernel has them. */
START_TEST(equal_routes)
{
    if (!start())
        return;
    shell("ip route add 192.0.2.0/24 via 10.0.0.3 && "
          "ip route append 192.0.2.0/24 via 10.0.0.4 && "
          "ip route add 192.0.3.0/24 via 10.0.0.3");
    WAIT_UNTIL(goes_by("192.0.3.1", "10.0.0.3"));
    ck_assert(goes_by("192.0.2.1", "10.0.0.3"));
    next_hop_close(hop);
    open_hop(1024);
    ck_assert(goes_by("192.0.2.1", "10.0.0.3"));
    shell("ip route prepend 192.0.2.0/24 via 10.0.0.5");
    WAIT_UNTIL(goes_by("192.0.2.1", "10.0.0.5"));
    shell(
        "ip route del 192.0.2.0/24 via 10.0.0.5 && ip route del 192.0.2.0/24 via 10.0.0.3");
    WAIT_UNTIL(goes_by("192.0.2.1", "10.0.0.4"));
    next_hop_close(hop);
}
END_TEST

START_TEST(source_address_gone)
{
    if (!start())
        return;
    shell("ip addr add 10.1.0.1/24 dev out0 && "
          "ip route add 192.0.3.0/24 via 10.0.0.2 src 10.1.0.1");
    WAIT_UNTIL(goes_by("192.0.3.1", "10.0.0.2"));
    settle();
    uint64_t rounds = next_hop_counts(hop)->rounds;
    shell("ip addr del 10.1.0.1/24 dev out0");
    WAIT_UNTIL(find("192.0.3.1") == NEXT_HOP_NO_ROUTE);
    /* A kernel that says so itself is not believed to have said everything. */
    WAIT_UNTIL(next_hop_counts(hop)->rounds > rounds);
    next_hop_close(hop);
}
END_TEST

static Suite *suite_next_hop_routes(void)
{
    Suite *suite = suite_create("next_hop_routes");
    TCase *tests = tcase_create("next_hop_routes");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, longest_prefix_then_metric);
    tcase_add_test(tests, routes_of_no_interest);
    tcase_add_test(tests, replaced_routes);
    tcase_add_test(tests, several_next_hops);
    tcase_add_test(tests, equal_routes);
    tcase_add_test(tests, source_address_gone);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(next_hop_routes)
