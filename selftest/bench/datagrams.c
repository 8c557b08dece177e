/* datagrams: UDP with sequence numbers, for what iperf3 cannot see: which ones are missing, when
 * each came, and what is in it.
 *
 *     datagrams send HOST PORT COUNT RATE SIZE     paced; prints "sent N"
 *     datagrams receive PORT COUNT SECONDS         a line for each: number sent_ns received_ns wrong_bits,
 *                                                  then "socket_drops N"; ends after COUNT,
 *                                                  or when nothing came for so long
 *     datagrams answer PORT                        sends back whatever comes
 *     datagrams ask HOST PORT COUNT MS TRIES       a line for each question: the try that was
 *                                                  answered within MS, 0 for none
 *
 * Times are CLOCK_MONOTONIC, which all namespaces of a machine share. The content of a datagram follows
 * from its number.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SIZE_MAX_UDP 1472
#define BUFFER       (8 << 20)

struct header {
    uint64_t number, sent;
};

static uint64_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void sleep_until(uint64_t time)
{
    struct timespec ts = { (time_t)(time / 1000000000), (long)(time % 1000000000) };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
        ;
}

static void die(const char *what)
{
    fprintf(stderr, "datagrams: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint8_t byte_of(uint64_t number, size_t at)
{
    return (uint8_t)((number * 0x9e3779b97f4a7c15 >> 56) + at * 131);
}

static void fill(uint8_t *data, size_t size, uint64_t number)
{
    for (size_t i = sizeof(struct header); i < size; i++)
        data[i] = byte_of(number, i);
}

static unsigned wrong_bits(const uint8_t *data, size_t size, uint64_t number)
{
    unsigned bits = 0;
    for (size_t i = sizeof(struct header); i < size; i++)
        bits += (unsigned)__builtin_popcount(data[i] ^ byte_of(number, i));
    return bits;
}

static int connect_to(const char *host, const char *port)
{
    struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_DGRAM }, *info;
    if (getaddrinfo(host, port, &hints, &info))
        die(host);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || connect(fd, info->ai_addr, info->ai_addrlen))
        die("connect");
    freeaddrinfo(info);
    int size = BUFFER;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    return fd;
}

static int listen_at(const char *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)atoi(port)) };
    int fd = socket(AF_INET, SOCK_DGRAM, 0), size = BUFFER, on = 1;
    if (fd < 0 || bind(fd, (void *)&address, sizeof(address)))
        die("bind");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
    return fd;
}

/* What the network refuses (ECONNREFUSED of an earlier one) is not sent again. */
static int send_all(char **argv)
{
    int fd = connect_to(argv[2], argv[3]);
    uint64_t count = strtoull(argv[4], NULL, 10), sent = 0;
    double rate = atof(argv[5]);
    size_t size = (size_t)atoi(argv[6]);
    uint8_t data[SIZE_MAX_UDP];
    if (size < sizeof(struct header) || size > sizeof(data))
        return 2;
    prctl(PR_SET_TIMERSLACK, 1);
    uint64_t start = now();
    for (uint64_t i = 0; i < count; i++) {
        sleep_until(start + (uint64_t)((double)i * 1e9 / rate));
        struct header header = { i, now() };
        memcpy(data, &header, sizeof(header));
        fill(data, size, i);
        sent += send(fd, data, size, 0) == (ssize_t)size;
    }
    printf("sent %llu\n", (unsigned long long)sent);
    return 0;
}

/* The kernel's count of datagrams that found the socket full, out of the control message. */
static uint32_t drops_of(struct msghdr *message, uint32_t before)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
            memcpy(&before, CMSG_DATA(c), sizeof(before));
    return before;
}

static int receive_all(char **argv)
{
    int fd = listen_at(argv[2]), patience = (int)(atof(argv[4]) * 1000);
    uint64_t count = strtoull(argv[3], NULL, 10);
    uint32_t drops = 0;
    struct pollfd ready = { fd, POLLIN, 0 };
    for (uint64_t n = 0; n < count && poll(&ready, 1, patience) > 0; n++) {
        uint8_t data[SIZE_MAX_UDP];
        char control[64];
        struct iovec iov = { data, sizeof(data) };
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = control,
                                  .msg_controllen = sizeof(control) };
        struct header header;
        ssize_t size = recvmsg(fd, &message, 0);
        if (size < (ssize_t)sizeof(header))
            continue;
        memcpy(&header, data, sizeof(header));
        drops = drops_of(&message, drops);
        printf("%llu %llu %llu %u\n", (unsigned long long)header.number,
               (unsigned long long)header.sent, (unsigned long long)now(),
               wrong_bits(data, (size_t)size, header.number));
    }
    printf("socket_drops %u\n", drops);
    return 0;
}

static _Noreturn void answer(char **argv)
{
    int fd = listen_at(argv[2]);
    for (;;) {
        uint8_t data[SIZE_MAX_UDP];
        struct sockaddr_in from;
        socklen_t length = sizeof(from);
        ssize_t size = recvfrom(fd, data, sizeof(data), 0, (void *)&from, &length);
        if (size >= 0)
            sendto(fd, data, (size_t)size, 0, (void *)&from, length);
    }
}

/* Answers to earlier tries count for nothing, as with a resolver that asks anew. */
static bool wait_for_answer(int fd, uint64_t number, uint64_t until)
{
    struct pollfd ready = { fd, POLLIN, 0 };
    for (;;) {
        uint64_t time = now();
        struct timespec left = { 0, 0 };
        if (time < until)
            left = (struct timespec){ (time_t)((until - time) / 1000000000),
                                      (long)((until - time) % 1000000000) };
        if (ppoll(&ready, 1, &left, NULL) <= 0)
            return false;
        uint64_t got;
        if (recv(fd, &got, sizeof(got), 0) == sizeof(got) && got == number)
            return true;
    }
}

static int ask(char **argv)
{
    int fd = connect_to(argv[2], argv[3]), tries = atoi(argv[6]);
    uint64_t count = strtoull(argv[4], NULL, 10), wait = (uint64_t)(atof(argv[5]) * 1e6);
    for (uint64_t i = 0; i < count; i++) {
        int answered = 0;
        for (int n = 1; n <= tries && !answered; n++) {
            uint64_t number = i * 16 + (uint64_t)n;
            if (send(fd, &number, sizeof(number), 0) < 0)
                die("send");
            if (wait_for_answer(fd, number, now() + wait))
                answered = n;
        }
        printf("%d\n", answered);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 7 && !strcmp(argv[1], "send"))
        return send_all(argv);
    if (argc == 5 && !strcmp(argv[1], "receive"))
        return receive_all(argv);
    if (argc == 3 && !strcmp(argv[1], "answer"))
        answer(argv);
    if (argc == 7 && !strcmp(argv[1], "ask"))
        return ask(argv);
    fprintf(stderr, "usage: datagrams send|receive|answer|ask ...\n");
    return 2;
}
