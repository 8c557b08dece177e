/* route: a row of the kernel's routing tables, out of a message. */
#include "lib/route.h"

#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/netlink.h"

#define HEADER sizeof(struct rtmsg)

static struct rtmsg header_of(const struct nlmsghdr *message)
{
    struct rtmsg header;
    memcpy(&header, NLMSG_DATA(message), sizeof(header));
    return header;
}

static uint32_t number(const struct nlmsghdr *message, uint16_t type, uint32_t otherwise)
{
    const uint32_t *found = netlink_attribute(message, HEADER, type, sizeof(*found));
    return found ? *found : otherwise;
}

/* Without a destination it is the default route. */
static bool take_destination(const struct nlmsghdr *message, const struct rtmsg *header,
                             struct prefix *prefix)
{
    size_t size;
    const void *address = netlink_payload(message, HEADER, RTA_DST, &size);
    *prefix =
        (struct prefix){ .family = header->rtm_family, .bits = header->rtm_dst_len };
    if (!address)
        return !header->rtm_dst_len;
    if (size != prefix_size(prefix) || header->rtm_dst_len > 8 * size)
        return false;
    memcpy(prefix->address, address, size);
    return true;
}

enum route_fault route_parse(const struct nlmsghdr *message, struct route *route)
{
    memset(route, 0, sizeof(*route));
    if (message->nlmsg_type != RTM_NEWROUTE && message->nlmsg_type != RTM_DELROUTE)
        return ROUTE_OTHER;
    if (message->nlmsg_len < NLMSG_LENGTH(HEADER))
        return ROUTE_MALFORMED;
    struct rtmsg header = header_of(message);
    bool ip = header.rtm_family == AF_INET || header.rtm_family == AF_INET6;
    if (!ip || header.rtm_tos || header.rtm_src_len || header.rtm_flags & RTM_F_CLONED)
        return ROUTE_OTHER;
    route->deleted = message->nlmsg_type == RTM_DELROUTE;
    route->replaces = !route->deleted && message->nlmsg_flags & NLM_F_REPLACE;
    route->appended = !route->deleted && message->nlmsg_flags & NLM_F_APPEND;
    route->type = header.rtm_type;
    route->table = number(message, RTA_TABLE, header.rtm_table);
    route->metric = number(message, RTA_PRIORITY, 0);
    return take_destination(message, &header, &route->prefix) ? ROUTE_GOOD
                                                              : ROUTE_MALFORMED;
}

/* --- next hops ------------------------------------------------------------------------ */

/* The attributes of one next hop, which may have its gateway in either of two. */
static bool take_gateway(const void *bytes, size_t length, struct route_hop *hop)
{
    size_t size, via_size;
    const uint8_t *gateway = netlink_payload_within(bytes, length, RTA_GATEWAY, &size);
    const struct rtvia *via = netlink_payload_within(bytes, length, RTA_VIA, &via_size);
    hop->direct = !gateway && !via;
    if (!gateway && via && via_size >= sizeof(*via)) {
        gateway = via->rtvia_addr;
        size = via_size - sizeof(*via);
    }
    struct prefix whole = { .family = size == 4 ? AF_INET : AF_INET6,
                            .bits = (uint8_t)(8 * size) };
    if (hop->direct || !gateway || (size != 4 && size != 16))
        return hop->direct;
    memcpy(whole.address, gateway, size);
    prefix_mapped(&whole, hop->gateway);
    return true;
}

/* The only hop of a route. */
static bool single_hop(const struct nlmsghdr *message, size_t *cursor,
                       struct route_hop *hop)
{
    size_t fixed = NLMSG_LENGTH(HEADER);
    hop->index = number(message, RTA_OIF, 0);
    return !(*cursor)++ && hop->index &&
           take_gateway((const char *)message + fixed, message->nlmsg_len - fixed, hop);
}

bool route_hop(const struct nlmsghdr *message, size_t *cursor, struct route_hop *hop)
{
    size_t size;
    const char *hops = netlink_payload(message, HEADER, RTA_MULTIPATH, &size);
    *hop = (struct route_hop){ 0 };
    if (!hops)
        return single_hop(message, cursor, hop);
    while (*cursor + sizeof(struct rtnexthop) <= size) {
        const struct rtnexthop *one = (const void *)(hops + *cursor);
        size_t rest = size - *cursor;
        if (one->rtnh_len < sizeof(*one) || one->rtnh_len > rest)
            return false;
        *cursor += RTNH_ALIGN(one->rtnh_len);
        *hop = (struct route_hop){ .index = (uint32_t)one->rtnh_ifindex };
        if (hop->index && take_gateway(RTNH_DATA(one), one->rtnh_len - sizeof(*one), hop))
            return true;
    }
    return false;
}
