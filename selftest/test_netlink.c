/* netlink: requests to a real kernel, in a network namespace of the test's own. */
#include "lib/netlink.h"

#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include "lib/error.h"
#include "selftest/private_network.h"
#include "selftest/selftest.h"

#define ADDRESSES 3000 /* more than a few datagrams of a dump */

static struct netlink *netlink;
static struct error err;

static bool start(int protocol)
{
    if (!private_network())
        return false;
    netlink = netlink_open(protocol, &err);
    ck_assert_msg(netlink != NULL, "%s", err.text);
    return true;
}

static int make_veth(const char *one, const char *other)
{
    struct ifinfomsg header = { 0 };
    netlink_request(netlink, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header,
                    sizeof(header));
    netlink_put_string(netlink, IFLA_IFNAME, one);
    netlink_put_u32(netlink, IFLA_MTU, 1300);
    size_t info = netlink_nest(netlink, IFLA_LINKINFO);
    netlink_put_string(netlink, IFLA_INFO_KIND, "veth");
    size_t data = netlink_nest(netlink, IFLA_INFO_DATA);
    size_t peer = netlink_nest(netlink, VETH_INFO_PEER);
    netlink_append(netlink, &header, sizeof(header));
    netlink_put_string(netlink, IFLA_IFNAME, other);
    netlink_nest_end(netlink, peer);
    netlink_nest_end(netlink, data);
    netlink_nest_end(netlink, info);
    return netlink_ask(netlink, NULL, NULL, &err);
}

static int take_mtu(const struct nlmsghdr *message, void *mtu)
{
    const size_t header = sizeof(struct ifinfomsg);
    const uint32_t *found = netlink_attribute(message, header, IFLA_MTU, 4);
    ck_assert_ptr_nonnull(found);
    ck_assert_str_eq(netlink_string(message, header, IFLA_IFNAME), "one");
    memcpy(mtu, found, 4);
    return 0;
}

static int ask_for_link(const char *name, uint32_t *mtu)
{
    struct ifinfomsg header = { 0 };
    netlink_request(netlink, RTM_GETLINK, 0, &header, sizeof(header));
    netlink_put_string(netlink, IFLA_IFNAME, name);
    return netlink_ask(netlink, take_mtu, mtu, &err);
}

START_TEST(done_and_refused)
{
    uint32_t mtu = 0;
    if (!start(NETLINK_ROUTE))
        return;
    ck_assert_int_eq(make_veth("one", "other"), 0);
    shell("ip -d link show one | grep -q 'one@other.* mtu 1300 '");
    ck_assert_int_eq(ask_for_link("one", &mtu), 0);
    ck_assert_uint_eq(mtu, 1300);
    ck_assert_int_eq(make_veth("one", "third"), -EEXIST);
    ck_assert_str_eq(err.text, "File exists");
    ck_assert_int_eq(err.kind, ERROR_RUN);
    ck_assert_int_eq(ask_for_link("none", &mtu), -ENODEV);
    ck_assert_int_eq(ask_for_link("one", &mtu), 0);
    netlink_close(netlink);
}
END_TEST

/* What the kernel says beside the number. */
START_TEST(words_of_the_kernel)
{
    struct ifinfomsg header = { 0 };
    if (!start(NETLINK_ROUTE))
        return;
    ck_assert_int_eq(make_veth("one", "other"), 0);
    netlink_request(netlink, RTM_NEWLINK, 0, &header, sizeof(header));
    netlink_put_string(netlink, IFLA_IFNAME, "one");
    netlink_put_u32(netlink, IFLA_MTU, 70000);
    ck_assert_int_eq(netlink_ask(netlink, NULL, NULL, &err), -EINVAL);
    ck_assert_str_eq(err.text, "Invalid argument: mtu greater than device maximum");
    netlink_close(netlink);
}
END_TEST

START_TEST(without_permission)
{
    if (!start(NETLINK_ROUTE))
        return;
    ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
    ck_assert_int_eq(make_veth("one", "other"), -EPERM);
    ck_assert_int_eq(err.kind, ERROR_PRIVILEGE);
    netlink_close(netlink);
}
END_TEST

/* --- dumps ---------------------------------------------------------------------------- */

static uint32_t address_of(uint32_t n)
{
    return htonl(0x0a000000 + n);
}

static void set_address(struct netlink *by, uint16_t how, uint32_t n)
{
    struct ifaddrmsg header = { .ifa_family = AF_INET,
                                .ifa_prefixlen = 32,
                                .ifa_index = if_nametoindex("lo") };
    uint32_t address = address_of(n);
    netlink_request(by, how, NLM_F_CREATE, &header, sizeof(header));
    netlink_put(by, IFA_LOCAL, &address, sizeof(address));
    ck_assert_msg(!netlink_ask(by, NULL, NULL, &err), "%s", err.text);
}

/* What a dump brought; in the meantime one more address is set, or one is taken away, so
 * many times. */
struct dump {
    uint32_t seen[ADDRESSES + 100];
    uint32_t count, restarts, changes, stop_at;
    struct netlink *other;
};

static int take_address(const struct nlmsghdr *message, void *user)
{
    struct dump *dump = user;
    uint32_t address;
    if (!message) {
        dump->count = 0;
        dump->restarts++;
        return 0;
    }
    const void *local =
        netlink_attribute(message, sizeof(struct ifaddrmsg), IFA_LOCAL, 4);
    ck_assert_ptr_nonnull(local);
    memcpy(&address, local, sizeof(address));
    ck_assert_uint_lt(dump->count, ADDRESSES + 100);
    dump->seen[dump->count++] = ntohl(address) - 0x0a000000;
    if (dump->count == 1 && dump->restarts < dump->changes)
        set_address(dump->other, dump->restarts % 2 ? RTM_DELADDR : RTM_NEWADDR,
                    ADDRESSES);
    return dump->count == dump->stop_at ? -ECANCELED : 0;
}

static int ask_for_addresses(struct dump *dump)
{
    struct ifaddrmsg header = { .ifa_family = AF_INET };
    netlink_request(netlink, RTM_GETADDR, NLM_F_DUMP, &header, sizeof(header));
    return netlink_ask(netlink, take_address, dump, &err);
}

/* Each of the first n once. */
static void check_addresses(const struct dump *dump, uint32_t n)
{
    static bool there[ADDRESSES + 1];
    memset(there, 0, sizeof(there));
    ck_assert_uint_eq(dump->count, n);
    for (uint32_t i = 0; i < n; i++) {
        ck_assert_uint_lt(dump->seen[i], n);
        ck_assert(!there[dump->seen[i]]);
        there[dump->seen[i]] = true;
    }
}

static bool start_with_addresses(void)
{
    if (!start(NETLINK_ROUTE))
        return false;
    for (uint32_t n = 0; n < ADDRESSES; n++)
        set_address(netlink, RTM_NEWADDR, n);
    return true;
}

START_TEST(long_dump)
{
    static struct dump dump;
    if (!start_with_addresses())
        return;
    ck_assert_int_eq(ask_for_addresses(&dump), 0);
    check_addresses(&dump, ADDRESSES);
    ck_assert_uint_eq(dump.restarts, 0);
    netlink_close(netlink);
}
END_TEST

START_TEST(dump_of_what_changes)
{
    static struct dump dump = { .changes = 3 };
    if (!start_with_addresses())
        return;
    dump.other = netlink_open(NETLINK_ROUTE, &err);
    ck_assert_int_eq(ask_for_addresses(&dump), 0);
    check_addresses(&dump, ADDRESSES + 1); /* set, taken away, set */
    ck_assert_uint_eq(dump.restarts, 3);
    dump.count = 0;
    dump.changes = UINT32_MAX;
    ck_assert_int_eq(ask_for_addresses(&dump), -EAGAIN);
    ck_assert_str_eq(err.text,
                     "Resource temporarily unavailable: it changes all the time");
    netlink_close(dump.other);
    netlink_close(netlink);
}
END_TEST

/* The rest of what was not wanted is not in the next one's way. */
START_TEST(dump_that_is_cut_short)
{
    static struct dump dump = { .stop_at = 5 };
    if (!start_with_addresses())
        return;
    ck_assert_int_eq(ask_for_addresses(&dump), -ECANCELED);
    ck_assert_uint_eq(dump.count, 5);
    dump = (struct dump){ 0 };
    ck_assert_int_eq(ask_for_addresses(&dump), 0);
    check_addresses(&dump, ADDRESSES);
    netlink_close(netlink);
}
END_TEST

START_TEST(dump_of_nothing_there_is)
{
    struct ifinfomsg header = { 0 };
    if (!start(NETLINK_ROUTE))
        return;
    netlink_request(netlink, RTM_GETLINK + 1000, NLM_F_DUMP, &header, sizeof(header));
    ck_assert_int_eq(netlink_ask(netlink, NULL, NULL, &err), -EOPNOTSUPP);
    netlink_close(netlink);
}
END_TEST

/* --- the rest ------------------------------------------------------------------------- */

START_TEST(families)
{
    uint16_t id = 0;
    if (!start(NETLINK_GENERIC))
        return;
    ck_assert_int_eq(netlink_family(netlink, "nlctrl", &id, &err), 0);
    ck_assert_uint_eq(id, GENL_ID_CTRL);
    ck_assert_int_eq(netlink_family(netlink, "colour", &id, &err), -ENOENT);
    netlink_close(netlink);
}
END_TEST

/* What just fits gets to the kernel, which says no for a reason of its own. */
START_TEST(too_long_a_request)
{
    static char text[100000];
    struct ifinfomsg header = { 0 };
    const size_t most = 4096 - sizeof(struct nlmsghdr) - sizeof(header) - NLA_HDRLEN;
    if (!start(NETLINK_ROUTE))
        return;
    for (size_t length = most + 1; length < sizeof(text); length += 1111) {
        netlink_request(netlink, RTM_NEWLINK, 0, &header, sizeof(header));
        netlink_put(netlink, IFLA_IFALIAS, text, length);
        netlink_nest_end(netlink, netlink_nest(netlink, IFLA_LINKINFO));
        netlink_append(netlink, text, 8);
        ck_assert_int_eq(netlink_ask(netlink, NULL, NULL, &err), -EMSGSIZE);
    }
    netlink_request(netlink, RTM_NEWLINK, 0, &header, sizeof(header));
    netlink_put(netlink, IFLA_IFALIAS, text, most);
    ck_assert_int_eq(netlink_ask(netlink, NULL, NULL, &err), -ERANGE);
    netlink_request(netlink, RTM_NEWLINK, 0, &header, sizeof(header));
    netlink_put(netlink, IFLA_IFALIAS, text, SIZE_MAX);
    ck_assert_int_eq(netlink_ask(netlink, NULL, NULL, &err), -EMSGSIZE);
    netlink_close(netlink);
}
END_TEST

/* Attributes of a message that ends anywhere; the sanitizer sees what is read behind. */
START_TEST(hostile_attributes)
{
    struct {
        struct nlmsghdr header;
        struct ifinfomsg info;
        struct nlattr name_header;
        char name[8];
        struct nlattr mtu_header;
        uint32_t mtu;
    } whole = { .name_header = { 4 + 6, IFLA_IFNAME },
                .name = "other",
                .mtu_header = { 8, IFLA_MTU },
                .mtu = 77 };
    const size_t info = sizeof(whole.info);
    for (size_t length = sizeof(whole.header); length <= sizeof(whole); length++) {
        struct nlmsghdr *message = malloc(length);
        whole.header.nlmsg_len = (uint32_t)length;
        memcpy(message, &whole, length);
        const char *name = netlink_string(message, info, IFLA_IFNAME);
        ck_assert_int_eq(name != NULL, length >= 16 + info + 10);
        ck_assert(!name || !strcmp(name, "other"));
        const void *mtu = netlink_attribute(message, info, IFLA_MTU, 4);
        ck_assert_int_eq(mtu != NULL, length == sizeof(whole));
        ck_assert_ptr_null(netlink_attribute(message, info, IFLA_MTU, 5));
        ck_assert_ptr_null(netlink_attribute(message, info, IFLA_ADDRESS, 0));
        free(message);
    }
    whole.name[5] = 'x';
    ck_assert_ptr_null(netlink_string(&whole.header, info, IFLA_IFNAME));
    for (uint16_t length = 0; length < 4; length++) { /* shorter than its own header */
        whole.name_header.nla_len = length;
        ck_assert_ptr_null(netlink_attribute(&whole.header, info, IFLA_MTU, 4));
    }
    whole.name_header.nla_len = UINT16_MAX;
    ck_assert_ptr_null(netlink_attribute(&whole.header, info, IFLA_MTU, 4));
}
END_TEST

static Suite *suite_netlink(void)
{
    Suite *suite = suite_create("netlink");
    TCase *tests = tcase_create("netlink");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, done_and_refused);
    tcase_add_test(tests, words_of_the_kernel);
    tcase_add_test(tests, without_permission);
    tcase_add_test(tests, long_dump);
    tcase_add_test(tests, dump_of_what_changes);
    tcase_add_test(tests, dump_that_is_cut_short);
    tcase_add_test(tests, dump_of_nothing_there_is);
    tcase_add_test(tests, families);
    tcase_add_test(tests, too_long_a_request);
    tcase_add_test(tests, hostile_attributes);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(netlink)
