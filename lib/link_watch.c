/* link_watch: what happens to the network interfaces of this network namespace.
 *
 * The watch knows which interfaces exist, for one reason: after an overrun, a deletion shows
 * only as an absence from what there is. Between the begin of a round (lib/netlink_watch.h) and
 * its completion every message about an interface marks it as seen; what is unmarked at the
 * end is gone.
 */
#include "lib/link_watch.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/netlink_watch.h"

/* Datagrams per read: a storm of events must not hold up the caller's other work. */
#define READS_MAX 256

struct known {
    unsigned index;
    bool seen;
    char name[INTERFACE_NAME_SIZE];
};

struct link_watch {
    struct netlink_watch *netlink;
    struct known *known; /* in no order */
    size_t count, room;

    /* of the present link_watch_read */
    void (*callback)(const struct link_event *event, void *user);
    void *user;
    int events, error;
};

static void report(struct link_watch *watch, const struct link_event *event)
{
    watch->callback(event, watch->user);
    watch->events++;
}

/* ---- the interfaces that exist ----------------------------------------------------- */

static struct known *known_find(struct link_watch *watch, unsigned index)
{
    for (size_t i = 0; i < watch->count; i++)
        if (watch->known[i].index == index)
            return &watch->known[i];
    return NULL;
}

static int known_note(struct link_watch *watch, const struct interface *interface)
{
    struct known *known = known_find(watch, interface->index);
    if (!known) {
        if (watch->count == watch->room) {
            size_t room = watch->room ? 2 * watch->room : 16;
            struct known *larger = reallocarray(watch->known, room, sizeof(*larger));
            if (!larger)
                return -ENOMEM;
            watch->known = larger;
            watch->room = room;
        }
        known = &watch->known[watch->count++];
    }
    known->index = interface->index;
    known->seen = true;
    memcpy(known->name, interface->name, sizeof(known->name));
    return 0;
}

static void known_remove(struct link_watch *watch, struct known *known)
{
    *known = watch->known[--watch->count];
}

static void report_absent(struct link_watch *watch)
{
    for (size_t i = watch->count; i-- > 0;) {
        struct known *known = &watch->known[i];
        if (known->seen)
            continue;
        struct link_event event = { .index = known->index, .deleted = true };
        memcpy(event.name, known->name, sizeof(event.name));
        known_remove(watch, known);
        report(watch, &event);
    }
}

/* ---- messages ---------------------------------------------------------------------- */

static int take_link(struct link_watch *watch, const struct nlmsghdr *message)
{
    struct interface interface;
    if (interface_parse(message, message->nlmsg_len, &interface))
        return 0;
    bool deleted = message->nlmsg_type == RTM_DELLINK;
    struct link_event event = {
        .index = interface.index,
        .deleted = deleted,
        .up = !deleted && interface.flags & IFF_UP,
        .running = !deleted && interface.flags & IFF_RUNNING,
        .lower_up = !deleted && interface.flags & IFF_LOWER_UP,
        .mtu = interface.mtu,
    };
    memcpy(event.name, interface.name, sizeof(event.name));
    if (!deleted) {
        int status = known_note(watch, &interface);
        if (status)
            return status;
    } else {
        struct known *known = known_find(watch, interface.index);
        if (known)
            known_remove(watch, known);
    }
    report(watch, &event);
    return 0;
}

static void take(enum netlink_news news, const struct nlmsghdr *message, void *user)
{
    struct link_watch *watch = user;
    if (message && !watch->error)
        watch->error = take_link(watch, message);
    if (news == NETLINK_BEGIN)
        for (size_t i = 0; i < watch->count; i++)
            watch->known[i].seen = false;
    if (news == NETLINK_COMPLETE)
        report_absent(watch);
}

/* ---- public ------------------------------------------------------------------------ */

struct link_watch *link_watch_open(struct error *err)
{
    static const struct netlink_watch_options options = {
        .groups = RTMGRP_LINK, .dumps = { { RTM_GETLINK, sizeof(struct ifinfomsg) } }
    };
    struct link_watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        error_set(err, ERROR_RUN, ENOMEM, "out of memory");
        return NULL;
    }
    watch->netlink = netlink_watch_open(&options, err);
    int got = watch->netlink ? netlink_watch_read(watch->netlink, 0, 1, take, watch) : 0;
    if (got < 0)
        error_set(err, ERROR_RUN, -got, "%s", strerror(-got));
    if (watch->netlink && got >= 0)
        return watch;
    link_watch_close(watch);
    if (err)
        error_prefix(err, "cannot watch network interfaces: ");
    return NULL;
}

int link_watch_fd(const struct link_watch *watch)
{
    return netlink_watch_fd(watch->netlink);
}

int link_watch_read(struct link_watch *watch,
                    void (*callback)(const struct link_event *event, void *user),
                    void *user)
{
    watch->callback = callback;
    watch->user = user;
    watch->events = watch->error = 0;
    int got = netlink_watch_read(watch->netlink, 0, READS_MAX, take, watch);
    return got < 0 ? got : watch->error ? watch->error : watch->events;
}

void link_watch_close(struct link_watch *watch)
{
    if (!watch)
        return;
    netlink_watch_close(watch->netlink);
    free(watch->known);
    free(watch);
}
