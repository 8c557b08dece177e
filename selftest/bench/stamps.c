/* stamps: how long frames take from one interface to another, from the first byte in to the first
 * byte out.
 *
 *     stamps FROM-NAMESPACE IFNAME TO-NAMESPACE IFNAME FILE SHORTER RATE SECONDS [TOGETHER]
 *
 * Sends the frame in FILE, RATE times a second, out of a veth of one namespace (those of `ip netns`), each
 * stamped by an XDP program when it is sent; the program of the veth where they arrive, SHORTER bytes
 * shorter, counts what time they took. So many, 1 to 64, are sent
 * together, and are on their way before the next ones are made. Prints: sent, arrived, and the nanoseconds of p50, p99, p99.9 and the slowest.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/histogram.h"
#include "selftest/bench/stamps.h"
#include "stamps.skel.h"

#define CALL_NS 200000000 /* of sending, for each system call */
#define GAP_MAX 1000000   /* the program does not wait longer */

static uint8_t bytes[3400];

static uint64_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static bool enter(const char *namespace)
{
    char path[300];
    snprintf(path, sizeof(path), "/run/netns/%s", namespace);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool done = fd >= 0 && !setns(fd, CLONE_NEWNET);
    if (!done)
        perror(path);
    if (fd >= 0)
        close(fd);
    return done;
}

static uint32_t read_frame(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint32_t size = file ? (uint32_t)fread(bytes, 1, sizeof(bytes), file) : 0;
    if (file)
        fclose(file);
    if (size < STAMPS_HEADER)
        fprintf(stderr, "stamps: %s: not %d bytes\n", path, STAMPS_HEADER);
    return size;
}

/* Room for the stamp is 8 bytes of zeros, and 8 of ones. */
static bool has_room(void)
{
    static const uint8_t room[16] = { [8] = 255, 255, 255, 255, 255, 255, 255, 255 };
    bool has = !memcmp(bytes + STAMPS_HEADER - sizeof(room), room, sizeof(room));
    if (!has)
        fprintf(stderr, "stamps: the frame has no room for a stamp\n");
    return has;
}

/* -> how many were sent, 0 when that does not work. A call takes 10 ms to set up. */
static uint64_t send_all(struct stamps_bpf *stamps, const char *ifname, double seconds)
{
    const struct stamps_frame *frame = &stamps->bss->frame;
    struct xdp_md context = { .data_end = frame->size,
                              .ingress_ifindex = if_nametoindex(ifname) };
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = frame->size,
                .ctx_in = &context, .ctx_size_in = sizeof(context),
                .repeat = (int)(CALL_NS / frame->gap * frame->together),
                .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = frame->together);
    uint64_t sent = 0;
    for (uint64_t end = now() + (uint64_t)(seconds * 1e9); now() < end;
         sent += (uint64_t)opts.repeat)
        if (bpf_prog_test_run_opts(bpf_program__fd(stamps->progs.stamped), &opts)) {
            perror("stamps: frames");
            return 0;
        }
    return sent;
}

static void print(uint64_t sent, const struct histogram *took, uint64_t others)
{
    printf("%lu %lu", (unsigned long)sent, (unsigned long)took->count);
    for (const double *q = (const double[]){ 0.5, 0.99, 0.999, 1, 0 }; *q > 0; q++)
        printf(" %lu", (unsigned long)histogram_quantile(took, *q));
    putchar('\n');
    if (others)
        fprintf(stderr, "stamps: %lu frames were others\n", (unsigned long)others);
}

/* What is sent; false when it is said what is wrong. */
static bool describe(struct stamps_frame *frame, int argc, char **argv)
{
    frame->size = read_frame(argv[5]);
    frame->at = STAMPS_HEADER - 16 - (uint32_t)atoi(argv[6]);
    frame->together = argc == 10 ? (uint32_t)atoi(argv[9]) : 1;
    frame->gap = (uint32_t)(1e9 / atof(argv[7]) * frame->together);
    memcpy(frame->header, bytes, STAMPS_HEADER);
    if (frame->together - 1 >= 64 || frame->gap > GAP_MAX) {
        fprintf(stderr, "stamps: 1 to 64 together, at least 1,000 times a second\n");
        return false;
    }
    return frame->size && has_room();
}

static bool count_arrivals(struct stamps_bpf *stamps, const char *namespace,
                           const char *ifname)
{
    int fd = bpf_program__fd(stamps->progs.arrived);
    int error = enter(namespace) ? bpf_xdp_attach((int)if_nametoindex(ifname), fd,
                                                  XDP_FLAGS_DRV_MODE, NULL)
                                 : -ENOENT;
    if (error)
        fprintf(stderr, "stamps: attach: %s\n", strerror(-error));
    return !error;
}

int main(int argc, char **argv)
{
    struct stamps_bpf *stamps =
        argc == 9 || argc == 10 ? stamps_bpf__open_and_load() : NULL;
    if (!stamps) {
        fprintf(stderr, "usage: stamps FROM-NAMESPACE IFNAME TO-NAMESPACE IFNAME FILE "
                        "SHORTER RATE SECONDS [TOGETHER]\n");
        return 2;
    }
    if (!describe(&stamps->bss->frame, argc, argv) ||
        !count_arrivals(stamps, argv[3], argv[4]) || !enter(argv[1]))
        return 1;
    uint64_t sent = send_all(stamps, argv[2], atof(argv[8]));
    usleep(200000); /* for what is on its way */
    print(sent, &stamps->bss->took, stamps->bss->others);
    stamps_bpf__destroy(stamps);
    return sent == 0;
}
