/* ethtool: how a network device is set up, and other settings.
 *
 *   ethtool_query          link, queues, rings, coalescing, flags
 *   ethtool_set            one setting by its name
 *   ethtool_setting_get    ... as it is
 *   ethtool_xdp_features   what XDP its driver can do
 *   ethtool_irqs           interrupts of its queues
 *   irq_affinity, irq_set_affinity
 *
 * By the SIOCETHTOOL ioctl of linux/ethtool.h, the netdev family of generic netlink
 * (Documentation/netlink/specs/netdev.yaml, Linux 6.3), /proc/interrupts and /proc/irq. What a
 * driver does not have is left out, not an error.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/interface.h"

struct ethtool_state {
    char driver[32], version[32], bus[32];
    uint32_t speed; /* Mbit/s, 0: unknown */
    bool full_duplex;
    bool has_rings, has_channels, has_coalesce, has_flags;
    uint32_t rx_ring, rx_ring_max, tx_ring, tx_ring_max; /* descriptors */
    uint32_t rx_queues, tx_queues, combined;
    uint32_t rx_queues_max, tx_queues_max, combined_max;
    uint32_t rx_usecs, rx_frames, tx_usecs, tx_frames;
    bool adaptive_rx, adaptive_tx;
    bool lro, rxvlan, txvlan, ntuple, rxhash;
};

/* -ENODEV, ERROR_CONFIG; what interface_query says of that helps more. Needs no privilege. */
int ethtool_query(const char *name, struct ethtool_state *state, struct error *err);

/* Settings: rx_ring, tx_ring, rx_usecs, rx_frames, adaptive_rx, lro, rxvlan, txvlan, gro.
 * -EINVAL for another name, -EOPNOTSUPP where the device has no such thing, ERROR_PRIVILEGE
 * without CAP_NET_ADMIN. */
int ethtool_setting_get(const char *name, const char *setting, uint32_t *value,
                        struct error *err);
int ethtool_set(const char *name, const char *setting, uint32_t value, struct error *err);

/* Bits of enum netdev_xdp_act of linux/netdev.h. */
enum xdp_feature {
    XDP_FEATURE_BASIC = 1,
    XDP_FEATURE_REDIRECT = 2,
    XDP_FEATURE_XMIT = 4,
    XDP_FEATURE_ZEROCOPY = 8,
    XDP_FEATURE_HARDWARE = 16,
    XDP_FEATURE_RX_SG = 32,
    XDP_FEATURE_XMIT_SG = 64,
};

/* -EOPNOTSUPP before Linux 6.3. */
int ethtool_xdp_features(unsigned index, uint64_t *features, struct error *err);

/* Numbers of interrupts whose line in /proc/interrupts names the interface or its device; at
 * most `most`. Returns how many. */
size_t ethtool_irqs(const char *name, unsigned *irqs, size_t most);

/* A list of CPUs as in "0-1,4". */
int irq_affinity(unsigned irq, char *cpus, size_t size, struct error *err);
int irq_set_affinity(unsigned irq, const char *cpus, struct error *err);
