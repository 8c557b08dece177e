/* fuzz/next_hop: any bytes as the kernel's messages about links, neighbours and routes. Types of no
 * such message begin and end rounds.
 *
 * No walk over next hops goes on for ever; who is found has a gateway; the generation changes with
 * every answer; and after a round in which nothing came, nobody is known.
 */
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/next_hop.h"
#include "lib/route.h"

#define ROOM 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct next_hop *hop;

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "next_hop: %s\n", what);
        abort();
    }
}

static void check_route(const struct nlmsghdr *message)
{
    struct route route;
    struct route_hop one;
    size_t cursor = 0, hops = 0;
    if (route_parse(message, &route))
        return;
    require(route.prefix.bits <= 8 * prefix_size(&route.prefix), "a prefix too long");
    while (route_hop(message, &cursor, &one))
        require(one.index && ++hops <= message->nlmsg_len / 8, "hops");
}

/* What is answered about one address: nothing of it changes but with the generation. */
static void check_answer(void)
{
    static struct next_hop_answer before;
    static enum next_hop_state was;
    static uint64_t generation;
    static const uint8_t address[16] = { [10] = 0xff, 0xff, 10, 0, 0, 1 }, none[16];
    struct next_hop_answer answer = { 0 };
    enum next_hop_state state = next_hop_find(hop, address, &answer);
    bool same = state == was && !memcmp(&answer, &before, sizeof(answer));
    require(state > NEXT_HOP_UNRESOLVED || memcmp(answer.gateway, none, 16),
            "no gateway");
    require(same || generation != next_hop_generation(hop), "another answer");
    before = answer;
    was = state;
    generation = next_hop_generation(hop);
}

static void take(const struct nlmsghdr *message)
{
    bool row = message->nlmsg_flags & NLM_F_MULTI;
    check_route(message);
    if (message->nlmsg_type >= NLMSG_MIN_TYPE)
        next_hop_take(row ? NETLINK_ROW : NETLINK_EVENT, message, hop);
    else if (message->nlmsg_type == NLMSG_DONE)
        next_hop_take(NETLINK_COMPLETE, NULL, hop);
    else
        next_hop_take(NETLINK_BEGIN, NULL, hop);
    check_answer();
}

/* The interface is there, and up. */
static void take_loopback(void)
{
    static char bytes[128] __attribute__((aligned(4)));
    struct nlmsghdr *message = mnl_nlmsg_put_header(bytes);
    struct ifinfomsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
    message->nlmsg_type = RTM_NEWLINK;
    *header = (struct ifinfomsg){ .ifi_index = 1, .ifi_flags = IFF_UP };
    mnl_attr_put_strz(message, IFLA_IFNAME, "lo");
    mnl_attr_put_u8(message, IFLA_CARRIER, 1);
    take(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static union {
        struct nlmsghdr header;
        uint8_t bytes[ROOM];
    } room;
    struct error err;
    if (size > ROOM)
        return 0;
    if (!hop)
        require((hop = next_hop_open("lo", 16, &err)) != NULL, "no loopback");
    take_loopback();
    memcpy(room.bytes, data, size);
    int rest = (int)size; /* the last one may be rounded up past it */
    const struct nlmsghdr *message = &room.header;
    while (rest > 0 && NLMSG_OK(message, (unsigned)rest)) {
        take(message);
        message = NLMSG_NEXT(message, rest);
    }
    next_hop_take(NETLINK_BEGIN, NULL, hop);
    next_hop_take(NETLINK_COMPLETE, NULL, hop);
    check_answer();
    static const uint8_t any[16] = { [10] = 0xff, 0xff, 10, 0, 0, 1 };
    struct next_hop_answer answer;
    require(next_hop_find(hop, any, &answer) == NEXT_HOP_DOWN, "something is left");
    return 0;
}
