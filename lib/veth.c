/* veth: pairs of virtual interfaces, addresses and routes, by rtnetlink(7). */
#include "lib/veth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/error.h"

/* A request as it grows; the largest here, a veth pair, is below 300 bytes. */
union request {
    struct nlmsghdr header;
    char bytes[1024];
};

static void *request_begin(union request *request, uint16_t type, uint16_t flags,
                           size_t extra)
{
    mnl_nlmsg_put_header(request->bytes);
    request->header.nlmsg_type = type;
    request->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    request->header.nlmsg_seq = 1;
    return mnl_nlmsg_put_extra_header(&request->header, extra);
}

/* Sends it and waits for the kernel's answer. Returns 0, or -1 with errno set. */
static int exchange(struct mnl_socket *socket, union request *request)
{
    char reply[4096];
    ssize_t length;
    if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
        mnl_socket_sendto(socket, request, request->header.nlmsg_len) < 0)
        return -1;
    do {
        length = mnl_socket_recvfrom(socket, reply, sizeof(reply));
    } while (length < 0 && errno == EINTR);
    if (length < 0)
        return -1;
    return mnl_cb_run(reply, (size_t)length, 1, mnl_socket_get_portid(socket), NULL,
                      NULL) < 0
               ? -1
               : 0;
}

static int request_send(union request *request, struct error *err, const char *what,
                        const char *which)
{
    struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    int error = 0;
    if (!socket || exchange(socket, request))
        error = error_system(err, ERROR_RUN, "cannot %s %s", what, which);
    if (socket)
        mnl_socket_close(socket);
    return error;
}

static int index_of(const char *name, struct error *err)
{
    unsigned index = if_nametoindex(name);
    return index ? (int)index
                 : error_system(err, ERROR_CONFIG, "no interface \"%.64s\"", name);
}

static void put_end(struct nlmsghdr *header, const char *name, const uint8_t *mac)
{
    mnl_attr_put_strz(header, IFLA_IFNAME, name);
    if (mac)
        mnl_attr_put(header, IFLA_ADDRESS, 6, mac);
}

int veth_new(const struct veth *veth, struct error *err)
{
    union request request;
    request_begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL,
                  sizeof(struct ifinfomsg));
    struct nlmsghdr *header = &request.header;
    put_end(header, veth->name, veth->mac);
    struct nlattr *info = mnl_attr_nest_start(header, IFLA_LINKINFO);
    mnl_attr_put_strz(header, IFLA_INFO_KIND, "veth");
    struct nlattr *data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
    struct nlattr *peer = mnl_attr_nest_start(header, VETH_INFO_PEER);
    mnl_nlmsg_put_extra_header(header, sizeof(struct ifinfomsg));
    put_end(header, veth->peer_name, veth->peer_mac);
    mnl_attr_put_u32(header, IFLA_NET_NS_FD, (uint32_t)veth->peer_network);
    mnl_attr_nest_end(header, peer);
    mnl_attr_nest_end(header, data);
    mnl_attr_nest_end(header, info);
    return request_send(&request, err, "make interface", veth->name);
}

int link_set_up(const char *name, struct error *err)
{
    union request request;
    int index = index_of(name, err);
    if (index < 0)
        return index;
    struct ifinfomsg *link =
        request_begin(&request, RTM_NEWLINK, 0, sizeof(struct ifinfomsg));
    link->ifi_index = index;
    link->ifi_flags = link->ifi_change = IFF_UP;
    return request_send(&request, err, "bring up interface", name);
}

int link_delete(const char *name, struct error *err)
{
    union request request;
    int index = index_of(name, err);
    if (index < 0)
        return index;
    struct ifinfomsg *link =
        request_begin(&request, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
    link->ifi_index = index;
    return request_send(&request, err, "delete interface", name);
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
    union request request;
    uint8_t bytes[16], family;
    size_t length = parse_address(address, bytes, &family);
    int index = index_of(name, err);
    if (index < 0)
        return index;
    if (!length || prefix > 8 * length)
        return no_address(address, err);
    struct ifaddrmsg *message = request_begin(
        &request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifaddrmsg));
    message->ifa_family = family;
    message->ifa_prefixlen = (uint8_t)prefix;
    message->ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0;
    message->ifa_index = (unsigned)index;
    mnl_attr_put(&request.header, IFA_LOCAL, length, bytes);
    mnl_attr_put(&request.header, IFA_ADDRESS, length, bytes);
    return request_send(&request, err, "add address", address);
}

int route_add_default(const char *gateway, struct error *err)
{
    union request request;
    uint8_t bytes[16], family;
    size_t length = parse_address(gateway, bytes, &family);
    if (!length)
        return no_address(gateway, err);
    struct rtmsg *route = request_begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL,
                                        sizeof(struct rtmsg));
    route->rtm_family = family;
    route->rtm_table = RT_TABLE_MAIN;
    route->rtm_protocol = RTPROT_STATIC;
    route->rtm_scope = RT_SCOPE_UNIVERSE;
    route->rtm_type = RTN_UNICAST;
    mnl_attr_put(&request.header, RTA_GATEWAY, length, bytes);
    return request_send(&request, err, "add the default route by", gateway);
}
