/* fuzz/neighbour: any bytes as the kernel's messages about links and neighbours. The first byte
 * chooses modes; between messages Redis answers now and then.
 *
 * What is kept is as mirror.h says: rows have an interface, those that differ wait, and none is
 * there that is nothing.
 */
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/neigh_sync/counts.h"
#include "apps/neigh_sync/kernel.h"
#include "lib/error.h"

#define ROOM 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "neighbour: %s\n", what);
        abort();
    }
}

static uint32_t check(const struct mirror *mirror)
{
    const struct mirror_row *row = NULL;
    uint32_t waiting = 0, rows = 0;
    while ((row = mirror_next_row(mirror, row))) {
        bool differs = mirror_differs(&row->side[0]) || mirror_differs(&row->side[1]);
        require(*row->port->name, "a row of no interface");
        require(row->waits == differs || row->waits, "a row that nobody is told of");
        require(row->waits || row->side[0].want || row->side[1].want || mirror->in_round,
                "a row that is nothing");
        waiting += row->waits;
        rows++;
    }
    require(waiting == mirror->waiting, "rows that wait");
    return rows;
}

/* Redis is told of some, and refuses every fourth. */
static void tell(struct mirror *mirror, unsigned count)
{
    struct mirror_row *row;
    while (count-- && (row = mirror_next(mirror))) {
        for (unsigned i = 0; i < MIRROR_SIDES; i++)
            mirror_had(row, i,
                       count % 4 == 3      ? HAVE_UNKNOWN
                       : row->side[i].want ? HAVE_ROW
                                           : HAVE_NOTHING,
                       row->side[i].mac);
        mirror_settle(mirror, row, 1);
    }
}

static void take(struct kernel *kernel, const struct nlmsghdr *message)
{
    struct neighbour_link link;
    if (message->nlmsg_type == RTM_NEWNEIGH || message->nlmsg_type == RTM_DELNEIGH)
        kernel_take_neighbour(kernel, message, message->nlmsg_flags & NLM_F_MULTI);
    else if (neighbour_link_parse(message, &link))
        kernel_take_link(kernel, &link, message->nlmsg_flags & NLM_F_MULTI);
    else if (message->nlmsg_type == NLMSG_DONE && kernel->mirror->in_round)
        mirror_complete(kernel->mirror, 1);
    else if (message->nlmsg_type == NLMSG_NOOP)
        mirror_begin(kernel->mirror);
    else
        tell(kernel->mirror, message->nlmsg_seq & 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint64_t counters[COUNTS];
    static union {
        struct nlmsghdr header;
        uint8_t bytes[ROOM];
    } room;
    struct error err;
    if (!size || size > ROOM)
        return 0;
    struct kernel kernel = { .mirror = mirror_new(64, 8),
                             .counters = counters,
                             .mode = { .dual_tor = data[0] & 1,
                                       .evpn = data[0] & 2,
                                       .ipv4 = !(data[0] & 4),
                                       .ipv6 = !(data[0] & 8) } };
    require(kernel.mirror && !kernel_open(&kernel, 8, 0, &err), "memory");
    const struct neighbour_link link = { .index = 1, .name = "Ethernet0" };
    kernel_take_link(&kernel, &link, false);
    memcpy(room.bytes, data + 1, size - 1);
    int rest = (int)size - 1; /* the last one may be rounded up past it */
    const struct nlmsghdr *message = &room.header;
    while (rest > 0 && NLMSG_OK(message, (unsigned)rest)) {
        take(&kernel, message);
        check(kernel.mirror);
        message = NLMSG_NEXT(message, rest);
    }
    mirror_begin(kernel.mirror); /* the kernel has nothing any more */
    mirror_complete(kernel.mirror, 2);
    for (unsigned i = 0; i < 3; i++)
        tell(kernel.mirror, kernel.mirror->waiting * 2);
    require(check(kernel.mirror) <= kernel.mirror->waiting, "rows are left");
    kernel_close(&kernel);
    mirror_free(kernel.mirror);
    return 0;
}
