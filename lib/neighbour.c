/* neighbour: a row of the kernel's neighbour tables (ARP, IPv6 ND), out of a message. */
#include "lib/neighbour.h"

#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/netlink.h"

enum neighbour_fault neighbour_parse(const struct nlmsghdr *message,
                                     struct neighbour *neighbour)
{
    struct ndmsg header;
    size_t size;
    memset(neighbour, 0, sizeof(*neighbour));
    if (message->nlmsg_type != RTM_NEWNEIGH && message->nlmsg_type != RTM_DELNEIGH)
        return NEIGHBOUR_OTHER;
    if (message->nlmsg_len < NLMSG_LENGTH(sizeof(header)))
        return NEIGHBOUR_MALFORMED;
    memcpy(&header, NLMSG_DATA(message), sizeof(header));
    if (header.ndm_family != AF_INET && header.ndm_family != AF_INET6)
        return NEIGHBOUR_OTHER;
    neighbour->deleted = message->nlmsg_type == RTM_DELNEIGH;
    neighbour->family = header.ndm_family;
    neighbour->flags = header.ndm_flags;
    neighbour->state = header.ndm_state;
    neighbour->index = (uint32_t)header.ndm_ifindex;
    const void *address = netlink_payload(message, sizeof(header), NDA_DST, &size);
    if (!address || size != (header.ndm_family == AF_INET ? 4 : 16))
        return NEIGHBOUR_MALFORMED;
    memcpy(neighbour->address, address, size);
    const void *mac = netlink_payload(message, sizeof(header), NDA_LLADDR, &size);
    if (mac)
        neighbour->mac_length = size ? (uint16_t)size : UINT16_MAX;
    if (mac && size == sizeof(neighbour->mac))
        memcpy(neighbour->mac, mac, size);
    return NEIGHBOUR_GOOD;
}

bool neighbour_link_parse(const struct nlmsghdr *message, struct neighbour_link *link)
{
    struct interface interface;
    if (interface_parse(message, message->nlmsg_len, &interface))
        return false;
    const uint32_t *master =
        netlink_attribute(message, sizeof(struct ifinfomsg), IFLA_MASTER, 4);
    *link = (struct neighbour_link){ .deleted = message->nlmsg_type == RTM_DELLINK,
                                     .index = interface.index,
                                     .master = master ? *master : 0 };
    memcpy(link->name, interface.name, sizeof(link->name));
    return true;
}
