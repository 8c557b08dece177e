/* xdp_hook: where an interface's frames can be had before the kernel sees them.
 *
 *   xdp_hook_open       attach our program, or take part in what this process attached
 *   xdp_hook_join       take part in what this process attached, if it did
 *   xdp_hook_match      other traffic, from one frame to the next
 *   xdp_hook_add        frames of a queue go to this AF_XDP socket
 *   xdp_hook_remove     ... no more
 *   xdp_hook_front      another program sees the frames first
 *   xdp_hook_describe   "native", or "generic (native: why not)"
 *   xdp_hook_close      the last one detaches it
 *
 * An interface has room for one program. So there is one for all apps of a process, shared
 * and made of stages; xdp_hook.bpf.c is what it does. It is attached by bpf_link (Linux 5.9):
 * gone with the process, however that ends. Frames that nobody wants go on to the kernel, so
 * the host stays reachable.
 *
 * Calls may come from any thread. They take a lock: none is for the packet path.
 */
#pragma once
#include <stdbool.h>

#include "lib/error.h"
#include "lib/xdp_attach.h"

struct xdp_hook;

struct xdp_hook_options {
    enum xdp_attach_mode attach; /* auto: native, else generic */
    const char *match;           /* traffic that goes to sockets (lib/traffic_match.h) */
    bool drop;       /* matching frames of a queue without a socket are dropped */
    bool frags;      /* frames longer than a buffer come in pieces (Linux 5.18) */
    bool force;      /* stand in front of a program that is there already */
    const char *map; /* NULL, or where an XSKMAP is pinned: its program is used, whoever
                               attached that, and the options above mean nothing */
};

/* NULL and a message that says what would help: ERROR_PRIVILEGE without CAP_BPF and
 * CAP_NET_ADMIN, ERROR_CONFIG when the interface has somebody else's program (named by its
 * id) or this process has it open with other options. With force that program runs behind
 * ours, and is attached again when ours goes; it is lost when we are killed. `queues` is how
 * many receive queues the interface has. */
struct xdp_hook *xdp_hook_open(const char *ifname, unsigned index, unsigned queues,
                               const struct xdp_hook_options *options, struct error *err);
void xdp_hook_close(struct xdp_hook *hook); /* may be NULL */

/* NULL when nobody has that interface open. Closed like one that was opened. */
struct xdp_hook *xdp_hook_join(unsigned index);

/* On error the old match stays. */
int xdp_hook_match(struct xdp_hook *hook, const char *match, struct error *err);

/* -EEXIST when the queue has a socket already. A socket that is closed is removed as well. */
int xdp_hook_add(struct xdp_hook *hook, unsigned queue, int fd, struct error *err);
void xdp_hook_remove(struct xdp_hook *hook, unsigned queue);

/* A program that runs in front, of the kind that xdp_hook_frags says, and goes on to us by a tail call
 * to slot 0 of next, a PROG_ARRAY. Both stay the caller's. program: -1, there is none any more.
 * -EBUSY: there is another, or the program that runs is not ours. */
int xdp_hook_front(struct xdp_hook *hook, int program, int next, struct error *err);
bool xdp_hook_frags(const struct xdp_hook *hook);

/* Valid until xdp_hook_close. */
const char *xdp_hook_describe(const struct xdp_hook *hook);
