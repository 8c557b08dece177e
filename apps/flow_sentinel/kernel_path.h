/* kernel_path: FlowSentinel's data path as an XDP program on an interface.
 *
 *   kernel_path_new        load and attach, or take over what an earlier process left
 *   kernel_path_test       run the program on a frame (BPF_PROG_TEST_RUN)
 *   kernel_path_set_clock  after a while, for the machine may have slept
 *   kernel_path_watch      after a while, for the interface may have gone and come back
 *   kernel_path_describe   "native", "generic (native: why not)", "taken over"
 *   kernel_path_fd         readable when there are events
 *   kernel_path_program    its descriptor
 *   kernel_path_measure_begin, _end    how long it runs
 *
 * With a pin directory the program and its maps outlive this process: what is blocked stays
 * blocked, what the program decides by itself it goes on deciding. The next one that opens the
 * same directory takes link and maps over and puts its program in place of the old one; there is
 * no moment without. Without one they go with this process, however it ends.
 */
#pragma once
#include "apps/flow_sentinel/path.h"
#include "lib/xdp_attach.h"

struct kernel_path_options {
    const char *ifname; /* of this network namespace */
    unsigned index;
    enum xdp_attach_mode attach;
    const char *
        pin; /* a directory in a bpffs, made when it is missing; NULL: nothing is pinned */
    struct path_sizes sizes;
    uint64_t secret;
    bool
        frags; /* frames may come in several buffers (Linux 5.18): where the MTU needs that */
    bool cookies; /* SYNs may be answered: net.ipv4.tcp_syncookies = 2 */
    bool test;    /* not attached, and the clock is state->clock: for kernel_path_test */
};

/* NULL and a message: ERROR_PRIVILEGE, ERROR_CONFIG when somebody else's program is on the
 * interface. */
struct path *kernel_path_new(const struct kernel_path_options *options,
                             const struct sentinel_policy *policy, struct error *err);

/* A program goes with its interface; when there is one of that name again, so is the program. 0:
 * nothing happened, 1: it is attached again, else an error: what is wrong now. */
int kernel_path_watch(struct path *path, struct error *err);

/* Its clock goes by ticks of the kernel, which stand still with the machine. */
void kernel_path_set_clock(const struct path *path);

const char *kernel_path_describe(const struct path *path);
int kernel_path_fd(const struct path *path);
int kernel_path_program(const struct path *path);

/* While it is measured the kernel reads the clock twice for each run of any program: for moments,
 * not always (bpf(2), BPF_ENABLE_STATS). False when it will not. */
bool kernel_path_measure_begin(struct path *path);

/* Its runs since, and all of their time. False when there was no beginning, or another policy. */
bool kernel_path_measure_end(struct path *path, uint64_t *runs, uint64_t *ns);

/* Returns the XDP verdict, or a negative errno: -EINVAL for less than 14 bytes. */
int kernel_path_test(struct path *path, const uint8_t *data, uint32_t length);
