/* neigh_sync: a real kernel's neighbours in a real Redis, one event after the other. */
#include <linux/neighbour.h>

#include "selftest/neigh_rig.h"
#include "selftest/selftest.h"

START_TEST(basic)
{
    static const uint16_t states[] = { NUD_STALE, NUD_REACHABLE, NUD_DELAY, NUD_PROBE };
    char ip[32], key[64];
    if (!neigh_begin())
        return;
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_expect("Ethernet0:10.0.0.2", "S " MAC);
    ck_assert_str_eq(neigh_row("Ethernet0:10.0.0.2", "family"), "IPv4");
    neigh_add("Ethernet0", "2001:db8::5", NUD_STALE);
    neigh_expect("Ethernet0:2001:db8::5", "S " MAC);
    ck_assert_str_eq(neigh_row("Ethernet0:2001:db8::5", "family"), "IPv6");
    for (unsigned i = 0; i < 4; i++) {
        snprintf(ip, sizeof(ip), "10.0.1.%u", i);
        snprintf(key, sizeof(key), "Ethernet0:%s", ip);
        neigh_add("Ethernet0", ip, states[i]);
        neigh_expect(key, "S " MAC);
    }
    ck_assert_int_eq(
        neigh_change(true, "Ethernet0", "10.0.0.2", NUD_PERMANENT, 0, mac2, 6), 0);
    neigh_expect("Ethernet0:10.0.0.2", "S " MAC2);
    ck_assert_int_eq(
        neigh_change(true, "Ethernet0", "10.0.0.2", NUD_PERMANENT, 0, mac2, 6), 0);
    neigh_settle(); /* nothing changed */
    ck_assert_uint_eq(neigh_times("Ethernet0:10.0.0.2"), 0);
    ck_assert_str_eq(neigh_row("Ethernet0:10.0.0.2", "neigh"), MAC2);
    neigh_delete("Ethernet0", "10.0.0.2");
    neigh_expect("Ethernet0:10.0.0.2", "D");
    neigh_end();
}
END_TEST

START_TEST(state_changes)
{
    static const uint16_t states[] = { NUD_REACHABLE, NUD_STALE, NUD_DELAY,
                                       NUD_REACHABLE };
    if (!neigh_begin())
        return;
    for (unsigned i = 0; i < 4; i++) {
        neigh_add("Ethernet0", "10.0.0.2", states[i]);
        neigh_settle();
    }
    ck_assert_uint_eq(neigh_times("Ethernet0:10.0.0.2"), 1);
    neigh_expect("Ethernet0:10.0.0.2", "S " MAC);
    ck_assert_int_eq(neigh_change(true, "Ethernet0", "10.0.0.2", NUD_FAILED, 0, NULL, 0),
                     0);
    neigh_expect("Ethernet0:10.0.0.2", "D");
    neigh_add("Ethernet0", "10.0.0.3", NUD_PERMANENT);
    neigh_expect("Ethernet0:10.0.0.3", "S " MAC);
    ck_assert_int_eq(
        neigh_change(true, "Ethernet0", "10.0.0.3", NUD_INCOMPLETE, 0, NULL, 0), 0);
    neigh_expect("Ethernet0:10.0.0.3", "D");
    neigh_end();
}
END_TEST

/* A silent host: the kernel tells of it when it gives up. */
START_TEST(silent_host)
{
    if (!neigh_begin())
        return;
    shell("ip addr add 10.0.0.1/24 dev Ethernet0");
    shell("ping -c 1 -W 1 10.0.0.77 >/dev/null 2>&1 || true");
    neigh_until("neighbors_deleted", 1);
    neigh_expect("Ethernet0:10.0.0.77", "D");
    neigh_end();
}
END_TEST

START_TEST(initial_dump)
{
    if (!neigh_start())
        return;
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_add("Ethernet0", "10.0.0.3", NUD_STALE);
    neigh_add("Ethernet0", "10.0.0.4", NUD_PERMANENT);
    neigh_add("Ethernet0", "2001:db8::2", NUD_PERMANENT);
    neigh_add("Ethernet0", "2001:db8::3", NUD_STALE);
    neigh_add("Ethernet0", "2001:db8::4", NUD_PERMANENT);
    neigh_run(NULL);
    neigh_settle();
    ck_assert_int_eq(neigh_rows(), 6);
    ck_assert_str_eq(neigh_text("HGET NEIGH_TABLE:Ethernet0:2001:db8::3 neigh"), MAC);
    neigh_end();
}
END_TEST

/* Bytes on the wire: what is staged where, and when a message is published. */
START_TEST(wire_format)
{
    struct consumer listener;
    if (!neigh_start())
        return;
    neigh_consumes = false;
    consumer_open(&listener, neigh_socket, "NEIGH_TABLE", 0);
    neigh_run(NULL);
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_settle();
    ck_assert_str_eq(neigh_text("HGET _NEIGH_TABLE:Ethernet0:10.0.0.2 neigh"), MAC);
    ck_assert_str_eq(neigh_text("HGET _NEIGH_TABLE:Ethernet0:10.0.0.2 family"), "IPv4");
    ck_assert_str_eq(neigh_text("HLEN _NEIGH_TABLE:Ethernet0:10.0.0.2"), "2");
    ck_assert_str_eq(neigh_text("SISMEMBER NEIGH_TABLE_KEY_SET Ethernet0:10.0.0.2"), "1");
    ck_assert_str_eq(neigh_text("EXISTS NEIGH_TABLE:Ethernet0:10.0.0.2"), "0");
    ck_assert_int_eq(
        neigh_change(true, "Ethernet0", "10.0.0.2", NUD_PERMANENT, 0, mac2, 6), 0);
    neigh_settle();
    consumer_step(&listener, 100);
    ck_assert_uint_eq(listener.published, 1);
    ck_assert_str_eq(neigh_text("EXISTS NEIGH_TABLE_DEL_SET"), "0");
    neigh_delete("Ethernet0", "10.0.0.2");
    neigh_settle();
    ck_assert_str_eq(neigh_text("SISMEMBER NEIGH_TABLE_DEL_SET Ethernet0:10.0.0.2"), "1");
    ck_assert_str_eq(neigh_text("EXISTS _NEIGH_TABLE:Ethernet0:10.0.0.2"), "0");
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_settle();
    ck_assert_str_eq(neigh_text("SISMEMBER NEIGH_TABLE_DEL_SET Ethernet0:10.0.0.2"), "1");
    ck_assert_str_eq(neigh_text("HGET _NEIGH_TABLE:Ethernet0:10.0.0.2 neigh"), MAC);
    consumer_step(&listener, 100);
    ck_assert_uint_eq(listener.published, 1);
    consumer_close(&listener);
    neigh_end();
}
END_TEST

START_TEST(filters)
{
    static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 }, zero[6];
    if (!neigh_begin())
        return;
    neigh_change(true, "Ethernet0", "10.0.0.5", NUD_PERMANENT, 0, broadcast, 6);
    neigh_expect("Ethernet0:10.0.0.5", "");
    neigh_delete("Ethernet0", "10.0.0.5");
    neigh_expect("Ethernet0:10.0.0.5", "D");
    neigh_change(true, "Ethernet0", "10.0.0.6", NUD_NOARP, 0, mac1, 6);
    neigh_expect("Ethernet0:10.0.0.6", "");
    neigh_delete("Ethernet0", "10.0.0.6");
    neigh_expect("Ethernet0:10.0.0.6", "D");
    neigh_change(true, "Ethernet0", "10.0.0.7", NUD_NOARP, NTF_EXT_LEARNED, mac1, 6);
    neigh_expect("Ethernet0:10.0.0.7", "S " MAC);
    neigh_delete("Ethernet0", "10.0.0.7");
    neigh_expect("Ethernet0:10.0.0.7", "D");
    neigh_add("Ethernet0", "169.254.7.7", NUD_PERMANENT);
    neigh_expect("Ethernet0:169.254.7.7", "S " MAC);
    neigh_change(true, "Ethernet0", "ff02::99", NUD_PERMANENT, 0, mac1, 6);
    neigh_delete("Ethernet0", "ff02::99");
    neigh_expect("Ethernet0:ff02::99", "");
    neigh_change(true, "Ethernet0", "ff0e::99", NUD_PERMANENT, 0, mac1, 6);
    neigh_expect("Ethernet0:ff0e::99", "S " MAC);
    neigh_change(true, "Ethernet0", "10.0.0.8", NUD_PERMANENT, 0, zero, 6);
    neigh_expect("Ethernet0:10.0.0.8", "S 00:00:00:00:00:00");
    neigh_add("Ethernet0", "::ffff:1.2.3.4", NUD_PERMANENT);
    neigh_expect("Ethernet0:::ffff:1.2.3.4", "S " MAC);
    ck_assert_uint_ge(neigh_counter("drop_broadcast"), 1);
    ck_assert_uint_ge(neigh_counter("drop_noarp"), 1);
    neigh_end();
}
END_TEST

/* A row of ours that does not belong there any more. */
START_TEST(no_longer_eligible)
{
    static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
    if (!neigh_begin())
        return;
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_expect("Ethernet0:10.0.0.2", "S " MAC);
    neigh_change(true, "Ethernet0", "10.0.0.2", NUD_NOARP, 0, mac1, 6);
    neigh_expect("Ethernet0:10.0.0.2", "D");
    neigh_add("Ethernet0", "10.0.0.3", NUD_PERMANENT);
    neigh_expect("Ethernet0:10.0.0.3", "S " MAC);
    neigh_change(true, "Ethernet0", "10.0.0.3", NUD_PERMANENT, 0, broadcast, 6);
    neigh_expect("Ethernet0:10.0.0.3", "D");
    neigh_end();
}
END_TEST

START_TEST(other_interfaces)
{
    if (!neigh_begin())
        return;
    shell("ip link set lo up; ip link add eth0 type veth peer name peer1; ip link set "
          "eth0 up");
    neigh_add("eth0", "10.0.0.2", NUD_PERMANENT);
    neigh_expect("eth0:10.0.0.2", "S " MAC);
    neigh_add("lo", "127.0.0.9", NUD_PERMANENT); /* the kernel makes one of all */
    neigh_expect("lo:0.0.0.0", "S " MAC);
    shell(
        "ip link add br0 type bridge; ip link set peer1 master br0; ip link set br0 up");
    shell("bridge fdb add 02:00:00:00:00:09 dev peer1 master static");
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_expect("Ethernet0:10.0.0.2", "S " MAC);
    ck_assert_uint_ge(neigh_counter("drop_other"), 1);
    ck_assert_int_eq(neigh_rows(), 3);
    neigh_end();
}
END_TEST

START_TEST(families)
{
    if (!neigh_start())
        return;
    neigh_run("ipv4_enabled", "false", NULL);
    neigh_settle();
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_add("Ethernet0", "2001:db8::2", NUD_PERMANENT);
    neigh_expect("Ethernet0:2001:db8::2", "S " MAC);
    ck_assert_int_eq(neigh_rows(), 1);
    neigh_end();
}
END_TEST

START_TEST(rename_interface)
{
    if (!neigh_begin())
        return;
    shell("ip link add zzA type veth peer name zzB; ip link set zzA up; ip link set zzB "
          "up");
    neigh_add("zzA", "10.8.0.1", NUD_PERMANENT);
    neigh_expect("zzA:10.8.0.1", "S " MAC);
    shell("ip link set zzA down; ip link set zzA name Ethernet8; ip link set Ethernet8 "
          "up");
    neigh_expect("zzA:10.8.0.1", "D");
    neigh_add("Ethernet8", "10.8.0.1", NUD_PERMANENT);
    neigh_expect("Ethernet8:10.8.0.1", "S " MAC);
    ck_assert_int_eq(neigh_rows(), 1);
    neigh_end();
}
END_TEST

START_TEST(delete_interface)
{
    char index[16];
    if (!neigh_begin())
        return;
    shell("ip link add zzA index 77 type veth peer name zzB; ip link set zzA up");
    neigh_add("zzA", "10.8.0.1", NUD_PERMANENT);
    neigh_add("zzA", "2001:db8::1", NUD_PERMANENT);
    neigh_settle();
    ck_assert_int_eq(neigh_rows(), 2);
    shell("ip link del zzA");
    neigh_settle();
    ck_assert_str_eq(neigh_popped("zzA:10.8.0.1"), "D");
    ck_assert_str_eq(neigh_popped("zzA:2001:db8::1"), "D");
    ck_assert_int_eq(neigh_rows(), 0);
    shell("ip link add zzC index 77 type veth peer name zzD; ip link set zzC up");
    neigh_add("zzC", "10.8.0.1", NUD_PERMANENT);
    neigh_expect("zzC:10.8.0.1", "S " MAC);
    /* One that lives and dies while nobody looks. */
    shell("ip link add zzE index 99 type veth peer name zzF; ip link set zzE up");
    neigh_add("zzE", "10.9.0.1", NUD_PERMANENT);
    shell("ip link del zzE");
    neigh_expect("zzE:10.9.0.1", "D");
    snprintf(index, sizeof(index), "%u:10.9.0.1", 99);
    ck_assert_str_eq(neigh_row(index, "neigh"), "");
    ck_assert_int_eq(neigh_rows(), 1);
    neigh_end();
}
END_TEST

START_TEST(link_down_and_up)
{
    if (!neigh_begin())
        return;
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_expect("Ethernet0:10.0.0.2", "S " MAC);
    shell("ip link set Ethernet0 down");
    neigh_expect("Ethernet0:10.0.0.2", "D");
    shell("ip link set Ethernet0 up");
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_expect("Ethernet0:10.0.0.2", "S " MAC);
    neigh_end();
}
END_TEST

/* The same address on interfaces of two VRFs (bridges stand for them). */
START_TEST(two_vrfs)
{
    if (!neigh_begin())
        return;
    shell("ip link add Ethernet4 type veth peer name peer4; ip link set Ethernet4 up");
    shell("ip link add Vrf1 type bridge; ip link add Vrf2 type bridge");
    shell("ip link set Ethernet0 master Vrf1; ip link set Ethernet4 master Vrf2");
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_change(true, "Ethernet4", "10.0.0.2", NUD_PERMANENT, 0, mac2, 6);
    neigh_settle();
    ck_assert_str_eq(neigh_row("Ethernet0:10.0.0.2", "neigh"), MAC);
    ck_assert_str_eq(neigh_row("Ethernet4:10.0.0.2", "neigh"), MAC2);
    neigh_end();
}
END_TEST

static Suite *suite_neigh_sync(void)
{
    Suite *suite = suite_create("neigh_sync");
    TCase *tcase = tcase_create("neigh_sync");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, basic);
    tcase_add_test(tcase, state_changes);
    tcase_add_test(tcase, silent_host);
    tcase_add_test(tcase, initial_dump);
    tcase_add_test(tcase, wire_format);
    tcase_add_test(tcase, filters);
    tcase_add_test(tcase, no_longer_eligible);
    tcase_add_test(tcase, other_interfaces);
    tcase_add_test(tcase, families);
    tcase_add_test(tcase, rename_interface);
    tcase_add_test(tcase, delete_interface);
    tcase_add_test(tcase, link_down_and_up);
    tcase_add_test(tcase, two_vrfs);
    suite_add_tcase(suite, tcase);
    return suite;
}
SUITE(neigh_sync)
