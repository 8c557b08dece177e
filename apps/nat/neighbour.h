/* neighbour: who asks for the address of a NAT is told the MAC address of a host behind it.
 *
 *   neighbour_answer4   turns an ARP request into the reply (RFC 826)
 *   neighbour_answer6   turns a neighbour solicitation into the advertisement (RFC 4861, 4.3,
 *                       4.4, 7.2.4)
 *
 * In place, VLAN tags and all. False, and nothing changed, when it is something else or not for
 * that address.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "engine/packet.h"
#include "lib/frame.h"

bool neighbour_answer4(struct packet *p, const struct frame *frame,
                       const uint8_t *address, const uint8_t *mac);
bool neighbour_answer6(struct packet *p, const struct frame *frame,
                       const uint8_t *address, const uint8_t *mac);
