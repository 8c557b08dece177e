/* interface: facts about one network interface of this network namespace, and its
 * switches.
 *
 *   interface_query         index, MTU, flags, MAC, state of the interface with a name
 *   interface_parse         the same facts out of an rtnetlink message
 *   interface_offloads      which offloads are on
 *   interface_set_offloads  turn offloads on and off
 *   interface_ioctl         an ioctl about an interface, netdevice(7)
 *   interface_promisc       receive frames for other stations too
 *
 * Everything is asked of the kernel anew each time: rtnetlink(7) for the facts (sysfs may
 * show another namespace's interfaces), the SIOCETHTOOL ioctl of linux/ethtool.h for the
 * offloads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/* Bytes of an interface name with its NUL: IFNAMSIZ. Spelt anew because <net/if.h> and
 * <linux/if.h> cannot be included in just any order. */
#define INTERFACE_NAME_SIZE 16

struct interface {
    unsigned index;
    unsigned mtu;        /* bytes, without the Ethernet header */
    unsigned flags;      /* IFF_*, also those above 16 bits such as IFF_LOWER_UP */
    uint8_t mac[6];      /* zeros where there is no six-byte address */
    uint8_t operstate;   /* IF_OPER_* of linux/if.h, RFC 2863 */
    bool carrier;        /* the driver sees a link partner */
    uint64_t tx_packets; /* that the kernel gave to it, ever */
    char name[INTERFACE_NAME_SIZE];
};

enum offload {
    OFFLOAD_TX = 1,  /* transmit checksums, ethtool's "tx" */
    OFFLOAD_TSO = 2, /* TCP segmentation by the device; needs OFFLOAD_TX */
    OFFLOAD_GSO =
        4, /* segmentation by the kernel just before the driver; needs OFFLOAD_TX */
    OFFLOAD_GRO = 8, /* merging of received packets */
    OFFLOAD_ALL = 15,
};

/* An unknown name is -ENODEV, ERROR_CONFIG, with the nearest name and a list of all:
 * no interface "eth7", did you mean "eth0"? (there are: lo, eth0) */
int interface_query(const char *name, struct interface *out, struct error *err);

/* Reads one RTM_NEWLINK or RTM_DELLINK message that starts with its struct nlmsghdr
 * (4-byte aligned) and has length bytes; nothing in it is trusted. -EBADMSG when it is
 * anything else, also when it is of another family than AF_UNSPEC: a bridge announces
 * ports in messages of the same types, and a "deleted" AF_BRIDGE link has merely left the
 * bridge. */
int interface_parse(const void *message, size_t length, struct interface *out);

/* mask: the OFFLOAD_* that are active now. Needs no privilege. */
int interface_offloads(const char *name, unsigned *mask, struct error *err);

/* Makes mask the set of active offloads. Only what differs is touched, because the kernel
 * remembers what was wished for: TSO that went away with TX comes back with TX unless
 * somebody turned it off by itself. All offloads are tried, the first failure is
 * returned: -EOPNOTSUPP when the device refuses one, -EPERM (ERROR_PRIVILEGE) without
 * CAP_NET_ADMIN. TSO is one switch for all its protocol variants; turning it on enables
 * every variant that can be. */
int interface_set_offloads(const char *name, unsigned mask, struct error *err);

/* With data as ifr_data: SIOCETHTOOL, SIOCGHWTSTAMP ... Returns 0 or -errno; -ENODEV also for
 * what cannot be a name. */
int interface_ioctl(const char *name, unsigned long command, void *data);

/* Promiscuous for as long as the packet socket (packet(7), of any protocol, bound or not)
 * is open. */
int interface_promisc(int packet_socket, unsigned index, struct error *err);
