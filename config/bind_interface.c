/* bind_interface: interface.*, for programs that look at devices and set them up. */
#include "config/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/ethtool.h"
#include "lib/mac.h"

#define IRQS_MAX 512

static void set_integer(lua_State *L, const char *key, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

static void set_boolean(lua_State *L, const char *key, bool value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, key);
}

static void set_string(lua_State *L, const char *key, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

static void push_link_facts(lua_State *L, const struct interface *interface)
{
    char mac[MAC_TEXT_SIZE];
    set_integer(L, "index", interface->index);
    set_integer(L, "mtu", interface->mtu);
    set_boolean(L, "up", interface->flags & IFF_UP);
    set_boolean(L, "promiscuous", interface->flags & IFF_PROMISC);
    set_boolean(L, "carrier", interface->carrier);
    set_string(L, "mac", mac_format(interface->mac, mac));
}

static void push_rings(lua_State *L, const struct ethtool_state *s)
{
    lua_newtable(L);
    set_integer(L, "rx", s->rx_ring);
    set_integer(L, "rx_max", s->rx_ring_max);
    set_integer(L, "tx", s->tx_ring);
    set_integer(L, "tx_max", s->tx_ring_max);
}

static void push_queues(lua_State *L, const struct ethtool_state *s)
{
    lua_newtable(L);
    set_integer(L, "rx", s->rx_queues + s->combined);
    set_integer(L, "tx", s->tx_queues + s->combined);
    set_integer(L, "rx_max", s->rx_queues_max + s->combined_max);
    set_integer(L, "tx_max", s->tx_queues_max + s->combined_max);
}

static void push_coalesce(lua_State *L, const struct ethtool_state *s)
{
    lua_newtable(L);
    set_integer(L, "rx_usecs", s->rx_usecs);
    set_integer(L, "rx_frames", s->rx_frames);
    set_integer(L, "tx_usecs", s->tx_usecs);
    set_integer(L, "tx_frames", s->tx_frames);
    set_boolean(L, "adaptive_rx", s->adaptive_rx);
    set_boolean(L, "adaptive_tx", s->adaptive_tx);
}

static void push_offloads(lua_State *L, const char *name, const struct ethtool_state *s)
{
    static const struct {
        const char *name;
        unsigned bit;
    } offloads[] = { { "tx", OFFLOAD_TX },
                     { "tso", OFFLOAD_TSO },
                     { "gso", OFFLOAD_GSO },
                     { "gro", OFFLOAD_GRO } };
    unsigned mask = 0;
    lua_newtable(L);
    interface_offloads(name, &mask, NULL);
    for (size_t i = 0; i < sizeof(offloads) / sizeof(offloads[0]); i++)
        set_boolean(L, offloads[i].name, mask & offloads[i].bit);
    set_boolean(L, "lro", s->lro);
    set_boolean(L, "rxvlan", s->rxvlan);
    set_boolean(L, "txvlan", s->txvlan);
}

/* nil where the kernel does not tell. */
static void push_features(lua_State *L, unsigned index)
{
    static const char *const names[] = { "basic",    "redirect", "xmit",   "zerocopy",
                                         "hardware", "rx_sg",    "xmit_sg" };
    uint64_t features;
    if (ethtool_xdp_features(index, &features, NULL)) {
        lua_pushnil(L);
        return;
    }
    lua_newtable(L);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        set_boolean(L, names[i], features >> i & 1);
}

static void push_irqs(lua_State *L, const char *name)
{
    unsigned irqs[IRQS_MAX];
    char cpus[256];
    size_t n = ethtool_irqs(name, irqs, IRQS_MAX);
    lua_newtable(L);
    for (size_t i = 0; i < n; i++) {
        lua_newtable(L);
        set_integer(L, "irq", irqs[i]);
        if (!irq_affinity(irqs[i], cpus, sizeof(cpus), NULL))
            set_string(L, "cpus", cpus);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* interface.query(name): all that is known of it. */
static int interface_lua_query(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    struct interface facts;
    struct ethtool_state state;
    struct error err;
    if (interface_query(name, &facts, &err) || ethtool_query(name, &state, &err))
        return vm_raise_here(L, &err);
    lua_newtable(L);
    set_string(L, "name", name);
    push_link_facts(L, &facts);
    set_string(L, "driver", state.driver);
    set_string(L, "bus", state.bus);
    if (state.speed) {
        set_integer(L, "speed", state.speed);
        set_boolean(L, "full_duplex", state.full_duplex);
    }
    if (state.has_rings) {
        push_rings(L, &state);
        lua_setfield(L, -2, "rings");
    }
    if (state.has_channels) {
        push_queues(L, &state);
        lua_setfield(L, -2, "queues");
    }
    if (state.has_coalesce) {
        push_coalesce(L, &state);
        lua_setfield(L, -2, "coalesce");
    }
    push_offloads(L, name, &state);
    lua_setfield(L, -2, "offloads");
    push_features(L, facts.index);
    lua_setfield(L, -2, "xdp");
    push_irqs(L, name);
    lua_setfield(L, -2, "irqs");
    return 1;
}

static int result(lua_State *L, int error, const struct error *err)
{
    if (!error)
        lua_pushboolean(L, true);
    else
        lua_pushnil(L);
    lua_pushstring(L, error ? err->text : "");
    return 2;
}

/* interface.get(name, setting): its value, or nil and why not. */
static int interface_get(lua_State *L)
{
    uint32_t value;
    struct error err;
    int error =
        ethtool_setting_get(luaL_checkstring(L, 1), luaL_checkstring(L, 2), &value, &err);
    if (error)
        return result(L, error, &err);
    lua_pushinteger(L, value);
    return 1;
}

/* interface.set(name, setting, value): true, or nil and why not. */
static int interface_set(lua_State *L)
{
    struct error err;
    lua_Integer value = luaL_checkinteger(L, 3);
    luaL_argcheck(L, value >= 0 && value <= UINT32_MAX, 3, "out of range");
    return result(L,
                  ethtool_set(luaL_checkstring(L, 1), luaL_checkstring(L, 2),
                              (uint32_t)value, &err),
                  &err);
}

/* interface.set_irq(irq, cpus): true, or nil and why not. */
static int interface_set_irq(lua_State *L)
{
    struct error err;
    lua_Integer irq = luaL_checkinteger(L, 1);
    luaL_argcheck(L, irq >= 0 && irq <= INT32_MAX, 1, "out of range");
    return result(L, irq_set_affinity((unsigned)irq, luaL_checkstring(L, 2), &err), &err);
}

/* Can it be had? The answer is "", or what the kernel says. */
static void probe(lua_State *L, const char *key, int fd)
{
    set_string(L, key, fd < 0 ? strerror(errno) : "");
    if (fd >= 0)
        close(fd);
}

/* interface.probe(): which kinds of sockets and devices this process may open. */
static int interface_probe(lua_State *L)
{
    lua_newtable(L);
    probe(L, "packet", socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    probe(L, "xdp", socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
    probe(L, "tun", open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    return 1;
}

/* interface.notes(): the folder in which what was changed is remembered; made when missing. */
static int interface_notes(lua_State *L)
{
    char parent[PATH_MAX], path[PATH_MAX + 8];
    run_directory_parent(parent, sizeof(parent));
    snprintf(path, sizeof(path), "%s/tune", parent);
    if ((mkdir(parent, 0755) && errno != EEXIST) ||
        (mkdir(path, 0755) && errno != EEXIST))
        return vm_fail(L, ERROR_RUN, "cannot make %s: %s", path, strerror(errno));
    lua_pushstring(L, path);
    return 1;
}

/* interface.addresses(name) -> list of its addresses as text, of IPv4 and IPv6. */
static int interface_addresses(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    struct ifaddrs *all;
    lua_newtable(L);
    if (getifaddrs(&all))
        return vm_fail(L, ERROR_RUN, "addresses of %s: %s", name, strerror(errno));
    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        char text[INET6_ADDRSTRLEN];
        int family = one->ifa_addr ? one->ifa_addr->sa_family : AF_UNSPEC;
        if (strcmp(one->ifa_name, name) != 0 || (family != AF_INET && family != AF_INET6))
            continue;
        const void *address =
            family == AF_INET
                ? (const void *)&((const struct sockaddr_in *)(const void *)one->ifa_addr)
                      ->sin_addr
                : &((const struct sockaddr_in6 *)(const void *)one->ifa_addr)->sin6_addr;
        lua_pushstring(L, inet_ntop(family, address, text, sizeof(text)));
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
    freeifaddrs(all);
    return 1;
}

void open_interface(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "addresses", interface_addresses }, { "get", interface_get },
        { "notes", interface_notes },         { "probe", interface_probe },
        { "query", interface_lua_query },     { "set", interface_set },
        { "set_irq", interface_set_irq },     { NULL, NULL },
    };
    luaL_newlib(L, functions);
    lua_setglobal(L, "interface");
}
