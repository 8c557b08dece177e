/* ethtool: how a network device is set up, and other settings. */
#include "lib/ethtool.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/netlink.h"

/* --- the ioctl ---------------------------------------------------------------------- */

static int call(const char *name, void *argument)
{
    return interface_ioctl(name, SIOCETHTOOL, argument);
}

/* The first answer says how many words of link modes there are to make room for. */
static void query_link(const char *name, struct ethtool_state *state)
{
    static const struct ethtool_link_settings question = { .cmd = ETHTOOL_GLINKSETTINGS };
    uint32_t room[sizeof(question) / 4 + 3 * INT8_MAX] = { 0 };
    struct ethtool_link_settings *link = (struct ethtool_link_settings *)room;
    *link = question;
    if (call(name, link) || link->link_mode_masks_nwords >= 0)
        return;
    int8_t words = (int8_t)-link->link_mode_masks_nwords;
    *link = question;
    link->link_mode_masks_nwords = words;
    if (call(name, link) || link->speed == (uint32_t)SPEED_UNKNOWN)
        return;
    state->speed = link->speed;
    state->full_duplex = link->duplex == DUPLEX_FULL;
}

static void query_rings(const char *name, struct ethtool_state *state)
{
    struct ethtool_ringparam rings = { .cmd = ETHTOOL_GRINGPARAM };
    struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
    state->has_rings = !call(name, &rings);
    state->rx_ring = rings.rx_pending;
    state->rx_ring_max = rings.rx_max_pending;
    state->tx_ring = rings.tx_pending;
    state->tx_ring_max = rings.tx_max_pending;
    state->has_channels = !call(name, &channels);
    state->rx_queues = channels.rx_count;
    state->rx_queues_max = channels.max_rx;
    state->tx_queues = channels.tx_count;
    state->tx_queues_max = channels.max_tx;
    state->combined = channels.combined_count;
    state->combined_max = channels.max_combined;
}

static void query_coalesce(const char *name, struct ethtool_state *state)
{
    struct ethtool_coalesce coalesce = { .cmd = ETHTOOL_GCOALESCE };
    struct ethtool_value flags = { .cmd = ETHTOOL_GFLAGS };
    state->has_coalesce = !call(name, &coalesce);
    state->rx_usecs = coalesce.rx_coalesce_usecs;
    state->rx_frames = coalesce.rx_max_coalesced_frames;
    state->tx_usecs = coalesce.tx_coalesce_usecs;
    state->tx_frames = coalesce.tx_max_coalesced_frames;
    state->adaptive_rx = coalesce.use_adaptive_rx_coalesce;
    state->adaptive_tx = coalesce.use_adaptive_tx_coalesce;
    state->has_flags = !call(name, &flags);
    state->lro = flags.data & ETH_FLAG_LRO;
    state->rxvlan = flags.data & ETH_FLAG_RXVLAN;
    state->txvlan = flags.data & ETH_FLAG_TXVLAN;
    state->ntuple = flags.data & ETH_FLAG_NTUPLE;
    state->rxhash = flags.data & ETH_FLAG_RXHASH;
}

int ethtool_query(const char *name, struct ethtool_state *state, struct error *err)
{
    struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
    *state = (struct ethtool_state){ 0 };
    if (call(name, &info) == -ENODEV)
        return error_set(err, ERROR_CONFIG, ENODEV, "no interface \"%s\"", name);
    snprintf(state->driver, sizeof(state->driver), "%s", info.driver);
    snprintf(state->version, sizeof(state->version), "%s", info.version);
    snprintf(state->bus, sizeof(state->bus), "%s", info.bus_info);
    query_link(name, state);
    query_rings(name, state);
    query_coalesce(name, state);
    return 0;
}

/* --- settings ----------------------------------------------------------------------- */

/* A word of a structure that one command gets and another sets, a bit of a mask, or an
 * offload. */
static const struct setting {
    const char *name;
    uint32_t get, set;
    size_t size, offset;
    uint32_t bit;
} settings[] = {
    { "rx_ring", ETHTOOL_GRINGPARAM, ETHTOOL_SRINGPARAM, sizeof(struct ethtool_ringparam),
      offsetof(struct ethtool_ringparam, rx_pending), 0 },
    { "tx_ring", ETHTOOL_GRINGPARAM, ETHTOOL_SRINGPARAM, sizeof(struct ethtool_ringparam),
      offsetof(struct ethtool_ringparam, tx_pending), 0 },
    { "rx_usecs", ETHTOOL_GCOALESCE, ETHTOOL_SCOALESCE, sizeof(struct ethtool_coalesce),
      offsetof(struct ethtool_coalesce, rx_coalesce_usecs), 0 },
    { "rx_frames", ETHTOOL_GCOALESCE, ETHTOOL_SCOALESCE, sizeof(struct ethtool_coalesce),
      offsetof(struct ethtool_coalesce, rx_max_coalesced_frames), 0 },
    { "adaptive_rx", ETHTOOL_GCOALESCE, ETHTOOL_SCOALESCE,
      sizeof(struct ethtool_coalesce),
      offsetof(struct ethtool_coalesce, use_adaptive_rx_coalesce), 0 },
    { "lro", ETHTOOL_GFLAGS, ETHTOOL_SFLAGS, sizeof(struct ethtool_value),
      offsetof(struct ethtool_value, data), ETH_FLAG_LRO },
    { "rxvlan", ETHTOOL_GFLAGS, ETHTOOL_SFLAGS, sizeof(struct ethtool_value),
      offsetof(struct ethtool_value, data), ETH_FLAG_RXVLAN },
    { "txvlan", ETHTOOL_GFLAGS, ETHTOOL_SFLAGS, sizeof(struct ethtool_value),
      offsetof(struct ethtool_value, data), ETH_FLAG_TXVLAN },
    { "gro", 0, 0, 0, 0, OFFLOAD_GRO },
};

union argument {
    uint32_t command;
    struct ethtool_ringparam rings;
    struct ethtool_coalesce coalesce;
    struct ethtool_value value;
};

static const struct setting *find(const char *name, struct error *err)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (!strcmp(settings[i].name, name))
            return &settings[i];
    error_set(err, ERROR_CONFIG, EINVAL, "no setting \"%s\"", name);
    return NULL;
}

static int failed(const char *name, const char *setting, int error, struct error *err)
{
    if (error == -EPERM)
        return error_set(err, ERROR_PRIVILEGE, EPERM, "%s: %s: needs CAP_NET_ADMIN", name,
                         setting);
    return error_set(err, ERROR_RUN, -error, "%s: %s: %s", name, setting,
                     strerror(-error));
}

static int fetch(const char *name, const struct setting *setting,
                 union argument *argument, struct error *err)
{
    *argument = (union argument){ .command = setting->get };
    int error = call(name, argument);
    return error ? failed(name, setting->name, error, err) : 0;
}

static uint32_t *word(const struct setting *setting, union argument *argument)
{
    return (uint32_t *)(void *)((char *)argument + setting->offset);
}

int ethtool_setting_get(const char *name, const char *wanted, uint32_t *value,
                        struct error *err)
{
    const struct setting *setting = find(wanted, err);
    union argument argument;
    unsigned mask;
    if (!setting)
        return -EINVAL;
    int error = setting->get ? fetch(name, setting, &argument, err)
                             : interface_offloads(name, &mask, err);
    if (error)
        return error;
    if (!setting->get)
        *value = (mask & setting->bit) != 0;
    else if (setting->bit)
        *value = (*word(setting, &argument) & setting->bit) != 0;
    else
        *value = *word(setting, &argument);
    return 0;
}

static int set_offload(const char *name, unsigned bit, bool on, struct error *err)
{
    unsigned mask;
    int error = interface_offloads(name, &mask, err);
    return error ? error
                 : interface_set_offloads(name, on ? mask | bit : mask & ~bit, err);
}

int ethtool_set(const char *name, const char *wanted, uint32_t value, struct error *err)
{
    const struct setting *setting = find(wanted, err);
    union argument argument;
    if (!setting)
        return -EINVAL;
    if (!setting->get)
        return set_offload(name, setting->bit, value, err);
    int error = fetch(name, setting, &argument, err);
    if (error)
        return error;
    uint32_t *at = word(setting, &argument);
    if (setting->bit)
        value = value ? *at | setting->bit : *at & ~setting->bit;
    if (*at == value)
        return 0;
    *at = value;
    argument.command = setting->set;
    error = call(name, &argument);
    return error ? failed(name, wanted, error, err) : 0;
}

/* --- what the driver says of XDP ------------------------------------------------------ */

/* linux/netdev.h, which Debian 12 lacks. */
#define NETDEV_FAMILY             "netdev"
#define NETDEV_CMD_DEV_GET        1
#define NETDEV_A_DEV_IFINDEX      1
#define NETDEV_A_DEV_XDP_FEATURES 3

static int take_features(const struct nlmsghdr *message, void *features)
{
    const void *found = netlink_attribute(message, sizeof(struct genlmsghdr),
                                          NETDEV_A_DEV_XDP_FEATURES, sizeof(uint64_t));
    if (!found)
        return -EOPNOTSUPP;
    memcpy(features, found, sizeof(uint64_t));
    return 0;
}

static int ask_features(struct netlink *netlink, uint32_t index, uint64_t *features,
                        struct error *err)
{
    struct genlmsghdr header = { .cmd = NETDEV_CMD_DEV_GET, .version = 1 };
    uint16_t family;
    int error = netlink_family(netlink, NETDEV_FAMILY, &family, err);
    if (error == -ENOENT)
        return error_set(err, ERROR_RUN, EOPNOTSUPP, "%s", strerror(EOPNOTSUPP));
    if (error)
        return error;
    netlink_request(netlink, family, 0, &header, sizeof(header));
    netlink_put_u32(netlink, NETDEV_A_DEV_IFINDEX, index);
    return netlink_ask(netlink, take_features, features, err);
}

int ethtool_xdp_features(unsigned index, uint64_t *features, struct error *err)
{
    struct netlink *netlink = netlink_open(NETLINK_GENERIC, err);
    int error = netlink ? ask_features(netlink, index, features, err) : -EIO;
    netlink_close(netlink);
    if (error)
        error_prefix(err, "XDP features: ");
    return error;
}

/* --- interrupts ----------------------------------------------------------------------- */

/* Does a word stand in a line, not as part of a longer one ("eth1" in "eth1-rx-0", not in
 * "eth10")? */
static bool names(const char *line, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = line; length && (at = strstr(at, word)); at++) {
        char before = at == line ? ' ' : at[-1], behind = at[length];
        bool starts = !strchr("abcdefghijklmnopqrstuvwxyz0123456789", before);
        if (starts && !(behind >= '0' && behind <= '9'))
            return true;
    }
    return false;
}

/* The device behind an interface, such as "virtio0"; "" when there is none. */
static void device_of(const char *name, char *device, size_t size)
{
    char path[64], target[512];
    snprintf(path, sizeof(path), "/sys/class/net/%.16s/device", name);
    ssize_t length = readlink(path, target, sizeof(target) - 1);
    target[length > 0 ? length : 0] = 0;
    const char *slash = strrchr(target, '/');
    snprintf(device, size, "%s", slash ? slash + 1 : "");
}

size_t ethtool_irqs(const char *name, unsigned *irqs, size_t most)
{
    char line[4096], device[64];
    size_t count = 0;
    FILE *file = fopen("/proc/interrupts", "re");
    device_of(name, device, sizeof(device));
    while (file && count < most && fgets(line, sizeof(line), file)) {
        char *end;
        unsigned long irq = strtoul(line, &end, 10);
        if (*end == ':' && (names(end, name) || names(end, device)))
            irqs[count++] = (unsigned)irq;
    }
    if (file)
        fclose(file);
    return count;
}

int irq_affinity(unsigned irq, char *cpus, size_t size, struct error *err)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", irq);
    FILE *file = fopen(path, "re");
    if (!file || !fgets(cpus, (int)size, file)) {
        if (file)
            fclose(file);
        return error_system(err, ERROR_RUN, "%s", path);
    }
    fclose(file);
    cpus[strcspn(cpus, "\n")] = 0;
    return 0;
}

int irq_set_affinity(unsigned irq, const char *cpus, struct error *err)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", irq);
    FILE *file = fopen(path, "we");
    int error = !file || fputs(cpus, file) < 0 ? -1 : 0;
    if (file && fclose(file))
        error = -1;
    return error ? error_system(err, ERROR_RUN, "%s: %s", path, cpus) : 0;
}
