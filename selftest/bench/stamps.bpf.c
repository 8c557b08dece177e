/* stamps.bpf: frames that say when they were sent, and how long they took.
 *
 * This file may also be used under the MIT licence or the GPL, version 2.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "lib/histogram.h"
#include "selftest/bench/stamps.h"

/* Set before they run. */
struct stamps_frame frame;

struct histogram took;
__u64 others;

#define TURNS 50000 /* some 20 ns each: a millisecond */

/* The time, and its complement: checksums stay as they are. */
struct stamp {
    __u64 time, complement;
};

/* Until it is time for the next ones. */
static __always_inline __u64 wait(void)
{
    static __u64 due;
    static __u32 left;
    __u64 now = bpf_ktime_get_ns();
    if (left) {
        left--;
        return now;
    }
    for (int i = 0; i < TURNS && now < due; i++)
        now = bpf_ktime_get_ns();
    due = (now < due + frame.gap ? due : now) + frame.gap;
    left = frame.together - 1;
    return now;
}

/* Sends the frame, whatever became of it when it was run before. */
SEC("xdp")
int stamped(struct xdp_md *context)
{
    int longer = (int)bpf_xdp_get_buff_len(context) - (int)frame.size;
    if (bpf_xdp_adjust_head(context, longer))
        return XDP_ABORTED;
    void *data = (void *)(long)context->data;
    if (data + STAMPS_HEADER > (void *)(long)context->data_end)
        return XDP_ABORTED;
    __builtin_memcpy(data, frame.header, STAMPS_HEADER);
    struct stamp *stamp = data + STAMPS_HEADER - sizeof(*stamp);
    stamp->time = wait();
    stamp->complement = ~stamp->time;
    return XDP_TX;
}

/* As histogram_bucket says; to count leading zeros is nothing that clang 14 could say in BPF. */
static __always_inline __u32 bucket_of(__u64 value)
{
    __u32 shift = 0;
    while (shift < 64 - HISTOGRAM_SUB_BITS && value >> (HISTOGRAM_SUB_BITS + 1)) {
        value >>= 1;
        shift++;
    }
    return (shift << HISTOGRAM_SUB_BITS) + (__u32)value;
}

SEC("xdp")
int arrived(struct xdp_md *context)
{
    struct stamp *stamp = (void *)(long)context->data + (frame.at & 127);
    if ((void *)(stamp + 1) > (void *)(long)context->data_end ||
        stamp->complement != ~stamp->time) {
        __sync_fetch_and_add(&others, 1);
        return XDP_DROP;
    }
    const __u64 time = bpf_ktime_get_ns() - stamp->time;
    const __u32 bucket = bucket_of(time);
    if (bucket < HISTOGRAM_BUCKETS)
        __sync_fetch_and_add(&took.buckets[bucket], 1);
    __sync_fetch_and_add(&took.count, 1);
    __sync_fetch_and_add(&took.sum, time);
    if (time > took.max)
        took.max = time;
    return XDP_DROP;
}

char LICENSE[] SEC("license") = "Apache-2.0";
