/* ethtool: devices of a namespace of the test's own, as ethtool(8) and ip(8) set them up. */
#include "lib/ethtool.h"

#include <errno.h>
#include <net/if.h>

#include "selftest/private_network.h"
#include "selftest/selftest.h"

static struct error err;

static bool network(void)
{
    if (!private_network())
        return false;
    shell("ip link add one type veth peer name four numrxqueues 4 numtxqueues 4");
    shell("ip tuntap add tap0 mode tap");
    return true;
}

static uint32_t get(const char *name, const char *setting)
{
    uint32_t value = 77;
    ck_assert_msg(!ethtool_setting_get(name, setting, &value, &err), "%s", err.text);
    return value;
}

static void set(const char *name, const char *setting, uint32_t value)
{
    ck_assert_msg(!ethtool_set(name, setting, value, &err), "%s", err.text);
    ck_assert_uint_eq(get(name, setting), value);
}

START_TEST(devices)
{
    struct ethtool_state s;
    if (!network())
        return;
    shell("ethtool -L four rx 3");
    ck_assert_int_eq(ethtool_query("four", &s, &err), 0);
    ck_assert_str_eq(s.driver, "veth");
    ck_assert(s.has_channels && !s.has_rings && !s.has_coalesce);
    ck_assert(s.rx_queues == 3 && s.rx_queues_max == 4 && s.combined == 0);
    ck_assert(s.speed == 10000 && s.full_duplex);
    ck_assert_int_eq(ethtool_query("tap0", &s, &err), 0);
    ck_assert_str_eq(s.driver, "tun");
    ck_assert(s.has_coalesce && !s.has_rings);
    ck_assert_int_eq(ethtool_query("lo", &s, &err), 0);
    ck_assert_str_eq(s.driver, "");
    ck_assert_uint_eq(s.speed, 0);
    ck_assert_int_eq(ethtool_query("none", &s, &err), -ENODEV);
}
END_TEST

START_TEST(settings)
{
    uint32_t value;
    if (!network())
        return;
    shell("ethtool -C tap0 rx-frames 9");
    ck_assert_uint_eq(get("tap0", "rx_frames"), 9);
    set("tap0", "rx_frames", 32);
    shell("ethtool -c tap0 | grep -qx 'rx-frames:\\s*32'");
    set("one", "rxvlan", 0);
    shell("ethtool -k one | grep -q '^rx-vlan-offload: off'");
    shell("ethtool -k one | grep -q '^tx-vlan-offload: on'");
    set("one", "rxvlan", 1);
    shell("ethtool -k one | grep -q '^rx-vlan-offload: on'");
    set("one", "gro", 1);
    shell("ethtool -k one | grep -q '^generic-receive-offload: on'");
    set("one", "gro", 0);
    ck_assert_int_eq(ethtool_setting_get("one", "rx_ring", &value, &err), -EOPNOTSUPP);
    ck_assert_str_eq(err.text, "one: rx_ring: Operation not supported");
    ck_assert_int_eq(ethtool_set("one", "rx_ring", 1, &err), -EOPNOTSUPP);
    ck_assert_int_eq(ethtool_set("one", "colour", 1, &err), -EINVAL);
    ck_assert_str_eq(err.text, "no setting \"colour\"");
    ck_assert_int_eq(ethtool_set("none", "rx_frames", 1, &err), -ENODEV);
}
END_TEST

START_TEST(settings_need_privilege)
{
    if (!network())
        return;
    ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
    ck_assert_int_eq(ethtool_set("tap0", "rx_frames", 1, &err), -EPERM);
    ck_assert_int_eq(err.kind, ERROR_PRIVILEGE);
    ck_assert_str_eq(err.text, "tap0: rx_frames: needs CAP_NET_ADMIN");
    ck_assert_uint_eq(get("tap0", "rx_frames"), 0); /* to look is free */
}
END_TEST

START_TEST(xdp_features)
{
    uint64_t features = 0;
    if (!network())
        return;
    int error = ethtool_xdp_features(if_nametoindex("one"), &features, &err);
    if (error == -EOPNOTSUPP) {
        fprintf(stderr, "SKIPPED: xdp_features: not in this kernel\n");
        return;
    }
    ck_assert_int_eq(error, 0);
    ck_assert(features & XDP_FEATURE_BASIC && features & XDP_FEATURE_REDIRECT);
    ck_assert(!(features & XDP_FEATURE_ZEROCOPY));
    ck_assert_int_eq(ethtool_xdp_features(if_nametoindex("lo"), &features, &err), 0);
    ck_assert_uint_eq(features, 0);
    ck_assert_int_lt(ethtool_xdp_features(999999, &features, &err), 0);
}
END_TEST

START_TEST(interrupts)
{
    unsigned irqs[8];
    char cpus[256];
    if (!network())
        return;
    ck_assert_uint_eq(ethtool_irqs("one", irqs, 8), 0);
    ck_assert_uint_eq(ethtool_irqs("", irqs, 8), 0);
    FILE *file =
        popen("sed -n 's/^ *\\([0-9]*\\):.* \\([a-z]*[0-9]*\\)-[a-z.0-9]*$/\\1 \\2/p' "
              "/proc/interrupts | head -1",
              "r");
    unsigned irq;
    char name[64];
    if (fscanf(file, "%u %63s", &irq, name) == 2) {
        bool found = false;
        for (size_t n = ethtool_irqs(name, irqs, 8); n--;)
            found = found || irqs[n] == irq;
        ck_assert_msg(found, "%s has interrupt %u", name, irq);
        ck_assert_int_eq(irq_affinity(irq, cpus, sizeof(cpus), &err), 0);
        ck_assert_msg(strspn(cpus, "0123456789,-") == strlen(cpus), "%s", cpus);
    }
    pclose(file);
    ck_assert_int_eq(irq_affinity(99999, cpus, sizeof(cpus), &err), -ENOENT);
    ck_assert_int_eq(irq_set_affinity(99999, "0", &err), -ENOENT);
}
END_TEST

static Suite *suite_ethtool(void)
{
    Suite *suite = suite_create("ethtool");
    TCase *tests = tcase_create("ethtool");
    tcase_add_test(tests, devices);
    tcase_add_test(tests, settings);
    tcase_add_test(tests, settings_need_privilege);
    tcase_add_test(tests, xdp_features);
    tcase_add_test(tests, interrupts);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(ethtool)
