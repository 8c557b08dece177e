/* hardware_clock: the clock of a network device, and what it stamps.
 *
 *   hardware_clock_open    a descriptor of the clock (a PTP one), for hardware_clock_now
 *   hardware_clock_now     its time, ns
 *   hardware_stamps        which packets it stamps now
 *   hardware_set_stamps    ... from now on
 *
 * Sources: Documentation/networking/timestamping.rst, Documentation/driver-api/ptp.rst,
 * linux/net_tstamp.h, linux/ethtool.h.
 */
#pragma once
#include <stdint.h>

struct error;

/* HWTSTAMP_TX_* and HWTSTAMP_FILTER_*, as SIOCSHWTSTAMP takes them. */
struct hardware_stamps {
    uint32_t tx_type, rx_filter;
};

/* -EOPNOTSUPP, ERROR_CONFIG, when the device has no clock or cannot stamp every packet
 * received. */
int hardware_clock_open(const char *ifname, struct error *err);

/* 0 when it cannot be read. */
uint64_t hardware_clock_now(int clock);

int hardware_stamps(const char *ifname, struct hardware_stamps *stamps,
                    struct error *err);

/* A driver may do more than was asked; -ERANGE when it does less. -EPERM,
 * ERROR_PRIVILEGE, without CAP_NET_ADMIN. */
int hardware_set_stamps(const char *ifname, const struct hardware_stamps *stamps,
                        struct error *err);
