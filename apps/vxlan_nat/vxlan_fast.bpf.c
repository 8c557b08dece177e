/* vxlan_fast.bpf: VxlanNat's packets of known flows, without leaving the kernel.
 *
 *     frame --> what is in it --> its flow --> rewrite --> the other interface
 *                     |              |
 *                     v              v
 *                 not sure?    not known? --> the next program, and so to the app
 *
 * It decides nothing: a flow is what the app decided for the first packet of it. What is not for
 * certain goes on to the program behind, uncounted, as if this one were not there.
 *
 * This file and the .bpf.h files that it includes may also be used under the MIT licence or the
 * GPL, version 2.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define SHARED_BUCKET(view, number) find_index((view).buckets, number)
#define SHARED_SLOT(view, number)   find_index((view).slots, number)
#define VXLAN_NEXT_ID(state, slot)  ((__u16)__sync_fetch_and_add(&(state)->ids[slot], 1))

static __always_inline void *find_index(void *map, __u32 index)
{
    return bpf_map_lookup_elem(map, &index);
}

#include "apps/vxlan_nat/pass.bpf.h"
#include "lib/shared_table.bpf.h"

#define TABLE(NAME, TYPE, VALUE, MAX, FLAGS)                                             \
    struct {                                                                             \
        __uint(type, BPF_MAP_TYPE_##TYPE);                                               \
        __uint(max_entries, MAX);                                                        \
        __uint(map_flags, FLAGS);                                                        \
        __type(key, __u32);                                                              \
        __type(value, VALUE);                                                            \
    } NAME SEC(".maps")

struct vxlan_bucket {
    __u32 words[SHARED_WORDS];
};

struct vxlan_slot {
    struct vxlan_key key;
    struct vxlan_flow flow;
};

/* Sizes are set before loading. */
TABLE(flow_buckets, ARRAY, struct vxlan_bucket, 1, BPF_F_MMAPABLE);
TABLE(flow_slots, ARRAY, struct vxlan_slot, 1, BPF_F_MMAPABLE);
TABLE(counts, PERCPU_ARRAY, struct vxlan_counts, 1, 0);
/* One for each kind of program: the kernel keeps those with frames in pieces apart. */
TABLE(egress, DEVMAP, __u32, 1, 0);
TABLE(egress_frags, DEVMAP, __u32, 1, 0);
TABLE(next, PROG_ARRAY, __u32, 1, 0);
TABLE(next_frags, PROG_ARRAY, __u32, 1, 0);

struct vxlan_state state SEC(".data.state");

const volatile __u32 flow_mask;

#define NEXT (-1)

struct vxlan_context {
    const __u8 *data, *end;
};

/* Whose flow it is has seen the rest. */
#define VXLAN_DATA(c)                ((c)->data)
#define VXLAN_END(c)                 ((c)->end)
#define VXLAN_POLICY(c)              ((void)(c), &state.policy)
#define VXLAN_IS_VTEP(c, address)    1
#define VXLAN_IS_PEER(c, address)    1
#define VXLAN_IS_NETWORK(c, vni)     1
#define VXLAN_UDP_IS_WRONG(c, frame) 1

#define VXLAN_HEADERS 0

#include "apps/vxlan_nat/decap.bpf.h"

static __always_inline struct vxlan_flow *find_flow(struct vxlan_frame *f)
{
    struct shared_view view = { .buckets = &flow_buckets,
                                .slots = &flow_slots,
                                .head = &state.flows,
                                .mask = flow_mask,
                                .capacity = SHARED_CAPACITY,
                                .words = VXLAN_KEY_WORDS };
    const __u32 *key = (const __u32 *)vxlan_key_of(f);
    return shared_find_hashed(view, key,
                              shared_hash(key, VXLAN_KEY_WORDS, state.flows.seed));
}

static __always_inline int is_from_its_tunnel(const struct vxlan_frame *f,
                                              const struct vxlan_flow *flow)
{
    return flow->tunnel < VXLAN_TUNNELS && vxlan_is_from(f, &state.tunnels[flow->tunnel]);
}

static __always_inline void see(struct vxlan_flow *flow, const struct vxlan_frame *f)
{
    __sync_fetch_and_add(&flow->packets, 1);
    __sync_fetch_and_add(&flow->bytes, f->end - f->inner);
    flow->used = state.now;
}

static __always_inline int refuse(const struct vxlan_frame *f, struct vxlan_flow *flow)
{
    struct vxlan_counts *count = find_index(&counts, 0);
    if (!count)
        return NEXT;
    see(flow, f);
    count->refused[flow->reason % VXLAN_REFUSALS]++;
    count->truncated += f->truncated;
    return XDP_DROP;
}

static __always_inline int forward(struct xdp_md *ctx, void *to,
                                   const struct vxlan_frame *f, struct vxlan_flow *flow)
{
    __u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct vxlan_counts *count = find_index(&counts, 0);
    if (!count || data + f->end != end || !vxlan_pass(data, end, f, flow, &state))
        return NEXT;
    see(flow, f);
    count->truncated += f->truncated;
    if (bpf_xdp_adjust_head(ctx, f->inner) ||
        bpf_redirect_map(to, 0, 0) != XDP_REDIRECT) {
        count->refused[VX_NO_OUTPUT]++;
        return XDP_DROP;
    }
    vxlan_count_passed(&count->passed, f, flow, &state);
    return XDP_REDIRECT;
}

/* Verified by itself, so that its many ways do not multiply with what follows. */
__attribute__((noinline, weak)) int vxlan_look(struct xdp_md *ctx, struct vxlan_frame *f)
{
    struct vxlan_context c = { (void *)(long)ctx->data, (void *)(long)ctx->data_end };
    return f && vxlan_outer(&c, f) && vxlan_tunnel(&c, f) && vxlan_inner(&c, f) &&
           !(f->family == 6 && vxlan_is_extension(f->protocol)) && vxlan_has_key(f);
}

static __always_inline int decide(struct xdp_md *ctx, void *to)
{
    struct vxlan_frame f;
    struct vxlan_flow *flow;
    if (state.traced || !vxlan_look(ctx, &f) || !(flow = find_flow(&f)))
        return NEXT;
    if (flow->reason) /* wherever it comes from */
        return vxlan_is_refused(&f, flow, &state) ? refuse(&f, flow) : NEXT;
    if (!is_from_its_tunnel(&f, flow))
        return NEXT;
    return forward(ctx, to, &f, flow);
}

SEC("xdp")
int vxlan_fast(struct xdp_md *ctx)
{
    int verdict = decide(ctx, &egress);
    if (verdict == NEXT) {
        bpf_tail_call(ctx, &next, 0); /* does not come back */
        verdict = XDP_PASS;
    }
    return verdict;
}

SEC("xdp.frags")
int vxlan_fast_frags(struct xdp_md *ctx)
{
    int verdict = decide(ctx, &egress_frags);
    if (verdict == NEXT) {
        bpf_tail_call(ctx, &next_frags, 0);
        verdict = XDP_PASS;
    }
    return verdict;
}

/* For a trial whether frames get through to the other interface at all. */
SEC("xdp")
int vxlan_trial(struct xdp_md *ctx)
{
    (void)ctx;
    return (int)bpf_redirect_map(&egress, 0, 0);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
