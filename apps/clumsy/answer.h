/* answer: packets that a router or a firewall on the way makes of one that passes.
 *
 *   answer_reset     a TCP RST to one of its two ends
 *   answer_too_big   the ICMP message that path MTU discovery waits for
 *   answer_flip      sets RST in the packet itself
 *
 * Frames are written with right lengths and checksums, without Ethernet padding; VLAN tags
 * are those of the packet.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/frame.h"

#define ANSWER_SIZE 1400 /* most that is written */

/* The RST that the end of the connection to which the packet goes (or, backwards, from which
 * it comes) takes for its peer's: forwards it has the packet's sequence number, which is the
 * next one expected unless something before it is missing; backwards that which the sender
 * acknowledged (RFC 5961, 3.2). frame is TCP. Returns the length. */
uint32_t answer_reset(const struct frame *frame, bool backwards, uint8_t *out);

/* Destination unreachable, fragmentation needed (RFC 1191) or packet too big (RFC 8201, RFC
 * 4443), to the sender, from the address that the packet was going to. mtu: bytes of IP. 0:
 * no answer may be sent (RFC 1122, 3.2.2; RFC 4443, 2.4): the packet is an error message
 * itself, a later fragment, or comes from or goes to many; or, in IPv4, may be fragmented by
 * the next router, but then it is answered all the same: this one does not fragment. */
uint32_t answer_too_big(const struct frame *frame, uint32_t mtu, uint8_t *out);

/* data is what frame was parsed from. */
void answer_flip(const struct frame *frame, uint8_t *data);
