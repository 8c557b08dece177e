/* veth: pairs of virtual interfaces, addresses and routes, by rtnetlink(7).
 *
 *   veth_new           a pair: one end here, the other in another network namespace
 *   link_set_up        an interface comes up
 *   link_delete        an interface goes away
 *   address_add        an address with its prefix
 *   route_add_default  where all that is unknown goes
 *
 * All of it concerns the network namespace of the calling thread. Names that the kernel
 * refuses, and interfaces that are not there, are -errno with the name in the text.
 */
#pragma once

#include <stdint.h>

struct error;

struct veth {
    const char *name;              /* of the end here */
    const char *peer_name;         /* of the other end */
    int peer_network;              /* descriptor of its network namespace */
    const uint8_t *mac, *peer_mac; /* 6 bytes; NULL: the kernel makes one up */
};

int veth_new(const struct veth *veth, struct error *err);
int link_set_up(const char *name, struct error *err);
int link_delete(const char *name, struct error *err);

/* "10.77.0.1" or "fd77::1"; an IPv6 address is valid at once, nobody is asked (NODAD). */
int address_add(const char *name, const char *address, unsigned prefix,
                struct error *err);
int route_add_default(const char *gateway, struct error *err);
