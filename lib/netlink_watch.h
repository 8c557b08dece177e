/* netlink_watch: all there is of some kinds of objects in the kernel, and every change.
 *
 *   netlink_watch_open    join groups; ask for everything once they are joined
 *   netlink_watch_fd      the descriptor to poll for POLLIN
 *   netlink_watch_read    hand what is waiting to a callback, never block
 *   netlink_watch_due     when it must be read even if nothing came
 *   netlink_watch_again   ask for everything once more
 *   netlink_watch_counts  what went well, and what not
 *   netlink_watch_close
 *
 *     BEGIN, ROW, ROW, EVENT, ROW ... COMPLETE, EVENT, EVENT, LOST, EVENT, BEGIN ...
 *
 * A round is everything there is: the dumps that were wished for, one after the other, on the
 * socket that the events come by. An event of the time of a round is newer than the rows of
 * the same object in that round, whichever come first: the kernel puts a row aside for a moment
 * before it queues it, and an event never. So nothing is missed from the first BEGIN on as
 * long as who hears of an event takes no row for it any more.
 *
 * When the kernel had no room for events (LOST), or says that what it dumps changed meanwhile,
 * the round has no COMPLETE, and another one begins, later each time it happens again.
 *
 * Nothing in a message is trusted, but that nlmsg_len bytes of it are there. Messages of other
 * processes are no authority: they are counted and forgotten. The watch belongs to the network
 * namespace in which it was opened. Source: netlink(7), net/netlink/af_netlink.c.
 */
#pragma once
#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct netlink_watch;

enum netlink_news {
    NETLINK_EVENT,    /* something changed */
    NETLINK_ROW,      /* something there is: an answer of a dump */
    NETLINK_BEGIN,    /* of a round; the message is NULL in what follows */
    NETLINK_COMPLETE, /* all there is was told since NETLINK_BEGIN */
    NETLINK_LOST,     /* events are missing */
};

struct netlink_watch_options {
    uint32_t groups; /* RTMGRP_* */
    /* The requests of a round, such as RTM_GETLINK, ended by 0, and how many zeros each wants
     * for a header. */
    struct netlink_dump {
        uint16_t type;
        uint16_t header;
    } dumps[4];
    size_t buffer;    /* bytes of the socket's receive buffer; 0: as it is */
    uint64_t backoff; /* ns to the next round after a lost one, doubled up to 32 times */
};

struct netlink_watch_counts {
    uint64_t messages;
    uint64_t foreign;   /* datagrams of other processes */
    uint64_t malformed; /* datagrams that do not consist of messages */
    uint64_t errors;    /* the kernel refused a request */
    uint64_t lost;      /* times events are missing */
    uint64_t rounds;    /* begun */
    size_t buffer;      /* bytes that the kernel granted */
};

/* NULL on error. Needs no privilege, but for a buffer larger than net.core.rmem_max. */
struct netlink_watch *netlink_watch_open(const struct netlink_watch_options *options,
                                         struct error *err);
void netlink_watch_close(struct netlink_watch *watch); /* or NULL */

/* Level-triggered. */
int netlink_watch_fd(const struct netlink_watch *watch);

/* Reads so many datagrams at most. now: ns of any clock that does not go back. Returns how many
 * were read, less than `most` when nothing more is waiting, or -errno when the socket is of no
 * use any more. The callback must not close the watch. */
int netlink_watch_read(struct netlink_watch *watch, uint64_t now, int most,
                       void (*take)(enum netlink_news news,
                                    const struct nlmsghdr *message, void *user),
                       void *user);

/* UINT64_MAX: not before the descriptor is readable. */
uint64_t netlink_watch_due(const struct netlink_watch *watch);

/* Another round as soon as the present one is over. */
void netlink_watch_again(struct netlink_watch *watch);

const struct netlink_watch_counts *
netlink_watch_counts(const struct netlink_watch *watch);
