/* link_watch: what happens to the network interfaces of this network namespace.
 *
 * The watch knows which interfaces exist, for one reason: after an overrun, a deletion
 * shows only as an absence from the dump. Between the request of a dump and its
 * NLMSG_DONE every message about an interface marks it as seen; what is unmarked at the
 * end is gone.
 *
 * A dump is *due* until it is requested and becomes due again when it cannot be trusted
 * (another overrun, NLM_F_DUMP_INTR). It is only requested when the receive queue is
 * empty: the kernel refuses to start one into a full queue.
 */
#include "lib/link_watch.h"

#include "lib/error.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The largest datagram that the kernel makes of a dump. */
#define DATAGRAM_SIZE 32768

/* Datagrams per read: a storm of events must not hold up the caller's other work. */
#define READS_MAX 256

struct known {
    unsigned index;
    bool seen;
    char name[INTERFACE_NAME_SIZE];
};

struct link_watch {
    struct mnl_socket *socket;
    struct known *known; /* in no order */
    size_t count, room;
    uint32_t sequence; /* of the latest dump */
    bool dump_due;
    union {
        struct nlmsghdr header;
        char bytes[DATAGRAM_SIZE];
    } buffer;
};

/* Where the events of one link_watch_read go. */
struct sink {
    void (*callback)(const struct link_event *event, void *user);
    void *user;
    int events;
};

static void report(struct sink *sink, const struct link_event *event)
{
    sink->callback(event, sink->user);
    sink->events++;
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

static void report_absent(struct link_watch *watch, struct sink *sink)
{
    for (size_t i = watch->count; i-- > 0;) {
        struct known *known = &watch->known[i];
        if (known->seen)
            continue;
        struct link_event event = { .index = known->index, .deleted = true };
        memcpy(event.name, known->name, sizeof(event.name));
        known_remove(watch, known);
        report(sink, &event);
    }
}

/* ---- messages ---------------------------------------------------------------------- */

static int request_dump(struct link_watch *watch)
{
    char buffer[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct ifinfomsg))]
        __attribute__((aligned(MNL_ALIGNTO)));
    struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
    request->nlmsg_type = RTM_GETLINK;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request->nlmsg_seq = ++watch->sequence;
    mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
    if (mnl_socket_sendto(watch->socket, request, request->nlmsg_len) < 0)
        return -errno;
    for (size_t i = 0; i < watch->count; i++)
        watch->known[i].seen = false;
    watch->dump_due = false;
    return 0;
}

static int take_link(struct link_watch *watch, const struct nlmsghdr *message,
                     struct sink *sink)
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
    report(sink, &event);
    return 0;
}

static int take_message(struct link_watch *watch, const struct nlmsghdr *message,
                        struct sink *sink)
{
    bool ours = message->nlmsg_seq == watch->sequence;
    if (ours && message->nlmsg_flags & NLM_F_DUMP_INTR)
        watch->dump_due = true;
    switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
        return take_link(watch, message, sink);
    case NLMSG_DONE:
        if (ours && !watch->dump_due)
            report_absent(watch, sink);
        return 0;
    case NLMSG_ERROR:
        if (mnl_nlmsg_get_payload_len(message) < sizeof(struct nlmsgerr))
            return 0;
        return ((const struct nlmsgerr *)mnl_nlmsg_get_payload(message))->error;
    default:
        return 0;
    }
}

static int take_datagram(struct link_watch *watch, size_t length, struct sink *sink)
{
    const struct nlmsghdr *message = &watch->buffer.header;
    int rest = (int)length, status = 0;
    while (!status && mnl_nlmsg_ok(message, rest)) {
        status = take_message(watch, message, sink);
        message = mnl_nlmsg_next(message, &rest);
    }
    return status;
}

/* One datagram. Returns 1 when there may be more, 0 when the queue is empty, or -errno.
 */
static int read_one(struct link_watch *watch, struct sink *sink)
{
    struct sockaddr_nl from = { 0 };
    socklen_t from_length = sizeof(from);
    ssize_t length =
        recvfrom(link_watch_fd(watch), &watch->buffer, sizeof(watch->buffer),
                 MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from, &from_length);
    if (length < 0) {
        if (errno == EAGAIN)
            return 0;
        if (errno != ENOBUFS && errno != EINTR)
            return -errno;
        watch->dump_due |= errno == ENOBUFS;
        return 1;
    }
    /* Only the kernel has port 0; a process that may send us netlink messages is no
     * authority. */
    if (from_length != sizeof(from) || from.nl_pid != 0)
        return 1;
    if ((size_t)length > sizeof(watch->buffer)) {
        watch->dump_due = true;
        return 1;
    }
    int status = take_datagram(watch, (size_t)length, sink);
    return status ? status : 1;
}

/* ---- public ------------------------------------------------------------------------ */

struct link_watch *link_watch_open(struct error *err)
{
    int errnum = ENOMEM;
    struct link_watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        goto fail;
    watch->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (!watch->socket ||
        mnl_socket_bind(watch->socket, RTMGRP_LINK, MNL_SOCKET_AUTOPID)) {
        errnum = errno;
        goto fail;
    }
    errnum = -request_dump(watch);
    if (!errnum)
        return watch;
fail:
    link_watch_close(watch);
    errno = errnum;
    error_system(err, ERROR_RUN, "cannot watch network interfaces");
    return NULL;
}

int link_watch_fd(const struct link_watch *watch)
{
    return mnl_socket_get_fd(watch->socket);
}

int link_watch_read(struct link_watch *watch,
                    void (*callback)(const struct link_event *event, void *user),
                    void *user)
{
    struct sink sink = { .callback = callback, .user = user };
    int status = 1;
    for (int i = 0; i < READS_MAX && status > 0; i++)
        status = read_one(watch, &sink);
    if (!status && watch->dump_due)
        status = request_dump(watch);
    return status < 0 ? status : sink.events;
}

void link_watch_close(struct link_watch *watch)
{
    if (!watch)
        return;
    if (watch->socket)
        mnl_socket_close(watch->socket);
    free(watch->known);
    free(watch);
}
