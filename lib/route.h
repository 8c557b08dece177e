/* route: a row of the kernel's routing tables, out of a message.
 *
 *   route_parse   read RTM_NEWROUTE or RTM_DELROUTE
 *   route_hop     where it leads: each next hop in turn
 *
 * A route of the kernel's that goes by way of a next hop object (ip-nexthop(8)) shows where it
 * leads unless net.ipv4.nexthop_compat_mode is off. Source: rtnetlink(7), net/ipv4/fib_semantics.c,
 * net/ipv6/route.c.
 */
#pragma once
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/prefix.h"

enum route_fault {
    ROUTE_GOOD,
    ROUTE_OTHER, /* another type of message or family; for some packets to a destination only,
                    by TOS or source; a cached exception for one destination, such as its MTU */
    ROUTE_MALFORMED, /* cut off, or its destination is not what its family and length say */
};

struct route {
    bool deleted;
    bool replaces; /* what had the same prefix and metric is gone: NLM_F_REPLACE */
    bool
        appended; /* it comes behind others of the same prefix and metric: NLM_F_APPEND */
    uint8_t type; /* RTN_UNICAST, RTN_BLACKHOLE ... */
    uint32_t table;
    uint32_t metric; /* the lowest wins */
    struct prefix prefix;
};

/* message: nlmsg_len bytes of it are there; nothing else is trusted. */
enum route_fault route_parse(const struct nlmsghdr *message, struct route *route);

struct route_hop {
    uint32_t index; /* of the interface */
    bool direct;    /* no gateway: who is sent to is on the link */
    uint8_t gateway
        [16]; /* IPv4 mapped; zeros when direct. A route of IPv4 may have one of IPv6 */
};

/* For messages that route_parse finds good. Starts with *cursor 0; false at the end. Hops whose
 * gateway is malformed, or have no interface, are passed over. */
bool route_hop(const struct nlmsghdr *message, size_t *cursor, struct route_hop *hop);
