/* socket: AF_PACKET sockets, as RawSocket wants them.
 *
 *   packet_socket            a new one, not bound to anything
 *   packet_socket_set        an option of level SOL_PACKET
 *   packet_socket_bind       ... to an interface
 */
#pragma once
#include "lib/error.h"

/* The descriptor, or -errno; -EPERM, ERROR_PRIVILEGE, names the capability. */
int packet_socket(struct error *err);

int packet_socket_set(int fd, int option, int value, const char *name, struct error *err);

/* protocol: ETH_P_ALL, or 0 for a socket that never receives. */
int packet_socket_bind(int fd, unsigned index, int protocol, const char *ifname,
                       struct error *err);
