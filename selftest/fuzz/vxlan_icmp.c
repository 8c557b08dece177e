/* fuzz/vxlan_icmp: any bytes as an inner packet that may be an ICMP error, and as one to answer.
 *
 * The first byte chooses the family and whether checksums are made right first, so that most inputs
 * get behind them; 70 bytes are what the error becomes. The rest is an IP packet. What is read lies
 * within it; a valid error is valid when translated, and back it is what it was; an error of our own
 * is read as one about the packet.
 */
#include <stdio.h>

#include "apps/vxlan_nat/icmp.h"
#include "lib/frame.h"
#include "selftest/frame_maker.h"

#define HEAD 71
#define MOST 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "vxlan_icmp: %s\n", what);
        abort();
    }
}

/* As decap.bpf.h would; false when it would have refused it. */
static bool describe(struct vxlan_frame *f, const uint8_t *bytes, uint32_t length)
{
    struct frame ip;
    frame_parse_ip(&ip, bytes, length, 14);
    *f = (struct vxlan_frame){ .family = ip.family,
                               .protocol = ip.protocol,
                               .l3 = 14,
                               .l4 = (uint16_t)ip.l4,
                               .end = ip.end,
                               .fragment = ip.fragment };
    if (!ip.family)
        return false;
    f->total = ip.family == 4 ? get16(bytes + 16) : 40 + get16(bytes + 18);
    f->truncated = 14 + f->total > length;
    return true;
}

static uint32_t error_sum(const uint8_t *bytes, const struct vxlan_frame *f)
{
    struct look look = { .l3 = 14,
                         .l4 = f->l4,
                         .end = f->end,
                         .protocol = f->protocol,
                         .v6 = f->family == 6 };
    return transport_sum(bytes, &look);
}

static void make_right(uint8_t *bytes, const struct vxlan_frame *f)
{
    uint32_t ip = f->l4 + 8u;
    if (!f->l4 || ip > f->end)
        return;
    uint32_t header = ip < f->end ? 4u * (bytes[ip] & 15) : 0;
    if (f->family == 4 && header >= 20 && ip + header <= f->end) {
        put16(bytes + ip + 10, 0);
        put16(bytes + ip + 10, ~naive_sum(bytes + ip, header, 0));
    }
    put16(bytes + f->l4 + 2, 0);
    put16(bytes + f->l4 + 2, ~error_sum(bytes, f));
}

static struct icmp_translation translation(const uint8_t *data)
{
    struct icmp_translation to;
    memcpy(to.src.address, data, 16);
    memcpy(to.dst.address, data + 16, 16);
    memcpy(to.outer_src, data + 32, 16);
    memcpy(to.outer_dst, data + 48, 16);
    memcpy(&to.src.port, data + 64, 2);
    memcpy(&to.dst.port, data + 66, 2);
    return to;
}

/* Equal but for a checksum of 0 that may have become 0xffff, and the other way round. */
static void require_equal(const uint8_t *a, const uint8_t *b, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        if (a[i] != b[i]) {
            uint32_t at = i & ~1u;
            require(at + 2 <= size && (a[at] == a[at + 1]) && (b[at] == b[at + 1]) &&
                        (uint8_t)(a[at] + 1) <= 1 && (uint8_t)(b[at] + 1) <= 1,
                    "there and back is not the same");
        }
}

static void translate(uint8_t *bytes, const struct vxlan_frame *f,
                      const struct icmp_embedded *e, const uint8_t *data)
{
    static uint8_t before[MOST];
    struct icmp_embedded again;
    struct icmp_translation to = translation(data), back;
    uint32_t outer = f->family == 4 ? 26 : 22, size = f->family == 4 ? 4 : 16;
    bool valid = error_sum(bytes, f) == 0xffff;
    memcpy(before, bytes, f->end);
    memcpy(back.src.address, e->src, 16);
    memcpy(back.dst.address, e->dst, 16);
    memcpy(back.outer_src + 16 - size, bytes + outer, size);
    memcpy(back.outer_dst + 16 - size, bytes + outer + size, size);
    back.src.port = e->sport;
    back.dst.port = e->dport;
    icmp_translate(bytes, f, e, &to);
    require(!valid || error_sum(bytes, f) == 0xffff, "a valid error became invalid");
    require(icmp_read(bytes, f, &again) == ICMP_ERROR, "an error is none any more");
    require(!e->ports || again.sport == to.src.port, "not the port that was asked for");
    icmp_translate(bytes, f, e, &back);
    require_equal(bytes, before, f->end);
}

static void answer(const uint8_t *ip, uint32_t there, bool v6)
{
    static const uint8_t router[2][16] = { { [10] = 0xff, 0xff, 192, 0, 2, 254 },
                                           { 0x20, 0x01, [15] = 1 } };
    uint8_t *made = malloc(14 + ICMP_MOST);
    struct vxlan_frame f;
    struct icmp_embedded e;
    uint32_t length =
        icmp_make(made + 14, ICMP_MOST, ICMP_TIME_EXCEEDED, 0, ip, there, router[v6]);
    if (length) {
        put16(made + 12, v6 ? 0x86dd : 0x0800);
        require(describe(&f, made, 14 + length), "an error that is no packet");
        require(!frame_problem(made, 14 + length), "an error with a problem");
        enum icmp_kind kind = icmp_read(made, &f, &e);
        require(kind == ICMP_ERROR || kind == ICMP_DAMAGED, "an error that is none");
    }
    free(made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t kinds[2] = { 0x45, 0x60 };
    struct vxlan_frame f;
    struct icmp_embedded e;
    if (size <= HEAD || size > MOST)
        return 0;
    uint32_t length = 14 + (uint32_t)size - HEAD;
    bool v6 = data[0] & 1;
    uint8_t *bytes = malloc(length);
    memset(bytes, 0, 14);
    memcpy(bytes + 14, data + HEAD, size - HEAD);
    if (data[0] & 2)
        bytes[14] = kinds[v6];
    if (data[0] & 4 && length > 23)
        bytes[14 + (v6 ? 6 : 9)] = v6 ? IS_ICMP6 : IS_ICMP;
    if (describe(&f, bytes, length)) {
        if (data[0] & 8)
            make_right(bytes, &f);
        if (icmp_read(bytes, &f, &e) == ICMP_ERROR) {
            require(e.end <= f.end && e.l4 <= e.end && e.l3 < e.end, "not within");
            translate(bytes, &f, &e, data + 1);
        }
    }
    answer(bytes + 14, length - 14, length > 14 && bytes[14] >> 4 == 6);
    free(bytes);
    return 0;
}
