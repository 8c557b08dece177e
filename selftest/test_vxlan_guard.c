/* guard: which addresses the table has. What it does to packets is seen in vxlan_nat.sh. */
#include "apps/vxlan_nat/guard.h"

#include "selftest/private_network.h"
#include "selftest/selftest.h"

static struct guard guard;
static struct error err;

/* So many addresses of both families, from the first-th on. */
static int guard_some(uint32_t first, uint32_t count)
{
    struct snat snat = { .on = true };
    for (uint32_t i = first; i < first + count; i++) {
        uint8_t four[16] = { [10] = 0xff, 0xff, 10, 0, 0, (uint8_t)i };
        uint8_t six[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t)i };
        memcpy(snat.addresses[0][snat.count[0]++], four, 16);
        memcpy(snat.addresses[1][snat.count[1]++], six, 16);
    }
    return guard_addresses(&guard, &snat, "lo", &err);
}

static void check_rules(unsigned count)
{
    shell("test $(nft list ruleset | grep -c 'ip.* daddr .* goto answers') = %u", count);
}

START_TEST(addresses)
{
    if (!private_network())
        return;
    ck_assert_int_eq(guard_some(0, 0), 0);
    shell("test -z \"$(nft list tables)\"");
    ck_assert_int_eq(guard_some(1, 1), 0);
    shell("nft list ruleset | grep -q 'ip daddr 10.0.0.1 goto answers'");
    shell("nft list ruleset | grep -q 'ip6 daddr 2001:db8::1 goto answers'");
    ck_assert_int_eq(guard_some(2, 2), 0); /* sessions may have the ones of before */
    check_rules(6);
    ck_assert_int_eq(guard_some(0, 0), 0);
    check_rules(6);
    ck_assert_int_eq(guard_some(10, SNAT_ADDRESSES), 0); /* no room for those */
    check_rules(2 * SNAT_ADDRESSES);
    shell("! nft list ruleset | grep -q 'ip daddr 10.0.0.1 '");
    guard_drop(&guard);
    shell("test -z \"$(nft list tables)\"");
}
END_TEST

/* As it is, it is not tried again. */
START_TEST(refused)
{
    if (!private_network())
        return;
    ck_assert_int_eq(seteuid(65534), 0);
    ck_assert_int_eq(guard_some(1, 1), -EPERM);
    ck_assert_int_eq(guard_some(1, 1), 0);
    ck_assert_int_eq(guard_some(2, 1), -EPERM);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(guard_some(3, 1), 0);
    check_rules(6);
    guard_drop(&guard);
}
END_TEST

static Suite *suite_vxlan_guard(void)
{
    Suite *suite = suite_create("vxlan_guard");
    TCase *tcase = tcase_create("vxlan_guard");
    tcase_add_test(tcase, addresses);
    tcase_add_test(tcase, refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
SUITE(vxlan_guard)
