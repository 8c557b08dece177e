/* socket: AF_PACKET sockets, as RawSocket wants them.
 *
 *   packet_socket            a new one, not bound to anything
 *   packet_socket_set        an option of level SOL_PACKET
 *   packet_socket_bind       ... to an interface
 *   packet_socket_fanout     join a group
 *
 * A socket is made for no protocol: no frame comes in before it is bound, when it has its
 * filter. Nothing here outlives the socket.
 */
#pragma once
#include "apps/raw_socket/parameters.h"
#include "lib/error.h"

/* The descriptor, or -errno; -EPERM, ERROR_PRIVILEGE, names the capability. */
int packet_socket(struct error *err);

int packet_socket_set(int fd, int option, int value, const char *name, struct error *err);

/* protocol: ETH_P_ALL, or 0 for a socket that never receives. */
int packet_socket_bind(int fd, unsigned index, int protocol, const char *ifname,
                       struct error *err);

/* A bound socket joins; returns the number of the group, or -errno. incoming: what this
 * host sends is not wanted. */
int packet_socket_fanout(int fd, const struct fanout_conf *fanout, bool incoming,
                         struct error *err);
