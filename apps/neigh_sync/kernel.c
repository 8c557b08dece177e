/* kernel: from what the kernel says of links and neighbours to what the mirror wants. */
#include "apps/neigh_sync/kernel.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/random.h>

#include "apps/neigh_sync/counts.h"
#include "lib/error.h"
#include "lib/table.h"

#define BACKOFF 100000000ull /* ns to the first round after an overrun */

/* Of an interface, by its index. */
struct known_link {
    struct mirror_port *port;
    uint32_t index;
    uint32_t round, event_round;
};

static void count(struct kernel *kernel, unsigned counter)
{
    kernel->counters[counter]++;
}

/* --- links ----------------------------------------------------------------------------------- */

static struct known_link *find_link(struct kernel *kernel, uint32_t index)
{
    uint64_t key = index;
    return table_find(kernel->links, &key);
}

/* The interface has that name no more, if it is the one that had it. */
static void leave_port(struct kernel *kernel, struct mirror_port *port, uint32_t index)
{
    if (port->index != index)
        return;
    port->index = port->master = 0;
    if (port->rows)
        mirror_clear_port(kernel->mirror, port, kernel->now);
    else
        mirror_port_forget(kernel->mirror, port);
}

static void forget_link(struct kernel *kernel, uint32_t index)
{
    struct known_link *link = find_link(kernel, index);
    uint64_t key = index;
    if (!link)
        return;
    leave_port(kernel, link->port, index);
    table_remove(kernel->links, &key);
}

void kernel_take_link(struct kernel *kernel, const struct neighbour_link *heard, bool row)
{
    uint64_t key = heard->index;
    struct known_link *link = find_link(kernel, heard->index);
    uint32_t round = kernel->mirror->round, event_round = row ? 0 : round;
    if (row && link && link->event_round == round)
        return; /* an event said what is newer */
    if (link && (heard->deleted || strcmp(link->port->name, heard->name))) {
        forget_link(kernel, heard->index);
        if (!heard->deleted) /* neighbours may have outlived the old name */
            kernel_again(kernel);
        link = NULL;
    }
    if (heard->deleted)
        return;
    struct mirror_port *port = mirror_port(kernel->mirror, heard->name);
    if (port && port->index && port->index != heard->index) {
        /* What became of the one that had the name was lost. The port stays. */
        port->pins++;
        forget_link(kernel, port->index);
        port->pins--;
        kernel_again(kernel);
    }
    link = port ? table_insert(kernel->links, &key) : NULL;
    if (!link) {
        count(kernel, COUNT_DROP_FULL);
        if (port)
            mirror_port_forget(kernel->mirror, port);
        return;
    }
    *link = (struct known_link){ port, heard->index, round, event_round };
    port->index = heard->index;
    port->master = heard->master;
}

/* Those that the kernel did not tell of. */
static void forget_absent_links(struct kernel *kernel)
{
    struct known_link *link = NULL;
    while ((link = table_next(kernel->links, link)))
        if (link->round != kernel->mirror->round)
            forget_link(kernel, link->index);
}

const char *kernel_vrf(void *user, const struct mirror_port *port)
{
    struct kernel *kernel = user;
    struct known_link *master = port->master ? find_link(kernel, port->master) : NULL;
    bool vrf = kernel->mode.evpn && master && !strncmp(master->port->name, "Vrf", 3);
    return vrf ? master->port->name : NULL;
}

/* --- neighbours ------------------------------------------------------------------------------ */

/* The row that the event concerns, if any. */
static struct mirror_row *row_for(struct kernel *kernel, struct mirror_port *port,
                                  const struct neighbour *n, enum verdict verdict,
                                  bool dumped)
{
    bool idle = verdict == VERDICT_IGNORE || verdict == VERDICT_INELIGIBLE;
    bool remember = verdict == VERDICT_INELIGIBLE && kernel->mirror->in_round && !dumped;
    struct mirror_row *row = mirror_row(kernel->mirror, port, n->family, n->address);
    if (row || (idle && !remember))
        return row;
    row = mirror_make(kernel->mirror, port, n->family, n->address);
    if (!row)
        count(kernel, COUNT_DROP_FULL);
    else if (idle)
        mirror_had(row, SIDE_NEIGHBOUR, HAVE_NOTHING, NULL);
    return row;
}

/* A host that moves here from behind another switch keeps its MAC address, so its row is as it
 * should be; but it is told of anew, for the route of before goes with it. */
static void note_move(struct kernel *kernel, struct mirror_row *row,
                      const struct neighbour *n, enum verdict verdict)
{
    bool remote = verdict == VERDICT_SET && n->flags & NTF_EXT_LEARNED;
    bool moved = row->remote && !remote && verdict == VERDICT_SET;
    if (verdict != VERDICT_IGNORE)
        row->remote = remote;
    if (moved && kernel_vrf(kernel, row->port) &&
        row->side[SIDE_NEIGHBOUR].have == HAVE_ROW)
        mirror_had(row, SIDE_NEIGHBOUR, HAVE_UNKNOWN, NULL);
}

static void apply(struct kernel *kernel, struct mirror_port *port,
                  const struct neighbour *n, bool dumped)
{
    static const uint8_t none[6];
    struct decision d = decide(n, &kernel->mode, port->link_local);
    if (d.reason) {
        count(kernel, COUNT_FILTERED);
        count(kernel, COUNT_DROP_FAMILY + d.reason - REASON_FAMILY);
    }
    struct mirror_row *row = row_for(kernel, port, n, d.verdict, dumped);
    if (!row || (dumped && row->event_round == kernel->mirror->round))
        return; /* an event said what is newer */
    row->round = kernel->mirror->round;
    if (!dumped)
        row->event_round = kernel->mirror->round;
    note_move(kernel, row, n, d.verdict);
    if (d.failed != FAILED_KEEP)
        mirror_want(row, SIDE_FAILED, d.failed == FAILED_SET ? none : NULL);
    if (d.verdict != VERDICT_IGNORE)
        mirror_want(row, SIDE_NEIGHBOUR, d.verdict == VERDICT_SET ? d.mac : NULL);
    if (!mirror_settle(kernel->mirror, row, kernel->now))
        count(kernel, COUNT_UNCHANGED);
}

void kernel_take_neighbour(struct kernel *kernel, const struct nlmsghdr *message,
                           bool row)
{
    struct neighbour n;
    enum neighbour_fault fault = neighbour_parse(message, &n);
    if (fault) {
        count(kernel, fault == NEIGHBOUR_OTHER ? COUNT_DROP_OTHER : COUNT_DROP_MALFORMED);
        return;
    }
    struct known_link *link = find_link(kernel, n.index);
    if (!link) {
        count(kernel, COUNT_DROP_UNKNOWN_INTERFACE);
        return;
    }
    count(kernel, COUNT_NEIGHBORS_PROCESSED);
    apply(kernel, link->port, &n, row);
}

/* --- rounds ---------------------------------------------------------------------------------- */

static void complete(struct kernel *kernel)
{
    forget_absent_links(kernel);
    mirror_complete(kernel->mirror, kernel->now);
    kernel->complete = true;
}

static void take(enum netlink_news news, const struct nlmsghdr *message, void *user)
{
    struct kernel *kernel = user;
    struct neighbour_link link;
    if (news == NETLINK_BEGIN) {
        mirror_begin(kernel->mirror);
        count(kernel, COUNT_RESYNCS);
    } else if (news == NETLINK_COMPLETE) {
        complete(kernel);
    } else if (news == NETLINK_LOST) {
        kernel->complete = false;
        count(kernel, COUNT_NETLINK_OVERRUNS);
    } else if (message->nlmsg_type == RTM_NEWNEIGH ||
               message->nlmsg_type == RTM_DELNEIGH) {
        kernel_take_neighbour(kernel, message, news == NETLINK_ROW);
    } else if (neighbour_link_parse(message, &link)) {
        kernel_take_link(kernel, &link, news == NETLINK_ROW);
    }
}

/* Each watch begins at zero; the app's own failures are among the errors. */
static void count_watch(struct kernel *kernel)
{
    const struct netlink_watch_counts *counts = netlink_watch_counts(kernel->watch);
    uint64_t errors = counts->errors + counts->malformed + counts->lost;
    kernel->counters[COUNT_NETLINK_ERRORS] += errors - kernel->errors;
    kernel->counters[COUNT_NETLINK_FOREIGN] += counts->foreign - kernel->foreign;
    kernel->errors = errors;
    kernel->foreign = counts->foreign;
}

int kernel_read(struct kernel *kernel, uint64_t now, int most)
{
    kernel->now = now;
    int got = netlink_watch_read(kernel->watch, now, most, take, kernel);
    count_watch(kernel);
    return got;
}

void kernel_again(struct kernel *kernel)
{
    if (!kernel->watch)
        return;
    kernel->complete = false;
    netlink_watch_again(kernel->watch);
}

int kernel_open(struct kernel *kernel, uint32_t links, size_t buffer, struct error *err)
{
    const struct netlink_watch_options options = {
        .groups = RTMGRP_LINK | RTMGRP_NEIGH,
        .dumps = { { RTM_GETLINK, sizeof(struct ifinfomsg) },
                   { RTM_GETNEIGH, sizeof(struct ndmsg) } },
        .buffer = buffer,
        .backoff = BACKOFF,
    };
    struct siphash_key seed;
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        return error_system(err, ERROR_RUN, "random numbers");
    if (!kernel->links)
        kernel->links = table_new(sizeof(uint64_t), sizeof(struct known_link), links,
                                  &seed, TABLE_REFUSE);
    if (!kernel->links)
        return error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    kernel->watch = netlink_watch_open(&options, err);
    if (!kernel->watch)
        return -EIO;
    kernel->errors = kernel->foreign = 0;
    kernel->counters[COUNT_NETLINK_BUFFER] = netlink_watch_counts(kernel->watch)->buffer;
    return 0;
}

void kernel_hang_up(struct kernel *kernel)
{
    netlink_watch_close(kernel->watch);
    kernel->watch = NULL;
    kernel->complete = false;
}

void kernel_close(struct kernel *kernel)
{
    kernel_hang_up(kernel);
    table_free(kernel->links);
    kernel->links = NULL;
}
