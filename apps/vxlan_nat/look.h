/* look: what is in a frame (decap.bpf.h, for the app).
 *
 *   look_tunnel    a frame that may be of one of our tunnels
 *   look_back      one that may be an answer to what was in one
 */
#pragma once
#include "apps/vxlan_nat/plan.h"
#include "apps/vxlan_nat/vxlan.bpf.h"

enum look {
    LOOK_OUTSIDE, /* f->reason: not ours, or not a tunnel's */
    LOOK_TUNNEL,  /* ... of ours, but what is in it is no IP packet */
    LOOK_INSIDE,  /* all is known */
};

enum look look_tunnel(const struct plan *plan, const uint8_t *data, uint32_t length,
                      struct vxlan_frame *f);

/* False: no IP packet. */
bool look_back(const struct plan *plan, const uint8_t *data, uint32_t length,
               struct vxlan_frame *f);
