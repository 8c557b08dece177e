/* netlink_watch: what the kernel would never send, in the place of what it sends.
 *
 * Once the watch has asked, its descriptor becomes one end of a pair of Unix sockets. Who sends at
 * the other end has a name that reads like the kernel's address: 12 bytes long, port 0.
 */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/netlink_watch.h"
#include "selftest/private_network.h"
#include "selftest/selftest.h"

static struct netlink_watch *watch;
static int kernel = -1;
static uint32_t port;
static unsigned heard[NETLINK_LOST + 1];

static void take(enum netlink_news news, const struct nlmsghdr *message, void *user)
{
    heard[news]++;
    if (message)
        ck_assert_uint_ge(message->nlmsg_len, sizeof(*message));
}

static int read_all(uint64_t now)
{
    return netlink_watch_read(watch, now, 100, take, NULL);
}

static void be_the_kernel(void)
{
    static const char names[2][10] = { "\0w\0\0\0\0watc", "\0k\0\0\0\0kern" };
    struct sockaddr_un address[2];
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + sizeof(names[0]);
    int own = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    kernel = socket(AF_UNIX, SOCK_DGRAM, 0);
    ck_assert_uint_eq(size, sizeof(struct sockaddr_nl));
    for (unsigned i = 0; i < 2; i++) {
        memset(&address[i], 0, sizeof(address[i]));
        address[i].sun_family = AF_UNIX;
        memcpy(address[i].sun_path, names[i], sizeof(names[i]));
        ck_assert_int_eq(bind(i ? kernel : own, (void *)&address[i], size), 0);
    }
    ck_assert_int_eq(connect(kernel, (void *)&address[0], size), 0);
    ck_assert_int_eq(dup2(own, netlink_watch_fd(watch)), netlink_watch_fd(watch));
    close(own);
}

static bool begin(void)
{
    const struct netlink_watch_options options = {
        .groups = RTMGRP_NEIGH,
        .dumps = { { RTM_GETNEIGH, sizeof(struct ndmsg) } },
        .backoff = 1000,
    };
    struct sockaddr_nl own;
    socklen_t size = sizeof(own);
    struct error err;
    if (!private_network())
        return false;
    watch = netlink_watch_open(&options, &err);
    ck_assert_ptr_nonnull(watch);
    ck_assert_int_eq(getsockname(netlink_watch_fd(watch), (void *)&own, &size), 0);
    port = own.nl_pid;
    read_all(1); /* it asks; the answer is never read */
    be_the_kernel();
    memset(heard, 0, sizeof(heard));
    return true;
}

static void end(void)
{
    netlink_watch_close(watch);
    close(kernel);
}

/* A message of so many bytes that says it is so long. answer: to what was asked. */
static void send_message(uint16_t type, uint16_t flags, bool answer, size_t bytes,
                         uint32_t claims)
{
    static union {
        struct nlmsghdr header;
        char bytes[65536];
    } room;
    room.header = (struct nlmsghdr){ .nlmsg_len = claims,
                                     .nlmsg_type = type,
                                     .nlmsg_flags = flags,
                                     .nlmsg_seq = answer,
                                     .nlmsg_pid = answer ? port : 0 };
    ck_assert_int_eq(send(kernel, &room, bytes, 0), (ssize_t)bytes);
}

START_TEST(not_messages)
{
    static const struct {
        size_t bytes;
        uint32_t claims;
    } rows[] = { { 15, 15 }, { 1, 0 },           { 28, 0 },         { 28, 15 },
                 { 28, 29 }, { 28, 0x7fffffff }, { 28, 0xffffffff } };
    if (!begin())
        return;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        send_message(RTM_NEWNEIGH, 0, false, rows[i].bytes, rows[i].claims);
    ck_assert_int_eq(read_all(2), 7);
    ck_assert_uint_eq(netlink_watch_counts(watch)->malformed, 7);
    ck_assert_uint_eq(heard[NETLINK_EVENT] + heard[NETLINK_ROW], 0);
    send_message(RTM_NEWNEIGH, 0, false, 28, 28);
    read_all(2);
    ck_assert_uint_eq(heard[NETLINK_EVENT], 1); /* and it goes on */
    end();
}
END_TEST

START_TEST(overrun_message)
{
    if (!begin())
        return;
    send_message(NLMSG_OVERRUN, 0, false, 16, 16);
    read_all(2);
    ck_assert_uint_eq(heard[NETLINK_LOST], 1);
    send_message(NLMSG_DONE, 0, true, 20, 20);
    read_all(2);
    ck_assert_uint_eq(heard[NETLINK_COMPLETE], 0);
    ck_assert_uint_eq(netlink_watch_due(watch), 2 + 1000);
    end();
}
END_TEST

/* Longer than the room for it: the end is missing. */
START_TEST(too_long)
{
    if (!begin())
        return;
    send_message(RTM_NEWNEIGH, 0, false, 40000, 40000);
    read_all(2);
    ck_assert_uint_eq(heard[NETLINK_LOST], 1);
    ck_assert_uint_eq(heard[NETLINK_EVENT], 0);
    end();
}
END_TEST

START_TEST(errors)
{
    if (!begin())
        return;
    send_message(NLMSG_ERROR, 0, false, 36, 36); /* of something else */
    read_all(2);
    ck_assert_uint_eq(netlink_watch_counts(watch)->errors, 0);
    ck_assert_uint_eq(netlink_watch_due(watch), UINT64_MAX);
    send_message(NLMSG_ERROR, 0, true, 36, 36);
    read_all(2);
    ck_assert_uint_eq(netlink_watch_counts(watch)->errors, 1);
    ck_assert_uint_eq(heard[NETLINK_COMPLETE], 0);
    ck_assert_uint_eq(netlink_watch_due(watch), 2 + 1000);
    end();
}
END_TEST

/* What is dumped changed meanwhile: the round is worth nothing. */
START_TEST(interrupted)
{
    if (!begin())
        return;
    send_message(RTM_NEWNEIGH, NLM_F_MULTI | (_i ? NLM_F_DUMP_INTR : 0), true, 28, 28);
    send_message(NLMSG_DONE, NLM_F_MULTI, true, 20, 20);
    read_all(2);
    ck_assert_uint_eq(heard[NETLINK_ROW], 1);
    ck_assert_uint_eq(heard[NETLINK_COMPLETE], _i ? 0 : 1);
    ck_assert_uint_eq(netlink_watch_due(watch), _i ? 2 + 1000 : UINT64_MAX);
    end();
}
END_TEST

static Suite *suite_netlink_watch(void)
{
    Suite *suite = suite_create("netlink_watch");
    TCase *tcase = tcase_create("netlink_watch");
    tcase_add_test(tcase, not_messages);
    tcase_add_test(tcase, overrun_message);
    tcase_add_test(tcase, too_long);
    tcase_add_test(tcase, errors);
    tcase_add_loop_test(tcase, interrupted, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}
SUITE(netlink_watch)
