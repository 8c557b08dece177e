/* surroundings: addresses that no flood may make us block. */
#include "apps/flow_sentinel/surroundings.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/netlink.h"
#include "lib/prefix.h"

static void add(struct surroundings *s, int family, const void *bytes, uint8_t kind)
{
    struct prefix prefix = { .family = family };
    if (s->count == SURROUNDINGS_MAX || (family != AF_INET && family != AF_INET6))
        return;
    prefix.bits = (uint8_t)(prefix_size(&prefix) * 8);
    memcpy(prefix.address, bytes, prefix_size(&prefix));
    struct surrounding *to = &s->all[s->count++];
    prefix_mapped(&prefix, (uint8_t *)to->address.word);
    to->kind = kind;
}

/* --- the kernel's tables ---------------------------------------------------------------------- */

static size_t address_size(int family)
{
    return family == AF_INET ? 4 : 16;
}

static int own_address(const struct nlmsghdr *message, void *user)
{
    if (!message || message->nlmsg_type != RTM_NEWADDR)
        return 0;
    const struct ifaddrmsg *header = NLMSG_DATA(message);
    size_t size = address_size(header->ifa_family);
    const void *local = netlink_attribute(message, sizeof(*header), IFA_LOCAL, size);
    if (!local)
        local = netlink_attribute(message, sizeof(*header), IFA_ADDRESS, size);
    if (local)
        add(user, header->ifa_family, local, KIND_OWN);
    return 0;
}

static int gateway(const struct nlmsghdr *message, void *user)
{
    if (!message || message->nlmsg_type != RTM_NEWROUTE)
        return 0;
    const struct rtmsg *header = NLMSG_DATA(message);
    const void *address = netlink_attribute(message, sizeof(*header), RTA_GATEWAY,
                                            address_size(header->rtm_family));
    if (address && !header->rtm_dst_len && header->rtm_type == RTN_UNICAST)
        add(user, header->rtm_family, address, KIND_ALLOWED);
    return 0;
}

static bool read_kernel(struct surroundings *s)
{
    struct error err;
    struct ifaddrmsg addresses = { .ifa_family = AF_UNSPEC };
    struct rtmsg routes = { .rtm_family = AF_UNSPEC };
    struct netlink *netlink = netlink_open(NETLINK_ROUTE, &err);
    if (!netlink)
        return false;
    netlink_request(netlink, RTM_GETADDR, NLM_F_DUMP, &addresses, sizeof(addresses));
    int error = netlink_ask(netlink, own_address, s, &err);
    netlink_request(netlink, RTM_GETROUTE, NLM_F_DUMP, &routes, sizeof(routes));
    if (!error)
        error = netlink_ask(netlink, gateway, s, &err);
    netlink_close(netlink);
    return !error;
}

/* --- files --------------------------------------------------------------------------------------- */

/* resolv.conf(5) */
static void read_resolvers(struct surroundings *s)
{
    FILE *file = fopen("/etc/resolv.conf", "re");
    char line[256], text[64];
    struct prefix prefix;
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, " nameserver %63s", text) == 1 && !prefix_parse(&prefix, text))
            add(s, prefix.family, prefix.address, KIND_ALLOWED);
    if (file)
        fclose(file);
}

/* Who sits at this process, as sshd(8) says. Not everybody who is connected to port 22: that
 * anybody can be, and would not be limited by anything. */
static void read_session(struct surroundings *s)
{
    const char *connection = getenv("SSH_CONNECTION");
    char text[64];
    struct prefix prefix;
    if (connection && sscanf(connection, "%63s", text) == 1 &&
        !prefix_parse(&prefix, text))
        add(s, prefix.family, prefix.address, KIND_ALLOWED);
}

/* --- all of it -------------------------------------------------------------------------------------- */

/* An address that is both is our own. */
static int compare(const void *a, const void *b)
{
    const struct surrounding *x = a, *y = b;
    int order = memcmp(&x->address, &y->address, sizeof(x->address));
    return order ? order : (int)x->kind - (int)y->kind;
}

static void sort(struct surroundings *s)
{
    size_t kept = 0;
    qsort(s->all, s->count, sizeof(*s->all), compare);
    for (size_t i = 0; i < s->count; i++)
        if (!kept || memcmp(&s->all[kept - 1].address, &s->all[i].address,
                            sizeof(s->all[i].address)))
            s->all[kept++] = s->all[i];
    s->count = kept;
}

bool surroundings_read(struct surroundings *surroundings)
{
    struct surroundings fresh = { .all = malloc(SURROUNDINGS_MAX * sizeof(*fresh.all)) };
    if (!fresh.all || !read_kernel(&fresh)) {
        free(fresh.all);
        return false;
    }
    read_resolvers(&fresh);
    read_session(&fresh);
    sort(&fresh);
    *surroundings = fresh;
    return true;
}

static int compare_address(const void *address, const void *one)
{
    return memcmp(address, &((const struct surrounding *)one)->address,
                  sizeof(struct path_address));
}

const struct surrounding *surroundings_find(const struct surroundings *surroundings,
                                            const struct path_address *address)
{
    return surroundings->count ? bsearch(address, surroundings->all, surroundings->count,
                                         sizeof(*surroundings->all), compare_address)
                               : NULL;
}
