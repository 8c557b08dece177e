/* interface: facts about an interface and its offloads, on a veth pair; hostile messages.
 */
#include "lib/interface.h"

#include "lib/error.h"
#include "selftest/private_network.h"
#include "selftest/selftest.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

/* ---- facts ------------------------------------------------------------------------- */

START_TEST(facts)
{
    struct interface i;
    struct error err;
    if (!private_network())
        return;
    shell("ip link add veth0 index 100 address 02:00:00:00:00:01 mtu 1400 type veth "
          "peer name veth1");
    ck_assert_int_eq(interface_query("veth0", &i, &err), 0);
    ck_assert_str_eq(i.name, "veth0");
    ck_assert_uint_eq(i.index, 100);
    ck_assert_uint_eq(i.mtu, 1400);
    ck_assert_mem_eq(i.mac, "\2\0\0\0\0\1", 6);
    ck_assert_uint_eq(i.flags & (IFF_UP | IFF_LOWER_UP), 0);
    ck_assert_uint_eq(i.operstate, IF_OPER_DOWN);

    shell("ip link set veth0 up && ip link set veth1 up");
    ck_assert_int_eq(interface_query("veth0", &i, &err), 0);
    ck_assert_uint_eq(i.flags & (IFF_UP | IFF_LOWER_UP), IFF_UP | IFF_LOWER_UP);
    ck_assert(i.carrier);
    shell("ip link set veth1 down");
    ck_assert_int_eq(interface_query("veth0", &i, &err), 0);
    ck_assert_uint_eq(i.flags & (IFF_UP | IFF_LOWER_UP), IFF_UP);
    ck_assert(!i.carrier);
}
END_TEST

static void begins(const char *text, const char *start)
{
    ck_assert_msg(!strncmp(text, start, strlen(start)), "%s", text);
}

START_TEST(unknown_names)
{
    struct interface i;
    struct error err;
    if (!private_network())
        return;
    shell("ip link add veth0 index 7 type veth peer name uplink index 8");
    ck_assert_int_eq(interface_query("veth1", &i, &err), -ENODEV);
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    begins(err.text, "no interface \"veth1\", did you mean \"veth0\"? (there are: lo, ");
    ck_assert_ptr_nonnull(strstr(err.text, ", veth0")); /* the kernel's order */
    ck_assert_ptr_nonnull(strstr(err.text, ", uplink"));
    ck_assert_int_eq(interface_query("wan", &i, &err), -ENODEV);
    begins(err.text, "no interface \"wan\" (there are: lo, ");
    ck_assert_int_eq(interface_query("", &i, &err), -ENODEV);
    ck_assert_int_eq(interface_query("sixteen-byte-nam", &i, &err), -ENODEV);
    ck_assert_int_eq(interface_query("veth1", &i, NULL), -ENODEV);
}
END_TEST

START_TEST(long_list_is_cut)
{
    struct interface i;
    struct error err;
    if (!private_network())
        return;
    shell("for n in $(seq 20); do echo link add long-name-a$n type veth peer name "
          "long-name-b$n; done | ip -batch -");
    ck_assert_int_eq(interface_query("wan", &i, &err), -ENODEV);
    size_t length = strlen(err.text);
    ck_assert_uint_lt(length, 300);
    ck_assert_str_eq(err.text + length - 6, ", ...)");
}
END_TEST

/* ---- offloads ---------------------------------------------------------------------- */

static unsigned offloads_of(const char *name)
{
    unsigned mask = 0;
    struct error err = { 0 };
    ck_assert_msg(interface_offloads(name, &mask, &err) == 0, "%s", err.text);
    return mask;
}

static void set(const char *name, unsigned mask)
{
    struct error err = { 0 };
    ck_assert_msg(interface_set_offloads(name, mask, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(offloads_of(name), mask);
}

START_TEST(offloads_off_and_on)
{
    if (!private_network())
        return;
    shell("ip link add veth0 type veth peer name veth1");
    const unsigned initial = offloads_of("veth0");
    ck_assert_uint_eq(initial, OFFLOAD_TX | OFFLOAD_TSO | OFFLOAD_GSO);
    set("veth0", 0);
    set("veth0", initial);
    set("veth0", OFFLOAD_ALL);
    set("veth0", OFFLOAD_TX | OFFLOAD_GRO);
    set("veth0", OFFLOAD_TX | OFFLOAD_TSO);
    set("veth0", initial);
    ck_assert_uint_eq(offloads_of("veth1"), initial); /* the peer is another interface */
}
END_TEST

/* With TX off, TSO and GSO go off by themselves but stay wished for; switching TX on, as
 * somebody does with ethtool later, must bring them back. */
START_TEST(offloads_leave_wishes_alone)
{
    if (!private_network())
        return;
    shell("ip link add veth0 type veth peer name veth1");
    const unsigned initial = offloads_of("veth0");
    set("veth0", 0);
    set("veth0", 0);
    struct error err;
    interface_set_offloads("veth0", OFFLOAD_TX | OFFLOAD_TSO | OFFLOAD_GSO, &err);
    ck_assert_uint_eq(offloads_of("veth0"), initial);
}
END_TEST

START_TEST(offloads_refused)
{
    unsigned mask;
    struct error err;
    if (!private_network())
        return;
    shell("ip link add veth0 type veth peer name veth1");
    ck_assert_int_eq(interface_set_offloads("lo", 0, &err), -EOPNOTSUPP);
    ck_assert_str_eq(err.text, "lo refuses to turn tx checksumming off");
    /* TSO needs TX, the rest of the mask is done all the same. */
    ck_assert_int_eq(interface_set_offloads("veth0", OFFLOAD_TSO | OFFLOAD_GRO, &err),
                     -EOPNOTSUPP);
    ck_assert_str_eq(err.text, "veth0 refuses to turn tso on");
    ck_assert_uint_eq(offloads_of("veth0"), OFFLOAD_GRO);
    ck_assert_int_eq(interface_set_offloads("veth9", 0, &err), -ENODEV);
    ck_assert_ptr_nonnull(strstr(err.text, "did you mean \"veth"));
    ck_assert_int_eq(interface_offloads("veth9", &mask, &err), -ENODEV);
    ck_assert_int_eq(interface_offloads("sixteen-byte-nam", &mask, &err), -ENODEV);
}
END_TEST

START_TEST(offloads_need_privilege)
{
    struct error err;
    if (!private_network())
        return;
    shell("ip link add veth0 type veth peer name veth1");
    ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
    const unsigned initial = offloads_of("veth0");
    ck_assert_int_eq(interface_set_offloads("veth0", 0, &err), -EPERM);
    ck_assert_int_eq(err.kind, ERROR_PRIVILEGE);
    ck_assert_str_eq(err.text,
                     "veth0: cannot turn tx checksumming off: needs CAP_NET_ADMIN");
    ck_assert_int_eq(interface_set_offloads("veth0", initial, &err),
                     0); /* nothing to do */
}
END_TEST

/* ---- messages ---------------------------------------------------------------------- */

static union {
    struct nlmsghdr header;
    char bytes[512];
} message;

static struct ifinfomsg *begin(uint16_t type)
{
    memset(&message, 0, sizeof(message));
    mnl_nlmsg_put_header(message.bytes)->nlmsg_type = type;
    struct ifinfomsg *info =
        mnl_nlmsg_put_extra_header(&message.header, sizeof(struct ifinfomsg));
    info->ifi_index = 5;
    info->ifi_flags = IFF_UP;
    return info;
}

/* Parses from memory that ends where the message ends, so that ASan sees a byte too far.
 */
static int parse(size_t length, struct interface *out)
{
    void *copy = malloc(length ? length : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, &message, length);
    int status = interface_parse(copy, length, out);
    free(copy);
    return status;
}

static void complete(uint16_t type)
{
    begin(type);
    mnl_attr_put_u32(&message.header, IFLA_MTU, 1500);
    mnl_attr_put(&message.header, IFLA_ADDRESS, 6, "\2\0\0\0\0\1");
    mnl_attr_put_u8(&message.header, IFLA_CARRIER, 1);
    mnl_attr_put_u8(&message.header, IFLA_OPERSTATE, IF_OPER_UP);
    mnl_attr_put_strz(&message.header, IFLA_IFNAME, "eth0");
}

START_TEST(parse_good)
{
    struct interface i;
    complete(RTM_DELLINK);
    ck_assert_int_eq(parse(message.header.nlmsg_len, &i), 0);
    ck_assert_uint_eq(i.index, 5);
    ck_assert_uint_eq(i.flags, IFF_UP);
    ck_assert_uint_eq(i.mtu, 1500);
    ck_assert_mem_eq(i.mac, "\2\0\0\0\0\1", 6);
    ck_assert(i.carrier);
    ck_assert_uint_eq(i.operstate, IF_OPER_UP);
    ck_assert_str_eq(i.name, "eth0");
    begin(RTM_NEWLINK);
    mnl_attr_put(&message.header, IFLA_ADDRESS, 20,
                 "12345678901234567890"); /* InfiniBand */
    mnl_attr_put_strz(&message.header, IFLA_IFNAME, "fifteen-bytes-x");
    ck_assert_int_eq(parse(message.header.nlmsg_len, &i), 0);
    ck_assert_str_eq(i.name, "fifteen-bytes-x");
    ck_assert_mem_eq(i.mac, "\0\0\0\0\0\0", 6);
}
END_TEST

START_TEST(parse_bad)
{
    struct interface i;
    complete(RTM_NEWADDR);
    ck_assert_int_eq(parse(message.header.nlmsg_len, &i), -EBADMSG);
    begin(RTM_DELLINK)->ifi_family = AF_BRIDGE;
    mnl_attr_put_strz(&message.header, IFLA_IFNAME, "eth0");
    ck_assert_int_eq(parse(message.header.nlmsg_len, &i), -EBADMSG);
    begin(RTM_NEWLINK)->ifi_index = 0;
    mnl_attr_put_strz(&message.header, IFLA_IFNAME, "eth0");
    ck_assert_int_eq(parse(message.header.nlmsg_len, &i), -EBADMSG);
    begin(RTM_NEWLINK); /* no name */
    ck_assert_int_eq(parse(message.header.nlmsg_len, &i), -EBADMSG);

    static const struct {
        uint16_t type, length;
        const char *payload;
    } attributes[] = {
        { IFLA_IFNAME, 4, "eth0" },              /* no NUL */
        { IFLA_IFNAME, 1, "" },                  /* empty */
        { IFLA_IFNAME, 2, "\0" },                /* empty, and something behind */
        { IFLA_IFNAME, 17, "sixteen-byte-nam" }, /* too long */
        { IFLA_MTU, 3, "abc" },
        { IFLA_MTU, 0, "" },
        { IFLA_CARRIER, 0, "" },
        { IFLA_OPERSTATE, 4, "abc" },
    };
    for (size_t n = 0; n < sizeof(attributes) / sizeof(attributes[0]); n++) {
        complete(RTM_NEWLINK);
        mnl_attr_put(&message.header, attributes[n].type, attributes[n].length,
                     attributes[n].payload);
        ck_assert_msg(parse(message.header.nlmsg_len, &i) == -EBADMSG, "row %zu", n);
    }
}
END_TEST

START_TEST(parse_cut_short)
{
    struct interface i;
    complete(RTM_NEWLINK);
    const size_t whole = message.header.nlmsg_len;
    for (size_t length = 0; length < whole; length++) {
        complete(RTM_NEWLINK);
        ck_assert_int_eq(parse(length, &i), -EBADMSG); /* it claims more than there is */
        message.header.nlmsg_len = (uint32_t)length;
        /* The name is last, so any cut hits it, but for the last three bytes: padding. */
        ck_assert_int_eq(parse(length, &i), length < whole - 3 ? -EBADMSG : 0);
    }
}
END_TEST

/* Each 16-bit word of the message with values that lengths like least; for ASan to judge.
 */
START_TEST(parse_mangled)
{
    static const uint16_t values[] = { 0, 1, 3, 4, 5, 0x7fff, 0x8000, 0xfffc, 0xffff };
    struct interface i;
    complete(RTM_NEWLINK);
    const size_t whole = message.header.nlmsg_len;
    for (size_t at = 0; at + 2 <= whole; at += 2)
        for (size_t n = 0; n < sizeof(values) / sizeof(values[0]); n++) {
            complete(RTM_NEWLINK);
            memcpy(message.bytes + at, &values[n], 2);
            if (!parse(whole, &i)) {
                ck_assert_uint_ne(i.index, 0);
                ck_assert_ptr_nonnull(memchr(i.name, 0, sizeof(i.name)));
            }
        }
}
END_TEST

static Suite *suite_interface(void)
{
    Suite *suite = suite_create("interface");
    TCase *tests = tcase_create("interface");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, facts);
    tcase_add_test(tests, unknown_names);
    tcase_add_test(tests, long_list_is_cut);
    tcase_add_test(tests, offloads_off_and_on);
    tcase_add_test(tests, offloads_leave_wishes_alone);
    tcase_add_test(tests, offloads_refused);
    tcase_add_test(tests, offloads_need_privilege);
    tcase_add_test(tests, parse_good);
    tcase_add_test(tests, parse_bad);
    tcase_add_test(tests, parse_cut_short);
    tcase_add_test(tests, parse_mangled);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(interface)
