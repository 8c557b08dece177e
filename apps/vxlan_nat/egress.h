/* egress: frames get the MACs of their next hop, or wait for them.
 *
 *   egress_new       frames leave by the interface of a next_hop
 *   egress_resolve   a frame to an address: it may go, waits, or cannot
 *   egress_poll      those that waited long enough, or for something that came
 *   egress_due       when egress_poll has something to do even if nothing changed
 *   egress_held      packets that wait
 *   egress_free
 *
 *     resolve --> send                  known
 *         |
 *         +--> held (3, 16 kB) ------> send    the MAC has come
 *         |       |   asked at 0, 1, 2 s
 *         |       +----------------> drop    pushed out by a newer one, or after 3 s
 *         +--> refused                        no route, the interface is down, or failed within 1 s
 *
 * What a stranger can make us hold and ask the kernel has bounds: EGRESS_NEIGHBOURS next hops that
 * are being asked for, or were in vain, and of each so many frames. Frames to one next hop keep
 * their order. Every packet that was held ends in send or drop, or is freed with the egress.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/vxlan_nat/vxlan.bpf.h"

#define EGRESS_NEIGHBOURS 256
#define EGRESS_PACKETS    3     /* that wait for one next hop */
#define EGRESS_BYTES      16384 /* of them */
#define EGRESS_TRIES      3
#define EGRESS_SECOND                                                                    \
    1000000000ull /* ns between tries, and for which a failure is believed */

struct egress;
struct next_hop;
struct packet;

/* Where packets go that waited; they are the sink's then. It must not call back. */
struct egress_sink {
    void (*send)(struct packet *p, void *user); /* both MACs are written */
    void (*drop)(struct packet *p, enum vxlan_reason reason, void *user);
    void *user;
};

/* smac: NULL for the interface's own. dmac: the MAC of whoever is sent to; NULL: as the kernel
 * says. hop stays the caller's, and is read by it. NULL when memory is out. */
struct egress *egress_new(struct next_hop *hop, const uint8_t *smac, const uint8_t *dmac,
                          const struct egress_sink *sink);

/* Frees what is held; returns how many packets that were. egress: or NULL. */
unsigned egress_free(struct egress *egress);

enum egress_verdict {
    EGRESS_SEND, /* both MACs are written; the packet is the caller's */
    EGRESS_HELD, /* it is egress's */
    EGRESS_REFUSED, /* it is the caller's, to be dropped for *reason: VX_NEIGH or VX_TX_DOWN */
};

/* p: a whole Ethernet frame. address: where to, IPv4 mapped; that of a gateway if the caller
 * knows one. now: ns. The MACs of EGRESS_SEND are good for the same address for as long as
 * next_hop_generation is the same. */
enum egress_verdict egress_resolve(struct egress *egress, struct packet *p,
                                   const uint8_t address[16], uint64_t now,
                                   enum vxlan_reason *reason);

/* To be called after next_hop_read, and when it is due; costs nothing otherwise. */
void egress_poll(struct egress *egress, uint64_t now);

/* UINT64_MAX: nothing waits. */
uint64_t egress_due(const struct egress *egress);

unsigned egress_held(const struct egress *egress);
