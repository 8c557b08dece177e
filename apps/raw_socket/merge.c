/* merge: consecutive TCP segments of one flow, back into the super-frame they are. */
#include "apps/raw_socket/merge.h"

#include <arpa/inet.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>

#include "lib/checksum.h"

#define ETHERNET      14
#define IP4_HEADER    20
#define IP6_HEADER    40
#define TCP_HEADER    20
#define TCP_CSUM      16
#define TCP_FLAGS     13
#define TCP_ACK       0x10
#define TCP_PSH       0x08
#define IP4_DF        0x4000
#define IP_LENGTH_MAX 65535
#define WORTH_IT      512 /* runs of shorter frames are not looked for */

/* Where the parts of a segment lie. */
struct segment {
    uint32_t l4, header; /* offsets of the TCP header and of the payload */
    uint32_t payload;    /* bytes of it */
    bool ip6;
};

static uint16_t load16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t load32(const uint8_t *at)
{
    return (uint32_t)load16(at) << 16 | load16(at + 2);
}

static void store16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* An IPv4 packet without options, or an IPv6 packet without extension headers, not a
 * fragment, whose length is the frame's. */
static bool parse_ip(const struct packet *p, struct segment *s)
{
    const uint8_t *ip = p->data + ETHERNET;
    uint16_t type = load16(p->data + 12);
    s->ip6 = type == 0x86dd;
    s->l4 = ETHERNET + (s->ip6 ? IP6_HEADER : IP4_HEADER);
    if (s->ip6)
        return ip[0] >> 4 == 6 && ip[6] == IPPROTO_TCP &&
               load16(ip + 4) == p->length - ETHERNET - IP6_HEADER;
    return type == 0x0800 && ip[0] == 0x45 && ip[9] == IPPROTO_TCP &&
           !(load16(ip + 6) & ~IP4_DF) && load16(ip + 2) == p->length - ETHERNET;
}

/* A data segment that could be part of a run. */
static bool parse(const struct packet *p, struct segment *s)
{
    if (p->length < ETHERNET + IP6_HEADER + TCP_HEADER || p->gso_type ||
        (p->flags & (PACKET_CSUM_VALID | PACKET_VLAN)) != PACKET_CSUM_VALID ||
        !parse_ip(p, s))
        return false;
    const uint8_t *tcp = p->data + s->l4;
    uint32_t tcp_header = (uint32_t)(tcp[12] >> 4) * 4;
    s->header = s->l4 + tcp_header;
    if (tcp_header < TCP_HEADER || s->header > MERGE_HEADER || s->header >= p->length)
        return false;
    s->payload = p->length - s->header;
    return (tcp[TCP_FLAGS] & ~TCP_PSH) == TCP_ACK;
}

static bool same(const struct packet *a, const struct packet *b, uint32_t from,
                 uint32_t to)
{
    return !memcmp(a->data + from, b->data + from, to - from);
}

/* Everything equal but lengths, identification, checksums, sequence and PSH. */
static bool same_headers(const struct packet *a, const struct packet *b,
                         const struct segment *s)
{
    uint32_t ip = ETHERNET, tcp = s->l4;
    bool same_ip = s->ip6 ? same(a, b, ip, ip + 4) && same(a, b, ip + 6, tcp)
                          : same(a, b, ip, ip + 2) && same(a, b, ip + 6, ip + 10) &&
                                same(a, b, ip + 12, tcp);
    return same(a, b, 0, ip) && same_ip && same(a, b, tcp, tcp + 4) &&
           same(a, b, tcp + 8, tcp + TCP_FLAGS) && same(a, b, tcp + 14, tcp + TCP_CSUM) &&
           same(a, b, tcp + 18, s->header);
}

/* The identification that segmentation would give, or one that nobody looks at (RFC
 * 6864). */
static bool identification_fits(const struct packet *first, const struct packet *p,
                                uint32_t i, const struct segment *s)
{
    const uint8_t *a = first->data + ETHERNET, *b = p->data + ETHERNET;
    return s->ip6 || load16(a + 6) == IP4_DF ||
           load16(b + 4) == (uint16_t)(load16(a + 4) + i);
}

uint32_t merge_run(struct packet *const *p, uint32_t n, uint32_t most)
{
    struct segment first, next;
    if (n < 2 || p[0]->length < WORTH_IT || p[1]->length > p[0]->length ||
        !parse(p[0], &first))
        return 1;
    uint32_t sequence = load32(p[0]->data + first.l4 + 4),
             length = p[0]->length - ETHERNET;
    uint32_t i = 1;
    n = n < most ? n : most;
    bool last = p[0]->data[first.l4 + TCP_FLAGS] & TCP_PSH;
    for (; i < n && !last; i++) {
        if (!parse(p[i], &next) || next.header != first.header || next.ip6 != first.ip6 ||
            next.payload > first.payload || length + next.payload > IP_LENGTH_MAX)
            break;
        if (load32(p[i]->data + first.l4 + 4) != sequence + i * first.payload ||
            !same_headers(p[0], p[i], &first) ||
            !identification_fits(p[0], p[i], i, &first))
            break;
        length += next.payload;
        last = next.payload < first.payload || p[i]->data[first.l4 + TCP_FLAGS] & TCP_PSH;
    }
    return i;
}

/* The headers of the whole: lengths, IPv4 checksum, and in place of the TCP checksum the
 * sum of the pseudo header, as a partial checksum wants it. */
static void write_header(struct merge_message *m, const struct segment *s,
                         uint32_t payload, uint8_t last_flags)
{
    uint8_t *ip = m->header + ETHERNET, *tcp = m->header + s->l4;
    uint32_t l4_length = s->header - s->l4 + payload;
    uint64_t pseudo;
    if (s->ip6) {
        store16(ip + 4, (uint16_t)l4_length);
        pseudo = checksum_pseudo6(ip + 8, IPPROTO_TCP, l4_length);
    } else {
        store16(ip + 2, (uint16_t)(IP4_HEADER + l4_length));
        memset(ip + 10, 0, 2);
        uint16_t checksum = checksum_fold(checksum_sum(ip, IP4_HEADER, 0));
        memcpy(ip + 10, &checksum, sizeof(checksum));
        pseudo = checksum_pseudo4(ip + 12, IPPROTO_TCP, l4_length);
    }
    uint16_t partial = (uint16_t)~checksum_fold(pseudo);
    memcpy(tcp + TCP_CSUM, &partial, sizeof(partial));
    tcp[TCP_FLAGS] = last_flags;
}

void merge_message(struct merge_message *m, struct packet *const *p, uint32_t n)
{
    struct segment s;
    parse(p[0], &s);
    memcpy(m->header, p[0]->data, s.header);
    uint32_t payload = 0;
    m->vectors[0] = (struct iovec){ m->vnet, sizeof(m->vnet) };
    m->vectors[1] = (struct iovec){ m->header, s.header };
    for (uint32_t i = 0; i < n; i++) {
        m->vectors[i + 2] =
            (struct iovec){ p[i]->data + s.header, p[i]->length - s.header };
        payload += p[i]->length - s.header;
    }
    write_header(m, &s, payload, p[n - 1]->data[s.l4 + TCP_FLAGS]);
    struct virtio_net_hdr vnet = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = s.ip6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
        .hdr_len = (uint16_t)s.header,
        .gso_size = (uint16_t)s.payload,
        .csum_start = (uint16_t)s.l4,
        .csum_offset = TCP_CSUM,
    };
    memcpy(m->vnet, &vnet, sizeof(vnet));
    m->message = (struct msghdr){ .msg_iov = m->vectors, .msg_iovlen = n + 2 };
}
