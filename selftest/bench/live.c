/* live: frames that the kernel makes itself, and a place where they end.
 *
 *     live blast IFNAME SIZE SECONDS [FILE]   sends frames out of a veth, those bytes if there
 *                                         are any; prints how many
 *     live sink IFNAME                    drops and counts all that arrives there, until
 *                                         the interface or its namespace goes
 *     live redirect IFNAME TO             passes all to another interface, in the kernel
 *
 * An XDP program run on live frames (BPF_F_TEST_XDP_LIVE_FRAMES, Linux 5.18) answers XDP_TX:
 * five times as fast as a packet socket, so that what is measured is what stands behind. The
 * far end of the veth must have NAPI: an XDP program, or GRO. What the sink got is
 * rx_queue_*_xdp_packets of ethtool -S.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/libbpf.h>

#include "selftest/bench/xdp_programs.h"

#define RUN 200000 /* frames per system call: 40 ms or so */

/* return verdict; */
static int program(int verdict)
{
    struct bpf_insn code[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = verdict },
        { .code = BPF_JMP | BPF_EXIT },
    };
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_XDP_HAS_FRAGS);
    int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "live", "Apache-2.0", code, 2, &opts);
    if (fd < 0) {
        perror("live: XDP program");
        exit(1);
    }
    return fd;
}

/* return redirect(index, 0); */
static int redirection(unsigned index)
{
    struct bpf_insn code[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = (int)index },
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 0 },
        { .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect },
        { .code = BPF_JMP | BPF_EXIT },
    };
    return bpf_prog_load(BPF_PROG_TYPE_XDP, "live", "Apache-2.0", code, 4, NULL);
}

static int attach(unsigned index, int fd)
{
    int error = bpf_xdp_attach((int)index, fd, XDP_FLAGS_DRV_MODE, NULL);
    if (error)
        fprintf(stderr, "live: attach: %s\n", strerror(-error));
    return error != 0;
}

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint8_t frame[3600] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };

static bool read_frame(const char *path, uint32_t size)
{
    FILE *file = fopen(path, "rb");
    bool all = file && fread(frame, size, 1, file) == 1;
    if (!all)
        fprintf(stderr, "live: %s: not %u bytes\n", path, size);
    if (file)
        fclose(file);
    return all;
}

/* Sends frames that begin with these bytes. */
static int sender(const uint8_t *bytes, uint32_t size)
{
    uint8_t headers[1][ANEW_BYTES];
    const struct anew frames = { headers, 1, size };
    memcpy(headers[0], bytes, ANEW_BYTES);
    int fd = xdp_anew(-1, &frames);
    if (fd < 0) {
        perror("live: XDP program");
        exit(1);
    }
    return fd;
}

static int blast(unsigned index, int fd, uint32_t size, double seconds)
{
    struct xdp_md context = { .data_end = size, .ingress_ifindex = index };
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = size,
                .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = RUN,
                .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);
    uint64_t sent = 0;
    for (double end = now() + seconds; now() < end; sent += RUN)
        if (bpf_prog_test_run_opts(fd, &opts) && errno != EINTR) {
            perror("live: frames");
            return 1;
        }
    printf("%lu\n", (unsigned long)sent);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned index = argc > 2 ? if_nametoindex(argv[2]) : 0;
    if (index && argc == 3 && !strcmp(argv[1], "sink"))
        return attach(index, program(XDP_DROP));
    if (index && argc == 4 && !strcmp(argv[1], "redirect"))
        return attach(index, redirection(if_nametoindex(argv[3])));
    if (index && argc >= 5 && !strcmp(argv[1], "blast") && atoi(argv[3]) >= 14 &&
        atoi(argv[3]) <= 3400 &&
        (argc == 5 || read_frame(argv[5], (uint32_t)atoi(argv[3])))) {
        uint32_t size = (uint32_t)atoi(argv[3]);
        int fd = argc == 5 ? program(XDP_TX) : sender(frame, size);
        return blast(index, fd, size, atof(argv[4]));
    }
    fprintf(
        stderr,
        "usage: live blast IFNAME SIZE SECONDS [FILE] | sink IFNAME | redirect IFNAME TO\n");
    return 2;
}
