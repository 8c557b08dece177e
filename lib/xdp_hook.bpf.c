/* xdp_hook.bpf: the one XDP program of an interface.
 *
 *     frame --> sockets --> behind --> the kernel
 *                  |           |
 *                  v           v
 *              AF_XDP      a program that was there before us
 *
 * An interface has room for one program, so what several apps want of it are stages of this
 * one: each either decides or leaves the frame to the next. What a stage must know lies in
 * read-only data, so that the verifier takes out what is not asked for; a change is a new
 * program that takes the place of the old one between two frames (bpf_link_update), with the
 * same maps.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "lib/traffic_match.bpf.h"

/* By receive queue; as many as the interface has. */
struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} sockets SEC(".maps");

/* The program that was attached before us, if any. */
struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} behind SEC(".maps");

const volatile struct traffic_match match;
const volatile __u32 fallback =
    XDP_PASS; /* for matching frames of queues without a socket */
const volatile __u32 has_behind;

#define NEXT (-1)

static __always_inline int to_socket(struct xdp_md *ctx)
{
    if (match.count) {
        struct traffic_key key;
        traffic_parse(&key, (void *)(long)ctx->data, (void *)(long)ctx->data_end);
        if (!traffic_test(&match, &key))
            return NEXT;
    }
    int verdict = (int)bpf_redirect_map(&sockets, ctx->rx_queue_index, 0);
    if (verdict == XDP_REDIRECT)
        return verdict;
    return fallback == XDP_PASS ? NEXT : (int)fallback;
}

SEC("xdp")
int vanguard(struct xdp_md *ctx)
{
    int verdict = to_socket(ctx);
    if (verdict != NEXT)
        return verdict;
    if (has_behind)
        bpf_tail_call(ctx, &behind, 0); /* does not come back */
    return XDP_PASS;
}

char LICENSE[] SEC("license") = "Apache-2.0"; /* no helper here asks for more */
