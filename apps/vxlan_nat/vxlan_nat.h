/* vxlan_nat: what the files of VxlanNat share.
 *
 *   vxlan_nat.c    the app's life
 *   tunnel.c       what becomes of frames that come in tunnels
 *   back.c         ... of those that may answer them
 *   forward.c      how packets go out, either way
 *   errors.c       ICMP errors: of others, and our own
 *   reassemble.c   outer packets that come in fragments
 *   hops.c         the MACs that frames leave with
 *   tables.c       flows and what they refer to
 *   live.c         what changes while it runs
 *   operations.c   what people ask it for
 */
#pragma once
#include "apps/vxlan_nat/fast_path.h"
#include "apps/vxlan_nat/fragments.h"
#include "apps/vxlan_nat/icmp.h"
#include "apps/vxlan_nat/live.h"
#include "apps/vxlan_nat/plan.h"
#include "apps/vxlan_nat/sessions.h"
#include "engine/engine.h"
#include "engine/plain.h"

#define TENTH       100000000ull /* ns: of such are vxlan_state.now and the timers */
#define CHECKED     1024         /* one packet of so many has its checksum looked at */
#define SWEEP       64           /* flows that are looked at in a tick */
#define VXLAN_LARGE 256 /* packets of the second size class: whole ones, of fragments */

/* Packets that are looked at before the first one goes on. */
#define VXLAN_BATCH 16

enum vxlan_histogram { TOOK };

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
    HELD,
    OUTER_MERGED,
    FAST_PACKETS,
    BACK_PACKETS,
    BACK_FORWARDED,
    BACK_BYTES,
    ICMP_SENT,
    CSUM_FINISHED,
    CHECKED_CSUM,
    CHECKED_CSUM_BAD,
    SESSIONS,
    SESSIONS_DISPLACED,
    ALLOWED,
    PROBLEM,
    DROP_NO_PACKET,
    DROP_NO_PACKET_OUTER,
    DROP_OFFLOAD,
    FIRST_REASON,
};

struct vxlan_nat {
    struct plan plan;
    struct siphash_key secret;
    struct plain plain, plain_back;
    struct vxlan_state *state;
    struct fast_path *fast; /* whose the tables are; NULL: they are our own */
    bool complained;        /* that it cannot be attached */
    uint64_t looked;        /* after it, ns */
    struct sessions sessions;
    struct live live;
    struct fragments *fragments;
    struct reassembly *reassembly;
    uint64_t bad_pieces, lost_pieces; /* of it, that were counted */
    struct table *tunnels;            /* both ends of one: its number */
    bool wanted[VXLAN_TUNNELS];  /* a flow refers to it, as far as the sweep has come */
    uint64_t swept;              /* how far that is */
    uint64_t next_round;         /* of it, ns */
    uint64_t next_try, patience; /* of attaching the fast path; between tries, ns */
    struct next_hop *next_hop;   /* of egress; NULL: MACs are as configured */
    struct egress *egress;
    struct table *hop_numbers; /* a destination: its number in state->hops */
    bool hop_used[VXLAN_HOPS], hop_wanted[VXLAN_HOPS];
    bool stale[VXLAN_HOPS]; /* the kernel is not certain of that MAC any more */
    uint64_t hop_generation, confirmed;
    uint32_t tunnel_mtu; /* bytes of an outer packet; 0: none is too long */
    uint64_t icmp_due;   /* when the rate of our own ICMP errors allows the next, ns */
    uint16_t outer_id;
    uint32_t checked; /* packets, of which one in CHECKED is */
    bool warned;      /* that many are wrong */
    uint64_t bad_before, checked_before;
};

/* --- tunnel.c, back.c ------------------------------------------------------------------ */

/* At most VXLAN_BATCH, which are theirs. */
void vxlan_take_tunnelled(struct app *app, struct packet *const *p, uint32_t n);
void vxlan_take_back(struct app *app, struct packet *const *p, uint32_t n);

/* Where the way of a packet ends that is refused for this. */
enum vxlan_stage vxlan_stage_of(uint8_t reason);

/* The packet is freed, counted under the reason. */
void vxlan_refuse_packet(struct app *app, struct packet *p, enum vxlan_reason reason);

/* A packet of a flow goes by. */
void vxlan_count_flow(const struct vxlan_nat *nat, struct vxlan_flow *flow,
                      const struct vxlan_frame *f);

/* A fragment that came before its first one: it waits, or is refused. */
void vxlan_wait_for_first(struct app *app, const struct vxlan_seen *seen);

/* What waited for the first fragment of its packet. */
void vxlan_take_early(struct app *app, const struct vxlan_seen *first);
void vxlan_drop_early(struct app *app);
void vxlan_go_on(struct app *app, const struct vxlan_seen *seen);
void vxlan_go_back(struct app *app, const struct vxlan_seen *seen);

/* --- forward.c -------------------------------------------------------------------------- */

/* Another identification; the XDP program takes some as well. */
static inline uint16_t vxlan_next_id(struct vxlan_state *state, uint32_t slot)
{
    return (uint16_t)(state->shared
                          ? __atomic_fetch_add(&state->ids[slot], 1, __ATOMIC_RELAXED)
                          : state->ids[slot]++);
}
#define VXLAN_NEXT_ID(state, slot) vxlan_next_id(state, slot)

#include "apps/vxlan_nat/pass.bpf.h"

/* What the XDP program would do (pass.bpf.h). False: it would leave it to us, and nothing happened. */
bool vxlan_forward_known(struct app *app, const struct vxlan_seen *seen,
                         const struct vxlan_flow *flow, struct vxlan_passed *passed);

/* The packet gets what the flow says, and is sent or refused. */
void vxlan_forward(struct app *app, const struct vxlan_seen *seen,
                   const struct vxlan_flow *flow);
void vxlan_return(struct app *app, const struct vxlan_seen *seen,
                  const struct vxlan_flow *answer);

/* Where frames go back to. */
struct vxlan_way {
    uint32_t tunnel, vni;
    uint32_t entropy; /* of their flow */
};

/* An inner frame, with the addresses that it has; false: it was freed. */
bool vxlan_send_back(struct app *app, struct packet *p, const struct vxlan_way *way);

/* The longest packet that goes back through the tunnel of an answer; 0: any. */
uint32_t vxlan_back_mtu(const struct vxlan_nat *nat, const struct vxlan_flow *flow);

/* A packet that went back, or found no way. */
void vxlan_count_back(struct app *app, bool sent);

/* An inner frame to output, where its flow goes, or as soon as it is known how; counted there. */
void vxlan_send_on(struct app *app, struct packet *p, const struct vxlan_flow *flow);

/* The same when its MACs are right. */
void vxlan_emit(struct app *app, struct packet *p);

/* p from its inner Ethernet header to the end of its IP packet; returns where that begins. */
uint32_t vxlan_uncover(const struct app *app, struct packet *p,
                       const struct vxlan_frame *f);

/* --- errors.c --------------------------------------------------------------------------- */

/* An ICMP error goes where the packet in it came from. False: it is none, and nothing happened. */
bool vxlan_take_error(struct app *app, const struct vxlan_seen *seen);

/* Tells who sent the packet, which is as it came, that it goes no further: up to a thousand a
 * second, and nobody in mode oneway. mtu: what would fit. */
void vxlan_tell(struct app *app, const struct vxlan_seen *seen,
                const struct vxlan_flow *flow, enum icmp_error error, uint32_t mtu);

/* --- reassemble.c ----------------------------------------------------------------------- */

int vxlan_reassemble_start(struct app *app, const struct siphash_key *seed,
                           struct error *err);
void vxlan_reassemble_tick(struct app *app);

/* An outer fragment, which is taken over. The whole packet, or NULL: others are missing. */
struct packet *vxlan_reassemble(struct app *app, struct packet *p,
                                const struct vxlan_frame *f);

/* --- hops.c ------------------------------------------------------------------------------- */

int vxlan_hops_open(struct app *app, struct error *err);
void vxlan_hops_close(struct app *app);
void vxlan_hops_tick(struct app *app);
/* When that is to be done even if nothing comes, ns; UINT64_MAX: not at all. */
uint64_t vxlan_hops_due(const struct vxlan_nat *nat);
uint32_t vxlan_hops_held(const struct vxlan_nat *nat);

/* The number of a destination, for a flow; VXLAN_HOP_NONE: there are too many. */
uint32_t vxlan_hop_number(struct vxlan_nat *nat, const uint32_t address[4]);

/* Numbers that no flow of this round of the sweep has. */
void vxlan_hops_forget(struct vxlan_nat *nat);

/* The frame is sent to that address, waits for it or is refused. */
void vxlan_resolve(struct app *app, struct packet *p, const uint32_t address[4]);

/* --- operations.c --------------------------------------------------------------------- */

extern const struct operation_row vxlan_operations[];
int vxlan_call(struct app *app, uint32_t operation, const struct value *args,
               struct value *answer, struct error *err);

/* --- tables.c ------------------------------------------------------------------------- */

int vxlan_tables_open(struct app *app, struct error *err);
void vxlan_tables_close(struct vxlan_nat *nat);

/* What the plan of conf says, for whoever only sees the state. Flows that may pass no more are gone. */
void vxlan_tables_follow(struct app *app, const struct vxlan_nat_conf *conf);

/* Adds what became of packets of known flows. */
void vxlan_tables_count(struct app *app, const struct vxlan_passed *passed);

/* In every tick: what the XDP program counted, and whether it is where it is wanted. */
void vxlan_tables_follow_fast(struct app *app);

/* In every tick. */
void vxlan_tables_sweep(struct vxlan_nat *nat, uint64_t now);

/* The number of the tunnel that f came by; VXLAN_TUNNELS: there is no room for another. */
uint32_t vxlan_tunnel_number(struct vxlan_nat *nat, const uint8_t *frame,
                             const struct vxlan_frame *f);
