/* blast: sends frames out of an interface, as fast as it can or at a rate, and says how
 * many.
 *
 *     blast IFNAME SIZE SECONDS [PACKETS_PER_SECOND]
 *
 * Source of the veth benchmarks: an AF_PACKET socket and sendmmsg. Frames go from
 * 02:00:00:00:00:01 to 02:00:00:00:00:02, which is nobody, so that a stack behind the far
 * end drops them at once. Paced, it sends every frame at its time and sleeps in between.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#define BURST 64

static uint64_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int open_socket(const char *ifname)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    struct sockaddr_ll address = { .sll_family = AF_PACKET,
                                   .sll_ifindex = (int)if_nametoindex(ifname) };
    if (fd < 0 || !address.sll_ifindex ||
        bind(fd, (struct sockaddr *)&address, sizeof(address))) {
        perror(ifname);
        exit(1);
    }
    return fd;
}

static void sleep_until(uint64_t time)
{
    struct timespec ts = { (time_t)(time / 1000000000), (long)(time % 1000000000) };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
        ;
}

int main(int argc, char **argv)
{
    static uint8_t frame[65536] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };
    if (argc < 4 || atoi(argv[2]) < 14 || atoi(argv[2]) > (int)sizeof(frame)) {
        fprintf(stderr, "usage: blast IFNAME SIZE SECONDS [PACKETS_PER_SECOND]\n");
        return 2;
    }
    int fd = open_socket(argv[1]);
    double rate = argc > 4 ? atof(argv[4]) : 0;
    struct iovec vector = { frame, (size_t)atoi(argv[2]) };
    struct mmsghdr messages[BURST];
    memset(messages, 0, sizeof(messages));
    for (int i = 0; i < BURST; i++)
        messages[i].msg_hdr = (struct msghdr){ .msg_iov = &vector, .msg_iovlen = 1 };
    prctl(PR_SET_TIMERSLACK, 1);
    uint64_t start = now(), end = start + (uint64_t)(atof(argv[3]) * 1e9), time, sent = 0;
    while ((time = now()) < end) {
        unsigned burst = BURST;
        if (rate) {
            uint64_t due = (uint64_t)((double)(time - start) * rate / 1e9);
            if (due <= sent) {
                sleep_until(start + (uint64_t)((double)(sent + 1) * 1e9 / rate));
                continue;
            }
            burst = due - sent < BURST ? (unsigned)(due - sent) : BURST;
        }
        int n = sendmmsg(fd, messages, burst, 0);
        sent += n > 0 ? (uint64_t)n : 0;
    }
    printf("%lu\n", (unsigned long)sent);
    return 0;
}
