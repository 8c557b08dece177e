/* fuzz/route: any bytes as the kernel's messages about routes, into a set of those of interface 1.
 *
 * No hop is without an interface, no walk over hops goes on for ever, and a set that everything
 * was taken out of has no route.
 */
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/route.h"
#include "lib/route_set.h"

#define ROOM 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "route: %s\n", what);
        abort();
    }
}

static void take(struct route_set *set, const struct nlmsghdr *message)
{
    struct route route;
    struct route_hop hop;
    size_t cursor = 0, hops = 0;
    if (message->nlmsg_type == NLMSG_NOOP)
        route_set_begin(set);
    if (message->nlmsg_type == NLMSG_DONE)
        route_set_end(set);
    if (route_parse(message, &route))
        return;
    require(route.prefix.bits <= 8 * prefix_size(&route.prefix), "a prefix too long");
    if (route.replaces)
        route_set_remove(set, &route.prefix, route.metric, NULL);
    while (route_hop(message, &cursor, &hop)) {
        require(hop.index && ++hops <= message->nlmsg_len / 8 + 1, "hops");
        if (hop.index != 1)
            continue;
        if (route.deleted)
            route_set_remove(set, &route.prefix, route.metric, hop.gateway);
        else
            route_set_add(set, &route.prefix, route.metric, hop.gateway, route.appended);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static union {
        struct nlmsghdr header;
        uint8_t bytes[ROOM];
    } room;
    if (size > ROOM)
        return 0;
    struct route_set *set = route_set_new(16);
    require(set, "memory");
    memcpy(room.bytes, data, size);
    int rest = (int)size; /* the last one may be rounded up past it */
    const struct nlmsghdr *message = &room.header;
    while (rest > 0 && NLMSG_OK(message, (unsigned)rest)) {
        take(set, message);
        message = NLMSG_NEXT(message, rest);
    }
    route_set_clear(set);
    require(!route_set_match(set, (const uint8_t[16]){ 0 }), "a route is left");
    route_set_free(set);
    return 0;
}
