/* flow_sentinel.bpf: FlowSentinel in front of an interface.
 *
 *     frame --> dissect --> judge --> the kernel
 *                             |
 *                             v
 *                        drop, or answer
 *
 * All there is to decide lies in dissect.bpf.h and judge.bpf.h; here are the maps behind their
 * tables. They outlive this program: what changes is the policy, read-only data of a new program
 * that takes this one's place between two frames.
 *
 * This file and the .bpf.h files that it includes may also be used under the MIT licence or the
 * GPL, version 2.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define SHARED_BUCKET(view, number) find_index((view).buckets, number)
#define SHARED_SLOT(view, number)   find_index((view).slots, number)

static __always_inline void *find_index(void *map, __u32 index)
{
    return bpf_map_lookup_elem(map, &index);
}

#include "apps/flow_sentinel/sentinel.bpf.h"

#define sentinel_context xdp_md /* what is passed through is what the kernel gives us */
#define sentinel_stage                                                                   \
    __attribute__((noinline, weak)) /* weak: it must not know its callers */
#define CONTEXT_DATA(c)   ((void *)(long)(c)->data)
#define CONTEXT_END(c)    ((void *)(long)(c)->data_end)
#define CONTEXT_POLICY(c) ((void)(c), &policy)

#define TABLE(NAME, TYPE, KEY, VALUE, MAX, FLAGS)                                        \
    struct {                                                                             \
        __uint(type, BPF_MAP_TYPE_##TYPE);                                               \
        __uint(max_entries, MAX);                                                        \
        __uint(map_flags, FLAGS);                                                        \
        __type(key, KEY);                                                                \
        __type(value, VALUE);                                                            \
    } NAME SEC(".maps")

struct sentinel_sketch_row {
    __u32 cells[8192];
};

struct sentinel_address {
    __u32 word[4];
};

struct sentinel_bucket {
    __u32 words[SHARED_WORDS];
};

struct sentinel_entry_slot {
    struct sentinel_address key;
    struct sentinel_entry entry;
};

struct sentinel_destination_slot {
    struct sentinel_address key;
    struct sentinel_destination destination;
};

/* Sizes may be set before loading. */
TABLE(entry_buckets, ARRAY, __u32, struct sentinel_bucket, 1 << 17, BPF_F_MMAPABLE);
TABLE(entry_slots, ARRAY, __u32, struct sentinel_entry_slot, 393216, BPF_F_MMAPABLE);
TABLE(suspects, LRU_HASH, struct sentinel_address, struct sentinel_suspect, 65536, 0);
TABLE(verified, LRU_HASH, struct sentinel_address, __u64, 65536, 0);
TABLE(destination_buckets, ARRAY, __u32, struct sentinel_bucket, 2048, BPF_F_MMAPABLE);
TABLE(destination_slots, ARRAY, __u32, struct sentinel_destination_slot, 4096,
      BPF_F_MMAPABLE);
TABLE(destination_counts, PERCPU_ARRAY, __u32, struct sentinel_destination_counts, 4096,
      0);
TABLE(sketch, PERCPU_ARRAY, __u32, struct sentinel_sketch_row, 4, 0);
TABLE(handshakes, ARRAY, __u32, __u32, 1 << 16, 0);
TABLE(totals, PERCPU_ARRAY, __u32, struct sentinel_totals, 1, 0);
struct sentinel_state shared SEC(".data.shared") = { 0 };

/* The lists; none at first. A new one is built beside and takes the old one's place. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 1);
    __type(key, __u32);
    __array(
        values, struct {
            __uint(type, BPF_MAP_TYPE_LPM_TRIE);
            __uint(max_entries, 524288);
            __uint(map_flags, BPF_F_NO_PREALLOC);
            __uint(key_size, sizeof(struct sentinel_prefix));
            __uint(value_size, sizeof(struct sentinel_entry));
        });
} prefixes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 16);
} events SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 24);
} samples SEC(".maps");

const volatile struct sentinel_policy policy;
const volatile __u32 tick; /* ns; 0, for tests: the time is words.clock */
const volatile __u32 entry_mask, destination_mask; /* buckets - 1 */
const volatile __u32 has_cookies, has_frags;

/* --- the tables that judge.bpf.h asks for -------------------------------------------------- */

#define TABLE_ENTRY(c, key)            ((void)(c), find_entry(key))
#define TABLE_ADD_ENTRY(c, key, value) add_entry(key, value)
#define TABLE_DESTINATION(c, key)      ((void)(c), find_destination(key))
#define TABLE_FIND(c, name, key)       ((void)(c), bpf_map_lookup_elem(&name, key))
#define TABLE_INSERT(c, name, key, value)                                                \
    bpf_map_update_elem(&name, key, value, BPF_NOEXIST)
#define TABLE_PREFIX(c, key)      find_prefix(key)
#define TABLE_COUNTS(c, index)    find_index(&destination_counts, index)
#define TABLE_SKETCH(c, row)      find_index(&sketch, row)
#define TABLE_HANDSHAKES(c, cell) find_index(&handshakes, cell)
#define TABLE_STATE(c)            ((void)(c), &shared)
#define TABLE_EVENT(c)            bpf_ringbuf_reserve(&events, sizeof(struct sentinel_event), 0)
#define TABLE_SUBMIT(c, event)    bpf_ringbuf_submit(event, 0)
#define TABLE_CONNECTED(c, frame) is_connected(c, frame)

#define VIEW(TABLE, STATE)                                                               \
    (struct shared_view)                                                                 \
    {                                                                                    \
        .buckets = &TABLE##_buckets, .slots = &TABLE##_slots, .mask = TABLE##_mask,      \
        .head = (STATE), .capacity = SHARED_CAPACITY, .words = 4                         \
    }

static __always_inline struct sentinel_entry *find_entry(const __u32 key[4])
{
    return shared_find(VIEW(entry, &shared.entries), key);
}

static __always_inline int add_entry(const __u32 key[4],
                                     const struct sentinel_entry *entry)
{
    return shared_insert(VIEW(entry, &shared.entries), key, entry, sizeof(*entry));
}

static __always_inline struct sentinel_destination *find_destination(const __u32 key[4])
{
    return shared_find(VIEW(destination, &shared.destinations), key);
}

static __always_inline struct sentinel_entry *
find_prefix(const struct sentinel_prefix *key)
{
    void *list = find_index(&prefixes, 0);
    return list ? bpf_map_lookup_elem(list, key) : NULL;
}

/* The connection or listener that the frame is for, to be released. */
static __always_inline struct bpf_sock *find_socket(struct xdp_md *ctx,
                                                    const struct sentinel_frame *frame)
{
    struct bpf_sock_tuple tuple = { 0 };
    __u32 size = sizeof(tuple.ipv6);
    if (frame->family == 4) {
        size = sizeof(tuple.ipv4);
        tuple.ipv4.saddr = frame->src[3];
        tuple.ipv4.daddr = frame->dst[3];
        tuple.ipv4.sport = __builtin_bswap16(frame->sport);
        tuple.ipv4.dport = __builtin_bswap16(frame->dport);
    } else {
        __builtin_memcpy(tuple.ipv6.saddr, frame->src, 16);
        __builtin_memcpy(tuple.ipv6.daddr, frame->dst, 16);
        tuple.ipv6.sport = __builtin_bswap16(frame->sport);
        tuple.ipv6.dport = __builtin_bswap16(frame->dport);
    }
    return bpf_skc_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
}

static __always_inline int is_connected(struct xdp_md *ctx,
                                        const struct sentinel_frame *frame)
{
    struct bpf_sock *socket = find_socket(ctx, frame);
    if (!socket)
        return 0;
    int established = socket->state == BPF_TCP_ESTABLISHED;
    bpf_sk_release(socket);
    return established;
}

#define TABLE_ANSWERS(c, frame) ((void)(c), has_cookies && is_plain_syn(frame))

#include "apps/flow_sentinel/syn_cookie.bpf.h"

#include "apps/flow_sentinel/judge.bpf.h"

/* --- frames --------------------------------------------------------------------------------- */

/* Of sources that are blocked, whose packets are counted by themselves, one frame in so many times
 * as many is a sample; but where every frame is one. */
#define BLOCKED_SAMPLES 16

static __always_inline int is_blocked(const struct sentinel_frame *frame)
{
    return frame->reason == REASON_BLOCKED || frame->reason == REASON_BANNED ||
           frame->reason == REASON_LISTED;
}

static __always_inline __u32 sample_rate(const struct sentinel_frame *frame)
{
    return policy.sample > 1 && is_blocked(frame) ? BLOCKED_SAMPLES * policy.sample
                                                  : policy.sample;
}

/* One frame in sample_rate, at random: gaps of 1 to twice that, so that most frames cost a
 * subtraction. */
static __always_inline int is_sampled(struct sentinel_totals *all,
                                      const struct sentinel_frame *frame)
{
    __u64 *left = &all->gaps[is_blocked(frame)], gap = *left;
    __u64 longest = 2ull * sample_rate(frame) - 1;
    if (!policy.sample)
        return 0;
    if (gap > 1 && gap <= longest) {
        *left = gap - 1;
        return 0;
    }
    *left = 1 + bpf_get_prandom_u32() % longest;
    return 1;
}

/* Returns whether the frame is a sample. */
static __always_inline int count(const struct sentinel_frame *frame)
{
    struct sentinel_totals *all = find_index(&totals, 0);
    __u32 by_reason = (__u32)frame->reason << 2 | frame->verdict, class = frame->class;
    if (!all)
        return 0;
    /* What the compiler knows of them the verifier would not. */
    asm volatile("" : "+r"(by_reason), "+r"(class));
    judge_add(&all->reasons[by_reason & 255], frame);
    judge_add(&all->classes[class & 15], frame);
    return is_sampled(all, frame);
}

sentinel_stage int sample(struct xdp_md *ctx, struct sentinel_frame *frame)
{
    if (!frame)
        return 0;
    struct sentinel_sample *to = bpf_ringbuf_reserve(&samples, sizeof(*to), 0);
    if (!to) {
        __sync_fetch_and_add(&shared.samples_lost, 1);
        return 0;
    }
    __u32 kept = frame->bytes < SENTINEL_SNAPLEN ? frame->bytes : SENTINEL_SNAPLEN;
    to->frame = *frame;
    to->rate = sample_rate(frame);
    to->captured = 0;
    __builtin_memset(to->bytes, 0, sizeof(to->bytes));
    if (kept && kept <= SENTINEL_SNAPLEN && !bpf_xdp_load_bytes(ctx, 0, to->bytes, kept))
        to->captured = kept;
    __sync_fetch_and_add(&shared.samples, 1);
    bpf_ringbuf_submit(to, BPF_RB_NO_WAKEUP);
    return 0;
}

/* Ticks are a load; calling for a finer clock costs more than all that a blocked frame does
 * here. They stand still while the machine sleeps, of which set_clock keeps account. */
static __always_inline __u64 clock(void)
{
    return bpf_jiffies64() * tick + shared.clock;
}

/* Run by user space: at the beginning, and from time to time. Within a tick nothing is wrong. */
SEC("syscall")
int set_clock(void *unused)
{
    (void)unused;
    __u64 offset = bpf_ktime_get_boot_ns() - bpf_jiffies64() * tick;
    if (tick && offset - shared.clock + tick > 2ull * tick)
        shared.clock = offset;
    return 0;
}

SEC("xdp.frags")
int flow_sentinel(struct xdp_md *ctx)
{
    struct sentinel_frame frame;
    int answer = XDP_DROP;
    __u32 length =
        has_frags ? (__u32)bpf_xdp_get_buff_len(ctx) : (__u32)(ctx->data_end - ctx->data);
    sentinel_judge(ctx, &frame, length, 0xffff, clock());
    if (has_cookies && frame.verdict == VERDICT_ANSWER) {
        answer = syn_cookie_answer(ctx, &frame);
        if (answer == XDP_DROP)
            frame.verdict = VERDICT_DROP; /* a wrong checksum, or nobody listens */
    }
    if (count(&frame))
        sample(ctx, &frame);
    if (frame.verdict == VERDICT_DROP)
        return XDP_DROP;
    if (frame.verdict == VERDICT_ANSWER)
        return answer;
    return XDP_PASS;
}

char LICENSE[] SEC("license") =
    "Dual MIT/GPL"; /* the kernel's cookies are for such alone */
