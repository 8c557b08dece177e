/* fragments: where the fragments of a packet go: where its first one went, which has the ports.
 *
 *   fragments_new, fragments_free
 *   fragments_find      the flow of the packet that a fragment is of
 *   fragments_put       what its first one was found to be of
 *   fragments_hold      one that came before the first waits for it a little
 *   fragments_release   one that waited for this first one
 *   fragments_expire    one that waited in vain
 *   fragments_each      what is known of packets, for whoever counts references
 *   fragments_held
 *
 * FRAGMENTS packets are known for FRAGMENTS_TIME, or until others need the room; up to
 * FRAGMENTS_HELD_EACH of one, FRAGMENTS_HELD in all wait for FRAGMENTS_PATIENCE (RFC 791, 8200 4.5).
 */
#pragma once
#include "apps/vxlan_nat/vxlan.bpf.h"
#include "engine/packet.h"
#include "lib/siphash.h"

#define FRAGMENTS           8192
#define FRAGMENTS_TIME      15000000000ull /* ns */
#define FRAGMENTS_HELD      256
#define FRAGMENTS_HELD_EACH 4
#define FRAGMENTS_PATIENCE  100000000ull

/* A packet, and what is known of it. */
struct vxlan_seen {
    struct packet *p;
    struct vxlan_frame f;
    uint64_t hash; /* of the key, where sessions want it */
    bool back;     /* it is no tunnel's */
};

struct fragments;

/* NULL when memory is out. */
struct fragments *fragments_new(const struct siphash_key *seed);

/* Frees what waits, too. */
void fragments_free(struct fragments *fragments);

/* NULL when its first one did not come. */
struct vxlan_flow *fragments_find(struct fragments *fragments,
                                  const struct vxlan_seen *seen, uint64_t now);
void fragments_put(struct fragments *fragments, const struct vxlan_seen *seen,
                   const struct vxlan_flow *flow, uint64_t now);

/* Takes the packet; false when there is no room for it. */
bool fragments_hold(struct fragments *fragments, const struct vxlan_seen *seen,
                    uint64_t now);

/* False when there is none. The packet is the caller's. */
bool fragments_release(struct fragments *fragments, const struct vxlan_seen *first,
                       struct vxlan_seen *held);
bool fragments_expire(struct fragments *fragments, uint64_t now, struct vxlan_seen *held);

/* Of those whose time is not over. */
void fragments_each(struct fragments *fragments, uint64_t now,
                    void (*each)(const struct vxlan_flow *flow, void *user), void *user);

uint32_t fragments_held(const struct fragments *fragments);
