/* RawSocket: what other hosts' stacks make of it. Two of them, each a process in a
 * namespace of its own, talk through the engine with every offload on, so that TCP comes
 * in super-frames of 64 KiB and checksums are left to be filled in.
 *
 *     10.0.0.1  left ---- if1 [ engine ] if2 ---- right  10.0.0.2
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "lib/random.h"
#include "selftest/raw_socket_rig.h"
#include "selftest/selftest.h"

#define PORT     5001
#define TRANSFER (20u << 20)
#define BLOCK    65536
#define ECHOES   200
#define ECHO     1000
#define SEGMENTS 30

static struct rig rig;

/* --- a host: in a process of its own, where libcheck's asserts are of no use ---------
 */

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    _exit(1);
}

static void run(const char *format, const char *ifname, int host)
{
    char command[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(command, sizeof(command), format, ifname, host);
#pragma GCC diagnostic pop
    require(system(command) == 0, command);
}

/* A number of /proc/net/snmp, say InCsumErrors of Tcp. */
static long snmp(const char *protocol, const char *field)
{
    char names[2048], values[2048];
    FILE *file = fopen("/proc/net/snmp", "r");
    while (file && fgets(names, sizeof(names), file) &&
           fgets(values, sizeof(values), file)) {
        char *name_rest, *value_rest;
        char *name = strtok_r(names, " \n", &name_rest);
        char *value = strtok_r(values, " \n", &value_rest);
        if (!name || strncmp(name, protocol, strlen(protocol)))
            continue;
        for (; name && value && strcmp(name, field);
             name = strtok_r(NULL, " \n", &name_rest))
            value = strtok_r(NULL, " \n", &value_rest);
        fclose(file);
        return value ? strtol(value, NULL, 10) : -1;
    }
    return -1;
}

/* A byte each way: "I have a namespace", "you have an interface", "I have an address",
 * "go on", and of a server "I listen". */
struct host {
    pid_t pid;
    int from, to;
};

static int to_parent;

static void listening(void)
{
    require(write(to_parent, "l", 1) == 1, "pipe");
}

static void set_up_host(const char *ifname, int number)
{
    run("ip link set lo up && ip link set %s up", ifname, 0);
    run("ip addr add dev %s 10.0.0.%d/24", ifname, number);
    run("echo 0 >/proc/sys/net/ipv6/conf/%s/disable_ipv6", ifname, 0);
    run("ip -6 addr add dev %s fd00::%d/64 nodad", ifname, number);
}

static struct host host_start(const char *ifname, int number, void (*act)(int number))
{
    int from[2], to[2];
    char byte = 0;
    ck_assert(!pipe(from) && !pipe(to));
    struct host host = { fork(), from[0], to[1] };
    ck_assert_int_ge(host.pid, 0);
    if (!host.pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* should the test fail */
        alarm(100);
        require(unshare(CLONE_NEWNET) == 0, "unshare");
        require(write(from[1], &byte, 1) == 1 && read(to[0], &byte, 1) == 1, "pipe");
        set_up_host(ifname, number);
        require(write(from[1], &byte, 1) == 1 && read(to[0], &byte, 1) == 1, "pipe");
        to_parent = from[1];
        act(number);
        _exit(0);
    }
    close(from[1]);
    close(to[0]);
    ck_assert_int_eq(read(host.from, &byte, 1), 1);
    shell("ip link set %s netns %d", ifname, (int)host.pid);
    ck_assert_int_eq(write(host.to, &byte, 1), 1);
    ck_assert_msg(read(host.from, &byte, 1) == 1, "host %d failed", number);
    return host;
}

static void host_go(const struct host *host)
{
    char byte = 0;
    ck_assert_int_eq(write(host->to, &byte, 1), 1);
}

static void host_listens(const struct host *host)
{
    char byte;
    ck_assert_int_eq(read(host->from, &byte, 1), 1);
}

static bool host_done(struct host *host)
{
    int status;
    if (!host->pid || waitpid(host->pid, &status, WNOHANG) != host->pid)
        return !host->pid;
    ck_assert_msg(status == 0, "a host failed");
    host->pid = 0;
    return true;
}

/* Lets two hosts talk through two RawSockets until both have done. The server is the one
 * on the right, or backwards on the left. */
static void talk_through(const char *options1, const char *options2, void (*serve)(int),
                         void (*ask)(int), bool backwards)
{
    rig_pair(&rig, options1, options2);
    struct host one = host_start("left", 1, backwards ? serve : ask);
    struct host two = host_start("right", 2, backwards ? ask : serve);
    host_go(backwards ? &one : &two);
    host_listens(backwards ? &one : &two);
    host_go(backwards ? &two : &one);
    RIG_UNTIL(&rig, host_done(&one) + host_done(&two) == 2);
    static const char *const names[] = { "if1", "if2" };
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_uint_eq(rig_count(&rig, names[i], "drop_gso"), 0);
        ck_assert_uint_eq(rig_count(&rig, names[i], "drop_malformed"), 0);
        ck_assert_uint_eq(rig_count(&rig, names[i], "drop_truncated"), 0);
        ck_assert_uint_eq(rig_count(&rig, names[i], "drop_oversize"), 0);
        ck_assert_uint_eq(rig_count(&rig, names[i], "drop_tx_oversize"), 0);
    }
}

static void talk(const char *options, void (*serve)(int), void (*ask)(int),
                 bool backwards)
{
    talk_through(options, options, serve, ask, backwards);
}

/* --- sockets ------------------------------------------------------------------------ */

static int family;

static socklen_t address_of(struct sockaddr_storage *address, int number)
{
    char text[32];
    *address = (struct sockaddr_storage){ .ss_family = (sa_family_t)family };
    if (family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)address;
        in->sin_port = htons(PORT);
        snprintf(text, sizeof(text), "10.0.0.%d", number);
        inet_pton(family, text, &in->sin_addr);
        return sizeof(*in);
    }
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)address;
    in->sin6_port = htons(PORT);
    snprintf(text, sizeof(text), "fd00::%d", number);
    inet_pton(family, text, &in->sin6_addr);
    return sizeof(*in);
}

static int bound_socket(int type, int number)
{
    struct sockaddr_storage address;
    socklen_t size = address_of(&address, number);
    int fd = socket(family, type, 0);
    require(fd >= 0 && !bind(fd, (struct sockaddr *)&address, size), "bind");
    return fd;
}

static int connected_socket(int type, int number)
{
    struct sockaddr_storage address;
    socklen_t size = address_of(&address, number);
    int fd = socket(family, type, 0);
    require(fd >= 0 && !connect(fd, (struct sockaddr *)&address, size), "connect");
    return fd;
}

/* --- TCP ---------------------------------------------------------------------------- */

static void make_block(uint32_t number, uint64_t *block)
{
    struct random_key key = random_key(number, "tcp", "payload");
    for (uint32_t i = 0; i < BLOCK / 8; i++)
        block[i] = random_draw(&key, i);
}

static void check_tcp(void)
{
    require(snmp("Tcp", "InCsumErrors") == 0, "TCP checksum errors");
    require(snmp("Tcp", "InSegs") > 10, "TCP segments");
}

static uint64_t made[BLOCK / 8], read_block[BLOCK / 8];

static void tcp_send(int number)
{
    char byte;
    int fd = connected_socket(SOCK_STREAM, 3 - number);
    for (uint32_t n = 0; n < TRANSFER / BLOCK; n++) {
        make_block(n, made);
        require(send(fd, made, BLOCK, 0) == BLOCK, "send");
    }
    shutdown(fd, SHUT_WR);
    require(read(fd, &byte, 1) == 1, "the receiver did not like it");
    check_tcp();
}

static void tcp_receive(int number)
{
    int listener = bound_socket(SOCK_STREAM, number);
    require(!listen(listener, 1), "listen");
    listening();
    int fd = accept(listener, NULL, NULL);
    require(fd >= 0, "accept");
    for (uint32_t n = 0; n < TRANSFER / BLOCK; n++) {
        make_block(n, made);
        require(recv(fd, read_block, BLOCK, MSG_WAITALL) == BLOCK, "recv");
        require(!memcmp(made, read_block, BLOCK), "other bytes than were sent");
    }
    require(recv(fd, read_block, 1, 0) == 0, "more bytes than were sent");
    require(write(fd, "x", 1) == 1, "answer");
    check_tcp();
    require(snmp("Ip", "InReceives") > 100 || family == AF_INET6, "IP packets");
}

static const struct {
    const char *options;
    int family;
    bool backwards;
    const char *seen; /* counter of what became of super-frames */
} transfers[] = {
    { "version=v2", AF_INET, false, "rx_split" },
    { "version=v2", AF_INET6, false, "rx_split" },
    { "version=v3", AF_INET, false, "rx_split" },
    { "version=v3", AF_INET6, true, "rx_split" },
    { "direction=both", AF_INET, true, "rx_split" },
    { "offload=csum", AF_INET, false, "rx_split" },
    { "offload=csum direction=both", AF_INET6, true, "rx_split" },
    { "offload=gso", AF_INET, false, "rx_gso" },
    { "offload=gso", AF_INET6, true, "rx_gso" },
    { "offload=gso version=v3", AF_INET, false, "rx_gso" },
    { "offload=gso direction=both", AF_INET6, false, "rx_gso" },
    { "offload=gso qdisc_bypass=true", AF_INET, true, "rx_gso" },
};

#define TRANSFERS (sizeof(transfers) / sizeof(transfers[0]))

START_TEST(tcp)
{
    if (!rig_network())
        return;
    family = transfers[_i].family;
    talk(transfers[_i].options, tcp_receive, tcp_send, transfers[_i].backwards);
    const char *sender = transfers[_i].backwards ? "if2" : "if1";
    ck_assert_uint_gt(rig_count(&rig, sender, transfers[_i].seen), 10);
    ck_assert_uint_gt(rig_count(&rig, sender, "rx_bytes"), TRANSFER);
    rig_stop(&rig);
}
END_TEST

/* Super-frames come in whole on one side and leave as segments on the other. */
START_TEST(tcp_between_unlike_sockets)
{
    if (!rig_network())
        return;
    family = AF_INET;
    talk_through("offload=gso", "offload=split merge=1", tcp_receive, tcp_send, false);
    ck_assert_uint_gt(rig_count(&rig, "if1", "rx_gso"), 10);
    ck_assert_uint_gt(rig_count(&rig, "if2", "tx_split"), 10);
    rig_stop(&rig);
}
END_TEST

START_TEST(tcp_without_offloads)
{
    if (!rig_network())
        return;
    family = AF_INET;
    shell("ethtool -K left tx off tso off gso off >/dev/null");
    shell("ethtool -K right tx off tso off gso off >/dev/null");
    talk("offload=off", tcp_receive, tcp_send, false);
    ck_assert_uint_eq(rig_count(&rig, "if1", "rx_split"), 0);
    ck_assert_uint_eq(rig_count(&rig, "if1", "rx_csum_completed"), 0);
    rig_stop(&rig);
}
END_TEST

/* --- UDP ---------------------------------------------------------------------------- */

static void check_udp(int datagrams)
{
    const char *protocol = "Udp";
    if (family == AF_INET6)
        return; /* has another file; a datagram with a wrong checksum does not come */
    require(snmp(protocol, "InCsumErrors") == 0, "UDP checksum errors");
    require(snmp(protocol, "InDatagrams") == datagrams, "UDP datagrams");
}

static void udp_ask(int number)
{
    uint8_t answer[2 * ECHO];
    struct timeval patience = { 20, 0 };
    int fd = connected_socket(SOCK_DGRAM, 3 - number);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    for (uint32_t n = 0; n < ECHOES; n++) {
        size_t length = n * (ECHO / ECHOES);
        require(send(fd, frame_make(n, ECHO), length, 0) == (ssize_t)length, "send");
        require(recv(fd, answer, sizeof(answer), 0) == (ssize_t)length, "no answer");
        require(!memcmp(answer, frame_make(n, ECHO), length), "another answer");
    }
    check_udp(ECHOES);
}

static void udp_answer(int number)
{
    uint8_t question[2 * ECHO];
    int fd = bound_socket(SOCK_DGRAM, number);
    listening();
    for (uint32_t n = 0; n < ECHOES; n++) {
        struct sockaddr_storage from;
        socklen_t size = sizeof(from);
        ssize_t got =
            recvfrom(fd, question, sizeof(question), 0, (struct sockaddr *)&from, &size);
        require(got >= 0, "recvfrom");
        require(sendto(fd, question, (size_t)got, 0, (struct sockaddr *)&from, size) ==
                    got,
                "sendto");
    }
    check_udp(ECHOES);
}

/* One call, many datagrams: UDP super-frames. */
static void udp_send_segments(int number)
{
    static uint8_t all[SEGMENTS * ECHO];
    int size = ECHO, fd = connected_socket(SOCK_DGRAM, 3 - number);
    for (uint32_t n = 0; n < SEGMENTS; n++)
        memcpy(all + n * ECHO, frame_make(n, ECHO), ECHO);
    require(!setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)),
            "UDP_SEGMENT");
    require(send(fd, all, sizeof(all) - 1, 0) == sizeof(all) - 1, "send");
}

static void udp_receive_segments(int number)
{
    uint8_t datagram[2 * ECHO];
    int fd = bound_socket(SOCK_DGRAM, number);
    listening();
    for (uint32_t n = 0; n < SEGMENTS; n++) {
        ssize_t length = n + 1 < SEGMENTS ? ECHO : ECHO - 1;
        require(recv(fd, datagram, sizeof(datagram), 0) == length, "recv");
        require(!memcmp(datagram, frame_make(n, ECHO), (size_t)length), "other bytes");
    }
    check_udp(SEGMENTS);
}

static const struct {
    const char *options;
    int family;
    bool unfinished;  /* checksums stay so */
    const char *seen; /* counter of what became of super-frames */
} datagrams[] = {
    { "version=v2", AF_INET, false, "rx_split" },
    { "version=v2", AF_INET6, false, "rx_split" },
    { "version=v3", AF_INET, false, "rx_split" },
    { "direction=both", AF_INET, false, "rx_split" },
    { "offload=csum", AF_INET, true, "rx_split" },
    { "offload=gso", AF_INET, true, "rx_gso" },
    { "offload=gso", AF_INET6, true, "rx_gso" },
};

#define DATAGRAMS (sizeof(datagrams) / sizeof(datagrams[0]))

START_TEST(udp)
{
    if (!rig_network())
        return;
    family = datagrams[_i].family;
    talk(datagrams[_i].options, udp_answer, udp_ask, false);
    for (int i = 0; i < 2; i++) {
        uint64_t completed = rig_count(&rig, i ? "if1" : "if2", "rx_csum_completed");
        ck_assert_msg(datagrams[_i].unfinished ? !completed : completed >= ECHOES,
                      "%lu checksums completed", (unsigned long)completed);
    }
    rig_stop(&rig);
}
END_TEST

START_TEST(udp_segments)
{
    if (!rig_network())
        return;
    family = datagrams[_i].family;
    talk(datagrams[_i].options, udp_receive_segments, udp_send_segments, false);
    ck_assert_uint_ge(rig_count(&rig, "if1", datagrams[_i].seen), 1);
    rig_stop(&rig);
}
END_TEST

static Suite *suite_raw_socket_traffic(void)
{
    Suite *suite = suite_create("raw_socket_traffic");
    TCase *tests = tcase_create("raw_socket_traffic");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, tcp, 0, TRANSFERS);
    tcase_add_test(tests, tcp_between_unlike_sockets);
    tcase_add_test(tests, tcp_without_offloads);
    tcase_add_loop_test(tests, udp, 0, DATAGRAMS);
    tcase_add_loop_test(tests, udp_segments, 0, DATAGRAMS);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(raw_socket_traffic)
