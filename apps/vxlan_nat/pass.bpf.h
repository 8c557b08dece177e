/* pass.bpf: a packet of a known flow goes on, without asking anybody.
 *
 *   vxlan_pass            its inner frame becomes what goes out
 *   vxlan_count_passed    ... and did
 *
 * Compiled for the XDP program and for the app, behind
 *
 *   VXLAN_NEXT_ID(state, slot)    another identification, of 16 bits
 */
#pragma once
#include "apps/vxlan_nat/flow.bpf.h"
#include "apps/vxlan_nat/rewrite.bpf.h"

/* data: the frame that f is of, up to end. 1, and the inner frame is at data + f->inner; or 0, and
 * nothing has changed: it is the app's to do what is right. */
vxlan_inline int vxlan_pass(__u8 *data, const __u8 *end, const struct vxlan_frame *f,
                            const struct vxlan_flow *flow, struct vxlan_state *state)
{
    union vxlan_hop hop = { .word = state->hops[flow->hop % VXLAN_HOPS].word };
    struct vxlan_change change = { state->clear_df, state->decrement, 0 };
    __u32 at = f->inner;
    __u8 *inner = data + at;
    if (at > VXLAN_REACH || inner + 14 > end || hop.state == MAC_UNKNOWN ||
        !vxlan_goes(f, flow, state))
        return 0;
    if (state->finish &&
        (state->finish > 1 || vxlan_is_unfinished(data, end, f, flow->pseudo)))
        return 0;
    if (change.clear_df && f->df)
        change.id = __builtin_bswap16(VXLAN_NEXT_ID(state, vxlan_id_slot(f)));
    if (!vxlan_rewrite(data, end, f, &flow->to, &change))
        return 0;
    if (hop.state == MAC_KNOWN)
        __builtin_memcpy(inner, hop.mac, 6);
    if (state->source.state == MAC_KNOWN)
        __builtin_memcpy(inner + 6, state->source.mac, 6);
    return 1;
}

vxlan_inline void vxlan_count_passed(struct vxlan_passed *passed,
                                     const struct vxlan_frame *f,
                                     const struct vxlan_flow *flow,
                                     const struct vxlan_state *state)
{
    passed->forwarded++;
    passed->bytes += f->end - f->inner;
    passed->rewritten += flow->flags & FLOW_REWRITTEN;
    passed->df_cleared += state->clear_df && f->df;
}
