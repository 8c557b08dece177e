/* vxlan_nat: what the files of VxlanNat share.
 *
 *   vxlan_nat.c    what becomes of a frame
 *   forward.c      how inner packets go out
 *   tables.c       flows and what they refer to
 */
#pragma once
#include "apps/vxlan_nat/fast_path.h"
#include "apps/vxlan_nat/plan.h"
#include "apps/vxlan_nat/sessions.h"
#include "engine/engine.h"
#include "engine/plain.h"

#define TENTH 100000000ull /* ns: of such are vxlan_state.now and the timers */
#define SWEEP 4096         /* flows that are looked at in a tick */

enum vxlan_counter {
    TOTAL_PACKETS,
    VXLAN_PACKETS,
    INNER_PACKETS,
    NAT_APPLIED,
    DF_CLEARED,
    FORWARDED,
    REDIRECTED,
    ERRORS,
    BYTES_PROCESSED,
    FRAGMENTED,
    FAST_PACKETS,
    SESSIONS,
    SESSIONS_DISPLACED,
    DROP_NO_PACKET,
    DROP_OFFLOAD,
    FIRST_REASON,
};

struct vxlan_nat {
    struct plan plan;
    struct plain plain;
    struct vxlan_state *state;
    struct fast_path *fast; /* whose the tables are; NULL: they are our own */
    bool complained;        /* that it cannot be attached */
    uint64_t looked;        /* after it, ns */
    struct sessions sessions;
    struct table *fragments;
    struct table *tunnels;      /* both ends of one: its number */
    bool wanted[VXLAN_TUNNELS]; /* a flow refers to it, as far as the sweep has come */
    uint64_t swept;             /* how far that is */
};

/* The packet is freed, counted under the reason. */
void vxlan_refuse_packet(struct app *app, struct packet *p, enum vxlan_reason reason);

/* What is known of p's inner packet is f, what it gets flow->to; p is sent or freed. */
void vxlan_forward(struct app *app, struct packet *p, const struct vxlan_frame *f,
                   const struct vxlan_flow *flow);

/* --- tables.c ------------------------------------------------------------------------- */

int vxlan_tables_open(struct app *app, struct error *err);
void vxlan_tables_close(struct vxlan_nat *nat);

/* What the plan says, for whoever only sees the state. Flows that may pass no more are gone. */
void vxlan_tables_follow(struct app *app);

/* In every tick: what the XDP program counted, and whether it is where it is wanted. */
void vxlan_tables_follow_fast(struct app *app);

/* In every tick. */
void vxlan_tables_sweep(struct vxlan_nat *nat);

/* The number of the tunnel that f came by; VXLAN_TUNNELS: there is no room for another. */
uint32_t vxlan_tunnel_number(struct vxlan_nat *nat, const uint8_t *frame,
                             const struct vxlan_frame *f);
