/* Tap: packets between the host's stack and a graph, in a network namespace of the test's own. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "lib/checksum.h"
#include "lib/interface.h"
#include "selftest/private_network.h"
#include "selftest/selftest.h"
#include "selftest/support.h"

#define PATIENCE 20000000000ull /* ns */

extern const struct app_class tap_class;

static struct engine *engine;
static uint32_t in_use;
static struct error err;

static struct graph *graph_of(const char *mode, const char *offload, const char *mtu)
{
    struct graph *graph = graph_new();
    test_app(graph, "tap", "Tap", "ifname", "tap0", "mode", mode, "offload", offload,
             "mtu", mtu, "address", "10.9.0.1/24", NULL);
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "in -> tap");
    test_link(graph, "tap -> out");
    return graph;
}

static bool begin(const char *mode, const char *offload, const char *mtu)
{
    if (!private_network())
        return false;
    shell("echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
    struct engine_options options = { 0 };
    engine = engine_new(&options, &err);
    in_use = arena_in_use();
    test_configure(engine, graph_of(mode, offload, mtu));
    if (!strcmp(mode, "tap"))
        shell("ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:09 dev tap0");
    return true;
}

static void end(void)
{
    const struct app *tap = engine_find_app(engine, "tap");
    uint64_t ends = 0;
    static const char *const names[] = { "tx_packets",     "drop_tx_runt",
                                         "drop_tx_not_ip", "drop_tx_offload",
                                         "drop_tx_failed", "drop_link_down" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        ends += test_counter(engine, "tap", names[i]);
    ck_assert_uint_eq(ends, tap->inputs[0]->read);
    ck_assert_uint_eq(test_counter(engine, "tap", "rx_packets"), tap->outputs[0]->write);
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), in_use);
    ck_assert_uint_eq(if_nametoindex("tap0"), 0); /* gone with the app */
}

#define UNTIL(CONDITION)                                                                 \
    for (uint64_t give_up = engine_clock(engine) + PATIENCE; !(CONDITION);) {            \
        engine_breathe(engine);                                                          \
        poll(engine->polls, engine->npolls, 1);                                          \
        ck_assert_msg(engine_clock(engine) < give_up, "never: %s", #CONDITION);          \
    }

static size_t collected(void)
{
    size_t n;
    test_collected(engine, "out", &n);
    return n;
}

static const struct packet *latest(void)
{
    size_t n;
    return test_collected(engine, "out", &n)[n - 1];
}

static int udp_socket(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(1000),
                                   .sin_addr.s_addr = inet_addr("10.9.0.1") };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void send_datagram(int fd, const void *data, size_t length)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(2000),
                              .sin_addr.s_addr = inet_addr("10.9.0.2") };
    ck_assert_int_eq(sendto(fd, data, length, 0, (struct sockaddr *)&to, sizeof(to)),
                     (ssize_t)length);
}

/* Is the UDP checksum of a frame right? The IP header has no options. */
static bool checksum_is_right(const struct packet *p)
{
    const uint8_t *ip = p->data + 14;
    uint32_t length = (uint32_t)(ip[24] << 8 | ip[25]);
    uint64_t sum = checksum_pseudo4(ip + 12, 17, length);
    return !checksum_fold(checksum_sum(ip + 20, length, sum));
}

/* What the host gets back: addresses and ports swapped. The checksum stays right. */
static void answer(const struct packet *p)
{
    struct packet *back = packet_clone(p);
    uint8_t *ip = back->data + 14, swap[4];
    memcpy(swap, ip + 12, 4);
    memcpy(ip + 12, ip + 16, 4);
    memcpy(ip + 16, swap, 4);
    memcpy(swap, ip + 20, 2);
    memcpy(ip + 20, ip + 22, 2);
    memcpy(ip + 22, swap, 2);
    struct interface tap;
    ck_assert_int_eq(interface_query("tap0", &tap, &err), 0);
    memcpy(back->data, tap.mac, 6);
    test_inject(engine, "in", back);
}

static const char *const modes[] = { "tap", "tun" };

START_TEST(there_and_back)
{
    static uint8_t data[1400], got[1500];
    ssize_t length = 0;
    if (!begin(modes[_i / 2], _i % 2 ? "csum" : "off", "0"))
        return;
    int fd = udp_socket();
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7);
    for (size_t size = 1; size <= sizeof(data); size += 333) {
        size_t before = collected();
        send_datagram(fd, data, size);
        UNTIL(collected() == before + 1);
        ck_assert_uint_eq(latest()->length, 42 + size);
        ck_assert_mem_eq(latest()->data + 42, data, size);
        ck_assert_int_eq((latest()->flags & PACKET_CSUM_PARTIAL) != 0, _i % 2);
        ck_assert(checksum_is_right(latest()) == !(_i % 2));
        answer(latest());
        UNTIL((length = recv(fd, got, sizeof(got), 0)) >= 0);
        ck_assert_int_eq(length, (ssize_t)size);
        ck_assert_mem_eq(got, data, size);
    }
    close(fd);
    end();
}
END_TEST

/* Longer than an ordinary packet. */
START_TEST(jumbo_frames)
{
    static uint8_t data[8900], got[9000];
    ssize_t length = 0;
    if (!begin("tap", "off", "9000"))
        return;
    int fd = udp_socket();
    send_datagram(fd, data, sizeof(data));
    UNTIL(collected() == 1);
    ck_assert_uint_eq(latest()->length, 42 + sizeof(data));
    ck_assert(checksum_is_right(latest()));
    answer(latest());
    UNTIL((length = recv(fd, got, sizeof(got), 0)) >= 0);
    ck_assert_int_eq(length, sizeof(data));
    close(fd);
    end();
}
END_TEST

/* The MTU was raised behind our back: what does not fit is counted. */
START_TEST(longer_than_expected)
{
    static uint8_t data[8900];
    if (!begin("tap", "off", "0"))
        return;
    int fd = udp_socket();
    shell("ip link set tap0 mtu 9000");
    send_datagram(fd, data, sizeof(data));
    UNTIL(test_counter(engine, "tap", "drop_oversize") == 1);
    send_datagram(fd, data, 100);
    UNTIL(collected() == 1);
    ck_assert_uint_eq(latest()->length, 142);
    close(fd);
    end();
}
END_TEST

START_TEST(packets_that_cannot_be_sent)
{
    if (!begin(modes[_i], "off", "0"))
        return;
    test_inject_bytes(engine, "in", "short", 5);
    test_inject_bytes(engine, "in", "\2\0\0\0\0\2\2\0\0\0\0\1\x88\xb5 other", 20);
    struct packet *p = packet_from_bytes("\2\0\0\0\0\2\2\0\0\0\0\1\x08\x00 wrong", 20);
    p->gso_type = 1; /* a super-frame without an open checksum */
    p->gso_size = 1000;
    test_inject(engine, "in", p);
    UNTIL(engine_find_app(engine, "tap")->inputs[0]->read == 3);
    ck_assert_uint_eq(test_counter(engine, "tap", "drop_tx_runt"), 1);
    ck_assert_uint_eq(test_counter(engine, "tap", "drop_tx_not_ip"), _i);
    ck_assert_uint_eq(test_counter(engine, "tap", "drop_tx_offload"), 1);
    shell("ip link set tap0 down");
    test_inject_bytes(engine, "in", "\2\0\0\0\0\2\2\0\0\0\0\1\x08\x00\x45 down", 20);
    UNTIL(test_counter(engine, "tap", "drop_link_down") == 1);
    end();
}
END_TEST

START_TEST(taken_away_and_made_again)
{
    if (!begin("tap", "off", "0"))
        return;
    shell("ip link del tap0");
    UNTIL(test_counter(engine, "tap", "link_downs") == 1);
    UNTIL(test_counter(engine, "tap", "reopens") == 1);
    shell(
        "ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:09 dev tap0"); /* up, with its address */
    int fd = udp_socket();
    send_datagram(fd, "x", 1);
    UNTIL(collected() == 1);
    close(fd);
    end();
}
END_TEST

/* The device stays, with its index, and is as it is wanted or as it was. */
START_TEST(reconfigured)
{
    if (!begin("tap", "off", "0"))
        return;
    unsigned index = if_nametoindex("tap0");
    test_configure(engine, graph_of("tap", "csum", "1300"));
    shell("ip link show tap0 | grep -q 'mtu 1300 '");
    struct graph *graph = graph_new();
    test_app(graph, "tap", "Tap", "ifname", "tap0", "address", "10.8.0.1/24", NULL);
    test_configure(engine, graph);
    shell("ip -o addr show tap0 | grep -q 10.8.0.1/24");
    shell("! ip -o addr show tap0 | grep -q 10.9.0.1");
    graph = graph_new();
    test_app(graph, "tap", "Tap", "ifname", "tap0", "address", "10.7.0.1/24", "mtu", "20",
             NULL);
    ck_assert_int_lt(engine_configure(engine, graph, &err), 0);
    shell("ip -o addr show tap0 | grep -q 10.8.0.1/24");
    shell("! ip -o addr show tap0 | grep -q 10.7.0.1");
    ck_assert_uint_eq(if_nametoindex("tap0"), index);
    engine_free(engine);
}
END_TEST

/* One that was there before stays, with whoever made it. */
START_TEST(persistent_device)
{
    if (!private_network())
        return;
    shell("ip tuntap add tap0 mode tap");
    struct engine_options options = { 0 };
    engine = engine_new(&options, &err);
    test_configure(engine, graph_of("tap", "off", "0"));
    struct engine *second = engine_new(&options, &err);
    ck_assert_int_eq(engine_configure(second, graph_of("tap", "off", "0"), &err), -EBUSY);
    ck_assert_str_eq(err.text,
                     "app \"tap\" (Tap): device tap0 is somebody else's already");
    engine_free(second);
    engine_free(engine);
    ck_assert_uint_gt(if_nametoindex("tap0"), 0);
}
END_TEST

START_TEST(killed)
{
    int ready[2];
    char byte;
    if (!private_network())
        return;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (!child) {
        struct engine_options options = { 0 };
        engine = engine_new(&options, &err);
        test_configure(engine, graph_of("tap", "gso", "0"));
        ssize_t n = write(ready[1], "y", 1);
        (void)n;
        pause();
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_uint_gt(if_nametoindex("tap0"), 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    ck_assert_uint_eq(if_nametoindex("tap0"), 0);
}
END_TEST

START_TEST(wrong_addresses)
{
    static const char *const texts[] = { "10.9.0",    "10.9.0.1/33", "10.9.0.1/x",
                                         "10.9.0.1/", "fe80::1/129", "host" };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct graph *graph = graph_new();
        struct value args = value_table();
        char wanted[160];
        value_table_add(&args, "ifname", value_string("tap0"));
        value_table_add(&args, "address", value_string(texts[i]));
        const struct app_class *class = &tap_class;
        ck_assert_int_eq(graph_add_app(graph, "tap", class, &args, NULL, &err), -EINVAL);
        snprintf(
            wanted, sizeof(wanted),
            "app \"tap\" (Tap): address: \"%s\" is not ADDRESS/BITS (such as 192.0.2.1/24)",
            texts[i]);
        ck_assert_str_eq(err.text, wanted);
        value_free(&args);
        graph_free(graph);
    }
}
END_TEST

static Suite *suite_tap(void)
{
    Suite *suite = suite_create("tap");
    TCase *tests = tcase_create("tap");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, there_and_back, 0, 4);
    tcase_add_test(tests, jumbo_frames);
    tcase_add_test(tests, longer_than_expected);
    tcase_add_loop_test(tests, packets_that_cannot_be_sent, 0, 2);
    tcase_add_test(tests, taken_away_and_made_again);
    tcase_add_test(tests, reconfigured);
    tcase_add_test(tests, persistent_device);
    tcase_add_test(tests, killed);
    tcase_add_test(tests, wrong_addresses);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(tap)
