/* snat: other sources for packets. */
#include "apps/vxlan_nat/snat.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/prefix.h"

#define LOWS  (SNAT_LOW_LAST - SNAT_LOW_FIRST + 1)
#define PORTS (LOWS + SNAT_HIGH_LAST - SNAT_HIGH_FIRST + 1)

/* --- addresses ----------------------------------------------------------------------------- */

static bool add(struct snat *snat, const struct prefix *prefix)
{
    int six = prefix->family == AF_INET6;
    if (snat->count[six] == SNAT_ADDRESSES)
        return false;
    prefix_mapped(prefix, snat->addresses[six][snat->count[six]++]);
    return true;
}

static bool is_host(const struct prefix *prefix)
{
    return prefix->bits == (prefix->family == AF_INET ? 32 : 128);
}

static int read_list(struct snat *snat, const char *text, struct error *err)
{
    struct prefix prefix;
    char word[64];
    for (size_t length; *(text += strspn(text, ", ")); text += length) {
        length = strcspn(text, ", ");
        snprintf(word, sizeof(word), "%.*s", (int)length, text);
        if (length >= sizeof(word) || prefix_parse(&prefix, word) || !is_host(&prefix))
            return error_set(err, ERROR_CONFIG, EINVAL,
                             "snat: \"%.60s\" is no address (nor none, nor interface)",
                             word);
        if (!add(snat, &prefix))
            return error_set(err, ERROR_CONFIG, EINVAL, "snat: more than %d addresses",
                             SNAT_ADDRESSES);
    }
    return 0;
}

/* What a packet may have as its source on a network behind routers. */
static bool is_global(const struct sockaddr *address)
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)address;
    return address->sa_family == AF_INET ||
           (address->sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr));
}

static void add_address(struct snat *snat, const struct sockaddr *address)
{
    struct prefix prefix = { .family = address->sa_family };
    if (address->sa_family == AF_INET) {
        prefix.bits = 32;
        memcpy(prefix.address,
               &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    } else {
        prefix.bits = 128;
        memcpy(prefix.address,
               &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
    }
    add(snat, &prefix);
}

static int read_interface(struct snat *snat, const char *egress, struct error *err)
{
    struct ifaddrs *all = NULL;
    if (!egress)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "snat: \"interface\" is that of egress, which is not named");
    if (getifaddrs(&all))
        return error_system(err, ERROR_RUN, "addresses of %s", egress);
    for (const struct ifaddrs *one = all; one; one = one->ifa_next)
        if (one->ifa_addr && !strcmp(one->ifa_name, egress) && is_global(one->ifa_addr))
            add_address(snat, one->ifa_addr);
    freeifaddrs(all);
    return 0;
}

int snat_read(struct snat *snat, const char *text, const char *egress, struct error *err)
{
    *snat = (struct snat){ .count = { 0 } };
    if (!text || !strcmp(text, "none"))
        return 0;
    snat->on = true;
    return !strcmp(text, "interface") ? read_interface(snat, egress, err)
                                      : read_list(snat, text, err);
}

/* --- ports ---------------------------------------------------------------------------------- */

static uint64_t hash_of(const struct snat *snat, const struct vxlan_frame *f,
                        bool with_port)
{
    uint32_t words[6] = { f->protocol };
    memcpy(words + 1, f->src, 16);
    words[5] = f->sport;
    words[0] |= f->vni << 8;
    return with_port ? siphash_13(&snat->secret, words, sizeof(words))
                     : siphash_13(&snat->secret, f->src, 16);
}

static uint16_t port_of(uint64_t number)
{
    uint32_t port = (uint32_t)(number % PORTS);
    return (uint16_t)(port < LOWS ? SNAT_LOW_FIRST + port
                                  : SNAT_HIGH_FIRST + port - LOWS);
}

static bool may_keep(uint16_t port)
{
    return (port >= SNAT_LOW_FIRST && port <= SNAT_LOW_LAST) || port >= SNAT_HIGH_FIRST;
}

bool snat_choose(const struct snat *snat, const struct vxlan_frame *f, uint32_t number,
                 struct rewrite_target *source)
{
    int six = f->family == 6;
    bool keep = f->echo || may_keep(f->sport);
    uint32_t tries = f->ports || f->echo ? SNAT_TRIES : 1;
    if (number >= tries || !snat->count[six])
        return false;
    uint64_t address = hash_of(snat, f, false) % snat->count[six];
    memcpy(source->address, snat->addresses[six][address], 16);
    source->has_port = f->ports || f->echo;
    source->port = keep && !number ? f->sport : port_of(hash_of(snat, f, true) + number);
    return true;
}
