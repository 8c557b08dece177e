/* veth: pairs of virtual interfaces, addresses and routes, by rtnetlink(7). */
#include "lib/veth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/error.h"
#include "lib/netlink.h"

static struct netlink *request(uint16_t type, uint16_t flags, const void *header,
                               size_t size, struct error *err)
{
    struct netlink *netlink = netlink_open(NETLINK_ROUTE, err);
    if (netlink)
        netlink_request(netlink, type, flags, header, size);
    return netlink;
}

/* Sends it, closes, and says what it was about when that failed. */
static int finish(struct netlink *netlink, struct error *err, const char *what,
                  const char *which)
{
    int error = netlink_ask(netlink, NULL, NULL, err);
    netlink_close(netlink);
    if (error)
        error_prefix(err, "cannot %s %s: ", what, which);
    return error;
}

static int index_of(const char *name, struct error *err)
{
    unsigned index = if_nametoindex(name);
    return index ? (int)index
                 : error_system(err, ERROR_CONFIG, "no interface \"%.64s\"", name);
}

static void put_end(struct netlink *netlink, const char *name, const uint8_t *mac)
{
    netlink_put_string(netlink, IFLA_IFNAME, name);
    if (mac)
        netlink_put(netlink, IFLA_ADDRESS, mac, 6);
}

int veth_new(const struct veth *veth, struct error *err)
{
    const struct ifinfomsg header = { 0 };
    struct netlink *netlink =
        request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header), err);
    if (!netlink)
        return -EIO;
    put_end(netlink, veth->name, veth->mac);
    size_t info = netlink_nest(netlink, IFLA_LINKINFO);
    netlink_put_string(netlink, IFLA_INFO_KIND, "veth");
    size_t data = netlink_nest(netlink, IFLA_INFO_DATA);
    size_t peer = netlink_nest(netlink, VETH_INFO_PEER);
    netlink_append(netlink, &header, sizeof(header));
    put_end(netlink, veth->peer_name, veth->peer_mac);
    netlink_put_u32(netlink, IFLA_NET_NS_FD, (uint32_t)veth->peer_network);
    netlink_nest_end(netlink, peer);
    netlink_nest_end(netlink, data);
    netlink_nest_end(netlink, info);
    return finish(netlink, err, "make interface", veth->name);
}

/* To a link by its name, without attributes. */
static int change_link(const char *name, uint16_t type, unsigned flags, struct error *err,
                       const char *what)
{
    int index = index_of(name, err);
    if (index < 0)
        return index;
    const struct ifinfomsg header = { .ifi_index = index,
                                      .ifi_flags = flags,
                                      .ifi_change = flags };
    struct netlink *netlink = request(type, 0, &header, sizeof(header), err);
    return netlink ? finish(netlink, err, what, name) : -EIO;
}

int link_set_up(const char *name, struct error *err)
{
    return change_link(name, RTM_NEWLINK, IFF_UP, err, "bring up interface");
}

int link_delete(const char *name, struct error *err)
{
    return change_link(name, RTM_DELLINK, 0, err, "delete interface");
}

/* Returns the bytes of the address, 4 or 16, or 0. */
static size_t parse_address(const char *text, uint8_t bytes[16], uint8_t *family)
{
    *family = strchr(text, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(*family, text, bytes) != 1)
        return 0;
    return *family == AF_INET6 ? 16 : 4;
}

static int no_address(const char *text, struct error *err)
{
    return error_set(err, ERROR_CONFIG, EINVAL, "\"%.64s\" is not an address", text);
}

int address_add(const char *name, const char *address, unsigned prefix, struct error *err)
{
    uint8_t bytes[16], family;
    size_t length = parse_address(address, bytes, &family);
    int index = index_of(name, err);
    if (index < 0)
        return index;
    if (!length || prefix > 8 * length)
        return no_address(address, err);
    const struct ifaddrmsg header = { .ifa_family = family,
                                      .ifa_prefixlen = (uint8_t)prefix,
                                      .ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0,
                                      .ifa_index = (unsigned)index };
    struct netlink *netlink =
        request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header), err);
    if (!netlink)
        return -EIO;
    netlink_put(netlink, IFA_LOCAL, bytes, length);
    netlink_put(netlink, IFA_ADDRESS, bytes, length);
    return finish(netlink, err, "add address", address);
}

int route_add_default(const char *gateway, struct error *err)
{
    uint8_t bytes[16], family;
    size_t length = parse_address(gateway, bytes, &family);
    if (!length)
        return no_address(gateway, err);
    const struct rtmsg header = { .rtm_family = family,
                                  .rtm_table = RT_TABLE_MAIN,
                                  .rtm_protocol = RTPROT_STATIC,
                                  .rtm_scope = RT_SCOPE_UNIVERSE,
                                  .rtm_type = RTN_UNICAST };
    struct netlink *netlink =
        request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header), err);
    if (!netlink)
        return -EIO;
    netlink_put(netlink, RTA_GATEWAY, bytes, length);
    return finish(netlink, err, "add the default route by", gateway);
}
