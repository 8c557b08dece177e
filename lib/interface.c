/* interface: facts about one network interface of this network namespace, and its
 * switches. */
#include "lib/interface.h"

#include "lib/error.h"
#include "lib/nearest.h"
#include "lib/netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(INTERFACE_NAME_SIZE == IFNAMSIZ, "the kernel's size of an interface name");

/* Names offered as candidates and shown in a message; a host with thousands has no use
 * for all. */
#define NAMES_MAX 64

/* ---- a name that is not there ------------------------------------------------------ */

static void list_names(const char *const *names, char *text, size_t size)
{
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; names[i]; i++) {
        const char *comma = i ? ", " : "";
        if (used + strlen(comma) + strlen(names[i]) + sizeof(", ...") > size) {
            snprintf(text + used, size - used, "%s...", comma);
            return;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%s", comma, names[i]);
    }
}

static int no_such_interface(const char *name, struct error *err)
{
    const char *names[NAMES_MAX + 1];
    size_t count = 0;
    struct if_nameindex *all = if_nameindex();
    for (struct if_nameindex *i = all; i && i->if_name && count < NAMES_MAX; i++)
        names[count++] = i->if_name;
    names[count] = NULL;

    char list[256];
    list_names(names, list, sizeof(list));
    const char *meant = nearest(name, names);
    if (meant)
        error_set(err, ERROR_CONFIG, ENODEV,
                  "no interface \"%.64s\", did you mean \"%s\"? (there are: %s)", name,
                  meant, list);
    else
        error_set(err, ERROR_CONFIG, ENODEV, "no interface \"%.64s\" (there are: %s)",
                  name, list);
    if (all)
        if_freenameindex(all);
    return -ENODEV;
}

static bool name_fits(const char *name)
{
    return name[0] && strlen(name) < INTERFACE_NAME_SIZE;
}

/* ---- facts ------------------------------------------------------------------------- */

static bool take_attribute(const struct nlattr *attribute, struct interface *out)
{
    const void *payload = mnl_attr_get_payload(attribute);
    size_t length = mnl_attr_get_payload_len(attribute);
    switch (mnl_attr_get_type(attribute)) {
    case IFLA_IFNAME:
        if (length < 2 || length > sizeof(out->name) || !memchr(payload, 0, length))
            return false;
        memcpy(out->name, payload, length);
        break;
    case IFLA_MTU:
        if (length != sizeof(uint32_t))
            return false;
        out->mtu = mnl_attr_get_u32(attribute);
        break;
    case IFLA_ADDRESS:
        if (length == sizeof(out->mac))
            memcpy(out->mac, payload, length);
        break;
    case IFLA_OPERSTATE:
        if (length != sizeof(uint8_t))
            return false;
        out->operstate = mnl_attr_get_u8(attribute);
        break;
    case IFLA_STATS64:
        if (length >= offsetof(struct rtnl_link_stats64, tx_packets) + 8)
            memcpy(&out->tx_packets,
                   (const char *)payload + offsetof(struct rtnl_link_stats64, tx_packets),
                   8);
        break;
    case IFLA_CARRIER:
        if (length != sizeof(uint8_t))
            return false;
        out->carrier = mnl_attr_get_u8(attribute) != 0;
        break;
    }
    return true;
}

int interface_parse(const void *message, size_t length, struct interface *out)
{
    const struct nlmsghdr *header = message;
    const size_t fixed = MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct ifinfomsg));
    if (length < fixed || header->nlmsg_len < fixed || header->nlmsg_len > length)
        return -EBADMSG;
    if (header->nlmsg_type != RTM_NEWLINK && header->nlmsg_type != RTM_DELLINK)
        return -EBADMSG;
    const struct ifinfomsg *info = mnl_nlmsg_get_payload(header);
    if (info->ifi_family != AF_UNSPEC || info->ifi_index <= 0)
        return -EBADMSG;
    *out = (struct interface){ .index = (unsigned)info->ifi_index,
                               .flags = info->ifi_flags };

    /* mnl_attr_for_each rounds the end of the message up, past what was received. */
    int rest = (int)(header->nlmsg_len - fixed);
    const struct nlattr *attribute = mnl_nlmsg_get_payload_offset(header, sizeof(*info));
    while (mnl_attr_ok(attribute, rest)) {
        if (!take_attribute(attribute, out))
            return -EBADMSG;
        rest -= MNL_ALIGN(attribute->nla_len);
        attribute = mnl_attr_next(attribute);
    }
    return out->name[0] ? 0 : -EBADMSG;
}

static int take_reply(const struct nlmsghdr *reply, void *out)
{
    return interface_parse(reply, reply->nlmsg_len, out);
}

int interface_query(const char *name, struct interface *out, struct error *err)
{
    struct ifinfomsg header = { 0 };
    if (!name_fits(name))
        return no_such_interface(name, err);
    struct netlink *netlink = netlink_open(NETLINK_ROUTE, err);
    int status = -EIO;
    if (netlink) {
        netlink_request(netlink, RTM_GETLINK, 0, &header, sizeof(header));
        netlink_put_string(netlink, IFLA_IFNAME, name);
        status = netlink_ask(netlink, take_reply, out, err);
    }
    netlink_close(netlink);
    if (status == -ENODEV)
        return no_such_interface(name, err);
    if (status)
        error_prefix(err, "cannot look at interface %s: ", name);
    return status;
}

int interface_ioctl(const char *name, unsigned long command, void *data)
{
    struct ifreq request = { .ifr_data = data };
    if (!name_fits(name))
        return -ENODEV;
    strcpy(request.ifr_name, name);
    /* Any family will do; AF_UNIX is in every kernel. */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int status = ioctl(fd, command, &request) ? -errno : 0;
    close(fd);
    return status;
}

/* ---- offloads ---------------------------------------------------------------------- */

/* In the order in which they are set: TSO and GSO come and go with TX. */
static const struct {
    unsigned bit;
    const char *name;
    uint32_t get, set;
} offloads[] = {
    { OFFLOAD_TX, "tx checksumming", ETHTOOL_GTXCSUM, ETHTOOL_STXCSUM },
    { OFFLOAD_TSO, "tso", ETHTOOL_GTSO, ETHTOOL_STSO },
    { OFFLOAD_GSO, "gso", ETHTOOL_GGSO, ETHTOOL_SGSO },
    { OFFLOAD_GRO, "gro", ETHTOOL_GGRO, ETHTOOL_SGRO },
};

#define OFFLOAD_COUNT (sizeof(offloads) / sizeof(offloads[0]))

static int ethtool(const char *name, uint32_t command, uint32_t *value)
{
    struct ethtool_value argument = { .cmd = command, .data = *value };
    int status = interface_ioctl(name, SIOCETHTOOL, &argument);
    *value = argument.data;
    return status;
}

static int offload_get(const char *name, size_t i, bool *on, struct error *err)
{
    uint32_t value = 0;
    int status = ethtool(name, offloads[i].get, &value);
    *on = value != 0;
    if (status == -ENODEV)
        return no_such_interface(name, err);
    if (status && status != -EOPNOTSUPP)
        return error_set(err, ERROR_RUN, -status, "%s: cannot read %s: %s", name,
                         offloads[i].name, strerror(-status));
    return 0;
}

/* The kernel says yes and does nothing when an offload lacks another one that it needs,
 * so the answer is the state afterwards. */
static int offload_set(const char *name, size_t i, bool wanted, struct error *err)
{
    bool on;
    const char *what = offloads[i].name, *state = wanted ? "on" : "off";
    int status = offload_get(name, i, &on, err);
    if (status < 0 || on == wanted)
        return status;
    uint32_t value = wanted;
    status = ethtool(name, offloads[i].set, &value);
    if (status == -EPERM)
        return error_set(err, ERROR_PRIVILEGE, EPERM,
                         "%s: cannot turn %s %s: needs CAP_NET_ADMIN", name, what, state);
    if (status && status != -EOPNOTSUPP)
        return error_set(err, ERROR_RUN, -status, "%s: cannot turn %s %s: %s", name, what,
                         state, strerror(-status));
    if (!status) {
        status = offload_get(name, i, &on, err);
        if (status < 0 || on == wanted)
            return status;
    }
    return error_set(err, ERROR_RUN, EOPNOTSUPP, "%s refuses to turn %s %s", name, what,
                     state);
}

int interface_offloads(const char *name, unsigned *mask, struct error *err)
{
    unsigned found = 0;
    for (size_t i = 0; i < OFFLOAD_COUNT; i++) {
        bool on;
        int status = offload_get(name, i, &on, err);
        if (status)
            return status;
        found |= on ? offloads[i].bit : 0;
    }
    *mask = found;
    return 0;
}

int interface_set_offloads(const char *name, unsigned mask, struct error *err)
{
    int status = 0;
    for (size_t i = 0; i < OFFLOAD_COUNT; i++) {
        int result = offload_set(name, i, mask & offloads[i].bit, status ? NULL : err);
        if (!status)
            status = result;
    }
    return status;
}

/* ---- address filter ---------------------------------------------------------------- */

int interface_promisc(int packet_socket, unsigned index, struct error *err)
{
    struct packet_mreq request = { .mr_ifindex = (int)index,
                                   .mr_type = PACKET_MR_PROMISC };
    if (setsockopt(packet_socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request,
                   sizeof(request)))
        return error_system(err, ERROR_RUN, "promiscuous mode");
    return 0;
}
