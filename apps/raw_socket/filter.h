/* filter: which frames the kernel hands over, and how much of them.
 *
 *   filter_check     is that a pcap-filter(7) expression?
 *   filter_attach    ... compiled for an interface, to a socket
 *
 * A frame's VLAN tag is beside it in the kernel, and libpcap makes programs that look
 * there only on a capture handle that is open on an interface: so one is, for a moment.
 */
#pragma once
#include <stdint.h>

#include "lib/error.h"

/* -EINVAL, ERROR_CONFIG, when it is not. Needs no privilege. */
int filter_check(const char *filter, struct error *err);

/* filter may be NULL: everything. snaplen: bytes that are kept of a frame, 0: all. */
int filter_attach(int fd, const char *ifname, const char *filter, uint64_t snaplen,
                  struct error *err);
