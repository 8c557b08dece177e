/* next_hop: where a packet for an address goes on one interface.
 *
 * What is in the neighbour table are neighbours whose MAC may be used, and, while a round of
 * lib/netlink_watch.h is under way, those that an event took away meanwhile, so that no older row
 * brings them back. Of routes none are kept for that: when an event takes one away there is another
 * round.
 *
 * The kernel takes routes away without a word when an interface goes down, and, before Linux 6.7,
 * with their source address. Another round finds out.
 */
#include "lib/next_hop.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "lib/error.h"
#include "lib/interface.h"
#include "lib/neighbour.h"
#include "lib/netlink.h"
#include "lib/netlink_watch.h"
#include "lib/prefix.h"
#include "lib/route.h"
#include "lib/route_set.h"
#include "lib/table.h"

#define BUFFER      (1u << 20)
#define BACKOFF     10000000ull /* ns */
#define FIRST_READS 10
#define FIRST_MOST  65536 /* datagrams */
#define USABLE                                                                           \
    (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)

struct known {
    uint8_t mac[6];
    bool usable, stale, fixed; /* fixed: nothing that the kernel would find out */
    uint32_t seen, told; /* the latest round with a message about it, with an event */
};

struct next_hop {
    struct netlink *ask;
    struct netlink_watch *watch;
    struct table *neighbours; /* of addresses to struct known */
    struct route_set *routes;
    struct interface interface; /* index 0: it is not there */
    char name[INTERFACE_NAME_SIZE];
    uint32_t round, link_seen, link_told;
    bool in_round;
    uint64_t generation, no_room;
    struct next_hop_counts counts;
};

static void changed(struct next_hop *hop, bool is)
{
    hop->generation += is;
}

/* --- neighbours ------------------------------------------------------------------------- */

static void map_address(int family, const uint8_t *address, uint8_t mapped[16])
{
    struct prefix whole = { .family = family, .bits = family == AF_INET ? 32 : 128 };
    memcpy(whole.address, address, prefix_size(&whole));
    prefix_mapped(&whole, mapped);
}

static void set_neighbour(struct next_hop *hop, struct known *known,
                          const struct neighbour *neighbour, bool usable)
{
    bool stale = neighbour->state & NUD_STALE;
    bool same = known->usable == usable &&
                (!usable || (known->stale == stale &&
                             !memcmp(known->mac, neighbour->mac, sizeof(known->mac))));
    known->usable = usable;
    known->stale = stale;
    memcpy(known->mac, neighbour->mac, sizeof(known->mac));
    changed(hop, !same);
}

static void take_neighbour(struct next_hop *hop, const struct nlmsghdr *message, bool row)
{
    struct neighbour neighbour;
    enum neighbour_fault fault = neighbour_parse(message, &neighbour);
    uint8_t address[16];
    hop->counts.malformed += fault == NEIGHBOUR_MALFORMED;
    if (fault || neighbour.index != hop->interface.index)
        return;
    bool usable = !neighbour.deleted && neighbour.state & USABLE &&
                  neighbour.mac_length == sizeof(neighbour.mac);
    map_address(neighbour.family, neighbour.address, address);
    struct known *known = table_find(hop->neighbours, address);
    if (row && known && known->told == hop->round)
        return;
    if (!usable && !known && (row || !hop->in_round))
        return;
    if (!known && !(known = table_insert(hop->neighbours, address))) {
        hop->no_room += usable;
        return;
    }
    set_neighbour(hop, known, &neighbour, usable);
    known->seen = hop->round;
    if (!row)
        known->told = hop->round;
    if (!usable && !hop->in_round)
        table_remove(hop->neighbours, address);
}

/* Those that were not in the round, or are not usable. */
static void sweep_neighbours(struct next_hop *hop, bool all)
{
    struct known *known = table_next(hop->neighbours, NULL), *next;
    for (; known; known = next) {
        next = table_next(hop->neighbours, known);
        if (!all && known->usable && known->seen == hop->round)
            continue;
        changed(hop, known->usable);
        table_remove(hop->neighbours, table_key(hop->neighbours, known));
    }
}

/* --- routes ------------------------------------------------------------------------------- */

/* Returns whether one of them is here. */
static bool take_hops(struct next_hop *hop, const struct nlmsghdr *message,
                      const struct route *route, bool last)
{
    struct route_hop one;
    size_t cursor = 0;
    bool here = false;
    while (route_hop(message, &cursor, &one)) {
        if (one.index != hop->interface.index)
            continue;
        changed(hop, route->deleted ? route_set_remove(hop->routes, &route->prefix,
                                                       route->metric, one.gateway)
                                    : route_set_add(hop->routes, &route->prefix,
                                                    route->metric, one.gateway, last));
        here = last = true; /* further ones come behind this one */
    }
    return here;
}

/* What is replaced may have been the route of another interface, which does not say so. */
static void take_route(struct next_hop *hop, const struct nlmsghdr *message, bool row)
{
    struct route route;
    enum route_fault fault = route_parse(message, &route);
    hop->counts.malformed += fault == ROUTE_MALFORMED;
    if (fault || route.table != RT_TABLE_MAIN)
        return;
    bool replaced = route.replaces &&
                    route_set_remove(hop->routes, &route.prefix, route.metric, NULL);
    bool here = route.type == RTN_UNICAST &&
                take_hops(hop, message, &route, row || route.appended);
    changed(hop, replaced);
    if ((replaced && !here) || (hop->in_round && (replaced || (here && route.deleted))))
        netlink_watch_again(hop->watch);
}

static void take_address(struct next_hop *hop, const struct nlmsghdr *message)
{
    struct ifaddrmsg header;
    if (message->nlmsg_len < NLMSG_LENGTH(sizeof(header)))
        return;
    memcpy(&header, NLMSG_DATA(message), sizeof(header));
    if (header.ifa_index == hop->interface.index)
        netlink_watch_again(hop->watch);
}

/* --- the interface -------------------------------------------------------------------------- */

static bool is_up(const struct interface *interface)
{
    return interface->index && interface->flags & IFF_UP && interface->carrier;
}

/* index: 0 when there is none of the name any more. */
static void become(struct next_hop *hop, const struct interface *now)
{
    struct interface *before = &hop->interface;
    bool another = before->index != now->index;
    if (another) {
        sweep_neighbours(hop, true);
        changed(hop, route_set_clear(hop->routes));
    }
    if (another || (before->flags ^ now->flags) & IFF_UP)
        netlink_watch_again(hop->watch);
    changed(hop, another || is_up(before) != is_up(now) || before->mtu != now->mtu ||
                     memcmp(before->mac, now->mac, sizeof(now->mac)));
    hop->interface = *now;
}

static void take_link(struct next_hop *hop, const struct nlmsghdr *message, bool row)
{
    static const struct interface none;
    struct interface interface;
    if (interface_parse(message, message->nlmsg_len, &interface) ||
        (row && hop->link_told == hop->round))
        return;
    bool ours = message->nlmsg_type == RTM_NEWLINK && !strcmp(interface.name, hop->name);
    if (!ours && interface.index != hop->interface.index)
        return;
    become(hop, ours ? &interface : &none);
    hop->link_seen = hop->round;
    if (!row)
        hop->link_told = hop->round;
}

/* --- rounds ---------------------------------------------------------------------------------- */

static void begin(struct next_hop *hop)
{
    hop->in_round = true;
    hop->round++;
    route_set_begin(hop->routes);
}

static void complete(struct next_hop *hop)
{
    static const struct interface none;
    hop->in_round = false;
    sweep_neighbours(hop, false);
    changed(hop, route_set_end(hop->routes));
    if (hop->link_seen != hop->round)
        become(hop, &none);
}

static void take_message(struct next_hop *hop, const struct nlmsghdr *message, bool row)
{
    switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
        take_link(hop, message, row);
        break;
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
        take_neighbour(hop, message, row);
        break;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        take_route(hop, message, row);
        break;
    case RTM_DELADDR:
        take_address(hop, message);
        break;
    }
}

void next_hop_take(enum netlink_news news, const struct nlmsghdr *message, void *user)
{
    if (message)
        take_message(user, message, news == NETLINK_ROW);
    else if (news == NETLINK_BEGIN)
        begin(user);
    else if (news == NETLINK_COMPLETE)
        complete(user);
}

int next_hop_read(struct next_hop *hop, uint64_t now, int most)
{
    uint64_t before = hop->generation;
    int got = netlink_watch_read(hop->watch, now, most, next_hop_take, hop);
    return got < 0 ? got : hop->generation != before;
}

/* --- questions --------------------------------------------------------------------------------- */

static bool is_ipv4(const uint8_t address[16])
{
    static const uint8_t mapped[12] = { [10] = 0xff, 0xff };
    return !memcmp(address, mapped, sizeof(mapped));
}

static bool is_one_host(const uint8_t address[16])
{
    static const uint8_t broadcast[4] = { 255, 255, 255, 255 };
    if (!is_ipv4(address))
        return address[0] != 0xff;
    return address[12] >> 4 != 14 && memcmp(address + 12, broadcast, sizeof(broadcast));
}

enum next_hop_state next_hop_find(struct next_hop *hop, const uint8_t address[16],
                                  struct next_hop_answer *answer)
{
    static const uint8_t direct[16];
    if (!is_up(&hop->interface))
        return NEXT_HOP_DOWN;
    const uint8_t *gateway =
        is_one_host(address) ? route_set_match(hop->routes, address) : NULL;
    if (!gateway)
        return NEXT_HOP_NO_ROUTE;
    if (!memcmp(gateway, direct, sizeof(direct)))
        gateway = address;
    memcpy(answer->gateway, gateway, sizeof(answer->gateway));
    const struct known *known = table_find(hop->neighbours, gateway);
    if (!known || !known->usable)
        return NEXT_HOP_UNRESOLVED;
    memcpy(answer->mac, known->mac, sizeof(answer->mac));
    answer->stale = known->stale;
    return NEXT_HOP_KNOWN;
}

/* NTF_USE does to an entry what a packet would (net/core/neighbour.c, neigh_add). Of one that is
 * permanent it would make one that is not. The kernel sends no event of a stale one that it sets
 * out to verify: that it was told is noted here, whatever it said, for it need not be told twice. */
int next_hop_use(struct next_hop *hop, const uint8_t gateway[16])
{
    bool ipv4 = is_ipv4(gateway);
    struct known *known = table_find(hop->neighbours, gateway);
    struct ndmsg header = { .ndm_family = ipv4 ? AF_INET : AF_INET6,
                            .ndm_ifindex = (int)hop->interface.index,
                            .ndm_flags = NTF_USE };
    if (!hop->interface.index)
        return -ENODEV;
    if (known && known->usable && !known->stale)
        return 0;
    netlink_request(hop->ask, RTM_NEWNEIGH, NLM_F_CREATE, &header, sizeof(header));
    netlink_put(hop->ask, NDA_DST, ipv4 ? gateway + 12 : gateway, ipv4 ? 4 : 16);
    int error = netlink_ask(hop->ask, NULL, NULL, NULL);
    hop->counts.uses++;
    hop->counts.refused += error != 0;
    if (known)
        known->stale = false;
    return error;
}

uint64_t next_hop_generation(const struct next_hop *hop)
{
    return hop->generation;
}

const uint8_t *next_hop_mac(const struct next_hop *hop)
{
    return hop->interface.mac;
}

unsigned next_hop_mtu(const struct next_hop *hop)
{
    return hop->interface.mtu;
}

int next_hop_fd(const struct next_hop *hop)
{
    return netlink_watch_fd(hop->watch);
}

uint64_t next_hop_due(const struct next_hop *hop)
{
    return netlink_watch_due(hop->watch);
}

const struct next_hop_counts *next_hop_counts(struct next_hop *hop)
{
    const struct netlink_watch_counts *counts = netlink_watch_counts(hop->watch);
    hop->counts.no_room = hop->no_room + route_set_refused(hop->routes);
    hop->counts.lost = counts->lost;
    hop->counts.rounds = counts->rounds;
    return &hop->counts;
}

/* --- begin and end -------------------------------------------------------------------------------- */

static int open_memory(struct next_hop *hop, uint32_t rows, struct error *err)
{
    struct siphash_key seed;
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        return error_system(err, ERROR_RUN, "random numbers");
    hop->neighbours = table_new(16, sizeof(struct known), rows, &seed, TABLE_REFUSE);
    hop->routes = route_set_new(rows);
    return hop->neighbours && hop->routes
               ? 0
               : error_set(err, ERROR_RUN, ENOMEM, "out of memory");
}

static int open_kernel(struct next_hop *hop, struct error *err)
{
    static const struct netlink_watch_options options = {
        .groups = RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE |
                  RTMGRP_IPV4_IFADDR,
        .dumps = { { RTM_GETLINK, sizeof(struct ifinfomsg) },
                   { RTM_GETROUTE, sizeof(struct rtmsg) },
                   { RTM_GETNEIGH, sizeof(struct ndmsg) } },
        .buffer = BUFFER,
        .backoff = BACKOFF,
    };
    hop->watch = netlink_watch_open(&options, err);
    hop->ask = hop->watch ? netlink_open(NETLINK_ROUTE, err) : NULL;
    return hop->ask ? 0 : -EIO;
}

/* A round is asked for, and then read: the kernel has the next datagram ready whenever it was asked
 * for the one before. It is in vain when what there is changes meanwhile; the next may begin at
 * once, as if it were the time when it is due. Who changes all the time is heard of later. */
static int first_round(struct next_hop *hop, struct error *err)
{
    int got = 0;
    for (unsigned i = 0; i < FIRST_READS && got >= 0 && (!hop->round || hop->in_round);
         i++) {
        uint64_t due = next_hop_due(hop);
        got = next_hop_read(hop, due == UINT64_MAX ? 0 : due, FIRST_MOST);
    }
    return got < 0 ? error_set(err, ERROR_RUN, -got, "%s", strerror(-got)) : 0;
}

struct next_hop *next_hop_open(const char *ifname, uint32_t rows, struct error *err)
{
    struct next_hop *hop = calloc(1, sizeof(*hop));
    if (!hop) {
        error_set(err, ERROR_RUN, ENOMEM, "out of memory");
        return NULL;
    }
    if (open_memory(hop, rows, err) || open_kernel(hop, err) ||
        interface_query(ifname, &hop->interface, err)) {
        next_hop_close(hop);
        return NULL;
    }
    memcpy(hop->name, hop->interface.name, sizeof(hop->name));
    if (!first_round(hop, err))
        return hop;
    next_hop_close(hop);
    return NULL;
}

void next_hop_close(struct next_hop *hop)
{
    if (!hop)
        return;
    netlink_watch_close(hop->watch);
    netlink_close(hop->ask);
    table_free(hop->neighbours);
    route_set_free(hop->routes);
    free(hop);
}
