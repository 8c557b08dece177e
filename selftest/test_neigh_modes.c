/* neigh_modes: what CONFIG_DB says changes which neighbours are wanted, while it runs. */
#include <linux/neighbour.h>

#include "selftest/neigh_rig.h"
#include "selftest/selftest.h"

#define ZERO "00:00:00:00:00:00"

/* In CONFIG_DB. The app hears of it by itself. */
static void configure(const char *command)
{
    neigh_do("SELECT 4");
    neigh_do(command, NULL);
    neigh_do("SELECT 0");
}

/* The kernel tells of one that fails, not of one that is made so. */
static void lose(const char *ip)
{
    neigh_add("Ethernet0", ip, NUD_PERMANENT);
    neigh_change(true, "Ethernet0", ip, NUD_FAILED, 0, NULL, 0);
}

/* A change of mode asks for everything anew. */
static void configure_and_wait(const char *command)
{
    uint64_t rounds = neigh_counter("resyncs");
    configure(command);
    neigh_until("resyncs", rounds + 1);
    neigh_settle();
}

START_TEST(link_local)
{
    if (!neigh_begin())
        return;
    neigh_add("Ethernet0", "fe80::99", NUD_PERMANENT);
    neigh_expect("Ethernet0:fe80::99", "");
    neigh_delete("Ethernet0", "fe80::99");
    neigh_expect("Ethernet0:fe80::99", "D");
    neigh_add("Ethernet0", "fe80::98", NUD_PERMANENT);
    neigh_expect("Ethernet0:fe80::98", "");
    /* Enabled while the neighbour is there already. */
    configure_and_wait("HSET INTERFACE|Ethernet0 ipv6_use_link_local_only enable");
    neigh_expect("Ethernet0:fe80::98", "S " MAC);
    neigh_add("Ethernet0", "fe80::97", NUD_PERMANENT);
    neigh_expect("Ethernet0:fe80::97", "S " MAC);
    configure("HSET INTERFACE|Ethernet0|10.0.0.1/24 NULL NULL"); /* no setting at all */
    configure_and_wait("HSET INTERFACE|Ethernet0 ipv6_use_link_local_only disable");
    neigh_expect("Ethernet0:fe80::97", "D");
    neigh_delete("Ethernet0", "fe80::98");
    neigh_settle();
    ck_assert_str_eq(neigh_row("Ethernet0:fe80::98", "neigh"), "");
    configure("HSET INTERFACE|Ethernet0 ipv6_use_link_local_only true");
    neigh_breathe(100);
    neigh_forget();
    neigh_add("Ethernet0", "fe80::96", NUD_PERMANENT);
    neigh_expect("Ethernet0:fe80::96", "");
    neigh_end();
}
END_TEST

START_TEST(link_local_kinds)
{
    static const struct {
        const char *name, *command;
        bool wanted;
    } kinds[] = {
        { "Vlan100", "HSET VLAN_INTERFACE|Vlan100 ipv6_use_link_local_only enable",
          true },
        { "PortChannel1",
          "HSET PORTCHANNEL_INTERFACE|PortChannel1 ipv6_use_link_local_only enable",
          true },
        { "Loopback0", "HSET INTERFACE|Loopback0 ipv6_use_link_local_only enable",
          false },
        { "eth0", "HSET INTERFACE|eth0 ipv6_use_link_local_only enable", false },
        { "Ethernet0.10",
          "HSET VLAN_SUB_INTERFACE|Ethernet0.10 "
          "ipv6_use_link_local_only enable",
          false },
        { "Vlan200", "HSET INTERFACE|Vlan200 ipv6_use_link_local_only enable", false },
    };
    char key[64];
    if (!neigh_start())
        return;
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        configure(kinds[i].command);
        shell("ip link add %s type veth peer name peer_%u; ip link set %s up",
              kinds[i].name, i, kinds[i].name);
        neigh_add(kinds[i].name, "fe80::99", NUD_PERMANENT);
    }
    neigh_run(NULL);
    neigh_settle();
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        snprintf(key, sizeof(key), "%s:fe80::99", kinds[i].name);
        ck_assert_msg(!strcmp(neigh_row(key, "neigh"), kinds[i].wanted ? MAC : ""), "%s",
                      key);
    }
    neigh_end();
}
END_TEST

START_TEST(dual_tor)
{
    if (!neigh_begin())
        return;
    configure_and_wait("HSET PEER_SWITCH|peer address_ipv4 10.1.0.33");
    lose("10.0.0.2");
    neigh_expect("Ethernet0:10.0.0.2", "S " ZERO);
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_expect("Ethernet0:10.0.0.2", "S " MAC);
    neigh_delete("Ethernet0", "10.0.0.2");
    neigh_expect("Ethernet0:10.0.0.2", "D");
    lose("10.0.0.3");
    neigh_expect("Ethernet0:10.0.0.3", "S " ZERO);
    neigh_delete("Ethernet0", "10.0.0.3");
    neigh_expect("Ethernet0:10.0.0.3", "D");
    neigh_add("Ethernet0", "169.254.7.8", NUD_PERMANENT);
    neigh_delete("Ethernet0", "169.254.7.8");
    neigh_expect("Ethernet0:169.254.7.8", "");
    lose("2001:db8::7");
    neigh_expect("Ethernet0:2001:db8::7", "S " ZERO);
    configure_and_wait("DEL PEER_SWITCH|peer");
    neigh_forget();
    lose("10.0.0.4");
    neigh_expect("Ethernet0:10.0.0.4", "D");
    neigh_end();
}
END_TEST

/* NEIGH_FAILED_TABLE, by a consumer of its own. */
START_TEST(failed_table)
{
    struct consumer failed;
    if (!neigh_begin())
        return;
    lose("2001:db8::1");
    neigh_settle();
    ck_assert_str_eq(neigh_text("EXISTS NEIGH_FAILED_TABLE_KEY_SET"), "0");
    consumer_open(&failed, neigh_socket, "NEIGH_FAILED_TABLE", 128);
    configure_and_wait("HSET PEER_SWITCH|peer address_ipv4 10.1.0.33");
    lose("2001:db8::2");
    lose("10.0.0.2");
    neigh_settle();
    while (consumer_step(&failed, 50))
        ;
    const char *row = "NEIGH_FAILED_TABLE:Ethernet0:2001:db8::2";
    ck_assert_str_eq(neigh_text("HGET %s NULL", row), "NULL");
    ck_assert_str_eq(neigh_text("EXISTS NEIGH_FAILED_TABLE:Ethernet0:10.0.0.2"), "0");
    neigh_change(true, "Ethernet0", "2001:db8::2", NUD_INCOMPLETE, 0, NULL, 0);
    neigh_settle();
    while (consumer_step(&failed, 50))
        ;
    ck_assert_str_eq(neigh_text("EXISTS %s", row), "1");
    neigh_add("Ethernet0", "2001:db8::2", NUD_REACHABLE);
    neigh_settle();
    while (consumer_step(&failed, 50))
        ;
    ck_assert_str_eq(neigh_text("EXISTS %s", row), "0");
    lose("2001:db8::3");
    neigh_settle();
    neigh_delete("Ethernet0", "2001:db8::3");
    neigh_settle();
    while (consumer_step(&failed, 50))
        ;
    ck_assert_str_eq(neigh_text("EXISTS NEIGH_FAILED_TABLE:Ethernet0:2001:db8::3"), "0");
    consumer_close(&failed);
    neigh_end();
}
END_TEST

START_TEST(forced_dual_tor)
{
    if (!neigh_start())
        return;
    neigh_run("dual_tor", "on", NULL);
    neigh_settle();
    lose("10.0.0.2");
    neigh_expect("Ethernet0:10.0.0.2", "S " ZERO);
    neigh_end();
}
END_TEST

static void in_vrf(void)
{
    shell("ip link add Vrf1 type bridge; ip link set Vrf1 up");
    shell("ip link set Ethernet0 master Vrf1");
}

START_TEST(evpn)
{
    struct consumer routes;
    if (!neigh_begin())
        return;
    consumer_open(&routes, neigh_socket, "ROUTE_TABLE", 128);
    configure_and_wait("HSET VXLAN_EVPN_NVO|nvo source_vtep vtep");
    neigh_add("Ethernet0", "10.0.0.1", NUD_PERMANENT);
    neigh_settle();
    ck_assert_uint_eq(consumer_step(&routes, 50), 0); /* no VRF yet */
    in_vrf();
    neigh_add("Ethernet0", "10.0.0.2", NUD_REACHABLE);
    neigh_expect("Ethernet0:10.0.0.2", "S " MAC);
    ck_assert_uint_eq(consumer_step(&routes, 50), 1);
    ck_assert_uint_eq(routes.deletes, 1);
    neigh_change(true, "Ethernet0", "10.0.0.3", NUD_PROBE, 0, mac1, 6);
    neigh_expect("Ethernet0:10.0.0.3", "");
    neigh_change(true, "Ethernet0", "10.0.0.2", NUD_NOARP, 0, mac1, 6);
    neigh_expect("Ethernet0:10.0.0.2", "D");
    neigh_change(true, "Ethernet0", "10.0.0.4", NUD_NOARP, NTF_EXT_LEARNED, mac1, 6);
    neigh_expect("Ethernet0:10.0.0.4", "S " MAC);
    configure_and_wait("DEL VXLAN_EVPN_NVO|nvo");
    neigh_forget();
    neigh_change(true, "Ethernet0", "10.0.0.5", NUD_NOARP, 0, mac1, 6);
    neigh_expect("Ethernet0:10.0.0.5", "");
    consumer_close(&routes);
    neigh_end();
}
END_TEST

/* A host that moves here keeps its MAC address: its row stays as it is, its route goes. */
START_TEST(evpn_moves)
{
    struct consumer routes;
    if (!neigh_begin())
        return;
    consumer_open(&routes, neigh_socket, "ROUTE_TABLE", 128);
    configure_and_wait("HSET VXLAN_EVPN_NVO|nvo source_vtep vtep");
    in_vrf();
    neigh_change(true, "Ethernet0", "10.0.0.4", NUD_NOARP, NTF_EXT_LEARNED, mac1, 6);
    neigh_expect("Ethernet0:10.0.0.4", "S " MAC);
    while (consumer_step(&routes, 50))
        ;
    unsigned long before = routes.deletes;
    neigh_change(true, "Ethernet0", "10.0.0.4", NUD_REACHABLE, 0, mac1, 6);
    neigh_expect("Ethernet0:10.0.0.4", "S " MAC);
    ck_assert_uint_eq(consumer_step(&routes, 50), 1);
    ck_assert_uint_eq(routes.deletes, before + 1);
    neigh_change(true, "Ethernet0", "10.0.0.4", NUD_STALE, 0, mac1, 6);
    neigh_settle();
    ck_assert_uint_eq(neigh_times("Ethernet0:10.0.0.4"), 0); /* it is here already */
    consumer_close(&routes);
    neigh_end();
}
END_TEST

START_TEST(evpn_before_start)
{
    struct consumer routes;
    if (!neigh_start())
        return;
    configure("HSET VXLAN_EVPN_NVO|nvo source_vtep vtep");
    in_vrf();
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_change(true, "Ethernet0", "10.0.0.3", NUD_NOARP, 0, mac1, 6);
    neigh_change(true, "Ethernet0", "10.0.0.4", NUD_NOARP, NTF_EXT_LEARNED, mac1, 6);
    consumer_open(&routes, neigh_socket, "ROUTE_TABLE", 128);
    neigh_run(NULL);
    neigh_settle();
    ck_assert_str_eq(neigh_row("Ethernet0:10.0.0.2", "neigh"), MAC);
    ck_assert_str_eq(neigh_row("Ethernet0:10.0.0.3", "neigh"), "");
    ck_assert_str_eq(neigh_row("Ethernet0:10.0.0.4", "neigh"), MAC);
    while (consumer_step(&routes, 50))
        ;
    ck_assert_uint_eq(routes.deletes, 2);
    consumer_close(&routes);
    neigh_end();
}
END_TEST

static Suite *suite_neigh_modes(void)
{
    Suite *suite = suite_create("neigh_modes");
    TCase *tcase = tcase_create("neigh_modes");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, link_local);
    tcase_add_test(tcase, link_local_kinds);
    tcase_add_test(tcase, dual_tor);
    tcase_add_test(tcase, failed_table);
    tcase_add_test(tcase, forced_dual_tor);
    tcase_add_test(tcase, evpn);
    tcase_add_test(tcase, evpn_moves);
    tcase_add_test(tcase, evpn_before_start);
    suite_add_tcase(suite, tcase);
    return suite;
}
SUITE(neigh_modes)
