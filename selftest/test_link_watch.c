/* link_watch: events of a veth pair, an overrun, and senders that are not the kernel. */
#include "lib/link_watch.h"

#include "lib/error.h"
#include "selftest/private_network.h"
#include "selftest/selftest.h"

#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* An interface as the events tell it. What a test waits for is a state of these. */
#define SEEN_MAX 256

static struct link_event seen[SEEN_MAX]; /* the latest event of each index */
static size_t seen_count, events;

static void note(const struct link_event *event, void *user)
{
    size_t i = 0;
    ck_assert_ptr_eq(user, &seen);
    while (i < seen_count && seen[i].index != event->index)
        i++;
    ck_assert_uint_lt(i, SEEN_MAX);
    seen_count += i == seen_count;
    seen[i] = *event;
    events++;
}

/* The interface of that name that exists, or NULL. */
static const struct link_event *present(const char *name)
{
    for (size_t i = 0; i < seen_count; i++)
        if (!seen[i].deleted && !strcmp(seen[i].name, name))
            return &seen[i];
    return NULL;
}

static const struct link_event *with_index(unsigned index)
{
    for (size_t i = 0; i < seen_count; i++)
        if (seen[i].index == index)
            return &seen[i];
    return NULL;
}

/* Waits for something to read and reads it once. */
static void read_some(struct link_watch *watch)
{
    struct pollfd fd = { .fd = link_watch_fd(watch), .events = POLLIN };
    ck_assert_msg(poll(&fd, 1, 20000) == 1, "nothing more happens");
    size_t before = events;
    int count = link_watch_read(watch, note, &seen);
    ck_assert_int_ge(count, 0);
    ck_assert_uint_eq(events - before, (size_t)count);
}

#define WAIT_UNTIL(watch, condition)                                                     \
    while (!(condition))                                                                 \
    read_some(watch)

static struct link_watch *open_watch(void)
{
    struct error err = { 0 };
    struct link_watch *watch = link_watch_open(&err);
    ck_assert_msg(watch != NULL, "%s", err.text);
    return watch;
}

static unsigned index_of(const char *name)
{
    struct interface i;
    ck_assert_int_eq(interface_query(name, &i, NULL), 0);
    return i.index;
}

START_TEST(tells_what_there_is)
{
    if (!private_network())
        return;
    shell("ip link add veth0 mtu 1234 type veth peer name veth1");
    struct link_watch *watch = open_watch();
    ck_assert_int_eq(fcntl(link_watch_fd(watch), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    WAIT_UNTIL(watch, present("lo") && present("veth0") && present("veth1"));
    ck_assert_uint_eq(present("veth0")->index, index_of("veth0"));
    ck_assert_uint_eq(present("veth0")->mtu, 1234);
    ck_assert(!present("veth0")->up);
    ck_assert_int_eq(link_watch_read(watch, note, &seen),
                     0); /* nothing left, no blocking */
    link_watch_close(watch);
    link_watch_close(NULL);
}
END_TEST

START_TEST(up_down_mtu_rename)
{
    if (!private_network())
        return;
    shell("ip link add veth0 type veth peer name veth1");
    struct link_watch *watch = open_watch();
    WAIT_UNTIL(watch, present("veth0"));
    unsigned index = present("veth0")->index;

    shell("ip link set veth0 up");
    WAIT_UNTIL(watch, with_index(index)->up);
    ck_assert(!with_index(index)->lower_up);
    shell("ip link set veth1 up");
    WAIT_UNTIL(watch, with_index(index)->lower_up && with_index(index)->running);
    shell("ip link set veth1 down");
    WAIT_UNTIL(watch, !with_index(index)->lower_up && !with_index(index)->running);
    ck_assert(with_index(index)->up);
    shell("ip link set veth0 mtu 2000");
    WAIT_UNTIL(watch, with_index(index)->mtu == 2000);
    shell("ip link set veth0 down");
    WAIT_UNTIL(watch, !with_index(index)->up);
    shell("ip link set veth0 name wan");
    WAIT_UNTIL(watch, present("wan"));
    ck_assert_uint_eq(present("wan")->index, index);
    ck_assert_ptr_null(present("veth0"));
    link_watch_close(watch);
}
END_TEST

START_TEST(delete_and_make_again)
{
    if (!private_network())
        return;
    shell("ip link add veth0 type veth peer name veth1");
    shell("ip link set veth0 up && ip link set veth1 up");
    struct link_watch *watch = open_watch();
    WAIT_UNTIL(watch, present("veth0"));
    unsigned index = present("veth0")->index;
    shell("ip link del veth0");
    WAIT_UNTIL(watch, with_index(index)->deleted && !present("veth1"));
    ck_assert_str_eq(with_index(index)->name, "veth0");
    ck_assert(!with_index(index)->up && !with_index(index)->running);
    ck_assert(!with_index(index)->lower_up);
    shell("ip link add veth0 type veth peer name veth1");
    WAIT_UNTIL(watch, present("veth0"));
    ck_assert_uint_ne(present("veth0")->index, index);
    ck_assert(with_index(index)->deleted);
    link_watch_close(watch);
}
END_TEST

/* A child in a namespace of its own. */
static pid_t other_namespace(void)
{
    int ready[2];
    char byte = 0;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* should the test fail */
        if (unshare(CLONE_NEWNET) < 0 || write(ready[1], &byte, 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

START_TEST(move_to_another_namespace)
{
    if (!private_network())
        return;
    shell("ip link add veth0 type veth peer name veth1");
    struct link_watch *watch = open_watch();
    WAIT_UNTIL(watch, present("veth0") && present("veth1"));
    unsigned index = present("veth1")->index;
    pid_t child = other_namespace();
    shell("ip link set veth1 netns %d", child);
    WAIT_UNTIL(watch, with_index(index)->deleted);
    ck_assert_ptr_nonnull(present("veth0"));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    WAIT_UNTIL(watch,
               !present("veth0")); /* the kernel removes the peer with the namespace */
    link_watch_close(watch);
}
END_TEST

/* The bridge tells of leaving ports by RTM_DELLINK too, in family AF_BRIDGE. */
START_TEST(leaving_a_bridge_is_no_deletion)
{
    if (!private_network())
        return;
    if (system("ip link add br0 type bridge 2>/dev/null") != 0) {
        fprintf(stderr, "SKIPPED: this kernel has no bridge\n");
        return;
    }
    shell("ip link add veth0 type veth peer name veth1");
    struct link_watch *watch = open_watch();
    shell("ip link set veth0 master br0");
    shell("ip link set veth0 nomaster");
    shell("ip link set veth0 mtu 1300");
    WAIT_UNTIL(watch, present("veth0") && present("veth0")->mtu == 1300);
    ck_assert_uint_eq(seen_count, 4); /* lo, br0, veth0, veth1 */
    shell("ip link set veth0 mtu 1301 && ip link set veth0 master br0");
    shell("ip link set veth0 nomaster");
    shell("ip link set br0 mtu 1302");
    WAIT_UNTIL(watch, present("br0") && present("br0")->mtu == 1302);
    ck_assert_ptr_nonnull(present("veth0"));
    link_watch_close(watch);
}
END_TEST

static short events_pending(struct link_watch *watch)
{
    struct pollfd fd = { .fd = link_watch_fd(watch), .events = POLLIN };
    ck_assert_int_eq(poll(&fd, 1, 20000), 1);
    return fd.revents;
}

/* The receive buffer overflows, then things happen that nobody is told of. */
START_TEST(overrun)
{
    int smallest = 1;
    if (!private_network())
        return;
    shell("ip link add veth0 type veth peer name veth1");
    shell("ip link add keep0 type veth peer name keep1");
    struct link_watch *watch = open_watch();
    WAIT_UNTIL(watch, present("veth0") && present("veth1") && present("keep1"));
    ck_assert_int_eq(setsockopt(link_watch_fd(watch), SOL_SOCKET, SO_RCVBUF, &smallest,
                                sizeof(smallest)),
                     0);
    unsigned index = present("veth0")->index;
    shell(
        "for mtu in $(seq 1300 1330); do echo link set keep0 mtu $mtu; done | ip -batch -");
    ck_assert_int_ne(events_pending(watch) & POLLERR, 0);
    shell("ip link del veth0");
    shell("ip link set keep0 mtu 1400");
    shell("ip link add new0 type veth peer name new1");
    WAIT_UNTIL(watch, with_index(index)->deleted && !present("veth1"));
    ck_assert_str_eq(with_index(index)->name, "veth0");
    WAIT_UNTIL(watch, present("keep0")->mtu == 1400);
    WAIT_UNTIL(watch, present("new0") && present("new1"));
    ck_assert(present("lo") && present("keep1"));

    shell("ip link set keep1 up"); /* and it goes on as before */
    WAIT_UNTIL(watch, present("keep1")->up);
    link_watch_close(watch);
}
END_TEST

static uint32_t port_of(struct link_watch *watch)
{
    struct sockaddr_nl address = { 0 };
    socklen_t length = sizeof(address);
    ck_assert_int_eq(
        getsockname(link_watch_fd(watch), (struct sockaddr *)&address, &length), 0);
    return address.nl_pid;
}

START_TEST(forged_messages)
{
    char buffer[256] __attribute__((aligned(4))) = { 0 };
    if (!private_network())
        return;
    struct link_watch *watch = open_watch();
    WAIT_UNTIL(watch, present("lo"));
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    message->nlmsg_type = RTM_DELLINK;
    struct ifinfomsg *info = mnl_nlmsg_put_extra_header(message, sizeof(*info));
    info->ifi_index = 1;
    mnl_attr_put_strz(message, IFLA_IFNAME, "lo");

    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_pid = port_of(watch) };
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(
        sendto(fd, buffer, message->nlmsg_len, 0, (struct sockaddr *)&to, sizeof(to)),
        (ssize_t)message->nlmsg_len);
    close(fd);
    ck_assert_int_ne(events_pending(watch) & POLLIN, 0); /* it did arrive */
    ck_assert_int_eq(link_watch_read(watch, note, &seen), 0);
    ck_assert_ptr_nonnull(present("lo"));
    link_watch_close(watch);
}
END_TEST

static Suite *suite_link_watch(void)
{
    Suite *suite = suite_create("link_watch");
    TCase *tests = tcase_create("link_watch");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, tells_what_there_is);
    tcase_add_test(tests, up_down_mtu_rename);
    tcase_add_test(tests, delete_and_make_again);
    tcase_add_test(tests, move_to_another_namespace);
    tcase_add_test(tests, leaving_a_bridge_is_no_deletion);
    tcase_add_test(tests, overrun);
    tcase_add_test(tests, forged_messages);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(link_watch)
