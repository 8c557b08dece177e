/* kernel: from what the kernel says of links and neighbours to what the mirror wants.
 *
 *   kernel_open     listen; everything there is comes first
 *   kernel_read     take what is waiting
 *   kernel_again    take everything once more: the rules changed
 *   kernel_take_neighbour, kernel_take_link     one message (for kernel_read and tests)
 *   kernel_vrf      the VRF that an interface is part of
 *   kernel_hang_up  listen no more, until kernel_open
 *   kernel_close    and forget the links
 *
 * Links and neighbours come by one socket, in the order in which they happened, so a name is
 * always the one that the interface had at the time of the event. A row is by name: when an
 * interface is renamed or goes, the rows of the old name go, and when one has a new name, its
 * neighbours are asked for. A neighbour of an interface that nobody announced is dropped.
 */
#pragma once
#include "apps/neigh_sync/decide.h"
#include "apps/neigh_sync/mirror.h"
#include "lib/netlink_watch.h"

struct kernel {
    struct netlink_watch *watch;
    struct mirror *mirror;
    struct decide_mode mode;
    uint64_t *counters; /* of counts.h */
    struct table *links;
    uint64_t now;
    uint64_t errors, foreign; /* of the watch, as far as they are counted */
    bool complete;            /* a round was, since kernel_open or the last loss */
};

/* The mirror, mode and counters are set by the caller. links: how many there may be. buffer:
 * bytes. -errno with a message. */
int kernel_open(struct kernel *kernel, uint32_t links, size_t buffer, struct error *err);
void kernel_hang_up(struct kernel *kernel);
void kernel_close(struct kernel *kernel);

/* Up to `most` datagrams. Returns how many there were, or -errno when it must be opened
 * anew. */
int kernel_read(struct kernel *kernel, uint64_t now, int most);
void kernel_again(struct kernel *kernel);

/* row: it answers a dump, and is no event. */
void kernel_take_neighbour(struct kernel *kernel, const struct nlmsghdr *message,
                           bool row);
void kernel_take_link(struct kernel *kernel, const struct neighbour_link *link, bool row);

/* NULL when it is part of none. VRFs are the interfaces whose names start with "Vrf". */
const char *kernel_vrf(void *kernel, const struct mirror_port *port);
