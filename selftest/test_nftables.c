/* nftables: tables of ours in a real kernel, in a network namespace of the test's own. */
#include "lib/nftables.h"

#include "lib/error.h"
#include "selftest/private_network.h"
#include "selftest/selftest.h"

static const struct nftables_hook hook = { "filter", NF_INET_PRE_ROUTING, 0 };
static struct error err;

static struct nftables *open_table(void)
{
    struct nftables *table = nftables_open(NFPROTO_INET, &err);
    ck_assert_msg(table != NULL, "%s", err.text);
    nftables_chain(table, "in", &hook);
    return table;
}

/* A rule that drops UDP, of so many comparisons. */
static void put_rule(struct nftables *table, int comparisons)
{
    const uint8_t udp = IPPROTO_UDP;
    nftables_rule(table, "in");
    nftables_meta(table, NFT_META_L4PROTO);
    for (int i = 0; i < comparisons; i++)
        nftables_compare(table, NFT_CMP_EQ, &udp, 1);
    nftables_verdict(table, NF_DROP, NULL);
}

START_TEST(two_at_a_time)
{
    if (!private_network())
        return;
    struct nftables *one = open_table(), *other = open_table();
    put_rule(one, 1);
    ck_assert_int_eq(nftables_commit(one, &err), 0);
    put_rule(other, 2);
    ck_assert_int_eq(nftables_commit(other, &err), 0);
    shell("test $(nft list ruleset | grep -c 'table inet vanguard-') = 2");
    shell("nft flush ruleset"); /* of others: theirs alone */
    shell("test $(nft list ruleset | grep -c 'meta l4proto udp .*drop') = 2");
    nftables_flush(other);
    ck_assert_int_eq(nftables_commit(other, &err), 0);
    shell("test $(nft list ruleset | grep -c 'meta l4proto udp .*drop') = 1");
    nftables_close(one);
    shell("test $(nft list tables | grep -c vanguard-) = 1");
    nftables_close(other);
    shell("test $(nft list tables | grep -c vanguard-) = 0");
}
END_TEST

/* What is wrong changes nothing, and what comes behind it is heard of. */
START_TEST(all_or_nothing)
{
    if (!private_network())
        return;
    struct nftables *table = open_table();
    put_rule(table, 1);
    for (int i = 0; i < 3; i++) {
        nftables_rule(table, "in");
        nftables_verdict(table, NFT_GOTO, "nowhere");
    }
    ck_assert_int_eq(nftables_commit(table, &err), -ENOENT);
    shell("test -z \"$(nft list tables)\"");
    nftables_chain(table, "in", &hook);
    put_rule(table, 1);
    ck_assert_int_eq(nftables_commit(table, &err), 0);
    nftables_flush(table);
    nftables_rule(table, "nowhere");
    ck_assert_int_eq(nftables_commit(table, &err), -ENOENT);
    shell("test $(nft list ruleset | grep -c 'meta l4proto udp .*drop') = 1");
    nftables_close(table);
}
END_TEST

START_TEST(too_long)
{
    if (!private_network())
        return;
    struct nftables *table = open_table();
    put_rule(table, 40);
    ck_assert_int_eq(nftables_commit(table, &err), -EMSGSIZE);
    nftables_chain(table, "in", &hook);
    for (int i = 0; i < 1000; i++)
        put_rule(table, 1);
    ck_assert_int_eq(nftables_commit(table, &err), -EMSGSIZE);
    nftables_chain(table, "in", &hook);
    put_rule(table, 1);
    ck_assert_int_eq(nftables_commit(table, &err), 0);
    nftables_close(table);
}
END_TEST

START_TEST(without_permission)
{
    if (!private_network())
        return;
    ck_assert_int_eq(seteuid(65534), 0);
    struct nftables *table = open_table();
    ck_assert_int_eq(nftables_commit(table, &err), -EPERM);
    ck_assert_int_eq(err.kind, ERROR_PRIVILEGE);
    ck_assert_int_eq(seteuid(0), 0);
    nftables_close(table);
}
END_TEST

static Suite *suite_nftables(void)
{
    Suite *suite = suite_create("nftables");
    TCase *tcase = tcase_create("nftables");
    tcase_add_test(tcase, two_at_a_time);
    tcase_add_test(tcase, all_or_nothing);
    tcase_add_test(tcase, too_long);
    tcase_add_test(tcase, without_permission);
    suite_add_tcase(suite, tcase);
    return suite;
}
SUITE(nftables)
