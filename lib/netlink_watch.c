/* netlink_watch: all there is of some kinds of objects in the kernel, and every change.
 *
 * A round is *due* until its first dump is requested. That is done when the receive queue is
 * empty: the kernel refuses to start a dump into a full one. One dump at a time; the kernel
 * always brings it to its NLMSG_DONE, for it goes on only while there is room. So a round that
 * is worth nothing any more runs out before the next begins.
 */
#include "lib/netlink_watch.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/error.h"
#include "lib/netlink.h"

#define DATAGRAM_SIZE 32768 /* the largest that the kernel makes of a dump */
#define HEADER_MAX    64
#define BACKOFF_SHIFT 5

struct netlink_watch {
    struct mnl_socket *socket;
    struct netlink_watch_options options;
    struct netlink_watch_counts counts;
    uint32_t sequence, port;
    bool due, dumping;
    bool doubtful;  /* the present round will not be complete */
    unsigned step;  /* which dump of the round */
    unsigned worse; /* rounds in a row that were lost */
    uint64_t not_before;
    union {
        struct nlmsghdr header;
        char bytes[DATAGRAM_SIZE];
    } datagram;
};

/* Where the news of one netlink_watch_read go. */
struct sink {
    void (*take)(enum netlink_news news, const struct nlmsghdr *message, void *user);
    void *user;
    uint64_t now;
};

static void tell(const struct sink *sink, enum netlink_news news,
                 const struct nlmsghdr *message)
{
    sink->take(news, message, sink->user);
}

/* --- rounds ---------------------------------------------------------------------------- */

static void put_off(struct netlink_watch *watch, uint64_t now)
{
    watch->due = true;
    watch->not_before = now + (watch->options.backoff << watch->worse);
    if (watch->worse < BACKOFF_SHIFT)
        watch->worse++;
}

static void lose(struct netlink_watch *watch, const struct sink *sink)
{
    watch->counts.lost++;
    if (watch->dumping)
        watch->doubtful = true;
    else if (!watch->due)
        put_off(watch, sink->now);
    tell(sink, NETLINK_LOST, NULL);
}

static int request(struct netlink_watch *watch)
{
    const struct netlink_dump *dump = &watch->options.dumps[watch->step];
    char bytes[MNL_NLMSG_HDRLEN + HEADER_MAX] __attribute__((aligned(MNL_ALIGNTO)));
    struct nlmsghdr *header = mnl_nlmsg_put_header(bytes);
    header->nlmsg_type = dump->type;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    header->nlmsg_seq = ++watch->sequence;
    mnl_nlmsg_put_extra_header(header, dump->header);
    if (mnl_socket_sendto(watch->socket, header, header->nlmsg_len) < 0)
        return -errno;
    watch->dumping = true;
    return 0;
}

static int begin(struct netlink_watch *watch, const struct sink *sink)
{
    watch->due = watch->doubtful = false;
    watch->step = 0;
    watch->counts.rounds++;
    tell(sink, NETLINK_BEGIN, NULL);
    return request(watch);
}

/* The kernel has answered one dump, or refused to. */
static int end(struct netlink_watch *watch, const struct sink *sink, bool refused)
{
    bool lost = watch->doubtful || refused;
    watch->dumping = false;
    if (!lost && watch->options.dumps[++watch->step].type)
        return request(watch);
    if (lost) {
        put_off(watch, sink->now);
        return 0;
    }
    watch->worse = 0;
    tell(sink, NETLINK_COMPLETE, NULL);
    return 0;
}

/* --- messages -------------------------------------------------------------------------- */

static int take_message(struct netlink_watch *watch, const struct nlmsghdr *message,
                        const struct sink *sink)
{
    bool ours = watch->dumping && message->nlmsg_seq == watch->sequence &&
                message->nlmsg_pid == watch->port;
    watch->counts.messages++;
    if (ours && message->nlmsg_flags & NLM_F_DUMP_INTR)
        watch->doubtful = true;
    if (message->nlmsg_type >= NLMSG_MIN_TYPE)
        tell(sink, ours ? NETLINK_ROW : NETLINK_EVENT, message);
    else if (message->nlmsg_type == NLMSG_OVERRUN)
        lose(watch, sink);
    else if (ours &&
             (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)) {
        bool refused = message->nlmsg_type == NLMSG_ERROR;
        watch->counts.errors += refused;
        return end(watch, sink, refused);
    }
    return 0;
}

static int take_datagram(struct netlink_watch *watch, size_t length,
                         const struct sink *sink)
{
    const struct nlmsghdr *message = &watch->datagram.header;
    int rest = (int)length, error = 0;
    while (!error && netlink_message_ok(message, rest)) {
        error = take_message(watch, message, sink);
        message = mnl_nlmsg_next(message, &rest);
    }
    watch->counts.malformed += !error && rest > 0;
    return error;
}

/* One datagram: 1, or 0 when there is none, or -errno. */
static int read_one(struct netlink_watch *watch, const struct sink *sink)
{
    struct sockaddr_nl from = { 0 };
    socklen_t size = sizeof(from);
    ssize_t length =
        recvfrom(netlink_watch_fd(watch), watch->datagram.bytes, DATAGRAM_SIZE,
                 MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from, &size);
    if (length < 0 && errno == ENOBUFS)
        lose(watch, sink);
    if (length < 0)
        return errno == EAGAIN ? 0 : errno == ENOBUFS || errno == EINTR ? 1 : -errno;
    if (size != sizeof(from) || from.nl_pid) {
        watch->counts.foreign++;
        return 1;
    }
    if (length > DATAGRAM_SIZE) { /* the kernel makes none, but says that it might */
        lose(watch, sink);
        return 1;
    }
    int error = take_datagram(watch, (size_t)length, sink);
    return error ? error : 1;
}

/* --- public ---------------------------------------------------------------------------- */

int netlink_watch_read(struct netlink_watch *watch, uint64_t now, int most,
                       void (*take)(enum netlink_news news,
                                    const struct nlmsghdr *message, void *user),
                       void *user)
{
    struct sink sink = { .take = take, .user = user, .now = now };
    int got = 1, n = 0;
    while (n < most && (got = read_one(watch, &sink)) > 0)
        n++;
    if (!got && watch->due && !watch->dumping && now >= watch->not_before)
        got = begin(watch, &sink);
    if (got == -EBUSY || got == -EAGAIN || got == -ENOBUFS) { /* no room for a request */
        put_off(watch, now);
        got = 0;
    }
    return got < 0 ? got : n;
}

uint64_t netlink_watch_due(const struct netlink_watch *watch)
{
    return watch->due && !watch->dumping ? watch->not_before : UINT64_MAX;
}

void netlink_watch_again(struct netlink_watch *watch)
{
    if (watch->dumping)
        watch->doubtful = true;
    else
        watch->due = true;
}

int netlink_watch_fd(const struct netlink_watch *watch)
{
    return mnl_socket_get_fd(watch->socket);
}

const struct netlink_watch_counts *netlink_watch_counts(const struct netlink_watch *watch)
{
    return &watch->counts;
}

static void set_buffer(struct netlink_watch *watch)
{
    int fd = netlink_watch_fd(watch), size = (int)watch->options.buffer, granted = 0;
    socklen_t length = sizeof(granted);
    if (size && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &length);
    watch->counts.buffer =
        (size_t)granted / 2; /* the kernel tells twice what was asked */
}

struct netlink_watch *netlink_watch_open(const struct netlink_watch_options *options,
                                         struct error *err)
{
    struct netlink_watch *watch = calloc(1, sizeof(*watch));
    if (watch) {
        watch->options = *options;
        watch->due = true;
        watch->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
    }
    if (!watch || !watch->socket ||
        mnl_socket_bind(watch->socket, options->groups, MNL_SOCKET_AUTOPID)) {
        error_system(err, ERROR_RUN, "cannot listen to the kernel");
        netlink_watch_close(watch);
        return NULL;
    }
    watch->port = mnl_socket_get_portid(watch->socket);
    set_buffer(watch);
    return watch;
}

void netlink_watch_close(struct netlink_watch *watch)
{
    if (watch && watch->socket)
        mnl_socket_close(watch->socket);
    free(watch);
}
