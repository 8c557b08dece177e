/* neighbour_rig: a network namespace of the test's own with somebody at the other end.
 *
 *   neighbour_rig_start   out0 here, in0 in another namespace, each with addresses
 *   there                 a command in that namespace
 *   here_address          an address as 16 bytes, IPv4 mapped
 *   wait_for_fd           until something can be read, or a time is due
 *
 *     out0 10.0.0.1/24 fd00::1/64  ------  in0 10.0.0.2/24 fd00::2/64, 10.0.0.3, fd00::3
 */
#pragma once
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <time.h>

#include "lib/prefix.h"
#include "selftest/private_network.h"

#define OUT_MAC "02:00:00:00:00:01"
#define IN_MAC  "02:00:00:00:00:02"

static pid_t other_end;

static inline void there(const char *command)
{
    shell("nsenter --net=/proc/%d/ns/net sh -ec '%s'", (int)other_end, command);
}

static inline void make_other_end(void)
{
    int ready[2];
    char byte;
    ck_assert_int_eq(pipe(ready), 0);
    other_end = fork();
    ck_assert_int_ge(other_end, 0);
    if (!other_end) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWNET) || write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
}

/* ND sends nothing as long as the link-local address may turn out to be somebody else's, which
 * takes a second or two (DAD). */
static inline void make_pair(void)
{
    shell("ip link add out0 address " OUT_MAC " type veth peer name in0 address " IN_MAC
          " netns %d; "
          "echo 0 >/proc/sys/net/ipv6/conf/out0/accept_dad",
          (int)other_end);
    there("echo 0 >/proc/sys/net/ipv6/conf/in0/accept_dad; "
          "for a in 10.0.0.2/24 10.0.0.3/24 fd00::2/64 fd00::3/64; do "
          "ip addr add $a dev in0; done; ip link set in0 up");
    shell("ip addr add 10.0.0.1/24 dev out0; ip addr add fd00::1/64 dev out0; "
          "ip link set out0 up; "
          "until ip -6 route show dev out0 | grep -q ^fd00::/64; do sleep 0.01; done");
}

static inline bool neighbour_rig_start(void)
{
    if (!private_network())
        return false;
    make_other_end();
    make_pair();
    return true;
}

static inline const uint8_t *here_address(const char *text)
{
    static uint8_t ring[8][16];
    static unsigned at;
    struct prefix prefix;
    ck_assert_int_eq(prefix_parse(&prefix, text), 0);
    prefix_mapped(&prefix, ring[at % 8]);
    return ring[at++ % 8];
}

static inline uint64_t real_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* due: UINT64_MAX for never. */
static inline void wait_for_fd(int fd, uint64_t due)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };
    uint64_t now = real_now();
    int most = due == UINT64_MAX ? 20000
               : due > now       ? (int)((due - now) / 1000000) + 1
                                 : 0;
    int got = poll(&one, 1, most);
    ck_assert_msg(got == 1 || due != UINT64_MAX, "nothing more happens");
}
