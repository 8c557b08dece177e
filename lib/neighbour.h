/* neighbour: a row of the kernel's neighbour tables (ARP, IPv6 ND), out of a message.
 *
 *   neighbour_parse        read RTM_NEWNEIGH or RTM_DELNEIGH
 *   neighbour_link_parse   read RTM_NEWLINK or RTM_DELLINK, as far as neighbours need it
 *
 * Source: rtnetlink(7), linux/neighbour.h, net/core/neighbour.c.
 */
#pragma once
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/interface.h"

enum neighbour_fault {
    NEIGHBOUR_GOOD,
    NEIGHBOUR_OTHER,     /* another type of message, or no IP address: a bridge's table */
    NEIGHBOUR_MALFORMED, /* no address, or one of another length than its family's */
};

struct neighbour {
    bool deleted;
    uint8_t family; /* AF_INET, AF_INET6 */
    uint8_t flags;  /* NTF_* */
    uint16_t state; /* NUD_* */
    uint32_t index; /* of the interface */
    uint16_t
        mac_length; /* of NDA_LLADDR; 0: there is none. Another than 6: mac is zeros */
    uint8_t mac[6];
    uint8_t address[16]; /* of IPv4 the first four */
};

/* message: nlmsg_len bytes of it are there; nothing else is trusted. */
enum neighbour_fault neighbour_parse(const struct nlmsghdr *message,
                                     struct neighbour *neighbour);

struct neighbour_link {
    bool deleted;
    uint32_t index;
    uint32_t master; /* index of the bridge, bond or VRF that it is part of; 0: none */
    char name[INTERFACE_NAME_SIZE];
};

/* False for anything else. */
bool neighbour_link_parse(const struct nlmsghdr *message, struct neighbour_link *link);
