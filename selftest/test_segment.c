/* test_segment: super-frames in, frames out, each looked at by segment_check. */
#include "selftest/selftest.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/segment.h"
#include "selftest/segment_check.h"

#define SUPER_MAX 300000
#define SEQUENCE  0xfffff000u /* wraps within a super-frame */
#define IDENT     0xfffeu

enum { FIN = 1, PSH = 8, ACK = 16, CWR = 128 };

/* What to build. Lengths of options and extensions are in bytes. */
struct recipe {
    int version;
    uint8_t protocol;
    int vlans;
    size_t ip_options; /* IPv4 options or an IPv6 destination options header */
    bool jumbo;        /* an IPv6 jumbo payload option, as Linux makes it */
    size_t tcp_options;
    uint8_t tcp_flags;
    size_t payload;
    size_t padding; /* behind the payload */
    int lie;        /* what the IP length field is off by */
    uint8_t gso_type;
    uint16_t gso_size;
};

struct super {
    struct segment_offload offload;
    size_t length, header, l3, l4;
    uint8_t bytes[SUPER_MAX];
};

static struct super super;

static void put16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
    return get16(at) << 16 | get16(at + 2);
}

static size_t l4_size(const struct recipe *recipe)
{
    return recipe->protocol == 6 ? 20 + recipe->tcp_options : 8;
}

static size_t build_ethernet(const struct recipe *recipe, uint8_t *bytes)
{
    size_t at = 12;
    memset(bytes, 0x02, at);
    for (int i = 0; i < recipe->vlans; i++, at += 4) {
        put16(bytes + at, i + 1 < recipe->vlans ? 0x88a8 : 0x8100);
        put16(bytes + at + 2, 100u + (unsigned)i);
    }
    put16(bytes + at, recipe->version == 4 ? 0x0800 : 0x86dd);
    return at + 2;
}

static size_t build_ipv4(const struct recipe *recipe, uint8_t *ip)
{
    size_t header = 20 + recipe->ip_options;
    ip[0] = (uint8_t)(0x40 | header / 4);
    put16(ip + 2, header + l4_size(recipe) + recipe->payload + (size_t)recipe->lie);
    put16(ip + 4, IDENT);
    put16(ip + 6, 0x4000);
    ip[8] = 64;
    ip[9] = recipe->protocol;
    put16(ip + 10, 0x1234);
    memcpy(ip + 12, (uint8_t[]){ 192, 0, 2, 1, 198, 51, 100, 77 }, 8);
    memset(ip + 20, 1, recipe->ip_options);
    return header;
}

static size_t build_ipv6(const struct recipe *recipe, uint8_t *ip)
{
    size_t at = 40;
    uint8_t *next = ip + 6;
    ip[0] = 0x60;
    ip[7] = 64;
    for (int i = 8; i < 40; i++)
        ip[i] = (uint8_t)(i * 29);
    if (recipe->jumbo) {
        *next = 0;
        next = ip + at;
        memcpy(ip + at, (uint8_t[]){ 0, 0, 0xc2, 4, 0, 1, 2, 3 }, 8);
        at += 8;
    }
    if (recipe->ip_options) {
        *next = 60;
        next = ip + at;
        memcpy(ip + at, (uint8_t[]){ 0, 0, 1, 4, 0, 0, 0, 0 }, 8);
        ip[at + 1] = (uint8_t)(recipe->ip_options / 8 - 1);
        at += recipe->ip_options;
    }
    *next = recipe->protocol;
    size_t length = at - 40 + l4_size(recipe) + recipe->payload;
    put16(ip + 4, length > 65535 ? 0 : length + (size_t)recipe->lie);
    return at;
}

static void build(const struct recipe *recipe)
{
    memset(&super, 0, sizeof(super));
    super.offload.gso_type = recipe->gso_type;
    super.offload.gso_size = recipe->gso_size;
    super.offload.hdr_len = 7; /* must not be believed */
    super.l3 = build_ethernet(recipe, super.bytes);
    uint8_t *ip = super.bytes + super.l3;
    super.l4 = super.l3 +
               (recipe->version == 4 ? build_ipv4(recipe, ip) : build_ipv6(recipe, ip));
    uint8_t *l4 = super.bytes + super.l4;
    put16(l4, 40000);
    put16(l4 + 2, 443);
    if (recipe->protocol == 6) {
        put16(l4 + 4, SEQUENCE >> 16);
        put16(l4 + 6, SEQUENCE & 0xffff);
        l4[12] = (uint8_t)(l4_size(recipe) / 4 << 4);
        l4[13] = recipe->tcp_flags;
        memset(l4 + 20, 1, recipe->tcp_options);
    }
    put16(l4 + (recipe->protocol == 6 ? 16 : 6), 0xabcd); /* a partial checksum */
    super.header = super.l4 + l4_size(recipe);
    super.length = super.header + recipe->payload + recipe->padding;
    ck_assert_uint_le(super.length, SUPER_MAX);
    for (size_t i = super.header; i < super.length; i++)
        super.bytes[i] = (uint8_t)(i * 2654435761u >> 13);
}

static int plan_super(struct segment_plan *plan)
{
    return segment_plan(plan, super.bytes, super.length, super.length, &super.offload);
}

/* Segment i in a frame of its own, valid and with the super-frame's payload. */
static uint8_t *make(const struct segment_plan *plan, uint32_t i)
{
    size_t payload = segment_payload(plan, i);
    uint8_t *frame = malloc(plan->header_length + payload);
    memcpy(frame + plan->header_length, super.bytes + segment_offset(plan, i), payload);

    size_t length = segment_finish(plan, i, frame);
    ck_assert_uint_eq(length, plan->header_length + payload);
    const char *wrong = segment_check(frame, length);
    ck_assert_msg(!wrong, "segment %u: %s", i, wrong);
    ck_assert_mem_eq(frame + plan->header_length, super.bytes + segment_offset(plan, i),
                     payload);
    return frame;
}

static void check_tcp(const struct recipe *recipe, const struct segment_plan *plan,
                      uint32_t i, const uint8_t *tcp)
{
    uint8_t flags = recipe->tcp_flags;
    if (i + 1 < plan->count)
        flags &= (uint8_t) ~(FIN | PSH);
    if (i > 0)
        flags &= (uint8_t)~CWR;
    ck_assert_uint_eq(tcp[13], flags);
    ck_assert_uint_eq(get32(tcp + 4), SEQUENCE + i * plan->gso_size);
    ck_assert_mem_eq(tcp + 20, super.bytes + super.l4 + 20, recipe->tcp_options);
}

/* Plans and makes every segment of the super-frame. */
static void cut(const struct recipe *recipe, uint32_t count)
{
    struct segment_plan plan;
    size_t payload = 0, stripped = recipe->jumbo ? 8 : 0;

    build(recipe);
    ck_assert_int_eq(plan_super(&plan), 0);
    ck_assert_uint_eq(plan.count, count);
    ck_assert_uint_eq(plan.l3_offset, super.l3);
    ck_assert_uint_eq(plan.l4_offset, super.l4 - stripped);
    ck_assert_uint_eq(plan.payload_offset, super.header);
    ck_assert_uint_eq(plan.header_length, super.header - stripped);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_eq(segment_offset(&plan, i), super.header + payload);
        payload += segment_payload(&plan, i);
        uint8_t *frame = make(&plan, i);
        ck_assert_mem_eq(frame, super.bytes, super.l3);
        if (recipe->version == 4)
            ck_assert_uint_eq(get16(frame + plan.l3_offset + 4), (IDENT + i) & 0xffff);
        if (recipe->protocol == 6)
            check_tcp(recipe, &plan, i, frame + plan.l4_offset);
        free(frame);
    }
    ck_assert_uint_eq(payload, recipe->payload);
}

static const struct recipe tcp4 = {
    .version = 4,
    .protocol = 6,
    .tcp_options = 12,
    .tcp_flags = ACK | PSH | FIN | CWR,
    .payload = 10000,
    .gso_type = SEGMENT_TCP4,
    .gso_size = 1448,
};

static const struct recipe tcp6 = {
    .version = 6,
    .protocol = 6,
    .tcp_flags = ACK | PSH,
    .payload = 1440 * 4,
    .gso_type = SEGMENT_TCP6 | SEGMENT_ECN,
    .gso_size = 1440,
};

static const struct recipe udp4 = {
    .version = 4,
    .protocol = 17,
    .payload = 4001,
    .gso_type = SEGMENT_UDP,
    .gso_size = 1001,
};

START_TEST(test_plain)
{
    struct recipe recipe = udp4;

    cut(&tcp4, 7);
    cut(&tcp6, 4);
    cut(&udp4, 4);
    recipe.version = 6;
    cut(&recipe, 4);
}
END_TEST

START_TEST(test_headers)
{
    const struct recipe *base[] = { &tcp4, &tcp6, &udp4 };
    const uint32_t count[] = { 7, 4, 4 };

    for (int k = 0; k < 3; k++)
        for (int vlans = 0; vlans <= 3; vlans++)
            for (size_t options = 0; options <= 40; options += 8) {
                struct recipe recipe = *base[k];
                recipe.vlans = vlans;
                recipe.ip_options = options;
                recipe.tcp_options = options;
                cut(&recipe, count[k]);
            }
}
END_TEST

START_TEST(test_flags)
{
    for (int flags = 0; flags < 256; flags++) {
        struct recipe recipe = tcp4;
        recipe.tcp_flags = (uint8_t)flags;
        recipe.payload = 3000;
        recipe.gso_type = SEGMENT_TCP4 | (flags & CWR ? SEGMENT_ECN : 0);
        cut(&recipe, 3);
    }
}
END_TEST

/* Every length around the edges, the last segment being short, full or alone. */
START_TEST(test_sizes)
{
    for (size_t payload = 0; payload <= 305; payload++) {
        struct recipe recipe = tcp4;
        recipe.payload = payload;
        recipe.gso_size = 100;
        cut(&recipe, payload ? (uint32_t)(payload + 99) / 100 : 1);
        recipe.gso_size = 65535;
        cut(&recipe, 1);
    }
    struct recipe recipe = tcp4;
    recipe.payload = SEGMENT_MAX;
    recipe.gso_size = 1;
    cut(&recipe, SEGMENT_MAX);
}
END_TEST

START_TEST(test_big_tcp)
{
    struct recipe recipe = tcp4;
    recipe.payload = 200000;
    cut(&recipe, 139);
    recipe = tcp6;
    recipe.payload = 200000;
    cut(&recipe, 139);
    recipe.jumbo = true;
    cut(&recipe, 139);
    recipe.ip_options = 16; /* stays, behind the jumbo option */
    cut(&recipe, 139);
    recipe.payload = 70000; /* also where the packet would not need it */
    cut(&recipe, 49);
}
END_TEST

/* Too big for an IP packet: lowered for TCP, refused for UDP unless alone. */
START_TEST(test_gso_size_clamped)
{
    struct segment_plan plan;
    struct recipe recipe = tcp4;
    recipe.payload = 100000;
    recipe.gso_size = 65535;
    build(&recipe);
    ck_assert_int_eq(plan_super(&plan), 0);
    ck_assert_uint_eq(plan.gso_size, 65535 - 20 - 32);
    cut(&recipe, 2);
    recipe = tcp6;
    recipe.payload = 100000;
    recipe.gso_size = 65535;
    recipe.ip_options = 8;
    build(&recipe);
    ck_assert_int_eq(plan_super(&plan), 0);
    ck_assert_uint_eq(plan.gso_size, 65535 - 8 - 20);
    cut(&recipe, 2);
    recipe = udp4;
    recipe.gso_size = 65535;
    recipe.payload = 65535 - 20 - 8;
    cut(&recipe, 1);
    recipe.payload++;
    build(&recipe);
    ck_assert_int_eq(plan_super(&plan), -EINVAL);
}
END_TEST

START_TEST(test_padding)
{
    const struct recipe *base[] = { &tcp4, &tcp6, &udp4 };
    for (int k = 0; k < 3; k++)
        for (size_t payload = 0; payload < 20; payload++) {
            struct recipe recipe = *base[k];
            recipe.payload = payload;
            recipe.padding = 9;
            cut(&recipe, 1);
        }
}
END_TEST

/* An IP length that cannot be true gives way to the frame's. */
START_TEST(test_length_lies)
{
    const struct recipe *base[] = { &tcp4, &tcp6, &udp4 };
    const uint32_t count[] = { 7, 4, 4 };
    for (int k = 0; k < 3; k++) {
        struct recipe recipe = *base[k];
        recipe.lie = 1; /* beyond the frame */
        cut(&recipe, count[k]);
        recipe.lie = -(int)recipe.payload - 1; /* within the headers */
        cut(&recipe, count[k]);
    }
}
END_TEST

static int plan_changed(const struct recipe *recipe, size_t offset, uint8_t value)
{
    struct segment_plan plan;
    build(recipe);
    ck_assert_int_eq(plan_super(&plan), 0);
    ck_assert_uint_ne(super.bytes[offset], value);
    super.bytes[offset] = value;
    return plan_super(&plan);
}

START_TEST(test_refused_types)
{
    for (int type = 0; type < 256; type++) {
        struct segment_plan plan;
        int kind = type & 0x7f;
        build(&tcp4);
        super.offload.gso_type = (uint8_t)type;
        int expect = kind == SEGMENT_TCP4                          ? 0
                     : kind == SEGMENT_TCP6 || kind == SEGMENT_UDP ? -EINVAL
                                                                   : -EOPNOTSUPP;
        ck_assert_int_eq(plan_super(&plan), expect);
    }
}
END_TEST

START_TEST(test_refused_headers)
{
    struct segment_plan plan;
    struct recipe options6 = tcp6, tagged = tcp4;
    options6.ip_options = 16;

    ck_assert_int_eq(plan_changed(&tcp4, 12, 0x90), -EINVAL);      /* EtherType */
    ck_assert_int_eq(plan_changed(&tcp4, 14, 0x65), -EINVAL);      /* IP version */
    ck_assert_int_eq(plan_changed(&tcp4, 14, 0x44), -EINVAL);      /* header length */
    ck_assert_int_eq(plan_changed(&tcp4, 20, 0x20), -EINVAL);      /* more fragments */
    ck_assert_int_eq(plan_changed(&tcp4, 21, 0x01), -EINVAL);      /* fragment offset */
    ck_assert_int_eq(plan_changed(&tcp4, 23, 17), -EINVAL);        /* protocol */
    ck_assert_int_eq(plan_changed(&tcp4, 34 + 12, 0x40), -EINVAL); /* TCP offset */
    ck_assert_int_eq(plan_changed(&tcp6, 14, 0x45), -EINVAL);
    ck_assert_int_eq(plan_changed(&tcp6, 20, 44), -EINVAL);         /* fragment header */
    ck_assert_int_eq(plan_changed(&tcp6, 20, 51), -EINVAL);         /* authentication */
    ck_assert_int_eq(plan_changed(&options6, 54 + 1, 60), -EINVAL); /* ends too far out */
    options6.protocol = 60; /* extension headers without end */
    build(&options6);
    for (size_t i = super.l4; i < super.length; i += 8)
        memcpy(super.bytes + i, (uint8_t[]){ 60, 0, 1, 4, 0, 0, 0, 0 }, 8);
    ck_assert_int_eq(plan_super(&plan), -EINVAL);
    tagged.vlans = 4; /* three are parsed */
    build(&tagged);
    ck_assert_int_eq(plan_super(&plan), -EINVAL);
}
END_TEST

/* Hop-by-hop options that are not just a jumbo payload stay where they are. */
START_TEST(test_hop_by_hop)
{
    struct segment_plan plan;
    struct recipe recipe = tcp6;
    for (recipe.ip_options = 8; recipe.ip_options <= 16; recipe.ip_options += 8)
        for (int option = 0; option < 2; option++) {
            build(&recipe);
            super.bytes[20] = 0;
            super.bytes[54 + 2] = option ? 0xc2 : 1;
            bool jumbo = option && recipe.ip_options == 8;
            ck_assert_int_eq(plan_super(&plan), 0);
            ck_assert_uint_eq(plan.payload_offset, super.header);
            ck_assert_uint_eq(plan.header_length, super.header - (jumbo ? 8 : 0));
            free(make(&plan, 3));
        }
}
END_TEST

/* They are the first extension header or none. */
START_TEST(test_hop_by_hop_second)
{
    struct segment_plan plan;
    struct recipe recipe = tcp6;
    recipe.ip_options = 16;
    build(&recipe);
    memcpy(super.bytes + 54, (uint8_t[]){ 60, 0, 1, 4, 0, 0, 0, 0 }, 8);
    memcpy(super.bytes + 62, (uint8_t[]){ 6, 0, 1, 4, 0, 0, 0, 0 }, 8);
    ck_assert_int_eq(plan_super(&plan), 0);
    super.bytes[20] = 0;
    ck_assert_int_eq(plan_super(&plan), 0);
    super.bytes[54] = 0;
    ck_assert_int_eq(plan_super(&plan), -EINVAL);
    recipe.jumbo = true;
    build(&recipe);
    ck_assert_int_eq(plan_super(&plan), 0);
    super.bytes[54] = 0; /* behind the jumbo payload, which is gone by then */
    ck_assert_int_eq(plan_super(&plan), -EINVAL);
}
END_TEST

/* A routing header that has been followed to its end is one more extension header. */
START_TEST(test_routing)
{
    struct segment_plan plan;
    struct recipe recipe = tcp6;
    recipe.ip_options = 8;
    build(&recipe);
    super.bytes[20] = 43;
    super.bytes[54 + 3] = 0;
    ck_assert_int_eq(plan_super(&plan), 0);
    free(make(&plan, 0));
    super.bytes[54 + 3] = 1;
    ck_assert_int_eq(plan_super(&plan), -EOPNOTSUPP);
}
END_TEST

START_TEST(test_refused_sizes)
{
    struct segment_plan plan;
    struct recipe recipe = tcp4;
    recipe.gso_size = 0;
    build(&recipe);
    ck_assert_int_eq(plan_super(&plan), -EINVAL);
    recipe.payload = 0;
    build(&recipe);
    ck_assert_int_eq(plan_super(&plan), -EINVAL);
    recipe.gso_size = 1;
    recipe.payload = SEGMENT_MAX + 1;
    build(&recipe);
    ck_assert_int_eq(plan_super(&plan), -EINVAL);
    build(&tcp4);
    ck_assert_int_eq(
        segment_plan(&plan, super.bytes, super.length, SIZE_MAX, &super.offload),
        -EINVAL);
}
END_TEST

/* Headers may have up to SEGMENT_HEADER_MAX bytes. Their length is 2 modulo 4: 254 is
 * fine (26 of Ethernet and three tags, 40 of IPv6, 136 of extensions, 52 of TCP), 258 too
 * much. */
START_TEST(test_header_max)
{
    struct segment_plan plan;
    struct recipe recipe = tcp6;
    recipe.vlans = 3;
    recipe.ip_options = 136;
    recipe.tcp_options = SEGMENT_HEADER_MAX - 26 - 40 - 136 - 20 - 2;
    cut(&recipe, 4);
    recipe.tcp_options += 4;
    build(&recipe);
    ck_assert_int_eq(plan_super(&plan), -EINVAL);
}
END_TEST

/* A head that holds all headers gives the whole plan, any shorter one none. */
START_TEST(test_truncated_heads)
{
    struct recipe recipes[] = { tcp4, tcp6, udp4, tcp6 };
    recipes[0].vlans = 2;
    recipes[0].ip_options = 12;
    recipes[1].ip_options = 24;
    recipes[3].jumbo = true;
    recipes[3].payload = 70000;
    for (int k = 0; k < 4; k++) {
        build(&recipes[k]);
        for (size_t length = 0; length <= super.header + 300; length++) {
            struct segment_plan plan;
            uint8_t *head = malloc(length + !length);
            memcpy(head, super.bytes, length);
            bool whole = length >= super.header;
            ck_assert_int_eq(
                segment_plan(&plan, head, length, super.length, &super.offload),
                whole ? 0 : -EINVAL);
            if (whole)
                ck_assert_uint_eq(plan.payload_length, recipes[k].payload);
            ck_assert_int_eq(
                segment_plan(&plan, super.bytes, super.length, length, &super.offload),
                whole ? 0 : -EINVAL);
            free(head);
        }
    }
}
END_TEST

/* A sum of 0 is sent as 0xffff in UDP: 0 would say that there is no checksum. */
START_TEST(test_udp_zero)
{
    struct segment_plan plan;
    struct recipe recipe = udp4;
    recipe.payload = 2;
    int seen = 0;
    build(&recipe);
    for (unsigned value = 0; value < 65536; value++) {
        put16(super.bytes + super.header, value);
        ck_assert_int_eq(plan_super(&plan), 0);
        uint8_t *frame = make(&plan, 0);
        seen += get16(frame + plan.l4_offset + 6) == 0xffff;
        free(frame);
    }
    ck_assert_int_ge(seen, 1);
}
END_TEST

static Suite *suite_segment(void)
{
    Suite *suite = suite_create("segment");
    TCase *cut_case = tcase_create("cut");
    tcase_add_test(cut_case, test_plain);
    tcase_add_test(cut_case, test_headers);
    tcase_add_test(cut_case, test_flags);
    tcase_add_test(cut_case, test_sizes);
    tcase_add_test(cut_case, test_big_tcp);
    tcase_add_test(cut_case, test_gso_size_clamped);
    tcase_add_test(cut_case, test_padding);
    tcase_add_test(cut_case, test_length_lies);
    tcase_add_test(cut_case, test_hop_by_hop);
    tcase_add_test(cut_case, test_hop_by_hop_second);
    tcase_add_test(cut_case, test_routing);
    tcase_add_test(cut_case, test_header_max);
    tcase_add_test(cut_case, test_udp_zero);
    suite_add_tcase(suite, cut_case);
    TCase *refuse = tcase_create("refuse");
    tcase_add_test(refuse, test_refused_types);
    tcase_add_test(refuse, test_refused_headers);
    tcase_add_test(refuse, test_refused_sizes);
    tcase_add_test(refuse, test_truncated_heads);
    suite_add_tcase(suite, refuse);
    return suite;
}

SUITE(segment)
