/* merge: consecutive TCP segments of one flow, back into the super-frame they are.
 *
 *   merge_run        how many packets from the first on belong together
 *   merge_message    ... as one message for a socket with PACKET_VNET_HDR
 *
 * A kernel that is handed 40 segments one by one takes each through its stack. When
 * segments that follow each other on a link also follow each other in their stream, and
 * differ in nothing but what segmentation changes, they go out as one: what GRO does on
 * the way in, exactly invertible. Packets of other kinds, and any whose checksum is not
 * known to be right (PACKET_CSUM_VALID), go out as they are: a damaged segment must
 * arrive damaged.
 */
#pragma once
#include <sys/socket.h>
#include <sys/uio.h>

#include "apps/raw_socket/ring.h"
#include "engine/packet.h"

#define MERGE_MAX    64  /* packets of a run at most */
#define MERGE_HEADER 128 /* bytes of Ethernet, IP and TCP headers at most */

/* A message and all that it points to. */
struct merge_message {
    struct msghdr message;
    struct iovec vectors[MERGE_MAX + 2];
    uint8_t vnet[RING_VNET_SIZE];
    uint8_t header[MERGE_HEADER];
};

/* Length of the run at the front of n packets, at most so many (up to MERGE_MAX): 1 when
 * the first stays alone. */
uint32_t merge_run(struct packet *const *p, uint32_t n, uint32_t most);

/* Describes a run of n packets, n > 1. The packets stay as they are and must outlive the
 * message. */
void merge_message(struct merge_message *m, struct packet *const *p, uint32_t n);
