/* syn_cookie.bpf: the answer to a SYN, from the XDP program instead of the kernel.
 *
 *   syn_cookie_answer   turns the frame into a SYN-ACK whose sequence number is a cookie
 *
 *      SYN     | tags | IP | TCP, options | payload |
 *      SYN-ACK | tags | IP | TCP, MSS     |           addresses and ports turned round
 *
 * The cookie is the kernel's own (bpf_tcp_gen_syncookie, Linux 5.3, with
 * net.ipv4.tcp_syncookies = 2): its listener takes the ACK that brings it back, and nothing is
 * kept of who does not come back. MSS is the only option: with timestamps the kernel's cookies
 * carry more (scaling, SACK), but at an offset that is secret. RFC 4987, 3.6.
 *
 * Only whole SYNs of IP packets without options or extension headers are answered, to ports on
 * which somebody listens.
 */
#pragma once
#include "apps/flow_sentinel/dissect.bpf.h"

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#define COOKIE_HEADER  24 /* bytes of the answer's TCP header */
#define TCP_HEADER_MAX 60

static __always_inline __u16 fold(__s64 sum)
{
    __u64 s = (__u64)sum & 0xffffffff;
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    return (__u16)~s;
}

/* Of a TCP segment of so many bytes with this sum over it. Ones' complement does not mind the
 * byte order, as long as all words have the same. */
static __always_inline __u16 tcp_checksum(const struct sentinel_frame *f, __u32 length,
                                          __u32 sum)
{
    __u64 s = sum;
    for (int i = 0; i < 4; i++) {
        /* the same half of an IPv4-mapped address stands for nothing in the pseudo header */
        if (f->family == 6 || i == 3)
            s += (__u64)f->src[i] + f->dst[i];
    }
    s += __builtin_bswap32(length) + __builtin_bswap32(PROTOCOL_TCP);
    s = (s & 0xffffffff) + (s >> 32);
    s = (s & 0xffffffff) + (s >> 32);
    return fold((__s64)s);
}

static __always_inline __u32 sum_of(const __u32 *words, int count)
{
    __u64 sum = 0;
    for (int i = 0; i < count; i++)
        sum += words[i];
    sum = (sum & 0xffffffff) + (sum >> 32);
    return (__u32)((sum & 0xffffffff) + (sum >> 32));
}

static __always_inline int is_plain_syn(const struct sentinel_frame *f)
{
    return f->class == CLASS_SYN && !f->payload &&
           f->l4 - f->l3 == (f->family == 4 ? 20 : 40);
}

static __always_inline __u32 l4_offset(const struct sentinel_frame *f)
{
    return (f->l3 & 63) + (f->family == 4 ? 20 : 40);
}

/* Sequence number and MSS, or a negative errno. The helper notes at the listener that cookies
 * are about, without which the kernel would not look for them in ACKs. It wants a header of the
 * longest kind to be there, whatever the length it is told: in a copy, because not every frame
 * can grow. */
static __always_inline __s64 cookie_of(struct xdp_md *ctx, const struct sentinel_frame *f)
{
    __u32 header[TCP_HEADER_MAX / 4] = { 0 };
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    void *ip = data + (f->l3 & 63);
    struct tcphdr *tcp = data + l4_offset(f);
    if (ip + 40 > end || (void *)(tcp + 1) > end)
        return -1;
    __u32 length = tcp->doff * 4;
    if (length < 20 || length > TCP_HEADER_MAX ||
        bpf_xdp_load_bytes(ctx, l4_offset(f), header, length) ||
        tcp_checksum(f, length, sum_of(header, TCP_HEADER_MAX / 4)))
        return -1;
    struct bpf_sock *listener = find_socket(ctx, f);
    if (!listener)
        return -1;
    __s64 cookie = -1;
    if (listener->state == BPF_TCP_LISTEN)
        cookie = f->family == 4
                     ? bpf_tcp_gen_syncookie(listener, ip, 20, (void *)header, length)
                     : bpf_tcp_gen_syncookie(listener, ip, 40, (void *)header, length);
    bpf_sk_release(listener);
    return cookie;
}

static __always_inline void turn_ethernet(struct ethhdr *eth)
{
    __u8 mac[6];
    __builtin_memcpy(mac, eth->h_dest, 6);
    __builtin_memcpy(eth->h_dest, eth->h_source, 6);
    __builtin_memcpy(eth->h_source, mac, 6);
}

static __always_inline void turn_ip4(struct iphdr *ip)
{
    __u32 address = ip->saddr;
    ip->saddr = ip->daddr;
    ip->daddr = address;
    ip->tos = 0;
    ip->tot_len = __builtin_bswap16(20 + COOKIE_HEADER);
    ip->id = 0;
    ip->frag_off = __builtin_bswap16(0x4000);
    ip->ttl = 64;
    ip->check = 0;
    ip->check = fold(sum_of((void *)ip, 5));
}

static __always_inline void turn_ip6(struct ipv6hdr *ip)
{
    struct in6_addr address = ip->saddr;
    ip->saddr = ip->daddr;
    ip->daddr = address;
    ip->payload_len = __builtin_bswap16(COOKIE_HEADER);
    ip->hop_limit = 64;
    __builtin_memset(ip->flow_lbl, 0, sizeof(ip->flow_lbl));
    ip->priority = 0;
}

static __always_inline void turn_tcp(struct tcphdr *tcp, const struct sentinel_frame *f,
                                     __s64 cookie)
{
    __u32 *option = (void *)(tcp + 1);
    __u32 sequence = tcp->seq;
    __u16 port = tcp->source;
    tcp->source = tcp->dest;
    tcp->dest = port;
    tcp->seq = __builtin_bswap32((__u32)cookie);
    tcp->ack_seq = __builtin_bswap32(__builtin_bswap32(sequence) + 1);
    ((__u8 *)tcp)[12] = COOKIE_HEADER / 4 << 4;
    ((__u8 *)tcp)[13] = 0x12; /* SYN, ACK */
    tcp->window = 0xffff;
    tcp->check = 0;
    tcp->urg_ptr = 0;
    *option =
        __builtin_bswap32(0x02040000 | (__u16)(cookie >> 32)); /* kind 2, length 4 */
    tcp->check = tcp_checksum(f, COOKIE_HEADER, sum_of((void *)tcp, COOKIE_HEADER / 4));
}

/* Returns the XDP action. */
static __always_inline int syn_cookie_answer(struct xdp_md *ctx,
                                             const struct sentinel_frame *f)
{
    __s64 cookie = cookie_of(ctx, f);
    __u32 length = l4_offset(f) + COOKIE_HEADER;
    if (cookie < 0 || bpf_xdp_adjust_tail(ctx, (int)(length - f->bytes)))
        return XDP_DROP;
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    void *ip = data + (f->l3 & 63);
    struct tcphdr *tcp = data + l4_offset(f);
    if (data + sizeof(struct ethhdr) > end || ip + 40 > end ||
        (void *)tcp + COOKIE_HEADER > end)
        return XDP_DROP;
    turn_ethernet(data);
    if (f->family == 4)
        turn_ip4(ip);
    else
        turn_ip6(ip);
    turn_tcp(tcp, f, cookie);
    return XDP_TX;
}
